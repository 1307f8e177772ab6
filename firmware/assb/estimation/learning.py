"""What one cell's estimator learns over days, in plain Python: a scale of its resistances, and its capacity.

Resistance. From one sample to the next the model's change of voltage is exact but for the resistance, if only current
moved: innovation_k - residual_(k-1) = (R0 true - R0 believed) (I_k - I_(k-1)) + noise. Recursive least squares with a
random walk; R0 comes from the table over temperature and pressure, so a scale of it is normalised by both. A step
while temperature, pressure or an internal short moves the resistance teaches nothing. Innovations beyond the filter's
gate count too: else a scale that is far off could never be learned; it moves by little at once instead.

Capacity. Two rests whose OCV tells SOC are a pair: x, the difference in SOC, and y, the charge between them, both with
noise. Approximate weighted total least squares (Plett, J. Power Sources 196 (2011) 2319,
doi:10.1016/j.jpowsour.2010.09.048): with y scaled by sqrt(k) the cost
    J(Q) = (k^2 (c4 Q^4 - 2 c5 Q^3 + c6 Q^2) + c1 Q^2 - 2 c2 Q + c3) / (1 + k Q^2)^2
is minimal at a root of
    k^3 c5 Q^4 + (2 k^2 c4 - k^3 c6 - k c1) Q^3 + (3 k c2 - 3 k^2 c5) Q^2 + (k^2 c6 + c1 - 2 k c3) Q - c2 = 0,
found by Newton's method. k = c1 / c4 is the ratio of the variances, at which the approximation is exact where all pairs
share it. Memory fades as a random walk of the capacity over the charge passed asks for; the prior is a pair x = y = 1.
Charge and capacity are fractions of the nominal capacity, so that single precision is enough.
Beside pairs of another ratio the prior weighs once as either noise would have it, never twice.
Half of a pair's variance counts as common to all pairs (OCV table, current gain): no number of them brings it down.

SOC. The filter takes capacity and OCV table for exact. Here the counted SOC is doubted by the capacity's sigma times
what was counted since the voltage last told it, which widens the filter's covariance; and soc_sigma adds what an error
of the OCV table makes of the SOC that the filter read from it.

The C kernel, cffi_kernels/src/assb_learning.c, does the same operations in the same order; a test holds them equal.
State is a list in the order of the C struct, parameters are a list in the order of parameters.py: names cost heap.
"""

from array import array

from assb.const import const
from assb.estimation import parameters
from assb.estimation.believed_cell import LAST_KNOT
from assb.estimation.ekf import clamp

# parameters
_STEP_MIN_C = const(0)
_STEP_DT_MAX_S = const(1)
_RESISTANCE_PRIOR = const(2)
_RESISTANCE_DRIFT = const(3)
_RESISTANCE_FLOOR = const(4)
_STEP_MAX = const(5)
_RESISTANCE_MIN = const(6)
_RESISTANCE_MAX = const(7)
_REST_CURRENT_C = const(8)
_REST_MIN_S = const(9)
_REST_FULL_S = const(10)
_OCV_SIGMA_V = const(11)
_ANCHOR_SIGMA_MAX = const(12)
_PAIR_MIN = const(13)
_GAIN_SIGMA = const(14)
_OFFSET_SIGMA_C = const(15)
_EFFICIENCY_SIGMA = const(16)
_CAPACITY_PRIOR = const(17)
_CAPACITY_DRIFT = const(18)
_CAPACITY_MIN = const(19)
_CAPACITY_MAX = const(20)
_HEIGHT_SIGMA_UM = const(21)  # from here on: pressure_soc.py
_STIFFNESS = const(22)
_SWELLING_UM = const(23)

# state; the first _LEARNED outlive a power cycle
_R_SCALE = const(0)
_R_VAR = const(1)
_R_STEPS = const(2)
_C_SCALE = const(3)
_C1 = const(4)
_C2 = const(5)
_C3 = const(6)
_C4 = const(7)
_C5 = const(8)
_C6 = const(9)
_INFORMATION = const(10)
_BEST = const(11)
_PAIRS = const(12)
_CYCLES = const(13)
_LEARNED = const(14)
_RESIDUALS = const(14)
_RESIDUAL_V = const(15)
_PREVIOUS_A = const(16)
_PREVIOUS_R0 = const(17)
_HOME_R0 = const(18)
_REST_S = const(19)
_REST_V = const(20)
_REST_MARK_S = const(21)
_REST_MARK_V = const(22)
_REST_MID_V = const(23)
_REST_DONE = const(24)
_ANCHOR_KNOWN = const(25)
_ANCHOR_SOC = const(26)
_ANCHOR_VAR = const(27)
_CHARGE = const(28)
_CHARGE_RESIDUAL = const(29)
_CHARGED = const(30)
_ELAPSED_H = const(31)
_CLOCK_S = const(32)
_CLOCK_MOVED = const(33)
_CLOCK_CHARGED = const(34)
_SENSITIVITY = const(35)
_GRANTED_VAR = const(36)
_SOC_VAR = const(37)
_SOC_LEAK_COV = const(38)
_LEAK_VAR = const(39)
_COUNT_VAR = const(40)
_OCV_SOC_SIGMA = const(41)
_SOC_BIAS = const(42)
_R_MISSING = const(43)
_C_MISSING = const(44)
_SIZE = const(45)

# enum assb_missing: which qualification the last chance to learn lacked
_LEARNT = const(0)
_NO_CHANCE = const(1)
_TOO_SLOW = const(2)
_UNSTEADY = const(3)
_LEAKING = const(4)
_OCV_FLAT = const(5)
_ONE_ANCHOR = const(6)
_SHORT_SPAN = const(7)
_OUTLIER = const(8)

# All of these are assumptions
STEP_ERROR = 0.03  # of a step's voltage: what moves within a sample, the shape of the fast RC pair
STEP_ERROR_PER_S = 0.01  # more of the RC pairs is in a longer sample
END_SOC = 0.1  # nearer to empty or full charge transfer is slower than a profile without rc_factor says
END_ERROR = 0.1
AWAY_ERROR = 1.0  # of how far R0 of the table is from where it was learned: f(T, P) is known to a tenth of its way, and
# that error stays the same for a hundred steps
HOME_STEPS = 256.0  # after which a new temperature or pressure is where it is learned
RESIDUALS_MOST = 8.0  # that are averaged before a step
STEADY = 0.01  # R0 of the table may move by so much from one sample to the next
LEAK_SIGMAS_SQUARED = 9.0
LEAK_STEP_FRAC = 0.005  # a short through Rs makes R0 look lower by R0 / Rs = R0 leak / V; more is not learned
LEAK_REST_C = 0.003  # at a full rest, where the voltage falls by it; more passes while relaxation falls as well
WATCH_S = 200.0  # the fall is watched over at least the last of it
REST_MEAN_S = 60.0  # a rest's voltage is a fading mean over it
GRID_VAR = 9e-6  # SOC of an anchor is no better than 0.3 %: the OCV table's knots are 0.8 % apart
BEYOND_MOST = 0.05  # of SOC: a rested voltage beyond the table is placed along its last slope
BEYOND_DOUBT = 0.25  # the square of what part of the way beyond counts as 1-sigma
OUTLIER_SQUARED = 25.0
COMMON_FRAC = 0.5
CLOCK_S = 10.0
DAY_S = 86400.0
LOOP_FRAC = 0.1  # of the hysteresis: 1-sigma of the loop's shape
SOC_UNKNOWN = 0.289  # 1-sigma of a uniform 0..1
SLOPE_LEAST_V = 1e-3
SLOPE_MOST_V = 1e3
VARIANCE_MOST = 1e12
INFORMATION_LEAST = 1.0
NEWTON_STEPS = 8


# Beyond these, sums and squares overflow single precision
PARAMETER_MOST = 1e6
PARAMETER_LEAST = 1e-9
LEARNED_MOST = 1e12
SUM_LEAST = 1e-3


def square_root(x):
    """Newton's method on x / 4^k, which lies in 0.25..1: no libm, the same digits everywhere."""
    scale = 1.0
    if not x > 0:
        return 0.0
    x = min(x, VARIANCE_MOST)
    while x < 0.25:
        x = x * 4.0
        scale = scale * 0.5
    while x > 1.0:
        x = x * 0.25
        scale = scale * 2.0
    root = 0.5 + 0.5 * x
    for _ in range(5):
        root = 0.5 * (root + x / root)
    return root * scale


class Learning:
    """Learns beside `ekf`, an Ekf, into which both scales are put.

    params: the flat layout that the Ekf has. Raises ValueError for figures that are negative, or zero where they must
    not be, or bounds of a scale without 1 between them.
    """

    def __init__(self, params, ekf):
        at = parameters.EKF_SIZE
        self._q = [params[k] for k in range(at, at + parameters.LEARNING_SIZE)]
        self._s = [0.0] * _SIZE
        self._ekf = ekf
        self._step_min_a = self._q[_STEP_MIN_C] * ekf._capacity_ah
        self._rest_a = self._q[_REST_CURRENT_C] * ekf._capacity_ah
        self._check()
        self.reset()

    def _check(self):
        q = self._q
        for k, value in enumerate(q):
            may_be_zero = k >= _HEIGHT_SIGMA_UM and k not in (_STIFFNESS, _SWELLING_UM)
            if not (PARAMETER_LEAST <= value <= PARAMETER_MOST or (may_be_zero and 0 <= value <= PARAMETER_MOST)):
                raise ValueError(f"learning parameter {k} must be positive, and at most 1e6")
        if not (q[_RESISTANCE_MIN] <= 1 <= q[_RESISTANCE_MAX] and q[_CAPACITY_MIN] <= 1 <= q[_CAPACITY_MAX]):
            raise ValueError("a scale's bounds must have 1 between them")
        if not q[_REST_FULL_S] >= q[_REST_MIN_S]:
            raise ValueError("rest_full_s must not be below rest_min_s")

    def reset(self):
        """A new cell of nominal capacity and resistance, within the prior's sigmas."""
        self._new(self._s)

    def _new(self, s):
        q = self._q
        prior_var = q[_CAPACITY_PRIOR] * q[_CAPACITY_PRIOR]
        for k in range(_SIZE):
            s[k] = 0.0
        s[_R_SCALE] = 1.0
        s[_R_VAR] = q[_RESISTANCE_PRIOR] * q[_RESISTANCE_PRIOR]
        s[_C_SCALE] = 1.0
        for k in range(_C1, _C6 + 1):
            s[k] = 1.0 / prior_var  # a pair x = y = 1
        s[_INFORMATION] = s[_BEST] = 1.0 / prior_var
        s[_COUNT_VAR] = prior_var
        s[_R_MISSING] = s[_C_MISSING] = _NO_CHANCE

    def export(self):
        """What outlives a power cycle. The last anchor does not: charge may flow while nobody counts it."""
        return array("f", self._s[:_LEARNED])

    def restore(self, values):
        """Take up what `export` gave. False for values that learning can't have left; nothing has changed then."""
        q = self._q
        if len(values) != _LEARNED:
            return False
        for k in range(_LEARNED):
            value = values[k]
            if not 0 <= value <= LEARNED_MOST:
                return False
            if _C1 <= k <= _BEST and not value >= SUM_LEAST:
                return False
        if not (
            q[_RESISTANCE_MIN] <= values[_R_SCALE] <= q[_RESISTANCE_MAX]
            and 0 < values[_R_VAR] <= q[_RESISTANCE_PRIOR] * q[_RESISTANCE_PRIOR]
            and q[_CAPACITY_MIN] <= values[_C_SCALE] <= q[_CAPACITY_MAX]
        ):
            return False
        self._new(self._s)
        for k in range(_LEARNED):
            self._s[k] = values[k]
        self._s[_COUNT_VAR] = self._capacity_var()
        return True

    def lose(self):
        """Charge flowed that was not counted: no pair with the anchor before, no step from the sample before."""
        for k in (_RESIDUALS, _REST_S, _REST_DONE, _ANCHOR_KNOWN):
            self._s[k] = 0.0

    def update(self, voltage_v, current_a, temperature_degc, dt_s):
        """Learn from a sample that the Ekf has just taken with status 0."""
        s, ekf = self._s, self._ekf
        self._learn_resistance(voltage_v, current_a, temperature_degc, dt_s)
        self._learn_capacity(voltage_v, current_a, temperature_degc, dt_s)
        kept = self._kept_of_soc(dt_s)
        self._doubt_soc(self._count_charge(current_a, dt_s), kept)
        ekf.resistance_scale = s[_R_SCALE]
        ekf.capacity_scale = s[_C_SCALE]

    def _learn_resistance(self, voltage_v, current_a, temperature_degc, dt_s):
        s, ekf = self._s, self._ekf
        r0_ohm = ekf.r0_ohm / ekf.resistance_scale
        step_a = current_a - s[_PREVIOUS_A]
        if abs(step_a) >= self._step_min_a:
            if s[_RESIDUALS] > 0:
                missing = self._step_missing(voltage_v, dt_s, r0_ohm)
                s[_R_MISSING] = missing
                if missing == _LEARNT:
                    self._take_step(dt_s, r0_ohm, step_a)
            s[_RESIDUALS] = 0.0
        s[_RESIDUALS] = s[_RESIDUALS] + 1.0 if s[_RESIDUALS] < RESIDUALS_MOST else RESIDUALS_MOST
        residual_v = voltage_v - ekf.model_v(current_a, temperature_degc)
        s[_RESIDUAL_V] = s[_RESIDUAL_V] + (residual_v - s[_RESIDUAL_V]) / s[_RESIDUALS]
        s[_PREVIOUS_A] = current_a
        s[_PREVIOUS_R0] = r0_ohm

    def _step_missing(self, voltage_v, dt_s, r0_ohm):
        """What goes wrong with this step as evidence of resistance, or _LEARNT."""
        ekf = self._ekf
        leak_v = ekf.r0_ohm * abs(ekf.leak_a)
        if not r0_ohm > 0:
            return _UNSTEADY
        if dt_s > self._q[_STEP_DT_MAX_S]:
            return _TOO_SLOW
        if abs(r0_ohm - self._s[_PREVIOUS_R0]) > STEADY * r0_ohm:
            return _UNSTEADY
        if leak_v > LEAK_STEP_FRAC * voltage_v and ekf.leak_a * ekf.leak_a > LEAK_SIGMAS_SQUARED * ekf.leak_var:
            return _LEAKING
        return _LEARNT

    def _take_step(self, dt_s, r0_ohm, step_a):
        q, s, ekf = self._q, self._s, self._ekf
        x = r0_ohm * step_a
        y = ekf.innovation_v - s[_RESIDUAL_V]
        if s[_HOME_R0] == 0:
            s[_HOME_R0] = r0_ohm
        boost = clamp(ekf.nis_mean, 1.0, ekf._adapt_max) * (1.0 + 1.0 / s[_RESIDUALS])
        away = abs(r0_ohm - s[_HOME_R0]) / s[_HOME_R0]
        error = STEP_ERROR + STEP_ERROR_PER_S * dt_s + AWAY_ERROR * away
        if ekf.soc < END_SOC or ekf.soc > 1.0 - END_SOC:
            error = error + END_ERROR
        noise = boost * (ekf._voltage_sigma_v * ekf._voltage_sigma_v) + error * x * (error * x)
        gain = s[_R_VAR] * x / (x * s[_R_VAR] * x + noise)
        moved = abs(gain * y)
        if moved > q[_STEP_MAX]:
            gain = gain * (q[_STEP_MAX] / moved)
        keep = 1.0 - gain * x
        s[_R_SCALE] = clamp(s[_R_SCALE] + gain * y, q[_RESISTANCE_MIN], q[_RESISTANCE_MAX])
        s[_R_VAR] = keep * keep * s[_R_VAR] + gain * gain * noise
        s[_R_STEPS] = s[_R_STEPS] + 1.0
        s[_HOME_R0] = s[_HOME_R0] + (r0_ohm - s[_HOME_R0]) / HOME_STEPS

    def _count_charge(self, current_a, dt_s):
        """Returns the fraction of the nominal capacity that flowed in."""
        s, ekf = self._s, self._ekf
        moved = current_a * dt_s / (3600.0 * ekf._capacity_ah)
        s[_CLOCK_MOVED] = s[_CLOCK_MOVED] + abs(moved)
        if moved > 0:
            moved = moved * ekf._coulombic_efficiency_frac
            s[_CLOCK_CHARGED] = s[_CLOCK_CHARGED] + moved
        y = moved + s[_CHARGE_RESIDUAL]
        total = s[_CHARGE] + y
        s[_CHARGE_RESIDUAL] = y - (total - s[_CHARGE])
        s[_CHARGE] = total
        s[_CLOCK_S] = s[_CLOCK_S] + dt_s
        if s[_CLOCK_S] >= CLOCK_S:
            self._turn_clock()
        return moved

    def _turn_clock(self):
        """What was counted since the last turn goes into the long sums, which then lose nothing to rounding."""
        q, s, ekf = self._q, self._s, self._ekf
        prior = q[_RESISTANCE_PRIOR]
        drift = q[_RESISTANCE_DRIFT]
        s[_ELAPSED_H] = s[_ELAPSED_H] + s[_CLOCK_S] / 3600.0
        s[_CYCLES] = s[_CYCLES] + 0.5 * s[_CLOCK_MOVED]
        s[_CHARGED] = s[_CHARGED] + s[_CLOCK_CHARGED]
        passed = s[_CLOCK_S] / DAY_S + 0.5 * s[_CLOCK_MOVED]
        s[_R_VAR] = clamp(s[_R_VAR] + drift * drift * passed, 0.0, prior * prior)
        s[_CLOCK_S] = 0.0
        s[_CLOCK_MOVED] = 0.0
        s[_CLOCK_CHARGED] = 0.0
        s[_COUNT_VAR] = self._capacity_var() + q[_GAIN_SIGMA] * q[_GAIN_SIGMA]
        slope_v = clamp(ekf.slope_v(), SLOPE_LEAST_V, SLOPE_MOST_V)
        over_v = (ekf.r0_ohm * s[_PREVIOUS_A] + ekf.v1_v + ekf.v2_v) / s[_R_SCALE]
        volts_var = self._ocv_var() + self._resistance_var() * over_v * over_v
        s[_OCV_SOC_SIGMA] = clamp(square_root(volts_var) / slope_v, 0.0, SOC_UNKNOWN)

    def _ocv_var(self):
        """Variance of the OCV at a SOC: table, sensor, and the shape of the hysteresis loop."""
        loop_v = LOOP_FRAC * self._ekf._hysteresis_v
        return self._q[_OCV_SIGMA_V] * self._q[_OCV_SIGMA_V] + loop_v * loop_v

    def _kept_of_soc(self, dt_s):
        """Share of the SOC's variance that this sample's voltage left of what was there before it."""
        s, ekf = self._s, self._ekf
        counted = dt_s / (3600.0 * (ekf._capacity_ah * ekf.capacity_scale))
        noise = ekf._soc_noise_frac_per_rts * ekf._soc_noise_frac_per_rts * dt_s
        before = s[_SOC_VAR] - 2.0 * counted * s[_SOC_LEAK_COV] + counted * counted * s[_LEAK_VAR] + noise
        var = ekf.soc_var
        return var / before if var < before else 1.0

    def _doubt_soc(self, moved, kept):
        """The counted SOC is wrong by the capacity's error times what was counted since the OCV last told it."""
        s, ekf = self._s, self._ekf
        var = ekf.soc_var
        s[_SENSITIVITY] = (s[_SENSITIVITY] + moved / s[_C_SCALE]) * kept
        s[_GRANTED_VAR] = s[_GRANTED_VAR] * kept
        s[_SOC_BIAS] = s[_SOC_BIAS] + (1.0 - kept) * (s[_OCV_SOC_SIGMA] - s[_SOC_BIAS])
        needed = s[_SENSITIVITY] * s[_SENSITIVITY] * s[_COUNT_VAR]
        if needed > s[_GRANTED_VAR]:
            var = var + (needed - s[_GRANTED_VAR])
            s[_GRANTED_VAR] = needed
            ekf.soc_var = var
        s[_SOC_VAR] = var
        s[_SOC_LEAK_COV] = ekf.soc_leak_cov
        s[_LEAK_VAR] = ekf.leak_var

    def _learn_capacity(self, voltage_v, current_a, temperature_degc, dt_s):
        """A rest is judged at its end, or when it is as good as it gets."""
        q, s = self._q, self._s
        rests = abs(current_a) <= self._rest_a
        if rests:
            self._follow_rest(voltage_v, dt_s)
        if s[_REST_DONE] == 0 and s[_REST_S] >= (q[_REST_FULL_S] if rests else q[_REST_MIN_S]):
            s[_REST_DONE] = 1.0
            s[_C_MISSING] = self._consider_anchor(temperature_degc, dt_s)
        if not rests:
            s[_REST_S] = 0.0
            s[_REST_DONE] = 0.0

    def _follow_rest(self, voltage_v, dt_s):
        s = self._s
        if s[_REST_S] == 0:
            s[_REST_V] = s[_REST_MARK_V] = s[_REST_MID_V] = voltage_v
            s[_REST_MARK_S] = 0.0
        s[_REST_V] = s[_REST_V] + dt_s / (REST_MEAN_S + dt_s) * (voltage_v - s[_REST_V])
        s[_REST_S] = clamp(s[_REST_S] + dt_s, 0.0, self._q[_REST_FULL_S])
        s[_REST_MARK_S] = s[_REST_MARK_S] + dt_s
        if s[_REST_MARK_S] >= WATCH_S:
            s[_REST_MID_V] = s[_REST_MARK_V]
            s[_REST_MARK_V] = s[_REST_V]
            s[_REST_MARK_S] = 0.0

    def _consider_anchor(self, temperature_degc, dt_s):
        q, s, ekf = self._q, self._s, self._ekf
        if self._falls(dt_s):
            s[_ANCHOR_KNOWN] = 0.0
            return _LEAKING
        entropy_v = ekf._entropy_v_per_k  # 1 K between the cell and its sensor
        warmer_v = entropy_v * (temperature_degc - ekf._ocv_temperature_degc)
        volts = s[_REST_V] - ekf._hysteresis_v * ekf.hysteresis - warmer_v
        loop_var = ekf._hysteresis_v * ekf._hysteresis_v * ekf.hysteresis_var
        left_v = s[_REST_V] - s[_REST_MID_V]  # of the relaxation, about as much as went by lately
        volts_var = self._ocv_var() + loop_var + entropy_v * entropy_v + left_v * left_v
        soc = self._place_of(volts)
        var = self._place_var(volts, square_root(volts_var), soc)
        if not (var <= q[_ANCHOR_SIGMA_MAX] * q[_ANCHOR_SIGMA_MAX] and -BEYOND_MOST <= soc <= 1.0 + BEYOND_MOST):
            return _OCV_FLAT
        self._turn_clock()
        missing = self._pair_with_anchor(soc, var)
        if not self._keeps_anchor(missing, var):
            self._set_anchor(soc, var)
        return missing

    def _falls(self, dt_s):
        """Whether the rested voltage falls by more than its noise, what relaxation is left, and a leak that may pass.

        The filter's own leak is no judge: an error of capacity, or a SOC beyond the table's end, looks like one.
        """
        s, ekf = self._s, self._ekf
        relaxing = self._q[_REST_FULL_S] / s[_REST_S]
        passes_c = LEAK_REST_C * (relaxing * relaxing)
        passes_v = passes_c * ekf.slope_v() * ((WATCH_S + s[_REST_MARK_S]) / 3600.0)
        fall_v = s[_REST_MID_V] - s[_REST_V] - passes_v
        noise_var = ekf._voltage_sigma_v * ekf._voltage_sigma_v * (dt_s / REST_MEAN_S)
        return fall_v > 0 and fall_v * fall_v > LEAK_SIGMAS_SQUARED * noise_var

    def _place_of(self, volts):
        """SOC of a rested voltage, hysteresis and temperature taken off; beyond the table along its last slope."""
        ekf = self._ekf
        p = ekf._p
        soc = ekf.rested_soc(volts, ekf._ocv_temperature_degc)
        if soc <= 0:
            return (volts - p[ekf._ocv_v]) / clamp(p[ekf._docv_v], SLOPE_LEAST_V, SLOPE_MOST_V)
        if soc >= 1:
            last_v = p[ekf._docv_v + LAST_KNOT]
            return 1.0 + (volts - p[ekf._ocv_v + LAST_KNOT]) / clamp(last_v, SLOPE_LEAST_V, SLOPE_MOST_V)
        return soc

    def _place_var(self, volts, volts_sigma, soc):
        """Variance of that SOC, from the wider side; what lies beyond the table is doubted more."""
        up = self._place_of(volts + volts_sigma) - soc
        down = soc - self._place_of(volts - volts_sigma)
        sigma = max(up, down)
        beyond = soc - clamp(soc, 0.0, 1.0)
        return sigma * sigma + BEYOND_DOUBT * beyond * beyond + GRID_VAR

    def _keeps_anchor(self, missing, var):
        """A short span keeps the older anchor, unless the charge since is known less well than the new one's SOC."""
        s = self._s
        offset = self._q[_OFFSET_SIGMA_C] * s[_ELAPSED_H]
        return missing == _SHORT_SPAN and s[_ANCHOR_VAR] + offset * offset < var

    def _set_anchor(self, soc, var):
        s = self._s
        s[_ANCHOR_KNOWN] = 1.0
        s[_ANCHOR_SOC] = soc
        s[_ANCHOR_VAR] = var
        for k in (_CHARGE, _CHARGE_RESIDUAL, _CHARGED, _ELAPSED_H):
            s[k] = 0.0

    def _pair_with_anchor(self, soc, var):
        q, s = self._q, self._s
        x = soc - s[_ANCHOR_SOC]
        y = s[_CHARGE]
        gain = q[_GAIN_SIGMA] * y
        efficiency = q[_EFFICIENCY_SIGMA] * s[_CHARGED]
        offset = q[_OFFSET_SIGMA_C] * s[_ELAPSED_H]
        if s[_ANCHOR_KNOWN] == 0:
            return _ONE_ANCHOR
        if abs(x) < q[_PAIR_MIN]:
            return _SHORT_SPAN
        return self._take_pair(x, var + s[_ANCHOR_VAR], y, gain * gain + efficiency * efficiency + offset * offset)

    def _take_pair(self, x, x_var, y, y_var):
        """x: difference in SOC, y: charge; both with their variances."""
        s = self._s
        capacity = s[_C_SCALE]
        off = y - capacity * x
        noise = y_var + capacity * capacity * x_var
        drift = self._drift_var()
        if off * off > OUTLIER_SQUARED * (noise + x * x * self._capacity_var()):
            if s[_INFORMATION] > INFORMATION_LEAST:
                self._fade(0.5)
            return _OUTLIER
        self._fade(1.0 / (1.0 + s[_INFORMATION] * drift))
        s[_C1] = s[_C1] + x * x / y_var
        s[_C2] = s[_C2] + x * y / y_var
        s[_C3] = s[_C3] + y * y / y_var
        s[_C4] = s[_C4] + x * x / x_var
        s[_C5] = s[_C5] + x * y / x_var
        s[_C6] = s[_C6] + y * y / x_var
        told = x * x / noise
        s[_INFORMATION] = s[_INFORMATION] + told
        if s[_PAIRS] == 0 or told > s[_BEST]:
            s[_BEST] = told
        s[_PAIRS] = s[_PAIRS] + 1.0
        s[_CYCLES] = 0.0
        s[_C_SCALE] = self._solve_capacity()
        return _LEARNT

    def _fade(self, kept):
        s = self._s
        for k in range(_C1, _BEST + 1):
            s[k] = s[k] * kept

    def _solve_capacity(self):
        """Root of the derivative of the AWTLS cost, by Newton's method from where it was."""
        q, s = self._q, self._s
        k = s[_C1] / s[_C4]
        a4 = k * k * k * s[_C5]
        a3 = 2.0 * (k * k) * s[_C4] - k * k * k * s[_C6] - k * s[_C1]
        a2 = 3.0 * (k * s[_C2]) - 3.0 * (k * k * s[_C5])
        a1 = k * k * s[_C6] + s[_C1] - 2.0 * (k * s[_C3])
        capacity = s[_C_SCALE]
        for _ in range(NEWTON_STEPS):
            value = (((a4 * capacity + a3) * capacity + a2) * capacity + a1) * capacity - s[_C2]
            slope = ((4.0 * a4 * capacity + 3.0 * a3) * capacity + 2.0 * a2) * capacity + a1
            if not slope > 0:
                break
            capacity = clamp(capacity - value / slope, q[_CAPACITY_MIN], q[_CAPACITY_MAX])
        return capacity

    def _drift_var(self):
        drift = self._q[_CAPACITY_DRIFT]
        return drift * drift * self._s[_CYCLES]

    def _capacity_var(self):
        s = self._s
        common = COMMON_FRAC / s[_BEST] if s[_PAIRS] > 0 else 0.0
        return 1.0 / s[_INFORMATION] + common + self._drift_var()

    def _resistance_var(self):
        model = self._q[_RESISTANCE_FLOOR] * self._s[_R_SCALE]
        return self._s[_R_VAR] + model * model

    def soh(self):
        """(capacity of the new one's, 1-sigma, pairs of rests it was learned from, what the last rest lacked),
        (resistance of the new cell over this one's, 1-sigma, steps of current, what the last step lacked)."""
        s = self._s
        scale = s[_R_SCALE]
        fresh = self._ekf._overvoltage_sigma_frac * scale  # how well the new cell's resistance is known
        sigma = square_root(self._resistance_var() + fresh * fresh) / (scale * scale)
        return (
            (s[_C_SCALE], square_root(self._capacity_var()), int(s[_PAIRS]), int(s[_C_MISSING])),
            (1.0 / scale, sigma, int(s[_R_STEPS]), int(s[_R_MISSING])),
        )

    def resistance_sigma(self):
        """1-sigma of the resistance scale as a measure of R0."""
        return square_root(self._resistance_var())

    def soc_sigma(self):
        """The filter's, with what an error of the OCV table may have made of SOC."""
        return square_root(self._ekf.soc_var + self._s[_SOC_BIAS] * self._s[_SOC_BIAS] + GRID_VAR)
