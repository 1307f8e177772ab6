"""The regulator on simulated presses: inside what is asked of each, far closer than a stack left alone."""

import json

import pytest
from assb_hil.press_bench import PROFILES, hold, press_table
from assb_hil.press_rigs import FIXED_GAP, RIGS, SPRING_ONLY, PressedPack
from assb_host.config.errors import ConfigError
from click.testing import CliRunner

QUICK = "liin_tis2"  # an hour a cycle


@pytest.fixture(scope="module")
def table():
    return press_table((QUICK, "lto_nmc"))


def test_every_rig_holds_what_is_asked_of_it_and_hunts_on_none(table):
    assert [each["rig"] for each in table["rows"]] == 2 * [rig.name for rig in RIGS]
    for each in table["rows"]:
        assert each["rms_kpa"] <= each["rms_most_kpa"], each
        assert each["peak_kpa"] <= each["peak_most_kpa"], each
        assert each["reversals_per_cycle"] <= 30, each


def test_regulation_swings_a_tenth_of_a_fixed_gap_and_a_third_of_springs(table):
    for each in table["rows"]:
        assert each["peak_to_peak_kpa"] <= each["fixed_gap_peak_to_peak_kpa"] / 10, each
        assert each["peak_to_peak_kpa"] <= each["spring_peak_to_peak_kpa"] / 3, each


def test_without_regulation_nothing_moves_the_press():
    for rig in (FIXED_GAP, SPRING_ONLY):
        assert hold(QUICK, rig).moves_per_cycle == 0


def test_a_press_that_does_not_reach_a_profile_is_named():
    with pytest.raises(ConfigError, match="reaches 90 MPa"):
        PressedPack("halide_ncm85", RIGS[0], soc=0.5, seed=1)


def test_a_step_of_the_target_is_followed_at_its_rate_without_leaving_the_window():
    for rig in RIGS:
        pressed = PressedPack("li_lpscl_nca", rig, soc=0.5, seed=2)
        for _ in range(6000):
            pressed.step(0.0, 25.0)
        pressed.regulator.aim_kpa = 6000
        seen = [pressed.pressure_kpa for _ in range(1200) if pressed.step(0.0, 25.0) is None]
        assert max(seen) <= 7000
        assert max(seen) <= 6150
        assert seen[-1] == pytest.approx(6000, abs=40)
        rate_kpa_s = pressed.parameters["pressure_rate_max_kpa_s"]
        assert max(after - before for before, after in zip(seen, seen[20:], strict=False)) <= 2 * 1.5 * rate_kpa_s


def test_a_press_that_is_jammed_is_not_wound_up():
    """Neither while it stands still nor once it is free again: it goes where it was to go, and no further."""
    for rig in RIGS[:2]:
        pressed = PressedPack("li_lpscl_nca", rig, soc=0.5, seed=3)
        for _ in range(3000):
            pressed.step(0.0, 25.0)
        regulator, stack = pressed.regulator, pressed.pack.stacks[0]
        stack.frozen, regulator.aim_kpa = True, 6000
        for _ in range(6000):
            pressed.step(0.0, 25.0)
        assert regulator.stalled, rig.name
        stack.frozen = False
        seen = [pressed.pressure_kpa for _ in range(3000) if pressed.step(0.0, 25.0) is None]
        assert not regulator.stalled, rig.name
        assert max(seen) <= 7000, rig.name  # the plant's own limit
        assert seen[-1] == pytest.approx(6000, abs=60), rig.name


def test_the_command_prints_the_rows_and_leaves_a_plot(tmp_path):
    from assb_hil.commands.bench import bench

    done = CliRunner().invoke(bench, ["pressure", "--profile", QUICK, "--json", "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.output)
    keys = "profile rig rms_kpa peak_kpa moves_per_cycle fixed_gap_peak_kpa spring_peak_kpa quantum_kpa target_mpa"
    assert set(keys.split()) <= set(figures["rows"][0])
    assert (tmp_path / "pressure.png").read_bytes().startswith(b"\x89PNG")
    refused = CliRunner().invoke(bench, ["pressure", "--profile", "lead_acid"])
    assert refused.exit_code == 2
    assert PROFILES[0] in refused.output


def test_the_regulators_tick_on_the_vm_costs_little_heap():
    from assb_hil.regulator_bench import lines, measure_regulator

    figures = measure_regulator(ticks=2000)
    assert figures["tick_us"] > figures["empty_call_us"] > 0
    assert 0 < figures["garbage_b"] <= 3000  # a slow tick collects twice; floats of 64 bit
    assert figures["regulator_b"] + figures["watch_b"] <= 4000
    assert "us here" in lines(figures)[0]


@pytest.mark.parametrize(
    ("profile", "seed"), [("lto_nmc", 3), ("lto_nmc", 8), ("graphite_nmc", 3), ("hcsi_nmc811", 4), ("usi_nmc811", 1)]
)
def test_a_load_that_turns_a_stiff_press_costs_no_more_than_a_step_and_a_half(profile, seed):
    """Those missed it while a turn waited for a whole step, took rounding inside the play for pressure, took a crossing
    back that the motor was still at, or crossed all of a play that no turn had shown yet."""
    held = hold(profile, RIGS[2], seed)
    assert held.peak_kpa <= 1.5 * held.quantum_kpa


def test_the_air_press_that_hunts_first_does_not():
    """hcsi_nmc811: where a crossing twice as fast turned two thousand times a cycle."""
    held = hold("hcsi_nmc811", RIGS[0])
    assert held.reversals_per_cycle <= 30
    assert held.rms_kpa <= 20.0


def test_the_command_names_the_rigs_without_importing_them():
    from assb_hil.commands.pressure import RIG_NAMES

    assert list(RIG_NAMES) == [rig.name for rig in RIGS]
