"""The screw's controller by the pulse: half steps, owed shares of a step, and numbers that round just below one."""

from dataclasses import replace

import pytest
from assb_kernels import ActuatorParams, CellParams, Pack, Stack, StackParams

STEP_MPA = 0.1
SCREW = ActuatorParams(kind="stepper", um_per_step=2.0, steps_per_s_max=100.0)


def pressed(cell_params: CellParams, actuator: ActuatorParams) -> Pack:
    """5 MPa on contents that keep their height; 0.1 MPa a step."""
    still = replace(cell_params, swelling_um_per_mah_cm2=0.0, expansion_um_per_k=0.0)
    return Pack([still], [Stack(StackParams(stiffness_mpa_per_um=0.05, viscous_frac=(0.0, 0.0)), actuator)])


def counts(pack: Pack, ticks: int, dt_s: float, **inputs) -> list[int]:
    seen = []
    for _ in range(ticks):
        pack.step(0.0, dt_s, **inputs)
        seen.append(pack.stacks[0].steps)
    return seen


@pytest.mark.parametrize(
    ("miss_steps", "steps"), [(0.4, 0), (0.49, 0), (0.51, 1), (0.9, 1), (1.4, 1), (1.6, 2), (2.49, 2)]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_the_controller_goes_to_the_nearest_whole_step(cell_params, miss_steps, steps, sign):
    pack = pressed(cell_params, SCREW)
    assert counts(pack, 5, 1.0, aim_mpa=5.0 - sign * miss_steps * STEP_MPA) == [sign * steps] * 5


def test_a_deadband_wider_than_half_a_step_holds_and_is_left_beyond_it(cell_params):
    pack = pressed(cell_params, replace(SCREW, deadband_mpa=0.15))
    assert counts(pack, 3, 1.0, aim_mpa=5.149) == [0] * 3
    assert counts(pack, 3, 1.0, aim_mpa=5.151) == [-2] * 3


@pytest.mark.parametrize(("aim_mpa", "sign"), [(4.5, 1), (5.5, -1)])
def test_shares_of_a_step_add_up_towards_an_aim(cell_params, aim_mpa, sign):
    pack = pressed(cell_params, replace(SCREW, steps_per_s_max=0.5))
    assert counts(pack, 6, 1.0, aim_mpa=aim_mpa) == [0, sign, sign, 2 * sign, 2 * sign, 3 * sign]


def test_a_share_that_is_owed_one_way_is_not_owed_the_other_way(cell_params):
    pack = pressed(cell_params, replace(SCREW, steps_per_s_max=0.5))
    assert counts(pack, 1, 1.0, aim_mpa=4.0) == [0]
    assert counts(pack, 4, 1.0, aim_mpa=6.0) == [0, -1, -1, -2]


def test_a_share_is_forgotten_once_the_aim_is_reached(cell_params):
    pack = pressed(cell_params, replace(SCREW, steps_per_s_max=0.5))
    assert counts(pack, 1, 1.0, aim_mpa=4.0) == [0]
    assert counts(pack, 1, 1.0, aim_mpa=5.0) == [0]
    assert counts(pack, 2, 1.0, aim_mpa=4.0) == [0, 1]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("pieces", [3, 10, 49])
def test_a_step_is_due_when_its_shares_make_one_although_their_sum_rounds_below(cell_params, sign, pieces):
    pack = pressed(cell_params, SCREW)
    steps = counts(pack, 4 * pieces, 1.0 / pieces, steps_per_s=float(sign))
    assert steps == [sign * (tick // pieces) for tick in range(1, 4 * pieces + 1)]


@pytest.mark.parametrize("share", [0.99, 0.9999999])
def test_a_step_that_is_not_due_is_not_taken(cell_params, share):
    pack = pressed(cell_params, SCREW)
    assert counts(pack, 1, 1.0, steps_per_s=share) == [0]


@pytest.mark.parametrize("steps", [3, 6, 7, 23])
def test_a_switch_that_stands_on_a_whole_step_lets_it_be_taken(cell_params, steps):
    pack = pressed(cell_params, replace(SCREW, um_per_step=0.1, gap_max_um=0.1 * steps, gap_min_um=-0.1 * steps))
    assert counts(pack, 1, 1.0, steps_per_s=100.0) == [steps]
    assert pack.stacks[0].at_max
    assert counts(pack, 1, 1.0, steps_per_s=-100.0) == [-steps]
    assert pack.stacks[0].at_min
