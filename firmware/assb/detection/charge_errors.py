"""What the model of a cell without a leak may be wrong by, followed by a Kalman filter: the account of evidence 3.

Six errors explain a deficit (deficit.py) without a leak:

    CHARGE_V  charge that the model has wrong, in V, and whatever drifts: a walk
    TABLE_V   features of the OCV table, which come and go within a few percent of SOC
    FAST      relative error of R0 and R1
    MIDDLE    relative error of the second RC pair, and
    SLOW      what of it is rather a slower pair, by tau2 x SLOWER
    PER_SOC   relative error of the capacity and of the OCV's slope

FAST walks slowly, but fast wherever a contact may be lost: on discharge, where that looks like a leak until the current
changes; on charge only after it was lost, or while the voltage leans the other way; and either way where one other
cell is all that there is to compare with, for nobody knows whose contact it is. An innovation beyond CLIP sigmas
teaches less; two beyond JUMP in a row are a contact. In a knee of the OCV the charge's error walks fast while a current
flows, and at rest with what evens out within the electrodes: no pair tells that where the OCV is steep. After charge
that the voltage could not tell, the offset is found anew (`anchor`). A step of the current says what FAST is, and with
it what contact is lost (`learn_step`). A FAST that no cell has is cut off (`hold_resistance`), and other errors that no
cell has mean that the model does not fit: then the filter begins anew.
"""

from array import array
from math import sqrt

from assb.const import const

from .current_step import HIGHER_SHARE, KNOWS
from .observed import share

_ERRORS = const(6)
_PAIRS = const(21)
_CHARGE_V = const(0)
_TABLE_V = const(1)
_FAST = const(2)
_MIDDLE = const(3)
_SLOW = const(4)
_PER_SOC = const(5)
_ROW = (0, 5, 9, 12, 14, 15)  # of the upper triangle, row by row: row i, column j >= i stands at _ROW[i] + j

SLOW_PART = 0.45  # of the second pair's resistance that is rather the third's (assumption)
KNOWN_PACK = 0.1  # variance of what cells of a pack share
TABLE_SOC = 0.08  # width of the features of an OCV curve (assumption)
BEND_SOC = 0.03
BEND_ERROR = 1.5
SOC_ERROR_LEAST = 0.005
SOC_ERROR_MOST = 0.2
SOC_ERROR_PACK = 0.012  # between cells in series
LOOP_ERROR = 0.15  # of half the hysteresis loop, wherever it is travelled (assumption)
LOOP_UNKNOWN = 0.5  # where in its loop a new cell is nobody knows until it was driven to one side
RELAX_ERROR = 0.35  # of a relaxation
ENTROPY_ERROR_V_PER_K = 0.0002
_ENTROPY_K = const(5)
TABLE_ERROR = 0.35  # of a change of R0 with temperature and pressure
TABLE_SHARE = 0.3
OHM_DRIFT = 0.02  # per root of an hour; likewise the others
PAIR_DRIFT = 0.05
PAIR_SOC = 0.05  # variance of the pairs' error per SOC that is travelled
CAPACITY_DRIFT = 0.0005
NEVER_LOST = 0.15  # higher resistances than this are a contact that is lost ...
UNKNOWN_LOST = 0.6  # and such may be one, for all that is known ...
UNKNOWN_SIGMAS = 1.5  # ... by so many of their sigmas ...
LOST_LEAST = -0.1  # ... until they are lower than this ...
_LOST_TAU_S = const(14400)  # ... and for so long may it come back
WORKS_C = 0.005
JUMP_C = 0.02
_LEAN_TAU_S = const(60)
LEAN = 0.4  # sigmas
_LEAN_MORE = const(3)
_LEAN_MOST = const(5)
_CLIP = const(3)  # sigmas
_JUMP = const(4)
_JUMP_MOST = const(3)
STEP_ERROR = 0.03  # of R0, in a window in which the current changes
HIGHER_STEP = 0.05
CURRENT_ERROR = 0.003
EVENS_SOC = 0.015  # of SOC per C that a surface leads by, beyond the pairs (assumption)
KNEE_SHARE = 0.3
KNEE_V = 0.001
ANCHOR_V2 = 1e-7
_OFFSET_HOURS = const(2)  # for so long the current sensor's offset is the same (assumption)
BEGIN_V = 0.02
PACK_NOISE = 1.4
OHM_LEAST = -0.5  # no lower: what looks like it is something else (assumption)
_OHM_MOST = const(6)  # errors beyond these are none
CAPACITY_MOST = 0.06
CUT_MEAN = 0.8  # sigmas: of a normal distribution that is cut at its middle
CUT_GAIN = 0.64  # of the variance that is gone then
CUT_NATS = 0.7  # ln 2: half of it was cut off
VARIANCE_LEAST = 1e-14

# Places in the flat layout ...
_DOCV_V = const(131)
_HYSTERESIS_V = const(404)
_HYSTERESIS_RATE = const(405)
# ... and in its group `detection` (a test compares)
_CHARGE_OFFSET_C = const(12)
_CHARGE_GAIN_FRAC = const(13)
_CHARGE_CAPACITY_FRAC = const(14)
_CHARGE_OCV_V = const(15)
_PACK_OCV_V = const(16)
_CHARGE_RESISTANCE_FRAC = const(17)
_PACK_RESISTANCE_FRAC = const(18)
_CHARGE_RC_FRAC = const(19)
_CHARGE_CONTACT = const(20)
_CHARGE_DRIFT_V = const(21)
_PACK_DRIFT_V = const(22)
_CHARGE_NOISE_V = const(23)
_CHARGE_SLOPE_MOST_V = const(27)


class Move:
    """What a window of a few seconds brought."""

    def __init__(self):
        self.dt_s = self.slope_v = self.soc = self.turned = self.warmed_k = self.ohm_frac = 0.0
        self.current_a = self.size_c = self.latest_a = 0.0  # of the middle second; of the latest
        self.swing_a = 0.0  # largest change from one to the next
        self.middle_v = self.slow_v = 0.0  # changes of the pairs
        self.evened2 = 0.0  # likewise of the current of late, times what is left of it, in C^2
        self.alone = self.pair = self.rests = self.steep = self.charges = False


class ChargeErrors:
    def __init__(self, real, deficit):
        """`real`: 'f' on a board, 'd' to compare with C."""
        self.deficit = deficit
        self.error = array(real, [0.0] * _ERRORS)
        self.covariance = array(real, [0.0] * _PAIRS)
        self.h = [1.0, 1.0, 0.0, 0.0, 0.0]  # deficit per error; PER_SOC acts through CHARGE_V alone
        self.along = [0.0] * _ERRORS  # covariance of the errors with the deficit
        self.var = self.innovation_v = self.sigmas = 0.0
        self.begun = self.alone = self.lost = False  # lost: the offset is to be found anew
        self.lean = 0.0  # of the innovations, in sigmas
        self.highest = self.measured = 0.0  # error of R0 of late, the most; the most that a step told
        self.jumps = 0
        self.other_fell = False

    def begin(self, q, excess_v, alone):
        """Nothing is known of the errors."""
        error, p = self.error, self.covariance
        for k in range(_ERRORS):
            error[k] = 0.0
        for k in range(_PAIRS):
            p[k] = 0.0
        table_v = _either(q, alone, _CHARGE_OCV_V, _PACK_OCV_V)
        ohm = _either(q, alone, _CHARGE_RESISTANCE_FRAC, _PACK_RESISTANCE_FRAC)
        if self.highest > NEVER_LOST:
            ohm = 1.0
        pair = _either(q, alone, _CHARGE_RC_FRAC, _PACK_RESISTANCE_FRAC)
        capacity2 = q[_CHARGE_CAPACITY_FRAC] * q[_CHARGE_CAPACITY_FRAC]
        capacity2 = capacity2 + q[_CHARGE_GAIN_FRAC] * q[_CHARGE_GAIN_FRAC] if alone else 2 * capacity2
        error[_CHARGE_V] = excess_v
        error[_MIDDLE] = -SLOW_PART if alone else 0.0
        error[_SLOW] = SLOW_PART if alone else 0.0
        variances = (BEGIN_V * BEGIN_V, table_v * table_v, ohm * ohm, pair * pair, pair * pair, capacity2)
        for k in range(_ERRORS):
            p[_ROW[k] + k] = variances[k]
        self.lost = False
        self.jumps = 0
        self.alone = alone
        self.begun = True

    def move(self, cell, move):
        """From one window to the next."""
        x, p = self.error, self.covariance
        per, keep = move.slope_v * move.soc, 1 / (1 + abs(move.soc) / TABLE_SOC)
        x[_CHARGE_V] += per * x[_PER_SOC]
        x[_TABLE_V] *= keep
        p[0] += per * (2 * p[_PER_SOC] + per * p[_PAIRS - 1])
        for j in range(_TABLE_V, _ERRORS):
            p[j] += per * p[_ROW[j] + _PER_SOC]
        p[_TABLE_V] *= keep
        for j in range(_TABLE_V, _ERRORS):
            p[_ROW[_TABLE_V] + j] *= keep
        self._walk(cell, move, keep)

    def _walk(self, cell, move, keep):
        q, p, hours, travelled = cell.q, self.covariance, move.dt_s / 3600, abs(move.soc)
        table_v = _either(q, move.alone, _CHARGE_OCV_V, _PACK_OCV_V)
        walk = self._resistance_walk(q, move)
        changed = TABLE_SHARE * TABLE_ERROR * TABLE_ERROR * abs(move.ohm_frac)
        part = 1 if move.alone else KNOWN_PACK
        pair2 = part * (PAIR_DRIFT * PAIR_DRIFT * hours + changed + PAIR_SOC * travelled)
        p[0] += self._charge_walk(cell, move, hours)
        at = _ROW[_TABLE_V] + _TABLE_V
        p[at] = keep * p[at] + table_v * table_v * (1 - keep * keep)
        p[_ROW[_FAST] + _FAST] += walk * walk * hours + changed
        p[_ROW[_MIDDLE] + _MIDDLE] += pair2
        p[_ROW[_SLOW] + _SLOW] += pair2
        p[_PAIRS - 1] += CAPACITY_DRIFT * CAPACITY_DRIFT * hours

    def _was_lost(self):
        """Whether R0 was higher than a cell's, surely, or so far as anyone knows."""
        return self.highest > NEVER_LOST or self._possible(UNKNOWN_SIGMAS) > UNKNOWN_LOST

    def _possible(self, sigmas):
        """As high as the relative error of R0 may be now."""
        return self.error[_FAST] + sigmas * sqrt(self.covariance[_ROW[_FAST] + _FAST])

    def lost_ohm(self):
        """What R0 surely was higher by of late; 0: no contact was lost."""
        most = max(self.highest, self.measured)
        return most * self.deficit.ohm if most > NEVER_LOST else 0.0

    def _resistance_walk(self, q, move):
        may_return = self._was_lost() and self._possible(1) > LOST_LEAST
        free = move.pair or not move.charges or may_return or self.lean < -LEAN
        if not free or move.size_c <= WORKS_C:
            return OHM_DRIFT
        return q[_CHARGE_CONTACT] * (1 + _LEAN_MORE * max(abs(self.lean) - 1, 0.0))

    def _charge_walk(self, cell, move, hours):
        flat, alone, model = cell.flat, move.alone, self.deficit
        drift_v = _either(cell.q, alone, _CHARGE_DRIFT_V, _PACK_DRIFT_V)
        part, half, travelled = 1 if alone else KNOWN_PACK, 1 if alone else 0.5, abs(move.soc)
        warm2 = ENTROPY_ERROR_V_PER_K * ENTROPY_ERROR_V_PER_K * _ENTROPY_K * abs(move.warmed_k)
        middle_v, slow_v = abs(move.middle_v), abs(move.slow_v)
        relaxed = middle_v * (abs(model.open2_v) + middle_v) + slow_v * (abs(model.open3_v) + slow_v)
        unknown_v = LOOP_UNKNOWN * half * flat[_HYSTERESIS_V] * (1 - model.driven)
        shape_v = LOOP_ERROR * half * flat[_HYSTERESIS_V]
        loop2 = 2 * unknown_v * unknown_v * flat[_HYSTERESIS_RATE] * travelled
        loop2 += 0.5 * shape_v * shape_v * abs(move.turned)
        offset_v = move.slope_v * cell.q[_CHARGE_OFFSET_C] if alone and not move.rests else 0.0
        drift2 = (drift_v * drift_v + _OFFSET_HOURS * offset_v * offset_v) * hours
        known2 = drift2 + part * (warm2 + RELAX_ERROR * RELAX_ERROR * relaxed)
        above_v = max(move.slope_v - cell.q[_CHARGE_SLOPE_MOST_V], 0.0)
        knee2 = EVENS_SOC * EVENS_SOC * (above_v * above_v) * move.evened2
        return known2 + (loop2 + self._bend2(cell, move, travelled) + knee2)

    def _bend2(self, cell, move, travelled):
        """What SOC's own error makes of bends of the OCV."""
        if move.steep:
            knee_v = KNEE_SHARE * move.slope_v * travelled + KNEE_V
            return knee_v * knee_v
        soc, soc_error = cell.ekf.soc, self._soc_error(cell, move)
        width = max(soc_error, BEND_SOC)
        bend = cell.over_soc(_DOCV_V, soc + width) - cell.over_soc(_DOCV_V, soc - width)
        bent_v = BEND_ERROR * soc_error * bend
        return bent_v * bent_v / (2 * width) * travelled

    def _soc_error(self, cell, move):
        """Of the filter that follows the voltage: a contact that is lost misleads it."""
        error = max(sqrt(cell.ekf.soc_var), SOC_ERROR_LEAST if move.alone else SOC_ERROR_PACK)
        if self.highest > NEVER_LOST and move.slope_v > 0:
            error += min(self.highest * self.deficit.ohm * abs(move.latest_a) / move.slope_v, SOC_ERROR_MOST)
        return error

    def predict(self, excess_v, fast_v, middle_v, slow_v):
        """Innovation and its variance, without noise."""
        x, p, h, along = self.error, self.covariance, self.h, self.along
        h[_FAST], h[_MIDDLE], h[_SLOW] = -fast_v, -middle_v, -slow_v
        var, innovation_v = 0.0, excess_v
        for i in range(_ERRORS):
            total = 0.0
            for j in range(_PER_SOC):
                total += p[_ROW[i] + j if i < j else _ROW[j] + i] * h[j]
            along[i] = total
            if i < _PER_SOC:
                innovation_v -= h[i] * x[i]
                var += h[i] * total
        self.innovation_v, self.var = innovation_v, var

    def anchor(self):
        """The offset is whatever it is now."""
        p, h = self.covariance, self.h
        self.error[_CHARGE_V] += self.innovation_v
        var = ANCHOR_V2
        for i in range(_TABLE_V, _ERRORS):
            along = 0.0
            for j in range(_TABLE_V, _PER_SOC):
                along += p[_ROW[i] + j if i < j else _ROW[j] + i] * h[j]
            p[i] = -along
            if i < _PER_SOC:
                var += h[i] * along
        p[0] = var
        self.lost = False

    def admit(self, q, move):
        """Noise of the window, and how far off it is."""
        ohm = self.deficit.ohm
        noise_v = q[_CHARGE_NOISE_V] * (1 if move.alone else PACK_NOISE)
        step_v = (STEP_ERROR + HIGHER_STEP * abs(self.error[_FAST])) * ohm * move.swing_a
        ohmic_v = CURRENT_ERROR * ohm * move.current_a
        self.var += noise_v * noise_v + (step_v * step_v + ohmic_v * ohmic_v)
        self.sigmas = self.innovation_v / sqrt(self.var)
        held = min(max(self.sigmas, -_LEAN_MOST), _LEAN_MOST)
        self.lean += share(move.dt_s, _LEAN_TAU_S) * (held - self.lean)
        if abs(self.sigmas) > _CLIP:  # an outlier teaches less
            self.var = self.var * abs(self.sigmas) / _CLIP

    def correct(self, move):
        self._take(self.innovation_v, self.var)
        forgotten = share(move.dt_s, _LOST_TAU_S)
        self.measured -= forgotten * self.measured
        self.highest -= forgotten * self.highest
        self.highest = max(self.highest, self._possible(-1))
        self._see_jump(move)

    def _take(self, innovation, var):
        x, p, along = self.error, self.covariance, self.along
        for i in range(_ERRORS):
            gain = along[i] / var
            x[i] += gain * innovation
            for j in range(i, _ERRORS):
                p[_ROW[i] + j] -= gain * along[j]
            p[_ROW[i] + i] = max(p[_ROW[i] + i], VARIANCE_LEAST)

    def _see_jump(self, move):
        """A step that stays: a contact was lost, or came back if it had been; at rest, something gave way, in a pair
        (`other_fell`) perhaps the other cell, which may end as suddenly."""
        self.other_fell = False
        self.jumps = self.jumps + 1 if abs(self.sigmas) > _JUMP else 0
        if move.steep or self.jumps < 2:
            return
        self.jumps = 0
        leaks = move.charges and self.innovation_v > 0 and not move.pair and not self._was_lost()
        if move.size_c > JUMP_C and not leaks:
            higher = self.innovation_v / (self.deficit.ohm * move.current_a)
            higher = min(max(higher, -_JUMP_MOST), _JUMP_MOST)
            self.covariance[_ROW[_FAST] + _FAST] += higher * higher
        elif self.innovation_v < 0 and move.size_c <= WORKS_C:
            self.covariance[0] += self.innovation_v * self.innovation_v
            self.other_fell = move.pair

    def hold_resistance(self, tests, nominal_ah):
        """A resistance below any cell's: a normal distribution that is cut off there has less variance and its mean
        inside. That it had to be cut speaks for what pushed it there."""
        higher = self.error[_FAST]
        if higher >= OHM_LEAST:
            return
        var = self.covariance[_ROW[_FAST] + _FAST]
        sigma = sqrt(var)
        for test in tests:
            beyond = test.leak_c * nominal_ah * test.follows[_FAST] / sigma
            test.learn(CUT_NATS * min(max(-beyond, -2), 1))
        self._learn_resistance(tests, (OHM_LEAST + CUT_MEAN * sigma - higher) / CUT_GAIN, var / CUT_GAIN)

    def learn_step(self, tests, step, nominal_ah):
        """A step of the current has told R0 (current_step.py). All steps have one error, so that many tell no more than
        one."""
        fast, part = _ROW[_FAST] + _FAST, HIGHER_SHARE * step.higher
        innovation = step.higher - self.error[_FAST]
        told2 = step.sigma * step.sigma + part * part
        var = self.covariance[fast] + told2
        if abs(innovation) > _CLIP * sqrt(var):  # R0 jumped, for all that is known, or the offset had taken it
            self.covariance[fast] = max(innovation * innovation / (_CLIP * _CLIP), 2 * told2)
            self.lost = True
        var = self.covariance[fast]
        if var > told2:
            var = var * var / (var - told2)
            for test in tests:
                test.weigh_resistance(innovation, var, nominal_ah)
            self._learn_resistance(tests, innovation, var)
        if step.sigma < KNOWS:
            self.highest = max(self._possible(-1), 0.0)
            self.measured = max(self.measured, self.highest)

    def _learn_resistance(self, tests, innovation, var):
        p, along = self.covariance, self.along
        for i in range(_ERRORS):
            along[i] = p[_ROW[i] + _FAST if i < _FAST else _ROW[_FAST] + i]
        for test in tests:
            test.follow(along, var, -test.follows[_FAST])
        self._take(innovation, var)

    def fits(self):
        """Whether these errors can be a cell's."""
        return abs(self.error[_FAST]) <= _OHM_MOST and abs(self.error[_PER_SOC]) <= CAPACITY_MOST


def _either(q, alone, single, pack):
    return q[single] if alone else q[pack]
