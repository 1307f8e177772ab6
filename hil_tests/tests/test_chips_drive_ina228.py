"""The INA228 driver against the model of its chip: scaling, ALERT, brown-out, stopped conversions."""

import pytest
from assb.drivers import ina228 as ina_driver
from assb.drivers import status
from assb.drivers.ina228 import INA228
from assb_hil.chips import ina228 as ina_chip
from assb_hil.chips.model_bus import ModelBus
from hypothesis import given, settings
from hypothesis import strategies as st

INA = 0x40
SHUNT_UOHM = 20000
SHUNT_OHM = SHUNT_UOHM * 1e-6


class Cell:
    """What the current monitor measures; positive current charges."""

    voltage_v = 3.7
    current_a = 0.5
    degc = 31.25

    def chip(self, polarity=1):
        return ina_chip.INA228(lambda: self.voltage_v, lambda: polarity * self.current_a * SHUNT_OHM, lambda: self.degc)


def monitor(adc_range=0, polarity=1, configure=True):
    cell = Cell()
    bus = ModelBus({INA: cell.chip(polarity)})
    bus.sleep_ms(10)
    driver = INA228(bus, INA, SHUNT_UOHM, adc_range, polarity=polarity)
    if configure:
        driver.configure()
        bus.sleep_ms(10)
        assert driver.update()
    return cell, bus, driver


@pytest.mark.parametrize("settings_", [{"bus_us": 100}, {"average": 3}, {"shunt_us": 0}])
def test_conversion_times_that_the_chip_does_not_have_are_refused(settings_):
    with pytest.raises(ValueError, match=next(iter(settings_))):
        INA228(ModelBus({}), INA, SHUNT_UOHM).configure(**settings_)


def test_the_power_on_configuration_is_refused_because_it_hides_a_brown_out():
    with pytest.raises(ValueError, match="power-on"):
        INA228(ModelBus({}), INA, SHUNT_UOHM).configure(1052, 1052, 1052, 1)


@given(
    voltage_v=st.floats(0.0, 85.0),
    current_a=st.floats(-8.19, 8.19),
    adc_range=st.integers(0, 1),
    polarity=st.sampled_from([-1, 1]),
)
@settings(deadline=None)
def test_voltage_and_current_come_back_in_integers_with_their_sign(voltage_v, current_a, adc_range, polarity):
    cell, bus, driver = monitor(adc_range, polarity)
    cell.voltage_v, cell.current_a = voltage_v, current_a / (4 if adc_range else 1)
    bus.sleep_ms(10)
    assert driver.update()
    assert driver.status == 0
    assert abs(driver.voltage_uv - voltage_v * 1e6) <= 98 + 1
    step_ua = ina_driver.SHUNT_LSB_PV[adc_range] / SHUNT_UOHM
    assert abs(driver.current_ua - cell.current_a * 1e6) <= step_ua / 2 + 1


@pytest.mark.parametrize("current_a", [-20.0, 20.0])
@pytest.mark.parametrize("polarity", [-1, 1])
def test_a_saturated_current_is_marked_and_shows_the_end_of_the_range(current_a, polarity):
    cell, bus, driver = monitor(polarity=polarity)
    cell.current_a = current_a
    bus.sleep_ms(10)
    assert driver.update()
    assert driver.status == status.SATURATED
    assert driver.current_ua == pytest.approx(8192000 * (1 if current_a > 0 else -1), abs=20)


def test_a_bus_voltage_beyond_its_rating_is_marked():
    cell, bus, driver = monitor()
    cell.voltage_v = 86.0
    bus.sleep_ms(10)
    assert driver.update()
    assert driver.status == status.SATURATED


def test_nothing_is_believed_before_the_first_conversion_after_set_up():
    _, bus, driver = monitor(configure=False)
    driver.configure()
    assert not driver.update()
    assert driver.status == status.NOT_READY
    bus.sleep_us(driver.conversion_us)
    assert driver.update()
    assert driver.voltage_uv == 3700000


def test_a_brown_out_of_the_monitor_shows_on_the_next_tick_and_restore_mends_it():
    _, bus, driver = monitor()
    driver.set_alert_limits(2500000, 4200000, 600000, -600000)
    limits = driver.read_alert_limits()
    bus.chips[INA].power_on_reset()
    assert not driver.update()
    assert driver.status == status.CONFIG_LOST
    bus.sleep_ms(100)
    assert not driver.update()  # not even when conversions run again, on power-on settings
    assert not driver.update_diagnostics()
    assert driver.status == status.CONFIG_LOST
    driver.restore()
    assert not driver.update()  # the first conversion has to come
    bus.sleep_ms(10)
    assert driver.update()
    assert driver.voltage_uv == 3700000
    assert driver.read_alert_limits() == limits


@pytest.mark.parametrize("register", [0x00, 0x02, 0x03, 0x0C, 0x0D, 0x0E, 0x0F, 0x10])
def test_a_foreign_write_to_any_register_of_the_set_up_is_found_within_eight_slow_ticks(register):
    _, bus, driver = monitor()
    seen = bus.chips[INA].i2c(bytes((register,)), 2)
    bus.writeto_mem(INA, register, bytes((seen[0] ^ 0x01, seen[1])))
    for _ in range(8):
        bus.sleep_ms(100)
        if not driver.update_diagnostics():
            break
    assert driver.status == status.CONFIG_LOST
    assert not driver.update()


def test_conversions_that_stop_are_noticed_by_the_second_diagnosis():
    _, bus, driver = monitor()
    bus.sleep_ms(10)
    assert driver.update_diagnostics()
    bus.chips[INA].next_change_us = 1 << 62  # the converter hangs, the registers answer
    bus.sleep_ms(100)
    assert driver.update_diagnostics()
    bus.sleep_ms(100)
    assert not driver.update_diagnostics()
    assert not driver.update()
    assert driver.status == status.NOT_READY


def test_damaged_trimming_memory_is_a_chip_fault_until_it_is_gone():
    _, bus, driver = monitor()
    chip = bus.chips[INA]
    chip._value[ina_chip.DIAG_ALRT] &= ~ina_chip.MEMSTAT
    assert not driver.update_diagnostics()
    assert not driver.update()
    assert driver.status == status.CHIP_FAULT
    chip._value[ina_chip.DIAG_ALRT] |= ina_chip.MEMSTAT | ina_chip.CNVRF
    assert driver.update_diagnostics()
    assert driver.update()


def test_die_temperature_is_read_with_the_diagnosis():
    _, _, driver = monitor()
    assert driver.update_diagnostics()
    assert driver.die_cdegc == 3125


@given(
    undervoltage_uv=st.integers(0, 5000000),
    overvoltage_uv=st.integers(0, 80000000),
    charge_ua=st.integers(0, 8000000),
    discharge_ua=st.integers(-8000000, 0),
    cdegc=st.integers(0, 12500),
    polarity=st.sampled_from([-1, 1]),
)
@settings(deadline=None, max_examples=50)
def test_alert_limits_are_programmed_on_the_side_that_trips_earlier(
    undervoltage_uv, overvoltage_uv, charge_ua, discharge_ua, cdegc, polarity
):
    _, _, driver = monitor(polarity=polarity)
    driver.set_alert_limits(undervoltage_uv, overvoltage_uv, charge_ua, discharge_ua, cdegc)
    under, over, charge, discharge, hot = driver.read_alert_limits()
    assert 0 <= under - undervoltage_uv < 3125
    assert 0 <= overvoltage_uv - over < 3125
    assert 0 <= charge_ua - charge < 251  # 5 uV over 20 mOhm
    assert 0 <= discharge - discharge_ua < 251
    assert 0 <= cdegc - hot <= 1


@pytest.mark.parametrize(
    "limits",
    [
        {"overvoltage_uv": 103000000},
        {"charge_ua": 9000000},
        {"discharge_ua": -9000000},
        {"discharge_ua": 1000000},
        {"undervoltage_uv": -10000},
    ],
)
def test_a_limit_beyond_the_comparator_is_refused_and_changes_nothing(limits):
    _, _, driver = monitor()
    driver.set_alert_limits(2500000, 4200000, 600000, -600000)
    before = driver.read_alert_limits()
    with pytest.raises(ValueError, match="steps of the comparator"):
        driver.set_alert_limits(**limits)
    assert driver.read_alert_limits() == before
    assert driver.update()


TRIPS = [
    ("overvoltage_uv", 4200000, "voltage_v", 4.25, ina_driver._ALERT_OVERVOLTAGE),
    ("undervoltage_uv", 2500000, "voltage_v", 2.4, ina_driver._ALERT_UNDERVOLTAGE),
    ("charge_ua", 600000, "current_a", 0.65, ina_driver._ALERT_CHARGE),
    ("discharge_ua", -600000, "current_a", -0.65, ina_driver._ALERT_DISCHARGE),
    ("temperature_cdegc", 6000, "degc", 61.0, ina_driver._ALERT_TEMPERATURE),
]


@pytest.mark.parametrize("polarity", [-1, 1])
@pytest.mark.parametrize("trip", TRIPS, ids=lambda trip: trip[0])
def test_alert_goes_low_within_one_conversion_and_the_flag_names_the_cause(trip, polarity):
    limit, level, quantity, beyond, flag = trip
    cell, bus, driver = monitor(polarity=polarity)
    driver.set_alert_limits(**{limit: level})
    bus.sleep_ms(10)
    assert bus.chips[INA].alert_level == 1
    setattr(cell, quantity, beyond)
    bus.sleep_us(driver.conversion_us // 4)  # one of the four that are averaged
    assert bus.chips[INA].alert_level == 0
    setattr(cell, quantity, getattr(Cell, quantity))
    bus.sleep_ms(10)
    assert bus.chips[INA].alert_level == 0  # latched
    assert driver.update_diagnostics()
    assert driver.alert_flags == flag
    assert bus.chips[INA].alert_level == 1
    driver.clear_alerts()
    bus.sleep_ms(10)
    driver.update_diagnostics()
    assert driver.alert_flags == 0


def test_the_alert_line_is_read_on_the_fast_tick():
    cell, bus, _ = monitor()

    class Line:
        def value(self):
            return bus.chips[INA].alert_level

    driver = INA228(bus, INA, SHUNT_UOHM, pin_alert=Line())
    driver.configure()
    driver.set_alert_limits(overvoltage_uv=4200000)
    cell.voltage_v = 4.3
    bus.sleep_ms(10)
    driver.update()
    assert driver.alert_asserted
