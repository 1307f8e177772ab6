"""Microchip MCP4725 DAC with EEPROM (datasheet DS22039D)."""

from assb_hil.chips.i2c_chip import NEVER, I2cChip

RDY = 0x80
COMMAND_FAST = (0, 1)  # C2, C1 = 00 with C0 don't care (6.1.1), as the upper three bits
COMMAND_DAC, COMMAND_DAC_EEPROM = 2, 3
EEPROM_US = 25000  # typical; 50 ms at most
FACTORY_CODE = 0x800  # mid scale; known from breakouts in use, the page of the datasheet was not at hand


class MCP4725(I2cChip):
    """Output: `output_v` = vdd_v * code / 4096, zero when powered down (the internal resistor pulls it to ground).

    The power-on reset loads the EEPROM, which keeps its content over it. The POR bit of the read command reads 0.
    """

    def __init__(self, vdd_v: float = 5.0, eeprom_code: int = FACTORY_CODE) -> None:
        self.vdd_v = vdd_v
        self.eeprom_code = eeprom_code
        self.eeprom_power_down = 0
        self.eeprom_writes = 0
        super().__init__()

    def power_on_reset(self) -> None:
        self.code = self.eeprom_code
        self.power_down = self.eeprom_power_down
        self.next_change_us = NEVER

    @property
    def output_v(self) -> float:
        return 0.0 if self.power_down else self.vdd_v * self.code / 4096

    @property
    def _busy(self) -> bool:
        return self.next_change_us != NEVER

    def _change(self, now_us: int) -> None:
        self.next_change_us = NEVER

    def i2c(self, write: bytes, read_n: int) -> bytes | None:
        """There is no register pointer: a write is a command, possibly repeated, and a read is always the same."""
        if not self.acking:
            return None
        position = 0
        while position < len(write):
            position += self._command(write[position : position + 3])
        return self._content(0, read_n) if read_n else b""

    def peek(self, write: bytes, read_n: int) -> tuple[bytes, int] | None:
        if not self.acking or write or not read_n:
            return None
        return self._content(0, read_n), self.next_change_us

    def _command(self, data: bytes) -> int:
        """Carry out one command, return its length; ignored while the EEPROM is being written (6.1.3, note 1)."""
        kind = data[0] >> 5
        fast = kind in COMMAND_FAST
        length = 2 if fast else 3
        if len(data) < length or self._busy:
            return length
        if fast:
            self.power_down = data[0] >> 4 & 3
            self.code = (data[0] & 0x0F) << 8 | data[1]
        elif kind in (COMMAND_DAC, COMMAND_DAC_EEPROM):
            self.power_down = data[0] >> 1 & 3
            self.code = data[1] << 4 | data[2] >> 4
        if kind == COMMAND_DAC_EEPROM:
            self.eeprom_code, self.eeprom_power_down = self.code, self.power_down
            self.eeprom_writes += 1
            self.next_change_us = self.now_us + EEPROM_US
        return length

    def _content(self, register: int, read_n: int) -> bytes:
        """Figure 6-3: status, DAC register, EEPROM; repeated beyond five bytes."""
        data = bytes(
            (
                (0 if self._busy else RDY) | self.power_down << 1,
                self.code >> 4,
                (self.code & 0x0F) << 4,
                self.eeprom_power_down << 5 | self.eeprom_code >> 8,
                self.eeprom_code & 0xFF,
            )
        )
        return (data * (read_n // 5 + 1))[:read_n]
