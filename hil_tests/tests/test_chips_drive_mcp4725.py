"""The MCP4725 driver against the model of its chip."""

import pytest
from assb.drivers import status
from assb.drivers.electro_pneumatic import ElectroPneumatic
from assb.drivers.mcp4725 import MCP4725
from assb_hil.chips import mcp4725 as mcp_chip
from assb_hil.chips.model_bus import ModelBus
from hypothesis import given, settings
from hypothesis import strategies as st

MCP = 0x60


def dac(**options):
    chip = mcp_chip.MCP4725(**options)
    bus = ModelBus({MCP: chip})
    return chip, bus, MCP4725(bus, MCP)


def test_set_up_takes_the_power_on_value_off_mid_scale_once():
    chip, bus, driver = dac()
    driver.configure(bus.sleep_ms)
    assert (chip.code, chip.eeprom_code, chip.eeprom_writes) == (0, 0, 1)
    chip.power_on_reset()
    assert chip.output_v == 0.0
    driver.configure(bus.sleep_ms)
    assert chip.eeprom_writes == 1


@given(st.integers(0, 4095), st.integers(4096, 20000))
@settings(deadline=None)
def test_a_restart_of_the_board_leaves_the_output_as_it_is(code, full_scale_kpa):
    chip, bus, driver = dac(eeprom_code=0)
    driver.configure(bus.sleep_ms)
    driver.write(code)
    restarted = MCP4725(bus, MCP)
    restarted.configure(bus.sleep_ms)
    assert chip.code == restarted.code == code
    regulator = ElectroPneumatic(restarted, full_scale_kpa)
    assert regulator.command_kpa(regulator.commanded_kpa)
    assert chip.code == code


@given(st.integers(-100, 5000))
@settings(deadline=None)
def test_writes_are_clamped_acknowledged_and_leave_the_eeprom_alone(code):
    chip, bus, driver = dac(eeprom_code=0)
    driver.configure(bus.sleep_ms)
    assert driver.write(code)
    assert chip.code == driver.code == min(max(code, 0), 4095)
    assert driver.read_back()
    assert chip.eeprom_writes == 0


def test_a_brown_out_of_the_dac_shows_when_read_back():
    chip, bus, driver = dac(eeprom_code=0)
    driver.configure(bus.sleep_ms)
    driver.write(2000)
    chip.power_on_reset()
    assert not driver.read_back()
    assert driver.status == status.CONFIG_LOST


def pressed(kpa=5000):
    chip, bus, driver = dac(eeprom_code=0)
    driver.configure(bus.sleep_ms)
    regulator = ElectroPneumatic(driver, 10000)
    regulator.command_kpa(kpa)
    assert regulator.verify()
    return chip, chip.code, regulator


def test_what_a_dac_lost_a_moment_ago_it_gets_again_at_once():
    chip, code, regulator = pressed()
    chip.power_on_reset()
    assert not regulator.verify()
    assert (chip.code, regulator.commanded_kpa) == (code, 5000)
    assert regulator.verify()


def test_what_a_dac_lost_while_it_was_not_heard_it_does_not_get_again_unasked():
    chip, _, regulator = pressed()
    chip.acking = False
    assert regulator.verify()  # not heard: nobody knows
    chip.power_on_reset()
    chip.acking = True
    for kpa in (5000, 4900, 0):  # regulated or bled on: nobody knows yet from where
        assert not regulator.command_kpa(kpa)
    assert chip.code == 0
    assert not regulator.verify()
    assert (chip.code, regulator.commanded_kpa) == (0, 0)
    assert regulator.verify()
    assert regulator.command_kpa(100)
    assert chip.code == 40


def test_a_dac_that_was_not_heard_and_lost_nothing_goes_on():
    chip, code, regulator = pressed()
    chip.acking = False
    assert regulator.verify()
    chip.acking = True
    assert regulator.verify()
    assert (chip.code, regulator.commanded_kpa) == (code, 5000)


def test_a_dac_that_does_not_acknowledge_keeps_the_last_code_and_counts():
    chip, bus, driver = dac(eeprom_code=0)
    driver.configure(bus.sleep_ms)
    driver.write(2000)
    chip.acking = False
    assert not driver.write(3000)
    assert not driver.read_back()
    assert (driver.code, driver.status, driver.error_count) == (2000, status.BUS_ERROR, 2)


def test_a_busy_dac_is_waited_for_at_set_up_and_not_ready_on_a_tick():
    _, bus, driver = dac()
    bus.writeto(MCP, b"\x60\x00\x00")
    driver.configure(bus.sleep_ms)
    assert driver.status == 0
    bus.writeto(MCP, b"\x60\x00\x00")
    assert not driver.read_back()
    assert driver.status == status.NOT_READY


def test_an_eeprom_that_does_not_finish_or_not_take_the_value_is_an_oserror():
    chip, bus, driver = dac()
    chip.advance = lambda now_us: None
    with pytest.raises(OSError, match="EEPROM still busy"):
        driver.configure(bus.sleep_ms)
    chip, bus, driver = dac()
    command = chip._command
    chip._command = lambda data: 3 if data[0] >> 5 == mcp_chip.COMMAND_DAC_EEPROM else command(data)
    with pytest.raises(OSError, match="power-on value stays 0x0800"):
        driver.configure(bus.sleep_ms)
