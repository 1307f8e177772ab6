"""Extended Kalman filter of one cell, in plain Python: the board's fallback and the readable twin of the C kernel.

Positive current charges; leak_a > 0 is charge lost inside the cell. With the inner current i = current_a - leak_a:

    dSOC/dt = eta i / (3600 Q)              eta: coulombic efficiency, on charge only
    dV1/dt  = (R1 i - V1) / tau1            V2 alike; both exact over a step with the current held
    dh/dt   = rate |i| / (3600 Q) (sign(i) - h)
    V       = OCV(SOC) + dOCV/dT (T - Tref) + M h + V1 + V2 + R0(T, P) i

after Plett, J. Power Sources 134 (2004) 277, doi:10.1016/j.jpowsour.2004.02.033, with the leak as fifth state and stack
pressure as an input: pressing harder lowers R0, and must not look like ageing. The leak acts on everything inside the
terminals, so its onset shows as a dip V R0 / (Rs + R0) and its age as missing charge.

Noise. SOC is a random walk. V1, V2, h and leak are drifts of given standard deviation and correlation time, so that
without evidence their variances stay bounded; the drift of V2 stands for slow overvoltages that the model lacks.
R0 is wrong by an unknown constant factor of 1-sigma overvoltage_sigma_frac. It is considered, not estimated (Schmidt's
filter): `_cross` is its covariance with the states. Taken as white noise instead, a steady current would teach the
filter a false leak. Its sensitivity is R0 * current_a, without the estimated leak: a sensitivity that moved with the
estimate would make the error look observable, and did (5 sigma false leaks in simulation).
The bend of the OCV over the SOC's own uncertainty, d2OCV/dSOC2 var(SOC), counts as noise (second-order filter; its
persistence is in BEND_WEIGHT): near a knee a first-order filter takes it for a leak.
A fading mean of the normalised innovation squared raises the drifts, within adapt_max, while the model does not
explain the voltage. An innovation beyond gate_sigmas corrects nothing, but each one admits that the leak may have
jumped by leak_sigma_a: an outlier is lost, a short that stays is believed after a few samples. In the first seconds
after a reset it is the initial SOC that is doubted instead.

The C kernel, cffi_kernels/src/assb_estimator.c, does the same operations in the same order; a test holds them equal.
"""

from assb.const import const
from assb.estimation.believed_cell import LAST_KNOT, BelievedCell, lerp

_OK = const(0)
_BAD_VOLTAGE = const(-1)
_BAD_CURRENT = const(-2)
_BAD_TEMPERATURE = const(-3)
_BAD_PRESSURE = const(-4)
_BAD_DT = const(-5)
_BAD_PARAMETER = const(-6)
_BAD_SOC = const(-8)

_SOC = const(0)
_V1 = const(1)
_V2 = const(2)
_HYS = const(3)
_LEAK = const(4)
STATES = (0, 1, 2, 3, 4)
DRIVEN = (0, 1, 2, 3)  # the states that the leak drives

PRESSURE_ZERO_MPA = -1.0  # a load cell may read a little below zero
VARIANCE_FLOOR = 1e-14  # rounding must not make a variance negative
BEND_WEIGHT = 20.0  # 1/2 for one sample, 40 times that as the bend's error stays for seconds (assumption)
SETTLING_S = 10.0  # after a reset (assumption)
SETTLING_SOC_SIGMA = 0.1  # jump of _SOC that each sample beyond the gate admits meanwhile (assumption)
HYSTERESIS_UNKNOWN = 0.333  # variance of a uniform -1..1


def one_minus_exp(x):
    """1 - exp(-x), x >= 0: a short series, or the [3/3] Pade form on x / 2^k, then k times d = d (2 - d).

    Absolute error below 1e-9.

    No libm, so that a board, its C kernel and the host agree; the difference keeps its digits in single precision.
    """
    if x <= 0.03125:  # the rule for the hysteresis, which a step turns by very little: no division
        return x * (1.0 - x * (1.0 / 2.0 - x * (1.0 / 6.0 - x * (1.0 / 24.0))))
    halvings = 0
    if x > 64.0:
        return 1.0
    while x > 0.25:
        x = x * 0.5
        halvings += 1
    square = x * x
    d = x * (120.0 + 2.0 * square) / (120.0 + 12.0 * square + x * (60.0 + square))
    while halvings > 0:
        d = d * (2.0 - d)
        halvings -= 1
    return d


def clamp(x, low, high):
    return low if x < low else high if x > high else x


class Ekf(BelievedCell):
    """State and covariance of one cell; several may share one `params`.

    params: parameters.SIZE floats in the flat layout, any indexable (array 'f' on a board).
    Raises ValueError for a wrong count, a number that is not finite, an axis that does not rise, or a figure that
    must be positive and is not.
    """

    def __init__(self, params):
        BelievedCell.__init__(self, params)
        self._covariance = [[0.0] * 5 for _ in STATES]
        self._h = [0.0, 1.0, 1.0, self._hysteresis_v, 0.0]
        self._b = [0.0] * 5
        self._c = [0.0] * 5
        self._gain = [0.0] * 5
        self._f = [1.0, 0.0, 0.0, 0.0]
        self._g = [0.0] * 4
        self._carried = [0.0] * 4
        self._cross = [0.0] * 5
        self._pulled = [0.0] * 5
        self._along = [0.0] * 5
        self._moved = [0.0] * 4
        self._set_decays(1.0)
        self.reset(0.5, 1.0)

    def reset(self, soc, soc_sigma):
        """At rest, without leak, hysteresis unknown. Returns _BAD_SOC for a SOC outside 0..1 or sigma not in (0, 1]."""
        if not (0 <= soc <= 1 and 0 < soc_sigma <= 1):
            return _BAD_SOC
        self.soc = soc
        self.soc_residual = 0.0
        self.v1_v = 0.0
        self.v2_v = 0.0
        self.hysteresis = 0.0
        self.leak_a = 0.0
        self.nis_mean = 1.0
        self._settling_s = SETTLING_S
        self.r0_ohm = 0.0
        self.resistance_scale = 1.0
        self.capacity_scale = 1.0
        self.innovation_v = 0.0
        self.innovation_var = 0.0
        rc_var = self._rc_sigma_v * self._rc_sigma_v
        diagonal = (soc_sigma * soc_sigma, rc_var, rc_var, HYSTERESIS_UNKNOWN, self._leak_sigma_a * self._leak_sigma_a)
        for i in STATES:
            for j in STATES:
                self._covariance[i][j] = diagonal[i] if i == j else 0.0
            self._cross[i] = 0.0
        return _OK

    def step(self, voltage_v, current_a, temperature_degc, pressure_mpa, dt_s):
        """Predict over dt_s with current_a held, then correct with voltage_v, measured at the end of dt_s.

        Returns _OK, or a negative status for an input that is not finite or implausible; the state is then untouched.
        """
        if not self._voltage_min_v <= voltage_v <= self._voltage_max_v:
            return _BAD_VOLTAGE
        status = self.predict(current_a, temperature_degc, pressure_mpa, dt_s)
        if status == _OK:
            self._measurement_update(voltage_v, current_a, temperature_degc)
        return status

    def predict(self, current_a, temperature_degc, pressure_mpa, dt_s):
        """Count charge over dt_s without looking at the voltage (a lost voltage sensor): the covariance grows."""
        if not 0 < dt_s <= self._dt_max_s:
            return _BAD_DT
        if not -self._current_max_a <= current_a <= self._current_max_a:
            return _BAD_CURRENT
        if not self._temperature_min_degc <= temperature_degc <= self._temperature_max_degc:
            return _BAD_TEMPERATURE
        if not PRESSURE_ZERO_MPA <= pressure_mpa <= self._pressure_max_mpa:
            return _BAD_PRESSURE
        r1_ohm, r2_ohm = self._resistances(self.soc, temperature_degc, pressure_mpa)
        self._time_update(current_a, dt_s, r1_ohm, r2_ohm)
        return _OK

    def _add_soc(self, increment):
        """Compensated sum, so that single precision keeps increments below half an ulp of _SOC."""
        y = increment + self.soc_residual
        total = self.soc + y
        self.soc_residual = y - (total - self.soc)
        self.soc = total
        if total < 0 or total > 1:
            self.soc = clamp(total, 0.0, 1.0)
            self.soc_residual = 0.0

    def _set_decays(self, dt_s):
        """Kept while dt_s stays the same: a fifth of a step's float operations, each of which takes heap on a board."""
        self._decay_dt_s = dt_s
        self._d1 = one_minus_exp(dt_s / self._tau1_s)
        self._d2 = one_minus_exp(dt_s / self._tau2_s)
        self._dl = one_minus_exp(dt_s / self._leak_tau_s)
        self._d_adapt = one_minus_exp(dt_s / self._adapt_tau_s)

    def _time_update(self, current_a, dt_s, r1_ohm, r2_ohm):
        inner_a = current_a - self.leak_a
        sign = 1.0 if inner_a > 0 else -1.0 if inner_a < 0 else 0.0
        per_a = dt_s / (3600.0 * self._capacity_ah) / self.capacity_scale
        counted = per_a * self._coulombic_efficiency_frac if inner_a > 0 else per_a
        turn = per_a * self._hysteresis_rate
        if dt_s != self._decay_dt_s:
            self._set_decays(dt_s)
        d1, d2, dl = self._d1, self._d2, self._dl
        dh = one_minus_exp(turn * (inner_a * sign))

        # x' = f x + g leak, for the four states that the leak drives; leak' = keep leak
        keep = 1.0 - dl
        f, g = self._f, self._g
        f[_V1] = 1.0 - d1
        f[_V2] = 1.0 - d2
        f[_HYS] = 1.0 - dh
        g[_SOC] = -counted
        g[_V1] = -d1 * r1_ohm
        g[_V2] = -d2 * r2_ohm
        g[_HYS] = -(sign - self.hysteresis) * f[_HYS] * turn * sign

        self._add_soc(counted * inner_a)
        self.v1_v = self.v1_v + d1 * (r1_ohm * inner_a - self.v1_v)
        self.v2_v = self.v2_v + d2 * (r2_ohm * inner_a - self.v2_v)
        self.hysteresis = self.hysteresis + dh * (sign - self.hysteresis)
        self.leak_a = self.leak_a - dl * self.leak_a

        leak_var = self._move_covariance(keep)
        cov = self._covariance
        boost = clamp(self.nis_mean, 1.0, self._adapt_max)
        floor_var = boost * (self._rc_sigma_v * self._rc_sigma_v)
        drift1_v = self._overvoltage_sigma_frac * r1_ohm * inner_a
        drift2_v = self._overvoltage_sigma_frac * (self.r0_ohm + r2_ohm) * inner_a
        hys_sigma = self._hysteresis_sigma_frac
        leak_var_max = self._leak_sigma_a * self._leak_sigma_a
        cov[_SOC][_SOC] = cov[_SOC][_SOC] + self._soc_noise_frac_per_rts * self._soc_noise_frac_per_rts * dt_s
        cov[_V1][_V1] = cov[_V1][_V1] + (floor_var + boost * (drift1_v * drift1_v)) * (d1 * (2.0 - d1))
        cov[_V2][_V2] = cov[_V2][_V2] + (floor_var + boost * (drift2_v * drift2_v)) * (d2 * (2.0 - d2))
        cov[_HYS][_HYS] = cov[_HYS][_HYS] + hys_sigma * hys_sigma * (dh * (2.0 - dh))
        cov[_LEAK][_LEAK] = keep * keep * leak_var + boost * leak_var_max * (dl * (2.0 - dl))

    def _move_covariance(self, keep):
        """F P F' without the last diagonal element, whose old value it returns."""
        cov, f, g, carried, moved = self._covariance, self._f, self._g, self._carried, self._moved
        leak_var = cov[_LEAK][_LEAK]
        for a in DRIVEN:
            carried[a] = f[a] * cov[a][_LEAK]
            moved[a] = carried[a] + g[a] * leak_var
        for a in DRIVEN:
            fa = f[a]
            ga = g[a]
            carried_a = carried[a]
            row = cov[a]
            for b in range(a, 4):
                value = fa * (f[b] * row[b]) + (carried_a * g[b] + ga * moved[b])
                row[b] = value
                cov[b][a] = value
        for a in DRIVEN:
            value = keep * moved[a]
            cov[a][_LEAK] = value
            cov[_LEAK][a] = value
        ohm = self._cross
        for a in DRIVEN:
            ohm[a] = f[a] * ohm[a] + g[a] * ohm[_LEAK]
        ohm[_LEAK] = keep * ohm[_LEAK]
        return leak_var

    def _measurement_update(self, voltage_v, current_a, temperature_degc):
        p, h, b, c, ohm = self._p, self._h, self._b, self._c, self._cross
        knot, fraction = self._knot(self.soc)
        at = self._ocv_v + knot
        warmer_k = temperature_degc - self._ocv_temperature_degc
        ocv_v = lerp(p[at], p[at + 1], fraction) + self._entropy_v_per_k * warmer_k
        at = self._docv_v + knot
        h[_SOC] = lerp(p[at], p[at + 1], fraction)
        h[_LEAK] = -self.r0_ohm
        drop_v = self.r0_ohm * current_a
        ohm_var = self._overvoltage_sigma_frac * self._overvoltage_sigma_frac
        bend_v = (p[at + 1] - p[at]) * LAST_KNOT * self._covariance[_SOC][_SOC]
        noise_var = self._voltage_sigma_v * self._voltage_sigma_v + BEND_WEIGHT * (bend_v * bend_v)
        for i in STATES:
            b[i] = self._along_h(self._covariance[i])
            c[i] = b[i] + ohm[i] * drop_v
        seen = self._along_h(ohm)
        hb = self._along_h(b)
        spread = drop_v * ohm_var * drop_v + noise_var
        seen_var = hb + drop_v * seen
        self.innovation_var = seen_var + (drop_v * seen + spread)
        polarised_v = self._hysteresis_v * self.hysteresis + (self.v1_v + self.v2_v)
        self.innovation_v = voltage_v - (ocv_v + (polarised_v + self.r0_ohm * (current_a - self.leak_a)))
        per_var = 1.0 / self.innovation_var
        if self._inside_gate(self.innovation_v * self.innovation_v * per_var):
            self._correct(per_var)
            self._covariance_update(drop_v, ohm_var, seen, hb, spread)

    def _along_h(self, x):
        """Of a vector with the derivative of the voltage."""
        h = self._h
        return (x[0] * h[0] + x[1]) + (x[2] + (x[3] * h[3] + x[4] * h[4]))

    def _inside_gate(self, nis):
        """Whether the innovation may correct; if not, it widens what is doubted instead."""
        limit = self._gate_sigmas * self._gate_sigmas
        counted = min(nis, limit)
        self.nis_mean = self.nis_mean + self._d_adapt * (counted - self.nis_mean)
        doubted, jump = _LEAK, self._leak_sigma_a
        if self._settling_s > 0:
            self._settling_s = self._settling_s - self._decay_dt_s
            doubted, jump = _SOC, SETTLING_SOC_SIGMA
        if nis > limit:
            row = self._covariance[doubted]
            row[doubted] = row[doubted] + jump * jump
        return nis <= limit

    def _correct(self, per_var):
        c, gain, innovation_v = self._c, self._gain, self.innovation_v
        for i in STATES:
            gain[i] = c[i] * per_var
        self._add_soc(gain[_SOC] * innovation_v)
        self.v1_v = self.v1_v + gain[_V1] * innovation_v
        self.v2_v = self.v2_v + gain[_V2] * innovation_v
        self.hysteresis = clamp(self.hysteresis + gain[_HYS] * innovation_v, -1.0, 1.0)
        self.leak_a = clamp(self.leak_a + gain[_LEAK] * innovation_v, -self._current_max_a, self._current_max_a)

    def _covariance_update(self, drop_v, ohm_var, seen, hb, spread):
        """Joseph form, (1 - K H) P (1 - K H)' + K R K', which keeps the covariance positive for any gain.

        Multiplied out for one measurement, with b = P H' and hb = H P H': P - K b' - b K' + K (hb + R) K'. With the
        considered error of R0: w = (1 - K H) d, d its cross-covariance, adds -w drop K' - K drop w', and its own
        variance stands in `spread` beside the noise.
        """
        b, gain, cov, ohm, pulled, along = self._b, self._gain, self._covariance, self._cross, self._pulled, self._along
        known_var = hb + spread
        for i in STATES:
            k = gain[i]
            w = ohm[i] - k * seen
            pulled[i] = b[i] + drop_v * w
            along[i] = known_var * k - pulled[i]
            ohm[i] = w - k * (drop_v * ohm_var)
        for i in STATES:
            k = gain[i]
            row = cov[i]
            along_i = along[i]
            for j in range(i, 5):
                value = row[j] - k * pulled[j] + along_i * gain[j]
                row[j] = value
                cov[j][i] = value
            row[i] = max(row[i], VARIANCE_FLOOR)

    def observe_soc(self, soc, soc_sigma):
        """Correct with a SOC that something else than the voltage tells, its error independent of the states'.

        Returns _BAD_SOC for a SOC outside 0..1 or a sigma not in (0, 1]; the state is then untouched.
        """
        if not (0 <= soc <= 1 and 0 < soc_sigma <= 1):
            return _BAD_SOC
        cov, gain, column = self._covariance, self._gain, self._b
        off = soc - (self.soc + self.soc_residual)
        var = cov[_SOC][_SOC] + soc_sigma * soc_sigma
        for i in STATES:
            column[i] = cov[i][_SOC]
            gain[i] = column[i] / var
        self._add_soc(gain[_SOC] * off)
        self.v1_v = self.v1_v + gain[_V1] * off
        self.v2_v = self.v2_v + gain[_V2] * off
        self.hysteresis = clamp(self.hysteresis + gain[_HYS] * off, -1.0, 1.0)
        self.leak_a = clamp(self.leak_a + gain[_LEAK] * off, -self._current_max_a, self._current_max_a)
        self._observed_soc(var)
        return _OK

    def _observed_soc(self, var):
        """Joseph form of a scalar observation of SOC; nothing of the considered resistance error is in it."""
        cov, gain, column, cross = self._covariance, self._gain, self._b, self._cross
        ohm = cross[_SOC]
        for i in STATES:
            for j in range(i, 5):
                value = cov[i][j] - gain[i] * column[j] - column[i] * gain[j] + gain[i] * var * gain[j]
                cov[i][j] = value
                cov[j][i] = value
            cov[i][i] = max(cov[i][i], VARIANCE_FLOOR)
            cross[i] = cross[i] - gain[i] * ohm

    def covariance(self):
        """5 x 5, order soc, v1_v, v2_v, hysteresis, leak_a."""
        return [list(row) for row in self._covariance]

    @property
    def soc_var(self):
        return self._covariance[_SOC][_SOC]

    @soc_var.setter
    def soc_var(self, value):
        """Only to widen it: learning doubts what was counted."""
        self._covariance[_SOC][_SOC] = value

    @property
    def soc_leak_cov(self):
        return self._covariance[_SOC][_LEAK]

    @property
    def leak_var(self):
        return self._covariance[_LEAK][_LEAK]

    @property
    def hysteresis_var(self):
        return self._covariance[_HYS][_HYS]

    def slope_v(self):
        """dOCV/dSOC at the present SOC."""
        return self._over_soc(self._docv_v)

    def model_v(self, current_a, temperature_degc):
        """Terminal voltage of the corrected model."""
        warmer_v = self._entropy_v_per_k * (temperature_degc - self._ocv_temperature_degc)
        rested_v = self._over_soc(self._ocv_v) + warmer_v + self._hysteresis_v * self.hysteresis
        return rested_v + self.v1_v + self.v2_v + self.r0_ohm * (current_a - self.leak_a)

    def _over_soc(self, at):
        knot, fraction = self._knot(self.soc)
        return lerp(self._p[at + knot], self._p[at + knot + 1], fraction)

    @property
    def soc_sigma(self):
        return self._covariance[_SOC][_SOC] ** 0.5

    @property
    def hysteresis_v(self):
        return self._hysteresis_v * self.hysteresis

    @property
    def leak_sigma_a(self):
        return self._covariance[_LEAK][_LEAK] ** 0.5

    @property
    def innovation_sigma_v(self):
        return self.innovation_var**0.5
