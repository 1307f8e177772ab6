"""Who calibrated this board, when and with what: a line of the host's, kept beside the corrections it speaks of."""

from ..const import const
from .pending import Pending
from .records import OK

FOLDER = "/note"
LAYOUT = const(1)
TEXT_BYTES = const(80)  # what fits a line of the protocol


class Note(Pending):
    """`text`: what is kept, or will be."""

    PLACE = 5

    def __init__(self, store, events):
        super().__init__(events)
        self._record = record = store.record(FOLDER, LAYOUT, TEXT_BYTES)
        kept = bytes(record.body) if record.read() == OK else b""
        self.text = kept.rstrip(b"\0").decode()

    def put(self, text):
        self.text = text
        self.pending = True

    def _write(self):
        data = self.text.encode()
        self._record.body[:] = data + bytes(TEXT_BYTES - len(data))
        return self._record.write()
