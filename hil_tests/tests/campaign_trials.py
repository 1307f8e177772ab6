"""Made trials for tests of the campaign's shell: no plant, no detectors, every outcome drawn from the trial's seed.

In a module of its own because worker processes import it by name.
"""

import os
import signal
from dataclasses import dataclass
from pathlib import Path
from random import Random

from assb_hil.campaign.record import (
    GRID_POINTS,
    NEVER_S,
    Crossings,
    Observer,
    StageChange,
    TrialResult,
    TrialSpec,
    Truth,
)

PROFILES = ("li_lpscl_nca", "usi_nmc811", "lto_nmc")
LEAK_C = {"leak_c20": 1 / 20, "leak_c100": 1 / 100, "hard": 500.0}
OBSERVER = Observer(2e-4, 0.1, 0.8, 5.0, (0.02, 0.01), (0.0, 20.0))
SLOWER = (1.0, 6.0, 3.0, 2.0, 9.0)  # than ours, of each score


@dataclass(frozen=True)
class Asked:
    name: str
    deadline_s: float
    stage: int


CLASSES = {
    row.name: row for row in (Asked("leak_c20", 1800.0, 2), Asked("leak_c100", 14400.0, 2), Asked("hard", 1.0, 3))
}


def spec(number: int, short_class: str = "", cells: int = 2, **changes) -> TrialSpec:
    fields = {
        "number": number,
        "seed": 1000 + number,
        "profile": PROFILES[number % len(PROFILES)],
        "bench": "fixed_gap",
        "cells": cells,
        "load": "cccv" if number % 2 else "storage",
        "short_class": short_class,
        "confounders": () if short_class else (("contact_loss",), ("plain",), ("ripple", "ageing"))[number % 3],
        "duration_s": 36000.0,
        "dt_s": 0.1,
    }
    return TrialSpec(**{**fields, **changes})


def draw(seed: int, number: int, profiles: tuple[str, ...] = PROFILES) -> TrialSpec:
    """20 cell-hours; five in eight are without a short."""
    kind = ("", *LEAK_C)[(number // 2) % 4] if number % 2 else ""
    return spec(number, kind, seed=1000 * seed + number, profile=profiles[number % len(profiles)])


def run(spec: TrialSpec) -> TrialResult:
    """Leaks are told after a lognormal time, one in 25 not at all; one cell in 50 has a false suspect, few an alarm."""
    random = Random(spec.seed)
    changes = [change(random.uniform(0, 18000.0), cell, 1) for cell in range(spec.cells) if random.random() < 0.02]
    changes += [change(random.uniform(0, 18000.0), cell, 2) for cell in range(spec.cells) if random.random() < 0.004]
    truth, delay_s = None, NEVER_S
    if spec.short_class:
        leak_c = LEAK_C[spec.short_class]
        truth = Truth(random.randrange(spec.cells), 18000.0, 3.7 / (leak_c * 5.0), leak_c, ())
        if random.random() > 0.04:
            delay_s = 5.0 / leak_c * random.lognormvariate(0.0, 0.6)
        if delay_s <= 18000.0:
            stated_ohm = truth.rs_ohm * random.lognormvariate(0.0, 0.4)
            stage = CLASSES[spec.short_class].stage
            changes.append(change(18000.0 + delay_s, truth.cell, stage, stated_ohm))
    crossings = tuple(crossings_of(random, truth, cell, delay_s) for cell in range(spec.cells))
    observer = OBSERVER if truth else None
    rested_s = 0.1 * spec.duration_s if spec.watch_rests else 0.0
    told = tuple(sorted(changes, key=lambda c: c.time_s))
    return TrialResult(spec, told, crossings, truth, observer, 0.5, 0, rested_s)


def change(time_s: float, cell: int, stage: int, rs_ohm: float = NEVER_S) -> StageChange:
    return StageChange(time_s, cell, stage, 0b100 if stage > 1 else 0b1, 0.9, rs_ohm, 0.6 * rs_ohm, 1.7 * rs_ohm)


def crossings_of(random: Random, truth: Truth | None, cell: int, delay_s: float) -> tuple[Crossings, ...]:
    """Higher thresholds: later, and fewer false ones."""
    rows = []
    for slower in SLOWER:
        false_s = random.expovariate(slower / 2e4)
        before = [false_s * 1.35**k for k in range(GRID_POINTS)]
        before_s = tuple(time_s if time_s < 18000.0 else NEVER_S for time_s in before)
        after_s = [slower * delay_s * 1.1**k / 10 for k in range(GRID_POINTS)] if truth and truth.cell == cell else []
        rows.append(Crossings(before_s, tuple(time_s if time_s < 18000.0 else NEVER_S for time_s in after_s)))
    return tuple(rows)


def run_and_kill(spec: TrialSpec) -> TrialResult:
    """The first worker that comes to trial 12 is killed; a file in the folder that ASSB_TEST_FOLDER names remembers."""
    marker = Path(os.environ["ASSB_TEST_FOLDER"]) / "killed"
    if spec.number == 12:
        try:
            marker.touch(exist_ok=False)
        except FileExistsError:
            return run(spec)
        os.kill(os.getpid(), signal.SIGKILL)
    return run(spec)
