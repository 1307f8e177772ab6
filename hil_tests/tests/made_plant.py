"""A plant that is made up of round figures, so that what becomes of them can be computed by hand."""

import json
from pathlib import Path

from assb_hil.plant_file import PlantFile, load_plant

FORMAT = {
    "layers": 3,
    "layer_area_cm2": 2.0,
    "se_um": 50.0,
    "core_j_per_k_cm2": 0.2,
    "surface_j_per_k_cm2": 0.3,
    "core_surface_w_per_k_cm2": 0.4,
    "surface_ambient_w_per_k_cm2": 0.05,
}
KEPT = {  # a cell has them as its file does
    "se_activation_ev": 0.31,
    "contact_ohm_cm2": 11.0,
    "contact_activation_ev": 0.32,
    "contact_pressure_mpa": 5.5,
    "contact_exponent": 0.56,
    "contact_floor_mpa": 0.06,
    "rc_tau_s": [2.5, 35.0, 305.0],
    "rc_activation_ev": 0.33,
    "hysteresis_v": 0.004,
    "hysteresis_rate": 21.0,
}
CELL = KEPT | {
    "areal_capacity_mah_cm2": 4.0,
    "anode_um_per_mah_cm2": 5.0,
    "cathode_um_per_mah_cm2": -1.0,
    "se_conductivity_ms_per_cm": 2.0,
    "composite_ohm_cm2": 7.0,
    "rc_ohm_cm2": [6.0, 12.0, 18.0],
    "electrodes_um": 150.0,
    "expansion_ppm_per_k": 20.0,
}
VOIDS = {
    "rate_per_s": 1.1e-4,
    "strip_ma_cm2": 0.9,
    "strip_pressure_mpa": 5.1,
    "strip_exponent": 1.8,
    "heal_per_s": 2e-5,
    "heal_exponent": 1.2,
    "theta_max": 0.9,
    "height_um": 3.0,
    "both_ways": 0,
}
FILAMENT = {
    "ccd_ma_cm2": 1.3,
    "pressure_mpa": 5.2,
    "ccd_pressure_exponent": -0.1,
    "ccd_activation_ev": 0.35,
    "growth_per_s": 1e-3,
    "void_focus": 2.9,
    "creep_per_s": [1e-6, 2e-6],
    "creep_exponent": [1.5, 2.5],
    "healing_per_s": 3e-7,
    "bridge_per_s": 4e-3,
    "bridge_exponent": 7.0,
    "bridge_median_ohm": 60.0,
    "bridge_sigma_ln": 1.1,
    "burn_median_j": 0.6,
    "burn_sigma_ln": 0.9,
    "burn_window_s": 12.0,
    "burnt_length": 0.45,
    "deepen_per_s": 5e-4,
    "both_ways": 0,
}
AGEING = {
    "calendar_frac_per_rt_day": 0.0007,
    "calendar_activation_ev": 0.51,
    "calendar_soc_slope": 0.52,
    "cycle_frac_per_rt_cycle": 0.008,
    "cycle_exponent": 0.53,
    "resistance_per_loss": 2.1,
}
CREEP = {"creep_um_per_s": 1e-6, "creep_pressure_mpa": 5.3, "creep_exponent": 6.5}
CREEP |= {"lithium_um": 10.0, "flows_frac": 0.2}
LIMITS = {
    "voltage_min_v": 2.5,
    "voltage_max_v": 4.3,
    "pressure_min_mpa": 2.0,
    "pressure_mpa": 5.0,
    "pressure_max_mpa": 7.5,
    "temperature_min_degc": 10.0,
    "temperature_degc": 27.0,
    "temperature_max_degc": 60.0,
    "charge_max_c": 0.1,
    "discharge_max_c": 0.11,
}
PACK = {
    "units": 2,
    "stacks": 1,
    "taps": True,
    "capacity_sigma_frac": 0.02,
    "resistance_sigma_frac": 0.05,
    "temperature_sigma_k": 0.7,
    "soc_sigma_frac": 0.03,
}
CURVES = {
    "ocv": {"soc": [0.0, 0.5, 1.0], "ocv_v": [3.0, 3.6, 4.2]},
    "entropy": {"soc": [0.0, 1.0], "v_per_k": [-0.0001, 0.0003]},
    "swelling": {"soc": [0.0, 0.5, 1.0], "anode_frac": [0.0, 0.2, 1.0], "cathode_frac": [0.0, 0.6, 1.0]},
    "rc": {"soc": [0.0, 0.5, 1.0], "factor": [3.0, 2.0, 4.0]},
}
STACK = {"stiffness_mpa_per_um": 0.07, "viscous_frac": [0.11, 0.14], "viscous_tau_s": [610.0, 21000.0]}
PRESSES = {
    "fixed_gap": {},
    "pneumatic": {
        "supply_mpa": 8.9,
        "hysteresis_mpa": 0.04,
        "time_constant_s": 0.26,
        "slew_mpa_s": 3.9,
        "piston_um_per_s_mpa": 61.0,
        "piston_friction_mpa": 0.02,
    },
    "stepper": {
        "um_per_step": 0.12,
        "backlash_um": 2.2,
        "steps_per_s_max": 390.0,
        "gap_min_um": -2900.0,
        "gap_max_um": 1900.0,
        "stall_mpa": 90.0,
        "deadband_mpa": 0.13,
    },
}
REGULATOR = {"full_scale_mpa": 9.5, "full_scale_sigma_ppm": 3000.0}
CYCLER = {
    "enable_delay_ms": 5.0,
    "limit_delay_ms": 40.0,
    "limit_timeout_ms": 2000.0,
    "slew_a_per_s": 19.0,
    "current_max_a": 4.9,
}
SENSOR_KEYS = ["gain_sigma_ppm", "offset_sigma", "drift_per_rt_h", "noise_rms", "quantum", "delay_s", "dropout_frac"]
SENSORS = {
    "voltage_v": [100.0, 0.0003, 1e-5, 5e-5, 2e-4, 0.1, 0.01],
    "current_a": [500.0, 0.0002, 2e-5, 3e-4, 1e-6, 0.2, 0.02],
    "pressure_mpa": [2000.0, 0.004, 5e-4, 1.5e-3, 1e-4, 0.3, 0.03],
    "temperature_degc": [10.0, 0.05, 1e-3, 8e-3, 7.8e-3, 1.1, 0.04],
}


def figure_lines(table):
    return [f'{key} = {{ value = {json.dumps(value)}, source = "A: made up" }}' for key, value in table.items()]


def plain_lines(table):
    return [f"{key} = {json.dumps(value)}" for key, value in table.items()] + ['source = "A: made up"']


def plant_text(leave=(), **more):
    """The plant's file without the tables `leave`, with `more` of them."""
    lines = ['description = "made up"', 'chemistry = "a | b | c"', 'facts = "none"']
    lines += ['format = "sheet.toml"', 'bench = "fixed_gap.toml"']
    tables = {"cell": CELL, "voids": VOIDS, "filament": FILAMENT, "ageing": AGEING, "creep": CREEP, "limits": LIMITS}
    for name, table in (tables | {"pack": PACK} | more).items():
        lines += [f"[{name}]", *figure_lines(table)] if name not in leave else []
    for name, table in CURVES.items():
        lines += [f"[{name}]", *plain_lines(table)] if name not in leave else []
    return "\n".join(lines)


def bench_text(press):
    lines = ['description = "made up"', "[stack]", *figure_lines(STACK)]
    lines += ["[contactor]", *figure_lines({"operate_ms": 12.5, "release_ms": 6.5})]
    lines += ["[precharge]", *figure_lines({"resistance_ohm": 8.0, "load_uf": 500.0})]
    lines += ["[cycler]", *figure_lines(CYCLER)]
    for channel, values in SENSORS.items():
        lines += [f"[sensors.{channel}]", *plain_lines(dict(zip(SENSOR_KEYS, values, strict=True)))]
    table = PRESSES[press] | (REGULATOR if press == "pneumatic" else {})
    return "\n".join(lines + ([f"[{press}]", *figure_lines(table)] if table else []))


def load_made(folder: Path, press="fixed_gap", **changes) -> PlantFile:
    """The plant, written to `folder` and read from there; `changes`: what plant_text takes."""
    (folder / "sheet.toml").write_text("\n".join(['description = "made up"', *figure_lines(FORMAT)]))
    for name in PRESSES:
        (folder / f"{name}.toml").write_text(bench_text(name))
    (folder / "made.toml").write_text(plant_text(**changes))
    return load_plant(str(folder / "made.toml"), bench=str(folder / f"{press}.toml"))
