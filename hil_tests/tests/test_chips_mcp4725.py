"""The MCP4725 model against its datasheet (DS22039D)."""

import pytest
from assb_hil.chips.mcp4725 import MCP4725
from hypothesis import given, settings
from hypothesis import strategies as st


def fast(chip, code, power_down=0):
    chip.i2c(bytes((power_down << 4 | code >> 8, code & 0xFF)), 0)


def test_it_leaves_the_factory_at_mid_scale():
    assert MCP4725(vdd_v=5.0).output_v == 2.5


@given(st.integers(0, 4095), st.integers(0, 3))
@settings(deadline=None)
def test_a_fast_write_sets_output_and_reads_back(code, power_down):
    chip = MCP4725(vdd_v=5.0)
    fast(chip, code, power_down)
    assert chip.output_v == (0.0 if power_down else 5.0 * code / 4096)
    status, high, low, _, _ = chip.i2c(b"", 5)
    assert (status & 6) >> 1 == power_down
    assert high << 4 | low >> 4 == code
    assert chip.eeprom_writes == 0


@given(st.integers(0, 4095), st.integers(0, 3))
@settings(deadline=None)
def test_an_eeprom_write_takes_its_time_ignores_commands_and_survives_a_reset(code, power_down):
    chip = MCP4725()
    chip.i2c(bytes((0x60 | power_down << 1, code >> 4, (code & 15) << 4)), 0)
    assert not chip.i2c(b"", 1)[0] & 0x80
    fast(chip, 1234)
    assert chip.code == code
    chip.advance(24999)
    assert not chip.i2c(b"", 1)[0] & 0x80
    chip.advance(25000)
    assert chip.i2c(b"", 1)[0] & 0x80
    fast(chip, 1234)
    chip.power_on_reset()
    assert (chip.code, chip.power_down) == (code, power_down)
    stored = chip.i2c(b"", 5)
    assert (stored[3] & 0x60) >> 5 == power_down
    assert (stored[3] & 15) << 8 | stored[4] == code


def test_a_register_write_leaves_the_eeprom_alone():
    chip = MCP4725()
    chip.i2c(bytes((0x40, 0x12, 0x30)), 0)
    assert (chip.code, chip.eeprom_code) == (0x123, 0x800)


@pytest.mark.parametrize("command", [4, 5, 6, 7])
def test_reserved_commands_are_ignored(command):
    chip = MCP4725()
    chip.i2c(bytes((command << 5, 0x12, 0x30)), 0)
    assert chip.code == 0x800


def test_repeated_bytes_are_repeated_commands():
    chip = MCP4725()
    chip.i2c(b"\x01\x11\x02\x22", 0)
    assert chip.code == 0x222
