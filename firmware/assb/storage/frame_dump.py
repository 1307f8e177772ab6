"""A freeze frame of flash on its way to the host: a few rows in each slice of telemetry. Loaded when the host asks."""

import struct

from ..const import const
from .frame_store import HEAD, HEAD_BYTES

# Id of the wire, as in schema.py (a test compares)
_MESSAGE_FRAME = const(14)

_VALUES_PER_FRAME = const(24)  # so that a slice is not much longer for it


class FrameDump:
    """`send` in each slice until it is True. Raises OSError when the file can't be read."""

    def __init__(self, path, place):
        self._path = path
        self._place = place
        with open(path, "rb") as file:
            self._head = struct.unpack(HEAD, file.read(HEAD_BYTES))
        self._row = 0
        self._bytes = b""

    def send(self, telemetry, now_ms):
        """Send the next few rows, if the link takes them; True when it was all."""
        width, rows = self._head[8], self._head[9]
        shown = min(max(_VALUES_PER_FRAME // width, 1), rows - self._row)
        try:
            with open(self._path, "rb") as file:
                file.seek(HEAD_BYTES + 4 * width * self._row)
                self._bytes = file.read(4 * width * shown)
        except OSError:
            return True  # a worse frame took its place meanwhile: the host misses the rest
        if telemetry.send_part(self, shown, now_ms):
            self._row += shown
        return self._row >= rows

    def encode(self, writer, flags, _shown, now_ms):
        """The rows that were read, as a frame; returns its length on the wire."""
        _, _, _, boot, number, _, cell, stage, width, rows, trigger_row = self._head
        writer.begin(_MESSAGE_FRAME, flags, now_ms)
        writer.put(1, self._place)
        writer.put(2, boot)
        writer.put(2, number)
        writer.put(1, cell)
        writer.put(1, stage)
        writer.put(2, rows)
        writer.put(2, trigger_row)
        writer.put(2, self._row)
        writer.put(1, width)
        for byte in self._bytes:
            writer.put(1, byte)
        return writer.end()
