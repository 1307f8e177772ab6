"""A stepper's pulses: rate, acceleration, travel, switches, homing; and a screw press on it."""

from itertools import pairwise

import pytest
from assb.drivers.screw_press import ScrewPress
from assb.drivers.stepper import Stepper
from hypothesis import given, settings
from hypothesis import strategies as st


class Pin:
    def __init__(self, level=0):
        self.level, self.rises = level, 0

    def value(self, level=None):
        if level is None:
            return self.level
        self.rises += level > self.level
        self.level = level
        return None


class Motor:
    """What turns: counts pulses by the level of DIR, and trips switches at its ends."""

    def __init__(self, closed_at=500, open_at=-500, **changes):
        self.pins = [Pin(), Pin(), Pin(), Pin(1), Pin(1)]
        self.at, self.rises, self.closed_at, self.open_at = 0, 0, closed_at, open_at
        self.turned_ago = 0
        values = {"active": 0, "rate": 100, "ramp": 400, "tick_ms": 10, "travel": (-400, 400)} | changes
        self.driver = Stepper(*self.pins, *values.values())

    def tick(self, glitch=False):
        """Steps of the motor in this tick, with their sign; `glitch`: the open switch's line shows one."""
        step, direction, _, closed, opened = self.pins
        before, level = step.rises, direction.level
        opened.level = 0 if self.at <= self.open_at or glitch else 1
        self.driver.tick()
        moved = (step.rises - before) * (1 if direction.level else -1)
        if moved:
            assert direction.level == level  # it was set a tick before, at the latest
        self.at += moved
        closed.level = 0 if self.at >= self.closed_at else 1
        opened.level = 0 if self.at <= self.open_at else 1
        return moved

    def run(self, ticks):
        return [self.tick() for _ in range(ticks)]


def test_it_goes_where_it_is_told_and_stays():
    motor = Motor()
    motor.driver.move_to(150)
    assert motor.pins[2].level == 0
    moved = motor.run(400)
    assert (sum(moved), motor.at, motor.driver.position) == (150, 150, 150)
    assert moved[-100:] == [0] * 100
    assert motor.pins[2].level == 1  # holds
    motor.driver.move_to(-20)
    motor.run(400)
    assert motor.at == motor.driver.position == -20


def test_it_never_turns_faster_than_its_rate_and_takes_its_time_to_get_there():
    motor = Motor(rate=50, ramp=100)
    motor.driver.move_to(300)
    moved = motor.run(1000)
    assert max(sum(moved[k : k + 100]) for k in range(900)) == 50
    first = moved.index(1)
    assert sum(moved[: first + 25]) <= 12  # a quarter of a second: not yet at half of its rate
    assert motor.at == 300


def soonest(steps, ramp):
    """Ticks that so many steps take from a standstill at the very least, at 10 ms a tick: s = a t^2 / 2."""
    return (2 * steps / ramp) ** 0.5 * 100


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 390), st.integers(1, 100), st.integers(10, 2000))
def test_it_speeds_up_and_brakes_no_faster_than_its_ramp(steps, rate, ramp):
    motor = Motor(rate=rate, ramp=ramp)
    motor.driver.move_to(steps)
    times = [at for at, moved in enumerate(motor.run(600 + round(100 * steps / rate + 200 * rate / ramp))) if moved]
    assert len(times) == steps
    assert all(later - sooner >= 100 // rate for sooner, later in pairwise(times))
    for k in range(1, steps + 1):
        assert times[k - 1] + 1 >= soonest(k, ramp) - 2  # the sign of the direction, and half a tick
        assert times[-1] - times[-k] + 1 >= 0.95 * (soonest(k, ramp) - soonest(1, ramp)) - 4  # it stands one after it


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-900, 900) | st.none(), st.integers(0, 300)), max_size=12),
       st.integers(1, 100), st.integers(10, 2000))  # fmt: skip
def test_no_orders_nor_homing_take_it_past_its_switches_or_beyond_its_rate_or_ramp(orders, rate, ramp):
    motor = Motor(closed_at=200, open_at=-100, rate=rate, ramp=ramp)
    steps, since, home_at = [], 0, 0
    for position, ticks in orders:
        if position is None:
            assert motor.driver.home()
        else:
            motor.driver.move_to(position)
        for _ in range(ticks):
            since += 1
            moved = motor.tick()
            if moved:
                steps.append((moved, since))
                since = 0
            assert -100 <= motor.at <= 200
            if motor.driver.homed:
                home_at = -100
            assert motor.at == motor.driver.position + home_at
    assert all(gap >= 100 // rate for _, gap in steps[1:])
    for (before, _), (after, gap) in pairwise(steps):
        if before != after:  # it stood between them
            assert gap + 1 >= soonest(1, ramp) - 1


def test_a_switch_ends_the_travel_and_tells_which():
    motor = Motor(closed_at=50)
    motor.driver.move_to(300)
    motor.run(400)
    assert (motor.at, motor.driver.at_closed, motor.driver.at_open) == (50, True, False)
    motor.driver.move_to(10)
    motor.run(400)
    assert (motor.at, motor.driver.at_closed) == (10, False)


def test_homing_opens_to_its_switch_and_counts_the_travel_from_there():
    motor = Motor(open_at=-120)
    motor.driver.move_to(30)
    motor.run(200)
    assert motor.driver.home()
    motor.run(400)
    assert (motor.at, motor.driver.position, motor.driver.homed) == (-120, 0, True)
    motor.driver.move_to(-50)
    motor.run(200)
    assert motor.driver.position == 0
    motor.driver.move_to(5000)
    motor.run(2000)
    assert motor.driver.at_closed or motor.driver.position == 800


def test_homing_without_a_switch_ends_after_the_whole_travel_however_often_it_is_asked_for():
    motor = Motor(open_at=-100000, rate=100, ramp=100000)
    motor.driver.move_to(100)
    motor.run(200)
    for ticks in (300, 1000):  # stopped on the way, then not
        assert motor.driver.home()
        motor.run(ticks)
        motor.driver.move_to(motor.driver.position)
    assert (motor.at, motor.driver.homing, motor.driver.homed) == (-800, False, False)
    assert not motor.driver.home()
    motor.driver.move_to(-5000)  # no further, nor back into a travel that is not where it was thought
    motor.run(100)
    assert motor.at == -800
    motor.driver.move_to(200)
    motor.run(1200)
    assert motor.driver.home()
    motor.run(1200)
    assert motor.at == -800


def test_a_switch_that_is_lost_after_homing_ends_the_next_one_a_travel_beyond_it():
    motor = Motor(open_at=-120)
    assert motor.driver.home()
    motor.run(400)
    motor.open_at = -100000
    motor.driver.move_to(300)
    motor.run(600)
    assert motor.driver.home()
    motor.run(2000)
    assert (motor.at, motor.driver.homed, motor.driver.home()) == (-120 - 800, False, False)


def test_a_glitch_of_the_open_switch_is_no_home():
    motor = Motor(open_at=-120)
    assert motor.driver.home()
    for _ in range(20):
        motor.run(8)
        motor.tick(glitch=True)
        motor.tick(glitch=True)
        assert not motor.driver.homed
    motor.run(600)
    assert (motor.at, motor.driver.position, motor.driver.homed) == (-120, 0, True)


def test_a_command_ends_homing_where_it_is():
    motor = Motor()
    press = ScrewPress(motor.driver, 20.0)
    assert motor.driver.home()
    motor.run(100)
    press.command_kpa(press.commanded_kpa)
    stopped_at = motor.at
    assert not motor.driver.homing
    motor.run(200)
    assert motor.at == stopped_at < 0


def test_without_an_open_switch_there_is_no_home():
    driver = Stepper(Pin(), Pin(), Pin(), None, None, 0, 100, 400, 10, (-10, 10))
    assert not driver.home()


def test_released_it_stands_still_without_current_until_it_is_asked_again():
    motor = Motor()
    motor.driver.move_to(200)
    motor.run(50)
    motor.driver.release()
    assert motor.run(100) == [0] * 100
    assert motor.pins[2].level == 0
    motor.driver.move_to(0)
    motor.run(400)
    assert motor.at == 0


def test_a_screw_press_turns_kilopascals_into_its_steps_and_tells_what_was_really_sent():
    motor = Motor()
    press = ScrewPress(motor.driver, 20.0)
    press.command_kpa(1000)
    motor.run(10)
    assert 0 <= press.commanded_kpa < 200
    motor.run(400)
    assert (motor.at, press.commanded_kpa) == (50, 1000)
    press.command_kpa(1009)  # within half a step
    motor.run(100)
    assert motor.at == 50


@pytest.mark.parametrize("changes", [{"rate": 101}, {"rate": 0}, {"ramp": 0}, {"travel": (1, 5)}])
def test_what_a_tick_cannot_do_is_refused(changes):
    with pytest.raises(ValueError, match="stepper: rate 1 to 100"):
        Motor(**changes)
