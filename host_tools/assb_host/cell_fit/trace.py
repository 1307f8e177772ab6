"""What a fit needs of a log: few rows, dense after each step of current, with the charge that went between them."""

from dataclasses import dataclass, replace

import numpy as np

from assb_host.cell_fit.log_reader import Log

STEP_FRAC = 0.01  # of the largest current: a larger change begins a new phase
GROWTH = 1.3  # from kept row to kept row within a phase, in time since it began
EDGE_FRAC = 0.02  # of the largest current: where current and mean since the last row differ more, a row has an edge
REST_FRAC = 0.02  # of the largest current: less is a rest
GAP_S = 60.0  # longer without a row: what flowed is known by the cycler's count alone


@dataclass(frozen=True)
class Trace:
    """Kept rows of one log; + charges. `mean_a` flowed since the row before, `current_a` at the row itself.

    `judged`: rows whose voltage can be compared with a circuit, since the current did not change just before.
    """

    log: Log
    time_s: np.ndarray
    mean_a: np.ndarray
    current_a: np.ndarray
    voltage_v: np.ndarray
    temperature_degc: np.ndarray
    pressure_mpa: np.ndarray | None
    moved_ah: np.ndarray
    judged: np.ndarray

    def __len__(self) -> int:
        return len(self.time_s)

    @property
    def begins_at_rest(self) -> bool:
        return abs(float(self.current_a[0])) < REST_FRAC * float(np.abs(self.current_a).max())

    @property
    def dt_s(self) -> np.ndarray:
        """Since the row before; 0 for the first."""
        return np.diff(self.time_s, prepend=self.time_s[0])


def thinned(log: Log) -> Trace:
    """Rows of a pulse log: geometric in time since the last step of current, and the last one before the next."""
    return gaps_filled(picked(log, kept_rows(log)))


def evenly(log: Log, most: int = 4000) -> Trace:
    """Rows of a slow run: every so many."""
    return picked(log, np.unique(np.linspace(0, len(log) - 1, min(most, len(log))).astype(int)))


def picked(log: Log, rows: np.ndarray) -> Trace:
    moved_ah = log.moved_ah[rows]
    time_s, current_a = log.time_s[rows], log.current_a[rows]
    mean_a = np.diff(moved_ah, prepend=moved_ah[0]) * 3600.0 / np.maximum(np.diff(time_s, prepend=time_s[0] - 1), 1e-9)
    judged = np.abs(mean_a - current_a) <= EDGE_FRAC * float(np.abs(log.current_a).max())
    judged[0] = True
    return Trace(
        log,
        time_s,
        mean_a,
        current_a,
        log.voltage_v[rows],
        log.temperature_degc[rows],
        None if log.pressure_mpa is None else log.pressure_mpa[rows],
        moved_ah,
        judged,
    )


def gaps_filled(trace: Trace) -> Trace:
    """Where a log leaves out how it came to the next SOC, its count shows the charge: taken to have flowed at C/2 of
    what the log moves in all right after the last row, with rest until the next one (an assumption)."""
    dt_s, charge_as = trace.dt_s, trace.mean_a * trace.dt_s
    rate_a = 0.5 * float(np.ptp(trace.moved_ah))
    rest = np.abs(trace.current_a) < REST_FRAC * float(np.abs(trace.current_a).max())
    flow_s = np.abs(charge_as) / max(rate_a, 1e-9)
    gap = rest & (dt_s > GAP_S) & (flow_s > GAP_S / 60) & (flow_s < dt_s)
    if not gap.any():
        return trace
    rows = np.flatnonzero(gap)
    mean_a = trace.mean_a.copy()
    mean_a[rows] = 0.0
    put = {
        "time_s": trace.time_s[rows - 1] + flow_s[rows],
        "mean_a": np.sign(charge_as[rows]) * rate_a,
        "current_a": np.sign(charge_as[rows]) * rate_a,
        "judged": np.zeros(len(rows), bool),
        "moved_ah": trace.moved_ah[rows],
    }
    columns = {"mean_a": mean_a, "judged": trace.judged | gap}
    for name in (
        "time_s",
        "mean_a",
        "current_a",
        "voltage_v",
        "temperature_degc",
        "pressure_mpa",
        "moved_ah",
        "judged",
    ):
        values = columns.get(name, getattr(trace, name))
        if values is not None:
            columns[name] = np.insert(values, rows, put.get(name, values[rows]))
    return replace(trace, **columns)


def kept_rows(log: Log) -> np.ndarray:
    begins = phase_begins(log)
    ends = np.append(begins[1:], len(log))
    rows = []
    for begin, end in zip(begins, ends, strict=True):
        since_s = log.time_s[begin:end] - log.time_s[begin]
        if end - begin > 2:
            first_s = max(since_s[1], 1e-3)
            marks = first_s * GROWTH ** np.arange(np.log(max(since_s[-1] / first_s, 1.0)) / np.log(GROWTH) + 1)
            rows.append(begin + np.unique(np.clip(np.searchsorted(since_s, marks), 0, end - begin - 1)))
        rows.append([begin, end - 1])
    return np.unique(np.concatenate(rows).astype(int))


def phase_begins(log: Log) -> np.ndarray:
    """Rows at which the current is another than in the row before, the first one among them."""
    least_a = STEP_FRAC * float(np.abs(log.current_a).max())
    return np.concatenate(([0], 1 + np.flatnonzero(np.abs(np.diff(log.current_a)) > least_a)))
