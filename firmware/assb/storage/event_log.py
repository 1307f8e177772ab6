"""The event log: what happened, in two files on littlefs, with a journal for the time in which nothing may be erased.

    chunk     layout u8 | number u32 | boot u16 | count u8 | entries … | crc32 u32        the CRC is over the rest
    entry     t_ms u32 | event u8 | a i32 | b i32
    /events/0, /events/1   chunk chunk …; one is appended to until it has FILE_BYTES, then the other begins anew
    /journal  record of two slots (records.py): boot u16 | count u8 | items as in event_ring.py

Events are numbered over the life of the board; a gap in the numbers is what was lost. A chunk has no gap.

An event lies in RAM first. With nothing connected it is appended to the files, which may take as long as littlefs takes
to erase. While something is connected the journal is written instead, and only while its record says that no erase
is due; what it holds goes to the files later, also by the next boot. `stored`: events below this number are on flash,
but for those that were lost; `lost` of them since this boot.

What is urgent, a trip or a change of stage, has a ring of its own, so that nothing else drives it out, and the journal
keeps entries and writes for it. When these are used up it waits for the contactor to open, like the rest.
"""

import binascii
import os
import struct

from ..const import const
from ..ticks import elapsed_ms
from .event_ring import NONE, EventRing
from .records import OK

# Ids of the wire, as in schema.py (a test compares)
_EV_STORAGE_FAILED = const(33)
_EV_LOG_CUT = const(52)

FOLDER, JOURNAL = "/events", "/journal"
LAYOUT = 1
HEAD = "<BIHB"
HEAD_BYTES = const(8)
ENTRY = "<IBii"
ENTRY_BYTES = const(13)
CRC_BYTES = const(4)
_CHUNK_ENTRIES = const(14)
CHUNK_BYTES = const(194)  # of one with _CHUNK_ENTRIES
FILE_BYTES = const(8192)
_ROUTINE_ENTRIES = const(64)  # in RAM
_URGENT_ENTRIES = const(16)
_ITEM_BYTES = const(17)  # as in event_ring.py
_ROUTINE_RING = const(1)  # in `_rings`
_URGENT_RING = const(2)
_JOURNAL_LAYOUT = const(2)
_JOURNAL_HEAD_BYTES = const(3)
_COUNT = const(2)  # its place in the journal
_JOURNAL_ENTRIES = const(11)  # so that a write of the journal is one page
_JOURNAL_ROUTINE = const(6)  # of them, beyond which there are urgent ones alone
_URGENT = b"\x05\x07"  # limit_tripped, stage_changed (a test compares): not to wait for the next append
_APPEND_EVERY_MS = const(10000)  # bounds the wear: an erase each
_APPEND_SOON_MS = const(1000)  # after the last one, for what is urgent and for who waits
_JOURNAL_EVERY_MS = const(10000)  # the first time in a session, then each time twice as long
_WAIT_MAX_MS = const(1 << 29)
_ROOM_LEAST = const(5)  # writes of the journal with which a session begins
_URGENT_ROOM = const(3)  # of its writes, which are left for what is urgent
_PLACE = const(1)  # of the log, in the event storage_failed
_IO_ERROR = const(5)  # EIO
_NO_MEMORY = const(12)  # ENOMEM


class EventLog:
    """`put` may be called in the fast tick and allocates nothing; `step` decides when to write."""

    def __init__(self, store, boot_count, events):
        """`store` is a records.Store."""
        self._events = events
        self._boot = boot_count
        self._folder = store.root + FOLDER
        self.paths = (self._folder + "/0", self._folder + "/1")
        self._record = store.record(JOURNAL, _JOURNAL_LAYOUT, _JOURNAL_HEAD_BYTES + _ITEM_BYTES * _JOURNAL_ENTRIES)
        self._rings = (
            EventRing(self._record.body, boot_count, _JOURNAL_HEAD_BYTES),
            EventRing(bytearray(_ITEM_BYTES * _ROUTINE_ENTRIES), boot_count),
            EventRing(bytearray(_ITEM_BYTES * _URGENT_ENTRIES), boot_count),
        )
        self.chunk = bytearray(CHUNK_BYTES)
        self.file = 0  # the newer one
        self._size = 0  # of what is whole in it
        self.next = 0  # number of the next event
        self._filed = 0  # events below this number are in the files
        self.stored = self.lost = 0
        self._failed = self._wanted = False
        self._since_ms = _WAIT_MAX_MS
        self._session_writes = 0
        self._step_ms = 0
        self.appends = 0  # how often what lies where has changed
        self._recall()

    # ---- events come in ----

    def put(self, event, a, b, t_ms):
        """One event into its ring; when that is full the oldest of it is lost."""
        ring = self._rings[_URGENT_RING if event in _URGENT else _ROUTINE_RING]
        self.lost += ring.put(self.next, event, a, b, t_ms)
        self.next += 1

    @property
    def pending(self):
        return self.next - self.stored

    # ---- at boot ----

    def _recall(self):
        """Find the end of the log, and put into it what an earlier boot left in the journal."""
        ends = [self._scan(0), self._scan(1)]
        self.file = 0 if ends[0][0] >= ends[1][0] else 1
        self.next, self._size = ends[self.file]
        self.stored = self._filed = self.next
        journal, record = self._rings[0], self._record
        if record.read() != OK:
            return
        journal.count = min(record.body[_COUNT], _JOURNAL_ENTRIES)
        last = journal.number(journal.count - 1) if journal.count else -1
        if last >= self.next:
            journal.boot = struct.unpack_from("<H", record.body)[0]
            self.next = self.stored = last + 1
            self._append()
        else:
            journal.clear()

    def _scan(self, file):
        """(number after its last event, bytes that are whole); what is behind them is damaged and never believed."""
        number = offset = 0
        try:
            with open(self.paths[file], "rb") as opened:
                while self.read_chunk(opened):
                    _, first, _, count = struct.unpack_from(HEAD, self.chunk)
                    number = first + count
                    offset += chunk_bytes(count)
                opened.seek(0, 2)
                rest = opened.tell() - offset
        except OSError:
            return 0, 0
        if rest:
            self._events.push(_EV_LOG_CUT, file, rest)
            return number, FILE_BYTES  # nothing is appended behind damage
        return number, offset

    def read_chunk(self, opened):
        """The chunk at the file's position into `chunk`; False when there is no whole one."""
        view = memoryview(self.chunk)
        if opened.readinto(view[:HEAD_BYTES]) != HEAD_BYTES:
            return False
        count = self.chunk[HEAD_BYTES - 1]
        if self.chunk[0] != LAYOUT or not 0 < count <= _CHUNK_ENTRIES:
            return False
        end = HEAD_BYTES + ENTRY_BYTES * count
        if opened.readinto(view[HEAD_BYTES : end + CRC_BYTES]) != end + CRC_BYTES - HEAD_BYTES:
            return False
        return struct.unpack_from("<I", self.chunk, end)[0] == binascii.crc32(view[:end]) & 0xFFFFFFFF

    # ---- to flash ----

    def want(self):
        """The host waits for everything to be on flash: no later than with the contactor open."""
        self._wanted = True

    def step(self, now_ms, connected):
        """One slice of the slow tick; True when it wrote. That may have waited for an erase unless `connected`."""
        self._since_ms = min(self._since_ms + elapsed_ms(now_ms, self._step_ms), _WAIT_MAX_MS)
        self._step_ms = now_ms
        if connected:
            return self._step_connected()
        self._session_writes = 0
        journal, routine, urgent = self._rings
        soon = self._wanted or urgent.count or routine.count > _ROUTINE_ENTRIES // 2
        wait_ms = _APPEND_SOON_MS if soon and not self._failed else _APPEND_EVERY_MS
        if self._since_ms < wait_ms or not (self.pending or journal.count):
            return False
        self._append()
        return True

    def make_room(self):
        """With nothing connected or else to write: write the journal until it surely has room; True: it did."""
        record = self._record
        if self._failed or record.room >= min(_ROOM_LEAST, record.room_full // 2):
            return False
        self._write()
        return True

    def _step_connected(self):
        _, routine, urgent = self._rings
        wait_ms = min(_JOURNAL_EVERY_MS << min(self._session_writes, 15), _WAIT_MAX_MS)
        due = (self._wanted or self._since_ms >= wait_ms) and self._record.room > _URGENT_ROOM
        if self._record.room < 1 or not (due or urgent.count) or not self._take():
            return False
        self._wanted = False
        self._session_writes += 1
        self._since_ms = 0
        if self._write():
            self.stored = min(routine.number(0), urgent.number(0), self.next)
        return True

    def _take(self):
        """Move into the journal what it takes, oldest first; how many. Its numbers ascend: once it is too full for
        routine it stays so until it is cleared."""
        journal, routine, urgent = self._rings
        before = journal.count
        while journal.count < _JOURNAL_ENTRIES and journal.boot == self._boot:
            ring = urgent
            if journal.count < _JOURNAL_ROUTINE and routine.number(0) < urgent.number(0):
                ring = routine
            if not ring.count:
                break
            ring.take(journal)
        return journal.count - before

    def _write(self):
        """The journal as it is."""
        record, journal = self._record, self._rings[0]
        struct.pack_into("<H", record.body, 0, journal.boot)
        record.body[_COUNT] = journal.count
        return self._note(record.write())

    def keep(self):
        """Before a reset that is meant, with the outputs off."""
        if self.pending:
            self._append()

    def _append(self):
        """Journal and rings behind the newer file, or into the other one when that is full. All of it or nothing."""
        self._wanted = False
        self._since_ms = 0
        size, file, mode = self._size, self.file, "ab"
        try:
            if size + sum([end + CRC_BYTES for end in self._chunks()]) > FILE_BYTES:
                size, file, mode = 0, 1 - file, "wb"
            size += self._write_chunks(self._open(self.paths[file], mode))
        except OSError as error:
            self._note(-(error.errno or _IO_ERROR))
            return
        except MemoryError:
            self._note(-_NO_MEMORY)
            return
        self._note(OK)
        self._size, self.file = size, file
        self.appends += 1
        for ring in self._rings:
            ring.clear()
            ring.boot = self._boot  # on flash what was in it may stay: its numbers say that it is in the files
        self.stored = self._filed = self.next

    def _open(self, path, mode):
        try:
            return open(path, mode)
        except OSError:
            os.mkdir(self._folder)
            return open(path, mode)

    def _write_chunks(self, opened):
        """Returns the bytes written. They count when the file is closed."""
        with opened:
            return sum([self._write_chunk(opened, end) for end in self._chunks()])

    def _chunks(self):
        """All that the files have not got, a chunk after the other in `chunk`; where the CRC of each belongs."""
        number = self._filed
        while self.fill_chunk(number):
            _, number, _, count = struct.unpack_from(HEAD, self.chunk)
            number += count
            yield HEAD_BYTES + ENTRY_BYTES * count

    def fill_chunk(self, number):
        """Into `chunk` the oldest events in RAM from that number on, of one boot and without a gap; how many."""
        rings, count = self._rings, 0
        places = [ring.find(number) for ring in rings]
        numbers = [ring.number(place) for ring, place in zip(rings, places)]
        number = min(numbers)
        boot = rings[numbers.index(number)].boot
        while number != NONE and count < _CHUNK_ENTRIES:
            for at, ring in enumerate(rings):
                if ring.boot == boot and ring.number(places[at]) == number + count:
                    break
            else:
                break
            ring.copy(places[at], self.chunk, HEAD_BYTES + ENTRY_BYTES * count)
            places[at] += 1
            count += 1
        struct.pack_into(HEAD, self.chunk, 0, LAYOUT, number, boot, count)
        return count

    def _write_chunk(self, opened, end):
        view = memoryview(self.chunk)
        struct.pack_into("<I", view, end, binascii.crc32(view[:end]) & 0xFFFFFFFF)
        return opened.write(view[: end + CRC_BYTES])

    def _note(self, status):
        if status != OK and not self._failed:
            self._events.push(_EV_STORAGE_FAILED, -status, _PLACE)
        self._failed = status != OK
        return status == OK


def chunk_bytes(count):
    return HEAD_BYTES + ENTRY_BYTES * count + CRC_BYTES
