"""The integer low-pass: its time constant, its end value, its range."""

import math

import pytest
from assb.control.low_pass import LowPass
from assb.protocol import tables
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize("steps", [1, 10, 1000])
@pytest.mark.parametrize("step_value", [7, -7, 1000, 250_000_000, -250_000_000])
def test_a_step_comes_through_by_63_percent_after_its_steps_and_wholly_in_the_end(steps, step_value):
    mean = LowPass(steps)
    mean.update(0)
    for _ in range(steps):
        mean.update(step_value)
    expected = step_value * (1 - (1 - 1 / steps) ** steps)
    assert mean.value == pytest.approx(expected, abs=1.01 + 1e-9 * abs(step_value))
    if steps > 1:
        assert expected / step_value == pytest.approx(1 - math.exp(-1), abs=0.02)
    for _ in range(20 * steps):
        mean.update(step_value)
    assert abs(mean.value - step_value) <= 1


def test_it_begins_with_its_first_value():
    assert LowPass(1000).update(600000) == 600000


def test_what_is_less_than_a_step_is_kept_until_it_is_one():
    mean = LowPass(4)
    assert [mean.update(value) for value in (0, 1, 1, 1, 1)] == [0, 0, 0, 0, 1]


@given(st.lists(st.integers(tables.INT30_MIN // 4, tables.INT30_MAX // 4), min_size=1, max_size=200))
def test_it_stays_between_the_values_that_it_saw_and_within_30_bits(values):
    mean = LowPass(10)
    for value in values:
        mean.update(value)
        assert min(values) <= mean.value <= max(values)
        assert tables.INT30_MIN <= mean._rest <= tables.INT30_MAX
