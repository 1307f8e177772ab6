"""An emulated RP2040 with its flash, from power-on to power-off, wired to a simulated world.

The emulator (rp2040py) executes the MicroPython image's instructions and counts their clocks. It has no cache of the
flash, so an instruction out of flash never waits: what it measures, a real Pico takes at least as long for.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rp2040py.device.bootrom import BOOTROM_B1
from rp2040py.device.load_flash import load_uf2
from rp2040py.execute_batch import execute_batch
from rp2040py.gpio_pin import GPIOPinState
from rp2040py.peripherals.vreg_and_chip_reset import HAD_RUN
from rp2040py.peripherals.watchdog import TIMER
from rp2040py.simulator import Simulator
from rp2040py.utils.logging import ConsoleLogger, LogLevel

from assb_hil.dut.base import World
from assb_hil.dut.pico_bus import PicoBus
from assb_hil.dut.pico_usb import UsbHost

FLASH_BYTES = 2 * 1024 * 1024
FLASH_START = 0x10000000
GPIO_IN = 0x004  # of SIO, RP2040 datasheet 2.3.1.7
FUNCTION_SIO, FUNCTION_PWM = 5, 4
ADC_FIRST_PIN = 26
SECTOR_ERASE, BLOCK_ERASE, PAGE_PROGRAM = 0x20, 0xD8, 0x02  # W25Q16JV datasheet, instruction set
SECTORS_A_BLOCK = 16
ONE_BY_ONE = 1  # instructions between two looks at the alarms; more, and a batch that ends by wall time would show


class PicoChip:
    """Times are µs, `start_us` at power-on. `heard` gets what the console sends."""

    def __init__(
        self,
        world: World,
        uf2: Path,
        file_system: bytes,
        start_us: int,
        heard: Callable[[bytes], None],
        erase_us: int,
        page_us: int,
    ):
        self._world = world
        self._start_us = start_us
        self._erase_us, self._page_us = erase_us, page_us
        self.resets: Counter[str] = Counter()
        self.flash_operations = self.flash_busy_ns = 0
        self._simulator = Simulator()
        self.mcu: Any = self._simulator.rp2040
        self.mcu.logger = ConsoleLogger(LogLevel.ERROR)
        self.mcu.load_bootrom(BOOTROM_B1)
        load_uf2(uf2, self.mcu)
        self._file_system = slice(FLASH_BYTES - len(file_system), FLASH_BYTES)
        self.mcu.flash[self._file_system] = file_system
        self.usb = UsbHost(self.mcu.usb_ctrl, heard)
        self.buses = [PicoBus(bus, at, world, self._pass_ns, self.settle) for at, bus in enumerate(self.mcu.i2c)]
        self._limit = self.mcu.clock.create_alarm(self._simulator.stop)
        self._wire()
        self.mcu.core.pc = FLASH_START

    @property
    def now_us(self) -> int:
        return self._start_us + int(self.mcu.clock.micros)

    def file_system(self) -> bytes:
        return bytes(self.mcu.flash[self._file_system])

    def run_until(self, now_us: int) -> None:
        """Executes up to that time, or a transfer on the bus further."""
        left_ns = 1000 * (now_us - self._start_us) - self.mcu.clock.nanos
        if left_ns <= 0:
            return
        self._limit.schedule(left_ns)
        self._simulator.stopped = False
        while not self._simulator.stopped:
            execute_batch(self._simulator, ONE_BY_ONE)

    def press_reset(self) -> None:
        """The button at RUN: all but flash and what is wired starts afresh."""
        self.resets["hard"] += 1
        self._restart(from_watchdog=False)

    def settle(self) -> None:
        """The world catches up with the processor."""
        self._world.advance(self.now_us)

    # Wiring

    def _wire(self) -> None:
        mcu = self.mcu
        self._read_sio = mcu.sio.read_uint32
        mcu.sio.read_uint32 = self._on_read_sio
        mcu.adc.on_adc_read = self._on_adc_read
        mcu.watchdog.on_watchdog_trigger = self._on_watchdog
        self._apply_flash = mcu.ssi._apply_command
        mcu.ssi._apply_command = self._on_flash_command
        for number, pin in enumerate(mcu.gpio):
            pin.add_listener(self._pin_listener(number, pin))

    def _pass_ns(self, ns: int) -> None:
        self.mcu.clock.tick(float(ns))

    def _pin_listener(self, number: int, pin: Any) -> Callable[[GPIOPinState, GPIOPinState], None]:
        def changed(state: GPIOPinState, _before: GPIOPinState) -> None:
            if pin.function_select != FUNCTION_PWM:
                self.settle()
                self._world.pin_write(number, int(state == GPIOPinState.HIGH))  # an input's gate resistor pulls it low

        return changed

    def _on_read_sio(self, offset: int) -> int:
        if offset == GPIO_IN:
            self.settle()
            for number, pin in enumerate(self.mcu.gpio):
                if pin.function_select == FUNCTION_SIO and not pin.output_enable:
                    pin.set_input_value(self._world.pin_read(number))
        return self._read_sio(offset)

    def _on_adc_read(self, channel: int) -> None:
        self.settle()
        adc = self.mcu.adc
        self._pass_ns(1000 * adc.sample_time)
        adc.complete_adc_read(self._world.adc_read_u16(ADC_FIRST_PIN + channel) >> 4, False)

    def _on_flash_command(self) -> None:
        """An erase or a program is busy for its time; the firmware waits for it with interrupts off."""
        command = self.mcu.ssi._tx_buffer[:1]
        self._apply_flash()
        busy_us = {
            SECTOR_ERASE: self._erase_us,
            BLOCK_ERASE: SECTORS_A_BLOCK * self._erase_us,
            PAGE_PROGRAM: self._page_us,
        }.get(command[0] if command else 0, 0)
        if busy_us:
            self.flash_operations += 1
            self.flash_busy_ns += 1000 * busy_us
            self._pass_ns(1000 * busy_us)

    def _on_watchdog(self) -> None:
        """It has run out, or machine.reset() asks for what it does then."""
        self.resets["watchdog" if self.mcu.watchdog.read_uint32(0x08) == TIMER else "hard"] += 1
        self._restart(from_watchdog=True)

    def _restart(self, from_watchdog: bool) -> None:
        self.settle()
        self._world.on_reset()
        self.mcu.enter_reset(from_watchdog=from_watchdog)
        if not from_watchdog:
            self.mcu.watchdog.reset()
            self.mcu.vreg_and_chip_reset.record_reset_cause(HAD_RUN)
        self.mcu.leave_reset()
