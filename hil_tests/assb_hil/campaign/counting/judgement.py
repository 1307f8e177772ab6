"""One trial, judged: hours without a short, false alarms and suspects in them, whether and when its short was told.

An alarm is a *rise* of a cell's stage to soft short or worse, a suspect a rise to suspect or worse, wherever there is
no short: in another cell, or before the onset. A short is told by the first rise to the stage that its class asks for,
in its own cell, after the onset. Who was already there before has raised a false alarm and told nothing.
"""

from collections.abc import Iterator, Mapping, Sequence
from math import inf, nan
from typing import Protocol

import msgspec

from assb_hil.campaign.record import Observer, StageChange, TrialResult, TrialSpec

NONE, SUSPECT, SOFT_SHORT, HARD_SHORT = range(4)
STAGES = ("none", "suspect", "soft short", "hard short")
BRIDGES_GRANTED = 10  # intermittent bridges within which one is to be told
MOVING_RS = ("growing",)  # classes without one true Rs
RS_FACTOR = 2.0  # an Rs within this factor of the truth counts as found


class ShortClass(Protocol):
    """What is asked of a class of shorts."""

    @property
    def name(self) -> str: ...
    @property
    def deadline_s(self) -> float: ...  # after the onset
    @property
    def stage(self) -> int: ...  # that tells it; 0: nothing is asked of it, and a soft short counts as told


class Told(msgspec.Struct, frozen=True):
    """A short that was put in, and what was said of it."""

    short_class: str
    deadline_s: float  # after the onset
    latency_s: float  # inf: not within the deadline
    worst_stage: int  # of its cell, within the deadline
    evidence_bits: int  # of the change that told it; 0 if none did
    rs_error: float  # stated over true, of that change; inf: none stated; NaN: not told, or the short has no one Rs
    rs_covered: bool  # the stated interval holds the true one
    leak_a: float
    observer: Observer


class Judged(msgspec.Struct, frozen=True):
    """What a campaign counts of one trial."""

    spec: TrialSpec
    clean_hours: float  # cell-hours without a short
    alarms: int
    suspects: int
    alarmed_after_hours: tuple[float, ...]  # per clean stretch of a cell, its first alarm; inf: none
    clean_stretches_hours: tuple[float, ...]
    worst_clean_stage: int
    told: Told | None
    wall_s: float
    refused: int
    rested_s: float


def judge(result: TrialResult, classes: Mapping[str, ShortClass]) -> Judged:
    """Raises KeyError for a class that `classes` does not know."""
    stretches_s = [clean_s(result, cell) for cell in range(result.spec.cells)]
    clean = [change for change in result.changes if change.time_s < stretches_s[change.cell]]
    alarms = list(rises(clean, SOFT_SHORT))
    first_s = [
        min((rise.time_s for rise in alarms if rise.cell == cell), default=inf) for cell in range(len(stretches_s))
    ]
    return Judged(
        spec=result.spec,
        clean_hours=sum(stretches_s) / 3600.0,
        alarms=len(alarms),
        suspects=sum(1 for _ in rises(clean, SUSPECT)),
        alarmed_after_hours=tuple(time_s / 3600.0 for time_s in first_s),
        clean_stretches_hours=tuple(stretch_s / 3600.0 for stretch_s in stretches_s),
        worst_clean_stage=max((change.stage for change in clean), default=NONE),
        told=_told(result, classes[result.spec.short_class]) if result.truth else None,
        wall_s=result.wall_s,
        refused=result.refused,
        rested_s=result.rested_s,
    )


def clean_s(result: TrialResult, cell: int) -> float:
    """How long the cell had no short, from the start of the trial."""
    truth = result.truth
    return truth.onset_s if truth and truth.cell == cell else result.spec.duration_s


def rises(changes: Sequence[StageChange], stage: int) -> Iterator[StageChange]:
    """Changes that lift a cell from below `stage` to it or beyond, in time."""
    now: dict[int, int] = {}
    for change in sorted(changes, key=lambda change: change.time_s):
        if now.get(change.cell, NONE) < stage <= change.stage:
            yield change
        now[change.cell] = change.stage


def deadline_s(result: TrialResult, row: ShortClass) -> float:
    """After the onset. Of intermittent bridges: until the eleventh begins, where there are so many."""
    truth = result.truth
    assert truth is not None
    if len(truth.bridges_s) > BRIDGES_GRANTED:
        return truth.bridges_s[BRIDGES_GRANTED] - truth.onset_s
    return min(row.deadline_s, result.spec.duration_s - truth.onset_s)


def _told(result: TrialResult, row: ShortClass) -> Told:
    truth, observer = result.truth, result.observer
    assert truth is not None and observer is not None
    limit_s = deadline_s(result, row)
    end_s = truth.onset_s + limit_s
    own = [change for change in result.changes if change.cell == truth.cell]
    asked = row.stage or SOFT_SHORT
    first = next((rise for rise in rises(own, asked) if truth.onset_s <= rise.time_s <= end_s), None)
    rs_told = first if row.name not in MOVING_RS else None
    return Told(
        short_class=row.name,
        deadline_s=limit_s,
        latency_s=first.time_s - truth.onset_s if first else inf,
        worst_stage=max((change.stage for change in own if truth.onset_s <= change.time_s <= end_s), default=NONE),
        evidence_bits=first.evidence_bits if first else 0,
        rs_error=rs_told.rs_ohm / truth.rs_ohm if rs_told else nan,
        rs_covered=bool(rs_told and rs_told.rs_low_ohm <= truth.rs_ohm <= rs_told.rs_high_ohm),
        leak_a=truth.leak_c * observer.capacity_ah,
        observer=observer,
    )
