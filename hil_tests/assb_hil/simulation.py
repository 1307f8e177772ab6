"""One protocol on one plant: runs it in the kernel, pass after pass, and sums it up; + charges."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import inf, isfinite
from time import perf_counter

import numpy as np
from assb_host.errors import AssbError
from assb_kernels import Cycler, Limits, Pack, ProtocolStep, TruthEvent, run_protocol

from assb_hil.plant_file import PlantFile
from assb_hil.protocol_file import Protocol
from assb_hil.protocol_steps import DriveOptions, Ratings, Unrolled, has_end_voltage, unroll
from assb_hil.simulation_cycles import Cycle, cycles_of, table_of
from assb_hil.simulation_guard import check_start, guard_limits, limit_said
from assb_hil.simulation_press import PressStop, press_stops
from assb_hil.simulation_rows import (
    DRIVE_EVERY_S,
    EVERY_S,
    ROWS_MAX,
    default_every_s,
    expected_pass_s,
    joined,
    kept_rows,
)

STEPS_AT_ONCE = 200
AT_ONCE_DT = 1e-2  # a step shorter than this share of a time step had met its end before it began

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

    @property
    def room_degc(self) -> float:
        return self.start("temperature_degc", self.plant.limits.temperature_degc)

    @property
    def aim_mpa(self) -> float:
        return self.start("pressure_mpa", self.plant.limits.pressure_mpa)

    def pack(self) -> Pack:
        """As it is found. Raises AssbError."""
        try:
            return self.plant.pack(self.start("soc_frac"), self.room_degc, self.aim_mpa, self.seed)
        except ValueError as error:
            raise AssbError(str(error), str(self.plant.path)) from None


@dataclass(frozen=True)
class Simulation:
    """A finished run. `columns`: names of run_protocol and aim_mpa, `name[k]` of cell or stack k; `step` counts within
    a pass. `cycles` and `press_stops` come from all rows, of which `columns` has a bounded number."""

    request: Request
    step_names: tuple[str, ...]
    columns: dict[str, np.ndarray]
    cycles: list[Cycle]
    press_stops: list[PressStop]
    events: list[TruthEvent]
    ended: str
    detail: str
    notes: tuple[str, ...]
    dt_s: float
    every_s: float
    rows_made: int
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
        return table_of(self.columns, name, self.units)

    def of_stacks(self, name: str) -> np.ndarray:
        """rows × stacks."""
        return table_of(self.columns, name, self.stacks)


def simulate(request: Request, progress: Progress | None = None) -> Simulation:
    """Runs the protocol. Ctrl-C ends it early with what was computed (`ended` is "interrupted")."""
    began_s = perf_counter()
    notes = check_start(request)
    pack = request.pack()
    guard = guard_limits(request.plant) if request.limits else None
    ratings = Ratings.of(request.plant, pack, request.room_degc, request.aim_mpa, guard)
    unrolled = unroll(request.protocol, ratings, request.dt_s, request.drive)
    expected_s = request.duration_s or request.passes * expected_pass_s(unrolled, request.plant)
    drives = any(step.mode == "drive" for step in unrolled.steps)
    every_s = max(request.every_s or default_every_s(expected_s, DRIVE_EVERY_S if drives else EVERY_S), request.dt_s)
    runner = _Runner(
        request, pack, guard, unrolled, every_s, None if progress is None else lambda now_s: progress(now_s, expected_s)
    )
    runner.run()
    columns = joined(runner.parts)
    kept = kept_rows(columns, ROWS_MAX if request.every_s is None else len(columns["time_s"]))
    return Simulation(
        request=request,
        step_names=unrolled.names,
        columns={name: values[kept] for name, values in columns.items()},
        cycles=cycles_of(columns, runner.events, request.plant, request.seed),
        press_stops=press_stops(columns, request.plant),
        events=runner.events,
        ended=runner.ended,
        detail=runner.detail,
        notes=(*notes, *unrolled.notes, *runner.over_at_once()),
        dt_s=request.dt_s,
        every_s=every_s,
        rows_made=len(columns["time_s"]),
        wall_time_s=perf_counter() - began_s,
    )


class _Runner:
    """Pass after pass on one pack, several passes to a call of the kernel."""

    def __init__(
        self,
        request: Request,
        pack: Pack,
        guard: Limits | None,
        unrolled: Unrolled,
        every_s: float,
        progress: Callable[[float], None] | None,
    ):
        self.request = request
        self.pack = pack
        self.limits = guard or Limits()
        self.unrolled = unrolled
        self.every_s = every_s
        self.progress = progress
        self.aim_mpa = request.aim_mpa
        self.cycler = Cycler(request.plant.cycler)
        self.parts: list[dict[str, np.ndarray]] = []
        self.events: list[TruthEvent] = []
        self.at_once = np.zeros(len(unrolled.steps), dtype=int)
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
        columns["aim_mpa"] = self._aims(steps)[columns["step"].astype(int)]
        columns["step"] = columns["step"] % len(self.unrolled.steps)
        self._count_at_once(columns)
        self.parts.append(columns)
        self.events += result.events
        self.ended = result.ended
        self.detail = limit_said(result.broken, self.request.plant, self.unrolled.names, done)

    def _aims(self, steps: list[ProtocolStep]) -> np.ndarray:
        """What the press aims at in each step: what the last step that said so wanted."""
        aims = []
        for step in steps:
            self.aim_mpa = step.aim_mpa if isfinite(step.aim_mpa) else self.aim_mpa
            aims.append(self.aim_mpa)
        return np.array(aims)

    def _count_at_once(self, columns: dict[str, np.ndarray]) -> None:
        """Steps that had met their voltage before they began; each has one row, after the first of the call."""
        short = columns["step"][1:][columns["step_s"][1:] < AT_ONCE_DT * self.request.dt_s].astype(int)
        self.at_once += np.bincount(short, minlength=len(self.at_once))

    def over_at_once(self) -> list[str]:
        """What to say of them."""
        return [
            f"step {k} ({self.unrolled.names[k]}) was over at once, {count} ×: its voltage was reached before it began"
            for k, count in enumerate(self.at_once)
            if count and has_end_voltage(self.unrolled.steps[k])
        ]

    def _started(self, step: ProtocolStep) -> ProtocolStep:
        """The first step, with the room and the aim that the run starts with unless it has its own."""
        ambient_degc = step.ambient_degc if isfinite(step.ambient_degc) else self.request.room_degc
        aim_mpa = step.aim_mpa if isfinite(step.aim_mpa) else self.aim_mpa
        return replace(step, ambient_degc=ambient_degc, aim_mpa=aim_mpa)
