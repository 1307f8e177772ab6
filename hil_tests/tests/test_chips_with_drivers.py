"""What every driver does alike against the models: absent chip, wrong chip, deaf register, missing acknowledge."""

import errno

import pytest
from assb.drivers import status
from assb.drivers.ina228 import INA228
from assb.drivers.mcp4725 import MCP4725
from assb.drivers.nau7802 import NAU7802
from assb.drivers.tmp117 import TMP117
from assb_hil.chips import ina228 as ina_chip
from assb_hil.chips import nau7802 as nau_chip
from assb_hil.chips import tmp117 as tmp_chip
from assb_hil.chips.model_bus import ModelBus

INA, NAU, TMP, MCP = 0x40, 0x2A, 0x48, 0x60
SHUNT_UOHM = 20000


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
    }[name]()


def configure(driver, bus):
    if isinstance(driver, NAU7802 | MCP4725):
        driver.configure(sleep_ms=bus.sleep_ms)
    else:
        driver.configure()


@pytest.mark.parametrize("name", ["ina228", "nau7802", "tmp117", "mcp4725"])
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
    ],
)
def test_another_chip_at_the_address_is_named_in_the_error(name, address, register):
    chip = {INA: ina_chip.INA228, NAU: nau_chip.NAU7802, TMP: tmp_chip.TMP117}[address]()
    chip._value[register] = 0
    reset = chip.power_on_reset
    chip.power_on_reset = lambda: (reset(), chip._value.__setitem__(register, 0))
    bus = ModelBus({address: chip})
    with pytest.raises(OSError, match=f"{name.upper()} at I2C address 0x{address:02x}: id register") as raised:
        configure(make(name, bus), bus)
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
    ],
)
def test_a_register_that_does_not_take_its_value_is_found_by_reading_back(name, chip, register):
    bus = Deaf(dict.fromkeys((INA, NAU, TMP), chip()))
    bus.register = register
    driver = make(name, bus)
    with pytest.raises(OSError, match=f"register 0x{register:02x} took"):
        configure(driver, bus)
    assert not driver.update()
    assert driver.status == status.CONFIG_LOST


@pytest.mark.parametrize("name", ["ina228", "nau7802", "tmp117"])
def test_a_missing_acknowledge_on_a_tick_keeps_the_values_and_is_counted(name):
    chips = {INA: ina_chip.INA228(), NAU: nau_chip.NAU7802(lambda: 0.001), TMP: tmp_chip.TMP117()}
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
