"""The modelled cycler plays its loads, and obeys the board late but surely."""

import pytest
from assb_hil.cycler import Cycler, CyclerParams
from assb_hil.loads import ConstantCurrent, ConstantCurrentVoltage, Drive, Pulse, Rest

PARAMS = CyclerParams(
    enable_delay_us=5000, limit_delay_us=40_000, limit_timeout_us=2_000_000, slew_a_per_s=20.0, current_max_a=5.0
)
STEP_S = 0.01


def cycler(*loads, charge_a=1.0, discharge_a=2.0):
    made = Cycler(PARAMS, loads)
    made.charge_enabled = made.discharge_enabled = True
    made.set_limits(0, charge_a, discharge_a)
    return made


def play(made, from_s, to_s, voltage_v=3.8, connected=True):
    """Currents at every step; the board keeps repeating its limits."""
    currents = []
    for step in range(round(from_s / STEP_S), round(to_s / STEP_S)):
        now_us = round(step * STEP_S * 1e6)
        made.set_limits(now_us, made.charge_limit_a, made.discharge_limit_a)
        currents.append(made.step(now_us, STEP_S, voltage_v, connected))
    return currents


def test_a_later_load_replaces_the_one_before():
    made = cycler(ConstantCurrent(at_s=0.0, current_a=0.5), Rest(at_s=1.0))
    currents = play(made, 0.0, 2.0)
    assert currents[50] == 0.5
    assert currents[-1] == 0.0


@pytest.mark.parametrize(("wanted_a", "allowed_a"), [(0.5, 0.3), (-0.5, -0.2), (0.1, 0.1)])
def test_the_boards_limits_bind_in_both_directions(wanted_a, allowed_a):
    made = cycler(ConstantCurrent(at_s=0.0, current_a=wanted_a), charge_a=0.3, discharge_a=0.2)
    assert play(made, 0.0, 1.0)[-1] == pytest.approx(allowed_a)


def test_without_an_enable_line_no_current_flows_that_way():
    made = cycler(ConstantCurrent(at_s=0.0, current_a=0.5))
    assert play(made, 0.0, 0.5)[-1] == 0.5
    made.charge_enabled = False
    assert play(made, 0.5, 1.0)[-1] == 0.0


def test_when_the_board_falls_silent_the_cycler_stops_by_itself():
    made = cycler(ConstantCurrent(at_s=0.0, current_a=0.5))
    made.step(0, STEP_S, 3.8, True)
    assert made.step(2_000_000, 1.0, 3.8, True) == 0.5
    assert made.step(2_000_001, 1.0, 3.8, True) == 0.0


def test_an_open_contactor_ends_the_current_at_once():
    made = cycler(ConstantCurrent(at_s=0.0, current_a=0.5))
    play(made, 0.0, 0.5)
    assert made.step(500_000, STEP_S, 3.8, False) == 0.0


def test_a_charge_is_held_at_its_voltage_and_ends_at_its_cutoff():
    """Against a cell of 0.1 ohm whose open-circuit voltage rises to the set point."""
    made = cycler(ConstantCurrentVoltage(at_s=0.0, current_a=0.5, voltage_max_v=4.2, cutoff_a=0.1))
    open_v, current_a, highest_v, currents = 4.1, 0.0, 0.0, []
    for step in range(4000):
        voltage_v = open_v + 0.1 * current_a
        now_us = round(step * STEP_S * 1e6)
        made.set_limits(now_us, 1.0, 1.0)
        current_a = made.step(now_us, STEP_S, voltage_v, True)
        open_v += 0.01 * current_a * STEP_S
        highest_v = max(highest_v, voltage_v)
        currents.append(current_a)
    assert currents[100] == 0.5
    assert highest_v < 4.202
    assert any(0.1 < current_a < 0.4 for current_a in currents)
    assert currents[-1] == 0.0
    assert made.finished_us is not None


def test_pulses_repeat_and_then_rest():
    load = Pulse(at_s=0.0, current_a=-1.0, on_s=1.0, off_s=2.0, count=2)
    assert [load.current_at(t_s) for t_s in (0.5, 1.5, 3.5, 4.5, 6.5)] == [-1.0, 0.0, -1.0, 0.0, 0.0]


def test_a_drive_cycle_joins_its_points_by_straight_lines():
    load = Drive(at_s=0.0, segments=((2.0, -1.0), (2.0, -1.0), (1.0, 0.5)), scale=2.0, repeat=2)
    assert [load.current_at(t_s) for t_s in (1.0, 3.0, 4.5, 6.0, 11.0)] == [-1.0, -2.0, -0.5, -1.0, 0.0]
