"""TOML text to a checked struct; what msgspec finds wrong becomes a ConfigError with the key and the values allowed."""

import re
import tomllib
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

import msgspec
from assb.protocol import image

from assb_host.config.errors import ConfigError
from assb_host.config.fields import PATTERN_WORDS

T = TypeVar("T")
MESSAGE = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
FIELD = re.compile(r"^Object (?P<kind>contains unknown|missing required) field `(?P<field>[^`]*)`$")
RANGE = re.compile(r"^Expected `(?P<type>[^`]*)` (?P<compare>[<>]=?|of length|matching regex) ?(?P<bound>.*)$")
WORDS = {"int": "a whole number", "float": "a number", "str": "text in quotes", "bool": "true or false"}
WORDS |= {"array": "a list in [ ]", "object": "a table"}
# Endings of keys whose unit is one word
UNIT_WORDS = {
    "v": "volts",
    "mv": "millivolts",
    "a": "amperes",
    "ohm": "ohms",
    "mpa": "megapascals",
    "kn": "kilonewtons",
}
UNIT_WORDS |= {"degc": "degrees Celsius", "ms": "milliseconds", "us": "microseconds", "s": "seconds", "hz": "hertz"}
UNIT_WORDS |= {"bytes": "bytes", "ah": "ampere-hours", "cm2": "square centimetres"}


def read_toml(path: Path) -> dict:
    """The tables of a file; ConfigError when it can't be read or is not TOML."""
    try:
        data = path.read_bytes()
        if data.startswith(image.MAGIC):
            remedy = "give the pack file that it was built from"
            raise ConfigError(path, "", "a config image", "a TOML file", remedy)
        return tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise ConfigError(path, "", error.strerror or str(error), "a file that can be read") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(path, "", str(error), "TOML, see https://toml.io") from None


def convert(raw: dict, struct: type[T], path: Path) -> T:
    """`raw` as an instance of `struct`; the first thing that is wrong is raised as ConfigError."""
    try:
        return msgspec.convert(raw, struct)
    except msgspec.ValidationError as error:
        raise translated(str(error), raw, struct, path) from None


def translated(message: str, raw: dict, struct, path: Path) -> ConfigError:
    """ConfigError for a message of msgspec such as "Expected `float`, got `str` - at `$.limits.x.trip_v`"."""
    match = MESSAGE.match(message)
    what, key = (match["what"], match["path"] or "") if match else (message, "")
    field = FIELD.match(what)
    if field:
        dotted = ".".join(part for part in (key, field["field"]) if part)
        names = field_names(struct, key)
        if field["kind"] == "missing required":
            return ConfigError(path, dotted, None, allowed_at(struct, dotted), "add this key")
        close = get_close_matches(field["field"], names, 1, 0.4)
        remedy = f"did you mean {close[0]}?" if close else "remove it"
        return ConfigError(path, dotted, value_at(raw, dotted), f"keys {', '.join(names)}", remedy)
    return ConfigError(path, key, value_at(raw, key), allowed_at(struct, key) or what, hint(struct, key))


def hint(struct, key: str) -> str:
    """The unit of a key that ends in one, else what the key means."""
    info = info_at(struct, key)
    return unit_hint(key) or ("" if info is None else described(info))


def unit_hint(key: str) -> str:
    name = re.sub(r"\[.*", "", key.rpartition(".")[2])
    word = UNIT_WORDS.get(name.rpartition("_")[2], "") if "_" in name else ""
    compound = "_per_" in name or name.endswith("_mpa_s")
    return f"the unit is in the key: {word}" if word and not compound else ""


def described(info) -> str:
    """The description in a type's metadata, wherever Annotated put it."""
    if isinstance(info, msgspec.inspect.Metadata):
        return (info.extra_json_schema or {}).get("description", "") or described(info.type)
    if isinstance(info, msgspec.inspect.UnionType):
        return next((text for text in map(described, info.types) if text), "")
    return ""


def steps(key: str) -> list[str | int]:
    """`a.b[2].c` → ["a", "b", 2, "c"]."""
    found: list[str | int] = []
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+|\.\.\.)\]", key):
        found.append(name if name else int(index) if index.isdigit() else 0)
    return found


def value_at(raw, key: str):
    for step in steps(key):
        try:
            raw = raw[step]
        except (KeyError, IndexError, TypeError):
            return None
    return raw


def type_at(struct, key: str):
    """`info_at` without metadata."""
    info = info_at(struct, key)
    return None if info is None else plain(info)


def info_at(struct, key: str):
    """msgspec's type information of the field that a key names; None when there is no such field."""
    info = msgspec.inspect.type_info(struct)
    for step in steps(key):
        info = plain(info)
        if isinstance(step, int):
            info = getattr(info, "item_type", None)
        else:
            info = next((field.type for field in getattr(info, "fields", ()) if field.encode_name == step), None)
        if info is None:
            return None
    return info


def plain(info):
    """The one type of an `X | None`, without metadata."""
    return alternatives(info)[0]


def alternatives(info) -> list:
    """The types that a value may have, without metadata and without None."""
    if isinstance(info, msgspec.inspect.Metadata):
        return alternatives(info.type)
    if isinstance(info, msgspec.inspect.UnionType):
        kinds = [kind for each in info.types for kind in alternatives(each)]
        return [kind for kind in kinds if not isinstance(kind, msgspec.inspect.NoneType)] or kinds
    return [info]


def field_names(struct, key: str) -> list[str]:
    return [field.encode_name for field in getattr(type_at(struct, key), "fields", ())]


def allowed_at(struct, key: str) -> str:
    """What a key may hold, in words; empty for a key that there is not."""
    info = info_at(struct, key)
    return "" if info is None else ", or ".join(map(allowed_words, alternatives(info)))


def allowed_words(info) -> str:
    """What a value of a type may be: `a number, 1 .. 5`, `one of auto, manual, reset`."""
    match info:
        case msgspec.inspect.LiteralType(values=values):
            words = ("one of " if len(values) > 1 else "") + ", ".join(str(value) or '""' for value in values)
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType() as info:
            words = number_words(info)
        case msgspec.inspect.StrType(pattern=pattern):
            words = PATTERN_WORDS.get(pattern or "", WORDS["str"])
        case msgspec.inspect.BoolType():
            words = WORDS["bool"]
        case msgspec.inspect.ListType(min_length=length):
            words = f"a list of at least {length} values" if length else "a list"
        case _:
            words = "a table with the keys " + ", ".join(field.encode_name for field in getattr(info, "fields", ()))
    return words


def number_words(info) -> str:
    word = WORDS["int" if isinstance(info, msgspec.inspect.IntType) else "float"]
    low, high = (info.ge if info.ge is not None else info.gt), (info.le if info.le is not None else info.lt)
    if low is None and high is None:
        return word
    above = "more than " if info.gt is not None else ""
    if high is None:
        return f"{word}, {above or 'at least '}{number(low)}"
    return f"{word}, at most {number(high)}" if low is None else f"{word}, {above}{number(low)} .. {number(high)}"


def number(value) -> str:
    return str(value) if isinstance(value, int) else f"{value:g}"
