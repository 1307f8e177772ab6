"""The hardware trip: a board's monitors hold the levels of its limit rows, and one that does not take them is a failed
self-test. The board, its drivers and the app are the firmware's own, on chip models."""

import importlib
import sys
import time
from types import ModuleType

import pytest
from assb.app import App
from assb.estimation import twin
from assb.protocol import schema
from assb_hil.chips.ina228 import BOVL, INA228
from assb_hil.chips.model_bus import ModelBus
from assb_hil.plant import Plant
from assb_hil.wiring import Wiring, plant_for
from assb_host.config import load_pack
from assb_host.config.image_builder import build_config
from assb_host.config.locate import shipped_names
from bench import BenchClock, BenchConsole, BenchRecord, BenchWatchdog, names_of

PLANT = "li_lpscl_nca"  # what stands on the bench is of no importance here
PACKS = [name for name in shipped_names("pack") if load_pack(name).board.ina228]
AT = schema.index_of(schema.LIMIT_ROWS)
TRIP = 6
BUS_STEP_UV = 3125  # of the comparators: SLYS021A, 7.6.1.15
SHUNT_STEP_PV = {0: 5000000, 1: 1250000}


class Pin:
    """A pin of the bench: inputs read low, but for those with a pull-up and those of a chip that is read by hand."""

    IN, OUT, OPEN_DRAIN = 0, 1, 2
    PULL_UP = 1
    wiring: Wiring

    def __init__(self, number, mode=IN, pull=-1, value=0):
        self.number = number
        self.level = 1 if pull == Pin.PULL_UP else value

    def value(self, level=None):
        if level is None:
            chip = self.wiring.data_pins.get(self.number)
            return chip.dout if chip else self.level
        if self.number in self.wiring.clock_pins:
            self.wiring.clock_pins[self.number].sck(level)
        self.level = level
        return None


class Pwm:
    """A heater's output, at which nobody looks here."""

    def __init__(self, pin, freq=0, duty_u16=0):
        self.duty = duty_u16

    def duty_u16(self, duty):
        self.duty = duty


class Adc:
    def __init__(self, wiring, pin):
        self.wiring, self.pin = wiring, pin

    def read_u16(self):
        return self.wiring.adc_u16(self.pin)


@pytest.fixture
def rig(monkeypatch):
    """Makes a board of a shipped pack's configuration on chip models: (board, config, wiring, bus)."""

    def make(name, **changes):
        pack = load_pack(name, **changes)
        config = build_config(pack)
        spec = plant_for(pack, PLANT)
        plant = Plant(spec, 1, (), (0.5, 25.0, 5.0))
        wiring = Wiring(config, spec, plant, 1)
        monkeypatch.setattr(Pin, "wiring", wiring, raising=False)
        bus = ModelBus({address: chip for (_, address), chip in wiring.chips.items()})
        machine = ModuleType("machine")
        machine.Pin = Pin  # pyright: ignore[reportAttributeAccessIssue]
        machine.PWM = Pwm  # pyright: ignore[reportAttributeAccessIssue]
        machine.ADC = lambda pin: Adc(wiring, pin.number)  # pyright: ignore[reportAttributeAccessIssue]
        machine.I2C = lambda *_, **__: bus  # pyright: ignore[reportAttributeAccessIssue]
        monkeypatch.setitem(sys.modules, "machine", machine)
        monkeypatch.setattr(time, "sleep_ms", bus.sleep_ms, raising=False)
        monkeypatch.setattr(time, "ticks_us", lambda: 0, raising=False)
        for module in ("assb.board", "assb.devices", "assb.port.i2c"):
            monkeypatch.delitem(sys.modules, module, raising=False)
        bus.sleep_ms(100)
        return importlib.import_module("assb.board"), config, wiring, bus

    return make


@pytest.mark.parametrize("pack", PACKS)
def test_the_comparators_trip_with_the_rows_or_a_step_of_theirs_before(rig, pack):
    module, config, _, _ = rig(pack)
    board = module.Board(config)
    assert board._failures == []
    trip = {name: config.limits[at][TRIP] for name, at in AT.items()}
    for monitor, device in zip(board._monitors, config.devices_of("ina228"), strict=True):
        low_uv, high_uv, charge_ua, discharge_ua, _ = monitor.read_alert_limits()
        assert 0 <= trip["cell_overvoltage"] - high_uv < BUS_STEP_UV
        assert 0 <= low_uv - trip["cell_undervoltage"] < BUS_STEP_UV
        step_ua = SHUNT_STEP_PV[device[5][0]] // config.parameter("shunt_uohm") + 1
        if device[1] == 0:  # the one with the shunt
            assert 0 <= trip["charge_overcurrent"] - charge_ua <= step_ua
            assert 0 <= discharge_ua - trip["discharge_overcurrent"] <= step_ua
        else:
            assert charge_ua > 32000 * step_ua
            assert discharge_ua < -32000 * step_ua


def boot(module, config, bus, duration_ms=6000):
    """The app on that board, until its self-test has ended."""
    clock = BenchClock(bus.now_us // 1000)
    board = module.Board(config)
    app = App(board, config, 0, clock, BenchConsole(), BenchWatchdog(), BenchRecord(), (twin, 0, 0))
    for _ in range(duration_ms // 10):
        app.step(clock.now_ms())
        bus.sleep_ms(10)
        clock.ms += 10
    return app


def test_a_board_whose_monitors_took_their_levels_passes_its_self_test(rig):
    module, config, _, bus = rig("li_lpscl_nca")
    app = boot(module, config, bus)
    assert schema.STATES[app.supervisor.state] == "SAFE"
    assert names_of(app.protection) == set()


class Deaf(INA228):
    """A monitor whose overvoltage comparator keeps what it held at power-on; all else works."""

    def _write(self, register, data):
        if register != BOVL:
            super()._write(register, data)


def test_a_comparator_that_does_not_take_its_level_is_a_failed_self_test(rig):
    module, config, wiring, bus = rig("li_lpscl_nca")
    for chip in wiring.kinds["ina228"]:
        chip.__class__ = Deaf
    app = boot(module, config, bus)
    assert schema.STATES[app.supervisor.state] == "LOCKOUT"
    assert "self_test_failed" in names_of(app.protection)


def test_a_level_that_no_comparator_can_hold_is_a_failed_self_test_and_no_crash(rig):
    module, config, _, bus = rig("li_lpscl_nca")
    config.parameters["shunt_uohm"] = 1000000  # the level is beyond the shunt comparator's 163.84 mV then
    app = boot(module, config, bus)
    assert app.signals.valid[app.signals.cell(0, "voltage_uv")]  # every sensor works
    assert schema.STATES[app.supervisor.state] == "LOCKOUT"
    assert "self_test_failed" in names_of(app.protection)


def test_a_comparator_that_loses_its_level_later_is_seen_and_programmed_again(rig):
    module, config, wiring, bus = rig("li_lpscl_nca")
    app = boot(module, config, bus)
    (chip,) = wiring.kinds["ina228"]
    chip._value[BOVL] = 0x7FFF
    clock, monitor = app.clock, app.board._monitors[0]
    for _ in range(200):
        app.step(clock.now_ms())
        bus.sleep_ms(10)
        clock.ms += 10
    assert monitor.read_alert_limits()[1] <= config.limits[AT["cell_overvoltage"]][TRIP]
    assert monitor.status == 0


def test_the_main_contactor_drops_although_precharge_stays(rig):
    module, config, _, _ = rig("li_lpscl_nca")
    board = module.Board(config)
    board.apply(1, 1, 0, 0)
    assert board._contactor.commanded
    board.apply(0, 1, 0, 0)
    assert not board._contactor.commanded
    assert board._contactor._pin_drive.value() == 0


def run(app, bus, ticks):
    for _ in range(ticks):
        app.step(app.clock.now_ms())
        bus.sleep_ms(10)
        app.clock.ms += 10


def read(app, name, cell=None):
    signals = app.signals
    at = signals.pack(name) if cell is None else signals.cell(cell, name)
    return signals.value[at] if signals.valid[at] else None


@pytest.mark.parametrize(
    ("pack", "changes"),
    [
        ("li_lpscl_nca_3s", {}),
        ("li_lpscl_nca", {"board": "virtual-cheap", "changes": {"shunt_ohm": 0.04}}),
    ],
)
def test_a_board_of_other_chips_passes_its_self_test_and_measures_the_plant(rig, pack, changes):
    module, config, wiring, bus = rig(pack, **changes)
    app = boot(module, config, bus)
    assert app.board._failures == []
    assert schema.STATES[app.supervisor.state] == "SAFE"
    plant = wiring._plant
    for cell in range(config.parameter("cells_in_series")):
        assert read(app, "voltage_uv", cell) == pytest.approx(1e6 * plant.voltage_v(cell), abs=2500)
    assert read(app, "pressure_kpa") == pytest.approx(5000, abs=30)
    assert read(app, "temperature_cdegc") == pytest.approx(2500, abs=60)
    assert app.board.absent() == []


def test_of_two_thermometers_the_hottest_and_the_coldest_count_and_neither_while_one_is_lost(rig):
    module, config, wiring, bus = rig("li_lpscl_nca_2s")
    app = boot(module, config, bus)
    chips = wiring.kinds["tmp117"]
    chips[0].temperature_degc, chips[1].temperature_degc = lambda: 25.0, lambda: -20.0
    run(app, bus, 3000)
    assert (read(app, "temperature_cdegc"), read(app, "temperature_low_cdegc")) == (2500, -2000)
    assert "charge_undertemperature" in names_of(app.protection)
    chips[0].acking = False
    run(app, bus, 3000)
    assert read(app, "temperature_cdegc") is read(app, "temperature_low_cdegc") is None


def test_a_stack_monitor_that_is_absent_is_a_failed_self_test_and_no_crash(rig):
    module, config, wiring, bus = rig("li_lpscl_nca_3s")
    wiring.kinds["bq76952"][0].acking = False
    app = boot(module, config, bus)
    assert {number for number, _ in app.board._failures} == {0}
    assert schema.STATES[app.supervisor.state] == "LOCKOUT"
    assert 0 in app.board.absent()


def test_cells_on_a_stack_monitor_are_bled_by_it_and_their_current_counts(rig):
    module, config, wiring, bus = rig("li_lpscl_nca_3s")
    app = boot(module, config, bus)
    app.balancing = None  # which would decide by itself
    told = []
    wiring.on_bleed = lambda cell, on: told.append((cell, on))
    app.board.bleed(0b100)
    run(app, bus, 20)
    (chip,) = wiring.kinds["bq76952"]
    assert (chip.balanced, told) == (0x8000, [(2, True)])
    run(app, bus, 3000)  # the chip's own timer is 20 s
    assert chip.balanced == 0x8000
    app.board.off()
    run(app, bus, 20)
    assert chip.balanced == 0


def test_a_brown_out_of_the_stack_monitor_is_mended_by_the_slow_tick(rig):
    module, config, wiring, bus = rig("li_lpscl_nca_3s")
    app = boot(module, config, bus)
    (chip,) = wiring.kinds["bq76952"]
    chip.power_on_reset()
    run(app, bus, 3)
    assert read(app, "voltage_uv", 1) is None
    assert read(app, "current_ua") is None
    run(app, bus, 400)
    assert read(app, "voltage_uv", 1) is not None
    assert read(app, "current_ua") is not None


def test_a_brown_out_of_the_converter_is_mended_by_the_slow_tick(rig):
    module, config, wiring, bus = rig("li_lpscl_nca_3s")
    app = boot(module, config, bus)
    (chip,) = wiring.kinds["ads1115"]
    chip.power_on_reset()
    seen = set()
    for _ in range(10):
        run(app, bus, 1)
        seen.add(read(app, "pressure_kpa"))
    assert None in seen
    run(app, bus, 30)
    assert read(app, "pressure_kpa") is not None
