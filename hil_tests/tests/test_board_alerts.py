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
PACKS = shipped_names("pack")
AT = schema.index_of(schema.LIMIT_ROWS)
TRIP = 6
BUS_STEP_UV = 3125  # of the comparators: SLYS021A, 7.6.1.15
SHUNT_STEP_PV = {0: 5000000, 1: 1250000}


class Pin:
    """A pin of the bench: inputs read low."""

    IN, OUT = 0, 1

    def __init__(self, number, mode=IN, value=0):
        self.level = value

    def value(self, level=None):
        if level is None:
            return self.level
        self.level = level
        return None


@pytest.fixture
def rig(monkeypatch):
    """Makes a board of a shipped pack's configuration on chip models: (board, config, wiring, bus)."""

    def make(name):
        pack = load_pack(name)
        config = build_config(pack)
        spec = plant_for(pack, PLANT)
        plant = Plant(spec, 1, (), (0.5, 25.0, 5.0))
        wiring = Wiring(config, spec, plant, 1)
        bus = ModelBus({address: chip for (_, address), chip in wiring.chips.items()})
        machine = ModuleType("machine")
        machine.Pin = Pin  # pyright: ignore[reportAttributeAccessIssue]
        machine.I2C = lambda *_, **__: bus  # pyright: ignore[reportAttributeAccessIssue]
        monkeypatch.setitem(sys.modules, "machine", machine)
        monkeypatch.setattr(time, "sleep_ms", bus.sleep_ms, raising=False)
        monkeypatch.delitem(sys.modules, "assb.board", raising=False)
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
