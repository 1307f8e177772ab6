"""What the estimator has learned, kept over power cycles, and how a cell that was swapped meanwhile is noticed.

Body of the record (records.py has the frame around it), 32-bit floats:

    identity u32 | opened u8 | cells u8 | values per cell u8 | layout of the values u8
    per cell: soc, soc_sigma, slow_v (overvoltage that was still relaxing, V), then what the estimator exports

`identity` is the CRC-32 of cell name, pack name and the estimator's floats: what was learned is relative to these, and
a changed limit row or period of telemetry does not take it away.
`opened` says that the contactor was open and that its closing would have been noted: nothing but self-discharge has
moved the SOC since. How long the power was off is unknown, as there is no clock: `learned_off_sigma_ppm` is assumed for
it. Of a record that was written while current could flow only the values are taken: nobody knows how much flowed later.

When. Contactor open: once after it opened, then when a number has moved by `learned_change_ppm`, at most every
`learned_save_ms`. Connected: only while the record's log has room, so that no erase makes a tick late; at once when the
numbers leave an `opened` record behind, then after learned_save_ms and each time twice as long, so that a log with
room for a dozen writes lasts for a week. Room is made while the contactor is open, by writing until an erase was seen.
"""

import binascii
import struct
from array import array

from ..const import const
from ..estimation.rested import rests_at
from ..ticks import elapsed_ms
from .records import ABSENT, OK

# Ids of the wire, as in schema.py (a test compares)
_EV_LEARNED_RESTORED = const(30)
_EV_LEARNED_REJECTED = const(31)
_EV_LEARNED_UNUSED = const(32)
_EV_STORAGE_FAILED = const(33)

FOLDER = "/learned"
LAYOUT = 1  # of the record's body
HEAD = "<IBBBB"
HEAD_BYTES = const(8)
CELL_FLOATS = const(3)  # before the exported values
_OTHER_IDENTITY = const(-4)  # beside the statuses of records.py: another pack, cell, or profile

VALUES_LAYOUT = const(2)  # of what the estimator exports; another one is another identity
_ROOM_LEAST = const(4)  # writes that a session may need before its first hour is over
_OPENED_GAP_MS = const(10000)  # between writes that call the contactor open, however it is used (assumption)
_WAIT_MAX_MS = const(1 << 29)  # 6 days
_REST_MARGIN_V = 0.02  # what a rested voltage may be off beside its SOC: sensor, table, slow relaxation (assumption)


def body_bytes(cell_count, value_count):
    return HEAD_BYTES + 4 * cell_count * (CELL_FLOATS + value_count)


def identity(config):
    """Of the profile and the pack that the numbers belong to."""
    crc = binascii.crc32((config.names[2] + "\n" + config.names[1]).encode())
    return binascii.crc32(config.estimator, crc) & 0xFFFFFFFF


class KeptCell:
    """One cell's part of a record that was read; used once, with the cell's first sample."""

    def __init__(self, floats, opened, off_sigma, reject_sigmas, keeper):
        self._floats = floats
        self._opened = opened
        self._off_sigma = off_sigma
        self._reject_sigmas = reject_sigmas
        self._keeper = keeper

    def begin(self, watch, voltage_v, temperature_degc, at_rest):
        """Start the cell's estimator from the record, unless its rested voltage says that this is another cell.

        `watch` is the CellWatch. False: it is to be started like a new one.
        """
        ekf = watch.ekf
        soc, sigma, slow_v = self._floats[:CELL_FLOATS]
        if not (-0.5 <= soc <= 1.5 and 0 <= sigma <= 1 and -5 <= slow_v <= 5):  # NaN as well
            self._keeper.unused()
            return False
        shown_soc = ekf.rested_soc(voltage_v, temperature_degc)
        judged = self._opened and at_rest
        sigma = (sigma * sigma + self._off_sigma * self._off_sigma) ** 0.5
        margin_v = _REST_MARGIN_V + abs(slow_v)
        deviation_ppm = int(1e6 * (shown_soc - soc))
        reach = self._reject_sigmas * sigma
        if judged and not rests_at(watch.flat, voltage_v, temperature_degc, soc, reach, margin_v):
            self._keeper.rejected(watch.cell, deviation_ppm)
            return False
        if judged:
            ekf.reset(min(max(soc, 0.0), 1.0), min(sigma, 1.0))
        else:
            watch.start_afresh(shown_soc if at_rest else soc)
        if not watch.restore(self._floats[CELL_FLOATS:]):
            self._keeper.unused()
            return True
        self._keeper.restored(watch.cell, deviation_ppm)
        return True


class Learned:
    """Reads the record when it is made and hands each cell its part; `step` decides when to write."""

    def __init__(self, store, cells, config, settings, events, now_ms):
        """`store` is a records.Store; `cells`: CellWatch each."""
        self._cells = cells
        self._events = events
        self._identity = identity(config)
        self._value_count = len(cells[0].learning.export())
        self._record = record = store.record(FOLDER, LAYOUT, body_bytes(len(cells), self._value_count))
        self._floats = array("f", bytes(len(record.body) - HEAD_BYTES))
        self._written = array("f", self._floats)
        self._opened = False  # what the believed record says
        self._connected = False
        self._failed = False
        self._doubted = False  # a record that was rejected still lies there
        self._step_ms = now_ms
        self._waited_ms = 0
        self._since_opened_ms = _OPENED_GAP_MS
        self._session_saves = 0
        self._save_ms = settings("learned_save_ms")
        self._change = settings("learned_change_ppm") / 1e6
        self._read(settings)

    def _read(self, settings):
        status = self._record.read()
        body = self._record.body
        if status == OK and struct.unpack_from(HEAD, body) != self._head(body[4]):
            status = _OTHER_IDENTITY
        if status != OK:
            if status != ABSENT:
                self._events.push(_EV_LEARNED_UNUSED, -status, 0)
            return
        for at in range(len(self._written)):
            self._written[at] = struct.unpack_from("<f", body, HEAD_BYTES + 4 * at)[0]
        self._opened = body[4] == 1
        off_sigma = settings("learned_off_sigma_ppm") / 1e6
        reject_sigmas = settings("learned_reject_milli") / 1e3
        step = CELL_FLOATS + self._value_count
        for at, watch in enumerate(self._cells):
            floats = self._written[at * step : (at + 1) * step]
            watch.kept = KeptCell(floats, self._opened, off_sigma, reject_sigmas, self)

    def restored(self, cell, deviation_ppm):
        self._events.push(_EV_LEARNED_RESTORED, cell, deviation_ppm)

    def unused(self):
        """Values that learning can't have left, behind a right CRC: the cell keeps its SOC and learns anew."""
        self._events.push(_EV_LEARNED_UNUSED, -_OTHER_IDENTITY, 0)

    def rejected(self, cell, deviation_ppm):
        """The record stays for learned_save_ms more: it may have been a loose wire, and not another cell."""
        self._doubted = True
        self._events.push(_EV_LEARNED_REJECTED, cell, deviation_ppm)

    def _head(self, opened):
        return (self._identity, opened, len(self._cells), self._value_count, VALUES_LAYOUT)

    def step(self, now_ms, connected):
        """One slice of the slow tick; True when it wrote. That may have waited for an erase unless `connected`."""
        passed_ms = elapsed_ms(now_ms, self._step_ms)
        self._step_ms = now_ms
        self._waited_ms = min(self._waited_ms + passed_ms, _WAIT_MAX_MS)
        self._since_opened_ms = min(self._since_opened_ms + passed_ms, _WAIT_MAX_MS)
        if connected and not self._connected:
            self._session_saves = 0
        self._connected = connected
        if not (self._gather() and self._due()):
            return False
        self._write(self._may_call_it_open())
        return True

    def keep(self):
        """Before a reset that is meant, with the outputs off: write what has moved."""
        if self._gather() and not self._doubted and (not self._opened or self._moved()):
            self._write(True)

    def _due(self):
        if self._failed or self._doubted:
            return self._waited_ms >= self._save_ms and not self._connected
        return self._due_connected() if self._connected else self._due_open()

    def _due_open(self):
        """Room first, then that the contactor is open, then what moved."""
        record = self._record
        if record.room < min(_ROOM_LEAST, record.room_full // 2) or (self._may_call_it_open() and not self._opened):
            return True
        return self._waited_ms >= self._save_ms and self._moved()

    def _due_connected(self):
        due = self._opened or self._waited_ms >= self._wait_ms()
        return due and self._record.room > 0 and self._moved()

    def _may_call_it_open(self):
        """With room for two writes, the closing of the contactor can be noted after this one."""
        return not self._connected and self._record.room > 1 and self._since_opened_ms >= _OPENED_GAP_MS

    def _wait_ms(self):
        wait_ms = self._save_ms
        if self._connected:
            for _ in range(self._session_saves):
                wait_ms = min(2 * wait_ms, _WAIT_MAX_MS)
        return wait_ms

    def _gather(self):
        """Every cell's numbers into `_floats`; False while a cell has not started."""
        at = 0
        for watch in self._cells:
            if not watch.started:
                return False
            ekf = watch.ekf
            self._floats[at] = ekf.soc
            self._floats[at + 1] = ekf.soc_sigma
            self._floats[at + 2] = ekf.v1_v + ekf.v2_v
            at += CELL_FLOATS
            for value in watch.learning.export():
                self._floats[at] = value
                at += 1
        return True

    def _moved(self):
        """Whether any number is further from what is written than a write is worth."""
        for at in range(len(self._floats)):
            if abs(self._floats[at] - self._written[at]) > self._change:
                return True
        return False

    def _write(self, opened):
        body = self._record.body
        struct.pack_into(HEAD, body, 0, *self._head(1 if opened else 0))
        for at in range(len(self._floats)):
            struct.pack_into("<f", body, HEAD_BYTES + 4 * at, self._floats[at])
        status = self._record.write()
        self._waited_ms = 0
        if status != OK:
            if not self._failed:
                self._events.push(_EV_STORAGE_FAILED, -status, 0)
            self._failed = True
            return
        self._failed = self._doubted = False
        self._opened = opened
        if opened:
            self._since_opened_ms = 0
        self._floats, self._written = self._written, self._floats
        if self._connected:
            self._session_saves += 1
