"""The cycler obeys enables, limits and voltages: late, but surely."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from assb_kernels import Cycler, CyclerParams, Pack, Stack
from hypothesis import given, settings
from hypothesis import strategies as st

PARAMS = CyclerParams(
    enable_delay_s=0.005, limit_delay_s=0.04, limit_timeout_s=2.0, slew_a_per_s=20.0, current_max_a=5.0
)
STEP_S = 0.01
ANY = settings(max_examples=50, deadline=None)


@pytest.fixture
def pack(cell_params) -> Pack:
    return Pack([cell_params], [Stack()])


def play(cycler: Cycler, pack: Pack, steps: int, wanted_a: float, **given_) -> list[float]:
    """Currents of so many steps of 10 ms; the pack stands still."""
    return [
        cycler.step(wanted_a, STEP_S, pack, **({"charge_limit_a": 1.0, "discharge_limit_a": 2.0} | given_))
        for _ in range(steps)
    ]


@pytest.mark.parametrize(("wanted_a", "allowed_a"), [(0.5, 0.3), (-0.5, -0.2), (0.1, 0.1)])
def test_limits_bind_in_both_directions(pack, wanted_a, allowed_a):
    cycler = Cycler(PARAMS)
    assert play(cycler, pack, 100, wanted_a, charge_limit_a=0.3, discharge_limit_a=0.2)[-1] == allowed_a
    assert cycler.current_a == allowed_a


def test_no_current_is_larger_than_the_cycler_gives(pack):
    free = {"charge_limit_a": math.inf, "discharge_limit_a": math.inf}
    assert play(Cycler(PARAMS), pack, 100, 50.0, **free)[-1] == 5.0
    assert play(Cycler(PARAMS), pack, 100, -50.0, **free)[-1] == -5.0


def test_without_an_enable_line_no_current_flows_that_way(pack):
    cycler = Cycler(PARAMS)
    assert play(cycler, pack, 50, 0.5)[-1] == 0.5
    assert play(cycler, pack, 50, 0.5, charge_enabled=False)[-1] == 0.0
    assert play(cycler, pack, 50, -0.5, charge_enabled=False)[-1] == -0.5
    assert play(cycler, pack, 50, -0.5, discharge_enabled=False)[-1] == 0.0


@ANY
@given(delay_steps=st.integers(0, 20))
def test_a_line_acts_once_it_has_stood_for_its_delay(cell_params, delay_steps):
    pack = Pack([cell_params], [Stack()])
    cycler = Cycler(CyclerParams(enable_delay_s=delay_steps * STEP_S))
    on = play(cycler, pack, 40, 0.5)
    off = play(cycler, pack, 40, 0.5, charge_enabled=False)
    assert on == [0.0] * delay_steps + [0.5] * (40 - delay_steps)
    assert off == [0.5] * delay_steps + [0.0] * (40 - delay_steps)


def test_a_glitch_on_a_line_is_filtered(pack):
    cycler = Cycler(CyclerParams(enable_delay_s=0.05))
    play(cycler, pack, 20, 0.5)
    for _ in range(10):
        assert set(play(cycler, pack, 4, 0.5, charge_enabled=False)) == {0.5}
        assert set(play(cycler, pack, 1, 0.5)) == {0.5}


@ANY
@given(limits=st.lists(st.floats(0.0, 2.0), min_size=1, max_size=60), delay_steps=st.integers(0, 12))
def test_each_limit_acts_its_delay_after_it_came(cell_params, limits, delay_steps):
    pack = Pack([cell_params], [Stack()])
    cycler = Cycler(CyclerParams(limit_delay_s=delay_steps * STEP_S))
    given_ = limits + [limits[-1]] * delay_steps
    currents = [cycler.step(1.5, STEP_S, pack, charge_limit_a=limit_a) for limit_a in given_]
    late = [0.0] * delay_steps + limits
    assert currents == [min(1.5, limit_a) for limit_a in late]


def test_limits_that_come_faster_than_their_line_is_long_still_end_at_the_newest(pack):
    cycler = Cycler(CyclerParams(limit_delay_s=1.0))
    for k in range(500):
        cycler.step(2.0, 1e-3, pack, charge_limit_a=1.0 + 1e-4 * k)
    currents = [cycler.step(2.0, 0.1, pack, charge_limit_a=0.7) for _ in range(30)]
    assert currents[-1] == 0.7


def test_when_limits_stop_coming_the_cycler_stops_by_itself(pack):
    cycler = Cycler(replace(PARAMS, slew_a_per_s=0.0))
    play(cycler, pack, 50, 0.5)
    assert play(cycler, pack, 1, 0.5, limit_age_s=2.0) == [0.5]
    assert play(cycler, pack, 1, 0.5, limit_age_s=2.001) == [0.0]
    assert play(cycler, pack, 1, 0.5, limit_age_s=math.inf) == [0.0]


def test_an_open_contactor_ends_the_current_at_once(pack):
    cycler = Cycler(PARAMS)
    assert play(cycler, pack, 50, 0.5)[-1] == 0.5
    assert play(cycler, pack, 1, 0.5, connected=False) == [0.0]


@ANY
@given(wanted_a=st.lists(st.floats(-3.0, 3.0), min_size=1, max_size=30), slew=st.floats(0.1, 50.0))
def test_no_change_is_faster_than_the_slew_rate(cell_params, wanted_a, slew):
    pack = Pack([cell_params], [Stack()])
    cycler = Cycler(CyclerParams(slew_a_per_s=slew))
    before_a = 0.0
    for wanted in wanted_a:
        current_a = cycler.step(wanted, STEP_S, pack)
        assert abs(current_a - before_a) <= slew * STEP_S * (1 + 1e-9)
        assert abs(current_a - wanted) <= max(abs(before_a - wanted) - slew * STEP_S, 0.0) + 1e-9
        before_a = current_a


@pytest.mark.parametrize("dt_s", [0.01, 1.0, 10.0])
@pytest.mark.parametrize(
    ("wanted_a", "soc", "held"), [(0.6, 0.7, {"voltage_max_v": 4.28}), (-0.6, 0.2, {"voltage_min_v": 3.55})]
)
def test_a_voltage_is_held_within_a_millivolt_and_never_rings(cell_params, dt_s, wanted_a, soc, held):
    pack = Pack([cell_params], [Stack()], soc=soc)
    cycler = Cycler(CyclerParams())
    (held_v,) = held.values()
    currents, sign = [], math.copysign(1.0, wanted_a)
    for _ in range(int(min(1500.0, 15000 * dt_s) / dt_s)):
        currents.append(sign * cycler.step(wanted_a, dt_s, pack, **held))
        pack.step(sign * currents[-1], dt_s)
        assert sign * (pack.voltage_v - held_v) < 1e-3
    reached = [current_a for current_a in currents if current_a < 0.6 - 1e-9]
    if dt_s >= 1.0:
        assert pack.voltage_v == pytest.approx(held_v, abs=1e-3)
        assert len(reached) > 10
        assert all(b < a + 1e-3 for a, b in pairwise(reached))
    assert min(currents) >= 0.0


def test_a_ceiling_below_the_rested_voltage_charges_nothing_and_discharges_nothing(pack):
    assert Cycler(CyclerParams()).step(0.5, 1.0, pack, voltage_max_v=pack.voltage_v - 0.1) == 0.0
    assert Cycler(CyclerParams()).step(-0.5, 1.0, pack, voltage_min_v=pack.voltage_v + 0.1) == 0.0
    assert Cycler(CyclerParams()).step(-0.5, 1.0, pack, voltage_max_v=pack.voltage_v - 0.1) == -0.5


def test_where_it_sees_taps_the_fullest_cell_is_held(cell_params):
    pack = Pack([cell_params] * 2, [Stack()], soc=[0.65, 0.70])
    cycler = Cycler(CyclerParams())
    for _ in range(900):
        pack.step(cycler.step(0.6, 2.0, pack, unit_max_v=4.28), 2.0)
    assert pack.cells[1].voltage_v == pytest.approx(4.28, abs=1e-3)
    assert pack.cells[0].voltage_v < 4.27


@pytest.mark.parametrize(
    "bad",
    [
        {"dt_s": 0.0},
        {"wanted_a": math.nan},
        {"charge_limit_a": -1.0},
        {"discharge_limit_a": math.nan},
        {"voltage_max_v": math.nan},
    ],
)
def test_an_input_that_makes_no_sense_is_refused_and_changes_nothing(pack, bad):
    cycler = Cycler(PARAMS)
    play(cycler, pack, 20, 0.5)
    before = cycler.state_bytes()
    with pytest.raises(ValueError, match="cycler step"):
        cycler.step(**{"wanted_a": 0.5, "dt_s": STEP_S, "pack": pack} | bad)
    assert cycler.state_bytes() == before


@pytest.mark.parametrize("bad", [{"enable_delay_s": -1.0}, {"slew_a_per_s": math.inf}, {"current_max_a": math.nan}])
def test_parameters_that_make_no_sense_are_refused(bad):
    with pytest.raises(ValueError, match="CyclerParams"):
        Cycler(replace(PARAMS, **bad))


@pytest.mark.parametrize("at_s", [0.1, 1e6, 1e7, 1e9])
def test_delays_are_the_same_however_late_it_is(cell_params, at_s):
    pack = Pack([replace(cell_params, capacity_ah=1e9)], [Stack()])
    cycler = Cycler(CyclerParams(enable_delay_s=0.3, limit_delay_s=0.3))
    cycler.step(0.0, at_s, pack, charge_enabled=False, charge_limit_a=1.0)
    currents = [cycler.step(1.0, 0.1, pack, charge_limit_a=0.5) for _ in range(5)]
    assert currents == [0.0, 0.0, 0.0, 0.5, 0.5]
