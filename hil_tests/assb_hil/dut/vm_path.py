"""The directory that a VM imports its `machine` and `time` from: board_path with the constants of wire.py folded in.

On a board these modules are in ROM; here they live in the VM's heap, and names that are looked up there would take
room from the firmware and time from each tick.
"""

import re
import tempfile
from functools import cache
from pathlib import Path

from assb_hil.dut.board_path import wire

SOURCE = Path(__file__).parent / "board_path"
MODULES = ("machine", "time", "_lockstep", "_flash", "_boot", "_files", "vboot", "image_copy")
_NAME = re.compile(r"\bwire\.([A-Z][A-Z0-9_]*)")


def fold(source: str) -> str:
    """Numbers in place of `wire.NAME`."""
    folded = _NAME.sub(lambda match: str(getattr(wire, match[1])), source)
    return folded.replace("import wire\n", "")


@cache
def _directory() -> tempfile.TemporaryDirectory:
    directory = tempfile.TemporaryDirectory(prefix="assb-vm-")
    for name in MODULES:
        Path(directory.name, f"{name}.py").write_text(fold((SOURCE / f"{name}.py").read_text()))
    return directory


def vm_path() -> Path:
    """The directory; one for this process, removed when it ends."""
    return Path(_directory().name)
