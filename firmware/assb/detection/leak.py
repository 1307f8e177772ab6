"""Evidence 3, charge: the estimator's leak current beyond what the current sensor's own errors can explain.

Allowance = floor + gain error * |I|: a gain error of 0.2 % at 1C looks like a leak of C/500, so no single cell can tell
the two apart. Active after the excess has been worth `sigmas` of the estimator's sigma for `persist_ms`.
"""

from ..ticks import elapsed_ms
from . import ACTIVE, NORMAL, UNAVAILABLE


class Leak:
    """One cell. Currents in uA; feed it at every estimator step."""

    def __init__(self, parameter):
        self.tune(parameter)
        self._beyond = False
        self._since_ms = 0
        self.state = UNAVAILABLE
        self.score_milli = 0
        self.active_ms = 0

    def tune(self, parameter):
        """Take the thresholds again: they may be set while running."""
        self._sigmas = parameter("leak_sigma_milli") / 1000
        self._floor_ua = parameter("leak_floor_ua")
        self._gain_error = parameter("current_gain_error_ppm") / 1e6
        self._persist_ms = parameter("leak_persist_ms")

    def update(self, leak_ua, sigma_ua, current_ua, valid, now_ms):
        """One sample; `valid` is False while the estimator is not to be believed."""
        if not valid:
            self._beyond = False
            self.active_ms = 0
            self.state = UNAVAILABLE
            return
        allowance_ua = self._floor_ua + self._gain_error * abs(current_ua)
        excess_ua = leak_ua - allowance_ua
        threshold_ua = max(self._sigmas * sigma_ua, 1.0)
        self.score_milli = max(min(int(1000 * excess_ua / threshold_ua), 1000000), -1000000)
        if excess_ua < threshold_ua:
            self._beyond = False
            self.active_ms = 0
            self.state = NORMAL
            return
        if not self._beyond:
            self._beyond = True
            self._since_ms = now_ms
        lasted_ms = elapsed_ms(now_ms, self._since_ms)
        if lasted_ms >= self._persist_ms:
            self.active_ms = lasted_ms - self._persist_ms
            self.state = ACTIVE
