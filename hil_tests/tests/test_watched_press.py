"""A rig whose press the board only watches: connected inside the window, derated below it, opened above it."""

from dataclasses import replace
from pathlib import Path

import pytest
from assb_hil.faults.mechanics import SupplyLost
from assb_hil.faults.sensors import SensorOffset
from assb_hil.loads import ConstantCurrent
from assb_hil.scenario import load_scenario
from assb_hil.session import open_session

BOARD = """
name = "watched"
description = "Watches a press that is set by hand"
based_on = "virtual-pico"
mcp4725 = []
"""
UNDRIVEN = ("actuator_stall", "press_runaway", "press_gives_way")


@pytest.fixture
def scenario(tmp_path: Path):
    board = tmp_path / "watched.toml"
    board.write_text(BOARD)
    changes = {"board": str(board), **{f"limits.{row}.enabled": False for row in UNDRIVEN}}
    base = load_scenario("pressure_step")
    start = replace_start(base.start, 5.0)
    load = ConstantCurrent(at_s=5.0, current_a=0.1)
    return replace(base, duration_s=20.0, start=start, loads=(load,), faults=(), checks=(), pack_changes=changes)


def replace_start(start, pressure_mpa):
    from msgspec.structs import replace as replaced

    return replaced(start, pressure_mpa=pressure_mpa)


def ran(scenario):
    with open_session(scenario) as session:
        session.run()
        return session


def opened(session):
    return [e["t_s"] for e in session.recorder.events_named("contact_moved") if e["closed"] == 0]


def tripped(session):
    return [e["row"] for e in session.recorder.events_named("limit_tripped")]


def test_it_connects_inside_the_window_and_charges_without_touching_the_press(scenario):
    session = ran(scenario)
    assert session.rig.plant.current_a == pytest.approx(0.1, abs=0.01)
    assert not opened(session)
    assert tripped(session) == []
    assert session.rig.plant.stacks[0].pressure_mpa == pytest.approx(5.0, abs=0.1)


def test_a_press_that_loses_its_air_stops_both_currents(scenario):
    session = ran(replace(scenario, faults=(SupplyLost(at_s=10.0),)))
    assert "pressure_low" in tripped(session)
    assert session.rig.plant.current_a == 0.0


def test_too_much_pressure_opens(scenario):
    session = ran(replace(scenario, faults=(SensorOffset(at_s=10.0, channel="pressure_mpa", offset=3.0),)))
    assert "pressure_high" in tripped(session)
    assert opened(session)[0] < 10.3
