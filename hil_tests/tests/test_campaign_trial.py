"""Trials as they run: repeatable, truthful about their shorts, seen by watch and baselines."""

import math

import msgspec
import numpy as np
import pytest
from assb_hil.campaign import resting
from assb_hil.campaign.belief import believed, believed_pack
from assb_hil.campaign.classes import CLASSES
from assb_hil.campaign.record import GRID_POINTS, SCORES, TrialSpec
from assb_hil.campaign.trial_bench import TrialBench
from assb_hil.campaign.trial_run import ROWS_AT_ONCE, WATCHED, chunks, part, run, watchers, whole
from assb_host.config.pack import load_pack
from assb_kernels import Estimator

LEAK = TrialSpec(
    number=0,
    seed=5,
    profile="graphite_nmc",
    bench="pneumatic",
    cells=2,
    load="pulses",
    short_class="leak_c20",
    confounders=(),
    duration_s=CLASSES["leak_c20"].duration_s,
    dt_s=0.1,
)


def changed(**changes) -> TrialSpec:
    return TrialSpec(**({name: getattr(LEAK, name) for name in LEAK.__struct_fields__} | changes))


SOUND_S = 3.2 * 3600.0
SOUND = changed(short_class="", confounders=("plain",), duration_s=SOUND_S)


def columns(spec: TrialSpec, rows: int) -> dict[str, np.ndarray]:
    bench = TrialBench(spec)
    held = bench.trial.columns(rows)
    bench.run(held, rows)
    return {name: np.array(held[name]).reshape(rows, -1) for name in held.values}


@pytest.fixture(scope="module")
def result():
    return run(LEAK)


def test_a_trial_runs_twice_alike(result):
    again = run(LEAK)
    assert (again.changes, again.crossings, again.truth, again.observer) == (
        result.changes,
        result.crossings,
        result.truth,
        result.observer,
    )


def test_a_result_has_every_score_of_every_cell(result):
    assert len(result.crossings) == 2
    for cell, scores in enumerate(result.crossings):
        assert len(scores) == len(SCORES)
        for crossings in scores:
            assert len(crossings.before_s) == GRID_POINTS
            assert len(crossings.after_s) == (GRID_POINTS if cell == result.truth.cell else 0)


def test_crossings_count_from_the_onset(result):
    after_s = result.crossings[result.truth.cell][SCORES.index("soc_drift")].after_s
    assert 0.0 < after_s[0] < LEAK.duration_s - result.truth.onset_s
    sound = result.crossings[1 - result.truth.cell]
    assert all(first == sorted(first) for first in (list(crossings.before_s) for crossings in sound))


def test_the_leak_in_the_pack_is_the_truths(result):
    bench = TrialBench(LEAK)
    held = bench.trial.columns(ROWS_AT_ONCE)
    for _, count in chunks(round((result.truth.onset_s + 90.0) / LEAK.dt_s), None):
        bench.run(held, count)
    shorts_s = [cell.short_s for cell in bench.pack.cells]
    assert shorts_s[result.truth.cell] == pytest.approx(1.0 / result.truth.rs_ohm)
    assert shorts_s[1 - result.truth.cell] == 0.0
    per_h = bench.pack.cells[result.truth.cell].short_a / bench.scene.capacity_ah
    assert per_h == pytest.approx(1.0 / 20.0, rel=0.15)  # at the voltage of the moment, not the nominal one


def test_what_an_observer_knows_is_the_pack_at_the_onset(result):
    seen = result.observer
    assert seen.tau_s[0] == 0.0 and len(seen.ohm) == len(seen.tau_s) == 4
    assert seen.capacity_ah == pytest.approx(0.64, rel=0.06) and 0.1 < seen.slope_v < 5.0
    assert 1e-5 < seen.noise_v < 5e-5


@pytest.mark.parametrize("load", ["cccv", "rest_mostly"])
def test_a_trial_without_a_class_has_no_short(load):
    bench = TrialBench(changed(short_class="", confounders=("plain",), profile="samsung_agc", load=load))
    held = bench.trial.columns(ROWS_AT_ONCE)
    truth = [bench.trial.run(held, ROWS_AT_ONCE, ["short_s"])["short_s"] for _ in range(40)]
    assert not np.any(truth)
    assert not [event for event in bench.pack.drain_events() if event.kind != "voided"]


def test_the_plants_cells_are_not_what_the_estimator_believes():
    flat = Estimator(believed("graphite_nmc"), "f64").c_params
    drawn = [TrialBench(changed(seed=seed)).pack.cell_params[0] for seed in range(12)]
    capacities = np.array([cell.capacity_ah for cell in drawn]) / flat.capacity_ah
    assert len(set(capacities)) == 12 and 0.003 < capacities.std() < 0.03
    assert all(np.abs(np.subtract(cell.ocv_v, list(flat.ocv_v))).max() > 1e-4 for cell in drawn)


def test_a_confounder_shows_in_the_readings_it_says():
    plain = columns(SOUND, 60_000)
    warm = columns(changed(short_class="", confounders=("heating",), duration_s=SOUND_S), 60_000)
    assert np.ptp(warm["temperature_degc"]) > 5.0 > np.ptp(plain["temperature_degc"])
    moved = columns(changed(short_class="", confounders=("pressure_steps",), duration_s=SOUND_S, seed=8), 110_000)
    assert np.ptp(moved["aim_mpa"]) > 0.1 and np.ptp(plain["aim_mpa"]) == 0.0
    assert np.corrcoef(moved["aim_mpa"][600:, 0], moved["pressure_mpa"][600:, 0])[0, 1] > 0.95


def test_a_press_without_a_screw_shows_no_gap():
    assert np.isnan(columns(SOUND, 10)["gap_um"]).all()
    screw = columns(changed(short_class="", profile="liin_tis2", bench="spring_stepper", load="cc"), 40_000)
    assert np.isfinite(screw["gap_um"]).all() and len(np.unique(screw["gap_um"])) > 2


def test_hidden_units_are_one_cell_with_one_voltage():
    result = run(changed(profile="bipolar_2s", cells=1, load="pulses"))
    assert (
        len(result.crossings) == 1
        and result.truth.cell == 0
        and result.cell_hours == pytest.approx(LEAK.duration_s / 3600)
    )


def test_a_hard_short_is_stage_three_within_a_tenth_of_a_second():
    result = run(changed(short_class="hard", duration_s=1350.0, dt_s=0.01, load="cccv"))
    late_s = [change.time_s - result.truth.onset_s for change in result.changes if change.stage == 3]
    assert late_s and 0.0 < late_s[0] <= 0.1


def test_chunks_begin_at_the_onset_and_cover_all():
    parts = list(chunks(10_000, 4100))
    assert parts == [(0, 3000), (3000, 1100), (4100, 3000), (7100, 2900)]


def test_a_watch_that_may_ask_gets_its_rests():
    spec = changed(load="cc", duration_s=2.6 * 3600.0, short_class="", confounders=())
    without, with_rests = run(spec), run(msgspec.structs.replace(spec, watch_rests=True))
    assert without.rested_s == 0.0
    rest_s = believed_pack(spec.profile).parameters["watch_rest_s"]
    assert 2 * rest_s <= with_rests.rested_s <= 2 * (rest_s + resting.LOOK_S)


def test_rests_are_those_of_the_packs_file_where_it_asks_for_some(monkeypatch):
    spec = changed(load="cc", duration_s=2.6 * 3600.0, short_class="", confounders=(), watch_rests=True)
    changes = {"watch_rests.every_s": 1800, "watch_rests.rest_s": 900, "watch_rests.most_s": 900}
    pack = load_pack(spec.profile, changes=changes)
    monkeypatch.setattr(resting, "believed_pack", lambda profile: pack)
    assert 3 * 900.0 <= run(spec).rested_s <= 4 * (900.0 + resting.LOOK_S)


def test_a_rest_stops_the_current_and_the_load_goes_on_after_it():
    bench = TrialBench(changed(load="cc", short_class="", confounders=(), cells=1))
    watch, _ = watchers(bench.scene)
    asked, read, rows = resting.Resting(bench, watch), [], 600
    held = bench.trial.columns(rows)
    for _ in range(90):
        bench.run(held, rows)
        watch.run(*(part(held, name, rows) for name in WATCHED))
        read.append(held["current_a"][rows - 1])
        asked.look(part(held, "current_a", rows), resting.LOOK_S)
    still = [abs(current_a) < 0.01 * bench.scene.capacity_ah for current_a in read]
    assert still[:2] == [True, True] and not any(still[2:60])  # the trial's first rest is too short to count
    assert all(still[61:70]) and not any(still[75:])
    assert asked.rested_s == pytest.approx(still[2:].count(True) * resting.LOOK_S)


def test_a_sound_cells_times_are_of_the_whole_trial():
    inf = math.inf
    assert whole((3.0, inf, inf), (1.0, 2.0, inf), 10.0) == (3.0, 12.0, inf)


def test_a_refusal_names_the_trial(monkeypatch):
    bench = TrialBench(SOUND)
    bench.trial.c_trial.ambient_degc = math.nan
    with pytest.raises(ValueError, match=r"TrialSpec\(number=0.*temperature"):
        bench.run(bench.trial.columns(10), 10)
