"""The flat float layout of the estimator's parameters, in one table.

The config image carries these floats in this order, `ekf.Ekf` indexes them by `offset(name)`, and the C kernel's
parameter struct has the same members in the same order (a test compares the two). Append rows; never reorder.

Positive current charges. `r0_ohm` is row-major: temperature outer, pressure inner; both axes strictly increasing and
always full (a coarser measurement is resampled on the host). A row with a default may be left out of `pack`.
"""

OCV_POINTS = 129  # SOC 0..1 in steps of 1/128, a spacing that floats hold exactly
TEMPERATURE_POINTS = 12  # 0..80 degC in steps of 7 K keeps bilinear R0 within 1.2 % of an Arrhenius law at 0.34 eV
PRESSURE_POINTS = (
    8  # in geometric steps of 1.7 (0.5..20 MPa) bilinear R0 is within 1 % of a P^-0.55 law; 2.5 makes it 5 %
)

# name, count, default (None: must be given). Noise figures are assumptions until a campaign replaces them.
ROWS = (
    ("capacity_ah", 1, None),
    ("coulombic_efficiency_frac", 1, 1.0),  # of charge current; discharge counts in full
    ("ocv_v", OCV_POINTS, None),  # at ocv_temperature_degc, middle of the hysteresis loop
    ("docv_v", OCV_POINTS, None),  # dOCV/dSOC, V per unit SOC; from ocv_v by central differences if left out
    ("ocv_temperature_degc", 1, 25.0),
    ("entropy_v_per_k", 1, 0.0),  # dOCV/dT
    ("r0_temperature_degc", TEMPERATURE_POINTS, None),  # axis of r0_ohm, r1_ohm, r2_ohm
    ("r0_pressure_mpa", PRESSURE_POINTS, None),  # axis of r0_ohm
    ("r0_ohm", TEMPERATURE_POINTS * PRESSURE_POINTS, None),
    ("r1_ohm", TEMPERATURE_POINTS, None),
    ("r2_ohm", TEMPERATURE_POINTS, None),
    ("tau1_s", 1, None),
    ("tau2_s", 1, None),
    ("hysteresis_v", 1, 0.0),  # half the gap between the charge and discharge OCV
    ("hysteresis_rate", 1, 20.0),  # e-folds of the hysteresis state per full capacity of charge passed
    ("voltage_sigma_v", 1, 0.002),  # white noise of one voltage sample
    ("overvoltage_sigma_frac", 1, 0.05),  # 1-sigma relative error of the resistances
    ("rc_sigma_v", 1, 0.001),  # slow overvoltages that the model lacks, without current
    ("hysteresis_sigma_frac", 1, 0.2),
    ("soc_noise_frac_per_rts", 1, 1e-6),  # random walk, per square root of a second
    ("leak_sigma_a", 1, None),  # what a leak may be before any evidence, and its jump size; C/20 is a fair start
    ("leak_tau_s", 1, 3600.0),  # and how long it keeps its value; longer finds weaker leaks and lags growing ones
    ("gate_sigmas", 1, 5.0),  # innovations beyond it correct nothing
    ("adapt_tau_s", 1, 5.0),  # averaging time of the normalised innovation squared
    ("adapt_max", 1, 100.0),  # process noise never grows beyond this factor
    ("voltage_min_v", 1, 0.0),  # plausible inputs; outside them a step returns a status and changes nothing
    ("voltage_max_v", 1, 6.0),
    ("current_max_a", 1, None),  # of the magnitude
    ("temperature_min_degc", 1, -40.0),
    ("temperature_max_degc", 1, 120.0),
    ("pressure_max_mpa", 1, 400.0),
    ("dt_max_s", 1, 60.0),
)

SIZE = 423  # sum of the counts; 32-bit floats in the config image


def offset(name):
    """Index of the first float of the row `name`; raises KeyError."""
    at = 0
    for row_name, count, _default in ROWS:
        if row_name == name:
            return at
        at += count
    raise KeyError(name)


def pack(values):
    """Flatten {name: float or sequence of floats} to a list of SIZE floats.

    Raises KeyError for a name that is missing or unknown, ValueError for a wrong count.
    """
    known = [row[0] for row in ROWS]
    for name in values:
        if name not in known:
            raise KeyError("estimator parameter unknown: " + name)
    flat = []
    for name, count, default in ROWS:
        value = values.get(name, default)
        if value is None and name == "docv_v":
            value = central_differences(values["ocv_v"])
        if value is None:
            raise KeyError("estimator parameter missing: " + name)
        row = [float(value)] if isinstance(value, (int, float)) else [float(v) for v in value]
        if len(row) != count:
            raise ValueError(f"{name} has {len(row)} values, needs {count}")
        flat.extend(row)
    return flat


def central_differences(ocv_v):
    """dOCV/dSOC at the knots of `ocv_v`, which spans SOC 0..1 evenly; one-sided at both ends."""
    last = len(ocv_v) - 1
    slopes = []
    for k in range(last + 1):
        low = k - 1 if k > 0 else 0
        high = k + 1 if k < last else last
        slopes.append((ocv_v[high] - ocv_v[low]) * last / (high - low))
    return slopes
