"""Evidence 12, supports any: the cell warms by more than its resistance heats it.

Nobody measures the room, so a warm draught looks like it; it counts half, and no stage rests on it.
"""

from assb.const import const

_HEAT = const(11)
_WINDOW_S = const(60)

# Places in the group `detection` of the parameters (a test compares)
_HEAT_J_PER_K = const(42)
_HEAT_W = const(43)


class Heat:
    def __init__(self):
        self.span_s = self.start_degc = self.lost_j = self.excess_w = 0.0

    def lose(self):
        self.span_s = 0.0

    def see(self, cell):
        """Every second."""
        heat_j_per_k = cell.q[_HEAT_J_PER_K]
        if heat_j_per_k <= 0:
            cell.say_nothing(_HEAT)
            return
        if self.span_s == 0:
            self.start_degc = cell.temperature_degc
            self.lost_j = 0.0
        self.span_s += cell.dt_s
        self.lost_j += cell.current_a * cell.current_a * cell.loop_ohm() * cell.dt_s
        if self.span_s < _WINDOW_S:
            return
        self.excess_w = (heat_j_per_k * (cell.temperature_degc - self.start_degc) - self.lost_j) / self.span_s
        cell.judge(_HEAT, self.excess_w / cell.q[_HEAT_W])
        self.span_s = 0.0
