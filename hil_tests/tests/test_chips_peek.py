"""What a chip says of the future holds: `peek` is every read until its validity ends, and reading changes nothing."""

import copy

import pytest
from assb_hil.chips import ads1115, bq76952, ina226, ina228, nau7802, tmp117
from assb_hil.chips.ina228 import INA228
from assb_hil.chips.mcp4725 import MCP4725
from assb_hil.chips.nau7802 import NAU7802
from assb_hil.chips.tmp117 import TMP117
from hypothesis import given, settings
from hypothesis import strategies as st


class Ramp:
    """An input that is different at every sample."""

    def __init__(self, start, step):
        self.value = start
        self.step = step

    def __call__(self):
        self.value += self.step
        return self.value


CHIPS = {
    "ina228": (
        lambda: INA228(Ramp(3.0, 0.001), Ramp(-0.01, 1e-5), Ramp(20.0, 0.1)),
        [(bytes((register,)), ina228.WIDTH[register]) for register in ina228.WIDTH],
        [bytes((ina228.ADC_CONFIG, high, low)) for high, low in ((0xF0, 0), (0xF0, 1), (0xB4, 0x42), (0x70, 0), (0, 0))]
        + [b"\x0b\x80\x00", b"\x0e\x03\xe8", b"\x00\x00\x10", b"\x00\x80\x00"],
        5000,
    ),
    "nau7802": (
        lambda: NAU7802(Ramp(0.0, 1e-6)),
        [(bytes((register,)), 1) for register in range(0x20)] + [(bytes((nau7802.ADCO,)), 3), (b"\x00", 3)],
        [b"\x00\x01", b"\x00\x02", b"\x00\x86", b"\x00\x96", b"\x01\x27", b"\x02\x30", b"\x02\x70", b"\x02\x34"],
        400_000,
    ),
    "tmp117": (
        lambda: TMP117(Ramp(20.0, 1.0)),
        [(bytes((register,)), 2) for register in tmp117.POWER_ON],
        [b"\x01\x00\x00", b"\x01\x00\xa0", b"\x01\x0c\x00", b"\x01\x04\x00", b"\x02\x0c\x00", b"\x01\x00\x02"],
        300_000,
    ),
    "mcp4725": (MCP4725, [(b"", 5), (b"", 1)], [b"\x01\x23", b"\x60\x12\x30", b"\x40\x12\x30", b"\x00\x00"], 30_000),
    "ina226": (
        lambda: ina226.INA226(Ramp(3.0, 0.01), Ramp(-0.01, 1e-4)),
        [(bytes((register,)), 2) for register in ina226.POWER_ON],
        [b"\x00\x40\x07", b"\x00\x41\x27", b"\x00\x40\x03", b"\x06\x20\x01", b"\x06\x04\x00", b"\x07\x09\x60"],
        5000,
    ),
    "bq76952": (
        lambda: bq76952.BQ76952(
            {1: Ramp(3.0, 0.01)},
            Ramp(0.0, 1e-3),
            {1: Ramp(20.0, 1.0)},
            Ramp(25.0, 1.0),
            with_crc=False,
            stack_v=Ramp(3.0, 0.1),
        ),
        [(bytes((register,)), 2) for register in (0x03, 0x12, 0x14, 0x34, 0x3A, 0x3E, 0x40, 0x60, 0x62, 0x68, 0x70)],
        [
            *(bytes((0x3E, command, 0)) for command in (0x9A, 0x01, 0x90, 0x92)),
            *(b"\x66\x02\x00", b"\x62\x02\x00", b"\x3e\x83\x00\x01\x00", b"\x60\x7b\x06"),
        ],
        100_000,
    ),
    "ads1115": (
        lambda: ads1115.ADS1115({0: Ramp(1.0, 0.01)}),
        [(bytes((register,)), 2) for register in ads1115.POWER_ON],
        [b"\x01\xc3\xe3", b"\x01\xc2\x83", b"\x01\x43\xe3"],
        5000,
    ),
}  # make, reads, writes, longest step in us


@pytest.mark.parametrize("name", CHIPS)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_a_prediction_holds_until_it_says_and_reading_it_has_no_side_effect(name, data):
    make, reads, writes, longest_us = CHIPS[name]
    chip = make()
    for _ in range(data.draw(st.integers(1, 8))):
        if data.draw(st.booleans()):
            chip.i2c(data.draw(st.sampled_from(writes)), 0)
        if data.draw(st.booleans()):
            chip.i2c(*data.draw(st.sampled_from(reads)))
        chip.advance(chip.now_us + data.draw(st.integers(1, longest_us)))
        assert chip.next_change_us > chip.now_us
        for key in reads:
            prediction = chip.peek(*key)
            if prediction is not None:
                check(chip, key, *prediction, data.draw(st.floats(0.0, 1.0)))


@pytest.mark.parametrize("name", CHIPS)
@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_a_preview_is_what_the_first_read_before_its_end_gives(name, data):
    make, reads, writes, longest_us = CHIPS[name]
    chip = make()
    for _ in range(data.draw(st.integers(1, 6))):
        if data.draw(st.booleans()):
            chip.i2c(data.draw(st.sampled_from(writes)), 0)
        chip.advance(chip.now_us + data.draw(st.integers(1, longest_us)))
        for key in reads:
            preview = chip.preview(*key)
            if preview is not None:
                content, valid_until_us = preview
                reader = copy.deepcopy(chip)
                reader.advance(data.draw(st.integers(chip.now_us, min(valid_until_us - 1, chip.now_us + 1_000_000))))
                assert reader.i2c(*key) == content


def check(chip, key, content, valid_until_us, fraction):
    assert valid_until_us > chip.now_us
    reader, bystander = copy.deepcopy(chip), copy.deepcopy(chip)
    last_us = min(valid_until_us - 1, chip.now_us + 1_000_000)
    at_us = chip.now_us + int((last_us - chip.now_us) * fraction)
    for model in (reader, bystander):
        model.advance(at_us)
    assert reader.i2c(*key) == content
    reader.advance(last_us)
    assert reader.i2c(*key) == content
    bystander.advance(last_us)
    assert vars(reader) | {"_pointer": 0, **inputs(reader)} == vars(bystander) | {"_pointer": 0, **inputs(reader)}


def inputs(chip):
    """The ramps are copies of each other, not the same objects."""
    held = vars(chip).items()
    ramps = {name: value for name, value in held if isinstance(value, Ramp)}
    return ramps | {name: value for name, value in held if isinstance(value, dict) and name.endswith(("_v", "_degc"))}


class Overconfident(INA228):
    def _valid_until(self, register, read_n):
        return self.now_us + 1_000_000


@pytest.mark.parametrize("register", [ina228.VBUS, ina228.DIAG_ALRT])
def test_the_check_sees_a_result_that_changes_and_a_read_that_clears(register):
    chip = Overconfident(Ramp(3.0, 0.001))
    chip.i2c(bytes((ina228.ADC_CONFIG, 0xF0, 0)), 0)
    chip.advance(200)
    key = (bytes((register,)), ina228.WIDTH[register])
    with pytest.raises(AssertionError):
        check(chip, key, *chip.peek(*key), 0.5)
