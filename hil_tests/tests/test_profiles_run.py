"""Every plant, as sheet and as pellet, runs a formation, three cycles and pressure steps inside its own window."""

import math
from dataclasses import replace

import pytest
from assb_hil.plant_file import load_plant, plant_names
from assb_kernels import ProtocolStep, run_protocol

PRODUCTS = [name for name in plant_names() if name != "li_li_symmetric"]
DT_S = 10.0
EVERY_S = 300.0
HOUR_S = 3600.0
SELF_HEATING_K = 10.0  # the window is the room's; a cell at work may be this much warmer
# A pack without taps is stopped early: its weakest unit is ahead of the mean
UNIT_MARGIN_V = {True: 0.0, False: 0.05}


def half_cycles(plant, rate: float, cycle: int, ohmic_max_a: float) -> list[ProtocolStep]:
    """Charge to the upper voltage and hold it, rest, discharge to the lower one, rest; `rate` of the admissible."""
    limits, capacity_ah = plant.limits, plant.cell.capacity_ah
    margin_v = UNIT_MARGIN_V[plant.taps]
    high_v, low_v = (plant.units * v for v in (limits.voltage_max_v - margin_v, limits.voltage_min_v + 8 * margin_v))
    rates_c = (limits.charge_max_c, limits.discharge_max_c)
    charge_a, discharge_a = (min(rate * rate_c * capacity_ah, ohmic_max_a) for rate_c in rates_c)
    rest = ProtocolStep("rest", until_s=0.5 * HOUR_S, cycle=cycle)
    return [
        ProtocolStep("current", current_a=charge_a, until_voltage_v=high_v, until_s=200 * HOUR_S, cycle=cycle),
        ProtocolStep("voltage", charge_a, high_v, until_current_a=0.1 * charge_a, until_s=20 * HOUR_S, cycle=cycle),
        rest,
        ProtocolStep("current", current_a=-discharge_a, until_voltage_v=low_v, until_s=200 * HOUR_S, cycle=cycle),
        rest,
    ]


def pressure_steps(plant) -> list[ProtocolStep]:
    """Up and down half of the way to the edges of the window, and back."""
    limits = plant.limits
    edges = (limits.pressure_max_mpa, limits.pressure_min_mpa)
    aims = [0.5 * (limits.pressure_mpa + edge) for edge in edges] + [limits.pressure_mpa]
    return [ProtocolStep("rest", until_s=HOUR_S, aim_mpa=aim, cycle=5) for aim in aims]


def ohmic_max_a(plant, pack) -> float:
    """What takes a fifth of the voltage window in R0 alone: a thick pellet in the cold is cycled no faster."""
    limits = plant.limits
    ohm = max(cell.r0_ohm for cell in pack.cells)
    return 0.2 * (limits.voltage_max_v - limits.voltage_min_v) / ohm


def protocol(plant, most_a: float) -> list[ProtocolStep]:
    """A formation at a third of the admissible rates, three cycles at them, pressure steps."""
    steps = [ProtocolStep("rest", until_s=600.0, aim_mpa=plant.limits.pressure_mpa)]
    steps += half_cycles(plant, 1 / 3, 1, most_a)
    for cycle in (2, 3, 4):
        steps += half_cycles(plant, 1.0, cycle, most_a)
    return steps + pressure_steps(plant)


def run(plant, temperature_degc: float):
    limits = plant.limits.protocol()
    limits = replace(limits, temperature_max_degc=limits.temperature_max_degc + SELF_HEATING_K)
    limits = replace(limits, temperature_min_degc=limits.temperature_min_degc - 1.0)
    pack = plant.pack(soc=0.3, temperature_degc=temperature_degc, seed=3)
    steps = [replace(step, ambient_degc=temperature_degc) for step in protocol(plant, ohmic_max_a(plant, pack))]
    return pack, run_protocol(pack, steps, limits, dt_s=DT_S, every_s=EVERY_S)


@pytest.mark.parametrize("which", ["temperature_min_degc", "temperature_max_degc"])
@pytest.mark.parametrize("format_name", ["sheet", "pellet"])
@pytest.mark.parametrize("name", PRODUCTS)
def test_a_profile_forms_cycles_and_takes_pressure_steps_inside_its_window(name, format_name, which):
    plant = load_plant(name, format=format_name)
    pack, result = run(plant, getattr(plant.limits, which))
    assert result.ended == "finished", result.detail
    assert all(math.isfinite(value) for column in result.columns.values() for value in column)
    charge_ah, cycles = result.columns["charge_ah"], result.columns["cycle"]
    moved_ah = charge_ah[-1] - charge_ah[list(cycles).index(2)]
    assert moved_ah > 3 * 0.5 * plant.cell.capacity_ah  # cold cells reach their voltage early, but they do cycle
    assert not [event for event in result.events if event.kind in ("bridge", "hard_short")]
    assert all(cell.theta < 0.1 for cell in pack.cells)
