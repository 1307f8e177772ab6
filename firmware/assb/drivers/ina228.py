"""TI INA228: 85 V, 20-bit voltage and current monitor with an ALERT comparator (datasheet SLYS021A).

The current monitor of one cell or of the pack. The fast tick calls `update()`, the slow tick `update_diagnostics()`.
ALERT is the trip that is faster than a tick: `set_alert_limits` programs the comparators and reads them back.
"""

import errno

from assb.drivers.fixed_point import Ratio, signed
from assb.drivers.registers import Registers
from assb.drivers.status import BUS_ERROR, CHIP_FAULT, CONFIG_LOST, NOT_READY, SATURATED

# Registers, 7.6.1 Table 7-3
CONFIG, ADC_CONFIG, SHUNT_CAL, SHUNT_TEMPCO = 0x00, 0x01, 0x02, 0x03
VBUS, DIETEMP, CURRENT, DIAG_ALRT = 0x05, 0x06, 0x07, 0x0B
SOVL, SUVL, BOVL, BUVL, TEMP_LIMIT = 0x0C, 0x0D, 0x0E, 0x0F, 0x10
MANUFACTURER_ID, DEVICE_ID = 0x3E, 0x3F

# DIAG_ALRT, 7.6.1.12
ALATCH = 0x8000
MATHOF = 0x0200
ALERT_TEMPERATURE, ALERT_CHARGE, ALERT_DISCHARGE = 0x80, 0x40, 0x20  # TMPOL, SHNTOL, SHNTUL
ALERT_OVERVOLTAGE, ALERT_UNDERVOLTAGE = 0x10, 0x08  # BUSOL, BUSUL
ALERT_FLAGS = 0xF8
CNVRF, MEMSTAT = 0x02, 0x01

CONVERSION_US = (50, 84, 150, 280, 540, 1052, 2074, 4120)  # ADC_CONFIG VBUSCT, VSHCT, VTCT
AVERAGES = (1, 4, 16, 64, 128, 256, 512, 1024)  # ADC_CONFIG AVG
MODE_CONTINUOUS_ALL = 0xF

CODE_MAX, CODE_MIN = 0x7FFFF, -0x80000  # 20-bit results
BUS_CODE_MAX = 435200  # 85 V, the rated bus range (8.1.1), in 195.3125 uV
# Vshunt = 312.5 nV or 78.125 nV per code of VSHUNT; 5 uV or 1.25 uV per code of SOVL and SUVL (8.1.1, 7.6.1.13)
SHUNT_LSB_PV = (312500, 78125)
SHUNT_LIMIT_LSB_PV = (5000000, 1250000)
BUS_LIMIT_LSB_UV = 3125
# SHUNT_CAL = 13107.2e6 * CURRENT_LSB * R_SHUNT, times 4 in the 40.96 mV range (8.1.2, equation 2). With CURRENT_LSB
# = (VSHUNT's LSB) / R_SHUNT it is 4096 for every shunt and both ranges: CURRENT then has the full resolution, and the
# shunt's value enters once, in the integer scale below.
SHUNT_CAL_VALUE = 4096
_CHECKED = (CONFIG, ADC_CONFIG, SHUNT_CAL, SHUNT_TEMPCO, SOVL, SUVL, BOVL, BUVL, TEMP_LIMIT)


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
    Attributes after `update()`: voltage_uv, current_ua, status, alert_asserted. After `update_diagnostics()`:
    die_cdegc, alert_flags (ALERT_* bits, kept until `clear_alerts()`), status. `error_count`: failed transfers.
    """

    def __init__(self, bus, address: int, shunt_uohm: int, adc_range: int = 0, polarity: int = 1, pin_alert=None):
        self._registers = Registers(bus, address, 2, "INA228")
        self._code = bytearray(3)
        self._word = bytearray(2)
        self._shunt_uohm = shunt_uohm
        self._range = adc_range
        self._polarity = polarity
        self._pin_alert = pin_alert
        self._current_scale = Ratio(SHUNT_LSB_PV[adc_range], shunt_uohm, 20)
        # what the registers of _CHECKED must hold; the limits start out beyond any reading
        self._expected = [adc_range << 4, 0, SHUNT_CAL_VALUE, 0, 0x7FFF, 0x8000, 0x7FFF, 0, 0x7FFF]
        self._alert_config = ALATCH
        self._check_at = 0
        self._configured = False
        self._missed = 0
        self.conversion_us = 0
        self.voltage_uv = 0
        self.current_ua = 0
        self.die_cdegc = 0
        self.alert_flags = 0
        self.alert_asserted = False
        self.status = NOT_READY

    @property
    def error_count(self) -> int:
        return self._registers.error_count

    def check_id(self) -> None:
        """OSError(ENODEV) unless the chip says TI (0x5449) and 0x228x; the last digit is the revision (7.6.1.19)."""
        self._registers.expect(MANUFACTURER_ID, 0x5449, 0xFFFF)
        self._registers.expect(DEVICE_ID, 0x2280, 0xFFF0)

    def configure(self, bus_us: int = 540, shunt_us: int = 540, temperature_us: int = 50, average: int = 4) -> None:
        """Check the id, convert V, I and die temperature continuously, latch ALERT; everything written is read back.

        Times as in CONVERSION_US, averages as in AVERAGES; `conversion_us` becomes the time between new results.
        The comparators see every single conversion (SLOWALERT = 0), so ALERT is `average` times faster than that.
        Raises ValueError for a time that the chip does not have, OSError when the chip is not there or not obeying.
        """
        for name, value, allowed in (("bus_us", bus_us, CONVERSION_US), ("shunt_us", shunt_us, CONVERSION_US),
                                     ("temperature_us", temperature_us, CONVERSION_US), ("average", average, AVERAGES)):
            if value not in allowed:
                raise ValueError(f"INA228 {name}={value}: the chip has {allowed}")
        self._expected[1] = (MODE_CONTINUOUS_ALL << 12 | CONVERSION_US.index(bus_us) << 9
                             | CONVERSION_US.index(shunt_us) << 6 | CONVERSION_US.index(temperature_us) << 3
                             | AVERAGES.index(average))
        self.conversion_us = (bus_us + shunt_us + temperature_us) * average
        self.check_id()
        self.restore()

    def restore(self) -> None:
        """Program every register again, as after a brown-out. Raises OSError. Limits are in place before ALERT is."""
        self._configured = False
        self.status = CONFIG_LOST
        for index in range(len(_CHECKED)):
            self._registers.program(_CHECKED[index], self._expected[index], 0xFFFF)
        self._registers.program(DIAG_ALRT, self._alert_config, ALATCH)
        self._missed = 0
        self._configured = True
        self.status = NOT_READY

    def set_alert_limits(self, undervoltage_uv=None, overvoltage_uv=None, charge_ua=None, discharge_ua=None,
                         temperature_cdegc=None) -> None:
        """Program the ALERT comparators and read them back; None disables one. `discharge_ua` is negative.

        Each limit is rounded to the chip's step on the side that trips earlier. ValueError when a limit lies outside
        what the comparator can hold, OSError when the chip does not take it. Big integers: set-up only.
        """
        over_shunt = _limit_code(charge_ua, self._shunt_uohm, SHUNT_LIMIT_LSB_PV[self._range], 0x7FFF, "charge_ua")
        under_shunt = _limit_code(_negated(discharge_ua), self._shunt_uohm, SHUNT_LIMIT_LSB_PV[self._range], 0x8000,
                                  "-discharge_ua")
        if self._polarity < 0:
            over_shunt, under_shunt = min(under_shunt, 0x7FFF), over_shunt
        limits = self._expected
        limits[4] = over_shunt
        limits[5] = -under_shunt & 0xFFFF
        limits[6] = _limit_code(overvoltage_uv, 1, BUS_LIMIT_LSB_UV, 0x7FFF, "overvoltage_uv")
        limits[7] = 0 if undervoltage_uv is None else -_limit_code(-undervoltage_uv, 1, BUS_LIMIT_LSB_UV, 0, "", 0x7FFF)
        limits[8] = _limit_code(temperature_cdegc, 32, 25, 0x7FFF, "temperature_cdegc")
        for index in range(4, 9):
            self._registers.program(_CHECKED[index], limits[index], 0xFFFF)
