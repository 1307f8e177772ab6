"""Laws of one cell at their edges: past full and empty, aged, warmed from outside, shorted beside a filament."""

import math
from dataclasses import replace

import pytest
from assb_kernels import AgeingParams, CellParams, FilamentParams, Pack, Stack, StackParams, VoidParams

SOFT = Stack(StackParams(stiffness_mpa_per_um=1e-9, viscous_frac=(0.0, 0.0)))
AREA_CM2 = 4 * 22.0
DAY_S = 86400.0


def alone(params: CellParams, **start) -> Pack:
    return Pack([params], [SOFT], **start)


def held(pack: Pack, current_a: float, seconds: float, dt_s: float, **inputs) -> Pack:
    for _ in range(round(seconds / dt_s)):
        pack.step(current_a, dt_s, **inputs)
    return pack


def aged(cell_params: CellParams) -> Pack:
    """A tenth of its capacity gone, half as much resistance again."""
    old = AgeingParams(calendar_frac_per_rt_day=0.1, resistance_per_loss=5.0)
    steady = replace(cell_params, ageing=old, rc_activation_ev=0.0)
    return held(alone(steady, soc=1.0), 0.0, DAY_S, 600.0)


# Past the ends of the SOC axis


def test_past_full_the_ocv_rises_by_5_v_per_soc(cell_params):
    cell = alone(cell_params).cells[0]
    assert cell.ocv_at_v(1.02, 25.0) == pytest.approx(cell.ocv_at_v(1.0, 25.0) + 0.1)


def test_an_overcharged_cell_stands_where_its_ocv_says_and_swells_on(cell_params):
    pack = held(alone(replace(cell_params, expansion_um_per_k=0.0), soc=0.99), 0.6, 300.0, 1.0)
    cell = pack.cells[0]
    assert cell.soc == pytest.approx(0.99 + 300.0 / 3600)
    assert cell.ocv_v == pytest.approx(cell_params.ocv_v[-1] + 5.0 * (cell.soc - 1.0))
    assert cell.height_um == pytest.approx(4.25 * 1000 * 0.6 / 22.0 * cell.soc)


def test_an_overdischarged_cell_falls_by_40_v_per_soc_and_shrinks_on(cell_params):
    pack = held(alone(replace(cell_params, expansion_um_per_k=0.0), soc=0.01), -0.6, 120.0, 1.0)
    cell = pack.cells[0]
    assert cell.soc == pytest.approx(0.01 - 120.0 / 3600)
    assert cell.ocv_v == pytest.approx(cell_params.ocv_v[0] + 40.0 * cell.soc)
    assert cell.height_um == pytest.approx(4.25 * 1000 * 0.6 / 22.0 * cell.soc)


def test_an_empty_cell_drives_nothing_and_is_driven_through_its_resistances(cell_params):
    pack = held(alone(cell_params, soc=0.0), -0.3, 1200.0, 1.0)
    cell = pack.cells[0]
    assert cell.soc < -0.1
    assert cell.ocv_v == 0.0
    assert cell.ocv_at_v(cell.soc, 25.0) == 0.0
    assert pack.voltage_v == pytest.approx(-0.3 * cell.r0_ohm - sum(cell.rc_v))
    assert cell.mean_voltage_v == pytest.approx(cell.voltage_v, abs=1e-4)
    assert held(pack, 0.0, 6000.0, 10.0).voltage_v == pytest.approx(0.0, abs=1e-6)


def test_only_an_empty_cells_voltage_is_kept_from_falling_below_0(cell_params):
    """A half-cell may stand below its reference."""
    below = alone(replace(cell_params, ocv_v=[-0.1 + k / 1280 for k in range(129)]), soc=0.5)
    assert below.cells[0].ocv_v == pytest.approx(-0.05)
    assert below.cells[0].ocv_at_v(0.5, 25.0) == pytest.approx(-0.05)
    assert below.cells[0].ocv_at_v(-0.01, 25.0) == 0.0


# Age


def test_ageing_raises_the_rc_pairs_as_it_raises_r0(cell_params):
    pack = aged(cell_params)
    cell = pack.cells[0]
    growth = cell.resistance_growth_frac
    assert growth == pytest.approx(0.5, abs=0.01)
    held(pack, -0.02, 3000.0, 10.0)
    assert cell.rc_v == pytest.approx(
        [0.02 * (1 + cell.resistance_growth_frac) * ohm for ohm in (0.01, 0.01, 0.008)], rel=0.01
    )
    assert cell.r0_ohm == pytest.approx((1 + growth) * cell.r0_at_ohm(cell.temperature_degc, 5.0), rel=0.01)


def test_a_faded_cell_swells_by_what_it_still_holds(cell_params):
    cell = held(aged(cell_params), 0.0, 1.0, 1.0).cells[0]
    assert cell.capacity_ah == pytest.approx(0.9 * 0.6, rel=0.01)
    assert cell.height_um == pytest.approx(4.25 * 1000 * cell.capacity_ah / 22.0, rel=1e-9)


@pytest.mark.parametrize("minutes", [5, 20, 100])
def test_ageing_is_never_more_than_two_minutes_behind(cell_params, minutes):
    params = replace(cell_params, ageing=AgeingParams(calendar_frac_per_rt_day=0.1))
    cell = held(alone(params), 0.0, minutes * 60.0, 1.0).cells[0]
    latest, late = (0.1 * math.sqrt((minutes * 60.0 - behind_s) / DAY_S) for behind_s in (0.0, 120.0))
    assert late * (1 - 1e-9) <= cell.capacity_loss_frac <= latest * (1 + 1e-9)


@pytest.mark.parametrize(("soc", "loss"), [(0.0, 0.0), (0.25, 0.0), (0.5, 0.1), (1.0, 0.3)])
def test_a_cell_too_empty_for_its_soc_slope_does_not_age_by_the_calendar(cell_params, soc, loss):
    params = replace(cell_params, ageing=AgeingParams(calendar_frac_per_rt_day=0.1, calendar_soc_slope=4.0))
    cell = held(alone(params, soc=soc), 0.0, DAY_S, 600.0).cells[0]
    assert cell.capacity_loss_frac == pytest.approx(loss, rel=1e-6)


# Warmth and voids


def test_a_cell_grows_with_the_mean_of_core_and_surface(cell_params):
    params = replace(cell_params, expansion_um_per_k=0.5, core_surface_w_per_k=0.1)
    pack = alone(params, soc=0.0)
    held(pack, 0.0, 60.0, 1.0, heater_w=5.0)
    cell = pack.cells[0]
    assert cell.surface_degc - cell.temperature_degc > 3.0
    assert cell.height_um == pytest.approx(0.5 * (0.5 * (cell.surface_degc + cell.temperature_degc) - 25.0))


def test_voids_heal_exponentially_until_a_billionth_is_left_and_then_for_good(cell_params):
    params = replace(cell_params, capacity_ah=100.0, voids=VoidParams(rate_per_s=0.01, heal_per_s=0.01))
    pack = held(alone(params), -3e-3 * AREA_CM2, 10.0, 0.1)
    cell = pack.cells[0]
    opened = cell.theta
    assert opened > 0.01
    for seconds in (200.0, 600.0, 700.0):
        before = cell.theta
        held(pack, 0.0, seconds, 1.0)
        assert cell.theta == pytest.approx(before * math.exp(-0.01 * seconds), rel=1e-6)
    assert cell.theta < 1e-6 * opened
    assert held(pack, 0.0, 800.0, 1.0).cells[0].theta == 0.0


# Shorts and filaments


def still(params: CellParams, **figures) -> CellParams:
    """Too large for a short to empty or to warm it."""
    return replace(params, capacity_ah=100.0, core_j_per_k=1e9, filament=FilamentParams(**figures))


AT_ONCE = {"bridge_per_s": 1e6, "bridge_exponent": 0.0, "bridge_sigma_ln": 0.0, "burn_sigma_ln": 0.0}


@pytest.mark.parametrize("short_s", [0.0, 0.02, 0.05, 0.2])
def test_what_a_short_takes_of_the_charging_current_is_not_plated(cell_params, short_s):
    pack = alone(still(cell_params, ccd_ma_cm2=0.5, growth_per_s=1e-3))
    held(pack, 0.2, 60.0, 0.1, short_s=[short_s])
    cell = pack.cells[0]
    plated_ma_cm2 = 1000 * (0.2 - cell.short_a) / AREA_CM2
    assert cell.filament_length == pytest.approx(60e-3 * max(plated_ma_cm2 / 0.5 - 1, 0.0), rel=0.01, abs=1e-12)


def test_an_injected_short_beside_a_bridge_takes_the_power_off_it(cell_params):
    burning = still(cell_params, bridge_median_ohm=1.0, burn_median_j=5.0, burn_window_s=1e6, **AT_ONCE)
    lone, beside = (held(alone(burning), 0.0, 10.0, 0.1, short_s=[short_s]) for short_s in (0.0, 100.0))
    assert lone.cells[0].burn_outs > 0
    assert (beside.cells[0].bridges, beside.cells[0].burn_outs) == (1, 0)


def test_bridges_come_as_often_after_a_burn_out_as_before(cell_params):
    """A hazard of 1/s that length does not change, bridges that burn at once: a Poisson count."""
    law = AT_ONCE | {"bridge_per_s": 1.0, "bridge_median_ohm": 1.0, "burn_median_j": 1e-6}
    pack = Pack([still(cell_params, **law)] * 8, [SOFT], seed=3)
    held(pack, 0.0, 100.0, 0.1)
    assert sum(cell.bridges for cell in pack.cells) == pytest.approx(800, abs=5 * math.sqrt(800))


def test_a_burn_out_leaves_a_short_filament_as_short_as_it_was(cell_params):
    law = AT_ONCE | {"bridge_median_ohm": 1.0, "burn_median_j": 1e-6, "creep_per_s": (1e-3, 0.0)}
    pack = held(alone(still(cell_params, burnt_length=0.5, **law)), 0.0, 10.0, 0.1)
    assert pack.cells[0].burn_outs > 0
    assert 0.0 < pack.cells[0].filament_length <= 0.0101


@pytest.mark.parametrize(("current_a", "folds"), [(0.176, 0.2), (0.0, 0.0), (-0.176, 0.0)])
def test_a_bridge_deepens_while_lithium_plates_and_only_then(cell_params, current_a, folds):
    """At twice the CCD, for 10 s."""
    law = {"ccd_ma_cm2": 1.0, "bridge_median_ohm": 1e5, "deepen_per_s": 0.01}
    pack = alone(still(cell_params, **AT_ONCE, **law))
    held(pack, current_a, 10.0, 0.1)
    assert pack.cells[0].short_s == pytest.approx(1e-5 * math.exp(folds), rel=0.02)


def test_a_long_step_takes_the_mean_conductance_of_a_deepening_bridge(cell_params):
    """2 e-folds of conductance in 100 s: the start's would take a third of the charge, the end's twice as much."""
    law = {"ccd_ma_cm2": 1.0, "bridge_median_ohm": 1e5, "deepen_per_s": 0.01}
    long, short = (alone(still(cell_params, **AT_ONCE, **law)) for _ in range(2))
    for pack in (long, short):
        pack.step(0.0, 0.1)
    held(long, 0.176, 100.0, 100.0)
    held(short, 0.176, 100.0, 0.1)
    lost_ah = [(0.5 - pack.cells[0].soc) * 100.0 + 0.176 * 100.0 / 3600 for pack in (long, short)]
    assert short.cells[0].short_s > 6e-5
    assert lost_ah[0] == pytest.approx(lost_ah[1], rel=0.03)
