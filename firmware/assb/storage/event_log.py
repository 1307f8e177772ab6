"""The event log: what happened, in two files on littlefs, with a journal for the time in which nothing may be erased.

    chunk     layout u8 | number u32 | boot u16 | count u8 | entries … | crc32 u32        the CRC is over the rest
    entry     t_ms u32 | event u8 | a i32 | b i32
    /events/0, /events/1   chunk chunk …; one is appended to until it has FILE_BYTES, then the other begins anew
    /journal  record of two slots (records.py): a chunk without its CRC

Events are numbered over the life of the board; a gap in the numbers is what was lost. A chunk has no gap.

An event lies in RAM first. With nothing connected it is appended to the files, which may take as long as littlefs takes
to erase. While something is connected the journal is written instead, and only while its record says that no erase
is due; what it holds goes to the files later, also by the next boot. `stored`: events below this number are on flash.
"""

import binascii
import os
import struct

from ..const import const
from ..ticks import elapsed_ms
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
JOURNAL_ENTRIES = const(14)  # so that a write of the journal is one page
CHUNK_BYTES = const(194)  # of one with JOURNAL_ENTRIES, which is as large as they come
FILE_BYTES = const(8192)
RING_ENTRIES = const(64)
_URGENT = b"\x05\x07"  # limit_tripped, stage_changed (a test compares): not to wait for the next append
_APPEND_EVERY_MS = const(10000)  # bounds the wear: an erase each
_APPEND_SOON_MS = const(1000)  # after the last one, for what is urgent and for who waits
_JOURNAL_EVERY_MS = const(10000)  # the first time in a session, then each time twice as long
_WAIT_MAX_MS = const(1 << 29)
_ROOM_LEAST = const(4)
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
        self._ring = bytearray(ENTRY_BYTES * RING_ENTRIES)
        self._first = self.waiting = 0  # of the ring
        self.chunk = bytearray(CHUNK_BYTES)
        self._record = store.record(JOURNAL, LAYOUT, HEAD_BYTES + ENTRY_BYTES * JOURNAL_ENTRIES)
        self.journal = self._record.body
        self.file = 0  # the newer one
        self._size = 0  # of what is whole in it
        self.next = 0  # number of the next event
        self.stored = 0
        self._failed = self._wanted = False
        self._since_ms = _WAIT_MAX_MS
        self._session_writes = 0
        self._step_ms = 0
        self.appends = 0  # how often what lies where has changed
        self._recall()

    # ---- events come in ----

    def put(self, event, a, b, t_ms):
        """One event into the ring; when it is full the oldest of it is lost."""
        if self.waiting == RING_ENTRIES:
            self._first = (self._first + 1) % RING_ENTRIES
            self.waiting -= 1
        at = (self._first + self.waiting) % RING_ENTRIES * ENTRY_BYTES
        struct.pack_into(ENTRY, self._ring, at, t_ms, event, a, b)
        self.waiting += 1
        self.next += 1
        if event in _URGENT:
            self._wanted = True

    @property
    def ring_number(self):
        """Number of the ring's oldest event."""
        return self.next - self.waiting

    @property
    def pending(self):
        return self.next - self.stored

    # ---- at boot ----

    def _recall(self):
        """Find the end of the log, and put into it what an earlier boot left in the journal."""
        ends = [self._scan(0), self._scan(1)]
        self.file = 0 if ends[0][0] >= ends[1][0] else 1
        self.next, self._size = ends[self.file]
        self.stored = self.next
        if self._record.read() != OK:
            self.journal[:HEAD_BYTES] = bytes(HEAD_BYTES)
            return
        _, number, _, count = struct.unpack_from(HEAD, self.journal)
        if number + count > self.next and number >= self.next:
            self.next = self.stored = number + count
            self._append()
        else:
            self._clear_journal()

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
        """The chunk at the file's position into `_chunk`; False when there is no whole one."""
        view = memoryview(self.chunk)
        if opened.readinto(view[:HEAD_BYTES]) != HEAD_BYTES:
            return False
        count = self.chunk[HEAD_BYTES - 1]
        if self.chunk[0] != LAYOUT or not 0 < count <= JOURNAL_ENTRIES:
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
        soon = self._wanted or self.waiting > RING_ENTRIES // 2
        if not self.pending or self._since_ms < (_APPEND_SOON_MS if soon else _APPEND_EVERY_MS):
            return False
        self._append()
        return True

    def make_room(self):
        """With nothing connected or else to write: write the journal until it surely has room; True: it did."""
        record = self._record
        if self._failed or record.room >= min(_ROOM_LEAST, record.room_full // 2):
            return False
        self._note(record.write())
        return True

    def _step_connected(self):
        wait_ms = min(_JOURNAL_EVERY_MS << min(self._session_writes, 15), _WAIT_MAX_MS)
        if not self.waiting or self._record.room < 1 or not (self._wanted or self._since_ms >= wait_ms):
            return False
        self._wanted = False
        journal, number = self.journal, self.ring_number
        _, first, boot, count = struct.unpack_from(HEAD, journal)
        if not count:
            struct.pack_into(HEAD, journal, 0, LAYOUT, number, self._boot, 0)
        elif boot != self._boot or first + count != number:
            return False  # events were lost in between: the rest waits for the files
        moved = min(JOURNAL_ENTRIES - count, self.waiting)
        if not moved:
            return False
        for at in range(moved):
            self._copy_entry(self._first + at, journal, HEAD_BYTES + ENTRY_BYTES * (count + at))
        journal[HEAD_BYTES - 1] = count + moved
        self._first = (self._first + moved) % RING_ENTRIES
        self.waiting -= moved
        self._session_writes += 1
        self._since_ms = 0
        if self._note(self._record.write()):
            self.stored = number + moved
        return True

    def keep(self):
        """Before a reset that is meant, with the outputs off."""
        if self.pending:
            self._append()

    def _append(self):
        """Journal and ring behind the newer file, or into the other one when that is full. All of it or nothing."""
        self._wanted = False
        self._since_ms = 0
        size, file, mode = self._size, self.file, "ab"
        if size + self._append_bytes() > FILE_BYTES:
            size, file, mode = 0, 1 - file, "wb"
        try:
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
        self._first = self.waiting = 0
        self._clear_journal()
        self.stored = self.next

    def _append_bytes(self):
        chunks = -(-self.waiting // JOURNAL_ENTRIES)
        return CHUNK_BYTES + ENTRY_BYTES * self.waiting + (HEAD_BYTES + CRC_BYTES) * chunks

    def _open(self, path, mode):
        try:
            return open(path, mode)
        except OSError:
            os.mkdir(self._folder)
            return open(path, mode)

    def _write_chunks(self, opened):
        """Returns the bytes written. They count when the file is closed."""
        chunk, journal = self.chunk, self.journal
        with opened:
            written = 0
            count = journal[HEAD_BYTES - 1]
            if count:
                end = HEAD_BYTES + ENTRY_BYTES * count
                chunk[:end] = journal[:end]
                written += self._write_chunk(opened, end)
            for start in range(0, self.waiting, JOURNAL_ENTRIES):
                count = min(JOURNAL_ENTRIES, self.waiting - start)
                self.fill_chunk(start, count)
                written += self._write_chunk(opened, HEAD_BYTES + ENTRY_BYTES * count)
            return written

    def fill_chunk(self, start, count):
        """Some events of the ring into `_chunk`, from the one at `start` on."""
        struct.pack_into(HEAD, self.chunk, 0, LAYOUT, self.ring_number + start, self._boot, max(count, 0))
        for at in range(count):
            self._copy_entry(self._first + start + at, self.chunk, HEAD_BYTES + ENTRY_BYTES * at)

    def _write_chunk(self, opened, end):
        view = memoryview(self.chunk)
        struct.pack_into("<I", view, end, binascii.crc32(view[:end]) & 0xFFFFFFFF)
        return opened.write(view[: end + CRC_BYTES])

    def _copy_entry(self, place, into, offset):
        at = place % RING_ENTRIES * ENTRY_BYTES
        into[offset : offset + ENTRY_BYTES] = self._ring[at : at + ENTRY_BYTES]

    def _clear_journal(self):
        """What lies in it is in the files: on flash it may stay, its numbers say so."""
        self.journal[HEAD_BYTES - 1] = 0

    def _note(self, status):
        if status != OK and not self._failed:
            self._events.push(_EV_STORAGE_FAILED, -status, _PLACE)
        self._failed = status != OK
        return status == OK


def chunk_bytes(count):
    return HEAD_BYTES + ENTRY_BYTES * count + CRC_BYTES
