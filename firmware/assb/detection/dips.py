"""Evidence 1, electrical: short dips of the voltage while the current stays, from filaments that touch and burn out.

A dip begins `dip_sigmas` of the learned noise, and `dip_floor_v`, below the level before it (what the current makes of
that level in the meantime is added) and ends half way back. It counts by the trace that it leaves: a short draws charge
through the cell, whose polarisation takes seconds to go, so half a second later the voltage is still lower, by
`dip_trace_frac` of the depth and `dip_trace_v`. `dip_count` of them in `dip_window_s` are one threshold.

Confounders. A step of the current or a move of the press masks it. A loose wire, a bad contact of a sense line and the
noise of the front end leave no trace. What stays for 20 s below or 3 s above is no dip, but a new level.
Soft shorts come and go by the thousand (Counihan et al., Joule 2024, doi:10.1016/j.joule.2023.11.007).
"""

from array import array
from math import sqrt

from assb.const import const

from . import LEARNING
from .observed import later, share

_DIPPING = const(0)
_REMEMBERED = const(16)
_LEARN_S = const(5)
_FORGET_S = const(26)
_ENTER_VAR = const(9)  # an innovation beyond 3 sigma teaches the noise no more than that
_LONGEST_S = const(20)  # (assumption)
_UP_LONGEST_S = const(3)
_LEVEL_TAU_S = const(1)
FAST_DT_S = 0.5  # slower samples show no dips
BACK = 0.5
TRACE_FROM_S = 0.35  # after a dip: the mean of half a second
TRACE_TO_S = 0.95

# Places in the group `detection` of the parameters (a test compares)
_DIP_SIGMAS = const(4)
_DIP_FLOOR_V = const(5)
_DIP_WINDOW_S = const(6)
_DIP_COUNT = const(7)
_DIP_TRACE_FRAC = const(8)
_DIP_TRACE_V = const(9)


class Dips:
    def __init__(self, real):
        self.age_s = array(real, [0.0] * _REMEMBERED)  # of the dips in the window, oldest first
        self.ages = self.total = 0
        self.variance_v2 = self.learned = 0.0
        self.level_v = self.drift_v = 0.0  # voltage before a dip, and what the current makes of it
        self.after_s = self.after_v = 0.0  # for what a dip leaves behind
        self.after_n = 0
        self.depth_v = 0.0  # of the newest that counted
        self.lose()

    def lose(self):
        self.length_s = self.deep = self.up_s = 0.0  # below the level for so long, so far; above it
        self.level_known = self.waits = False

    def see(self, cell):
        """Every sample."""
        self._forget(cell.q[_DIP_WINDOW_S], cell.dt_s)
        if cell.masked() or cell.dt_s > FAST_DT_S:
            self.lose()
            if not self.ages:
                cell.say_nothing(_DIPPING)
            return
        self._learn(cell.ekf.innovation_v, cell.dt_s)
        if self.learned < _LEARN_S:
            cell.tell(_DIPPING, LEARNING, 0.0)
            return
        self.drift_v += cell.slope_v() * cell.current_a * cell.dt_s / (3600 * cell.capacity_ah())
        edge_v = max(cell.q[_DIP_SIGMAS] * sqrt(self.variance_v2), cell.q[_DIP_FLOOR_V])
        self._see_level(cell, edge_v)
        cell.judge(_DIPPING, self.ages / cell.q[_DIP_COUNT])

    def _learn(self, v, dt_s):
        v2 = v * v
        if self.learned >= _LEARN_S:
            v2 = min(v2, _ENTER_VAR * self.variance_v2)
        if self.learned < _FORGET_S:
            self.learned = later(self.learned, dt_s)
        self.variance_v2 += (v2 - self.variance_v2) * share(dt_s, self.learned)

    def _see_level(self, cell, edge_v):
        fall_v = self.level_v + self.drift_v - cell.voltage_v
        if not self.level_known:
            self._find_level(cell.voltage_v)
        elif self.waits:
            self._see_trace(cell)
        elif fall_v > edge_v and fall_v > BACK * self.deep:
            self.length_s += cell.dt_s
            self.deep = max(fall_v, self.deep)
            if self.length_s > _LONGEST_S:
                self._find_level(cell.voltage_v)
        elif self.length_s > 0:
            self.waits = True
            self.after_s = self.after_v = 0.0
            self.after_n = 0
        elif -fall_v > edge_v:
            self.up_s += cell.dt_s
            if self.up_s > _UP_LONGEST_S:
                self._find_level(cell.voltage_v)
        else:
            self.level_v += self.drift_v - share(cell.dt_s, _LEVEL_TAU_S) * fall_v
            self.drift_v = self.up_s = 0.0

    def _find_level(self, voltage_v):
        self.level_v = voltage_v
        self.drift_v = self.length_s = self.deep = self.up_s = 0.0
        self.level_known = True

    def _see_trace(self, cell):
        self.after_s += cell.dt_s
        if self.after_s <= TRACE_FROM_S:
            return
        self.after_v += cell.voltage_v
        self.after_n += 1
        if self.after_s < TRACE_TO_S:
            return
        after_v = self.after_v / self.after_n
        trace_v = self.level_v + self.drift_v - after_v
        if trace_v >= max(cell.q[_DIP_TRACE_FRAC] * self.deep, cell.q[_DIP_TRACE_V]):
            self.depth_v = self.deep
            self._remember()
        self.waits = False
        self._find_level(after_v)

    def _forget(self, window_s, dt_s):
        ages, old = self.age_s, 0
        for k in range(self.ages):
            ages[k] += dt_s
            if ages[k] > window_s:
                old += 1
        if old:
            self._drop(old)

    def _drop(self, count):
        for k in range(count, self.ages):
            self.age_s[k - count] = self.age_s[k]
        self.ages -= count

    def _remember(self):
        if self.ages == _REMEMBERED:
            self._drop(1)
        self.age_s[self.ages] = 0.0
        self.ages += 1
        self.total = later(self.total, 1)
