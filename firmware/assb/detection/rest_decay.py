"""Evidence 4, charge: the voltage of a rested cell falls.

The relaxation of a rest slows down as 1/t at least, what a short takes does not: from one window to the next the slope
must exceed `rest_ratio` times what the flattest window so far leaves for later, and what a leak of `rest_leak_c` makes;
twice in a row, and where the OCV is steep enough to show it.
Temperature moves the voltage by the entropy, which is taken off, and a window that warmed says nothing; balancing and
the weather act on all cells of a pack, whose lower median is taken off.
"""

from assb.const import const

from . import LEARNING
from .observed import ONCE, later, share

_REST_DECAY = const(3)
_SETTLE_TAUS = const(5)
_SETTLE_LEAST_S = const(600)
_MEAN_TAU_S = const(30)
_FALLS = const(2)  # windows in a row
STEADY_K = 0.5

# Places in the group `detection` of the parameters (a test compares) ...
_CHARGE_SLOPE_LEAST_V = const(26)
_REST_WINDOW_S = const(28)
_REST_RATIO = const(29)
_REST_LEAK_C = const(30)
# ... and in the flat layout
_ENTROPY_V_PER_K = const(261)
_TAU2_S = const(403)


class RestDecay:
    """The pressure's fall in the same windows is watched by pressure_fall.py."""

    def __init__(self):
        self.voltage_v = self.pressure_mpa = 0.0
        self.mark_s = self.mark_v = self.mark_degc = self.mark_mpa = 0.0
        self.lose()

    def lose(self):
        self.rest_s = self.expected_v = self.expected_mpa = self.slope_v_per_s = self.fall_mpa_per_s = 0.0
        self.windows = self.falls = 0

    def see(self, cell, others):
        """Every second; `others`: what the pack shows."""
        if abs(cell.current_a) > cell.rest_a():
            self.lose()
            cell.say_nothing(_REST_DECAY)
            return
        part = share(cell.dt_s, _MEAN_TAU_S) if self.rest_s > 0 else 1
        self.voltage_v += part * (cell.voltage_v - self.voltage_v)
        self.pressure_mpa += part * (cell.pressure_mpa - self.pressure_mpa)
        self.rest_s = later(self.rest_s, cell.dt_s)
        if self.rest_s < max(_SETTLE_TAUS * cell.flat[_TAU2_S], _SETTLE_LEAST_S):
            cell.tell(_REST_DECAY, LEARNING, 0.0)
            self.mark_s = 0.0
            return
        if self.mark_s > 0:
            if self.rest_s - self.mark_s < cell.q[_REST_WINDOW_S]:
                return
            self._close_window(cell, others)
        self.mark_s = self.rest_s
        self.mark_v = self.voltage_v
        self.mark_mpa = self.pressure_mpa
        self.mark_degc = cell.temperature_degc

    def _close_window(self, cell, others):
        span_s, middle_s = self.rest_s - self.mark_s, 0.5 * (self.rest_s + self.mark_s)
        warmer_k = cell.temperature_degc - self.mark_degc
        self.slope_v_per_s = (self.voltage_v - self.mark_v - cell.flat[_ENTROPY_V_PER_K] * warmer_k) / span_s
        self.fall_mpa_per_s = (self.mark_mpa - self.pressure_mpa) / span_s
        own = self.slope_v_per_s - (others.slope_v_per_s if others.cells > 1 else 0)
        slope_v = cell.slope_v()
        floor = slope_v * cell.q[_REST_LEAK_C] / 3600
        self.windows = later(self.windows, 1)
        if abs(warmer_k) > STEADY_K or slope_v < cell.q[_CHARGE_SLOPE_LEAST_V] or self.windows < 2:
            cell.tell(_REST_DECAY, LEARNING, 0.0)
        else:
            score = -own / (cell.q[_REST_RATIO] * max(self.expected_v / middle_s, floor))
            self.falls = later(self.falls, 1) if score >= 1 else 0
            cell.judge(_REST_DECAY, ONCE if self.falls < _FALLS and score >= 1 else score)
        steep_v = abs(self.slope_v_per_s) * middle_s
        if self.windows < 2 or steep_v < self.expected_v:
            self.expected_v = steep_v  # slope times time of the relaxation
