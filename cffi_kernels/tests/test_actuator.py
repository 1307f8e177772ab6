"""What moves the gap: the regulator with its cylinder, and the screw with its switches."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
from assb_kernels import ActuatorParams, CellParams, Pack, Stack, StackParams
from hypothesis import given, settings
from hypothesis import strategies as st

ELASTIC = StackParams(stiffness_mpa_per_um=0.05, viscous_frac=(0.0, 0.0))
REGULATOR = ActuatorParams(kind="pneumatic", hysteresis_mpa=0.0, supply_mpa=9.0, time_constant_s=0.25, slew_mpa_s=4.0)
SCREW = ActuatorParams(kind="stepper", um_per_step=0.5, steps_per_s_max=100.0)
ANY = settings(max_examples=60, deadline=None)


def pressed(cell_params: CellParams, actuator: ActuatorParams, pressure_mpa: float = 5.0) -> Pack:
    """A stack whose contents keep their height."""
    still = replace(cell_params, swelling_um_per_mah_cm2=0.0, expansion_um_per_k=0.0)
    return Pack([still], [Stack(ELASTIC, actuator)], pressure_mpa=pressure_mpa)


def test_a_small_step_of_the_aim_is_a_first_order_lag(cell_params):
    pack = pressed(cell_params, REGULATOR)
    pack.step(0.0, 0.25, aim_mpa=5.5)
    assert pack.stacks[0].drive_mpa == pytest.approx(5.0 + 0.5 * -math.expm1(-1.0))


def test_a_large_step_rises_at_the_slew_rate_first(cell_params):
    pack = pressed(cell_params, REGULATOR, pressure_mpa=1.0)
    pack.step(0.0, 0.5, aim_mpa=8.0)
    assert pack.stacks[0].drive_mpa == pytest.approx(3.0)


@ANY
@given(steps_s=st.lists(st.floats(1e-6, 0.4), min_size=1, max_size=20), aim_mpa=st.floats(0.0, 10.0))
def test_the_size_of_the_steps_does_not_matter_to_the_regulator(cell_params, steps_s, aim_mpa):
    whole, cut = pressed(cell_params, REGULATOR), pressed(cell_params, REGULATOR)
    whole.step(0.0, sum(steps_s), aim_mpa=aim_mpa)
    for dt_s in steps_s:
        cut.step(0.0, dt_s, aim_mpa=aim_mpa)
    assert cut.stacks[0].drive_mpa == pytest.approx(whole.stacks[0].drive_mpa, abs=1e-9)


@pytest.mark.parametrize(("aim_mpa", "settled_mpa"), [(-1.0, 0.0), (5.0, 5.0), (9.0, 9.0), (12.0, 9.0)])
def test_the_supply_bounds_the_pressure(cell_params, aim_mpa, settled_mpa):
    pack = pressed(cell_params, REGULATOR)
    pack.step(0.0, 60.0, aim_mpa=aim_mpa)
    assert pack.stacks[0].drive_mpa == pytest.approx(settled_mpa)


def test_a_lost_supply_lets_the_pressure_fall(cell_params):
    pack = pressed(cell_params, REGULATOR)
    pack.stacks[0].supply_mpa = 2.0
    pack.run([0.0] * 600, 0.1, aim_mpa=[5.0])
    assert pack.stacks[0].pressure_mpa == pytest.approx(2.0, abs=0.011)
    with pytest.raises(ValueError, match="supply_mpa is nan"):
        pack.stacks[0].supply_mpa = math.nan


@ANY
@given(width_mpa=st.floats(0.01, 1.0), top_mpa=st.floats(6.5, 8.5))
def test_rising_and_falling_settle_a_hysteresis_apart(cell_params, width_mpa, top_mpa):
    pack = pressed(cell_params, replace(REGULATOR, hysteresis_mpa=width_mpa), pressure_mpa=1.0)
    settled = []
    for aim_mpa in (5.0, top_mpa, 5.0):
        pack.step(0.0, 60.0, aim_mpa=aim_mpa)
        settled.append(pack.stacks[0].drive_mpa)
    assert settled[2] - settled[0] == pytest.approx(width_mpa)


def test_a_change_of_the_aim_within_the_hysteresis_moves_nothing(cell_params):
    pack = pressed(cell_params, replace(REGULATOR, hysteresis_mpa=0.1), pressure_mpa=1.0)
    pack.step(0.0, 60.0, aim_mpa=5.0)
    before_mpa = pack.stacks[0].drive_mpa
    pack.step(0.0, 60.0, aim_mpa=4.95)
    assert pack.stacks[0].drive_mpa == pytest.approx(before_mpa, abs=1e-12)


def test_without_an_aim_the_regulator_keeps_its_set_point(cell_params):
    pack = pressed(cell_params, REGULATOR)
    pack.step(0.0, 0.1, aim_mpa=6.0)
    pack.step(0.0, 60.0)
    assert pack.stacks[0].drive_mpa == pytest.approx(6.0)


def test_a_frozen_regulator_holds_its_pressure(cell_params):
    pack = pressed(cell_params, REGULATOR)
    pack.step(0.0, 0.1, aim_mpa=6.0)
    held_mpa = pack.stacks[0].drive_mpa
    pack.stacks[0].frozen = True
    pack.step(0.0, 60.0, aim_mpa=6.0)
    assert pack.stacks[0].drive_mpa == held_mpa
    pack.stacks[0].frozen = False
    pack.step(0.0, 60.0, aim_mpa=6.0)
    assert pack.stacks[0].drive_mpa == pytest.approx(6.0)


def test_the_piston_sticks_within_its_friction_and_follows_beyond_it(cell_params):
    pack = pressed(cell_params, replace(REGULATOR, piston_friction_mpa=0.1))
    gap_um = pack.stacks[0].gap_um
    pack.run([0.0] * 100, 0.1, aim_mpa=[5.09])
    assert pack.stacks[0].gap_um == gap_um
    pack.run([0.0] * 3000, 0.1, aim_mpa=[6.0])
    assert pack.stacks[0].pressure_mpa == pytest.approx(6.0 - 0.1, abs=1e-6)


@ANY
@given(dt_s=st.floats(1e-3, 1e6), aim_mpa=st.floats(0.0, 9.0))
def test_the_piston_never_passes_its_aim(cell_params, dt_s, aim_mpa):
    pack = pressed(cell_params, REGULATOR)
    pack.step(0.0, dt_s, aim_mpa=aim_mpa)
    low_mpa, high_mpa = sorted((5.0, aim_mpa))
    assert low_mpa - 1e-9 <= pack.stacks[0].pressure_mpa <= high_mpa + 1e-9


@ANY
@given(pieces=st.integers(1, 50))
def test_a_piston_without_contact_runs_up_to_the_stack_whatever_the_time_step(cell_params, pieces):
    """A still regulator at 5 MPa, a gap 100 um too wide: 20 s at 5 um/s and 1 MPa of drive, then exponentially."""
    slow = replace(REGULATOR, piston_um_per_s_mpa=1.0, piston_friction_mpa=0.0, hysteresis_mpa=0.0)
    pack = pressed(cell_params, slow, pressure_mpa=0.0)
    pack.memory.pack.actuator[0].gap_um += 100.0
    pack.memory.pack.actuator[0].play_mpa = pack.memory.pack.actuator[0].drive_mpa = 5.0
    for _ in range(pieces):
        pack.step(0.0, 30.0 / pieces)
    assert pack.stacks[0].pressure_mpa == pytest.approx(5.0 * -math.expm1(-0.05 * 1.0 * 10.0), rel=1e-9)


@ANY
@given(moves=st.lists(st.tuples(st.floats(-150, 150), st.floats(1e-3, 2.0)), min_size=1, max_size=30))
def test_the_gap_stands_on_whole_steps_and_the_count_knows_where(cell_params, moves):
    pack = pressed(cell_params, SCREW, pressure_mpa=20.0)
    home_um = pack.stacks[0].gap_um
    for rate, dt_s in moves:
        pack.step(0.0, dt_s, steps_per_s=rate)
        stack = pack.stacks[0]
        assert stack.gap_um - home_um == pytest.approx(0.5 * stack.steps, abs=1e-9)


@ANY
@given(rate=st.floats(-300, 300), pieces=st.integers(1, 200))
def test_a_rate_becomes_its_steps_up_to_the_largest_rate_whatever_the_time_step(cell_params, rate, pieces):
    pack = pressed(cell_params, replace(SCREW, stall_mpa=1e6), pressure_mpa=20.0)
    for _ in range(pieces):
        pack.step(0.0, 2.0 / pieces, steps_per_s=rate)
    due = 2.0 * max(-100.0, min(100.0, rate))
    assert abs(pack.stacks[0].steps) <= abs(due) + 1e-6
    assert abs(pack.stacks[0].steps - due) < 1.0 + 1e-6


def test_each_reversal_loses_the_backlash(cell_params):
    pack = pressed(cell_params, replace(SCREW, backlash_um=3.0))
    stack = pack.stacks[0]
    gaps = [stack.gap_um]
    for rate in (50.0, -50.0, 50.0):
        pack.step(0.0, 1.0, steps_per_s=rate)
        gaps.append(stack.gap_um)
    moved_um = [b - a for a, b in pairwise(gaps)]
    assert moved_um == pytest.approx([25.0 - 3.0, -(25.0 - 3.0), 25.0 - 3.0])


def test_a_limit_switch_stops_the_screw_before_it_passes(cell_params):
    pack = pressed(cell_params, replace(SCREW, gap_min_um=-10.2, gap_max_um=20.3))
    stack = pack.stacks[0]
    home_um = stack.gap_um
    pack.step(0.0, 10.0, steps_per_s=100.0)
    assert (stack.at_max, stack.at_min, stack.steps) == (True, False, 40)
    assert stack.gap_um - home_um == pytest.approx(20.0)
    pack.step(0.0, 10.0, steps_per_s=-100.0)
    assert (stack.at_max, stack.at_min, stack.steps) == (False, True, -20)
    assert stack.gap_um - home_um == pytest.approx(-10.0)
    pack.step(0.0, 0.1, steps_per_s=20.0)
    assert (stack.at_max, stack.at_min) == (False, False)


def test_a_stalled_motor_presses_no_further_but_its_pulses_are_counted(cell_params):
    pack = pressed(cell_params, replace(SCREW, stall_mpa=6.01))
    stack = pack.stacks[0]
    pack.step(0.0, 1.0, steps_per_s=-100.0)
    assert stack.stalled
    assert stack.pressure_mpa == pytest.approx(6.0)  # 40 steps of 0.025 MPa
    assert stack.steps == -100
    pack.step(0.0, 0.1, steps_per_s=100.0)
    assert not stack.stalled


def test_a_jammed_screw_stands_still_while_its_pulses_are_counted(cell_params):
    pack = pressed(cell_params, SCREW)
    stack = pack.stacks[0]
    gap_um, stack.frozen = stack.gap_um, True
    pack.step(0.0, 1.0, steps_per_s=60.0)
    assert (stack.gap_um, stack.steps, stack.stalled) == (gap_um, 60, True)


@ANY
@given(aim_mpa=st.floats(0.1, 15.0), deadband_mpa=st.floats(0.0, 0.5), backlash_um=st.floats(0.0, 5.0))
def test_the_benchs_controller_brings_the_stack_to_its_aim_and_then_rests(
    cell_params, aim_mpa, deadband_mpa, backlash_um
):
    """Within the deadband, or half a step where that is coarser."""
    pack = pressed(cell_params, replace(SCREW, deadband_mpa=deadband_mpa, backlash_um=backlash_um))
    pack.run([0.0] * 300, 0.1, aim_mpa=[aim_mpa])
    stack = pack.stacks[0]
    settled = stack.steps
    assert abs(stack.pressure_mpa - aim_mpa) <= max(deadband_mpa, 0.5 * 0.5 * 0.05) + 1e-9
    pack.run([0.0] * 100, 0.1, aim_mpa=[aim_mpa])
    assert stack.steps == settled


def test_within_its_deadband_the_controller_leaves_the_screw_alone(cell_params):
    pack = pressed(cell_params, replace(SCREW, deadband_mpa=0.3))
    pack.run([0.0] * 100, 0.1, aim_mpa=[5.29])
    assert pack.stacks[0].steps == 0


def test_a_screw_that_is_told_nothing_stays(cell_params):
    pack = pressed(cell_params, SCREW)
    pack.run([0.0] * 100, 1.0)
    assert pack.stacks[0].steps == 0


def test_a_fixed_gap_listens_to_nobody(cell_params):
    pack = pressed(cell_params, ActuatorParams())
    gap_um = pack.stacks[0].gap_um
    pack.step(0.0, 10.0, aim_mpa=9.0, steps_per_s=100.0)
    assert pack.stacks[0].gap_um == gap_um


@pytest.mark.parametrize(
    "bad",
    [
        replace(REGULATOR, time_constant_s=0.0),
        replace(REGULATOR, slew_mpa_s=math.inf),
        replace(REGULATOR, hysteresis_mpa=-0.1),
        replace(SCREW, um_per_step=0.0),
        replace(SCREW, backlash_um=-1.0),
        replace(SCREW, gap_min_um=1.0),
        replace(SCREW, gap_max_um=math.nan),
    ],
)
def test_an_actuator_that_makes_no_sense_is_refused(cell_params, bad):
    with pytest.raises(ValueError, match="parameters of actuator 0"):
        pressed(cell_params, bad)


def test_an_unknown_kind_says_which_there_are():
    with pytest.raises(ValueError, match="'spring' is none of fixed_gap, pneumatic, stepper"):
        ActuatorParams(kind="spring")


@pytest.mark.parametrize(("actuator", "bad"), [(REGULATOR, {"aim_mpa": math.inf}), (SCREW, {"steps_per_s": math.nan})])
def test_a_refused_input_moves_nothing(cell_params, actuator, bad):
    pack = pressed(cell_params, actuator)
    before = pack.state_bytes()
    assert pack.step(0.1, 0.1, **bad) < 0
    assert pack.state_bytes() == before


def test_slack_is_taken_up_without_force_though_the_motor_stalls(cell_params):
    screw = ActuatorParams(kind="stepper", um_per_step=0.1, backlash_um=2.0, stall_mpa=4.9)
    pack = Pack([cell_params], [Stack(StackParams(), screw)], pressure_mpa=5.0)
    stack = pack.stacks[0]
    home_um = stack.gap_um
    pack.step(0.0, 0.1, steps_per_s=100.0)  # 1 um of the slack: nothing moves the plates
    assert (stack.gap_um, stack.steps) == (home_um, 10)
    pack.step(0.0, 0.1, steps_per_s=-100.0)
    assert (stack.gap_um, stack.steps, stack.stalled) == (home_um, 0, False)
    pack.step(0.0, 0.1, steps_per_s=-100.0)
    assert (stack.gap_um, stack.stalled) == (home_um, True)


@pytest.mark.parametrize(
    ("kind", "absurd"),
    [
        ("stepper", {"steps_per_s_max": 1e305}),
        ("stepper", {"um_per_step": 1e-300}),
        ("stepper", {"stall_mpa": 1e308}),
        ("pneumatic", {"supply_mpa": 1e300}),
        ("pneumatic", {"time_constant_s": 1e-300}),
    ],
)
def test_an_absurd_figure_is_refused_by_its_name(cell_params, kind, absurd):
    (name,) = absurd
    with pytest.raises(ValueError, match=f"parameters of actuator 0: {name} = "):
        Pack([cell_params], [Stack(StackParams(), ActuatorParams(kind=kind, **absurd))])
