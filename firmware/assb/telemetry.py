"""Telemetry: packs messages straight from the blackboard into frames. `encode` allocates nothing.

Every message has its own period; when the console cannot take more, the frame is dropped and counted. Events go first.
"""

from array import array

from .const import const
from .protocol import tables
from .signals import CELL_COUNT
from .ticks import later, until_ms

# Ids of the wire, as in schema.py (a test compares)
_MESSAGE_EVENT = const(8)

_SIZES = {"b": 1, "B": 1, "h": 2, "H": 2, "i": 4, "I": 4}
_EVENTS_PER_SLICE = const(4)


class _Plan:
    """Where one message's fields lie on the blackboard, and their sizes."""

    def __init__(self, row, signals):
        self.type, _, scope, self.period, fields = row
        self.per_cell = scope == "cell"
        names = fields.split(",")
        self.first = array("H", [signals.cell(0, name) if self.per_cell else signals.pack(name) for name in names])
        self.sizes = bytes([_SIZES[tables.signal_code(name)] for name in names])
        self.count = len(self.sizes)
        self.period_ms = 0
        self.due_ms = 0


class Telemetry:
    def __init__(self, signals, events, writer, console, now_ms, flags=0):
        self._signals = signals
        self._events = events
        self._writer = writer
        self._console = console
        self._event = array("i", bytes(20))
        self.flags = flags
        self.drop_count = 0
        self.plans = [
            _Plan(row, signals)
            for row in tables.rows(tables.MESSAGES)
            if row[2] == "pack" or (row[2] == "cell" and signals.cell_count)
        ]
        for plan in self.plans:
            plan.due_ms = now_ms

    def tune(self, parameter):
        """Take the periods again: they may be set while running. 0 silences a message."""
        for plan in self.plans:
            plan.period_ms = parameter(plan.period)

    def send_due(self, now_ms):
        """Events, then every message whose time has come (all cells of a cell message together)."""
        self.send_events()
        for plan in self.plans:
            if plan.period_ms and until_ms(plan.due_ms, now_ms) <= 0:
                plan.due_ms = later(plan.due_ms, plan.period_ms)
                if until_ms(plan.due_ms, now_ms) <= 0:  # it was silent, or a period was missed: start again from now
                    plan.due_ms = later(now_ms, plan.period_ms)
                for cell in range(self._signals.cell_count if plan.per_cell else 1):
                    self.send(self.encode(plan, cell, now_ms))

    def encode(self, plan, cell, now_ms):
        """One frame into the writer's buffer; returns its length on the wire."""
        writer = self._writer
        value = self._signals.value
        first, sizes = plan.first, plan.sizes
        offset = cell * CELL_COUNT if plan.per_cell else 0
        writer.begin(plan.type, self.flags, now_ms)
        if plan.per_cell:
            writer.put(1, cell)
        for at in range(plan.count):
            writer.put(sizes[at], value[first[at] + offset])
        return writer.end()

    def send(self, length):
        """False when the link took nothing and the frame is lost."""
        if self._console.write(self._writer.wire, length):
            return True
        self.drop_count += 1
        return False

    def begin(self, message, now_ms):
        """The writer, with the head of a frame in it."""
        self._writer.begin(message, self.flags, now_ms)
        return self._writer

    def send_part(self, source, amount, now_ms):
        """A frame of something long, of so many rows or entries; False: a link that is full took nothing."""
        return self._console.writable() and self.send(source.encode(self._writer, self.flags, amount, now_ms))

    def send_events(self):
        event = self._event
        writer = self._writer
        for _ in range(_EVENTS_PER_SLICE):
            if not self._console.writable() or not self._events.take(event):
                return
            writer.begin(_MESSAGE_EVENT, self.flags, event[4])
            writer.put(1, event[0])
            writer.put(2, event[1])
            writer.put(4, event[2])
            writer.put(4, event[3])
            self.send(writer.end())
