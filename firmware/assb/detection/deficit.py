"""By how much a cell's voltage lies below that of a cell that lost no charge: the raw matter of evidence 3.

The filter's SOC follows the voltage and its overvoltages follow its leak, so both hide what a short takes. Here the
current alone drives a second model, with the resistances as the tables have them, and what the filter took back of the
counted charge is added up as voltage. Two RC pairs stand for all diffusion; a third, slower one is kept beside them:
what it is of the second is found by charge_errors.py.
"""

from assb.const import const

from .observed import share

SLOWER = 8.0  # time of the third pair over the second one's (assumption)

# Places in the flat layout ...
_OCV_V = const(2)
_DOCV_V = const(131)
_OCV_TEMPERATURE_DEGC = const(260)
_ENTROPY_V_PER_K = const(261)
_R1_OHM = const(378)
_R2_OHM = const(390)
_TAU1_S = const(402)
_TAU2_S = const(403)
_HYSTERESIS_V = const(404)
_HYSTERESIS_RATE = const(405)
_RC_FACTOR = const(423)
# ... and in its group `detection` (a test compares)
_CHARGE_OFFSET_C = const(12)


def flowing_a(cell):
    """A reading within the sensor's error is taken for none: at rest an open contactor lets nothing through."""
    current_a = cell.current_a
    return 0.0 if abs(current_a) < 2 * cell.q[_CHARGE_OFFSET_C] * cell.nominal_ah() else current_a


class Deficit:
    def __init__(self):
        self.open1_v = self.open2_v = self.open3_v = self.open_hysteresis = 0.0  # of a cell without a leak
        self.driven = 0.0  # 0 .. 1: how far the hysteresis has forgotten where it began
        self.shown_v = 0.0  # charge that the current brought and the voltage does not show, as voltage
        self.table_known = False  # what the table says where the filter's SOC was, a second ago:
        self.soc_then = self.table_then_v = self.slope_then_v = 0.0
        self.ohm = self.fast_ohm = self.slow_ohm = 0.0  # believed: R0, with R1, and R2
        self.deficit_v = 0.0

    def turn(self, cell, current_a):
        """Every sample: a ripple, too, turns the hysteresis."""
        sign = 1.0 if current_a > 0 else -1.0 if current_a < 0 else 0.0
        turn = cell.flat[_HYSTERESIS_RATE] * abs(current_a) * cell.dt_s / (3600 * cell.capacity_ah())
        turn /= 1 + turn
        self.open_hysteresis += turn * (sign - self.open_hysteresis)
        self.driven += turn * (1 - self.driven)

    def find(self, cell, counted, rose, current_a):
        """Every second; see MissingCharge.see."""
        flat, soc, dt_s = cell.flat, cell.ekf.soc, cell.dt_s
        factor = cell.over_soc(_RC_FACTOR, soc)
        r1_ohm = factor * cell.over_temperature(_R1_OHM)
        self.ohm = cell.ekf.r0_ohm / cell.ekf.resistance_scale
        self.fast_ohm = self.ohm + r1_ohm
        self.slow_ohm = factor * cell.over_temperature(_R2_OHM)
        slow_v = self.slow_ohm * current_a
        self.open1_v += share(dt_s, flat[_TAU1_S]) * (r1_ohm * current_a - self.open1_v)
        self.open2_v += share(dt_s, flat[_TAU2_S]) * (slow_v - self.open2_v)
        self.open3_v += share(dt_s, SLOWER * flat[_TAU2_S]) * (slow_v - self.open3_v)
        table_v, slope_v, whole = cell.over_soc(_OCV_V, soc), cell.over_soc(_DOCV_V, soc), soc + cell.ekf.soc_residual
        if self.table_known:  # there and back again leaves nothing behind
            brought = counted - rose + (whole - self.soc_then)
            self.shown_v += 0.5 * (self.slope_then_v + slope_v) * brought - (table_v - self.table_then_v)
        self.table_known = True
        self.soc_then, self.table_then_v, self.slope_then_v = whole, table_v, slope_v
        warmer_k = cell.temperature_degc - flat[_OCV_TEMPERATURE_DEGC]
        ocv_v = table_v + flat[_ENTROPY_V_PER_K] * warmer_k
        polarised_v = flat[_HYSTERESIS_V] * self.open_hysteresis + (self.open1_v + self.open2_v)
        self.deficit_v = self.shown_v + (ocv_v + (polarised_v + self.ohm * current_a) - cell.voltage_v)
