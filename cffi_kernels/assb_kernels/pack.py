"""Cells in series in their stacks: the simulated plant. Equations stand in assb_pack.h and the headers it names."""

import math
import threading
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

from assb_kernels._kernels import ffi, lib
from assb_kernels.cell import STRAIGHT, AgeingParams, CellParams, CellView, FilamentParams, VoidParams, cell_values
from assb_kernels.columns import Feed, column
from assb_kernels.results import Sinks
from assb_kernels.stack import ActuatorParams, Stack, StackParams, StackView, actuator_values, stack_values
from assb_kernels.status import STATUS_TEXT, demand_ok, demand_parameters

Series = float | Iterable[float]

EVENT_KINDS: dict[int, str] = {
    lib.ASSB_BRIDGE: "bridge",
    lib.ASSB_DEEPENED: "deepened",
    lib.ASSB_BURN_OUT: "burn_out",
    lib.ASSB_HARD_SHORT: "hard_short",
    lib.ASSB_VOIDED: "voided",
    lib.ASSB_UNTOLD: "untold",
}
# They pass every check, with all that may be off switched on: a parameter that spoils them is named
SOUND_CELL = cell_values(
    CellParams(
        1.0,
        [3.0 + k for k in STRAIGHT],
        1.0,
        1.0,
        voids=VoidParams(rate_per_s=1.0),
        filament=FilamentParams(growth_per_s=1.0, creep_per_s=(1.0, 1.0), bridge_per_s=1.0, burn_median_j=1.0),
        ageing=AgeingParams(calendar_frac_per_rt_day=1.0, cycle_frac_per_rt_cycle=1.0),
    )
)
SOUND_STACK = stack_values(StackParams())
SOUND_ACTUATOR = actuator_values(ActuatorParams())
EVENT_ROOM = 1024  # events that C may write before Python takes them


@dataclass(frozen=True)
class TruthEvent:
    """What really happened in a cell: `value` is ohm for bridge, deepened and hard_short, J for burn_out, theta for
    voided (crossing 0.1 upwards), and for untold the number of further events of a step that had more than 15."""

    time_s: float
    cell: int
    kind: str
    value: float


class Pack:
    """Cells in series, each standing in a stack; one current through all of them. Positive current charges.

    `stack_of[k]` is the index of the stack of cell k; by default each cell has its own, or all stand in the only one.
    Starts at rest: `soc` and `temperature_degc` per cell (or one number), `pressure_mpa` per stack (or one number).
    All randomness comes from `seed`. Raises ValueError for parameters or a start that make no sense.
    """

    def __init__(
        self,
        cells: Sequence[CellParams],
        stacks: Sequence[Stack],
        stack_of: Sequence[int] | None = None,
        *,
        soc: float | Sequence[float] = 0.5,
        temperature_degc: float | Sequence[float] = 25.0,
        pressure_mpa: float | Sequence[float] = 5.0,
        seed: int = 0,
    ) -> None:
        self.cell_params = tuple(cells)
        self.stack_params = tuple(stacks)
        self.stack_of = _stack_of(len(self.cell_params), len(self.stack_params), stack_of)
        self.memory = PackMemory(self.cell_params, self.stack_params, self.stack_of)
        self.log = ffi.new("assb_event_log *")
        self._room = ffi.new("assb_event[]", EVENT_ROOM + (lib.ASSB_TOLD_MOST + 1) * len(self.cell_params))
        self.log.event, self.log.capacity = self._room, len(self._room)
        self._events: dict[int, TruthEvent] = {}  # by their number since the first
        self._lock = threading.Lock()
        self._input = ffi.new("assb_pack_input *")
        pack = self.memory.pack
        self.stacks = tuple(
            StackView(
                self.memory, pack.stack_params[k], pack.stack[k], pack.actuator[k], pack.actuator_input[k],
                pack.actuator_params[k],
            )
            for k in range(pack.stacks)
        )  # fmt: skip
        self.cells = tuple(
            CellView(self.memory, pack.cell_params + k, pack.cell[k], pack.stack[at])
            for k, at in enumerate(self.stack_of)
        )
        self.reset(soc, temperature_degc, pressure_mpa, seed)

    def reset(
        self,
        soc: float | Sequence[float],
        temperature_degc: float | Sequence[float],
        pressure_mpa: float | Sequence[float],
        seed: int = 0,
    ) -> None:
        """Back to rest, time 0, without events. Raises ValueError for a start out of range, and changes
        nothing then."""
        if not 0 <= seed < 2**64:
            raise ValueError(f"seed is {seed}, needs an integer from 0 to 2**64 - 1")
        cells, stacks = len(self.cells), len(self.stacks)
        start = (_each(soc, cells, "soc"), _each(temperature_degc, cells, "temperature_degc"))
        pressed = _each(pressure_mpa, stacks, "pressure_mpa")
        where = f"pack reset (soc {soc}, temperature {temperature_degc} degC, pressure {pressure_mpa} MPa)"
        with self.turn():
            demand_ok(lib.assb_pack_reset(self.memory.pack, *start, pressed, seed), where)
            lib.assb_event_log_clear(self.log)
            self._events.clear()
            self.surroundings = (start[1][0], 0.0)

    def step(
        self,
        current_a: float,
        dt_s: float,
        ambient_degc: float = 25.0,
        heater_w: float = 0.0,
        short_s: Sequence[float] | None = None,
        aim_mpa: float | Sequence[float] | None = None,
        steps_per_s: float | Sequence[float] | None = None,
    ) -> int:
        """Advance by dt_s, inputs held; returns 0, or a negative status (STATUS_TEXT) and changes nothing.

        heater_w: of the whole pack, shared equally. short_s: per cell, conductance of an injected short, siemens; None:
        none. aim_mpa: per stack or one for all, what the regulator (or the stepper's own controller) shall hold; None
        or NaN: the regulator keeps its set point, the screw has no controller. steps_per_s: the screw's rate, + opens.
        Raises ValueError for a sequence of the wrong length.
        """
        given, pack = self._input, self.memory.pack
        with self.turn():
            given.current_a = current_a
            given.ambient_degc = ambient_degc
            given.heater_w = heater_w
            self.set_shorts(short_s)
            for k, value in enumerate(_given(aim_mpa, math.nan, pack.stacks, "aim_mpa")):
                pack.actuator_input[k].aim_mpa = value
            for k, value in enumerate(_given(steps_per_s, 0.0, pack.stacks, "steps_per_s")):
                pack.actuator_input[k].steps_per_s = value
            status = lib.assb_pack_step(pack, given, self.log, dt_s)
            if status == lib.ASSB_LOG_FULL:
                self.take_events()
                status = lib.assb_pack_step(pack, given, self.log, dt_s)
            return status

    def run(
        self,
        current_a: Iterable[float],
        dt_s: float,
        ambient_degc: Series = 25.0,
        heater_w: Series = 0.0,
        short_s: Sequence[Series] | None = None,
        aim_mpa: Sequence[Series] | None = None,
        steps_per_s: Sequence[Series] | None = None,
        results: Iterable[str] = ("voltage_v", "soc", "temperature_degc", "pressure_mpa"),
    ) -> "dict[str, array[Any]]":
        """n steps of dt_s in C. Inputs as in `step`, each a column of n values (float64 buffers are used in place) or
        one number.

        Returns the named columns (see results.RESULTS), n values each. "soc[2]" is that of cell 2; pressure_mpa,
        creep_um, gap_um, drive_mpa and steps belong to stacks. "soc" alone is n values with one cell; with more it is n
        rows of one value per cell (or stack): numpy.frombuffer(column).reshape(n, -1). But "voltage_v", "current_a" and
        "time_s" alone are the pack's.
        Raises ValueError for unequal lengths, an unknown result, or an input that a step refuses (says which; the steps
        before it were taken).
        """
        first = column(current_a, "d")
        pack, count = self.memory.pack, len(first)
        feed = Feed(count)
        inputs = {
            "current_a": feed.series(first, "current_a"),
            "ambient_degc": feed.series(ambient_degc, "ambient_degc"),
            "heater_w": feed.series(heater_w, "heater_w"),
            "short_s": feed.each([0.0] * pack.cells if short_s is None else short_s, pack.cells, "short_s"),
            "aim_mpa": feed.each([math.nan] * pack.stacks if aim_mpa is None else aim_mpa, pack.stacks, "aim_mpa"),
            "steps_per_s": feed.each(
                [0.0] * pack.stacks if steps_per_s is None else steps_per_s, pack.stacks, "steps_per_s"
            ),
        }
        columns, sinks, status = ffi.new("assb_pack_series *", inputs), Sinks(pack, results, count), ffi.new("int *")
        row = 0
        with self.turn():
            while row < count:
                row = lib.assb_pack_run(pack, columns, sinks.array, sinks.count, self.log, dt_s, row, count, status)
                if status[0] == lib.ASSB_LOG_FULL:
                    self.take_events()
                elif status[0] != lib.ASSB_OK:
                    seen = ", ".join(f"{name} {value:g}" for name, value in feed.row(row).items())
                    raise ValueError(f"pack run: input {row} refused: {STATUS_TEXT[status[0]]} ({seen}, dt_s {dt_s:g})")
        return sinks.columns

    def turn(self) -> threading.Lock:
        """To hold while C works on this pack. Raises RuntimeError while somebody does: another thread, or the run whose
        progress() has called back into its pack."""
        if self._lock.locked():
            raise RuntimeError("this pack is being run: a pack takes one step, run or reset at a time")
        return self._lock  # should two threads come this far at once, `with` lets the second one wait

    def set_shorts(self, short_s: Sequence[float] | None) -> None:
        """Conductances of injected shorts, per cell, siemens; None: none."""
        pack = self.memory.pack
        for k, value in enumerate(_given(short_s, 0.0, pack.cells, "short_s")):
            pack.short_s[k] = value

    @property
    def surroundings(self) -> tuple[float, float]:
        """Room, degC, and heater, W, as they were last given; the room is at first as warm as cell 0."""
        return self._input.ambient_degc, self._input.heater_w

    @surroundings.setter
    def surroundings(self, value: tuple[float, float]) -> None:
        self._input.ambient_degc, self._input.heater_w = value

    @property
    def event_count(self) -> int:
        """Events that drain_events would give."""
        self.take_events()
        return len(self._events)

    def take_events(self) -> None:
        """Out of C's log, so that it has room again. Broken off by Ctrl-C, the next call does all of it: each event
        goes to the place of its number."""
        for k, event in enumerate(self._room[0 : self.log.count], self.log.cleared):
            self._events[k] = TruthEvent(event.time_s, event.cell, EVENT_KINDS[event.kind], event.value)
        lib.assb_event_log_clear(self.log)

    def events(self) -> list[TruthEvent]:
        """As drain_events, which keeps none of them."""
        self.take_events()
        return sorted(self._events.values(), key=lambda event: event.time_s)

    def drain_events(self) -> list[TruthEvent]:
        """All events since the last call, in the order in which they happened."""
        events = self.events()
        self._events = {}
        return events

    def state_bytes(self) -> bytes:
        """All of the state as it lies in memory, to compare."""
        return self.memory.state_bytes()

    @property
    def voltage_v(self) -> float:
        """Of all cells in series."""
        return self.memory.pack.voltage_v

    @property
    def current_a(self) -> float:
        """Of the last step."""
        return self.memory.pack.current_a

    @property
    def time_s(self) -> float:
        """Since reset."""
        return self.memory.pack.time_s


class PackMemory:
    """An assb_pack and its arrays. Raises ValueError for parameters that make no sense."""

    def __init__(self, cells: Sequence[CellParams], stacks: Sequence[Stack], stack_of: Sequence[int]) -> None:
        cell_rows = [cell_values(params) for params in cells]
        stack_rows = [stack_values(entry.stack) for entry in stacks]
        actuator_rows = [actuator_values(entry.actuator) for entry in stacks]
        for k, row in enumerate(cell_rows):
            demand_parameters(lib.assb_cell_check, "assb_cell_params *", row, SOUND_CELL, f"parameters of cell {k}")
        for k, row in enumerate(stack_rows):
            demand_parameters(lib.assb_stack_check, "assb_stack_params *", row, SOUND_STACK, f"parameters of stack {k}")
        for k, row in enumerate(actuator_rows):
            good = {**SOUND_ACTUATOR, "kind": row["kind"]}
            demand_parameters(
                lib.assb_actuator_check, "assb_actuator_params *", row, good, f"parameters of actuator {k}"
            )
        self.arrays = {
            "cell_params": ffi.new("assb_cell_params[]", cell_rows),
            "cell": ffi.new("assb_cell_state[]", len(cells)),
            "stack_of": ffi.new("int[]", list(stack_of)),
            "short_s": ffi.new("double[]", len(cells)),
            "stack_params": ffi.new("assb_stack_params[]", stack_rows),
            "stack": ffi.new("assb_stack_state[]", len(stacks)),
            "actuator_params": ffi.new("assb_actuator_params[]", actuator_rows),
            "actuator": ffi.new("assb_actuator_state[]", len(stacks)),
            "actuator_input": ffi.new("assb_actuator_input[]", len(stacks)),
        }
        self.pack = ffi.new("assb_pack *", {"cells": len(cells), "stacks": len(stacks), **self.arrays})
        demand_ok(lib.assb_pack_check(self.pack), "pack")

    def state_bytes(self) -> bytes:
        pack = self.pack
        outcome = (pack.voltage_v, pack.current_a, pack.time_s, pack.time_lost_s)
        states = [bytes(ffi.buffer(self.arrays[name])) for name in ("cell", "stack", "actuator")]
        return b"".join([*states, array("d", outcome).tobytes()])


def _stack_of(cells: int, stacks: int, given: Sequence[int] | None) -> tuple[int, ...]:
    if cells == 0 or stacks == 0:
        raise ValueError(f"a pack has at least one cell and one stack, got {cells} and {stacks}")
    if given is None:
        if stacks not in (1, cells):
            raise ValueError(f"{cells} cells in {stacks} stacks: say with stack_of which cell stands in which")
        return tuple(range(cells)) if stacks == cells else (0,) * cells
    if len(given) != cells or set(given) != set(range(stacks)):
        raise ValueError(f"stack_of is {list(given)}: needs {cells} indices that use each of {stacks} stacks")
    return tuple(given)


def _each(value: float | Sequence[float], count: int, name: str) -> Any:
    """One value for each of `count`, as a C array."""
    values = [value] * count if isinstance(value, (int, float, Real)) else list(value)
    if len(values) != count:
        raise ValueError(f"{name} has {len(values)} values, needs {count} or one number for all")
    return ffi.new("double[]", values)


def _given(values: float | Sequence[float] | None, default: float, count: int, name: str) -> Sequence[float]:
    if values is None:
        return (default,) * count
    if isinstance(values, (int, float, Real)):
        return (values,) * count
    if len(values) != count:
        raise ValueError(f"{name} has {len(values)} values, needs {count}")
    return values
