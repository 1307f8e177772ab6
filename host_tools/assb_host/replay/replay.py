"""A recording from file to verdicts."""

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from assb_host.config.cell import Cell
from assb_host.replay.comparison import Comparison, compare
from assb_host.replay.pack_log import PackLog
from assb_host.replay.verdict import STAGES, Change, Verdict, changes_of, verdicts_of
from assb_host.replay.watching import can_watch, watched


@dataclass(frozen=True)
class Replay:
    """`verdicts` has the weakest cell first."""

    cell: Cell
    log: PackLog
    comparison: Comparison
    changes: list[Change]
    verdicts: list[Verdict]


def replay(cell: Cell, log: PackLog) -> Replay:
    comparison = compare(cell, log)
    own = watched(cell, log) if can_watch(log) else []
    changes = sorted(
        own + changes_of(cell, log, comparison), key=lambda change: (change.time_s, change.cell, change.stage)
    )
    return Replay(cell, log, comparison, changes, verdicts_of(log.cells, changes, comparison))


def facts_of(run: Replay) -> dict:
    """What the command prints as JSON."""
    log = run.log
    return {
        "file": str(log.path),
        "profile": run.cell.name,
        "start": log.start,
        "rows": len(log),
        "rows_skipped": log.skipped,
        "sample_s": log.sample_s,
        "hours": float(sum(log.since_s[part][-1] - log.since_s[part][0] for part in log.parts())) / 3600,
        "gaps": len(log.parts()) - 1,
        "detectors": ["firmware"] * can_watch(log) + ["neighbours"] * (len(run.comparison) > 0),
        "windows_compared": len(run.comparison),
        "cells": [cell_facts(run, verdict) for verdict in run.verdicts],
        "events": [event_facts(run, change) for change in run.changes],
    }


def cell_facts(run: Replay, verdict: Verdict) -> dict:
    """None where a comparison has no windows."""
    k, comparison = verdict.cell, run.comparison
    has_windows = len(comparison) > 0
    return {
        "name": run.log.names[k],
        "stage": STAGES[verdict.stage],
        "confidence": verdict.confidence,
        "rs_ohm": verdict.rs_ohm,
        "rs_low_ohm": verdict.rs_low_ohm,
        "rs_high_ohm": verdict.rs_high_ohm,
        "first_suspect_s": verdict.first_s[1],
        "first_soft_short_s": verdict.first_s[2],
        "first_hard_short_s": verdict.first_s[3],
        "pack_deviation_v": float(np.median(comparison.pack_deviation_v[:, k])) if has_windows else None,
        "missing_soc_frac": float(np.median(comparison.missing[:, k])) if has_windows else None,
        "fallen_soc_frac_max": float(comparison.fallen[:, k].max()) if has_windows else None,
        "rows_skipped": int(run.log.skipped_by_cell[k]),
    }


def event_facts(run: Replay, change: Change) -> dict:
    return {
        "time_s": change.time_s,
        "time": date_of(run.log, change.time_s),
        "cell": run.log.names[change.cell],
        "stage": STAGES[change.stage],
        "confidence": change.confidence,
        "rs_ohm": change.rs_ohm,
        "evidence": list(change.evidence),
    }


def date_of(log: PackLog, since_s: float) -> str | None:
    """Where the recording has dates."""
    if log.start is None:
        return None
    return datetime.fromtimestamp(float(log.time_s[0]) + since_s, UTC).isoformat()[:19]
