"""The event log on its way to the host: a few events in each slice of telemetry. Loaded when the host asks."""

import struct

from ..const import const
from .event_log import ENTRY, ENTRY_BYTES, HEAD, HEAD_BYTES, chunk_bytes

# Id of the wire, as in schema.py (a test compares)
_MESSAGE_LOG = const(13)

_ENTRIES_PER_FRAME = const(7)  # so that a slice is not much longer for it
_CHUNKS_PER_SLICE = const(16)  # that are looked at on the way to the one that is wanted
_RAM = const(-1)  # in place of a file


class EventDump:
    """Every event from number `since` on, then a frame without events. `send` in each slice until it is True."""

    def __init__(self, log, since):
        self._log = log
        self._at = since  # number of the event that goes next
        self._look_again()

    def _look_again(self):
        """From the beginning of the older file."""
        self._appends = self._log.appends
        self._file, self._offset = 1 - self._log.file, 0

    def send(self, telemetry, now_ms):
        """Send the next few events, if the link takes them; True when it was all."""
        log = self._log
        if self._appends != log.appends:
            self._look_again()
        found = self._find_in_file() if self._file != _RAM else log.fill_chunk(self._at)
        if found:
            telemetry.send_part(self, _ENTRIES_PER_FRAME, now_ms)
        elif self._file == _RAM:
            return telemetry.send_part(self, 0, now_ms)
        elif found is None:
            self._file, self._offset = (_RAM if self._file == log.file else log.file), 0
        return False

    def _find_in_file(self):
        """True: the first chunk with wanted events is in the log's buffer; None: there is none; False: go on."""
        log = self._log
        try:
            with open(log.paths[self._file], "rb") as opened:
                opened.seek(self._offset)
                for _ in range(_CHUNKS_PER_SLICE):
                    if not log.read_chunk(opened):
                        return None
                    _, number, _, count = struct.unpack_from(HEAD, log.chunk)
                    if number + count > self._at:
                        return True
                    self._offset += chunk_bytes(count)
        except OSError:
            return None
        return False

    def encode(self, writer, flags, entries, now_ms):
        """The next `entries` events at most, as a frame; returns its length on the wire."""
        chunk = self._log.chunk
        _, number, boot, count = struct.unpack_from(HEAD, chunk)
        skip = max(0, self._at - number)
        entries = min(entries, count - skip)
        writer.begin(_MESSAGE_LOG, flags, now_ms)
        writer.put(4, number + skip if entries else self._at)
        writer.put(2, boot)
        for at in range(skip, skip + entries):
            t_ms, event, a, b = struct.unpack_from(ENTRY, chunk, HEAD_BYTES + ENTRY_BYTES * at)
            writer.put(4, event)
            writer.put(4, a)
            writer.put(4, b)
            writer.put(4, t_ms)
        if entries:
            self._at = number + skip + entries
        return writer.end()
