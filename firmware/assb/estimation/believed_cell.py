"""What the estimator believes of its cell: the parameters, checked, and the tables among them.

Same lookups as in the C kernel; see parameters.py for the layout.
"""

from assb.estimation import parameters

LAST_KNOT = parameters.OCV_POINTS - 1
# Beyond these, squares and products overflow single precision
PARAMETER_MOST = 1e6
PARAMETER_LEAST = 1e-12
CAPACITY_LEAST_AH = 1e-6
OVERVOLTAGE_MOST_FRAC = 10.0
MUST_BE_POSITIVE = (
    "coulombic_efficiency_frac",
    "tau1_s",
    "tau2_s",
    "voltage_sigma_v",
    "leak_sigma_a",
    "leak_tau_s",
    "gate_sigmas",
    "adapt_tau_s",
    "adapt_max",
    "current_max_a",
    "dt_max_s",
    "hysteresis_rate",
    "pressure_max_mpa",
    "rc_sigma_v",
)


def lerp(a, b, fraction):
    return a + fraction * (b - a)


class BelievedCell:
    """Checked parameters of one cell; several cells may share one `params`.

    params: parameters.SIZE floats in the flat layout, any indexable (array 'f' on a board).
    Raises ValueError for a wrong count, a number that is not finite, an axis that does not rise, or a figure that
    must be positive and is not.
    """

    # one number each, or the index in params where the row starts; set from parameters.rows()
    _capacity_ah: float
    _coulombic_efficiency_frac: float
    _ocv_v: int
    _docv_v: int
    _ocv_temperature_degc: float
    _entropy_v_per_k: float
    _r0_temperature_degc: int
    _r0_pressure_mpa: int
    _r0_ohm: int
    _r1_ohm: int
    _r2_ohm: int
    _tau1_s: float
    _tau2_s: float
    _hysteresis_v: float
    _hysteresis_rate: float
    _voltage_sigma_v: float
    _overvoltage_sigma_frac: float
    _rc_sigma_v: float
    _hysteresis_sigma_frac: float
    _soc_noise_frac_per_rts: float
    _leak_sigma_a: float
    _leak_tau_s: float
    _gate_sigmas: float
    _adapt_tau_s: float
    _adapt_max: float
    _voltage_min_v: float
    _voltage_max_v: float
    _current_max_a: float
    _temperature_min_degc: float
    _temperature_max_degc: float
    _pressure_max_mpa: float
    _dt_max_s: float
    _rc_factor: int

    def __init__(self, params):
        if len(params) != parameters.SIZE:  # the filter reads its own rows, which come first
            raise ValueError(f"the estimator takes {parameters.SIZE} parameters, got {len(params)}")
        self._p = params
        at = 0
        for name, count in parameters.ekf_rows():
            setattr(self, "_" + name, params[at] if count == 1 else at)
            at += count
        self._check()
        self.r0_ohm = 0.0
        self.resistance_scale = 1.0

    def _check(self):
        for value in self._p:
            if not -PARAMETER_MOST <= value <= PARAMETER_MOST:  # NaN as well
                raise ValueError("an estimator parameter is not finite, or beyond 1e6")
        for name in MUST_BE_POSITIVE:
            if not self._p[parameters.offset(name)] >= PARAMETER_LEAST:
                raise ValueError(name + " must be positive")
        if not (self._capacity_ah >= CAPACITY_LEAST_AH and self._overvoltage_sigma_frac <= OVERVOLTAGE_MOST_FRAC):
            raise ValueError("capacity_ah must be at least 1e-6, overvoltage_sigma_frac at most 10")
        for at, count, name in (
            (self._r0_temperature_degc, parameters.TEMPERATURE_POINTS, "r0_temperature_degc"),
            (self._r0_pressure_mpa, parameters.PRESSURE_POINTS, "r0_pressure_mpa"),
        ):
            for k in range(at + 1, at + count):
                if not self._p[k] > self._p[k - 1]:
                    raise ValueError(name + " must rise")

    def rested_soc(self, voltage_v, temperature_degc):
        """SOC at which the rested cell shows this voltage; the OCV table must rise."""
        at_reference_v = voltage_v - self._entropy_v_per_k * (temperature_degc - self._ocv_temperature_degc)
        knot, fraction = self._locate(self._ocv_v, parameters.OCV_POINTS, at_reference_v)
        return (knot + fraction) / LAST_KNOT

    def _resistances(self, soc, temperature_degc, pressure_mpa):
        """Sets r0_ohm, bilinear in temperature and pressure; returns R1 and R2. All carry what ageing made of them."""
        p = self._p
        t, ft = self._locate(self._r0_temperature_degc, parameters.TEMPERATURE_POINTS, temperature_degc)
        j, fp = self._locate(self._r0_pressure_mpa, parameters.PRESSURE_POINTS, pressure_mpa)
        cold = self._r0_ohm + t * parameters.PRESSURE_POINTS + j
        warm = cold + parameters.PRESSURE_POINTS
        knot, fraction = self._knot(soc)
        scale = self.resistance_scale
        rc_scale = scale * lerp(p[self._rc_factor + knot], p[self._rc_factor + knot + 1], fraction)
        self.r0_ohm = scale * lerp(lerp(p[cold], p[cold + 1], fp), lerp(p[warm], p[warm + 1], fp), ft)
        r1_ohm = rc_scale * lerp(p[self._r1_ohm + t], p[self._r1_ohm + t + 1], ft)
        r2_ohm = rc_scale * lerp(p[self._r2_ohm + t], p[self._r2_ohm + t + 1], ft)
        return r1_ohm, r2_ohm

    def _knot(self, soc):
        """Cell of the SOC tables, and the place inside."""
        place = soc * LAST_KNOT
        knot = min(int(place), LAST_KNOT - 1)
        return knot, place - knot

    def _locate(self, at, count, x):
        """Cell of x on the rising axis that starts at p[at], and its place inside; held at the ends."""
        p = self._p
        if x <= p[at]:
            return 0, 0.0
        if x >= p[at + count - 1]:
            return count - 2, 1.0
        k = at
        while x >= p[k + 1]:
            k += 1
        return k - at, (x - p[k]) / (p[k + 1] - p[k])
