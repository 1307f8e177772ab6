"""What a simulation says of itself: cycles and their efficiency, broken limits, stops of the press, bounded rows."""

import csv
import json
from dataclasses import replace
from math import isnan

import numpy as np
import pytest
from assb_hil.commands.sim import sim
from assb_hil.plant_file import load_plant
from assb_hil.protocol_file import load_protocol, read_protocol
from assb_hil.protocol_steps import DriveOptions
from assb_hil.simulation import Request, simulate
from assb_hil.simulation_files import JSON_ROWS_MAX, result_of, write_simulation
from assb_hil.simulation_guard import SELF_HEATING_K, guard_limits
from assb_hil.simulation_plot import drawn
from assb_hil.simulation_rows import ROWS_MAX, kept_rows
from assb_host.config.errors import ConfigError
from click.testing import CliRunner

CELL = "li_lpscl_nca"
STILL = {"ageing.calendar_frac_per_rt_day": 0.0, "ageing.cycle_frac_per_rt_cycle": 0.0}


def call(*arguments):
    return CliRunner().invoke(sim, [str(argument) for argument in arguments], standalone_mode=False)


def protocol(tmp_path, text):
    path = tmp_path / "case.toml"
    path.write_text('title = "t"\n' + text)
    return load_protocol(str(path))


def step(do, keys, until):
    return f'[[step]]\ndo = "{do}"\n{keys}\nuntil = {{ {until} }}\n'


def table(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# Efficiency


def test_a_drive_cycle_that_brakes_has_no_efficiency_above_one(tmp_path):
    wave = tmp_path / "wave.csv"
    wave.write_text("0,0\n10,-3\n60,-3\n70,1\n90,1\n100,0\n")
    run = simulate(Request(load_plant("usi_nmc811"), load_protocol("drive"), passes=4, drive=DriveOptions(file=wave)))
    assert [isnan(cycle.efficiency_frac) for cycle in run.cycles] == [True] * 4  # they begin with a discharge


def test_efficiency_counts_what_the_cell_holds_and_is_never_above_one():
    run = simulate(Request(load_plant(CELL), load_protocol("cycle")))
    shown = [cycle for cycle in run.cycles if not isnan(cycle.efficiency_frac)]
    assert len(shown) >= 9
    assert all(0.99 < cycle.efficiency_frac <= 1.0 + 1e-9 for cycle in shown)
    assert any(cycle.discharge_ah > cycle.charge_ah for cycle in run.cycles)  # which alone would be above 100 %


def test_a_cell_that_neither_fades_nor_shorts_gives_back_all_that_went_in():
    run = simulate(Request(load_plant("lto_nmc", changes=STILL), load_protocol("cycle")))
    shown = [cycle.efficiency_frac for cycle in run.cycles if not isnan(cycle.efficiency_frac)]
    assert len(shown) >= 9
    assert shown == pytest.approx([1.0] * len(shown), abs=1e-9)


def test_a_cycle_that_does_not_close_has_no_efficiency(tmp_path):
    steps = step("charge", "c_rate = 0.1", "time_h = 3") + step("discharge", "c_rate = 0.1", "time_h = 2.9")
    run = simulate(Request(load_plant(CELL), protocol(tmp_path, steps)))
    assert isnan(run.cycles[0].efficiency_frac)


def test_a_cycle_that_begins_with_a_discharge_has_no_efficiency(tmp_path):
    out, back = (step(do, "c_rate = 0.1", "time_h = 1") for do in ("discharge", "charge"))
    plant = load_plant(CELL, changes=STILL)
    first, turned = (
        simulate(Request(plant, protocol(tmp_path, steps))).cycles[0] for steps in (out + back, back + out)
    )
    assert isnan(first.efficiency_frac)
    assert turned.efficiency_frac == pytest.approx(1.0, abs=1e-9)


def test_formation_is_three_cycles_and_its_rest_belongs_to_the_first():
    run = simulate(Request(load_plant("lto_nmc"), load_protocol("formation"), passes=2))
    assert [cycle.cycle for cycle in run.cycles] == [1, 2, 3, 4, 5, 6]
    assert min(cycle.charge_ah for cycle in run.cycles) > 0.0


# Limits


def test_a_broken_limit_names_the_figure_of_the_file_and_the_margin(tmp_path):
    run = simulate(Request(load_plant(CELL), protocol(tmp_path, step("charge", "c_rate = 0.1", "time_h = 30")), 0.9))
    assert run.ended == "limit"
    for words in ("cell 0: 4.35", " V is beyond the limit 4.3 + 0.05 V", "voltage_max_v", "step 0 (charge)"):
        assert words in run.detail


def test_a_cell_at_its_highest_temperature_may_heat_itself_and_no_further():
    plant = load_plant(CELL)
    assert guard_limits(plant).temperature_max_degc == plant.limits.temperature_max_degc + SELF_HEATING_K
    done = call("--cell", CELL, "--protocol", "cycle", "--temperature", "60")
    assert (done.return_value, done.exception) == (0, None)
    heated = read_protocol(
        {"title": "t", "step": [{"do": "rest", "heater_w": 5.0, "until": {"time_h": 5.0}}]}, plant.path
    )
    run = simulate(Request(plant, heated, temperature_degc=60.0))
    assert "°C is beyond the limit 60 + 5 °C" in run.detail


@pytest.mark.parametrize(
    ("option", "value", "allowed"), [("--pressure", 50, "2.86 .. 7.14 MPa"), ("--temperature", 95, "9 .. 65 °C")]
)
def test_a_start_that_would_stop_at_once_is_refused(option, value, allowed):
    error = call("--cell", CELL, option, value).exception
    assert isinstance(error, ConfigError)
    for words in (option, allowed, "--no-limits"):
        assert words in str(error) + error.remedy
    assert call("--cell", CELL, option, value, "--no-limits", "--protocol", "hppc").exception is None


def test_a_step_that_had_reached_its_voltage_before_it_began_is_said(tmp_path):
    steps = step("charge", "c_rate = 0.1", "voltage = 3.0") + step("rest", "", "time_s = 60")
    run = simulate(Request(load_plant(CELL), protocol(tmp_path, steps), passes=3))
    assert run.notes == ("step 0 (charge) was over at once, 3 ×: its voltage was reached before it began",)
    assert simulate(Request(load_plant(CELL), load_protocol("cccv"))).notes == ()


# The press

BREATHING = step("charge", "admissible_frac = 0.8", 'voltage = "max"')


@pytest.fixture
def short_travel(tmp_path):
    """A screw press whose switches stand 5 µm from where it starts, with its plant at SOC 0."""
    shipped = load_plant(CELL, bench="spring_stepper")
    limits = shipped.bench.stepper
    tight = replace_figures(limits, gap_min_um=-5.0, gap_max_um=5.0)
    return replace(shipped, bench=replace_struct(shipped.bench, stepper=tight))


def replace_struct(struct, **fields):
    import msgspec

    return msgspec.structs.replace(struct, **fields)


def replace_figures(struct, **values):
    return replace_struct(struct, **{k: replace_struct(getattr(struct, k), value=v) for k, v in values.items()})


def test_a_press_at_the_end_of_its_travel_is_said_with_its_time(short_travel, tmp_path, capsys):
    from assb_hil.commands.sim import print_run

    run = simulate(Request(short_travel, protocol(tmp_path, BREATHING), 0.1))
    assert run.ended == "finished"
    (stop,) = run.press_stops
    assert (stop.stack, stop.reason, stop.at_the_end) == (0, "open as far as it goes", True)
    assert 0.0 < stop.since_s < run.time_s[-1]
    assert stop.pressure_mpa > stop.aim_mpa + 0.1
    print_run(run, {})
    assert "press at its stop: stack 0 open as far as it goes since" in capsys.readouterr().out
    assert result_of(run)["press_stops"][0]["reason"] == stop.reason


def test_a_press_within_its_travel_says_nothing(tmp_path):
    plant = load_plant(CELL, bench="spring_stepper")
    assert simulate(Request(plant, protocol(tmp_path, BREATHING), 0.1)).press_stops == []


def test_an_aim_beyond_the_air_supply_is_said_when_limits_are_off(tmp_path):
    steps = protocol(tmp_path, step("rest", "pressure_mpa = 20", "time_h = 1"))
    run = simulate(Request(load_plant(CELL), steps, limits=False))
    (stop,) = run.press_stops
    assert (stop.reason, stop.aim_mpa) == ("at the end of its air supply", 20.0)
    assert stop.pressure_mpa < 10.0


# Rows and files


def test_many_cycles_are_bounded_in_rows_and_json_and_whole_in_their_table(tmp_path):
    run = simulate(Request(load_plant("liin_tis2"), load_protocol("cycle"), duration_s=400 * 86400.0))
    assert run.rows_made > 1.5 * ROWS_MAX
    assert len(run.time_s) <= ROWS_MAX
    assert (run.time_s[0], run.time_s[-1]) == (0.0, pytest.approx(400 * 86400.0))
    write_simulation(run, tmp_path)
    figures = json.loads((tmp_path / "result.json").read_text())
    assert figures["cycle_count"] == len(run.cycles) == len(table(tmp_path / "cycles.csv")) > JSON_ROWS_MAX
    assert len(figures["cycles"]) == JSON_ROWS_MAX
    assert [figures["cycles"][k]["cycle"] for k in (0, -1)] == [1, run.cycles[-1].cycle]
    assert (tmp_path / "result.json").stat().st_size < 1_000_000


@pytest.mark.parametrize("steps", [1, 7, 400, 30_000])
def test_ends_of_steps_are_kept_before_other_rows(steps):
    count = 60_000
    columns = {"time_s": np.arange(count, dtype=float)}
    columns["step"] = np.floor(columns["time_s"] * steps / count) % 4
    columns["cycle"] = np.floor(columns["time_s"] * steps / count / 4)
    kept = kept_rows(columns, 1000)
    assert len(kept) <= 1000
    assert (kept[0], kept[-1]) == (0, count - 1)
    assert (np.diff(kept) > 0).all()
    ends = np.flatnonzero((np.diff(columns["step"]) != 0) | (np.diff(columns["cycle"]) != 0))
    if len(ends) <= 500:
        assert {*ends} <= {*kept}
        assert np.diff(kept).max() < 3 * count / 500


def test_a_package_without_taps_shows_a_lab_its_terminals_only(tmp_path):
    run = simulate(Request(load_plant("bipolar_2s"), load_protocol("cc")))
    write_simulation(run, tmp_path, sensors=True)
    names = {path.name for path in tmp_path.iterdir()}
    assert {name for name in names if "bdf" in name} == {"stack.bdf.csv", "stack.bdf.meta.json"}
    sums = sum(np.array([float(r["voltage_v"]) for r in table(tmp_path / f"cell{k}.truth.csv")]) for k in (0, 1))
    shown = np.array([float(r["voltage_volt"]) for r in table(tmp_path / "stack.bdf.csv")])
    assert 0.0 < np.abs(shown - sums).max() < 0.02  # the sensor's error
    assert "sensor_voltage_v" not in table(tmp_path / "cell0.truth.csv")[0]
    assert "sensor_temperature_degc" in table(tmp_path / "cell0.truth.csv")[0]
    write_simulation(run, tmp_path)
    exact = np.array([float(r["voltage_volt"]) for r in table(tmp_path / "stack.bdf.csv")])
    assert exact == pytest.approx(sums, abs=2e-6)


def test_a_line_of_the_summary_fits_a_terminal():
    for arguments in (("--cell", "lto_nmc", "--format", "pellet", "--temperature", "-10"), ("--list",)):
        assert max(map(len, call(*arguments).output.splitlines())) <= 80


def test_legends_stand_above_the_marks_of_events(tmp_path):
    figure = drawn(simulate(Request(load_plant(CELL), load_protocol("cc"))))
    figure.canvas.draw()
    legends = [axes for axes in figure.axes if axes.get_legend()]
    assert legends
    for axes in legends:
        assert axes.get_legend().get_window_extent().y0 >= axes.get_window_extent().y1 - 1.0
    assert "filament, voids / %" in {axes.get_ylabel() for axes in figure.axes}
