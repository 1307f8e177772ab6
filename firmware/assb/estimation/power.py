"""State of power: the largest constant current for the next 2, 10 and 30 s, in plain Python: the board's fallback and
the readable twin of cffi_kernels/src/assb_power.c, which does the same operations in the same order.

For one direction at a time, with magnitudes, the smallest of

    current      what the cell's profile allows at any time
    temperature  that, falling to 0 towards the lowest temperature of a charge and towards the highest of all
    pressure     that, falling to 0 below the window, where contact is lost, and above it
    plating      on charge, critical_safety_frac of the current above which lithium plates as dendrites, by T and P
    stripping    on discharge, critical_safety_frac of that above which stripping leaves voids, by T and P
    soc          what brings the SOC to its limit within the horizon
    voltage      what brings the terminal voltage to the end of its window, now or at any time up to the horizon

The last follows from the filter's own model (ekf.py), each part at its worst between now and the horizon t:

    V(I) = OCV(z + I t/(3600 Q)) + entropy + M h + V1 + V2 + I R0

with V1 and V2 as they are, or as the horizon finds them where that is worse; the RC resistances with their largest
factor on the way; the hysteresis turned by no less than it can turn; and a leak counted only where it takes from the
limit. So V is a bound, it rises with I and with t, and the current found for a longer horizon is never larger. It is
found in a bracket whose lower end is kept: a current that was tried and broke nothing.

A limit from a model's voltage at a horizon is that of Plett, IEEE Trans. Veh. Technol. 53 (2004) 1586,
doi:10.1109/TVT.2004.832408; that lithium bounds the current as well, by pressure and temperature, is this project's.
"""

from assb.const import const
from assb.estimation import parameters
from assb.estimation.believed_cell import LAST_KNOT, lerp
from assb.estimation.ekf import PRESSURE_ZERO_MPA, clamp, one_minus_exp

_OK = const(0)
_BAD_TEMPERATURE = const(-3)
_BAD_PRESSURE = const(-4)
_BAD_PARAMETER = const(-6)

# What binds (enum assb_power_bound)
_VOLTAGE = const(1)
_SOC = const(2)
_CURRENT = const(3)
_TEMPERATURE = const(4)
_PRESSURE = const(5)
_PLATING = const(6)
_STRIPPING = const(7)

# Places in the group `power` of the flat layout (a test compares)
_CHARGE_MAX_A = const(0)
_DISCHARGE_MAX_A = const(1)
_SOC_MIN_FRAC = const(2)
_SOC_MAX_FRAC = const(3)
_SOC_MARGIN_SIGMAS = const(4)
_WINDOW_MIN_V = const(5)
_WINDOW_MAX_V = const(6)
_VOLTAGE_MARGIN_SIGMAS = const(7)
_CHARGE_ZERO_DEGC = const(8)
_CHARGE_FULL_DEGC = const(9)
_HOT_FULL_DEGC = const(10)
_HOT_ZERO_DEGC = const(11)
_CONTACT_ZERO_MPA = const(12)
_CONTACT_FULL_MPA = const(13)
_PRESSED_FULL_MPA = const(14)
_PRESSED_ZERO_MPA = const(15)
_CRITICAL_SAFETY_FRAC = const(16)
_PLATING_LIMIT_A = const(17)
_STRIPPING_LIMIT_A = const(113)

HORIZONS_S = (2.0, 10.0, 30.0)
CLOSE_V = 1e-4  # this near to its limit a voltage is taken to have reached it; never beyond
ROUNDS = 40


def root(x):
    """Square root by Newton's method, from above and within 0.03 %: no libm, so that board, C kernel and host agree."""
    y = 0.015625  # of the order that is asked for: every float operation takes heap on a board
    if not x > 0:
        return 0.0
    while y * y > x:
        y = y * 0.5
    while y * y < x:
        y = y * 2.0
    for _ in range(3):
        y = 0.5 * (y + x / y)
    return y


def share(x, zero, full):
    """0 at `zero`, 1 at `full`, straight between and held beyond."""
    return clamp((x - zero) / (full - zero), 0.0, 1.0)


def settled(now_v, d, end_v):
    """What of an RC pair's voltage is seen at most, from now to the horizon."""
    change_v = d * (end_v - now_v)
    return now_v + change_v if change_v > 0 else now_v


class Power:
    """Works out limits of cells that share one `params`; `limits` leaves them in the lists below, by horizon."""

    def __init__(self, params):
        """params: parameters.SIZE floats. Raises ValueError for a range whose ends are not in order."""
        self._p = params
        self._at = parameters.EKF_SIZE + parameters.LEARNING_SIZE
        self._check()
        # what settles of V1 and V2 within each horizon
        taus_s = params[parameters.offset("tau1_s")], params[parameters.offset("tau2_s")]
        self._settles = [[one_minus_exp(horizon_s / tau_s) for tau_s in taus_s] for horizon_s in HORIZONS_S]
        self.current_a = [0.0] * 3  # magnitudes
        self.power_w = [0.0] * 3  # at that current and voltage_v
        self.voltage_v = [0.0] * 3  # the farthest that the model goes with that current
        self.bound = [0] * 3
        # the model over one horizon in one direction, voltages times `sign`, so that more current always means more
        self._cell = None
        self._sign = self._soc_per_a = self._turn_per_a = self._entropy_v = 0.0
        self._hysteresis = self._v1_v = self._v2_v = self._d1 = self._d2 = 0.0
        self._r0_ohm = self._r1_ohm = self._r2_ohm = self._extra_a = 0.0
        self._least_a = 0.0
        self._least_bound = 0
        self._reached_v = 0.0  # with the least current
        self._table_at = 0
        self._ft = self._fp = 0.0

    def _check(self):
        p, at = self._p, self._at
        for k in range(at, at + parameters.POWER_SIZE):
            if not p[k] - p[k] == 0:
                raise ValueError("a parameter of the power limits is not finite")
        for k in (_CHARGE_MAX_A, _DISCHARGE_MAX_A, _SOC_MIN_FRAC, _SOC_MARGIN_SIGMAS, _VOLTAGE_MARGIN_SIGMAS):
            if p[at + k] < 0:
                raise ValueError("currents, SOC and margins of the power limits must not be negative")
        for k in range(at + _PLATING_LIMIT_A, at + parameters.POWER_SIZE):
            if p[k] < 0:
                raise ValueError("plating_limit_a and stripping_limit_a must not be negative")
        if not (p[at + _SOC_MAX_FRAC] <= 1 and 0 <= p[at + _CRITICAL_SAFETY_FRAC] <= 1):
            raise ValueError("soc_max_frac and critical_safety_frac must not exceed 1")
        for low, high in (
            (_SOC_MIN_FRAC, _SOC_MAX_FRAC),
            (_WINDOW_MIN_V, _WINDOW_MAX_V),
            (_CHARGE_ZERO_DEGC, _CHARGE_FULL_DEGC),
            (_HOT_FULL_DEGC, _HOT_ZERO_DEGC),
            (_CONTACT_ZERO_MPA, _CONTACT_FULL_MPA),
            (_PRESSED_FULL_MPA, _PRESSED_ZERO_MPA),
        ):
            if not p[at + low] < p[at + high]:
                raise ValueError("a range of the power limits is not in order")
        if p[at + _CONTACT_FULL_MPA] > p[at + _PRESSED_FULL_MPA]:
            raise ValueError("contact_full_mpa must not exceed pressed_full_mpa")

    def limits(self, cell, charging, temperature_degc, pressure_mpa, pressure_known=True):
        """Limits of `cell` (an Ekf) in one direction. `pressure_known` False: the lower end of the window is taken.

        Returns _OK, or a negative status for an input that is not finite or implausible; the lists stay as they are.
        """
        p, at = self._p, self._at
        state = cell.soc + cell.v1_v + cell.v2_v + cell.hysteresis + cell.leak_a
        state = state + cell.resistance_scale + cell.innovation_var
        if not (state - state == 0 and 0 <= cell.soc <= 1 and 1e-3 <= cell.capacity_scale <= 1e3):
            return _BAD_PARAMETER
        if not cell._temperature_min_degc <= temperature_degc <= cell._temperature_max_degc:
            return _BAD_TEMPERATURE
        if not pressure_known:
            pressure_mpa = p[at + _CONTACT_FULL_MPA]
        elif not PRESSURE_ZERO_MPA <= pressure_mpa <= cell._pressure_max_mpa:
            return _BAD_PRESSURE
        t = self._locate(cell, temperature_degc, pressure_mpa)
        rc1_ohm = cell.resistance_scale * lerp(p[cell._r1_ohm + t], p[cell._r1_ohm + t + 1], self._ft)
        rc2_ohm = cell.resistance_scale * lerp(p[cell._r2_ohm + t], p[cell._r2_ohm + t + 1], self._ft)
        self._begin(cell, charging, temperature_degc)
        self._steady(charging, temperature_degc, pressure_mpa)
        room = p[at + _SOC_MAX_FRAC] - cell.soc if charging else cell.soc - p[at + _SOC_MIN_FRAC]
        limit_v = p[at + _WINDOW_MAX_V] if charging else -p[at + _WINDOW_MIN_V]
        if p[at + _SOC_MARGIN_SIGMAS] > 0:
            room = room - p[at + _SOC_MARGIN_SIGMAS] * root(cell._covariance[0][0])
        if p[at + _VOLTAGE_MARGIN_SIGMAS] > 0:
            limit_v = limit_v - p[at + _VOLTAGE_MARGIN_SIGMAS] * root(cell.innovation_var)
        for k in range(3):
            self._set_horizon(k)
            soc_a = room / self._soc_per_a - self._extra_a
            self._take(soc_a if soc_a > 0 else 0.0, _SOC)
            factor = self._largest_factor(self._least_a)
            self._r1_ohm = factor * rc1_ohm
            self._r2_ohm = factor * rc2_ohm
            self._take(self._voltage_current(limit_v, self._least_a), _VOLTAGE)
            self.current_a[k] = self._least_a
            self.voltage_v[k] = self._sign * self._reached_v
            self.power_w[k] = self.voltage_v[k] * self._least_a
            self.bound[k] = self._least_bound
        return _OK

    def _locate(self, cell, temperature_degc, pressure_mpa):
        """Place on the axes of R0's table; returns the temperature's."""
        t, self._ft = cell._locate(cell._r0_temperature_degc, parameters.TEMPERATURE_POINTS, temperature_degc)
        j, self._fp = cell._locate(cell._r0_pressure_mpa, parameters.PRESSURE_POINTS, pressure_mpa)
        self._table_at = t * parameters.PRESSURE_POINTS + j
        return t

    def _bilinear(self, table):
        p, fp = self._p, self._fp
        cold = table + self._table_at
        warm = cold + parameters.PRESSURE_POINTS
        return lerp(lerp(p[cold], p[cold + 1], fp), lerp(p[warm], p[warm + 1], fp), self._ft)

    def _take(self, current_a, bound):
        if current_a < self._least_a:
            self._least_a = current_a
            self._least_bound = bound

    def _steady(self, charging, degc, mpa):
        """Limits that don't depend on the horizon."""
        p, at = self._p, self._at
        most_a = p[at + _CHARGE_MAX_A] if charging else p[at + _DISCHARGE_MAX_A]
        self._least_a = most_a
        self._least_bound = _CURRENT
        self._take(most_a * share(degc, p[at + _HOT_ZERO_DEGC], p[at + _HOT_FULL_DEGC]), _TEMPERATURE)
        if charging:
            self._take(most_a * share(degc, p[at + _CHARGE_ZERO_DEGC], p[at + _CHARGE_FULL_DEGC]), _TEMPERATURE)
        self._take(most_a * share(mpa, p[at + _CONTACT_ZERO_MPA], p[at + _CONTACT_FULL_MPA]), _PRESSURE)
        self._take(most_a * share(mpa, p[at + _PRESSED_ZERO_MPA], p[at + _PRESSED_FULL_MPA]), _PRESSURE)
        if charging:
            self._take(p[at + _CRITICAL_SAFETY_FRAC] * self._bilinear(at + _PLATING_LIMIT_A), _PLATING)
        else:
            self._take(p[at + _CRITICAL_SAFETY_FRAC] * self._bilinear(at + _STRIPPING_LIMIT_A), _STRIPPING)

    def _begin(self, cell, charging, temperature_degc):
        """All of the model but what depends on the horizon."""
        sign = 1.0 if charging else -1.0
        leak_a = -sign * cell.leak_a
        self._cell = cell
        self._sign = sign
        self._entropy_v = cell._entropy_v_per_k * (temperature_degc - cell._ocv_temperature_degc)
        self._hysteresis = sign * cell.hysteresis
        self._v1_v = sign * cell.v1_v
        self._v2_v = sign * cell.v2_v
        self._r0_ohm = cell.resistance_scale * self._bilinear(cell._r0_ohm)
        self._extra_a = leak_a if leak_a > 0 else 0.0  # counts only where it takes from the limit

    def _set_horizon(self, k):
        cell = self._cell
        per_a = HORIZONS_S[k] / (3600.0 * cell._capacity_ah) / cell.capacity_scale
        self._soc_per_a = per_a * cell._coulombic_efficiency_frac if self._sign > 0 else per_a
        self._turn_per_a = per_a * cell._hysteresis_rate
        self._d1, self._d2 = self._settles[k]

    def _soc_at(self, inner_a):
        return clamp(self._cell.soc + self._sign * (self._soc_per_a * inner_a), 0.0, 1.0)

    def _largest_factor(self, current_a):
        """Of the RC resistances, between the SOC and where `current_a` takes it."""
        p, cell = self._p, self._cell
        at = cell._rc_factor
        knot, fraction = cell._knot(cell.soc)
        last, ahead = cell._knot(self._soc_at(current_a + self._extra_a))
        here = lerp(p[at + knot], p[at + knot + 1], fraction)
        most = lerp(p[at + last], p[at + last + 1], ahead)
        most = max(most, here)
        for k in range(min(knot, last) + 1, max(knot, last) + 1):
            most = max(most, p[at + k])
        return most

    def _farthest_v(self, current_a):
        """Bound of the terminal voltage from now to the horizon, times sign; rises with the current."""
        p, cell = self._p, self._cell
        inner_a = current_a + self._extra_a
        place = self._soc_at(inner_a) * LAST_KNOT
        knot = min(int(place), LAST_KNOT - 1)
        at = cell._ocv_v + knot
        ocv_v = lerp(p[at], p[at + 1], place - knot) + self._entropy_v
        turned = self._turn_per_a * inner_a
        turned = min(turned, 1.0)
        loop_v = cell._hysteresis_v * (self._hysteresis + turned * (1.0 - self._hysteresis))
        rc_v = settled(self._v1_v, self._d1, self._r1_ohm * inner_a)
        rc_v = rc_v + settled(self._v2_v, self._d2, self._r2_ohm * inner_a)
        return self._sign * ocv_v + loop_v + rc_v + self._r0_ohm * inner_a

    def _voltage_current(self, limit_v, high_a):
        """The largest current up to high_a that keeps the voltage at or below limit_v: the bracket's lower end.

        Sets what the voltage reaches with it.
        """
        high_v = self._farthest_v(high_a)
        if high_v <= limit_v:
            self._reached_v = high_v
            return high_a
        low_a = 0.0
        low_v = self._farthest_v(low_a)
        for turn in range(ROUNDS):
            if not limit_v - low_v > CLOSE_V:
                break
            aim_a = 0.5 * (low_a + high_a)
            if turn % 2 == 0:
                aim_a = low_a + (high_a - low_a) * ((limit_v - 0.5 * CLOSE_V - low_v) / (high_v - low_v))
            if not low_a < aim_a < high_a:
                break
            aim_v = self._farthest_v(aim_a)
            if aim_v <= limit_v:
                low_a = aim_a
                low_v = aim_v
            else:
                high_a = aim_a
                high_v = aim_v
        self._reached_v = low_v
        return low_a
