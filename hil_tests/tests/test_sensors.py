"""Sensor errors: drawn from the seed, and what faults add to them."""

import statistics

import pytest
from assb_hil.sensors import Sensor, SensorSpec

SPEC = SensorSpec(gain_sigma_ppm=1000.0, offset_sigma=0.01, noise_rms=0.002)


def test_a_bench_is_its_seed():
    values = [[Sensor(SPEC, seed, "voltage_v").read(3.8) for _ in range(3)] for seed in (1, 1, 2)]
    assert values[0] == values[1]
    assert values[0] != values[2]


def test_two_channels_of_one_bench_differ():
    assert Sensor(SPEC, 1, "voltage_v").read(1.0) != Sensor(SPEC, 1, "current_a").read(1.0)


def test_noise_has_its_rms():
    sensor = Sensor(SensorSpec(noise_rms=0.002), 1, "x")
    assert statistics.pstdev(sensor.read(1.0) for _ in range(4000)) == pytest.approx(0.002, rel=0.05)


def test_a_stuck_sensor_keeps_its_newest_value_until_it_is_freed():
    sensor = Sensor(SPEC, 1, "x")
    held = sensor.read(1.0)
    sensor.stick()
    assert [sensor.read(2.0), sensor.read(3.0)] == [held, held]
    sensor.free()
    assert sensor.read(3.0) == pytest.approx(3.0, abs=0.1)


def test_offset_and_gain_faults_act_on_top():
    sensor = Sensor(SensorSpec(), 1, "x")
    sensor.gain_fault, sensor.offset_fault = 1.1, -0.5
    assert sensor.read(2.0) == pytest.approx(1.7)


def test_dropouts_repeat_the_sample_before_as_often_as_asked():
    sensor = Sensor(SensorSpec(), 1, "x")
    sensor.dropout_frac = 0.25
    repeated = sum(sensor.read(float(k)) != k for k in range(1, 4001))
    assert repeated / 4000 == pytest.approx(0.25, abs=0.03)
