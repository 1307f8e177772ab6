"""Sensors of the bench: drawn from the seed, asked at irregular times, and what faults add to them."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from assb_hil.plant_file import load_plant
from assb_hil.sensors import Channel

PLANT = load_plant("li_lpscl_nca")


@dataclass
class Clock:
    now_us: int = 0


class Put(Channel):
    """Put on whatever it is asked for."""

    def see_true(self, value):
        self.truth = lambda: value
        return self.see()


def channel(seed=1, quantity="voltage_v", place=0, clock=None):
    return Put(PLANT, seed, quantity, place, clock or Clock(), lambda: 0.0)


def test_a_bench_is_its_seed():
    seen = [[sensor.see_true(3.8) for _ in range(3)] for sensor in (channel(1), channel(1), channel(2))]
    assert seen[0] == seen[1]
    assert seen[0] != seen[2]


@pytest.mark.parametrize(("quantity", "place"), [("current_a", 0), ("voltage_v", 1)])
def test_two_sensors_of_one_bench_differ(quantity, place):
    assert channel().see_true(1.0) != channel(quantity=quantity, place=place).see_true(1.0)


def test_errors_are_of_the_size_that_the_bench_states():
    errors_v = [channel(seed).see_true(3.8) - 3.8 for seed in range(200)]
    assert max(map(abs, errors_v)) < 4 * (100e-6 * 3.8 + 0.0003)
    assert max(map(abs, errors_v)) > 0.0003


def test_a_slow_sensor_lags_by_the_time_that_passed_and_not_by_how_often_it_was_asked():
    seen = []
    for period_us in (20_000, 50_000):
        clock = Clock()
        sensor = channel(quantity="temperature_degc", clock=clock)
        for now_us in range(0, 3_000_001, period_us):
            clock.now_us = now_us
            value = sensor.see_true(25.0 if now_us < 1_000_000 else 60.0)
            if value > 40.0:
                seen.append(now_us)
                break
    delay_us = 1e6 * PLANT.sensors["temperature_degc"].delay_s
    assert len(seen) == 2
    assert all(abs(at_us - 1_000_000 - delay_us) <= 50_000 for at_us in seen)


def test_a_stuck_sensor_keeps_its_newest_value_until_it_is_freed():
    sensor = channel()
    held = sensor.see_true(1.0)
    sensor.stuck = True
    assert [sensor.see_true(2.0), sensor.see_true(3.0)] == [held, held]
    sensor.stuck = False
    assert sensor.see_true(3.0) == pytest.approx(3.0, abs=0.01)


def test_faults_of_offset_and_gain_act_on_top():
    sound, faulty = channel(), channel()
    faulty.gain_fault, faulty.offset_fault = 1.1, -0.5
    assert faulty.see_true(2.0) == pytest.approx(1.1 * sound.see_true(2.0) - 0.5, abs=0.001)


def test_dropouts_repeat_the_sample_before_as_often_as_asked():
    sensor = channel()
    sensor.dropout_frac = 0.25
    seen = [sensor.see_true(float(k)) for k in range(4001)]
    repeated = sum(now == before for before, now in pairwise(seen))
    assert repeated / 4000 == pytest.approx(0.25, abs=0.03)
