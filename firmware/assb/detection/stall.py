"""Evidence 8, electrical: a constant current charges, and the voltage does not rise as the OCV should.

Three spans of `stall_s` in a row must say so; a change of current or temperature, or a move of the press, begins anew.
Off where the OCV is a plateau, and for cells that have one (LTO, Li-S): there a voltage that stays is the rule.
That the charge voltage of a shorted cell stops rising: Menkin, Grey et al., Faraday Discuss. 2024.
"""

from assb.const import const

from . import LEARNING
from .observed import ONCE, later

_STALL = const(7)
_STALLS = const(3)  # in a row
STEADY_K = 0.3
STEADY_FRAC = 0.02
LEAST_V = 0.002
SLOPE_LEAST_V = 0.25  # dOCV/dSOC of a plateau

# Places in the group `detection` of the parameters (a test compares)
_CHARGE_SLOPE_MOST_V = const(27)
_STALL_RATIO = const(35)
_STALL_S = const(36)


class Stall:
    def __init__(self):
        self.span_s = self.start_v = self.start_degc = self.charge_frac = self.low_a = 0.0
        self.stalls = 0

    def lose(self):
        self.span_s = 0.0

    def see(self, cell):
        """Every second."""
        slope_v = cell.slope_v()
        plateau = slope_v < SLOPE_LEAST_V or cell.q[_CHARGE_SLOPE_MOST_V] < 2 * SLOPE_LEAST_V
        charges = cell.current_a > cell.rest_a() and not plateau
        if not charges:
            cell.say_nothing(_STALL)
        if not charges or not self._steady(cell):
            self.stalls = 0
            self._begin(cell)
            return
        self.span_s = later(self.span_s, cell.dt_s)
        self.charge_frac += cell.current_a * cell.dt_s / (3600 * cell.capacity_ah())
        if self.span_s >= cell.q[_STALL_S]:
            self._close(cell, slope_v * self.charge_frac)
            self._begin(cell)

    def _steady(self, cell):
        return (
            abs(cell.current_a - self.low_a) <= STEADY_FRAC * abs(self.low_a)
            and abs(cell.temperature_degc - self.start_degc) <= STEADY_K
            and not cell.moved_press()
        )

    def _close(self, cell, expected_v):
        if expected_v <= LEAST_V:
            cell.tell(_STALL, LEARNING, 0.0)
            return
        score = (1 - (cell.voltage_v - self.start_v) / expected_v) / (1 - cell.q[_STALL_RATIO])
        self.stalls = later(self.stalls, 1) if score >= 1 else 0
        cell.judge(_STALL, ONCE if self.stalls < _STALLS and score >= 1 else score)

    def _begin(self, cell):
        self.span_s = self.charge_frac = 0.0
        self.start_v = cell.voltage_v
        self.start_degc = cell.temperature_degc
        self.low_a = cell.current_a
