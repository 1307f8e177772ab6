"""What a device under test offers and what it expects of the world around it."""

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

# Features that a scenario can ask for; a DUT that lacks one makes it an error, never a silent skip
LOCKSTEP = "lockstep"  # time advances only as far as run_until says
POWER = "power"  # power_on, power_off
POWER_CUT = "power_cut"  # power can fail at a chosen flash operation
WATCHDOG = "watchdog"
CHIP_MODELS = "chip_models"  # the drivers talk to models of their chips
STALL = "stall"  # the processor can be held up, its heap filled, its ticks made to jump
FLASH = "flash"  # what is on the flash chip can be replaced while power is off
CONSOLE = "console"  # every byte between board and host passes through the harness
PLANT = "plant"  # what the board measures and drives is the simulated rig: loads are played, the truth is known
SLOW_BOOT = "slow_boot"  # seconds pass before it speaks: scenario time begins with its first word

DUT_FEATURES = {
    "virtual": frozenset({LOCKSTEP, POWER, POWER_CUT, WATCHDOG, CHIP_MODELS, STALL, FLASH, CONSOLE, PLANT}),
    "pico-emulated": frozenset({LOCKSTEP, POWER, WATCHDOG, CHIP_MODELS, FLASH, CONSOLE, PLANT, SLOW_BOOT}),
    "serial": frozenset[str](),  # its own sensors, its own time: the rig stands still
    "serial --inject": frozenset({LOCKSTEP, CHIP_MODELS, CONSOLE, PLANT}),
}

# Kinds of reset(), with the numbers that machine.reset_cause() gives
RESET_CAUSES = {"power_on": 1, "hard": 2, "watchdog": 3, "soft": 5}


class World(Protocol):
    """What is wired to the board. Times are µs since the first power-on; the caller never goes back in time."""

    def advance(self, now_us: int) -> None:
        """Everything steps to now."""

    def i2c(self, bus: int, address: int, write: bytes, read_n: int) -> bytes | None:
        """One transaction at the time of the last advance; None when it is not acknowledged."""

    def peek(self, bus: int, address: int, write: bytes, read_n: int) -> tuple[bytes, int] | None:
        """What i2c would read, and the time until which it would; None when reading has a side effect."""

    def preview(self, bus: int, address: int, write: bytes, read_n: int) -> tuple[bytes, int] | None:
        """As peek, for a read that has a side effect; when it is used, i2c() carries it out at its time."""

    def acks(self) -> frozenset[tuple[int, int]]:
        """(bus, address) of the devices that acknowledge; changes inside advance only."""
        ...

    def hung_buses(self) -> Collection[int]:
        """Buses that a device holds low: nobody acknowledges there, and a transfer ends with its timeout."""
        ...

    def pin_read(self, pin: int) -> int: ...

    def pin_peek(self, pin: int) -> tuple[int, int] | None:
        """Level and the time until which it holds unless a pin or a chip is written; None for a pin that reading a chip
        can change, as an ALERT output that is cleared so."""

    def pin_write(self, pin: int, level: int) -> None: ...

    def adc_read_u16(self, pin: int) -> int: ...

    def pwm_write(self, pin: int, duty_u16: int, frequency_hz: int) -> None: ...

    def on_reset(self) -> None:
        """The board's pins have become inputs: its outputs are off."""


class Dut(Protocol):
    """A device under test, driven by one thread, or by its own between the ends of background()."""

    name: str
    features: frozenset[str]

    @property
    def flash(self) -> Path | None:
        """Image of the flash chip, where there is one."""
        ...

    @property
    def now_us(self) -> int: ...

    @property
    def console_port(self) -> str:
        """Path of the serial port (a pseudo-terminal on a virtual board)."""
        ...

    def power_on(self) -> None: ...

    def power_off(self) -> None: ...

    def reset(self, kind: str = "hard") -> None: ...

    def write_console(self, data: bytes) -> None: ...

    def read_console(self) -> bytes:
        """What the board has sent since the last call."""
        ...

    def add_tap(self, tap: Callable[[int, bytes], None]) -> None:
        """tap(now_us, data) is called for everything the board sends."""

    def run_until(self, now_us: int) -> None: ...

    def background(self, pace: float = 1.0) -> AbstractContextManager[Any]: ...

    def counters(self) -> dict[str, int | float]:
        """Resets by kind, requests, and where wall time went."""
        ...

    def close(self) -> None: ...
