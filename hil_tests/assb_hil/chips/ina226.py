"""TI INA226 at register level (datasheet SBOS547A)."""

from collections.abc import Callable

from assb_hil.chips.i2c_chip import NEVER, WordChip

CONFIG, SHUNT_VOLTAGE, BUS_VOLTAGE, POWER, CURRENT, CALIBRATION, MASK_ENABLE, ALERT_LIMIT = range(8)
MANUFACTURER_ID, DIE_ID = 0xFE, 0xFF
POWER_ON = {register: 0 for register in range(8)} | {CONFIG: 0x4127, MANUFACTURER_ID: 0x5449, DIE_ID: 0x2260}
WRITABLE = {CONFIG: 0x0FFF, CALIBRATION: 0x7FFF, MASK_ENABLE: 0xFC03, ALERT_LIMIT: 0xFFFF}

RST = 0x8000  # CONFIG
SOL, SUL, BOL, BUL, POL, CNVR = 0x8000, 0x4000, 0x2000, 0x1000, 0x0800, 0x0400  # Mask/Enable, 7.6.7
AFF, CVRF, OVF, APOL, LEN = 0x10, 0x08, 0x04, 0x02, 0x01
MODE_SHUNT, MODE_BUS, MODE_CONTINUOUS = 1, 2, 4

CONVERSION_US = (140, 204, 332, 588, 1100, 2116, 4156, 8244)
AVERAGES = (1, 4, 16, 64, 128, 256, 512, 1024)
SHUNT_LSB_V, BUS_LSB_V = 2.5e-6, 1.25e-3
CODE_MAX, CODE_MIN = 0x7FFF, -0x8000


def _nothing() -> float:
    return 0.0


class INA226(WordChip):
    """Inputs: bus_voltage_v, shunt_voltage_v (IN+ minus IN-), sampled as an averaged result ends.

    Outputs: `alert_level`, the open-drain pin with its pull-up; the registers. Simplifications: an average is one
    sample at its end; writing CONFIG restarts the conversion; POL judges the power register's full scale alone.
    """

    writable = WRITABLE

    def __init__(
        self, bus_voltage_v: Callable[[], float] = _nothing, shunt_voltage_v: Callable[[], float] = _nothing
    ) -> None:
        self.bus_voltage_v = bus_voltage_v
        self.shunt_voltage_v = shunt_voltage_v
        super().__init__()

    def power_on_reset(self) -> None:
        self._value = dict(POWER_ON)
        self._restart()

    @property
    def alert_level(self) -> int:
        flags = self._value[MASK_ENABLE]
        asserted = bool(flags & AFF) or flags & (CNVR | CVRF) == CNVR | CVRF
        return int(asserted == bool(flags & APOL))

    def _restart(self) -> None:
        config = self._value[CONFIG]
        self._mode = config & 7
        bus_us = CONVERSION_US[config >> 6 & 7] if self._mode & MODE_BUS else 0
        shunt_us = CONVERSION_US[config >> 3 & 7] if self._mode & MODE_SHUNT else 0
        self._result_us = (bus_us + shunt_us) * AVERAGES[config >> 9 & 7]
        self.next_change_us = self.now_us + self._result_us if self._result_us else NEVER

    def _change(self, now_us: int) -> None:
        value = self._value
        if self._mode & MODE_SHUNT:
            value[SHUNT_VOLTAGE] = max(CODE_MIN, min(CODE_MAX, round(self.shunt_voltage_v() / SHUNT_LSB_V))) & 0xFFFF
        if self._mode & MODE_BUS:
            value[BUS_VOLTAGE] = max(0, min(CODE_MAX, round(self.bus_voltage_v() / BUS_LSB_V)))
        self._calculate()
        value[MASK_ENABLE] |= CVRF
        self._compare()
        missed = (now_us - self.next_change_us) // self._result_us
        self.next_change_us += (missed + 1) * self._result_us
        if not self._mode & MODE_CONTINUOUS:
            self.next_change_us = NEVER  # triggered: done until CONFIG is written again

    def _calculate(self) -> None:
        """CURRENT = shunt * CALIBRATION / 2048, POWER = CURRENT * bus / 20000 (7.5, equations 3 and 4)."""
        value = self._value
        shunt = value[SHUNT_VOLTAGE] - (value[SHUNT_VOLTAGE] >> 15 << 16)
        current = int(shunt * value[CALIBRATION] / 2048)
        value[MASK_ENABLE] &= ~OVF
        if not CODE_MIN <= current <= CODE_MAX:
            value[MASK_ENABLE] |= OVF
            current = max(CODE_MIN, min(CODE_MAX, current))
        value[CURRENT] = current & 0xFFFF
        value[POWER] = min(abs(current) * value[BUS_VOLTAGE] // 20000, 0xFFFF)

    def _compare(self) -> None:
        """The enabled function of the highest bit alone (7.6.7). Latched: the flag adds up until it is read."""
        value, mask = self._value, self._value[MASK_ENABLE]
        limit = value[ALERT_LIMIT] - (value[ALERT_LIMIT] >> 15 << 16)
        shunt = value[SHUNT_VOLTAGE] - (value[SHUNT_VOLTAGE] >> 15 << 16)
        beyond = False
        for bit, over in (
            (SOL, shunt > limit),
            (SUL, shunt < limit),
            (BOL, value[BUS_VOLTAGE] > limit),
            (BUL, value[BUS_VOLTAGE] < limit),
            (POL, value[POWER] > value[ALERT_LIMIT]),
        ):
            if mask & bit:
                beyond = over
                break
        if beyond:
            value[MASK_ENABLE] |= AFF
        elif not mask & LEN:
            value[MASK_ENABLE] &= ~AFF

    def _written(self, register: int, word: int) -> None:
        if register == CONFIG and word & RST:
            self.power_on_reset()
        elif register == CONFIG:
            self._value[MASK_ENABLE] &= ~CVRF
            self._restart()

    def _after_read(self, register: int, read_n: int) -> None:
        if register == MASK_ENABLE:
            self._value[MASK_ENABLE] &= ~(CVRF | AFF) if self._value[MASK_ENABLE] & LEN else ~CVRF

    def _valid_until(self, register: int, read_n: int) -> int:
        if register == MASK_ENABLE:
            return 0 if self._value[MASK_ENABLE] & (CVRF | AFF) else self.next_change_us
        return self.next_change_us if register in (SHUNT_VOLTAGE, BUS_VOLTAGE, POWER, CURRENT) else NEVER
