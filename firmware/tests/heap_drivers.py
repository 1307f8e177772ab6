"""Program for a MicroPython VM: every driver call of the fast tick, once, with the heap locked.

Prints one line for each case: its name and `allocates nothing`, or the exception. The bus and the pins are stand-ins
that allocate nothing themselves; the case `control` allocates on purpose and must show that the check sees it.
"""

import micropython
from assb.drivers.ads1115 import ADS1115, AdsCell, AdsInput
from assb.drivers.bq76952 import BQ76952
from assb.drivers.contactor import Contactor
from assb.drivers.electro_pneumatic import ElectroPneumatic
from assb.drivers.enable_lines import EnableLines
from assb.drivers.hx711 import HX711
from assb.drivers.ina226 import INA226
from assb.drivers.ina228 import INA228
from assb.drivers.load_cell import LoadCell
from assb.drivers.mcp4725 import MCP4725
from assb.drivers.nau7802 import NAU7802
from assb.drivers.stack_channels import StackCell
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


def coarse_monitor_cases():
    registers = {0xFE: b"\x54\x49", 0xFF: b"\x22\x60", 0x01: b"\x1f\x40", 0x02: b"\x25\x70", 0x06: b"\x00\x08"}
    bus = Bus(registers, (0x06,))
    monitor = INA226(bus, 0x40, 20000)
    monitor._registers.program = lambda register, value, mask: monitor._registers.write(register, value)
    monitor.configure()
    locked("ina226 update", monitor.update)
    print("ina226 values:", monitor.status, monitor.voltage_uv, monitor.current_ua)
    registers[0x06] = b"\x00\x00"
    locked("ina226 between results", monitor.update)
    bus.error = MISSING
    locked("ina226 without acknowledge", monitor.update)


def with_crc(data, register):
    """As a BQ76952 answers; in both ways of counting."""
    answer = bytearray()
    seed = bytes((0x10, register, 0x11))
    for byte in data:
        crc = 0
        for part in seed + bytes((byte,)):
            crc ^= part
            for _ in range(8):
                crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
        answer += bytes((byte, crc))
        seed = b""
    return bytes(answer)


def stack_cases():
    words = {0x12: b"\x80\x01", 0x34: b"\x40\x12", 0x3A: b"\xe8\x03", 0x62: b"\x02\x00", 0x14: b"\x68\x0b" * 16}
    registers = {register: with_crc(data, register) for register, data in words.items()}
    bus = Bus(registers, (0x62,))
    stack = BQ76952(bus, 8, 0xFFFF, 20000, True)
    stack._configured = True
    cells = [StackCell(stack, at) for at in range(16)]

    def update():
        for cell in cells:
            cell.update()

    locked("bq76952 update", update)
    print("bq76952 values:", stack.status, cells[15].voltage_uv, cells[0].current_ua)
    registers[0x62] = with_crc(b"\0\0", 0x62)
    locked("bq76952 between scans", update)
    registers[0x3A] = b"\0\1\0\0"
    locked("bq76952 with a wrong CRC", update)
    bus.error = MISSING
    locked("bq76952 without acknowledge", update)


def converter_cases():
    registers = {0x00: b"\x70\x00"}
    bus = Bus(registers)
    chip = ADS1115(bus, 0x48, [((0, -1), 4096), ((1, -1), 4096)])
    chip.configure()
    cell, pressure = AdsCell(chip, 0, 125000000), LoadCell(AdsInput(chip, 1), 1000, 140000000)

    def update():
        chip.tick()
        chip.tick()
        cell.update()
        pressure.update()

    locked("ads1115 tick", update)
    print("ads1115 values:", chip.status, cell.voltage_uv, pressure.pressure_kpa)
    bus.error = MISSING
    locked("ads1115 without acknowledge", update)


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
    regulator.command_kpa(5000)
    micropython.heap_lock()
    regulator.command_kpa(6000)  # a change, so a write
    micropython.heap_unlock()
    locked("regulator verify", regulator.verify)  # lost a moment ago: written again
    print("regulator values:", dac.code, regulator.commanded_kpa)
    bus.error = MISSING
    locked("regulator without acknowledge", lambda: regulator.command_kpa(7000))
    bus.error = None
    locked("regulator lost unheard", regulator.verify)
    contactor = Contactor(Pin(0), Pin(0), Pin(0))
    locked("contactor close", contactor.close)
    locked("contactor feedback", contactor.is_closed_feedback)
    locked("contactor open", contactor.open)
    lines = EnableLines(Pin(0), Pin(0))
    locked("enable_lines set", lambda: lines.set(True, False))


MISSING = OSError(19)
locked("control", allocate)
monitor_cases()
coarse_monitor_cases()
stack_cases()
converter_cases()
pressure_cases()
hand_read_cases()
temperature_cases()
actuator_cases()
