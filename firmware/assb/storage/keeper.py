"""What a board keeps on flash, in the order in which it is written: one write in a slice.

The event log first: it takes what the others have to say. Parameters before anything takes one.
"""

from .event_log import EventLog
from .frame_store import FrameStore
from .learned import Learned
from .note import Note
from .params import Params


class Keeper:
    """Without a store nothing is kept, and every part is None; without a configuration log, note and frames are."""

    log = note = params = frames = learned = None

    def __init__(self, store, boot_count, settings, config, events):
        self._store, self._boot_count, self._config, self._events = store, boot_count, config, events
        self._parts = []
        if not store:
            return
        self.log = self._kept(EventLog(store, boot_count, events))
        events.log_to(self.log)
        self.note = self._kept(Note(store, events))
        if config:
            self.params = self._kept(Params(store, settings, config.crc, events))

    def recall(self, capture, cells, settings, now_ms):
        """Freeze frames, and into the cells what they had learned."""
        store, events = self._store, self._events
        if not store:
            return
        self.frames = self._kept(FrameStore(store, capture, self._boot_count, events))
        if self._config:
            self.learned = self._kept(Learned(store, cells, self._config, settings, events, now_ms))

    def _kept(self, part):
        self._parts.append(part)
        return part

    def step(self, now_ms, connected):
        """True when something was written, which may have taken long if not `connected`."""
        for part in self._parts:
            if part.step(now_ms, connected):
                return True
        return False

    def keep(self):
        """What has come since the last write is written."""
        for part in self._parts:
            part.keep()
