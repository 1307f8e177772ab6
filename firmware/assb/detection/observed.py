"""What the evidences of one cell look at: the newest sample, the estimator and the parameters; and what they say of it.

An evidence tells a state and a score; 1 is its threshold. Unavailable is a state like others: a rig without that
sensor, a slow log, a flat OCV; fusion works with what is there.
"""

from array import array

from assb.const import const

from ..estimation import parameters
from . import ACTIVE, NORMAL, UNAVAILABLE

EVIDENCES = const(13)
LONG_S = 1e5  # counters of time stop here: single precision still counts tenths
_SCORE_MOST = const(100)
ONCE = 0.9  # an evidence's score while too few windows, spans or cycles in a row have said so

# Places in the parameters (a test compares): in the group `detection` ...
_REST_C = const(0)
_STEP_C = const(1)
_STEP_MASK_S = const(2)
_MOVE_MASK_S = const(3)
# ... and in the flat layout
_CAPACITY_AH = const(0)
_DOCV_V = const(131)
_R0_TEMPERATURE_DEGC = const(262)
_R1_OHM = const(378)
_R2_OHM = const(390)


def later(age_s, dt_s):
    return min(age_s + dt_s, LONG_S)


def share(dt_s, tau_s):
    """Of a first-order lag, what dt_s makes up; rational, so that it is the same everywhere."""
    return dt_s / (tau_s + dt_s)


def lower_median(values):
    """With an even count the smaller of the middle ones. 0 of nothing."""
    return sorted(values)[(len(values) - 1) // 2] if values else 0.0


def median(values):
    ordered = sorted(values)
    return 0.5 * (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2])


class Observed:
    """One cell. `flat`: all parameters; `ekf`: its estimator. `real`: 'f' on a board, 'd' to compare with C."""

    def __init__(self, flat, ekf, real="f"):
        self.flat = flat
        self.q = flat[parameters.SIZE - parameters.DETECTION_SIZE :]
        self.ekf = ekf
        self.real = real
        self.state = bytearray(EVIDENCES)
        self.score = array(real, [0.0] * EVIDENCES)
        # the sample: of a slow tick, or the mean of a second of them
        self.voltage_v = self.current_a = self.temperature_degc = self.pressure_mpa = self.gap_um = 0.0
        self.aim_mpa = self.dt_s = 0.0
        self.has_pressure = self.has_gap = False
        self.since_step_s = self.since_move_s = LONG_S

    def tell(self, evidence, state, score):
        self.state[evidence] = state
        self.score[evidence] = min(max(score, 0.0), _SCORE_MOST)

    def judge(self, evidence, score):
        """Normal below a score of 1, active from there on."""
        self.tell(evidence, ACTIVE if score >= 1 else NORMAL, score)

    def say_nothing(self, evidence):
        self.tell(evidence, UNAVAILABLE, 0.0)

    def masked(self):
        """A step of current or a move of the press hides what looks at single samples."""
        return self.since_step_s < self.q[_STEP_MASK_S] or self.since_move_s < self.q[_MOVE_MASK_S]

    def moved_press(self):
        return self.since_move_s <= self.q[_MOVE_MASK_S]

    def nominal_ah(self):
        return self.flat[_CAPACITY_AH]

    def capacity_ah(self):
        return self.flat[_CAPACITY_AH] * self.ekf.capacity_scale

    def rest_a(self):
        return self.q[_REST_C] * self.flat[_CAPACITY_AH]

    def step_a(self):
        return self.q[_STEP_C] * self.flat[_CAPACITY_AH]

    def slope_v(self):
        """dOCV/dSOC at the present SOC."""
        return self.over_soc(_DOCV_V, self.ekf.soc)

    def over_soc(self, at, soc):
        """Of the table that starts at this place in the flat layout, held at its ends."""
        place = min(max(soc, 0.0), 1.0) * (parameters.OCV_POINTS - 1)
        knot = min(int(place), parameters.OCV_POINTS - 2)
        at += knot
        return self.flat[at] + (place - knot) * (self.flat[at + 1] - self.flat[at])

    def over_temperature(self, at):
        """Likewise over temperature, held at the ends."""
        flat, degc, knot = self.flat, self.temperature_degc, 0
        while knot < parameters.TEMPERATURE_POINTS - 2 and degc >= flat[_R0_TEMPERATURE_DEGC + knot + 1]:
            knot += 1
        low_degc, high_degc = flat[_R0_TEMPERATURE_DEGC + knot], flat[_R0_TEMPERATURE_DEGC + knot + 1]
        fraction = min(max((degc - low_degc) / (high_degc - low_degc), 0.0), 1.0)
        at += knot
        return flat[at] + fraction * (flat[at + 1] - flat[at])

    def loop_ohm(self):
        """All that lies between OCV and terminals."""
        ekf = self.ekf
        return ekf.r0_ohm + ekf.resistance_scale * (self.over_temperature(_R1_OHM) + self.over_temperature(_R2_OHM))
