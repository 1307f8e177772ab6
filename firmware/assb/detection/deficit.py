"""By how much a cell's voltage lies below that of a cell that lost no charge: the raw matter of evidence 3.

The filter's SOC follows the voltage and its overvoltages follow its leak, so both hide what a short takes. Here the
current alone drives a second model, and what the filter took back of the counted charge is added up as voltage.
"""

from array import array

from assb.const import const

from .observed import lower_median, share

_LATEST = const(5)  # seconds that the middle is taken of

# Places in the flat layout (a test compares)
_OCV_V = const(2)
_OCV_TEMPERATURE_DEGC = const(260)
_ENTROPY_V_PER_K = const(261)
_R1_OHM = const(378)
_R2_OHM = const(390)
_TAU1_S = const(402)
_TAU2_S = const(403)
_HYSTERESIS_V = const(404)
_HYSTERESIS_RATE = const(405)
_RC_FACTOR = const(423)


class Deficit:
    def __init__(self, real):
        self.open1_v = self.open2_v = self.open_hysteresis = 0.0  # of a cell without a leak
        self.shown_v = 0.0  # charge that the current brought and the voltage does not show, as voltage
        self.latest_v = array(real, [0.0] * _LATEST)
        self.deficit_v = 0.0

    def find(self, cell, missing, first):
        """Every second; `missing` of SOC in it."""
        self._move_open(cell)
        self.shown_v += cell.slope_v() * missing
        flat = cell.flat
        warmer_k = cell.temperature_degc - flat[_OCV_TEMPERATURE_DEGC]
        ocv_v = cell.over_soc(_OCV_V, cell.ekf.soc) + flat[_ENTROPY_V_PER_K] * warmer_k
        polarised_v = flat[_HYSTERESIS_V] * self.open_hysteresis + (self.open1_v + self.open2_v)
        expected_v = ocv_v + (polarised_v + cell.ekf.r0_ohm * cell.current_a)
        self._push(self.shown_v + (expected_v - cell.voltage_v), first)

    def _push(self, deficit_v, first):
        """The middle of the latest few: a loose wire's jumps are gone."""
        latest_v = self.latest_v
        for k in range(_LATEST - 1, 0, -1):
            latest_v[k] = deficit_v if first else latest_v[k - 1]
        latest_v[0] = deficit_v
        self.deficit_v = lower_median(latest_v)

    def _move_open(self, cell):
        flat, current_a = cell.flat, cell.current_a
        scale = cell.ekf.resistance_scale * cell.over_soc(_RC_FACTOR, cell.ekf.soc)
        r1_ohm, r2_ohm = scale * cell.over_temperature(_R1_OHM), scale * cell.over_temperature(_R2_OHM)
        self.open1_v += share(cell.dt_s, flat[_TAU1_S]) * (r1_ohm * current_a - self.open1_v)
        self.open2_v += share(cell.dt_s, flat[_TAU2_S]) * (r2_ohm * current_a - self.open2_v)
        sign = 1.0 if current_a > 0 else -1.0 if current_a < 0 else 0.0
        turn = flat[_HYSTERESIS_RATE] * abs(current_a) * cell.dt_s / (3600 * cell.capacity_ah())
        self.open_hysteresis += turn / (1 + turn) * (sign - self.open_hysteresis)
