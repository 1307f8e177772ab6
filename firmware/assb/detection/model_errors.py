"""What a deficit of voltage owes to errors of the model, learned so that evidence 3 can take it off.

ByCause: what goes with the current, at once or slowly, or with the hysteresis, is an error of the resistances, a
diffusion that the model lacks, or an error of the loop; from the changes of all three (ridge regression that forgets).
BySoc: what the OCV table misses shows at the same SOC on charge and on discharge; a short takes both ways.
"""

from array import array

from assb.const import const

from .observed import later, share

_LEARN_TAU_S = const(28800)
LEARN_LEAST_C = 0.02  # changes that are worth as much are needed to learn from (assumption)
LEARN_LEAST_LOOP = 0.02
SLOW_SHARE = 0.05
_CAUSES = const(3)
_PAIRS = const(6)  # upper triangle, row by row
_BINS = const(48)  # twenty-fourths of SOC, on charge and on discharge
_HALF = const(24)
_VISITS = const(4)
HALF_A_BIN = 0.5
MAP_MOST_V = 0.3


class ByCause:
    def __init__(self, real):
        # sums of products of the changes of current, slow current and hysteresis, and with the deficit's
        self.causes = array(real, [0.0] * _PAIRS)
        self.caused_v = array(real, [0.0] * _CAUSES)
        self.higher_ohm = 0.0  # by how much the resistances are higher than believed

    def left(self, cell, rise_v, change):
        """Of a rise of the deficit, what the changes of the causes do not explain."""
        causes, v = self.causes, self.caused_v
        self._add(1 - share(cell.dt_s, _LEARN_TAU_S), rise_v, change)
        least_a = LEARN_LEAST_C * cell.nominal_ah()
        a, b, e = causes[0] + least_a * least_a, causes[1], causes[2]
        f, g = causes[3] + SLOW_SHARE * least_a * least_a, causes[4]
        h = causes[5] + LEARN_LEAST_LOOP * LEARN_LEAST_LOOP
        # the inverse by its cofactors
        k0, k1, k2 = f * h - g * g, e * g - b * h, b * g - e * f
        det = a * k0 + b * k1 + e * k2
        by0 = k0 * v[0] + k1 * v[1] + k2 * v[2]
        by1 = k1 * v[0] + (a * h - e * e) * v[1] + (b * e - a * g) * v[2]
        by2 = k2 * v[0] + (b * e - a * g) * v[1] + (a * f - b * b) * v[2]
        self.higher_ohm = max(-(by0 + by1) / det, 0.0)
        return rise_v - (change[0] * by0 + change[1] * by1 + change[2] * by2) / det

    def _add(self, keep, rise_v, change):
        at = 0
        for i in range(_CAUSES):
            for j in range(i, _CAUSES):
                self.causes[at] = keep * self.causes[at] + change[i] * change[j]
                at += 1
            self.caused_v[i] = keep * self.caused_v[i] + change[i] * rise_v


class BySoc:
    def __init__(self, real):
        self.map_v = array(real, [0.0] * _BINS)  # dV/dSOC that the OCV table misses: on charge, then on discharge
        self.visits = bytearray(_BINS)
        self.bin = -1  # pass through one bin of the map
        self.bin_v = self.bin_soc = self.soc = 0.0
        self.travelled = 0.0  # sum of the changes of SOC: what there was to learn from
        self.doubt_v = -1.0  # by how much both ways differ here; negative: not learned

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
        self.doubt_v = -1.0
        if not self.visits[place] or not self.visits[place + _HALF]:
            return 0.0
        self.doubt_v = 0.5 * abs(self.map_v[place] - self.map_v[place + _HALF])
        return 0.5 * (self.map_v[place] + self.map_v[place + _HALF]) * moved if at >= 0 else 0.0

    def _close(self):
        at = self.bin
        if at >= 0 and abs(self.bin_soc) * _HALF > HALF_A_BIN:
            seen_v = min(max(self.bin_v / self.bin_soc, -MAP_MOST_V), MAP_MOST_V)
            self.visits[at] = min(self.visits[at] + 1, _VISITS)
            self.map_v[at] += (seen_v - self.map_v[at]) / self.visits[at]
