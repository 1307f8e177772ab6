"""Stages of an internal short from its evidences: none, suspect, soft short, hard short.

    suspect     an evidence of some kind is at its threshold
    soft short  two kinds of {electrical, charge, mechanical} are, or dips are and a charge evidence is half way, or
                missing charge alone by `charge_alone` times
    hard short  the voltage has collapsed (collapse.py, from the fast tick); nothing confirms it

A kind is as strong as its strongest evidence. Heat and a lost contact make no stage, and a pressure that falls counts
only beside charge. A stage rises at once and falls when all was silent for `stage_fall_s`. What it does is the limit
rows' affair. Confidence is the logistic of a log-likelihood ratio: what each evidence adds, bounded, to a prior.
"""

from math import exp

from assb.const import const

from . import ACTIVE, NORMAL
from .observed import EVIDENCES, later

_ELECTRICAL = (0, 1, 6, 7)  # dips, noise, resistance drop, stall
_CHARGE = (2, 3, 4, 5)  # missing charge, rest decay, end of a held voltage, efficiency
_MECHANICAL = (8, 10)  # swelling, plating
_DIPPING = const(0)
_MISSING_CHARGE = const(2)
_PRESSURE_FALL = const(9)
_HEAT = const(11)
_CONTACT_LOSS = const(12)
_NONE = const(0)
_SUSPECT = const(1)
_SOFT_SHORT = const(2)
HARD_SHORT = const(3)
PRIOR = -4.6  # ln odds of a short before any evidence: 1 % (assumption)
WEIGHT = 4.0  # of one evidence at its threshold (assumption)
BOUND = 3.0  # no evidence counts for more than this many thresholds
SUPPORT = 0.5
CERTAIN = WEIGHT * BOUND  # ln odds of a collapse
_RS_MOST_OHM = const(1000000)  # is no short

# Places in the group `detection` of the parameters (a test compares)
_CHARGE_ALONE = const(44)
_STAGE_FALL_S = const(45)


class Fusion:
    """One cell."""

    def __init__(self):
        self.stage = _NONE
        self.quiet_s = self.suspicion = self.softness = 0.0
        self.likelihood = PRIOR
        self.carried = 0  # bit k: evidence k carries the stage
        self.rs_ohm = self.rs_low_ohm = self.rs_high_ohm = 0.0  # 0: no short is seen

    def collapse(self):
        """From the fast tick, allocates nothing. True when that is news."""
        before = self.stage
        self.stage = HARD_SHORT
        self.quiet_s = 0.0
        self.likelihood = CERTAIN
        self.rs_ohm = self.rs_low_ohm = self.rs_high_ohm = (
            0.0  # told by what is left of the voltage, in the next second
        )
        return before != HARD_SHORT

    def shorted(self, rs_ohm):
        """What is left of the voltage after a collapse tells the resistance of the short, roughly."""
        self.rs_ohm, self.rs_low_ohm, self.rs_high_ohm = rs_ohm, 0.5 * rs_ohm, 2 * rs_ohm

    def update(self, cell, missing, dips):
        """Every second, after all evidences; `missing`, `dips`: those of them that know a resistance. True when the
        stage changed."""
        electrical, charge = _strongest(cell, _ELECTRICAL), _strongest(cell, _CHARGE)
        mechanical = _strongest(cell, _MECHANICAL)
        if charge >= SUPPORT and cell.state[_PRESSURE_FALL] >= NORMAL:
            mechanical = max(mechanical, cell.score[_PRESSURE_FALL])
        two = max(min(electrical, charge), min(electrical, mechanical), min(charge, mechanical))
        # bridges beside which charge goes missing are one short, which either may tell late
        bridges = cell.score[_DIPPING] if cell.state[_DIPPING] >= NORMAL else 0.0
        two = max(two, min(bridges, charge / SUPPORT))
        self.suspicion = max(electrical, charge, mechanical)
        lone = cell.score[_MISSING_CHARGE] if cell.state[_MISSING_CHARGE] >= NORMAL else 0.0
        self.softness = max(two, lone / cell.q[_CHARGE_ALONE])
        self.likelihood = _odds(cell)
        stage = _SOFT_SHORT if self.softness >= 1 else _SUSPECT if self.suspicion >= 1 else _NONE
        changed = self._move(cell, stage)
        if self.stage < HARD_SHORT:  # a collapse has told it
            self._estimate(cell, missing, dips)
        return changed

    def _move(self, cell, stage):
        before = self.stage
        self.quiet_s = 0.0 if stage >= before else later(self.quiet_s, cell.dt_s)
        # to half a step, so that rounding does not decide
        if stage > before or self.quiet_s + cell.dt_s / 2 >= cell.q[_STAGE_FALL_S]:
            self.stage = stage
            self.quiet_s = 0.0
        if self.stage > before or (self.stage > _NONE and stage >= self.stage):
            self.carried = _carriers(cell)
        return self.stage != before

    def _estimate(self, cell, missing, dips):
        """Of the dips that the short makes, else of the charge that it takes, which is a mean over their pauses."""
        self.rs_ohm = self.rs_low_ohm = self.rs_high_ohm = 0.0
        voltage_v = cell.voltage_v
        if dips.ages and dips.depth_v > 0:
            self.shorted(max(cell.ekf.r0_ohm * (voltage_v / dips.depth_v - 1), 0.0))
        elif cell.score[_MISSING_CHARGE] >= SUPPORT and missing.leak_a > 0:
            least_a = max(missing.leak_a - missing.leak_sigma_a, voltage_v / _RS_MOST_OHM)
            self.rs_ohm = min(voltage_v / missing.leak_a, _RS_MOST_OHM)
            self.rs_low_ohm = voltage_v / (missing.leak_a + missing.leak_sigma_a)
            self.rs_high_ohm = min(voltage_v / least_a, _RS_MOST_OHM)

    def confidence(self):
        """Of the stage, 0..1."""
        return 1 / (1 + exp(-self.likelihood))


def _strongest(cell, evidences):
    most = 0.0
    for k in evidences:
        if cell.state[k] >= NORMAL and cell.score[k] > most:
            most = cell.score[k]
    return most


def _odds(cell):
    total = PRIOR
    for k in range(EVIDENCES):
        if cell.state[k] >= NORMAL and k != _CONTACT_LOSS:
            weight = SUPPORT if k in (_HEAT, _PRESSURE_FALL) else 1
            total += WEIGHT * weight * min(cell.score[k], BOUND)
    return total


def _carriers(cell):
    bits = 0
    for k in range(_CONTACT_LOSS):
        if cell.state[k] == ACTIVE:
            bits |= 1 << k
    return bits
