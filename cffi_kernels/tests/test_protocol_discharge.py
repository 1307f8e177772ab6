"""Protocols where sign, stop and several ends meet: held voltages on discharge, the cycler's slew, trials that leave no
trace."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from assb_kernels import (
    ActuatorParams,
    CellParams,
    Cycler,
    CyclerParams,
    Limits,
    Pack,
    ProtocolStep,
    Stack,
    StackParams,
    run_protocol,
)

REST = ProtocolStep("rest", until_s=100.0)


def new_pack(cell_params: CellParams, **start) -> Pack:
    return Pack([cell_params], [Stack()], **start)


@pytest.mark.parametrize(("soc", "voltage_v", "sign"), [(0.55, 3.65, -1), (0.45, 3.95, 1)])
def test_a_held_voltage_ends_at_its_least_current_in_either_direction(cell_params, soc, voltage_v, sign):
    pack = new_pack(cell_params, soc=soc)
    hold = ProtocolStep("voltage", voltage_v=voltage_v, current_a=0.3, until_current_a=0.02, until_s=1e5)
    currents = run_protocol(pack, [hold], dt_s=1.0, every_s=1.0).columns["current_a"]
    assert len(currents) > 100
    assert sign * currents[1] == pytest.approx(0.3)
    assert 0.019 < sign * pack.current_a <= 0.02 < sign * currents[-2]
    assert pack.voltage_v == pytest.approx(voltage_v, abs=1e-6)


def test_the_least_current_does_not_end_a_hold_that_still_ramps_up(cell_params):
    pack = new_pack(cell_params)
    cycler = Cycler(CyclerParams(slew_a_per_s=0.01, current_max_a=1.0))
    hold = ProtocolStep("voltage", voltage_v=4.2, current_a=0.3, until_current_a=0.05, until_s=1e5)
    currents = run_protocol(pack, [hold], dt_s=1.0, every_s=1.0, cycler=cycler).columns["current_a"]
    assert list(currents[1:31]) == pytest.approx([0.01 * k for k in range(1, 31)])
    assert pack.voltage_v == pytest.approx(4.2, abs=1e-6)
    assert 0.049 < pack.current_a <= 0.05


def test_a_cycler_slews_also_where_the_voltage_is_nearly_held(cell_params):
    """What the hold asks for lies below the most current: only the slew rate stands in its way."""
    pack = new_pack(cell_params)
    cycler = Cycler(CyclerParams(slew_a_per_s=0.01, current_max_a=1.0))
    hold = ProtocolStep("voltage", voltage_v=pack.voltage_v + 0.03, current_a=5.0, until_s=60.0)
    currents = run_protocol(pack, [hold], dt_s=1.0, every_s=1.0, cycler=cycler).columns["current_a"]
    assert max(b - a for a, b in pairwise(currents)) <= 0.01 + 1e-12
    assert pack.voltage_v == pytest.approx(hold.voltage_v, abs=1e-6)


@pytest.mark.parametrize(("soc", "voltage_v"), [(0.7, 4.2), (0.3, 3.5)])
def test_a_least_current_as_large_as_the_most_ends_only_once_the_voltage_is_held(cell_params, soc, voltage_v):
    pack = new_pack(cell_params, soc=soc)
    hold = ProtocolStep("voltage", voltage_v=voltage_v, current_a=0.1, until_current_a=0.1, until_s=1e5)
    run_protocol(pack, [hold], dt_s=1.0, every_s=100.0)
    assert pack.voltage_v == pytest.approx(voltage_v, abs=1e-6)
    assert pack.time_s > 100.0


@pytest.mark.parametrize("dt_s", [100.0, 200.0, 300.0])
def test_a_voltage_is_held_at_the_empty_end_in_long_steps(cell_params, dt_s):
    """The OCV bends so sharply there that the secant is many times as steep as the outlook."""
    pack = Pack([cell_params], [Stack()], soc=0.05)
    hold = ProtocolStep("voltage", voltage_v=3.0, current_a=5.0, until_s=6 * dt_s)
    rows = run_protocol(pack, [hold], dt_s=dt_s, every_s=dt_s).columns
    held = [v for v, i in zip(rows["voltage_v"], rows["current_a"], strict=True) if abs(i) < 4.999][2:]
    assert held and held == pytest.approx([3.0] * len(held), abs=1e-6)


@pytest.mark.parametrize("slope_v", [2.0, 6.0, 10.0, 16.0, 24.0])
def test_a_voltage_is_held_where_the_ocv_turns_steep_within_the_time_step(cell_params, slope_v):
    kinked = replace(cell_params, ocv_v=[3.6 + slope_v * max(k / 128 - 0.75, 0.0) for k in range(129)])
    pack = new_pack(kinked, soc=0.745)
    hold = ProtocolStep("voltage", voltage_v=3.6 + 0.04 * slope_v, current_a=100.0, until_s=300.0)
    rows = run_protocol(pack, [hold], dt_s=100.0, every_s=100.0).columns
    assert list(rows["voltage_v"][1:]) == pytest.approx([hold.voltage_v] * 3, abs=1e-6)


# What comes first within the last time step before the stop


@pytest.mark.parametrize(
    ("end", "at_s"),
    [({"until_s": 9.5}, 9.5), ({"until_ah": 0.3 * 9.3 / 3600}, 9.3), ({"until_ah": 0.3 * 9.5 / 3600}, 9.5)],
)
def test_an_end_before_the_stop_leaves_the_rest_to_the_next_step(cell_params, end, at_s):
    pack = new_pack(cell_params)
    steps = [replace(ProtocolStep("current", current_a=0.3, until_s=1e5), **end), REST]
    rows = run_protocol(pack, steps, dt_s=1.0, every_s=1e6, stop_s=9.8).columns
    assert list(rows["time_s"]) == pytest.approx([0.0, at_s, 9.8])
    assert list(rows["step"]) == [0.0, 0.0, 1.0]
    assert list(rows["current_a"]) == [0.0, 0.3, 0.0]


def test_an_end_voltage_before_the_stop_leaves_the_rest_to_the_next_step(cell_params):
    charge = ProtocolStep("current", current_a=0.3, until_s=1e5)
    probe = new_pack(cell_params)
    run_protocol(probe, [charge], dt_s=1.0, every_s=1e6, stop_s=9.4)
    pack = new_pack(cell_params)
    steps = [replace(charge, until_voltage_v=probe.voltage_v), REST]
    rows = run_protocol(pack, steps, dt_s=1.0, every_s=1e6, stop_s=9.8).columns
    assert list(rows["time_s"]) == pytest.approx([0.0, 9.4, 9.8], abs=0.05)
    assert list(rows["step"]) == [0.0, 0.0, 1.0]
    assert pack.time_s == pytest.approx(9.8)


def test_a_stop_before_the_end_ends_the_run(cell_params):
    pack = new_pack(cell_params)
    step = ProtocolStep("current", current_a=0.3, until_s=10.0, until_ah=0.3 * 9.9 / 3600, until_voltage_v=4.2)
    rows = run_protocol(pack, [step, REST], dt_s=1.0, every_s=1e6, stop_s=9.8).columns
    assert list(rows["time_s"]) == pytest.approx([0.0, 9.8])
    assert list(rows["step"]) == [0.0, 0.0]


@pytest.mark.parametrize("stop_s", [50.0, 20.0])
def test_a_stop_that_has_passed_moves_nothing(cell_params, stop_s):
    pack = new_pack(cell_params)
    run_protocol(pack, [replace(REST, until_s=50.0)], dt_s=1.0, every_s=50.0)
    before = pack.state_bytes()
    result = run_protocol(pack, [replace(REST, ambient_degc=60.0)], dt_s=1.0, every_s=1.0, stop_s=stop_s)
    assert result.ended == "finished"
    assert list(result.columns["time_s"]) == [50.0]
    assert pack.surroundings[0] == 25.0
    assert pack.state_bytes() == before


@pytest.mark.parametrize(("dt_s", "left", "next_a"), [(0.01, 2e-6, 1.0), (1.0, 2e-6, 1.0), (1e-4, 5e-6, 0.01)])
def test_a_charge_that_is_reached_but_for_rounding_takes_no_time_step_of_its_own(cell_params, dt_s, left, next_a):
    """What is left of it would flow within a millionth of dt_s, or faster than any step of the plant."""
    pack = new_pack(cell_params)
    until_ah = 0.01 * dt_s * (1 + left) / 3600
    drive = ProtocolStep("drive", drive_a=[0.01, next_a], drive_dt_s=dt_s, until_ah=until_ah, until_s=10.0)
    run_protocol(pack, [drive], dt_s=dt_s, every_s=1.0)
    assert pack.time_s == dt_s
    assert pack.current_a == 0.01


@pytest.mark.parametrize("away_v", [0.02, -0.02])
@pytest.mark.parametrize(
    ("end", "stop_s", "at_s", "steps"),
    [
        ({"until_ah": 1.0}, math.inf, [0.0, 9.5, 109.5], [0.0, 0.0, 1.0]),
        ({"until_ah": 1.0}, 9.3, [0.0, 9.3], [0.0, 0.0]),
        ({"until_ah": 1e-4}, math.inf, None, [0.0, 0.0, 1.0]),
    ],
)
def test_a_hold_ends_at_its_charge_its_time_or_the_stop(cell_params, away_v, end, stop_s, at_s, steps):
    pack = new_pack(cell_params)
    hold = ProtocolStep("voltage", voltage_v=pack.voltage_v + away_v, current_a=2.0, until_s=9.5, **end)
    rows = run_protocol(pack, [hold, REST], dt_s=1.0, every_s=1e6, stop_s=stop_s).columns
    assert list(rows["step"]) == steps
    assert rows["step_s"][1] == pytest.approx(rows["time_s"][1])
    if at_s is None:
        assert rows["step_ah"][1] == pytest.approx(math.copysign(1e-4, away_v), rel=1e-6)
        assert 1.0 < rows["time_s"][1] < 9.0
    else:
        assert list(rows["time_s"]) == pytest.approx(at_s)


def test_a_hold_that_reaches_its_charge_just_before_the_stop_leaves_the_rest_to_the_next_step(cell_params):
    charges = {}
    for stop_s in (9.4, 9.8):
        pack = new_pack(cell_params)
        hold = ProtocolStep("voltage", voltage_v=pack.voltage_v + 0.02, current_a=2.0, until_s=60.0, **charges)
        rows = run_protocol(pack, [hold, REST], dt_s=1.0, every_s=1e6, stop_s=stop_s).columns
        charges = {"until_ah": rows["step_ah"][1]}
    assert list(rows["time_s"]) == pytest.approx([0.0, 9.4, 9.8], abs=1e-4)
    assert list(rows["step"]) == [0.0, 0.0, 1.0]


# Limits, counters, checks


@pytest.mark.parametrize(
    ("limits", "beyond_v", "field"),
    [(Limits(voltage_max_v=3.9), 3.901, "voltage_max_v"), (Limits(voltage_min_v=3.7), 3.699, "voltage_min_v")],
)
def test_a_voltage_held_a_millivolt_beyond_its_limit_breaks_it(cell_params, limits, beyond_v, field):
    hold = ProtocolStep("voltage", voltage_v=beyond_v, current_a=2.0, until_s=600.0)
    result = run_protocol(new_pack(cell_params), [hold], limits, dt_s=1.0, every_s=60.0)
    assert result.ended == "limit"
    assert field in result.detail


def test_an_aim_goes_to_every_stack(cell_params):
    piston = Stack(actuator=ActuatorParams(kind="pneumatic"))
    pack = Pack([cell_params] * 3, [piston] * 3)
    run_protocol(pack, [replace(REST, aim_mpa=7.0)], dt_s=0.1, every_s=10.0)
    assert [stack.drive_mpa for stack in pack.stacks] == pytest.approx([7.0] * 3, abs=0.03)


@pytest.mark.parametrize(("current_a", "name"), [(0.6, "charge_wh"), (-0.6, "discharge_wh")])
def test_energy_is_that_of_the_mean_voltages_whatever_the_time_step(cell_params, current_a, name):
    pack = Pack([cell_params, replace(cell_params, capacity_ah=0.8)], [Stack()])
    step = ProtocolStep("current", current_a=current_a, until_s=900.0)
    coarse = run_protocol(pack, [step], dt_s=300.0, every_s=300.0, results=["mean_voltage_v"])
    means = list(coarse.columns["mean_voltage_v"])[2:]  # two cells; the first row is the begin
    assert coarse.columns[name][-1] == pytest.approx(sum(means) * 0.6 * 300.0 / 3600, rel=1e-12)
    fine = run_protocol(Pack(pack.cell_params, pack.stack_params), [step], dt_s=1.0, every_s=900.0)
    assert coarse.columns[name][-1] == pytest.approx(fine.columns[name][-1], rel=2e-3)


@pytest.mark.parametrize("dt_s", [0.3, 3.0])
def test_trials_of_a_time_step_leave_no_trace(cell_params, dt_s):
    """The currents of a held voltage, played as steps: every byte is the same, the clock's lost bits included."""
    creeping = StackParams(viscous_tau_s=(20.0, 300.0), creep_um_per_s=1e-3)
    stacks = [Stack(creeping, ActuatorParams(kind="pneumatic")), Stack(creeping)]
    cells = [cell_params, replace(cell_params, swelling_um_per_mah_cm2=9.0)]
    held, stepped = (Pack(cells, stacks, soc=[0.6, 0.65]) for _ in range(2))
    hold = ProtocolStep("voltage", voltage_v=held.voltage_v - 0.1, current_a=2.0, aim_mpa=6.0, until_s=dt_s * 400)
    rows = run_protocol(held, [hold], dt_s=dt_s, every_s=dt_s).columns
    for current_a in rows["current_a"][1:-1]:
        stepped.step(current_a, dt_s, aim_mpa=6.0)
    stepped.step(rows["current_a"][-1], hold.until_s - 399 * dt_s, aim_mpa=6.0)  # dt_s but for rounding
    assert len(set(rows["current_a"])) > 100
    assert held.stacks[1].creep_um > 0.0
    assert held.state_bytes() == stepped.state_bytes()


@pytest.mark.parametrize(
    "step",
    [
        ProtocolStep("current", current_a=0.0, until_ah=0.1),
        ProtocolStep("current", current_a=0.0, until_voltage_v=4.2),
        ProtocolStep("drive", drive_a=[0.1], drive_dt_s=1e9),
        ProtocolStep("drive", drive_a=[0.1], drive_dt_s=math.inf),
    ],
)
def test_a_step_that_would_never_end_is_refused(cell_params, step):
    pack = new_pack(cell_params)
    with pytest.raises(ValueError, match=r"step 0: .*can't be run"):
        run_protocol(pack, [step], dt_s=1.0, every_s=1.0, stop_s=10.0)
    assert pack.time_s == 0.0
