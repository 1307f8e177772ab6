"""Trials of the short detectors: a pack under a load, with changes at their times, as sensors show it. The rules stand
in assb_trial.h."""

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

from assb_kernels._kernels import ffi, lib
from assb_kernels.columns import column, pointer
from assb_kernels.pack import Pack
from assb_kernels.results import Sinks
from assb_kernels.sensor import SensorParams
from assb_kernels.status import STATUS_TEXT

DITHER_POINTS = 64
QUANTA_AROUND = 2  # beyond six sigmas of the noise: as far from the truth as readings are counted
SEED_MOST = 2**64 - 1
KINDS: dict[str, int] = {
    "short_s": lib.ASSB_TRIAL_SHORT_S,
    "theta": lib.ASSB_TRIAL_THETA,
    "aim_mpa": lib.ASSB_TRIAL_AIM_MPA,
    "ambient_degc": lib.ASSB_TRIAL_AMBIENT_DEGC,
    "ripple_a": lib.ASSB_TRIAL_RIPPLE_A,
    "offset": lib.ASSB_TRIAL_OFFSET,
    "gain": lib.ASSB_TRIAL_GAIN,
    "noise": lib.ASSB_TRIAL_NOISE,
    "stuck": lib.ASSB_TRIAL_STUCK,
    "dropout": lib.ASSB_TRIAL_DROPOUT,
}
OF_CHANNELS = ("offset", "gain", "noise", "stuck", "dropout")
CHANNELS = ("voltage_v", "current_a", "temperature_degc", "pressure_mpa")
COLUMNS = ("time_s", *CHANNELS, "gap_um", "aim_mpa")


@dataclass(frozen=True)
class Phase:
    """A part of a load, at most `until_s` long: `current_a` (+ charges), or the column `drive_a`, each value for
    drive_dt_s, repeated until the phase ends.

    Each cell is held between floor_v and ceiling_v at the end of each tick, whatever current that leaves; a pack
    without taps is so in the mean. The phase ends early once that leaves no more than until_a, as a magnitude: just
    below |current_a| it ends where the voltage is reached, lower where a hold there is done. Below 0: it does not.
    """

    until_s: float
    current_a: float = 0.0
    until_a: float = -1.0
    ceiling_v: float = math.inf
    floor_v: float = -math.inf
    drive_a: Iterable[float] | None = None
    drive_dt_s: float = 1.0


@dataclass(frozen=True)
class Change:
    """From time_s on, `kind` (KINDS; their meaning: assb_trial.h) of cell, stack or sensor `at` goes to `value`: at
    once, or in ramp_s by equal steps, or by equal factors.

    For a sensor's error (OF_CHANNELS) `channel` is the quantity it measures, and `at` counts within it.
    """

    time_s: float
    kind: str
    value: float
    at: int = 0
    channel: str = ""
    ramp_s: float = 0.0
    by_factors: bool = False


@dataclass(frozen=True)
class TrialSensors:
    """Errors of a single reading of each sensor: a voltage per lead, a pressure per stack."""

    voltage_v: Sequence[SensorParams]
    current_a: SensorParams
    temperature_degc: SensorParams
    pressure_mpa: Sequence[SensorParams]


class TrialColumns:
    """Room for `rows` rows, float64: name (COLUMNS) → values; voltages [row * leads + lead], pressure, gap and aim
    [row * stacks + stack]."""

    def __init__(self, rows: int, leads: int, stacks: int) -> None:
        self.rows, self.leads, self.stacks = rows, leads, stacks
        width = {"voltage_v": leads, "pressure_mpa": stacks, "gap_um": stacks, "aim_mpa": stacks}
        self.values = {name: array("d", bytes(8 * rows * width.get(name, 1))) for name in COLUMNS}
        self.c_columns = ffi.new("assb_trial_columns *")
        self._pointers = {name: pointer(values, "d", writable=True) for name, values in self.values.items()}
        for name, place in self._pointers.items():
            setattr(self.c_columns, name, place)

    def __getitem__(self, name: str) -> "array[Any]":
        return self.values[name]


class Trial:
    """`phases` on `pack`, after the last of them from number loop_from on; `changes` in any order.

    dt_s: the tick, to which all times are rounded. taps: whether each cell's voltage is seen. samples: readings that a
    shown voltage, current or pressure is the mean of. aim_mpa: what the actuators are told at first; NaN: nothing.
    aim_gain: what a regulator makes of its command. um_per_step: of the screw of each stack, to tell its gap; 0: the
    gap stands; NaN: nobody knows it. All chance comes from `seed`.
    Raises ValueError for what makes no sense, and says what.
    """

    def __init__(
        self,
        pack: Pack,
        phases: Sequence[Phase],
        sensors: TrialSensors,
        changes: Iterable[Change] = (),
        *,
        dt_s: float,
        seed: int,
        loop_from: int = 0,
        taps: bool = True,
        samples: int = 1,
        aim_mpa: float = math.nan,
        aim_gain: float = 1.0,
        um_per_step: float = math.nan,
    ) -> None:
        if not 0 <= seed <= SEED_MOST:
            raise ValueError(f"seed is {seed}, needs an integer from 0 to 2**64 - 1")
        if not (math.isfinite(dt_s) and dt_s > 0.0):
            raise ValueError(f"dt_s is {dt_s}, needs a positive time in s")
        self.pack, self.dt_s = pack, dt_s
        self.phases, self.changes = tuple(phases), tuple(sorted(changes, key=lambda change: change.time_s))
        self.leads = len(pack.cells) if taps else 1
        self.stacks = len(pack.stacks)
        self._kept: list[Any] = []
        self.c_trial = trial = ffi.new("assb_trial *")
        trial.pack, trial.log, trial.dt_s, trial.leads = pack.memory.pack, pack.log, dt_s, self.leads
        trial.phases = self._array("assb_trial_phase", [self._phase(phase) for phase in self.phases])
        trial.phase_count, trial.loop_from = len(self.phases), loop_from
        trial.channel = self._array("assb_trial_channel", self._channels(sensors, samples))
        trial.changes = self._array("assb_trial_change", [self._change(change) for change in self.changes])
        trial.change_count = len(self.changes)
        trial.ramps = self._array("assb_trial_ramp", len(self.changes))
        trial.um_per_step = self._array("double", [um_per_step] * self.stacks)
        trial.theta_least = self._array("double", len(pack.cells))
        trial.theta_held = self._array("double", len(pack.cells))
        trial.aim_mpa, trial.aim_gain = self._array("double", [aim_mpa] * self.stacks), aim_gain
        trial.ambient_degc = pack.surroundings[0]
        self._demand_sound()
        lib.assb_trial_begin(trial, seed)
        self._status = ffi.new("int *")

    def columns(self, rows: int) -> TrialColumns:
        """Room for `rows` rows of this trial."""
        return TrialColumns(rows, self.leads, self.stacks)

    def run(self, columns: TrialColumns, rows: int, results: Iterable[str] = ()) -> "dict[str, array[Any]]":
        """`rows` ticks more into the first rows of `columns`; returns the truths named in `results`, as Pack.run does.

        Raises ValueError for columns of another shape or too few rows, and for an input that the pack refuses.
        """
        if (columns.leads, columns.stacks) != (self.leads, self.stacks) or rows > columns.rows:
            room = f"{columns.rows} rows of {columns.leads} voltages and {columns.stacks} stacks"
            raise ValueError(f"columns hold {room}; needs {rows} rows of {self.leads} and {self.stacks}")
        sinks, row = Sinks(self.pack.memory.pack, results, rows), 0
        with self.pack.turn():
            while row < rows:
                row = lib.assb_trial_run(
                    self.c_trial, columns.c_columns, sinks.array, sinks.count, row, rows, self._status
                )
                if self._status[0] == lib.ASSB_LOG_FULL:
                    self.pack.take_events()
                elif self._status[0] != lib.ASSB_OK:
                    where = f"tick {self.c_trial.tick}, in {self.phases[self.c_trial.phase]}"
                    raise ValueError(f"trial: the pack refused {where}: {STATUS_TEXT[self._status[0]]}")
        return sinks.columns

    @property
    def time_s(self) -> float:
        """Of the last row."""
        return self.c_trial.tick * self.dt_s

    @property
    def rests(self) -> bool:
        """Whether the load stands still, without a current, until that is taken back. May be set between two runs."""
        return bool(self.c_trial.rests)

    @rests.setter
    def rests(self, rests: bool) -> None:
        self.c_trial.rests = rests

    @property
    def phase(self) -> int:
        """Number of the phase that the next tick belongs to."""
        return self.c_trial.phase

    def _array(self, ctype: str, values: Any) -> Any:
        self._kept.append(ffi.new(f"{ctype}[]", values))
        return self._kept[-1]

    def _ticks(self, time_s: float, name: str) -> int:
        ticks = time_s / self.dt_s
        if not 0.0 <= ticks <= 2**62:
            raise ValueError(f"{name} is {time_s}, needs a time in s, 0 or later")
        return round(ticks)

    def _phase(self, phase: Phase) -> dict[str, Any]:
        values = {name: getattr(phase, name) for name in ("current_a", "until_a", "ceiling_v", "floor_v")}
        values["ticks"] = max(self._ticks(phase.until_s, "until_s of a phase"), 1)
        if phase.drive_a is not None:
            buffer = column(phase.drive_a, "d")
            self._kept.append((buffer, place := pointer(buffer, "d")))
            drive_ticks = max(self._ticks(phase.drive_dt_s, "drive_dt_s"), 1)
            values |= {"drive_a": place, "drive_n": len(buffer), "drive_ticks": drive_ticks}
        return values

    def _change(self, change: Change) -> dict[str, Any]:
        if change.kind not in KINDS:
            raise ValueError(f"{change}: kind is none of {', '.join(KINDS)}")
        if (change.kind in OF_CHANNELS) != (change.channel in CHANNELS):
            raise ValueError(f"{change}: {', '.join(OF_CHANNELS)} need a channel, one of {', '.join(CHANNELS)}")
        return {
            "tick": self._ticks(change.time_s, f"time_s of {change.kind}"),
            "ramp_ticks": self._ticks(change.ramp_s, f"ramp_s of {change.kind}"),
            "by_factors": int(change.by_factors),
            "kind": KINDS[change.kind],
            "at": self._place(change.channel, change.at) if change.channel else change.at,
            "value": change.value,
        }

    def _place(self, channel: str, at: int) -> int:
        counts = (self.leads, 1, 1, self.stacks)
        position = CHANNELS.index(channel)
        if not 0 <= at < counts[position]:
            raise ValueError(f"{channel} has {counts[position]} channels, counted from 0; got {at}")
        return sum(counts[:position]) + at

    def _channels(self, sensors: TrialSensors, samples: int) -> list[dict[str, Any]]:
        given = {"voltage_v": len(sensors.voltage_v), "pressure_mpa": len(sensors.pressure_mpa)}
        if given != {"voltage_v": self.leads, "pressure_mpa": self.stacks}:
            raise ValueError(f"sensors are {given}, needs {self.leads} voltages and {self.stacks} pressures")
        rows = [self._channel(params, samples) for params in (*sensors.voltage_v, sensors.current_a)]
        rows.append(self._channel(sensors.temperature_degc, 1))
        return rows + [self._channel(params, samples) for params in sensors.pressure_mpa]

    def _channel(self, params: SensorParams, samples: int) -> dict[str, Any]:
        delay_ticks = self._ticks(params.delay_s, "delay_s of a sensor")
        mean, rms = dither(params.noise_rms, params.quantum, samples) if params.quantum > 0.0 else ((), ())
        return {
            "params": asdict(replace(params, delay_s=0.0)),
            "faults": {"gain_fault": 1.0},
            "line": self._array("double", delay_ticks) if delay_ticks else ffi.NULL,
            "delay_ticks": delay_ticks,
            "samples": samples,
            "per_root_samples": 1.0 / math.sqrt(max(samples, 1)),
            "dither_mean": self._array("double", mean) if mean else ffi.NULL,
            "dither_rms": self._array("double", rms) if rms else ffi.NULL,
        }

    def _demand_sound(self) -> None:
        at = ffi.new("long *")
        status = lib.assb_trial_check(self.c_trial, at)
        if status == lib.ASSB_BAD_PARAMETER:
            raise ValueError(f"sensor {at[0]} of the trial: {STATUS_TEXT[status]}")
        if status != lib.ASSB_OK:
            parts = (*self.phases, *self.changes)
            seen = f"{parts[at[0]]}" if at[0] >= 0 else f"{len(self.phases)} phases, {self.leads} leads"
            raise ValueError(f"trial can't be run: {STATUS_TEXT[status]}: {seen}")


@lru_cache(maxsize=64)
def dither(noise_rms: float, quantum: float, samples: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean, and rms of the mean, of `samples` quantised readings of a truth at k/64 between two quanta, in quanta."""
    sigma = noise_rms / quantum
    around = range(-QUANTA_AROUND - math.ceil(6.0 * sigma), QUANTA_AROUND + math.ceil(6.0 * sigma) + 1)
    means, spreads = [], []
    for k in range(DITHER_POINTS + 1):
        place = k / DITHER_POINTS
        shares = [_below(n + 0.5 - place, sigma) - _below(n - 0.5 - place, sigma) for n in around]
        mean = sum(n * share for n, share in zip(around, shares, strict=True))
        square = sum((n - mean) ** 2 * share for n, share in zip(around, shares, strict=True))
        means.append(mean)
        spreads.append(math.sqrt(square / max(samples, 1)))
    return tuple(means), tuple(spreads)


def _below(edge: float, sigma: float) -> float:
    """Share of a normal number of this sigma below the edge."""
    if sigma == 0.0:
        return float(edge > 0.0)
    return 0.5 * math.erfc(-edge / (sigma * math.sqrt(2.0)))
