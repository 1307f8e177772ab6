"""Recording until it is told to end: from the source to the recorder and other listeners, through unplugging."""

import signal
import time
from collections.abc import Callable
from contextlib import contextmanager

from assb.protocol import schema

from assb_host.calibration.board import PARAMETERS, hash_of, read
from assb_host.errors import AssbError, LinkError, PortError, RefusedError
from assb_host.link.decoder import Frame
from assb_host.link.lasting import LastingLink
from assb_host.recording.frame_file import STREAM_ENDED_MS
from assb_host.recording.recorder import Recorder

PARAMETER_SET = next(row[0] for row in schema.EVENTS if row[1] == "parameter_set")
CORRECTIONS = {row[0] for row in schema.PARAMETERS if row[1] in PARAMETERS}
GATHER_S = 0.02  # bytes gather for so long: a piece per frame would cost more than the frames


class Session:
    """`step()` moves what has come. `full`: the board is asked for every slow tick, again whenever it restarts.
    `listeners` get each frame with its unix time."""

    def __init__(self, source: LastingLink, recorder: Recorder, *, full: bool = False):
        self.source, self.recorder, self.full = source, recorder, full
        self.listeners: list[Callable[[Frame, float], None]] = []
        self.absent = self.silence_remedy = ""
        self._lost = 0
        self._calibrated: tuple | None = None
        self._boot: tuple | None = None
        self._full_on = False
        self._inputs_ms = 0  # of the newest step

    def step(self) -> None:
        if self.source.link is None:
            self.absent = self.source.reopen()
            if not self.absent:
                self.recorder.reconnect(time.time())
            return
        try:
            time.sleep(GATHER_S)
            items = self.source.poll(GATHER_S)
            if self.source.take_gap():
                raise PortError("bytes were lost while another process had the port", self.source.path)
            for item in items:
                self._take(item)
            self.recorder.count(self.source.link.decoder)
            self._watch_losses()
            if self._boot and self._calibrated != self._boot:
                self._calibrated = self._boot
                self.source.link.ask_schema()  # so that a later version reads these frames
                self._ask_calibration()
            if self.full and not self._full_on and self._boot:
                self._ask_full()
            if self.recorder.flush(time.time()):
                self.source.link.ask_schema()
                self._full_on = False  # a part begins with who is there, and with the state of the estimators
                self.source.link.ask_hello()
        except PortError as error:
            self.absent = str(error)
            self._boot, self._full_on = None, False
            self.source.lose()
            self.recorder.disconnect(time.time(), error.seen)

    def _take(self, item) -> None:
        self.recorder.take(item)
        if isinstance(item, Frame):
            if item.type == schema.HELLO:
                boot = (item.boot, item.fields["boot_count"])
                self._full_on = self._full_on and boot == self._boot
                self._boot = boot
            if item.type == schema.INPUTS or not self._full_on:
                self._inputs_ms = item.t_ms
            elif item.type == schema.CELL and item.t_ms - self._inputs_ms > STREAM_ENDED_MS:
                self._full_on = False  # another host ended the stream, or the board had no heap for it: asked again
            if item.type == schema.EVENT and item.fields["event"] == PARAMETER_SET and item.fields["a"] in CORRECTIONS:
                self._calibrated = None
            for listener in self.listeners:
                listener(item, self.recorder.now_s)

    def _watch_losses(self) -> None:
        """A step that is missing ends what can be replayed, until the next copy of the states."""
        lost = self.recorder.counts["lost_count"]
        if lost != self._lost:
            self._lost, self._full_on = lost, False

    def _ask_calibration(self) -> None:
        """Which corrections the readings have; a board that does not know of any has none."""
        assert self.source.link
        try:
            values = read(self.source.link)
        except (LinkError, RefusedError):
            return
        found, about = {"hash": hash_of(values), **values}, self.recorder.about
        if about.setdefault("calibration", found) != found:
            about.setdefault("calibrations_later", []).append({"unix_s": time.time(), **found})
        self.recorder.write_meta()

    def _ask_full(self) -> None:
        assert self.source.link
        try:
            self.source.link.request("stream", full=1)
        except RefusedError as error:
            if error.reason.startswith("not_started"):
                return
            raise
        except LinkError:
            return  # the line or its reply was lost: asked again with the next step
        self._full_on = True

    def end(self) -> None:
        """The board is told that nobody wants every slow tick any more; whatever comes of it."""
        link = self.source.link
        if link and self.full:
            try:
                link.request("stream", full=0)
                for item in link.poll():
                    self._take(item)
            except AssbError:
                pass
        if link:
            self.recorder.count(link.decoder)
            self.silence_remedy = link.silence_remedy
        self.source.close()


@contextmanager
def until_stopped():
    """Yields a function that says whether Ctrl-C or SIGTERM came: a recording then ends whole."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda *_: came.append(1)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: bool(came)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
