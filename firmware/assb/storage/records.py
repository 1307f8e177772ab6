"""A record that survives a power cut at any moment: two slots on littlefs, written in turn, each with its own CRC.

    "ASSR" | layout u16 | sequence u16 | length u16 | crc32 u32 | body          little-endian; the CRC is over the rest

A write goes to the slot that is not believed and counts when its file is closed, because only then do its CRC and its
newer sequence show; the other slot is untouched, so it serves whatever happens meanwhile.

Time. A slot of up to 512 bytes lies inside littlefs's directory log (a file below an eighth of a block is inlined), so
a write programs a page or two: about a millisecond. Only when the log is full does littlefs erase a block, which keeps
an RP2040 from everything for 45 ms (W25Q16JV, typical; 400 ms at most). `room` is how many writes still fit before that
can happen: 0 until a write was seen to take an erase's time. Whoever may not be late writes only while there is room.
"""

import binascii
import os
import struct

from ..const import const

OK = 0
ABSENT = -1  # no slot was ever written
OTHER_LAYOUT = -2  # written by a firmware with another layout or length
DAMAGED = -3  # something is there, but neither slot is whole

MAGIC = b"ASSR"
HEADER = "<4sHHHI"
HEADER_BYTES = const(14)
_CHECKED_BYTES = const(10)  # of the header: what stands before the CRC

_INLINE_MAX_BYTES = const(512)
_PAGE_BYTES = const(256)
_PAGES = const(16)  # of a 4096-byte block
_FIRST_PAGES = const(3)  # of a new folder's log: its own, and one for the name of each slot
_COMMIT_BYTES = const(48)  # tags, time stamp and checksums around the content of a file in littlefs's log
_ERASE_US = const(20000)  # a write that takes longer had an erase in it: 30 ms is the shortest of common NOR flash
_MASK_US = const((1 << 30) - 1)
_NO_FOLDER = const(2)  # errno ENOENT
_NO_MEMORY = const(12)  # ENOMEM
_IO_ERROR = const(5)  # EIO


class Store:
    """Where records and files lie: on the board's file system, or below `root` for tests."""

    def __init__(self, now_us, root=""):
        self._now_us = now_us
        self.root = root

    def record(self, folder, layout, body_bytes):
        return Record(self.root + folder, layout, body_bytes, self._now_us)


class Record:
    """`body` is what was read, or is to be written: `body_bytes` long. `sequence` is the believed slot's."""

    def __init__(self, folder, layout, body_bytes, now_us):
        """`now_us()`: microseconds that wrap at 2**30. Touches no file; the folder is made by the first write."""
        self._folder = folder
        self._layout = layout
        self._now_us = now_us
        self._frame = bytearray(HEADER_BYTES + body_bytes)
        self.body = memoryview(self._frame)[HEADER_BYTES:]
        self.sequence = 0
        self.room_full = room_full(len(self._frame))
        self.worst_us = 0
        self._target = 0  # slot of the next write
        self._since_erase = 0
        self._room_known = False

    @property
    def room(self):
        """Writes that surely come before the next erase."""
        return max(0, self.room_full - self._since_erase) if self._room_known else 0

    def read(self):
        """Fill `body` from the newer whole slot: OK, or why there is none; `body` is then not to be used."""
        first, second = self._look(0), self._look(1)
        if first < 0 and second < 0:
            return min(first, second)
        newer = 0 if second < 0 or (first >= 0 and (second - first) & 0xFFFF >= 0x8000) else 1
        self.sequence = self._look(newer)  # the buffer holds the slot that was looked at last
        self._target = 1 - newer
        return OK if self.sequence >= 0 else DAMAGED

    def adopt(self, older):
        """Follow a Record of an older layout in the same folder: the next write spares the slot that it believes."""
        self.sequence = older.sequence
        self._target = older._target

    def write(self):
        """Put `body` into the older slot: OK, or the negative errno. Never raises for the file system's sake."""
        sequence = (self.sequence + 1) & 0xFFFF
        struct.pack_into(HEADER, self._frame, 0, MAGIC, self._layout, sequence, len(self.body), 0)
        struct.pack_into("<I", self._frame, _CHECKED_BYTES, self._crc())
        start_us = self._now_us()
        try:
            self._put(self._path(self._target))
        except OSError as error:
            return -(error.errno or _IO_ERROR)
        except MemoryError:
            return -_NO_MEMORY
        self._spent((self._now_us() - start_us) & _MASK_US)
        self.sequence = sequence
        self._target = 1 - self._target
        return OK

    def _put(self, path):
        try:
            file = open(path, "wb")
        except OSError as error:
            if error.errno != _NO_FOLDER:
                raise
            os.mkdir(self._folder)
            file = open(path, "wb")
        try:
            file.write(self._frame)
        finally:
            file.close()

    def _spent(self, spent_us):
        """How long a write took says how much room is left. A block's worth of quick ones: this store never waits."""
        self.worst_us = max(self.worst_us, spent_us)
        self._since_erase += 1
        if spent_us > _ERASE_US or self._since_erase > _PAGES:
            self._since_erase = 0
            self._room_known = True

    def _path(self, slot):
        return self._folder + ("/a" if slot == 0 else "/b")

    def _look(self, slot):
        """Read one slot into the buffer: its sequence when it is whole, else a negative status."""
        frame = self._frame
        try:
            with open(self._path(slot), "rb") as file:
                length = file.readinto(frame)
                longer = file.read(1)
        except OSError:
            return ABSENT
        if not length:
            return ABSENT  # its first write was cut after its name was made
        if length < HEADER_BYTES:
            return DAMAGED
        magic, layout, sequence, body_bytes, crc = struct.unpack_from(HEADER, frame, 0)
        if magic != MAGIC:
            return DAMAGED
        if layout != self._layout or body_bytes != len(self.body):
            return OTHER_LAYOUT
        return sequence if length == len(frame) and not longer and crc == self._crc() else DAMAGED

    def _crc(self):
        frame = memoryview(self._frame)
        return binascii.crc32(self.body, binascii.crc32(frame[:_CHECKED_BYTES])) & 0xFFFFFFFF


def room_full(frame_bytes):
    """Writes that surely fit into a fresh directory log beside both slots; 0 for a record that is not inlined."""
    if frame_bytes > _INLINE_MAX_BYTES:
        return 0
    live_pages = -(-2 * (frame_bytes + _COMMIT_BYTES) // _PAGE_BYTES)
    write_pages = -(-(frame_bytes + _COMMIT_BYTES) // _PAGE_BYTES)
    return (_PAGES - live_pages - _FIRST_PAGES) // write_pages - 1
