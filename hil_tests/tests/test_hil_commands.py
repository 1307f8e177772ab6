"""`assb hil`, `assb bench` and `assb demo` as a user and a program see them."""

import json
from dataclasses import replace

import pytest
from assb_hil.commands import demo as demo_module
from assb_hil.commands.bench import bench
from assb_hil.commands.demo import demo
from assb_hil.commands.hil import hil
from assb_hil.faults.cells import SoftShort
from assb_hil.scenario import load_scenario
from assb_hil.session import UnsupportedError, demand_features, open_session
from assb_host.errors import EXIT_FAILED, EXIT_USAGE
from click.testing import CliRunner

SHORT = """
title = "two seconds of rest"
pack = "li_lpscl_nca"
plant = "li_lpscl_nca"
duration_s = 2.5
start = { soc_frac = 0.5, pressure_mpa = 0.1 }
host = { arm_at_s = 2.0 }
[[check]]
kind = "signal"
signal = "voltage_v"
statistic = "last"
max = LIMIT
"""
KEYS = ("scenario", "dut", "seed", "passed", "sim_time_s", "wall_time_s", "speed_x", "checks", "events", "trace_sha256")


@pytest.fixture
def scenario_file(tmp_path):
    def write(limit):
        path = tmp_path / "rest.toml"
        path.write_text(SHORT.replace("LIMIT", str(limit)))
        return str(path)

    return write


def call(command, *arguments):
    return CliRunner().invoke(command, arguments, standalone_mode=False)


def test_list_names_every_scenario():
    assert "soft_short_charge" in call(hil, "list").output
    assert len(json.loads(call(hil, "list", "--json").output)) >= 8


def test_a_run_prints_one_json_object_and_nothing_else(scenario_file):
    done = call(hil, "run", scenario_file(5.0), "--json", "--seed", "3")
    result = json.loads(done.stdout)
    assert set(KEYS) <= set(result)
    assert (result["scenario"], result["dut"], result["seed"], result["passed"]) == ("rest", "virtual", 3, True)
    assert set(result["checks"][0]) == {"name", "passed", "value", "limit", "unit"}
    assert all({"t_s", "name"} <= set(event) for event in result["events"])
    assert done.return_value == 0


def test_a_broken_check_is_said_and_gives_a_failing_exit_code(scenario_file):
    done = call(hil, "run", scenario_file(1.0))
    assert done.return_value == 1
    assert "BROKEN last of voltage_v" in done.output
    assert "FAILED rest on virtual" in done.output


def test_out_leaves_report_table_frames_and_result(scenario_file, tmp_path):
    out = tmp_path / "out"
    call(hil, "run", scenario_file(5.0), "--out", str(out))
    names = {path.name for path in out.iterdir()}
    assert names == {"report.html", "cell0.bdf.csv", "cell0.bdf.meta.json", "frames.bin", "result.json"}
    assert "<svg" in (out / "report.html").read_text()


def test_an_unknown_device_under_test_is_an_error(scenario_file):
    done = call(hil, "run", scenario_file(5.0), "--dut", "nonsense")
    assert isinstance(done.exception, UnsupportedError)
    assert "there are: virtual" in str(done.exception)
    assert done.exception.exit_code == EXIT_USAGE


def test_a_fault_that_the_device_cannot_have_is_an_error_not_a_skip():
    class Bare:
        name = "bare"
        features = frozenset({"lockstep"})

    scenario = replace(load_scenario("hard_short"), faults=(SoftShort(at_s=1.0, rs_ohm=1.0),))
    with pytest.raises(UnsupportedError, match="fault soft_short needs chip_models; device bare"):
        demand_features(scenario, Bare())


def test_a_board_that_never_speaks_ends_the_run_early(tmp_path):
    scenario = replace(load_scenario("hard_short"), faults=())
    with open_session(scenario, flash=tmp_path / "empty.bin") as session:
        result = session.run()
    assert not result.passed
    assert result.sim_time_s < 20.0
    assert any("MicroPython" in line for line in result.console)


def test_bench_says_how_fast_and_where_the_time_goes():
    done = call(bench, "hil", "--seconds", "10", "--json")
    figures = json.loads(done.output)["hil"]
    assert figures["speed_x"] > 1.0
    assert sum(figures["wall_share"].values()) == pytest.approx(1.0, abs=0.01)
    assert {"firmware", "link", "chips", "plant"} <= set(figures["wall_share"])


def test_a_demo_whose_check_breaks_leaves_its_report_and_a_failing_exit_code(scenario_file, tmp_path, monkeypatch):
    """The whole one, from an empty board to checks that hold, is run from the wheel: test_packaging.py."""
    monkeypatch.setattr(demo_module, "DEMO_SCENARIO", scenario_file(1.0))
    done = call(demo, "--out", str(tmp_path / "demo"))
    assert done.exception is None
    assert done.return_value == EXIT_FAILED, done.output
    assert "flash an empty virtual board" in done.output
    assert "BROKEN last of voltage_v" in done.output
    assert "FAILED" in (tmp_path / "demo" / "report.html").read_text()
