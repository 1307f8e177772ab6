"""Avia HX711: 24-bit bridge converter on two pins, the cheap alternative to the NAU7802 (datasheet, serial interface).

DOUT low says that a conversion is there; 24 pulses on PD_SCK shift it out, MSB first, one to three more choose gain and
channel of the next. A PD_SCK that stays high for 60 us powers the chip down, so a read that was held up is thrown away.
"""

import errno

from assb.const import const
from assb.drivers.status import BUS_ERROR, NOT_READY, SATURATED

_CODE_MAX = const(0x7FFFFF)
_CODE_MIN = const(-0x800000)
_MASK_US = const((1 << 30) - 1)
# 25 pulses take 0.3 ms in bytecode of a Pico (estimate); one that is 60 us longer must not pass unseen
_SLOWEST_US = const(1500)
_SETTLING_CONVERSIONS = const(4)  # 400 ms at 10 Hz, 50 ms at 80 Hz after power-on and after a change of gain
_PERIODS_MS = {10: 100, 80: 13}
PULSES = {128: 25, 64: 27}  # channel A


class HX711:
    """One HX711, channel A. Attributes: counts (signed 24 bit), status; `error_count`: reads that were thrown away.

    dout, sck: pins (`value()`), an input and an output; `ticks_us`: microseconds that wrap at 2^30.
    """

    def __init__(self, dout, sck, ticks_us):
        self._dout = dout
        self._sck = sck
        self._ticks_us = ticks_us
        self._pulses = 25
        self._settling = 0
        self.counts = 0
        self.error_count = 0
        self.status = NOT_READY

    @property
    def code(self) -> int:
        """The lowest bits of a result are never at rest."""
        return self.counts

    def configure(self, gain: int = 128, rate_hz: int = 80, sleep_ms=None) -> None:
        """Power down and up, then wait for the first conversion, which takes the gain over. `rate_hz` is what the RATE
        pin is wired to. Blocks for up to 0.8 s: only with the outputs off. ValueError for a setting that the chip does
        not have; OSError when it never converts."""
        if gain not in PULSES or rate_hz not in _PERIODS_MS:
            raise ValueError(f"HX711 gain={gain}, rate_hz={rate_hz}: gain 128 or 64, rate 10 or 80")
        if sleep_ms is None:
            from time import sleep_ms
        self._pulses = PULSES[gain]
        self._sck.value(1)
        sleep_ms(1)
        self._sck.value(0)
        waited_ms, longest_ms = 0, 2 * _SETTLING_CONVERSIONS * _PERIODS_MS[rate_hz]
        while self._dout.value():
            if waited_ms >= longest_ms:
                raise OSError(errno.ETIMEDOUT, f"HX711: no conversion within {waited_ms} ms")
            sleep_ms(1)
            waited_ms += 1
        self._shift()
        self._settling = _SETTLING_CONVERSIONS

    def update(self) -> bool:
        """Fast tick: True when `counts` is new. Allocates and raises nothing.

        NOT_READY between conversions is the ordinary case; age tells when it lasts: a chip that is not there, or has
        lost its supply, never pulls DOUT low.
        """
        if self._dout.value():
            self.status = NOT_READY
            return False
        begun_us = self._ticks_us()
        counts = self._shift()
        # after the last pulse DOUT is high until the next conversion: one that is low is shorted, or not in step
        if (self._ticks_us() - begun_us) & _MASK_US > _SLOWEST_US or not self._dout.value():
            self.error_count += 1
            self._settling = _SETTLING_CONVERSIONS  # it may have been powered down, and has forgotten its gain
            self.status = BUS_ERROR
            return False
        if self._settling:
            self._settling -= 1
            self.status = NOT_READY
            return False
        self.counts = counts - 0x1000000 if counts > _CODE_MAX else counts
        self.status = 0 if _CODE_MIN < self.counts < _CODE_MAX else SATURATED
        return True

    def _shift(self):
        """All pulses; the 24 bits of the first ones."""
        dout, sck = self._dout, self._sck
        counts = 0
        for pulse in range(self._pulses):
            sck.value(1)
            sck.value(0)
            if pulse < 24:
                counts = counts << 1 | dout.value()
        return counts
