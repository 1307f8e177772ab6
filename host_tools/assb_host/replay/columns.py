"""Which columns of a table are what: time, current, temperature and pressure, and the voltages of cells in series."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from assb_host.cell_fit import log_columns
from assb_host.config.errors import ConfigError

NEEDED = ("time_s", "current_a", "voltage_v", "temperature_degc")
QUANTITIES = (*NEEDED, "pressure_mpa")
SEVERAL = ("voltage_v", "temperature_degc")  # a voltage is a cell each, of temperatures the mean is taken
SHORT = {name.rpartition("_")[0]: name for name in QUANTITIES}  # `time` is as good as `time_s`
PAIRS = "pairs such as time=Test_Time(s),current=-I,voltage=V_1..V_88 or voltage=V_* or temperature=#9; quantities: "


@dataclass(frozen=True)
class Wanted:
    """Columns by name (`V_1`), position (`#8`), from one to another (`V_1..V_88`) or pattern (`V_*`)."""

    names: str
    turned: bool = False  # a minus before the name: the column counts the other way round


@dataclass(frozen=True)
class Columns:
    """Positions in a line, by quantity; `names` of the voltages, in the order in which the cells stand."""

    at: dict[str, list[int]]
    names: list[str]
    turned: frozenset[str]
    is_pascal: bool


def parse_mapping(text: str) -> dict[str, Wanted]:
    """`--columns` as {quantity: Wanted}. Raises ConfigError."""
    mapping = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        quantity, equals, names = (piece.strip() for piece in part.partition("="))
        quantity = SHORT.get(quantity, quantity)
        if not equals or not names.lstrip("-") or quantity not in QUANTITIES:
            raise ConfigError("--columns", "", part, PAIRS + ", ".join(SHORT))
        if quantity in mapping:
            raise ConfigError("--columns", quantity, part, "each quantity once; V_1..V_88 or V_* name several columns")
        mapping[quantity] = Wanted(names.removeprefix("-"), names.startswith("-"))
        if mapping[quantity].turned and quantity != "current_a":
            raise ConfigError("--columns", "", part, "a minus before the current alone, where + discharges")
    return mapping


def found(fields: list[str], mapping: dict[str, Wanted]) -> dict[str, list[int]]:
    """Positions of every quantity that a line of names has; one that is not mapped goes by the names that are known."""
    known = log_columns.positions(fields, {})
    at = {}
    for quantity in QUANTITIES:
        wanted = mapping.get(quantity)
        if wanted:
            at[quantity] = matching([field.strip() for field in fields], wanted.names)
        elif quantity in known:
            at[quantity] = [known[quantity]]
    return {quantity: places for quantity, places in at.items() if places}


def matching(fields: list[str], wanted: str) -> list[int]:
    alone = place(fields, wanted)
    if alone is not None:
        return [alone]
    first, dots, last = (part.strip() for part in wanted.partition(".."))
    if dots:
        begin, end = place(fields, first), place(fields, last)
        return list(range(begin, end + 1)) if begin is not None and end is not None else []
    return [k for k, field in enumerate(fields) if fnmatchcase(field, wanted)]


def place(fields: list[str], name: str) -> int | None:
    if name.startswith("#") and name[1:].isdigit():
        return int(name[1:]) - 1 if 1 <= int(name[1:]) <= len(fields) else None
    return fields.index(name) if name in fields else None


def columns_of(path: Path, fields: list[str], mapping: dict[str, Wanted]) -> Columns:
    """Raises ConfigError for what would have to be one column and is several, and for one column as two things."""
    at = found(fields, mapping)
    for quantity, places in at.items():
        if len(places) > 1 and quantity not in SEVERAL:
            seen = ", ".join(fields[k].strip() for k in places[:4])
            raise ConfigError(path, quantity, f"{len(places)} columns: {seen}", "one column")
    used = [k for places in at.values() for k in places]
    twice = next((k for k in used if used.count(k) > 1), None)
    if twice is not None:
        names = ", ".join(quantity for quantity, places in at.items() if twice in places)
        raise ConfigError(
            path, names, f"the same column, {fields[twice].strip()}", "a column for each", "see --columns"
        )
    is_pascal = "pressure_mpa" in at and log_columns.plain(fields[at["pressure_mpa"][0]]) in log_columns.PASCAL_COLUMNS
    turned = frozenset(quantity for quantity, wanted in mapping.items() if wanted.turned)
    return Columns(at, [fields[k].strip() for k in at["voltage_v"]], turned, is_pascal)
