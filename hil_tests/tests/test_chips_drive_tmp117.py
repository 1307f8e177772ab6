"""The TMP117 driver against the model of its chip."""

import pytest
from assb.drivers import status
from assb.drivers.tmp117 import TMP117
from assb_hil.chips import tmp117 as tmp_chip
from assb_hil.chips.model_bus import ModelBus
from hypothesis import given, settings
from hypothesis import strategies as st

TMP = 0x48


def settle(bus, driver, count=10):
    """Poll as a fast tick of 10 ms does; the number of new values."""
    fresh = 0
    for _ in range(count):
        bus.sleep_ms(10)
        fresh += driver.update()
    return fresh


@given(st.floats(-55.0, 150.0))
@settings(deadline=None)
def test_temperature_comes_back_in_hundredths_once_per_cycle(degc):
    bus = ModelBus({TMP: tmp_chip.TMP117(lambda: degc)})
    driver = TMP117(bus, TMP)
    driver.configure()
    fresh = settle(bus, driver, 50)  # 500 ms at 125 ms
    assert fresh == 4
    assert abs(driver.temperature_cdegc - 100 * degc) <= 0.5 + 0.4
    assert driver.status in (0, status.NOT_READY)


@pytest.mark.parametrize("degc", [-60.0, 160.0])
def test_a_temperature_beyond_the_rating_is_saturated(degc):
    bus = ModelBus({TMP: tmp_chip.TMP117(lambda: degc)})
    driver = TMP117(bus, TMP)
    driver.configure()
    bus.sleep_ms(200)
    assert driver.update()
    assert driver.status == status.SATURATED


def test_the_thermometers_power_on_value_is_no_temperature():
    bus = ModelBus({TMP: tmp_chip.TMP117()})
    driver = TMP117(bus, TMP)
    driver.configure()
    bus.chips[TMP]._value[tmp_chip.CONFIGURATION] |= tmp_chip.DATA_READY  # as if it lied
    assert not driver.update()
    assert (driver.status, driver.temperature_cdegc) == (status.NOT_READY, 0)


def test_a_brown_out_of_the_thermometer_shows_on_the_next_read():
    bus = ModelBus({TMP: tmp_chip.TMP117()})
    driver = TMP117(bus, TMP)
    driver.configure()
    bus.sleep_ms(200)
    assert driver.update()
    bus.chips[TMP].power_on_reset()
    assert settle(bus, driver, 100) == 0
    assert driver.status == status.CONFIG_LOST


@pytest.mark.parametrize("pair", [(2, 125), (8, 130), (32, 125), (64, 500)])
def test_averages_and_cycles_that_the_thermometer_does_not_have_are_refused(pair):
    with pytest.raises(ValueError, match="TMP117 average"):
        TMP117(ModelBus({}), TMP).configure(*pair)
