"""Evidence 3, charge: the voltage falls behind that of a cell that lost no charge, by more than errors explain.

The deficit (deficit.py), smoothed, less the lower median of the pack's, less what the model's errors explain
(model_errors.py), is added up twice (charge_sum.py): a slow sum for weak leaks, and a fast one with a smaller tolerance
that forgets weak leaks. A sum forgets what the sensor's offset and self-discharge explain; in a pack all cells have one
sensor and one table. The tolerance is that of the OCV and of SOC where the OCV is steep or bends; it is wider for a
cell of which nothing was learned yet (time teaches what a rest shows, and charge what a current does), for one that
works, and while a contact is lost. Where in its hysteresis loop a new cell is nobody knows, until it was driven to one
side.

Off while SOC is unsure or at an end, and where the OCV is flat or a knee; what happened meanwhile may clear the cell,
not accuse it, and what was missing before stays on the account. What a leak took since the sum began, at once
over the resistances and then as charge, is its rate. A single cell is bounded by its sensor: a gain error of 0.2 % at
1C is a leak of C/500.
"""

from math import sqrt

from assb.const import const

from . import ACTIVE, LEARNING, UNAVAILABLE
from .charge_sum import Account, ChargeSum
from .deficit import Deficit
from .model_errors import ByCause, BySoc
from .observed import later, share

_MISSING_CHARGE = const(2)
_CONTACT_LOSS = const(12)
_MEAN_TAU_S = const(30)
_SLOW_TAU_S = const(600)
_CLEAR_TAUS = const(3)  # what was smoothed is gone
SOC_AT_END = 1e-4
_ACTIVE_TAU_S = const(1800)
_EXPERIENCE_S = const(14400)  # of time that count as much as a charge (assumption)
_FAST_SURE_S = const(30)  # how long a score has to stand (assumption)
_SLOW_SURE_S = const(120)
COMPARED = 3  # cells in series from which on each has the others to compare with
ACTIVE_C = 0.1
REST_SHARE = 0.3  # of the OCV's tolerance, for a cell that rests (assumption)
BEND_SOC = 0.03
BEND_SIGMA_LEAST = 0.005
LOOP_ERROR = 0.2  # of half the hysteresis loop (assumption)
MAP_LEAVES = 0.25  # of the table's error, once it is learned (assumption)

# Places in the flat layout ...
_DOCV_V = const(131)
_TAU2_S = const(403)
_HYSTERESIS_V = const(404)
_HYSTERESIS_RATE = const(405)
# ... and in its group `detection` (a test compares)
_CHARGE_OFFSET_C = const(12)
_CHARGE_GAIN_FRAC = const(13)
_CHARGE_CAPACITY_FRAC = const(14)
_CHARGE_SLOPE_FRAC = const(15)
_PACK_SLOPE_FRAC = const(16)
_CHARGE_TABLE_V = const(17)
_PACK_TABLE_V = const(18)
_CHARGE_OCV_V = const(19)
_PACK_OCV_V = const(20)
_CHARGE_SOC_FRAC = const(21)
_CHARGE_RESISTANCE_FRAC = const(22)
_PACK_RESISTANCE_FRAC = const(23)
_CHARGE_CONTACT = const(24)
_CHARGE_USUAL = const(25)
_CHARGE_NEW = const(26)
_CHARGE_FAST_C = const(27)
_CHARGE_FAST = const(28)
_CHARGE_SLOW = const(29)
_SELF_DISCHARGE_C = const(30)
_CHARGE_SETTLE_S = const(31)
_CHARGE_SOC_SIGMA_MAX = const(32)
_CHARGE_SLOPE_LEAST_V = const(33)
_CHARGE_SLOPE_MOST_V = const(34)


class MissingCharge:
    def __init__(self, real):
        self.deficit = Deficit(real)
        self.by_cause = ByCause(real)
        self.by_soc = BySoc(real)
        self.account = Account()
        self.fast, self.slow = ChargeSum(), ChargeSum()
        self.seen_s = self.clear_s = 0.0
        self.known = False  # whether it may be compared
        self.cells = -1  # of how many cells the excess was counted against
        self.held = False  # the way of the excess since held_v says nothing: it could not be compared
        self.held_v = 0.0
        self.mean_v = self.excess_v = self.current_a = self.slow_a = self.loop = 0.0  # smoothed; slow_a more
        self.active = 0.0  # 0 rests .. 1 works, smoothed
        self.leak_a = self.leak_sigma_a = 0.0
        self._change = [0.0, 0.0, 0.0]

    def lose(self):
        self.cells = -1  # the reference is no longer what excess was counted from
        self.by_soc.bin = -1

    def see(self, cell, missing, others):
        """Every second: `missing` of SOC in it; `others`: what the pack shows."""
        slope_v = cell.slope_v()
        self.clear_s = 0.0 if _blind(cell, slope_v) else later(self.clear_s, cell.dt_s)
        self.deficit.find(cell, missing, self.seen_s == 0)
        self._smooth(cell)
        rise_v, compared = self._compare(cell.q, others)
        if not compared:
            self.by_soc.soc = cell.ekf.soc
            self.by_soc.bin = -1
            self.held = True
            # what was missing before stays on the account
            settles = self.seen_s < cell.q[_CHARGE_SETTLE_S]
            cell.tell(_MISSING_CHARGE, LEARNING if settles else UNAVAILABLE, 0.0)
            return
        self._see_compared(cell, slope_v, rise_v, others.cells < COMPARED)

    def _see_compared(self, cell, slope_v, rise_v, alone):
        if self.held:  # what happened meanwhile may clear the cell, not accuse it
            fell_v = min(self.excess_v - self.held_v, 0.0)
            self.slow.up_v += fell_v
            self.fast.up_v += fell_v
            rise_v = 0.0
        self.held = False
        self.held_v = self.excess_v
        left_v = self.by_cause.left(cell, rise_v, self._change)
        left_v -= self.by_soc.expected_v(cell, left_v)
        self._judge(cell, left_v, slope_v, alone)

    def _smooth(self, cell):
        """So that what a load's ups and downs show of the model is gone."""
        model, change = self.deficit, self._change
        if self.seen_s == 0:
            self.mean_v = model.deficit_v
            self.current_a = self.slow_a = cell.current_a
            self.loop = model.open_hysteresis
        part = share(cell.dt_s, _MEAN_TAU_S)
        self.mean_v += part * (model.deficit_v - self.mean_v)
        change[0] = part * (cell.current_a - self.current_a)
        change[1] = share(cell.dt_s, _SLOW_TAU_S) * (cell.current_a - self.slow_a)
        change[2] = part * (model.open_hysteresis - self.loop)
        self.current_a += change[0]
        self.slow_a += change[1]
        self.loop += change[2]
        self.seen_s = later(self.seen_s, cell.dt_s)

    def _compare(self, q, others):
        """Rise of what the cell lacks against the pack, and whether that was there a second ago."""
        self.known = self.seen_s >= q[_CHARGE_SETTLE_S] and self.clear_s >= _CLEAR_TAUS * _MEAN_TAU_S
        excess_v = self.mean_v - others.deficit_v
        rise_v = excess_v - self.excess_v
        compared = self.known and self.cells == others.cells
        self.excess_v = excess_v
        self.cells = others.cells if self.known else -1
        return rise_v, compared

    def _judge(self, cell, left_v, slope_v, alone):
        q, fast, slow = cell.q, self.fast, self.slow
        tolerance_v = self._tolerance_v(cell, slope_v, alone)
        loop_ohm = cell.loop_ohm()
        account = self._filled(cell, slope_v, alone)
        account.ohm = (q[_CHARGE_RESISTANCE_FRAC] if alone else q[_PACK_RESISTANCE_FRAC]) * loop_ohm
        # what a second may miss: the sensor's offset, which all cells of a pack share, and self-discharge
        per_h = slope_v * ((q[_CHARGE_OFFSET_C] if alone else 0) + q[_SELF_DISCHARGE_C])
        allowed_v = per_h * cell.dt_s / 3600
        account.tolerance_v, account.sure_s = q[_CHARGE_SLOW] * tolerance_v, _SLOW_SURE_S
        slow.add(account, left_v, allowed_v)
        account.tolerance_v, account.sure_s = q[_CHARGE_FAST] * tolerance_v, _FAST_SURE_S
        fast.add(account, left_v, allowed_v + slope_v * q[_CHARGE_FAST_C] * cell.dt_s / 3600)
        strongest = fast if fast.score > slow.score else slow
        self._estimate_leak(cell, strongest, loop_ohm, slope_v, q[_CHARGE_SLOW] * tolerance_v)
        cell.judge(_MISSING_CHARGE, max(fast.sure, slow.sure))

    def _tolerance_v(self, cell, slope_v, alone):
        q = cell.q
        size_c = min(abs(cell.current_a) / (ACTIVE_C * cell.capacity_ah()), 1.0)
        self.active -= share(cell.dt_s, _ACTIVE_TAU_S) * (self.active - size_c)
        self.active = max(self.active, size_c)  # works at once, rests by and by
        # time teaches what a rest shows, and charge what a current does
        learned = self.by_soc.travelled + (1 - self.active) * self.seen_s / _EXPERIENCE_S
        learned = learned * learned
        wide = 1 + q[_CHARGE_NEW] / (1 + learned * learned)
        if cell.state[_CONTACT_LOSS] == ACTIVE:
            wide *= 1 + cell.score[_CONTACT_LOSS]
        ocv_v = (q[_CHARGE_OCV_V] if alone else q[_PACK_OCV_V]) * (REST_SHARE + (1 - REST_SHARE) * self.active)
        return wide * (ocv_v + slope_v * q[_CHARGE_SOC_FRAC] + _bend_v(cell))

    def _filled(self, cell, slope_v, alone):
        account, q = self.account, cell.q
        account.higher_ohm = self.by_cause.higher_ohm
        account.current_a, account.r0_ohm, account.degc = self.current_a, cell.ekf.r0_ohm, cell.temperature_degc
        # where in its loop a new cell is nobody knows, until it has been driven to one side
        driven = 1 + self.by_soc.travelled * cell.flat[_HYSTERESIS_RATE]
        account.loop = self.deficit.open_hysteresis
        account.loop_v = cell.flat[_HYSTERESIS_V] * (LOOP_ERROR + (1 - LOOP_ERROR) / (driven * driven))
        account.soc = cell.ekf.soc
        account.table_v = _table_error_v(q, alone, self.by_soc.doubt_v)
        account.table_most_v = q[_CHARGE_TABLE_V] if alone else q[_PACK_TABLE_V]
        account.capacity_v = slope_v * (q[_CHARGE_CAPACITY_FRAC] + (q[_CHARGE_GAIN_FRAC] if alone else 0))
        account.contact, account.widest = q[_CHARGE_CONTACT], q[_CHARGE_USUAL]
        account.dt_s = cell.dt_s
        return account

    def _estimate_leak(self, cell, strongest, loop_ohm, slope_v, tolerance_v):
        """A leak shows across the resistances, as soon as they and the smoothing follow, then as charge."""
        shown_ohm = loop_ohm * (1 - share(cell.flat[_TAU2_S] + _MEAN_TAU_S, strongest.up_s + 1e-3))
        per_v = 1 / (shown_ohm + slope_v * strongest.up_s / (3600 * cell.capacity_ah()) + 1e-6)
        self.leak_a = strongest.risen_v * per_v
        self.leak_sigma_a = 0.5 * tolerance_v * per_v


def _blind(cell, slope_v):
    """Where the voltage does not tell charge."""
    q, soc = cell.q, cell.ekf.soc
    at_end = soc < SOC_AT_END or soc > 1 - SOC_AT_END or slope_v > q[_CHARGE_SLOPE_MOST_V]
    doubt = q[_CHARGE_SOC_SIGMA_MAX] * q[_CHARGE_SOC_SIGMA_MAX]
    return slope_v < q[_CHARGE_SLOPE_LEAST_V] or at_end or cell.ekf.soc_var > doubt


def _bend_v(cell):
    """What SOC's own uncertainty makes of a bend of the OCV nearby."""
    soc = cell.ekf.soc
    bend = cell.over_soc(_DOCV_V, soc + BEND_SOC) - cell.over_soc(_DOCV_V, soc - BEND_SOC)
    return abs(bend) * max(sqrt(cell.ekf.soc_var), BEND_SIGMA_LEAST)


def _table_error_v(q, alone, doubt_v):
    """Error of dOCV/dSOC, V per unit SOC: what is learned of it is taken off, as far as both ways agree (`doubt_v`;
    negative: nothing is learned)."""
    table_v = q[_CHARGE_SLOPE_FRAC] if alone else q[_PACK_SLOPE_FRAC]
    left_v = MAP_LEAVES * table_v + doubt_v
    return left_v if doubt_v >= 0 and left_v < table_v else table_v
