"""Freeze frames kept on littlefs: a few files, in which a milder frame never takes the place of a worse one.

    /frames/0 … /frames/3
    head    "ASSF" | layout u16 | order u16 | boot u16 | number u16 | rank u8 | cell u8 | stage u8 | width u8 |
            rows u16 | trigger_row u16
    then    rows × width × i32 | crc32 u32        the CRC is over the rest; rows as in a CAPTURE frame

A frame that is whole in the ring of capture.py is copied, so that the ring may go on, and written with nothing
connected, a part in each slice. It counts when its file is closed. It takes an empty file, else that of the oldest of
the mildest.
"""

import binascii
import os
import struct

from ..const import const

# Ids of the wire, as in schema.py (a test compares)
_EV_STORAGE_FAILED = const(33)
_EV_FRAME_STORED = const(53)

FOLDER = "/frames"
COUNT = const(4)
MAGIC = b"ASSF"
LAYOUT = const(1)
HEAD = "<4sHHHHBBBBHH"
HEAD_BYTES = const(20)
_CRC_BYTES = const(4)
_PART_BYTES = const(1024)  # that are written in a slice: a page takes 0.4 ms, an erase 45 ms
_PLACE = const(3)  # of frames, in the event storage_failed
_IO_ERROR = const(5)  # EIO
_NO_MEMORY = const(12)  # ENOMEM


class FrameStore:
    def __init__(self, store, capture, boot_count, events):
        """Looks at what is there. `store` is a records.Store."""
        self._capture = capture
        self._boot = boot_count
        self._events = events
        self._folder = store.root + FOLDER
        self._rank = bytearray(COUNT)  # 0: no whole frame
        self._order = [0] * COUNT
        self._waiting = None  # the frame that is to be written, as its file will be
        self._offered = 0
        self._file = None
        self._place = self._written = 0
        for place in range(COUNT):
            self._look(place)

    @property
    def pending(self):
        return self._waiting is not None

    @property
    def ranks(self):
        """How bad the frame in each file is, as in capture.py; 0: there is none."""
        return self._rank

    def step(self, now_ms, connected):
        """One slice of the slow tick; True when it wrote."""
        capture = self._capture
        if capture.whole and capture.number != self._offered:
            self._offered = capture.number
            self._offer(capture)
        if connected or not self._waiting:
            return False
        self._write_part(self._waiting)
        return True

    def keep(self):
        """Before a reset that is meant, with the outputs off."""
        while self._waiting:
            self._write_part(self._waiting)

    def _offer(self, capture):
        """Copy a frame that is whole, unless a worse one waits or lies in every file."""
        rank = capture.rank
        if not rank or (self._waiting and self._waiting[12] > rank):
            return
        place = self._place_for(rank)
        if place < 0:
            return
        try:
            size = HEAD_BYTES + 4 * capture.width * capture.row_count
            frame = bytearray(size + _CRC_BYTES)
        except MemoryError:
            self._events.push(_EV_STORAGE_FAILED, _NO_MEMORY, _PLACE)
            return
        order = (max(self._order) + 1) & 0xFFFF
        struct.pack_into(
            HEAD, frame, 0, MAGIC, LAYOUT, order, self._boot, capture.number, rank, capture.cell, capture.stage,
            capture.width, capture.row_count, capture.trigger_row,
        )  # fmt: skip
        capture.copy_rows(memoryview(frame)[HEAD_BYTES:size])
        struct.pack_into("<I", frame, size, binascii.crc32(memoryview(frame)[:size]) & 0xFFFFFFFF)
        self._close()
        self._waiting, self._place, self._written = frame, place, 0

    def _place_for(self, rank):
        best = 0
        for place in range(1, COUNT):
            if (self._rank[place], self._order[place]) < (self._rank[best], self._order[best]):
                best = place
        return best if self._rank[best] <= rank else -1

    def _write_part(self, frame):
        """The next part into the file, which stays open in between; after the last one the frame counts."""
        end = min(self._written + _PART_BYTES, len(frame))
        try:
            if not self._written:
                self._rank[self._place] = 0
                self._file = self._open(self._place)
            self._file.write(memoryview(frame)[self._written : end])
            self._written = end
            if end < len(frame):
                return
            self._file.close()
        except (OSError, MemoryError) as error:  # no heap for the buffers of a file: the frame is lost, not the program
            self._waiting = None
            self._close()
            code = _NO_MEMORY if isinstance(error, MemoryError) else error.errno or _IO_ERROR
            self._events.push(_EV_STORAGE_FAILED, code, _PLACE)
            return
        self._file = self._waiting = None
        self._rank[self._place], self._order[self._place] = frame[12], struct.unpack_from("<H", frame, 6)[0]
        self._events.push(_EV_FRAME_STORED, self._place, self._offered)

    def _open(self, place):
        try:
            return open(self.path(place), "wb")
        except OSError:
            os.mkdir(self._folder)
            return open(self.path(place), "wb")

    def _close(self):
        """Of a frame that is not whole: its length and its CRC say so."""
        file, self._file = self._file, None
        if file:
            try:
                file.close()
            except (OSError, MemoryError):
                pass

    def path(self, place):
        return "%s/%d" % (self._folder, place)

    def _look(self, place):
        """Take over a frame that is whole: length and CRC are right."""
        head = bytearray(HEAD_BYTES)
        try:
            with open(self.path(place), "rb") as file:
                if file.readinto(head) != HEAD_BYTES:
                    return
                magic, layout, order, _, _, rank, _, _, width, rows, _ = struct.unpack(HEAD, head)
                if magic != MAGIC or layout != LAYOUT:
                    return
                if _crc_is_right(file, binascii.crc32(head), 4 * width * rows):
                    self._rank[place], self._order[place] = rank, order
        except OSError:
            pass


def _crc_is_right(file, crc, length):
    part = bytearray(256)
    view = memoryview(part)
    while length:
        count = file.readinto(view[: min(len(part), length)])
        if not count:
            return False
        crc = binascii.crc32(view[:count], crc)
        length -= count
    tail = file.read(_CRC_BYTES + 1)
    return len(tail) == _CRC_BYTES and struct.unpack("<I", tail)[0] == crc & 0xFFFFFFFF
