"""A thermistor (NTC) in a divider: from the board's supply through a fixed resistor to the NTC, and to ground.

The beta equation, 1/T = 1/T25 + ln(R/R25)/B (IEC 60539-1), is right at the two temperatures that its maker gives B for:
a Semitec 103AT with its B of 25 and 85 degC reads 0.5 K low at 50 degC and 1.1 K high at 0 degC. Read on the slow tick.
"""

from math import log

from assb.const import const
from assb.drivers.status import CHIP_FAULT, NOT_READY

_T25_K = 298.15
_ZERO_K = 273.15
# A divider beyond these has an open or a shorted NTC: with equal resistors at 25 degC an NTC of B = 3435 K gives 0.96
# at -40 degC and 0.045 at 125 degC
_OPEN_65536THS = const(64500)
_SHORT_65536THS = const(1000)
_SAMPLES = const(8)  # of the board's converter: an RP2040's has 9 bits (datasheet 4.9.3)


class PinRatio:
    """The board's own converter (machine.ADC): its reference is the divider's supply, so only their ratio counts."""

    status = NOT_READY  # when read() says -1, which it does not

    def __init__(self, adc):
        self._adc = adc
        self.code = 0

    def read(self):
        """Mean of some conversions, in 65536ths. Their sum is the code."""
        total = 0
        for _ in range(_SAMPLES):
            total += self._adc.read_u16()
        self.code = total
        return total // _SAMPLES


class Ntc:
    """One thermistor, as a TMP117 shows one: temperature_cdegc, code, status. `ratio`: PinRatio, or AdsRatio.

    `r25_ohm`, `beta_k`: of the NTC; `pullup_ohm`: the fixed resistor.
    """

    error_count = 0  # no bus of its own

    def __init__(self, ratio, r25_ohm, beta_k, pullup_ohm):
        self._ratio = ratio
        self._scale = pullup_ohm / r25_ohm
        self._beta_k = beta_k
        self.temperature_cdegc = self.code = 0
        self.status = NOT_READY

    def check_id(self):
        """What converts is the board's own, or asked by itself."""

    def restore(self):
        """As above."""

    def update(self):
        """True when temperature_cdegc is new. CHIP_FAULT: the wire is open or shorted."""
        share = self._ratio.read()
        if share < 0:
            self.status = self._ratio.status
            return False
        if not _SHORT_65536THS < share < _OPEN_65536THS:
            self.status = CHIP_FAULT
            return False
        kelvin = 1.0 / (1.0 / _T25_K + log(self._scale * share / (65536 - share)) / self._beta_k)
        self.temperature_cdegc = round(100.0 * (kelvin - _ZERO_K))
        self.code = self._ratio.code
        self.status = 0
        return True
