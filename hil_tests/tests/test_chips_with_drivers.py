"""What every driver does alike against the models: absent chip, wrong chip, deaf register, missing acknowledge."""

import errno

import pytest
from assb.drivers import status
from assb.drivers.ads1115 import ADS1115, AdsInput
from assb.drivers.bq76952 import BQ76952
from assb.drivers.ina226 import INA226
from assb.drivers.ina228 import INA228
from assb.drivers.mcp4725 import MCP4725
from assb.drivers.nau7802 import NAU7802
from assb.drivers.tmp117 import TMP117
from assb_hil.chips import ads1115 as ads_chip
from assb_hil.chips import bq76952 as bq_chip
from assb_hil.chips import ina226 as ina226_chip
from assb_hil.chips import ina228 as ina_chip
from assb_hil.chips import nau7802 as nau_chip
from assb_hil.chips import tmp117 as tmp_chip
from assb_hil.chips.model_bus import ModelBus

INA, NAU, TMP, MCP, COARSE, BQ, ADS = 0x40, 0x2A, 0x48, 0x60, 0x41, 0x08, 0x49
SHUNT_UOHM = 20000


class Ticked(ADS1115):
    """With its first input, as the board reads them."""

    def __init__(self, bus):
        super().__init__(bus, ADS, [((0, -1), 6144)])
        self._input = AdsInput(self, 0)

    def update(self):
        self.tick()
        return self._input.update()


def settle(bus, driver, count=10):
    """Poll as a fast tick of 10 ms does; the number of new values."""
    fresh = 0
    for _ in range(count):
        bus.sleep_ms(10)
        fresh += driver.update()
    return fresh


def make(name, bus):
    return {
        "ina228": lambda: INA228(bus, INA, SHUNT_UOHM),
        "nau7802": lambda: NAU7802(bus, NAU),
        "tmp117": lambda: TMP117(bus, TMP),
        "mcp4725": lambda: MCP4725(bus, MCP),
        "ina226": lambda: INA226(bus, COARSE, SHUNT_UOHM),
        "bq76952": lambda: BQ76952(bus, BQ, 0b111, SHUNT_UOHM, True, sleep_ms=bus.sleep_ms),
        "ads1115": lambda: Ticked(bus),
    }[name]()


def configure(driver, bus):
    if isinstance(driver, NAU7802 | MCP4725):
        driver.configure(sleep_ms=bus.sleep_ms)
    else:
        driver.configure()


ALL = ["ina228", "nau7802", "tmp117", "mcp4725", "ina226", "bq76952", "ads1115"]


@pytest.mark.parametrize("name", ALL)
def test_an_absent_chip_is_an_oserror_at_set_up(name):
    bus = ModelBus({})
    with pytest.raises(OSError) as raised:
        configure(make(name, bus), bus)
    assert raised.value.errno == errno.ENODEV


@pytest.mark.parametrize(
    ("name", "address", "register"),
    [
        ("ina228", INA, 0x3E),
        ("ina228", INA, 0x3F),
        ("nau7802", NAU, 0x1F),
        ("tmp117", TMP, 0x0F),
        ("ina226", COARSE, 0xFE),
        ("ina226", COARSE, 0xFF),
    ],
)
def test_another_chip_at_the_address_is_named_in_the_error(name, address, register):
    made = {INA: ina_chip.INA228, NAU: nau_chip.NAU7802, TMP: tmp_chip.TMP117, COARSE: ina226_chip.INA226}
    chip = made[address]()
    chip._value[register] = 0
    reset = chip.power_on_reset
    chip.power_on_reset = lambda: (reset(), chip._value.__setitem__(register, 0))
    bus = ModelBus({address: chip})
    with pytest.raises(OSError, match=f"{name.upper()} at I2C address 0x{address:02x}: id register") as raised:
        configure(make(name, bus), bus)
    assert raised.value.errno == errno.ENODEV


def test_another_chip_than_a_bq76952_is_named_in_the_error():
    chip = bq_chip.BQ76952()
    chip._answer = lambda number, _data: bq_chip.BQ76952._answer(chip, number, b"\x42\x76")  # a BQ76942
    bus = ModelBus({BQ: chip})
    bus.sleep_ms(400)
    with pytest.raises(OSError, match="id register 0x0001 reads 0x7642") as raised:
        configure(make("bq76952", bus), bus)
    assert raised.value.errno == errno.ENODEV


class Deaf(ModelBus):
    """Loses every write to one register."""

    register = -1

    def writeto_mem(self, address, register, data):
        if register != self.register:
            super().writeto_mem(address, register, data)


@pytest.mark.parametrize(
    ("name", "chip", "register"),
    [
        ("ina228", ina_chip.INA228, 0x01),
        ("nau7802", nau_chip.NAU7802, 0x01),
        ("nau7802", nau_chip.NAU7802, 0x02),
        ("tmp117", tmp_chip.TMP117, 0x01),
        ("ina226", ina226_chip.INA226, 0x00),
        ("ads1115", ads_chip.ADS1115, 0x01),
    ],
)
def test_a_register_that_does_not_take_its_value_is_found_by_reading_back(name, chip, register):
    bus = Deaf(dict.fromkeys((INA, NAU, TMP, COARSE, ADS), chip()))
    bus.register = register
    driver = make(name, bus)
    with pytest.raises(OSError, match=f"register 0x{register:02x} took"):
        configure(driver, bus)
    assert not driver.update()
    assert driver.status == status.CONFIG_LOST


def test_a_bq76952_whose_memory_does_not_take_its_value_is_found_by_reading_back():
    chip = bq_chip.BQ76952()
    put = chip._put_memory
    chip._put_memory = lambda address, data: None if address == bq_chip.DA_CONFIGURATION else put(address, data)
    bus = ModelBus({BQ: chip})
    bus.sleep_ms(400)
    driver = make("bq76952", bus)
    with pytest.raises(OSError, match="set-up does not get beyond step"):
        configure(driver, bus)
    assert not driver.update()
    assert driver.status == status.CONFIG_LOST


@pytest.mark.parametrize("name", ["ina228", "nau7802", "tmp117", "ina226", "ads1115"])
def test_a_missing_acknowledge_on_a_tick_keeps_the_values_and_is_counted(name):
    chips = {INA: ina_chip.INA228(), NAU: nau_chip.NAU7802(lambda: 0.001), TMP: tmp_chip.TMP117()}
    chips |= {COARSE: ina226_chip.INA226(), ADS: ads_chip.ADS1115()}
    bus = ModelBus(chips)
    driver = make(name, bus)
    configure(driver, bus)
    settle(bus, driver, 30)
    kept = {key: vars(driver).get(key) for key in ("voltage_uv", "current_ua", "counts", "temperature_cdegc")}
    for chip in chips.values():
        chip.acking = False
    assert settle(bus, driver, 5) == 0
    assert (driver.status, driver.error_count) == (status.BUS_ERROR, 5)
    assert kept == {key: vars(driver).get(key) for key in kept}
    for chip in chips.values():
        chip.acking = True
    assert settle(bus, driver, 20) > 0
    assert driver.error_count == 5
