"""The console of this board: frames out, lines in, never blocking. sys.stdout itself would cook newlines."""

import select
import sys

from assb.const import const

from ..protocol.commands import LINE_MAX

_BYTES_PER_POLL = const(32)  # of input, so that a flood takes no more than its share of a slice


class Console:
    def __init__(self):
        self._in = sys.stdin.buffer
        self._out = sys.stdout.buffer
        self._in_poll = select.poll()
        self._in_poll.register(sys.stdin, select.POLLIN)
        self._out_poll = select.poll()
        self._out_poll.register(sys.stdout, select.POLLOUT)
        self._byte = bytearray(1)
        self._line = bytearray(LINE_MAX)
        self._length = 0
        self._too_long = False
        self.dropped_line_count = 0

    def writable(self):
        return bool(self._out_poll.poll(0))

    def write(self, buffer, length):
        """Send `buffer[:length]`; False when the link takes nothing now (the frame is lost, the caller counts)."""
        if not self._out_poll.poll(0):
            return False
        self._out.write(buffer, length)
        return True

    def write_text(self, text):
        data = text.encode() + b"\r\n"
        self.write(data, len(data))

    def read_line(self):
        """The next whole line as text, or None. Lines that are too long or not ASCII are dropped and counted."""
        for _ in range(_BYTES_PER_POLL):
            if not self._in_poll.poll(0):
                return None
            if not self._in.readinto(self._byte, 1):
                return None
            byte = self._byte[0]
            if byte in (10, 13):
                line = self._finish()
                if line is not None:
                    return line
            elif self._length == LINE_MAX or byte > 126:
                self._too_long = True
            else:
                self._line[self._length] = byte
                self._length += 1
        return None

    def _finish(self):
        length, self._length = self._length, 0
        if self._too_long:
            self._too_long = False
            self.dropped_line_count += 1
            return ""
        return str(self._line[:length], "ascii") if length else None
