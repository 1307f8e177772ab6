"""The blackboard: per signal of the schema one preallocated integer, its time, its validity. Allocates nothing."""

from array import array

from .protocol import tables
from .ticks import elapsed_ms

PACK_COUNT = tables.count(tables.PACK_SIGNALS)
CELL_COUNT = tables.count(tables.CELL_SIGNALS)


class Signals:
    """`value[i]`, `stamp_ms[i]`, `valid[i]`: pack signals first, then the signals of each cell."""

    def __init__(self, cell_count, now_ms=0):
        count = PACK_COUNT + cell_count * CELL_COUNT
        self.cell_count = cell_count
        self.value = array("i", bytes(4 * count))
        self.stamp_ms = array("i", bytes(4 * count))
        self.valid = bytearray(count)
        for index in range(count):
            self.stamp_ms[index] = now_ms

    def pack(self, name):
        """Index of a pack signal; look it up once, it searches the table. Raises KeyError."""
        return tables.position(tables.PACK_SIGNALS, name)

    def cell(self, cell, name):
        """Index of a cell's signal; `cell` from 0."""
        if not 0 <= cell < self.cell_count:
            raise IndexError("cell %d of %d" % (cell, self.cell_count))
        return PACK_COUNT + cell * CELL_COUNT + tables.position(tables.CELL_SIGNALS, name)

    def put(self, index, value, now_ms):
        """A fresh, valid value."""
        self.value[index] = value
        self.stamp_ms[index] = now_ms
        self.valid[index] = 1

    def lose(self, index):
        """The value is no longer believed; its stamp stays, so that its age grows."""
        self.valid[index] = 0

    def age_ms(self, index, now_ms):
        return elapsed_ms(now_ms, self.stamp_ms[index])


class Events:
    """Ring of events waiting for the wire; the fast tick may push, telemetry takes. A full ring drops and counts."""

    CAPACITY = 64

    def __init__(self, now_ms=0):
        self._ring = array("i", bytes(4 * 5 * self.CAPACITY))
        self._first = 0
        self._waiting = 0
        self.number = 0
        self.drop_count = 0
        self.now_ms = now_ms  # set once per tick by the app
        self._log = None

    def log_to(self, log):
        """An EventLog gets every event from here on, also those that the wire misses."""
        self._log = log

    def push(self, event, a, b):
        if self._log:
            self._log.put(event, a, b, self.now_ms)
        if self._waiting == self.CAPACITY:
            self.drop_count += 1
            return
        at = 5 * ((self._first + self._waiting) % self.CAPACITY)
        ring = self._ring
        ring[at] = event
        ring[at + 1] = self.number
        ring[at + 2] = a
        ring[at + 3] = b
        ring[at + 4] = self.now_ms
        self.number = (self.number + 1) & 0xFFFF
        self._waiting += 1

    def take(self, into):
        """Move the oldest event into `into` (event, number, a, b, t_ms); False when there is none."""
        if not self._waiting:
            return False
        at = 5 * self._first
        for column in range(5):
            into[column] = self._ring[at + column]
        self._first = (self._first + 1) % self.CAPACITY
        self._waiting -= 1
        return True
