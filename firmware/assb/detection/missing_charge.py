"""Evidence 3, charge: the voltage falls behind that of a cell that lost no charge, by more than errors explain.

The deficit (deficit.py), in a pack less the middle of all cells', is taken every few seconds: the middle one of them,
so that a loose wire's jumps are gone. What explains it without a leak is followed by a filter (charge_errors.py), and
beside it leaks of four sizes are tested for (leak_test.py). The score is the likeliest one's logarithm of the
likelihood ratio over `charge_nats`, or what whole cycles took (returns.py). At the threshold the offset is found anew:
a sharp step of the voltage, which many things make, tells a suspect at most; a soft short has to go on, unless it is so
strong that nobody waits for that.

A reading of the current within the sensor's offset is taken for none, so that a rest tells weak leaks. At the ends of
SOC, or of another cell's while a current drives it beyond them, nothing is told but by a step of the current; what was
missing before stays on the account. In a pack all cells have one sensor and one table; a cell that is suspected is
nothing to compare with. Where what the others miss runs away within minutes the table is wrong there, for one cell
sooner than for the next, and nothing is told either. Where nothing is told the evidence is unavailable, unless half of
a suspect stands on the account.
"""

from array import array
from math import sqrt

from assb.const import const

from . import LEARNING, UNAVAILABLE
from .charge_errors import OHM_LEAST, ChargeErrors, Move
from .current_step import CurrentStep
from .deficit import Deficit, flowing_a
from .leak_test import LEAKS_C, STEP_MOST, STRONG_FRAC, LeakTest
from .observed import later, share
from .returns import Returns

_MISSING_CHARGE = const(2)
_LATEST = const(5)  # seconds of a window
_PLACES = const(5)  # of a second: excess, current, and what the errors of the resistances go with
_CHARGE_V = const(0)
_FAST = const(2)
SOC_AT_END = 1e-4
_DEGC_TAU_S = const(120)  # what a sensor's noise makes of changes is gone
_OHM_TAU_S = const(60)
_OFFSET_TAU_S = const(600)
_RELEARN_S = const(300)
_STRAY_TAU_S = const(300)
_EVENS_TAU_S = const(1800)  # within the electrodes (assumption)
_KNEE_RESTS_S = const(300)  # a relaxation in a knee is larger than elsewhere, and then small (assumption)
STRAYS_V = 0.01  # within that time: the model fails all cells, and not at the same moment (assumption)
UNSEEN_C = 1.0  # nobody knows what flowed until now (assumption)
DOUBT = 0.5  # of charge_nats: with less of a leak, errors that are no cell's are begun anew
RETURN_ERROR = 0.4  # of a leak's rate that cycles tell
LEAK_ERROR = 0.25  # of a leak's rate, as the resistances are that it shows across

# Place in the flat layout ...
_COULOMBIC_EFFICIENCY_FRAC = const(1)
# ... and in its group `detection` (a test compares)
_CHARGE_NATS = const(24)
_CHARGE_SETTLE_S = const(25)
_CHARGE_SLOPE_MOST_V = const(27)
_CHARGE_ALONE = const(44)


def at_end(soc):
    """Whether it is an end of SOC, where the voltage tells nothing."""
    return soc < SOC_AT_END or soc > 1 - SOC_AT_END


class MissingCharge:
    def __init__(self, real):
        self.row = array(real, [0.0] * (_LATEST * _PLACES))  # seconds of the window under way
        self.deficit = Deficit()
        self.errors = ChargeErrors(real, self.deficit)
        self.test = [LeakTest(real, leak_c) for leak_c in LEAKS_C]
        self.returns = Returns(real)
        self.current_step = CurrentStep()
        self.step = Move()
        self.seen_s = 0.0
        self.known = False  # whether it may be compared
        self.cells = -1  # with so many, itself included
        self.usual_v = 0.0  # of the others' deficit
        self.offset_v = 0.0  # usual excess
        self.degc = self.usual_ohm = 0.0  # smoothed
        self.loop_then = self.open2_then_v = self.open3_then_v = 0.0  # of the window before
        self.current_a = 0.0
        self.rested_s = 0.0  # windows at rest, so far
        self.lag_c = UNSEEN_C  # the current of late: what still evens out within the electrodes goes with it
        self.nats = self.leak_a = self.leak_sigma_a = 0.0  # of the likeliest
        self._begin_window()

    def _begin_window(self):
        self.rows = 0
        self.span_s = self.moved_as = self.swing_a = 0.0
        self.ends = False

    def blind(self):
        """Charge flows that the voltage does not tell."""
        self.deficit.table_known = False
        self.current_step.lose()

    def lose(self):
        self.rested_s, self.lag_c = 0.0, UNSEEN_C
        self.returns.lose()
        self._lose_offset()

    def _lose_offset(self):
        self.errors.lost = True
        self.current_step.lose()
        self._begin_window()

    def see(self, cell, counted, rose, others):
        """Every second, in which the current brought `counted` of SOC and the filter's rose by `rose`; `others`: what
        the pack shows."""
        current_a, soc = flowing_a(cell), cell.ekf.soc
        self.deficit.find(cell, counted if current_a else 0.0, rose, current_a)
        self.seen_s = later(self.seen_s, cell.dt_s)
        gain = cell.flat[_COULOMBIC_EFFICIENCY_FRAC] if current_a > 0 else 1.0
        self.returns.count(gain * current_a * cell.dt_s / (3600 * cell.nominal_ah()), cell.dt_s)
        self.known = True
        if self.cells != others.cells:  # the offset to the others is another one
            self._lose_offset()
            self.cells = others.cells
            self.usual_v = others.deficit_v
        strays_v = others.deficit_v - self.usual_v
        self.usual_v += share(cell.dt_s, _STRAY_TAU_S) * strays_v
        self._keep(cell, current_a, self.deficit.deficit_v - others.deficit_v)
        ends = (others.ends and current_a != 0) or abs(strays_v) > STRAYS_V or at_end(soc)
        self.ends = self.ends or ends
        self.rows += 1
        if self.rows >= _LATEST:
            self._close_window(cell, others)
            self._begin_window()
        score = max(self.nats / cell.q[_CHARGE_NATS], self.returns.score)
        if self.seen_s < cell.q[_CHARGE_SETTLE_S]:
            cell.tell(_MISSING_CHARGE, LEARNING, 0.0)
        elif ends and score < DOUBT:
            cell.tell(_MISSING_CHARGE, UNAVAILABLE, score)
        else:
            cell.judge(_MISSING_CHARGE, score)

    def _keep(self, cell, current_a, excess_v):
        row, at, model = self.row, _PLACES * self.rows, self.deficit
        row[at] = excess_v
        row[at + 1] = current_a
        row[at + 2] = model.ohm * current_a + model.open1_v
        row[at + 3] = model.open2_v
        row[at + 4] = model.open3_v
        self.offset_v += share(cell.dt_s, _OFFSET_TAU_S) * (excess_v - self.offset_v)
        change_a, fast_v = abs(current_a - self.current_a), row[at + 2]
        self.swing_a = max(self.swing_a, change_a)
        if self.current_step.see(cell, excess_v, current_a, fast_v, change_a, self.cells < 2) and self.errors.begun:
            self.errors.learn_step(self.test, self.current_step, cell.nominal_ah())
        self.current_a = current_a
        self.span_s += cell.dt_s
        self.moved_as += current_a * cell.dt_s

    def _middle(self):
        """Where the row of the middle second begins."""
        row = self.row
        for k in range(0, _LATEST * _PLACES, _PLACES):
            below = 0
            for j in range(0, _LATEST * _PLACES, _PLACES):
                if row[j] < row[k] or (row[j] == row[k] and j < k):
                    below += 1
            if below == _LATEST // 2:
                return k
        return 0

    def _close_window(self, cell, others):
        errors, at, alone = self.errors, self._middle(), others.cells < 2
        excess_v = self.row[at]
        if not errors.begun or errors.alone != alone:
            self._begin(cell, excess_v, alone)
            self.degc = cell.temperature_degc
            self.usual_ohm = self.deficit.ohm
        step = self._stepped(cell, self.row[at + 1], others.cells)
        errors.move(cell, step)
        for test in self.test:
            test.move(cell, self.deficit, step)
        if self.ends:
            errors.lost = True
        else:
            self._weigh(cell, at, step)
        if self.seen_s >= cell.q[_CHARGE_SETTLE_S]:
            leaks = self.nats >= DOUBT * cell.q[_CHARGE_NATS]  # which raises resistances as well
            self.returns.see(cell, self.deficit, step, others, 0.0 if leaks else errors.lost_ohm())
        self.loop_then = self.deficit.open_hysteresis
        self.open2_then_v, self.open3_then_v = self.deficit.open2_v, self.deficit.open3_v
        if not (step.pair or step.steep or self.ends):
            errors.hold_resistance(self.test, cell.nominal_ah())
        self._tell_leak(cell)
        if not errors.fits() and self.nats < DOUBT * cell.q[_CHARGE_NATS]:
            self._begin(cell, excess_v, alone)
            self._settle_again(cell)
            self._tell_leak(cell)
        self._doubt(cell)

    def _doubt(self, cell):
        """A leak that is suspected has to go on: the offset is found anew, so that what a step of the voltage told is
        not told again. What a leak took in hours is no step, and a strong one does not wait."""
        nats, nominal_ah, stepped = cell.q[_CHARGE_NATS], cell.nominal_ah(), False
        for test in self.test:
            if test.nats < DOUBT * nats:
                test.doubted = False
            elif test.nats >= nats and not test.doubted:
                test.doubted = True
                strong = test.took_more(1.0, STRONG_FRAC, nominal_ah)
                stepped = stepped or not (strong or test.took_more(test.hours, STEP_MOST, nominal_ah))
        if stepped:
            self.errors.lost = True
            for test in self.test:
                if test.nats >= DOUBT * nats:
                    test.go_on()

    def _settle_again(self, cell):
        self.seen_s = min(self.seen_s, cell.q[_CHARGE_SETTLE_S] - _RELEARN_S)

    def _begin(self, cell, excess_v, alone):
        self.errors.begin(cell.q, excess_v, alone)
        for test in self.test:
            test.begin()

    def _stepped(self, cell, current_a, cells):
        step, model, q = self.step, self.deficit, cell.q
        step.dt_s, step.alone, step.pair = self.span_s, cells < 2, cells == 2
        step.slope_v = cell.slope_v()
        step.soc = self.moved_as / (3600 * cell.capacity_ah())
        step.turned = model.open_hysteresis - self.loop_then
        step.middle_v, step.slow_v = model.open2_v - self.open2_then_v, model.open3_v - self.open3_then_v
        step.warmed_k = share(self.span_s, _DEGC_TAU_S) * (cell.temperature_degc - self.degc)
        step.ohm_frac = share(self.span_s, _OHM_TAU_S) * (model.ohm / self.usual_ohm - 1)
        step.current_a, step.latest_a, step.swing_a = current_a, self.current_a, self.swing_a
        step.size_c = abs(current_a) / cell.nominal_ah()
        step.charges = current_a > 0
        step.rests = self.moved_as == 0 and current_a == 0
        self.rested_s = later(self.rested_s, self.span_s) if step.rests else 0.0
        knee = step.slope_v > q[_CHARGE_SLOPE_MOST_V] * (2 if step.rests else 1)
        step.steep = knee and self.rested_s < _KNEE_RESTS_S
        evened_c = share(self.span_s, _EVENS_TAU_S) * (self.moved_as / (self.span_s * cell.nominal_ah()) - self.lag_c)
        self.lag_c += evened_c
        step.evened2 = abs(evened_c) * (abs(self.lag_c) + abs(evened_c))
        self.degc += step.warmed_k
        self.usual_ohm *= 1 + step.ohm_frac
        return step

    def _weigh(self, cell, at, step):
        """Test what the window shows against leaks, then correct the errors by it."""
        errors, row = self.errors, self.row
        errors.predict(row[at], row[at + 2], row[at + 3], row[at + 4])
        if errors.lost:
            errors.anchor()
            for test in self.test:
                test.follows[_CHARGE_V] += test.unseen_ohm(cell, errors)
            return
        errors.admit(cell.q, step)
        # the other one of a pair has lost its contact: on charge a leak looks like that, too, at rest nothing does
        blind = step.pair and not (step.rests or step.charges) and errors.error[_FAST] < OHM_LEAST
        silent = blind or self.seen_s < cell.q[_CHARGE_SETTLE_S]
        nats, alone, nominal_ah = cell.q[_CHARGE_NATS], cell.q[_CHARGE_ALONE], cell.nominal_ah()
        for test in self.test:
            test.weigh(cell, errors, step)
            if silent or not test.speaks(DOUBT * nats, alone * nats, nominal_ah):
                test.begin()
        errors.correct(step)
        if errors.other_fell:
            self._settle_again(cell)

    def _tell_leak(self, cell):
        best = self.test[0]
        for test in self.test:
            if test.nats > best.nats:
                best = test
        self.nats = best.nats
        self.leak_a = best.shown / best.known if best.known > 0 else 0.0
        self.leak_sigma_a = 2 / sqrt(best.known) + LEAK_ERROR * self.leak_a if best.known > 0 else 0.0
        if self.returns.score > self.nats / cell.q[_CHARGE_NATS]:
            self.leak_a = self.returns.leak_c * cell.nominal_ah()
            self.leak_sigma_a = RETURN_ERROR * self.leak_a
