"""The flat float layout of the estimator's parameters, in one table.

The config image carries these floats in this order, `ekf.Ekf` indexes them by `offset(name)`, and the C kernel's
parameter struct has the same members in the same order (a test compares the two). Append rows; never reorder.
What each row means, what may be left out, and how the host fills them, is in flat_layout.py, which no board loads.

Four groups follow each other: `ekf` for the filter, `learning` for what it learns over days (capacity, resistance),
`power` for the limits of current, `detection` for internal shorts. Each is a parameter struct of its own in C.

Positive current charges. `r0_ohm` is row-major: temperature outer, pressure inner; both axes strictly increasing and
always full (a coarser measurement is resampled on the host).
"""

OCV_POINTS = 129  # SOC 0..1 in steps of 1/128, a spacing that floats hold exactly
TEMPERATURE_POINTS = 12  # 0..80 degC in steps of 7 K keeps bilinear R0 within 1.2 % of an Arrhenius law at 0.34 eV
PRESSURE_POINTS = (
    8  # in geometric steps of 1.7 (0.5..20 MPa) bilinear R0 is within 1 % of a P^-0.55 law; 2.5 makes it 5 %
)

# name count
_EKF = """\
capacity_ah 1
coulombic_efficiency_frac 1
ocv_v 129
docv_v 129
ocv_temperature_degc 1
entropy_v_per_k 1
r0_temperature_degc 12
r0_pressure_mpa 8
r0_ohm 96
r1_ohm 12
r2_ohm 12
tau1_s 1
tau2_s 1
hysteresis_v 1
hysteresis_rate 1
voltage_sigma_v 1
overvoltage_sigma_frac 1
rc_sigma_v 1
hysteresis_sigma_frac 1
soc_noise_frac_per_rts 1
leak_sigma_a 1
leak_tau_s 1
gate_sigmas 1
adapt_tau_s 1
adapt_max 1
voltage_min_v 1
voltage_max_v 1
current_max_a 1
temperature_min_degc 1
temperature_max_degc 1
pressure_max_mpa 1
dt_max_s 1
rc_factor 129
"""
_LEARNING = """\
step_min_c 1
step_dt_max_s 1
resistance_prior_sigma_frac 1
resistance_drift_frac_per_rt_cycle 1
resistance_floor_frac 1
resistance_step_max_frac 1
resistance_scale_min 1
resistance_scale_max 1
rest_current_c 1
rest_min_s 1
rest_full_s 1
ocv_sigma_v 1
anchor_sigma_max_frac 1
pair_min_frac 1
current_gain_sigma_frac 1
current_offset_sigma_c 1
efficiency_sigma_frac 1
capacity_prior_sigma_frac 1
capacity_drift_frac_per_rt_cycle 1
capacity_scale_min 1
capacity_scale_max 1
height_sigma_um 1
stack_stiffness_mpa_per_um 1
swelling_um 1
swelling_sigma_frac 1
height_hysteresis_um 1
height_creep_um_per_rt_h 1
"""
_POWER = """\
charge_max_a 1
discharge_max_a 1
soc_min_frac 1
soc_max_frac 1
soc_margin_sigmas 1
window_min_v 1
window_max_v 1
voltage_margin_sigmas 1
charge_zero_degc 1
charge_full_degc 1
hot_full_degc 1
hot_zero_degc 1
contact_zero_mpa 1
contact_full_mpa 1
pressed_full_mpa 1
pressed_zero_mpa 1
critical_safety_frac 1
plating_limit_a 96
stripping_limit_a 96
"""
_DETECTION = """\
rest_c 1
step_c 1
step_mask_s 1
move_mask_s 1
dip_sigmas 1
dip_floor_v 1
dip_window_s 1
dip_count 1
dip_trace_frac 1
dip_trace_v 1
noise_ratio 1
noise_hold_s 1
charge_offset_c 1
charge_gain_frac 1
charge_capacity_frac 1
charge_ocv_v 1
pack_ocv_v 1
charge_resistance_frac 1
pack_resistance_frac 1
charge_rc_frac 1
charge_contact 1
charge_drift_v 1
pack_drift_v 1
charge_noise_v 1
charge_nats 1
charge_settle_s 1
charge_slope_least_v 1
charge_slope_most_v 1
rest_window_s 1
rest_ratio 1
rest_leak_c 1
cv_tail_c 1
efficiency_drop_frac 1
resistance_drop_frac 1
resistance_rise_frac 1
stall_ratio 1
stall_s 1
gap_swelling_um 1
gap_stiffness_mpa_per_um 1
swelling_low 1
swelling_high 1
plating_watch 1
heat_j_per_k 1
heat_w 1
charge_alone 1
stage_fall_s 1
"""
EKF_SIZE = 552
LEARNING_SIZE = 27
POWER_SIZE = 209
DETECTION_SIZE = 46
SIZE = 834  # sum of the counts; 32-bit floats in the config image


def ekf_rows():
    """(name, count) of the filter's rows, in order."""
    return _rows(_EKF)


def learning_rows():
    return _rows(_LEARNING)


def power_rows():
    return _rows(_POWER)


def detection_rows():
    return _rows(_DETECTION)


def rows():
    """(name, count) of every row, in order."""
    for text in (_EKF, _LEARNING, _POWER, _DETECTION):  # together they would need room in one piece
        yield from _rows(text)


def _rows(text):
    for line in text.split("\n"):
        if line:
            name, count = line.split(" ")
            yield name, int(count)


def offset(name):
    """Index of the first float of the row `name`; raises KeyError."""
    at = 0
    for row_name, count in rows():
        if row_name == name:
            return at
        at += count
    raise KeyError(name)
