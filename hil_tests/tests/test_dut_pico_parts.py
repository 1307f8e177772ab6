"""Parts of the emulated Pico without a MicroPython image: its I2C controller on the chip models, pins, flash, image."""

import struct
from pathlib import Path

import pytest
from assb_hil.chips.tmp117 import TMP117
from assb_hil.dut.idle_world import IdleWorld
from assb_hil.dut.pico import PicoImageError, find_image, has_firmware
from assb_hil.scenario import load_scenario
from assb_hil.session import UnsupportedError, run_scenario

pytest.importorskip("rp2040py.native", reason="rp2040py is not installed (extra pico)")

BUS, ADDRESS = 0, 0x48
DATA_CMD, ENABLE, ABORT_SOURCE, TARGET = 0x10, 0x6C, 0x80, 0x04  # RP2040 datasheet, 4.3.17
FAST_HIGH, FAST_LOW = 0x1C, 0x20
READ, STOP, RESTART = 1 << 8, 1 << 9, 1 << 10
BIT_CLOCKS = 312  # 125 MHz over 400 kHz
ADDRESS_NOT_ACKNOWLEDGED = 1


class BusWorld(IdleWorld):
    """One thermometer on bus 0, and pins that remember."""

    def __init__(self):
        super().__init__()
        self.chip = TMP117(temperature_degc=lambda: 25.0)
        self.levels = []
        self.inputs = {}

    def advance(self, now_us):
        super().advance(now_us)
        self.chip.advance(now_us)

    def i2c(self, bus, address, write, read_n):
        return self.chip.i2c(write, read_n) if (bus, address) == (BUS, ADDRESS) else None

    def peek(self, bus, address, write, read_n):
        return self.chip.peek(write, read_n)

    def preview(self, bus, address, write, read_n):
        return self.chip.preview(write, read_n)

    def acks(self):
        return frozenset({(BUS, ADDRESS)})

    def pin_read(self, pin):
        return self.inputs.get(pin, 0)

    def pin_write(self, pin, level):
        self.levels.append((pin, level))


def write_uf2(path: Path, data: bytes) -> Path:
    block = struct.pack("<8I", 0x0A324655, 0x9E5D5157, 0, 0x10000000, 256, 0, 1, 0) + data.ljust(476, b"\0")
    path.write_bytes(block + struct.pack("<I", 0x0AB16F30))
    return path


@pytest.fixture
def chip(tmp_path):
    from assb_hil.dut.pico_chip import PicoChip

    made = PicoChip(
        BusWorld(), write_uf2(tmp_path / "image.uf2", b""), b"\xff" * 4096 * 8, 0, lambda _: None, 45_000, 400
    )
    bus = made.mcu.i2c[BUS]
    bus.write_uint32(FAST_HIGH, BIT_CLOCKS // 2)
    bus.write_uint32(FAST_LOW, BIT_CLOCKS // 2)
    bus.write_uint32(TARGET, ADDRESS)
    bus.write_uint32(ENABLE, 1)
    return made


def transfer(chip, *words):
    """Data words into the controller one by one, as the firmware's driver gives them; what was received."""
    bus, received = chip.mcu.i2c[BUS], []
    for word in words:
        bus.write_uint32(DATA_CMD, word)
        if word & READ:
            received.append(bus.read_uint32(DATA_CMD) & 0xFF)
    return bytes(received)


def test_a_register_is_read_as_the_chip_model_has_it(chip):
    assert transfer(chip, 0x0F, READ | RESTART, READ | STOP) == bytes((0x01, 0x17))  # TMP117 datasheet, 8.6.12


def test_a_register_is_written(chip):
    transfer(chip, 0x02, 0x12, 0x34 | STOP)  # the high limit, 8.6.4
    assert transfer(chip, 0x02, READ | RESTART, READ | STOP) == b"\x12\x34"


def test_a_transfer_takes_its_bits(chip):
    before_us = chip.mcu.clock.micros
    transfer(chip, 0x0F, READ | RESTART, READ | STOP)
    bits = 1 + 9 + 9 + 1 + 9 + 2 * 9 + 1  # start, address, pointer, start, address, two bytes, stop
    assert chip.mcu.clock.micros - before_us == pytest.approx(bits * BIT_CLOCKS / 125)


def test_nobody_there_is_no_acknowledge(chip):
    bus = chip.mcu.i2c[BUS]
    bus.write_uint32(ENABLE, 0)
    bus.write_uint32(TARGET, ADDRESS + 1)
    bus.write_uint32(ENABLE, 1)
    transfer(chip, 0x0F | STOP)
    assert bus.read_uint32(ABORT_SOURCE) & ADDRESS_NOT_ACKNOWLEDGED
    assert bus.read_uint32(0x34) & 1 << 4  # TX_EMPTY, which the firmware's driver waits for


def test_a_bus_that_hangs_completes_nothing(chip):
    chip._world.hung_buses = lambda: {BUS}
    before_us = chip.mcu.clock.micros
    chip.mcu.i2c[BUS].write_uint32(DATA_CMD, 0x0F)
    assert chip.mcu.i2c[BUS].read_uint32(0x70) & 1  # IC_STATUS.ACTIVITY
    assert chip.mcu.clock.micros == before_us


def drive(chip, pin, level):
    """As gpio_init, gpio_put and gpio_set_dir have it."""
    mcu = chip.mcu
    mcu.gpio[pin].ctrl = 5
    mcu.sio.write_uint32(0x014 if level else 0x018, 1 << pin)
    mcu.sio.write_uint32(0x024, 1 << pin)


def test_an_output_reaches_the_world_and_a_reset_takes_it_away(chip):
    reset = []
    chip._world.on_reset = lambda: reset.append(chip.now_us)
    drive(chip, 10, 1)
    assert chip._world.levels[-1] == (10, 1)
    chip.press_reset()
    assert reset and chip.resets["hard"] == 1


def test_an_input_is_what_the_world_says_when_it_is_read(chip):
    chip.mcu.gpio[11].ctrl = 5
    chip.mcu.gpio[11].pad_value = 0x40  # input enabled, no pulls
    chip._world.inputs[11] = 1
    assert chip.mcu.sio.read_uint32(0x004) >> 11 & 1
    chip._world.inputs[11] = 0
    assert not chip.mcu.sio.read_uint32(0x004) >> 11 & 1


def flash_command(chip, *data):
    ssi = chip.mcu.ssi
    ssi._tx_buffer, ssi._write_enabled = bytearray(data), True
    chip.mcu.ssi._apply_command()


def test_flash_takes_its_time(chip):
    before_us = chip.mcu.clock.micros
    flash_command(chip, 0x20, 0x1F, 0xF0, 0x00)
    assert chip.mcu.clock.micros - before_us == pytest.approx(45_000)
    flash_command(chip, 0x02, 0x1F, 0xF0, 0x00, 0x5A)
    assert chip.mcu.clock.micros - before_us == pytest.approx(45_400)
    assert chip.file_system()[-4096] == 0x5A and chip.flash_operations == 2


def test_the_console_is_not_asked_to_take_nothing(chip):
    answered = []
    chip.mcu.usb_ctrl.endpoint_read_done = lambda endpoint, data: answered.append((endpoint, bytes(data)))
    chip.mcu.usb_ctrl.on_endpoint_read(2, 64)
    assert answered == []
    chip.usb.send(b"x" * 70)
    assert answered == [(2, b"x" * 64)]
    chip.mcu.usb_ctrl.on_endpoint_read(2, 64)
    assert answered[1] == (2, b"x" * 6)


def test_an_image_that_is_none_is_refused(tmp_path, monkeypatch):
    with pytest.raises(PicoImageError, match="no such MicroPython image"):
        find_image(tmp_path / "missing.uf2")
    (tmp_path / "wrong.uf2").write_bytes(b"not one")
    monkeypatch.setenv("ASSB_PICO_UF2", str(tmp_path / "wrong.uf2"))
    with pytest.raises(PicoImageError, match="no UF2 file"):
        find_image()


def test_firmware_in_the_image_is_seen(tmp_path):
    assert has_firmware(write_uf2(tmp_path / "frozen.uf2", b"..assb/app.py."))
    assert not has_firmware(write_uf2(tmp_path / "stock.uf2", b"nothing"))


def test_costs_are_without_the_bus_and_the_probe():
    from assb_hil.pico_bench import BUS, FAST, NOTHING, SLEPT, net_costs

    marks = [
        (NOTHING, 0.0, 0, 0),
        (NOTHING, 30_000.0, 0, 0),  # the probe takes 30 us
        (BUS, 180_000.0, 100_000, 1),  # 20 us around a transfer of 100 us
        (SLEPT, 1_000_000.0, 100_000, 1),
        (FAST, 2_000_000.0, 400_000, 4),  # 1000 us, of these 300 on the bus, three transfers, one probe
        (SLEPT, 9_000_000.0, 400_000, 4),
        (FAST, 9_530_000.0, 400_000, 4),
    ]
    costs = net_costs(marks)
    assert (costs["fast"].count, costs["fast"].least_us, costs["fast"].most_us) == (2, 500.0, 610.0)
    assert costs["i2c_overhead"].mean_us == 20.0


def test_what_it_cannot_have_is_refused(tmp_path):
    image = write_uf2(tmp_path / "image.uf2", b"")
    with pytest.raises(UnsupportedError, match=r"board_hangs needs stall.*use --dut virtual"):
        run_scenario(load_scenario("faults_board/hangs"), "pico-emulated", uf2=image)
    with pytest.raises(UnsupportedError, match="heater needs PWM"):
        run_scenario(load_scenario("heated_press/holds"), "pico-emulated", uf2=image)
