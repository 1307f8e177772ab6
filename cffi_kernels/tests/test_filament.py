"""Filaments, voids and ageing against their laws: rates, thresholds, and what chance may do, with fixed seeds."""

import math
from dataclasses import replace
from statistics import NormalDist, median

import pytest
from assb_kernels import AgeingParams, CellParams, FilamentParams, Pack, Stack, StackParams, TruthEvent, VoidParams

SOFT = Stack(StackParams(stiffness_mpa_per_um=1e-9, viscous_frac=(0.0, 0.0)))
AREA_CM2 = 4 * 22.0


def alone(params: CellParams, *, mpa: float = 5.0, degc: float = 25.0, seed: int = 0, soc: float = 0.5) -> Pack:
    return Pack([params], [SOFT], soc=soc, temperature_degc=degc, pressure_mpa=mpa, seed=seed)


def with_filament(params: CellParams, **figures) -> CellParams:
    return replace(params, filament=FilamentParams(**figures))


def held(pack: Pack, current_a: float, seconds: float, dt_s: float = 0.1, **inputs) -> Pack:
    for _ in range(round(seconds / dt_s)):
        pack.step(current_a, dt_s, **inputs)
    return pack


def kinds(events: list[TruthEvent]) -> list[str]:
    return [event.kind for event in events]


def at_length_one(**figures) -> dict:
    """Through the separator at once, so that only the hazard decides; bridges that burn at nothing stay."""
    return {"creep_per_s": (1e6, 0.0), "bridge_per_s": 1.0, "bridge_exponent": 8.0, "bridge_median_ohm": 1e6} | figures


# growth


@pytest.mark.parametrize("both_ways", [0.0, 1.0])
@pytest.mark.parametrize("ma_cm2", [-3.0, -1.5, 0.0, 0.9, 1.0, 1.5, 3.0])
def test_length_grows_with_what_exceeds_the_ccd(cell_params, ma_cm2, both_ways):
    big = replace(cell_params, capacity_ah=100.0, core_j_per_k=1e9)
    pack = alone(with_filament(big, ccd_ma_cm2=1.0, growth_per_s=1e-3, both_ways=both_ways))
    held(pack, 1e-3 * ma_cm2 * AREA_CM2, 60.0)
    plating = abs(ma_cm2) if both_ways else ma_cm2
    assert pack.cells[0].filament_length == pytest.approx(60e-3 * max(plating - 1.0, 0.0), abs=1e-12)


@pytest.mark.parametrize(("mpa", "degc", "ccd"), [(5.0, 25.0, 1.0), (20.0, 25.0, 2.0), (5.0, 60.0, None)])
def test_ccd_rises_with_pressure_and_warmth(cell_params, mpa, degc, ccd):
    if ccd is None:
        ccd = math.exp(-0.3 / 8.617333262e-5 * (1 / 333.15 - 1 / 298.15))
    law = {"growth_per_s": 1e-3, "ccd_pressure_exponent": 0.5, "ccd_activation_ev": 0.3}
    big = replace(cell_params, capacity_ah=100.0, core_j_per_k=1e9)
    pack = held(alone(with_filament(big, **law), mpa=mpa, degc=degc), 5e-3 * AREA_CM2, 10.0, ambient_degc=degc)
    assert pack.cells[0].filament_length == pytest.approx(10e-3 * (5.0 / ccd - 1.0), rel=1e-5)


def test_creep_is_the_sum_of_two_powers_of_the_pressure_at_any_current(cell_params):
    law = {"creep_per_s": (1e-6, 1e-8), "creep_exponent": (2.0, 8.0), "growth_per_s": 1e-9}
    for mpa in (2.5, 5.0, 15.0):
        expected = 1e-6 * (mpa / 5) ** 2 + 1e-8 * (mpa / 5) ** 8
        for current_a in (0.0, 0.02, -0.02):
            pack = held(alone(with_filament(cell_params, **law), mpa=mpa), current_a, 100.0)
            assert pack.cells[0].filament_length == pytest.approx(100 * expected, rel=1e-9)


@pytest.mark.parametrize("dt_s", [0.01, 1.0, 100.0])
def test_healing_at_rest_is_exponential_for_any_step_and_absent_while_plating(cell_params, dt_s):
    law = {"creep_per_s": (1e-5, 0.0), "creep_exponent": (0.0, 0.0), "healing_per_s": 1e-3}
    pack = held(alone(with_filament(cell_params, **law)), 0.0, 500.0, dt_s)
    assert pack.cells[0].filament_length == pytest.approx(1e-2 * (1 - math.exp(-0.5)), rel=1e-9)
    before = pack.cells[0].filament_length
    held(pack, 0.01, 100.0, dt_s)
    assert pack.cells[0].filament_length - before == pytest.approx(1e-3, rel=1e-9)


def test_voids_focus_the_current(cell_params):
    """1.5 mA/cm2 against a CCD of 2 grows nothing, until a third of the contact is gone: 1.5 (1 + 3/3) = 3."""
    big = replace(cell_params, capacity_ah=100.0, core_j_per_k=1e9, contact_ohm_cm2=0.0)
    voids = VoidParams(rate_per_s=1.0, strip_ma_cm2=1.0, strip_exponent=0.0, both_ways=1.0, theta_max=0.9)
    filament = FilamentParams(ccd_ma_cm2=2.0, growth_per_s=1e-3, void_focus=3.0)
    whole, void = (
        alone(replace(big, voids=v, filament=filament)) for v in (VoidParams(), replace(voids, rate_per_s=1e-1))
    )
    for pack in (whole, void):
        held(pack, -1.5e-3 * AREA_CM2, 1 / 3 / (1e-1 * 0.5), 1 / 150)
    assert void.cells[0].theta == pytest.approx(1 / 3, rel=1e-6)
    for pack in (whole, void):
        pack.step(1.5e-3 * AREA_CM2, 1e-3)
    assert whole.cells[0].filament_length == 0.0
    assert void.cells[0].filament_length == pytest.approx(1e-3 * 1e-3 * (3 / 2 - 1), rel=1e-3)


# bridging


def first_bridges(cell_params: CellParams, dt_s: float, seeds: range, seconds: float, **figures) -> list[float]:
    times = []
    for seed in seeds:
        pack = alone(with_filament(cell_params, **at_length_one(**figures)), seed=seed)
        for _ in range(round(seconds / dt_s)):
            pack.step(0.0, dt_s)
            if pack.cells[0].bridges:
                break
        times += [event.time_s for event in pack.drain_events()[:1]]
    return times


@pytest.mark.parametrize("dt_s", [0.01, 0.1, 1.0])
def test_hazard_makes_exponential_times(cell_params, dt_s):
    """1/s at full length: by Kolmogorov and Smirnov against 1 - e^-t; each is told with its own time."""
    times = sorted(first_bridges(cell_params, dt_s, range(300), 12.0))
    assert len(times) == 300
    worst = max(abs((k + 1) / 300 - (1 - math.exp(-time_s))) for k, time_s in enumerate(times))
    assert worst < 1.63 / math.sqrt(300)  # 1 % level


def test_hazard_goes_as_the_power_of_the_length(cell_params):
    """A length that rises as t/100 s with exponent 3: the integral of hazard is bridge_per_s * 25 s * (t/100 s)^4."""
    law = {"creep_per_s": (0.01, 0.0), "creep_exponent": (0.0, 0.0), "bridge_per_s": 0.5, "bridge_exponent": 3.0}
    for dt_s in (0.1, 5.0, 100.0):
        at_s = []
        for seed in range(150):
            pack = held(alone(with_filament(cell_params, **law), seed=seed), 0.0, 100.0, dt_s)
            at_s += [event.time_s for event in pack.drain_events()[:1]]
        expected = 1 - math.exp(-0.5 * 25)
        assert len(at_s) / 150 == pytest.approx(expected, abs=0.03)
        if dt_s < 100.0:
            middle_s = 100 * (math.log(2) / 12.5) ** 0.25
            assert median(at_s) == pytest.approx(middle_s, abs=4 + dt_s / 2)


def test_one_long_step_has_the_hazard_of_many_short_ones(cell_params):
    """From 0 to the separator in a single step: 4 %/s * 100 s / (3 + 1) makes one unit of hazard."""
    law = {"creep_per_s": (0.01, 0.0), "creep_exponent": (0.0, 0.0), "bridge_per_s": 0.04, "bridge_exponent": 3.0}
    for dt_s in (100.0, 1.0):
        packs = (held(alone(with_filament(cell_params, **law), seed=seed), 0.0, 100.0, dt_s) for seed in range(600))
        bridged = sum(pack.cells[0].bridges > 0 for pack in packs) / 600
        assert bridged == pytest.approx(1 - math.exp(-1), abs=0.04)


def test_no_length_is_no_hazard(cell_params):
    for law in ({"bridge_exponent": 8.0}, {"bridge_exponent": 2.5, "growth_per_s": 1e-3, "healing_per_s": 1e-3}):
        pack = held(alone(with_filament(cell_params, bridge_per_s=1e3, **law)), 0.05, 100.0)
        assert pack.cells[0].filament_length == 0.0
        assert pack.drain_events() == []


def test_bridges_are_lognormal(cell_params):
    ohms = []
    for seed in range(400):
        figures = at_length_one(bridge_per_s=1e3, bridge_median_ohm=40.0, bridge_sigma_ln=0.8)
        pack = held(alone(with_filament(cell_params, **figures), seed=seed), 0.0, 1.0)
        (event,) = (event for event in pack.drain_events() if event.kind == "bridge")
        assert pack.cells[0].short_s == pytest.approx(1 / event.value)
        ohms.append(event.value)
    logs = sorted(math.log(ohm / 40.0) / 0.8 for ohm in ohms)
    normal = NormalDist()
    assert median(ohms) == pytest.approx(40.0, rel=0.12)
    worst = max(abs((k + 1) / len(logs) - normal.cdf(z)) for k, z in enumerate(logs))
    assert worst < 1.63 / math.sqrt(len(logs))


def test_a_bridge_draws_its_current_and_dips_the_voltage(cell_params):
    figures = at_length_one(bridge_per_s=1e9, bridge_median_ohm=10.0, bridge_sigma_ln=0.0)
    pack, whole = alone(with_filament(cell_params, **figures)), alone(cell_params)
    for each in (pack, whole):
        each.step(0.0, 1e-4)
    cell, r0_ohm = pack.cells[0], whole.cells[0].r0_ohm
    assert whole.voltage_v - pack.voltage_v == pytest.approx(whole.voltage_v * r0_ohm / (10.0 + r0_ohm), rel=1e-3)
    assert cell.short_a == pytest.approx(pack.voltage_v / 10.0)


# what becomes of a bridge


def burning(cell_params: CellParams, **figures) -> CellParams:
    """Ten ohm bridges at once, far from burning a second one."""
    base = {"bridge_per_s": 1e3, "bridge_exponent": 8.0, "bridge_median_ohm": 10.0, "bridge_sigma_ln": 0.0}
    burn = {"burn_median_j": 0.5, "burn_sigma_ln": 0.0, "burn_window_s": 1e6, "burnt_length": 0.1}
    return with_filament(
        replace(cell_params, contact_ohm_cm2=0.0, se_ohm_cm2=0.1), **at_length_one(**base | burn | figures)
    )


@pytest.mark.parametrize("dt_s", [0.001, 0.01, 0.1])
@pytest.mark.parametrize("joule", [0.01, 0.5])
def test_burn_out_comes_when_the_energy_is_in(cell_params, joule, dt_s):
    """V^2/Rs = 1.4 W on ten ohm: 7 ms for 10 mJ, a third of a second for half a joule."""
    params = burning(cell_params, burn_median_j=joule, creep_per_s=(1e6, 0.0), creep_exponent=(40.0, 0.0))
    pack = alone(params)
    power_w = pack.voltage_v**2 / 10.0
    events: list[TruthEvent] = []
    while "burn_out" not in kinds(events) and pack.time_s < 5:
        pack.step(0.0, dt_s)
        events += pack.drain_events()
    bridge, burnt = events[0], next(event for event in events if event.kind == "burn_out")
    assert bridge.kind == "bridge"
    assert burnt.value == pytest.approx(joule)
    assert burnt.time_s - bridge.time_s == pytest.approx(joule / power_w, abs=1.01 * dt_s + 0.01 * joule / power_w)


def test_energy_of_a_bridge_is_forgotten_with_its_window(cell_params):
    """E' = P - E/tau reaches 0.9 J after tau ln(P tau/(P tau - 0.9 J)): 1.1 s with tau 1 s, for 0.65 s without end."""
    params = burning(
        cell_params, burn_median_j=0.9, burn_window_s=1.0, creep_per_s=(1e6, 0.0), creep_exponent=(40.0, 0.0)
    )
    pack = alone(params)
    power_w = pack.voltage_v**2 / 10.0
    while not pack.cells[0].burn_outs and pack.time_s < 5:
        pack.step(0.0, 0.01)
    bridge, burnt = pack.drain_events()[:2]
    assert burnt.time_s - bridge.time_s == pytest.approx(math.log(power_w / (power_w - 0.9)), abs=0.04)


def test_hard_short_stays_where_a_softer_one_would_burn(cell_params):
    figures = at_length_one(bridge_per_s=1e9, bridge_sigma_ln=0.0, burn_median_j=0.01, burn_sigma_ln=0.0)
    for ohm, stays in ((0.05, True), (1.0, False)):
        params = with_filament(cell_params, **figures | {"bridge_median_ohm": ohm})
        pack = held(alone(params), 0.0, 10.0)
        assert pack.cells[0].is_hard_short is stays
        assert (pack.cells[0].burn_outs == 0) is stays


def test_short_of_a_few_ms_within_a_long_step_takes_just_its_charge_and_heat(cell_params):
    """Both switchings lie inside one step of a second: the step is cut there, so nothing is lost."""
    params = burning(
        cell_params, burn_median_j=0.01, creep_per_s=(2.0, 0.0), creep_exponent=(0.0, 0.0), burnt_length=0.0
    )
    pack, (cell,) = (made := alone(params)), made.cells
    pack.step(0.0, 1.0)
    events = pack.drain_events()
    assert kinds(events) == ["bridge", "burn_out"] * 7 + ["bridge", "untold"]
    assert len(events) - 1 + events[-1].value == cell.bridges + cell.burn_outs
    burnt_j = cell.burn_outs * 0.01
    assert cell.short_s == 0.0
    assert cell.heat_w * 1.0 == pytest.approx(burnt_j, rel=0.02)
    as_out = (0.5 - cell.soc) * 3600 * params.capacity_ah
    assert as_out == pytest.approx(burnt_j / cell.ocv_v, rel=0.02)


def test_burn_out_energies_are_lognormal_and_a_weak_current_never_reaches_them(cell_params):
    energies = []
    for seed in range(150):
        params = burning(cell_params, burn_sigma_ln=0.5, burn_median_j=0.05, creep_per_s=(1e4, 0.0), burnt_length=0.0)
        pack = held(alone(params, seed=seed), 0.0, 1.0)
        energies += [event.value for event in pack.drain_events() if event.kind == "burn_out"][:1]
    assert len(energies) > 140
    assert median(energies) == pytest.approx(0.05, rel=0.15)
    # 1.4 W for a memory of 0.1 s is 0.14 J at most
    weak = held(alone(burning(cell_params, burn_window_s=0.1)), 0.0, 60.0)
    assert weak.cells[0].bridges == 1
    assert weak.cells[0].burn_outs == 0


def test_burnt_filament_starts_again_from_what_is_left(cell_params):
    steady = {"creep_per_s": (1e-3, 0.0), "creep_exponent": (0.0, 0.0), "burnt_length": 0.3}
    params = burning(cell_params, bridge_per_s=0.1, **steady)
    pack, (cell,) = (made := alone(params)), made.cells
    events: list[TruthEvent] = []
    while cell.burn_outs == 0 and pack.time_s < 3000:
        pack.step(0.0, 0.1)
        events += pack.drain_events()
    assert kinds(events) == ["bridge", "burn_out"]
    assert cell.filament_length == pytest.approx(0.3, abs=2e-4)
    assert cell.short_s == 0.0


def test_bridge_deepens_while_lithium_plates_and_each_halving_is_told(cell_params):
    big = replace(cell_params, capacity_ah=1e3, core_j_per_k=1e9)
    figures = at_length_one(bridge_per_s=1e9, bridge_median_ohm=1e6, bridge_sigma_ln=0.0, deepen_per_s=0.01)
    pack, (cell,) = (made := alone(with_filament(big, **figures))), made.cells
    pack.step(0.0, 0.1)
    held(pack, 0.0, 100.0)
    assert cell.short_s == pytest.approx(1e-6)
    held(pack, 2e-3 * AREA_CM2, 150.0)  # twice the CCD
    assert cell.short_s == pytest.approx(1e-6 * math.exp(0.01 * 2 * 150), rel=2e-3)
    told = [event.value for event in pack.drain_events() if event.kind == "deepened"]
    assert told == pytest.approx([5e5, 2.5e5, 1.25e5, 0.625e5], rel=3e-3)


def test_hard_short_is_told_once_below_r0_and_never_burns(cell_params):
    fresh = {"bridge_per_s": 1e9, "bridge_median_ohm": 0.5, "bridge_sigma_ln": 0.0, "deepen_per_s": 1e-4}
    figures = at_length_one(**fresh, burn_median_j=1e9, burn_sigma_ln=0.0, burn_window_s=10.0)
    big = replace(cell_params, capacity_ah=1e3, core_j_per_k=1e9)
    pack, (cell,) = (made := alone(with_filament(big, **figures))), made.cells
    held(pack, 20.0, 100.0)
    events = pack.drain_events()
    hard = [event for event in events if event.kind == "hard_short"]
    assert len(hard) == 1
    assert 0.98 * 25 / AREA_CM2 < hard[0].value < 25 / AREA_CM2
    assert cell.is_hard_short
    assert "burn_out" not in kinds(events)


def test_events_do_not_depend_on_how_the_run_is_cut(cell_params):
    params = burning(
        cell_params, burn_median_j=0.02, creep_per_s=(0.05, 0.0), creep_exponent=(0.0, 0.0), bridge_sigma_ln=1
    )
    current = [0.1] * 3000
    whole, cut = alone(params, seed=3), alone(params, seed=3)
    whole.run(current, 0.1)
    cuts = []
    for part in range(30):
        cut.run(current[part * 100 : part * 100 + 100], 0.1)
        cuts += cut.drain_events()
    assert whole.drain_events() == cuts
    assert len(cuts) > 20
    assert whole.state_bytes() == cut.state_bytes()


def test_unit_without_rates_never_shorts(cell_params):
    pack = held(alone(with_filament(cell_params, bridge_median_ohm=1.0)), 5.0, 600.0, 1.0)
    assert pack.cells[0].filament_length == 0.0
    assert pack.drain_events() == []


def test_what_happens_within_one_step_is_told_in_order_each_with_its_time(cell_params):
    """A healed short is no standing one: the burn-out of the first bridge comes before the second bridge."""
    fast = burning(cell_params, burn_median_j=0.1, bridge_per_s=4.0, bridge_exponent=0.0)
    coarse, fine = alone(fast, seed=2), alone(fast, seed=2)
    coarse.step(0.0, 2.0)
    held(fine, 0.0, 2.0, 1e-3)
    told, expected = coarse.drain_events(), fine.drain_events()
    assert len(told) >= 3
    assert kinds(told) == kinds(expected) == [("bridge", "burn_out")[k % 2] for k in range(len(told))]
    assert [event.time_s for event in told] == pytest.approx([event.time_s for event in expected], rel=0.02)


def test_a_hard_short_is_told_however_much_happened_before_it(cell_params):
    """Bridges of widely scattered resistance, dozens within a step: the hard one that ends them is not lost."""
    figures = {"burn_median_j": 1e-3, "bridge_sigma_ln": 1.0, "creep_per_s": (1e4, 0.0), "burnt_length": 0.0}
    hard = 0
    for seed in range(40):
        pack = alone(burning(cell_params, bridge_median_ohm=0.01, **figures), seed=seed)
        pack.step(0.0, 1.0)
        events = pack.drain_events()
        assert ("hard_short" in kinds(events)) is pack.cells[0].is_hard_short
        hard += kinds(events)[-2:] == ["hard_short", "untold"]
    assert hard > 3


def test_a_bridge_becomes_a_hard_short_when_the_cold_lifts_r0_above_it(cell_params):
    figures = at_length_one(bridge_per_s=1e9, bridge_median_ohm=2.0, bridge_sigma_ln=0.0)
    pack = held(alone(with_filament(replace(cell_params, capacity_ah=1e3), **figures)), 0.0, 10.0)
    assert not pack.cells[0].is_hard_short
    held(pack, 0.0, 3600.0, 1.0, ambient_degc=-40.0)
    assert pack.cells[0].r0_ohm > 2.0
    assert pack.cells[0].is_hard_short
    assert kinds(pack.drain_events()) == ["bridge", "hard_short"]


def test_healing_to_nothing_never_bridges(cell_params):
    """A length that rounding takes below 0 had a hazard that was no number, and bridged."""
    for seed in range(300):
        rate = 10 ** -(1 + seed / 100)
        law = {"growth_per_s": 1e-3, "ccd_ma_cm2": 0.1, "healing_per_s": rate, "bridge_per_s": 1e-12}
        pack = held(alone(with_filament(cell_params, **law), seed=seed), 0.05, 20.0, 1.0)
        pack.step(0.0, (36 + 0.08 * seed) / rate)
        assert pack.cells[0].filament_length >= 0.0
        pack.step(0.001, 1.0)
        assert (pack.cells[0].bridges, pack.cells[0].short_s) == (0, 0.0)


# voids


def test_healed_voids_are_never_less_than_none(cell_params):
    """At the critical current to the last bits something opens still, and less than rounding takes away."""
    voids = VoidParams(rate_per_s=1e-3, strip_ma_cm2=0.5, strip_exponent=0.0)
    for seed in range(300):
        rate = 10 ** -(seed / 100)
        pack = held(alone(replace(cell_params, voids=replace(voids, heal_per_s=rate, heal_exponent=0.0))), -0.6, 20.0)
        pack.step(-0.5e-3 * AREA_CM2 * (1 + seed % 5 * 2.3e-16), (36 + 0.08 * seed) / rate)
        assert pack.cells[0].theta >= 0.0


@pytest.mark.parametrize(("mpa", "critical_ma_cm2"), [(3.0, 0.2), (7.0, 1.0)])
@pytest.mark.parametrize("share", [0.98, 1.02])
def test_voids_form_beyond_the_critical_stripping_current(cell_params, mpa, critical_ma_cm2, share):
    exponent = math.log(1.0 / 0.2) / math.log(7 / 3)
    law = VoidParams(
        rate_per_s=1e-2, strip_ma_cm2=0.2, strip_pressure_mpa=3.0, strip_exponent=exponent, heal_per_s=1e-5
    )
    pack = alone(replace(cell_params, voids=law), mpa=mpa)
    held(pack, -1e-3 * share * critical_ma_cm2 * AREA_CM2, 100.0)
    assert (pack.cells[0].theta > 1e-3) == (share > 1)
    charged = held(alone(replace(cell_params, voids=law), mpa=mpa), 1e-3 * share * critical_ma_cm2 * AREA_CM2, 100.0)
    assert charged.cells[0].theta == 0.0


@pytest.mark.parametrize("dt_s", [0.1, 10.0, 1000.0])
def test_voids_open_and_close_by_the_closed_form(cell_params, dt_s):
    """theta' = a (j/jc - 1) - b theta with a = 1e-4/s, j = 2 jc, b = 4e-4 (10/5)^1 /s."""
    law = VoidParams(1e-4, strip_ma_cm2=0.1, strip_exponent=0.0, heal_per_s=4e-4, heal_exponent=1.0)
    big = replace(cell_params, capacity_ah=100.0, voids=law)
    pack, (cell,) = (made := alone(big, mpa=10.0)), made.cells
    held(pack, -2e-4 * AREA_CM2, 2000.0, dt_s)
    opened = 1e-4 / 8e-4 * (1 - math.exp(-8e-4 * 2000))
    assert cell.theta == pytest.approx(opened, rel=1e-6)
    held(pack, 0.0, 1000.0, dt_s)
    assert cell.theta == pytest.approx(opened * math.exp(-0.8), rel=1e-6)


def test_voids_stay_below_one_raise_the_contact_and_the_height_and_are_told(cell_params):
    law = VoidParams(1.0, strip_ma_cm2=0.1, theta_max=0.9, height_um=2.0)
    pack, (cell,) = (made := alone(replace(cell_params, voids=law))), made.cells
    before_um = cell.height_um
    held(pack, -0.1, 60.0)
    assert 0.99 < cell.theta < 1.0
    assert cell.r0_ohm == pytest.approx((10 + 15 / (1 - 0.9)) / AREA_CM2, rel=0.02)
    swelling_um = 4 * 4.25 * 1000 * 0.6 / AREA_CM2 * (cell.soc - 0.5)
    assert cell.height_um - before_um == pytest.approx(4 * 2.0 * cell.theta + swelling_um, abs=0.01)
    (event,) = pack.drain_events()
    assert event.kind == "voided"
    assert event.value >= 0.1


def test_both_ways_strips_on_charge_as_well(cell_params):
    law = VoidParams(1e-3, strip_ma_cm2=0.1, both_ways=1.0)
    ends = [held(alone(replace(cell_params, voids=law)), sign * 0.05, 20.0).cells[0].theta for sign in (-1, 1)]
    assert ends[0] == pytest.approx(ends[1])
    assert ends[0] > 0


# ageing


def test_calendar_loss_goes_as_the_root_of_time_warmth_and_charge(cell_params):
    law = AgeingParams(0.002, calendar_activation_ev=0.5, calendar_soc_slope=1.0, resistance_per_loss=3.0)
    cold_per_ev = (1 / 318.15 - 1 / 298.15) / 8.617333262e-5
    for soc, degc, factor in ((0.5, 25.0, 1.0), (1.0, 25.0, 1.5), (0.5, 45.0, math.exp(-0.5 * cold_per_ev))):
        pack, (cell,) = (made := alone(replace(cell_params, ageing=law), soc=soc, degc=degc)), made.cells
        held(pack, 0.0, 25 * 86400.0, 600.0, ambient_degc=degc)
        assert cell.capacity_loss_frac == pytest.approx(0.002 * factor * 5, rel=1e-9)
        assert cell.capacity_ah == pytest.approx(0.6 * (1 - cell.capacity_loss_frac))
        assert cell.resistance_growth_frac == pytest.approx(3 * cell.capacity_loss_frac)
        assert cell.r0_ohm == pytest.approx(cell.r0_at_ohm(degc, 5.0) * (1 + cell.resistance_growth_frac), rel=1e-4)


@pytest.mark.parametrize("exponent", [0.5, 1.0])
def test_cycle_loss_goes_with_the_power_of_full_cycles(cell_params, exponent):
    law = AgeingParams(cycle_frac_per_rt_cycle=0.001, cycle_exponent=exponent)
    pack, (cell,) = (made := alone(replace(cell_params, ageing=law))), made.cells
    for k in range(200):
        pack.step(0.3 if k % 2 else -0.3, 1200.0)
    assert cell.throughput_ah == pytest.approx(0.1 * 200)
    assert cell.capacity_loss_frac == pytest.approx(0.001 * (20 / 1.2) ** exponent)


def test_ageing_comes_to_the_same_for_any_step(cell_params):
    law = AgeingParams(0.01, calendar_activation_ev=0.4, calendar_soc_slope=0.5, cycle_frac_per_rt_cycle=0.001)
    ends = []
    for dt_s in (0.5, 10.0, 60.0):
        pack = held(alone(replace(cell_params, ageing=law)), 0.01, 36000.0, dt_s)
        ends.append(pack.cells[0].capacity_loss_frac)
    assert ends == pytest.approx([ends[0]] * 3, rel=2e-3)


def test_a_lost_capacity_fills_faster(cell_params):
    law = AgeingParams(calendar_frac_per_rt_day=0.02)
    old = held(alone(replace(cell_params, ageing=law)), 0.0, 25 * 86400.0, 3600.0)
    new = alone(cell_params)
    for pack in (old, new):
        held(pack, 0.1, 100.0, 1.0)
    assert (old.cells[0].soc - 0.5) / (new.cells[0].soc - 0.5) == pytest.approx(1 / 0.9, rel=1e-6)
