"""Avia HX711 bridge converter at bit level (datasheet, serial interface and table of settling times)."""

from collections.abc import Callable

from assb_hil.chips.i2c_chip import NEVER

FULL_SCALE = 1 << 23
POWER_DOWN_US = 60
SETTLING_PERIODS = 4  # 400 ms at 10 Hz, 50 ms at 80 Hz
GAINS = {25: 128, 26: 32, 27: 64}  # by pulses; 26 is channel B


def _unloaded() -> float:
    return 0.0


class HX711:
    """Input: bridge_v_per_v, as of the NAU7802's model: full scale is half the excitation over the gain.

    `dout` is the pin; `sck(level)` moves PD_SCK, now. A conversion that ends in the middle of a read waits for its end
    (not in the datasheet). `acking` False: the chip has no supply, DOUT floats high. Channel B reads nothing.
    """

    def __init__(self, bridge_v_per_v: Callable[[], float] = _unloaded, rate_hz: int = 80) -> None:
        self.bridge_v_per_v = bridge_v_per_v
        self.period_us = 1_000_000 // rate_hz
        self.acking = True
        self.now_us = 0
        self.power_on_reset()

    def power_on_reset(self) -> None:
        self._gain = 128
        self._level = self._pulses = self._shifted = 0
        self._raised_us = self.now_us
        self._code: int | None = None  # a conversion that is waiting
        self.next_change_us = self.now_us + SETTLING_PERIODS * self.period_us

    @property
    def dout(self) -> int:
        """1 while there is nothing to read; in a read the bit of the last pulse."""
        if not self.acking or self._code is None:
            return 1
        if not self._pulses:
            return 0
        return self._shifted >> (24 - self._pulses) & 1 if self._pulses <= 24 else 1

    @property
    def idle(self) -> bool:
        """Nothing to read, and nobody reads."""
        return self.dout == 1 and not self._pulses

    def sck(self, level: int) -> None:
        if level == self._level:
            return
        self._level = level
        if level:
            self._raised_us = self.now_us
            self._pulses += self._code is not None or self._pulses > 0
            if self._pulses == 1:
                self._shifted = (self._code or 0) & 0xFFFFFF
        elif self.now_us - self._raised_us > POWER_DOWN_US:
            self.power_on_reset()  # it was off, and starts anew

    def advance(self, now_us: int) -> None:
        self.now_us = now_us
        while now_us >= self.next_change_us:
            if self._level and now_us - self._raised_us > POWER_DOWN_US:
                self.next_change_us = NEVER
                self._code = None
                return
            self._end_read()
            self._convert()
            self.next_change_us += self.period_us

    def _end_read(self) -> None:
        """The pulses of the read before choose the gain; another one settles anew."""
        gain = GAINS.get(self._pulses, self._gain)
        self._pulses = 0
        if gain != self._gain:
            self._gain = gain
            self.next_change_us += (SETTLING_PERIODS - 1) * self.period_us

    def _convert(self) -> None:
        code = round(self.bridge_v_per_v() * self._gain * 2.0 * FULL_SCALE) if self._gain != GAINS[26] else 0
        self._code = min(max(code, -FULL_SCALE), FULL_SCALE - 1)
