"""TI INA228: 85 V, 20-bit voltage and current monitor with an ALERT comparator (datasheet SLYS021A).

The current monitor of one cell or of the pack. The fast tick calls `update()`, the slow tick `update_diagnostics()`.
ALERT is the trip that is faster than a tick: `set_alert_limits` programs the comparators and reads them back.
"""

from assb.const import const
from assb.drivers.fixed_point import Ratio, signed
from assb.drivers.registers import Registers
from assb.drivers.status import BUS_ERROR, CHIP_FAULT, CONFIG_LOST, NOT_READY, SATURATED

# Registers, 7.6.1 Table 7-3
_CONFIG = const(0x00)
_ADC_CONFIG = const(0x01)
_SHUNT_CAL = const(0x02)
_SHUNT_TEMPCO = const(0x03)
_VBUS = const(0x05)
_DIETEMP = const(0x06)
_CURRENT = const(0x07)
_DIAG_ALRT = const(0x0B)
_SOVL = const(0x0C)
_SUVL = const(0x0D)
_BOVL = const(0x0E)
_BUVL = const(0x0F)
_TEMP_LIMIT = const(0x10)
_MANUFACTURER_ID = const(0x3E)
_DEVICE_ID = const(0x3F)

# DIAG_ALRT, 7.6.1.12
_ALATCH = const(0x8000)
_MATHOF = const(0x0200)
_ALERT_TEMPERATURE = const(0x80)  # TMPOL, SHNTOL, SHNTUL
_ALERT_CHARGE = const(0x40)
_ALERT_DISCHARGE = const(0x20)
_ALERT_OVERVOLTAGE = const(0x10)  # BUSOL, BUSUL
_ALERT_UNDERVOLTAGE = const(0x08)
_ALERT_FLAGS = const(0xF8)
_CNVRF = const(0x02)
_MEMSTAT = const(0x01)

CONVERSION_US = (50, 84, 150, 280, 540, 1052, 2074, 4120)  # ADC_CONFIG VBUSCT, VSHCT, VTCT
AVERAGES = (1, 4, 16, 64, 128, 256, 512, 1024)  # ADC_CONFIG AVG
_MODE_CONTINUOUS_ALL = const(0xF)
_ADC_CONFIG_POWER_ON = const(0xFB68)

_CODE_MAX = const(0x7FFFF)  # 20-bit results
_CODE_MIN = const(-0x80000)
_BUS_CODE_MAX = const(435200)  # 85 V, the rated bus range (8.1.1), in 195.3125 uV
# Vshunt = 312.5 nV or 78.125 nV per code of VSHUNT; 5 uV or 1.25 uV per code of SOVL and SUVL (8.1.1, 7.6.1.13)
SHUNT_LSB_PV = (312500, 78125)
SHUNT_LIMIT_LSB_PV = (5000000, 1250000)
_BUS_LIMIT_LSB_UV = const(3125)
# SHUNT_CAL = 13107.2e6 * CURRENT_LSB * R_SHUNT, times 4 in the 40.96 mV range (8.1.2, equation 2). With CURRENT_LSB
# = (VSHUNT's LSB) / R_SHUNT it is 4096 for every shunt and both ranges: CURRENT then has the full resolution, and the
# shunt's value enters once, in the integer scale below.
_SHUNT_CAL_VALUE = const(4096)
_CHECKED = (_ADC_CONFIG, _CONFIG, _SHUNT_CAL, _SHUNT_TEMPCO, _SOVL, _SUVL, _BOVL, _BUVL, _TEMP_LIMIT)
_FIRST_LIMIT = 4


def bus_uv(code: int) -> int:
    """VBUS code to microvolts: 195.3125 = 195 + 5/16, split because code * 3125 leaves 30 bits."""
    return code * 195 + ((code * 5 + 8) >> 4)


def die_cdegc(code: int) -> int:
    """DIETEMP code (7.8125 m°C) to hundredths of a degree Celsius."""
    return (code * 25 + 16) >> 5


class INA228:
    """One INA228; positive current charges when the shunt's IN+ faces the charger (`polarity=1`), else `polarity=-1`.

    `shunt_uohm`: 0.01 mOhm steps are lost in no product; ValueError when full scale exceeds 1073 A (30 bits of uA).
    `adc_range`: 0 for +-163.84 mV, 1 for +-40.96 mV. `pin_alert`: the open-drain ALERT line with its pull-up, if wired.
    Attributes after `update()`: voltage_uv, current_ua, their codes, status, alert_asserted. After
    `update_diagnostics()`: die_cdegc, alert_flags (ALERT_* bits, kept until `clear_alerts()`), math_overflow (a
    calculated register overflowed since the last look; V and I are still judged by their own ends of range), status.
    `error_count`: failed transfers.
    """

    def __init__(self, bus, address: int, shunt_uohm: int, adc_range: int = 0, *, polarity: int = 1, pin_alert=None):
        self._registers = Registers(bus, address, 2, "INA228")
        self._code = bytearray(3)
        self._word = bytearray(2)
        self._shunt_uohm = shunt_uohm
        self._range = adc_range
        self._polarity = polarity
        self._offset_ua = 0
        self._voltage_scale = None  # of a gain that is not 1
        self._pin_alert = pin_alert
        self._current_scale = Ratio(SHUNT_LSB_PV[adc_range], shunt_uohm, 20)
        # what the registers of _CHECKED must hold; the limits start out beyond any reading
        self._expected = [0, adc_range << 4, _SHUNT_CAL_VALUE, 0, 0x7FFF, 0x8000, 0x7FFF, 0, 0x7FFF]
        self._check_at = 1
        self._awaiting = True
        self._configured = False
        self._missed = 0
        self._diagnosis = 0
        self.math_overflow = False
        self.conversion_us = 0
        self.voltage_uv = self.voltage_code = 0
        self.current_ua = self.current_code = 0
        self.die_cdegc = 0
        self.alert_flags = 0
        self.alert_asserted = False
        self.status = NOT_READY

    def calibrate(self, current_gain_ppm: int, current_offset_ua: int, voltage_gain_ppm: int) -> None:
        """Corrections of what `update` gives: current times gain plus offset, voltage times gain. The comparators keep
        the chip's own scale. ValueError when full scale leaves 30 bits; nothing is changed then. Set-up only.
        """
        lsb_pv = SHUNT_LSB_PV[self._range]
        scale = Ratio(lsb_pv * (1000000 + current_gain_ppm), self._shunt_uohm * 1000000, 20)
        # 195.3125 uV per code
        voltage_scale = Ratio(3125 * (1000000 + voltage_gain_ppm), 16000000, 20) if voltage_gain_ppm else None
        self._current_scale, self._voltage_scale = scale, voltage_scale
        self._offset_ua = current_offset_ua

    @property
    def error_count(self) -> int:
        return self._registers.error_count

    def check_id(self) -> None:
        """OSError(ENODEV) unless the chip says TI (0x5449) and 0x228x; the last digit is the revision (7.6.1.19)."""
        self._registers.expect(_MANUFACTURER_ID, 0x5449, 0xFFFF)
        self._registers.expect(_DEVICE_ID, 0x2280, 0xFFF0)

    def configure(self, bus_us: int = 540, shunt_us: int = 540, temperature_us: int = 50, average: int = 4) -> None:
        """Check the id, convert V, I and die temperature continuously, latch ALERT; everything written is read back.

        Times as in CONVERSION_US, averages as in AVERAGES; `conversion_us` becomes the time between new results.
        The comparators see every single conversion (SLOWALERT = 0), so ALERT is `average` times faster than that.
        Raises ValueError for a time that the chip does not have and for the very set that it powers on with, in which
        a brown-out would not show; OSError when the chip is not there or not obeying.
        """
        for name, value, allowed in (
            ("bus_us", bus_us, CONVERSION_US),
            ("shunt_us", shunt_us, CONVERSION_US),
            ("temperature_us", temperature_us, CONVERSION_US),
            ("average", average, AVERAGES),
        ):
            if value not in allowed:
                raise ValueError(f"INA228 {name}={value}: the chip has {allowed}")
        word = (
            _MODE_CONTINUOUS_ALL << 12
            | CONVERSION_US.index(bus_us) << 9
            | CONVERSION_US.index(shunt_us) << 6
            | CONVERSION_US.index(temperature_us) << 3
            | AVERAGES.index(average)
        )
        if word == _ADC_CONFIG_POWER_ON:
            raise ValueError("INA228: these conversion times are the power-on ones; change one, temperature_us say")
        self._expected[0] = word
        self.conversion_us = (bus_us + shunt_us + temperature_us) * average
        self.check_id()
        self.restore()

    def restore(self) -> None:
        """Program every register again, as after a brown-out. Raises OSError. `update` then waits for a conversion."""
        self._configured = False
        self.status = CONFIG_LOST
        for index in range(len(_CHECKED)):
            self._registers.program(_CHECKED[index], self._expected[index], 0xFFFF)
        self._registers.program(_DIAG_ALRT, _ALATCH, _ALATCH)
        self._missed = self._diagnosis = 0
        self._awaiting = True  # the result registers still hold the past, or zero; DIAG_ALRT was just read, so is clear
        self._configured = True
        self.status = NOT_READY

    def set_alert_limits(
        self, undervoltage_uv=None, overvoltage_uv=None, charge_ua=None, discharge_ua=None, temperature_cdegc=None
    ) -> None:
        """Program the ALERT comparators and read them back; None disables one. `discharge_ua` is negative.

        Each limit is rounded to the chip's step on the side that trips earlier. ValueError when a limit lies outside
        what the comparator can hold, OSError when the chip does not take it. Big integers: set-up only.
        """
        upper_ua, lower_ua = charge_ua, discharge_ua
        if self._polarity < 0:
            upper_ua, lower_ua = _negated(discharge_ua), _negated(charge_ua)
        shunt_lsb_pv = SHUNT_LIMIT_LSB_PV[self._range]
        limits = [0x7FFF, 0x8000, 0x7FFF, 0, 0x7FFF]
        if upper_ua is not None:
            limits[0] = _steps(upper_ua * self._shunt_uohm, shunt_lsb_pv, "current limit")
        if lower_ua is not None:
            limits[1] = -_steps(-lower_ua * self._shunt_uohm, shunt_lsb_pv, "current limit") & 0xFFFF
        if overvoltage_uv is not None:
            limits[2] = _steps(overvoltage_uv, _BUS_LIMIT_LSB_UV, "overvoltage_uv")
        if undervoltage_uv is not None:
            limits[3] = _steps(undervoltage_uv + _BUS_LIMIT_LSB_UV - 1, _BUS_LIMIT_LSB_UV, "undervoltage_uv")
        if temperature_cdegc is not None:
            limits[4] = _steps(temperature_cdegc * 32, 25, "temperature_cdegc")
        for index in range(5):
            self._expected[_FIRST_LIMIT + index] = limits[index]
            self._registers.program(_SOVL + index, limits[index], 0xFFFF)

    def read_alert_limits(self):
        """(undervoltage_uv, overvoltage_uv, charge_ua, discharge_ua, temperature_cdegc) as the chip holds them now.

        A disabled comparator shows as the end of its range. Raises OSError. Set-up and self-test only.
        """
        shunt_lsb_pv = SHUNT_LIMIT_LSB_PV[self._range]
        upper_ua = signed(self._registers.read(_SOVL), 16) * shunt_lsb_pv // self._shunt_uohm
        lower_ua = -(-signed(self._registers.read(_SUVL), 16) * shunt_lsb_pv // self._shunt_uohm)
        if self._polarity < 0:
            upper_ua, lower_ua = -lower_ua, -upper_ua
        return (
            self._registers.read(_BUVL) * _BUS_LIMIT_LSB_UV,
            self._registers.read(_BOVL) * _BUS_LIMIT_LSB_UV,
            upper_ua,
            lower_ua,
            self._registers.read(_TEMP_LIMIT) * 25 // 32,
        )

    def update(self) -> bool:
        """Fast tick: ADC_CONFIG, voltage, current, the ALERT line. Allocates nothing, raises nothing.

        True when voltage_uv and current_ua are new; else both keep their last values. The INA228 has no power-on
        flag, so that ADC_CONFIG still holds its word is the proof against a brown-out; CONFIG_LOST stays until
        `configure` or `restore`. The chip converts freely: that it still does is `update_diagnostics`' business.
        """
        if self._pin_alert is not None:
            self.alert_asserted = self._pin_alert.value() == 0
        if not self._holds(0):
            return False
        if self._awaiting and not self._read_flags():
            return False
        if self._awaiting or self._diagnosis:
            self.status = self._diagnosis or NOT_READY
            return False
        if not self._registers.read_into(_VBUS, self._code):
            self.status = BUS_ERROR
            return False
        bus_code = _result_code(self._code)
        if not self._registers.read_into(_CURRENT, self._code):
            self.status = BUS_ERROR
            return False
        current_code = _result_code(self._code)
        self.voltage_uv = self._voltage_scale.apply(bus_code) if self._voltage_scale else bus_uv(bus_code)
        self.current_ua = self._current_scale.apply(current_code) * self._polarity + self._offset_ua
        self.voltage_code = bus_code
        self.current_code = current_code
        saturated = bus_code > _BUS_CODE_MAX or not _CODE_MIN < current_code < _CODE_MAX
        self.status = SATURATED if saturated else 0
        return True

    def update_diagnostics(self) -> bool:
        """Slow tick: flags, whether conversions go on, one register of the set-up in turn, die temperature.

        Reading the flags releases the ALERT latch; `alert_flags` keeps them. Two calls without a new
        conversion mean that the chip has stopped (call it no faster than `conversion_us`), and a cleared MEMSTAT that
        its trimming is damaged: `update` then fails until a later call finds better.
        """
        index = self._check_at
        if not self._read_flags() or not self._holds(index):
            return False
        self._check_at = index + 1 if index + 1 < len(_CHECKED) else 1
        if self._diagnosis:
            self.status = self._diagnosis
            return False
        if not self._registers.read_into(_DIETEMP, self._word):
            self.status = BUS_ERROR
            return False
        self.die_cdegc = die_cdegc(signed(self._word[0] << 8 | self._word[1], 16))
        return True

    def _read_flags(self) -> bool:
        if not self._registers.read_into(_DIAG_ALRT, self._word):
            self.status = BUS_ERROR
            return False
        flags = self._word[0] << 8 | self._word[1]
        self.alert_flags |= self._named_alerts(flags)
        self.math_overflow = flags & _MATHOF != 0
        if flags & _CNVRF:
            self._awaiting = False
            self._missed = 0
        elif self._missed < 2:
            self._missed += 1
        self._diagnosis = 0 if flags & _MEMSTAT else CHIP_FAULT
        if not self._awaiting and self._missed > 1:
            self._diagnosis = NOT_READY
        return True

    def clear_alerts(self) -> None:
        self.alert_flags = 0

    def _holds(self, index: int) -> bool:
        """Whether register number `index` of _CHECKED holds what was programmed."""
        if not self._configured:
            self.status = CONFIG_LOST
            return False
        if not self._registers.read_into(_CHECKED[index], self._word):
            self.status = BUS_ERROR
            return False
        if self._word[0] << 8 | self._word[1] != self._expected[index]:
            self._configured = False
            self.status = CONFIG_LOST
            return False
        return True

    def _named_alerts(self, flags: int) -> int:
        if self._polarity < 0:  # the shunt comparators have changed sides
            flags = flags & ~0x60 | (flags & 0x40) >> 1 | (flags & 0x20) << 1
        return flags & _ALERT_FLAGS


def _result_code(buffer) -> int:
    """The 20-bit two's complement number in the upper bits of a 24-bit result register (7.6.1.5)."""
    code = buffer[0] << 12 | buffer[1] << 4 | buffer[2] >> 4
    return code - 0x100000 if code > _CODE_MAX else code


def _steps(amount: int, step: int, name: str) -> int:
    steps = amount // step
    if not 0 <= steps <= 0x7FFF:
        raise ValueError(f"INA228 {name}: {steps} steps of the comparator, which has 0 to 32767")
    return steps


def _negated(value):
    return None if value is None else -value
