"""Evidence 3, charge: what the current brought and the voltage does not show.

The filter's SOC follows the voltage, so what it takes back of the counted charge is missing. A sum of that forgets what
the sensor's offset and gain, the capacity's error and self-discharge explain (CUSUM); it must exceed what the OCV table
and the resistances may be wrong by at this slope. In a pack all cells have one current sensor: what the lower median of
them misses is taken off, and the sensor's errors with it. The rate of the sum is the leak.

Off while SOC is unsure or the OCV is flat; what was missing before stays on the account. A single cell is bounded by its
sensor: a gain error of 0.2 % at 1C is a leak of C/500.
"""

from assb.const import const

from . import LEARNING, NORMAL
from .observed import later, share

_MISSING_CHARGE = const(2)
_BUSY_TAU_S = const(300)  # how long the voltage remembers a current (assumption)

# Places in the group `detection` of the parameters (a test compares)
_CHARGE_OFFSET_C = const(11)
_CHARGE_GAIN_FRAC = const(12)
_CHARGE_CAPACITY_FRAC = const(13)
_CHARGE_OCV_V = const(14)
_PACK_OCV_V = const(15)
_CHARGE_RESISTANCE_FRAC = const(16)
_PACK_RESISTANCE_FRAC = const(17)
_SELF_DISCHARGE_C = const(19)
_CHARGE_SETTLE_S = const(20)
_CHARGE_SOC_SIGMA_MAX = const(21)
_CHARGE_SLOPE_LEAST_V = const(22)


class MissingCharge:
    def __init__(self):
        self.missing = self.seen_s = self.excess = self.cells = self.sum = self.gained = self.elapsed_s = 0.0
        self.busy_a = self.bound = self.leak_a = self.leak_sigma_a = 0.0
        self.known = False  # whether it may be compared

    def lose(self):
        self.cells = 0  # the reference is no longer what excess was counted from

    def see(self, cell, missing, others):
        """Every second: `missing` of SOC in it; `others`: what the pack shows."""
        q = cell.q
        self._follow(cell, missing)
        excess = self.missing - others.missing
        rise = excess - self.excess
        compared = self.known and self.cells == others.cells
        self.excess = excess
        self.cells = others.cells if self.known else -1
        slope_v = cell.slope_v()
        if not compared:
            cell.tell(_MISSING_CHARGE, NORMAL if self.known else LEARNING, 0.0)
        elif (
            slope_v < q[_CHARGE_SLOPE_LEAST_V] or cell.ekf.soc_var > q[_CHARGE_SOC_SIGMA_MAX] * q[_CHARGE_SOC_SIGMA_MAX]
        ):
            cell.say_nothing(_MISSING_CHARGE)
        else:
            self._add(cell, rise, slope_v, others.cells < 2)

    def _follow(self, cell, missing):
        self.missing += missing
        self.seen_s = later(self.seen_s, cell.dt_s)
        size_a = abs(cell.current_a)
        self.busy_a = size_a if size_a > self.busy_a else self.busy_a - self.busy_a * share(cell.dt_s, _BUSY_TAU_S)
        self.known = self.seen_s >= cell.q[_CHARGE_SETTLE_S]

    def _add(self, cell, rise, slope_v, alone):
        ah = cell.capacity_ah()
        allowed = _allowance(cell.q, ah, cell.current_a, alone) * cell.dt_s / 3600
        self.sum += rise - allowed
        self.gained += rise
        self.elapsed_s = later(self.elapsed_s, cell.dt_s)
        if self.sum <= 0:
            self.sum = self.gained = self.elapsed_s = 0.0
        self.bound = self._bound(cell, slope_v, alone)
        if self.elapsed_s > 0:
            per_a = 3600 * ah / self.elapsed_s
            self.leak_a = self.gained * per_a
            self.leak_sigma_a = 0.5 * self.bound * per_a
        cell.judge(_MISSING_CHARGE, self.sum / self.bound)

    def _bound(self, cell, slope_v, alone):
        """What the OCV table and the resistances may be wrong by, as charge."""
        q = cell.q
        ocv_v = q[_CHARGE_OCV_V] if alone else q[_PACK_OCV_V]
        resistance_frac = q[_CHARGE_RESISTANCE_FRAC] if alone else q[_PACK_RESISTANCE_FRAC]
        return (ocv_v + resistance_frac * cell.loop_ohm() * self.busy_a) / slope_v


def _allowance(q, ah, current_a, alone):
    """What a sound cell may miss, in capacities per hour."""
    frac = q[_CHARGE_CAPACITY_FRAC] + (q[_CHARGE_GAIN_FRAC] if alone else 0)
    offset_c = q[_CHARGE_OFFSET_C] if alone else 0
    return frac * abs(current_a) / ah + offset_c + q[_SELF_DISCHARGE_C]
