"""Evidence 1, electrical: short voltage dips while charging, from filaments that touch and burn out.

A dip is a run of samples in which the innovation lies below -3 sigma of its learned noise. It counts once, as soon as
its mean over its own length is worth `sigmas` of the noise of that mean (matched filter for a dip of unknown length),
and is deeper than the floor. Confounders: a current step or an actuator move masks the evidence for a while.
Soft shorts come and go by the thousand (Counihan et al., Joule 2024, doi:10.1016/j.joule.2023.11.007).
"""

from math import sqrt

from assb.const import const

from ..ticks import elapsed_ms
from . import ACTIVE, LEARNING, NORMAL, UNAVAILABLE

_LEARN_SAMPLES = const(50)  # before the noise is believed; 5 s at 10 Hz (assumption)
FORGET = 1 / 256  # of the noise per sample; 26 s at 10 Hz (assumption)
ENTER_SIGMAS = 3.0
_REMEMBERED = const(16)  # dips kept for the count in the window


class Dips:
    """One cell. Innovation in uV; feed it at every estimator step."""

    def __init__(self, parameter):
        self.tune(parameter)
        self._times_ms = []
        self._variance_uv2 = 0.0
        self._learned = 0
        self._length = 0
        self._sum_uv = 0.0
        self._counted = False
        self.state = UNAVAILABLE
        self.score_milli = 0
        self.total = 0
        self.depth_uv = 0

    def tune(self, parameter):
        """Take the thresholds again: they may be set while running."""
        self._sigmas = parameter("dip_sigma_milli") / 1000
        self._floor_uv = parameter("dip_floor_uv")
        self._window_ms = parameter("dip_window_ms")
        self._count_warn = parameter("dip_count_warn")

    def update(self, innovation_uv, charging, masked, now_ms):
        """One sample. Returns True at the sample in which a dip is counted; its depth is `depth_uv`."""
        self._forget_old(now_ms)
        seen = False
        if not charging or masked:
            self._length = 0
            self.state = UNAVAILABLE if not self._times_ms else self._judged()
        elif self._learned < _LEARN_SAMPLES:
            self._learn(innovation_uv)
            self.state = LEARNING
        else:
            seen = self._filter(innovation_uv, now_ms)
            self.state = self._judged()
        return seen

    def count(self):
        """Dips inside the window."""
        return len(self._times_ms)

    def _judged(self):
        return ACTIVE if len(self._times_ms) >= self._count_warn else NORMAL

    def _learn(self, innovation_uv):
        self._learned += 1
        self._variance_uv2 += (innovation_uv * innovation_uv - self._variance_uv2) / self._learned

    def _filter(self, innovation_uv, now_ms):
        sigma = max(sqrt(self._variance_uv2), 1.0)
        if innovation_uv > -ENTER_SIGMAS * sigma:
            self._length = 0
            self.score_milli = 0
            # clipped at the entry level, so that a dip's own edges do not raise the noise it is judged by
            clipped = min(innovation_uv, ENTER_SIGMAS * sigma)
            self._variance_uv2 += (clipped * clipped - self._variance_uv2) * FORGET
            return False
        if self._length == 0:
            self._sum_uv = 0.0
            self._counted = False
        self._length += 1
        self._sum_uv += innovation_uv
        mean_uv = -self._sum_uv / self._length
        worth = mean_uv * sqrt(self._length) / sigma
        self.score_milli = min(int(1000 * worth / self._sigmas), 1000000)
        if self._counted or worth < self._sigmas or mean_uv < self._floor_uv:
            return False
        self._counted = True
        self.depth_uv = int(mean_uv)
        self.total = (self.total + 1) & 0xFFFF
        self._times_ms.append(now_ms)
        if len(self._times_ms) > _REMEMBERED:
            self._times_ms.pop(0)
        return True

    def _forget_old(self, now_ms):
        times = self._times_ms
        while times and elapsed_ms(now_ms, times[0]) > self._window_ms:
            times.pop(0)
