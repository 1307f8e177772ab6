"""The mechanics of one stack: stiffness, relaxation and creep, each against its closed form."""

import math
from dataclasses import replace

import pytest
from assb_kernels import ActuatorParams, CellParams, Pack, Stack, StackParams
from hypothesis import given, settings
from hypothesis import strategies as st

SCREW = ActuatorParams(kind="stepper", um_per_step=0.01, steps_per_s_max=1e6)
ELASTIC = StackParams(stiffness_mpa_per_um=0.02, viscous_frac=(0.0, 0.0))
ANY = settings(max_examples=40, deadline=None)


def still(cell_params: CellParams) -> CellParams:
    """Without swelling and expansion: its height never changes."""
    return replace(cell_params, swelling_um_per_mah_cm2=0.0, expansion_um_per_k=0.0)


def test_swelling_in_a_fixed_gap_presses_by_the_stiffness(cell_params):
    pack = Pack([replace(cell_params, expansion_um_per_k=0.0)], [Stack(ELASTIC)], soc=0.3, pressure_mpa=5.0)
    pack.run([0.3] * 12000, 0.1)
    layer_mah_cm2 = 1000 * 0.3 * 1200 / 3600 / (4 * 22.0)
    assert pack.stacks[0].pressure_mpa - 5.0 == pytest.approx(0.02 * 4 * 4.25 * layer_mah_cm2, rel=1e-9)


@pytest.mark.parametrize("opened_um", [-30.0, 10.0, 100.0])
def test_a_wider_gap_lowers_the_pressure_by_k(cell_params, opened_um):
    pack = Pack([still(cell_params)], [Stack(ELASTIC, SCREW)], pressure_mpa=5.0)
    pack.step(0.0, 1.0, steps_per_s=opened_um / 0.01)
    assert pack.stacks[0].pressure_mpa == pytest.approx(5.0 - 0.02 * opened_um)


def test_a_stack_that_is_pressed_since_long_stays_as_it_is(cell_params):
    pack = Pack([still(cell_params)], [Stack(StackParams())], pressure_mpa=5.0)
    pack.run([0.0] * 100, 600.0)
    assert pack.stacks[0].pressure_mpa == pytest.approx(5.0, abs=1e-9)


@pytest.mark.parametrize("dt_s", [1.0, 60.0, 3600.0])
def test_pressure_relaxes_after_a_step_by_its_shares(cell_params, dt_s):
    """10 um closed at once; then 10 % of that is lost with 600 s and 15 % with 20000 s, whatever the time step."""
    pack = Pack([still(cell_params)], [Stack(StackParams(stiffness_mpa_per_um=0.02), SCREW)], pressure_mpa=5.0)
    pack.step(0.0, 1e-3, steps_per_s=-1e6)
    step_mpa = pack.stacks[0].pressure_mpa - 5.0
    pack.run([0.0] * round(3600 / dt_s), dt_s)
    lost = 0.10 * -math.expm1(-3600 / 600) + 0.15 * -math.expm1(-3600 / 2e4)
    assert step_mpa == pytest.approx(0.2, rel=1e-5)
    assert pack.stacks[0].pressure_mpa - 5.0 == pytest.approx(step_mpa * (1 - lost), rel=1e-6)


@ANY
@given(pieces=st.integers(1, 400))
def test_a_ramp_of_height_relaxes_exactly_whatever_the_time_step(cell_params, pieces):
    """s' = (f e - s)/tau under e = rate t: s = f rate (t - tau (1 - exp(-t/tau)))."""
    params = replace(cell_params, expansion_um_per_k=0.0)
    pack = Pack([params], [Stack(StackParams(stiffness_mpa_per_um=0.02))], soc=0.1, pressure_mpa=1.0)
    span_s = 3600.0
    pack.run([0.3] * pieces, span_s / pieces)
    rate = 0.02 * 4 * 4.25 * 1000 * 0.3 / 3600 / (4 * 22.0)
    lost = sum(f * rate * (span_s + tau * math.expm1(-span_s / tau)) for f, tau in ((0.10, 600.0), (0.15, 2e4)))
    assert pack.stacks[0].pressure_mpa == pytest.approx(1.0 + rate * span_s - lost, rel=1e-9)


@ANY
@given(pieces=st.integers(1, 300), exponent=st.sampled_from([1.0, 2.0, 6.6]), um_per_s=st.floats(1e-5, 0.1))
def test_creep_follows_its_power_law_exactly_whatever_the_time_step(cell_params, pieces, exponent, um_per_s):
    """P' = -k c (P/P0)^n; with n = 1 an exponential."""
    params = replace(ELASTIC, creep_um_per_s=um_per_s, creep_exponent=exponent, creep_pressure_mpa=4.0)
    pack = Pack([still(cell_params)], [Stack(params)], pressure_mpa=5.0)
    span_s = 7200.0
    pack.run([0.0] * pieces, span_s / pieces)
    x = 0.02 * um_per_s * (5.0 / 4.0) ** exponent * span_s / 5.0
    left = math.exp(-x) if exponent == 1.0 else (1 + (exponent - 1) * x) ** (-1 / (exponent - 1))
    stack = pack.stacks[0]
    assert stack.creep_um == pytest.approx(5.0 * (1 - left) / 0.02, rel=1e-6)
    assert stack.pressure_mpa == pytest.approx(5.0 - 0.02 * stack.creep_um, rel=1e-12)


@ANY
@given(
    moves=st.lists(st.tuples(st.floats(-2000, 2000), st.sampled_from([0.01, 1.0, 100.0, 1e5])), max_size=20),
    start_mpa=st.floats(0.0, 20.0),
)
def test_pressure_is_never_negative_nor_nan(cell_params, moves, start_mpa):
    params = StackParams(creep_um_per_s=1e-3)
    pack = Pack([cell_params], [Stack(params, SCREW)], pressure_mpa=start_mpa)
    for moved_um, dt_s in moves:
        assert pack.step(0.0, dt_s, steps_per_s=moved_um / 0.01 / dt_s) == 0
        assert 0.0 <= pack.stacks[0].pressure_mpa < 1e3
        assert math.isfinite(pack.cells[0].voltage_v)


@pytest.mark.parametrize(
    "bad",
    [
        {"stiffness_mpa_per_um": 0.0},
        {"viscous_frac": (0.6, 0.4)},
        {"viscous_frac": (-0.1, 0.1)},
        {"viscous_tau_s": (0.0, 1.0)},
        {"creep_um_per_s": -1.0},
        {"creep_exponent": 0.5},
        {"creep_pressure_mpa": math.nan},
        {"creep_most_um": -1.0},
        {"creep_most_um": math.nan},
        {"creep_um_per_s": 1e300},
        {"creep_exponent": 1e3},
        {"stiffness_mpa_per_um": 1e307},
        {"viscous_tau_s": (1e-300, 1.0)},
    ],
)
def test_a_stack_that_makes_no_sense_is_refused_by_its_number(cell_params, bad):
    with pytest.raises(ValueError, match="parameters of stack 1"):
        Pack([cell_params, cell_params], [Stack(), Stack(replace(StackParams(), **bad))])


@ANY
@given(pieces=st.integers(1, 300), most_um=st.floats(1.0, 500.0), um_per_s=st.floats(1e-4, 0.1))
def test_creep_comes_to_rest_at_the_lithium_that_stands_there(cell_params, pieces, most_um, um_per_s):
    """On a soft spring the pressure holds, and c' = r (1 - c/most) has the solution most (1 - e^(-r t/most))."""
    params = replace(
        ELASTIC, stiffness_mpa_per_um=1e-9, creep_um_per_s=um_per_s, creep_pressure_mpa=5.0, creep_most_um=most_um
    )
    pack = Pack([still(cell_params)], [Stack(params)], pressure_mpa=5.0)
    span_s = 36000.0
    pack.run([0.0] * pieces, span_s / pieces)
    expected_um = most_um * -math.expm1(-um_per_s * span_s / most_um)
    assert pack.stacks[0].creep_um == pytest.approx(expected_um, rel=1e-6)
    for _ in range(20):
        pack.step(0.0, 1e6)
    assert pack.stacks[0].creep_um <= most_um
    assert pack.stacks[0].creep_um > 0.98 * most_um


def test_a_stack_without_lithium_does_not_creep(cell_params):
    pack = Pack([cell_params], [Stack(replace(ELASTIC, creep_um_per_s=1.0, creep_most_um=0.0))])
    pack.run([0.0] * 100, 3600.0)
    assert pack.stacks[0].creep_um == 0.0
