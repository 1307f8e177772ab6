"""Block device over the flash image's file descriptor: NOR flash of 4096-byte blocks, erased before it is programmed.

Every erase and program is asked for first, so that the host counts the operations, charges their time and may cut the
power at any of them; a program operation is then torn in the middle, as a real one would be.
"""

import _lockstep
import wire

BLOCK_BYTES = 4096
PAGE_BYTES = 256


class Flash:
    def __init__(self, file, blocks, erase_us=0, page_us=0):
        self._file = file
        self._blocks = blocks
        self._erase_us = erase_us
        self._page_us = page_us
        self._erased = b"\xff" * PAGE_BYTES

    def readblocks(self, block, buf, offset=0):
        self._file.seek(block * BLOCK_BYTES + offset)
        self._file.readinto(buf)

    def writeblocks(self, block, buf, offset=0):
        n = len(buf)
        allowed = self._ask(wire.PROGRAM, n, (n + PAGE_BYTES - 1) // PAGE_BYTES * self._page_us)
        self._file.seek(block * BLOCK_BYTES + offset)
        self._file.write(buf, n if allowed == wire.ALL else allowed)
        self._end(allowed)

    def ioctl(self, operation, argument):
        if operation == 4:
            return self._blocks
        if operation == 5:
            return BLOCK_BYTES
        if operation == 6:
            self._erase(argument)
        return 0

    def _erase(self, block):
        allowed = self._ask(wire.ERASE, BLOCK_BYTES, self._erase_us)
        self._file.seek(block * BLOCK_BYTES)
        for _ in range((BLOCK_BYTES if allowed == wire.ALL else allowed) // PAGE_BYTES):
            self._file.write(self._erased)
        self._end(allowed)

    def _ask(self, kind, n, us):
        if _lockstep._port[0] is None:  # an image being built on the host: nobody to ask
            return wire.ALL
        _lockstep.advance(us)
        return _lockstep.call(wire.FLASH, n << 8 | kind)

    def _end(self, allowed):
        while allowed != wire.ALL:
            _lockstep.call(wire.HALT, 0)
