"""Evidence 3, charge: the voltage falls behind that of a cell that lost no charge, by more than errors explain.

The deficit (deficit.py), smoothed, less the lower median of the pack's, less what the model's errors explain
(model_errors.py), is added up (CUSUM) in tolerances, twice: a slow sum for weak leaks, a fast one of half the tolerance
that forgets weak leaks. A sum forgets what the sensor's offset and self-discharge explain, and must exceed what errors
of resistances, hysteresis, entropy, capacity and table can make of the way since it began; in a pack all cells have one
sensor and one table. How far a sum usually goes, down or up and away again, widens the tolerance, and so does a cell of
which nothing was learned yet.

Off while SOC is unsure or at an end, and where the OCV is flat or a knee. What a leak took since the sum began, at once
over the resistances and then as charge, is its rate. A single cell is bounded by its sensor: a gain error of 0.2 % at
1C is a leak of C/500.
"""

from assb.const import const

from . import LEARNING, UNAVAILABLE
from .deficit import Deficit
from .model_errors import ByCause, BySoc
from .observed import later, share

_MISSING_CHARGE = const(2)
_MEAN_TAU_S = const(30)
_SLOW_TAU_S = const(600)
_CLEAR_TAUS = const(3)  # what was smoothed is gone
_USUAL_TAU_S = const(172800)
SOC_AT_END = 1e-4
_ACTIVE_TAU_S = const(1800)
_EXPERIENCE_S = const(14400)  # of time that count as much as a charge (assumption)
COMPARED = 3  # cells in series from which on each has the others to compare with
ACTIVE_C = 0.1
TABLE_ERROR = 0.2  # of a change of R0 with temperature and pressure
ENTROPY_ERROR_V_PER_K = 0.0002
LOOP_ERROR = 0.2  # of half the hysteresis loop (assumption)
MAP_LEAVES = 0.25  # of the table's error, once it is learned (assumption)

# Places in the flat layout ...
_TAU2_S = const(403)
_HYSTERESIS_V = const(404)
# ... and in its group `detection` (a test compares)
_CHARGE_OFFSET_C = const(11)
_CHARGE_GAIN_FRAC = const(12)
_CHARGE_CAPACITY_FRAC = const(13)
_CHARGE_SLOPE_FRAC = const(14)
_PACK_SLOPE_FRAC = const(15)
_CHARGE_TABLE_V = const(16)
_PACK_TABLE_V = const(17)
_CHARGE_OCV_V = const(18)
_PACK_OCV_V = const(19)
_CHARGE_SOC_FRAC = const(20)
_CHARGE_RESISTANCE_FRAC = const(21)
_PACK_RESISTANCE_FRAC = const(22)
_CHARGE_CONTACT = const(23)
_CHARGE_USUAL = const(24)
_CHARGE_NEW = const(25)
_CHARGE_FAST_C = const(26)
_CHARGE_FAST = const(27)
_SELF_DISCHARGE_C = const(28)
_CHARGE_SETTLE_S = const(29)
_CHARGE_SOC_SIGMA_MAX = const(30)
_CHARGE_SLOPE_LEAST_V = const(31)
_CHARGE_SLOPE_MOST_V = const(32)


class Account:
    """What a rise may be although nothing is short."""

    def __init__(self):
        self.current_a = self.r0_ohm = self.degc = self.loop = 0.0  # at the moment; loop: of the hysteresis, -1 .. 1
        self.ohm = 0.0  # what the resistances may be wrong by
        self.loop_v = 0.0  # and the hysteresis
        self.soc = self.table_v = self.table_most_v = self.capacity_v = 0.0  # and table and capacity, per SOC
        self.contact = 0.0  # how many R0 a lost contact may add: on discharge a leak, until the current changes
        self.tolerance_v = self.widest = 1.0
        self.dt_s = 0.0

    def explained(self, begun):
        """Of a sum, since it began; in tolerances."""
        volts = (
            self.ohm * abs(self.current_a - begun.up_a)
            + TABLE_ERROR * abs(self.r0_ohm - begun.up_ohm) * abs(self.current_a)
            + ENTROPY_ERROR_V_PER_K * abs(self.degc - begun.up_degc)
            + self.loop_v * abs(self.loop - begun.up_loop)
        )
        moved = abs(self.soc - begun.up_soc)
        volts += self.capacity_v * moved + min(self.table_v * moved, self.table_most_v)
        if self.current_a < 0:
            volts -= self.contact * self.r0_ohm * self.current_a
        return volts / self.tolerance_v


class ChargeSum:
    """What is missing (up) and what is too much (down), each forgetting what errors explain; 1: a tolerance."""

    def __init__(self):
        self.up = self.up_most = self.up_s = self.up_v = 0.0  # time and voltage since it began ...
        self.up_a = self.up_ohm = self.up_degc = self.up_loop = self.up_soc = 0.0  # ... what stood then
        self.down = self.down_a = self.usual = self.score = 0.0  # usual: how far it gets without a short

    def add(self, account, rise_v, allowed_v):
        self.up += (rise_v - allowed_v) / account.tolerance_v
        self.up_v += rise_v
        self.up_s = later(self.up_s, account.dt_s)
        self.up_most = max(self.up_most, self.up - account.explained(self))
        if self.up <= 0:
            self._begin(account)
        self.down -= (rise_v + allowed_v) / account.tolerance_v
        if self.down <= 0:
            self.down = 0.0
            self.down_a = account.current_a
        self.usual -= self.usual * share(account.dt_s, _USUAL_TAU_S)
        by_current = account.ohm * abs(account.current_a - self.down_a) / account.tolerance_v
        self.usual = max(self.usual, self.down - by_current)
        self.score = self.up / (max(account.widest * self.usual, 1.0) + account.explained(self))

    def _begin(self, account):
        self.usual = max(self.usual, self.up_most)  # it went away again: no short does
        self.up = self.up_most = self.up_v = self.up_s = 0.0
        self.up_a, self.up_ohm = account.current_a, account.r0_ohm
        self.up_degc, self.up_loop, self.up_soc = account.degc, account.loop, account.soc


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
            # what was missing before stays on the account
            settles = self.seen_s < cell.q[_CHARGE_SETTLE_S]
            cell.tell(_MISSING_CHARGE, LEARNING if settles else UNAVAILABLE, 0.0)
            return
        left_v = self.by_cause.left(cell, rise_v, self._change)
        left_v -= self.by_soc.expected_v(cell, left_v)
        self._judge(cell, left_v, slope_v, others.cells < COMPARED)

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
        q = cell.q
        size_c = min(abs(cell.current_a) / (ACTIVE_C * cell.capacity_ah()), 1.0)
        self.active += share(cell.dt_s, _ACTIVE_TAU_S) * (size_c - self.active)
        learned = self.by_soc.travelled + self.seen_s / _EXPERIENCE_S
        learned = learned * learned
        new = 1 + q[_CHARGE_NEW] / (1 + learned * learned)
        tolerance_v = new * ((q[_CHARGE_OCV_V] if alone else q[_PACK_OCV_V]) + slope_v * q[_CHARGE_SOC_FRAC])
        loop_ohm = cell.loop_ohm()
        account = self._filled(cell, slope_v, alone)
        account.ohm = (q[_CHARGE_RESISTANCE_FRAC] if alone else q[_PACK_RESISTANCE_FRAC]) * loop_ohm
        # what a second may miss: the sensor's offset, which all cells of a pack share, and self-discharge
        per_h = slope_v * ((q[_CHARGE_OFFSET_C] if alone else 0) + q[_SELF_DISCHARGE_C])
        allowed_v = per_h * cell.dt_s / 3600
        account.tolerance_v = tolerance_v
        self.slow.add(account, left_v, allowed_v)
        account.tolerance_v = q[_CHARGE_FAST] * tolerance_v
        self.fast.add(account, left_v, allowed_v + slope_v * q[_CHARGE_FAST_C] * cell.dt_s / 3600)
        strongest = self.fast if self.fast.score > self.slow.score else self.slow
        self._estimate_leak(cell, strongest, loop_ohm, slope_v, tolerance_v)
        cell.judge(_MISSING_CHARGE, strongest.score)

    def _filled(self, cell, slope_v, alone):
        account, q = self.account, cell.q
        account.current_a, account.r0_ohm, account.degc = self.current_a, cell.ekf.r0_ohm, cell.temperature_degc
        account.loop, account.loop_v = self.deficit.open_hysteresis, LOOP_ERROR * cell.flat[_HYSTERESIS_V]
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
        self.leak_a = strongest.up_v * per_v
        self.leak_sigma_a = 0.5 * tolerance_v * per_v


def _blind(cell, slope_v):
    """Where the voltage does not tell charge."""
    q, soc = cell.q, cell.ekf.soc
    at_end = soc < SOC_AT_END or soc > 1 - SOC_AT_END or slope_v > q[_CHARGE_SLOPE_MOST_V]
    doubt = q[_CHARGE_SOC_SIGMA_MAX] * q[_CHARGE_SOC_SIGMA_MAX]
    return slope_v < q[_CHARGE_SLOPE_LEAST_V] or at_end or cell.ekf.soc_var > doubt


def _table_error_v(q, alone, doubt_v):
    """Error of dOCV/dSOC, V per unit SOC: what is learned of it is taken off, as far as both ways agree (`doubt_v`;
    negative: nothing is learned)."""
    table_v = q[_CHARGE_SLOPE_FRAC] if alone else q[_PACK_SLOPE_FRAC]
    left_v = MAP_LEAVES * table_v + doubt_v
    return left_v if doubt_v >= 0 and left_v < table_v else table_v
