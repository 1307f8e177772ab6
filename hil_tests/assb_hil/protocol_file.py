"""Protocol files (TOML): what a cycler is asked for, step by step, with loops; + charges.

Reading is strict: an unknown key, a wrong type or a value out of range names the file, the place and what is allowed.
A file knows no cell: "max", C-rates and shares become volts and amperes in protocol_steps.py.
"""

import re
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from assb_host.config.errors import ConfigError
from assb_host.config.toml_reader import convert, read_toml
from msgspec import Meta

from assb_hil.shipped_files import named_path, shipped_names

MAX_DEPTH = 5  # loops inside loops
INDEX = r"\[\d+\]"
CURRENT_KEYS = ("c_rate", "current_a", "current_ma_cm2", "admissible_frac")
PRESSURE_KEYS = ("pressure_mpa", "pressure_window_frac")
SCALE_KEYS = ("scale", "peak_c_rate", "peak_admissible_frac")

# Of a current that a step asks for; its direction is in `do`
CRate = Annotated[float, Meta(gt=0.0, le=100.0, description="In units of the nominal capacity per hour")]
Amperes = Annotated[float, Meta(gt=0.0, le=1000.0, description="A at the terminals")]
Density = Annotated[float, Meta(gt=0.0, le=1000.0, description="mA per cm² of the layers' area")]
Share = Annotated[float, Meta(gt=0.0, le=10.0, description="Share of the most that the plant admits in this direction")]
Seconds = Annotated[float, Meta(gt=0.0, le=1e9, description="After this time")]
Hours = Annotated[float, Meta(gt=0.0, le=3e5, description="After this time, in hours")]
UnitVoltage = Annotated[
    Annotated[float, Meta(ge=0.0, le=100.0)] | Literal["max", "min"],
    Meta(description="V per unit in series, or the plant's own limit"),
]
EndCharge = Annotated[float, Meta(gt=0.0, le=1e6, description="Once the step has moved this much, Ah")]
EndShare = Annotated[float, Meta(gt=0.0, le=10.0, description="Once it has moved this share of the nominal capacity")]
EndRate = Annotated[float, Meta(gt=0.0, le=100.0, description="Once the held current is below this C-rate")]
EndAmperes = Annotated[float, Meta(gt=0.0, le=1000.0, description="Once the held current is below this, A")]
EndDensity = Annotated[float, Meta(gt=0.0, le=1000.0, description="Once the held current is below this, mA/cm²")]


class End(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ends a step: whichever comes first."""

    time_s: Seconds | None = None
    time_h: Hours | None = None
    voltage: UnitVoltage | None = None
    c_rate: EndRate | None = None
    current_a: EndAmperes | None = None
    current_ma_cm2: EndDensity | None = None
    charge_ah: EndCharge | None = None
    charge_frac: EndShare | None = None


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What every step may have; pressure aim and room stay as they are until a later step changes them."""

    do: ClassVar[str] = ""
    ends: ClassVar[tuple[str, ...]] = ()  # keys of `until` that can end it
    name: Annotated[str, Meta(description="For tables and plots")] = ""
    pressure_mpa: (
        Annotated[
            Annotated[float, Meta(ge=0.0, le=400.0)] | Literal["target"],
            Meta(description="Stack pressure to aim at, or the plant's own target"),
        ]
        | None
    ) = None
    pressure_window_frac: (
        Annotated[float, Meta(ge=0.0, le=1.0, description="The same within the plant's window: 0 its lower end")] | None
    ) = None
    ambient_degc: Annotated[float, Meta(ge=-60.0, le=200.0, description="Temperature of the room")] | None = None
    heater_w: Annotated[float, Meta(ge=0.0, le=1e4, description="Power of the heater during this step")] = 0.0


class Rest(Step, frozen=True, kw_only=True):
    """No current."""

    do: ClassVar[str] = "rest"
    ends: ClassVar[tuple[str, ...]] = ("time_s", "time_h")
    until: End


class Current(Step, frozen=True, kw_only=True):
    """A constant current; exactly one key says which."""

    ends: ClassVar[tuple[str, ...]] = ("time_s", "time_h", "voltage", "charge_ah", "charge_frac")
    c_rate: CRate | None = None
    current_a: Amperes | None = None
    current_ma_cm2: Density | None = None
    admissible_frac: Share | None = None
    until: End


class Charge(Current, frozen=True, kw_only=True):
    """A constant current into the cell; exactly one key says which."""

    do: ClassVar[str] = "charge"


class Discharge(Current, frozen=True, kw_only=True):
    """A constant current out of the cell; exactly one key says which."""

    do: ClassVar[str] = "discharge"


class Hold(Current, frozen=True, kw_only=True):
    """A constant voltage; exactly one key says how much current may flow, either way."""

    do: ClassVar[str] = "hold"
    ends: ClassVar[tuple[str, ...]] = (
        "time_s",
        "time_h",
        "c_rate",
        "current_a",
        "current_ma_cm2",
        "charge_ah",
        "charge_frac",
    )
    voltage: UnitVoltage


class Drive(Step, frozen=True, kw_only=True):
    """A drive cycle from a CSV file, from its beginning again until the step ends; without `until` once."""

    do: ClassVar[str] = "drive"
    ends: ClassVar[tuple[str, ...]] = ("time_s", "time_h", "voltage", "charge_ah", "charge_frac")
    file: Annotated[str, Meta(description="CSV file beside this one; `--drive-file` goes before")] = ""
    plus: Annotated[
        Literal["charges", "discharges"],
        Meta(description="What a positive current in the file does; `--drive-sign` goes before"),
    ] = "charges"
    scale: Annotated[float, Meta(gt=0.0, le=1e6, description="Factor on the file's current")] | None = None
    peak_c_rate: Annotated[float, Meta(gt=0.0, le=100.0, description="Scaled to this largest current")] | None = None
    peak_admissible_frac: (
        Annotated[
            float,
            Meta(gt=0.0, le=10.0, description="Scaled to this share of what the plant admits, both ways"),
        ]
        | None
    ) = None
    until: End | None = None


class Repeat(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A loop over the `[[step.step]]` tables that follow it; a loop in a loop has `[[step.step.step]]`."""

    do: ClassVar[str] = "repeat"
    times: Annotated[int, Meta(ge=1, le=100_000, description="Turns")]
    as_cycles: Annotated[bool, Meta(description="Each turn counts as a cycle in tables and plots")] = False
    name: Annotated[str, Meta(description="For people")] = ""
    step: tuple[Any, ...] = ()


STEPS: dict[str, type] = {cls.do: cls for cls in (Rest, Charge, Discharge, Hold, Drive, Repeat)}
AnyStep = Rest | Charge | Discharge | Hold | Drive | Repeat


class Start(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the cell is found, at rest; the command line goes before."""

    soc_frac: Annotated[float, Meta(ge=0.0, le=1.0, description="State of charge")] = 0.5
    temperature_degc: (
        Annotated[float, Meta(ge=-60.0, le=200.0, description="Of cell and room; otherwise the plant's own")] | None
    ) = None
    pressure_mpa: (
        Annotated[float, Meta(ge=0.0, le=400.0, description="Of the stacks; otherwise the plant's target")] | None
    ) = None


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file; its steps are read one by one."""

    title: Annotated[str, Meta(min_length=1, description="One line for people")]
    summary: Annotated[str, Meta(description="What it is for")] = ""
    start: Start = Start()
    step: Any = None  # read by its own rules


@dataclass(frozen=True)
class Protocol:
    """One checked protocol."""

    name: str
    path: Path
    title: str
    summary: str
    start: Start
    steps: tuple[AnyStep, ...]


def protocol_names() -> list[str]:
    """Names of the protocols that come with the harness."""
    return shipped_names("assb_hil.protocols")


def load_protocol(name: str) -> Protocol:
    """The protocol `name`, or the file at that path; raises ConfigError."""
    path = named_path("assb_hil.protocols", name)
    return read_protocol(read_toml(path), path)


def read_protocol(document: dict[str, Any], path: Path) -> Protocol:
    """A protocol from a decoded file; `path` names it in messages."""
    _demand_finite(document, "", path)
    head = convert(document, Head, path)
    steps = _steps(head.step, "step", path, 1)
    return Protocol(path.stem, path, head.title, head.summary, head.start, steps)


def _demand_finite(value: Any, key: str, path: Path) -> None:
    """TOML knows nan and inf, and a comparison with nan never fails."""
    if isinstance(value, float) and not isfinite(value):
        raise ConfigError(path, key, value, "a finite number")
    rows = value.items() if isinstance(value, dict) else ()
    for name, inner in rows:
        _demand_finite(inner, f"{key}.{name}".lstrip("."), path)
    for position, inner in enumerate(value if isinstance(value, list) else ()):
        _demand_finite(inner, f"{key}[{position}]", path)


def _steps(given: Any, where: str, path: Path, depth: int) -> tuple[AnyStep, ...]:
    """The rows of one [[step]] table, loops included."""
    if not isinstance(given, list) or not given:
        raise ConfigError(path, where, given, f"one or more steps: write [[{re.sub(INDEX, '', where)}]]")
    if depth > MAX_DEPTH:
        raise ConfigError(path, where, f"{depth} loops inside each other", f"up to {MAX_DEPTH}")
    return tuple(_step(entry, f"{where}[{position}]", path, depth) for position, entry in enumerate(given))


def _step(entry: Any, where: str, path: Path, depth: int) -> AnyStep:
    """One row, as the class that its `do` names."""
    if not isinstance(entry, dict):
        raise ConfigError(path, where, entry, "a table with the key do")
    given = dict(entry)
    do = given.pop("do", None)
    if not isinstance(do, str) or do not in STEPS:
        raise ConfigError(path, f"{where}.do", do, f"one of {', '.join(STEPS)}")
    inner = given.pop("step", None) if do == "repeat" else None
    try:
        _demand_end(given, STEPS[do], path)
        step = convert(given, STEPS[do], path)
        _cross_check(step, path)
    except ConfigError as error:
        key = f"{where}.{error.key}" if error.key else where
        raise ConfigError(path, key, error.value, error.allowed, error.remedy) from None
    if isinstance(step, Repeat):
        return msgspec.structs.replace(step, step=_steps(inner, f"{where}.step", path, depth + 1))
    return step


def _demand_end(given: dict[str, Any], kind: Any, path: Path) -> None:
    """An end that is missing, said with those that a step of this kind can have."""
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    if "until" in fields and fields["until"].required and "until" not in given:
        raise ConfigError(
            path, "until", None, f"one or more of {', '.join(kind.ends)}", "as in until = { time_s = 60 }"
        )


def _cross_check(step: AnyStep, path: Path) -> None:
    """What no single key can tell."""
    if isinstance(step, Repeat):
        return
    _at_most_one(step, PRESSURE_KEYS, "", path)
    if isinstance(step, Current) and len(given_of(step, CURRENT_KEYS)) != 1:
        _refuse_number(step, CURRENT_KEYS, path)
    if isinstance(step, Drive):
        _at_most_one(step, SCALE_KEYS, "", path)
    if step.until is not None:
        _check_end(step, step.until, path)


def _check_end(step: Rest | Current | Drive, until: End, path: Path) -> None:
    keys = given_of(until, until.__struct_fields__)
    for key in keys:
        if key not in step.ends:
            allowed = f"to be left out: a {step.do} ends by {', '.join(step.ends)}"
            raise ConfigError(path, f"until.{key}", getattr(until, key), allowed)
    if not keys:
        raise ConfigError(path, "until", {}, f"one or more of {', '.join(step.ends)}")
    for pair in (("time_s", "time_h"), ("charge_ah", "charge_frac"), ("c_rate", "current_a", "current_ma_cm2")):
        _at_most_one(until, pair, "until.", path)


def has_drive(steps: tuple[AnyStep, ...]) -> bool:
    """Whether a drive cycle is in them, or in a loop of them."""
    return any(has_drive(step.step) if isinstance(step, Repeat) else isinstance(step, Drive) for step in steps)


def given_of(struct: Any, keys: tuple[str, ...]) -> list[str]:
    """Those of `keys` that a struct has."""
    return [key for key in keys if getattr(struct, key) is not None]


def _at_most_one(struct: Any, keys: tuple[str, ...], prefix: str, path: Path) -> None:
    given = given_of(struct, keys)
    if len(given) > 1:
        raise ConfigError(path, prefix + given[1], getattr(struct, given[1]), f"only one of {', '.join(given)}")


def _refuse_number(step: Any, keys: tuple[str, ...], path: Path) -> None:
    """Neither none nor several of the keys that say the current."""
    _at_most_one(step, keys, "", path)
    raise ConfigError(path, keys[0], None, f"exactly one of {', '.join(keys)}")
