"""Stages of an internal short from its evidences: none, suspect, soft short, hard short.

    suspect     one evidence is active
    soft short  two kinds (electrical and charge) are active, or the charge evidence alone persists for `leak_alone_ms`
    hard short  the voltage has collapsed (collapse.py, from the fast tick); nothing confirms it

A stage rises at once and falls only after all evidence was silent for FALL_MS. What it does is the limit rows' affair.
Confidence is the logistic of a log-likelihood ratio: the sum of the evidences' scores above threshold, each bounded.
"""

from math import exp

from assb.const import const

from ..ticks import elapsed_ms
from . import ACTIVE

_NONE = const(0)
_SUSPECT = const(1)
_SOFT_SHORT = const(2)
_HARD_SHORT = const(3)
_FALL_MS = const(60000)  # assumption
_CERTAIN_PPM = const(1000000)
PRIOR = -4.6  # ln odds of a short before any evidence: 1 % (assumption)
WEIGHT = 4.0  # of one evidence at its threshold (assumption)
BOUND = 3.0  # no evidence counts for more than this many thresholds


class Fusion:
    """One cell."""

    def __init__(self, parameter):
        self.tune(parameter)
        self._quiet_since_ms = 0
        self.stage = _NONE
        self.short_mohm = 0
        self.confidence_ppm = 0

    def tune(self, parameter):
        """Take the thresholds again: they may be set while running."""
        self._alone_ms = parameter("leak_alone_ms")

    def collapse(self):
        """From the fast tick, allocates nothing. True when that is news."""
        if self.stage == _HARD_SHORT:
            return False
        self.stage = _HARD_SHORT
        self.confidence_ppm = _CERTAIN_PPM
        return True

    def update(self, dips, leak, collapsed, voltage_uv, leak_ua, now_ms):
        """One sample; returns True when the stage changed. `collapsed`: the voltage lies that low now."""
        electrical = dips.state == ACTIVE
        charge = leak.state == ACTIVE
        stage = _HARD_SHORT if collapsed else self._stage_now(electrical, charge, leak.active_ms)
        if stage >= self.stage:
            self._quiet_since_ms = now_ms
        before = self.stage
        if stage > before or elapsed_ms(now_ms, self._quiet_since_ms) >= _FALL_MS:
            self.stage = stage
        self.short_mohm = _resistance_mohm(voltage_uv, leak_ua) if charge else 0
        self.confidence_ppm = _CERTAIN_PPM if self.stage == _HARD_SHORT else self._confidence_ppm(dips, leak)
        return self.stage != before

    def _stage_now(self, electrical, charge, charge_ms):
        if (electrical and charge) or (charge and charge_ms >= self._alone_ms):
            return _SOFT_SHORT
        return _SUSPECT if electrical or charge else _NONE

    def _confidence_ppm(self, dips, leak):
        ratio = PRIOR + WEIGHT * _bounded(leak.score_milli)
        if dips.state == ACTIVE:
            ratio += WEIGHT
        return int(1e6 / (1 + exp(-ratio)))


def _bounded(score_milli):
    return min(max(score_milli / 1000, 0.0), BOUND)


def _resistance_mohm(voltage_uv, leak_ua):
    """V / I; 0 where the leak is not positive. Bounded to 30 bits (1 MOhm is no short)."""
    if leak_ua <= 0 or voltage_uv <= 0:
        return 0
    return min(int(1000 * voltage_uv / leak_ua), 1000000000)
