"""The last exception that ended the firmware, kept over the reset that follows it.

Body of the record (records.py has the frame around it):

    boot u16 | text, TEXT_BYTES of UTF-8, padded with zeros       the end of the traceback: its last lines say most
"""

import struct

from ..const import const
from .records import OK

# Id of the wire, as in schema.py (a test compares)
_MESSAGE_CRASH = const(15)

FOLDER = "/crash"
LAYOUT = 1
TEXT_BYTES = const(180)  # so that a write is one page
_BOOT_BYTES = const(2)


class CrashRecord:
    """`boot`: in which boot it was, -1: none is kept."""

    def __init__(self, store):
        """`store` is a records.Store."""
        self._record = store.record(FOLDER, LAYOUT, _BOOT_BYTES + TEXT_BYTES)
        self.boot = -1
        if self._record.read() == OK:
            self.boot = struct.unpack_from("<H", self._record.body)[0]

    def write(self, boot, text):
        """The status of records.py. `text`: the traceback; of a longer one its end is kept."""
        body = self._record.body
        data = text.encode()[-TEXT_BYTES:]
        struct.pack_into("<H", body, 0, boot)
        body[_BOOT_BYTES:] = data + bytes(TEXT_BYTES - len(data))
        return self._record.write()

    def encode(self, writer, flags, _amount, now_ms):
        """The frame for the host; returns its length on the wire."""
        writer.begin(_MESSAGE_CRASH, flags, now_ms)
        writer.put(2, self.boot)
        body = self._record.body
        for at in range(_BOOT_BYTES, len(body)):
            if body[at]:
                writer.put(1, body[at])
        return writer.end()
