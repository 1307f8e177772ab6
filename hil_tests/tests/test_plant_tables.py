"""What `assb bench plant` prints: the published tables come out of the C plant, and would not out of another law."""

import json
from dataclasses import replace

import pytest
from assb_hil import pressure_table, stress_table, stripping_table
from assb_hil.plant_bench import drive_current, measure_plant, plant_hour
from assb_hil.plant_file import load_plant
from assb_host.cli import run

SETUP = pressure_table.Setup(dt_s=60.0)


@pytest.fixture(scope="module")
def table():
    return pressure_table.pressure_table(SETUP)


@pytest.fixture(scope="module")
def symmetric():
    return load_plant(pressure_table.PLANT, bench=pressure_table.BENCH)


@pytest.fixture(scope="module")
def stress():
    return {row["anode"]: row for row in stress_table.stress_table()["rows"]}


class OtherCell:
    """A plant whose cell has other parameters."""

    def __init__(self, plant, **changes):
        self.cell = replace(plant.cell, **changes)
        self._plant = plant

    def pack(self, **start):
        from assb_kernels import Pack

        return Pack([self.cell], self._plant.stacks, self._plant.stack_of, **start)


def test_median_times_to_short_are_the_published_ones(table):
    medians_h = {row["pressure_mpa"]: row["median_h"] for row in table["rows"]}
    assert medians_h[5.0] >= 1000
    assert medians_h[75.0] < 0.1
    for pressure_mpa, published_h in ((10.0, 474), (15.0, 272), (20.0, 190), (25.0, 48)):
        assert medians_h[pressure_mpa] == pytest.approx(published_h, rel=0.25)


def test_the_table_says_what_it_is_and_how_it_was_made(table):
    text = "\n".join(pressure_table.lines(table))
    assert "calibration, not validation" in text
    assert "half cycles of 1 h" in text
    assert "time step 60 s" in text
    assert "200 seeds" in text


def test_half_the_time_step_moves_no_median_by_five_percent(symmetric):
    for pressure_mpa in (10.0, 25.0):
        medians_h = [
            sorted(
                pressure_table.time_to_short_h(symmetric, pressure_mpa, seed, replace(SETUP, dt_s=dt_s))
                for seed in range(41)
            )[20]
            for dt_s in (20.0, 10.0)
        ]
        assert medians_h[1] == pytest.approx(medians_h[0], rel=0.05)


def test_a_seed_is_a_time_and_another_seed_is_another(symmetric):
    times_h = [pressure_table.time_to_short_h(symmetric, 25.0, seed, SETUP) for seed in (1, 1, 2)]
    assert times_h[0] == times_h[1] != times_h[2]


def test_without_creep_under_pressure_nothing_shorts(symmetric):
    still = OtherCell(symmetric, filament=replace(symmetric.cell.filament, creep_per_s=(0.0, 0.0)))
    setup = replace(SETUP, censored_at_h=96.0)
    assert pressure_table.time_to_short_h(still, 75.0, 1, setup) == 96.0
    row = pressure_table.row(75.0, 0.0, "at once", pressure_table.np.array([96.0] * 3), setup)
    assert row["median_is_censored"] and row["censored_frac"] == 1


def test_polarisation_keeps_growing_from_the_published_stripping_currents_on():
    for row in stripping_table.stripping_table()["rows"]:
        assert row["critical_ma_cm2"] == pytest.approx(row["published_ma_cm2"], abs=0.011)


def test_a_law_of_voids_that_pressure_does_not_help_is_found_out(symmetric):
    alike = OtherCell(symmetric, voids=replace(symmetric.cell.voids, strip_exponent=0.0))
    assert stripping_table.ramp(alike, 7.0, stripping_table.Setup())["critical_ma_cm2"] < 0.3


def test_a_face_without_voids_has_no_critical_current(symmetric):
    smooth = OtherCell(symmetric, voids=replace(symmetric.cell.voids, rate_per_s=0.0))
    setup = stripping_table.Setup(last_ma_cm2=0.5)
    assert stripping_table.ramp(smooth, 3.0, setup)["critical_ma_cm2"] is None


def test_lithium_stresses_the_frame_far_more_than_graphite_and_graphite_more_than_lto(stress):
    lithium, graphite, lto = (stress[anode]["amplitude_mpa"] for anode in ("Li metal", "graphite", "LTO"))
    assert lithium > 3 * graphite
    assert graphite > 1.2 * lto > 0


def test_the_three_pass_the_same_areal_capacity(stress):
    plants = {row["anode"]: load_plant(row["plant"], format="pellet").cell for row in stress.values()}
    for anode, row in stress.items():
        areal_mah_cm2 = 1000 * plants[anode].capacity_ah / plants[anode].layer_area_cm2
        assert row["soc_swing_frac"] * areal_mah_cm2 == pytest.approx(1.8, rel=0.01)


def test_the_speed_is_that_of_plant_and_floor_in_one_run():
    figures = measure_plant(repeats=2, steps=500)
    assert figures["ratio"] == pytest.approx(figures["step_ns"] / figures["floor_ns"], rel=0.01)
    assert figures["hour_ms"] == pytest.approx(figures["step_ns"] * 0.036, rel=0.01)
    assert figures["published_pybamm_thevenin_x"] == pytest.approx(980 / figures["hour_ms"], rel=0.01)


def test_the_timed_plant_has_all_that_a_plant_has():
    plant = load_plant("li_lpscl_nca")
    cell = plant.cell
    assert cell.voids.rate_per_s and cell.filament.growth_per_s and cell.ageing.calendar_frac_per_rt_day
    assert plant.stacks[0].actuator.kind == "pneumatic" and plant.stacks[0].stack.creep_um_per_s
    voltage_v = plant_hour(plant, drive_current(0.3, 100)).run()["voltage_v"]
    assert len(set(voltage_v)) > 90


def test_each_timed_hour_starts_from_the_same_state():
    plant = load_plant("li_lpscl_nca")
    hour = plant_hour(plant, drive_current(0.3, 100))
    first, second = ((hour.start(), hour.run())[1]["voltage_v"] for _ in range(2))
    assert first == second
    bridged = plant_hour(plant, drive_current(0.3, 100), bridge_ohm=100.0)
    bridged.start()
    assert bridged.run()["voltage_v"][0] < first[0]


def test_command_writes_table_and_plot(tmp_path, capsys):
    assert run(["bench", "plant", "--table", "stress", "--json", "--out", str(tmp_path)]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["anode"] for row in rows] == ["Li metal", "graphite", "LTO"]
    assert (tmp_path / "stress_table.png").stat().st_size > 10_000
    assert json.loads((tmp_path / "stress_table.json").read_text())["rows"] == rows


def test_command_refuses_a_folder_without_a_table(tmp_path, capsys):
    assert run(["bench", "plant", "--out", str(tmp_path)]) == 2
    assert "--table" in capsys.readouterr().err
