"""Whether the firmware's files are what was flashed. The flasher makes the list, one in each slot: crc32 in hex, bytes,
path of each from there.
"""

import binascii

from .. import FOLDER
from ..const import const

_PART_BYTES = const(2048)  # that are read in a slice


class FileCheck:
    """`step` reads a part more and is True when all was read. `line`: of the first file that is not as listed, from 1;
    0: every file is, or there is no list (`listed` is False).
    """

    def __init__(self, root=""):
        """`root`: where the file system is, for tests."""
        self._folder = root + FOLDER + "/"
        self._part = memoryview(bytearray(_PART_BYTES))
        self._file = None
        self.line = self._number = self._crc = self._length = 0
        try:
            self._list = open(self._folder + "manifest")
        except OSError:
            self._list = None
        self.listed = self._list is not None

    def step(self):
        if not self._list:
            return True
        try:
            return self._next_part() if self._file else self._next_file()
        except (OSError, ValueError):  # a file that is not there; a line that is none
            return self._end(self._number)

    def _next_file(self):
        words = self._list.readline().split()
        if not words:
            return self._end(0)
        self._number += 1
        self._wanted = (int(words[0], 16), int(words[1]))
        self._crc = self._length = 0
        self._file = open(self._folder + words[2], "rb")
        return False

    def _next_part(self):
        count = self._file.readinto(self._part)
        if count:
            self._crc = binascii.crc32(self._part[:count], self._crc)
            self._length += count
            return False
        self._file.close()
        self._file = None
        if (self._crc & 0xFFFFFFFF, self._length) != self._wanted:
            return self._end(self._number)
        return False

    def _end(self, line):
        self.line = line
        for file in (self._file, self._list):
            if file:
                file.close()
        self._file = self._list = None
        return True
