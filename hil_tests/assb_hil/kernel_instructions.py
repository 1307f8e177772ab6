"""Instructions that one step of the estimator takes, counted by valgrind: the same on a busy machine and an idle one.

Each count is the difference of two runs of this file in a process of its own, with and without the steps.
"""

import os
import re
import shutil
import subprocess
import sys
from array import array
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from assb_hil.kernel_batch import FLOOR, KERNEL, Batch

if TYPE_CHECKING:  # with numpy, which would be run under valgrind as well
    from collections.abc import Callable

    from assb_hil.kernel_drive import Drive

COLUMNS = 5
TOOL = ("--tool=cachegrind", "--cache-sim=no", "--branch-sim=no", "--cachegrind-out-file=/dev/null")
COUNTED = tuple(
    (f"{name}_{precision}", precision, function)
    for precision in ("f32", "f64")
    for name, function in (("instructions", KERNEL), ("floor_instructions", FLOOR))
)


def instructions_per_step(drive: "Drive", progress: "Callable[[float], object]") -> dict[str, float]:
    """{instructions_f32, floor_instructions_f32, …_f64}; empty where valgrind is not on PATH.
    `progress` takes the share that is done; a minute or so, for Python starts under valgrind eight times."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        return {}
    steps, figures = len(drive.dt_s), {}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "drive"
        path.write_bytes(b"".join(array("d", part).tobytes() for part in (drive.flat, *drive.columns("d"))))
        for done, (name, precision, function) in enumerate(COUNTED):
            command = [valgrind, *TOOL, sys.executable, "-m", __name__, str(path), str(steps), precision, function]
            without, with_steps = (counted([*command, str(count)]) for count in (0, steps))
            figures[name] = round((with_steps - without) / steps, 1)
            progress((done + 1) / len(COUNTED))
    return figures


def counted(command: list[str]) -> int:
    done = subprocess.run(
        command, env=os.environ | {"PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=False
    )
    found = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
    if done.returncode or found is None:
        raise RuntimeError(f"valgrind counted nothing: {done.stderr[-300:]}")
    return int(found.group(1).replace(",", ""))


def main(path: str, rows: str, precision: str, function: str, steps: str) -> None:
    """Sets the batch up, and runs that many of its steps."""
    numbers = array("d", Path(path).read_bytes())
    count = int(rows)
    first = len(numbers) - COLUMNS * count
    code = "f" if precision == "f32" else "d"
    columns = [array(code, numbers[first + k * count : first + (k + 1) * count]) for k in range(COLUMNS)]
    batch = Batch(list(numbers[:first]), columns, precision, function)
    batch.start(0.5, 0.02)
    batch.run(int(steps))


if __name__ == "__main__":
    main(*sys.argv[1:])
