"""Evidence 3, charge: what a step of the current tells of R0.

Between the latest second whose current was steady and this one, OCV and slow overvoltages stay as they are. So what the
difference goes beyond the model's is R0's, whatever the offset is, in a knee of the OCV as well. Where a constant
current hides whether a contact was lost, its end tells. A log of more than a second between rows tells less of it, and
one of more than two nothing: too much else has happened meanwhile.
"""

from math import sqrt

from assb.const import const

from .observed import LONG_S, later

LEAST_C = 0.05
LEAST_V = 1e-6  # across the resistances: less is rounding
STEADY_FRAC = 0.05  # of the step: the current's change within a second, before it and after it
_SPAN_S = const(4)
_MIXED_S = 1.5  # a second with the begin of a step in it, and not the next
OHM_ERROR = 0.04  # of R0, for the pairs' part in it; this and the next four are assumptions
PACK_SHARE = 0.4  # of that, between cells of a pack
NOISE_V = 0.0005
STEP_KNEE_SHARE = 0.1  # of what the charge of the step makes of the OCV
HIGHER_SHARE = 0.1  # of what it tells: R1 stands in for a part of R0
KNOWS = 0.1  # sigma: such a step says what contact is lost


class CurrentStep:
    def __init__(self):
        self.excess_v = self.current_a = self.fast_v = 0.0  # of the latest steady second
        self.change_a = self.age_s = 0.0  # of the current within it; since then
        self.higher = self.sigma = 0.0  # relative error of R0, and what is unknown of it

    def lose(self):
        self.age_s = LONG_S

    def see(self, cell, excess_v, current_a, fast_v, change_a, alone):
        """Every second. True when it ends a step."""
        self.age_s = later(self.age_s, cell.dt_s)
        step_a, over_v = abs(current_a - self.current_a), fast_v - self.fast_v
        steady_a = STEADY_FRAC * step_a
        steady = change_a < steady_a and self.change_a < steady_a
        least_a = LEAST_C * cell.nominal_ah()
        told = steady and step_a > least_a and self.age_s <= _SPAN_S and abs(over_v) > LEAST_V
        if told:
            part = 1 if alone else PACK_SHARE
            moved = (abs(current_a) + abs(self.current_a)) * self.age_s / (3600 * cell.capacity_ah())
            knee_v, ohm = STEP_KNEE_SHARE * part * cell.slope_v() * moved, OHM_ERROR * part
            self.higher = (self.excess_v - excess_v) / over_v
            self.sigma = sqrt(ohm * ohm + (NOISE_V * NOISE_V + knee_v * knee_v) / (over_v * over_v))
        if told or (change_a < 0.5 * least_a and not self._holds(step_a > least_a, change_a < STEADY_FRAC * least_a)):
            self.excess_v, self.current_a, self.fast_v, self.change_a = excess_v, current_a, fast_v, change_a
            self.age_s = 0.0
        return told

    def _holds(self, stepped, quiet):
        """Whether the base stays, as a second with a small part of a step is none for the rest of it."""
        return not quiet and self.age_s <= (_SPAN_S if stepped else _MIXED_S)
