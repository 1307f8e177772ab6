"""A test for a leak of one size, beside the filter of charge_errors.py: CUSUM of a generalised likelihood ratio.

Willsky and Jones 1976, doi:10.1109/TAC.1976.1101146. Since a moment at which nothing spoke for a leak, an ampere of it
would have shown across the resistances, then as charge, and at rest in the hysteresis; and the filter would have taken
so much of that for errors (`follows`). What is left, against the innovations, is the logarithm of the likelihood ratio
(`nats`) and the leak's rate. A leak of C/20 is also found by the tests for weaker ones, but later.
"""

from array import array

from assb.const import const

from .deficit import SLOWER
from .observed import share

LEAKS_C = (0.5, 0.05, 0.0125, 0.0018)
SOONER = 0.6  # of tau2: the middle pair, once the slow one is taken off
OHM_SHARE_LEAST = 0.5
STEP_MOST = 0.02  # of the capacity: what took more is no step of the voltage (assumption)
STRONG_FRAC = 0.08  # in an hour: nobody waits for more of such a leak (assumption)
TAKEN_MOST = 0.08  # likewise: a leak that took so much is told, or none
_REST_MOST = const(5)  # nats of one window
_WORK_MOST = const(3)
_ERRORS = const(6)
_CHARGE_V = const(0)
_TABLE_V = const(1)
_FAST = const(2)
_MIDDLE = const(3)
_SLOW = const(4)
_PER_SOC = const(5)
TABLE_SOC = 0.08

# Places in the flat layout (a test compares)
_TAU2_S = const(403)
_HYSTERESIS_V = const(404)
_HYSTERESIS_RATE = const(405)


class LeakTest:
    def __init__(self, real, leak_c):
        self.leak_c = leak_c
        self.follows = array(real, [0.0] * _ERRORS)  # what the filter takes for errors of it, per ampere
        self.begin()

    def begin(self):
        self.middle = self.slow = self.taken_v = self.turned = (
            0.0  # of an ampere: shares of the pairs, charge, hysteresis
        )
        self.nats = 0.0
        self.hours = 0.0  # since then
        self.loud_h = 0.0  # since it was half of a suspect, or doubted
        self.doubted = False  # it was suspected, and has to go on
        self.known = self.shown = 0.0  # information on its rate, and that times the rate
        for k in range(_ERRORS):
            self.follows[k] = 0.0

    def move(self, cell, deficit, move):
        flat, follows, dt_s = cell.flat, self.follows, move.dt_s
        follows[_CHARGE_V] += move.slope_v * move.soc * follows[_PER_SOC]
        follows[_TABLE_V] *= 1 / (1 + abs(move.soc) / TABLE_SOC)
        self.middle += share(dt_s, SOONER * flat[_TAU2_S]) * (1 - self.middle)
        self.slow += share(dt_s, SLOWER * flat[_TAU2_S]) * (1 - self.slow)
        per_a = 1 / (3600 * cell.capacity_ah()) * dt_s
        self.taken_v += move.slope_v * per_a
        self.hours += dt_s / 3600
        self.loud_h += dt_s / 3600
        if move.rests:
            turn, leak_a = flat[_HYSTERESIS_RATE] * per_a, self.leak_c * cell.nominal_ah()
            self.turned += turn / (1 + turn * leak_a) * (1 + deficit.open_hysteresis - leak_a * self.turned)
        else:
            self.turned /= 1 + flat[_HYSTERESIS_RATE] * abs(move.soc)

    def go_on(self):
        """It is suspected: its rate and its time are told by what comes from now on."""
        self.doubted = True
        self.loud_h = self.known = self.shown = 0.0

    def took_more(self, hours, frac, nominal_ah):
        """Whether the leak took so much of the capacity within these hours."""
        return hours * self.shown > frac * nominal_ah * self.known

    def speaks(self, held_nats, told_nats, nominal_ah):
        """Whether something speaks for a leak, and enough, or it could not have been told yet."""
        if self.nats < held_nats:
            self.loud_h = 0.0
        late = self.took_more(self.loud_h, TAKEN_MOST, nominal_ah)
        return self.nats > 0 and (self.nats >= told_nats or not late)

    def unseen_ohm(self, cell, errors):
        """Voltage that is missing per ampere of leak, and that the filter does not take for an error."""
        x, model, h = errors.error, errors.deficit, errors.h
        pairs = (1 + x[_MIDDLE]) * self.middle + (1 + x[_SLOW]) * self.slow
        ohm = max(1 + x[_FAST], OHM_SHARE_LEAST) * model.fast_ohm + model.slow_ohm * pairs
        ohm += self.taken_v + cell.flat[_HYSTERESIS_V] * self.turned
        for k in range(_PER_SOC):
            ohm -= h[k] * self.follows[k]
        return ohm

    def weigh(self, cell, errors, move):
        ohm, var, innovation_v = self.unseen_ohm(cell, errors), errors.var, errors.innovation_v
        leak_v = self.leak_c * cell.nominal_ah() * ohm
        self.follow(errors.along, var, ohm)
        if move.steep:
            return
        most = _REST_MOST if move.rests else _WORK_MOST
        nats = leak_v * (innovation_v - 0.5 * leak_v) / var
        self.nats += min(max(nats, -2 * most), most)
        self.known += ohm * ohm / var
        self.shown += ohm * innovation_v / var

    def follow(self, along, var, unseen):
        """What the filter takes of it, per ampere of leak."""
        for i in range(_ERRORS):
            self.follows[i] += along[i] / var * unseen

    def weigh_resistance(self, innovation, var, nominal_ah):
        """A step of the current tells what of the leak the filter took for a resistance."""
        unseen = -self.follows[_FAST]
        leak = self.leak_c * nominal_ah * unseen
        self.known += unseen * unseen / var
        self.shown += unseen * innovation / var
        self.learn(leak * (innovation - 0.5 * leak) / var)

    def learn(self, nats):
        self.nats += nats
        if self.nats <= 0:
            self.begin()
