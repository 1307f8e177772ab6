"""Stages of every cell over a recording, and which of them is the weakest."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

import numpy as np
from assb.detection.fusion import BOUND, PRIOR, WEIGHT

from assb_host.config.cell import Cell
from assb_host.replay.comparison import Comparison
from assb_host.replay.pack_log import PackLog

STAGES = ("none", "suspect", "soft_short", "hard_short")
NONE, SUSPECT, SOFT_SHORT = range(3)
AGAINST_NEIGHBOURS = "missing_against_neighbours"
# Assumptions, in sigmas of a deviation, held for LASTING windows. In the one vehicle pack that we know the weak cell
# lies 23 below its neighbours and falls by 15; of the others none does either by more than 3
MISSING_SIGMAS = 6.0  # an imbalance that may always have been: suspect at most
FALLEN_SIGMAS = 8.0  # charge that went while the recording ran: a soft short
LASTING = 5
HALF_BOUND = 0.5  # a fall is taken to begin in the last window below this share of its bound


@dataclass(frozen=True)
class Change:
    """A stage that a cell reached. `rs_ohm` and its bounds are None where no leak is known."""

    time_s: float  # since the first row
    cell: int
    stage: int
    confidence: float
    evidence: tuple[str, ...]
    rs_ohm: float | None = None
    rs_low_ohm: float | None = None
    rs_high_ohm: float | None = None


@dataclass(frozen=True)
class Verdict:
    """What a recording says of one cell: the highest stage it reached, how sure at most, and when first."""

    cell: int
    stage: int
    confidence: float
    rs_ohm: float | None
    rs_low_ohm: float | None
    rs_high_ohm: float | None
    first_s: tuple[float | None, ...]  # per stage


def confidence_of(score: float) -> float:
    """`score` is 1 at the threshold of an evidence; odds as in the firmware's fusion."""
    return 1 / (1 + exp(-PRIOR - WEIGHT * min(max(score, 0.0), BOUND)))


def lasting(sigmas: np.ndarray) -> np.ndarray:
    """What was held for LASTING windows up to each one; 0 before there were so many."""
    held = np.zeros_like(sigmas)
    for w in range(LASTING - 1, len(sigmas)):
        held[w] = sigmas[w - LASTING + 1 : w + 1].min(axis=0)
    return held


@dataclass(frozen=True)
class Evidence:
    """Of a comparison, windows x cells: sigmas that lasted."""

    missing: np.ndarray
    fallen: np.ndarray

    @property
    def score(self) -> np.ndarray:
        """1 at suspect, 2 at soft short. How far a cell has always lain below the others counts for 1 at most."""
        return np.maximum(np.minimum(self.missing / MISSING_SIGMAS, 1.0), 2.0 * self.fallen / FALLEN_SIGMAS)

    @property
    def stage(self) -> np.ndarray:
        return np.where(
            self.fallen >= FALLEN_SIGMAS, SOFT_SHORT, np.where(self.missing >= MISSING_SIGMAS, SUSPECT, NONE)
        )


def evidence_of(comparison: Comparison) -> Evidence:
    sigma = comparison.sigma[:, None]
    return Evidence(lasting(comparison.missing / sigma), lasting(comparison.fallen / sigma))


def changes_of(cell: Cell, log: PackLog, comparison: Comparison) -> list[Change]:
    """The first window of each stage of each cell."""
    evidence = evidence_of(comparison)
    found = []
    for k in range(log.cells):
        for stage in (SUSPECT, SOFT_SHORT):
            windows = np.flatnonzero(evidence.stage[:, k] >= stage)
            if len(windows):
                w = int(windows[0])
                sure = confidence_of(float(evidence.score[w, k]))
                rs = resistance_of(cell, log, comparison, w, k) if stage == SOFT_SHORT else (None, None, None)
                found.append(Change(float(comparison.time_s[w]), k, stage, sure, (AGAINST_NEIGHBOURS,), *rs))
    return found


def resistance_of(cell: Cell, log: PackLog, comparison: Comparison, w: int, k: int) -> tuple[float | None, ...]:
    """(Rs, 1 sigma lower, 1 sigma higher) of a leak that took evenly what is lost between the last window before the
    fall and window `w`; one that flowed for a part of that time alone is of less ohm. None: no such bound."""
    small = comparison.fallen[:w, k] < HALF_BOUND * FALLEN_SIGMAS * comparison.sigma[:w]
    before = int(np.flatnonzero(small)[-1])
    lost = float(comparison.deviation[before, k] - comparison.deviation[w, k])
    sigma = float(np.hypot(comparison.sigma[before], comparison.sigma[w]))
    hours = float(comparison.time_s[w] - comparison.time_s[before]) / 3600
    volts = float(np.median(log.voltage_v[:, k]))

    def ohm(share: float) -> float | None:
        return volts * hours / (share * cell.capacity_ah) if share > 0 else None

    return ohm(lost), ohm(lost + sigma), ohm(lost - sigma)


def verdicts_of(cells: int, changes: Sequence[Change], comparison: Comparison) -> list[Verdict]:
    """One per cell, the weakest first: by stage, then by what evidence there is below any threshold."""
    score = evidence_of(comparison).score.max(axis=0, initial=0.0)
    found = []
    for k in range(cells):
        own = [change for change in changes if change.cell == k]
        stage = max((change.stage for change in own), default=NONE)
        sure = max([confidence_of(float(score[k])), *(change.confidence for change in own)])
        worst = max((c for c in own if c.rs_ohm is not None), key=lambda c: (c.stage, c.confidence), default=None)
        rs = (worst.rs_ohm, worst.rs_low_ohm, worst.rs_high_ohm) if worst else (None, None, None)
        first = tuple(min((c.time_s for c in own if c.stage >= s), default=None) for s in range(len(STAGES)))
        found.append(Verdict(k, stage, sure, *rs, first))
    return sorted(found, key=lambda verdict: (-verdict.stage, -verdict.confidence, verdict.cell))
