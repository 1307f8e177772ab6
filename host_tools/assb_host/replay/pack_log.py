"""A recording of one cell or of many in series, with the rows that can be none left out and counted."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from assb_host.cell_fit.estimate import gap_of
from assb_host.cell_fit.log_reader import Log, check_sign, check_units, read_lines
from assb_host.config.cell import Cell
from assb_host.config.errors import ConfigError
from assb_host.config.estimator_parameters import CURRENT_HEADROOM
from assb_host.replay.columns import Wanted
from assb_host.replay.table import find_names, needed_names, parse

SKIPPED_MOST_FRAC = 0.5
TEMPERATURES_DEGC = (-60.0, 200.0)  # what a thermometer of a cell may show; beyond it is a broken wire
AHEAD_ROWS = 5
DATE_FROM_S = 1e8  # a first time beyond it is a date (1973), not the seconds of a test
REASONS = (
    "not a number",
    "voltage out of range",
    "current out of range",
    "temperature out of range",
    "time not rising",
)


@dataclass(frozen=True)
class PackLog:
    """Rows that can be believed; + charges. `voltage_v` is rows x cells, times are those of the file."""

    path: Path
    names: list[str]
    time_s: np.ndarray
    voltage_v: np.ndarray
    current_a: np.ndarray
    temperature_degc: np.ndarray
    pressure_mpa: np.ndarray | None
    skipped: dict[str, int]  # rows by reason
    skipped_by_cell: np.ndarray  # rows in which this cell's voltage could be none

    def __len__(self) -> int:
        return len(self.time_s)

    @property
    def cells(self) -> int:
        return len(self.names)

    @property
    def since_s(self) -> np.ndarray:
        return self.time_s - self.time_s[0]

    @property
    def sample_s(self) -> float:
        """Median interval."""
        return float(np.median(np.diff(self.time_s)))

    @property
    def start(self) -> str | None:
        """Date and time of the first row, where the file says."""
        first_s = float(self.time_s[0])
        return datetime.fromtimestamp(first_s, UTC).isoformat()[:19] if first_s > DATE_FROM_S else None

    def parts(self) -> list[slice]:
        """Stretches without a long gap."""
        breaks = 1 + np.flatnonzero(np.diff(self.time_s) > gap_of(self.sample_s))
        return [slice(begin, end) for begin, end in pairwise([0, *breaks.tolist(), len(self)])]


def read_pack_log(
    path: Path,
    cell: Cell,
    mapping: dict[str, Wanted] | None = None,
    *,
    plus_discharges: bool = False,
    temperature_degc: float | None = None,
) -> PackLog:
    """The recording in a CSV file, plain, gzipped or zipped, of cells as `cell` describes. Raises ConfigError."""
    lines, mapping = read_lines(path), mapping or {}
    start, columns, delimiter = find_names(path, lines, mapping, needed_names(temperature_degc is not None))
    body = [line for line in lines[start:] if line.strip()]
    if len(body) < 2:
        raise ConfigError(path, "", f"{len(body)} rows under the names", "at least two rows of numbers")
    values = parse(body, columns, delimiter)
    if "temperature_degc" not in values:
        values["temperature_degc"] = np.full((len(body), 1), temperature_degc, dtype=float)
    sign = -1.0 if plus_discharges != ("current_a" in columns.turned) else 1.0
    pressure_mpa = (
        values["pressure_mpa"][:, 0] * (1e-6 if columns.is_pascal else 1.0) if "pressure_mpa" in values else None
    )
    names = columns.names if len(columns.names) > 1 else [path.name.partition(".")[0]]
    log = PackLog(
        path, names, values["time_s"], values["voltage_v"], sign * values["current_a"][:, 0],
        np.mean(values["temperature_degc"], axis=1), pressure_mpa, {}, np.zeros(len(names), int),
    )  # fmt: skip
    log = believable(log, cell)
    check_as_one_cell(log)
    return log


def believable(log: PackLog, cell: Cell) -> PackLog:
    """Without the rows that can be none; the first reason that fits a row counts. Raises ConfigError for too many."""
    wrong = wrong_rows(log, cell)
    reason = np.full(len(log), -1)
    for k, rows in enumerate(wrong):
        reason[(reason < 0) & rows] = k
    sound = np.flatnonzero(reason < 0)
    reason[sound[~rising(log.time_s[sound])]] = len(REASONS) - 1
    keep = reason < 0
    skipped = {name: int((reason == k).sum()) for k, name in enumerate(REASONS) if (reason == k).any()}
    off = out_of_window(log.voltage_v, cell)
    if keep.sum() < 2 or (~keep).sum() > SKIPPED_MOST_FRAC * len(log):
        raise too_few(log, skipped, off, cell)
    return replace(taken(log, keep), skipped=skipped, skipped_by_cell=off.sum(axis=0))


def wrong_rows(log: PackLog, cell: Cell) -> list[np.ndarray]:
    """In the order of REASONS, times apart."""
    scalars = [log.time_s, log.current_a, log.temperature_degc]
    scalars += [] if log.pressure_mpa is None else [log.pressure_mpa]
    low_degc, high_degc = TEMPERATURES_DEGC
    most_a = CURRENT_HEADROOM * max(cell.current.charge_max_a, cell.current.discharge_max_a)
    return [
        ~np.all(np.isfinite(np.column_stack([*scalars, log.voltage_v])), axis=1),
        np.any(out_of_window(log.voltage_v, cell), axis=1),
        np.abs(log.current_a) > most_a,
        (log.temperature_degc < low_degc) | (log.temperature_degc > high_degc),
    ]


def out_of_window(voltage_v: np.ndarray, cell: Cell) -> np.ndarray:
    return ~((voltage_v >= cell.voltage.abs_min_v) & (voltage_v <= cell.voltage.abs_max_v))


def too_few(log: PackLog, skipped: dict[str, int], off: np.ndarray, cell: Cell) -> ConfigError:
    seen = ", ".join(f"{count} {reason}" for reason, count in skipped.items())
    worst = int(np.argmax(off.sum(axis=0)))
    allowed = (
        f"at least half of them with {cell.voltage.abs_min_v:g} .. {cell.voltage.abs_max_v:g} V, as {cell.name} has"
    )
    remedy = f"is it this cell's recording? {log.names[worst]} is out in {int(off[:, worst].sum())} rows; see --columns"
    return ConfigError(log.path, "", f"{len(log)} rows, skipped: {seen}", allowed, remedy)


def taken(log: PackLog, keep: np.ndarray) -> PackLog:
    names = ("time_s", "voltage_v", "current_a", "temperature_degc", "pressure_mpa")
    return replace(log, **{name: getattr(log, name)[keep] for name in names if getattr(log, name) is not None})


def rising(time_s: np.ndarray) -> np.ndarray:
    """Which rows are later than all before them, where one that is later than most of those that follow does not count:
    a clock that jumps for a row or two, forth or back, costs these alone."""
    if (np.diff(time_s) > 0).all():
        return np.ones(len(time_s), bool)
    padded = np.append(time_s, np.full(AHEAD_ROWS, np.inf))
    ahead_s = np.median(sliding_window_view(padded[1:], AHEAD_ROWS), axis=1)
    jumps = time_s > ahead_s
    latest_s = np.maximum.accumulate(np.where(jumps, -np.inf, time_s))
    return ~jumps & (time_s > np.append(-np.inf, latest_s[:-1]))


def check_as_one_cell(log: PackLog) -> None:
    """Units and sign by the pack's median cell. Raises ConfigError."""
    middle = Log(log.path, log.since_s, np.median(log.voltage_v, axis=1), log.current_a, log.temperature_degc)
    check_units(middle)
    check_sign(middle)
