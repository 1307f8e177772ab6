"""The native estimator for a board: which file, whether it is for this processor and this MicroPython."""

from dataclasses import dataclass
from pathlib import Path

import assb

from assb_host.errors import MismatchError, ToolError
from assb_host.flash.firmware_files import MPY_MAGIC

FILE_NAME = "assb_kernel.mpy"
BOARD_PATH = f"assb/estimation/{FILE_NAME}"  # in the slot
NATIVE = 1  # HELLO's `estimator` when it runs, 0 for the twin (a test compares)
# In the order of their numbers in a .mpy header and in sys.implementation._mpy (py/persistentcode.h)
ARCHITECTURES = (
    "", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp", "xtensa", "xtensawin",
    "rv32imc", "rv64imc",
)  # fmt: skip
HEADER_BYTES = 4
BUILD = "build it with `make natmod MPY_DIR=…`"


def architecture_name(number: int) -> str:
    return ARCHITECTURES[number] if number < len(ARCHITECTURES) else f"number {number}"


def board_architecture(mpy_number: int) -> str:
    """From sys.implementation._mpy. A Thumb-2 board without FPU says armv7em; modules for it are built as armv7m."""
    name = architecture_name(mpy_number >> 10 & 0x3F)
    return "armv7m" if name == "armv7em" else name


@dataclass(frozen=True)
class NativeFile:
    """A .mpy with machine code. `abi` is (version, sub-version): a board loads its own and no other."""

    path: Path
    data: bytes
    architecture: str
    abi: tuple[int, int]


def read_native(path: Path) -> NativeFile:
    """Raises ToolError for a file that can't be read, is no .mpy, or has no machine code in it."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ToolError("the native module can't be read", str(path), error.strerror or str(error)) from error
    if len(data) <= HEADER_BYTES or data[0] != MPY_MAGIC:
        raise ToolError("not a .mpy file", str(path), BUILD)
    architecture = architecture_name(data[2] >> 2 & 0xF)
    if not architecture:
        raise ToolError("this .mpy is bytecode, without machine code", str(path), BUILD)
    return NativeFile(path, data, architecture, (data[1], data[2] & 3))


@dataclass(frozen=True)
class KernelSource:
    """Where native modules are looked for: a file, or a folder with ARCHITECTURE/assb_kernel.mpy. Without one, the
    build folder of a checkout; then a module that is not there is no error."""

    path: Path | None = None

    def for_board(self, architecture: str, abi: tuple[int, int], port: str) -> NativeFile | None:
        """The module for a board; None: bytecode alone. MismatchError for a module that this board can't run, and for
        a demanded one that is not there."""
        where = self.path or build_folder()
        file = where if where.is_file() else where / architecture / FILE_NAME
        if not (architecture and file.is_file()) and not where.is_file():
            if self.path is None:
                return None
            seen = f"no native module for {architecture or 'a board without native code'} in {where}"
            raise MismatchError(seen, port, f"{BUILD}, or flash with --kernel none")
        native = read_native(file)
        if native.architecture != architecture:
            seen = f"{file} is for {native.architecture}, the board runs {architecture or 'no native code'}"
            raise MismatchError(seen, port, "name the module for this board with --kernel, or --kernel none")
        if native.abi != abi:
            seen = "{} is .mpy version {}.{}, the board loads {}.{}".format(file, *native.abi, *abi)
            raise MismatchError(seen, port, "build it with the source of the board's MicroPython")
        return native


def kernel_source(option: str) -> KernelSource | None:
    """Of a --kernel option: "" looks in the build folder, "none" is bytecode alone. ToolError for a path not there."""
    if option == "none":
        return None
    if option and not Path(option).exists():
        raise ToolError("no such file or folder", option, BUILD)
    return KernelSource(Path(option) if option else None)


def build_folder() -> Path:
    """What `make natmod` fills in a checkout; in a wheel's environment it is not there."""
    return Path(assb.__file__).resolve().parents[2] / "cffi_kernels" / "natmod" / "build"
