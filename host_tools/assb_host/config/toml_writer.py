"""A checked struct as TOML text that `convert` reads back."""

import math

import msgspec

WIDTH = 116


def toml_text(struct: msgspec.Struct, head: str = "") -> str:
    """Keys first, then a table per nested struct; values that are None or empty lists are left out. `head`: comment."""
    raw = msgspec.to_builtins(struct)
    lines = [f"# {line}" for line in head.splitlines()]
    lines += [f"{key} = {value_text(value, len(key))}" for key, value in raw.items() if is_plain(value)]
    for key, table in raw.items():
        if isinstance(table, dict):
            lines += ["", f"[{key}]"]
            lines += [f"{name} = {value_text(value, len(name))}" for name, value in table.items() if is_plain(value)]
    return "\n".join(lines) + "\n"


def is_plain(value) -> bool:
    return value is not None and value != [] and not isinstance(value, dict)


def value_text(value, indent: int = 0) -> str:
    """One value; long lists are wrapped."""
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} has no place in a configuration")
        text = f"{value:.6g}"
        return text if any(mark in text for mark in ".en") else text + ".0"
    if isinstance(value, list):
        return list_text([value_text(item) for item in value], nested=bool(value) and isinstance(value[0], list))
    return str(value)


def list_text(items: list[str], nested: bool) -> str:
    line = f"[{', '.join(items)}]"
    if len(line) <= WIDTH - 30 and not nested:
        return line
    lines, row = [], "   "
    for item in items:
        if nested or len(row) + len(item) + 2 > WIDTH:
            lines.append(row)
            row = "   "
        row += f" {item},"
    return "\n".join(["[", *filter(str.strip, [*lines, row]), "]"])


def quoted(text: str) -> str:
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(escapes.get(c, c if c >= " " else f"\\u{ord(c):04x}") for c in text) + '"'
