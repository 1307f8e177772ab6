"""The board's serial port as the outside sees it: a pseudo-terminal that never blocks the board."""

import errno
import os
import pty
import select
import time
import tty

# A USB CDC port of a board holds some hundred bytes and drops the rest when its peer doesn't read; this one holds more,
# because a board at full pace sends faster than a Python reader reads
BACKLOG_BYTES = 256 * 1024
CHUNK_BYTES = 4096
PEER_CHECK_S = 0.02


class PtyPort:
    """Master side of a pseudo-terminal in raw mode. Nobody connected: what the board sends is dropped and counted."""

    def __init__(self):
        self.fd, slave = pty.openpty()
        self.path = os.ttyname(slave)
        # Before anybody opens it: with echo on, the board's output would come back as its input
        tty.setraw(slave)
        os.close(slave)
        os.set_blocking(self.fd, False)
        self.dropped_bytes = 0
        self._backlog = bytearray()
        self._poll = select.poll()
        self._poll.register(self.fd, select.POLLIN)
        self._connected = False
        self._checked_s = 0.0

    def connected(self) -> bool:
        """Whether somebody has the port open; looked at every PEER_CHECK_S only."""
        now_s = time.monotonic()
        if now_s - self._checked_s > PEER_CHECK_S:
            self._checked_s = now_s
            events = self._poll.poll(0)
            self._connected = not events or not events[0][1] & select.POLLHUP
            if not self._connected:
                self._backlog.clear()
        return self._connected

    def read(self) -> bytes:
        """What the peer has written; empty when nothing is there or nobody is connected."""
        try:
            data = os.read(self.fd, CHUNK_BYTES)
            self._connected = self._connected or bool(data)
            return data
        except BlockingIOError:
            return b""
        except OSError as error:
            if error.errno != errno.EIO:  # Linux's word for a peer that has closed
                raise
            self._connected = False
            return b""

    def write(self, data: bytes) -> None:
        """Sends what the peer takes, keeps BACKLOG_BYTES, drops the newest beyond that."""
        if not self.connected():
            self.dropped_bytes += len(data)
            return
        room = BACKLOG_BYTES - len(self._backlog)
        self._backlog += data[:room]
        self.dropped_bytes += max(0, len(data) - room)
        self.flush()

    def flush(self) -> bool:
        """Sends on from the backlog; True when nothing is left."""
        while self._backlog:
            try:
                sent = os.write(self.fd, self._backlog[:CHUNK_BYTES])
            except (BlockingIOError, OSError):
                return False
            del self._backlog[:sent]
        return True

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
