"""What the pressure regulator costs a slow tick on the MicroPython VM: time, bytes of garbage, bytes that it holds.

The VM is the unix port on this machine: bytes are of 64-bit objects, up to twice a board's, and the time is this
machine's. The same loop of whole numbers beside it tells what a tick is worth on a slower processor.
"""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from assb.protocol import schema
from assb_host.errors import ToolError
from assb_host.flash.firmware_files import firmware_files

from assb_hil.dut.find_micropython import find_micropython

TICKS = 20_000
DEADLINE_S = 120
SCRIPT = """
import gc, json, sys, time
from assb.control.press_watch import PressWatch
from assb.control.stack_pressure import StackPressure

with open(sys.argv[1]) as file:  # an argument has at most 255 bytes
    values = json.load(file)
ticks = int(sys.argv[2])

def held(make):
    gc.collect()
    before = gc.mem_alloc()
    made = make(values.__getitem__)
    gc.collect()
    return made, gc.mem_alloc() - before

gc.collect()
loop, loop_b = held(StackPressure)
watch, watch_b = held(PressWatch)
loop.start(5000, 5000)
watch.start(5000, 5000)

def tick(k):
    pressure_kpa = 4990 + k % 21
    loop.respond(0, False, 300, 100)
    command = loop.regulate(pressure_kpa, 300, 2500 + k // 100, loop.command_kpa, 100)
    watch.update(pressure_kpa, command, 300, 2500, loop.ramps, 100)
    watch.count_outside(loop.inside(pressure_kpa, False), 100)

def timed(call):
    started = time.ticks_us()
    for k in range(ticks):
        call(k)
    return time.ticks_diff(time.ticks_us(), started) / ticks

def nothing(k):
    pass

gc.collect()
gc.disable()
before = gc.mem_alloc()
for k in range(20):
    tick(k)
garbage_b = (gc.mem_alloc() - before) / 20
gc.enable()
print(json.dumps({
    "tick_us": timed(tick), "empty_call_us": timed(nothing), "garbage_b": garbage_b, "regulator_b": loop_b,
    "watch_b": watch_b,
}))
"""


def measure_regulator(ticks: int = TICKS) -> dict[str, Any]:
    """{"tick_us", "empty_call_us", "garbage_b", "regulator_b", "watch_b"}; raises ToolError without a VM."""
    vm = find_micropython()
    values = {row[1]: row[5] for row in schema.PARAMETERS} | {"pressure_play_kpa": 350, "pressure_quantum_kpa": 3}
    wanted = {name: value for name, value in values.items() if "press" in name or "stack" in name or "_nm_" in name}
    with tempfile.TemporaryDirectory(prefix="assb-vm-bench-") as folder:
        for path, data in firmware_files().items():
            if path.endswith(".mpy"):
                file = Path(folder, path)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(data)
        script = Path(folder, "regulator_bench.py")
        script.write_text(SCRIPT, encoding="utf-8")
        parameters = Path(folder, "parameters.json")
        parameters.write_text(json.dumps(wanted), encoding="utf-8")
        done = subprocess.run(
            [vm, "-X", "heapsize=448K", str(script), str(parameters), str(ticks)], env={"MICROPYPATH": folder},
            capture_output=True, text=True, timeout=DEADLINE_S, check=False,
        )  # fmt: skip
    if done.returncode:
        raise ToolError("the regulator did not run on the VM", str(vm), done.stderr.strip()[-200:])
    return json.loads(done.stdout)


def lines(figures: dict[str, Any]) -> list[str]:
    return [
        f"pressure regulator, a slow tick: {figures['tick_us']:.1f} us here, {figures['garbage_b']:.0f} B of garbage",
        f"  an empty call: {figures['empty_call_us']:.2f} us",
        f"  held: {figures['regulator_b']} bytes (regulator), {figures['watch_b']} bytes (watch of the press)",
    ]
