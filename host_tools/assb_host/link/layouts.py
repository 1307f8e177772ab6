"""How the payload of each message is read: from our own table, or from the SCHEMA frames of a board with another."""

import struct
from typing import Any

from assb.protocol import schema


class Layout:
    """One message: its name and how its payload becomes {field: int or text}."""

    def __init__(self, name: str, fields):
        self.name = name
        self.fields = tuple(field for field, _ in fields)
        codes = [code for _, code in fields]
        self._tail = codes[-1] if codes and codes[-1] in ("*s", "*i") else ""  # text or integers to the end
        self._struct = struct.Struct("<" + "".join(codes[:-1] if self._tail else codes))

    def unpack(self, payload: bytes) -> dict[str, Any] | None:
        """Named values, or None when the payload has another length than the layout."""
        size = self._struct.size
        tail = payload[size:]
        if len(payload) < size or (tail and not self._tail) or (self._tail == "*i" and len(tail) % 4):
            return None
        values = list(self._struct.unpack_from(payload))
        if self._tail:
            values.append(tail if self._tail == "*s" else [number for (number,) in struct.iter_unpack("<i", tail)])
        return {name: _plain(value) for name, value in zip(self.fields, values, strict=True)}


def _plain(value):
    return value.rstrip(b"\0").decode("utf-8", "replace") if isinstance(value, bytes) else value


def layout_from_text(text: str) -> tuple[int, Layout]:
    """(type, layout) from `id name field:code …`, as a SCHEMA frame carries it; raises ValueError."""
    words = text.split()
    if len(words) < 2:
        raise ValueError(f"not a message layout: {text!r}")
    fields = [tuple(word.rsplit(":", 1)) for word in words[2:]]
    try:
        return int(words[0]), Layout(words[1], fields)
    except (struct.error, ValueError) as error:
        raise ValueError(f"not a message layout: {text!r}: {error}") from error


def own_layouts() -> dict[int, Layout]:
    """Message type → layout, from the table that this host was built with."""
    return {message[0]: Layout(message[1], schema.layout(message)) for message in schema.MESSAGES}


def frozen_layouts() -> dict[int, Layout]:
    """The layouts that every board shares: HELLO and SCHEMA."""
    own = own_layouts()
    return {frame_type: own[frame_type] for frame_type in (schema.HELLO, schema.SCHEMA)}
