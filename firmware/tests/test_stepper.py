"""A stepper's pulses: rate, acceleration, travel, switches, homing; and a screw press on it."""

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

    def tick(self):
        """Steps of the motor in this tick, with their sign."""
        step, direction, _, closed, opened = self.pins
        before, level = step.rises, direction.level
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


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(-900, 900), st.integers(0, 300)), max_size=12), st.integers(1, 100),
       st.integers(1, 2000))  # fmt: skip
def test_no_orders_take_it_out_of_its_travel_past_its_switches_or_beyond_its_acceleration(orders, rate, ramp):
    motor = Motor(closed_at=200, open_at=-100, rate=rate, ramp=ramp)
    gaps, since = [], 0
    for position, ticks in orders:
        motor.driver.move_to(position)
        for _ in range(ticks):
            since += 1
            if motor.tick():
                gaps.append(since)
                since = 0
            assert -100 <= motor.at <= 200
            assert motor.at == motor.driver.position
    assert all(gap * 10 >= 1000 // rate - 10 for gap in gaps[1:])


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
