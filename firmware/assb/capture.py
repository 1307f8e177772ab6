"""Freeze frame: every fast sample from just before to just after a cell's stage has changed or a row has opened.

A ring of rows [t_ms, current_ua, pressure_kpa, voltage_uv of each cell] records until a stage changes, a limit row
opens the contactor or the host asks, then for a while more, and then stands still while it is sent a few rows at a
time. It begins anew when it was sent and the host has had _HOLD_MS to ask for it again; the frame of a hard short
stays, as nothing worse can come. What is worse than the frozen one begins a frame of its own at once, without what
came before.
"""

from array import array

from .const import const
from .protocol import tables
from .signals import CELL_COUNT, PACK_COUNT
from .ticks import elapsed_ms

# Ids of the wire, as in schema.py (a test compares)
_MESSAGE_CAPTURE = const(12)

_HOLD_MS = const(5000)
_BY_ROW = const(254)  # in place of a cell; the stage is then the position of the limit row
_BY_HOST = const(255)
# How bad it is: 0 asked by the host, 1 a cell is suspected or recovers, 2 soft short, 3 a row has opened, 4 hard short
_RANK_OF_STAGE = b"\x01\x01\x02\x04"
_RANK_OF_ROW = const(3)
_WORST = const(4)
_VALUES_PER_FRAME = const(24)  # so that a slice is not much longer for it
_LEAD = const(3)  # values of a row before the voltages
_BITS_PER_WORD = const(30)  # rows per word of bits


class Capture:
    """`record(now_ms)` at every fast tick, allocating nothing; `send` in a slice of the slow tick."""

    def __init__(self, signals, settings):
        """A length of 0 for both times: nothing is kept."""
        fast_ms = settings("fast_period_ms")
        self._before = settings("capture_before_ms") // fast_ms
        self._after = settings("capture_after_ms") // fast_ms
        self._rows = self._before + self._after
        self.width = _LEAD + signals.cell_count
        self._ring = array("i", bytes(4 * self.width * self._rows))
        self._stages = bytearray(signals.cell_count)
        self._signals = signals
        self._current = signals.pack("current_ua")
        self._pressure = signals.pack("pressure_kpa")
        self._voltage = PACK_COUNT + tables.position(tables.CELL_SIGNALS, "voltage_uv")
        self._stage = PACK_COUNT + tables.position(tables.CELL_SIGNALS, "cell_stage")
        self.number = self.cell = self.stage = self.rank = 0
        self._sent_ms = self.trigger_row = 0
        self._trip_bits = self._trip_bits_2 = 0
        self._begin()

    def _begin(self):
        self._filled = self._next = 0
        self._left = -1  # rows still to record; -1: nothing has triggered
        self._row = 0  # the next to be sent

    def record(self, now_ms, trip_bits=0, trip_bits_2=0, opens=0):
        """One row, and a look at the stages and at the limit rows: `opens` when one of those tripped keeps it open."""
        if not self._rows:
            return
        for cell in range(len(self._stages)):
            stage = self._signals.value[self._stage + cell * CELL_COUNT]
            if stage != self._stages[cell]:
                self._stages[cell] = stage
                self._trigger(cell, stage, _RANK_OF_STAGE[stage])
        fresh, fresh_2 = trip_bits & ~self._trip_bits, trip_bits_2 & ~self._trip_bits_2
        self._trip_bits = trip_bits
        self._trip_bits_2 = trip_bits_2
        if (fresh or fresh_2) and opens:
            row = _lowest(fresh) if fresh else _BITS_PER_WORD + _lowest(fresh_2)
            self._trigger(_BY_ROW, row, _RANK_OF_ROW)
        if self._left == 0:
            return
        self._put_row(now_ms)
        if self._left > 0:
            self._left -= 1

    def _put_row(self, now_ms):
        ring, at = self._ring, self._next * self.width
        ring[at] = now_ms
        ring[at + 1] = self._value(self._current)
        ring[at + 2] = self._value(self._pressure)
        for cell in range(len(self._stages)):
            ring[at + _LEAD + cell] = self._value(self._voltage + cell * CELL_COUNT)
        self._next = (self._next + 1) % self._rows
        if self._filled < self._rows:
            self._filled += 1

    def _value(self, index):
        return self._signals.value[index] if self._signals.valid[index] else tables.INT30_MIN

    def _trigger(self, cell, stage, rank):
        if self._left == 0 and rank > self.rank:
            self._begin()
        if self._left < 0:
            self.number = (self.number + 1) & 0xFFFF
            self.trigger_row = min(self._filled, self._before)
            self._left = self._after
        elif self._left == 0 or rank <= self.rank:
            return  # the frame that stands, or is being taken, shows it already or is of something worse
        self.cell = cell
        self.stage = stage
        self.rank = rank

    @property
    def recording(self):
        """Triggered, and not whole yet."""
        return self._left > 0

    @property
    def whole(self):
        return self._left == 0 and self._rows > 0

    @property
    def row_count(self):
        """Of a frame that is whole."""
        return self.trigger_row + self._after

    def copy_rows(self, into):
        """The rows of a frame that is whole, oldest first, as little-endian bytes into a memoryview of that size."""
        ring, size = memoryview(self._ring), 4 * self.width
        first = self._next - self.row_count
        for row in range(self.row_count):
            at = (first + row) % self._rows * self.width
            into[row * size : (row + 1) * size] = bytes(ring[at : at + self.width])

    def ask(self):
        """For the host: the frame that stands again, else one from now on. Returns its number; 0: none is kept."""
        if self._left == 0:
            self._row = 0
        elif self._rows:
            self._trigger(_BY_HOST, 0, 0)
        return self.number

    def send(self, telemetry, now_ms):
        """The next few rows of a frame that is whole, if the link takes them."""
        if self._left != 0 or not self._rows:
            return
        count = self.row_count
        if self._row < count:
            rows = min(max(_VALUES_PER_FRAME // self.width, 1), count - self._row)
            if telemetry.send_part(self, rows, now_ms):
                self._row += rows
                self._sent_ms = now_ms
        elif self.rank != _WORST and elapsed_ms(now_ms, self._sent_ms) >= _HOLD_MS:
            self._begin()

    def encode(self, writer, flags, rows, now_ms):
        """The next `rows` rows into the writer's buffer; returns their length on the wire."""
        count = self.row_count
        writer.begin(_MESSAGE_CAPTURE, flags, now_ms)
        writer.put(2, self.number)
        writer.put(1, self.cell)
        writer.put(1, self.stage)
        writer.put(2, count)
        writer.put(2, self.trigger_row)
        writer.put(2, self._row)
        writer.put(1, self.width)
        first = self._next - count + self._row
        for row in range(first, first + rows):
            at = row % self._rows * self.width
            for value in range(at, at + self.width):
                writer.put(4, self._ring[value])
        return writer.end()


def _lowest(bits):
    """Position of the lowest bit that is set."""
    position = 0
    while not bits >> position & 1:
        position += 1
    return position
