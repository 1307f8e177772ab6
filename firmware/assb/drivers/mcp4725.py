"""Microchip MCP4725: 12-bit DAC with EEPROM (datasheet DS22039D). It has no identity register."""

import errno

from assb.const import const
from assb.drivers.registers import COUNT_MAX
from assb.drivers.status import BUS_ERROR, CONFIG_LOST, NOT_READY

_CODE_MAX = const(4095)
_WRITE_DAC_AND_EEPROM = const(0x60)  # C2..C0 = 011 (6.1.3)
_RDY = const(0x80)
_EEPROM_LIMIT_MS = const(60)  # 25 ms typical, 50 ms maximum (1.0, electrical characteristics)


class MCP4725:
    """One MCP4725. Attributes: code (last acknowledged), status; `error_count`: failed transfers.

    The EEPROM holds what the output does at power-on, and leaves the factory at mid scale (half of the full
    pressure!): `configure` sets it to zero once, when it is not; ordinary writes never touch it (1 million cycles).
    Otherwise `configure` leaves the output as it is and adopts its code: a board that restarts must not let go of a
    stack that is pressed.
    """

    def __init__(self, bus, address: int = 0x60):
        self._bus = bus
        self._address = address
        self._command = bytearray(2)
        self._seen = bytearray(5)
        self._powered_down = 0
        self.code = 0
        self.error_count = 0
        self.status = NOT_READY

    def configure(self, sleep_ms=None) -> None:
        """Adopt the output, or set output and power-on value to zero where that is not zero yet. Raises OSError.

        `sleep_ms`: time.sleep_ms.
        """
        if sleep_ms is None:
            from time import sleep_ms
        self._wait_ready(sleep_ms)
        if self._stored_word() != 0:
            self._bus.writeto(self._address, bytes((_WRITE_DAC_AND_EEPROM, 0, 0)))
            self._wait_ready(sleep_ms)
            if self._stored_word() != 0:
                raise self._error(errno.EIO, f"power-on value stays 0x{self._stored_word():04x}")
            if self._dac_word() != 0:
                raise self._error(errno.EIO, f"output register reads 0x{self._dac_word():04x} after writing 0")
        self.adopt()

    def adopt(self) -> None:
        """Take what the output register held at the last read for what was written."""
        self._powered_down = self._dac_word() >> 12  # PD1, PD0: output off (5.2)
        self.code = 0 if self._powered_down else self._dac_word()
        self.status = 0

    def write(self, code: int) -> bool:
        """Fast write of 0..4095 (6.1.1), clamped. True when acknowledged. Allocates and raises nothing."""
        code = 0 if code < 0 else _CODE_MAX if code > _CODE_MAX else code
        self._command[0] = code >> 8
        self._command[1] = code & 0xFF
        try:
            self._bus.writeto(self._address, self._command)
        except OSError:
            return self._failed()
        self.code = code
        self._powered_down = 0
        self.status = 0
        return True

    def read_back(self) -> bool:
        """True when the chip's output register holds what was last written; CONFIG_LOST when not (brown-out).

        NOT_READY while an EEPROM write goes on, during which the chip ignores new commands (6.1.3).
        """
        try:
            self._bus.readfrom_into(self._address, self._seen)
        except OSError:
            return self._failed()
        if not self._seen[0] & _RDY:
            self.status = NOT_READY
            return False
        holds = self._dac_word() == self._powered_down << 12 | self.code
        self.status = 0 if holds else CONFIG_LOST
        return holds

    def _failed(self) -> bool:
        if self.error_count < COUNT_MAX:
            self.error_count += 1
        self.status = BUS_ERROR
        return False

    def _dac_word(self) -> int:
        """PD1, PD0 and the code in the output register, as of the last read (6.2, figure 6-3)."""
        seen = self._seen
        return (seen[0] & 6) << 11 | seen[1] << 4 | seen[2] >> 4

    def _stored_word(self) -> int:
        """PD1, PD0 and the code in the EEPROM, as of the last read."""
        return (self._seen[3] & 0x60) << 7 | (self._seen[3] & 0x0F) << 8 | self._seen[4]

    def _wait_ready(self, sleep_ms) -> None:
        waited_ms = 0
        self._bus.readfrom_into(self._address, self._seen)
        while not self._seen[0] & _RDY:
            if waited_ms >= _EEPROM_LIMIT_MS:
                raise self._error(errno.ETIMEDOUT, f"EEPROM still busy after {waited_ms} ms")
            sleep_ms(5)
            waited_ms += 5
            self._bus.readfrom_into(self._address, self._seen)

    def _error(self, code: int, text: str) -> OSError:
        return OSError(code, f"MCP4725 at I2C address 0x{self._address:02x}: {text}")
