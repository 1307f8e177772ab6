"""The TMP117 model against its datasheet (SNOSD82D)."""

import pytest
from assb_hil.chips import tmp117
from assb_hil.chips.i2c_chip import NEVER
from assb_hil.chips.tmp117 import DATA_READY, HIGH_ALERT, LOW_ALERT, TMP117
from hypothesis import given, settings
from hypothesis import strategies as st


def write(chip, register, word):
    assert chip.i2c(bytes((register, word >> 8 & 0xFF, word & 0xFF)), 0) == b""


def read(chip, register):
    return int.from_bytes(chip.i2c(bytes((register,)), 2), "big")


def test_power_on_registers_and_the_id():
    chip = TMP117()
    assert (read(chip, tmp117.TEMP_RESULT), read(chip, tmp117.CONFIGURATION)) == (0x8000, 0x0220)
    assert (read(chip, tmp117.HIGH_LIMIT), read(chip, tmp117.LOW_LIMIT)) == (0x6000, 0x8000)
    assert read(chip, tmp117.DEVICE_ID) == 0x0117


@pytest.mark.parametrize(
    ("degc", "word"),
    [
        (-25.0, 0xF380),
        (-0.125, 0xFFF0),
        (-0.0078125, 0xFFFF),
        (0.0, 0),
        (1.0, 0x0080),
        (25.0, 0x0C80),
        (100.0, 0x3200),
        (300.0, 0x7FFF),
        (-300.0, 0x8000),
    ],
)
def test_temperatures_read_as_in_table_7_1(degc, word):
    chip = TMP117(lambda: degc)
    chip.advance(1_000_000)
    assert read(chip, tmp117.TEMP_RESULT) == word


def test_the_first_result_comes_after_start_up_and_eight_conversions():
    chip = TMP117()
    chip.advance(1500 + 8 * 15500 - 1)
    assert read(chip, tmp117.TEMP_RESULT) == 0x8000
    chip.advance(1500 + 8 * 15500)
    assert read(chip, tmp117.TEMP_RESULT) == 0x0C80


@pytest.mark.parametrize(
    ("conv", "avg", "cycle_us"),
    [
        (0, 0, 15500),
        (1, 0, 125000),
        (0, 1, 125000),
        (1, 1, 125000),
        (2, 1, 250000),
        (0, 2, 500000),
        (4, 3, 1000000),
        (3, 3, 1000000),
        (7, 0, 16000000),
    ],
)
def test_results_come_at_the_cycle_of_table_7_7(conv, avg, cycle_us):
    chip = TMP117()
    write(chip, tmp117.CONFIGURATION, conv << 7 | avg << 5)
    first_us = chip.next_change_us
    assert first_us == tmp117.AVERAGES[avg] * 15500
    for number in range(3):
        chip.advance(first_us + number * cycle_us)
        assert read(chip, tmp117.CONFIGURATION) & DATA_READY
        chip.advance(first_us + (number + 1) * cycle_us - 1)
        assert not read(chip, tmp117.CONFIGURATION) & DATA_READY


@pytest.mark.parametrize("register", [tmp117.TEMP_RESULT, tmp117.CONFIGURATION])
def test_reading_result_or_configuration_clears_data_ready(register):
    chip = TMP117()
    chip.advance(1_000_000)
    read(chip, register)
    assert not read(chip, tmp117.CONFIGURATION) & DATA_READY


def test_alert_flags_rise_beyond_the_limits_and_fall_when_read():
    degc = [90.0]
    chip = TMP117(lambda: degc[0])
    write(chip, tmp117.HIGH_LIMIT, 80 * 128)
    write(chip, tmp117.LOW_LIMIT, 5 * 128)
    chip.advance(200_000)
    assert read(chip, tmp117.CONFIGURATION) & (HIGH_ALERT | LOW_ALERT) == HIGH_ALERT
    assert not read(chip, tmp117.CONFIGURATION) & HIGH_ALERT
    degc[0] = 0.0
    chip.advance(3_000_000)
    assert read(chip, tmp117.CONFIGURATION) & (HIGH_ALERT | LOW_ALERT) == LOW_ALERT


def test_one_shot_converts_once_and_shuts_down():
    chip = TMP117()
    write(chip, tmp117.CONFIGURATION, tmp117.MODE_ONE_SHOT << 10)
    chip.advance(15500)
    assert read(chip, tmp117.CONFIGURATION) >> 10 & 3 == tmp117.MODE_SHUTDOWN
    assert chip.next_change_us == NEVER
    assert read(chip, tmp117.TEMP_RESULT) == 0x0C80


@given(st.floats(-100.0, 200.0), st.integers(-2000, 2000))
@settings(deadline=None)
def test_the_offset_register_is_added(degc, offset):
    chip = TMP117(lambda: degc)
    write(chip, tmp117.TEMP_OFFSET, offset)
    chip.advance(1_000_000)
    word = read(chip, tmp117.TEMP_RESULT)
    assert abs((word - 0x10000 if word & 0x8000 else word) - offset - degc * 128) <= 0.5


@pytest.mark.parametrize("reset", ["bit", "brown-out"])
def test_a_reset_puts_the_configuration_back(reset):
    chip = TMP117()
    write(chip, tmp117.CONFIGURATION, 0x00A0)
    chip.advance(1_000_000)
    if reset == "bit":
        write(chip, tmp117.CONFIGURATION, tmp117.SOFT_RESET)
    else:
        chip.power_on_reset()
    assert (read(chip, tmp117.CONFIGURATION), read(chip, tmp117.TEMP_RESULT)) == (0x0220, 0x8000)
