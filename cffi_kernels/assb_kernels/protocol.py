"""Protocols: steps that run on a pack without leaving C. The rules stand in assb_protocol.h."""

import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

from assb_kernels._kernels import ffi, lib
from assb_kernels.columns import column, pointer
from assb_kernels.cycler import Cycler
from assb_kernels.pack import Pack, PackMemory, TruthEvent
from assb_kernels.results import Sinks
from assb_kernels.status import STATUS_TEXT

nan = math.nan
MODES: dict[str, int] = {
    "rest": lib.ASSB_REST,
    "current": lib.ASSB_CURRENT,
    "voltage": lib.ASSB_VOLTAGE,
    "drive": lib.ASSB_DRIVE,
}
LIMITS: dict[int, tuple[str, str]] = {  # kind → field of Limits, and of what
    lib.ASSB_VOLTAGE_LOW: ("voltage_min_v", "cell"),
    lib.ASSB_VOLTAGE_HIGH: ("voltage_max_v", "cell"),
    lib.ASSB_PRESSURE_LOW: ("pressure_min_mpa", "stack"),
    lib.ASSB_PRESSURE_HIGH: ("pressure_max_mpa", "stack"),
    lib.ASSB_TEMPERATURE_LOW: ("temperature_min_degc", "cell"),
    lib.ASSB_TEMPERATURE_HIGH: ("temperature_max_degc", "cell"),
}
RUN_COLUMNS = (
    "step",
    "cycle",
    "step_s",
    "step_ah",
    "charge_ah",
    "discharge_ah",
    "charge_wh",
    "discharge_wh",
    "ambient_degc",
    "heater_w",
)
PACK_COLUMNS = ("time_s", "current_a", "voltage_v")
CELL_COLUMNS = (
    "voltage_v",
    "soc",
    "temperature_degc",
    "surface_degc",
    "r0_ohm",
    "ocv_v",
    "theta",
    "filament_length",
    "short_s",
    "short_a",
    "height_um",
    "capacity_loss_frac",
    "resistance_growth_frac",
)
STACK_COLUMNS = ("pressure_mpa", "gap_um", "creep_um", "steps")
ROWS_AT_ONCE = 4096
TICKS_AT_ONCE = 200_000  # some 30 ms of C between two looks at the progress and at Ctrl-C
PROGRESS_S = 0.2


@dataclass(frozen=True)
class ProtocolStep:
    """One step. `mode`: "rest"; "current" (current_a, + charges); "voltage" (voltage_v of the whole pack, with at most
    current_a either way); "drive" (the column drive_a, each value for drive_dt_s, repeated until an end is met and
    played once if until_s is NaN).

    It ends at whichever comes first; NaN or inf: no such end. until_voltage_v: of the whole pack, passed in the
    direction of the current (a drive: on discharge). until_unit_voltage_v: likewise, of the first cell; a held voltage
    gives way there and goes on. until_current_a: |current| of a held voltage at or below it.
    until_ah: net charge moved in this step. ambient_degc, heater_w and aim_mpa (of every actuator): NaN leaves them.
    `cycle` is a label for the rows.
    """

    mode: str
    current_a: float = nan
    voltage_v: float = nan
    until_s: float = nan
    until_voltage_v: float = nan
    until_unit_voltage_v: float = nan
    until_current_a: float = nan
    until_ah: float = nan
    ambient_degc: float = nan
    heater_w: float = nan
    aim_mpa: float = nan
    drive_a: Iterable[float] | None = None
    drive_dt_s: float = nan
    cycle: int = 0


@dataclass(frozen=True)
class Limits:
    """What stops a run; NaN: no such limit. Voltages and core temperatures of each cell, pressures of each stack."""

    voltage_min_v: float = nan
    voltage_max_v: float = nan
    pressure_min_mpa: float = nan
    pressure_max_mpa: float = nan
    temperature_min_degc: float = nan
    temperature_max_degc: float = nan


@dataclass(frozen=True)
class BrokenLimit:
    """What stopped a run: cell or stack (`whose`) number `at` had `value` beyond the field `name` of Limits, at time_s
    of the pack, in the step at position `step`."""

    whose: str
    at: int
    name: str
    value: float
    limit: float
    time_s: float
    step: int

    def __str__(self) -> str:
        beyond = f"{self.value:.6g} is beyond {self.name} = {self.limit:.6g}"
        return f"{self.whose} {self.at}: {beyond} at {self.time_s:.6g} s, in step {self.step}"


@dataclass(frozen=True)
class ProtocolResult:
    """A run. `columns`: name → one value per row; "name[k]" of cell or stack k. `ended`: "finished", "limit" (`broken`
    is which one, where and when; `detail` says it) or "interrupted"."""

    columns: "dict[str, array[Any]]"
    events: list[TruthEvent]
    ended: str
    broken: BrokenLimit | None = None

    @property
    def detail(self) -> str:
        return "" if self.broken is None else str(self.broken)


def run_protocol(
    pack: Pack,
    steps: Sequence[ProtocolStep],
    limits: Limits | None = None,
    *,
    dt_s: float,
    every_s: float,
    cycler: Cycler | None = None,
    progress: Callable[[float], Any] | None = None,
    stop_s: float = math.inf,
    short_s: Sequence[float] | None = None,
    results: Iterable[str] | None = None,
) -> ProtocolResult:
    """Runs `steps` on `pack` from where it is; its time goes on.

    dt_s: time step, shortened where a step ends. every_s: interval of rows within a step; there is a row at the begin
    and at the end of each step besides. cycler: gives its slew rate and largest current; None: an ideal source. stop_s:
    the pack's time at which the run is over. short_s: injected shorts, per cell, siemens. results: names beside those
    of the run (RUN_COLUMNS) and of the pack, as in Pack.run; None: a usual choice for every cell and stack.
    progress(time_s) is called a few times a second; when it returns False, or at Ctrl-C, the run ends as
    "interrupted" with all that was computed so far. An exception of progress() goes through: the pack stays where it
    was then and keeps its events, the rows are lost.
    Raises ValueError for a step that makes no sense (says which), or an input that the plant refuses; RuntimeError
    while this pack is being run.
    """
    with pack.turn():
        run = _Run(pack, steps, limits or Limits(), dt_s, every_s, cycler, stop_s, short_s, results)
        return run.result(progress)


class _Run:
    """The C state of one run, and the rows that came out of it so far."""

    def __init__(
        self,
        pack: Pack,
        steps: Sequence[ProtocolStep],
        limits: Limits,
        dt_s: float,
        every_s: float,
        cycler: Cycler | None,
        stop_s: float,
        short_s: Sequence[float] | None,
        results: Iterable[str] | None,
    ) -> None:
        self.pack, self.limits, self.steps = pack, limits, steps
        self._buffers: dict[int, tuple[Any, Any]] = {}
        self._steps = ffi.new("assb_protocol_step[]", [self._values(k, step) for k, step in enumerate(steps)])
        self._spare = PackMemory(pack.cell_params, pack.stack_params, pack.stack_of)
        self._cycler = cycler
        self.run = run = ffi.new("assb_protocol *")
        run.pack, run.spare, run.log = pack.memory.pack, self._spare.pack, pack.log
        run.cycler = ffi.NULL if cycler is None else cycler.c_params
        run.steps, run.step_count = self._steps, len(steps)
        run.limits = asdict(limits)
        run.dt_s, run.every_s, run.stop_s = dt_s, every_s, stop_s
        run.ambient_degc, run.heater_w = pack.surroundings
        self._demand_sound()
        pack.set_shorts(short_s)
        more = {name: ffi.addressof(run, name) for name in RUN_COLUMNS}
        names = self._usual() if results is None else list(results)
        self._sinks = Sinks(pack.memory.pack, [*PACK_COLUMNS, *RUN_COLUMNS, *names], ROWS_AT_ONCE, more)
        run.sinks, run.sink_count, run.row_capacity = self._sinks.array, self._sinks.count, ROWS_AT_ONCE
        self._widths = {name: len(values) // ROWS_AT_ONCE for name, values in self._sinks.columns.items()}
        self.columns: dict[str, array[Any]] = {name: array("d") for name in self._widths}
        self._end: int = lib.ASSB_RUNNING
        self._result: ProtocolResult | None = None

    def _usual(self) -> list[str]:
        cells, stacks = range(len(self.pack.cells)), range(len(self.pack.stacks))
        return [f"{name}[{k}]" for k in cells for name in CELL_COLUMNS] + [
            f"{name}[{k}]" for k in stacks for name in STACK_COLUMNS
        ]

    def _values(self, k: int, step: ProtocolStep) -> dict[str, Any]:
        """As cffi fills an assb_protocol_step; equal drive columns share one buffer."""
        if step.mode not in MODES:
            raise ValueError(f"step {k}: mode {step.mode!r} is none of {', '.join(MODES)}")
        values = {**vars(step), "mode": MODES[step.mode], "drive_a": ffi.NULL}
        if step.drive_a is not None:
            if id(step.drive_a) not in self._buffers:
                buffer = column(step.drive_a, "d")
                self._buffers[id(step.drive_a)] = (buffer, pointer(buffer, "d"))
            buffer, values["drive_a"] = self._buffers[id(step.drive_a)]
            values["drive_n"] = len(buffer)
        return values

    def _demand_sound(self) -> None:
        at = ffi.new("long *")
        status = lib.assb_protocol_check(self.run, at)
        if status == lib.ASSB_BAD_DT:
            raise ValueError(f"dt_s is {self.run.dt_s}, needs 1e-9 to 1e6; every_s is {self.run.every_s}, needs > 0")
        if status != lib.ASSB_OK:
            needs = "a finite current or voltage for its mode, no end below 0, and an end that is sure to come"
            raise ValueError(f"step {at[0]}: {self.steps[at[0]]} can't be run; it needs {needs}")

    def result(self, progress: Callable[[float], Any] | None) -> ProtocolResult:
        """Runs to the end; raises ValueError for an input that the plant refuses."""
        try:
            self._to_the_end(progress)
            return self._outcome()
        except KeyboardInterrupt:
            return self._outcome()
        finally:
            self.pack.surroundings = (self.run.ambient_degc, self.run.heater_w)

    def _outcome(self) -> ProtocolResult:
        """Broken off by Ctrl-C, it may be called again."""
        pack, run = self.pack, self.run
        if self._end == lib.ASSB_REFUSED:
            step = self.steps[run.at_step]
            raise ValueError(
                f"step {run.at_step} at {pack.time_s:g} s refused: {STATUS_TEXT[run.status]} (ambient "
                f"{run.ambient_degc} degC, heater {run.heater_w} W, {step})"
            )
        if self._result is None:
            self._take_rows()
            ended = {lib.ASSB_FINISHED: "finished", lib.ASSB_LIMIT_BROKEN: "limit"}.get(self._end, "interrupted")
            broken = self._broken() if ended == "limit" else None
            self._result = ProtocolResult(self.columns, pack.events(), ended, broken)
        pack.drain_events()
        return self._result

    def _to_the_end(self, progress: Callable[[float], Any] | None) -> None:
        run, told_s = self.run, perf_counter()
        while True:
            self._end = lib.assb_protocol_run(run, TICKS_AT_ONCE)
            if self._end == lib.ASSB_ROWS_FULL:
                self._take_rows()
            elif self._end == lib.ASSB_EVENTS_FULL:
                self.pack.take_events()
            elif self._end != lib.ASSB_RUNNING:
                return
            if progress is not None and perf_counter() - told_s >= PROGRESS_S:
                told_s = perf_counter()
                if progress(self.pack.time_s) is False:
                    return

    def _take_rows(self) -> None:
        """Out of C's room. Broken off by Ctrl-C, the next call does all of it: rows go to their places, and it is one
        call of C that declares them taken."""
        run = self.run
        for name, values in self._sinks.columns.items():
            width = self._widths[name]
            self.columns[name][run.rows_taken * width :] = values[: run.rows * width]
        lib.assb_protocol_rows_taken(run)

    def _broken(self) -> BrokenLimit:
        run = self.run
        name, whose = LIMITS[run.limit]
        limit = getattr(self.limits, name)
        return BrokenLimit(whose, run.limit_at, name, run.limit_value, limit, self.pack.time_s, int(run.step))
