"""The directory that a VM imports `machine` and `time` from: board_path as bytecode, with the numbers of wire.py in it.

On a board these modules are in ROM; here they live in the heap of the VM. Names to look up and a compiler's leavings
would take room from the firmware, and time from each tick.
"""

import re
import tempfile
from functools import cache
from pathlib import Path

from assb_host.flash.firmware_files import compiled

from assb_hil.dut.board_path import wire

SOURCE = Path(__file__).parent / "board_path"
SCRIPTS = ("vboot", "image_copy")  # named on the VM's command line, so they stay text
MODULES = ("machine", "time", "_lockstep", "_flash", "_boot", "_files")
_NAME = re.compile(r"\bwire\.([A-Z][A-Z0-9_]*)")


def fold(source: str) -> str:
    """Numbers in place of `wire.NAME`."""
    folded = _NAME.sub(lambda match: str(getattr(wire, match[1])), source)
    return folded.replace("import wire\n", "")


@cache
def _directory() -> tempfile.TemporaryDirectory:
    directory = tempfile.TemporaryDirectory(prefix="assb-vm-")
    with tempfile.TemporaryDirectory(prefix="assb-vm-source-") as sources:
        for name in (*SCRIPTS, *MODULES):
            source = Path(sources, f"{name}.py")
            source.write_text(fold((SOURCE / f"{name}.py").read_text()))
            target = Path(directory.name, source.name)
            if name in SCRIPTS:
                target.write_bytes(source.read_bytes())
            else:
                target.with_suffix(".mpy").write_bytes(compiled(source, source.name, Path(sources)))
    return directory


def vm_path() -> Path:
    """The directory; one for this process, removed when it ends."""
    return Path(_directory().name)
