"""What the tests of the virtual board share: a world with one chip and some pins, and boards with a script on them."""

import hashlib
from pathlib import Path

from assb_hil.dut.cost import CostModel
from assb_hil.dut.flash_image import write_image
from assb_hil.dut.idle_world import IdleWorld
from assb_hil.dut.virtual import VirtualBoard

CHIP = (0, 0x40)
CONVERSION_US = 3300
COUNTER = b"\x09"  # this register counts how often it is read
# One reset and boot take some 50 ms of wall time
BOOT = CostModel(boot_us=10_000)


class ChipWorld(IdleWorld):
    """A chip whose register r reads r million + the number of its conversion, and inputs that follow pin 10."""

    def __init__(self, predicts: bool = True):
        super().__init__()
        self.predicts = predicts
        self.present = frozenset({CHIP})
        self.writes: list[tuple[int, int, bytes]] = []  # (time, address, bytes)
        self.pins: list[tuple[int, int, int]] = []  # (time, pin, level)
        self.reads: list[int] = []  # times at which the counter was read
        self.resets = 0
        self.levels: dict[int, int] = {}

    def acks(self):
        return self.present

    def value(self, write: bytes, read_n: int) -> bytes:
        register = write[0] if write else 0
        if write[:1] == COUNTER:
            return (len(self.reads) << 8 | self.now_us // CONVERSION_US & 255).to_bytes(8, "big")[-read_n:]
        return (register * 1_000_000 + self.now_us // CONVERSION_US).to_bytes(8, "big")[-read_n:]

    def i2c(self, bus, address, write, read_n):
        if (bus, address) not in self.present:
            return None
        if not read_n:
            self.writes.append((self.now_us, address, write))
            return b""
        data = self.value(write, read_n)
        if write[:1] == COUNTER:
            self.reads.append(self.now_us)
        return data

    def peek(self, bus, address, write, read_n):
        if not self.predicts or write[:1] == COUNTER or (bus, address) not in self.present:
            return None
        return self.value(write, read_n), (self.now_us // CONVERSION_US + 1) * CONVERSION_US

    def preview(self, bus, address, write, read_n):
        if not self.predicts or write[:1] != COUNTER or (bus, address) not in self.present:
            return None
        return self.value(write, read_n), (self.now_us // CONVERSION_US + 1) * CONVERSION_US

    def pin_write(self, pin, level):
        self.levels[pin] = level
        self.pins.append((self.now_us, pin, level))

    def pin_read(self, pin):
        return self.levels.get(10, 0)

    def pin_peek(self, pin):
        return (self.levels.get(10, 0), 1 << 60) if self.predicts else None

    def adc_read_u16(self, pin):
        return 1000 + pin

    def on_reset(self):
        self.resets += 1
        self.levels.clear()


def make_board(folder: Path, main: str, world=None, boot: str = "", **options) -> VirtualBoard:
    """A board with power on and a main.py (and boot.py) on its flash."""
    image = folder / "flash.bin"
    files = {"/main.py": main.encode()} | ({"/boot.py": boot.encode()} if boot else {})
    write_image(image, files)
    board = VirtualBoard(world or ChipWorld(), flash=image, cost=options.pop("cost", BOOT), **options)
    board.power_on()
    return board


def run_lines(folder: Path, main: str, until_us: int, world=None, **options) -> list[str]:
    """Console lines of a script that runs up to a virtual time."""
    with make_board(folder, main, world, **options) as board:
        board.run_until(until_us)
        return board.read_console().decode().splitlines()


class Trace:
    """A tap: (time, bytes) of everything sent, and its hash."""

    def __init__(self, board: VirtualBoard):
        self.rows: list[tuple[int, bytes]] = []
        board.add_tap(lambda now_us, data: self.rows.append((now_us, data)))

    def sha256(self) -> str:
        return hashlib.sha256(repr(self.rows).encode()).hexdigest()

    def text(self) -> str:
        return b"".join(data for _, data in self.rows).decode()
