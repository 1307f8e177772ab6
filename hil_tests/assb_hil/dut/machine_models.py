"""`machine` and the waits of `time`, for the firmware's drivers in CPython: their chips and pins are a World's."""

import errno
import sys
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from assb_hil.dut.base import World

TICKS_MASK = (1 << 30) - 1


class ModelMachine(ModuleType):
    """Stands in for the module `machine` while drivers are made; what they made goes on working after that."""

    def __init__(self, world: World):
        super().__init__("machine")

        class Pin:
            IN, OUT, OPEN_DRAIN, PULL_UP = 0, 1, 7, 1

            def __init__(self, number: int, mode: int = IN, pull: int | None = None, value: int | None = None):
                self.number = number
                if value is not None:
                    self.value(value)

            def value(self, level: int | None = None) -> int | None:
                return world.pin_read(self.number) if level is None else world.pin_write(self.number, level)

        class ADC:
            def __init__(self, pin: Pin):
                self.number = pin.number

            def read_u16(self) -> int:
                return world.adc_read_u16(self.number)

        class PWM:
            def __init__(self, pin: Pin, freq: int, duty_u16: int):
                self.number, self.frequency_hz = pin.number, freq
                self.duty_u16(duty_u16)

            def duty_u16(self, duty_u16: int) -> None:
                world.pwm_write(self.number, duty_u16, self.frequency_hz)

        class I2C:
            def __init__(self, bus: int, **_pins_and_times: Any):
                self.bus = bus

            def _transfer(self, address: int, write: bytes, read_n: int) -> bytes:
                data = world.i2c(self.bus, address, write, read_n)
                if data is None:
                    raise OSError(errno.EIO, f"no acknowledge at I2C address 0x{address:02x}")
                return data

            def readfrom_mem_into(self, address: int, register: int, buffer: bytearray) -> None:
                buffer[:] = self._transfer(address, bytes((register,)), len(buffer))

            def writeto_mem(self, address: int, register: int, data: bytes) -> None:
                self._transfer(address, bytes((register, *data)), 0)

            def readfrom_into(self, address: int, buffer: bytearray) -> None:
                buffer[:] = self._transfer(address, b"", len(buffer))

            def writeto(self, address: int, data: bytes) -> int:
                self._transfer(address, bytes(data), 0)
                return len(data)

        self.Pin, self.ADC, self.PWM, self.I2C = Pin, ADC, PWM, I2C


class Interpreter:
    """Inside it, as a context, the firmware's modules find a MicroPython board in `machine` and `time`."""

    def __init__(self, world: World, sleep_us: Callable[[int], None], now_us: Callable[[], int]):
        self._machine = ModelMachine(world)
        self._time = {
            "sleep_ms": lambda ms: sleep_us(1000 * ms),
            "sleep_us": sleep_us,
            "ticks_us": lambda: now_us() & TICKS_MASK,
        }
        self._modules = self._load()
        self._before: list[Any] = []

    def _load(self) -> list[Any]:
        """The firmware's modules that know a machine."""
        known = sys.modules.get("machine")
        sys.modules["machine"] = self._machine
        try:
            import assb.board  # noqa: F401 - loads all of them
        finally:
            if known is None:
                del sys.modules["machine"]
            else:
                sys.modules["machine"] = known
        return [
            module for name, module in sys.modules.items() if name.startswith("assb.") and hasattr(module, "machine")
        ]

    def __enter__(self) -> None:
        self._before = [module.machine for module in self._modules]
        for module in self._modules:
            module.machine = self._machine
        for name, value in self._time.items():
            setattr(time, name, value)

    def __exit__(self, *_error: object) -> None:
        for module, machine in zip(self._modules, self._before, strict=True):
            module.machine = machine
        for name in self._time:
            delattr(time, name)
