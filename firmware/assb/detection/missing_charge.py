"""Evidence 3, charge: the voltage falls behind that of a cell that lost no charge, by more than errors explain.

The deficit (deficit.py), smoothed, less the lower median of the pack's, less what the model's errors explain
(model_errors.py), is added up (CUSUM) in tolerances, twice: a slow sum for weak leaks, a fast one of half the tolerance
that forgets weak leaks. A sum forgets what the sensor's offset and gain, the capacity's and the table's error and
self-discharge explain; in a pack all cells have one sensor and one table. A sound cell's sum goes as far down as up, so
how far down it usually gets widens the tolerance, and so does a cell of which nothing was learned yet.

Off while SOC is unsure or at an end, and where the OCV is flat or a knee. What a leak took since the sum began, at once
over the resistances and then as charge, is its rate. A single cell is bounded by its sensor: a gain error of 0.2 % at
1C is a leak of C/500.
"""

from assb.const import const

from . import LEARNING, NORMAL
from .deficit import Deficit
from .model_errors import ByCurrent, BySoc
from .observed import later, share

_MISSING_CHARGE = const(2)
_MEAN_TAU_S = const(30)
_SLOW_TAU_S = const(600)
_CLEAR_TAUS = const(3)  # what was smoothed is gone
_USUAL_TAU_S = const(172800)
SOC_AT_END = 1e-4
TABLE_ERROR = 0.2  # of a change of R0 with temperature and pressure

# Places in the flat layout ...
_TAU2_S = const(403)
# ... and in its group `detection` (a test compares)
_CHARGE_OFFSET_C = const(11)
_CHARGE_GAIN_FRAC = const(12)
_CHARGE_CAPACITY_FRAC = const(13)
_CHARGE_SLOPE_FRAC = const(14)
_PACK_SLOPE_FRAC = const(15)
_CHARGE_OCV_V = const(16)
_PACK_OCV_V = const(17)
_CHARGE_SOC_FRAC = const(18)
_CHARGE_RESISTANCE_FRAC = const(19)
_PACK_RESISTANCE_FRAC = const(20)
_CHARGE_CONTACT = const(21)
_CHARGE_USUAL = const(22)
_CHARGE_NEW = const(23)
_CHARGE_FAST_C = const(24)
_CHARGE_FAST = const(25)
_SELF_DISCHARGE_C = const(26)
_CHARGE_SETTLE_S = const(27)
_CHARGE_SOC_SIGMA_MAX = const(28)
_CHARGE_SLOPE_LEAST_V = const(29)
_CHARGE_SLOPE_MOST_V = const(30)


class ChargeSum:
    """What is missing (up) and what is too much (down), each forgetting what errors explain; 1: a tolerance."""

    def __init__(self):
        self.up = self.up_a = self.up_ohm = 0.0  # current and R0 where it began ...
        self.up_s = self.up_v = 0.0  # ... and time and voltage since
        self.down = self.down_a = self.down_ohm = self.usual = self.score = 0.0  # usual: how far down it gets

    def add(self, cell, rise_v, allowed_v, tolerance_v, current_a, ohm):
        """`ohm`: what the resistances may be wrong by."""
        r0_ohm = cell.ekf.r0_ohm
        self.up += (rise_v - allowed_v) / tolerance_v
        self.up_v += rise_v
        self.up_s = later(self.up_s, cell.dt_s)
        if self.up <= 0:
            self.up = self.up_v = self.up_s = 0.0
            self.up_a, self.up_ohm = current_a, r0_ohm
        self.down -= (rise_v + allowed_v) / tolerance_v
        if self.down <= 0:
            self.down = 0.0
            self.down_a, self.down_ohm = current_a, r0_ohm
        self.usual -= self.usual * share(cell.dt_s, _USUAL_TAU_S)
        self.usual = max(self.usual, self.down - ohm * abs(current_a - self.down_a) / tolerance_v)
        explained = self._explained_v(cell, current_a, ohm) / tolerance_v
        self.score = self.up / (max(cell.q[_CHARGE_USUAL] * self.usual, 1.0) + explained)

    def _explained_v(self, cell, current_a, ohm):
        """What a rise since it began may be although nothing is short. On discharge a lost contact, which adds some R0,
        looks like a leak until the current changes."""
        r0_ohm = cell.ekf.r0_ohm
        volts = ohm * abs(current_a - self.up_a) + TABLE_ERROR * abs(r0_ohm - self.up_ohm) * abs(current_a)
        return volts - cell.q[_CHARGE_CONTACT] * r0_ohm * current_a if current_a < 0 else volts


class MissingCharge:
    def __init__(self, real):
        self.deficit = Deficit(real)
        self.by_current = ByCurrent()
        self.by_soc = BySoc(real)
        self.fast, self.slow = ChargeSum(), ChargeSum()
        self.seen_s = self.clear_s = 0.0
        self.known = False  # whether it may be compared
        self.cells = -1  # of how many cells the excess was counted against
        self.mean_v = self.excess_v = self.current_a = self.slow_a = 0.0  # smoothed; slow_a more
        self.leak_a = self.leak_sigma_a = 0.0

    def lose(self):
        self.cells = -1  # the reference is no longer what excess was counted from
        self.by_soc.bin = -1

    def see(self, cell, missing, others):
        """Every second: `missing` of SOC in it; `others`: what the pack shows."""
        self.deficit.find(cell, missing, self.seen_s == 0)
        fast_a, slow_a = self._smooth(cell)
        rise_v, compared = self._compare(cell.q, others)
        if not compared:
            self.by_soc.soc = cell.ekf.soc
            cell.tell(_MISSING_CHARGE, NORMAL if self.known else LEARNING, 0.0)
            return
        slope_v = cell.slope_v()
        self.clear_s = 0.0 if _blind(cell, slope_v) else later(self.clear_s, cell.dt_s)
        if self.clear_s < _CLEAR_TAUS * _MEAN_TAU_S:
            self.by_soc.soc = cell.ekf.soc
            self.by_soc.bin = -1
            cell.say_nothing(_MISSING_CHARGE)  # what was missing before stays on the account
            return
        left_v = self.by_current.left(cell, rise_v, fast_a, slow_a)
        left_v -= self.by_soc.expected_v(cell, left_v)
        self._judge(cell, left_v, slope_v, others.cells < 2)

    def _smooth(self, cell):
        """So that what a load's ups and downs show of the model is gone. The changes of both smoothed currents."""
        if self.seen_s == 0:
            self.mean_v = self.deficit.deficit_v
            self.current_a = self.slow_a = cell.current_a
        part = share(cell.dt_s, _MEAN_TAU_S)
        self.mean_v += part * (self.deficit.deficit_v - self.mean_v)
        fast_a = part * (cell.current_a - self.current_a)
        slow_a = share(cell.dt_s, _SLOW_TAU_S) * (cell.current_a - self.slow_a)
        self.current_a += fast_a
        self.slow_a += slow_a
        self.seen_s = later(self.seen_s, cell.dt_s)
        return fast_a, slow_a

    def _compare(self, q, others):
        """Rise of what the cell lacks against the pack, and whether that was there a second ago."""
        self.known = self.seen_s >= q[_CHARGE_SETTLE_S]
        excess_v = self.mean_v - others.deficit_v
        rise_v = excess_v - self.excess_v
        compared = self.known and self.cells == others.cells
        self.excess_v = excess_v
        self.cells = others.cells if self.known else -1
        return rise_v, compared

    def _judge(self, cell, left_v, slope_v, alone):
        q, ah = cell.q, cell.capacity_ah()
        new = 1 + q[_CHARGE_NEW] / (1 + 2 * self.by_soc.travelled)
        tolerance_v = new * ((q[_CHARGE_OCV_V] if alone else q[_PACK_OCV_V]) + slope_v * q[_CHARGE_SOC_FRAC])
        loop_ohm = cell.loop_ohm()
        ohm = (q[_CHARGE_RESISTANCE_FRAC] if alone else q[_PACK_RESISTANCE_FRAC]) * loop_ohm
        allowed_v = _allowed_v(cell, ah, slope_v, alone)
        self.slow.add(cell, left_v, allowed_v, tolerance_v, self.current_a, ohm)
        allowed_v += slope_v * q[_CHARGE_FAST_C] * cell.dt_s / 3600
        self.fast.add(cell, left_v, allowed_v, q[_CHARGE_FAST] * tolerance_v, self.current_a, ohm)
        strongest = self.fast if self.fast.score > self.slow.score else self.slow
        self._estimate_leak(cell, strongest, loop_ohm, slope_v, tolerance_v)
        cell.judge(_MISSING_CHARGE, strongest.score)

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


def _allowed_v(cell, ah, slope_v, alone):
    """What a second may miss although nothing is short."""
    q, per_h = cell.q, abs(cell.current_a) / ah
    frac = q[_CHARGE_CAPACITY_FRAC] + (q[_CHARGE_GAIN_FRAC] if alone else 0)
    offset_c = q[_CHARGE_OFFSET_C] if alone else 0
    table_v = q[_CHARGE_SLOPE_FRAC] if alone else q[_PACK_SLOPE_FRAC]
    per_s = slope_v * (frac * per_h + (offset_c + q[_SELF_DISCHARGE_C])) + table_v * per_h
    return per_s * cell.dt_s / 3600
