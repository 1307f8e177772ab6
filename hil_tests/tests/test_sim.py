"""`assb sim`: protocols on plants, as a user and a program see them."""

import csv
import json
import subprocess
import sys
from math import isfinite

import numpy as np
import pytest
from assb_hil.commands.sim import sim
from assb_hil.plant_file import load_plant
from assb_hil.protocol_file import load_protocol, protocol_names
from assb_hil.protocol_steps import DriveOptions
from assb_hil.simulation import Request, simulate
from assb_hil.simulation_files import TRUTH_TABLE
from assb_hil.simulation_rows import ROWS_MAX, default_every_s
from assb_host.config.errors import ConfigError
from assb_host.errors import EXIT_INTERRUPTED, AssbError
from click.testing import CliRunner

CELL = "li_lpscl_nca"
OTHER = "lto_nmc"
SHORT = """
title = "half an hour each way"
start = { soc_frac = 0.5 }
[[step]]
do = "charge"
admissible_frac = 0.5
until = { voltage = "max", time_s = 1800 }
[[step]]
do = "discharge"
admissible_frac = 0.5
until = { voltage = "min", time_s = 1800 }
"""
WAVE = "time_s,current_a\n0,0\n10,-3\n60,-3\n70,1\n90,1\n100,0\n"


def call(*arguments):
    return CliRunner().invoke(sim, [str(argument) for argument in arguments], standalone_mode=False)


def result(*arguments):
    done = call(*arguments, "--json")
    assert done.exception is None, done.exception
    return done.return_value, json.loads(done.stdout)


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def column(rows, name):
    return np.array([float(row[name]) for row in rows])


@pytest.fixture
def short(tmp_path):
    path = tmp_path / "short.toml"
    path.write_text(SHORT)
    return path


@pytest.fixture
def wave(tmp_path):
    path = tmp_path / "wave.csv"
    path.write_text(WAVE)
    return path


@pytest.mark.parametrize("cell", [CELL, OTHER])
@pytest.mark.parametrize("protocol", protocol_names())
def test_every_shipped_protocol_runs_to_its_end(cell, protocol, wave):
    drive = ("--drive-file", wave) if protocol == "drive" else ()
    code, figures = result("--cell", cell, "--protocol", protocol, *drive)
    assert (code, figures["ended"]) == (0, "finished"), figures["detail"]
    assert figures["rows"] <= ROWS_MAX
    assert figures["final"].pop("short_ohm") == [None]
    numbers = [value for values in figures["final"].values() for value in values]
    assert all(isfinite(number) for number in numbers)


def test_the_summary_is_a_table_of_cycles(short):
    done = call("--cell", CELL, "--protocol", short, "--cycles", "2")
    assert done.return_value == 0
    for word in ("mAh", "CE", "MPa", "simulated, nothing here is measured", "finished after 2 h"):
        assert word in done.output
    assert sum(line.strip().startswith(("1 ", "2 ")) for line in done.output.splitlines()) == 2


def test_the_list_names_cells_protocols_formats_and_benches():
    assert {CELL, "cccv", "pellet", "spring_stepper"} <= {*call("--list").output.split()}
    names = json.loads(call("--list", "--json").output)
    assert {*names} == {"cells", "protocols", "formats", "benches"}


def test_charge_and_energy_of_the_summary_are_the_integral_of_the_rows(short, tmp_path):
    _, figures = result("--cell", CELL, "--protocol", short, "--every", "1", "--out", tmp_path / "o")
    rows = table(tmp_path / "o" / "cell0.truth.csv")
    hours = np.diff(column(rows, "time_s")) / 3600
    current_a, voltage_v = column(rows, "current_a")[1:], column(rows, "voltage_v")
    mean_v = 0.5 * (voltage_v[1:] + voltage_v[:-1])
    (cycle,) = figures["cycles"]
    for sign, charge, energy in ((1, "charge_ah", "charge_wh"), (-1, "discharge_ah", "discharge_wh")):
        moved_ah = np.maximum(sign * current_a, 0) * hours
        assert cycle[charge] == pytest.approx(moved_ah.sum(), rel=2e-4)
        assert cycle[energy] == pytest.approx((moved_ah * mean_v).sum(), rel=2e-3)
        assert cycle[charge] > 0.0


def test_sums_and_ends_do_not_depend_on_the_interval_of_rows(short):
    _, fine = result("--cell", CELL, "--protocol", short, "--every", "1")
    _, coarse = result("--cell", CELL, "--protocol", short, "--every", "600")
    assert coarse["rows"] < 12 < fine["rows"]
    for name in ("charge_ah", "discharge_ah", "charge_wh", "discharge_wh", "end_s"):
        assert coarse["cycles"][0][name] == pytest.approx(fine["cycles"][0][name], rel=1e-12)


def test_a_repeated_protocol_counts_charge_on(short):
    _, once = result("--cell", CELL, "--protocol", short)
    _, twice = result("--cell", CELL, "--protocol", short, "--cycles", "2")
    assert [cycle["cycle"] for cycle in twice["cycles"]] == [1, 2]
    assert twice["cycles"][0]["charge_ah"] == pytest.approx(once["cycles"][0]["charge_ah"], rel=1e-9)
    assert twice["cycles"][1]["charge_ah"] == pytest.approx(once["cycles"][0]["charge_ah"], rel=1e-3)
    assert twice["cycles"][1]["begin_s"] == once["sim_time_s"] < twice["sim_time_s"]


def test_out_leaves_tables_of_every_unit_events_plots_and_result(short, tmp_path):
    out = tmp_path / "o"
    call("--cell", CELL, "--units", 2, "--protocol", short, "--out", out)
    tables = {f"cell{unit}.{name}" for unit in (0, 1) for name in ("bdf.csv", "bdf.meta.json", "truth.csv")}
    whole = {"cycles.csv", "events.csv", "plot.png", "plot.svg", "result.json"}
    assert {path.name for path in out.iterdir()} == tables | whole
    head = (out / "cell1.bdf.csv").read_text().split("\n", 1)[0]
    assert head.startswith("test_time_second,voltage_volt,current_ampere,")
    assert list(table(out / "cell0.truth.csv")[0]) == [row[0] for row in TRUTH_TABLE]
    meta = json.loads((out / "cell0.bdf.meta.json").read_text())
    assert meta["finalized"] is True
    assert "simulated" in meta["origin"]
    assert (out / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_a_later_run_replaces_the_tables_of_an_earlier_one_and_nothing_else(short, tmp_path):
    out = tmp_path / "o"
    call("--cell", CELL, "--units", 2, "--protocol", short, "--out", out)
    (out / "notes.txt").write_text("mine")
    call("--cell", CELL, "--protocol", short, "--out", out)
    names = {path.name for path in out.iterdir()}
    assert "cell0.truth.csv" in names
    assert "cell1.truth.csv" not in names
    assert (out / "notes.txt").read_text() == "mine"


def test_a_run_that_can_not_be_written_leaves_the_earlier_tables(short, tmp_path, monkeypatch):
    out = tmp_path / "o"
    call("--cell", CELL, "--protocol", short, "--out", out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def broken(*_):
        raise OSError("disk full")

    monkeypatch.setattr("assb_hil.simulation_plot.write_plots", broken)
    assert isinstance(call("--cell", OTHER, "--protocol", short, "--out", out).exception, AssbError)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def written(out, *arguments):
    call(*arguments, "--out", out)
    return {path.name: path.read_bytes() for path in out.glob("*.csv")}


def test_the_same_seed_gives_the_same_bytes_and_another_other_sensors(short, tmp_path):
    given = ("--cell", CELL, "--protocol", short, "--sensors", "--seed")
    first = written(tmp_path / "a", *given, 3)
    assert written(tmp_path / "b", *given, 3) == first
    assert written(tmp_path / "c", *given, 4)["cell0.bdf.csv"] != first["cell0.bdf.csv"]


def test_sensors_stand_beside_the_truth(short, tmp_path):
    call("--cell", CELL, "--protocol", short, "--sensors", "--out", tmp_path / "o")
    rows = table(tmp_path / "o" / "cell0.truth.csv")
    error_v = column(rows, "sensor_voltage_v") - column(rows, "voltage_v")
    assert 0.0 < np.abs(error_v).max() < 0.02
    shown = column(table(tmp_path / "o" / "cell0.bdf.csv"), "voltage_volt")
    assert shown == pytest.approx(column(rows, "sensor_voltage_v"))


HARSH = """
title = "lithium pressed and charged so that it shorts within hours"
start = { soc_frac = 0.05 }
[[step]]
do = "charge"
admissible_frac = 6.0
until = { voltage = "max" }
[[step]]
do = "rest"
until = { time_h = 2.0 }
[[step]]
do = "discharge"
admissible_frac = 0.5
until = { voltage = "min", time_h = 12.0 }
"""


def test_filaments_are_logged_and_another_seed_grows_others(tmp_path):
    protocol = tmp_path / "harsh.toml"
    protocol.write_text(HARSH)
    _, first = result("--cell", CELL, "--protocol", protocol, "--cycles", 3, "--seed", 1, "--out", tmp_path / "o")
    _, other = result("--cell", CELL, "--protocol", protocol, "--cycles", 3, "--seed", 2)
    assert {"bridge"} <= {event["kind"] for event in first["events"]}
    assert first["events"] != other["events"]
    logged = table(tmp_path / "o" / "events.csv")
    assert [row["kind"] for row in logged] == [event["kind"] for event in first["events"]]
    assert {*logged[0]} == {"time_s", "cell", "kind", "value"}
    assert any("more than" in note for note in first["notes"])


def test_a_cell_without_lithium_metal_grows_no_filament():
    _, figures = result("--cell", "nanosi_scnmc", "--protocol", "cccv")
    assert (figures["events"], figures["ended"]) == ([], "finished")
    assert figures["final"]["filament_length"] == [0.0]


def test_no_unit_of_a_pack_with_taps_is_driven_beyond_its_window():
    code, figures = result("--cell", CELL, "--units", 8, "--protocol", "cccv", "--seed", 3)
    assert (code, figures["ended"]) == (0, "finished"), figures["detail"]
    run = simulate(Request(load_plant(CELL, units=8), load_protocol("cccv"), seed=3, dt_s=10.0))
    driven = run.columns["current_a"] != 0.0
    units_v = run.of_units("voltage_v")[driven]
    assert np.ptp(units_v[-1]) > 0.05  # they differ
    assert 2.5 - 1e-5 < units_v.min() < 2.5 + 1e-5
    assert 4.3 - 1e-5 < units_v.max() < 4.3 + 1e-3


def test_thirty_days_are_bounded_in_rows_and_end_in_time():
    code, figures = result("--cell", OTHER, "--protocol", "cycle", "--days", 30)
    assert (code, figures["ended"]) == (0, "finished"), figures["detail"]
    assert figures["sim_time_s"] == pytest.approx(30 * 86400)
    assert figures["rows"] <= ROWS_MAX
    assert figures["cycles"][-1]["capacity_loss_frac"] > 0.0


def test_the_interval_of_rows_follows_from_the_length():
    for expected_s in (1.0, 3600.0, 30 * 86400.0, 3e9):
        assert expected_s / default_every_s(expected_s) <= ROWS_MAX + 1e-6


def test_a_protocol_that_takes_no_time_any_more_ends(tmp_path):
    path = tmp_path / "full.toml"
    path.write_text('title = "t"\n[[step]]\ndo = "charge"\nc_rate = 0.1\nuntil = { voltage = "max" }\n')
    code, figures = result("--cell", CELL, "--protocol", path, "--days", 30, "--soc", 0.9)
    assert (code, figures["ended"]) == (1, "idle")


def test_a_broken_limit_stops_the_run_says_which_and_keeps_the_rows(tmp_path):
    path = tmp_path / "over.toml"
    path.write_text(SHORT.replace('voltage = "max", time_s = 1800', "time_h = 30"))
    done = call("--cell", OTHER, "--protocol", path, "--soc", "0.95", "--out", tmp_path / "o")
    assert done.return_value == 1
    assert "STOPPED (limit)" in done.output
    assert "voltage" in done.output
    figures = json.loads((tmp_path / "o" / "result.json").read_text())
    highest_v = load_plant(OTHER).limits.voltage_max_v
    assert figures["rows"] == len(table(tmp_path / "o" / "cell0.truth.csv")) > 2
    assert highest_v < figures["cycles"][0]["voltage_max_v"] < highest_v + 0.2


def test_an_interrupted_run_keeps_what_it_has(tmp_path):
    def interrupt(time_s, _):
        if time_s > 0.0:
            raise KeyboardInterrupt

    request = Request(load_plant(CELL), load_protocol("cycle"), duration_s=300 * 86400.0)
    run = simulate(request, interrupt)
    assert run.ended == "interrupted"
    assert 0.0 < run.time_s[-1] < 300 * 86400.0
    assert len(run.time_s) > 2


def test_an_interrupted_command_writes_what_it_has_and_says_so(short, tmp_path, monkeypatch):
    import assb_hil.commands.sim as command

    def interrupted(request, _):
        def interrupt(time_s, _):
            raise KeyboardInterrupt

        return simulate(request, interrupt)

    monkeypatch.setattr("assb_hil.simulation.simulate", interrupted)
    done = CliRunner().invoke(
        command.sim,
        ["--cell", CELL, "--protocol", str(short), "--days", "300", "--out", str(tmp_path / "o")],
        standalone_mode=False,
    )
    assert done.return_value == EXIT_INTERRUPTED
    assert "interrupted" in done.output
    assert len(table(tmp_path / "o" / "cell0.truth.csv")) >= 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "--cell"),
        (("--cell", "li_lpscl_ncaa"), "li_lpscl_nca"),
        (("--cell", CELL, "--protocol", "cvcc"), "cc, cccv"),
        (("--cell", CELL, "--format", "coin"), "pellet"),
        (("--cell", CELL, "--bench", "vice"), "spring_stepper"),
        (("--cell", CELL, "--protocol", "drive"), "--drive-file"),
        (("--cell", CELL, "--protocol", "drive", "--drive-file", "no.csv"), "no.csv"),
        (("--cell", CELL, "--days", "1", "--cycles", "2"), "give one"),
        (("--cell", CELL, "--soc", "50"), "50"),
        (("--cell", CELL, "--drive-file", "no.csv"), "--drive-file"),
        (("--cell", CELL, "--protocol", "hppc", "--drive-sign", "+"), "protocol hppc has none"),
        (("--cell", CELL, "--drive-scale", "2"), "-scale"),
        (("--cell", CELL, "--sensors"), "--out"),
        (("--cell", CELL, "--out", "/proc/x"), "can't write to /proc/x"),
    ],
)
def test_a_wrong_command_line_says_what_there_is(arguments, told):
    assert told in str(call(*arguments).exception)


def test_a_drive_cycle_is_scaled_and_its_sign_turned(wave):
    _, figures = result("--cell", CELL, "--protocol", "drive", "--drive-file", wave)
    assert any("wave.csv: 100 s" in note for note in figures["notes"])
    assert figures["cycles"][0]["voltage_min_v"] == pytest.approx(load_plant(CELL).limits.voltage_min_v, abs=1e-4)
    _, turned = result("--cell", CELL, "--protocol", "drive", "--drive-file", wave, "--drive-sign", "-")
    assert any("--drive-sign" in note for note in turned["notes"])


def test_rows_do_not_walk_in_step_with_a_drive_cycle(wave):
    protocol, drive = load_protocol("drive"), DriveOptions(file=wave)
    run = simulate(Request(load_plant(CELL), protocol, duration_s=30 * 86400.0, drive=drive))
    played = run.columns["current_a"][run.columns["step"] == 0]
    assert len(np.unique(np.round(played, 6))) > 20


def test_a_drive_file_that_is_wrong_names_its_line(tmp_path):
    path = tmp_path / "wave.csv"
    path.write_text("time_s,current_a\n0,0\n2,1\n1,1\n")
    error = call("--cell", CELL, "--protocol", "drive", "--drive-file", path).exception
    assert isinstance(error, ConfigError)
    assert "line 4" in str(error)


def test_the_command_as_a_process(short, tmp_path):
    def run(*arguments):
        given = [sys.executable, "-m", "assb_host", "sim", "--cell", CELL, "--protocol", str(short), *arguments]
        return subprocess.run(given, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path)

    done = run("--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["ended"] == "finished"
    wrong = run("--bench", "vice")
    assert wrong.returncode == 3
    assert wrong.stderr.startswith("assb: error: ")
    assert "Traceback" not in wrong.stderr
