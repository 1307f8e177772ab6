"""One board that is watched: what is known of it, and what was missed."""

import time
from collections import deque

from assb_host.errors import PortError
from assb_host.link.decoder import Frame
from assb_host.link.lasting import LastingLink
from assb_host.link.picture import Picture

POLL_S = 0.1
GAPS_KEPT = 20


class Watched(LastingLink):
    """`gaps`: (time.time(), what was missed) of the stretches that were not seen; `absent`: why nothing comes."""

    def __init__(self, path: str, dut: str = ""):
        super().__init__(path, dut, "assb monitor")
        self.picture = Picture()
        self.absent = ""
        self.gaps: deque[tuple[float, str]] = deque(maxlen=GAPS_KEPT)

    @property
    def silence(self) -> str:
        """`silent for 4 s`, when the last frame is too old to be shown as what the board does now; else nothing."""
        return f"silent for {self.silent_s:.0f} s" if self.is_silent else ""

    def see(self, wait_s: float = POLL_S) -> list[Frame]:
        """Take what has come, and return the frames of it; without a port, try to get it back."""
        if self.link is None:
            self._come_back()
            return []
        try:
            items = self.poll(wait_s)
        except PortError as error:
            self.lose()
            self.absent = str(error)
            return []
        self.absent = f"the port is lent to {self.waits_for}" if self.waits_for else ""
        if self.take_gap():
            self._add_gap("the process that served the port ended, lent it, or we fell behind")
        for item in items:
            self.picture.take(item)
        return [item for item in items if isinstance(item, Frame)]

    def _add_gap(self, why):
        missed = f" for {self.silent_s:.1f} s" if self.silent_s is not None else ""
        self.gaps.append((time.time(), f"gap: nothing heard{missed}; {why}"))

    def _come_back(self):
        why, self.absent = self.absent, self.reopen()
        if not self.absent:
            self.picture = Picture()  # it may be another board, or the same one in another state
            self._add_gap(why)
