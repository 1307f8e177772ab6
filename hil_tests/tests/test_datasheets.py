"""What the datasheets say of every register that a driver uses: bytes on the wire and what they mean, both ways.

Each fact is written down here from the datasheet and held against the driver alone (a bus of bytes, no model), and
against the chip's model alone. So driver and model can't agree on the same mistake; at the end drivers with mistakes
are shown to fail.
"""

import struct

import pytest
from assb.drivers import ads1115, bq76952, ina226, ina228, load_cell, mcp4725, nau7802, ntc, tmp117
from assb.drivers.bq_registers import crc_table
from assb.drivers.hx711 import HX711
from assb_hil.chips import ads1115 as ads_chip
from assb_hil.chips import bq76952 as bq_chip
from assb_hil.chips import hx711 as hx_chip
from assb_hil.chips import ina226 as ina226_chip
from assb_hil.chips import ina228 as ina228_chip
from assb_hil.chips import mcp4725 as mcp_chip
from assb_hil.chips import nau7802 as nau_chip
from assb_hil.chips import tmp117 as tmp_chip

SHUNT_UOHM = 20000


class Bytes:
    """A bus with one chip, whose registers hold what was written or is given. `fixed`: a write does not change them."""

    def __init__(self, registers, fixed=(), turned=False):
        self.registers = {register: bytes.fromhex(text) for register, text in registers.items()}
        self.fixed = fixed
        self.turned = turned

    def _order(self, data):
        return data[::-1] if self.turned else data

    def readfrom_mem_into(self, _address, register, buffer):
        buffer[:] = self._order(self.registers.get(register, b"").ljust(len(buffer), b"\0")[: len(buffer)])

    def writeto_mem(self, _address, register, data):
        if register not in self.fixed:
            self.registers[register] = self._order(bytes(data))

    def readfrom_into(self, _address, buffer):
        buffer[:] = self.registers[-1]

    def writeto(self, _address, data):
        self.registers[-2] = bytes(data)
        return len(data)


def no_sleep(_ms):
    pass


def read_ina228(registers, turned=False):
    identity = {0x3E: "5449", 0x3F: "2281"}
    turn = (lambda text: bytes.fromhex(text)[::-1].hex()) if turned else (lambda text: text)
    bus = Bytes({0x0B: turn("8003")} | {at: turn(text) for at, text in identity.items()} | registers, (0x0B,), turned)
    driver = ina228.INA228(bus, 0x40, SHUNT_UOHM)
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


def read_bq76952(registers, turned=False):
    """Set up by hand: its set-up asks for answers, which bytes alone do not give. Without CRC: 16-bit words."""
    bus = Bytes(
        registers | {0x62: "0200", 0x12: "8001"} if not turned else registers | {0x62: "0002", 0x12: "0180"},
        (0x62,),
        turned,
    )
    driver = bq76952.BQ76952(bus, 8, 0b111, SHUNT_UOHM, False, thermistors=1)
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


def test_tmp117_is_written_as_its_datasheet_says():
    """SNOSD82D 7.6: MOD 00, CONV 001, AVG 01."""
    bus = Bytes({0x0F: "0117"})
    tmp117.TMP117(bus, 0x48).configure(8, 125)
    assert bus.registers[0x01].hex() == "00a0"


def test_nau7802_is_written_as_its_datasheet_says():
    """Revision 1.7, 11.1 to 11.3: gain 128 and 3.3 V, 80 samples a second, AVDDS CS PUA PUD."""
    written = []

    class Log(Bytes):
        def writeto_mem(self, address, register, data):
            written.append((register, bytes(data).hex()))
            super().writeto_mem(address, register, data)

    nau7802.NAU7802(Log({0x00: "be", 0x02: "30", 0x1F: "0f"}, (0x00, 0x02))).configure(sleep_ms=no_sleep)
    assert written[0] == (0x00, "01")  # RR
    assert {(0x01, "27"), (0x02, "30"), (0x02, "34"), (0x00, "96")} <= set(written)


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


def test_ads1115_is_written_as_its_datasheet_says():
    """SBAS444D 9.6.3: OS, MUX 100, PGA 001, single shot, DR 111, comparator off."""
    bus = Bytes({})
    ads1115.ADS1115(bus, 0x48, [((0, -1), 4096)]).configure()
    assert bus.registers[0x01].hex() == "c3e3"


def configured_bq(with_crc=False):
    chip = bq_chip.BQ76952(with_crc=with_crc)
    from assb_hil.chips.model_bus import ModelBus

    bus = ModelBus({8: chip})
    bus.sleep_ms(400)
    driver = bq76952.BQ76952(bus, 8, 0x8003, 50000, with_crc, thermistors=0b101, sleep_ms=bus.sleep_ms)
    driver.configure()
    driver.set_alert_limits(2_400_000, 4_350_000, 900_000, -1_800_000)
    return chip, bus, driver


def test_bq76952_is_set_up_as_its_manual_says():
    """SLUUBY2B 13: addresses and units of the data memory; 9.1: CC Gain = 7.5684 / shunt in mOhm."""
    chip, _, _ = configured_bq()
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


@pytest.mark.parametrize(("sent", "crc"), [("103e22", 0x63), ("00", 0x00), ("10141168", 0x33), ("0b", 0x31)], ids=str)
def test_bq76952_crcs_are_those_of_the_application_note(sent, crc):
    """SLUAA11B 4."""
    table, seen = crc_table(), 0
    for byte in bytes.fromhex(sent):
        seen = table[seen ^ byte]
    assert seen == bq_chip._crc8(bytes.fromhex(sent)) == crc


def test_bq76952_data_memory_takes_the_manuals_example():
    """SLUUBY2B 13.1: 307Ah to 9180h has checksum 44h and length 06h."""
    written = []

    class Log(Bytes):
        def writeto_mem(self, _address, register, data):
            written.append((register, bytes(data).hex()))

    from assb.drivers.bq_registers import BqRegisters

    assert BqRegisters(Log({}), 8, False, "BQ76952").command(0x9180, b"\x7a\x30")
    assert written == [(0x3E, "80917a30"), (0x60, "4406")]


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
