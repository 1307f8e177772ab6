"""A CSV table as text: its names, its rows and their times, which are seconds or dates."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from assb_host.cell_fit.log_reader import HEADER_LINES
from assb_host.config.errors import ConfigError
from assb_host.replay.columns import NEEDED, Columns, Wanted, columns_of, found

NAN = float("nan")


def find_names(path: Path, lines: list[str], mapping: dict[str, Wanted], needed: list[str]):
    """(first line of the rows, columns, delimiter); lines about the test may stand before the names."""
    best: tuple[dict, list[str]] = ({}, [])
    for number, line in enumerate(lines[:HEADER_LINES]):
        delimiter = max(",;\t", key=line.count)
        fields = line.lstrip("#").split(delimiter)
        at = found(fields, mapping)
        if all(name in at for name in (*needed, *mapping)):
            is_row = any(is_value(fields[k]) for places in at.values() for k in places)
            columns = columns_of(path, fields, mapping)
            return (number if is_row else number + 1), columns, delimiter
        if len(at) > len(best[0]) or not best[1]:
            best = (at, fields)
    raise no_names(path, best, needed, mapping)


def no_names(path: Path, best: tuple[dict, list[str]], needed: list[str], mapping: dict[str, Wanted]) -> ConfigError:
    at, fields = best
    missing = [name for name in dict.fromkeys((*needed, *mapping)) if name not in at]
    wanted = ", ".join(f"{name} ({mapping[name].names})" if name in mapping else name for name in missing)
    seen = ", ".join(field.strip() for field in fields if field.strip())
    seen = seen if len(seen) < 400 else seen[:397] + "…"
    remedy = '--columns "time=Test_Time(s),voltage=V_1..V_88,current=-I" says which they are'
    if missing == ["temperature_degc"]:
        remedy += "; --temperature-degc gives one for the whole recording"
    return ConfigError(path, wanted, None, f"the columns there are: {seen}", remedy)


def needed_names(has_temperature: bool) -> list[str]:
    return [name for name in NEEDED if name != "temperature_degc" or not has_temperature]


def is_value(text: str) -> bool:
    return not np.isnan(number_of(text)) or not np.isnan(time_of(text))


def number_of(text: str) -> float:
    """NaN for what is no number."""
    try:
        return float(text)
    except ValueError:
        return NAN


def time_of(text: str) -> float:
    """Seconds, or a date and time as seconds since 1970, UTC where it does not say; NaN for anything else."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text.strip().strip('"'))
    except ValueError:
        return NAN
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def parse(lines: list[str], columns: Columns, delimiter: str) -> dict[str, np.ndarray]:
    """{quantity: rows x columns}; NaN where a row has no number."""
    places = {name: each for name, each in columns.at.items() if name != "time_s"}
    order = [k for each in places.values() for k in each]
    time_at, longest = columns.at["time_s"][0], max(columns.at["time_s"][0], *order)
    times = np.full(len(lines), NAN)
    table = np.full((len(lines), len(order)), NAN)
    for row, line in enumerate(lines):
        fields = line.split(delimiter)
        if len(fields) > longest:
            times[row] = time_of(fields[time_at])
            table[row] = numbers_of([fields[k] for k in order])
    ends = np.cumsum([len(each) for each in places.values()])
    parts = np.split(table, ends[:-1], axis=1)
    return {"time_s": times, **dict(zip(places, parts, strict=True))}


def numbers_of(texts: list[str]) -> list[float]:
    try:
        return [float(text) for text in texts]
    except ValueError:
        return [number_of(text) for text in texts]
