"""What was changed while running and waits to be written, with nothing connected: a write may wait for an erase."""

from ..const import const
from ..ticks import elapsed_ms
from .records import OK

# Id of the wire, as in schema.py (a test compares)
_EV_STORAGE_FAILED = const(33)

_RETRY_MS = const(10000)


class Pending:
    """`pending`: something waits; until then it holds in RAM. A subclass has `_write()`, which gives a status of
    records.py, and `PLACE`, what the event storage_failed calls it."""

    PLACE = -1

    def __init__(self, events):
        self._events = events
        self.pending = self._failed = False
        self._tried_ms = 0

    def step(self, now_ms, connected):
        """One slice of the slow tick. True: that may have taken long."""
        if connected or not self.pending or (self._failed and elapsed_ms(now_ms, self._tried_ms) < _RETRY_MS):
            return False
        self._tried_ms = now_ms
        self.keep()
        return True

    def keep(self):
        """Before a reset that is meant as well, with the outputs off."""
        if not self.pending:
            return
        status = self._write()
        self.pending = status != OK
        if status != OK and not self._failed:
            self._events.push(_EV_STORAGE_FAILED, -status, self.PLACE)
        self._failed = status != OK

    def _write(self) -> int:
        raise NotImplementedError
