"""The table of faults for people and programs: what each does, its parameters, what it needs, where it is shown."""

from functools import cache
from typing import Any

import msgspec

from assb_hil.checks import unit_of
from assb_hil.faults import FAULTS, Fault
from assb_hil.scenario import shipped_documents

PRESSES = {"pneumatic": "a pneumatic bench", "stepper": "a stepper bench"}


def fault_rows(features: frozenset[str]) -> list[dict[str, Any]]:
    """One row for each fault; `supported` by a device with these features."""
    shown = _shown_by()
    return [
        {
            "name": name,
            "kind": cls.group,
            "does": _first_sentence(cls),
            "parameters": _parameters(cls),
            "needs": sorted(cls.needs),
            "press": list(cls.press),
            "supported": cls.needs <= features,
            "scenarios": shown.get(name, []),
        }
        for name, cls in FAULTS.items()
    ]


def _first_sentence(cls: type[Fault]) -> str:
    return " ".join((cls.__doc__ or "").split("\n\n")[0].split())


def _parameters(cls: type[Fault]) -> list[dict[str, Any]]:
    """Every key but `at_s`, those without a default first."""
    found = []
    for field in msgspec.structs.fields(cls):
        if field.encode_name == "at_s":
            continue
        row: dict[str, Any] = {"name": field.name, "unit": unit_of(field.name), "required": field.required}
        info = msgspec.inspect.type_info(field.type)
        if isinstance(info, msgspec.inspect.LiteralType):
            row["one_of"] = list(info.values)
        if not field.required:
            row["default"] = field.default
        found.append(row)
    return sorted(found, key=lambda row: not row["required"])


@cache
def _shown_by() -> dict[str, list[str]]:
    """{fault: shipped scenarios that inject it}."""
    shown: dict[str, list[str]] = {}
    for name, document in shipped_documents().items():
        for fault in dict.fromkeys(row["name"] for row in document.get("fault", [])):
            shown.setdefault(fault, []).append(name)
    return shown


def parameter_text(parameter: dict[str, Any]) -> str:
    """`rs_ohm`, `[for_s]`: brackets where it may be left out; the unit is in the name."""
    words = "|".join(map(str, parameter["one_of"])) if "one_of" in parameter else ""
    text = f"{parameter['name']}={words}" if words else parameter["name"]
    return text if parameter["required"] else f"[{text}]"


def needs_text(row: dict[str, Any]) -> str:
    """What the device must offer, and the bench."""
    return ", ".join([*row["needs"], *(PRESSES[press] for press in row["press"])])
