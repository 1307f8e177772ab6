"""Bytes from a board → frames, lines of console text, and counts of what was damaged or lost.

On the wire a frame stands between two zeros (assb.protocol.frame); what lies between zeros, is no frame and prints, is
console text. Nothing that fails its CRC or its layout is ever handed on.
"""

import binascii
from typing import Any, NamedTuple

import msgspec
from assb.protocol import frame as wire
from assb.protocol import schema
from cobs import cobs

from assb_host.link.layouts import Layout, frozen_layouts, layout_from_text, own_layouts

SEGMENT_MAX = 4096  # bytes without a zero or a newline: neither a frame nor a line, whatever it is
TEXT_CONTROLS = frozenset("\t\r\n")
TICKS_HALF = schema.TICKS_PERIOD_MS // 2


class Frame(msgspec.Struct, frozen=True):
    """One good frame. `t_ms` is unwrapped: it keeps growing past 2^30; `boot` counts the restarts seen so far."""

    type: int
    name: str
    flags: int
    sequence: int
    t_ms: int
    boot: int
    fields: dict[str, Any]


class Line(NamedTuple):
    """One line of console text, without its end."""

    text: str


class Decoder:
    """Feed it bytes as they come. `mid_stream`: the board was talking before we listened, so what precedes the
    first zero is skipped and not counted as damage."""

    def __init__(self, schema_id: int | None = None, mid_stream: bool = False):
        self.own_schema_id = schema.schema_id()
        self.schema_id = self.own_schema_id
        self.frame_count = 0
        self.damaged_count = 0  # segments that are neither frame nor text
        self.lost_count = 0  # frames missing in the sequence
        self.undecoded_count = 0  # good frames whose layout is not known (yet)
        self.restart_count = 0
        self.skipped_bytes = 0
        self._layouts: dict[int, Layout] = own_layouts()
        self._schema_texts: dict[int, str] = {}
        self._segment = bytearray()
        self._line = ""
        self._synchronised = not mid_stream
        self._expected_sequence: int | None = None
        self._t_ms: int | None = None
        if schema_id is not None:
            self._use_schema(schema_id)

    @property
    def schema_known(self) -> bool:
        """Whether frames of this board can be read: our own schema, or one learnt from its SCHEMA frames."""
        return len(self._layouts) > len(wire.FROZEN_TYPES)

    @property
    def pending_text(self) -> str:
        """Console text whose line has not ended yet, such as a prompt."""
        tail = _text(self._segment)
        return self._line + (tail or "")

    def feed(self, data: bytes) -> list[Frame | Line]:
        """Everything that became complete with these bytes, in the order of the wire."""
        items: list[Frame | Line] = []
        pieces = data.split(b"\0")
        for position, piece in enumerate(pieces):
            self._segment += piece
            if position < len(pieces) - 1:
                self._close_segment(items)
                self._synchronised = True
        self._release_lines(items)
        return items

    def rejoin(self) -> None:
        """A stretch of the stream was missed: what precedes the next zero is no damage. The sequence tells the loss."""
        self._segment.clear()
        self._line = ""
        self._synchronised = False

    def finish(self) -> list[Frame | Line]:
        """The stream has ended: judge what is left."""
        items: list[Frame | Line] = []
        self._close_segment(items)
        if self._line:
            items.append(Line(self._line))
            self._line = ""
        return items

    def _close_segment(self, items):
        segment = bytes(self._segment)
        self._segment.clear()
        if not segment:
            return
        frame = self._frame(segment)
        if frame is not None:
            items.extend(frame)
            return
        text = _text(segment)
        if text is not None:
            self._add_text(text, items)
        elif self._synchronised:
            self.damaged_count += 1
        else:
            self.skipped_bytes += len(segment)

    def _release_lines(self, items):
        """Whole lines need not wait for the next zero: a reply may be the last thing a board says."""
        end = self._segment.rfind(b"\n") + 1
        if end:
            text = _text(self._segment[:end])
            if text is not None:
                del self._segment[:end]
                self._add_text(text, items)
        if len(self._segment) > SEGMENT_MAX:
            self.damaged_count += 1
            self._segment.clear()

    def _add_text(self, text, items):
        *lines, self._line = (self._line + text).split("\n")
        items.extend(Line(line.rstrip("\r")) for line in lines)

    def _frame(self, segment) -> list[Frame] | None:
        """[frame], [] for a good frame that can't be read, or None when this is no frame."""
        try:
            raw = cobs.decode(segment)
        except cobs.DecodeError:
            return None
        if not wire.HEADER_BYTES + wire.CRC_BYTES <= len(raw) <= wire.FRAME_MAX:
            return None
        body, crc = raw[: -wire.CRC_BYTES], int.from_bytes(raw[-wire.CRC_BYTES :], "little")
        if binascii.crc_hqx(body, self._seed(body[0])) != crc:
            return None
        return self._accept(body)

    def _seed(self, frame_type) -> int:
        if frame_type in wire.FROZEN_TYPES:
            return 0xFFFF
        return binascii.crc_hqx(bytes([self.schema_id & 0xFF]), 0xFFFF)

    def _accept(self, body) -> list[Frame]:
        sequence = int.from_bytes(body[2:4], "little")
        t_ms = int.from_bytes(body[4:8], "little")
        self._follow(body[0], sequence, t_ms)
        layout = self._layouts.get(body[0])
        fields = layout.unpack(body[wire.HEADER_BYTES :]) if layout else None
        if layout is None or fields is None:
            self.undecoded_count += 1
            return []
        self.frame_count += 1
        frame = Frame(body[0], layout.name, body[1], sequence, self._t_ms or 0, self.restart_count, fields)
        self._learn(frame)
        return [frame]

    def _follow(self, frame_type, sequence, t_ms):
        """Count gaps in the sequence and unwrap the ticks. A board that restarted begins both anew."""
        expected = self._expected_sequence
        self._expected_sequence = (sequence + 1) & 0xFFFF
        if expected is None or self._t_ms is None:
            self._t_ms = t_ms
            return
        step_ms = (t_ms - self._t_ms + TICKS_HALF) % schema.TICKS_PERIOD_MS - TICKS_HALF
        gap = (sequence - expected) & 0xFFFF
        begins = frame_type == schema.HELLO and sequence == 0
        if gap and (begins or step_ms < 0 or gap >= 0x8000):
            self.restart_count += 1
            self._t_ms = t_ms
            return
        self.lost_count += gap
        self._t_ms += step_ms

    def _learn(self, frame):
        if frame.type == schema.HELLO:
            self._use_schema(int(frame.fields["schema_id"]))
        elif frame.type == schema.SCHEMA and self.schema_id != self.own_schema_id:
            self._schema_texts[int(frame.fields["index"])] = str(frame.fields["text"])
            if len(self._schema_texts) >= int(frame.fields["count"]):
                self._layouts = _learnt_layouts(self._schema_texts.values())

    def _use_schema(self, schema_id):
        if schema_id == self.schema_id:
            return
        self.schema_id = schema_id
        self._schema_texts = {}
        self._layouts = own_layouts() if schema_id == self.own_schema_id else frozen_layouts()


def _learnt_layouts(texts) -> dict[int, Layout]:
    layouts = {}
    for text in texts:
        try:
            frame_type, layout = layout_from_text(text)
        except ValueError:
            continue  # a message that this host can't read stays undecoded, and is counted when it comes
        layouts[frame_type] = layout
    return layouts | frozen_layouts()


def _text(segment) -> str | None:
    """The segment as text when all of it prints, else None."""
    try:
        text = bytes(segment).decode()
    except UnicodeDecodeError:
        return None
    return text if all(character.isprintable() or character in TEXT_CONTROLS for character in text) else None
