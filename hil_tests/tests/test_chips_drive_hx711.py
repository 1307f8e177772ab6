"""The HX711 driver and the load cell against the model of the chip."""

import pytest
from assb.drivers.hx711 import HX711
from assb.drivers.load_cell import LoadCell
from assb.drivers.status import BUS_ERROR, NOT_READY, SATURATED
from assb_hil.chips import hx711 as hx_chip
from hypothesis import given, settings
from hypothesis import strategies as st


class Pins:
    """Both pins and the clock, on one model; each access takes `access_us`, the one at `slow_at` longer."""

    def __init__(self, chip, access_us=2):
        self.chip, self.access_us, self.now_us = chip, access_us, 0
        self.slow_at, self.slow_us, self.accesses, self.dout_stuck = -1, 0, 0, None

    def wait(self, duration_us):
        self.now_us += duration_us
        self.chip.advance(self.now_us)

    def sleep_ms(self, duration_ms):
        self.wait(1000 * duration_ms)

    def _access(self):
        self.accesses += 1
        self.wait(self.access_us + (self.slow_us if self.accesses == self.slow_at else 0))

    class Dout:
        def __init__(self, pins):
            self.pins = pins

        def value(self):
            self.pins._access()
            return self.pins.chip.dout if self.pins.dout_stuck is None else self.pins.dout_stuck

    class Sck:
        def __init__(self, pins):
            self.pins = pins

        def value(self, level):
            self.pins._access()
            self.pins.chip.sck(level)


def bridge(ratio=0.001, rate_hz=80, gain=128, **more):
    chip = hx_chip.HX711(lambda: ratio, rate_hz)
    pins = Pins(chip, **more)
    driver = HX711(Pins.Dout(pins), Pins.Sck(pins), lambda: pins.now_us & ((1 << 30) - 1))
    driver.configure(gain, rate_hz, sleep_ms=pins.sleep_ms)
    return chip, pins, driver


def settle(pins, driver, ticks=20):
    """Poll as a fast tick of 10 ms does; the number of new values."""
    fresh = 0
    for _ in range(ticks):
        pins.wait(10_000)
        fresh += driver.update()
    return fresh


@given(st.floats(-0.0039, 0.0039), st.sampled_from((128, 64)))
@settings(deadline=None, max_examples=50)
def test_counts_follow_the_load_at_either_gain(ratio, gain):
    _, pins, driver = bridge(ratio, gain=gain)
    assert settle(pins, driver) > 0
    assert abs(driver.counts - ratio * gain * (1 << 24)) <= 1
    assert driver.status in (0, NOT_READY)


@pytest.mark.parametrize(("rate_hz", "fresh"), [(10, 10), (80, 80)])
def test_a_conversion_counts_once(rate_hz, fresh):
    _, pins, driver = bridge(rate_hz=rate_hz)
    settle(pins, driver, 100)
    assert settle(pins, driver, 100) == pytest.approx(fresh, abs=1)


def test_the_first_conversions_after_the_start_are_thrown_away():
    _, pins, driver = bridge(rate_hz=10)
    assert settle(pins, driver, 40) == 0
    assert settle(pins, driver, 11) == 1


def test_a_load_beyond_full_scale_is_told_as_saturated():
    _, pins, driver = bridge(0.01)
    assert settle(pins, driver) > 0
    assert driver.counts == 0x7FFFFF
    pins.wait(12_500)
    driver.update()
    assert driver.status == SATURATED


def test_a_read_that_was_held_up_is_thrown_away_and_what_follows_is_right():
    chip, pins, driver = bridge()
    settle(pins, driver)
    before = driver.counts
    while chip.dout:
        pins.wait(1000)
    pins.slow_at, pins.slow_us = pins.accesses + 21, 5_000  # PD_SCK is high just then, for 5 ms: the chip powers down
    assert not driver.update()
    assert (driver.status, driver.error_count, driver.counts) == (BUS_ERROR, 1, before)
    seen = []
    for _ in range(60):
        pins.wait(10_000)
        if driver.update():
            seen.append(driver.counts)
    assert seen
    assert set(seen) == {before}


def test_a_data_line_that_is_shorted_to_ground_never_gives_a_value():
    _, pins, driver = bridge()
    settle(pins, driver)
    pins.dout_stuck = 0
    assert settle(pins, driver, 50) == 0
    assert driver.status == BUS_ERROR


def test_a_chip_without_supply_is_refused_at_the_start_and_silent_later():
    chip, pins, driver = bridge()
    settle(pins, driver)
    chip.acking = False
    assert settle(pins, driver, 50) == 0
    assert driver.status == NOT_READY
    with pytest.raises(OSError, match="no conversion"):
        driver.configure(sleep_ms=pins.sleep_ms)


@pytest.mark.parametrize("kept", [{"gain": 32}, {"rate_hz": 20}])
def test_settings_that_the_chip_does_not_have_are_refused(kept):
    _, pins, driver = bridge()
    with pytest.raises(ValueError, match=next(iter(kept))):
        driver.configure(**kept, sleep_ms=pins.sleep_ms)


def test_a_load_cell_takes_it_as_it_takes_the_other_converter():
    _, pins, driver = bridge(0.001)
    cell = LoadCell(driver, 1000, 1_500_000)
    for _ in range(20):
        pins.wait(10_000)
        cell.update()
    assert cell.pressure_kpa == pytest.approx((0.001 * 128 * (1 << 24) - 1000) * 0.0015, abs=1)
