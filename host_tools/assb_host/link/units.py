"""From the wire's integers to physical units: the suffix of a name says both."""

from functools import cache
from typing import Any

from assb.protocol import schema

# Suffix on the wire → (suffix on the host, factor). The longest match counts.
CONVERSIONS = {
    "_uv": ("_v", 1e-6),
    "_mv": ("_v", 1e-3),
    "_ua": ("_a", 1e-6),
    "_ma": ("_a", 1e-3),
    "_mw": ("_w", 1e-3),
    "_uohm": ("_ohm", 1e-6),
    "_mohm": ("_ohm", 1e-3),
    "_kpa": ("_mpa", 1e-3),
    "_cdegc": ("_degc", 1e-2),
    "_ppm": ("_frac", 1e-6),
    "_ms": ("_s", 1e-3),
    "_us": ("_s", 1e-6),
    "_uah": ("_ah", 1e-6),
    "_milli": ("", 1e-3),
}


@cache
def conversion(name: str) -> tuple[str, float] | None:
    """(name with the host's suffix, factor), None for a name without a unit."""
    at = name.rfind("_")
    found = CONVERSIONS.get(name[at:]) if at > 0 else None
    return (name[:at] + found[0], found[1]) if found else None


def physical_pair(name: str, value) -> tuple[str, Any]:
    """(`voltage_v`, 3.7) from (`voltage_uv`, 3700000); names without a unit stay as they are."""
    found = conversion(name)
    if found is None or not isinstance(value, int):
        return name, value
    return found[0], value * found[1]


def physical(fields: dict) -> dict:
    """The fields of a frame in volts, amperes, megapascals, degrees C, seconds, fractions."""
    return dict(physical_pair(name, value) for name, value in fields.items())


def word(words: tuple, position: int) -> str:
    """Entry of one of the schema's word lists (STATES, STAGES, …), or the number when the list is too short."""
    return words[position] if 0 <= position < len(words) else f"#{position}"


def rows_of(bits: int, bits_2: int = 0) -> list[str]:
    """Names of the limit rows whose bit is set in the two words of a `*_bits` signal."""
    both = bits | bits_2 << schema.BITS_PER_WORD
    return [row[1] for position, row in enumerate(schema.LIMIT_ROWS) if both >> position & 1]


def evidences_of(bits: int) -> list[str]:
    """Names of the evidences whose bit is set."""
    return [name for position, name in enumerate(schema.EVIDENCES) if bits >> position & 1]


def evidence_states(packed: int) -> dict[str, str]:
    """{evidence: state} from two bits each."""
    return {name: word(schema.EVIDENCE_STATES, packed >> 2 * at & 3) for at, name in enumerate(schema.EVIDENCES)}
