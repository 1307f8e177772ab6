"""Evidence 8, electrical: a constant current charges, and the voltage does not rise as the OCV should.

Off where the OCV is a plateau (LTO, Li-S); a change of current or temperature, or a move of the press, begins anew.
That the charge voltage of a shorted cell stops rising: Menkin, Grey et al., Faraday Discuss. 2024.
"""

from assb.const import const

from . import LEARNING
from .observed import later

_STALL = const(7)
STEADY_K = 0.3
STEADY_FRAC = 0.02
LEAST_V = 0.002

# Places in the group `detection` of the parameters (a test compares)
_CHARGE_SLOPE_LEAST_V = const(31)
_STALL_RATIO = const(40)
_STALL_S = const(41)


class Stall:
    def __init__(self):
        self.span_s = self.start_v = self.start_degc = self.charge_frac = self.low_a = self.high_a = 0.0

    def lose(self):
        self.span_s = 0.0

    def see(self, cell):
        """Every second."""
        slope_v = cell.slope_v()
        charges = cell.current_a > cell.rest_a() and slope_v >= cell.q[_CHARGE_SLOPE_LEAST_V]
        if not charges:
            cell.say_nothing(_STALL)
        if not charges or not self._steady(cell):
            self._begin(cell)
            return
        self.span_s = later(self.span_s, cell.dt_s)
        self.charge_frac += cell.current_a * cell.dt_s / (3600 * cell.capacity_ah())
        if self.span_s < cell.q[_STALL_S]:
            return
        expected_v = slope_v * self.charge_frac
        if expected_v > LEAST_V:
            part = (cell.voltage_v - self.start_v) / expected_v
            cell.judge(_STALL, (1 - part) / (1 - cell.q[_STALL_RATIO]))
        else:
            cell.tell(_STALL, LEARNING, 0.0)
        self._begin(cell)

    def _steady(self, cell):
        return (
            abs(cell.current_a - self.low_a) <= STEADY_FRAC * abs(self.low_a)
            and abs(cell.temperature_degc - self.start_degc) <= STEADY_K
            and not cell.moved_press()
        )

    def _begin(self, cell):
        self.span_s = self.charge_frac = 0.0
        self.start_v = cell.voltage_v
        self.start_degc = cell.temperature_degc
        self.low_a = self.high_a = cell.current_a
