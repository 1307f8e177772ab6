"""Every plant, as sheet and as pellet, runs what `assb sim` ships, at both ends of its temperature, within limits."""

import numpy as np
import pytest
from assb_hil.plant_file import load_plant, plant_names
from assb_hil.protocol_file import load_protocol
from assb_hil.simulation import Request, simulate

PRODUCTS = [name for name in plant_names() if name != "li_li_symmetric"]
SEEN_HEATING_K = 3.0  # what simulation_guard.py says of the shipped cells


def run(name, format_name, which, protocol):
    plant = load_plant(name, format=format_name)
    return simulate(Request(plant, load_protocol(protocol), temperature_degc=getattr(plant.limits, which), seed=3))


@pytest.mark.parametrize("which", ["temperature_min_degc", "temperature_max_degc"])
@pytest.mark.parametrize("format_name", ["sheet", "pellet"])
@pytest.mark.parametrize("name", PRODUCTS)
def test_a_profile_forms_cycles_and_takes_pressure_steps_inside_its_window(name, format_name, which):
    for protocol in ("formation", "cycle", "pressure_step"):
        done = run(name, format_name, which, protocol)
        assert done.ended == "finished", (protocol, done.detail)
        assert all(np.isfinite(column).all() for column in done.columns.values()), protocol
        assert not done.press_stops, protocol
        assert not [event for event in done.events if event.kind in ("bridge", "hard_short")], protocol
        assert done.of_units("theta")[-1].max() < 0.1, protocol
        assert done.of_units("temperature_degc").max() < done.request.room_degc + SEEN_HEATING_K, protocol
        if protocol != "pressure_step":  # cold cells reach their voltage early, but they do cycle
            moved_ah = [cycle.charge_ah for cycle in done.cycles]
            assert len(moved_ah) >= 3
            assert min(moved_ah) > 0.5 * done.request.plant.cell.capacity_ah, protocol


@pytest.mark.parametrize("name", PRODUCTS)
def test_pulses_stay_inside_the_window_in_the_cold_too(name):
    for format_name in ("sheet", "pellet"):
        done = run(name, format_name, "temperature_min_degc", "hppc")
        assert done.ended == "finished", done.detail
        plant = done.request.plant
        terminals_v = done.columns["voltage_v"] / plant.units
        assert plant.limits.voltage_min_v - 1e-3 < terminals_v.min()
        assert terminals_v.max() < plant.limits.voltage_max_v + 1e-3


@pytest.mark.parametrize("name", PRODUCTS)
def test_at_its_usual_temperature_every_pulse_is_whole_and_begins_near_ninety_percent(name):
    done = simulate(Request(load_plant(name), load_protocol("hppc")))
    step, soc = done.columns["step"].astype(int), done.of_units("soc").mean(axis=1)
    ends = np.flatnonzero(np.append(np.diff(step) != 0, True))
    lengths_s = [done.columns["step_s"][end] for end in ends if "pulse" in done.step_names[step[end]]]
    assert lengths_s == pytest.approx([10.0] * 18)
    before = [soc[end] for end in ends if step[end] % 6 == 0]  # the hour of rest of each turn
    assert before == pytest.approx(np.arange(0.9, 0.05, -0.1), abs=0.06)
    assert before[0] == pytest.approx(0.9, abs=0.005)
