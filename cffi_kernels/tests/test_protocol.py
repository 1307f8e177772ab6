"""Protocols in C: steps end exactly where they shall, held voltages are met, limits stop and are named, and cutting a
run into calls changes no byte of it."""

import math
import signal
from array import array
from dataclasses import replace

import numpy as np
import pytest
from assb_kernels import (
    ActuatorParams,
    CellParams,
    Cycler,
    CyclerParams,
    FilamentParams,
    Limits,
    Pack,
    ProtocolResult,
    ProtocolStep,
    Stack,
    protocol,
    run_protocol,
)
from assb_kernels.protocol import _Run  # pyright: ignore[reportPrivateUsage]
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

ANY = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
DT_S = (0.1, 1.0, 10.0)
FOREVER_S = 1e7


def new_pack(cell_params: CellParams, **start) -> Pack:
    return Pack([cell_params], [Stack()], **start)


def last_rows(result: ProtocolResult) -> dict[int, int]:
    """Row in which each step ended."""
    return {int(step): row for row, step in enumerate(result.columns["step"])}


def column(result: ProtocolResult, name: str) -> np.ndarray:
    return np.array(result.columns[name])


def test_a_current_that_passes_its_end_voltage_at_once_gives_way_at_once(cell_params):
    """Cold and nearly full: the voltage that ends it is passed by the drop over R0 alone, and so would be the limit."""
    end_v = new_pack(cell_params, soc=0.97).voltage_v + 0.02
    steps = [
        ProtocolStep("current", current_a=0.6, until_voltage_v=end_v),
        ProtocolStep("voltage", voltage_v=end_v, current_a=0.6, until_current_a=0.002),
    ]
    pack = new_pack(cell_params, soc=0.97, temperature_degc=-10.0)
    result = run_protocol(pack, steps, Limits(voltage_max_v=end_v), dt_s=1.0, every_s=60.0)
    assert result.ended == "finished", result.detail
    assert result.columns["time_s"][last_rows(result)[0]] == 0.0
    assert max(result.columns["voltage_v"]) <= end_v + 1e-5
    assert pack.time_s > 60.0


@pytest.mark.parametrize("dt_s", [1.0, 20.0, 60.0])
def test_a_held_voltage_ends_at_its_exact_charge(cell_params, dt_s):
    pack = new_pack(cell_params, soc=0.3)
    step = ProtocolStep("voltage", voltage_v=4.1, current_a=2.0, until_ah=0.24)
    result = run_protocol(pack, [step], dt_s=dt_s, every_s=dt_s)
    assert result.columns["step_ah"][-1] == pytest.approx(0.24, abs=1e-9)
    assert result.columns["voltage_v"][-1] == pytest.approx(4.1, abs=2e-6)
    assert abs(result.columns["current_a"][-1]) < 1.9


@pytest.mark.parametrize(("until_s", "stop_s"), [(1e-10, math.inf), (3e-4 + 5e-10, math.inf), (10.0, 3e-4 + 5e-10)])
def test_what_is_left_below_a_nanosecond_is_done(cell_params, until_s, stop_s):
    rest = [ProtocolStep("rest", until_s=until_s), ProtocolStep("rest", until_s=1.0)]
    result = run_protocol(new_pack(cell_params), rest, dt_s=1e-4, every_s=1.0, stop_s=stop_s)
    assert result.ended == "finished"
    assert result.columns["time_s"][-1] == pytest.approx(min(until_s + 1.0, stop_s), abs=1e-9)


@ANY
@given(until_s=st.floats(1e-3, 5e3), dt_s=st.floats(0.05, 20.0))
def test_a_step_ends_at_its_exact_time_and_moves_its_exact_charge(cell_params, until_s, dt_s):
    pack = new_pack(cell_params)
    result = run_protocol(pack, [ProtocolStep("current", current_a=0.2, until_s=until_s)], dt_s=dt_s, every_s=1e9)
    assert result.ended == "finished"
    assert pack.time_s == pytest.approx(until_s, rel=1e-12)
    assert result.columns["step_s"][-1] == pytest.approx(until_s, rel=1e-12)
    assert pack.cells[0].soc - 0.5 == pytest.approx(0.2 * until_s / 3600 / 0.6, rel=1e-9)


@ANY
@given(until_ah=st.floats(1e-5, 0.29), dt_s=st.floats(0.5, 20.0), sign=st.sampled_from([1.0, -1.0]))
def test_a_step_ends_at_its_exact_charge(cell_params, until_ah, dt_s, sign):
    pack = new_pack(cell_params)
    step = ProtocolStep("current", current_a=0.37 * sign, until_ah=until_ah, until_s=FOREVER_S)
    result = run_protocol(pack, [step], dt_s=dt_s, every_s=1e9)
    assert result.columns["step_ah"][-1] == pytest.approx(sign * until_ah, rel=1e-10)
    assert pack.time_s == pytest.approx(until_ah / 0.37 * 3600, rel=1e-9)


@pytest.mark.parametrize("dt_s", DT_S)
@pytest.mark.parametrize(("current_a", "end_v"), [(0.3, 4.15), (0.05, 3.9), (-0.3, 3.6), (-0.6, 3.45)])
def test_a_step_ends_at_its_exact_voltage(cell_params, dt_s, current_a, end_v):
    pack = new_pack(cell_params)
    step = ProtocolStep("current", current_a=current_a, until_voltage_v=end_v, until_s=FOREVER_S)
    run_protocol(pack, [step], dt_s=dt_s, every_s=1e9)
    per_dt_v = 0.01 * dt_s * abs(current_a)  # a generous slope: 1e-4 dt may be left of it
    assert pack.voltage_v == pytest.approx(end_v, abs=1e-6 + 1e-4 * per_dt_v)


def test_an_end_voltage_that_the_current_jumps_over_ends_the_step_at_once(cell_params):
    pack = new_pack(cell_params)
    step = ProtocolStep("current", current_a=-0.6, until_voltage_v=pack.voltage_v, until_s=FOREVER_S)
    run_protocol(pack, [step], dt_s=1.0, every_s=1.0)
    assert pack.time_s <= 1.01e-4


def test_an_end_voltage_counts_only_in_the_direction_of_the_current(cell_params):
    pack = new_pack(cell_params)
    above_v = pack.voltage_v + 0.3
    steps = [
        ProtocolStep("current", current_a=-0.3, until_voltage_v=above_v - 0.6, until_s=60.0),
        ProtocolStep("current", current_a=0.01, until_voltage_v=above_v, until_s=60.0),
        ProtocolStep("rest", until_voltage_v=0.1, until_s=60.0),
    ]
    run_protocol(pack, steps, dt_s=1.0, every_s=60.0)
    assert pack.time_s == pytest.approx(180.0)


def test_a_held_voltage_ends_at_its_cut_off_current(cell_params):
    pack = new_pack(cell_params, soc=0.7)
    step = ProtocolStep("voltage", voltage_v=4.2, current_a=0.3, until_current_a=0.03, until_s=FOREVER_S)
    result = run_protocol(pack, [step], dt_s=1.0, every_s=1.0)
    currents = column(result, "current_a")[1:]
    assert currents[-1] <= 0.03 < currents[-2]
    assert currents[-1] == pytest.approx(0.03, rel=0.01)


@pytest.mark.parametrize(
    ("mode", "end"), [("rest", {}), ("current", {"current_a": 0.1}), ("voltage", {"voltage_v": 4.0})]
)
def test_steps_without_time_take_none(cell_params, mode, end):
    pack = new_pack(cell_params)
    current = {"current_a": 0.3} | end if mode == "voltage" else end
    assert (
        run_protocol(pack, [ProtocolStep(mode, until_s=0.0, **current)] * 3, dt_s=1.0, every_s=1.0).ended == "finished"
    )
    assert pack.time_s == 0.0


@pytest.mark.parametrize("dt_s", DT_S)
@pytest.mark.parametrize(("current_a", "end_v", "first"), [(0.3, 4.2, 1), (-0.3, 3.5, 0)])
def test_a_step_ends_once_the_first_cell_is_at_its_own_voltage(cell_params, dt_s, current_a, end_v, first):
    pack = Pack([cell_params] * 2, [Stack()], soc=[0.45, 0.55])
    step = ProtocolStep("current", current_a=current_a, until_unit_voltage_v=end_v, until_s=FOREVER_S)
    run_protocol(pack, [step], dt_s=dt_s, every_s=1e9)
    assert pack.cells[first].voltage_v == pytest.approx(end_v, abs=1e-6 + 1e-6 * dt_s)
    assert math.copysign(1.0, current_a) * (pack.cells[1 - first].voltage_v - end_v) < 0.0


@pytest.mark.parametrize("dt_s", DT_S)
@pytest.mark.parametrize(("voltage_v", "soc"), [(4.25, 0.6), (3.5, 0.5), (4.0, 0.3)])
def test_a_voltage_is_held_at_the_end_of_every_time_step(cell_params, dt_s, voltage_v, soc):
    """With hysteresis, heat and a short, at 10 s as well; only while the current is at its most it isn't there yet."""
    params = replace(cell_params, hysteresis_v=0.03, hysteresis_rate=40.0)
    pack = new_pack(params, soc=soc)
    step = ProtocolStep("voltage", voltage_v=voltage_v, current_a=0.6, until_s=5400.0)
    result = run_protocol(pack, [step], dt_s=dt_s, every_s=dt_s, short_s=[0.01])
    free = np.abs(column(result, "current_a"))[1:] < 0.6 - 1e-9
    assert free.sum() > 100
    assert np.abs(column(result, "voltage_v")[1:][free] - voltage_v).max() <= 1e-6
    currents = column(result, "current_a")[1:][free]
    assert np.abs(np.diff(currents)).max() <= 0.6 * (0.02 + 0.05 * dt_s)  # it settles: no ringing


def test_a_held_voltage_of_a_pack_is_that_of_its_sum(cell_params):
    pack = Pack([cell_params, replace(cell_params, capacity_ah=0.55)], [Stack()] * 2, soc=[0.6, 0.65])
    step = ProtocolStep("voltage", voltage_v=8.4, current_a=1.0, until_s=1800.0)
    run_protocol(pack, [step], dt_s=10.0, every_s=10.0)
    assert pack.voltage_v == pytest.approx(8.4, abs=1e-6)
    assert pack.cells[0].voltage_v < 4.2 < pack.cells[1].voltage_v


@pytest.mark.parametrize("dt_s", DT_S)
def test_a_held_voltage_gives_way_where_the_first_cell_is_at_its_own(cell_params, dt_s):
    pack = Pack([cell_params] * 2, [Stack()], soc=[0.60, 0.70])
    hold = ProtocolStep(
        "voltage", voltage_v=8.4, current_a=0.3, until_unit_voltage_v=4.2, until_current_a=0.01, until_s=36000.0
    )
    run_protocol(pack, [hold], Limits(voltage_max_v=4.201), dt_s=dt_s, every_s=1e9)
    assert pack.cells[1].voltage_v == pytest.approx(4.2, abs=1e-3)
    assert pack.cells[0].voltage_v < 4.19
    assert pack.current_a == pytest.approx(0.01, rel=0.05)


def test_without_an_end_the_most_current_is_kept(cell_params):
    pack = new_pack(cell_params, soc=0.3)
    step = ProtocolStep("voltage", voltage_v=4.2, current_a=0.1, until_s=600.0)
    result = run_protocol(pack, [step], dt_s=1.0, every_s=1.0)
    assert set(result.columns["current_a"][1:]) == {0.1}


def test_each_value_of_a_drive_column_is_held_for_its_time(cell_params):
    pack = new_pack(cell_params)
    drive = ProtocolStep("drive", drive_a=[-0.1, 0.2, -0.3], drive_dt_s=0.25)
    result = run_protocol(pack, [drive], dt_s=0.1, every_s=0.01)
    assert pack.time_s == pytest.approx(0.75)
    assert list(result.columns["current_a"]) == [0.0] + [-0.1] * 3 + [0.2] * 3 + [-0.3] * 3
    assert result.columns["charge_ah"][-1] == pytest.approx(0.2 * 0.25 / 3600)
    assert result.columns["discharge_ah"][-1] == pytest.approx(0.4 * 0.25 / 3600)


def test_a_drive_column_repeats_until_its_end(cell_params):
    pack = new_pack(cell_params)
    drive = ProtocolStep("drive", drive_a=array("d", [-0.1, -0.2]), drive_dt_s=1.0, until_s=4.5)
    result = run_protocol(pack, [drive], dt_s=1.0, every_s=1.0)
    assert list(result.columns["current_a"]) == [0.0, -0.1, -0.2, -0.1, -0.2, -0.1]
    assert pack.time_s == pytest.approx(4.5)


def test_a_drive_ends_at_its_floor_on_discharge_only(cell_params):
    pack = new_pack(cell_params, soc=0.3)
    drive = ProtocolStep("drive", drive_a=[-0.6, 0.3], drive_dt_s=5.0, until_voltage_v=3.45, until_s=FOREVER_S)
    result = run_protocol(pack, [drive], dt_s=1.0, every_s=1.0)
    assert pack.voltage_v == pytest.approx(3.45, abs=1e-5)
    assert pack.current_a == -0.6
    assert len(result.columns["time_s"]) > 100


def test_regeneration_is_held_below_the_limit_of_each_cell(cell_params):
    pack = new_pack(cell_params, soc=0.93)
    drive = ProtocolStep("drive", drive_a=[0.6, -0.1], drive_dt_s=10.0, until_s=600.0)
    result = run_protocol(pack, [drive], Limits(voltage_max_v=4.3), dt_s=1.0, every_s=1.0)
    assert result.ended == "finished"
    assert column(result, "voltage_v").max() == pytest.approx(4.3, abs=1e-3)
    assert 0.0 < column(result, "current_a")[5] < 0.6


@pytest.mark.parametrize(
    ("limits", "step", "says"),
    [
        (Limits(voltage_max_v=4.1), {"current_a": 0.6}, r"cell 0: 4\.1\d* is beyond voltage_max_v = 4.1 at \d+"),
        (Limits(voltage_min_v=3.6), {"current_a": -0.6}, r"cell 0: 3\.\d* is beyond voltage_min_v = 3.6"),
        (Limits(temperature_max_degc=26.0), {"current_a": 1.2}, r"cell 0: 26\.\d* is beyond temperature_max_degc"),
        (
            Limits(temperature_min_degc=10.0),
            {"current_a": 0.01, "ambient_degc": 0.0},
            r"cell 0: 9\.\d* is beyond temperature_min",
        ),
        (Limits(pressure_max_mpa=5.2), {"current_a": 0.6}, r"stack 0: 5\.2\d* is beyond pressure_max_mpa = 5.2"),
        (Limits(pressure_min_mpa=4.8), {"current_a": -0.6}, r"stack 0: 4\.7\d* is beyond pressure_min_mpa"),
    ],
)
def test_a_broken_limit_stops_the_run_and_is_named(cell_params, limits, step, says):
    import re

    pack = new_pack(cell_params)
    result = run_protocol(pack, [ProtocolStep("current", until_s=FOREVER_S, **step)], limits, dt_s=1.0, every_s=1e6)
    assert result.ended == "limit"
    assert re.match(says, result.detail), result.detail
    assert result.detail.endswith("in step 0")
    assert result.columns["time_s"][-1] == pack.time_s  # the row that broke it is there
    assert pack.time_s < 5000.0


def test_a_limit_names_the_cell_that_broke_it(cell_params):
    pack = Pack([cell_params] * 3, [Stack()], soc=[0.5, 0.5, 0.8])
    step = ProtocolStep("current", current_a=0.3, until_s=FOREVER_S)
    result = run_protocol(pack, [step], Limits(voltage_max_v=4.3), dt_s=1.0, every_s=60.0)
    assert result.detail.startswith("cell 2: 4.3")
    broken = result.broken
    assert (broken.whose, broken.at, broken.name, broken.limit) == ("cell", 2, "voltage_max_v", 4.3)
    assert (broken.value > 4.3, broken.step, broken.time_s) == (True, 0, pack.time_s)


def test_a_limit_names_the_step_in_which_it_was_broken(cell_params):
    rest, charge = ProtocolStep("rest", until_s=60.0), ProtocolStep("current", current_a=0.6, until_s=FOREVER_S)
    result = run_protocol(
        new_pack(cell_params), [rest, rest, charge], Limits(voltage_max_v=4.1), dt_s=1.0, every_s=60.0
    )
    assert result.broken.step == 2
    assert run_protocol(new_pack(cell_params), [rest], Limits(), dt_s=1.0, every_s=60.0).broken is None


def test_a_voltage_held_at_its_limit_does_not_break_it(cell_params):
    pack = new_pack(cell_params, soc=0.8)
    steps = [
        ProtocolStep("current", current_a=0.3, until_voltage_v=4.3, until_s=FOREVER_S),
        ProtocolStep("voltage", voltage_v=4.3, current_a=0.3, until_s=1200.0),
    ]
    assert run_protocol(pack, steps, Limits(voltage_max_v=4.3), dt_s=10.0, every_s=10.0).ended == "finished"


def test_there_is_a_row_at_the_begin_at_each_interval_and_at_each_end(cell_params):
    steps = [ProtocolStep("rest", until_s=25.0), ProtocolStep("current", current_a=0.1, until_s=20.0, cycle=3)]
    result = run_protocol(new_pack(cell_params), steps, dt_s=1.0, every_s=10.0)
    assert list(result.columns["time_s"]) == [0.0, 10.0, 20.0, 25.0, 35.0, 45.0]
    assert list(result.columns["step"]) == [0.0, 0.0, 0.0, 0.0, 1.0, 1.0]
    assert list(result.columns["cycle"]) == [0.0, 0.0, 0.0, 0.0, 3.0, 3.0]


def test_counters_are_integrals_over_every_time_step_not_over_rows(cell_params):
    drive = array("d", [0.5 * math.sin(k) for k in range(1000)])
    dense, sparse = (
        run_protocol(
            new_pack(cell_params), [ProtocolStep("drive", drive_a=drive, drive_dt_s=1.0)], dt_s=1.0, every_s=every_s
        )
        for every_s in (1.0, 1e6)
    )
    assert len(sparse.columns["time_s"]) == 2
    for name in ("charge_ah", "discharge_ah", "charge_wh", "discharge_wh"):
        assert sparse.columns[name][-1] == dense.columns[name][-1]
    assert sparse.columns["charge_ah"][-1] == pytest.approx(sum(max(a, 0.0) for a in drive) / 3600)
    volts = (column(dense, "voltage_v")[1:] + column(dense, "voltage_v")[:-1]) / 2
    roughly_wh = (np.maximum(drive, 0.0) * volts).sum() / 3600
    assert sparse.columns["charge_wh"][-1] == pytest.approx(roughly_wh, rel=0.05)


def test_surroundings_stay_until_a_step_changes_them(cell_params):
    pack = Pack([cell_params], [Stack(actuator=ActuatorParams(kind="pneumatic"))], temperature_degc=40.0)
    rest = ProtocolStep("rest", until_s=600.0)
    steps = [rest, replace(rest, ambient_degc=10.0, aim_mpa=7.0), replace(rest, heater_w=1.0), rest]
    result = run_protocol(pack, steps, dt_s=1.0, every_s=600.0)
    assert list(result.columns["ambient_degc"][1:]) == [40.0, 10.0, 10.0, 10.0]
    assert list(result.columns["heater_w"][1:]) == [0.0, 0.0, 1.0, 1.0]
    assert list(result.columns["pressure_mpa[0]"][1:]) == pytest.approx([5.0, 7.0, 7.0, 7.0], abs=0.04)
    again = run_protocol(pack, [rest], dt_s=1.0, every_s=600.0)
    assert again.columns["ambient_degc"][-1] == 10.0
    assert pack.stacks[0].drive_mpa == pytest.approx(7.0, abs=0.026)


def test_a_second_run_goes_on_where_the_pack_is_and_stops_at_its_time(cell_params):
    pack = new_pack(cell_params)
    step = ProtocolStep("current", current_a=0.1, until_s=100.0)
    run_protocol(pack, [step], dt_s=1.0, every_s=10.0)
    result = run_protocol(pack, [step] * 3, dt_s=1.0, every_s=10.0, stop_s=150.3)
    assert result.ended == "finished"
    assert result.columns["time_s"][0] == 100.0
    assert result.columns["time_s"][-1] == pack.time_s == pytest.approx(150.3, rel=1e-14)
    assert pack.cells[0].soc - 0.5 == pytest.approx(0.1 * 150.3 / 3600 / 0.6)


def test_a_cycler_gives_its_slew_rate_and_largest_current(cell_params):
    cycler = Cycler(CyclerParams(slew_a_per_s=0.05, current_max_a=0.3))
    step = ProtocolStep("current", current_a=0.5, until_s=10.0)
    result = run_protocol(new_pack(cell_params), [step], dt_s=1.0, every_s=1.0, cycler=cycler)
    assert column(result, "current_a")[1:] == pytest.approx([0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.3, 0.3, 0.3, 0.3])


LIVELY = FilamentParams(
    growth_per_s=1e-4, creep_per_s=(1e-5, 0.0), bridge_per_s=0.1, bridge_exponent=1.0, burn_median_j=1.0
)
CYCLE = [
    ProtocolStep("current", current_a=0.6, until_voltage_v=4.2, until_s=7200.0),
    ProtocolStep("voltage", voltage_v=4.2, current_a=0.6, until_current_a=0.05, until_s=3000.0),
    ProtocolStep("drive", drive_a=[-0.3, 0.1, -0.5], drive_dt_s=7.0, until_s=1000.0),
    ProtocolStep("current", current_a=-0.6, until_voltage_v=3.4, until_ah=0.4, until_s=7200.0),
    ProtocolStep("rest", until_s=333.3),
]


@pytest.mark.parametrize(("ticks", "rows"), [(1, 4096), (7, 16), (1000, 2), (200_000, 1)])
def test_cutting_a_run_into_calls_changes_no_byte(cell_params, monkeypatch, ticks, rows):
    def run() -> tuple[ProtocolResult, bytes]:
        actuator = ActuatorParams(kind="pneumatic")
        pack = Pack([replace(cell_params, filament=LIVELY)] * 2, [Stack(actuator=actuator)], seed=4)
        return run_protocol(pack, CYCLE, dt_s=3.0, every_s=20.0), pack.state_bytes()

    whole, state = run()
    monkeypatch.setattr(protocol, "TICKS_AT_ONCE", ticks)
    monkeypatch.setattr(protocol, "ROWS_AT_ONCE", rows)
    cut, cut_state = run()
    assert whole.events
    assert cut == whole
    assert cut_state == state


def test_what_happened_in_a_try_that_was_taken_back_is_not_told(cell_params):
    """Held voltages and ends are found by trying a time step again."""
    fickle = replace(LIVELY, bridge_per_s=10.0, bridge_exponent=0.0, burn_median_j=1e-3)
    pack = new_pack(replace(cell_params, filament=fickle), soc=0.8)
    hold = ProtocolStep("voltage", voltage_v=4.2, current_a=0.6, until_s=600.0)
    events = run_protocol(pack, [hold], dt_s=1.0, every_s=60.0).events
    assert len(events) > 100
    assert len({(event.time_s, event.kind) for event in events}) == len(events)
    assert sum(event.kind == "bridge" for event in events) <= pack.cells[0].bridges


def test_a_protocol_moves_the_pack_as_steps_do(cell_params):
    run, stepped = new_pack(cell_params), new_pack(cell_params)
    run_protocol(run, [ProtocolStep("current", current_a=0.3, until_s=500.0)], dt_s=0.5, every_s=100.0)
    for _ in range(1000):
        stepped.step(0.3, 0.5)
    assert run.state_bytes() == stepped.state_bytes()


def test_a_run_can_be_interrupted_and_keeps_what_it_has(cell_params, monkeypatch):
    monkeypatch.setattr(protocol, "TICKS_AT_ONCE", 100)
    monkeypatch.setattr(protocol, "PROGRESS_S", 0.0)
    told: list[float] = []

    def progress(time_s: float) -> bool:
        told.append(time_s)
        return len(told) < 3

    pack = new_pack(cell_params)
    result = run_protocol(pack, [ProtocolStep("rest", until_s=1e5)], dt_s=1.0, every_s=10.0, progress=progress)
    assert result.ended == "interrupted"
    assert told == [100.0, 200.0, 300.0]
    assert result.columns["time_s"][-1] == pack.time_s == 300.0

    def ctrl_c(_time_s: float) -> bool:
        raise KeyboardInterrupt

    result = run_protocol(pack, [ProtocolStep("rest", until_s=1e5)], dt_s=1.0, every_s=10.0, progress=ctrl_c)
    assert (result.ended, pack.time_s) == ("interrupted", 400.0)


@pytest.mark.parametrize("within", ["_take_rows", "_outcome", "_to_the_end"])
def test_ctrl_c_while_rows_are_taken_leaves_whole_rows_each_once(cell_params, monkeypatch, breaks_off, within):
    monkeypatch.setattr(protocol, "ROWS_AT_ONCE", 4)
    rest = [ProtocolStep("rest", until_s=10.0)]
    opcode, broken_off = 0, 0
    while True:
        pack, results = new_pack(cell_params), []
        run = _Run(pack, rest, Limits(), 1.0, 1.0, None, math.inf, None, ["soc"])
        if not breaks_off(
            lambda run=run, results=results: results.append(run.result(None)), opcode, getattr(_Run, within)
        ):
            break
        opcode, broken_off = opcode + 1, broken_off + 1
        (columns,) = (result.columns for result in results)
        times = list(columns["time_s"])
        assert {len(values) for values in columns.values()} == {len(times)}
        assert times == [float(k) for k in range(len(times))]
        assert (times or [0.0])[-1] == pack.time_s  # none at all before C's first call
    assert broken_off > 20


def test_ctrl_c_at_any_moment_of_a_run_leaves_whole_rows(cell_params, monkeypatch):
    monkeypatch.setattr(protocol, "PROGRESS_S", 0.0)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for k in range(15):
            pack, told = new_pack(cell_params), []

            def begun(time_s: float, told=told, wait_s=0.002 + 0.003 * k) -> None:
                """Only now: what Ctrl-C meets before the run has begun, it ends without a result."""
                if not told:
                    signal.setitimer(signal.ITIMER_REAL, wait_s)
                told.append(time_s)

            result = run_protocol(pack, [ProtocolStep("rest", until_s=1e8)], dt_s=0.1, every_s=0.1, progress=begun)
            assert result.ended == "interrupted"
            assert {len(values) for values in result.columns.values()} == {len(result.columns["time_s"])}
            assert np.diff(column(result, "time_s")).min() > 0.0
            assert result.columns["time_s"][-1] == pack.time_s
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)


def test_progress_may_not_touch_its_pack_and_its_errors_leave_the_pack_whole(cell_params, monkeypatch):
    monkeypatch.setattr(protocol, "TICKS_AT_ONCE", 100)
    monkeypatch.setattr(protocol, "PROGRESS_S", 0.0)
    pack = new_pack(cell_params)
    rest = [ProtocolStep("rest", until_s=1e5, ambient_degc=31.0)]
    for call in (lambda _: pack.reset(0.9, 25.0, 5.0), lambda _: pack.step(0.1, 1.0)):
        with pytest.raises(RuntimeError, match="is being run"):
            run_protocol(pack, rest, dt_s=1.0, every_s=10.0, progress=call)
    assert (pack.time_s, pack.cells[0].soc, pack.surroundings) == (200.0, 0.5, (31.0, 0.0))
    assert run_protocol(pack, rest, dt_s=1.0, every_s=10.0, stop_s=300.0).ended == "finished"


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (ProtocolStep("charge"), "step 1: mode 'charge' is none of rest, current, voltage, drive"),
        (ProtocolStep("rest"), "step 1: .*an end that is sure to come"),
        (ProtocolStep("rest", until_s=-1.0), "step 1: "),
        (ProtocolStep("current", current_a=0.1), "step 1: "),
        (ProtocolStep("current", current_a=math.nan, until_s=1.0), "step 1: "),
        (ProtocolStep("voltage", voltage_v=4.2, until_s=1.0), "step 1: "),
        (ProtocolStep("voltage", current_a=1.0, until_s=1.0), "step 1: "),
        (ProtocolStep("voltage", voltage_v=4.2, current_a=1.0, until_voltage_v=4.2), "step 1: .*sure to come"),
        (ProtocolStep("drive", drive_dt_s=1.0), "step 1: "),
        (ProtocolStep("drive", drive_a=[], drive_dt_s=1.0), "step 1: "),
        (ProtocolStep("drive", drive_a=[0.1], drive_dt_s=0.0), "step 1: "),
        (ProtocolStep("drive", drive_a=[0.1], drive_dt_s=1.0, until_s=math.inf), "step 1: .*sure to come"),
    ],
)
def test_a_step_that_makes_no_sense_is_refused_by_its_number(cell_params, step, says):
    pack = new_pack(cell_params)
    before = pack.state_bytes()
    with pytest.raises(ValueError, match=says):
        run_protocol(pack, [ProtocolStep("rest", until_s=1.0), step], dt_s=1.0, every_s=1.0)
    assert pack.state_bytes() == before


@pytest.mark.parametrize(
    ("dt_s", "every_s"), [(0.0, 1.0), (math.nan, 1.0), (1.0, 0.0), (math.inf, 1.0), (5e-10, 1.0), (2e6, 1.0)]
)
def test_times_that_make_no_sense_are_refused(cell_params, dt_s, every_s):
    with pytest.raises(ValueError, match="needs 1e-9 to 1e6"):
        run_protocol(new_pack(cell_params), [ProtocolStep("rest", until_s=1.0)], dt_s=dt_s, every_s=every_s)


@pytest.mark.parametrize(
    "bad",
    [{"ambient_degc": -300.0}, {"mode": "drive", "drive_a": [math.nan], "drive_dt_s": 1.0}, {"aim_mpa": math.inf}],
)
def test_an_input_that_the_plant_refuses_says_in_which_step_and_moves_nothing_more(cell_params, bad):
    pack = Pack([cell_params], [Stack(actuator=ActuatorParams(kind="pneumatic"))])
    steps = [ProtocolStep("rest", until_s=10.0), replace(ProtocolStep("rest", until_s=10.0), **bad)]
    with pytest.raises(ValueError, match="step 1 at 10 s refused"):
        run_protocol(pack, steps, dt_s=1.0, every_s=1.0)
    assert pack.time_s == 10.0
