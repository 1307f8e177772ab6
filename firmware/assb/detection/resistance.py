"""Evidences 7 and 13: the resistance drops although pressure and temperature stay, or rises because a contact is lost.

Each step of the current measures R0, between the sample before and the one after it (the one between holds parts of
both, or is after it as well; the next one says that the step is over), over what the tables say at this temperature and
pressure. A bridge in parallel lowers it (electrical); a lost contact raises it, lowers the pressure and leaks nothing:
it is no short and tells the two apart. A contact that comes back lowers it, too, but not below its table, so a drop
must be half below that. A ratio far off the pressure or temperature of what was learned says nothing of a drop, and a
step that is far off moves the mean no more than one that is near. Ageing is learned, a jump is not.
"""

from assb.const import const

from . import LEARNING
from .observed import later

_RESISTANCE_DROP = const(6)
_CONTACT_LOSS = const(12)
_STEPS_LEARN = const(8)
_STEPS_JUDGE = const(8)
_USUAL_STEPS = const(32)
RATIO_LEAST = 0.05  # a voltage that does not answer is no resistance
STEP_LEAST_C = 0.05
STEADY_FRAC = 0.02  # of a step: the current before and after it
STEP_WIDEST_S = 0.5
STEP_OUTLIER = 0.2
PRESSURE_STEADY = 0.03
TEMPERATURE_STEADY_K = 1.5
STEP_WEIGHT = 0.1
HALF = 0.5

# Places in the group `detection` of the parameters (a test compares)
_RESISTANCE_DROP_FRAC = const(33)
_RESISTANCE_RISE_FRAC = const(34)


class Resistance:
    def __init__(self):
        self.before_v = self.before_a = self.middle_v = self.middle_a = self.after_v = self.after_a = 0.0
        self.usual = self.recent = self.usual_mpa = self.usual_degc = 0.0
        self.seen = self.steps = self.recent_steps = 0
        self.steady = False

    def see(self, cell):
        """Every sample."""
        if cell.dt_s > STEP_WIDEST_S or not cell.has_pressure:
            self.seen = 0
            return
        step_a = self.after_a - self.before_a
        is_step = self.seen >= 3 and abs(step_a) > STEP_LEAST_C * cell.nominal_ah()
        is_over = abs(cell.current_a - self.after_a) <= STEADY_FRAC * abs(step_a)
        still_a = STEADY_FRAC * STEP_LEAST_C * cell.nominal_ah()
        stands = abs(self.middle_a - self.before_a) <= still_a
        if is_step and self.steady and not stands and is_over:
            over_v = self.after_v - self.before_v
            ratio = over_v / step_a * cell.ekf.resistance_scale / cell.ekf.r0_ohm
            if ratio > RATIO_LEAST:
                self._learn(cell, ratio)
        self.steady = self.seen >= 2 and stands
        self.before_v = self.middle_v
        self.before_a = self.middle_a
        self.middle_v = self.after_v
        self.middle_a = self.after_a
        self.after_v = cell.voltage_v
        self.after_a = cell.current_a
        self.seen = min(self.seen + 1, 3)

    def _learn(self, cell, ratio):
        if self.steps < _STEPS_LEARN:
            self.steps += 1
            self._drift(cell, ratio, self.steps)
            self.recent = self.usual
            cell.tell(_RESISTANCE_DROP, LEARNING, 0.0)
            cell.tell(_CONTACT_LOSS, LEARNING, 0.0)
            return
        most = STEP_OUTLIER * self.usual
        self.recent += STEP_WEIGHT * min(max(ratio - self.recent, -most), most)
        change = self.recent / self.usual - 1
        cell.judge(_CONTACT_LOSS, change / cell.q[_RESISTANCE_RISE_FRAC])
        self.recent_steps = later(self.recent_steps, 1) if self._near(cell) else 0
        if self.recent_steps < _STEPS_JUDGE:
            cell.tell(_RESISTANCE_DROP, LEARNING, 0.0)
        else:
            least = cell.q[_RESISTANCE_DROP_FRAC]
            cell.judge(_RESISTANCE_DROP, -change / least if self.recent < 1 - HALF * least else 0.0)
        if abs(change) < cell.q[_RESISTANCE_DROP_FRAC]:
            self._drift(cell, ratio, _USUAL_STEPS)

    def _near(self, cell):
        return (
            abs(cell.pressure_mpa - self.usual_mpa) <= PRESSURE_STEADY * abs(self.usual_mpa)
            and abs(cell.temperature_degc - self.usual_degc) <= TEMPERATURE_STEADY_K
        )

    def _drift(self, cell, ratio, steps):
        self.usual += (ratio - self.usual) / steps
        self.usual_mpa += (cell.pressure_mpa - self.usual_mpa) / steps
        self.usual_degc += (cell.temperature_degc - self.usual_degc) / steps
