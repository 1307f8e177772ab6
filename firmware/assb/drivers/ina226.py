"""TI INA226: 36 V, 16-bit voltage and current monitor with one ALERT comparator (datasheet SBOS547A).

As the INA228, with a step of 1.25 mV and 2.5 uV. Its lowest bit rests on a quiet cell, so `code` counts results: what
tells a stopped converter is that no result comes.
"""

from assb.const import const
from assb.drivers.fixed_point import Ratio, signed
from assb.drivers.registers import Registers
from assb.drivers.status import BUS_ERROR, CONFIG_LOST, HELD, NOT_READY, SATURATED

# Registers, 7.6 Table 2
_CONFIG = const(0x00)
_SHUNT_VOLTAGE = const(0x01)
_BUS_VOLTAGE = const(0x02)
_MASK_ENABLE = const(0x06)
_ALERT_LIMIT = const(0x07)
_MANUFACTURER_ID = const(0xFE)
_DIE_ID = const(0xFF)

# Mask/Enable, 7.6.7
_BOL = const(0x2000)
_AFF = const(0x0010)
_CVRF = const(0x0008)
_LEN = const(0x0001)
_MASK_BITS = const(0xF803)  # the rest are flags
_ALERT_OVERVOLTAGE = const(0x10)  # as the INA228 names it

CONVERSION_US = (140, 204, 332, 588, 1100, 2116, 4156, 8244)  # VBUSCT, VSHCT: 7.6.1 Tables 7 and 8
AVERAGES = (1, 4, 16, 64, 128, 256, 512, 1024)
_CONFIG_FIXED = const(0x4007)  # bit 14 reads 1; MODE 7: shunt and bus, continuous
_CONFIG_POWER_ON = const(0x4127)

SHUNT_LSB_PV = 2500000
BUS_LSB_UV = 1250
_CODE_MAX = const(0x7FFF)
_BUS_CODE_MAX = const(28800)  # 36 V, the rated bus range
_TICKS_MAX = const(30)  # without a result: conversions have stopped


class INA226:
    """One INA226; positive current charges when the shunt's IN+ faces the charger (`polarity=1`), else `polarity=-1`.

    Attributes as those of INA228: voltage_uv, current_ua, voltage_code, current_code, status; alert_flags until
    `clear_alerts()`. Currents are taken from the shunt voltage, so nothing needs calibration (register 05h).
    """

    def __init__(self, bus, address: int, shunt_uohm: int, *, polarity: int = 1):
        self._registers = Registers(bus, address, 2, "INA226")
        self._word = bytearray(2)
        self._shunt_uohm = shunt_uohm
        self._polarity = polarity
        self._config = 0
        self._limit = self._mask = 0
        self._configured = False
        self._since = 0
        self.conversion_us = 0
        self.voltage_uv = self.current_ua = 0
        self.voltage_code = self.current_code = 0
        self.alert_flags = 0
        self.status = NOT_READY
        self.calibrate(0, 0, 0)

    @property
    def error_count(self) -> int:
        return self._registers.error_count

    def calibrate(self, current_gain_ppm: int, current_offset_ua: int, voltage_gain_ppm: int) -> None:
        """As INA228: ValueError when full scale leaves 30 bits, and nothing is changed then. Set-up only."""
        current = Ratio(SHUNT_LSB_PV * (1000000 + current_gain_ppm), self._shunt_uohm * 1000000, 16)
        self._voltage_scale = Ratio(BUS_LSB_UV * (1000000 + voltage_gain_ppm), 1000000, 16)
        self._current_scale, self._offset_ua = current, current_offset_ua

    def check_id(self) -> None:
        """OSError(ENODEV) unless the chip says TI (0x5449) and 0x226x; the last digit is the revision (7.6.10)."""
        self._registers.expect(_MANUFACTURER_ID, 0x5449, 0xFFFF)
        self._registers.expect(_DIE_ID, 0x2260, 0xFFF0)

    def configure(self, bus_us: int = 588, shunt_us: int = 588, average: int = 4) -> None:
        """Check the id, convert voltage and current continuously; what is written is read back.

        ValueError for a time that the chip does not have, and for the set that it powers on with, in which a brown-out
        would not show; OSError when it is absent or not obeying.
        """
        if bus_us not in CONVERSION_US or shunt_us not in CONVERSION_US or average not in AVERAGES:
            raise ValueError(
                f"INA226 bus_us={bus_us}, shunt_us={shunt_us}, average={average}: have {CONVERSION_US} and {AVERAGES}"
            )
        word = (
            _CONFIG_FIXED
            | AVERAGES.index(average) << 9
            | CONVERSION_US.index(bus_us) << 6
            | CONVERSION_US.index(shunt_us) << 3
        )
        if word == _CONFIG_POWER_ON:
            raise ValueError("INA226: these conversion times are the power-on ones; change one, shunt_us say")
        self._config = word
        self.conversion_us = (bus_us + shunt_us) * average
        self.restore()

    def restore(self) -> None:
        """Program every register again, as after a brown-out. Raises OSError. `update` then waits for a result."""
        self._configured = False
        self.status = CONFIG_LOST
        self.check_id()
        self._registers.program(_CONFIG, self._config, 0xFFFF)
        self._registers.program(_ALERT_LIMIT, self._limit, 0xFFFF)
        self._registers.program(_MASK_ENABLE, self._mask, _MASK_BITS)
        self._since = _TICKS_MAX  # the results are of the past, or zero
        self._configured = True
        self.status = NOT_READY

    def set_alert_limits(self, undervoltage_uv=None, overvoltage_uv=None, charge_ua=None, discharge_ua=None) -> None:
        """Program the one comparator for `overvoltage_uv`, latched, and read it back; None: off.

        The chip compares one quantity alone (7.6.7): the others are left to the fast tick. The limit is rounded down,
        so that it trips earlier. ValueError beyond the comparator's range, OSError when the chip does not take it.
        """
        limit, mask = 0, 0
        if overvoltage_uv is not None:
            limit, mask = overvoltage_uv // BUS_LSB_UV, _BOL | _LEN
            if not 0 <= limit <= _CODE_MAX:
                raise ValueError(f"INA226 overvoltage_uv: {limit} steps of the comparator, which has 0 to 32767")
        self._registers.program(_ALERT_LIMIT, limit, 0xFFFF)
        self._registers.program(_MASK_ENABLE, mask, _MASK_BITS)
        self._limit, self._mask = limit, mask

    def update(self) -> bool:
        """Fast tick: configuration, flags, and after a conversion voltage and current. Allocates and raises nothing.

        True when both are new. HELD between results, NOT_READY when none has come for `_TICKS_MAX` ticks.
        """
        if not self._holds():
            return False
        flags = self._read(_MASK_ENABLE)
        if flags < 0:
            return False
        if flags & _AFF:
            self.alert_flags |= _ALERT_OVERVOLTAGE
        if not flags & _CVRF:
            self._since = min(self._since + 1, _TICKS_MAX)
            self.status = HELD if self._since < _TICKS_MAX else NOT_READY
            return False
        bus_code = self._read(_BUS_VOLTAGE)
        shunt_code = self._read(_SHUNT_VOLTAGE) if bus_code >= 0 else -1
        if shunt_code < 0:
            return False
        self._since = 0
        return self._take(bus_code, signed(shunt_code, 16))

    def _take(self, bus_code: int, shunt_code: int) -> bool:
        self.voltage_uv = self._voltage_scale.apply(bus_code)
        self.current_ua = self._current_scale.apply(shunt_code) * self._polarity + self._offset_ua
        self.voltage_code = self.current_code = (self.voltage_code + 1) & 0xFFFF
        saturated = bus_code > _BUS_CODE_MAX or not -_CODE_MAX - 1 < shunt_code < _CODE_MAX
        self.status = SATURATED if saturated else 0
        return True

    def update_diagnostics(self) -> bool:
        """Slow tick: the comparator still holds its limit. (Flags and configuration are the fast tick's.)"""
        if not self._configured:
            return False
        limit = self._read(_ALERT_LIMIT)
        if limit >= 0 and limit != self._limit:
            self._configured = False
            self.status = CONFIG_LOST
        return limit == self._limit

    def clear_alerts(self) -> None:
        self.alert_flags = 0

    def _holds(self) -> bool:
        if not self._configured:
            self.status = CONFIG_LOST
            return False
        word = self._read(_CONFIG)
        if word >= 0 and word != self._config:
            self._configured = False
            self.status = CONFIG_LOST
        return word == self._config

    def _read(self, register: int) -> int:
        """A register's word, or -1 after a failed transfer."""
        if not self._registers.read_into(register, self._word):
            self.status = BUS_ERROR
            return -1
        return self._word[0] << 8 | self._word[1]
