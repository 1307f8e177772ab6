"""What the firmware's work costs a Pico in time, taken on the emulated one: the figures of a board file's `[cost]`.

The firmware tells its clock which piece of work has just ended (`Clock.cost`). Here that word is a store to a register
that nothing else uses, and the harness notes the emulator's time of each. Time on the bus, of the flash chip and the
probe's own is taken off, as a cost model charges bytes, transfers, erasing and programming by themselves.
"""

import itertools
import tempfile
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from assb_host.config import build_image
from assb_host.errors import AssbError
from assb_host.flash.native_kernel import KernelSource
from assb_host.flash.plan import CONFIG_PATH

from assb_hil.scenario import Scenario
from assb_hil.session import Session, open_session, pico_files

SCRATCH_0 = 0x0C  # of the watchdog at 0x40058000, RP2040 datasheet 4.7.6
# What a mark says has ended: 1 to 4 are the firmware's own (assb/port/clock.py)
FAST, ESTIMATE, SLICE, GC, SLEPT, BUS, NOTHING, TICKS, PIN = range(1, 10)
NAMES = {FAST: "fast", ESTIMATE: "estimator_slice", SLICE: "other_slice", GC: "gc"}
SINGLE = {BUS: "i2c_overhead", TICKS: "ticks_call", PIN: "pin"}  # a call of each, timed before the firmware starts
NS_PER_US = 1000
SETTLED_S = 0.5  # after the first word; the first ticks have caches and tables to fill
Mark = tuple[int, float, int, int]  # kind, ns, ns on the bus or in the flash so far, transfers so far

# In front of main.py
PROBE = b"""
import machine, time
from assb.port import clock as _clock
def _mark(kind, _memory=machine.mem32):
    _memory[0x4005800C] = kind
_sleep_until = _clock.Clock.sleep_until
def _slept(self, due_ms):
    _sleep_until(self, due_ms)
    _mark(5)
_clock.Clock.sleep_until = _slept
_clock._no_cost = _mark
def _single():
    bus = machine.I2C(0, scl=machine.Pin(5), sda=machine.Pin(4), freq=400000)
    word, pin, ticks_us = bytearray(3), machine.Pin(14), time.ticks_us
    for _ in range(20):
        _mark(7)
        _mark(7)
        bus.readfrom_mem_into(0x40, 5, word)
        _mark(6)
        ticks_us()
        _mark(8)
        pin.value()
        _mark(9)
_single()
del _single
"""


@dataclass(frozen=True)
class Cost:
    """Net times of one kind of work, in µs."""

    count: int
    least_us: float
    mean_us: float
    most_us: float

    @classmethod
    def of(cls, times_us: list[float]) -> "Cost":
        return cls(len(times_us), min(times_us), sum(times_us) / len(times_us), max(times_us))


@dataclass(frozen=True)
class PicoTimes:
    """`health`: what the board itself found worst, by the names of its HEALTH message in s."""

    costs: dict[str, Cost]
    health: dict[str, float]
    fast_ticks_per_s: float
    heap_free_b: int
    heap_low_b: int
    boot_s: float
    sim_time_s: float
    wall_time_s: float


class PicoSilentError(AssbError):
    """There is nothing to measure."""


class _Marks:
    """Notes every mark of a chip's firmware."""

    def __init__(self, chip: Any):
        self.seen: list[Mark] = []
        self._chip = chip
        self._write = chip.mcu.watchdog.write_uint32
        chip.mcu.watchdog.write_uint32 = self._on_write

    def _on_write(self, offset: int, value: int) -> None:
        if offset == SCRATCH_0:
            chip = self._chip
            busy_ns = chip.flash_busy_ns + sum(bus.busy_ns for bus in chip.buses)
            transfers = sum(bus.transfers for bus in chip.buses)
            self.seen.append((value, chip.mcu.clock.nanos, busy_ns, transfers))
        self._write(offset, value)


def net_costs(marks: list[Mark]) -> dict[str, Cost]:
    """Costs by name, from the stretch before each mark."""
    stretches: dict[int, list[tuple[float, int]]] = defaultdict(list)  # (ns of the processor, transfers)
    for before, mark in itertools.pairwise(marks):
        stretches[mark[0]].append((mark[1] - before[1] - (mark[2] - before[2]), mark[3] - before[3]))
    probe_ns = min(ns for ns, _ in stretches[NOTHING])
    overhead_ns = min(ns for ns, _ in stretches[BUS]) - probe_ns
    costs = {name: [(ns - probe_ns) / NS_PER_US for ns, _ in stretches[kind]] for kind, name in SINGLE.items()}
    for kind, name in NAMES.items():
        costs[name] = [(ns - probe_ns - transfers * overhead_ns) / NS_PER_US for ns, transfers in stretches[kind]]
    return {name: Cost.of(times_us) for name, times_us in costs.items() if times_us}


def measure(scenario: Scenario, uf2: Path, seconds: float, kernel: KernelSource | None = None) -> PicoTimes:
    """Boots an emulated Pico and runs the scenario's first `seconds` on it; work counts from SETTLED_S on."""
    from assb_hil.dut.flash_image import write_image

    with tempfile.TemporaryDirectory(prefix="assb-pico-") as folder:
        flash = Path(folder, "flash.bin")
        files = pico_files(uf2, kernel) | {CONFIG_PATH: build_image(scenario.load_pack())}
        write_image(flash, files | {"/main.py": PROBE + files["/main.py"]})
        with open_session(replace(scenario, duration_s=seconds), "pico-emulated", flash=flash, uf2=uf2) as session:
            session.dut.power_on()
            marks = _Marks(session.dut.chip)
            result = session.run()
            return _times(session, marks.seen, result.wall_time_s)


def _times(session: Session, marks: list[Mark], wall_time_s: float) -> PicoTimes:
    recorder, boot_us = session.recorder, session.rig.origin_us
    if "heap_low_b" not in recorder.series:
        said = "; ".join(text for _, text in recorder.lines[:4])
        raise PicoSilentError("the firmware did not come up", session.dut.name, said or "it said nothing")
    newest = {name: values[-1] for name, (_, values) in recorder.series.items() if values}
    ticks_at_s, ticks = recorder.series["fast_tick_count"]
    return PicoTimes(
        costs=net_costs([mark for mark in marks if mark[0] not in NAMES or mark[1] > 1e3 * boot_us + 1e9 * SETTLED_S]),
        health={name: newest[name] for name in ("fast_worst_s", "slice_worst_s", "gc_worst_s", "late_worst_s")},
        fast_ticks_per_s=(ticks[-1] - ticks[0]) / (ticks_at_s[-1] - ticks_at_s[0]) if len(ticks) > 1 else float("nan"),
        heap_free_b=int(newest["heap_free_b"]),
        heap_low_b=int(newest["heap_low_b"]),
        boot_s=1e-6 * boot_us,
        sim_time_s=session.t_s,
        wall_time_s=wall_time_s,
    )


def lines(times: PicoTimes) -> list[str]:
    """For a reader."""
    rows = [f"{name:16} {cost.least_us:9.0f} {cost.mean_us:9.0f} {cost.most_us:9.0f}  {cost.count:5}"
            for name, cost in times.costs.items()]  # fmt: skip
    worst = ", ".join(f"{name.removesuffix('_worst_s')} {1e3 * value:.1f} ms" for name, value in times.health.items())
    return [
        f"{'us':16} {'least':>9} {'mean':>9} {'most':>9}  count",
        *rows,
        f"the board's own worst: {worst}; {times.fast_ticks_per_s:.0f} fast ticks a second",
        f"heap: {times.heap_free_b} B free after a collection, {times.heap_low_b} B before one",
        f"booted in {times.boot_s:.1f} s; then {times.sim_time_s:g} s, all in {times.wall_time_s:.0f} s",
    ]
