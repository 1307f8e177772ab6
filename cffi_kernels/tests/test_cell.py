"""The simulated cell against what physics demands of it: nothing here knows how the kernel computes."""

import math
import random
from array import array
from dataclasses import replace
from itertools import pairwise

import pytest
from assb_kernels import STATUS_TEXT, Cell, CellParams, ocv_table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TICK_S = 0.1
ANY = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
seeds = st.integers(0, 2**32)


def load(seed: int, count: int, largest_a: float = 0.6) -> array:
    """Currents that hold for 1 to 20 samples."""
    rng = random.Random(seed)
    out: list[float] = []
    while len(out) < count:
        out += [rng.uniform(-largest_a, largest_a)] * rng.randint(1, 20)
    return array("d", out[:count])


@ANY
@given(seed=seeds, short_s=st.sampled_from([0.0, 0.01, 0.1]))
def test_charge_is_conserved(cell_params, seed, short_s):
    cell = Cell(cell_params, soc=0.5)
    current = load(seed, 600)
    before_a = cell.voltage_v * short_s
    out = cell.run(current, TICK_S, short_s=short_s, results=("soc", "voltage_v"))
    voltages = [before_a / (short_s or 1), *out["voltage_v"]]
    short_as = sum(short_s * 0.5 * (a + b) * TICK_S for a, b in pairwise(voltages))
    moved = (sum(current) * TICK_S - short_as) / (3600 * cell_params.capacity_ah)
    # without a short to rounding; with one, the step takes its voltage from the start
    assert cell.soc - 0.5 == pytest.approx(moved, abs=1e-12 if short_s == 0 else 2e-5)


@ANY
@given(seed=seeds, short_s=st.sampled_from([0.0, 0.05]))
def test_energy_is_conserved(cell_params, seed, short_s):
    """What goes in at the terminals is in the OCV's charge, in the RC pairs or has become heat."""
    params = replace(cell_params, hysteresis_v=0.01)  # no entropy: its heat comes from the surroundings
    cell = Cell(params, soc=0.5)
    tick_s = 0.02
    current = load(seed, 3000)
    electrical_j = stored_j = heat_j = 0.0
    for current_a in current:
        ocv_v, inner_a = cell.ocv_v - 0.01 * cell.hysteresis, current_a - cell.short_a
        cell.step(current_a, tick_s, short_s=short_s)
        electrical_j += cell.voltage_v * current_a * tick_s
        stored_j += ocv_v * inner_a * tick_s
        heat_j += cell.heat_w * tick_s
    warm = math.exp(0.34 / 8.617333e-5 * (1 / (cell.temperature_degc + 273.15) - 1 / 298.15))
    in_rc_j = sum(
        0.5 * tau_s / (ohm * warm) * volts**2
        for ohm, tau_s, volts in zip(params.rc_ohm, params.rc_tau_s, cell.rc_v, strict=True)
    )
    through_j = sum(abs(i) for i in current) * tick_s * 3.8
    assert electrical_j - stored_j - in_rc_j - heat_j == pytest.approx(0.0, abs=1e-3 * through_j)


def test_heat_warms_the_cell_and_leaves_it_again(cell_params):
    cell = Cell(cell_params)
    heat_j = 0.0
    for _ in range(3000):
        cell.step(1.2, TICK_S)
        heat_j += cell.heat_w * TICK_S
    held_j = cell_params.core_j_per_k * (cell.temperature_degc - 25) + cell_params.surface_j_per_k * (
        cell.surface_degc - 25
    )
    assert 0 < held_j < heat_j
    assert cell.temperature_degc > cell.surface_degc > 25.0
    for _ in range(30000):
        cell.step(0.0, TICK_S)
    assert cell.temperature_degc == pytest.approx(25.0, abs=0.01)


@pytest.mark.parametrize("short_ohm", [1000.0, 100.0, 10.0, 1.0, 0.05])
def test_closing_a_short_dips_by_the_voltage_divider(cell_params, short_ohm):
    cell = Cell(cell_params, soc=0.6)
    before_v, r0_ohm = cell.voltage_v, cell.r0_ohm
    cell.step(0.0, 1e-7, short_s=1 / short_ohm)
    dip_v = before_v * r0_ohm / (short_ohm + r0_ohm)
    assert before_v - cell.voltage_v == pytest.approx(dip_v, rel=1e-4)
    assert cell.short_a == pytest.approx(cell.voltage_v / short_ohm)


def test_leak_takes_a_percent_of_soc_in_the_time_that_arithmetic_says(cell_params):
    """Time to 1 % SOC = 9.7 s * Rs * Q at 3.7 V."""
    cell = Cell(cell_params, soc=0.5)
    seconds = 9.7 * 10 * 0.6
    for _ in range(int(seconds / TICK_S)):
        cell.step(0.0, TICK_S, short_s=0.1)
    assert 0.5 - cell.soc == pytest.approx(0.01, rel=0.06)


def test_hard_short_empties_the_cell_and_stays_finite(cell_params):
    cell = Cell(cell_params, soc=0.9)
    for _ in range(36000):
        cell.step(0.0, TICK_S, short_s=1 / 0.02)
        assert math.isfinite(cell.voltage_v)
        assert -0.5 < cell.voltage_v < 4.5
    assert cell.soc < 0.01
    assert abs(cell.short_a) < 1.0


@ANY
@given(
    cold=st.floats(-20, 79),
    warmer=st.floats(0.5, 40),
    mpa=st.floats(0.06, 100),
    harder=st.floats(1.01, 5.0),
)
def test_r0_falls_with_temperature_and_pressure(cell_params, cold, warmer, mpa, harder):
    cell = Cell(cell_params)
    assert cell.r0_at_ohm(cold + warmer, mpa) < cell.r0_at_ohm(cold, mpa)
    assert cell.r0_at_ohm(cold, mpa * harder) < cell.r0_at_ohm(cold, mpa)


def test_r0_at_the_reference_is_the_areal_figure_over_the_area(cell_params):
    cell = Cell(cell_params)
    assert cell.r0_at_ohm(25.0, 5.0) == pytest.approx((10 + 15) / (4 * 22.0))
    assert cell.r0_at_ohm(25.0, 10.0) == pytest.approx((10 + 15 * 2**-0.55) / (4 * 22.0))


@ANY
@given(seed=seeds)
def test_pressure_is_never_negative_and_nothing_is_nan(cell_params, seed):
    rng = random.Random(seed)
    cell = Cell(replace(cell_params, creep_um_per_s=1e-4), soc=rng.random(), pressure_mpa=rng.uniform(0, 20))
    for _ in range(300):
        status = cell.step(
            rng.uniform(-3, 3),
            rng.choice((0.01, 0.1, 1.0, 10.0)),
            rng.uniform(-30, 80),
            rng.uniform(0, 20),
            gap_rate_um_s=rng.uniform(-50, 50),
            short_s=rng.choice((0.0, 0.01, 1.0)),
        )
        assert status == 0
        assert 0.0 <= cell.pressure_mpa < 1e4
        assert all(map(math.isfinite, (cell.voltage_v, cell.soc, cell.temperature_degc, cell.gap_um, cell.heat_w)))


def fixed_gap(cell_params: CellParams, **change) -> CellParams:
    still = {"piston_um_per_s_mpa": 0.0, "viscous_frac": (0.0, 0.0), "expansion_um_per_k": 0.0}
    return replace(cell_params, **still | change)


def test_swelling_in_a_fixed_gap_presses_by_the_stiffness(cell_params):
    cell = Cell(fixed_gap(cell_params), soc=0.3, pressure_mpa=5.0)
    for _ in range(12000):
        cell.step(0.3, TICK_S)
    layer_mah_cm2 = 1000 * 0.3 * 1200 / 3600 / (4 * 22.0)
    assert cell.pressure_mpa - 5.0 == pytest.approx(0.02 * 4 * 4.25 * layer_mah_cm2, rel=1e-9)


def test_a_screw_that_opens_lowers_the_pressure_by_k(cell_params):
    cell = Cell(fixed_gap(cell_params), pressure_mpa=5.0)
    for _ in range(100):
        cell.step(0.0, TICK_S, gap_rate_um_s=1.0)
    assert cell.pressure_mpa == pytest.approx(5.0 - 0.02 * 10.0)


def test_piston_sticks_within_friction_and_follows_beyond_it(cell_params):
    cell = Cell(cell_params, pressure_mpa=5.0)
    gap_um = cell.gap_um
    for _ in range(100):
        cell.step(0.0, TICK_S, drive_mpa=5.09)
    assert cell.gap_um == gap_um
    for _ in range(3000):
        cell.step(0.0, TICK_S, drive_mpa=6.0)
    assert cell.gap_um < gap_um
    assert cell.pressure_mpa == pytest.approx(6.0 - 0.1, abs=0.01)


def test_pressure_relaxes_after_a_step_and_recovers_after_its_removal(cell_params):
    cell = Cell(fixed_gap(cell_params, viscous_frac=(0.10, 0.15)), pressure_mpa=5.0)
    cell.step(0.0, TICK_S, gap_rate_um_s=-500.0)
    peak_mpa = cell.pressure_mpa
    for _ in range(3600):
        cell.step(0.0, 1.0)
    assert peak_mpa == pytest.approx(6.0, abs=0.01)
    assert cell.pressure_mpa == pytest.approx(6.0 - 0.1 - 0.15 * (1 - math.exp(-0.18)), abs=0.01)


def test_creep_loses_height_for_good(cell_params):
    cell = Cell(fixed_gap(cell_params, creep_um_per_s=0.001), pressure_mpa=5.0)
    for _ in range(3600):
        cell.step(0.0, 1.0)
    assert cell.creep_um == pytest.approx(3.4, abs=0.3)  # 3.6 if the pressure had stayed at 5 MPa
    assert cell.pressure_mpa == pytest.approx(5.0 - 0.02 * cell.creep_um, abs=1e-3)


@pytest.mark.parametrize("short_s", [0.0, 0.1])
def test_halving_the_time_step_converges(cell_params, short_s):
    """First order: each halving halves the distance to the next one."""

    def end(tick_s: float) -> tuple[float, ...]:
        cell = Cell(cell_params, soc=0.5, pressure_mpa=4.0)
        for k in range(round(300 / tick_s)):
            cell.step(0.6 if (k * tick_s) % 60 < 30 else -0.3, tick_s, 30.0, 5.0, short_s=short_s)
        return cell.voltage_v, cell.soc, cell.temperature_degc, cell.pressure_mpa

    coarse, middle, fine = end(0.2), end(0.1), end(0.05)
    for a, b, c in zip(coarse, middle, fine, strict=True):
        assert abs(b - c) < 0.6 * abs(a - b) + 1e-9
        assert abs(b - c) < 1e-3 * max(1.0, abs(c))


def test_hysteresis_ends_on_the_side_of_the_current(cell_params):
    cell = Cell(replace(cell_params, hysteresis_v=0.05, hysteresis_rate=100.0), soc=0.5)
    for _ in range(3000):
        cell.step(0.6, TICK_S)
    assert cell.hysteresis == pytest.approx(1.0, abs=1e-3)
    for _ in range(3000):
        cell.step(-0.6, TICK_S)
    assert cell.hysteresis == pytest.approx(-1.0, abs=1e-3)


def test_batch_equals_steps(cell_params):
    current = load(3, 500)
    one, many = Cell(cell_params), Cell(cell_params)
    stepped = []
    for current_a in current:
        one.step(current_a, TICK_S, 30.0, 5.5, short_s=0.01)
        stepped.append(one.voltage_v)
    out = many.run(current, TICK_S, 30.0, 5.5, short_s=0.01)
    assert list(out["voltage_v"]) == stepped
    assert one.state_bytes() == many.state_bytes()


@pytest.mark.parametrize(
    "bad",
    [
        {"current_a": math.nan},
        {"dt_s": 0.0},
        {"dt_s": math.inf},
        {"ambient_degc": -300.0},
        {"drive_mpa": math.nan},
        {"gap_rate_um_s": math.inf},
        {"short_s": -0.1},
    ],
)
def test_bad_input_returns_a_status_and_leaves_the_state_untouched(cell_params, bad):
    cell = Cell(cell_params)
    cell.step(0.1, TICK_S)
    before = cell.state_bytes()
    status = cell.step(**{"current_a": 0.1, "dt_s": TICK_S} | bad)
    assert status < 0
    assert status in STATUS_TEXT
    assert cell.state_bytes() == before


def test_bad_set_up_is_an_exception_that_says_what(cell_params):
    with pytest.raises(ValueError, match="128 values, needs 129"):
        Cell(replace(cell_params, ocv_v=[3.7] * 128))
    with pytest.raises(ValueError, match="positive figure"):
        Cell(replace(cell_params, capacity_ah=0.0))
    with pytest.raises(ValueError, match="SOC"):
        Cell(cell_params, soc=1.5)
    with pytest.raises(ValueError, match="input 2 refused"):
        Cell(cell_params).run([0.0, 0.0, math.nan], TICK_S)
    with pytest.raises(ValueError, match="soc must rise"):
        ocv_table([0.0, 0.0, 1.0], [3.0, 3.1, 3.2])


def test_ocv_table_resamples_linearly():
    table = ocv_table([0.0, 0.25, 1.0], [3.0, 3.5, 4.0])
    assert table[0] == 3.0
    assert table[16] == pytest.approx(3.25)
    assert table[32] == pytest.approx(3.5)
    assert table[-1] == pytest.approx(4.0)
