"""Program for a MicroPython VM: every driver call of the fast tick, once, with the heap locked.

Prints one line for each case: its name and `allocates nothing`, or the exception. The bus and the pins are stand-ins
that allocate nothing themselves; the case `control` allocates on purpose and must show that the check sees it.
"""

import micropython
from assb.drivers.contactor import Contactor
from assb.drivers.electro_pneumatic import ElectroPneumatic
from assb.drivers.enable_lines import EnableLines
from assb.drivers.hx711 import HX711
from assb.drivers.ina228 import INA228
from assb.drivers.load_cell import LoadCell
from assb.drivers.mcp4725 import MCP4725
from assb.drivers.nau7802 import NAU7802
from assb.drivers.tmp117 import TMP117


class Bus:
    """One chip's registers in a dict. `fixed`: those that a write does not change, as status and self-clearing bits.

    `error` is raised instead of an acknowledge when set. A plain read without a register finds register -1.
    """

    def __init__(self, registers, fixed=()):
        self.registers = registers
        self.fixed = fixed
        self.error = None

    def readfrom_mem_into(self, address, register, buffer):
        if self.error:
            raise self.error
        content = self.registers[register]
        for index in range(len(buffer)):
            buffer[index] = content[index]

    def writeto_mem(self, address, register, data):
        if register not in self.fixed:
            self.registers[register] = bytes(data)

    def readfrom_into(self, address, buffer):
        self.readfrom_mem_into(address, -1, buffer)

    def writeto(self, address, data):
        if self.error:
            raise self.error
        return len(data)


class Pin:
    def __init__(self, level):
        self.level = level

    def value(self, level=None):
        if level is None:
            return self.level
        self.level = level


def locked(name, call):
    """Call once to warm up and once with the heap locked; print how that ended."""
    call()
    outcome = "allocates nothing"
    micropython.heap_lock()
    try:
        call()
    except MemoryError:
        outcome = "MemoryError"
    micropython.heap_unlock()
    print(name + ":", outcome)


def no_sleep(_):
    pass


def allocate():
    return [1, 2, 3]


def monitor_cases():
    registers = {0x3E: b"\x54\x49", 0x3F: b"\x22\x81", 0x05: b"\x4a\x00\x00", 0x06: b"\x0c\x80", 0x07: b"\xf3\x80\x00"}
    registers[0x0B] = b"\x80\x03"  # a conversion is ready, the trimming is intact
    bus = Bus(registers, (0x0B,))
    monitor = INA228(bus, 0x40, 20000, pin_alert=Pin(1))
    monitor.configure()
    monitor.set_alert_limits(2500000, 4300000, 1000000, -1000000)
    locked("ina228 update", monitor.update)
    locked("ina228 update_diagnostics", monitor.update_diagnostics)
    print("ina228 values:", monitor.status, monitor.voltage_uv, monitor.current_ua, monitor.die_cdegc)
    bus.error = MISSING
    locked("ina228 without acknowledge", monitor.update)
    bus.error = None
    registers[0x05] = b"\x7f\xff\xf0"
    locked("ina228 saturated", monitor.update)
    registers[0x01] = b"\xfb\x68"
    locked("ina228 after a brown-out", monitor.update)


def pressure_cases():
    registers = {register: b"\x00" for register in range(0x20)}
    registers.update({0x00: b"\xbe", 0x02: b"\x30", 0x12: b"\x12\x34\x56", 0x1F: b"\x0f"})
    bus = Bus(registers, (0x00, 0x02))
    bridge = NAU7802(bus)
    bridge.configure(sleep_ms=no_sleep)
    cell = LoadCell(bridge, 1000, 1500000)
    for _ in range(5):
        cell.update()
    locked("load_cell update", cell.update)
    print("load_cell values:", cell.status, cell.pressure_kpa)
    registers[0x12] = b"\x80\x00\x00"
    locked("load_cell saturated", cell.update)
    registers[0x00] = b"\x9e"
    locked("load_cell between conversions", cell.update)
    bus.error = MISSING
    locked("load_cell without acknowledge", cell.update)


class Bits:
    """DOUT of an HX711 that has a conversion: low, 24 bits, high."""

    def __init__(self, code):
        self.code = code
        self.at = -1

    def value(self):
        at = self.at
        self.at = at + 1 if at < 24 else -1
        return 0 if at < 0 else 1 if at == 24 else self.code >> (23 - at) & 1


def hand_read_cases():
    bits = Bits(0x123456)
    bridge = HX711(bits, Pin(0), lambda: 0)
    bridge.configure(sleep_ms=no_sleep)
    bits.at = -1
    for _ in range(4):
        bridge.update()
    locked("hx711 update", bridge.update)
    print("hx711 values:", bridge.status, bridge.counts)
    locked("hx711 between conversions", HX711(Pin(1), Pin(0), lambda: 0).update)


def temperature_cases():
    bus = Bus({0x00: b"\x0c\x80", 0x01: b"\x20\xa0", 0x0F: b"\x01\x17"}, (0x01,))
    thermometer = TMP117(bus, 0x48)
    thermometer.configure()
    locked("tmp117 update", thermometer.update)
    print("tmp117 values:", thermometer.status, thermometer.temperature_cdegc)


def actuator_cases():
    bus = Bus({-1: b"\x80\x00\x00\x00\x00"})
    dac = MCP4725(bus)
    dac.configure(no_sleep)
    regulator = ElectroPneumatic(dac, 10000)
    locked("regulator vent", regulator.vent)
    regulator.command_kpa(5000)
    micropython.heap_lock()
    regulator.command_kpa(6000)  # a change, so a write
    micropython.heap_unlock()
    locked("regulator verify", regulator.verify)
    print("regulator values:", dac.code, regulator.commanded_kpa)
    bus.error = MISSING
    locked("regulator without acknowledge", lambda: regulator.command_kpa(7000))
    contactor = Contactor(Pin(0), Pin(0), Pin(0))
    locked("contactor close", contactor.close)
    locked("contactor feedback", contactor.is_closed_feedback)
    locked("contactor open", contactor.open)
    lines = EnableLines(Pin(0), Pin(0))
    locked("enable_lines set", lambda: lines.set(True, False))


MISSING = OSError(19)
locked("control", allocate)
monitor_cases()
pressure_cases()
hand_read_cases()
temperature_cases()
actuator_cases()
