"""One protocol on one plant: runs it in the kernel, pass after pass, and sums it up; + charges."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import inf, isfinite, nan
from time import perf_counter
from typing import Any

import numpy as np
from assb_host.errors import AssbError
from assb_kernels import Cycler, Limits, ProtocolStep, TruthEvent, run_protocol

from assb_hil.plant_file import PlantFile
from assb_hil.protocol_file import Protocol
from assb_hil.protocol_steps import DriveOptions, Ratings, Unrolled, unroll

ROWS_MAX = 20_000
EVERY_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400)
# Not in step with any drive cycle of whole minutes: rows then show all of it in time, and not one moment of it for ever
DRIVE_EVERY_S = (0.1, 0.2, 0.5, 1, 2, 5, 11, 19, 31, 61, 127, 307, 613, 1201, 1801, 3607, 7207, 14401, 43201, 86399)
STEPS_AT_ONCE = 200
# Steps end at the plant's window itself; a run is stopped when a unit is this far beyond it (A: where the relay of a
# lab's cycler would be set). A stack reaches the end of its window by an actuator that has a deadband.
VOLTAGE_MARGIN_V = 0.05
HIDDEN_MARGIN_V = 0.5  # where no tap shows a unit its voltage drifts away from the mean, in the lab too (A)
PRESSURE_MARGIN_FRAC = 0.02
COUNTERS = ("charge_ah", "discharge_ah", "charge_wh", "discharge_wh")
LABELS = ("step", "cycle", "ambient_degc")
SAME_SOC_FRAC = 0.002  # a coulombic efficiency needs equal ends

Progress = Callable[[float, float], None]  # simulated time, expected end


@dataclass(frozen=True)
class Request:
    """What is to be simulated; None: as the protocol, and after it the plant, have it."""

    plant: PlantFile
    protocol: Protocol
    soc_frac: float | None = None
    temperature_degc: float | None = None
    pressure_mpa: float | None = None
    seed: int = 1
    passes: int = 1
    duration_s: float | None = None  # instead of `passes`: repeated until then
    dt_s: float = 1.0
    every_s: float | None = None
    drive: DriveOptions = field(default_factory=DriveOptions)
    limits: bool = True  # whether the plant's limits stop the run

    def start(self, name: str, usual: float | None = None) -> float:
        """A figure of the start: the request's, else the protocol's, else the plant's."""
        given = (getattr(self, name), getattr(self.protocol.start, name), usual)
        return next(value for value in given if value is not None)


@dataclass(frozen=True)
class Cycle:
    """One cycle in figures; voltages of the terminals. `efficiency_frac`: NaN unless SOC ends where it began."""

    cycle: int
    begin_s: float
    end_s: float
    charge_ah: float
    discharge_ah: float
    charge_wh: float
    discharge_wh: float
    efficiency_frac: float
    voltage_min_v: float
    voltage_max_v: float
    pressure_min_mpa: float
    pressure_max_mpa: float
    temperature_max_degc: float
    capacity_loss_frac: float
    resistance_growth_frac: float
    events: int


@dataclass(frozen=True)
class Simulation:
    """A finished run. `columns`: names of run_protocol, `name[k]` of cell or stack k; `step` counts within a pass."""

    request: Request
    step_names: tuple[str, ...]
    columns: dict[str, np.ndarray]
    events: list[TruthEvent]
    ended: str
    detail: str
    notes: tuple[str, ...]
    dt_s: float
    every_s: float
    wall_time_s: float

    @property
    def units(self) -> int:
        return self.request.plant.units

    @property
    def stacks(self) -> int:
        return max(self.request.plant.stack_of) + 1

    @property
    def time_s(self) -> np.ndarray:
        return self.columns["time_s"]

    def of_units(self, name: str) -> np.ndarray:
        """rows × units."""
        return np.column_stack([self.columns[f"{name}[{k}]"] for k in range(self.units)])

    def of_stacks(self, name: str) -> np.ndarray:
        """rows × stacks."""
        return np.column_stack([self.columns[f"{name}[{k}]"] for k in range(self.stacks)])

    def cycles(self) -> list[Cycle]:
        """Figures of each cycle that has begun."""
        return cycles_of(self)


def cycles_of(run: Simulation) -> list[Cycle]:
    """Each cycle's rows go from the last one before it to its own last one."""
    labels = run.columns["cycle"]
    starts = np.flatnonzero(np.diff(labels, prepend=labels[0] - 1))
    begins, ends = np.maximum(starts - 1, 0), np.append(starts[1:], len(labels)) - 1
    moved = {name: run.columns[name][ends] - run.columns[name][begins] for name in COUNTERS}
    soc = run.of_units("soc").mean(axis=1)
    same_soc = np.abs(soc[ends] - soc[begins]) <= SAME_SOC_FRAC
    both_ways = (moved["charge_ah"] > 0.0) & (moved["discharge_ah"] > 0.0)
    efficiency = np.divide(
        moved["discharge_ah"], moved["charge_ah"], out=np.full(len(ends), nan), where=same_soc & both_ways
    )
    pressures, voltage_v = run.of_stacks("pressure_mpa"), run.columns["voltage_v"]
    happened = np.searchsorted(np.sort([event.time_s for event in run.events]), run.time_s[ends], side="right")
    figures = {
        "begin_s": run.time_s[begins],
        "end_s": run.time_s[ends],
        **moved,
        "efficiency_frac": efficiency,
        "voltage_min_v": _of_rows(np.minimum, voltage_v, begins, ends),
        "voltage_max_v": _of_rows(np.maximum, voltage_v, begins, ends),
        "pressure_min_mpa": _of_rows(np.minimum, pressures.min(axis=1), begins, ends),
        "pressure_max_mpa": _of_rows(np.maximum, pressures.max(axis=1), begins, ends),
        "temperature_max_degc": _of_rows(np.maximum, run.of_units("temperature_degc").max(axis=1), begins, ends),
        "capacity_loss_frac": run.of_units("capacity_loss_frac").max(axis=1)[ends],
        "resistance_growth_frac": run.of_units("resistance_growth_frac").max(axis=1)[ends],
    }
    counts = np.diff(happened, prepend=0)
    return [
        Cycle(int(labels[end]), events=int(counts[k]), **{name: float(values[k]) for name, values in figures.items()})
        for k, end in enumerate(ends)
    ]


def _of_rows(extreme: np.ufunc, values: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The extreme value of each cycle's rows, first and last included."""
    inner = extreme.reduceat(values, np.minimum(begins + 1, len(values) - 1))
    return extreme(extreme(inner, values[begins]), values[ends])


def simulate(request: Request, progress: Progress | None = None) -> Simulation:
    """Runs the protocol. Ctrl-C ends it early with what was computed (`ended` is "interrupted")."""
    began_s = perf_counter()
    unrolled = unroll(request.protocol, Ratings.of(request.plant), request.dt_s, request.drive)
    expected_s = request.duration_s or request.passes * expected_pass_s(unrolled, request.plant)
    drives = any(step.mode == "drive" for step in unrolled.steps)
    every_s = max(request.every_s or default_every_s(expected_s, DRIVE_EVERY_S if drives else EVERY_S), request.dt_s)
    runner = _Runner(
        request, unrolled, every_s, None if progress is None else lambda now_s: progress(now_s, expected_s)
    )
    runner.run()
    return Simulation(
        request=request,
        step_names=unrolled.names,
        columns=joined(runner.parts),
        events=runner.events,
        ended=runner.ended,
        detail=runner.detail,
        notes=unrolled.notes,
        dt_s=request.dt_s,
        every_s=every_s,
        wall_time_s=perf_counter() - began_s,
    )


class _Runner:
    """Pass after pass on one pack, several passes to a call of the kernel."""

    def __init__(self, request: Request, unrolled: Unrolled, every_s: float, progress: Callable[[float], None] | None):
        plant, usual = request.plant, request.plant.limits
        self.request = request
        self.unrolled = unrolled
        self.every_s = every_s
        self.progress = progress
        self.ambient_degc = request.start("temperature_degc", usual.temperature_degc)
        self.aim_mpa = request.start("pressure_mpa", usual.pressure_mpa)
        try:
            self.pack = plant.pack(request.start("soc_frac"), self.ambient_degc, self.aim_mpa, request.seed)
        except ValueError as error:
            raise AssbError(str(error), str(plant.path)) from None
        self.cycler = Cycler(plant.cycler)
        self.limits = guard_limits(plant) if request.limits else Limits()
        self.parts: list[dict[str, np.ndarray]] = []
        self.events: list[TruthEvent] = []
        self.ended, self.detail = "finished", ""

    def run(self) -> None:
        """Raises KeyboardInterrupt only when there is nothing to keep yet."""
        try:
            self._all_passes()
        except KeyboardInterrupt:
            if not self.parts:
                raise
            self.ended, self.detail = "interrupted", ""

    def _all_passes(self) -> None:
        done, total = 0, self.request.passes if self.request.duration_s is None else inf
        stop_s = inf if self.request.duration_s is None else self.request.duration_s
        while self.ended == "finished" and done < total and self.pack.time_s < stop_s:
            count = int(min(max(STEPS_AT_ONCE // len(self.unrolled.steps), 1), total - done))
            began_s = self.pack.time_s
            self._passes(done, count)
            done += count
            if self.pack.time_s - began_s < self.request.dt_s and done < total:
                self.ended, self.detail = "idle", "no step of the protocol takes time any more"
            if self.progress is not None:
                self.progress(self.pack.time_s)

    def _passes(self, done: int, count: int) -> None:
        steps = [
            step for turn in range(done, done + count) for step in self.unrolled.shifted(turn * self.unrolled.cycles)
        ]
        if not done:
            steps[0] = self._started(steps[0])
        try:
            result = run_protocol(
                self.pack,
                steps,
                self.limits,
                dt_s=self.request.dt_s,
                every_s=self.every_s,
                cycler=self.cycler,
                progress=self.progress,
                stop_s=inf if self.request.duration_s is None else self.request.duration_s,
            )
        except ValueError as error:
            raise AssbError(str(error), str(self.request.protocol.path)) from None
        columns = {name: np.array(values, dtype=float) for name, values in result.columns.items()}
        columns["step"] = columns["step"] % len(self.unrolled.steps)
        self.parts.append(columns)
        self.events += result.events
        self.ended, self.detail = result.ended, result.detail

    def _started(self, step: ProtocolStep) -> ProtocolStep:
        """The first step, with the room and the aim that the run starts with unless it has its own."""
        ambient_degc = step.ambient_degc if isfinite(step.ambient_degc) else self.ambient_degc
        aim_mpa = step.aim_mpa if isfinite(step.aim_mpa) else self.aim_mpa
        return replace(step, ambient_degc=ambient_degc, aim_mpa=aim_mpa)


def guard_limits(plant: PlantFile) -> Limits:
    """What stops a run: a little beyond the window that protocols work in."""
    limits = plant.limits.protocol()
    room_mpa = PRESSURE_MARGIN_FRAC * limits.pressure_max_mpa
    room_v = VOLTAGE_MARGIN_V if plant.taps else HIDDEN_MARGIN_V
    return replace(
        limits,
        voltage_min_v=limits.voltage_min_v - room_v,
        voltage_max_v=limits.voltage_max_v + room_v,
        pressure_min_mpa=max(limits.pressure_min_mpa - room_mpa, 0.0),
        pressure_max_mpa=limits.pressure_max_mpa + room_mpa,
    )


def joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """One table of all passes: a pass begins with the row that the last one ended with, and counts from zero."""
    whole: dict[str, Any] = {}
    for name in LABELS:  # the first row stands before the first step
        parts[0][name][0] = parts[0][name][min(1, len(parts[0][name]) - 1)]
    for name in parts[0]:
        pieces, carried = [parts[0][name]], 0.0
        for before, part in pairwise(parts):
            carried += before[name][-1] if name in COUNTERS else 0.0
            pieces.append(part[name][1:] + carried if name in COUNTERS else part[name][1:])
        whole[name] = np.concatenate(pieces)
    return whole


def default_every_s(expected_s: float, usual_s: tuple[float, ...] = EVERY_S) -> float:
    """Interval of rows that gives at most ROWS_MAX of them."""
    return next((every_s for every_s in usual_s if expected_s / every_s <= ROWS_MAX), expected_s / ROWS_MAX)


def expected_pass_s(unrolled: Unrolled, plant: PlantFile) -> float:
    """About how long a pass takes, for the progress bar and the interval of rows."""
    capacity_ah = plant.cell.capacity_ah
    return sum(expected_step_s(step, capacity_ah) for step in unrolled.steps)


def expected_step_s(step: ProtocolStep, capacity_ah: float) -> float:
    ends = [step.until_s]
    if step.mode == "current":
        ah = capacity_ah if has_end_voltage(step) else inf
        ends.append(3600.0 * min(ah, step.until_ah if isfinite(step.until_ah) else inf) / abs(step.current_a))
    elif step.mode == "voltage":
        ends.append(2 * 3600.0)
    elif step.mode == "drive" and has_end_voltage(step):
        ends.append(step.until_s / 2.5)
    return min(ends)


def has_end_voltage(step: ProtocolStep) -> bool:
    return isfinite(step.until_voltage_v) or isfinite(step.until_unit_voltage_v)
