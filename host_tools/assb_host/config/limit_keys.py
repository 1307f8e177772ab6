"""The `[limits.*]` tables of a pack file: keys in the row's unit, levels inside the schema's envelope."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from assb.protocol import image, schema
from assb.protocol.schema_text import LIMIT_TEXT
from msgspec import Meta

from assb_host.config.board_tables import Table
from assb_host.config.fields import Source

# Suffix of the watched signal → (suffix of the keys, wire units per unit of the key)
UNITS = {
    "_uv": ("_v", 1_000_000),
    "_ua": ("_a", 1_000_000),
    "_cdegc": ("_degc", 100),
    "_kpa": ("_mpa", 1000),
    "_kpa_s": ("_mpa_s", 1000),
    "_ms": ("_s", 1000),
    "_us": ("_ms", 1000),
}
LEVELS = ("warn", "derate", "trip", "reset")


@dataclass(frozen=True)
class Limit:
    """One limit row in wire units; a level that is not used is None."""

    enabled: bool
    warn: int | None
    derate: int | None
    trip: int
    reset: int
    debounce_ms: int
    recovery: str
    recovery_ms: int
    trips_to_lockout: int
    allowed_ms: int
    source: str

    def image_row(self, row) -> tuple[int, ...]:
        """As Config.limits carries it. A level without its flag repeats the trip level and is ignored."""
        flags = image.ROW_ENABLED * self.enabled
        flags |= image.ROW_WARNS * (self.warn is not None) | image.ROW_DERATES * (self.derate is not None)
        warn = self.trip if self.warn is None else self.warn
        derate = self.trip if self.derate is None else self.derate
        recovery = schema.RECOVERIES.index(self.recovery)
        levels = (warn, derate, self.trip, self.reset)
        return (row[0], flags, recovery, self.trips_to_lockout, *levels, self.debounce_ms, self.recovery_ms)


def unit_of(row) -> tuple[str, float] | None:
    """(suffix, factor) of a row's level keys; None where the row has only one sensible level (a flag, a stage)."""
    if row[4] == schema.KIND_STALE:
        return "_ms", 1
    signal = row[3]
    return next((unit for suffix, unit in UNITS.items() if signal.endswith(suffix)), None)


def fixed_levels(row) -> tuple[int, int]:
    """(trip, reset) of a row without levels: the mildest value that the envelope takes, and the one before it."""
    return (row[6], row[6] + 1) if row[4] == schema.KIND_LOW else (row[5], row[5] - 1)


def level_fields(row):
    unit = unit_of(row)
    if unit is None:
        return []
    suffix, factor = unit
    low, high = row[5] / factor, row[6] / factor
    inside = Annotated[float, Meta(ge=low, le=high, description="Acts here")]
    free: Any = Annotated[float, Meta(ge=schema.INT30_MIN / factor, le=schema.INT30_MAX / factor)]
    return [
        ("warn" + suffix, free | None, None),
        ("derate" + suffix, free | None, None),
        ("trip" + suffix, inside),
        ("reset" + suffix, Annotated[free, Meta(description="Back on the safe side here")]),
    ]


def limit_struct(row):
    """Struct of one `[limits.<row>]` table."""
    milliseconds = Annotated[int, Meta(ge=0, le=schema.INT30_MAX)]
    debounce = Annotated[int, Meta(ge=0, le=row[10], description="How long the level must be passed")]
    fields: list[Any] = list(level_fields(row))
    if row[1] not in image.ALWAYS_ENABLED:
        fields.append(
            ("enabled", Annotated[bool, Meta(description="false: this rig does without; say why in source")], True)
        )
    fields += [
        ("debounce_ms", debounce),
        ("recovery", Literal[schema.RECOVERIES]),
        ("recovery_ms", Annotated[milliseconds, Meta(description="auto: how long within reset before it clears")], 0),
        ("trips_to_lockout", Annotated[int, Meta(ge=0, le=255, description="0: never")], 0),
        (
            "allowed_ms",
            Annotated[int, Meta(ge=1, le=schema.INT30_MAX, description="From the fault to the act, at worst")],
        ),
        ("source", Source),
    ]
    name = row[1].title().replace("_", "")
    return msgspec.defstruct(name, fields, bases=(Table,), kw_only=True)


Limits = msgspec.defstruct(
    "Limits",
    [(row[1], Annotated[limit_struct(row), Meta(description=LIMIT_TEXT[row[1]][0])]) for row in schema.LIMIT_ROWS],
    bases=(Table,),
    kw_only=True,
)


def wire_limit(row, table) -> Limit:
    """A decoded `[limits.<row>]` table in wire units."""
    unit = unit_of(row)
    warn = derate = None
    if unit is None:
        trip, reset = fixed_levels(row)
    else:
        suffix, factor = unit
        warn, derate = (wire_level(getattr(table, level + suffix), factor) for level in ("warn", "derate"))
        trip, reset = (round(getattr(table, level + suffix) * factor) for level in ("trip", "reset"))
    return Limit(
        enabled=getattr(table, "enabled", True),
        warn=warn,
        derate=derate,
        trip=trip,
        reset=reset,
        debounce_ms=table.debounce_ms,
        recovery=table.recovery,
        recovery_ms=table.recovery_ms,
        trips_to_lockout=table.trips_to_lockout,
        allowed_ms=table.allowed_ms,
        source=table.source,
    )


def wire_level(value: float | None, factor: float) -> int | None:
    return None if value is None else round(value * factor)
