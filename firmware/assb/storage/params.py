"""Parameters that were set while running, kept over power cycles for as long as the configuration stays the same.

Body of the record (records.py has the frame around it):

    config_crc u32 | schema_id u32 | count u8 | per settable parameter: id u16, value i32     the rest is 0

Values that were set for another config image or another schema are not applied: event `parameters_unused`.
They are written when the contactor is open (pending.py).

Layout 1 had no ids: `config_crc u32 | schema_id u32 | value i32 …`, in the order of `_LAYOUT_1_IDS`. It is read once
and written again as layout 2.
"""

import struct

from ..const import const
from ..protocol import tables
from .pending import Pending
from .records import ABSENT, OK, OTHER_LAYOUT

# Ids of the wire, as in schema.py (a test compares)
_EV_PARAMETERS_RESTORED = const(50)
_EV_PARAMETERS_UNUSED = const(51)

FOLDER = "/params"
LAYOUT = 2
_LAYOUT_1_IDS = b"\x09\x0e\x0f\x10\x11\x1b\x1c\x1d\x1e\x1f\x34\x35"
HEAD = "<IIB"
HEAD_BYTES = const(9)
_HEAD_1_BYTES = const(8)
ENTRY = "<Hi"
ENTRY_BYTES = const(6)
_OTHER_IDENTITY = const(-4)  # beside the statuses of records.py


def _settable():
    return [row for row in tables.rows(tables.PARAMETERS) if row[2]]


class Params(Pending):
    """Applies what was kept to `settings` when it is made; `step` writes what was set since."""

    PLACE = 2

    def __init__(self, store, settings, config_crc, events):
        """`store` is a records.Store."""
        self._settings = settings
        super().__init__(events)
        self._identity = (config_crc, tables.schema_id())
        self._record = store.record(FOLDER, LAYOUT, HEAD_BYTES + ENTRY_BYTES * len(_settable()))
        status = self._read(store)
        if status not in (OK, ABSENT):
            events.push(_EV_PARAMETERS_UNUSED, -status, 0)

    def changed(self):
        """A parameter was set."""
        self.pending = True

    def _read(self, store):
        record = self._record
        status = record.read()
        if status == OTHER_LAYOUT:
            older = store.record(FOLDER, 1, _HEAD_1_BYTES + 4 * len(_LAYOUT_1_IDS))
            status = older.read()
            if status == OK:
                record.adopt(older)
                status = self._apply(older.body, _LAYOUT_1_IDS)
                self.pending = status == OK
            return status
        return self._apply(record.body, None) if status == OK else status

    def _apply(self, body, ids):
        """Set what the body says. `ids`: those of layout 1, else each value has its own."""
        if struct.unpack_from("<II", body) != self._identity:
            return _OTHER_IDENTITY
        count = len(ids) if ids else min(body[8], (len(body) - HEAD_BYTES) // ENTRY_BYTES)
        names = {row[0]: row[1] for row in _settable()}
        applied = 0
        for at in range(count):
            if ids:
                number, value = ids[at], struct.unpack_from("<i", body, _HEAD_1_BYTES + 4 * at)[0]
            else:
                number, value = struct.unpack_from(ENTRY, body, HEAD_BYTES + ENTRY_BYTES * at)
            name = names.get(number)
            if name and value != self._settings(name) and not self._settings.refusal(name, value):
                self._settings.set(name, value)
                applied += 1
        if applied:
            self._events.push(_EV_PARAMETERS_RESTORED, applied, 0)
        return OK

    def _write(self):
        body = self._record.body
        rows = _settable()
        struct.pack_into(HEAD, body, 0, self._identity[0], self._identity[1], len(rows))
        for at, row in enumerate(rows):
            struct.pack_into(ENTRY, body, HEAD_BYTES + ENTRY_BYTES * at, row[0], self._settings(row[1]))
        return self._record.write()
