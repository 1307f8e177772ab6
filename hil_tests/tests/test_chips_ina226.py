"""The INA226 model against its datasheet (SBOS547A), and the driver against the model."""

import pytest
from assb.drivers import status
from assb.drivers.ina226 import INA226
from assb_hil.chips import ina226 as chip_of
from assb_hil.chips.model_bus import ModelBus
from hypothesis import given, settings
from hypothesis import strategies as st

INA = 0x40
SHUNT_UOHM = 20000


class Cell:
    voltage_v, current_a = 3.7, 0.5

    def monitor(self, polarity=1):
        self.chip = chip_of.INA226(lambda: self.voltage_v, lambda: polarity * self.current_a * SHUNT_UOHM * 1e-6)
        self.bus = ModelBus({INA: self.chip})
        self.driver = INA226(self.bus, INA, SHUNT_UOHM, polarity=polarity)
        self.driver.configure()
        return self

    def tick(self, count=1):
        fresh = 0
        for _ in range(count):
            self.bus.sleep_ms(10)
            fresh += self.driver.update()
        return fresh


@pytest.fixture
def cell():
    return Cell().monitor()


def read(chip, register):
    return int.from_bytes(chip.i2c(bytes((register,)), 2), "big")


def test_power_on_registers_and_the_ids():
    chip = chip_of.INA226()
    assert (read(chip, 0x00), read(chip, 0xFE), read(chip, 0xFF)) == (0x4127, 0x5449, 0x2260)


def test_current_and_power_are_those_of_the_datasheets_example():
    """7.5: 10 A through 2 mOhm at 11.98 V with a CURRENT_LSB of 1 mA: registers 2570h, 1F40h, 2710h, 12B8h."""
    chip = chip_of.INA226(lambda: 11.98, lambda: 0.02)
    chip.i2c(b"\x05\x0a\x00", 0)
    chip.advance(10_000)
    assert [read(chip, register) for register in (2, 1, 4, 3)] == [0x2570, 0x1F40, 0x2710, 0x12B8]


@pytest.mark.parametrize(("averages", "time", "result_us"), [(0, 4, 2200), (1, 3, 4704), (7, 7, 1024 * 16488)])
def test_results_come_at_the_times_of_the_datasheet(averages, time, result_us):
    chip = chip_of.INA226()
    word = 0x4007 | averages << 9 | time << 6 | time << 3
    chip.i2c(bytes((0, word >> 8, word & 0xFF)), 0)
    chip.advance(result_us - 1)
    assert not read(chip, 6) & chip_of.CVRF
    chip.advance(result_us)
    assert read(chip, 6) & chip_of.CVRF
    assert not read(chip, 6) & chip_of.CVRF  # reading clears it


@given(voltage_v=st.floats(0.0, 36.0), current_a=st.floats(-4.0, 4.0), polarity=st.sampled_from([-1, 1]))
@settings(deadline=None)
def test_voltage_and_current_come_back_within_half_a_step(voltage_v, current_a, polarity):
    cell = Cell().monitor(polarity)
    cell.voltage_v, cell.current_a = voltage_v, current_a
    assert cell.tick(2)
    assert abs(cell.driver.voltage_uv - 1e6 * voltage_v) <= 625 + 1
    assert abs(cell.driver.current_ua - 1e6 * current_a) <= 62.5 + 1
    assert cell.driver.status == 0


@pytest.mark.parametrize("change", [{"current_a": 5.0}, {"current_a": -5.0}, {"voltage_v": 37.0}])
def test_the_ends_of_the_ranges_are_marked(cell, change):
    for name, value in change.items():
        setattr(cell, name, value)
    cell.tick(2)
    assert cell.tick()
    assert cell.driver.status == status.SATURATED


def test_a_result_counts_once():
    cell = Cell().monitor()
    cell.driver.configure(4156, 4156, 4)  # 33 ms
    assert cell.tick(100) == pytest.approx(30, abs=1)
    assert cell.driver.status in (0, status.HELD)


def test_a_brown_out_shows_on_the_next_tick_and_restore_mends_it(cell):
    cell.driver.set_alert_limits(overvoltage_uv=4_200_000)
    cell.tick(3)
    cell.chip.power_on_reset()
    cell.voltage_v = 3.0
    assert cell.tick(3) == 0
    assert (cell.driver.status, cell.driver.voltage_uv) == (status.CONFIG_LOST, 3_700_000)
    assert not cell.driver.update_diagnostics()
    cell.driver.restore()
    assert cell.tick(3) > 0
    assert cell.driver.voltage_uv == 3_000_000
    assert read(cell.chip, 7) == 3360


def test_a_foreign_write_to_the_limit_is_found_by_the_slow_tick(cell):
    cell.driver.set_alert_limits(overvoltage_uv=4_200_000)
    assert cell.driver.update_diagnostics()
    cell.bus.writeto_mem(INA, 7, b"\x12\x34")
    assert not cell.driver.update_diagnostics()
    assert cell.driver.status == status.CONFIG_LOST


def test_conversions_that_stop_are_noticed(cell):
    cell.tick(3)
    cell.chip.next_change_us = 1 << 62
    cell.tick(5)
    assert cell.driver.status == status.HELD
    cell.tick(30)
    assert cell.driver.status == status.NOT_READY


def test_alert_latches_an_overvoltage_until_it_is_seen(cell):
    cell.driver.set_alert_limits(overvoltage_uv=4_200_000)
    cell.tick(2)
    assert (cell.chip.alert_level, cell.driver.alert_flags) == (1, 0)
    cell.voltage_v = 4.25
    cell.bus.sleep_ms(6)
    assert cell.chip.alert_level == 0
    cell.voltage_v = 3.7
    cell.tick(2)
    assert cell.driver.alert_flags == 0x10
    cell.driver.clear_alerts()
    cell.tick(3)
    assert (cell.chip.alert_level, cell.driver.alert_flags) == (1, 0)


@pytest.mark.parametrize("overvoltage_uv", [-1250, 41_000_000])
def test_a_limit_beyond_the_comparator_is_refused_and_changes_nothing(cell, overvoltage_uv):
    cell.driver.set_alert_limits(overvoltage_uv=4_200_000)
    with pytest.raises(ValueError, match="steps of the comparator"):
        cell.driver.set_alert_limits(overvoltage_uv=overvoltage_uv)
    assert read(cell.chip, 7) == 3360


@pytest.mark.parametrize("times", [(100, 588, 4), (588, 588, 3), (1100, 1100, 1)])
def test_times_that_the_chip_does_not_have_or_powers_on_with_are_refused(times):
    with pytest.raises(ValueError, match="INA226"):
        INA226(ModelBus({}), INA, SHUNT_UOHM).configure(*times)
