"""Slow runs: which part of an OCV log is one, which SOC it passes, and the curve once its overvoltage is taken away."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from assb_host.cell_fit.circuit import Circuit
from assb_host.cell_fit.log_reader import Log, taken
from assb_host.cell_fit.trace import REST_FRAC, Trace, evenly
from assb_host.config.errors import ConfigError
from assb_host.config.estimator_parameters import SOC_AXIS

FLOWS_FRAC = 0.3  # of the largest current: below it a log rests
LEAST_PART_FRAC = 0.5  # of the largest run's charge: shorter ones are a pre-charge or a rest of one
CLOSES_FRAC = 0.05  # charge and discharge of one cell may differ by it; more is a miscount, and the charge is left out
EDGE_SOC = 0.01  # a run that stops nearer to 0 or 1 than this is carried on
RATE_MOST_C = 0.15  # a faster run is used, with a note: what is taken away as overvoltage is then most of its error
RATE_REFUSED_C = 2.0  # above it most of what a run shows is overvoltage, or it is no run but a pulse
SLOWEST_FACTOR = 1.5  # of the slowest run of each direction: faster ones add only overvoltage
LEAST_RISE_V = 1e-4  # from knot to knot: the estimator's OCV rises


@dataclass(frozen=True)
class Run:
    """One slow charge or discharge: rows, and the SOC where it began and ended (None: not known yet)."""

    trace: Trace
    is_charge: bool
    soc_begin: float | None
    soc_end: float | None

    @property
    def moved_ah(self) -> float:
        return abs(float(self.trace.moved_ah[-1] - self.trace.moved_ah[0]))

    @property
    def rate_c(self) -> float:
        """Of the charge that it moved, or of the whole where the log has a SOC."""
        begin, end = self.soc_begin, self.soc_end
        span = 1.0 if begin is None or end is None else abs(end - begin) or 1.0
        return float(np.median(np.abs(self.trace.current_a))) / self.moved_ah * span

    def soc(self, capacity_ah: float) -> np.ndarray:
        """By counting from where the run says that it began; `capacity_ah` as the run counts, not the pulses."""
        passed = (self.trace.moved_ah - self.trace.moved_ah[0]) / capacity_ah
        begin = self.soc_begin if self.soc_begin is not None else (0.0 if self.is_charge else 1.0)
        return begin + passed


def runs_of(logs: Sequence[Log]) -> list[Run]:
    """The slow runs in OCV logs, the discharges first. Raises ConfigError for logs without one."""
    runs = [run for log in logs for run in parts(log)]
    most_ah = max((run.moved_ah for run in runs), default=0.0)
    runs = [run for run in runs if run.moved_ah >= LEAST_PART_FRAC * most_ah > 0]
    if not runs:
        raise ConfigError(logs[0].path, "current_a", "no charge that flows", "a slow charge or discharge (--ocv)")
    return sorted(runs, key=lambda run: run.is_charge)


def parts(log: Log) -> list[Run]:
    """Stretches in which the current flows one way."""
    least_a = FLOWS_FRAC * float(np.abs(log.current_a).max())
    flow = np.where(np.abs(log.current_a) > least_a, np.sign(log.current_a), 0.0)
    edges = np.concatenate(([0], 1 + np.flatnonzero(np.diff(flow)), [len(log)]))
    runs = []
    for begin, end in pairwise(edges.tolist()):
        if flow[begin] and end - begin > 2:
            part = taken(log, slice(begin, end))
            ends = (None, None) if part.soc is None else (float(part.soc[0]), float(part.soc[-1]))
            runs.append(Run(evenly(part, 1500), bool(flow[begin] > 0), *ends))
    return runs


def usable(runs: Sequence[Run], notes: list[str]) -> list[Run]:
    """Without charges that do not close the discharge's count; `notes` gets what is doubtful.

    Raises ConfigError where all are too fast to show an OCV.
    """
    runs = slow_enough(runs, notes)
    slowest = {way: min((run.rate_c for run in runs if run.is_charge is way), default=0.0) for way in (False, True)}
    runs = [run for run in runs if run.rate_c <= SLOWEST_FACTOR * slowest[run.is_charge]]
    fast = {run.trace.log.path.name: run.rate_c for run in runs if run.rate_c > RATE_MOST_C}
    for name, rate_c in fast.items():
        notes.append(f"{name}: {rate_c:.2g}C is fast for an OCV run; C/20 gives a better OCV")
    discharges = [run for run in runs if not run.is_charge]
    if not discharges:
        return list(runs)
    full_ah = max(run.moved_ah for run in discharges)
    kept = list(discharges)
    for run in runs:
        if run.is_charge and run.soc_begin is None and abs(run.moved_ah / full_ah - 1) > CLOSES_FRAC:
            notes.append(
                f"{run.trace.log.path.name}: its charge counts {run.moved_ah:.3f} Ah against {full_ah:.3f} Ah on "
                "discharge, and is left out; no hysteresis is fitted"
            )
        elif run.is_charge:
            kept.append(run)
    return kept


def slow_enough(runs: Sequence[Run], notes: list[str]) -> list[Run]:
    slow = [run for run in runs if run.rate_c <= RATE_REFUSED_C]
    if not slow:
        fastest = min(runs, key=lambda run: run.rate_c)
        seen = f"{fastest.rate_c:.3g}C, {fastest.moved_ah:.3g} Ah in one go, as its slowest run"
        allowed = f"an OCV run of at most {RATE_REFUSED_C:g}C over all of the charge"
        raise ConfigError(fastest.trace.log.path, "--ocv", seen, allowed, "give a slow run; C/20 is best")
    for name in dict.fromkeys(run.trace.log.path.name for run in runs if run.rate_c > RATE_REFUSED_C):
        notes.append(f"{name}: a part of more than {RATE_REFUSED_C:g}C is left out of the OCV")
    return slow


def curve_v(run: Run, capacity_ah: float, circuit: Circuit | None) -> np.ndarray:
    """OCV on SOC_AXIS by one run; NaN where the run does not pass."""
    soc = run.soc(capacity_ah)
    over_v = np.zeros(len(soc)) if circuit is None else circuit.overvoltage_v(run.trace, soc)
    order = np.argsort(soc)
    low, high = soc[order[0]], soc[order[-1]]
    low, high = (0.0 if low < EDGE_SOC else low), (1.0 if high > 1 - EDGE_SOC else high)
    curve = np.interp(SOC_AXIS, soc[order], (run.trace.voltage_v - over_v)[order])
    return np.where((low - 1e-9 <= SOC_AXIS) & (high + 1e-9 >= SOC_AXIS), curve, np.nan)


def merged_curve_v(curves: Sequence[np.ndarray]) -> np.ndarray:
    """Mean of the runs, each carried on beyond its ends in parallel to the others; rising."""
    table = np.array(curves)
    seen = np.isfinite(table)
    shared = seen.all(axis=0)
    middle = table[:, shared].mean(axis=0) if shared.any() else None
    shift = np.zeros(len(table)) if middle is None else (table[:, shared] - middle).mean(axis=1)
    count = seen.sum(axis=0)
    total = np.where(seen, table - shift[:, None], 0.0).sum(axis=0)
    known = count > 0
    mean = np.interp(SOC_AXIS, SOC_AXIS[known], total[known] / count[known])
    return rising(mean)


def above_empty(runs: Sequence[Run], ocv_v: np.ndarray, empty_v: float | None) -> float:
    """Share of the run from full down that lies above SOC 0; runs that know their SOC are taken at their word."""
    if empty_v is None or any(run.soc_begin is not None for run in runs) or ocv_v[0] >= empty_v:
        return 1.0
    return 1.0 - float(np.interp(empty_v, ocv_v, SOC_AXIS))


@dataclass(frozen=True)
class Window:
    """What the OCV can be: it is nowhere outside of what runs and rests showed."""

    low_v: float
    high_v: float

    def holds(self, curve: np.ndarray) -> np.ndarray:
        """A rising curve within the window; it still rises."""
        steps_v = LEAST_RISE_V * np.arange(len(curve))
        return np.clip(rising(curve), self.low_v + steps_v, self.high_v - steps_v[::-1])


def window_of(runs: Sequence[Run], logs: Sequence[Log]) -> Window:
    """Runs end it, and rests in all logs. A charge stands above the OCV: where a rest lies above all discharges,
    the cell rested when it was full, and charges do not count at the upper end."""
    rests_v = [volts for log in logs if len(volts := resting_v(log))]
    downs_v = [run.trace.voltage_v for run in runs if not run.is_charge]
    every_v = [run.trace.voltage_v for run in runs] + rests_v
    low_v, high_v = (float(end(np.concatenate(every_v))) for end in (np.min, np.max))
    if rests_v and downs_v:
        rested_v = float(np.concatenate(rests_v).max())
        high_v = rested_v if rested_v >= float(np.concatenate(downs_v).max()) else high_v
    return Window(low_v, high_v)


def resting_v(log: Log) -> np.ndarray:
    return log.voltage_v[np.abs(log.current_a) < REST_FRAC * float(np.abs(log.current_a).max())]


def rising(curve: np.ndarray) -> np.ndarray:
    floor = np.maximum.accumulate(curve - LEAST_RISE_V * np.arange(len(curve)))
    return floor + LEAST_RISE_V * np.arange(len(curve))


def half_gap_v(runs: Sequence[Run], curves: Sequence[np.ndarray]) -> float:
    """Half of what charge stands above discharge over the middle of the SOC; 0 without both."""
    up = [curve for run, curve in zip(runs, curves, strict=True) if run.is_charge]
    down = [curve for run, curve in zip(runs, curves, strict=True) if not run.is_charge]
    if not up or not down:
        return 0.0
    middle = (SOC_AXIS > 0.15) & (SOC_AXIS < 0.85)
    gap = np.mean(up, axis=0)[middle] - np.mean(down, axis=0)[middle]
    gap = gap[np.isfinite(gap)]
    return max(0.0, float(np.median(gap)) / 2) if len(gap) else 0.0
