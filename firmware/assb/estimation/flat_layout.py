"""Filling the estimator's flat layout on the host: what each row means, its default, and `pack`."""

from assb.estimation import parameters

NO_LIMIT_A = 1e6

# Default of each row; None: must be given. Noise figures are assumptions until a campaign replaces them.
DEFAULTS = {
    "capacity_ah": None,
    "coulombic_efficiency_frac": 1.0,  # of charge current; discharge counts in full
    "ocv_v": None,  # at ocv_temperature_degc, middle of the hysteresis loop
    "docv_v": None,  # dOCV/dSOC, V per unit SOC; from ocv_v by central differences if left out
    "ocv_temperature_degc": 25.0,
    "entropy_v_per_k": 0.0,  # dOCV/dT
    "r0_temperature_degc": None,  # axis of r0_ohm, r1_ohm, r2_ohm
    "r0_pressure_mpa": None,  # axis of r0_ohm
    "r0_ohm": None,
    "r1_ohm": None,
    "r2_ohm": None,
    "tau1_s": None,
    "tau2_s": None,
    "hysteresis_v": 0.0,  # half the gap between the charge and discharge OCV
    "hysteresis_rate": 20.0,  # e-folds of the hysteresis state per full capacity of charge passed
    "voltage_sigma_v": 0.002,  # white noise of one voltage sample
    "overvoltage_sigma_frac": 0.05,  # 1-sigma relative error of the resistances
    "rc_sigma_v": 0.001,  # slow overvoltages that the model lacks, without current
    "hysteresis_sigma_frac": 0.2,
    "soc_noise_frac_per_rts": 1e-06,  # random walk, per square root of a second
    "leak_sigma_a": None,  # what a leak may be before any evidence, and its jump size; C/20 is a fair start
    "leak_tau_s": 3600.0,  # and how long it keeps its value; longer finds weaker leaks and lags growing ones
    "gate_sigmas": 5.0,  # innovations beyond it correct nothing
    "adapt_tau_s": 5.0,  # averaging time of the normalised innovation squared
    "adapt_max": 100.0,  # process noise never grows beyond this factor
    "voltage_min_v": 0.0,  # plausible inputs; outside them a step returns a status and changes nothing
    "voltage_max_v": 6.0,
    "current_max_a": None,  # of the magnitude
    "temperature_min_degc": -40.0,
    "temperature_max_degc": 120.0,
    "pressure_max_mpa": 400.0,
    "dt_max_s": 60.0,
    "rc_factor": (1.0,) * parameters.OCV_POINTS,  # of r1_ohm and r2_ohm, at the SOC knots of ocv_v
    # Limits of current (power.py): what is left out limits nothing
    "charge_max_a": NO_LIMIT_A,
    "discharge_max_a": NO_LIMIT_A,
    "soc_min_frac": 0.0,
    "soc_max_frac": 1.0,
    "soc_margin_sigmas": 0.0,  # a flat OCV keeps its SOC unsure for good; there the voltage stops a charge
    "window_min_v": 0.0,  # operating window of the terminal voltage
    "window_max_v": 6.0,
    "voltage_margin_sigmas": 2.0,  # of the voltage that the filter expected last
    "charge_zero_degc": -80.0,  # no charge at and below it, all of it from charge_full_degc on
    "charge_full_degc": -60.0,
    "hot_full_degc": 140.0,
    "hot_zero_degc": 160.0,
    "contact_zero_mpa": -3.0,  # contact is lost: no current at and below it, all of it from contact_full_mpa on
    "contact_full_mpa": -2.0,  # also what an unknown pressure is taken for
    "pressed_full_mpa": 500.0,
    "pressed_zero_mpa": 600.0,
    "critical_safety_frac": 1.0,  # of both tables; they have the axes of r0_ohm
    "plating_limit_a": (NO_LIMIT_A,) * (parameters.TEMPERATURE_POINTS * parameters.PRESSURE_POINTS),
    "stripping_limit_a": (NO_LIMIT_A,) * (parameters.TEMPERATURE_POINTS * parameters.PRESSURE_POINTS),
    # What is learned over days. _c: per nominal capacity, in A/Ah. All assumptions until a campaign replaces them.
    "step_min_c": 0.05,  # a smaller change of current teaches nothing of the resistance
    "step_dt_max_s": 12.0,  # nor does a longer sample
    "resistance_prior_sigma_frac": 0.15,  # of the resistance scale before any evidence
    "resistance_drift_frac_per_rt_cycle": 0.01,  # random walk of the scale, per root of a full cycle, or of a day
    "resistance_floor_frac": 0.025,  # what no number of steps brings down: shape of f(T, P), core temperature
    "resistance_step_max_frac": 0.05,  # the scale moves by no more at once
    "resistance_scale_min": 0.3,
    "resistance_scale_max": 5.0,
    "rest_current_c": 0.01,  # a smaller current is a rest
    "rest_min_s": 500.0,  # a shorter one tells no OCV
    "rest_full_s": 1800.0,  # after it the cell has relaxed
    "ocv_sigma_v": 0.003,  # of the OCV table and the voltage sensor's offset together
    "anchor_sigma_max_frac": 0.05,  # a rested OCV that tells SOC less well is no anchor
    "pair_min_frac": 0.3,  # two anchors closer together in SOC tell nothing of the capacity
    "current_gain_sigma_frac": 0.002,
    "current_offset_sigma_c": 0.002,  # 5 mA of 2.5 Ah
    "efficiency_sigma_frac": 0.0005,  # of the coulombic efficiency
    "capacity_prior_sigma_frac": 0.05,  # before any evidence
    "capacity_drift_frac_per_rt_cycle": 0.01,  # random walk, per square root of a full cycle
    "capacity_scale_min": 0.3,
    "capacity_scale_max": 1.3,
    "height_sigma_um": 0.0,  # of a stack's height from pressure and gap; 0: SOC is not taken from it
    "stack_stiffness_mpa_per_um": 0.05,  # of frame, spring and cell in series
    "swelling_um": 100.0,  # the stack is higher by so much when full
    "swelling_sigma_frac": 0.1,  # that height and charge are not proportional
    "height_hysteresis_um": 2.0,  # 1-sigma
    "height_creep_um_per_rt_h": 2.0,  # 1-sigma
    # Internal shorts (assb.detection). All assumptions, tuned on the campaign (docs/campaign.md); _c as above
    "rest_c": 0.005,  # a smaller current is a rest
    "step_c": 0.005,  # a change of current above it is a step, which masks what looks at single samples ...
    "step_mask_s": 1.0,  # ... for so long
    "move_mask_s": 5.0,  # and so does a move of the press
    "dip_sigmas": 6.0,  # of the noise of innovations: how far below the level before it a dip begins
    "dip_floor_v": 0.001,  # a shallower dip is none
    "dip_window_s": 600.0,  # in which dips are counted ...
    "dip_count": 5.0,  # ... and so many make a suspect
    "dip_trace_frac": 0.04,  # of its depth: what a dip leaves behind half a second later; a loose wire leaves nothing
    "dip_trace_v": 0.0006,  # ... and at least so much
    "noise_ratio": 5.0,  # of the variance of differences, to what it used to be
    "noise_hold_s": 60.0,
    "charge_offset_c": 0.0005,  # error of the current sensor: offset; less than twice of it is taken for none
    "charge_gain_frac": 0.002,  # ... and gain; a single cell's alone
    "charge_capacity_frac": 0.015,  # 1-sigma of the capacity and of the slope of the OCV
    "charge_ocv_v": 0.0015,  # 1-sigma of the features of an OCV table: a single cell's ...
    "pack_ocv_v": 0.0005,  # ... and between cells of a pack
    "charge_resistance_frac": 0.1,  # 1-sigma of R0 with R1 ...
    "pack_resistance_frac": 0.06,  # ... and of all resistances between cells of a pack
    "charge_rc_frac": 0.2,  # ... and of what is diffusion
    "charge_contact": 1.0,  # so much may R0 change while a contact may be lost, per root of an hour
    "charge_drift_v": 0.00025,  # random walk of the voltage sensor, per root of an hour ...
    "pack_drift_v": 0.0002,  # ... and of two of them
    "charge_noise_v": 0.0001,  # white noise of the middle one of five seconds
    "charge_nats": 17.0,  # logarithm of the likelihood ratio that makes a suspect
    "charge_settle_s": 900.0,  # after the start, before missing charge is believed
    "charge_slope_least_v": 0.1,  # dOCV/dSOC below which the voltage does not tell charge
    "charge_slope_most_v": 3.0,  # and above which it is a knee (at rest twice this)
    "rest_window_s": 600.0,  # of the slope in a rest
    "rest_ratio": 3.0,  # the slope over what relaxation explains
    "rest_leak_c": 0.003,  # the least leak that a rest's slope is judged by
    "cv_tail_c": 0.05,  # what a held voltage's current ends in, above its usual
    "efficiency_drop_frac": 0.015,  # of the coulombic efficiency, below the median of ten cycles
    "resistance_drop_frac": 0.1,  # of R0 over its tables, at steady temperature and pressure
    "resistance_rise_frac": 0.2,  # a contact is lost
    "stall_ratio": 0.3,  # dV/dQ on charge over the OCV's
    "stall_s": 120.0,
    "gap_swelling_um": 0.0,  # of the stack, empty to full, where a rig measures the gap; 0: it does not
    "gap_stiffness_mpa_per_um": 0.0,
    "swelling_low": 0.9,  # swelling per charge over the learned one: a short below, plating above
    "swelling_high": 1.5,
    "plating_watch": 0.0,  # 1: on anodes that plate by mistake (graphite, silicon)
    "heat_j_per_k": 0.0,  # heat capacity of the cell; 0: heat is not watched
    "heat_w": 0.3,
    "charge_alone": 1.5,  # missing charge that many times its bound is a soft short by itself
    "stage_fall_s": 3600.0,  # a stage falls when all evidence was silent for so long
}
# (name, count, default)
ROWS = tuple((name, count, DEFAULTS[name]) for name, count in parameters.rows())


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
