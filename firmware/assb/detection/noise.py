"""Evidence 2, electrical: the voltage is louder than it used to be, for a while.

Variance of the second differences of samples, so that no slow change counts, against what it was over minutes. Ripple
of a charger is heard by all cells of a pack: the ratio must exceed what the others show. Steps and moves are masked.
"""

from assb.const import const

from . import LEARNING, UNAVAILABLE
from .observed import later, share

_NOISE = const(1)
SHORT_S = 9.6  # 96 samples at 10 Hz
_LONG_S = const(410)
_LEARN_S = const(60)
_HELD_VAR = const(9)  # a difference beyond 3 sigma teaches the usual no more than that
FAST_DT_S = 0.5
_MOST = const(30)  # a few jumps are no noise: each counts for so many usual ones at most
FLOOR_V2 = 2.5e-9  # (50 uV)^2: what quantising a quiet voltage leaves (assumption)

# Places in the group `detection` of the parameters (a test compares)
_NOISE_RATIO = const(10)
_NOISE_HOLD_S = const(11)


class Noise:
    def __init__(self):
        self.before_v = self.change_v = self.now_v2 = self.usual_v2 = self.seen_s = 0.0
        self.heard_s = self.loud_s = self.ratio = 0.0  # heard_s: of this second
        self.has_before = 0

    def see(self, cell):
        """Every sample."""
        if cell.dt_s > FAST_DT_S or cell.masked():
            self.has_before = 0
            return
        change_v = cell.voltage_v - self.before_v
        bend_v = change_v - self.change_v
        self.before_v = cell.voltage_v
        self.change_v = change_v
        if self.has_before < 2:
            self.has_before += 1
            return
        v2 = bend_v * bend_v
        self.seen_s = later(self.seen_s, cell.dt_s)
        self.heard_s += cell.dt_s
        usual_v2 = max(self.usual_v2, FLOOR_V2)
        self.now_v2 += (min(v2, _MOST * usual_v2) - self.now_v2) * share(cell.dt_s, SHORT_S)
        held = min(v2, _HELD_VAR * usual_v2)
        self.usual_v2 += (held - self.usual_v2) * share(cell.dt_s, min(self.seen_s, _LONG_S))
        self.ratio = 0.0 if self.seen_s < _LEARN_S else self.now_v2 / max(self.usual_v2, FLOOR_V2)

    def judge(self, cell, others):
        """Every second; `others`: the ratio that the pack shows. What was masked was not heard."""
        heard_s, self.heard_s = self.heard_s, 0.0
        if self.ratio == 0:
            cell.tell(_NOISE, LEARNING if self.seen_s > 0 else UNAVAILABLE, 0.0)
            return
        loud = self.ratio / (cell.q[_NOISE_RATIO] * max(others, 1.0))
        self.loud_s = later(self.loud_s, heard_s) if loud >= 1 else 0.0
        cell.judge(_NOISE, self.loud_s / cell.q[_NOISE_HOLD_S])
