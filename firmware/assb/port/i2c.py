"""An I2C bus of this board, opened with its data line free: ports differ in how they name pins and buses.

A chip that was interrupted within a byte, by a reset of the board say, may hold SDA low and wait for clocks. Nine of
them end any byte, and a STOP puts all chips at rest (I2C-bus specification UM10204, 3.1.16).
"""

import sys

import machine

_CLOCKS = 9
_HALF_US = 5  # of a clock of 100 kHz, which every chip takes
# The longest transfer, 32 bytes of a stack monitor with their CRCs, takes 1.5 ms at 400 kHz. Ports wait 50 ms by
# default: with a bus that is held low, a tick would take ten times its period, and the watchdog would starve.
_TIMEOUT_US = 2000


class Buses:
    """The I2C buses of a board, by number. `stuck`: those whose SDA stays low when they are opened."""

    def __init__(self):
        self._wires = []
        self._opened = {}
        self.stuck = []

    def open(self, number, sda, scl, frequency_hz):
        """ValueError for a bus or a pin that the port does not have."""
        if self._begin(number, sda, scl, frequency_hz) < 0:
            self.stuck.append(number)
        self._wires.append((number, sda, scl, frequency_hz))

    def __getitem__(self, number):
        return self._opened[number]

    def free(self):
        """After failed transfers: [(bus, clocks)] of those whose SDA was held low, -1 clocks where it still is. Their
        peripherals begin anew; a port has one object for each, which drivers go on using."""
        found = [(wires[0], self._begin(*wires)) for wires in self._wires]
        return [each for each in found if each[1]]

    def _begin(self, number, sda, scl, frequency_hz):
        clocks = free(sda, scl)
        if sys.platform == "pyboard":  # a bus has its pins, and refuses to be told them
            bus = machine.I2C(number, freq=frequency_hz, timeout=_TIMEOUT_US)
        else:
            pins = {"sda": machine.Pin(sda), "scl": machine.Pin(scl)}
            bus = machine.I2C(number, freq=frequency_hz, timeout=_TIMEOUT_US, **pins)
        self._opened.setdefault(number, bus)
        return clocks


def pin_id(number):
    """What machine.Pin is told: a number, but on an STM32 the name of port and bit."""
    return "ABCDEFGHI"[number >> 4] + str(number & 15) if sys.platform == "pyboard" else number


def free(sda, scl):
    """Clock until SDA is high, then STOP. How many clocks it took, or -1."""
    data = machine.Pin(pin_id(sda), machine.Pin.IN, machine.Pin.PULL_UP)
    if data.value():
        return 0
    from time import sleep_us

    clock = machine.Pin(pin_id(scl), machine.Pin.OPEN_DRAIN, value=1)
    for clocks in range(1, _CLOCKS + 1):
        clock.value(0)
        sleep_us(_HALF_US)
        clock.value(1)
        sleep_us(_HALF_US)
        if data.value():
            _stop(sda)
            return clocks
    return -1


def _stop(sda):
    """SCL is high: SDA goes low and high again."""
    from time import sleep_us

    data = machine.Pin(pin_id(sda), machine.Pin.OPEN_DRAIN, value=0)
    sleep_us(_HALF_US)
    data.value(1)
    sleep_us(_HALF_US)
