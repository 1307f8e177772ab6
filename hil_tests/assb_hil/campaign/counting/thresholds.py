"""Scores against thresholds: false alarms and detections at each of a grid, for our score and the baselines'.

Only first crossings are recorded, so a false-alarm rate is first crossings over the hours watched until them: the rate
of a Poisson process whose clock stops at its first event.
"""

from collections import defaultdict
from collections.abc import Sequence
from math import ceil, inf
from typing import NamedTuple

import numpy as np

from assb_hil.campaign.counting.judgement import Judged, clean_s
from assb_hil.campaign.record import SCORES, Crossings, TrialResult

OURS = 0  # row of SCORES
STANDING_S = 1.0  # between two looks of a baseline: who crossed before and is above at the first look told nothing


class Curve(NamedTuple):
    """One score on one class; arrays over the grid."""

    false_per_1000h: np.ndarray
    detected_frac: np.ndarray
    latency_p50_s: np.ndarray  # inf: half of them were not told within the deadline


class AtEqualRate(NamedTuple):
    """A baseline at the threshold that does best on a class without more false alarms than are granted."""

    threshold: int  # of the grid; -1: none is quiet enough
    detected_frac: float
    latency_p50_s: float


class Crossed:
    """Collects the crossings of trials. Shapes: (cells, scores, thresholds), times in s."""

    def __init__(self) -> None:
        self._before: list[np.ndarray] = []
        self._watched_s: list[float] = []
        self._after: dict[str, list[np.ndarray]] = defaultdict(list)
        self._deadline_s: dict[str, list[float]] = defaultdict(list)

    def add(self, result: TrialResult, judged: Judged) -> None:
        for cell, scores in enumerate(result.crossings):
            self._before.append(np.array([score.before_s for score in scores], dtype=np.float32))
            self._watched_s.append(clean_s(result, cell))
        if result.truth and judged.told and result.crossings:
            own = result.crossings[result.truth.cell]
            self._after[judged.told.short_class].append(told_s(own))
            self._deadline_s[judged.told.short_class].append(judged.told.deadline_s)

    def false_per_1000h(self) -> np.ndarray:
        """(scores, thresholds)."""
        if not self._before:
            return np.full((len(SCORES), 0), inf)
        before, watched = np.stack(self._before), np.array(self._watched_s)[:, None, None]
        crossed = (before < watched).sum(axis=0)
        exposed_s = np.sort(np.minimum(before, watched), axis=0)  # sorted: the sum does not know who finished first
        hours = exposed_s.sum(axis=0, dtype=float) / 3600.0
        return np.where(hours > 0.0, 1000.0 * crossed / np.maximum(hours, 1e-12), np.where(crossed > 0, inf, 0.0))

    def latencies_s(self, short_class: str) -> np.ndarray:
        """(shorts, scores, thresholds); inf: not within the deadline."""
        if not self._after[short_class]:
            return np.full((0, len(SCORES), 0), inf)
        after, deadline = np.stack(self._after[short_class]), np.array(self._deadline_s[short_class])
        return np.where(after <= deadline[:, None, None], after, inf)

    def curves(self, short_class: str) -> dict[str, Curve]:
        """Score → curve; empty where no crossings were recorded."""
        latency_s, false_per_1000h = self.latencies_s(short_class), self.false_per_1000h()
        if not latency_s.size:
            return {}
        detected = np.isfinite(latency_s).mean(axis=0)
        median_s = np.sort(latency_s, axis=0)[ceil(0.5 * len(latency_s)) - 1]
        return {name: Curve(false_per_1000h[k], detected[k], median_s[k]) for k, name in enumerate(SCORES)}


def told_s(scores: Sequence[Crossings]) -> np.ndarray:
    """(scores, thresholds): times since the onset; inf for a score that already stood above, as for a stage."""
    before = np.array([score.before_s for score in scores], dtype=np.float32)
    after = np.array([score.after_s for score in scores], dtype=np.float32)
    return np.where(np.isfinite(before) & (after <= STANDING_S), inf, after)


def at_equal_rate(curve: Curve, granted_per_1000h: float) -> AtEqualRate:
    """Of the thresholds with no more false alarms than granted the one of least median latency, then most detections.

    The threshold is chosen anew for each class, which one detector in one run could not: it favours the baseline.
    """
    quiet = np.flatnonzero(curve.false_per_1000h <= granted_per_1000h)
    if not len(quiet):
        return AtEqualRate(-1, 0.0, inf)
    best = min(quiet, key=lambda k: (curve.latency_p50_s[k], -curve.detected_frac[k], k))
    return AtEqualRate(int(best), float(curve.detected_frac[best]), float(curve.latency_p50_s[best]))
