"""The NAU7802 driver and the load cell against the model of the chip."""

import pytest
from assb.drivers import status
from assb.drivers.load_cell import LoadCell
from assb.drivers.nau7802 import NAU7802
from assb_hil.chips import nau7802 as nau_chip
from assb_hil.chips.model_bus import ModelBus
from hypothesis import given, settings
from hypothesis import strategies as st

NAU = 0x2A


def bridge(**inputs):
    chip = nau_chip.NAU7802(**inputs)
    bus = ModelBus({NAU: chip})
    driver = NAU7802(bus, NAU)
    driver.configure(sleep_ms=bus.sleep_ms)
    return chip, bus, driver


def settle(bus, driver, count=10):
    """Poll as a fast tick of 10 ms does; the number of new values."""
    fresh = 0
    for _ in range(count):
        bus.sleep_ms(10)
        fresh += driver.update()
    return fresh


@pytest.mark.parametrize("kept", ["gain", "rate_hz", "ldo_mv"])
def test_bridge_settings_that_the_chip_does_not_have_are_refused(kept):
    with pytest.raises(ValueError, match=kept):
        NAU7802(ModelBus({}), NAU).configure(**{kept: 7}, sleep_ms=None)


@given(st.floats(-0.0039, 0.0039), st.integers(-20000, 20000))
@settings(deadline=None, max_examples=50)
def test_bridge_counts_follow_the_load_with_the_offset_calibrated_away(ratio, offset):
    _, bus, driver = bridge(bridge_v_per_v=lambda: ratio, intrinsic_offset_counts=offset)
    assert settle(bus, driver) > 0
    assert abs(driver.counts - ratio * 128 * (1 << 24)) <= 1


@pytest.mark.parametrize(("rate_hz", "fresh"), [(10, 10), (20, 20), (40, 40), (80, 80), (320, 100)])
def test_a_conversion_counts_once_and_at_most_one_a_tick(rate_hz, fresh):
    bus = ModelBus({NAU: nau_chip.NAU7802(lambda: 0.001)})
    driver = NAU7802(bus, NAU)
    driver.configure(rate_hz=rate_hz, sleep_ms=bus.sleep_ms)
    settle(bus, driver, 100)
    assert settle(bus, driver, 100) == pytest.approx(fresh, abs=1)


def test_the_first_conversions_after_the_start_are_thrown_away():
    _, bus, driver = bridge(bridge_v_per_v=lambda: 0.001)
    for _ in range(4):
        bus.sleep_us(12500)
        assert not driver.update()
    bus.sleep_us(12500)
    assert driver.update()


@pytest.mark.parametrize(("ratio", "counts"), [(0.01, 0x7FFFFF), (-0.01, -0x800000)])
def test_an_open_or_overloaded_bridge_is_saturated(ratio, counts):
    _, bus, driver = bridge(bridge_v_per_v=lambda: ratio)
    settle(bus, driver)
    bus.sleep_us(25000)
    assert driver.update()
    assert (driver.status, driver.counts) == (status.SATURATED, counts)


def test_a_brown_out_of_the_bridge_shows_on_the_next_tick_and_stays_until_set_up_again():
    chip, bus, driver = bridge(bridge_v_per_v=lambda: 0.001)
    settle(bus, driver)
    chip.power_on_reset()
    assert settle(bus, driver, 3) == 0
    assert driver.status == status.CONFIG_LOST
    driver.configure(sleep_ms=bus.sleep_ms)
    assert settle(bus, driver) > 0


def test_a_calibration_that_never_ends_or_fails_is_an_oserror():
    chip = nau_chip.NAU7802()
    bus = ModelBus({NAU: chip})
    chip._end_calibration = lambda: setattr(chip, "_calibrated_us", 1 << 62)
    with pytest.raises(OSError, match="no offset calibration"):
        NAU7802(bus, NAU).configure(sleep_ms=bus.sleep_ms)
    chip = nau_chip.NAU7802()
    bus = ModelBus({NAU: chip})
    ended = chip._end_calibration
    chip._end_calibration = lambda: (ended(), chip._value.__setitem__(nau_chip.CTRL2, 0x30 | nau_chip.CAL_ERR))
    with pytest.raises(OSError, match="CAL_ERR"):
        NAU7802(bus, NAU).configure(sleep_ms=bus.sleep_ms)


def test_a_bridge_that_does_not_power_up_is_an_oserror():
    chip = nau_chip.NAU7802()
    chip.advance = lambda now_us: None
    bus = ModelBus({NAU: chip})
    with pytest.raises(OSError, match="not powered up"):
        NAU7802(bus, NAU).configure(sleep_ms=bus.sleep_ms)


def test_the_load_cell_reads_stack_pressure():
    """A 2 mV/V cell rated for 6442 kPa of stack pressure, zeroed at 1000 counts."""
    _, bus, driver = bridge(bridge_v_per_v=lambda: 0.001)
    cell = LoadCell(driver, 1000, 1500000)
    assert settle(bus, cell) > 0
    assert cell.pressure_kpa == round((2147484 - 1000) * 0.0015)
