"""Evidence 5, charge: the current of a held voltage ends in more than it used to.

I(t) = end + A exp(-t/tau); three equidistant points give the end (Aitken). Ageing and cold raise it slowly, which is
learned, three holds before the first is judged; a constant current on a plateau has no tail and says nothing, nor does
a tail that is still far from its end.
"""

from assb.const import const

from . import ACTIVE, LEARNING
from .observed import later

_CV_TAIL = const(4)
_POINT_S = const(120)
_HOLDS = const(3)  # so many are learned before one is judged
BAND_V = 0.003
LEARN = 0.25
FALLEN = 0.9
NEAR = 0.9

# Place in the group `detection` of the parameters (a test compares)
_CV_TAIL_C = const(31)


class CvTail:
    def __init__(self):
        self.hold_s = self.voltage_v = self.mark_s = 0.0
        self.begin_a = self.first_a = self.second_a = self.usual_a = self.tail_a = 0.0
        self.points = 0
        self.near = False  # to its end: farther from it it can't be told
        self.holds = 0

    def lose(self):
        self.hold_s = 0.0
        self.points = 0

    def see(self, cell):
        """Every second."""
        if cell.current_a > cell.rest_a() and abs(cell.voltage_v - self.voltage_v) <= BAND_V:
            self.hold_s = later(self.hold_s, cell.dt_s)
            if self.hold_s - self.mark_s >= _POINT_S:
                self.mark_s = self.hold_s
                self._see_point(cell)
            return
        if self.near and cell.state[_CV_TAIL] != ACTIVE:
            self.usual_a += (LEARN if self.holds else 1) * (self.tail_a - self.usual_a)
            self.holds = later(self.holds, 1)
        self.near = False
        self.voltage_v = cell.voltage_v
        self.hold_s = self.mark_s = 0.0
        self.points = 0
        cell.say_nothing(_CV_TAIL)

    def _see_point(self, cell):
        current_a = cell.current_a
        if self.points == 0:
            self.begin_a = current_a
        if self.points < 2 or not current_a < FALLEN * self.begin_a:
            cell.tell(_CV_TAIL, LEARNING, 0.0)
        else:
            self.tail_a = min(max(_end_of(self.first_a, self.second_a, current_a), 0.0), current_a)
            self.near = self.tail_a >= NEAR * current_a
            if self.near and self.holds >= _HOLDS:
                cell.judge(_CV_TAIL, (self.tail_a - self.usual_a) / (cell.q[_CV_TAIL_C] * cell.nominal_ah()))
            else:
                cell.tell(_CV_TAIL, LEARNING, 0.0)
        self.first_a = self.second_a
        self.second_a = current_a
        self.points = later(self.points, 1)


def _end_of(first, second, third):
    bend = first + third - 2 * second
    return (first * third - second * second) / bend if bend > 0 else third
