"""The ADS1115 model against its datasheet (SBAS444D); the driver, and what reads its inputs, against the model."""

import math

import pytest
from assb.drivers import status
from assb.drivers.ads1115 import ADS1115, AdsCell, AdsInput, AdsRatio
from assb.drivers.load_cell import LoadCell
from assb.drivers.ntc import Ntc, PinRatio
from assb_hil.chips import ads1115 as chip_of
from assb_hil.chips.model_bus import ModelBus
from hypothesis import given, settings
from hypothesis import strategies as st

ADS = 0x48


class Converter:
    """Three inputs: a cell, a transducer, and the divider of an NTC."""

    def __init__(self, rate_hz=860):
        self.volts = {0: 3.7, 1: 2.5, 2: 1.65}
        self.chip = chip_of.ADS1115({at: lambda at=at: self.volts[at] for at in self.volts})
        self.bus = ModelBus({ADS: self.chip})
        settings_ = [((0, -1), 6144), ((1, -1), 6144), ((2, -1), 4096)]
        self.driver = ADS1115(self.bus, ADS, settings_, rate_hz)
        self.driver.configure()

    def tick(self, count=1):
        for _ in range(count):
            self.bus.sleep_ms(10)
            self.driver.tick()


def test_it_powers_on_idle_with_8583h():
    chip = chip_of.ADS1115()
    assert chip.i2c(b"\x01", 2) == b"\x85\x83"


@pytest.mark.parametrize(("bits", "rate_hz"), list(enumerate((8, 16, 32, 64, 128, 250, 475, 860))))
def test_a_single_shot_takes_one_period_and_then_the_chip_is_idle(bits, rate_hz):
    chip = chip_of.ADS1115({0: lambda: 1.0})
    word = 0xC103 | bits << 5
    chip.i2c(bytes((1, word >> 8, word & 0xFF)), 0)
    assert not chip.i2c(b"\x01", 2)[0] & 0x80
    chip.advance(24 + round(1e6 / rate_hz))
    assert not chip.i2c(b"\x01", 2)[0] & 0x80
    chip.advance(26 + round(1e6 / rate_hz))
    assert chip.i2c(b"\x01", 2)[0] & 0x80
    assert int.from_bytes(chip.i2c(b"\x00", 2), "big") == round(32768 / 6.144)


@pytest.mark.parametrize(
    ("mux", "volts"), list(enumerate((1.0 - 0.3, 1.0 - 0.1, 0.3 - 0.1, 0.2 - 0.1, 1.0, 0.3, 0.2, 0.1)))
)
def test_the_multiplexer_has_the_pairs_of_the_datasheet(mux, volts):
    chip = chip_of.ADS1115(dict(enumerate((lambda: 1.0, lambda: 0.3, lambda: 0.2, lambda: 0.1))))
    chip.i2c(bytes((1, 0x85 | mux << 4, 0xE3)), 0)
    chip.advance(10_000)
    assert int.from_bytes(chip.i2c(b"\x00", 2), "big") == round(volts / 2.048 * 32768)


@given(st.floats(-6.0, 6.0), st.floats(0.0, 4.0))
@settings(deadline=None, max_examples=40)
def test_inputs_come_back_within_half_a_code_each_in_its_turn(first_v, third_v):
    converter = Converter()
    converter.volts[0], converter.volts[2] = first_v, third_v
    converter.tick(9)
    assert converter.driver.counts == [3, 3, 3]
    cell = AdsCell(converter.driver, 0, 187_500_000)
    assert cell.update()
    assert abs(cell.voltage_uv - 1e6 * first_v) <= 94 + 1
    assert converter.driver.codes[2] == round(third_v / 4.096 * 32768)


def test_a_cell_is_held_while_the_others_have_their_turn():
    converter = Converter()
    cell = AdsCell(converter.driver, 0, 187_500_000)
    seen = []
    for _ in range(12):
        converter.tick()
        seen.append((cell.update(), cell.status))
    assert seen[3:] == [(True, 0), (False, status.HELD), (False, status.HELD)] * 3


def test_a_slow_rate_takes_several_ticks():
    converter = Converter(rate_hz=32)
    converter.tick(120)
    assert converter.driver.counts == [10, 10, 10]
    assert converter.driver.status in (0, status.HELD)


def test_an_input_at_the_end_of_its_range_is_saturated():
    converter = Converter()
    converter.volts[2] = 4.2
    converter.tick(6)
    reader = AdsInput(converter.driver, 2)
    assert reader.update()
    assert (reader.counts, reader.status) == (0x7FFF, status.SATURATED)


def test_a_brown_out_shows_on_the_next_tick_and_restore_mends_it():
    converter = Converter()
    cell = AdsCell(converter.driver, 0, 187_500_000)
    converter.tick(6)
    assert cell.update()
    converter.chip.power_on_reset()
    converter.volts[0] = 3.0
    converter.tick(6)
    assert not cell.update()
    assert (cell.status, converter.driver.status) == (status.CONFIG_LOST, status.CONFIG_LOST)
    assert not cell.update_diagnostics()
    converter.driver.restore()
    converter.tick(4)
    assert cell.update()
    assert cell.voltage_uv == 3_000_000


def test_a_missing_acknowledge_keeps_the_values_and_is_counted():
    converter = Converter()
    cell = AdsCell(converter.driver, 0, 187_500_000)
    converter.tick(6)
    cell.update()
    converter.chip.acking = False
    converter.tick(5)
    assert not cell.update()
    assert (cell.status, cell.voltage_uv, converter.driver.error_count) == (status.BUS_ERROR, 3_699_938, 5)
    converter.chip.acking = True
    converter.tick(5)
    assert cell.update()


def test_conversions_that_stop_are_noticed():
    converter = Converter()
    converter.tick(6)
    converter.chip.next_change_us = 1 << 62
    converter.chip._value[chip_of.CONFIG] &= ~chip_of.OS
    converter.tick(40)
    assert converter.driver.status == status.NOT_READY


@pytest.mark.parametrize("setting", [((1, 0), 4096), ((0, 2), 4096), ((0, -1), 3300)])
def test_inputs_and_ranges_that_the_chip_does_not_have_are_refused(setting):
    with pytest.raises(ValueError, match="ADS1115"):
        ADS1115(ModelBus({}), ADS, [setting])


def test_a_transducer_reads_stack_pressure():
    """0.5 to 4.5 V for 0 to 4545 kPa at 187.5 uV a code."""
    converter = Converter()
    cell = LoadCell(AdsInput(converter.driver, 1), 2667, round(4545 / (4.0 / 187.5e-6) * 1e9))
    converter.tick(6)
    assert cell.update()
    assert cell.pressure_kpa == pytest.approx(4545 / 2, abs=1)
    assert not cell.update()  # it counts once


@given(st.floats(-35.0, 110.0), st.sampled_from([3900, 10000, 47000]))
@settings(deadline=None, max_examples=40)
def test_an_ntc_at_the_converter_reads_its_temperature(degc, pullup_ohm):
    converter = Converter()
    ohm = 10000 * math.exp(3435 * (1 / (degc + 273.15) - 1 / 298.15))
    converter.volts[2] = 3.3 * ohm / (ohm + pullup_ohm)
    driver = Ntc(AdsRatio(converter.driver, 2, 3300, 4096), 10000, 3435, pullup_ohm)
    converter.tick(4)
    if 0.02 < ohm / (ohm + pullup_ohm) < 0.98:
        assert driver.update()
        assert driver.temperature_cdegc == pytest.approx(100 * degc, abs=25)
        assert not driver.update()  # nothing new


@pytest.mark.parametrize("range_mv", [1024, 2048, 4096])
def test_an_open_ntc_is_a_fault_whatever_its_input_can_show(range_mv):
    bus = ModelBus({ADS: chip_of.ADS1115({2: lambda: 3.3})})
    converter = ADS1115(bus, ADS, [((2, -1), range_mv)])
    converter.configure()
    bus.sleep_ms(10)
    converter.tick()
    driver = Ntc(AdsRatio(converter, 0, 3300, range_mv), 10000, 3435, 10000)
    assert not driver.update() and driver.status == status.CHIP_FAULT


def test_a_conversion_counts_once_while_no_further_one_can_be_started(monkeypatch):
    converter = Converter()
    cell = AdsCell(converter.driver, 0, round(6144e9 / 32768))
    converter.tick()

    def refuse(*_):
        raise OSError(5)

    monkeypatch.setattr(converter.bus, "writeto_mem", refuse)
    news = []
    for _ in range(8):
        converter.tick()
        news.append(cell.update())
    assert sum(news) <= 1 and not any(news[2:]) and cell.status & (status.BUS_ERROR | status.HELD | status.NOT_READY)
    monkeypatch.undo()
    converter.tick(8)
    assert cell.update()


class Adc:
    """A board's converter with a constant share of its reference."""

    def __init__(self, share):
        self.share = share

    def read_u16(self):
        return round(65535 * self.share)


@given(st.floats(-30.0, 110.0))
@settings(deadline=None)
def test_an_ntc_at_the_boards_converter_reads_its_temperature(degc):
    ohm = 10000 * math.exp(3435 * (1 / (degc + 273.15) - 1 / 298.15))
    driver = Ntc(PinRatio(Adc(ohm / (ohm + 10000))), 10000, 3435, 10000)
    assert driver.update()
    assert driver.temperature_cdegc == pytest.approx(100 * degc, abs=10)
    assert driver.status == 0


@pytest.mark.parametrize("share", [0.0, 0.01, 0.99, 1.0])
def test_an_open_or_shorted_ntc_is_no_temperature(share):
    adc = Adc(0.5)
    driver = Ntc(PinRatio(adc), 10000, 3435, 10000)
    assert driver.update()
    adc.share = share
    assert not driver.update()
    assert (driver.status, driver.temperature_cdegc) == (status.CHIP_FAULT, 2500)
