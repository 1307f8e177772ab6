"""The raw bytes that a board sent, as they came: `.frames`.

`assb frames 1\\n`, then pieces: unix time f64 | length u16 | bytes | CRC-32 of all three u32, little-endian. A piece is
what one read of the port gave, so the decoder sees the stream again as it was, damage and console text among it. A
piece without bytes: the port went away there.
"""

import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from assb_host.errors import AssbError

STREAM_ENDED_MS = 2000  # estimates, but for so long no step of theirs
MAGIC = b"assb frames 1\n"
HEAD = struct.Struct("<dH")
CRC = struct.Struct("<I")
PIECE_MAX = 0xFFFF
APART_MOST_S = 366 * 86400.0  # between two pieces: what is farther off is no piece


class Piece(NamedTuple):
    """`data` came at `unix_s` on the host's clock."""

    unix_s: float
    data: bytes


class FrameWriter:
    """Appends pieces; `flush` hands them to the operating system, where a killed process can't lose them."""

    def __init__(self, path: Path):
        self.path = path
        self.size = len(MAGIC)
        self._file = path.open("xb")
        self._file.write(MAGIC)

    def write(self, unix_s: float, data: bytes) -> None:
        for start in range(0, max(1, len(data)), PIECE_MAX):
            record = HEAD.pack(unix_s, len(data[start : start + PIECE_MAX])) + data[start : start + PIECE_MAX]
            self._file.write(record + CRC.pack(zlib.crc32(record)))
            self.size += len(record) + CRC.size

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


class FrameReader:
    """Iterate over its pieces; then `cut` says what could not be read, or is empty."""

    def __init__(self, path: Path):
        self.path = path
        self.cut = ""
        self.piece_count = 0

    def __iter__(self) -> Iterator[Piece]:
        """Raises AssbError for a file of another kind."""
        self.cut, self.piece_count = "", 0
        try:
            with self.path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                if not size:
                    self.cut = "the file ends before its first piece"
                    return
                with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                    yield from self._pieces(data)
        except OSError as error:
            raise AssbError(f"can't read the raw frames: {error.strerror}", str(self.path)) from error

    def _pieces(self, data: mmap.mmap) -> Iterator[Piece]:
        if data[: len(MAGIC)] != MAGIC:
            if not MAGIC.startswith(data[: len(MAGIC)]):
                raise AssbError("this is no file of raw frames", str(self.path), "`assb record` writes them")
            self.cut = "the file ends before its first piece"
            return
        at, newest_s = len(MAGIC), None
        while at < len(data):
            piece, begin = piece_at(data, at), at
            while piece is None and at < len(data):
                at += 1
                piece = piece_at(data, at, newest_s)
            if at > begin:
                self._leave_out(begin, at, at == len(data))
            if piece:
                at += HEAD.size + len(piece.data) + CRC.size
                newest_s = piece.unix_s
                self.piece_count += 1
                yield piece

    def _leave_out(self, begin: int, end: int, is_last: bool) -> None:
        what = "the last piece is cut or damaged" if is_last else "pieces are damaged"
        said = f"{what}: {end - begin} bytes from byte {begin} on are left out"
        self.cut = f"{self.cut}; {said}" if self.cut else said


def piece_at(data: mmap.mmap, at: int, near_s: float | None = None) -> Piece | None:
    """The piece that begins there; None where none does, or one of another time than `near_s`."""
    if at + HEAD.size + CRC.size > len(data):
        return None
    unix_s, length = HEAD.unpack_from(data, at)
    end = at + HEAD.size + length
    if end + CRC.size > len(data) or (near_s is not None and not abs(unix_s - near_s) <= APART_MOST_S):
        return None
    record = data[at:end]
    return Piece(unix_s, record[HEAD.size :]) if CRC.unpack_from(data, end)[0] == zlib.crc32(record) else None
