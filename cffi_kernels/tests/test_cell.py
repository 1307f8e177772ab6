"""The simulated cell against what physics demands of it: nothing here knows how the kernel computes.

It stands in a stack so soft that the pressure stays; what stacks and packs do is tested beside them.
"""

import math
import random
from array import array
from dataclasses import replace
from itertools import pairwise

import pytest
from assb_kernels import (
    STATUS_TEXT,
    AgeingParams,
    CellParams,
    FilamentParams,
    Pack,
    Stack,
    StackParams,
    VoidParams,
    ocv_table,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

TICK_S = 0.1
SOFT = Stack(StackParams(stiffness_mpa_per_um=1e-9, viscous_frac=(0.0, 0.0)))
ANY = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
seeds = st.integers(0, 2**32)
ticks = st.sampled_from([0.01, 0.1, 1.0, 10.0])
shorts = st.sampled_from([0.0, 0.01, 0.1, 5.0])


def alone(params: CellParams, soc: float = 0.5, pressure_mpa: float = 5.0, seed: int = 0) -> Pack:
    return Pack([params], [SOFT], soc=soc, pressure_mpa=pressure_mpa, seed=seed)


def load(seed: int, count: int, largest_a: float = 0.6) -> array:
    """Currents that hold for 1 to 20 samples."""
    rng = random.Random(seed)
    out: list[float] = []
    while len(out) < count:
        out += [rng.uniform(-largest_a, largest_a)] * rng.randint(1, 20)
    return array("d", out[:count])


def everything_on(params: CellParams) -> CellParams:
    return replace(
        params,
        entropy_v_per_k=[-1e-4 + 1e-6 * k for k in range(129)],
        rc_factor=[1.5 - k / 128 for k in range(129)],
        swelling_frac=[(k / 128) ** 2 for k in range(129)],
        hysteresis_v=0.02,
        voids=VoidParams(rate_per_s=1e-3, heal_per_s=1e-4, height_um=1.0),
        filament=FilamentParams(
            growth_per_s=0.02,
            creep_per_s=(1e-6, 1e-9),
            creep_exponent=(2.0, 10.0),
            healing_per_s=1e-4,
            bridge_per_s=0.1,
            burn_median_j=1.0,
            deepen_per_s=0.01,
        ),
        ageing=AgeingParams(calendar_frac_per_rt_day=0.01, cycle_frac_per_rt_cycle=0.001, resistance_per_loss=2.0),
    )


def ocv_integral_v(params: CellParams, soc: float) -> float:
    """Of the OCV table from SOC 0, exactly."""
    total, table = 0.0, params.ocv_v
    for k, (low, high) in enumerate(pairwise(table)):
        share = min(max(soc * 128 - k, 0.0), 1.0)
        total += share * (low + 0.5 * share * (high - low)) / 128
    return total


@ANY
@given(seed=seeds, tick_s=ticks, short_s=shorts)
def test_charge_is_conserved(cell_params, seed, tick_s, short_s):
    """What went in at the terminals less what the short took, for any step: V mean times Gs."""
    pack, (cell,) = (made := alone(cell_params)), made.cells
    as_in, as_short = [], []
    for current_a in load(seed, 100, 0.3 if tick_s > 1 else 0.6):
        pack.step(current_a, tick_s, short_s=[short_s])
        as_in.append(current_a * tick_s)
        as_short.append(cell.mean_voltage_v * short_s * tick_s)
    moved = (math.fsum(as_in) - math.fsum(as_short)) / (3600 * cell_params.capacity_ah)
    assert cell.soc - 0.5 == pytest.approx(moved, abs=1e-12)


@ANY
@given(seed=seeds, tick_s=st.sampled_from([0.01, 0.1, 1.0]), short_s=shorts, varying=st.booleans())
def test_energy_is_conserved(cell_params, seed, tick_s, short_s, varying):
    """What goes in at the terminals is in the OCV's charge, in the RC pairs or has become heat.

    Without entropy: its heat comes from the surroundings."""
    params = replace(cell_params, hysteresis_v=0.01)
    if varying:
        params = replace(everything_on(params), entropy_v_per_k=0.0, ageing=AgeingParams())
    pack, (cell,) = (made := alone(params)), made.cells
    in_j, heat_j, through_j = [], [], []
    largest_soc = 0.0  # moved in one step
    for current_a in load(seed, 300 if short_s < 1 else 60):
        before_soc = cell.soc
        pack.step(current_a, tick_s, short_s=[short_s])
        assert 0 < cell.soc < 1
        largest_soc = max(largest_soc, abs(cell.soc - before_soc))
        in_j.append(cell.mean_voltage_v * current_a * tick_s)
        heat_j.append(cell.heat_w * tick_s)
        through_j.append(abs(in_j[-1]) + abs(heat_j[-1]))
    held_j = 3600 * params.capacity_ah * (ocv_integral_v(params, cell.soc) - ocv_integral_v(params, 0.5))
    open_j = math.fsum(in_j) - math.fsum(heat_j) - held_j - cell.stored_j
    # a step that crosses a knot of the OCV takes one slope for both of its parts: second order in the step's charge
    bound = 1e-9 + largest_soc**2
    assert open_j == pytest.approx(0.0, abs=bound * math.fsum(through_j))


@ANY
@given(seed=seeds, tick_s=ticks)
def test_heat_is_in_the_cell_or_has_left_it(cell_params, seed, tick_s):
    pack, (cell,) = (made := alone(cell_params)), made.cells
    balance_j = []
    for current_a in load(seed, 200):
        pack.step(current_a, tick_s, ambient_degc=20.0, heater_w=0.5)
        left_w = cell_params.surface_ambient_w_per_k * (cell.surface_degc - 20.0)
        balance_j.append((cell.heat_w + 0.5 - left_w) * tick_s)
    held_j = cell_params.core_j_per_k * (cell.temperature_degc - 25) + cell_params.surface_j_per_k * (
        cell.surface_degc - 25
    )
    assert held_j == pytest.approx(math.fsum(balance_j), abs=1e-8 * math.fsum(map(abs, balance_j)))


def test_heater_warms_by_the_resistance_to_the_room(cell_params):
    pack = alone(replace(cell_params, ambient_offset_k=2.0))
    for _ in range(3000):
        pack.step(0.0, 1.0, ambient_degc=20.0, heater_w=5.0)
    assert pack.cells[0].surface_degc == pytest.approx(20.0 + 2.0 + 5.0 / 0.5, abs=0.01)
    assert pack.cells[0].temperature_degc == pytest.approx(pack.cells[0].surface_degc, abs=0.01)


@pytest.mark.parametrize(("entropy", "warms"), [(-1e-3, -1), (1e-3, 1)])
def test_entropic_heat_has_bernardis_sign(cell_params, entropy, warms):
    """Charging absorbs T dS: with dU/dT < 0 a charge cools, with dU/dT > 0 it warms, beyond what resistance does."""
    current_a, still = 0.01, replace(cell_params, entropy_v_per_k=0.0)
    heats = []
    for params in (still, replace(still, entropy_v_per_k=entropy)):
        pack = alone(params)
        pack.step(current_a, TICK_S)
        heats.append(pack.cells[0].heat_w)
    assert heats[1] - heats[0] == pytest.approx(warms * current_a * 298.15 * 1e-3, rel=1e-3)


def test_entropy_follows_its_curve(cell_params):
    curve = [1e-4 * math.sin(k / 20) for k in range(129)]
    cell = alone(replace(cell_params, entropy_v_per_k=curve)).cells[0]
    for k in (0, 31, 64, 128):
        assert cell.ocv_at_v(k / 128, 45.0) - cell.ocv_at_v(k / 128, 25.0) == pytest.approx(20 * curve[k], abs=1e-12)


@pytest.mark.parametrize("short_ohm", [1000.0, 100.0, 10.0, 1.0, 0.05])
def test_closing_a_short_dips_by_the_voltage_divider(cell_params, short_ohm):
    pack, (cell,) = (made := alone(cell_params, soc=0.6)), made.cells
    before_v, r0_ohm = cell.voltage_v, cell.r0_ohm
    pack.step(0.0, 1e-7, short_s=[1 / short_ohm])
    dip_v = before_v * r0_ohm / (short_ohm + r0_ohm)
    assert before_v - cell.voltage_v == pytest.approx(dip_v, rel=1e-4)
    assert cell.short_a == pytest.approx(cell.voltage_v / short_ohm)


def test_leak_takes_a_percent_of_soc_in_the_time_that_arithmetic_says(cell_params):
    """Time to 1 % SOC = 9.7 s * Rs * Q at 3.7 V."""
    pack = alone(cell_params)
    for _ in range(int(9.7 * 10 * 0.6 / TICK_S)):
        pack.step(0.0, TICK_S, short_s=[0.1])
    assert 0.5 - pack.cells[0].soc == pytest.approx(0.01, rel=0.06)


@pytest.mark.parametrize("tick_s", [0.1, 1.0, 10.0, 600.0])
def test_hard_short_empties_the_cell_and_stays_calm(cell_params, tick_s):
    """20 milliohm, up to steps much longer than any time constant: the charge goes, and nothing rings."""
    pack, (cell,) = (made := alone(cell_params, soc=0.9)), made.cells
    for _ in range(int(36000 / tick_s)):
        pack.step(0.0, tick_s, short_s=[1 / 0.02])
        assert -0.5 < cell.voltage_v < 4.5
        assert -0.2 < cell.soc <= 0.9
    assert cell.soc < 0.01
    assert abs(cell.short_a) < 1.0


@ANY
@given(cold=st.floats(-20, 79), warmer=st.floats(0.5, 40), mpa=st.floats(0.06, 100), harder=st.floats(1.01, 5.0))
def test_r0_falls_with_temperature_and_pressure(cell_params, cold, warmer, mpa, harder):
    cell = alone(cell_params).cells[0]
    assert cell.r0_at_ohm(cold + warmer, mpa) < cell.r0_at_ohm(cold, mpa)
    assert cell.r0_at_ohm(cold, mpa * harder) < cell.r0_at_ohm(cold, mpa)


def test_r0_at_the_reference_is_the_areal_figure_over_the_area(cell_params):
    cell = alone(cell_params).cells[0]
    assert cell.r0_at_ohm(25.0, 5.0) == pytest.approx((10 + 15) / (4 * 22.0))
    assert cell.r0_at_ohm(25.0, 10.0) == pytest.approx((10 + 15 * 2**-0.55) / (4 * 22.0))
    assert cell.r0_at_ohm(25.0, 0.0) == cell.r0_at_ohm(25.0, 0.05)


@pytest.mark.parametrize("dt_s", [0.01, 0.1, 1.0])
def test_r0_of_a_step_is_that_of_its_temperature_and_pressure(cell_params, dt_s):
    """The kernel may take a short way along slow changes; the law must come out."""
    pack, (cell,) = (made := Pack([cell_params], [Stack()], pressure_mpa=2.0)), made.cells
    for current_a in load(9, 2000, 1.5):
        pressed_mpa = pack.stacks[0].pressure_mpa
        pack.step(current_a, dt_s, ambient_degc=60.0)
        law_ohm = cell.r0_at_ohm(cell.temperature_degc, pressed_mpa)
        assert cell.r0_ohm == pytest.approx(law_ohm, rel=2e-13)


def test_rc_pairs_follow_their_factor_over_soc(cell_params):
    """After long the pairs hold I R; warmth taken out by slow cooling is in R0 as well."""
    ends = []
    for factor in (1.0, 3.0):
        still = replace(cell_params, rc_factor=factor, rc_activation_ev=0.0, rc_tau_s=(1.0, 2.0, 3.0))
        pack = alone(still)
        for _ in range(60):
            pack.step(0.1, 1.0)
        ends.append(sum(pack.cells[0].rc_v))
    assert ends[0] == pytest.approx(-0.1 * 0.028, rel=1e-6)
    assert ends[1] == pytest.approx(3 * ends[0], rel=1e-6)


def test_height_follows_the_swelling_curve_and_the_warmth(cell_params):
    shape = [(k / 128) ** 2 for k in range(129)]
    params = replace(cell_params, swelling_frac=shape)
    full_um = 4 * 4.25 * 1000 * 0.6 / (4 * 22.0)
    for soc in (0.0, 0.25, 0.5, 1.0):
        assert alone(params, soc=soc).cells[0].height_um == pytest.approx(full_um * soc**2)
    warm = Pack([params], [SOFT], soc=0.5, temperature_degc=45.0).cells[0]
    assert warm.height_um - full_um / 4 == pytest.approx(0.02 * 20)


@ANY
@given(seed=seeds)
def test_nothing_is_ever_nan_or_infinite(cell_params, seed):
    rng = random.Random(seed)
    pack = Pack([everything_on(cell_params)], [Stack()], soc=rng.random(), pressure_mpa=rng.uniform(0, 20), seed=seed)
    (cell,), (stack,) = pack.cells, pack.stacks
    for _ in range(300):
        status = pack.step(
            rng.choice((rng.uniform(-3, 3), 1e6 * rng.uniform(-1, 1) ** 9)),
            10 ** rng.uniform(-9, 6),
            rng.uniform(-270, 900),
            rng.uniform(-1e3, 1e3),
            short_s=[rng.choice((0.0, 0.01, 1.0, 1e6))],
        )
        assert status == 0
        assert stack.pressure_mpa >= 0.0
        assert 0.0 <= cell.theta < 1.0
        assert 0.0 <= cell.filament_length <= 1.0
        assert all(map(math.isfinite, array("d", cell_figures(cell))))


def cell_figures(cell) -> list[float]:
    names = (
        "voltage_v mean_voltage_v ocv_v r0_ohm soc hysteresis temperature_degc surface_degc theta filament_length"
        " short_a short_s heat_w stored_j height_um capacity_ah capacity_loss_frac resistance_growth_frac throughput_ah"
    )
    return [getattr(cell, name) for name in names.split()] + list(cell.rc_v)


@pytest.mark.parametrize("short_s", [0.0, 0.1, 20.0])
def test_halving_the_time_step_converges(cell_params, short_s):
    """At least first order: each halving takes the distance to the next one to half, or less."""
    params = replace(cell_params, voids=VoidParams(rate_per_s=1e-3, strip_ma_cm2=2.0, heal_per_s=1e-3))

    def end(tick_s: float) -> tuple[float, ...]:
        pack, (cell,) = (made := Pack([params], [Stack()], pressure_mpa=4.0)), made.cells
        for k in range(round(240 / tick_s)):
            pack.step(0.6 if (k * tick_s) % 60 < 30 else -0.3, tick_s, 30.0, short_s=[short_s])
        return cell.voltage_v, cell.soc, cell.temperature_degc, pack.stacks[0].pressure_mpa, cell.theta

    coarse, middle, fine = end(0.5), end(0.25), end(0.125)
    for a, b, c in zip(coarse, middle, fine, strict=True):
        assert abs(b - c) < 0.6 * abs(a - b) + 1e-9
        assert abs(b - c) < 1e-3 * max(1.0, abs(c))


def test_short_and_rc_pairs_are_second_order_in_the_step(cell_params):
    """Without heat (whose step is first order): halving takes the error to a quarter."""
    params = replace(cell_params, core_j_per_k=1e9, hysteresis_v=0.0)

    def end(tick_s: float) -> tuple[float, float]:
        pack = alone(params)
        for k in range(round(32 / tick_s)):
            pack.step(0.6 if k * tick_s < 16 else -0.3, tick_s, short_s=[5.0])
        return pack.voltage_v, pack.cells[0].soc

    exact = end(1 / 128)
    for coarse, fine, true in zip(end(0.5), end(0.25), exact, strict=True):
        assert abs(fine - true) < 0.3 * abs(coarse - true)


def test_hysteresis_ends_on_the_side_of_the_current_and_rests_there(cell_params):
    pack, (cell,) = (made := alone(replace(cell_params, hysteresis_v=0.05, hysteresis_rate=100.0))), made.cells
    for _ in range(3000):
        pack.step(0.6, TICK_S)
    assert cell.hysteresis == pytest.approx(1.0, abs=1e-3)
    pack.step(0.0, 3600.0)
    assert cell.hysteresis == pytest.approx(1.0, abs=1e-3)
    for _ in range(3000):
        pack.step(-0.6, TICK_S)
    assert cell.hysteresis == pytest.approx(-1.0, abs=1e-3)


def test_batch_equals_steps_and_a_seed_gives_the_same_bytes(cell_params):
    current, params = load(3, 3000, 3.0), everything_on(cell_params)
    one, many, other = alone(params, seed=4), alone(params, seed=4), alone(params, seed=5)
    stepped = []
    for current_a in current:
        one.step(current_a, TICK_S, 30.0, short_s=[0.01])
        stepped.append(one.voltage_v)
    out = many.run(current, TICK_S, 30.0, short_s=[0.01])
    other.run(current, TICK_S, 30.0, short_s=[0.01])
    assert list(out["voltage_v"]) == stepped
    assert one.state_bytes() == many.state_bytes()
    assert one.state_bytes() != other.state_bytes()
    assert one.drain_events() == many.drain_events() != []


def test_what_was_before_a_reset_leaves_no_trace(cell_params):
    params = everything_on(cell_params)
    used, new = alone(params, seed=4), alone(params, seed=4)
    used.run(load(3, 500, 3.0), 0.7, 60.0)
    used.reset(0.5, 25.0, 5.0, seed=4)
    for pack in (used, new):
        pack.run(load(5, 500, 3.0), TICK_S)
    assert used.state_bytes() == new.state_bytes()


@pytest.mark.parametrize(
    "bad",
    [
        {"current_a": math.nan},
        {"current_a": 1e7},
        {"dt_s": 0.0},
        {"dt_s": math.inf},
        {"dt_s": math.nan},
        {"dt_s": 1e-10},
        {"ambient_degc": -300.0},
        {"ambient_degc": math.nan},
        {"heater_w": math.inf},
        {"short_s": [-0.1]},
        {"short_s": [math.nan]},
    ],
)
def test_bad_input_returns_a_status_and_leaves_the_state_untouched(cell_params, bad):
    pack = alone(everything_on(cell_params))
    pack.step(0.1, TICK_S)
    before = pack.state_bytes()
    status = pack.step(**{"current_a": 0.1, "dt_s": TICK_S} | bad)
    assert status < 0
    assert status in STATUS_TEXT
    assert pack.state_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        {"capacity_ah": 0.0},
        {"capacity_ah": math.nan},
        {"rc_factor": 0.0},
        {"swelling_frac": [math.inf] * 129},
        {"se_activation_ev": 5.0},
        {"contact_floor_mpa": 0.0},
        {"voids": VoidParams(rate_per_s=1e-3, strip_ma_cm2=0.0)},
        {"voids": VoidParams(theta_max=1.0)},
        {"filament": FilamentParams(growth_per_s=1e-3, ccd_ma_cm2=0.0)},
        {"filament": FilamentParams(bridge_per_s=1.0, bridge_median_ohm=0.0)},
        {"filament": FilamentParams(bridge_per_s=1.0, burn_median_j=1.0, burn_window_s=0.0)},
        {"filament": FilamentParams(burnt_length=1.5)},
        {"ageing": AgeingParams(calendar_frac_per_rt_day=-0.1)},
        {"ageing": AgeingParams(cycle_frac_per_rt_cycle=0.1, cycle_exponent=0.0)},
    ],
)
def test_parameters_without_sense_are_refused(cell_params, change):
    with pytest.raises(ValueError, match="parameters of cell 0"):
        alone(replace(cell_params, **change))


def test_bad_set_up_is_an_exception_that_says_what(cell_params):
    with pytest.raises(ValueError, match="128 values, needs 129"):
        alone(replace(cell_params, ocv_v=[3.7] * 128))
    with pytest.raises(ValueError, match="SOC"):
        alone(cell_params, soc=1.5)
    with pytest.raises(ValueError, match="input 2 refused"):
        alone(cell_params).run([0.0, 0.0, math.nan], TICK_S)
    with pytest.raises(ValueError, match="soc must rise"):
        ocv_table([0.0, 0.0, 1.0], [3.0, 3.1, 3.2])


def test_ocv_table_resamples_linearly():
    table = ocv_table([0.0, 0.25, 1.0], [3.0, 3.5, 4.0])
    assert table[0] == 3.0
    assert table[16] == pytest.approx(3.25)
    assert table[32] == pytest.approx(3.5)
    assert table[-1] == pytest.approx(4.0)


@pytest.mark.parametrize("neighbours", [(1e12, 1e-12), (1e7, 1.0), (1.0, 1e-7)])
def test_factors_so_far_apart_that_a_line_between_them_rounds_to_nothing_are_refused(cell_params, neighbours):
    factors = [1.0] * 64 + [*neighbours] + [1.0] * 63
    with pytest.raises(ValueError, match="rc_factor = its table"):
        Pack([replace(cell_params, rc_factor=factors)], [Stack()])
