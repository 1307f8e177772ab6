"""Drive cycles from CSV files: time in s and current in A, two columns; what is wrong is told with its line."""

import re
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from pathlib import Path

import numpy as np
from assb_host.config.errors import ConfigError

COLUMNS = "two numbers, time_s,current_a"
POWER = re.compile(r"power|watt|\[k?w\]|_k?w\b", re.IGNORECASE)
MAX_POINTS = 10_000_000


@dataclass(frozen=True)
class DriveCycle:
    """Current over time, joined by straight lines, from `time_s[0]` = 0; + charges."""

    path: Path
    time_s: np.ndarray
    current_a: np.ndarray

    @property
    def duration_s(self) -> float:
        return float(self.time_s[-1])

    @property
    def peak_a(self) -> tuple[float, float]:
        """Largest discharge and charge current, both as positive numbers."""
        return max(0.0, -float(self.current_a.min())), max(0.0, float(self.current_a.max()))

    @property
    def charge_ah(self) -> float:
        """Net charge of one turn."""
        return float(np.diff(self.time_s) @ _middles(self.current_a)) / 3600.0

    def column(self, dt_s: float) -> tuple[np.ndarray, float]:
        """(mean current of each interval, length of the intervals): about `dt_s` long, whole ones in a turn.

        Means of the straight lines, so that the charge of a turn is kept exactly.
        """
        count = max(1, round(self.duration_s / dt_s))
        if count > MAX_POINTS:
            raise ConfigError(self.path, "", f"{count} intervals of {dt_s:g} s", f"up to {MAX_POINTS}: use a larger dt")
        moved_as = np.concatenate(([0.0], np.cumsum(np.diff(self.time_s) * _middles(self.current_a))))
        edges_s = np.linspace(0.0, self.duration_s, count + 1)
        position = np.clip(np.searchsorted(self.time_s, edges_s, side="right") - 1, 0, len(self.time_s) - 2)
        start_a, since_s = self.current_a[position], edges_s - self.time_s[position]
        slope = np.diff(self.current_a)[position] / np.diff(self.time_s)[position]
        at_edges_as = moved_as[position] + since_s * (start_a + 0.5 * slope * since_s)
        interval_s = self.duration_s / count
        return np.diff(at_edges_as) / interval_s, interval_s


def _middles(values: np.ndarray) -> np.ndarray:
    return 0.5 * (values[1:] + values[:-1])


def load_drive_cycle(path: Path, plus_discharges: bool = False) -> DriveCycle:
    """The drive cycle in a CSV file; lines that begin with # and one line of names are skipped. Raises ConfigError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(path, "", error.strerror or str(error), "a file that can be read") from None
    except UnicodeDecodeError as error:
        raise ConfigError(path, "", str(error), "a text file in UTF-8") from None
    rows = [(number, *_pair(path, number, line)) for number, line in _data_lines(path, lines)]
    if len(rows) < 2:
        raise ConfigError(path, "", f"{len(rows)} rows", f"at least two rows of {COLUMNS}")
    for (_, before_s, _), (number, time_s, _) in pairwise(rows):
        if time_s <= before_s:
            raise ConfigError(path, f"line {number}", time_s, f"a time after {before_s:g} s: times must rise")
    table = np.array([row[1:] for row in rows], dtype=float)
    sign = -1.0 if plus_discharges else 1.0
    return DriveCycle(path, table[:, 0] - table[0, 0], sign * table[:, 1])


def _data_lines(path: Path, lines: list[str]) -> list[tuple[int, str]]:
    """(line number, text) of the rows; comments, and a line of names before the first row, only say what it is."""
    numbered = [(number, line.strip()) for number, line in enumerate(lines, 1) if line.strip()]
    rows = [(number, line) for number, line in numbered if not line.startswith("#")]
    notes = [(number, line) for number, line in numbered if line.startswith("#")]
    if rows and _is_name(rows[0][1].split(",")[0]):
        notes.append(rows.pop(0))
    for number, line in notes:
        if "," in line and POWER.search(line):
            raise ConfigError(path, f"line {number}", line, "a current in A: this file seems to hold power")
    return rows


def _is_name(text: str) -> bool:
    return not _is_number(text) and not any(character.isdigit() for character in text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _pair(path: Path, number: int, line: str) -> tuple[float, float]:
    """The two numbers of a row."""
    fields = [field.strip() for field in line.split(",")]
    if len(fields) != 2 or not all(map(_is_number, fields)):
        raise ConfigError(path, f"line {number}", line, COLUMNS)
    time_s, current_a = map(float, fields)
    if not (isfinite(time_s) and isfinite(current_a)):
        raise ConfigError(path, f"line {number}", line, "finite numbers")
    return time_s, current_a
