"""Figures of plant, format and bench files as parameters of the simulation: each against the file's own, by hand."""

import math
import random
from dataclasses import asdict, fields
from functools import partial

import pytest
from assb_hil.plant_parameters import drawn
from assb_kernels import ActuatorParams, AgeingParams, CellParams, FilamentParams, VoidParams
from made_plant import (
    AGEING,
    FILAMENT,
    KEPT,
    LIMITS,
    PRESSES,
    SENSOR_KEYS,
    SENSORS,
    STACK,
    VOIDS,
    load_made,
)

SEED, UNITS = 7, 2
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


@pytest.fixture
def made(tmp_path):
    """Loads the plant of these figures; takes what load_made does."""
    return partial(load_made, tmp_path)


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
    layers = UNITS * 3
    lithium_um = 4.0 * 5.0 + 10.0  # per layer: a charge's and the foil's
    creep = {"creep_um_per_s": 1e-6 * layers, "creep_pressure_mpa": 5.3, "creep_exponent": 6.5}
    assert asdict(stack.stack) == STACK | creep | {"creep_most_um": 0.2 * lithium_um * layers}
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
    path = plant.precharge_path()
    path.on = True
    assert path.step(4.0, False, 1e-9) == pytest.approx(-4.0 / 8.0, rel=1e-5)
    path.step(4.0, False, 8.0 * 500e-6)
    assert path.load_v == pytest.approx(4.0 * (1 - math.exp(-1)), rel=1e-5)
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
