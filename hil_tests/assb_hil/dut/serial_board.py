"""Boards that are seen through their serial port alone: `serial`, with its own sensors and in its own time, and
`serial --inject`, whose sensor values and time come from the rig, in lockstep over the cable."""

import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from assb.protocol import schema
from assb.protocol.commands import LINE_MAX, LineError, format_line, parse_reply
from assb.protocol.frame import Crc16
from assb.protocol.image import Config
from assb_host.errors import LinkError, MismatchError, PortError, RefusedError
from assb_host.flash.flasher import reopen
from assb_host.link.console import ExclusiveConsole
from assb_host.link.decoder import Decoder, Frame, Line
from assb_host.link.link import Link, command_line

from assb_hil.dut.base import DUT_FEATURES
from assb_hil.dut.host_drivers import HostDrivers
from assb_hil.link_line import MESSAGE

if TYPE_CHECKING:
    from assb_hil.rig import Rig

REPLY_S = 2.0  # to one line; a board that says nothing for so long has missed it
TRIES = 3
BOOT_S = 30.0  # self-test of files included
SILENT_S = 10.0
PORT_S, POLL_S = 5.0, 0.05
LEASE_MS = 60_000
REMEDIES = {
    "not_safe": "stop the board first (`assb stop`); after a fault or an alarm, look at the stack and restart it",
    "unknown_command": "its firmware is older than injection: `assb flash`",
}


class SerialBoard:
    """What both have: the port, alone, and every message that comes through it."""

    flash: Path | None = None

    def __init__(self, name: str, port: str, rig: "Rig", config: Config):
        self.name = name
        self.features = DUT_FEATURES[name]
        self.console_port = port
        self.now_us = 0
        self._rig = rig
        self._config = config
        await_port(port)
        self._console = ExclusiveConsole(port, "assb hil run")
        self._taps: list[Callable[[int, bytes], None]] = []
        self._unread = bytearray()  # of a message that is not whole yet
        self._decoder = Decoder(mid_stream=True)
        self._crc16 = Crc16()
        self._lines: Counter[str] = Counter()

    def add_tap(self, tap: Callable[[int, bytes], None]) -> None:
        self._taps.append(tap)

    def write_console(self, data: bytes) -> None:
        self._console.write(data)

    def counters(self) -> dict[str, int | float]:
        """A reset shows in what the board says: this end sees no pin of it."""
        return {"watchdog_resets": 0, "soft_resets": 0, "hard_resets": 0, **self._lines}

    def close(self) -> None:
        self._console.close()

    def identify(self) -> None:
        """MismatchError, and nothing is changed, unless it runs this host's tables and the scenario's configuration."""
        hello = Link(self._console).hello(BOOT_S).fields
        if hello["schema_id"] != schema.schema_id():
            seen = f"the board's schema is {hello['schema_id']:08x}, this host's {schema.schema_id():08x}"
            raise MismatchError(seen, self.console_port, "flash this version on it: `assb flash`")
        if hello["config_crc"] != self._config.crc:
            seen = f"the board has config {hello['config_crc']:08x}, the scenario is for {self._config.crc:08x}"
            raise MismatchError(seen, self.console_port, "add --flash, which puts the scenario's configuration on it")

    def messages(self, wait_s: float) -> list[bytes]:
        """Whole frames and lines that have come."""
        data = bytes(self._unread) + self._console.read(wait_s)
        found, end = [], 0
        while match := MESSAGE.match(data, end):
            found.append(match[0])
            end = match.end()
        self._unread[:] = data[end:]
        return found

    def tell(self, data: bytes) -> None:
        for tap in self._taps:
            tap(self.now_us, data)

    def _await_hello(self, flags: int, deadline_s: float) -> tuple[bytes, list[bytes]]:
        """(the first HELLO of a run, what came after it); RefusedError when the board says no before that."""
        end_s = time.monotonic() + deadline_s
        while time.monotonic() < end_s:
            found = self._ride_out(end_s)
            for position, message in enumerate(found):
                for item in self._decoder.feed(message):
                    if isinstance(item, Line):
                        self._demand_ok(item.text)
                    elif _begins(item) and item.flags & schema.INJECTED == flags:
                        return message, found[position + 1 :]
        raise LinkError(f"the board has not begun anew in {deadline_s:g} s", self.console_port, "reset it by hand")

    def _ride_out(self, end_s: float) -> list[bytes]:
        """As messages(); a port on USB vanishes while its board restarts."""
        try:
            return self.messages(0.1)
        except PortError:
            reopen(self._console, end_s)
            return []

    def _demand_ok(self, text: str) -> None:
        if text.startswith("!err"):
            reason = re.search(r"reason=(\S+)", text)
            word = reason[1] if reason else text
            raise RefusedError(word, self.console_port, REMEDIES.get(word, "see its state with `assb monitor`"))


class PlainSerialBoard(SerialBoard):
    """Its clock is the board's: scenario time begins with the HELLO of a restart."""

    def __init__(self, port: str, rig: "Rig", config: Config):
        super().__init__("serial", port, rig, config)
        self._begun_ms = 0

    def power_on(self) -> None:
        """A restart, which switches its outputs off first."""
        self.identify()
        self._rig.recorder.clock_offset_s = None  # from the first frame
        self._console.write(command_line("reset", [("id", 1)], self._crc16))
        hello, rest = self._await_hello(0, BOOT_S)
        self.tell(hello)
        for message in rest:
            self._take(message)

    def run_until(self, now_us: int) -> None:
        """Until the board says that it is that late."""
        heard_s = time.monotonic()
        while self.now_us < now_us:
            for message in self.messages(0.1):
                heard_s = time.monotonic()
                self._take(message)
            if time.monotonic() - heard_s > SILENT_S:
                raise LinkError(f"the board has said nothing for {SILENT_S:g} s", self.console_port, "is it hung?")

    def _take(self, message: bytes) -> None:
        for item in self._decoder.feed(message):
            if isinstance(item, Frame):
                self._begun_ms = self._begun_ms or item.t_ms
                self.now_us = max(self.now_us, 1000 * (item.t_ms - self._begun_ms))
        self.tell(message)


class InjectedSerialBoard(SerialBoard):
    """The drivers run here, on the rig's chip models; each fast tick is one line and its reply."""

    def __init__(self, port: str, rig: "Rig", config: Config):
        super().__init__("serial --inject", port, rig, config)
        self._fast_us = 1000 * config.parameter("fast_period_ms")
        self._drivers: HostDrivers | None = None

    def power_on(self) -> None:
        """The set-up of the drivers passes as on a board; then the firmware begins anew on what they say."""
        self.identify()
        self._drivers = HostDrivers(self._config, self._rig)
        self.now_us = -(-self._rig.now_us // self._fast_us) * self._fast_us
        pairs = [("config", self._config.crc), ("lease_ms", LEASE_MS), ("t_ms", self.now_us // 1000), ("id", 1)]
        self._console.write(command_line("inject", pairs, self._crc16))
        hello, rest = self._await_hello(schema.INJECTED, BOOT_S)
        self.tell(hello + b"".join(message for message in rest if not message.startswith(b"!ok sense ")))

    def run_until(self, now_us: int) -> None:
        while self.now_us + self._fast_us <= now_us:
            self._tick(self.now_us + self._fast_us)

    def _tick(self, now_us: int) -> None:
        assert self._drivers is not None
        self._rig.advance(now_us)
        self.now_us = now_us
        outputs = self._exchange(self._drivers.sense(now_us // 1000))
        for name, fields in self._drivers.events():
            self._rig.event(now_us, name, "drivers", **fields)
        self._drivers.obey(outputs)

    def _exchange(self, pairs: list[tuple[str, int | str]]) -> dict[str, str]:
        """The board's outputs when the tick is over; what else it says goes to the taps."""
        try:
            line = f"{format_line(self._crc16, 'sense', pairs)}\n".encode()
        except LineError as error:
            seen = f"the values of a tick do not fit a line of {LINE_MAX} characters ({error})"
            raise MismatchError(seen, self.console_port, "inject a pack with fewer cells; use --dut virtual") from error
        for again in range(TRIES):
            self._console.write(line)
            self._lines["sense_lines"] += 1
            self._lines["sense_repeats"] += again > 0
            outputs = self._outputs(str(pairs[0][1]), time.monotonic() + REPLY_S)
            if outputs:
                return outputs
        raise LinkError(
            f"no reply to {TRIES} lines of a tick", self.console_port, "is the cable sound? reset the board"
        )

    def _outputs(self, t_ms: str, end_s: float) -> dict[str, str] | None:
        """The reply to the tick of that time; None when the board wants the line again, or says nothing."""
        while time.monotonic() < end_s:
            found, outputs, refused = bytearray(), None, False
            for message in self.messages(0.05):
                if not message.startswith((b"!ok sense ", b"!err sense ")):
                    found += message
                    continue
                accepted, _, said = parse_reply(self._crc16, message.decode())
                if said.get("reason") == "not_injected":
                    raise LinkError("the board has reset", self.console_port, "`assb events` tells why")
                refused = refused or not accepted
                outputs = said if accepted and said["t"] == t_ms else outputs
            if found:
                self.tell(bytes(found))
            if outputs or refused:
                return outputs
        return None

    def close(self) -> None:
        """It is given back to its own sensors, by a reset."""
        try:
            if self._drivers:
                self._console.write(command_line("reset", [("id", 1)], self._crc16))
        finally:
            super().close()


def await_port(port: str) -> None:
    """The run before this one ended with a reset, and on USB the port comes back a moment later."""
    end_s = time.monotonic() + PORT_S
    while not Path(port).exists() and time.monotonic() < end_s:
        time.sleep(POLL_S)


def _begins(item: Frame) -> bool:
    return item.type == schema.HELLO and item.sequence == 0
