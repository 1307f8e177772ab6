"""Speed of the estimator: its step beside a bare filter of the same run, beside a call that does nothing, and beside
numpy and filterpy."""

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median
from time import perf_counter
from typing import Any

from assb_kernels import CellEstimators, Estimator
from assb_kernels._kernels import lib
from assb_kernels.estimator_cells import LANES

from assb_hil.kernel_batch import FLOOR, KERNEL, Batch
from assb_hil.kernel_drive import START_SIGMA, START_SOC, Drive, bench_drive
from assb_hil.kernel_instructions import instructions_per_step
from assb_hil.kernel_peers import FilterpyFilter, NumpyFilter
from assb_hil.plant_bench import DT_S

REPEATS = 1000  # rounds; the fastest of each counts: what else the machine does only ever adds
CALLS = 1000  # from Python, in a round
CELLS = 64
CELL_ROWS = 200
PEER_STEPS, PEER_REPEATS = 200, 20

Progress = Callable[[str, float], object]


@dataclass(frozen=True)
class Timed:
    """`count` steps or calls; `start` puts everything back and is not timed."""

    start: Callable[[], object]
    run: Callable[[], object]
    count: int

    def each_ns(self) -> float:
        self.start()
        started_s = perf_counter()
        self.run()
        return 1e9 * (perf_counter() - started_s) / self.count


def untold(_what: str, _share: float) -> None:
    """Nobody wants to know how far it is."""


def measure_kernel(
    repeats: int = REPEATS, *, peers: bool = True, instructions: bool = False, progress: Progress = untold
) -> dict[str, Any]:
    """Times in ns per step, call or cell-step, and their ratios; all take turns in every round.

    `ratio_*` is kernel over floor, of the fastest of both; `ratio_median_*` that of pairs run next to each other.
    `call_ratio` is a call of the kernel over an empty call and a step of the batch; `soa_speedup` one cell's step over
    one cell's in 64. A peer that is not installed has None; without valgrind there are no instructions.
    """
    drive = bench_drive()
    taken = rounds(timed_parts(drive), repeats, partial(progress, "kernel"))
    best = {name: min(each) for name, each in taken.items()}
    figures = {f"{name}_ns{precision}": round(best[name + precision], 2) for name, precision in PAIRS}
    for precision in ("_f32", "_f64"):
        pairs = zip(taken["step" + precision], taken["floor" + precision], strict=True)
        figures["ratio" + precision] = round(best["step" + precision] / best["floor" + precision], 3)
        figures["ratio_median" + precision] = round(median(step / floor for step, floor in pairs), 3)
    figures |= {f"{name}_ns": round(best[name], 2) for name in ("call", "empty_call", "soa64", "soa1")}
    figures["call_ratio"] = round(best["call"] / (best["empty_call"] + best["step_f32"]), 3)
    figures["soa_speedup"] = round(best["step_f32"] / best["soa64"], 2)
    if peers:
        figures |= measured_peers(drive, best["step_f64"], partial(progress, "peers"))
    if instructions:
        figures |= instructions_per_step(drive, partial(progress, "instructions"))
    return figures


PAIRS = [(name, precision) for precision in ("_f32", "_f64") for name in ("step", "floor")]


def timed_parts(drive: Drive) -> dict[str, Timed]:
    parts = {}
    for precision, code in (("f32", "f"), ("f64", "d")):
        columns = drive.columns(code)
        for name, function in (("floor", FLOOR), ("step", KERNEL)):
            batch = Batch(drive.flat, columns, precision, function)
            parts[f"{name}_{precision}"] = Timed(
                partial(batch.start, START_SOC, START_SIGMA), batch.run, len(drive.dt_s)
            )
    return parts | timed_calls(drive) | {"soa64": timed_cells(drive, CELLS), "soa1": timed_cells(drive, 1)}


def timed_calls(drive: Drive) -> dict[str, Timed]:
    """One call from Python for each sample: of the kernel, and of a C function that does nothing with the same."""
    estimator = Estimator(drive.flat, "f32")
    nothing = partial(lib.assb_est_f32_nothing, estimator.c_params, estimator.c_state)
    rows = list(drive.rows())[:CALLS]

    def call_all(function: Callable[..., object]) -> None:
        for volts, amps, degc, mpa, dt_s in rows:
            function(volts, amps, degc, mpa, dt_s)

    start = partial(estimator.reset, START_SOC, START_SIGMA)
    return {
        "empty_call": Timed(start, partial(call_all, nothing), len(rows)),
        "call": Timed(start, partial(call_all, estimator.feed), len(rows)),
    }


def timed_cells(drive: Drive, count: int) -> Timed:
    """The drive's first rows for `count` cells, each with the same samples; a cell alone gets more rows."""
    rows = CELL_ROWS if count == CELLS else CELL_ROWS * LANES
    cells = CellEstimators(drive.flat, count)
    *given, dt_s = [column[:rows] for column in drive.columns("f")]
    volts, amps, degc, mpa = (array("f", [value for value in column for _ in range(count)]) for column in given)
    start = partial(cells.reset, [START_SOC] * count, [START_SIGMA] * count)
    return Timed(start, lambda: cells.run(volts, amps, degc, mpa, dt_s, results=("soc", "soc_var")), rows * count)


def rounds(parts: dict[str, Timed], repeats: int, progress: Callable[[float], object]) -> dict[str, list[float]]:
    taken = {name: [] for name in parts}
    for k in range(repeats):
        for name, part in parts.items():
            taken[name].append(part.each_ns())
        progress((k + 1) / repeats)
    return taken


def measured_peers(drive: Drive, step_ns: float, progress: Callable[[float], object]) -> dict[str, float | None]:
    """Numpy and filterpy, one step after another in Python; their time over the f64 kernel's."""
    rows = list(drive.rows())[:PEER_STEPS]
    figures: dict[str, float | None] = {}
    kinds: tuple[tuple[str, type[NumpyFilter] | type[FilterpyFilter]], ...]
    kinds = (("numpy", NumpyFilter), ("filterpy", FilterpyFilter))
    for name, peer in kinds:
        try:
            peer(drive.flat, DT_S)
        except ImportError:
            figures |= {f"{name}_ns": None, f"{name}_ratio": None}
            continue
        timed = Timed(lambda: None, partial(stepped, peer, drive.flat, rows), len(rows))
        best_ns = min(rounds({name: timed}, PEER_REPEATS, progress)[name])
        figures |= {f"{name}_ns": round(best_ns, 1), f"{name}_ratio": round(best_ns / step_ns, 1)}
    return figures


def stepped(kind: type[NumpyFilter] | type[FilterpyFilter], flat: list[float], rows: list[tuple[float, ...]]) -> None:
    peer = kind(flat, DT_S)
    for row in rows:
        peer.step(*row)


def lines(figures: dict[str, Any]) -> list[str]:
    """The figures for a reader; those that were not measured are named as such."""
    told = []
    for precision in ("f32", "f64"):
        step, floor, ratio, pairs = (
            figures[f"{name}_{precision}"] for name in ("step_ns", "floor_ns", "ratio", "ratio_median")
        )
        told.append(f"{precision}: step {step:.1f} ns, {ratio:.2f} times the floor of this run ({floor:.1f} ns)")
        told.append(f"  (median of pairs: {pairs:.2f} times)")
        if f"instructions_{precision}" in figures:
            kernel, bare = (figures[f"{name}_{precision}"] for name in ("instructions", "floor_instructions"))
            told.append(f"  {kernel:.0f} instructions, the floor {bare:.0f}")
    call = (
        "a call from Python {call_ns:.0f} ns, an empty one {empty_call_ns:.0f} ns: {call_ratio:.2f} times empty + step"
    )
    told.append(call.format(**figures))
    cells = "64 cells at once: {soa64_ns:.1f} ns a cell-step, {soa_speedup:.2f} times faster than one"
    told.append((cells + " ({soa1_ns:.1f} ns for a cell alone that way)").format(**figures))
    for name in ("numpy", "filterpy"):
        if name + "_ratio" in figures:
            told.append(peer_line(name, figures))
    if "instructions_f32" not in figures:
        told.append("instructions: counted with --instructions, where valgrind is on PATH")
    return told


def peer_line(name: str, figures: dict[str, Any]) -> str:
    if figures[name + "_ratio"] is None:
        return f"{name} is not installed: pip install 'assb-bms[bench]'"
    return (
        f"{name}: {figures[name + '_ns'] / 1000:.0f} us a step, {figures[name + '_ratio']:.0f} times the f64 kernel's"
    )
