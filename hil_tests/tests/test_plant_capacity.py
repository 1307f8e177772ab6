"""What a profile says that it holds and lasts is what comes out of it between its own voltage limits."""

import pytest
from assb_hil.plant_file import PlantFile, load_plant, plant_names
from assb_host.config.cell import load_cell
from assb_host.config.locate import find
from assb_kernels import ProtocolStep, run_protocol

PRODUCTS = [name for name in plant_names() if name != "li_li_symmetric"]


def half_cycles(plant: PlantFile, charge_c: float, discharge_c: float, cycles: int) -> list[ProtocolStep]:
    """Charge to the upper limit and discharge to the lower one, each at a constant current, so many times."""
    limits, one_c_a = plant.limits, plant.cell.capacity_ah
    charge_a, discharge_a = charge_c * one_c_a, -discharge_c * one_c_a
    high_v, low_v = limits.voltage_max_v, limits.voltage_min_v
    return [
        ProtocolStep("current", current_a, until_voltage_v=until_v, until_s=1e6, cycle=1 + k)
        for k in range(cycles)
        for current_a, until_v in ((charge_a, high_v), (discharge_a, low_v))
    ]


@pytest.mark.parametrize("name", PRODUCTS)
def test_a_unit_yields_its_areal_capacity_between_its_voltage_limits_and_nearly_what_is_believed(name):
    plant = load_plant(name, units=1)
    steps = half_cycles(plant, 0.05, 0.05, 1)
    result = run_protocol(plant.pack(0.5), steps, plant.limits.protocol(), dt_s=10.0, every_s=1e9)
    assert result.ended == "finished", result.detail
    yielded_ah = -result.columns["step_ah"][-1]
    assert yielded_ah == pytest.approx(plant.cell.capacity_ah, rel=0.02)
    assert yielded_ah == pytest.approx(load_cell(find("cell", name)).capacity_ah, rel=0.04)


# Published (R): cycles, and charge and discharge in C, where one was published, else the admissible ones
LIVES = {
    "samsung_agc": (1000, 0.5, 0.5),  # "more than": still above 80 % then
    "usi_nmc811": (500, 0.45, 0.45),
    "nanosi_scnmc": (1000, 1 / 3, 1 / 3),
    "halide_ncm85": (3000, 1.0, 1.0),
    "liin_tis2": (62_500, 4.0, 4.0),
}
LIFE_DT_S = 20.0


@pytest.mark.parametrize("name", LIVES)
def test_a_cell_yields_80_percent_of_its_first_discharge_after_its_published_cycles(name):
    """At its usual temperature, with calendar loss, resistance and what pressure is left of a press nobody tends."""
    cycles, charge_c, discharge_c = LIVES[name]
    plant = load_plant(name)
    pack = plant.pack(0.0, seed=1)
    steps = half_cycles(plant, charge_c, discharge_c, cycles)
    result = run_protocol(pack, steps, dt_s=LIFE_DT_S, every_s=1e9, results=())
    assert result.ended == "finished", result.detail
    assert result.events == [] and pack.cells[0].theta < 0.1
    yielded_ah = {
        int(cycle): -step_ah
        for cycle, step, step_ah in zip(*(result.columns[key] for key in ("cycle", "step", "step_ah")), strict=True)
        if int(step) % 2 == 1
    }
    assert len(yielded_ah) == cycles
    assert 0.80 <= yielded_ah[cycles] / yielded_ah[1] < 0.83


def test_a_published_life_stands_with_its_mark_at_what_was_fitted_to_it():
    for name in PRODUCTS:
        source = load_plant(name).tables.ageing.cycle_frac_per_rt_cycle.source
        assert (source[0] in "RV") == (name in LIVES), name
