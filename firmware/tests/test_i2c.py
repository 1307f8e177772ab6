"""Opening an I2C bus: a chip that holds SDA low is clocked free, and ports get pins as they name them."""

import importlib
import sys
import time
from types import ModuleType

import pytest


class Lines:
    """SDA and SCL with their pull-ups; a chip holds SDA low until it has had `clocks` falling edges of SCL."""

    def __init__(self, clocks):
        self.clocks = clocks
        self.driven = {}  # pin: level
        self.told = []  # what a logic analyser would see: (pin, level)

    @property
    def held(self):
        return self.clocks > 0

    def drive(self, pin, level):
        if pin == "scl" and self.driven.get(pin, 1) == 1 and level == 0:
            self.clocks -= 1
        self.driven[pin] = level
        self.told.append((pin, level))


@pytest.fixture
def opened(monkeypatch):
    """Opens bus 1 on such lines: (module, lines, what machine.I2C was told)."""

    def make(clocks, platform="rp2"):
        lines, told = Lines(clocks), []
        names = {6: "sda", 7: "scl", "A6": "sda", "A7": "scl"}

        class Pin:
            IN, OUT, OPEN_DRAIN, PULL_UP = 0, 1, 2, 1

            def __init__(self, number, mode=IN, pull=-1, value=None):
                self.name = names[number]
                if value is not None:
                    lines.drive(self.name, value)

            def value(self, level=None):
                if level is not None:
                    return lines.drive(self.name, level)
                return 0 if lines.held or lines.driven.get(self.name) == 0 else 1

        machine = ModuleType("machine")
        machine.Pin = Pin  # pyright: ignore[reportAttributeAccessIssue]
        machine.I2C = lambda *arguments, **keys: told.append((arguments, sorted(keys))) or object()  # pyright: ignore[reportAttributeAccessIssue]
        monkeypatch.setitem(sys.modules, "machine", machine)
        monkeypatch.setattr(sys, "platform", platform)
        monkeypatch.setattr(time, "sleep_us", lambda _us: None, raising=False)
        monkeypatch.delitem(sys.modules, "assb.port.i2c", raising=False)
        buses = importlib.import_module("assb.port.i2c").Buses()
        buses.open(1, 6, 7, 400000)
        return buses, lines, told

    return make


def test_a_free_bus_is_opened_without_a_clock(opened):
    buses, lines, told = opened(0)
    assert lines.told == []
    assert told == [((1,), ["freq", "scl", "sda", "timeout"])]
    assert buses.stuck == []


@pytest.mark.parametrize("clocks", range(1, 10))
def test_a_chip_in_the_middle_of_a_byte_is_clocked_until_it_lets_go_and_told_to_stop(opened, clocks):
    buses, lines, told = opened(clocks)
    assert buses.stuck == []
    assert lines.told.count(("scl", 0)) == clocks
    assert lines.told[-3:] == [("scl", 1), ("sda", 0), ("sda", 1)]  # STOP: SDA rises while SCL is high
    assert len(told) == 1


def test_a_line_that_stays_low_is_given_up_after_nine_clocks_and_named(opened):
    buses, lines, told = opened(100)
    assert buses.stuck == [1]
    assert lines.told.count(("scl", 0)) == 9
    assert ("sda", 0) not in lines.told
    assert len(told) == 1  # transfers fail by themselves
    assert buses.free() == [(1, -1)]


def test_freeing_later_keeps_the_object_that_drivers_have(opened):
    buses, lines, told = opened(0)
    first = buses[1]
    lines.clocks = 3
    assert buses.free() == [(1, 3)]
    assert buses.free() == []
    assert len(told) == 3  # the peripheral began anew
    assert buses[1] is first


def test_an_stm32_has_names_for_pins_and_is_not_told_those_of_a_bus(opened):
    _, lines, told = opened(2, "pyboard")
    assert lines.told.count(("scl", 0)) == 2
    assert told == [((1,), ["freq", "timeout"])]
