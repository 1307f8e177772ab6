"""The BQ76952 model against its manual (SLUUBY2B), and the driver against the model."""

import contextlib
from itertools import pairwise

import pytest
from assb.drivers import status
from assb.drivers.bq76952 import BQ76952
from assb.drivers.stack_channels import StackCell, StackThermistor
from assb_hil.chips import bq76952 as chip_of
from assb_hil.chips.model_bus import ModelBus
from hypothesis import given, settings
from hypothesis import strategies as st

BQ = 0x08
SHUNT_UOHM = 50000
INPUTS = 0x8003  # VC1, VC2 and VC16


class Pack:
    """What is wired to the chip; positive current charges."""

    def __init__(self, with_crc=True, fast=False, polarity=1):
        self.volts, self.current_a, self.degc = [3.7, 3.8, 3.9], 0.5, [31.2, 30.0]
        self.bled = []
        self.chip = chip_of.BQ76952(
            {number: lambda at=at: self.volts[at] for at, number in enumerate((1, 2, 16))},
            lambda: polarity * self.current_a * SHUNT_UOHM * 1e-6,
            {1: lambda: self.degc[0], 3: lambda: self.degc[1]},
            bleed=self.bled.append,
            with_crc=with_crc,
        )
        self.bus = ModelBus({BQ: self.chip})
        self.bus.sleep_ms(400)
        self.driver = BQ76952(self.bus, BQ, INPUTS, SHUNT_UOHM, with_crc, 0b101, polarity, sleep_ms=self.bus.sleep_ms)
        self.driver.configure(fast)
        self.driver.set_alert_limits(2_400_000, 4_350_000, 900_000, -1_800_000)
        self.cells = [StackCell(self.driver, at) for at in range(3)]
        self.thermistors = [StackThermistor(self.driver, pin) for pin in (0, 2)]

    def tick(self, count=1):
        """Fast ticks of 10 ms; how many voltages were new."""
        fresh = 0
        for _ in range(count):
            self.bus.sleep_ms(10)
            fresh += sum([cell.update() for cell in self.cells])
        return fresh

    def slow(self, count=1):
        """Slow ticks of 100 ms, as the board makes them."""
        for _ in range(count):
            self.tick(10)
            for thermistor in self.thermistors:
                thermistor.update()
            if not self.cells[0].update_diagnostics() and self.cells[0].status == status.CONFIG_LOST:
                with contextlib.suppress(OSError):
                    self.cells[0].restore()


# The model


def write(chip, register, text):
    return chip.i2c(bytes((register,)) + bytes.fromhex(text), 0)


def plain():
    chip = chip_of.BQ76952({1: lambda: 3.0}, with_crc=False)
    chip.advance(400_000)
    return chip


def test_it_powers_on_as_the_manual_says():
    chip = plain()
    assert int.from_bytes(chip.i2c(b"\x12", 2), "little") & 0x0D == chip_of.POR | chip_of.SLEEP_EN
    write(chip, 0x3E, "0100")
    assert chip.i2c(b"\x3e", 2) == b"\xff\xff"  # until it has been processed
    chip.advance(401_000)
    assert chip.i2c(b"\x3e", 2) == b"\x01\x00"
    assert chip.i2c(b"\x40", 2) == b"\x95\x76"
    assert chip.i2c(b"\x60", 2) == bytes((~(0x01 + 0x95 + 0x76) & 0xFF, 6))


@pytest.mark.parametrize(
    ("thermistors", "fast", "loop_us"),
    [("000000", 0, 54000), ("070000", 0, 57000), ("070707", 0, 63000), ("070707", 1, 31500)],
)
def test_a_measurement_loop_has_a_slot_for_each_input(thermistors, fast, loop_us):
    """SLUSE13B 10.1.1: 18 slots of 3 or 1.5 ms, and up to three for thermistors."""
    chip = plain()
    chip._put_memory(chip_of.TS1_CONFIG, bytes.fromhex(thermistors))
    chip._put_memory(chip_of.POWER_CONFIG, (0x2882 | 0x40 * fast).to_bytes(2, "little"))
    assert chip.loop_us == loop_us


@pytest.mark.parametrize("spoilt", range(1, 5))
def test_a_write_with_a_wrong_crc_is_not_acknowledged_and_changes_nothing(spoilt):
    chip = chip_of.BQ76952()
    good = bytes.fromhex("3e2263") + b"\0\0"  # FET_ENABLE, SLUAA11B figure 4-1
    assert chip.i2c(good, 0) == b""
    bad = bytearray(good)
    bad[spoilt] ^= 0x10
    before = bytes(chip._direct)
    assert chip.i2c(bytes(bad), 0) is None
    assert bytes(chip._direct) == before


def test_data_memory_is_written_in_config_update_mode_alone_and_with_a_right_checksum():
    chip = plain()
    for mode, tail, taken in ((False, "4406", False), (True, "4306", False), (True, "4406", True)):
        if mode:
            write(chip, 0x3E, "9000")
            chip.advance(chip.now_us + 3000)
        write(chip, 0x3E, "80917a30")
        write(chip, 0x60, tail)
        chip.advance(chip.now_us + 3000)
        assert (chip._get_memory(0x9180, 2) == b"\x7a\x30") == taken


def test_alarm_status_latches_what_alarm_enable_lets_through_and_is_cleared_by_writing_ones():
    chip = plain()
    assert not chip._word(chip_of.ALARM_STATUS) & chip_of.ADSCAN
    write(chip, 0x66, "0200")
    chip.advance(chip.now_us + 6_000_000)
    assert chip._word(chip_of.ALARM_STATUS) & chip_of.ADSCAN
    write(chip, 0x62, "0200")
    assert not chip._word(chip_of.ALARM_STATUS) & chip_of.ADSCAN


def test_it_sleeps_between_scans_of_five_seconds_until_that_is_disabled():
    chip = plain()
    write(chip, 0x66, "0200")
    write(chip, 0x62, "0200")
    chip.advance(chip.now_us + 1_000_000)
    assert not chip._word(chip_of.ALARM_STATUS) & chip_of.ADSCAN
    write(chip, 0x3E, "9a00")
    chip.advance(chip.now_us + 1_000)
    chip.advance(chip.now_us + 100_000)
    assert chip._word(chip_of.ALARM_STATUS) & chip_of.ADSCAN


# The driver


@pytest.mark.parametrize("with_crc", [True, False])
@given(
    volts=st.lists(st.floats(0.0, 5.4), min_size=3, max_size=3),
    current_a=st.floats(-3.2, 3.2),
    degc=st.floats(-45.0, 105.0),
    polarity=st.sampled_from([-1, 1]),
)
@settings(deadline=None, max_examples=15)
def test_voltages_current_and_temperature_come_back_within_a_step(with_crc, volts, current_a, degc, polarity):
    pack = Pack(with_crc, polarity=polarity)
    pack.volts, pack.current_a, pack.degc = volts, current_a, [degc, 20.0]
    pack.slow(5)
    for cell, true_v in zip(pack.cells, volts, strict=True):
        assert abs(cell.voltage_uv - 1e6 * true_v) <= 500 + 1
    assert abs(pack.cells[0].current_ua - 1e6 * current_a) <= 151 / 2 + 50 + 1  # the counter's step, the message's
    assert abs(pack.thermistors[0].temperature_cdegc - 100 * degc) <= 10
    assert pack.driver.error_count == 0


@pytest.mark.parametrize(("fast", "loop_ms"), [(False, 60), (True, 30)])
def test_voltages_are_new_once_a_scan_and_held_between_while_the_current_is_always_new(fast, loop_ms):
    pack = Pack(fast=fast)
    pack.tick(20)
    assert pack.tick(120) == 3 * 1200 // loop_ms
    seen = set()
    for count in range(10):
        pack.current_a = 0.1 * count
        pack.tick()
        assert pack.cells[0].current_ua == pytest.approx(100_000 * count, abs=130)
        seen.add(pack.cells[0].status)
    assert seen == {0, status.HELD}


@pytest.mark.parametrize("volts", [5.5, 6.0])
def test_a_cell_at_the_end_of_the_range_is_saturated(volts):
    pack = Pack()
    pack.volts[1] = volts
    pack.tick(20)
    assert pack.driver.status & ~status.HELD in (0, status.SATURATED)
    assert pack.cells[1].voltage_uv == 5_500_000
    seen = set()
    for _ in range(12):
        pack.tick()
        seen.add(pack.driver.status)
    assert status.SATURATED in seen


def test_a_brown_out_shows_on_the_next_tick_and_the_slow_tick_sets_it_up_again():
    pack = Pack()
    pack.slow(3)
    memory = bytes(pack.chip._memory)
    pack.chip.power_on_reset()
    pack.volts = [3.0, 3.1, 3.2]
    assert pack.tick() == 0
    assert pack.cells[2].status == status.CONFIG_LOST
    pack.slow(25)
    assert pack.tick(10) > 0
    assert [cell.voltage_uv for cell in pack.cells] == [3_000_000, 3_100_000, 3_200_000]
    assert bytes(pack.chip._memory) == memory


@pytest.mark.parametrize("address", [0x9234, 0x91A8, 0x9304, 0x9261, 0x9278, 0x9280])
def test_a_foreign_write_to_the_set_up_is_found_by_the_slow_tick(address):
    pack = Pack()
    pack.slow(3)
    pack.chip._memory[address - chip_of.MEMORY_FIRST] ^= 0x01
    for _ in range(20):
        pack.slow()
        if pack.cells[0].status == status.CONFIG_LOST:
            break
    else:
        pytest.fail("not found")
    pack.slow(30)
    assert pack.tick(10) > 0


def codes(pack, wiggle_a):
    """The current's codes over two seconds, one a slow tick."""
    seen = []
    for at in range(20):
        pack.current_a = 0.5 + wiggle_a * (at % 3)
        pack.slow()
        seen.append(pack.cells[0].current_code)
    return seen


@pytest.mark.parametrize("with_crc", [True, False])
def test_a_current_that_stands_still_is_told_by_its_raw_counts(with_crc):
    """1 uA is 50 nV on the shunt: below what the message shows, above a raw count of 29.6 nV."""
    pack = Pack(with_crc)
    pack.slow(4)
    moving, current_ua = codes(pack, 1e-6), pack.cells[0].current_ua
    assert sum(now != then for then, now in pairwise(moving)) >= 8  # in every second slow tick
    standing = codes(pack, 0.0)
    assert len(set(standing[3:])) == 1
    assert standing[-1] == pytest.approx(0.5 * SHUNT_UOHM * 1e-6 / (1.24 / 5 / (1 << 23)), rel=1e-5)
    assert pack.cells[0].current_ua == current_ua


def test_raw_counts_that_do_not_come_stand_still():
    pack = Pack()
    pack.slow(4)
    pack.chip._answer = lambda number, data: None
    pack.chip._carry_out = lambda number: None
    assert len(set(codes(pack, 0.01)[2:])) == 1


def test_scans_that_stop_are_noticed():
    pack = Pack()
    pack.tick(20)
    pack.chip._scan_us = pack.chip.next_change_us = 1 << 62
    pack.tick(40)
    assert {cell.status for cell in pack.cells} == {status.NOT_READY}


class Spoilt(ModelBus):
    """Turns a bit of every answer from that register."""

    register = -1

    def readfrom_mem_into(self, address, register, buffer):
        super().readfrom_mem_into(address, register, buffer)
        if register == self.register:
            buffer[0] ^= 0x04


@pytest.mark.parametrize("register", [0x12, 0x14, 0x3A, 0x62])
def test_with_crc_a_disturbed_transfer_is_a_bus_error_and_keeps_the_values(register):
    pack = Pack()
    pack.tick(20)
    kept = [cell.voltage_uv for cell in pack.cells], pack.cells[0].current_ua
    pack.bus.__class__, pack.bus.register = Spoilt, register
    pack.volts, pack.current_a = [1.0, 1.0, 1.0], -0.2
    for _ in range(8):
        pack.tick()
        if pack.driver.status == status.BUS_ERROR:
            break
    assert pack.driver.status == status.BUS_ERROR
    assert pack.driver.error_count > 0
    if register != 0x14:
        assert ([cell.voltage_uv for cell in pack.cells], pack.cells[0].current_ua) == kept


def test_crc_that_the_part_does_not_have_is_named_at_set_up():
    chip = chip_of.BQ76952(with_crc=False)
    bus = ModelBus({BQ: chip})
    bus.sleep_ms(400)
    with pytest.raises(OSError, match="is crc set as the part has it"):
        BQ76952(bus, BQ, INPUTS, SHUNT_UOHM, True, sleep_ms=bus.sleep_ms).configure()


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"volts": [3.7, 4.5, 3.9]}, 0x10),
        ({"volts": [3.7, 2.2, 3.9]}, 0x08),
        ({"current_a": 1.0}, 0x40),
        ({"current_a": -1.95}, 0x20),
    ],
)
def test_the_chips_own_comparators_stand_behind_the_rows(change, flag):
    pack = Pack()
    pack.slow(3)
    assert pack.cells[0].alert_flags == 0
    for name, value in change.items():
        setattr(pack, name, value)
    pack.slow(3)
    assert pack.cells[0].alert_flags == flag


def test_cells_are_bled_by_their_inputs_as_long_as_the_firmware_asks_for_it():
    pack = Pack()
    pack.slow(2)
    assert pack.driver.bleed(0b101)
    assert pack.bled[-1] == 0x8001
    pack.slow(600)  # a minute
    assert pack.chip.balanced == 0x8001
    assert pack.bled.count(0) < 10  # asked for anew now and then
    assert pack.driver.bleed(0)
    assert pack.chip.balanced == 0
    pack.driver.bleed(0b010)
    pack.bus.sleep_ms(21_000)  # the firmware has stopped
    assert pack.chip.balanced == 0


def test_an_earlier_starts_balancing_is_ended():
    pack = Pack()
    pack.driver.bleed(0b001)
    again = BQ76952(pack.bus, BQ, INPUTS, SHUNT_UOHM, True, 0b101, sleep_ms=pack.bus.sleep_ms)
    again.configure()
    assert again.bleed(0)
    assert pack.chip.balanced == 0


@pytest.mark.parametrize(("degc", "name"), [(-200.0, "open"), (200.0, "shorted")])
def test_a_thermistor_whose_wire_is_off_is_no_temperature(degc, name):
    pack = Pack()
    pack.slow(2)
    pack.degc[1] = degc
    pack.slow(2)
    assert pack.thermistors[1].status == status.CHIP_FAULT, name
    assert pack.thermistors[1].temperature_cdegc == 3005
    pack.degc[1] = 40.0
    pack.slow(2)
    assert pack.thermistors[1].temperature_cdegc == 4005


@pytest.mark.parametrize("inputs", [0, 0b1, 0b11])
def test_fewer_than_three_cells_are_refused(inputs):
    with pytest.raises(ValueError, match="3 to 16"):
        BQ76952(ModelBus({}), BQ, inputs, SHUNT_UOHM, True)


def test_sixteen_cells_fit_one_transfer():
    chip = chip_of.BQ76952({number: lambda number=number: 3.0 + number / 100 for number in range(1, 17)})
    bus = ModelBus({BQ: chip})
    bus.sleep_ms(400)
    driver = BQ76952(bus, BQ, 0xFFFF, SHUNT_UOHM, True, sleep_ms=bus.sleep_ms)
    driver.configure()
    for _ in range(10):
        bus.sleep_ms(10)
        driver.update()
    assert list(driver.voltage_uv) == [3_010_000 + 10_000 * at for at in range(16)]
