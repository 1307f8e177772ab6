"""What cells can take bounds the cycler: nothing before the estimator runs, the least of all cells afterwards."""

import pytest
from assb import cells
from assb.control.derating import Derating
from assb.estimation import flat_layout, parameters
from assb.protocol import schema
from bench import Bench, estimator_floats

CELL_AT = schema.index_of(schema.CELL_SIGNALS)
CHARGE_MAX_MA, DISCHARGE_MAX_MA = 600, 600
ONE_TENTH_A = [0.1] * 96


def bench_of(cell_count=1, **changes):
    bench = Bench(cell_count)
    changed = estimator_floats(**changes)
    for position, value in enumerate(changed):
        bench.config.estimator[position] = value  # the app's Power and Ekf read this very array
    return bench


def limits_ma(bench):
    value, pack = bench.app.signals.value, bench.app.signals.pack
    return value[pack("charge_limit_ma")], value[pack("discharge_limit_ma")]


def of_cell(bench, name, cell=0):
    return bench.app.signals.value[bench.app.signals.cell(cell, name)]


def test_the_places_in_cells_are_those_of_the_table():
    first = CELL_AT["charge_2s_ma"]
    for direction, offset in (("charge", 0), ("discharge", cells._DISCHARGE)):
        for name, place in (("10s_ma", cells._TEN_S), ("10s_mw", cells._TEN_S_MW), ("bound", cells._BOUND)):
            assert CELL_AT[f"{direction}_{name}"] == first + offset + place
        assert CELL_AT[f"{direction}_30s_ma"] == first + offset + 2


@pytest.mark.parametrize(
    ("cells_ma", "left_permille", "expected"),
    [
        ((1000, 1000), (1000, 1000), (600, 600)),
        ((1000, 1000), (500, 1000), (300, 600)),
        ((1000, 1000), (1000, 1), (600, 0)),
        ((100, 400), (1000, 1000), (100, 400)),
        ((100, 400), (500, 500), (100, 300)),
        ((1000, 1000), (0, 0), (0, 0)),
        ((0, 0), (1000, 1000), (0, 0)),
    ],
)
def test_the_least_of_configuration_rows_and_cells_counts(cells_ma, left_permille, expected):
    derating = Derating(CHARGE_MAX_MA, DISCHARGE_MAX_MA)
    derating.cells_charge_ma, derating.cells_discharge_ma = cells_ma
    derating.update(*left_permille, 0)
    assert (derating.charge_ma, derating.discharge_ma) == expected


@pytest.mark.parametrize("direction", ["charge", "discharge"])
def test_a_limit_of_nothing_takes_the_line_and_a_second_above_it_gives_it_back(direction):
    derating, now_ms = Derating(CHARGE_MAX_MA, DISCHARGE_MAX_MA), 5000
    other = "discharge" if direction == "charge" else "charge"
    setattr(derating, f"cells_{other}_ma", 100)

    def after(cells_ma, ms):
        nonlocal now_ms
        setattr(derating, f"cells_{direction}_ma", cells_ma)
        for _ in range(ms // 10):
            now_ms += 10
            derating.update(1000, 1000, now_ms)
        return getattr(derating, direction)

    assert after(0, 2000) == 0
    assert after(1, 1000 - 10) == 0
    assert after(1, 10) == 1
    assert after(0, 10) == 0
    assert after(600, 500) == after(0, 10) == after(600, 1000 - 10) == 0
    assert after(600, 10) == 1
    assert getattr(derating, other) == 1


@pytest.mark.parametrize(("current_ua", "left"), [(300000, (1, 0, 0, 1)), (-300000, (1, 0, 1, 0))])
def test_a_current_that_flows_on_at_a_limit_of_nothing_opens(current_ua, left):
    changes = {"plating_limit_a" if current_ua > 0 else "stripping_limit_a": [0.0] * 96}
    bench = bench_of().to_rest()
    bench.board.current_ua = current_ua
    bench.run_leased(1000)
    assert bench.board.outputs == (1, 0, 1, 1)
    for position, value in enumerate(estimator_floats(**changes)):
        bench.config.estimator[position] = value
    for _ in range(150):
        bench.run_leased(10)
        if bench.board.outputs != (1, 0, 1, 1):
            break
    assert bench.board.outputs == left
    assert limits_ma(bench)[current_ua < 0] == 0
    bench.run_leased(300)
    assert (bench.state, bench.tripped()) == ("FAULT", {"forbidden_current"})


def test_cells_that_are_not_known_yet_allow_nothing():
    derating = Derating(CHARGE_MAX_MA, DISCHARGE_MAX_MA)
    derating.update(1000, 1000, 0)
    assert (derating.charge_ma, derating.discharge_ma) == (0, 0)
    bench = Bench()
    bench.board.dead.add("voltage")
    bench.run(3000)
    assert of_cell(bench, "charge_10s_ma") == 0
    assert schema.BOUNDS[of_cell(bench, "charge_bound")] == "none"
    assert bench.app.derating.cells_charge_ma == 0


def test_a_profile_without_limits_leaves_the_configured_ones():
    bench = Bench().to_rest()
    assert limits_ma(bench) == (600, 600)
    assert schema.BOUNDS[of_cell(bench, "charge_bound")] == "voltage"  # 6 V of default window through 0.07 ohm


def test_both_directions_are_known_within_a_second_and_follow_as_often():
    bench = bench_of(plating_limit_a=[0.05 * (1 + k % 8) for k in range(96)])
    bench.run(1500)
    first_ma = of_cell(bench, "charge_10s_ma")
    assert first_ma == pytest.approx(250, abs=1)
    assert of_cell(bench, "discharge_10s_ma") > 0
    bench.board.pressure_kpa = 3000
    bench.run(1200)
    assert of_cell(bench, "charge_10s_ma") == pytest.approx(150, abs=1)
    assert schema.BOUNDS[of_cell(bench, "charge_bound")] == "plating"


@pytest.mark.parametrize("cell_count", [1, 3, 16])
def test_every_direction_of_every_cell_is_worked_out_once_a_second(cell_count):
    bench = Bench(cell_count).run(2000)
    asked = []
    for cell in bench.app.cells:
        cell.limit = lambda charging, now_ms, number=cell.cell: asked.append((number, charging))
    bench.run(1000)
    wanted = [(cell, charging) for cell in range(cell_count) for charging in (True, False)]
    assert abs(len(asked) - len(wanted)) <= 1
    assert set(asked) <= set(wanted)
    bench.run(1000)
    assert sorted(set(asked)) == sorted(wanted)


def test_the_weakest_cell_bounds_the_pack():
    bench = bench_of(2, window_max_v=3.65, voltage_margin_sigmas=0.0)
    bench.board.voltages_uv = [3400000, 3640000]
    bench.to_rest()
    weakest_ma = of_cell(bench, "charge_10s_ma", cell=1)
    assert 0 < weakest_ma < 600 < of_cell(bench, "charge_10s_ma", cell=0)
    assert limits_ma(bench) == (weakest_ma, 600)


def test_lithium_bounds_both_directions_and_the_power_goes_with_it():
    bench = bench_of(plating_limit_a=ONE_TENTH_A, stripping_limit_a=ONE_TENTH_A, critical_safety_frac=0.5).to_rest()
    assert limits_ma(bench) == (50, 50)
    bounds = [schema.BOUNDS[of_cell(bench, f"{direction}_bound")] for direction in ("charge", "discharge")]
    assert bounds == ["plating", "stripping"]
    assert of_cell(bench, "charge_10s_mw") == pytest.approx(50 * 3.6, rel=0.01)
    assert of_cell(bench, "discharge_10s_mw") == pytest.approx(50 * 3.6, rel=0.01)


def test_a_pressure_that_is_lost_is_taken_for_the_lower_end_of_the_window():
    bench = bench_of(
        plating_limit_a=[0.05 * (1 + k % 8) for k in range(96)], contact_full_mpa=2.0, contact_zero_mpa=1.0
    )
    bench.run(1500)
    bench.board.dead.add("pressure")
    bench.run(1200)
    assert of_cell(bench, "charge_10s_ma") == pytest.approx(100, abs=1)


def test_the_coldest_place_limits_the_charge_and_the_hottest_the_rest():
    by_degc = [0.05 * (1 + k // 8) for k in range(96)]  # at 0, 7, 14 .. degC
    heat = {"hot_full_degc": 40.0, "hot_zero_degc": 70.0, "charge_max_a": 0.5}
    bench = bench_of(plating_limit_a=by_degc, stripping_limit_a=by_degc, **heat)
    bench.board.temperature_cdegc, bench.board.coldest_cdegc = 2800, 1400
    bench.run(1500)
    assert (of_cell(bench, "charge_10s_ma"), of_cell(bench, "discharge_10s_ma")) == (150, 250)
    bench.board.temperature_cdegc = 5500  # half of what heat leaves, and less than the cold does
    bench.board.coldest_cdegc = 3500
    bench.run(1500)
    assert schema.BOUNDS[of_cell(bench, "charge_bound")] == "temperature"


def test_what_an_implausible_temperature_says_is_no_limit_at_all():
    """The estimator refuses it, so the last limit stands until a row acts; the limit itself would be 0."""
    bench = bench_of(plating_limit_a=ONE_TENTH_A).to_rest()
    cell = bench.app.cells[0]
    bench.board.temperature_cdegc = 20000
    bench.board.sample_slow(bench.clock.ms)
    cell.limit(True, bench.clock.ms)
    assert (cell.limit_ma(True), of_cell(bench, "charge_bound")) == (0, 0)


def test_a_limit_of_a_thousand_amperes_fits_the_wire():
    assert flat_layout.NO_LIMIT_A * 1000 <= schema.INT30_MAX


def test_an_estimate_that_stopped_allows_nothing_more():
    bench = Bench().to_rest()
    assert of_cell(bench, "charge_10s_ma") > 0
    bench.board.dead.add("voltage")
    bench.run(3000)
    assert of_cell(bench, "charge_10s_ma") == of_cell(bench, "discharge_10s_ma") == 0
    assert schema.BOUNDS[of_cell(bench, "charge_bound")] == "none"
    assert bench.app.derating.cells_charge_ma == 0


def test_the_weakest_cell_counts_wherever_it_stands():
    for weak in (0, 1, 2):
        bench = Bench(3).run(1500)
        limits = bench.app.limits
        bench.app.signals.put(bench.app.signals.cell(weak, "charge_10s_ma"), 7, 1500)
        assert limits._least_ma(True) == 7


def test_a_pressure_that_is_not_known_is_the_lowest_for_filter_and_limits_and_teaches_nothing():
    bench = Bench().to_rest()
    cell = bench.app.cells[0]
    seen = []
    step = cell.ekf.step
    cell.ekf.step = lambda *sample: seen.append(sample[3]) or step(*sample)
    cell.learning.update = lambda *sample: seen.append("taught")
    bench.board.dead.add("pressure")
    bench.run(3000)
    assert (
        seen[-1]
        == pytest.approx(max(cell.flat[cells._CONTACT_FULL_MPA], 0.0))
        == max(bench.config.estimator[parameters.offset("contact_full_mpa")], 0.0)
    )
    assert "taught" not in seen[-10:]


def test_a_lost_voltage_leaves_the_count_of_charge_running_and_no_mean_behind():
    bench = Bench().to_rest()
    cell = bench.app.cells[0]
    bench.board.current_ua = 100000
    bench.run_leased(500)
    before = cell.ekf.soc
    bench.board.dead.add("voltage")
    bench.run(2000)
    counted = cell.ekf.soc - before
    assert 0 < counted < 3 * 0.1 * 2.0 / 3600 / cell.ekf._capacity_ah
    assert not cell.estimates
    assert cell.means.take(0, -1) == -1


def test_a_cell_that_is_started_afresh_has_learned_nothing():
    cell = Bench().to_rest().app.cells[0]
    fresh = Bench().app.cells[0].learning.export()
    values = cell.learning.export()
    values[cells._RESISTANCE], values[cells._CAPACITY] = 1.4, 0.8
    assert cell.restore(values)
    cell.start_afresh(0.5)
    assert cell.learning.export() == fresh


def test_soh_and_the_sigma_of_soc_on_the_wire_are_those_of_learning():
    bench = Bench().to_rest()
    bench.run(2500)
    cell = bench.app.cells[0]
    assert of_cell(bench, "soc_sigma_ppm") == pytest.approx(1e6 * cell.learning.soc_sigma(), rel=0.05)
    assert of_cell(bench, "soc_sigma_ppm") > 1.05e6 * cell.ekf.soc_sigma
    (capacity, resistance) = cell.learning.soh()
    assert of_cell(bench, "soh_capacity_ppm") == pytest.approx(1e6 * capacity[0], abs=2)
    assert of_cell(bench, "soh_capacity_sigma_ppm") == pytest.approx(1e6 * capacity[1], abs=2)
    assert of_cell(bench, "soh_resistance_sigma_ppm") == pytest.approx(1e6 * resistance[1], abs=2)
    assert of_cell(bench, "resistance_missing") == resistance[3]
