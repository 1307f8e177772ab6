"""What a deficit of voltage owes to errors of the model, learned so that evidence 3 can take it off.

ByCurrent: what goes with the current, at once or slowly, is an error of the resistances or a diffusion that the model
lacks; from the changes of both (ridge regression that forgets). BySoc: what the OCV table misses shows at the same SOC
on charge and on discharge; a short takes both ways.
"""

from array import array

from assb.const import const

from .observed import later, share

_BY_CURRENT_TAU_S = const(28800)
BY_CURRENT_LEAST_C = 0.02  # changes that are worth as much are needed to learn from (assumption)
SLOW_SHARE = 0.05
_BINS = const(48)  # twenty-fourths of SOC, on charge and on discharge
_HALF = const(24)
_VISITS = const(4)
HALF_A_BIN = 0.5
MAP_MOST_V = 0.3


class ByCurrent:
    def __init__(self):
        self.aa = self.as_ = self.ss = self.av = self.sv = 0.0  # sums of products of the changes and the deficit's

    def left(self, cell, rise_v, fast_a, slow_a):
        """Of a rise of the deficit, what the changes of the current do not explain."""
        keep = 1 - share(cell.dt_s, _BY_CURRENT_TAU_S)
        least_a = BY_CURRENT_LEAST_C * cell.nominal_ah()
        self.aa = keep * self.aa + fast_a * fast_a
        self.as_ = keep * self.as_ + fast_a * slow_a
        self.ss = keep * self.ss + slow_a * slow_a
        self.av = keep * self.av + fast_a * rise_v
        self.sv = keep * self.sv + slow_a * rise_v
        aa, ss = self.aa + least_a * least_a, self.ss + least_a * least_a * SLOW_SHARE
        det = aa * ss - self.as_ * self.as_
        fast = ss * self.av - self.as_ * self.sv
        slow = aa * self.sv - self.as_ * self.av
        return rise_v - (fast_a * fast + slow_a * slow) / det


class BySoc:
    def __init__(self, real):
        self.map_v = array(real, [0.0] * _BINS)  # dV/dSOC that the OCV table misses: on charge, then on discharge
        self.visits = bytearray(_BINS)
        self.bin = -1  # pass through one bin of the map
        self.bin_v = self.bin_soc = self.soc = 0.0
        self.travelled = 0.0  # sum of the changes of SOC: what there was to learn from

    def expected_v(self, cell, rise_v):
        """Of a rise of the deficit, what the map says; and it learns from it."""
        soc, rest_a = cell.ekf.soc, cell.rest_c() * cell.capacity_ah()
        place = min(int(soc * _HALF), _HALF - 1)
        at = place if cell.current_a > rest_a else place + _HALF if cell.current_a < -rest_a else -1
        moved = soc - self.soc
        self.travelled = later(self.travelled, abs(moved))
        self.soc = soc
        if at != self.bin:
            self._close()
            self.bin = at
            self.bin_v = self.bin_soc = 0.0
        self.bin_v += rise_v
        self.bin_soc += moved
        if at < 0 or not self.visits[place] or not self.visits[place + _HALF]:
            return 0.0
        return 0.5 * (self.map_v[place] + self.map_v[place + _HALF]) * moved

    def _close(self):
        at = self.bin
        if at >= 0 and abs(self.bin_soc) * _HALF > HALF_A_BIN:
            seen_v = min(max(self.bin_v / self.bin_soc, -MAP_MOST_V), MAP_MOST_V)
            self.visits[at] = min(self.visits[at] + 1, _VISITS)
            self.map_v[at] += (seen_v - self.map_v[at]) / self.visits[at]
