"""Lockouts that a restart does not mend: a hard short, a weld, a contactor that does not follow.

A record of one byte on flash, written when one of their rows trips; every boot from then on is locked out, until
somebody clears it after a restart, when the row is no longer tripped. It is written into both slots, so that one that
decays leaves the other. Its folder is made by the first lockout: where there is one and no record in it is whole, the
board is locked out by the worst cause.
"""

import os

from ..const import const
from ..protocol import tables
from ..ticks import elapsed_ms
from .records import ABSENT, OK

FOLDER = "/lockout"
LAYOUT = const(1)
NONE, BY_CONTACTOR, BY_HARD_SHORT = 0, 1, 2  # worse last
_EV_STORAGE_FAILED = const(33)
_EV_LOCKED = const(61)
_PLACE = const(4)  # in the event storage_failed
_IO_ERROR = const(5)  # EIO
_NO_FOLDER = const(2)  # errno ENOENT
_RETRY_MS = const(10000)
_WORD = const(30)  # rows per word of bits


class Lockout:
    """`cause`: what locked this board out, now or before; `recalled`: before this boot, whatever was cleared since."""

    def __init__(self, store, protection, events):
        self._protection = protection
        self._events = events
        self._record = store.record(FOLDER, LAYOUT, 1)
        self._failed = False
        self._tried_ms = 0
        self._short = 1 << tables.position(tables.LIMIT_ROWS, "hard_short")
        self._mismatch = 1 << tables.position(tables.LIMIT_ROWS, "contactor_mismatch")
        self._weld = 1 << tables.position(tables.LIMIT_ROWS, "weld_current") - _WORD
        self.cause = self._written = NONE
        self._recall(store.root + FOLDER)
        self.recalled = self.cause

    def _recall(self, folder):
        status = self._record.read()
        if status == OK:
            self.cause = self._written = min(self._record.body[0], BY_HARD_SHORT)
        elif status != ABSENT or _exists(folder):
            self._events.push(_EV_STORAGE_FAILED, _IO_ERROR, _PLACE)
            self.cause = BY_HARD_SHORT  # and `step` writes it anew
        if self.cause:
            self._events.push(_EV_LOCKED, self.cause, 0)

    def _tripped(self):
        protection = self._protection
        if protection.trip_bits & self._short:
            return BY_HARD_SHORT
        return BY_CONTACTOR if protection.trip_bits & self._mismatch or protection.trip_bits_2 & self._weld else NONE

    def clear(self):
        """The user's deliberate clear; it stays while one of the rows is tripped."""
        self.cause = self._tripped()

    def step(self, now_ms):
        """In every slice; True when it wrote, which may have taken long. It waits for no freeze frame and for no
        contact that does not open: nothing is left that a late tick would open."""
        self.cause = max(self.cause, self._tripped())
        if self.cause == self._written or (self._failed and elapsed_ms(now_ms, self._tried_ms) < _RETRY_MS):
            return False
        self._tried_ms = now_ms
        self.keep()
        return True

    def keep(self):
        """Before a reset, meant or not, as well."""
        self.cause = max(self.cause, self._tripped())
        if self.cause == self._written:
            return
        record = self._record
        record.body[0] = self.cause
        status = record.write() or record.write()
        if status == OK:
            self._written = self.cause
        elif not self._failed:
            self._events.push(_EV_STORAGE_FAILED, -status, _PLACE)
        self._failed = status != OK


def _exists(folder):
    """Or can't be looked at."""
    try:
        os.stat(folder)
    except OSError as error:
        return error.errno != _NO_FOLDER
    return True
