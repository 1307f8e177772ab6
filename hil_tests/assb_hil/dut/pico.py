"""The emulated Pico: a stock MicroPython image on an emulated RP2040, in lockstep with a world.

Against the virtual board it is slow, and close to the real thing: 32-bit objects, single-precision floats, a Pico's
heap, ticks that count the instructions of its processor, a watchdog and a USB console as in silicon.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from assb_host.errors import EXIT_USAGE, AssbError, ToolError

from assb_hil.dut.base import DUT_FEATURES, World
from assb_hil.dut.cost import CostModel
from assb_hil.dut.flash_image import PICO_BLOCKS, create_blank

IMAGE_VARIABLE = "ASSB_PICO_UF2"
MPY_ABI = (6, 3)  # of native modules, MicroPython 1.23 and later
FROZEN_APP = b"assb/app.py"  # the name of a module that is part of the image
UF2_MAGIC, UF2_PAYLOAD, UF2_BLOCK = b"UF2\n", slice(32, 288), 512
REMEDY = f"give --uf2 FILE or {IMAGE_VARIABLE}: RPI_PICO-….uf2 of micropython.org/download/RPI_PICO, 1.23 or later"


class PicoImageError(AssbError):
    """No MicroPython image for the emulated Pico, or one that is none."""

    exit_code = EXIT_USAGE


def find_image(given: str | Path | None = None) -> Path:
    """The image to run: the one that is given, that of the environment, else the one that rp2040py downloads."""
    named = given or os.environ.get(IMAGE_VARIABLE)
    path = Path(named) if named else _downloaded()
    if not path.is_file():
        raise PicoImageError("no such MicroPython image", str(path), REMEDY)
    if path.read_bytes()[:4] != UF2_MAGIC:
        raise PicoImageError("this is no UF2 file", str(path), REMEDY)
    return path


def _downloaded() -> Path:
    """By rp2040py, from micropython.org, into its cache."""
    _demand_emulator()
    from rp2040py.boards import resolve_board_spec
    from rp2040py.utils.firmware_retrieve import MICROPYTHON

    try:
        image = resolve_board_spec("pico", MICROPYTHON, "1.28.0").image
    except (OSError, ValueError) as error:
        raise PicoImageError(f"no MicroPython image, and none can be downloaded: {error}", "", REMEDY) from error
    return Path(image or "")


def _demand_emulator() -> None:
    try:
        import rp2040py.native  # noqa: F401
    except ImportError as error:
        raise ToolError("rp2040py is missing", "--dut pico-emulated", "pip install 'assb-bms[pico]'") from error


def payload(image: Path) -> bytes:
    """What a UF2 file puts into flash."""
    data = image.read_bytes()
    return b"".join(data[at : at + UF2_BLOCK][UF2_PAYLOAD] for at in range(0, len(data), UF2_BLOCK))


def has_firmware(image: Path) -> bool:
    """Whether the firmware is frozen into the image, so that its bytecode needs no heap and no files."""
    return FROZEN_APP in payload(image)


class EmulatedPico:
    """A `Dut`; one thread drives it. `flash`: image of its file system, kept up to date while power is off."""

    name = "pico-emulated"
    features = DUT_FEATURES["pico-emulated"]

    def __init__(self, world: World, *, uf2: str | Path | None = None, flash: Path, cost: CostModel | None = None):
        _demand_emulator()
        self.world = world
        self.flash = flash
        self.image = find_image(uf2)
        self._cost = cost or CostModel()
        self._chip: Any = None
        self._off_us = 0  # when power went last
        self._taps: list[Any] = []
        self._unread = bytearray()
        self._resets = {"hard": 0, "soft": 0, "watchdog": 0}
        self._transfers = self._flash_operations = self._run_ns = 0
        if not flash.exists():
            create_blank(flash, PICO_BLOCKS)

    @property
    def now_us(self) -> int:
        return self._chip.now_us if self._chip else self._off_us

    @property
    def chip(self) -> Any:
        """The emulated chip while power is on: PicoChip."""
        return self._chip

    @property
    def console_port(self) -> str:
        raise PicoImageError("the emulated Pico has no port of its own", self.name, "use --dut virtual")

    def power_on(self) -> None:
        from assb_hil.dut.pico_chip import PicoChip

        if self._chip is None:
            cost = self._cost
            self._chip = PicoChip(
                self.world, self.image, self.flash.read_bytes(), self._off_us, self._heard, cost.flash_erase_us,
                cost.flash_page_us,
            )  # fmt: skip

    def power_off(self) -> None:
        if self._chip is None:
            return
        chip, self._chip = self._chip, None
        self._off_us = chip.now_us
        self.flash.write_bytes(chip.file_system())
        self._count(chip, self._resets)
        self._transfers += sum(bus.transfers for bus in chip.buses)
        self._flash_operations += chip.flash_operations
        self.world.on_reset()

    def reset(self, kind: str = "hard") -> None:
        """By its button, or by its supply. Raises PicoImageError for a soft reset, which is typed at its prompt."""
        if kind == "power_on":
            self.power_off()
            self.power_on()
        elif kind == "hard" and self._chip:
            self._chip.press_reset()
        elif kind != "hard":
            raise PicoImageError(f"no {kind} reset from outside", self.name, "use --dut virtual")

    def write_console(self, data: bytes) -> None:
        if self._chip:
            self._chip.usb.send(data)

    def read_console(self) -> bytes:
        data = bytes(self._unread)
        self._unread.clear()
        return data

    def add_tap(self, tap: Any) -> None:
        self._taps.append(tap)

    def _heard(self, data: bytes) -> None:
        self._chip.settle()
        self._unread += data
        for tap in self._taps:
            tap(self.now_us, data)

    def run_until(self, now_us: int) -> None:
        """Runs board and world up to a virtual time; the board may be a transfer on the bus ahead of it."""
        started = perf_counter_ns()
        if self._chip:
            self._chip.run_until(now_us)
        else:
            self._off_us = max(self._off_us, now_us)
        self.world.advance(self.now_us)
        self._run_ns += perf_counter_ns() - started

    @contextmanager
    def background(self, pace: float = 1.0) -> Iterator[None]:
        raise PicoImageError("the emulated Pico is too slow to keep the wall clock's pace", self.name, REMEDY)
        yield

    def counters(self) -> dict[str, int | float]:
        """What a test checks after a run."""
        resets, transfers, operations = dict(self._resets), self._transfers, self._flash_operations
        if self._chip:
            self._count(self._chip, resets)
            transfers += sum(bus.transfers for bus in self._chip.buses)
            operations += self._chip.flash_operations
        return {
            **{f"{kind}_resets": count for kind, count in resets.items()},
            "i2c_transfers": transfers,
            "flash_operations": operations,
            "wall_run_s": self._run_ns / 1e9,
        }

    @staticmethod
    def _count(chip: Any, resets: dict[str, int]) -> None:
        for kind, count in chip.resets.items():
            resets[kind] += count

    def close(self) -> None:
        self.power_off()

    def __enter__(self) -> "EmulatedPico":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
