"""Trials of the short detectors: loads on whole ticks, changes at their times, readings as the sensors give them."""

import math
import random
from dataclasses import replace
from statistics import fmean, pstdev

import numpy as np
import pytest
from assb_kernels import (
    ActuatorParams,
    CellParams,
    Change,
    Pack,
    Phase,
    SensorParams,
    Stack,
    Trial,
    TrialSensors,
    VoidParams,
)
from assb_kernels.trial import COLUMNS, dither

DT_S = 0.1
CELLS = 3
SENSORS = TrialSensors(
    voltage_v=[SensorParams(offset=1e-4 * k, noise_rms=5e-5, quantum=195.3125e-6) for k in range(CELLS)],
    current_a=SensorParams(gain_frac=1e-3, noise_rms=3e-4),
    temperature_degc=SensorParams(noise_rms=0.01, quantum=0.0078125, delay_s=1.0),
    pressure_mpa=[SensorParams(drift_per_rt_h=1e-3, noise_rms=1e-3)],
)
PERFECT = TrialSensors([SensorParams()] * CELLS, SensorParams(), SensorParams(), [SensorParams()])
CYCLE = (
    Phase(9000.0, 0.6, until_a=0.05, ceiling_v=4.10, floor_v=3.0),
    Phase(60.0),
    Phase(200.0, drive_a=[0.1, -0.6, -0.3], drive_dt_s=1.0, ceiling_v=4.10, floor_v=3.0),
)


@pytest.fixture
def trial(cell_params: CellParams):
    def make(phases=CYCLE, changes=(), sensors=SENSORS, soc=0.45, **options) -> Trial:
        cells = [replace(cell_params, capacity_ah=cell_params.capacity_ah * (1 + 0.01 * k)) for k in range(CELLS)]
        pack = Pack(cells, [Stack(actuator=ActuatorParams(kind="pneumatic"))], soc=soc)
        usual = {"dt_s": DT_S, "seed": 5, "samples": 10, "aim_mpa": 5.0}
        return Trial(pack, phases, sensors, changes, **(usual | options))

    return make


def run(trial: Trial, rows: int, results=(), pieces=(1.0,)) -> dict[str, np.ndarray]:
    """All columns, rows × width, run in the given shares of `rows`."""
    edges = [0, *(round(rows * share) for share in pieces)]
    parts = []
    for count in np.diff(edges):
        columns = trial.columns(int(count))
        truth = trial.run(columns, int(count), results)
        both = {**columns.values, **{f"true {name}": values for name, values in truth.items()}}
        parts.append({name: np.array(values).reshape(count, -1) for name, values in both.items()})
    return {name: np.vstack([part[name] for part in parts]) for name in parts[0]}


BUSY = (
    Change(20.0, "short_s", 1e-2, at=1, ramp_s=100.0),
    Change(30.0, "theta", 0.5, at=2),
    Change(40.0, "aim_mpa", 4.0, ramp_s=10.0),
    Change(50.0, "ambient_degc", 40.0, ramp_s=600.0),
    Change(60.0, "ripple_a", 0.02),
    Change(70.0, "dropout", 0.2, channel="voltage_v", at=1),
    Change(150.0, "stuck", 1.0, channel="current_a"),
)


def test_cutting_a_trial_into_calls_changes_no_byte(trial):
    rng = random.Random(3)
    pieces = [*sorted(rng.random() for _ in range(7)), 1.0]
    whole, cut = run(trial(changes=BUSY), 5000), run(trial(changes=BUSY), 5000, pieces=pieces)
    for name in COLUMNS:
        assert whole[name].tobytes() == cut[name].tobytes(), name


def test_the_seed_is_all_the_chance_there_is(trial):
    one, same, other = (run(trial(changes=BUSY, seed=seed), 2000)["voltage_v"] for seed in (5, 5, 6))
    assert one.tobytes() == same.tobytes()
    assert one.tobytes() != other.tobytes()


def test_time_is_whole_ticks(trial):
    assert run(trial(), 5000)["time_s"].ravel().tolist() == [(k + 1) * DT_S for k in range(5000)]


def test_a_ceiling_holds_the_fullest_cell_until_the_current_has_fallen(trial):
    made = trial(sensors=PERFECT)
    seen = run(made, 60_000, ["voltage_v[0]"])
    current_a, end = seen["current_a"].ravel(), int(np.argmax(seen["current_a"] <= 0.05))
    held = np.flatnonzero(current_a[:end] < 0.599)
    assert len(held) > 100 and current_a[0] == 0.6
    assert seen["true voltage_v[0]"].ravel()[held] == pytest.approx(4.10, abs=2e-5)
    assert 0 < end < 59_000 and current_a[end] <= 0.05 and (current_a[end + 1 : end + 600] == 0.0).all()


def test_a_phase_ends_where_its_voltage_is_reached_and_the_load_repeats(trial):
    phases = (Phase(99.0), Phase(1e4, -0.6, until_a=0.5999, floor_v=3.5), Phase(1e4, 0.6, 0.5999, 4.1))
    made = trial(phases, sensors=PERFECT, loop_from=1)
    seen = run(made, 60_000)
    signs = np.sign(seen["current_a"].ravel()).astype(int)
    turns = signs[np.flatnonzero(np.diff(signs, prepend=9))]
    assert turns[:5].tolist() == [0, -1, 1, -1, 1] and 0 not in turns[1:]
    assert seen["voltage_v"].min() > 3.5 - 1e-3 and seen["voltage_v"].max() < 4.1 + 1e-3


def test_a_load_that_rests_stands_still_and_then_goes_on(trial):
    phases = (Phase(30.0, 0.3), Phase(20.0, -0.5, until_a=0.01))
    made = trial(phases, sensors=PERFECT)
    parts = [run(made, 200)]
    made.rests = True
    parts.append(run(made, 500))
    made.rests = False
    parts.append(run(made, 400))
    current_a = np.vstack([part["current_a"] for part in parts]).ravel().tolist()
    assert current_a == [0.3] * 200 + [0.0] * 500 + [0.3] * 100 + [-0.5] * 200 + [0.3] * 100


def test_a_drive_column_repeats(trial):
    seen = run(trial((Phase(1e4, drive_a=[0.1, -0.6, -0.3], drive_dt_s=1.0),), sensors=PERFECT), 90)
    assert seen["current_a"].ravel().tolist() == ([0.1] * 10 + [-0.6] * 10 + [-0.3] * 10) * 3


@pytest.mark.parametrize(
    "change, column, place",
    [
        (Change(20.0, "short_s", 0.05, at=1), "voltage_v", 1),
        (Change(20.0, "theta", 0.5, at=1), "voltage_v", 1),
        (Change(20.0, "offset", -0.01, at=1, channel="voltage_v"), "voltage_v", 1),
        (Change(20.0, "gain", 0.99, at=1, channel="voltage_v"), "voltage_v", 1),
        (Change(20.0, "noise", 0.01, at=1, channel="voltage_v"), "voltage_v", 1),
        (Change(20.0, "stuck", 1.0, channel="current_a"), "current_a", 0),
        (Change(20.0, "ripple_a", 0.01), "current_a", 0),
        (Change(20.0, "dropout", 0.5, channel="pressure_mpa"), "pressure_mpa", 0),
        (Change(20.0, "aim_mpa", 4.0), "pressure_mpa", 0),
        (Change(20.0, "ambient_degc", 45.0), "temperature_degc", 0),
    ],
    ids=lambda value: value.kind if isinstance(value, Change) else "",
)
def test_a_change_acts_at_its_time_on_what_it_names(trial, change, column, place):
    plain, changed = run(trial(), 600), run(trial(changes=[change]), 600)
    unlike = np.flatnonzero(plain[column][:, place] != changed[column][:, place])
    assert len(unlike) and unlike[0] >= 200
    of_sensor = change.channel or change.kind in ("short_s", "theta")
    others = [name for name in COLUMNS if name != column] if change.channel else []
    assert all(plain[name].tobytes() == changed[name].tobytes() for name in others)
    if of_sensor and column == "voltage_v":
        assert unlike[0] <= 202
        if change.channel:
            assert plain[column][:, 0].tobytes() == changed[column][:, 0].tobytes()


def test_a_short_ramps_by_equal_factors(trial):
    changes = [Change(10.0, "short_s", 1e-4), Change(20.0, "short_s", 1e-2, ramp_s=100.0, by_factors=True)]
    conductance_s = run(trial(changes=changes), 2000, ["short_s[0]"])["true short_s[0]"].ravel()
    assert (conductance_s[:100] == 0.0).all() and (conductance_s[100:200] == 1e-4).all()
    rising = conductance_s[200:1200]
    assert rising[1:] / rising[:-1] == pytest.approx(math.exp(math.log(100.0) / 1000), rel=1e-9)
    assert (conductance_s[1199:] == 1e-2).all()


def test_a_later_change_takes_over_from_one_on_its_way(trial):
    changes = [Change(0.0, "short_s", 1.0, ramp_s=100.0), Change(50.0, "short_s", 0.0)]
    conductance_s = run(trial(changes=changes), 2000, ["short_s[0]"])["true short_s[0]"].ravel()
    assert conductance_s[499] == pytest.approx(0.5) and (conductance_s[500:] == 0.0).all()


def test_lost_contact_is_held_and_comes_back(trial, cell_params):
    changes = [Change(10.0, "theta", 0.6, at=2), Change(60.0, "theta", 0.2, at=2)]
    seen = run(trial(changes=changes), 1000, ["theta[2]", "r0_ohm[2]"])
    theta, r0_ohm = seen["true theta[2]"].ravel(), seen["true r0_ohm[2]"].ravel()
    assert theta[98:102].tolist() == [0.0, 0.0, 0.6, 0.6] and theta[599:602].tolist() == [0.6, 0.2, 0.2]
    share = cell_params.contact_ohm_cm2 / (cell_params.contact_ohm_cm2 + cell_params.se_ohm_cm2)
    assert r0_ohm[300] / r0_ohm[50] == pytest.approx(1 - share + share / 0.4, rel=0.01)


def test_what_a_cell_loses_by_itself_stays_when_held_contact_comes_back(cell_params):
    opening = replace(cell_params, voids=VoidParams(rate_per_s=0.01, strip_ma_cm2=0.1))
    changes = [Change(0.0, "theta", 0.1), Change(40.0, "theta", 0.0)]
    made = Trial(Pack([opening], [Stack()], soc=0.5), [Phase(1e4, -0.6)], single(), changes, dt_s=DT_S, seed=1)
    theta = run(made, 500, ["theta"])["true theta"].ravel()
    assert theta[399] > 0.1 and theta[400] >= theta[399]


def single(**errors) -> TrialSensors:
    params = SensorParams(**errors)
    return TrialSensors([params], params, params, [params])


def test_hidden_units_show_their_sum(cell_params):
    changes, phases = [Change(5.0, "short_s", 0.1, at=1)], [Phase(1e4, 0.6, 0.01, ceiling_v=4.12)]
    pack = Pack([cell_params] * 2, [Stack()], soc=0.55)
    made = Trial(pack, phases, single(), changes, dt_s=DT_S, seed=1, taps=False)
    seen = run(made, 12_000, ["mean_voltage_v", "voltage_v[0]", "voltage_v[1]"])
    assert seen["voltage_v"].ravel() == pytest.approx(seen["true mean_voltage_v"].sum(axis=1), abs=1e-12)
    held = seen["true voltage_v[0]"] + seen["true voltage_v[1]"]
    assert held.max() == pytest.approx(8.24, abs=1e-4)


def test_a_late_sensor_shows_the_past(trial):
    late = replace(PERFECT, temperature_degc=SensorParams(delay_s=1.0))
    seen = run(trial(changes=[Change(0.0, "ambient_degc", 60.0)], sensors=late), 300, ["surface_degc[0]"])
    assert seen["temperature_degc"][10:].ravel().tolist() == seen["true surface_degc[0]"][:-10].ravel().tolist()


@pytest.mark.parametrize("place", [0.0, 0.13, 0.4, 0.5])
def test_a_mean_of_quantised_readings_is_what_such_readings_give(cell_params, place):
    """Against readings drawn one by one; the noise is a quarter of the quantum, so the mean leans to the quantum."""
    quantum, noise, truth_v = 195.3125e-6, 5e-5, (18_000 + place) * 195.3125e-6
    luck = np.random.default_rng(7)
    drawn = quantum * np.floor((truth_v + noise * luck.normal(size=(40_000, 10))) / quantum + 0.5).mean(axis=1)
    pack = Pack([cell_params], [Stack()], soc=0.5)
    offset = truth_v - pack.cells[0].voltage_v
    sensors = replace(single(), voltage_v=[SensorParams(offset=offset, noise_rms=noise, quantum=quantum)])
    made = Trial(pack, [Phase(1e9)], sensors, dt_s=DT_S, seed=2, samples=10)
    shown = run(made, 40_000)["voltage_v"].ravel()
    assert fmean(shown) == pytest.approx(fmean(drawn), abs=1e-6)
    assert pstdev(shown) == pytest.approx(pstdev(drawn), rel=0.06, abs=1.5e-6)
    assert np.rint(shown * 10 / quantum) == pytest.approx(shown * 10 / quantum, abs=1e-6)


def test_without_noise_a_mean_is_the_nearest_quantum():
    mean, rms = dither(0.0, 1.0, 10)
    assert mean[:32] == (0.0,) * 32 and mean[33:] == (1.0,) * 32 and rms == (0.0,) * 65


@pytest.mark.parametrize(
    "options, complaint",
    [
        ({"phases": ()}, "0 phases"),
        ({"phases": [Phase(10.0, ceiling_v=1.0, floor_v=2.0)]}, "ceiling_v=1.0"),
        ({"phases": [Phase(math.nan)]}, "until_s of a phase is nan"),
        ({"loop_from": 3}, "3 phases"),
        ({"changes": [Change(1.0, "weather", 1.0)]}, "weather"),
        ({"changes": [Change(1.0, "short_s", -1.0)]}, "value=-1.0"),
        ({"changes": [Change(1.0, "short_s", 1.0, at=CELLS)]}, "at=3"),
        ({"changes": [Change(1.0, "theta", 1.0)]}, "theta"),
        ({"changes": [Change(1.0, "offset", 1.0)]}, "need a channel"),
        ({"changes": [Change(1.0, "offset", 1.0, at=CELLS, channel="voltage_v")]}, "3 channels"),
        ({"changes": [Change(1.0, "short_s", 0.0, by_factors=True)]}, "by_factors"),
        ({"sensors": replace(SENSORS, current_a=SensorParams(noise_rms=-1.0))}, "sensor 3"),
        ({"sensors": replace(SENSORS, voltage_v=[])}, "needs 3 voltages"),
        ({"dt_s": 0.0}, "dt_s is 0"),
        ({"seed": -1}, "seed is -1"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_with_what_was_seen(trial, options, complaint):
    with pytest.raises(ValueError, match=complaint):
        trial(**options)


def test_columns_of_another_shape_are_refused(trial):
    made = trial()
    with pytest.raises(ValueError, match="needs 11 rows"):
        made.run(made.columns(10), 11)


def test_a_refused_step_names_its_phase(trial):
    made = trial(changes=[Change(1.0, "ambient_degc", 2000.0)])
    with pytest.raises(ValueError, match=r"tick 10, in Phase.*temperature"):
        run(made, 20)
