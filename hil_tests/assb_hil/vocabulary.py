"""Every name that a scenario may use: events and what their fields hold, series, limit rows, commands and their keys.

A name that nothing ever carries would make `no_event` hold and `event` fail for a typing error; so it is refused when
the file is read.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
from assb.protocol import schema
from assb_host.config.errors import ConfigError

from assb_hil.crossings import ROWS
from assb_hil.faults import FAULTS
from assb_hil.plant import PLANT_EVENTS
from assb_hil.recorder import PARAMETER_NAMES, WORD_LISTS, of_cell, truth_names, unit_of_field

ROW_NAMES = tuple(row[1] for row in schema.LIMIT_ROWS)
TIMED_ROWS = tuple(row for row, _, _ in ROWS)  # rows whose register the rig watches
COMMAND_KEYS: dict[str, tuple[str, ...]] = {name: keys for name, _, keys in schema.COMMANDS}
FAULT_KEYS = sorted({key for fault in FAULTS.values() for key in fault.__struct_fields__} - {"at_s"})
# Event → its fields: the board's by the schema, then the rig's, the host's and the plant's (Rig.event)
EVENT_FIELDS: dict[str, tuple[str, ...]] = {
    **{row[1]: tuple(column for column in row[2:] if column) for row in schema.EVENTS},
    "fault_applied": ("fault", *FAULT_KEYS),
    "fault_ended": ("fault",),
    "register_crossed": ("row", "cell"),
    "coil_switched": ("closed",),
    "contact_moved": ("closed",),
    "enable_switched": ("line", "level"),
    "precharge_switched": ("level",),
    "bleed_switched": ("cell", "level"),
    "alarm_sounded": ("level",),
    "heater_enabled": ("level",),
    "bus_let_go": ("bus",),
    **{f"sent_{name}": ("keys",) for name in COMMAND_KEYS},
    **{name: ("cell", value) for name, value in PLANT_EVENTS.items()},
}
# Fields that are counts or figures whoever tells the event
NUMBERS = frozenset(("cell", *PLANT_EVENTS.values()))
BOARD_EVENTS = tuple(row[1] for row in schema.EVENTS)
FIELD_VALUES: dict[str, tuple[Any, ...]] = {
    **WORD_LISTS,
    "parameter": tuple(PARAMETER_NAMES.values()),
    "fault": tuple(FAULTS),
    "line": ("charge_enabled", "discharge_enabled"),
    "closed": (0, 1),
    "on": (0, 1),
    "level": (0, 1),
}


def series_names(units: int = 1, monitors: int = 1) -> tuple[str, ...]:
    """Every series that a recorder can have: the truth, and what the board's messages carry in physical units."""
    names = dict.fromkeys(truth_names(units, monitors))
    for message in schema.MESSAGES:
        if message[0] in (schema.HELLO, schema.EVENT, schema.CAPTURE):  # who it is and what happened are no series
            continue
        layout = schema.layout(message)
        cells = range(monitors) if any(field == "cell" for field, _ in layout) else range(1)
        names |= dict.fromkeys(
            of_cell(unit_of_field(str(field))[0], cell) for cell in cells for field, code in layout if "s" not in code
        )
    return tuple(names)


def demand(path: Path, key: str, seen: object, allowed: Iterable[object], remedy: str = "") -> None:
    """Raises ConfigError unless `seen` is one of `allowed`; True is no 1 here."""
    allowed = tuple(allowed)
    if isinstance(seen, bool) or seen not in allowed:
        raise ConfigError(path, key, seen, f"one of {', '.join(map(str, allowed))}", remedy)


def demand_event(path: Path, where: str, event: str, fields: dict[str, str | int]) -> None:
    """The event exists, has these fields, and each can hold this value; `where` is the place of the check."""
    demand(path, f"{where}.event", event, EVENT_FIELDS)
    for name, value in fields.items():
        key = f"{where}.fields.{name}"
        if not EVENT_FIELDS[event]:
            raise ConfigError(path, key, value, f"no fields: {event} has none")
        if name not in EVENT_FIELDS[event]:
            raise ConfigError(path, key, value, f"fields of {event}: {', '.join(EVENT_FIELDS[event])}")
        _demand_value(path, key, value, event, name)


def _demand_value(path: Path, key: str, value: str | int, event: str, name: str) -> None:
    if name in NUMBERS:
        if not isinstance(value, int):
            raise ConfigError(path, key, value, "a whole number")
    elif event == "register_crossed":
        demand(path, key, value, TIMED_ROWS)
    elif name in FIELD_VALUES:
        demand(path, key, value, FIELD_VALUES[name])
    elif event == "fault_applied":
        _demand_fault_value(path, key, value, name)
    elif name == "carried_bits":
        names = str(value).split()
        if not names or any(word not in schema.EVIDENCES for word in names):
            raise ConfigError(path, key, value, f"some of, in this order: {' '.join(schema.EVIDENCES)}")
    elif event in BOARD_EVENTS and not isinstance(value, int):
        raise ConfigError(path, key, value, "a whole number")
    elif event not in BOARD_EVENTS and not isinstance(value, str):
        raise ConfigError(path, key, value, "text in quotes")


def _demand_fault_value(path: Path, key: str, value: str | int, name: str) -> None:
    """Words of the faults' own Literals; everything else that a fault has is a number."""
    words: set[str] = set()
    for fault in FAULTS.values():
        for field in msgspec.structs.fields(fault):
            info = msgspec.inspect.type_info(field.type)
            if field.name == name and isinstance(info, msgspec.inspect.LiteralType):
                words |= {str(word) for word in info.values}
    if words:
        demand(path, key, value, sorted(words))
    elif not isinstance(value, int):
        raise ConfigError(path, key, value, "a number")


def demand_command(path: Path, where: str, name: str, keys: dict[str, str | int]) -> None:
    """The board knows the command and takes these keys; a parameter is named as the schema has it."""
    demand(path, f"{where}.name", name, COMMAND_KEYS)
    for key, value in keys.items():
        if key not in COMMAND_KEYS[name]:
            taken = ", ".join(COMMAND_KEYS[name]) or "none"
            raise ConfigError(path, f"{where}.keys.{key}", value, f"keys of {name}: {taken}")
        if key == "name":
            demand(path, f"{where}.keys.name", value, PARAMETER_NAMES.values())
