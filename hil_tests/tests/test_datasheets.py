"""What the datasheets say of every register that a driver uses: bytes on the wire and what they mean, both ways.

Each fact is written down here from the datasheet and held against the driver alone (a bus of bytes, no model), and
against the chip's model alone. So driver and model can't agree on the same mistake; at the end drivers with mistakes,
among them every two neighbours of a register's table swapped, are shown to fail.
"""

import struct

import pytest
from assb.drivers import ads1115, bq76952, ina226, ina228, load_cell, mcp4725, nau7802, ntc, tmp117
from assb.drivers.bq_registers import BqRegisters, crc_table
from assb.drivers.hx711 import HX711
from assb_hil.chips import ads1115 as ads_chip
from assb_hil.chips import bq76952 as bq_chip
from assb_hil.chips import hx711 as hx_chip
from assb_hil.chips import ina226 as ina226_chip
from assb_hil.chips import ina228 as ina228_chip
from assb_hil.chips import mcp4725 as mcp_chip
from assb_hil.chips import nau7802 as nau_chip
from assb_hil.chips import tmp117 as tmp_chip
from assb_hil.chips.model_bus import ModelBus
from assb_host.config.board_tables import Ads1115Cell

SHUNT_UOHM = 20000


class Bytes:
    """A bus with one chip, whose registers hold what was written or is given. `fixed`: a write does not change them."""

    def __init__(self, registers, fixed=(), turned=False):
        self.registers = {register: bytes.fromhex(text) for register, text in registers.items()}
        self.fixed = fixed
        self.turned = turned
        self.written = []  # (register, hexadecimal)

    def _order(self, data):
        return data[::-1] if self.turned else data

    def readfrom_mem_into(self, _address, register, buffer):
        buffer[:] = self._order(self.registers.get(register, b"").ljust(len(buffer), b"\0")[: len(buffer)])

    def writeto_mem(self, _address, register, data):
        self.written.append((register, bytes(data).hex()))
        if register not in self.fixed:
            self.registers[register] = self._order(bytes(data))

    def readfrom_into(self, _address, buffer):
        buffer[:] = self.registers[-1]

    def writeto(self, _address, data):
        self.registers[-2] = bytes(data)
        return len(data)


def no_sleep(_ms):
    pass


def read_ina228(registers, turned=False, adc_range=0, polarity=1):
    identity = {0x3E: "5449", 0x3F: "2281"}
    turn = (lambda text: bytes.fromhex(text)[::-1].hex()) if turned else (lambda text: text)
    bus = Bytes({0x0B: turn("8003")} | {at: turn(text) for at, text in identity.items()} | registers, (0x0B,), turned)
    driver = ina228.INA228(bus, 0x40, SHUNT_UOHM, adc_range, polarity=polarity)
    driver._registers.program = lambda register, value, _mask: driver._registers.write(register, value)
    driver.configure()
    driver.update()
    driver.update_diagnostics()
    return driver


def read_ina226(registers, turned=False):
    turn = (lambda text: bytes.fromhex(text)[::-1].hex()) if turned else (lambda text: text)
    bus = Bytes({0x06: turn("0008"), 0xFE: turn("5449"), 0xFF: turn("2260")} | registers, (), turned)
    driver = ina226.INA226(bus, 0x40, SHUNT_UOHM)
    driver.configure()
    bus.registers[0x06] = bytes.fromhex(turn("0008"))
    driver.update()
    return driver


def read_tmp117(registers, turned=False):
    turn = (lambda text: bytes.fromhex(text)[::-1].hex()) if turned else (lambda text: text)
    bus = Bytes({0x01: turn("20a0"), 0x0F: turn("0117")} | registers, (0x01,), turned)
    driver = tmp117.TMP117(bus, 0x48)
    driver.configure()
    driver.update()
    return driver


def read_nau7802(registers, turned=False):
    bus = Bytes({0x00: "be", 0x02: "30", 0x1F: "0f"} | registers, (0x00, 0x02), turned)
    driver = nau7802.NAU7802(bus)
    driver.configure(sleep_ms=no_sleep)
    for _ in range(5):
        driver.update()
    return driver


def read_ads1115(registers, turned=False):
    bus = Bytes(registers, (), turned)
    driver = ads1115.ADS1115(bus, 0x48, [((0, -1), 4096)])
    driver.configure()
    driver.tick()
    cell = ads1115.AdsCell(driver, 0, 125_000_000)
    cell.update()
    return cell


def read_bq76952(registers, turned=False, shunt_uohm=SHUNT_UOHM):
    """Set up by hand: its set-up asks for answers, which bytes alone do not give. Without CRC: 16-bit words."""
    bus = Bytes(
        registers | {0x62: "0200", 0x12: "8001"} if not turned else registers | {0x62: "0002", 0x12: "0180"},
        (0x62,),
        turned,
    )
    driver = bq76952.BQ76952(bus, 8, 0b111, shunt_uohm, False, thermistors=1)
    driver._configured = True
    driver.update()
    driver.cell_uv = driver.voltage_uv[0]
    driver.thermistor = driver.thermistor_cdegc(0)
    driver._check_memory = lambda: None
    driver.update_diagnostics()
    return driver


READERS = {
    "ina228": read_ina228,
    "ina226": read_ina226,
    "tmp117": read_tmp117,
    "nau7802": read_nau7802,
    "ads1115": read_ads1115,
    "bq76952": read_bq76952,
}


def advanced(chip, us=2_000_000):
    chip.advance(chip.now_us + us)
    return chip


def awake_bq(volts=0.0, shunt_v=0.0, degc=25.0, stack_v=0.0):
    chip = bq_chip.BQ76952(
        {1: lambda: volts}, lambda: shunt_v, {1: lambda: degc}, lambda: degc, with_crc=False, stack_v=lambda: stack_v
    )
    chip._put_memory(bq_chip.CC_GAIN, struct.pack("<f", 7.5684 / 20))
    chip._put_memory(bq_chip.DA_CONFIGURATION, b"\x05")
    return advanced(chip, 6_000_000)


def converted_ads(volts):
    chip = ads_chip.ADS1115({0: lambda: volts})
    chip.i2c(bytes.fromhex("01c3e3"), 0)
    return advanced(chip)


def powered_nau(ratio):
    chip = nau_chip.NAU7802(lambda: ratio)
    for write in ("0086", "0127", "0230", "0096"):
        chip.i2c(bytes.fromhex(write), 0)
        chip.advance(chip.now_us + 1000)
    return advanced(chip)


# chip, register, bytes on the wire, what the driver makes of them, and the model that must send them; datasheet
FACTS = [
    # SLYS021A 7.6.1.6: 195.3125 uV/LSB in the upper 20 bits; 8.1.2: CURRENT_LSB = 312.5 nV / 20 mOhm = 15.625 uA
    ("ina228", 0x05, "3c0000", "voltage_uv", 48_000_000, lambda: ina228_chip.INA228(lambda: 48.0)),
    ("ina228", 0x05, "0014f0", "voltage_uv", 65_430, lambda: ina228_chip.INA228(lambda: 335 * 195.3125e-6)),
    ("ina228", 0x07, "0fa000", "current_ua", 1_000_000, lambda: ina228_chip.INA228(shunt_voltage_v=lambda: 0.02)),
    ("ina228", 0x07, "f06000", "current_ua", -1_000_000, lambda: ina228_chip.INA228(shunt_voltage_v=lambda: -0.02)),
    # 7.6.1.7: 7.8125 m°C/LSB
    ("ina228", 0x06, "0c80", "die_cdegc", 2500, lambda: ina228_chip.INA228(die_temperature_degc=lambda: 25.0)),
    ("ina228", 0x06, "f380", "die_cdegc", -2500, lambda: ina228_chip.INA228(die_temperature_degc=lambda: -25.0)),
    # SBOS547A, table of the example: 20 mV is 1F40h, 11.98 V is 2570h; 20 mOhm: 1 A
    ("ina226", 0x01, "1f40", "current_ua", 1_000_000, lambda: ina226_chip.INA226(shunt_voltage_v=lambda: 0.02)),
    ("ina226", 0x01, "e0c0", "current_ua", -1_000_000, lambda: ina226_chip.INA226(shunt_voltage_v=lambda: -0.02)),
    ("ina226", 0x02, "2570", "voltage_uv", 11_980_000, lambda: ina226_chip.INA226(lambda: 11.98)),
    # SNOSD82D table 7-1
    ("tmp117", 0x00, "0c80", "temperature_cdegc", 2500, lambda: tmp_chip.TMP117(lambda: 25.0)),
    ("tmp117", 0x00, "f380", "temperature_cdegc", -2500, lambda: tmp_chip.TMP117(lambda: -25.0)),
    ("tmp117", 0x00, "3200", "temperature_cdegc", 10000, lambda: tmp_chip.TMP117(lambda: 100.0)),
    # NAU7802 1.7, 7.2: 24 bits, two's complement, MSB first; half the reference over the gain is full scale
    ("nau7802", 0x12, "400000", "counts", 1 << 22, lambda: powered_nau(0.25 / 128)),
    ("nau7802", 0x12, "fffff6", "counts", -10, lambda: powered_nau(-10 / (1 << 24) / 128)),
    # SBAS444D 9.5.4: a code is FS / 32768
    ("ads1115", 0x00, "7000", "voltage_uv", 3_584_000, lambda: converted_ads(3.584)),
    ("ads1115", 0x00, "fff8", "voltage_uv", -1_000, lambda: converted_ads(-0.001)),
    # SLUAA11B 1.2: 0B68h is 2920 mV, low byte first; SLUUBY2B: mA, and 0.1 K
    ("bq76952", 0x14, "680b", "cell_uv", 2_920_000, lambda: awake_bq(2.92)),
    ("bq76952", 0x3A, "e803", "current_ua", 1_000_000, lambda: awake_bq(shunt_v=0.02)),
    ("bq76952", 0x3A, "18fc", "current_ua", -1_000_000, lambda: awake_bq(shunt_v=-0.02)),
    ("bq76952", 0x70, "a60b", "thermistor", 2505, lambda: awake_bq(degc=25.05)),
    ("bq76952", 0x68, "120c", "die_cdegc", 3585, lambda: awake_bq(degc=35.85)),
    # SLUUBY2B 13.3: the stack in userV, by default 10 mV
    ("bq76952", 0x34, "7304", "stack_uv", 11_390_000, lambda: awake_bq(stack_v=11.39)),
]  # fmt: skip


def named(fact):
    return f"{fact[0]} {fact[1]:#04x} {fact[2]}"


def driver_says(fact, turned=False):
    chip, register, text, attribute, *_ = fact
    return getattr(READERS[chip]({register: text}, turned), attribute)


@pytest.mark.parametrize("fact", FACTS, ids=named)
def test_the_driver_makes_of_the_bytes_what_the_datasheet_says(fact):
    assert driver_says(fact) == pytest.approx(fact[4], abs=1)


@pytest.mark.parametrize("fact", FACTS, ids=named)
def test_the_model_sends_the_bytes_that_the_datasheet_says(fact):
    _, register, text, _, _, make = fact
    chip = make()
    if not chip.now_us:
        advanced(chip)
    seen = chip.i2c(bytes((register,)), len(text) // 2)
    bits = 4 if chip.__class__ is ina228_chip.INA228 and len(text) == 6 else 0  # the lower four bits are reserved
    assert abs(int.from_bytes(seen, "big") - int(text, 16)) >> bits <= (1 if bits == 0 and text == "120c" else 0)


def test_hx711_shifts_out_msb_first_in_twos_complement():
    """Serial interface: 24 pulses, the bit is there after the rising edge."""
    chip = hx_chip.HX711(lambda: -10 / (1 << 24) / 128)
    chip.advance(60_000)
    bits = []
    for _ in range(24):
        chip.sck(1)
        bits.append(chip.dout)
        chip.sck(0)
    assert int("".join(map(str, bits)), 2) == 0xFFFFF6

    class Pin:
        level, at = 0, -1

        def value(self, level=None):
            if level == 1:
                self.at += 1

    clock = Pin()

    class Data:
        def value(self):
            return 0 if clock.at < 0 else 1 if clock.at > 23 else bits[clock.at]

    driver = HX711(Data(), clock, lambda: 0)
    assert driver.update()
    assert driver.counts == -10


# What a driver writes for these settings: register: word, as the datasheet spells it bit by bit
def test_ina228_is_written_as_its_datasheet_says():
    """SLYS021A: ADC_CONFIG 7.6.1.2, SHUNT_CAL equation 2, limits 7.6.1.13 to 7.6.1.17."""
    bus = Bytes({0x0B: "0003", 0x3E: "5449", 0x3F: "2281"})
    driver = ina228.INA228(bus, 0x40, SHUNT_UOHM, 1)
    driver.configure(540, 540, 50, 4)
    driver.set_alert_limits(2_500_000, 4_200_000, 600_000, -600_000, 6000)
    registers = {at: bus.registers[at].hex() for at in (0x00, 0x01, 0x02, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x10)}
    assert registers == {
        0x00: "0010",  # ADCRANGE
        0x01: "f901",  # MODE 1111, VBUSCT 100, VSHCT 100, VTCT 000, AVG 001
        0x02: "1000",
        0x0B: "8000",  # ALATCH
        0x0C: "2580",  # 12 mV in 1.25 uV
        0x0D: "da80",
        0x0E: "0540",  # 4.2 V in 3.125 mV
        0x0F: "0320",
        0x10: "1e00",  # 60 °C in 7.8125 m°C
    }


def test_ina226_is_written_as_its_datasheet_says():
    """SBOS547A 7.6.1, 7.6.7, 7.6.8."""
    bus = Bytes({0x06: "0000", 0xFE: "5449", 0xFF: "2260"})
    driver = ina226.INA226(bus, 0x40, SHUNT_UOHM)
    driver.configure(588, 588, 4)
    driver.set_alert_limits(overvoltage_uv=4_200_000)
    assert {at: bus.registers[at].hex() for at in (0x00, 0x06, 0x07)} == {
        0x00: "42df",  # AVG 001, VBUSCT 011, VSHCT 011, MODE 111
        0x06: "2001",  # BOL, LEN
        0x07: "0d20",  # 4.2 V in 1.25 mV
    }
    bus.registers[0x06] = bytes.fromhex("2019")  # AFF, CVRF
    assert driver.update() and driver.alert_flags == 0x10


def test_tmp117_is_written_as_its_datasheet_says():
    """SNOSD82D 7.6: MOD 00, CONV 001, AVG 01."""
    bus = Bytes({0x0F: "0117"})
    tmp117.TMP117(bus, 0x48).configure(8, 125)
    assert bus.registers[0x01].hex() == "00a0"


def test_nau7802_is_written_as_its_datasheet_says():
    """Revision 1.7, 11.1 to 11.3: gain 128 and 3.3 V, 80 samples a second, AVDDS CS PUA PUD."""
    bus = Bytes({0x00: "be", 0x02: "30", 0x1F: "0f"}, (0x00, 0x02))
    nau7802.NAU7802(bus).configure(sleep_ms=no_sleep)
    assert bus.written[0] == (0x00, "01")  # RR
    assert {(0x01, "27"), (0x02, "30"), (0x02, "34"), (0x00, "96")} <= set(bus.written)


def test_mcp4725_is_written_and_read_as_its_datasheet_says():
    """DS22039D figures 6-1 (fast mode) and 6-3 (read)."""
    bus = Bytes({-1: "8000000000"})
    driver = mcp4725.MCP4725(bus)
    driver.configure(no_sleep)
    assert driver.write(0x812)
    assert bus.registers[-2].hex() == "0812"
    bus.registers[-1] = bytes.fromhex("8081200000")
    assert driver.read_back()
    chip = mcp_chip.MCP4725(eeprom_code=0)
    chip.i2c(bytes.fromhex("0812"), 0)
    assert chip.i2c(b"", 3)[1:].hex() == "8120"
    assert chip.output_v == pytest.approx(chip.vdd_v * 0x812 / 4096)


def test_mcp4725_tells_an_output_that_is_off_by_its_two_bits():
    """DS22039D figure 6-3, table 5-2: PD1, PD0 are bits 2 and 1 of the first byte, 6 and 5 of the EEPROM's first."""
    for off, output, stored in ((0, "80", "00"), (1, "82", "20"), (2, "84", "40"), (3, "86", "60")):
        bus = Bytes({-1: output + "81200000"})
        driver = mcp4725.MCP4725(bus)
        driver.configure(no_sleep)
        assert (driver.code, -2 in bus.registers) == (0 if off else 0x812, False)
        bus = Bytes({-1: "808120" + stored + "00"})
        if off:
            with pytest.raises(OSError, match=f"power-on value stays 0x{off}000"):
                mcp4725.MCP4725(bus).configure(no_sleep)
            assert bus.registers[-2].hex() == "600000"


def test_ads1115_is_written_as_its_datasheet_says():
    """SBAS444D 9.6.3: OS, MUX 100, PGA 001, single shot, DR 111, comparator off."""
    bus = Bytes({})
    ads1115.ADS1115(bus, 0x48, [((0, -1), 4096)]).configure()
    assert bus.registers[0x01].hex() == "c3e3"


class Bridge(Bytes):
    """A NAU7802 that is powered, and whose calibration (CALS) has ended when it is looked at."""

    def writeto_mem(self, address, register, data):
        if register != 0x00:
            super().writeto_mem(address, register, bytes((data[0] & 0xFB,)) if register == 0x02 else data)


def set_up_ina228(**told):
    bus = Bytes({0x0B: "0003", 0x3E: "5449", 0x3F: "2281"})
    ina228.INA228(bus, 0x40, SHUNT_UOHM).configure(**told)
    return bus


def set_up_ina226(**told):
    bus = Bytes({0xFE: "5449", 0xFF: "2260"})
    ina226.INA226(bus, 0x40, SHUNT_UOHM).configure(**told)
    return bus


def set_up_ads1115(pair=(0, -1), range_mv=4096, rate_hz=860):
    bus = Bytes({})
    ads1115.ADS1115(bus, 0x48, [(pair, range_mv)], rate_hz).configure()
    return bus


def set_up_nau7802(**told):
    bus = Bridge({0x00: "be", 0x1F: "0f"})
    nau7802.NAU7802(bus).configure(sleep_ms=no_sleep, **told)
    return bus


def set_up_tmp117(average=1, cycle_ms=16000):
    bus = Bytes({0x0F: "0117"})
    tmp117.TMP117(bus, 0x48).configure(average, cycle_ms)
    return bus


# Set-up, setting, register, the bit that its field begins at, the field for every value
INA228_US = {50: 0, 84: 1, 150: 2, 280: 3, 540: 4, 1052: 5, 2074: 6, 4120: 7}
INA226_US = {140: 0, 204: 1, 332: 2, 588: 3, 1100: 4, 2116: 5, 4156: 6, 8244: 7}
AVERAGES = {1: 0, 4: 1, 16: 2, 64: 3, 128: 4, 256: 5, 512: 6, 1024: 7}
INPUTS = {(0, 1): 0, (0, 3): 1, (1, 3): 2, (2, 3): 3, (0, -1): 4, (1, -1): 5, (2, -1): 6, (3, -1): 7}
FIELDS = [
    # SLYS021A 7.6.1.2: VBUSCT, VSHCT, VTCT, AVG
    (set_up_ina228, "bus_us", 0x01, 9, INA228_US),
    (set_up_ina228, "shunt_us", 0x01, 6, INA228_US),
    (set_up_ina228, "temperature_us", 0x01, 3, INA228_US),
    (set_up_ina228, "average", 0x01, 0, AVERAGES),
    # SBOS547A 7.6.1: AVG, VBUSCT, VSHCT
    (set_up_ina226, "average", 0x00, 9, AVERAGES),
    (set_up_ina226, "bus_us", 0x00, 6, INA226_US),
    (set_up_ina226, "shunt_us", 0x00, 3, INA226_US),
    # SBAS444D 9.6.3: MUX, PGA, DR
    (set_up_ads1115, "pair", 0x01, 12, INPUTS),
    (set_up_ads1115, "range_mv", 0x01, 9, {6144: 0, 4096: 1, 2048: 2, 1024: 3, 512: 4, 256: 5}),
    (set_up_ads1115, "rate_hz", 0x01, 5, {8: 0, 16: 1, 32: 2, 64: 3, 128: 4, 250: 5, 475: 6, 860: 7}),
    # NAU7802 1.7, 11.2: GAINS, VLDO; 11.3: CRS
    (set_up_nau7802, "gain", 0x01, 0, {1: 0, 2: 1, 4: 2, 8: 3, 16: 4, 32: 5, 64: 6, 128: 7}),
    (set_up_nau7802, "ldo_mv", 0x01, 3, {4500: 0, 4200: 1, 3900: 2, 3600: 3, 3300: 4, 3000: 5, 2700: 6, 2400: 7}),
    (set_up_nau7802, "rate_hz", 0x02, 4, {10: 0, 20: 1, 40: 2, 80: 3, 320: 7}),
    # SNOSD82D 7.6, table 7-7: AVG, CONV
    (set_up_tmp117, "average", 0x01, 5, {1: 0, 8: 1, 32: 2, 64: 3}),
    (set_up_tmp117, "cycle_ms", 0x01, 7, {125: 1, 250: 2, 500: 3, 1000: 4, 4000: 5, 8000: 6, 16000: 7}),
]


def field_name(field):
    return f"{field[0].__name__} {field[1]}"


def written(field):
    """{value: what the field holds after a set-up with it}."""
    set_up, name, register, bit, fields = field
    mask = (1 << max(fields.values()).bit_length()) - 1
    words = {value: set_up(**{name: value}).registers[register] for value in fields}
    return {value: int.from_bytes(word, "big") >> bit & mask for value, word in words.items()}


@pytest.mark.parametrize("field", FIELDS, ids=field_name)
def test_every_setting_is_written_as_its_datasheet_says(field):
    assert written(field) == field[4]


@pytest.mark.parametrize(("gain", "pulses"), [(128, 25), (64, 27)])
def test_hx711_gets_the_pulses_of_its_gain(gain, pulses):
    """Table 3: 25 pulses are channel A with 128, 26 channel B with 32, 27 channel A with 64."""

    class Clock:
        pulses = 0

        def value(self, level):
            self.pulses += level

    class Data:
        def value(self):
            return 0

    clock = Clock()
    driver = HX711(Data(), clock, lambda: 0)
    driver.configure(gain, sleep_ms=no_sleep)
    clock.pulses = 0
    driver.update()
    assert clock.pulses == pulses


@pytest.mark.parametrize(("flag", "named"), [(0x80, 0x80), (0x40, 0x40), (0x20, 0x20), (0x10, 0x10), (0x08, 0x08)])
def test_ina228_names_its_alerts(flag, named):
    """SLYS021A 7.6.1.12: TMPOL, SHNTOL, SHNTUL, BUSOL, BUSUL; turned round the shunt's two change sides."""
    assert read_ina228({0x0B: f"80{flag | 3:02x}"}).alert_flags == named
    driver = read_ina228({}, polarity=-1)
    driver._registers.bus.registers[0x0B] = bytes((0x80, flag | 3))
    driver.update_diagnostics()
    assert driver.alert_flags == {0x40: 0x20, 0x20: 0x40}.get(flag, named)


@pytest.mark.parametrize(("status_a", "named"), [("04", 0x08), ("08", 0x10), ("10", 0x40), ("20", 0x20)])
def test_bq76952_names_its_alerts_as_the_ina228(status_a, named):
    """SLUUBY2B 12.2.2, Safety Status A: CUV, COV, OCC, OCD1."""
    assert read_bq76952({0x03: status_a}).alert_flags == named


@pytest.mark.parametrize(("range_mv", "code_uv"), [
    (6144, 187.5), (4096, 125), (2048, 62.5), (1024, 31.25), (512, 15.625), (256, 7.8125),
])  # fmt: skip
def test_an_ads1115s_code_is_worth_what_its_datasheet_says(range_mv, code_uv):
    """SBAS444D table 3: a code of every range, as a voltage and as a share of a supply of 3.3 V."""
    bus = Bytes({0x00: "2710"})
    chip = ads1115.ADS1115(bus, 0x48, [((0, -1), range_mv)])
    chip.configure()
    chip.tick()
    cell = ads1115.AdsCell(chip, 0, Ads1115Cell(converter=0, input=0, cell=0, range_mv=range_mv).pv_per_code)
    assert cell.update()
    assert cell.voltage_uv == pytest.approx(10000 * code_uv, abs=1)
    assert ads1115.AdsRatio(chip, 0, 3300, range_mv).read() == pytest.approx(10000 * code_uv / 3.3e6 * 65536, abs=2)


@pytest.mark.parametrize(("adc_range", "code_ua", "limit"), [(0, 15.625, 0x0960), (1, 3.90625, 0x2580)])
def test_an_ina228_has_two_ranges(adc_range, code_ua, limit):
    """SLYS021A 8.1.2, 7.6.1.13: 312.5 or 78.125 nV a code, 5 or 1.25 uV a step of the limit, on 20 mOhm."""
    driver = read_ina228({0x07: "0fa000"}, adc_range=adc_range)
    assert driver.current_ua == pytest.approx(64000 * code_ua, abs=1)
    driver.set_alert_limits(charge_ua=600_000)
    assert driver._registers.bus.registers[0x0C].hex() == f"{limit:04x}"


def configured_bq(shunt_uohm=50000, thermistors=0b101, fast=False):
    chip = bq_chip.BQ76952(with_crc=False)
    bus = ModelBus({8: chip})
    bus.sleep_ms(400)
    driver = bq76952.BQ76952(bus, 8, 0x8003, shunt_uohm, False, thermistors=thermistors, sleep_ms=bus.sleep_ms)
    driver.configure(fast)
    driver.set_alert_limits(2_400_000, 4_350_000, 900_000, -1_800_000)
    return chip


def test_bq76952_is_set_up_as_its_manual_says():
    """SLUUBY2B 13: addresses and units of the data memory; 9.1: CC Gain = 7.5684 / shunt in mOhm."""
    chip = configured_bq()
    memory = {at: chip._get_memory(at, count).hex() for at, count in (
        (0x9234, 2), (0x9303, 1), (0x9304, 2), (0x92FD, 3), (0x9339, 2), (0x9261, 1), (0x9275, 1), (0x9278, 1),
        (0x9280, 1), (0x9282, 1),
    )}  # fmt: skip
    assert memory == {
        0x9234: "8228",  # 2982h without SLEEP
        0x9303: "04",  # USER_VOLTS_CV, USER_AMPS 0: 0.1 mA, for 4 A
        0x9304: "0380",  # cells at VC1, VC2, VC16
        0x92FD: "070007",
        0x9339: "1410",
        0x9261: "3c",  # CUV, COV, OCC, OCD1
        0x9275: "2f",  # 2.378 V in 50.6 mV
        0x9278: "56",  # 4.352 V
        0x9280: "17",  # 46 mV in 2 mV
        0x9282: "2d",  # 90 mV
    }
    gain, capacity = struct.unpack("<ff", chip._get_memory(0x91A8, 8))
    assert gain == pytest.approx(7.5684 / 50)
    assert capacity == pytest.approx(7.5684 / 50 * 298261.6178)


@pytest.mark.parametrize(
    ("shunt_uohm", "units", "code_ua"), [(50000, "04", 100), (5000, "05", 1000), (1000, "06", 10000)]
)
def test_bq76952_tells_currents_in_the_units_it_is_set_to(shunt_uohm, units, code_ua):
    """SLUUBY2B 13.3, DA Configuration: USER_AMPS 0 is 0.1 mA, 1 is 1 mA, 2 is 10 mA."""
    assert configured_bq(shunt_uohm)._get_memory(0x9303, 1).hex() == units
    assert read_bq76952({0x3A: "e803"}, shunt_uohm=shunt_uohm).current_ua == 1000 * code_ua


@pytest.mark.parametrize(("pin", "address", "memory"), [(0, 0x70, "070000"), (1, 0x72, "000700"), (2, 0x74, "000007")])
def test_bq76952_has_each_thermistor_at_its_pin(pin, address, memory):
    """SLUUBY2B 12.1: TS1 to TS3 Temperature; 13.3: TS1 to TS3 Config."""
    assert configured_bq(thermistors=1 << pin)._get_memory(0x92FD, 3).hex() == memory
    assert read_bq76952({address: "a60b"}).thermistor_cdegc(pin) == 2505


def test_bq76952_converts_fast_when_it_is_told_to():
    """SLUUBY2B 13.3, Power Config: FASTADC is bit 6."""
    assert configured_bq(fast=True)._get_memory(0x9234, 2).hex() == "c228"


@pytest.mark.parametrize(("sent", "crc"), [("103e22", 0x63), ("00", 0x00), ("10141168", 0x33), ("0b", 0x31)], ids=str)
def test_bq76952_crcs_are_those_of_the_application_note(sent, crc):
    """SLUAA11B 4."""
    table, seen = crc_table(), 0
    for byte in bytes.fromhex(sent):
        seen = table[seen ^ byte]
    assert seen == bq_chip._crc8(bytes.fromhex(sent)) == crc


def test_bq76952_data_memory_takes_the_manuals_example():
    """SLUUBY2B 13.1: 307Ah to 9180h has checksum 44h and length 06h."""
    bus = Bytes({})
    assert BqRegisters(bus, 8, False, "BQ76952").command(0x9180, b"\x7a\x30")
    assert bus.written == [(0x3E, "80917a30"), (0x60, "4406")]


@pytest.mark.parametrize(
    ("ohm", "cdegc", "error_cdegc"),
    [(28704, 0, 3), (10000, 2500, 1), (4101, 5000, 3), (27280, 0, 120), (4160, 5000, 60)],
)
def test_an_ntc_reads_the_temperature_of_its_resistance(ohm, cdegc, error_cdegc):
    """IEC 60539-1, B = 3435 K: R = 10 kOhm * exp(B (1/T - 1/298.15 K)). The last two are the 103AT's own table."""

    class Divider:
        code, status = 0, 0

        def read(self):
            return round(65536 * ohm / (ohm + 10000))

    driver = ntc.Ntc(Divider(), 10000, 3435, 10000)
    assert driver.update()
    assert driver.temperature_cdegc == pytest.approx(cdegc, abs=error_cdegc)


def test_a_load_cell_reads_its_rated_force():
    """2 mV/V at gain 128 is 0.002 * 128 * 2 of 2^23 counts (NAU7802 1.7, 7.2)."""

    class Bridge:
        counts, status, error_count = round(0.002 * 128 * (1 << 24)), 0, 0

        def update(self):
            return True

    cell = load_cell.LoadCell(Bridge(), 0, round(10000 / Bridge.counts * 1e9))
    assert cell.update()
    assert cell.pressure_kpa == 10000


# Mistakes that must not pass


@pytest.mark.parametrize("fact", FACTS, ids=named)
def test_a_driver_with_swapped_bytes_fails(fact):
    with pytest.raises(AssertionError):
        assert driver_says(fact, turned=True) == pytest.approx(fact[4], abs=1)


SCALES = [
    ("ina228", ina228, "SHUNT_LSB_PV", (312500 * 2, 78125), 2),
    ("ina228", ina228, "bus_uv", lambda code: code * 196, 0),
    ("ina228", ina228, "die_cdegc", lambda code: code * 78 // 100 + 1, 4),
    ("ina226", ina226, "SHUNT_LSB_PV", 2500000 * 101 // 100, 6),
    ("ina226", ina226, "BUS_LSB_UV", 1251, 8),
    ("tmp117", tmp117, "temperature_cdegc", lambda code: code * 25 >> 4, 9),
    ("bq76952", bq76952, "_ZERO_CELSIUS_DK", 27300, 19),
    ("bq76952", bq76952, "_user_amps", lambda _shunt: (100, 0), 17),
    ("bq76952", bq76952, "_STACK_STEP_UV", 1000, 21),
]


@pytest.mark.parametrize("mistake", SCALES, ids=lambda mistake: f"{mistake[0]} {mistake[2]}")
def test_a_driver_with_a_wrong_scale_fails(monkeypatch, mistake):
    chip, module, name, wrong, at = mistake
    assert FACTS[at][0] == chip
    monkeypatch.setattr(module, name, wrong)
    with pytest.raises(AssertionError):
        assert driver_says(FACTS[at]) == pytest.approx(FACTS[at][4], abs=1)


def neighbours_swapped(table):
    """The table with each two neighbours swapped: where they stand in a tuple, what they stand for in a dictionary."""
    codes = list(table.values()) if isinstance(table, dict) else list(table)
    for at in range(len(codes) - 1):
        swapped = [*codes[:at], codes[at + 1], codes[at], *codes[at + 2 :]]
        yield dict(zip(table, swapped, strict=True)) if isinstance(table, dict) else tuple(swapped)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (ina228, "CONVERSION_US"), (ina228, "AVERAGES"), (ina226, "CONVERSION_US"), (ina226, "AVERAGES"),
        (ads1115, "MUX"), (ads1115, "RANGE_MV"), (ads1115, "RATES_HZ"),
        (nau7802, "GAINS"), (nau7802, "RATE_BITS"), (nau7802, "LDO_MV_BITS"),
        (tmp117, "AVERAGE_BITS"), (tmp117, "CYCLE_BITS"),
    ],
    ids=lambda part: getattr(part, "__name__", part).rpartition(".")[2],
)  # fmt: skip
def test_a_driver_with_two_entries_of_a_table_swapped_fails(monkeypatch, module, name):
    fields = [field for field in FIELDS if field[0].__name__.endswith(module.__name__.rpartition(".")[2])]
    for wrong in neighbours_swapped(getattr(module, name)):
        monkeypatch.setattr(module, name, wrong)
        with pytest.raises((AssertionError, ValueError)):  # ValueError: it takes the setting for the power-on one
            assert [written(field) for field in fields] == [field[4] for field in fields]
