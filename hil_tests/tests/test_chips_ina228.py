"""The INA228 model against its datasheet (SLYS021A)."""

import pytest
from assb_hil.chips import ina228
from assb_hil.chips.i2c_chip import NEVER
from assb_hil.chips.ina228 import INA228
from hypothesis import given, settings
from hypothesis import strategies as st

V_S_T_CONTINUOUS = 0xF000
FAST = V_S_T_CONTINUOUS  # 50 us each, no averaging: a round is 150 us


def write(chip, register, word):
    assert chip.i2c(bytes((register, word >> 8, word & 0xFF)), 0) == b""


def read(chip, register):
    return int.from_bytes(chip.i2c(bytes((register,)), ina228.WIDTH[register]), "big")


def code20(chip, register):
    word = read(chip, register) >> 4
    return word - 0x100000 if word & 0x80000 else word


def running(config=FAST, **inputs):
    chip = INA228(**inputs)
    write(chip, ina228.ADC_CONFIG, config)
    return chip


def test_power_on_registers_are_those_of_the_register_map():
    chip = INA228()
    assert read(chip, ina228.ADC_CONFIG) == 0xFB68
    assert read(chip, ina228.SHUNT_CAL) == 0x1000
    assert read(chip, ina228.DIAG_ALRT) == 0x0001
    assert (read(chip, ina228.SOVL), read(chip, ina228.SUVL)) == (0x7FFF, 0x8000)
    assert (read(chip, ina228.MANUFACTURER_ID), read(chip, ina228.DEVICE_ID)) == (0x5449, 0x2281)


def test_the_datasheets_design_example_comes_out():
    """8.2: 48 V, 6 A through 16.2 mOhm, SHUNT_CAL 4050 for 10 A full scale."""
    chip = running(bus_voltage_v=lambda: 48.0, shunt_voltage_v=lambda: 6.0 * 16.2e-3)
    write(chip, ina228.SHUNT_CAL, 4050)
    chip.advance(150)
    assert code20(chip, ina228.VSHUNT) == 311040
    assert code20(chip, ina228.VBUS) == 245760
    assert read(chip, ina228.DIETEMP) == 3200
    assert code20(chip, ina228.CURRENT) == 314572
    assert read(chip, ina228.POWER) * 3.2 * 10 / (1 << 19) == pytest.approx(288.0, rel=1e-5)


def test_an_hour_of_the_design_example_is_its_charge_and_energy():
    chip = running(bus_voltage_v=lambda: 48.0, shunt_voltage_v=lambda: 6.0 * 16.2e-3)
    write(chip, ina228.SHUNT_CAL, 4050)
    for second in range(1, 3601):
        chip.advance(second * 1_000_000)
    lsb_a = 10 / (1 << 19)
    assert read(chip, ina228.CHARGE) * lsb_a == pytest.approx(21600.0, rel=1e-4)
    assert read(chip, ina228.ENERGY) * 16 * 3.2 * lsb_a == pytest.approx(48.0 * 6.0 * 3600, rel=1e-4)
    write(chip, ina228.CONFIG, ina228.RSTACC)
    assert (read(chip, ina228.CHARGE), read(chip, ina228.ENERGY)) == (0, 0)
    assert not read(chip, ina228.CONFIG) & ina228.RSTACC


def test_discharge_counts_down_in_twos_complement():
    chip = running(shunt_voltage_v=lambda: -0.05)
    chip.advance(10_000_000)
    charge = read(chip, ina228.CHARGE)
    assert charge - (1 << 40) == pytest.approx(-160000 * 10, rel=1e-3)


def test_shunt_cal_of_4096_makes_current_equal_to_vshunt_in_both_ranges():
    chip = running(shunt_voltage_v=lambda: -0.03)
    for config in (0, ina228.ADCRANGE):
        write(chip, ina228.CONFIG, config)
        chip.advance(chip.now_us + 150)
        assert code20(chip, ina228.VSHUNT) == round(-0.03 / ina228.SHUNT_LSB_V[config > 0])
        assert code20(chip, ina228.CURRENT) == code20(chip, ina228.VSHUNT)


@given(st.floats(-0.3, 0.3), st.floats(-1.0, 110.0), st.floats(-60.0, 200.0))
@settings(deadline=None)
def test_every_input_quantises_within_half_a_step_or_saturates(shunt_v, bus_v, die_degc):
    chip = running(bus_voltage_v=lambda: bus_v, shunt_voltage_v=lambda: shunt_v, die_temperature_degc=lambda: die_degc)
    chip.advance(150)
    seen_v = code20(chip, ina228.VSHUNT) * 312.5e-9
    assert abs(seen_v - min(max(shunt_v, -0.16384), 0.16384)) <= 312.5e-9
    assert abs(code20(chip, ina228.VBUS) * 195.3125e-6 - min(max(bus_v, 0.0), 102.4)) <= 195.3125e-6
    die = read(chip, ina228.DIETEMP)
    assert abs((die - 0x10000 if die & 0x8000 else die) * 7.8125e-3 - die_degc) <= 7.8125e-3


@pytest.mark.parametrize(
    ("config", "round_us", "average"),
    [
        (0xFB68, 3 * 1052, 1),  # power-on value
        (0xF000, 150, 1),
        (0xF000 | 4 << 9 | 4 << 6 | 1, 540 + 540 + 50, 4),
        (0xB000 | 7 << 9 | 2 << 6 | 2, 4120 + 150, 16),  # shunt and bus only
        (0x9000 | 3 << 9, 280, 1),  # bus only
    ],
)
def test_results_appear_when_the_averaged_conversions_are_over(config, round_us, average):
    chip = running(config, bus_voltage_v=lambda: 4.0)
    done_us = round_us * average
    chip.advance(done_us - 1)
    assert code20(chip, ina228.VBUS) == 0
    assert not read(chip, ina228.DIAG_ALRT) & ina228.CNVRF
    chip.advance(done_us)
    assert code20(chip, ina228.VBUS) == 20480
    assert read(chip, ina228.DIAG_ALRT) & ina228.CNVRF


def test_the_first_conversion_after_power_on_waits_for_the_start_up():
    chip = INA228(bus_voltage_v=lambda: 4.0)
    assert chip.next_change_us == 300 + 3 * 1052


def test_conversion_delay_comes_before_the_first_conversion():
    chip = running()
    write(chip, ina228.CONFIG, 5 << 6)  # CONVDLY = 5 * 2 ms
    assert chip.next_change_us == 10000 + 150


def test_a_result_is_the_mean_of_its_conversions():
    bus_v = [3.0]
    chip = running(FAST | 1, bus_voltage_v=lambda: bus_v[0])
    chip.advance(300)
    bus_v[0] = 4.0
    chip.advance(600)
    assert code20(chip, ina228.VBUS) == round(3.5 / 195.3125e-6)


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=20), st.integers(0, 3))
@settings(deadline=None)
def test_a_constant_input_reads_the_same_however_time_is_cut(steps_us, average):
    chip = running(FAST | average, bus_voltage_v=lambda: 3.7)
    now_us = 0
    for step_us in steps_us:
        now_us += step_us
        chip.advance(now_us)
        assert chip.next_change_us > now_us
        done = now_us >= 150 * ina228.AVERAGES[average]
        assert code20(chip, ina228.VBUS) == (round(3.7 / 195.3125e-6) if done else 0)


def test_a_triggered_conversion_happens_once():
    bus_v = [3.0]
    chip = running(0x7000, bus_voltage_v=lambda: bus_v[0])
    chip.advance(150)
    bus_v[0] = 4.0
    chip.advance(100_000)
    assert code20(chip, ina228.VBUS) == 15360
    assert chip.next_change_us == NEVER


@pytest.mark.parametrize("config", [0x0000, 0x8000])
def test_shutdown_converts_nothing(config):
    chip = running(config, bus_voltage_v=lambda: 4.0)
    chip.advance(1_000_000)
    assert code20(chip, ina228.VBUS) == 0


LIMITS = [
    # register, limit word, flag, input, (value that trips, value that does not)
    (ina228.SOVL, 2000, ina228.SHNTOL, "shunt_voltage_v", (0.010001, 0.009999)),  # 5 uV steps
    (ina228.SUVL, -2000 & 0xFFFF, ina228.SHNTUL, "shunt_voltage_v", (-0.010001, -0.009999)),
    (ina228.BOVL, 1344, ina228.BUSOL, "bus_voltage_v", (4.2003, 4.1999)),  # 3.125 mV steps
    (ina228.BUVL, 800, ina228.BUSUL, "bus_voltage_v", (2.4997, 2.5001)),
    (ina228.TEMP_LIMIT, 10240, ina228.TMPOL, "die_temperature_degc", (80.02, 79.99)),
]


@pytest.mark.parametrize(("register", "limit", "flag", "quantity", "levels"), LIMITS)
def test_a_comparator_trips_beyond_its_limit_only(register, limit, flag, quantity, levels):
    beyond, within = levels
    value = [within]
    chip = running(**{quantity: lambda: value[0]})
    write(chip, register, limit)
    chip.advance(150)
    assert (chip.alert_asserted, chip.alert_level) == (False, 1)
    value[0] = beyond
    chip.advance(300)
    assert (chip.alert_asserted, chip.alert_level) == (True, 0)
    assert read(chip, ina228.DIAG_ALRT) & ina228.LIMIT_FLAGS == flag


def test_a_power_limit_trips():
    chip = running(bus_voltage_v=lambda: 4.0, shunt_voltage_v=lambda: 0.1)
    write(chip, ina228.PWR_LIMIT, 1)  # 256 power codes
    chip.advance(300)
    assert read(chip, ina228.DIAG_ALRT) & ina228.LIMIT_FLAGS == ina228.POL


def test_transparent_alert_follows_the_fault_and_latched_alert_waits_for_a_read():
    bus_v = [5.0]
    for mode, after_fault in ((0, False), (ina228.ALATCH, True)):
        bus_v[0] = 5.0
        chip = running(bus_voltage_v=lambda: bus_v[0])
        write(chip, ina228.BOVL, 1344)
        write(chip, ina228.DIAG_ALRT, mode)
        chip.advance(150)
        assert chip.alert_asserted
        bus_v[0] = 4.0
        chip.advance(300)
        assert chip.alert_asserted is after_fault
        read(chip, ina228.DIAG_ALRT)
        assert not chip.alert_asserted


def test_a_latched_alert_that_was_read_comes_back_with_the_next_conversion_while_the_fault_lasts():
    chip = running(bus_voltage_v=lambda: 5.0)
    write(chip, ina228.BOVL, 1344)
    write(chip, ina228.DIAG_ALRT, ina228.ALATCH)
    chip.advance(150)
    read(chip, ina228.DIAG_ALRT)
    assert not chip.alert_asserted
    chip.advance(300)
    assert chip.alert_asserted


def test_alert_sees_each_conversion_unless_slow_alert_waits_for_the_average():
    for slow, seen in ((0, True), (ina228.SLOWALERT, False)):
        bus_v = [4.0]
        chip = running(FAST | 1, bus_voltage_v=lambda volts=bus_v: volts[0])
        write(chip, ina228.BOVL, 1344)
        write(chip, ina228.DIAG_ALRT, slow)
        chip.advance(300)
        bus_v[0] = 4.4
        chip.advance(450)
        assert chip.alert_asserted is seen


def test_alert_polarity_and_conversion_ready_reach_the_pin():
    chip = running()
    write(chip, ina228.DIAG_ALRT, ina228.CNVR | ina228.APOL | ina228.ALATCH)
    assert chip.alert_level == 0
    chip.advance(150)
    assert chip.alert_level == 1
    read(chip, ina228.DIAG_ALRT)
    assert chip.alert_level == 0


def test_an_overflowing_current_saturates_and_says_so():
    chip = running(shunt_voltage_v=lambda: 0.16)
    write(chip, ina228.SHUNT_CAL, 2048)
    chip.advance(150)
    assert code20(chip, ina228.CURRENT) == ina228.CODE_MAX
    assert read(chip, ina228.DIAG_ALRT) & ina228.MATHOF


def test_shunt_temperature_compensation_lowers_the_current_of_a_hot_shunt():
    chip = running(shunt_voltage_v=lambda: 0.1, die_temperature_degc=lambda: 125.0)
    write(chip, ina228.SHUNT_TEMPCO, 1000)
    write(chip, ina228.CONFIG, ina228.TEMPCOMP)
    chip.advance(300)
    assert code20(chip, ina228.CURRENT) == pytest.approx(320000 / 1.1, rel=1e-4)


@pytest.mark.parametrize("reset", ["bit", "brown-out"])
def test_a_reset_puts_every_register_back(reset):
    chip = running(bus_voltage_v=lambda: 4.0)
    write(chip, ina228.BOVL, 1000)
    chip.advance(150)
    if reset == "bit":
        write(chip, ina228.CONFIG, ina228.RST)
    else:
        chip.power_on_reset()
    assert (read(chip, ina228.BOVL), read(chip, ina228.ADC_CONFIG), read(chip, ina228.VBUS)) == (0x7FFF, 0xFB68, 0)


def test_read_only_and_reserved_registers_ignore_writes():
    chip = INA228()
    for register in (ina228.VBUS, ina228.DEVICE_ID, 0x30):
        write(chip, register, 0x1234)
    assert (read(chip, ina228.VBUS), read(chip, ina228.DEVICE_ID)) == (0, 0x2281)


def test_a_chip_that_does_not_acknowledge_answers_nothing():
    chip = INA228()
    chip.acking = False
    assert chip.i2c(b"\x3e", 2) is None
    assert chip.peek(b"\x3e", 2) is None
