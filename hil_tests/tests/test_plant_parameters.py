"""Figures of plant, format and bench files as parameters of the simulation: each against the file's own, by hand."""

import json
import random
from dataclasses import asdict, fields

import pytest
from assb_hil.plant_file import load_plant
from assb_hil.plant_parameters import drawn
from assb_kernels import ActuatorParams, AgeingParams, CellParams, FilamentParams, StackParams, VoidParams

SEED, UNITS = 7, 2
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
    "units": UNITS,
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

AREA_CM2 = 6.0  # 3 layers of 2 cm²
MIDDLE = 64  # of the 129 values from SOC 0 to 1
BY_HAND = {
    "capacity_ah": 0.024,  # 4 mAh/cm² on 6 cm²
    "layers": 3,
    "layer_area_cm2": 2.0,
    "reference_k": 298.15,
    "se_ohm_cm2": 2.5 + 7.0,  # 50 µm at 2 mS/cm, and the electrodes' depth
    "rc_ohm": (1.0, 2.0, 3.0),
    "core_j_per_k": 0.2 * AREA_CM2,
    "surface_j_per_k": 0.3 * 2.0,
    "core_surface_w_per_k": 0.4 * 2.0,
    "surface_ambient_w_per_k": 0.05 * 2.0,
    "swelling_um_per_mah_cm2": 4.0,
    "expansion_um_per_k": 20e-6 * 3 * (150.0 + 50.0),
    "ambient_offset_k": 0.0,
} | KEPT
TABLES_BY_HAND = {  # at SOC 0, 0.25, 0.5, 1
    "ocv_v": (3.0, 3.3, 3.6, 4.2),
    "entropy_v_per_k": (-0.0001, 0.0, 0.0001, 0.0003),
    "swelling_frac": (0.0, 0.05, (5 * 0.2 - 1 * 0.6) / 4, 1.0),
    "rc_factor": (3.0, 2.5, 2.0, 4.0),
}
LAWS = {"voids": (VoidParams, VOIDS), "filament": (FilamentParams, FILAMENT), "ageing": (AgeingParams, AGEING)}


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
    lines += ["[contactor]", *figure_lines({"operate_ms": 12.5, "release_ms": 6.5}), "[cycler]", *figure_lines(CYCLER)]
    for channel, values in SENSORS.items():
        lines += [f"[sensors.{channel}]", *plain_lines(dict(zip(SENSOR_KEYS, values, strict=True)))]
    table = PRESSES[press] | (REGULATOR if press == "pneumatic" else {})
    return "\n".join(lines + ([f"[{press}]", *figure_lines(table)] if table else []))


@pytest.fixture
def made(tmp_path):
    """Loads the plant of these figures; takes what plant_text does, and the press."""

    def load(press="fixed_gap", **changes):
        (tmp_path / "sheet.toml").write_text("\n".join(['description = "made up"', *figure_lines(FORMAT)]))
        for name in PRESSES:
            (tmp_path / f"{name}.toml").write_text(bench_text(name))
        (tmp_path / "made.toml").write_text(plant_text(**changes))
        return load_plant(str(tmp_path / "made.toml"), bench=str(tmp_path / f"{press}.toml"))

    return load


def gauss(key):
    return random.Random(key).gauss(0.0, 1.0)


def test_every_parameter_of_a_cell_has_its_figure_here():
    assert {entry.name for entry in fields(CellParams)} == {*BY_HAND, *TABLES_BY_HAND, *LAWS}


@pytest.mark.parametrize("name", BY_HAND)
def test_a_figure_of_a_cell_follows_from_the_files(made, name):
    assert getattr(made().cell, name) == pytest.approx(BY_HAND[name], rel=1e-12)


@pytest.mark.parametrize("name", TABLES_BY_HAND)
def test_a_curve_of_a_cell_follows_from_the_file(made, name):
    table = getattr(made().cell, name)
    assert [table[k] for k in (0, MIDDLE // 2, MIDDLE, 2 * MIDDLE)] == pytest.approx(TABLES_BY_HAND[name], abs=1e-12)


@pytest.mark.parametrize("name", LAWS)
def test_the_laws_of_a_cell_are_the_files(made, name):
    law, figures = LAWS[name]
    assert {entry.name for entry in fields(law)} == {*figures}
    assert asdict(getattr(made().cell, name)) == figures


def test_what_a_plant_does_not_say_is_flat_or_off(made):
    cell = made(leave=("voids", "filament", "swelling", "rc")).cell
    assert (cell.voids, cell.filament, cell.rc_factor) == (VoidParams(), FilamentParams(), 1.0)
    assert (cell.swelling_um_per_mah_cm2, cell.swelling_frac[MIDDLE]) == (4.0, 0.5)


def test_a_plant_may_have_a_figure_of_the_format_otherwise(made):
    cell = made(sheet={"se_um": 30.0, "layers": 4}).cell
    assert (cell.se_ohm_cm2, cell.layers) == (pytest.approx(1.5 + 7.0), 4)
    assert (cell.capacity_ah, cell.rc_ohm[0]) == (pytest.approx(0.032), pytest.approx(6.0 / 8.0))
    assert cell.expansion_um_per_k == pytest.approx(20e-6 * 4 * (150.0 + 30.0))


@pytest.mark.parametrize("unit", range(UNITS))
def test_a_unit_of_a_pack_differs_by_each_of_its_spreads(made, unit):
    plant = made()
    cell = plant.cells(SEED)[unit]
    size, ohms, kelvin, soc = (
        gauss(f"made {SEED} {unit} {what}") for what in ("capacity", "resistance", "temperature", "soc")
    )
    assert cell.capacity_ah == pytest.approx(0.024 * (1.0 + 0.02 * size), rel=1e-12)
    for name, alone in (("se_ohm_cm2", 9.5), ("contact_ohm_cm2", 11.0), ("rc_ohm", (1.0, 2.0, 3.0))):
        factor = 1.0 + 0.05 * ohms
        wanted = tuple(factor * ohm for ohm in alone) if name == "rc_ohm" else factor * alone
        assert getattr(cell, name) == pytest.approx(wanted, rel=1e-12)
    assert cell.ambient_offset_k == pytest.approx(0.7 * kelvin, rel=1e-12)
    assert plant.start_soc(0.5, SEED)[unit] == pytest.approx(0.5 + 0.03 * soc, rel=1e-12)
    pack = plant.pack(0.5, seed=SEED)
    assert pack.cells[unit].soc == pytest.approx(0.5 + 0.03 * soc, rel=1e-12)
    same = {"capacity_ah", "se_ohm_cm2", "contact_ohm_cm2", "rc_ohm", "ambient_offset_k"}
    assert {name for name in BY_HAND if getattr(cell, name) != getattr(plant.cell, name)} == same


def test_a_pack_stands_at_the_plants_temperature_and_pressure(made):
    pack = made().pack(0.5)
    assert pack.cells[0].temperature_degc == pytest.approx(27.0)
    assert pack.stacks[0].pressure_mpa == pytest.approx(5.0)


@pytest.mark.parametrize("press", PRESSES)
def test_a_stack_and_its_press_are_the_benchs(made, press):
    plant = made(press)
    (stack,) = plant.stacks
    assert {entry.name for entry in fields(StackParams)} == {*STACK, *CREEP}
    assert asdict(stack.stack) == STACK | CREEP
    assert stack.actuator == ActuatorParams(kind=press, **PRESSES[press])


def test_the_regulators_scale_is_drawn(made):
    luck = gauss(f"{SEED} regulator")
    assert made("pneumatic").regulator_full_scale_mpa(SEED) == pytest.approx(9.5 * (1.0 + 3e-3 * luck), rel=1e-12)


def test_cycler_contactor_and_limits_are_the_files(made):
    plant = made()
    assert asdict(plant.cycler) == pytest.approx(
        {
            "enable_delay_s": 0.005,
            "limit_delay_s": 0.04,
            "limit_timeout_s": 2.0,
            "slew_a_per_s": 19.0,
            "current_max_a": 4.9,
        }
    )
    assert plant.contactor_times_us() == (12_500, 6_500)
    assert asdict(plant.limits) == LIMITS
    window = {name: value for name, value in LIMITS.items() if name.rsplit("_", 2)[1] in ("min", "max")}
    del window["charge_max_c"], window["discharge_max_c"]
    assert asdict(plant.limits.protocol()) == window


@pytest.mark.parametrize("channel", SENSORS)
def test_a_sensor_is_drawn_from_its_spreads_and_has_the_rest_as_the_file_says(made, channel):
    luck = random.Random(f"{SEED} {channel}")
    ppm, offset, *rest = SENSORS[channel]
    wanted = [1e-6 * ppm * luck.gauss(0.0, 1.0), offset * luck.gauss(0.0, 1.0), *rest]
    names = ["gain_frac", "offset", *SENSOR_KEYS[2:]]
    assert asdict(drawn(made().sensors[channel], channel, SEED)) == pytest.approx(
        dict(zip(names, wanted, strict=True)), rel=1e-9
    )
