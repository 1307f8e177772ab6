"""Evidence 1, electrical: short dips below the model, from filaments that touch and burn out.

A run of innovations beyond 3 sigma of their learned noise counts once, as soon as its mean over its own length is worth
`dip_sigmas` of the noise of that mean (matched filter for a dip of unknown length) and is deeper than the floor.

Confounders. A step of the current or a move of the press masks it. A contact that lets go dips only while current
flows, by some R0 I: on discharge a dip must be deeper than that. A bad wire jumps both ways, a filament does not: jumps
up take the dips' credit, but the way back from a dip is no jump up.
Soft shorts come and go by the thousand (Counihan et al., Joule 2024, doi:10.1016/j.joule.2023.11.007).
"""

from array import array

from assb.const import const

from . import LEARNING
from .observed import LONG_S, later, share

_DIPPING = const(0)
_REMEMBERED = const(16)
_LEARN_S = const(5)
_FORGET_S = const(26)
_ENTER_VAR = const(9)  # 3 sigma
_AFTER_S = const(30)
FAST_DT_S = 0.5  # slower samples show no dips
UPS_PER_DIP = 0.25  # (assumption)
VARIANCE_LEAST_V2 = 1e-12

# Places in the group `detection` of the parameters (a test compares)
_DIP_SIGMAS = const(4)
_DIP_FLOOR_V = const(5)
_DIP_WINDOW_S = const(6)
_DIP_COUNT = const(7)
_DIP_CURRENT_RATIO = const(8)


class Dips:
    def __init__(self, real):
        self.age_s = array(real, [0.0] * _REMEMBERED)  # of the dips in the window, oldest first
        self.ages = self.total = self.ups = 0
        self.variance_v2 = self.learned = self.sum_v = self.ups_age_s = self.depth_v = 0.0
        self.length = 0
        self.counted = False
        self.since_dip_s = LONG_S

    def see(self, cell):
        """Every sample; True when a dip was counted, whose depth is `depth_v`."""
        before = self.total
        self._forget(cell.q[_DIP_WINDOW_S], cell.dt_s)
        self.since_dip_s = later(self.since_dip_s, cell.dt_s)
        if cell.masked() or cell.dt_s > FAST_DT_S:
            self.length = 0
            if not self.ages:
                cell.say_nothing(_DIPPING)
        elif self.learned < _LEARN_S:
            self.learned = later(self.learned, cell.dt_s)
            v = cell.ekf.innovation_v
            self.variance_v2 += (v * v - self.variance_v2) * (cell.dt_s / self.learned)
            cell.tell(_DIPPING, LEARNING, 0.0)
        else:
            self._filter(cell, cell.ekf.innovation_v)
            credible = 0 if self.ups > UPS_PER_DIP * self.ages else self.ages
            cell.judge(_DIPPING, credible / cell.q[_DIP_COUNT])
        return self.total != before

    def _filter(self, cell, v):
        self.variance_v2 = max(self.variance_v2, VARIANCE_LEAST_V2)
        if v * v <= _ENTER_VAR * self.variance_v2:
            self.length = 0
            self.variance_v2 += (v * v - self.variance_v2) * share(cell.dt_s, _FORGET_S)
            return
        if self.length and self.sum_v * v > 0:
            self.length = 0  # from one side to the other
        contact_v = cell.q[_DIP_CURRENT_RATIO] * cell.ekf.r0_ohm * -cell.current_a if cell.current_a < 0 else 0.0
        self._excursion(cell.q, -v, contact_v)

    def _excursion(self, q, down_v, floor_v):
        if not self.length:
            self.sum_v = 0.0
            self.counted = False
        self.length += 1
        self.sum_v += down_v
        mean_v = abs(self.sum_v) / self.length
        wanted = q[_DIP_SIGMAS] * q[_DIP_SIGMAS] * self.variance_v2
        if self.counted or mean_v * mean_v * self.length < wanted or mean_v < q[_DIP_FLOOR_V]:
            return
        self.counted = True
        if self.sum_v > 0 and mean_v >= floor_v:
            self.depth_v = mean_v
            self._remember()
        elif self.sum_v < 0 and self.since_dip_s > _AFTER_S:
            self.ups = later(self.ups, 1)
            self.ups_age_s = 0.0

    def _forget(self, window_s, dt_s):
        ages, old = self.age_s, 0
        for k in range(self.ages):
            ages[k] += dt_s
            if ages[k] > window_s:
                old += 1
        if old:
            self._drop(old)
        self.ups_age_s = later(self.ups_age_s, dt_s)
        if self.ups_age_s > window_s:
            self.ups = 0

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
        self.since_dip_s = 0.0
