"""Numbered events in RAM, oldest first: a ring, or the body of a record, which is one that never turns.

item      number u32 | t_ms u32 | event u8 | a i32 | b i32
"""

import struct

from ..const import const

_ITEM_BYTES = const(17)
_NUMBER_BYTES = const(4)
NONE = const((1 << 30) - 1)  # behind the number of every event


class EventRing:
    """`boot`: in which its events were. Numbers ascend; some may be missing in between."""

    def __init__(self, buffer, boot, offset=0):
        self._ring = buffer
        self._offset = offset
        self._rows = (len(buffer) - offset) // _ITEM_BYTES
        self._first = self.count = 0
        self.boot = boot

    def _place(self, at):
        return self._offset + (self._first + at) % self._rows * _ITEM_BYTES

    def put(self, number, event, a, b, t_ms):
        """How many were lost for it: the oldest, when it is full. Allocates nothing."""
        lost = 0
        if self.count == self._rows:
            self._drop()
            lost = 1
        struct.pack_into("<IIBii", self._ring, self._place(self.count), number, t_ms, event, a, b)
        self.count += 1
        return lost

    def _drop(self):
        self._first = (self._first + 1) % self._rows
        self.count -= 1

    def number(self, at):
        """Of the event in that place; NONE behind the last."""
        return struct.unpack_from("<I", self._ring, self._place(at))[0] if at < self.count else NONE

    def find(self, number):
        """Place of the first event that has that number or a later one."""
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            if self.number(middle) < number:
                low = middle + 1
            else:
                high = middle
        return low

    def copy(self, at, into, offset):
        """An event without its number, as it is in a chunk."""
        place = self._place(at)
        into[offset : offset + _ITEM_BYTES - _NUMBER_BYTES] = self._ring[place + _NUMBER_BYTES : place + _ITEM_BYTES]

    def take(self, into):
        """Move the oldest behind what another ring has."""
        place, end = self._place(0), into._place(into.count)
        into._ring[end : end + _ITEM_BYTES] = self._ring[place : place + _ITEM_BYTES]
        into.count += 1
        self._drop()

    def clear(self):
        self._first = self.count = 0
