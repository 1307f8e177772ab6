"""Shorts that a trial may have, a row each: how it is drawn, what must be seen of it and by when.

Deadlines and sizes are the project's own aims; onsets, ramps and pauses are assumptions.
"""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from assb_kernels import Change

from assb_hil.campaign.record import TrialSpec, Truth
from assb_hil.campaign.scene import Scene, log_uniform

SUSPECT, SOFT, HARD = 1, 2, 3  # stages
HOUR_S = 3600.0
BRIDGES = 12
BRIDGES_DUE = 10  # by this one it must be seen
AFTER_S = 120.0  # a trial goes on for so long after its deadline: a watch reports once a second, a stage may lag
HARD_LEAST_OHM = 0.001
HARD_MOST = 0.3  # of R0
ANY_LOAD = ("rest_mostly", "cccv", "cc", "pulses", "drive", "storage")


@dataclass(frozen=True)
class Short:
    """A short as drawn: `steps` are (time, conductance in S, ramp) since the onset; due_s: when it must have been seen,
    since the onset; rs_ohm as in Truth."""

    steps: tuple[tuple[float, float, float], ...]
    rs_ohm: float
    due_s: float
    bridges_s: tuple[float, ...] = ()
    by_factors: bool = False


@dataclass(frozen=True)
class ClassRow:
    """lead_s: operation before the onset; window_s: the onset is uniform within it; deadline_s: the longest that may
    pass since the onset; stage: to be reached by then (0: only reported)."""

    name: str
    draw: Callable[[Scene, random.Random], Short]
    deadline_s: float
    stage: int = SOFT
    cells: tuple[int, ...] = (1, 1, 2, 4)
    loads: tuple[str, ...] = ANY_LOAD
    lead_s: float = 12.0 * HOUR_S
    window_s: float = 6.0 * HOUR_S
    dt_s: float = 0.1

    @property
    def duration_s(self) -> float:
        return self.lead_s + self.window_s + self.deadline_s + AFTER_S


def leak(leak_c: float, deadline_s: float) -> Callable[[Scene, random.Random], Short]:
    """A conductance that takes leak_c, 1/h, of the capacity at the nominal voltage; it closes within a minute."""

    def draw(scene: Scene, luck: random.Random) -> Short:
        siemens = leak_c * scene.capacity_ah / scene.nominal_v
        return Short(((0.0, siemens, log_uniform(luck, 0.1, 60.0)),), 1.0 / siemens, deadline_s)

    return draw


def bridges(_scene: Scene, luck: random.Random) -> Short:
    """BRIDGES of 1 to 10 ohm that stand for 1 to 5 s each, seconds to minutes apart."""
    steps, begins_s, ohms = [], [], []
    time_s = due_s = 0.0
    for k in range(BRIDGES):
        begins_s.append(time_s)
        ohms.append(log_uniform(luck, 1.0, 10.0))
        stands_s = luck.uniform(1.0, 5.0)
        steps += [(time_s, 1.0 / ohms[-1], 0.0), (time_s + stands_s, 0.0, 0.0)]
        time_s += stands_s
        if k < BRIDGES_DUE:
            due_s = time_s
        time_s += log_uniform(luck, 5.0, 600.0)
    middle_ohm = math.exp(sum(map(math.log, ohms)) / BRIDGES)
    return Short(tuple(steps), middle_ohm, due_s, tuple(begins_s))


def hard(scene: Scene, luck: random.Random) -> Short:
    """From 1 mohm to 0.3 of R0, at once."""
    r0_ohm, _ = scene.contact_ohm_frac()
    rs_ohm = log_uniform(luck, HARD_LEAST_OHM, max(HARD_MOST * r0_ohm, 1.1 * HARD_LEAST_OHM))
    return Short(((0.0, 1.0 / rs_ohm, 0.0),), rs_ohm, 1.0)


def growing(scene: Scene, luck: random.Random) -> Short:
    """From a leak of C/1000 to C/5 by equal factors, within 1 to 6 h."""
    per_c = scene.capacity_ah / scene.nominal_v
    grows_s = luck.uniform(1.0, 6.0) * HOUR_S
    end_s = per_c / 5.0
    return Short(((0.0, per_c / 1000.0, 0.0), (0.1, end_s, grows_s)), 1.0 / end_s, grows_s, by_factors=True)


CLASSES = {
    row.name: row
    for row in (
        ClassRow("leak_c20", leak(1 / 20, 4 * HOUR_S), 4 * HOUR_S),
        ClassRow("leak_c100", leak(1 / 100, 4 * HOUR_S), 4 * HOUR_S),
        ClassRow("leak_c500_pack", leak(1 / 500, 8 * HOUR_S), 8 * HOUR_S, cells=(4, 4, 6)),
        ClassRow("leak_c500_rest", leak(1 / 500, 8 * HOUR_S), 8 * HOUR_S, cells=(1,), loads=("rest_mostly", "storage")),
        ClassRow(
            "leak_c500_single", leak(1 / 500, 8 * HOUR_S), 8 * HOUR_S, 0, (1,), loads=("cccv", "cc", "pulses", "drive")
        ),
        ClassRow("bridges", bridges, BRIDGES * 605.0, SUSPECT),
        ClassRow("hard", hard, 1.0, HARD, lead_s=600.0, window_s=600.0, dt_s=0.01),
        ClassRow("growing", growing, 6 * HOUR_S),
    )
}


@dataclass(frozen=True)
class Shorted:
    """The short of a trial in its place; `unit` counts the pack's units, hidden ones too."""

    scene: Scene
    row: ClassRow

    @cached_property
    def short(self) -> Short:
        return self.row.draw(self.scene, self.scene.luck("short"))

    @cached_property
    def onset_s(self) -> float:
        """On a whole second, when every watch looks."""
        return float(round(self.row.lead_s + self.scene.luck("onset").uniform(0.0, self.row.window_s)))

    @cached_property
    def unit(self) -> int:
        return self.scene.luck("place").randrange(self.scene.plant.units)

    @property
    def changes(self) -> list[Change]:
        short = self.short
        return [
            Change(self.onset_s + time_s, "short_s", siemens, at=self.unit, ramp_s=ramp_s, by_factors=short.by_factors)
            for time_s, siemens, ramp_s in short.steps
        ]

    @property
    def truth(self) -> Truth:
        short, scene = self.short, self.scene
        return Truth(
            cell=self.unit if scene.plant.taps else 0,
            onset_s=self.onset_s,
            rs_ohm=short.rs_ohm,
            leak_c=scene.nominal_v / short.rs_ohm / scene.capacity_ah,
            bridges_s=tuple(self.onset_s + begin_s for begin_s in short.bridges_s),
        )


def due_s(spec: TrialSpec) -> float:
    """When the short of this trial must have been seen, since its onset. Raises KeyError for a trial without one."""
    return Shorted(Scene(spec), CLASSES[spec.short_class]).short.due_s


def shorted(scene: Scene) -> Shorted | None:
    """The short of a trial, if it has one."""
    return Shorted(scene, CLASSES[scene.spec.short_class]) if scene.spec.short_class else None
