"""Sensor errors: each law by itself, and a column is its single readings."""

import math
import statistics
from dataclasses import replace

import numpy as np
import pytest
from assb_kernels import Sensor, SensorParams
from hypothesis import given, settings
from hypothesis import strategies as st

ANY = settings(max_examples=50, deadline=None)
EVERYTHING = SensorParams(
    gain_frac=1e-3, offset=0.01, drift_per_rt_h=0.1, noise_rms=0.002, quantum=1e-4, delay_s=0.3, dropout_frac=0.1
)
truths = st.lists(st.floats(-100.0, 100.0), min_size=1, max_size=100)


def test_a_perfect_sensor_tells_the_truth():
    assert list(Sensor(SensorParams()).run([3.7, -1.0, 0.0], 0.1)) == [3.7, -1.0, 0.0]


@ANY
@given(truth=truths, seed=st.integers(0, 2**64 - 1), dt_s=st.sampled_from([0.01, 0.1, 1.0]))
def test_a_column_is_its_single_readings(truth, seed, dt_s):
    one, many = Sensor(EVERYTHING, seed, "voltage_v"), Sensor(EVERYTHING, seed, "voltage_v")
    assert list(many.run(truth, dt_s)) == [one.read(value, dt_s) for value in truth]


def test_a_bench_is_its_seed_and_its_channels_differ():
    truth = [3.7] * 20
    columns = [
        list(Sensor(EVERYTHING, seed, name).run(truth, 0.1))
        for seed, name in ((1, "voltage_v"), (1, "voltage_v"), (2, "voltage_v"), (1, "current_a"))
    ]
    assert columns[0] == columns[1]
    assert columns[0] != columns[2]
    assert columns[0] != columns[3]


@ANY
@given(truth=st.floats(-100, 100), gain=st.floats(-0.1, 0.1), offset=st.floats(-1, 1))
def test_gain_and_offset_are_a_straight_line(truth, gain, offset):
    sensor = Sensor(SensorParams(gain_frac=gain, offset=offset))
    assert sensor.read(truth, 0.1) == pytest.approx(truth * (1 + gain) + offset)


@ANY
@given(truth=truths, quantum=st.sampled_from([1e-3, 0.0195, 0.25, 3.0]))
def test_readings_are_whole_quanta_and_the_nearest_ones(truth, quantum):
    for value, reading in zip(truth, Sensor(SensorParams(quantum=quantum)).run(truth, 0.1), strict=True):
        assert reading / quantum == pytest.approx(round(reading / quantum), abs=1e-6)
        assert abs(reading - value) <= 0.5 * quantum * (1 + 1e-9)


@ANY
@given(truth=truths, delay=st.integers(0, 60), dt_s=st.sampled_from([0.01, 0.1, 1.0]))
def test_a_delay_shifts_the_column(truth, delay, dt_s):
    readings = list(Sensor(SensorParams(delay_s=delay * dt_s)).run(truth, dt_s))
    assert readings == ([truth[0]] * delay + truth)[: len(truth)]


def test_a_delay_holds_for_readings_at_any_time():
    sensor = Sensor(SensorParams(delay_s=1.0))
    seen = [
        sensor.read(truth, dt_s)
        for truth, dt_s in ((1.0, 0.0), (2.0, 0.5), (3.0, 0.0), (4.0, 0.75), (5.0, 0.25), (6.0, 9.0))
    ]
    assert seen == [1.0, 1.0, 1.0, 1.0, 3.0, 5.0]


def test_any_number_of_looks_in_one_instant_fit_into_a_delay():
    sensor = Sensor(SensorParams(delay_s=1.0))
    assert {sensor.read(1.0, 0.0) for _ in range(1000)} == {1.0}
    assert sensor.read(2.0, 0.5) == 1.0


def test_noise_has_its_rms_and_no_mean():
    readings = Sensor(SensorParams(noise_rms=0.002), 1).run([1.0] * 20000, 0.1)
    assert statistics.pstdev(readings) == pytest.approx(0.002, rel=0.03)
    assert statistics.fmean(readings) == pytest.approx(1.0, abs=6e-5)


@pytest.mark.parametrize("dt_s", [0.1, 10.0])
def test_drift_is_a_random_walk_with_its_rms_after_an_hour_whatever_the_time_step(dt_s):
    ends = [
        Sensor(SensorParams(drift_per_rt_h=0.5), seed).run([0.0] * round(3600 / dt_s), dt_s)[-1] for seed in range(300)
    ]
    assert math.sqrt(statistics.fmean(end * end for end in ends)) == pytest.approx(0.5, rel=0.15)


def test_dropouts_repeat_the_reading_before_as_often_as_asked():
    truth = [float(k) for k in range(8000)]
    readings = list(Sensor(SensorParams(dropout_frac=0.25), 1).run(truth, 0.1))
    repeated = [k for k in range(1, 8000) if readings[k] != truth[k]]
    assert len(repeated) / 8000 == pytest.approx(0.25, abs=0.02)
    assert all(readings[k] == readings[k - 1] for k in repeated)


def test_a_stuck_sensor_keeps_its_newest_reading_until_it_is_freed():
    sensor = Sensor(SensorParams(noise_rms=0.01), 1)
    held = sensor.read(1.0, 0.1)
    sensor.stuck = True
    assert [sensor.read(2.0, 0.1), sensor.read(3.0, 0.1)] == [held, held]
    sensor.stuck = False
    assert sensor.read(3.0, 0.1) == pytest.approx(3.0, abs=0.1)


def test_faults_act_on_top_and_leave_the_random_numbers_as_they_were():
    sound, faulty = Sensor(replace(EVERYTHING, quantum=0.0), 1), Sensor(replace(EVERYTHING, quantum=0.0), 1)
    faulty.gain_fault, faulty.offset_fault = 1.1, -0.5
    truth = np.linspace(3.0, 4.0, 100)
    before, during = sound.run(truth, 0.1), faulty.run(truth, 0.1)
    assert list(during) == pytest.approx([1.1 * value - 0.5 for value in before], abs=0.1 * 5 * 0.002)
    faulty.gain_fault, faulty.offset_fault = 1.0, 0.0
    assert list(sound.run(truth, 0.1))[10:] == list(faulty.run(truth, 0.1))[10:]


def test_a_noisier_sensor_is_noisier():
    sensor = Sensor(SensorParams(noise_rms=0.001), 1)
    sensor.noise_fault_rms = 0.004
    assert statistics.pstdev(sensor.run([1.0] * 10000, 0.1)) == pytest.approx(0.005, rel=0.05)


@pytest.mark.parametrize(
    ("truth", "dt_s", "says"), [(math.nan, 0.1, "truth not finite"), (1.0, -0.1, "dt -0.1"), (1.0, math.nan, "dt nan")]
)
def test_a_refused_reading_says_why_and_changes_nothing(truth, dt_s, says):
    sensor, twin = Sensor(EVERYTHING, 1, "pressure_mpa"), Sensor(EVERYTHING, 1, "pressure_mpa")
    with pytest.raises(ValueError, match=rf"sensor pressure_mpa: reading.*{says}"):
        sensor.read(truth, dt_s)
    assert [sensor.read(1.0, 0.1) for _ in range(5)] == [twin.read(1.0, 0.1) for _ in range(5)]


def test_a_refused_column_names_the_reading():
    with pytest.raises(ValueError, match="reading 2 refused"):
        Sensor(SensorParams()).run([1.0, 1.0, math.inf], 0.1)


def test_a_delay_of_too_many_readings_is_refused():
    with pytest.raises(ValueError, match=r"a delay of 1.0 s spans more than 256 readings"):
        Sensor(SensorParams(delay_s=1.0)).run([1.0] * 1000, 1e-3)


@pytest.mark.parametrize(
    "bad",
    [{"noise_rms": -1.0}, {"dropout_frac": 1.5}, {"gain_frac": math.nan}, {"delay_s": math.inf}, {"quantum": -1.0}],
)
def test_parameters_that_make_no_sense_are_refused(bad):
    with pytest.raises(ValueError, match=f"sensor x: {next(iter(bad))} = "):
        Sensor(replace(EVERYTHING, **bad), 1, "x")


@pytest.mark.parametrize("at_s", [1.0, 1e6, 1e7, 1e9])
def test_a_delay_is_the_same_however_late_it_is(at_s):
    sensor = Sensor(SensorParams(delay_s=0.3))
    sensor.read(-1.0, at_s)
    assert [sensor.read(float(k), 0.1) for k in range(6)] == [-1.0, -1.0, -1.0, 0.0, 1.0, 2.0]


def test_a_fault_leaves_the_random_numbers_alone():
    clean, faulty = (Sensor(SensorParams(drift_per_rt_h=1.0), 5, "a") for _ in range(2))
    faulty.noise_fault_rms, faulty.dropout_frac = 0.5, 0.5
    clean.run([0.0] * 50, 1.0)
    faulty.run([0.0] * 50, 1.0)
    faulty.noise_fault_rms, faulty.dropout_frac = 0.0, 0.0
    assert list(faulty.run([0.0] * 50, 1.0)) == list(clean.run([0.0] * 50, 1.0))


@pytest.mark.parametrize(
    ("absurd", "says"),
    [
        ({"quantum": 1e-300}, "quantum = 1e-300"),
        ({"gain_frac": 1e308}, "gain_frac = 1e"),
        ({"offset": math.nan}, "offset = nan"),
        ({"dropout_frac": 1.5}, "dropout_frac = 1.5"),
    ],
)
def test_an_absurd_figure_is_refused_by_its_name(absurd, says):
    with pytest.raises(ValueError, match=says):
        Sensor(SensorParams(**absurd))


@pytest.mark.parametrize("fault", ["gain_fault", "offset_fault", "noise_fault_rms", "dropout_frac"])
def test_a_fault_that_is_no_number_is_refused_and_changes_nothing(fault):
    sensor = Sensor(SensorParams(), 1, "a")
    for value in (math.nan, math.inf, 1e308):
        with pytest.raises(ValueError, match=f"{fault} is "):
            setattr(sensor, fault, value)
    assert sensor.read(3.7, 1.0) == 3.7
