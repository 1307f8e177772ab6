"""The NAU7802 model against its datasheet (revision 1.7)."""

import pytest
from assb_hil.chips import nau7802
from assb_hil.chips.i2c_chip import NEVER
from assb_hil.chips.nau7802 import CAL_ERR, CALS, CR, CS, NAU7802, PUA, PUD, PUR, RR
from hypothesis import given, settings
from hypothesis import strategies as st

ON = nau7802.AVDDS | PUD | PUA
GAIN_128, RATE_80 = 7, 3 << 4


def write(chip, register, byte):
    assert chip.i2c(bytes((register, byte)), 0) == b""


def read(chip, register, length=1):
    return int.from_bytes(chip.i2c(bytes((register,)), length), "big")


def counts(chip):
    return int.from_bytes(chip.i2c(bytes((nau7802.ADCO,)), 3), "big", signed=True)


def converting(rate=RATE_80, gain=GAIN_128, power=ON, **inputs):
    chip = NAU7802(**inputs)
    write(chip, nau7802.PU_CTRL, RR)
    write(chip, nau7802.PU_CTRL, power)
    chip.advance(200)
    write(chip, nau7802.CTRL1, gain)
    write(chip, nau7802.CTRL2, rate)
    write(chip, nau7802.PU_CTRL, power | CS)
    return chip


def test_power_up_is_ready_200_us_after_pud():
    chip = NAU7802()
    write(chip, nau7802.PU_CTRL, PUD)
    chip.advance(199)
    assert not read(chip, nau7802.PU_CTRL) & PUR
    chip.advance(200)
    assert read(chip, nau7802.PU_CTRL) & PUR


@pytest.mark.parametrize(("rate", "rate_hz"), [(0, 10), (1, 20), (2, 40), (3, 80), (7, 320)])
def test_conversions_come_at_the_programmed_rate(rate, rate_hz):
    chip = converting(rate << 4)
    period_us = 1000000 // rate_hz
    for number in range(1, 4):
        chip.advance(200 + number * period_us - 1)
        assert not read(chip, nau7802.PU_CTRL) & CR
        chip.advance(200 + number * period_us)
        assert read(chip, nau7802.PU_CTRL) & CR
        counts(chip)
        assert not read(chip, nau7802.PU_CTRL) & CR


@given(st.floats(-0.006, 0.006), st.integers(0, 7))
@settings(deadline=None)
def test_code_is_ratio_times_gain_of_half_the_reference_and_saturates(ratio, gain):
    chip = converting(gain=gain, bridge_v_per_v=lambda: ratio)
    chip.advance(20000)
    exact = ratio * (1 << gain) * (1 << 24)
    assert abs(counts(chip) - min(max(exact, -(1 << 23)), (1 << 23) - 1)) <= 1


@pytest.mark.parametrize("power", [PUD | PUA, nau7802.AVDDS | PUD, nau7802.AVDDS | PUA])
def test_nothing_converts_without_analog_digital_and_reference_power(power):
    chip = converting(power=power)
    chip.advance(1_000_000)
    assert not read(chip, nau7802.PU_CTRL) & CR


def test_an_external_reference_does_without_the_regulator():
    chip = converting(power=PUD | PUA, external_avdd=True)
    chip.advance(20000)
    assert read(chip, nau7802.PU_CTRL) & CR


@pytest.mark.parametrize("offset", [-5000, 0, 7000])
def test_internal_calibration_removes_the_offset_of_the_front_end_but_not_the_load(offset):
    chip = converting(bridge_v_per_v=lambda: 0.001, intrinsic_offset_counts=offset)
    chip.advance(20000)
    assert counts(chip) - offset == 2147484
    write(chip, nau7802.CTRL2, RATE_80 | CALS)
    chip.advance(20000 + nau7802.CALIBRATION_US - 1)
    assert read(chip, nau7802.CTRL2) & CALS
    chip.advance(20000 + nau7802.CALIBRATION_US)
    assert not read(chip, nau7802.CTRL2) & (CALS | CAL_ERR)
    chip.advance(chip.now_us + 12500)
    assert counts(chip) == 2147484


def test_system_offset_calibration_makes_the_present_load_zero():
    chip = converting(bridge_v_per_v=lambda: 0.001)
    write(chip, nau7802.CTRL2, RATE_80 | CALS | nau7802.CALMOD_SYSTEM_OFFSET)
    chip.advance(nau7802.CALIBRATION_US + 20000)
    assert counts(chip) == 0


def test_the_calibration_that_the_model_lacks_is_refused_loudly():
    with pytest.raises(NotImplementedError, match="gain calibration"):
        write(converting(), nau7802.CTRL2, CALS | 3)


def test_register_reset_and_brown_out_clear_everything():
    for reset in (lambda chip: write(chip, nau7802.PU_CTRL, RR), lambda chip: chip.power_on_reset()):
        chip = converting()
        reset(chip)
        assert not read(chip, nau7802.PU_CTRL) & (PUD | PUA | PUR | CS | CR)
        assert (read(chip, nau7802.CTRL1), read(chip, nau7802.CTRL2), chip.next_change_us) == (0, 0, NEVER)


def test_status_bits_can_not_be_written():
    chip = NAU7802()
    write(chip, nau7802.PU_CTRL, PUR | CR)
    write(chip, nau7802.CTRL2, CAL_ERR)
    write(chip, nau7802.REVISION, 0)
    assert (read(chip, nau7802.PU_CTRL), read(chip, nau7802.CTRL2), read(chip, nau7802.REVISION)) == (0, 0, 0x0F)


def test_reads_and_writes_run_on_to_the_next_register():
    chip = NAU7802()
    chip.i2c(bytes((nau7802.PU_CTRL, PUD, 0x2F, 0x30)), 0)
    assert chip.i2c(bytes((nau7802.PU_CTRL,)), 3) == bytes((PUD, 0x2F, 0x30))
