"""A full recording replayed: the firmware's own steps of each cell, on exactly what the board saw, and whether the same
came out of them.

A board that ran the native module, or the twin in double precision (the virtual board), must agree bit for bit; a twin
in single precision is compared by what it published, within SINGLE_SOC_PPM.
"""

import importlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from assb.cells import CellWatch
from assb.estimation import twin
from assb.estimation.mean import Means
from assb.protocol import schema, tables
from assb.protocol.image import Config
from assb.settings import Settings
from assb.signals import Events, Signals
from assb.slow_stream import COLLAPSED, CURRENT, NATIVE, PRESSURE, TEMPERATURE, TWIN_SINGLE, VOLTAGE, digest

from assb_host.link.decoder import Frame
from assb_host.recording.frame_file import STREAM_ENDED_MS
from assb_host.replay.snapshot import restore

ACTIVE = 3  # of an evidence
HARD_SHORT = 3
COMPARED = (schema.CELL, schema.EVIDENCE, schema.SCORES)
SINGLE_SOC_PPM = 1000
KINDS = ("twin, double precision", "twin, single precision", "native module")


class Given(Means):
    """In place of a cell's means: what the board had."""

    def __init__(self):
        super().__init__(2)
        self.values = [0, 0]

    def take(self, channel, fallback):
        return self.values[channel]


@dataclass
class Cells:
    """The cells of a pack as the firmware has them, and a blackboard for them alone."""

    config: Config
    kind: int
    recorded: bool = True  # means are given, not made of fast samples

    def __post_init__(self):
        kernel = native_kernel() if self.kind == NATIVE else twin
        settings = Settings(self.config)
        count = settings("cells_in_series")
        self.signals = Signals(count)
        self.events = Events()
        columns, pack = tables.positions(tables.CELL_SIGNALS), kernel.Pack(count)
        self.watches = [
            CellWatch(cell, kernel, self.config.estimator, settings, self.signals, self.events, columns, None, pack)
            for cell in range(count)
        ]
        self._given = [Given() for _ in self.watches]
        for watch, given in zip(self.watches, self._given, strict=True):
            if self.recorded:
                watch.means = given
        self._digest = bytearray(112)

    def step(self, t_ms: int, fields: dict[str, Any]) -> int:
        """One step with what the board had; the digest of what came out."""
        watch = self.watches[fields["cell"]]
        self._set(watch, fields)
        self._given[watch.cell].values = [fields["voltage_uv"], fields["current_ua"]]
        now_ms = t_ms & (schema.TICKS_PERIOD_MS - 1)
        watch.step_ms = (now_ms - fields["dt_ms"]) & (schema.TICKS_PERIOD_MS - 1)
        watch.step(now_ms)
        return digest(watch, self._digest)

    def _set(self, watch, fields):
        for cell, other in enumerate(self.watches):
            if fields["collapsed_bits"] >> cell & 1:
                other.shorts.fusion.collapse()
        collapse = watch.shorts.collapse
        collapse.voltage_uv, collapse.lost_uv = fields["left_uv"], fields["lost_uv"]
        collapse.state = ACTIVE if fields["flags"] & COLLAPSED else 0
        signals = self.signals
        for bit, index, value in (
            (VOLTAGE, signals.cell(watch.cell, "voltage_uv"), fields["voltage_uv"]),
            (CURRENT, signals.pack("current_ua"), fields["current_ua"]),
            (TEMPERATURE, signals.pack("temperature_cdegc"), fields["temperature_cdegc"]),
            (PRESSURE, signals.pack("pressure_kpa"), fields["pressure_kpa"]),
            (0, signals.pack("pressure_command_kpa"), fields["pressure_command_kpa"]),
        ):
            signals.put(index, value, 0)
            if not fields["flags"] & bit and bit:
                signals.lose(index)


def native_kernel() -> Any:
    """The face of the native module over this host's build of the same C."""
    from assb_host.replay import host_kernel

    host_kernel.install(host_kernel.host_kernel())
    try:
        return importlib.import_module(host_kernel.FACE)
    finally:
        host_kernel.uninstall()


@dataclass
class Gap:
    """Steps of a cell that the recording lacks; nothing is replayed until the next copy of the states."""

    t_s: float
    cell: int
    missing: int
    until_s: float | None = None


@dataclass
class Outcome:
    kind: int | None = None
    steps: int = 0
    steps_left_out: int = 0  # recorded, but behind a gap or before the first copy
    different: int = 0  # steps whose state is not the board's, bit for bit
    compared: int = 0  # frames with what the board published
    frames_different: int = 0
    soc_apart_ppm: int = 0  # the most, of published ones
    first_difference: str = ""
    segments: int = 0
    others: list[float] = field(default_factory=list)  # t_s from which the board ran another configuration
    gaps: list[Gap] = field(default_factory=list)
    stages: list[tuple[float, int, int]] = field(default_factory=list)  # (t_s, cell, stage)

    @property
    def same(self) -> bool:
        """Whether what came out is the board's; nothing replayed is not."""
        if self.kind == TWIN_SINGLE:
            return self.steps > 0 and self.soc_apart_ppm <= SINGLE_SOC_PPM
        return self.steps > 0 and not self.different and not self.frames_different

    def as_dict(self) -> dict[str, Any]:
        told = {name: getattr(self, name) for name in (
            "steps", "steps_left_out", "different", "compared", "frames_different", "soc_apart_ppm", "first_difference",
            "segments", "same",
        )}  # fmt: skip
        told["kernel"] = None if self.kind is None else KINDS[self.kind]
        told["other_configuration_s"] = self.others
        told["gaps"] = [vars(gap) for gap in self.gaps]
        told["stages"] = [{"t_s": t_s, "cell": cell, "stage": schema.STAGES[stage]} for t_s, cell, stage in self.stages]
        return told


class Replay:
    """Feed it the frames of a recording in order (`take`; `lose` where the port went away); `outcome` tells."""

    def __init__(self, config: Config):
        self.config = config
        self.count = config.parameter("cells_in_series")
        self.outcome = Outcome()
        self._cells: Cells | None = None
        self._number: int | None = None
        self._parts: dict[int, dict[int, bytes]] = {}
        self._sizes: dict[int, int] = {}
        self._waiting: list[Frame] = []
        self._steps: dict[int, tuple[int, int, int]] = {}  # cell → (count, t_ms, dt_ms)
        self._stages = [0] * self.count
        self._inputs_ms = self._cell_ms = 0

    def take(self, frame: Frame) -> None:
        if frame.type == schema.INPUTS:
            self._inputs_ms = frame.t_ms
        elif frame.type == schema.CELL:
            self._cell_ms = frame.t_ms
            self._tell_end()
        if frame.type in (schema.INPUTS, schema.SNAPSHOT) and frame.fields["number"] != self._number:
            self._begin(frame.fields["number"])
        if frame.type == schema.SNAPSHOT:
            self._collect(frame.fields)
        elif frame.type == schema.INPUTS or frame.type in COMPARED:
            if self._cells:
                self._go_on(frame)
            elif self._number is not None:
                self._waiting.append(frame)

    def lose(self) -> None:
        """The port went away, or the board restarted: what comes next has no state before it."""
        self._drop()
        self._number = None

    def _tell_end(self):
        """Estimates go on without their steps: the stream was ended, and from there on nothing is replayed."""
        if self._cells and self._steps and self._cell_ms - self._inputs_ms > STREAM_ENDED_MS:
            for cell, (_, t_ms, dt_ms) in self._steps.items():
                self.outcome.gaps.append(Gap(t_ms / 1000, cell, (self._cell_ms - t_ms) // max(dt_ms, 1)))
            self.lose()

    def finish(self) -> Outcome:
        self._drop()
        return self.outcome

    def _begin(self, number):
        self._drop()
        self._number = number
        self._parts, self._sizes, self._steps = {}, {}, {}

    def _drop(self):
        self.outcome.steps_left_out += sum(frame.type == schema.INPUTS for frame in self._waiting)
        self._waiting = []
        self._cells = None

    def _collect(self, fields):
        parts = self._parts.setdefault(fields["cell"], {})
        parts[fields["at"]] = array("i", fields["values"]).tobytes()
        self._sizes[fields["cell"]] = fields["size"]
        if self._cells or len(self._parts) < self.count:
            return
        copies = {}
        for cell, own in self._parts.items():
            data = b"".join(own[at] for at in sorted(own))
            if len(data) != self._sizes[cell]:
                return
            copies[cell] = data
        self._start(fields["kind"], copies)

    def _start(self, kind, copies):
        self.outcome.kind, self.outcome.segments = kind, self.outcome.segments + 1
        cells = Cells(self.config, kind)
        for cell, data in copies.items():
            restore(cells.watches[cell], kind, data)
        self._cells = cells
        waiting, self._waiting = self._waiting, []
        for at, frame in enumerate(waiting):
            if self._cells is None:
                self._waiting = waiting[at:]
                self._drop()
                return
            self._go_on(frame)
        if self.outcome.gaps and self.outcome.gaps[-1].until_s is None and waiting:
            self.outcome.gaps[-1].until_s = 1e-3 * waiting[0].t_ms

    def _go_on(self, frame):
        if frame.type == schema.INPUTS:
            self._step(frame)
        elif frame.fields["cell"] in self._steps:
            self._compare(frame)

    def _step(self, frame):
        fields, outcome = frame.fields, self.outcome
        cell = fields["cell"]
        before = self._steps.get(cell, (0, 0, 0))[0]
        missing = (fields["count"] - before - 1) & 0xFFFF
        if missing:
            outcome.gaps.append(Gap(1e-3 * frame.t_ms, cell, missing))
            outcome.steps_left_out += 1
            self._drop()
            return
        self._steps[cell] = (fields["count"], frame.t_ms, fields["dt_ms"])
        found = self._cells.step(frame.t_ms, fields)
        outcome.steps += 1
        if found != fields["digest"] and outcome.kind != TWIN_SINGLE:
            outcome.different += 1
            self._note(f"state of cell {cell} at {1e-3 * frame.t_ms:.3f} s, step {fields['count']}")
        stage = self._cells.watches[cell].shorts.fusion.stage
        if stage != self._stages[cell]:
            self._stages[cell] = stage
            outcome.stages.append((1e-3 * frame.t_ms, cell, stage))

    def _compare(self, frame):
        """What was published since the newest step; of an older state nobody here knows."""
        cell, signals, outcome = frame.fields["cell"], self._cells.signals, self.outcome
        _, t_ms, dt_ms = self._steps[cell]
        if frame.t_ms - t_ms >= dt_ms:
            return
        ours = {}
        for name in frame.fields:
            if name not in ("cell", "voltage_uv"):  # the voltage is the newest fast sample's
                index = signals.cell(cell, name)
                if signals.valid[index]:
                    ours[name] = signals.value[index]
        theirs = {name: frame.fields[name] for name in ours}
        if theirs.get("cell_stage") == HARD_SHORT:  # from the fast tick: the next step tells of it
            ours["cell_stage"] = HARD_SHORT
        outcome.compared += bool(ours)
        if "soc_ppm" in ours:
            outcome.soc_apart_ppm = max(outcome.soc_apart_ppm, abs(ours["soc_ppm"] - theirs["soc_ppm"]))
        wrong = [name for name in ours if ours[name] != theirs[name]]
        if wrong and outcome.kind != TWIN_SINGLE:
            outcome.frames_different += 1
            name = wrong[0]
            self._note(f"{name} of cell {cell} at {1e-3 * frame.t_ms:.3f} s: board {theirs[name]}, here {ours[name]}")

    def _note(self, text):
        self.outcome.first_difference = self.outcome.first_difference or text


def replay_items(config: Config, items: Iterable[tuple[float, Any]]) -> Outcome:
    """Of a StoredRecording's `items`; while the board ran another configuration, nothing is replayed."""
    replay = Replay(config)
    boot, ours = None, True
    for _, item in items:
        if item is None:
            replay.lose()
        elif isinstance(item, Frame):
            if boot is not None and item.boot != boot:
                replay.lose()
            boot = item.boot
            if item.type == schema.HELLO:
                before, ours = ours, item.fields["config_crc"] == config.crc
                if before and not ours:
                    replay.outcome.others.append(1e-3 * item.t_ms)
            if ours:
                replay.take(item)
    return replay.finish()
