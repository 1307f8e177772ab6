"""Evidences 9 and 11, mechanical: height per charge, against what this tenth of SOC and this direction usually show.

Height comes from the gap and the pressure over the stiffness, so a rig that does not measure the gap has neither. A
short takes from the charge that swells (9); lithium that plates where it should not swells more (11: graphite, silicon
only). Creep and a moved press must be over, and the temperature steady.
"""

from array import array

from assb.const import const

from . import LEARNING, UNAVAILABLE
from .observed import later

_SWELLING = const(8)
_PLATING = const(10)
_BINS = const(20)  # tenths of SOC, on charge and on discharge
_STEADY_K = const(1)
_STILL_S = const(600)
_VISITS = const(3)
SPAN = 0.01  # of SOC
LEARN = 1 / 8

# Places in the group `detection` of the parameters (a test compares)
_GAP_SWELLING_UM = const(37)
_GAP_STIFFNESS_MPA_PER_UM = const(38)
_SWELLING_LOW = const(39)
_SWELLING_HIGH = const(40)
_PLATING_WATCH = const(41)


class Swelling:
    def __init__(self, real):
        self.usual = array(real, [1.0] * _BINS)  # of the profile's swelling
        self.visits = bytearray(_BINS)
        self.charge_frac = self.start_um = self.start_degc = self.aim_mpa = self.still_s = self.ratio = 0.0
        self.direction = 0
        self.begun = False

    def lose(self):
        self.begun = False

    def see(self, cell):
        """Every second."""
        stiffness_mpa_per_um = cell.q[_GAP_STIFFNESS_MPA_PER_UM]
        if not (cell.has_gap and cell.has_pressure and cell.q[_GAP_SWELLING_UM] != 0 and stiffness_mpa_per_um > 0):
            cell.say_nothing(_SWELLING)
            cell.say_nothing(_PLATING)
            return
        height_um = cell.gap_um + cell.pressure_mpa / stiffness_mpa_per_um
        if self._goes_on(cell):
            self.charge_frac += cell.current_a * cell.dt_s / (3600 * cell.capacity_ah())
            if abs(self.charge_frac) < SPAN:
                return
            self._close(cell, height_um)
        self.begun = True
        self.charge_frac = 0.0
        self.start_um = height_um
        self.start_degc = cell.temperature_degc

    def _goes_on(self, cell):
        rest_a = cell.rest_a()
        direction = 1 if cell.current_a > rest_a else -1 if cell.current_a < -rest_a else 0
        still = cell.aim_mpa == self.aim_mpa
        steady = abs(cell.temperature_degc - self.start_degc) <= _STEADY_K
        same = self.begun and direction == self.direction and still and steady
        self.still_s = later(self.still_s, cell.dt_s) if still else 0.0
        self.aim_mpa = cell.aim_mpa
        self.direction = direction
        return same and direction != 0 and self.still_s > _STILL_S

    def _close(self, cell, height_um):
        q, charging = cell.q, self.charge_frac > 0
        at = min(int(cell.ekf.soc * (_BINS // 2)), _BINS // 2 - 1) + (0 if charging else _BINS // 2)
        seen = (height_um - self.start_um) / (q[_GAP_SWELLING_UM] * self.charge_frac)
        self.ratio = seen / self.usual[at] if self.visits[at] else 1.0
        if self.visits[at] < _VISITS:
            self._learn(cell, at, seen)
            return
        less = 1 - self.ratio if charging else self.ratio - 1  # on discharge a short adds
        cell.judge(_SWELLING, less / (1 - q[_SWELLING_LOW]))
        if q[_PLATING_WATCH] > 0 and charging:
            cell.judge(_PLATING, (self.ratio - 1) / (q[_SWELLING_HIGH] - 1))
        if abs(self.ratio - 1) < 1 - q[_SWELLING_LOW]:
            self.usual[at] += LEARN * (seen - self.usual[at])

    def _learn(self, cell, at, seen):
        self.visits[at] += 1
        if self.visits[at] > 1:
            self.usual[at] += (seen - self.usual[at]) / self.visits[at]
        else:
            self.usual[at] = seen
        cell.tell(_SWELLING, LEARNING, 0.0)
        cell.tell(_PLATING, LEARNING if cell.q[_PLATING_WATCH] > 0 else UNAVAILABLE, 0.0)
