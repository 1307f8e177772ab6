"""What `assb sim` says of a run against figures by hand: currents times hours, cycles, tables, starts, sensors."""

import csv
import json
from dataclasses import replace

import made_plant
import numpy as np
import pytest
from assb_hil.commands.sim import sim
from assb_hil.plant_parameters import drawn
from assb_hil.protocol_file import load_protocol
from assb_hil.simulation import Request, simulate
from assb_hil.simulation_cycles import cycles_of
from assb_hil.simulation_files import column, write_simulation
from assb_hil.simulation_guard import guard_limits
from assb_hil.simulation_sensors import sensed, sensed_columns
from assb_kernels import TruthEvent
from click.testing import CliRunner
from made_plant import AGEING, LIMITS, PACK, load_made

AMPERES = 0.0024  # 0.1C of 24 mAh: a tenth of the charge in an hour
HOUR_S = 3600.0
TURNS = """
title = "an hour in, an hour at rest, an hour out, twice"
start = { soc_frac = 0.5 }
[[step]]
do = "repeat"
times = 2
as_cycles = true
[[step.step]]
do = "charge"
current_a = 0.0024
until = { time_h = 1.0 }
[[step.step]]
do = "rest"
until = { time_h = 1.0 }
[[step.step]]
do = "discharge"
current_a = 0.0024
until = { time_h = 1.0 }
"""
REST = 'title = "t"\n[[step]]\ndo = "rest"\nuntil = { time_h = 1.0 }\n'
IDEAL = {
    "leave": ("voids", "filament"),
    "ageing": AGEING | {"calendar_frac_per_rt_day": 0.0, "cycle_frac_per_rt_cycle": 0.0},
}


@pytest.fixture
def made(tmp_path):
    """Loads the made-up plant without ageing and lithium, of `units` units."""

    def load(units=1, press="fixed_gap", taps=True, stacks=1):
        pack = PACK | {"units": units, "taps": taps, "stacks": stacks}
        return load_made(tmp_path, press, pack=pack, **IDEAL)

    return load


@pytest.fixture
def protocol(tmp_path):
    """The protocol of a text."""

    def load(text):
        path = tmp_path / "protocol.toml"
        path.write_text(text)
        return load_protocol(str(path))

    return load


@pytest.fixture
def command(made, protocol, tmp_path):
    """(exit code, result, rows of a table) of a command line on the made-up plant."""

    def call(text, *options, table="cell0.truth.csv"):
        plant, path = made(), protocol(text).path
        given = ["--cell", plant.path, "--protocol", path, "--out", tmp_path / "out", *options, "--json"]
        done = CliRunner().invoke(sim, [str(word) for word in given], standalone_mode=False)
        assert done.exception is None, done.exception
        return done.return_value, json.loads(done.stdout), table_of(tmp_path / "out" / table)

    return call


def table_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def values(rows, name):
    return [float(row[name]) for row in rows]


def step(do, more=""):
    return f'[[step]]\ndo = "{do}"\n{more}\n'


def test_a_known_run_has_the_figures_that_a_hand_computes(command):
    code, result, rows = command(TURNS, "--every", 1800, table="cell0.bdf.csv")
    assert (code, result["ended"], result["rows"]) == (0, "finished", 13)
    half_hours = [0] + 2 * [1, 1, 0, 0, -1, -1]
    assert values(rows, "test_time_second") == [1800.0 * k for k in range(13)]
    assert values(rows, "current_ampere") == pytest.approx([AMPERES * way for way in half_hours])
    assert values(rows, "cycle_count") == 7 * [1] + 6 * [2]
    assert values(rows, "step_index") == [0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    for name, way in (("charging_capacity_ah", 1), ("discharging_capacity_ah", -1)):
        moved_ah = 0.5 * AMPERES * np.cumsum([way == moving for moving in half_hours])
        assert values(rows, name) == pytest.approx(moved_ah, abs=2e-7)
    assert values(rows, "ambient_temperature_celsius") == [27.0] * 13
    assert values(rows, "temperature_t1_celsius") == pytest.approx([27.0] * 13, abs=0.01)
    assert float(rows[0]["applied_pressure_pa"]) == pytest.approx(5e6)
    # 3.0 V + 1.2 V times SOC; 27 instead of 25 degC, hysteresis and what is left of the slowest pair: some mV
    assert [float(rows[k]["voltage_volt"]) for k in (0, 4)] == pytest.approx([3.6, 3.72], abs=0.006)


def test_the_cycles_of_a_known_run_are_those_of_a_hand(command):
    _, result, _ = command(TURNS, "--every", 1800, "--cycles", 2)
    assert [cycle["cycle"] for cycle in result["cycles"]] == [1, 2, 3, 4]
    for k, cycle in enumerate(result["cycles"]):
        assert (cycle["begin_s"], cycle["end_s"]) == (3 * HOUR_S * k, 3 * HOUR_S * (k + 1))
        assert [cycle["charge_ah"], cycle["discharge_ah"]] == pytest.approx([AMPERES, AMPERES], rel=1e-6)
        assert cycle["efficiency_frac"] == pytest.approx(1.0, abs=1e-6)
        assert cycle["charge_wh"] == pytest.approx(AMPERES * 3.68, rel=0.01)
        assert cycle["discharge_wh"] == pytest.approx(AMPERES * 3.64, rel=0.01)
        assert cycle["charge_wh"] > cycle["discharge_wh"]


def synthetic(made, units=2, stacks=2):
    """Columns of two units in two stacks over two cycles of four rows each, and the plant."""
    rows = {
        "time_s": [0, 10, 20, 30, 40, 50, 60, 70, 80],
        "cycle": [1, 1, 1, 1, 1, 2, 2, 2, 2],
        "charge_ah": [0, 1e-3, 2e-3, 2e-3, 2e-3, 3e-3, 4e-3, 4e-3, 4e-3],
        "discharge_ah": [0, 0, 0, 0.9e-3, 1.98e-3, 1.98e-3, 1.98e-3, 2.98e-3, 2.98e-3],
        "charge_wh": [0, 1, 2, 2, 2, 5, 8, 8, 8],
        "discharge_wh": [0, 0, 0, 0.5, 1.5, 1.5, 1.5, 3.5, 3.5],
        "voltage_v": [7.0, 8.0, 8.2, 6.1, 6.0, 7.9, 8.4, 6.2, 6.3],
    }
    for k in range(2):
        rows |= {
            f"soc[{k}]": [0.5, 0.55, 0.58, 0.55, 0.5, 0.55, 0.58, 0.56, 0.54],
            f"pressure_mpa[{k}]": [5 + k, 5.5 + k, 5.9 + k, 5.2 + k, 4.9 + k, 5.3 + k, 6.2 + k, 4.8 + k, 5 + k],
            f"temperature_degc[{k}]": [27, 28 + k, 27, 27, 27, 27, 29 - k, 27, 27],
            f"capacity_loss_frac[{k}]": [1e-9 * (row + 1) * (k + 1) for row in range(9)],
            f"resistance_growth_frac[{k}]": [2e-9 * (row + 1) * (k + 1) for row in range(9)],
        }
    return {name: np.array(row, dtype=float) for name, row in rows.items()}, made(units, stacks=stacks)


def test_cycles_sum_up_their_own_rows(made):
    columns, plant = synthetic(made)
    events = [TruthEvent(time_s, 0, "bridge", 60.0) for time_s in (5.0, 40.0, 45.0, 60.0, 79.0)]
    first, second = cycles_of(columns, events, plant, 1)
    assert (first.cycle, first.begin_s, first.end_s, first.events) == (1, 0.0, 40.0, 2)
    assert (second.cycle, second.begin_s, second.end_s, second.events) == (2, 40.0, 80.0, 3)
    assert (first.voltage_min_v, first.voltage_max_v) == (6.0, 8.2)
    assert (second.voltage_min_v, second.voltage_max_v) == (6.0, 8.4)
    assert (first.pressure_min_mpa, first.pressure_max_mpa) == pytest.approx((4.9, 6.9))
    assert (second.pressure_min_mpa, second.pressure_max_mpa) == pytest.approx((4.8, 7.2))
    assert (first.temperature_max_degc, second.temperature_max_degc) == (29.0, 29.0)
    assert [first.charge_ah, first.discharge_ah] == pytest.approx([2e-3, 1.98e-3])
    assert [second.charge_ah, second.discharge_ah] == pytest.approx([2e-3, 1e-3])
    assert [first.charge_wh, first.discharge_wh, second.charge_wh] == pytest.approx([2.0, 1.5, 6.0])
    assert [first.capacity_loss_frac, second.resistance_growth_frac] == pytest.approx([10e-9, 36e-9])


def test_an_efficiency_is_out_over_in_and_only_where_the_charge_is_back_where_it_was(made):
    columns, plant = synthetic(made)
    first, second = cycles_of(columns, [], plant, 1)
    assert first.efficiency_frac == pytest.approx(0.99, abs=1e-6)
    assert np.isnan(second.efficiency_frac)


def test_counters_go_on_over_more_steps_than_one_call_of_the_kernel_takes(made, protocol):
    text = 'title = "t"\n' + step("charge", "current_a = 0.0024\nuntil = { time_s = 10.0 }")
    text += step("discharge", "current_a = 0.0024\nuntil = { time_s = 10.0 }")
    run = simulate(Request(made(), protocol(text), passes=130))
    moved_ah = AMPERES * 10.0 / HOUR_S
    assert run.time_s[-1] == 2600.0
    for name in ("charge_ah", "discharge_ah"):
        assert run.columns[name][-1] == pytest.approx(130 * moved_ah, rel=1e-3)
        assert (np.diff(run.columns[name]) >= 0.0).all()
    assert [cycle.cycle for cycle in run.cycles] == list(range(1, 131))
    assert [cycle.charge_ah for cycle in run.cycles] == pytest.approx([moved_ah] * 130, rel=1e-3)
    assert {*run.columns["step"]} == {0.0, 1.0}


STARTED = REST.replace("[[step]]", "start = { soc_frac = 0.7, temperature_degc = 29.0, pressure_mpa = 6.0 }\n[[step]]")
COMMANDED = ("--soc", 0.3, "--temperature", 31.0, "--pressure", 4.0)


@pytest.mark.parametrize(
    ("text", "options", "soc", "degc", "mpa"),
    [
        (REST, (), 0.5, 27.0, 5.0),
        (STARTED, (), 0.7, 29.0, 6.0),
        (STARTED, COMMANDED, 0.3, 31.0, 4.0),
        (REST, COMMANDED, 0.3, 31.0, 4.0),
    ],
)
@pytest.mark.parametrize("press", ["fixed_gap", "pneumatic"])
def test_a_run_starts_as_the_command_line_says_then_the_protocol_then_the_plant(
    command, tmp_path, made, press, text, options, soc, degc, mpa
):
    made(press=press)
    _, _, rows = command(text, *options, "--bench", tmp_path / f"{press}.toml")
    for row in (rows[0], rows[-1]):
        assert float(row["soc_frac"]) == pytest.approx(soc, abs=1e-3)
        for name in ("ambient_degc", "temperature_degc"):
            assert float(row[name]) == pytest.approx(degc, abs=0.01)
    assert float(rows[0]["pressure_mpa"]) == pytest.approx(mpa, abs=1e-4)
    assert float(rows[-1]["pressure_mpa"]) == pytest.approx(mpa, abs=0.1 if press == "pneumatic" else 0.8)


@pytest.mark.parametrize("press", ["pneumatic", "stepper"])
def test_a_press_goes_on_holding_what_the_run_starts_with(made, protocol, press):
    text = TURNS.replace('"charge"', '"discharge"')
    run = simulate(Request(made(press=press), protocol(text), pressure_mpa=6.0, soc_frac=0.9))
    assert np.abs(run.columns["pressure_mpa[0]"] - 6.0).max() < 0.2
    fixed = simulate(Request(made(), protocol(text), pressure_mpa=6.0, soc_frac=0.9))
    assert fixed.columns["pressure_mpa[0]"].min() < 5.0


def test_the_cycler_of_the_bench_gives_no_more_than_it_can(made, protocol, monkeypatch):
    monkeypatch.setitem(made_plant.CYCLER, "current_max_a", 0.002)
    run = simulate(Request(made(), protocol(TURNS)))
    assert (run.columns["current_a"].max(), run.columns["current_a"].min()) == pytest.approx((0.002, -0.002))


BEYOND = 'title = "t"\nstart = { soc_frac = 0.95 }\n'
BEYOND += step("rest", "until = { time_s = 60.0 }") + step(
    "charge", 'name = "too far"\ncurrent_a = 0.0024\nuntil = { time_h = 3.0 }'
)


def test_limits_stop_a_run_unless_they_are_switched_off(command):
    code, result, _ = command(BEYOND)
    assert (code, result["ended"]) == (1, "limit")
    assert 4.35 < result["final"]["voltage_v"][0] < 4.36
    code, result, _ = command(BEYOND, "--no-limits")
    assert (code, result["ended"]) == (0, "finished")
    assert result["final"]["voltage_v"][0] > 4.4


def test_a_broken_limit_is_told_with_pass_step_and_name(command):
    _, result, _ = command(BEYOND)
    assert "step 1 (too far)" in result["detail"]
    short = BEYOND.replace("time_h = 3.0", "time_s = 20.0").replace("time_s = 60.0", "time_s = 5.0")
    _, result, _ = command(short, "--cycles", 400)
    assert result["ended"] == "limit"
    last = result["cycles"][-1]["cycle"]
    assert 100 < last < 400  # more steps than one call of the kernel takes
    assert f"pass {last}, step 1 (too far)" in result["detail"]


def test_a_run_is_stopped_a_stated_margin_beyond_the_window(made):
    taps, hidden = guard_limits(made(2)), guard_limits(made(2, taps=False))
    assert (taps.voltage_min_v, taps.voltage_max_v) == pytest.approx((2.5 - 0.05, 4.3 + 0.05))
    assert (hidden.voltage_min_v, hidden.voltage_max_v) == pytest.approx((2.5 - 0.5, 4.3 + 0.5))
    margin_mpa = 0.02 * 7.5
    assert (taps.pressure_min_mpa, taps.pressure_max_mpa) == pytest.approx((2.0 - margin_mpa, 7.5 + margin_mpa))
    assert (taps.temperature_min_degc, taps.temperature_max_degc) == pytest.approx((10.0 - 1.0, 60.0 + 5.0))


def test_a_heater_heats(made, protocol):
    run = simulate(Request(made(), protocol(REST.replace("until", "heater_w = 0.05\nuntil"))))
    assert run.columns["heater_w"][-1] == 0.05
    assert run.columns["surface_degc[0]"][-1] == pytest.approx(27.0 + 0.05 / 0.1, abs=1e-3)  # 0.1 W/K to the room
    cold = simulate(Request(made(), protocol(REST)))
    assert cold.columns["surface_degc[0]"][-1] == pytest.approx(27.0, abs=1e-3)


@pytest.mark.parametrize(
    ("voltage", "current", "amperes"),
    [
        ('"max"', "admissible_frac = 0.5", 0.5 * LIMITS["charge_max_c"] * 0.024),
        ('"min"', "admissible_frac = 0.5", -0.5 * LIMITS["discharge_max_c"] * 0.024),
        ("4.2", "admissible_frac = 0.5", 0.5 * LIMITS["charge_max_c"] * 0.024),
        ("3.0", "admissible_frac = 0.5", -0.5 * LIMITS["charge_max_c"] * 0.024),
        ('"max"', "c_rate = 0.04", 0.04 * 0.024),
        ('"max"', "current_a = 0.001", 0.001),
        ('"min"', "current_ma_cm2 = 0.2", -0.2e-3 * 6.0),
    ],
)
def test_a_held_voltage_is_met_with_the_rate_that_was_asked_for(made, protocol, voltage, current, amperes):
    hold = step("hold", f"voltage = {voltage}\n{current}\nuntil = {{ time_s = 60.0 }}")
    run = simulate(Request(made(), protocol('title = "t"\n' + hold)))
    assert run.columns["current_a"][-1] == pytest.approx(amperes, rel=1e-6)


KNOWN = {
    "voltage_v": [7.31, 7.32],
    "voltage_v[0]": [3.61, 3.62],
    "voltage_v[1]": [3.7, 3.7],
    "current_a": [0.0125, -0.0135],
    "temperature_degc[1]": [31.5, 32.5],
    "surface_degc[1]": [30.25, 30.75],
    "ambient_degc": [26.5, 26.75],
    "pressure_mpa[0]": [5.125, 5.25],
    "pressure_mpa[1]": [6.125, 6.25],
    "charge_ah": [0.5, 0.625],
    "discharge_ah": [0.25, 0.375],
    "cycle": [3, 4],
    "step": [1, 2],
    "time_s": [10.5, 20.25],
}
WANTED = {
    "test_time_second": [10.5, 20.25],
    "voltage_volt": [3.7, 3.7],
    "current_ampere": [0.0125, -0.0135],
    "temperature_t1_celsius": [30.25, 30.75],
    "ambient_temperature_celsius": [26.5, 26.75],
    "applied_pressure_pa": [6_125_000, 6_250_000],
    "cycle_count": [3, 4],
    "step_index": [1, 2],
    "charging_capacity_ah": [0.5, 0.625],
    "discharging_capacity_ah": [0.25, 0.375],
}


def known_run(made, protocol, taps=True):
    """A run of two units in two stacks whose rows are KNOWN and whose two events are these."""
    run = simulate(Request(made(2, stacks=2, taps=taps), protocol(REST)))
    columns = {name: np.array(KNOWN.get(name, rows[:2]), dtype=float) for name, rows in run.columns.items()}
    events = [TruthEvent(12.5, 1, "bridge", 62.5), TruthEvent(14.25, 0, "burn_out", 0.125)]
    return replace(run, columns=columns, events=events)


def test_a_bdf_table_has_the_rows_of_its_unit_in_the_units_of_the_format(made, protocol, tmp_path):
    write_simulation(known_run(made, protocol), tmp_path / "out")
    rows = table_of(tmp_path / "out" / "cell1.bdf.csv")
    assert {name: values(rows, name) for name in rows[0]} == WANTED
    events = (tmp_path / "out" / "events.csv").read_text().splitlines()
    assert events == ["time_s,cell,kind,value", "12.500,1,bridge,62.5", "14.250,0,burn_out,0.125"]


def test_a_package_without_taps_shows_its_terminals(made, protocol, tmp_path):
    write_simulation(known_run(made, protocol, taps=False), tmp_path / "out")
    rows = table_of(tmp_path / "out" / "stack.bdf.csv")
    assert values(rows, "voltage_volt") == [7.31, 7.32]
    assert values(rows, "current_ampere") == [0.0125, -0.0135]


def sensor(monkeypatch, channel, **errors):
    """Makes one sensor of the benches perfect but for `errors`."""
    monkeypatch.setitem(made_plant.SENSORS, channel, [errors.get(key, 0.0) for key in made_plant.SENSOR_KEYS])


STEP = 'title = "t"\nstart = { temperature_degc = 25.0 }\n'
STEP += step("rest", "until = { time_s = 7.5 }") + step("rest", "ambient_degc = 45.0\nuntil = { time_s = 1200.0 }")


@pytest.mark.parametrize("every_s", [0.25, 1.0, 3.0, 7.0, 600.0])
def test_a_thermometer_shows_the_surface_of_its_delay_ago_whatever_the_rows(made, protocol, monkeypatch, every_s):
    sensor(monkeypatch, "temperature_degc", delay_s=1.0)
    run = simulate(Request(made(), protocol(STEP), dt_s=0.25, every_s=every_s))
    fine = simulate(Request(made(), protocol(STEP), dt_s=0.25, every_s=0.25))
    shown = sensed_columns(run, 0, column)["surface_degc"]
    before = np.interp(run.time_s - 1.0, fine.time_s, fine.columns["surface_degc[0]"])
    inside = np.abs(shown - before)  # between rows that are far apart the truth is a straight line
    assert inside.max() < (1e-9 if every_s <= 1.0 else 0.05 if every_s == 600.0 else 1.0)
    assert shown[-1] == pytest.approx(45.0, abs=0.05)
    assert np.abs(fine.columns["temperature_degc[0]"] - fine.columns["surface_degc[0]"]).max() > 1.0


def test_a_voltage_that_is_shown_late_is_that_of_its_delay_ago(made, protocol, monkeypatch):
    sensor(monkeypatch, "voltage_v", delay_s=0.5)
    run = simulate(Request(made(), protocol(TURNS), every_s=60.0))
    shown = sensed_columns(run, 0, column)["voltage_v"]
    assert shown == pytest.approx(np.interp(run.time_s - 0.5, run.time_s, run.columns["voltage_v[0]"]), abs=1e-12)


def test_drift_goes_with_the_root_of_the_time_and_not_of_the_rows(made, protocol, monkeypatch):
    sensor(monkeypatch, "pressure_mpa", drift_per_rt_h=0.02)
    text = (
        'title = "t"\n' + step("rest", "until = { time_s = 10.0 }") * 40 + step("rest", "until = { time_s = 3200.0 }")
    )
    run = simulate(Request(made(), protocol(text), every_s=3200.0))
    assert len(run.time_s) == 42
    truth = np.zeros(len(run.time_s))
    ends = np.array(
        [
            sensed(replace(run, request=replace(run.request, seed=seed)), "pressure_mpa", 0, truth)[[40, 41]]
            for seed in range(400)
        ]
    )
    rms = np.sqrt((ends**2).mean(axis=0))
    assert rms == pytest.approx(0.02 * np.sqrt(np.array([400.0, 3600.0]) / HOUR_S), rel=0.12)


def test_each_place_has_its_own_sensor_and_it_is_the_one_of_the_rig(made, protocol, monkeypatch):
    sensor(monkeypatch, "voltage_v", offset_sigma=0.01)
    sensor(monkeypatch, "pressure_mpa", offset_sigma=0.01)
    run = simulate(Request(made(2), protocol(REST), seed=5))
    shown = [sensed_columns(run, unit, column) for unit in (0, 1)]
    for unit, name in ((0, "voltage_v"), (1, "voltage_v[1]")):
        offset_v = drawn(run.request.plant.sensors["voltage_v"], name, 5).offset
        assert shown[unit]["voltage_v"] == pytest.approx(run.columns[f"voltage_v[{unit}]"] + offset_v)
        assert abs(offset_v) > 1e-4
    assert (shown[0]["pressure_mpa"] == shown[1]["pressure_mpa"]).all()  # both stand in one stack


def test_rows_closer_than_a_delay_are_written_too(command):
    text = 'title = "t"\n' + step("rest", "until = { time_s = 0.5 }")
    _, result, rows = command(text, "--dt", 0.001, "--every", 0.001, "--sensors")
    assert result["rows"] == len(rows) > 500
    names = [name for name in rows[0] if name.startswith("sensor_")]
    assert names == ["sensor_voltage_v", "sensor_current_a", "sensor_pressure_mpa", "sensor_temperature_degc"]
