"""The console of this board: frames out, lines in, never blocking. sys.stdout itself would cook newlines."""

import select
import sys

from assb.const import const

from ..protocol.commands import LINE_MAX

_BYTES_PER_POLL = const(32)  # of input, so that a flood takes no more than its share of a slice
_CTRL_C = const(3)


class Console:
    """Ctrl-C is a byte like others while the firmware runs, so that noise does not end it. Alone in its line (before a
    line end, a second one, or silence until the next call) it is meant: read_line raises KeyboardInterrupt.
    """

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
        self._too_long = self._asked = False  # asked: a Ctrl-C came first in its line
        self.dropped_line_count = 0

    def writable(self):
        return bool(self._out_poll.poll(0))

    def readable(self):
        for _ in self._in_poll.ipoll(0):  # unlike poll it makes no list, and this is asked for every byte
            return True
        return False

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
        if self._asked and not self.readable():
            self._interrupt()
        for _ in range(_BYTES_PER_POLL):
            if not self.readable():
                return None
            if not self._in.readinto(self._byte, 1):
                return None
            byte = self._byte[0]
            if self._asked:
                if byte in (10, 13, _CTRL_C):
                    self._interrupt()
                self._asked, self._too_long = False, True
            elif byte == _CTRL_C and not self._length and not self._too_long:
                self._asked = True
            elif byte in (10, 13):
                line = self._finish()
                if line is not None:
                    return line
            elif self._length == LINE_MAX or byte > 126 or byte == _CTRL_C:
                self._too_long = True
            else:
                self._line[self._length] = byte
                self._length += 1
        return None

    def _interrupt(self):
        self._asked = False
        raise KeyboardInterrupt

    def _finish(self):
        length, self._length = self._length, 0
        if self._too_long:
            self._too_long = False
            self.dropped_line_count += 1
            return ""
        return str(self._line[:length], "ascii") if length else None
