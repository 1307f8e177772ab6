"""Checks that a scenario asks for: one class per `kind`; `CHECKS` is the table of them. Each judges a finished run.

A check gives one or several verdicts {name, passed, value, limit, unit}; times are seconds of virtual time since the
scenario began.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Protocol

import msgspec
from assb.protocol import schema
from msgspec import Meta

from assb_hil.recorder import Recorder, of_cell

Seconds = Annotated[float, Meta(ge=0.0)]
STATISTICS = {
    "min": min,
    "max": max,
    "mean": lambda values: sum(values) / len(values),
    "rms": lambda values: math.sqrt(sum(v * v for v in values) / len(values)),
    "first": lambda values: values[0],
    "last": lambda values: values[-1],
    "range": lambda values: max(values) - min(values),
}
HEARD_EVENTS = frozenset(row[1] for row in schema.EVENTS) | {f"sent_{row[0]}" for row in schema.COMMANDS}
# Suffix of a name → unit as a reader writes it
UNITS = {
    "v": "V", "a": "A", "w": "W", "ohm": "ohm", "mpa": "MPa", "degc": "degC", "frac": "1", "s": "s", "ah": "Ah",
    "b": "B", "kpa": "kPa", "ms": "ms", "us": "us", "uv": "uV", "ma": "mA",
}  # fmt: skip


@dataclass(frozen=True)
class Verdict:
    """One line of a result."""

    name: str
    passed: bool
    value: float | str | None
    limit: float | str | None
    unit: str


class RunFacts(Protocol):
    """What a check may look at."""

    @property
    def recorder(self) -> Recorder: ...

    @property
    def duration_s(self) -> float: ...

    def budget_ms(self, row: str) -> float: ...

    def tick_and_debounce_ms(self, row: str) -> float: ...


def unit_of(name: str) -> str:
    return UNITS.get(name.rsplit("_", 1)[-1], "") if "_" in name else ""


class Check(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`title` replaces the check's own words in the report."""

    kind: ClassVar[str] = ""
    title: str = ""

    @property
    def of_plant(self) -> bool:
        """Whether it looks at what only a simulated rig knows; an `event` or a `signal` may be the board's own."""
        return True

    def judge(self, run: RunFacts) -> list[Verdict]:
        """Verdicts on a finished run."""
        raise NotImplementedError


class EventCheck(Check, frozen=True, kw_only=True):
    """An event with these fields is reported, after `after_s` and no later than `by_s`, at least `count` times."""

    kind: ClassVar[str] = "event"
    event: str
    fields: dict[str, str | int] = {}
    after_s: Seconds = 0.0
    by_s: Seconds | None = None
    count: Annotated[int, Meta(ge=1)] = 1

    @property
    def of_plant(self) -> bool:
        return self.event not in HEARD_EVENTS

    def judge(self, run: RunFacts) -> list[Verdict]:
        found = matching(run, self.event, self.fields, self.after_s, run.duration_s)
        at_s = found[self.count - 1]["t_s"] if len(found) >= self.count else None
        by_s = run.duration_s if self.by_s is None else self.by_s
        passed = at_s is not None and at_s <= by_s
        return [Verdict(self.title or described(self.event, self.fields), passed, at_s, by_s, "s")]


class NoEventCheck(Check, frozen=True, kw_only=True):
    """No event with these fields is reported between `from_s` and `to_s`."""

    kind: ClassVar[str] = "no_event"
    event: str
    fields: dict[str, str | int] = {}
    from_s: Seconds = 0.0
    to_s: Seconds | None = None

    @property
    def of_plant(self) -> bool:
        return self.event not in HEARD_EVENTS

    def judge(self, run: RunFacts) -> list[Verdict]:
        to_s = run.duration_s if self.to_s is None else self.to_s
        count = len(matching(run, self.event, self.fields, self.from_s, to_s))
        return [Verdict(self.title or "no " + described(self.event, self.fields), count == 0, count, 0, "events")]


class SignalCheck(Check, frozen=True, kw_only=True):
    """A statistic of a series from `from_s` to `to_s` lies within `min` and `max`; `true_…` names are the plant's."""

    kind: ClassVar[str] = "signal"
    signal: str
    statistic: Literal["min", "max", "mean", "rms", "first", "last", "range"]
    from_s: Seconds = 0.0
    to_s: Seconds | None = None
    min: float | None = None
    max: float | None = None

    @property
    def of_plant(self) -> bool:
        return self.signal.startswith("true_")

    def judge(self, run: RunFacts) -> list[Verdict]:
        to_s = run.duration_s if self.to_s is None else self.to_s
        _, values = run.recorder.window(self.signal, self.from_s, to_s)
        name = self.title or f"{self.statistic} of {self.signal}, {self.from_s:g} to {to_s:g} s"
        if not values:
            return [Verdict(f"{name}: no data", False, None, None, unit_of(self.signal))]
        value = STATISTICS[self.statistic](values)
        verdicts = []
        if self.min is not None:
            verdicts.append(Verdict(f"{name}, least", value >= self.min, value, self.min, unit_of(self.signal)))
        if self.max is not None:
            verdicts.append(Verdict(f"{name}, most", value <= self.max, value, self.max, unit_of(self.signal)))
        return verdicts


class SocErrorCheck(Check, frozen=True, kw_only=True):
    """The estimate of a cell's state of charge differs from the truth by no more than `max_frac` from `from_s` to
    `to_s`."""

    kind: ClassVar[str] = "soc_error"
    max_frac: Annotated[float, Meta(gt=0.0, le=1.0)]
    cell: Annotated[int, Meta(ge=0)] = 0
    from_s: Seconds = 0.0
    to_s: Seconds | None = None

    def judge(self, run: RunFacts) -> list[Verdict]:
        to_s = run.duration_s if self.to_s is None else self.to_s
        estimate, truth = of_cell("soc_frac", self.cell), of_cell("true_soc_frac", self.cell)
        errors = differences(run.recorder, estimate, truth, self.from_s, to_s)
        worst = max((abs(error) for error in errors), default=None)
        name = self.title or f"{of_cell('SOC error', self.cell)}, {self.from_s:g} to {to_s:g} s"
        return [Verdict(name, worst is not None and worst <= self.max_frac, worst, self.max_frac, "1")]


class MeasuresCheck(Check, frozen=True, kw_only=True):
    """What the board says it measures differs from the plant's `true_…` series by no more than `max_difference`, in the
    signal's unit, from `from_s` to `to_s`."""

    kind: ClassVar[str] = "measures"
    signal: str
    max_difference: Annotated[float, Meta(gt=0.0)]
    from_s: Seconds = 0.0
    to_s: Seconds | None = None

    def judge(self, run: RunFacts) -> list[Verdict]:
        to_s = run.duration_s if self.to_s is None else self.to_s
        errors = differences(run.recorder, self.signal, f"true_{self.signal}", self.from_s, to_s)
        worst = max((abs(error) for error in errors), default=None)
        name = self.title or f"{self.signal} is the plant's, {self.from_s:g} to {to_s:g} s"
        unit = unit_of(self.signal.partition("[")[0])
        return [Verdict(name, worst is not None and worst <= self.max_difference, worst, self.max_difference, unit)]


class PressureRmsCheck(Check, frozen=True, kw_only=True):
    """The true stack pressure keeps to the board's target: rms of the difference, kPa."""

    kind: ClassVar[str] = "pressure_rms"
    max_kpa: Annotated[float, Meta(gt=0.0)]
    from_s: Seconds = 0.0
    to_s: Seconds | None = None

    def judge(self, run: RunFacts) -> list[Verdict]:
        to_s = run.duration_s if self.to_s is None else self.to_s
        errors = differences(run.recorder, "pressure_target_mpa", "true_pressure_mpa", self.from_s, to_s)
        name = self.title or f"pressure rms error, {self.from_s:g} to {to_s:g} s"
        if not errors:
            return [Verdict(f"{name}: no data", False, None, self.max_kpa, "kPa")]
        rms_kpa = 1000.0 * STATISTICS["rms"](errors)
        return [Verdict(name, rms_kpa <= self.max_kpa, rms_kpa, self.max_kpa, "kPa")]


class ReactionCheck(Check, frozen=True, kw_only=True):
    """From a monitor's register passing a row's trip level: the open command within one fast tick and the debounce,
    the contact open within the row's fault-time budget. The rig saw all three; nothing rests on what the board says.
    """

    kind: ClassVar[str] = "reaction"
    row: str
    after_s: Seconds = 0.0

    def judge(self, run: RunFacts) -> list[Verdict]:
        crossed_s = first_time(run, "register_crossed", {"row": self.row}, self.after_s)
        commanded_s = first_time(run, "coil_switched", {"closed": 0}, crossed_s)
        opened_s = first_time(run, "contact_moved", {"closed": 0}, crossed_s)
        verdicts = []
        for name, end_s, limit_ms in (
            (f"{self.row}: register crossed to open command", commanded_s, run.tick_and_debounce_ms(self.row)),
            (f"{self.row}: register crossed to contact open", opened_s, run.budget_ms(self.row)),
        ):
            took_ms = None if crossed_s is None or end_s is None else round(1000.0 * (end_s - crossed_s), 3)
            verdicts.append(Verdict(name, took_ms is not None and took_ms <= limit_ms, took_ms, limit_ms, "ms"))
        return verdicts


# What a board does about a fault → the event of the rig or of the board that shows it
ACTS: dict[str, tuple[str, dict[str, str | int]]] = {
    "opens": ("coil_switched", {"closed": 0}),
    "stops_charge": ("enable_switched", {"line": "charge_enabled", "level": 0}),
    "stops_discharge": ("enable_switched", {"line": "discharge_enabled", "level": 0}),
    "locks_out": ("state_changed", {"to_state": "LOCKOUT"}),
    "restarts": ("boot", {}),
}


class ReactsCheck(Check, frozen=True, kw_only=True):
    """The board does that within `within_ms` of the fault (the first of that name, or of all), not before it."""

    kind: ClassVar[str] = "reacts"
    act: Literal["opens", "stops_charge", "stops_discharge", "locks_out", "restarts"]
    within_ms: Annotated[float, Meta(gt=0.0)]
    fault: str = ""

    def judge(self, run: RunFacts) -> list[Verdict]:
        event, fields = ACTS[self.act]
        struck_s = first_time(run, "fault_applied", {"fault": self.fault} if self.fault else {}, 0.0)
        acted_s = first_time(run, event, fields, struck_s)
        took_ms = None if struck_s is None or acted_s is None else round(1000.0 * (acted_s - struck_s), 3)
        name = self.title or f"{self.act.replace('_', ' ')} after {self.fault or 'the fault'}"
        return [Verdict(name, took_ms is not None and took_ms <= self.within_ms, took_ms, self.within_ms, "ms")]


class HoldsCheck(Check, frozen=True, kw_only=True):
    """The contactor stays closed from `from_s` to the end: what happened is no reason to open."""

    kind: ClassVar[str] = "holds"
    from_s: Seconds

    def judge(self, run: RunFacts) -> list[Verdict]:
        closed = matching(run, "contact_moved", {}, 0.0, self.from_s)
        opened = len(matching(run, "contact_moved", {"closed": 0}, self.from_s, run.duration_s))
        stands = bool(closed) and closed[-1]["closed"] == 1
        name = self.title or "the contactor stays closed"
        return [Verdict(name, stands and not opened, "closed" if stands and not opened else "open", "closed", "")]


CHECKS: dict[str, type[Check]] = {
    cls.kind: cls
    for cls in (
        EventCheck, NoEventCheck, SignalCheck, SocErrorCheck, MeasuresCheck, PressureRmsCheck, ReactionCheck,
        ReactsCheck, HoldsCheck,
    )
}  # fmt: skip


def described(event: str, fields: dict[str, str | int]) -> str:
    words = " ".join(f"{key}={value}" for key, value in fields.items())
    return f"{event} {words}".strip()


def matching(
    run: RunFacts, event: str, fields: dict[str, str | int], from_s: float, to_s: float
) -> list[dict[str, Any]]:
    """Events of that name with those fields within the span, by time."""
    found = [
        e
        for e in run.recorder.events_named(event)
        if from_s <= e["t_s"] <= to_s and all(e.get(key) == value for key, value in fields.items())
    ]
    return sorted(found, key=lambda e: e["t_s"])


def first_time(run: RunFacts, event: str, fields: dict[str, str | int], after_s: float | None) -> float | None:
    """Time of the first such event, None when there is none (or nothing to come after)."""
    if after_s is None:
        return None
    found = matching(run, event, fields, after_s, run.duration_s)
    return found[0]["t_s"] if found else None


def differences(recorder: Recorder, name: str, other: str, from_s: float, to_s: float) -> list[float]:
    """name - other at the times of `other`, with the newest `name` at each; empty when either is missing."""
    times, values = recorder.window(name, 0.0, to_s)
    found, at = [], -1
    for t_s, truth in zip(*recorder.window(other, from_s, to_s), strict=True):
        while at + 1 < len(times) and times[at + 1] <= t_s:
            at += 1
        if at >= 0:
            found.append(values[at] - truth)
    return found
