"""The rows of a simulation: how often there is one, how the passes join, and how too many become fewer."""

from itertools import pairwise
from math import ceil, inf, isfinite
from typing import Any

import numpy as np
from assb_kernels import ProtocolStep

from assb_hil.plant_file import PlantFile
from assb_hil.protocol_steps import Unrolled, has_end_voltage
from assb_hil.simulation_cycles import COUNTERS

ROWS_MAX = 20_000
EVERY_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400)
# Not in step with any drive cycle of whole minutes: rows then show all of it in time, and not one moment of it for ever
DRIVE_EVERY_S = (0.1, 0.2, 0.5, 1, 2, 5, 11, 19, 31, 61, 127, 307, 613, 1201, 1801, 3607, 7207, 14401, 43201, 86399)
LABELS = ("step", "cycle", "ambient_degc", "aim_mpa")


def default_every_s(expected_s: float, usual_s: tuple[float, ...] = EVERY_S) -> float:
    """Interval of rows that gives at most ROWS_MAX of them."""
    return next((every_s for every_s in usual_s if expected_s / every_s <= ROWS_MAX), expected_s / ROWS_MAX)


def expected_pass_s(unrolled: Unrolled, plant: PlantFile) -> float:
    """About how long a pass takes, for the progress bar and the interval of rows."""
    capacity_ah = plant.cell.capacity_ah
    return sum(expected_step_s(step, capacity_ah) for step in unrolled.steps)


def expected_step_s(step: ProtocolStep, capacity_ah: float) -> float:
    ends = [step.until_s]
    if step.mode == "current":
        ah = capacity_ah if has_end_voltage(step) else inf
        ends.append(3600.0 * min(ah, step.until_ah if isfinite(step.until_ah) else inf) / abs(step.current_a))
    elif step.mode == "voltage":
        ends.append(2 * 3600.0)
    elif step.mode == "drive" and has_end_voltage(step):
        ends.append(step.until_s / 2.5)
    return min(ends)


def joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """One table of all passes: a pass begins with the row that the last one ended with, and counts from zero."""
    whole: dict[str, Any] = {}
    for name in LABELS:  # the first row stands before the first step
        parts[0][name][0] = parts[0][name][min(1, len(parts[0][name]) - 1)]
    for name in parts[0]:
        pieces, carried = [parts[0][name]], 0.0
        for before, part in pairwise(parts):
            carried += before[name][-1] if name in COUNTERS else 0.0
            pieces.append(part[name][1:] + carried if name in COUNTERS else part[name][1:])
        whole[name] = np.concatenate(pieces)
    return whole


def kept_rows(columns: dict[str, np.ndarray], most: int) -> np.ndarray:
    """Indices of at most `most` rows, in order, the first and the last among them.

    Ends of steps go before the rows within them. Where they alone are too many, whole cycles are left out, evenly.
    """
    count = len(columns["time_s"])
    if count <= most:
        return np.arange(count)
    step, cycle = columns["step"], columns["cycle"]
    ends = np.append((np.diff(step) != 0) | (np.diff(cycle) != 0), True)
    ends[0] = True
    every_cycle = ceil(ends.sum() / (most / 2))
    kept = np.flatnonzero(ends & ((cycle - cycle[0]) % every_cycle == 0))
    inner = np.flatnonzero(~ends)
    kept = np.union1d(kept, evenly(inner, most - 2 - min(len(kept), most - 2)))
    return np.unique(np.concatenate(([0], evenly(kept, most - 2), [count - 1])))


def evenly(rows: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of them, equally far apart."""
    return rows[:: ceil(len(rows) / most)] if most > 0 and len(rows) else rows[:0]
