"""Frames on the wire: `00 COBS(type flags seq t_ms payload crc16) 00`. Encoding allocates nothing.

A zero stands on both sides, so that console text never swallows a frame. The CRC (poly 0x1021, init 0xFFFF) starts from
the low byte of the schema id, except for HELLO and SCHEMA, whose layout is frozen: any host can read who it talks to.
Reference for COBS: Cheshire and Baker, 1999, doi:10.1109/90.769765.
"""

from array import array

HEADER_BYTES = 8
CRC_BYTES = 2
FRAME_MAX = 250  # before COBS: one code byte suffices, so a frame grows by exactly 1 + 2 zeros
FROZEN_TYPES = (1, 2)


def _crc_table():
    table = array("H", bytes(512))
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021) & 0xFFFF if crc & 0x8000 else (crc << 1) & 0xFFFF
        table[byte] = crc
    return table


class Crc16:
    """CRC-16/CCITT-FALSE over part of a buffer; allocates nothing after construction."""

    def __init__(self):
        self._table = _crc_table()

    def update(self, buffer, start, end, crc=0xFFFF):
        table = self._table
        while start < end:
            crc = ((crc << 8) & 0xFF00) ^ table[(crc >> 8) ^ buffer[start]]
            start += 1
        return crc

    def seed(self, frame_type, schema_id):
        """Where the CRC of a frame of this type starts."""
        if frame_type in FROZEN_TYPES:
            return 0xFFFF
        return ((0xFFFF << 8) & 0xFF00) ^ self._table[(0xFFFF >> 8) ^ (schema_id & 0xFF)]


class FrameWriter:
    """Builds one frame at a time in its own buffers: begin(), put_*()…, end() → bytes ready in `wire`."""

    def __init__(self, schema_id, crc=None):
        self.raw = bytearray(FRAME_MAX)
        self.wire = bytearray(FRAME_MAX + 3)
        self.crc = crc or Crc16()
        self.schema_id = schema_id
        self.sequence = 0
        self._end = 0

    def begin(self, frame_type, flags, t_ms):
        raw = self.raw
        raw[0] = frame_type
        raw[1] = flags
        self._end = 2
        self.put(2, self.sequence)
        self.put(4, t_ms)
        self.sequence = (self.sequence + 1) & 0xFFFF

    def put(self, size, value):
        """Append an integer of `size` bytes, little-endian, two's complement."""
        raw = self.raw
        end = self._end
        stop = end + size
        while end < stop:
            raw[end] = value & 0xFF
            value >>= 8
            end += 1
        self._end = end

    def put_text(self, text, size):
        """Append text as UTF-8, cut or padded with zeros to `size` bytes (not for the fast tick: it allocates)."""
        data = text.encode()[:size]
        end = self._end
        self.raw[end : end + len(data)] = data
        for position in range(end + len(data), end + size):
            self.raw[position] = 0
        self._end = end + size

    def end(self):
        """Close the frame; its wire form is `wire[:length]`. Returns length."""
        raw = self.raw
        crc = self.crc.update(raw, 0, self._end, self.crc.seed(raw[0], self.schema_id))
        self.put(2, crc)
        return self._stuff()

    def _stuff(self):
        raw, wire, end = self.raw, self.wire, self._end
        wire[0] = 0
        code_at = 1
        code = 1
        out = 2
        position = 0
        while position < end:
            byte = raw[position]
            position += 1
            if byte:
                wire[out] = byte
                code += 1
            else:
                wire[code_at] = code
                code_at = out
                code = 1
            out += 1
        wire[code_at] = code
        wire[out] = 0
        return out + 1
