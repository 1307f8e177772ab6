"""A log of a cycler: CSV, packed or not, with checked columns; what is wrong is told with its file and line."""

import gzip
import io
import zipfile
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from assb_host.cell_fit import log_columns
from assb_host.config.errors import ConfigError

HEADER_LINES = 60  # cyclers write about the test before the names
DROPPED_MOST_FRAC = 0.5
PLAUSIBLE = {  # median of the magnitude, and what a larger one is taken for
    "voltage_v": (100.0, "volts: these may be millivolts"),
    "current_a": (5000.0, "amperes: these may be milliamperes"),
    "temperature_degc": (150.0, "degrees Celsius: these may be kelvin"),
    "soc": (1.2, "a fraction 0..1: these may be per cent"),
    "pressure_mpa": (500.0, "megapascals: these may be kilopascals"),
}
MOVED_LEAST_FRAC = 0.02  # of the charge that went to and fro: below it a sign can't be judged
STEP_LEAST_FRAC = (
    0.1  # of the largest current: a change that the voltage answers at once, and no constant voltage's decay
)
STEP_MOST_S = 10.0  # from row to row: in a longer time the OCV moves as well
STEP_LEAST_CORRELATION = 0.3  # of steps and answers; of a constant voltage or of noise it is near 0
ONE_WAY_FRAC = 0.5  # of the charge that went to and fro: above it a log is a charge or a discharge as a whole ...
ONE_WAY_LEAST_V = 0.1  # ... which moves its voltage by so much, as a rest hardly does ...
ONE_WAY_SPAN_FRAC = 0.25  # ... and by so much of all that it passes


@dataclass(frozen=True)
class Log:
    """Columns of one recording; + charges. `net_charge_ah`, `soc` and `pressure_mpa` are None where it has none.

    `dropped` counts rows that were not numbers or stood at the same time as the row before them.
    """

    path: Path
    time_s: np.ndarray
    voltage_v: np.ndarray
    current_a: np.ndarray
    temperature_degc: np.ndarray
    net_charge_ah: np.ndarray | None = None
    soc: np.ndarray | None = None
    pressure_mpa: np.ndarray | None = None
    dropped: int = 0
    lines: np.ndarray = field(default_factory=lambda: np.zeros(0, int), repr=False)

    def __len__(self) -> int:
        return len(self.time_s)

    @property
    def moved_ah(self) -> np.ndarray:
        """Charge since the first row: the cycler's count, else the integral of a current joined by straight lines."""
        if self.net_charge_ah is not None:
            return self.net_charge_ah - self.net_charge_ah[0]
        return counted_ah(self.time_s, self.current_a)

    @property
    def sample_s(self) -> float:
        """Median interval."""
        return float(np.median(np.diff(self.time_s)))


def counted_ah(time_s: np.ndarray, current_a: np.ndarray) -> np.ndarray:
    middle_a = 0.5 * (current_a[1:] + current_a[:-1])
    return np.concatenate(([0.0], np.cumsum(middle_a * np.diff(time_s)))) / 3600.0


def read_log(
    path: Path,
    mapping: dict[str, str] | None = None,
    *,
    plus_discharges: bool = False,
    temperature_degc: float | None = None,
) -> Log:
    """The log in a file. `mapping` names columns that are called otherwise; `plus_discharges` turns the current and
    its count; `temperature_degc` is that of a log without a column of it. Raises ConfigError."""
    lines = read_lines(path)
    start, at, delimiter = find_header(path, lines, mapping or {}, temperature_degc is not None)
    table, numbers, dropped = parse_rows(path, lines, start, at, delimiter)
    columns = {name: table[:, k] for k, name in enumerate(at)}
    if is_pascal(lines, start, at, delimiter):
        columns["pressure_mpa"] = columns["pressure_mpa"] * 1e-6
    columns.setdefault("temperature_degc", np.full(len(table), temperature_degc, dtype=float))
    if plus_discharges:
        for name in {"current_a", "net_charge_ah"} & set(columns):
            columns[name] = -columns[name]
    log = without_repeats(Log(path, **columns, dropped=dropped, lines=numbers))
    check_units(log)
    check_sign(log)
    return log


def read_lines(path: Path) -> list[str]:
    try:
        data = unpacked(path.read_bytes(), path)
        lines = data.decode("utf-8-sig", errors="replace").splitlines()
    except OSError as error:
        raise ConfigError(path, "", error.strerror or str(error), "a file that can be read") from None
    except (EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise ConfigError(path, "", f"broken gzip or zip: {error}", "a CSV file, packed or not") from None
    if not any(line.strip() for line in lines):
        raise ConfigError(path, "", "an empty file", "a CSV file with a line of names and rows")
    return lines


def unpacked(data: bytes, path: Path) -> bytes:
    """Raises ConfigError for an archive of several files; EOFError, zlib.error, BadZipFile for a broken one."""
    if data[:2] == b"\x1f\x8b":
        return gzip.decompress(data)
    if data[:4] != b"PK\x03\x04":
        return data
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if len(names) != 1:
            raise ConfigError(path, "", f"a zip of {len(names)} files: {', '.join(names)}", "one CSV file in it")
        return archive.read(names[0])


def find_header(path: Path, lines: list[str], mapping: dict[str, str], has_temperature: bool):
    """(first line of the rows, {quantity: column}, delimiter); names may follow lines about the test."""
    needed = [name for name in log_columns.REQUIRED if name != "temperature_degc" or not has_temperature]
    best: tuple[int, dict[str, int], list[str]] = (-1, {}, [])
    for number, line in enumerate(lines[:HEADER_LINES]):
        delimiter = max(",;\t", key=line.count)
        names = line.lstrip("#").split(delimiter)
        at = log_columns.positions(names, mapping)
        if len(at) > len(best[1]):
            best = (number, at, names)
        if all(name in at for name in needed) and set(mapping) <= set(at):
            first = number if is_row(names, at) else number + 1
            return first, at, delimiter
    raise no_header(path, lines, best, needed, mapping)


def is_row(fields: list[str], at: dict[str, int]) -> bool:
    """A line of numbers in the place of names: its columns were given by position."""
    return all(is_number(fields[k]) for k in at.values())


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def no_header(path: Path, lines: list[str], best, needed: list[str], mapping: dict[str, str]) -> ConfigError:
    number, at, names = best
    missing = [name for name in needed if name not in at] + [name for name in mapping if name not in at]
    if number < 0:
        names = next(line for line in lines if line.strip()).split(",")
    seen = ", ".join(name.strip() for name in names if name.strip())
    wanted = ", ".join(f"{name} ({mapping[name]})" if name in mapping else name for name in dict.fromkeys(missing))
    remedy = '--columns "time_s=Test_Time(s),..." maps other names, time_s=#2 a position'
    if missing == ["temperature_degc"]:
        remedy += "; --temperature-degc gives one for the whole log"
    return ConfigError(path, wanted, None, f"the columns there are: {seen}", remedy)


def parse_rows(path: Path, lines: list[str], start: int, at: dict[str, int], delimiter: str):
    """(table with a column per quantity, line number of each row, rows dropped)."""
    body = lines[start:]
    if not any(line.strip() for line in body):
        raise ConfigError(path, "", "0 rows under the names", "at least two rows of numbers")
    columns = list(at.values())
    try:
        table = np.loadtxt(body, delimiter=delimiter, usecols=columns, ndmin=2, comments=None)
        numbers = np.flatnonzero([bool(line.strip()) for line in body]) + start + 1
    except ValueError:
        table, numbers = parse_slowly(body, columns, delimiter, start)
    sound = np.isfinite(table).all(axis=1)
    rows = sum(bool(line.strip()) for line in body)
    dropped = rows - int(sound.sum())
    if sound.sum() < 2:
        raise ConfigError(path, "", f"{sound.sum()} rows of numbers in {rows}", "at least two rows of numbers")
    if dropped > DROPPED_MOST_FRAC * rows:
        raise ConfigError(path, "", f"{dropped} of {rows} rows without numbers", "a table of numbers", "see --columns")
    return table[sound], numbers[sound], dropped


def parse_slowly(body: list[str], columns: list[int], delimiter: str, start: int):
    """As np.loadtxt, with NaN where a field is no number."""
    table, numbers = [], []
    for number, line in enumerate(body, start + 1):
        if line.strip():
            fields = line.split(delimiter)
            picked = [fields[k] if k < len(fields) else "" for k in columns]
            table.append([float(text) if is_number(text) else np.nan for text in picked])
            numbers.append(number)
    return np.array(table, dtype=float).reshape(-1, len(columns)), np.array(numbers, dtype=int)


def is_pascal(lines: list[str], start: int, at: dict[str, int], delimiter: str) -> bool:
    if "pressure_mpa" not in at or start == 0:
        return False
    name = lines[start - 1].split(delimiter)[at["pressure_mpa"]]
    return log_columns.plain(name) in log_columns.PASCAL_COLUMNS


def without_repeats(log: Log) -> Log:
    """Time must not fall; of rows at one time the first stays, whose current flowed until then."""
    step_s = np.diff(log.time_s)
    if (step_s < 0).any():
        k = int(np.argmax(step_s < 0)) + 1
        allowed = f"a time of at least {log.time_s[k - 1]:g} s, as in the row before"
        remedy = "sort the rows, or map the time of the whole test and not that of a step"
        raise ConfigError(log.path, f"line {log.lines[k]}, time_s", float(log.time_s[k]), allowed, remedy)
    keep = np.concatenate(([True], step_s > 0))
    if keep.sum() < 2:
        raise ConfigError(log.path, "time_s", float(log.time_s[0]), "times that rise")
    return replace(taken(log, keep), dropped=log.dropped + int((~keep).sum()))


def taken(log: Log, keep: np.ndarray | slice) -> Log:
    """Some rows of a log."""
    names = (*log_columns.QUANTITIES, "lines")
    return replace(log, **{name: getattr(log, name)[keep] for name in names if getattr(log, name) is not None})


def check_units(log: Log) -> None:
    for name, (most, meaning) in PLAUSIBLE.items():
        values = getattr(log, name)
        median = 0.0 if values is None else float(np.median(np.abs(values)))
        if median > most:
            raise ConfigError(log.path, name, round(median, 3), f"a median of at most {most:g} {meaning}")


def check_sign(log: Log) -> None:
    """The cycler's count and the voltage must follow the current, + charges."""
    remedy = "give --current-sign - if + discharges in this log"
    counted = counted_ah(log.time_s, log.current_a)
    to_and_fro = float(np.abs(np.diff(counted)).sum())
    for name, values in (("net_charge_ah", log.net_charge_ah), ("soc", log.soc)):
        if values is not None and abs(counted[-1]) > MOVED_LEAST_FRAC * to_and_fro > 0:
            along = float(np.dot(np.diff(values), np.diff(counted)))
            if along < 0:
                raise ConfigError(log.path, name, "a count that falls while the current charges", "+ charges", remedy)
    agrees = step_sign(log) or one_way_sign(log)
    if agrees < 0:
        raise ConfigError(log.path, "current_a", "a voltage that falls when the current rises", "+ charges", remedy)


def step_sign(log: Log) -> int:
    """Whether the voltage follows the steps of current, 1, or goes against them, -1; 0 where none tells.

    Other rows do not count: under constant voltage the current falls while the voltage creeps up, with the right sign.
    """
    change_a, change_v = np.diff(log.current_a), np.diff(log.voltage_v)
    least_a = STEP_LEAST_FRAC * float(np.abs(log.current_a).max())
    is_step = (np.abs(change_a) >= least_a) & (change_a != 0) & (np.diff(log.time_s) <= STEP_MOST_S)
    change_a, change_v = change_a[is_step], change_v[is_step]
    along = float(change_a @ change_v)
    size = float(np.sqrt((change_a @ change_a) * (change_v @ change_v)))
    return int(np.sign(along)) if abs(along) > STEP_LEAST_CORRELATION * size else 0


def one_way_sign(log: Log) -> int:
    """As step_sign, by the voltage from the first row to the last: a charge raises it. 0 where that is not clear."""
    counted = counted_ah(log.time_s, log.current_a)
    moved_v = float(log.voltage_v[-1] - log.voltage_v[0])
    is_one_way = abs(counted[-1]) >= ONE_WAY_FRAC * float(np.abs(np.diff(counted)).sum())
    is_clear = abs(moved_v) >= max(ONE_WAY_LEAST_V, ONE_WAY_SPAN_FRAC * float(np.ptp(log.voltage_v)))
    return int(np.sign(moved_v * counted[-1])) if is_one_way and is_clear else 0
