"""A conversation with a running board: its frames and lines, commands with their replies, the lease."""

from collections import deque
from collections.abc import Callable

from assb.protocol import schema
from assb.protocol.commands import LineError, format_line, parse_reply
from assb.protocol.frame import Crc16

from assb_host.errors import LinkError, RefusedError
from assb_host.link.console import Console
from assb_host.link.decoder import Decoder, Frame, Line

REPLY_DEADLINE_S = 2.0
POLL_S = 0.05
SETTLED_S = 0.3  # a prompt that was on its way while the board started again is followed by more within this
ID_MAX = 9999
NO_FIRMWARE = "is firmware running? flash it with `assb flash`"
AT_PROMPT = (
    "the board is at its Python prompt; Ctrl-D or `mpremote reset` starts the firmware "
    "(if it has none: `assb flash --pack NAME`)"
)
PROMPTS = (">>>", "raw REPL; CTRL-B to exit")

REMEDIES = {
    "bad_crc": "the line was damaged on the way; send it again",
    "crc_needed": "send it with `assb send`, which adds the checksum",
    "current_flows": "a current flows although nothing is connected: switch its source off, and look for a weld",
    "no_lease": "arm the board first",
    "no_switch": "a screw with an open limit switch homes; when that was not found, mend it and restart the board",
    "not_known": "its current sensor is lost: see `assb monitor`",
    "not_open": "its contactor is closed: open it by hand and look for a weld",
    "not_safe": "the board arms from SAFE only; see its state with `assb monitor`",
    "tripped": "see the tripped limits with `assb monitor`, then `assb send clear`",
    "unknown_command": "`assb send help` lists the commands",
    "unknown_parameter": "docs/reference.md lists the parameters; `assb config show NAME` shows a pack's",
}


class Link:
    """Everything that is said over one console. Not for two threads at once."""

    def __init__(self, console: Console, decoder: Decoder | None = None):
        self.console = console
        self.decoder = decoder or Decoder(mid_stream=True)
        self.damaged_reply_count = 0
        self._gap_count = console.gap_count
        self._crc16 = Crc16()
        self._inbox: deque[Frame | Line] = deque()
        self._last_id = 0
        self._lease_every_s = 0.0
        self._lease_due_s = 0.0
        self._lease_ids: set[str] = set()
        self._last_line = ""  # of console text since the newest frame
        self._heard_s = console.now_s()

    def poll(self, wait_s: float = 0.0) -> list[Frame | Line]:
        """Everything that has come since the last poll; waits up to wait_s when there is nothing."""
        self._renew_lease()
        self._take(0.0 if self._inbox else wait_s)
        items = list(self._inbox)
        self._inbox.clear()
        return items

    @property
    def at_prompt(self) -> bool:
        """Whether what the board said last is Python's own: a prompt, or what it makes of our command lines."""
        said = self.decoder.pending_text.strip() or self._last_line
        return said.endswith(PROMPTS) or said.startswith("SyntaxError")

    @property
    def stays_at_prompt(self) -> bool:
        """at_prompt, and no more came for a while: what may be done to a board at its prompt would stop a firmware."""
        return self.at_prompt and self.console.now_s() - self._heard_s >= SETTLED_S

    @property
    def silence_remedy(self) -> str:
        """What to do about a board that does not answer."""
        return AT_PROMPT if self.at_prompt else NO_FIRMWARE

    def request(self, command: str, /, *, reply_deadline_s: float = REPLY_DEADLINE_S, **pairs) -> dict[str, str]:
        """Send a command and return what its reply says: RefusedError when the board says no, LinkError when nothing.

        Frames and other lines that come meanwhile stay for the next poll.
        """
        line_id = self._send(command, pairs)
        end_s = self.console.now_s() + reply_deadline_s
        seen: deque[Frame | Line] = deque()
        unread = None  # a refusal without id: of our line, if it came damaged, or of a half line before it
        try:
            while self.console.now_s() < end_s:
                self._take(0.0 if self._inbox else POLL_S)
                while self._inbox:
                    item = self._inbox.popleft()
                    reply = self._reply(item)
                    if reply and reply[1] == command and reply[2].get("id") == line_id:
                        return _answered(command, reply)
                    if reply and not reply[0] and "id" not in reply[2]:
                        unread = reply
                    seen.append(item)
        finally:
            self._inbox.extendleft(reversed(seen))
        if unread:
            return _answered(command, unread)
        raise LinkError(f"no reply to `{command}` in {reply_deadline_s:g} s", self.console.name, self.silence_remedy)

    def wait_for(self, wanted: Callable[[Frame | Line], bool], deadline_s: float, what: str = "") -> Frame | Line:
        """The first item that is wanted; what came before it is dropped. LinkError when none comes in time."""
        end_s = self.console.now_s() + deadline_s
        while self.console.now_s() < end_s:
            self._renew_lease()
            self._take(POLL_S)
            while self._inbox:
                item = self._inbox.popleft()
                if wanted(item):
                    return item
        remedy = AT_PROMPT if self.at_prompt else "is the board running?"
        raise LinkError(f"no {what or 'sign of the board'} in {deadline_s:g} s", self.console.name, remedy)

    def hello(self, deadline_s: float = REPLY_DEADLINE_S) -> Frame:
        """Who is there. A board with a schema that is not ours is asked for it, so that its frames can be read."""
        self.ask_hello()
        frame = self.wait_for(lambda item: isinstance(item, Frame) and item.type == schema.HELLO, deadline_s, "HELLO")
        assert isinstance(frame, Frame)
        if not self.decoder.schema_known:
            self.ask_schema()
            self.wait_for(lambda _: self.decoder.schema_known, deadline_s, "schema (the board speaks another version)")
        return frame

    def ask_hello(self) -> None:
        """Ask for HELLO without waiting for it."""
        self._send("hello", {})

    def ask_schema(self) -> None:
        """Ask for the layouts of the board's messages without waiting for them."""
        self._send("schema", {})

    def keep_lease(self, every_s: float) -> None:
        """Renew the lease from poll() and wait_for(), at this period, until drop_lease()."""
        self._lease_every_s = every_s
        self._lease_due_s = self.console.now_s() + every_s

    def drop_lease(self) -> None:
        self._lease_every_s = 0.0

    def _renew_lease(self):
        if self._lease_every_s and self.console.now_s() >= self._lease_due_s:
            self._lease_due_s = self.console.now_s() + self._lease_every_s
            self._lease_ids = {self._send("lease", {})}

    def _take(self, wait_s):
        data = self.console.read(wait_s)
        if self.console.gap_count != self._gap_count:
            self._gap_count = self.console.gap_count
            self.decoder.rejoin()
        if data:
            self._heard_s = self.console.now_s()
        for item in self.decoder.feed(data):
            self._heed(item)
            reply = self._reply(item)
            self.damaged_reply_count += reply is None and _looks_like_reply(item)
            if reply is None or reply[2].get("id") not in self._lease_ids or not reply[0]:
                self._inbox.append(item)  # a refused renewal is shown: the lease has lapsed

    def _heed(self, item):
        if isinstance(item, Frame):
            self._last_line = ""
        elif item.text.strip():
            self._last_line = item.text.strip()

    def _send(self, name, pairs) -> str:
        self._last_id = self._last_id % ID_MAX + 1
        number = self.console.number  # others on this port see our replies, and we theirs
        line_id = f"{number}.{self._last_id}" if number else str(self._last_id)
        self.console.write(command_line(name, [*pairs.items(), ("id", line_id)], self._crc16))
        return line_id

    def _reply(self, item):
        """(accepted, command, pairs) of a good reply, else None."""
        if not _looks_like_reply(item):
            return None
        try:
            return parse_reply(self._crc16, item.text)
        except LineError:
            return None


def _looks_like_reply(item) -> bool:
    return isinstance(item, Line) and item.text.startswith(("!ok", "!err"))


def command_line(name: str, pairs, crc16: Crc16 | None = None) -> bytes:
    """The bytes of one command with its checksum, led by a newline that ends whatever half line the board has."""
    try:
        return f"\n{format_line(crc16 or Crc16(), name, pairs)}\n".encode()
    except LineError as error:
        raise LinkError(
            f"this can't be sent as a command: {error}", name, "printable ASCII without spaces or `*`"
        ) from error


def _answered(name, reply) -> dict[str, str]:
    accepted, _, pairs = reply
    values = {key: value for key, value in pairs.items() if key != "id"}
    if accepted:
        return values
    reason = values.get("reason", "no reason given")
    detail = f" ({values['detail']})" if "detail" in values else ""
    raise RefusedError(
        reason + detail, f"command `{name}`", REMEDIES.get(reason, "`assb send help` lists the commands")
    )
