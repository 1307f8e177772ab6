"""The studies of docs/pressure.md on a few seeds; and that many seeds of a closed loop may be run open, in C."""

import json
import math

import pytest
from assb_hil.commands.pressure import pressure
from assb_hil.fast_charge_study import Repeated, charge, fast_charge_study
from assb_hil.press_life_study import cycle, hours_to_short
from assb_hil.press_rigs import FIXED_GAP, RIGS, SPRING_ONLY, PressedPack
from assb_hil.press_runs import press_up
from click.testing import CliRunner

LI, SI = "li_lpscl_nca", "usi_nmc811"


@pytest.mark.parametrize("rig", [*RIGS, SPRING_ONLY], ids=lambda rig: rig.name)
def test_what_was_commanded_gives_the_same_bytes_when_it_is_run_again_in_c(rig):
    pressed = PressedPack(LI, rig, soc=0.3, seed=4)
    commands = press_up(pressed, 25.0, 5.0)
    for k in range(600):
        commands.step(pressed, 0.09 if k < 300 else -0.09, 25.0 + 0.01 * k)
    seen = pressed.pack.state_bytes()
    pressed.pack.reset(*commands.start, 4)
    commands.run(pressed.pack, results=())
    assert pressed.pack.state_bytes() == seen


def test_lithium_asked_for_4c_is_given_what_plates_evenly_and_does_not_short():
    study = fast_charge_study(seeds=4, charges=3, cases=((LI, 60.0),))
    within, without = study["rows"]
    assert study["kind"] == "simulated"
    assert (within["limits"], within["bound"], within["shorted"]) == (True, "plating", 0)
    assert 40.0 < within["charge_min"] < 90.0
    assert without["charge_min"] < 12.0
    assert without["hottest_degc"] > within["hottest_degc"]


def test_without_the_limits_cold_lithium_shorts_in_its_first_two_charges():
    charged = charge(LI, 25.0, 1, False)
    repeated = Repeated(LI, 25.0, 1, charged)
    assert {repeated.charges_to_short(4, seed) for seed in range(8)} == {1, 2}
    assert None in {repeated.charges_to_short(1, seed) for seed in range(8)}


def test_silicon_is_charged_faster_than_lithium_and_kept_below_its_temperature():
    charged = charge(SI, 60.0, 1, True)
    assert charged.hottest_degc < 62.0 < charge(SI, 60.0, 1, False).hottest_degc
    assert charged.charge_s < 2 * 3600.0


def test_a_regulated_cell_outlives_a_fixed_gap_many_times_and_springs_by_a_little():
    hours = {}
    for rig in (RIGS[0], FIXED_GAP, SPRING_ONLY):
        way = cycle(rig)
        hours[rig.name] = sorted(hours_to_short(way, 1000 + seed) for seed in range(3))[1]
        assert math.isfinite(hours[rig.name])
        swing_mpa = way.swing_mpa[1] - way.swing_mpa[0]
        assert (swing_mpa < 0.1) == (rig is RIGS[0])
    assert hours["spring_pneumatic"] > 10 * hours["fixed_gap"]
    assert hours["spring_pneumatic"] > hours["spring_only"]
    assert hours_to_short(cycle(RIGS[0]), 1000, 100.0) == 100.0


def test_the_commands_print_json_and_leave_a_plot(tmp_path):
    for name, key in (("life", "median_h"), ("fast-charge", "charge_min")):
        more = ["--charges", "1"] if name == "fast-charge" else []
        done = CliRunner().invoke(pressure, [name, "--seeds", "1", "--json", "--out", str(tmp_path), *more])
        assert done.exit_code == 0, done.output
        told = json.loads(done.output)
        assert key in told["rows"][0]
        assert (tmp_path / f"pressure_{told['study']}.png").read_bytes().startswith(b"\x89PNG")
    plain = CliRunner().invoke(pressure, ["life", "--seeds", "1"]).output
    assert "fixed_gap" in plain
