"""Evidence 6, charge: of what was charged, less comes back than it did in the ten cycles before.

A cycle goes from one begin of a discharge to the next; when it ends at another SOC than it began, that is made up for
by what the voltage says. The gain of the sensor is in charge and discharge alike; a median has the temperature. A drop
counts as far as SOC is known at both ends of its cycle, and three cycles in a row must show it.
"""

from array import array

from assb.const import const

from . import ACTIVE, LEARNING
from .observed import ONCE, later, lower_median

_EFFICIENCY = const(5)
_CYCLES = const(10)
_CYCLES_LEAST = const(3)
_LOWS = const(3)  # poor cycles in a row (assumption)
FULL_TURN = 0.2  # of SOC: less is no cycle

# Place in the group `detection` of the parameters (a test compares)
_EFFICIENCY_DROP_FRAC = const(32)


class Efficiency:
    def __init__(self, real):
        self.efficiency = array(real, [0.0] * _CYCLES)  # newest first
        self.begin_soc = self.begin_var = self.charged = self.discharged = self.latest = 0.0
        self.begun = self.turned = False
        self.cycles = self.lows = 0

    def lose(self):
        self.begun = self.turned = False

    def see(self, cell):
        """Every second."""
        current_a, rest_a = cell.current_a, cell.rest_a()
        moved = abs(current_a) * cell.dt_s / (3600 * cell.capacity_ah())
        if current_a > rest_a:
            self.charged += moved
            self.turned = self.turned or (self.discharged > FULL_TURN and self.charged > FULL_TURN)
        elif current_a < -rest_a:
            if self.turned or not self.begun:
                self._begin(cell)
            self.discharged += moved

    def _begin(self, cell):
        if self.turned:
            self._close(cell)
        self.begin_soc = cell.ekf.soc
        self.begin_var = cell.ekf.soc_var
        self.charged = self.discharged = 0.0
        self.turned = False
        self.begun = True

    def _close(self, cell):
        count = min(self.cycles, _CYCLES)
        self.latest = self.discharged / (self.charged - (cell.ekf.soc - self.begin_soc))
        if count < _CYCLES_LEAST:
            cell.tell(_EFFICIENCY, LEARNING, 0.0)
        else:
            least = cell.q[_EFFICIENCY_DROP_FRAC]
            drop = (lower_median(self.efficiency[:count]) - self.latest) / least
            doubt = (self.begin_var + cell.ekf.soc_var) / (least * least)
            low = drop / (1 + doubt)  # as far as SOC is known at both ends
            self.lows = later(self.lows, 1) if low >= 1 else 0
            cell.judge(_EFFICIENCY, ONCE if self.lows < _LOWS and low >= 1 else low)
        if cell.state[_EFFICIENCY] == ACTIVE:
            return  # a short's cycles are nothing to learn from
        for k in range(_CYCLES - 1, 0, -1):
            self.efficiency[k] = self.efficiency[k - 1]
        self.efficiency[0] = self.latest
        self.cycles = later(self.cycles, 1)
