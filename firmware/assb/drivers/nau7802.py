"""Nuvoton NAU7802: 24-bit bridge converter for the load cell (datasheet revision 1.7)."""

import errno

from assb.const import const
from assb.drivers.registers import Registers
from assb.drivers.status import BUS_ERROR, CONFIG_LOST, NOT_READY, SATURATED

_PU_CTRL = const(0x00)
_CTRL1 = const(0x01)
_CTRL2 = const(0x02)
_ADCO = const(0x12)
_ADC_CONTROL = const(0x15)
_PGA_POWER = const(0x1C)
_REVISION = const(0x1F)

# PU_CTRL (11.1)
_RR = const(0x01)
_PUD = const(0x02)
_PUA = const(0x04)
_PUR = const(0x08)
_CS = const(0x10)
_CR = const(0x20)
_AVDDS = const(0x80)
# CTRL2 (11.3)
_CALS = const(0x04)
_CAL_ERR = const(0x08)

GAINS = (1, 2, 4, 8, 16, 32, 64, 128)
RATE_BITS = {10: 0, 20: 1, 40: 2, 80: 3, 320: 7}
LDO_MV_BITS = {4500: 0, 4200: 1, 3900: 2, 3600: 3, 3300: 4, 3000: 5, 2700: 6, 2400: 7}
_EXTERNAL_AVDD = const(0)

_CODE_MAX = const(0x7FFFFF)
_CODE_MIN = const(-0x800000)
# 250 ms for the regulator, 1 s as the longest calibration: as the SparkFun library has it (it measured 344 ms);
# the datasheet gives neither.
_LDO_SETTLE_MS = const(250)
_CALIBRATION_LIMIT_MS = const(1000)
_SETTLING_CONVERSIONS = const(
    4
)  # thrown away after the start; assumption: the length of the sinc filter, not in the datasheet


class NAU7802:
    """One NAU7802, channel 1. Attributes: counts (signed 24 bit), status; `error_count`: failed transfers."""

    def __init__(self, bus, address: int = 0x2A):
        self._registers = Registers(bus, address, 1, "NAU7802")
        self._byte = bytearray(1)
        self._code = bytearray(3)
        self._power = 0
        self._settling = 0
        self._configured = False
        self.counts = 0
        self.status = NOT_READY

    @property
    def error_count(self) -> int:
        return self._registers.error_count

    @property
    def code(self) -> int:
        """The lowest bits of a result are never at rest."""
        return self.counts

    def configure(self, gain: int = 128, rate_hz: int = 80, ldo_mv: int = 3300, sleep_ms=None) -> None:
        """Reset, power up, set gain and rate, calibrate the offset of the front end, start converting.

        `ldo_mv` is the bridge excitation from the chip's regulator, EXTERNAL_AVDD when the board feeds AVDD itself.
        `sleep_ms` is `time.sleep_ms` unless given. Blocks for up to 1.3 s: only with the outputs off.
        ValueError for a setting that the chip does not have; OSError when it is absent or not obeying.
        """
        if gain not in GAINS or rate_hz not in RATE_BITS or not (ldo_mv == _EXTERNAL_AVDD or ldo_mv in LDO_MV_BITS):
            raise ValueError(f"NAU7802 gain={gain}, rate_hz={rate_hz}, ldo_mv={ldo_mv}: not settings of the chip")
        if sleep_ms is None:
            from time import sleep_ms
        self._configured = False
        self.status = CONFIG_LOST
        self._power_up(ldo_mv, sleep_ms)
        self._registers.program(_CTRL1, LDO_MV_BITS.get(ldo_mv, 0) << 3 | GAINS.index(gain), 0xFF)
        self._registers.program(_CTRL2, RATE_BITS[rate_hz] << 4, 0xF0)
        # 9.1: chopper clock off; PGA output capacitor on: breakouts fit it across VIN2, which is not used
        self._registers.program(_ADC_CONTROL, 0x30, 0x30)
        self._registers.program(_PGA_POWER, 0x80, 0x80)
        sleep_ms(_LDO_SETTLE_MS)
        self._power |= _CS
        self._registers.program(_PU_CTRL, self._power, self._power)
        self._calibrate(sleep_ms)
        self._settling = _SETTLING_CONVERSIONS
        self._configured = True
        self.status = NOT_READY

    def _power_up(self, ldo_mv: int, sleep_ms) -> None:
        """Power-on sequence of 8.1: RR on and off, PUD, wait for PUR (200 us), PUA and the regulator."""
        self._registers.write(_PU_CTRL, _RR)
        sleep_ms(1)
        self._registers.write(_PU_CTRL, _PUD)
        sleep_ms(1)
        if not self._registers.read(_PU_CTRL) & _PUR:
            raise self._registers.error(errno.EIO, "not powered up 1 ms after PUD")
        self._registers.expect(_REVISION, 0x0F, 0x0F)
        self._power = _PUD | _PUA if ldo_mv == _EXTERNAL_AVDD else _AVDDS | _PUD | _PUA
        self._registers.program(_PU_CTRL, self._power, self._power)

    def _calibrate(self, sleep_ms) -> None:
        """Internal offset calibration (8.6): the inputs are shorted inside, so the load on the cell does not matter."""
        self._registers.write(_CTRL2, self._registers.read(_CTRL2) & 0xF0 | _CALS)
        waited_ms = 0
        while self._registers.read(_CTRL2) & _CALS:
            if waited_ms >= _CALIBRATION_LIMIT_MS:
                raise self._registers.error(errno.ETIMEDOUT, f"no offset calibration within {waited_ms} ms")
            sleep_ms(10)
            waited_ms += 10
        if self._registers.read(_CTRL2) & _CAL_ERR:
            raise self._registers.error(errno.EIO, "offset calibration failed (CAL_ERR)")

    def update(self) -> bool:
        """Fast tick: True when `counts` is new. Allocates and raises nothing.

        NOT_READY between conversions is the ordinary case; age tells when it lasts. PU_CTRL is read first: a brown-out
        clears it, so a chip that has lost its gain is never read as if it had not.
        """
        if not self._registers.read_into(_PU_CTRL, self._byte):
            self.status = BUS_ERROR
            return False
        power = self._byte[0]
        if not self._configured or power & self._power != self._power:
            self._configured = False
            self.status = CONFIG_LOST
            return False
        if not power & _CR:
            self.status = NOT_READY
            return False
        return self._read_result()

    def _read_result(self) -> bool:
        code = self._code
        if not self._registers.read_into(_ADCO, code):
            self.status = BUS_ERROR
            return False
        if self._settling:
            self._settling -= 1
            self.status = NOT_READY
            return False
        counts = code[0] << 16 | code[1] << 8 | code[2]
        self.counts = counts - 0x1000000 if counts > _CODE_MAX else counts
        self.status = 0 if _CODE_MIN < self.counts < _CODE_MAX else SATURATED
        return True
