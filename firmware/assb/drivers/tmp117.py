"""TI TMP117: 0.1 °C digital thermometer (datasheet SNOSD82D). Read on the slow tick."""

from assb.const import const
from assb.drivers.fixed_point import signed
from assb.drivers.registers import Registers
from assb.drivers.status import BUS_ERROR, CONFIG_LOST, NOT_READY, SATURATED

_TEMP_RESULT = const(0x00)
_CONFIGURATION = const(0x01)
_DEVICE_ID = const(0x0F)

_DATA_READY = const(0x2000)
_CONFIG_BITS = const(
    0x0FFC
)  # MOD, CONV, AVG, T/nA, POL, DR/Alert; the rest are flags and the self-clearing reset (7.6)
_NO_RESULT = const(0x8000)  # -256 °C until the first conversion is complete (7.3.1)
_CODE_LOWEST = const(-55 * 128)  # rated range, in 7.8125 m°C
_CODE_HIGHEST = const(150 * 128)

# (CONV, AVG) bits for {average: {cycle_ms: CONV}}, 7.6 Table 7-7: a cycle is never shorter than its conversions
AVERAGE_BITS = {1: 0, 8: 1, 32: 2, 64: 3}
CYCLE_BITS = {125: 1, 250: 2, 500: 3, 1000: 4, 4000: 5, 8000: 6, 16000: 7}
SHORTEST_CYCLE_MS = {1: 125, 8: 125, 32: 500, 64: 1000}


def temperature_cdegc(code: int) -> int:
    """Signed result code (7.8125 m°C) to hundredths of a degree Celsius, rounded."""
    return (code * 25 + 16) >> 5


class TMP117:
    """One TMP117. Attributes: temperature_cdegc, code, status; `error_count`: failed transfers."""

    def __init__(self, bus, address: int):
        self._registers = Registers(bus, address, 2, "TMP117")
        self._word = bytearray(2)
        self._config = 0
        self._configured = False
        self.temperature_cdegc = self.code = 0
        self.status = NOT_READY

    @property
    def error_count(self) -> int:
        return self._registers.error_count

    def check_id(self) -> None:
        """OSError(ENODEV) unless DID is 0x117; the upper four bits are the revision."""
        self._registers.expect(_DEVICE_ID, 0x0117, 0x0FFF)

    def configure(self, average: int = 8, cycle_ms: int = 125) -> None:
        """Convert continuously: `average` conversions of 15.5 ms per result, one result per `cycle_ms`.

        ValueError for a pair that the chip does not have; OSError when it is absent, another chip or not obeying.
        """
        if average not in AVERAGE_BITS or cycle_ms not in CYCLE_BITS:
            raise ValueError(
                f"TMP117 average={average}, cycle_ms={cycle_ms}: have {sorted(AVERAGE_BITS)} and {sorted(CYCLE_BITS)}"
            )
        if cycle_ms < SHORTEST_CYCLE_MS[average]:
            raise ValueError(f"TMP117 average={average} takes {SHORTEST_CYCLE_MS[average]} ms, cycle_ms={cycle_ms}")
        self._config = CYCLE_BITS[cycle_ms] << 7 | AVERAGE_BITS[average] << 5
        self.restore()

    def restore(self) -> None:
        """Program the configuration again, as after a brown-out. Raises OSError."""
        self._configured = False
        self.status = CONFIG_LOST
        self.check_id()
        self._registers.program(_CONFIGURATION, self._config, _CONFIG_BITS)
        self._configured = True
        self.status = NOT_READY

    def update(self) -> bool:
        """True when temperature_cdegc is new. Reading the configuration clears Data_Ready, so a result counts once.

        The same read shows a brown-out, which puts back the power-on configuration. Allocates and raises nothing.
        """
        if not self._registers.read_into(_CONFIGURATION, self._word):
            self.status = BUS_ERROR
            return False
        word = self._word[0] << 8 | self._word[1]
        if not self._configured or (word ^ self._config) & _CONFIG_BITS:
            self._configured = False
            self.status = CONFIG_LOST
            return False
        if not word & _DATA_READY:
            self.status = NOT_READY
            return False
        return self._read_result()

    def _read_result(self) -> bool:
        if not self._registers.read_into(_TEMP_RESULT, self._word):
            self.status = BUS_ERROR
            return False
        word = self._word[0] << 8 | self._word[1]
        if word == _NO_RESULT:
            self.status = NOT_READY
            return False
        code = signed(word, 16)
        self.code = code
        self.temperature_cdegc = temperature_cdegc(code)
        self.status = 0 if _CODE_LOWEST <= code <= _CODE_HIGHEST else SATURATED
        return True
