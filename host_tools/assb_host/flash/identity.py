"""Who is at the other end, and whether it can run what would be written: asked before anything is."""

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from assb_host.errors import MismatchError
from assb_host.flash.board_repl import BoardRepl
from assb_host.flash.firmware_files import mpy_abi
from assb_host.flash.native_kernel import BOARD_PATH, board_architecture
from assb_host.flash.plan import FlashPlan

if TYPE_CHECKING:
    from assb_host.config.board import Board

OLDEST_MICROPYTHON = (1, 24, 0)
# A board file gives the heap that MicroPython reports for a fresh board; versions differ by a few kB of tables
HEAP_TOLERANCE = 0.9
PLATFORMS = {"rp2": ("rp2",), "esp32": ("esp32",), "stm32": ("pyboard", "stm32"), "unix": ("linux", "darwin")}

QUESTIONS = """
import sys, os, gc
def _identity():
    i = sys.implementation
    gc.collect()
    unique = ''
    try:
        import machine, binascii
        unique = binascii.hexlify(machine.unique_id()).decode()
    except (ImportError, AttributeError):
        pass
    s = os.statvfs('/')
    print((i[0], tuple(i[1][:3]), getattr(i, '_mpy', 0), sys.platform, getattr(i, '_machine', ''), unique,
        gc.mem_free() + gc.mem_alloc(), s[0] * s[3], s[0] * s[2], s[0]))
_identity()
del _identity
"""


@dataclass(frozen=True)
class Identity:
    implementation: str
    version: tuple[int, int, int]
    mpy: int  # sys.implementation._mpy: version in the low byte
    platform: str
    machine: str
    unique_id: str
    heap_bytes: int
    free_bytes: int
    flash_bytes: int
    block_bytes: int  # of its file system

    def __str__(self):
        version = ".".join(str(part) for part in self.version)
        place = f"{self.machine or self.platform}{', id ' + self.unique_id if self.unique_id else ''}"
        return f"{place}, MicroPython {version}, heap {self.heap_bytes // 1024} kB, {self.free_bytes // 1024} kB free"

    as_dict = asdict

    @property
    def mpy_abi(self) -> tuple[int, int]:
        """(version, sub-version) of the .mpy files with machine code that it loads."""
        return self.mpy & 0xFF, self.mpy >> 8 & 3

    @property
    def architecture(self) -> str:
        """Of the machine code that it runs; empty: bytecode alone."""
        return board_architecture(self.mpy)


def ask(repl: BoardRepl) -> Identity:
    return Identity(*repl.value(QUESTIONS, "identity"))


def refuse_mismatch(identity: Identity, plan: FlashPlan, port: str) -> None:
    """MismatchError when this board can't run the plan; nothing has been written then."""
    version = ".".join(str(part) for part in identity.version)
    if identity.implementation != "micropython":
        raise MismatchError(f"this is {identity.implementation}, not MicroPython", port, "install MicroPython on it")
    if identity.version < OLDEST_MICROPYTHON:
        wanted = ".".join(str(part) for part in OLDEST_MICROPYTHON)
        raise MismatchError(f"MicroPython {version} is on the board", port, f"install {wanted} or later")
    abi, _ = mpy_abi(plan.files)
    if identity.mpy & 0xFF != abi:
        remedy = f"install a MicroPython that loads version {abi}, such as 1.28"
        raise MismatchError(
            f"MicroPython {version} loads .mpy files of version {identity.mpy & 0xFF}, not {abi}", port, remedy
        )
    if plan.board:
        _refuse_other_board(identity, plan.board, port)


def with_kernel(identity: Identity, plan: FlashPlan, port: str) -> FlashPlan:
    """The plan with the native estimator for this board, if there is one; MismatchError when it can't run it."""
    if plan.kernel is None:
        return plan
    architecture = identity.architecture
    described = plan.board.micropython.architecture if plan.board else architecture
    if described != architecture:  # another processor than the pack's board file has, or one that shall run bytecode
        architecture = ""
    native = plan.kernel.for_board(architecture, identity.mpy_abi, port)
    return replace(plan, files=plan.files | {BOARD_PATH: native.data}) if native else plan


def _refuse_other_board(identity: Identity, board: "Board", port: str) -> None:
    platforms = PLATFORMS[board.micropython.port]
    if identity.platform not in platforms:
        seen = f"the pack is for board {board.name} ({board.micropython.port}), this one runs port {identity.platform}"
        raise MismatchError(seen, port, "choose the pack's board file, or another board")
    if identity.heap_bytes < HEAP_TOLERANCE * board.memory.heap_bytes:
        seen = f"its heap is {identity.heap_bytes} bytes, board {board.name} has {board.memory.heap_bytes}"
        raise MismatchError(seen, port, "something was loaded before us, or it is another board; see its boot.py")
