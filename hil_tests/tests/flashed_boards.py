"""Virtual boards with the firmware on them, for tests that talk to one through its port."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from assb_hil.dut.flash_image import write_image
from assb_hil.dut.idle_world import IdleWorld
from assb_hil.dut.virtual import VirtualBoard
from assb_host.flash.firmware_files import placed
from assb_host.flash.plan import plan_for

DEADLINE_S = 20.0
POLL_S = 0.02
PACE = 20.0  # of a board whose speed matters to no test: most of a flash it waits for its own flash memory


def flash_image(path: Path, pack: str = "li_lpscl_nca") -> Path:
    """An image with firmware and the configuration of a pack; without one for an empty name."""
    write_image(path, placed(plan_for(pack).files))
    return path


@contextmanager
def running_board(path: Path, pace: float = 1.0) -> Iterator[VirtualBoard]:
    """A board that runs what the image holds in the background, with nothing wired to it; `pace` seconds a second."""
    with VirtualBoard(IdleWorld(), flash=path) as board:
        board.power_on()
        with board.background(pace):
            yield board


@contextmanager
def running_copy(image: bytes, folder: Path, pace: float = 1.0) -> Iterator[VirtualBoard]:
    """A running board whose flash is a copy of that image."""
    path = folder / "flash.bin"
    path.write_bytes(image)
    with running_board(path, pace) as board:
        yield board


def until(wanted: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
    """Other processes are at work: looked at again and again."""
    end_s = time.monotonic() + deadline_s
    while not wanted():
        assert time.monotonic() < end_s
        time.sleep(POLL_S)
