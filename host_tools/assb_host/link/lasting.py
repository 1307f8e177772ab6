"""A link to a board that may go away and come back."""

import time
from collections.abc import Callable
from contextlib import ExitStack

from assb.protocol import schema

from assb_host.errors import AssbError
from assb_host.link.console import Console, SerialConsole
from assb_host.link.decoder import Frame, Line
from assb_host.link.link import NO_FIRMWARE, Link
from assb_host.link.target import open_target

HELLO_EVERY_S = 3.0  # while nothing is known of the board, or nothing comes
REOPEN_S = 0.5
SILENT_S = 1.0  # without a frame: what is known is old


class LastingLink:
    """`open`, then `poll`; when that raises PortError `lose` the link, and `reopen` until it is back. `dut` finds the
    board again when its port has another name then; `tap` gets the raw bytes first."""

    def __init__(self, path: str, dut: str, holder: str, tap: Callable[[bytes], None] | None = None):
        self.path = path
        self.link: Link | None = None
        self.console: SerialConsole | None = None
        self._dut = f"{dut}:{dut}" if dut and ":" not in dut else dut  # that very board, and not one more
        self._holder, self._tap = holder, tap
        self._target = ExitStack()
        self._hello_due_s = 0.0
        self._heard_at_s: float | None = None
        self._greeted = False  # by a HELLO, since the link was opened
        self._gap_count = 0

    @property
    def silent_s(self) -> float | None:
        """Time since the last frame; None when there never was one."""
        return None if self._heard_at_s is None else time.monotonic() - self._heard_at_s

    @property
    def is_silent(self) -> bool:
        return (self.silent_s or 0.0) > SILENT_S

    @property
    def silence_remedy(self) -> str:
        return self.link.silence_remedy if self.link else NO_FIRMWARE

    @property
    def waits_for(self) -> str:
        """Who has the port alone meanwhile."""
        return self.console.waits_for if self.console else ""

    def open(self) -> Link:
        """Raises PortError."""
        self.console = SerialConsole(self.path, self._holder)
        self.link = Link(Tapped(self.console, self._tap) if self._tap else self.console)
        self._hello_due_s, self._greeted, self._gap_count = 0.0, False, 0
        return self.link

    def poll(self, wait_s: float) -> list[Frame | Line]:
        """What came; who the board is is asked until it is known. Raises PortError when the port has gone."""
        assert self.link
        self._ask(self.link)
        items = self.link.poll(wait_s)
        frames = [item for item in items if isinstance(item, Frame)]
        if frames:
            self._heard_at_s = time.monotonic()
            self._greeted = self._greeted or any(frame.type == schema.HELLO for frame in frames)
        return items

    def _ask(self, link: Link) -> None:
        now_s = time.monotonic()
        known = self._greeted and link.decoder.schema_known
        if now_s >= self._hello_due_s and (self.is_silent or not known) and not self.waits_for:
            self._hello_due_s = now_s + HELLO_EVERY_S
            link.ask_hello()
            if not link.decoder.schema_known:
                link.ask_schema()

    def take_gap(self) -> bool:
        """Whether bytes were lost since the last call although the port stayed: it changed hands, or we fell behind."""
        console = self.console
        if console is None or console.waits_for or console.gap_count == self._gap_count:
            return False
        self._gap_count = console.gap_count
        return True

    def lose(self) -> None:
        """Let go of a port that is gone."""
        if self.console:
            self.console.close()
        self.link = self.console = None

    def reopen(self) -> str:
        """One try: empty, or why not, after a pause."""
        try:
            if self._dut:
                self._target.close()
                self.path = self._target.enter_context(open_target(dut=self._dut))
            self.open()
            return ""
        except AssbError as error:
            time.sleep(REOPEN_S)
            return str(error)

    def close(self) -> None:
        self.lose()
        self._target.close()


class Tapped:
    """A console whose bytes are shown to `tap` before the link gets them."""

    def __init__(self, console: Console, tap: Callable[[bytes], None]):
        self.name, self._console, self._tap = console.name, console, tap
        self.write, self.now_s, self.close = console.write, console.now_s, console.close

    @property
    def number(self) -> int:
        return self._console.number

    @property
    def gap_count(self) -> int:
        return self._console.gap_count

    def read(self, wait_s: float) -> bytes:
        data = self._console.read(wait_s)
        if data:
            self._tap(data)
        return data
