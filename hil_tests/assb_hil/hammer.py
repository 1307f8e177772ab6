"""Random and damaged lines into the running firmware, damaged frames into the host's decoder: what must not happen.

A deck of lines is drawn from a seed: whole commands with one to three injuries (a bit, a character lost, twice or put
in, an end cut off, two lines in one), commands that change something but carry no CRC or a wrong one, lines that are
too long, and bytes. What is left with a right CRC by chance is a command and is not sent. Nor is a Ctrl-C that comes
first in its line, where it may be meant (port/console.py), nor Ctrl-D, which ends a firmware by MicroPython's own rule.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from assb.protocol import schema
from assb.protocol.commands import LINE_MAX, LineError, format_line, parse_line
from assb.protocol.frame import Crc16
from assb_host.link.console import DutConsole
from assb_host.link.decoder import Decoder, Frame
from assb_host.link.link import Link

from assb_hil.health import starts
from assb_hil.session import Session, resets

CHUNK = 256  # lines between two looks at what the board makes of them
# The console takes 32 bytes and two lines a slice (port/console.py, console_commands.py), a slice a fast tick
BYTES_PER_TICK, LINES_PER_TICK = 32, 2
SPARE_TICKS = 20
CTRL_C = 3
FORBIDDEN = re.compile(rb"\x04|(?<![^\r\n])\x03+")  # Ctrl-D, and a Ctrl-C that comes first in its line
SETTABLE = [row[1] for row in schema.PARAMETERS if row[2]]
LINE_END = b"\n"
ALLOWED_EVENTS = {schema.EVENTS[at][0] for at in range(len(schema.EVENTS)) if schema.EVENTS[at][1] == "stopped"}
OUTPUTS = ("contactor_command", "contactor_closed", "charge_enabled", "discharge_enabled", "charge_limit_ma",
           "discharge_limit_ma", "alarm")  # fmt: skip


class Deck:
    """Lines to be sent, and of commands that are whole before they are injured."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._crc16 = Crc16()
        self.withheld = 0  # lines that had a right CRC after all

    def command(self) -> tuple[str, list[tuple[str, str]]]:
        rng = self.random
        name = rng.choice([row[0] for row in schema.COMMANDS])
        value = str(rng.choice((0, 1, 100, 1000, 5000, -1, 1 << 29, rng.randint(-(1 << 30), 1 << 30))))
        pairs = {
            "arm": [("lease_ms", str(rng.randint(1000, 5000)))],
            "set": [("name", rng.choice(SETTABLE)), ("value", value)],
            "get": [("name", rng.choice(SETTABLE))],
            "mark": [("number", value)],
        }.get(name, [])
        return name, [*pairs, ("id", str(rng.randint(1, 9999)))] if rng.random() < 0.5 else pairs

    def line(self) -> bytes:
        """One line without its end, with no right CRC."""
        while True:
            data = self.random.choice((self._injured, self._injured, self._injured, self._unsigned, self._noise))()
            if not any(self._is_signed(part) for part in data.splitlines()):
                return data
            self.withheld += 1

    def _is_signed(self, data: bytes) -> bool:
        try:
            return parse_line(self._crc16, data.decode("ascii"))[2]
        except (LineError, UnicodeDecodeError):
            return False

    def _whole(self) -> bytearray:
        name, pairs = self.command()
        return bytearray(format_line(self._crc16, name, pairs).encode())

    def _injured(self) -> bytes:
        rng, data = self.random, self._whole()
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(data)) if data else 0
            injury = rng.randrange(8)
            if injury == 0 and data:
                data[at] ^= 1 << rng.randrange(8)
            elif injury == 1 and data:
                del data[at]
            elif injury == 2:
                data.insert(at, rng.randrange(256))
            elif injury == 3 and data:
                data.insert(at, data[at])
            elif injury == 4:
                del data[at:]
            elif injury == 5:
                data = data[:at] + self._whole()
            elif injury == 6 and len(data) > 1:
                data[at - 1], data[at] = data[at], data[at - 1]
            elif injury == 7:
                data.insert(at, CTRL_C)
        return sendable(data)

    def _unsigned(self) -> bytes:
        name, pairs = self.command()
        text = " ".join(["!" + name, *(f"{key}={value}" for key, value in pairs)])
        return (text + self.random.choice(("", " *", " *0000", " *ffff", " *12"))).encode()

    def _noise(self) -> bytes:
        rng = self.random
        length = rng.choice(
            (0, 1, 3, 8, 8, 16, 30, LINE_MAX, LINE_MAX + 1, 3 * LINE_MAX) if rng.random() < 0.1 else (1, 4, 12)
        )
        return sendable(rng.randbytes(length))


def sendable(data: bytes | bytearray) -> bytes:
    """Without FORBIDDEN; looked at again, as a Ctrl-C may come first once a Ctrl-D is gone."""
    sent, count = FORBIDDEN.subn(b"", bytes(data))
    return sendable(sent) if count else sent


@dataclass
class Outcome:
    """What the board made of it."""

    lines: int = 0
    withheld: int = 0
    taken: int = 0  # lines that the board says it has read: commands and errors
    recoveries: int = 0  # whole commands answered at once, after half a line
    sim_time_s: float = 0.0
    violations: Counter[str] = field(default_factory=Counter)

    @property
    def passed(self) -> bool:
        return not self.violations and self.taken > 0


class Hammer:
    """On a session whose board has just been switched on, on a bench where it could be armed."""

    def __init__(self, session: Session, seed: int) -> None:
        self.session = session
        self.deck = Deck(seed)
        self.link = Link(DutConsole(session.dut))
        self.outcome = Outcome()
        self._tick_s = 0.01

    def run(self, lines: int, progress: Callable[[int], None] = lambda done: None) -> Outcome:
        """The whole of it; the outcome says what went wrong, if anything did."""
        link, outcome = self.link, self.outcome
        link.wait_for(self._is_safe, 20.0, "SAFE")
        before = self._parameters()
        counted = self._counted()
        while outcome.lines < lines:
            count = min(CHUNK, lines - outcome.lines)
            self._strike([self.deck.line() for _ in range(count)])
            outcome.lines += count
            self._demand_recovery()
            progress(outcome.lines)
        outcome.taken = self._counted() - counted
        outcome.withheld = self.deck.withheld
        self._judge_parameters(before)
        self._judge_starts()
        outcome.sim_time_s = self.session.t_s
        return outcome

    def arms(self) -> bool:
        """Whether an honest command still arms the board: it could have been armed all the time."""
        self.link.request("arm", lease_ms=5000)
        self.link.wait_for(lambda item: _state(item) in ("ARMED", "PRECHARGE", "REST"), 5.0, "ARMED")
        return True

    def _strike(self, lines: list[bytes]) -> None:
        data = LINE_END.join(lines) + LINE_END
        parts = data.count(b"\n") + data.count(b"\r")
        ticks = max(len(data) / BYTES_PER_TICK, parts / LINES_PER_TICK) + SPARE_TICKS
        self.link.console.write(data)
        end_s = self.link.console.now_s() + ticks * self._tick_s
        while self.link.console.now_s() < end_s:
            for item in self.link.poll(0.2):
                self._judge(item)

    def _judge(self, item) -> None:
        if not isinstance(item, Frame):
            if "Traceback" in item.text or "Error" in item.text.split("!")[0]:
                self.outcome.violations[f"said {item.text!r}"] += 1
            return
        state = _state(item)
        if state not in (None, "SAFE"):
            self.outcome.violations[f"went to {state}"] += 1
        for name in OUTPUTS:
            if item.fields.get(name):
                self.outcome.violations[f"{name} = {item.fields[name]}"] += 1
        if item.type == schema.EVENT and item.fields["event"] not in ALLOWED_EVENTS:
            self.outcome.violations[f"event {item.fields['event']}"] += 1

    def _demand_recovery(self) -> None:
        """Half a line, then a whole command: the command is answered, and answered rightly."""
        half = self.deck.line().replace(b"\n", b"").replace(b"\r", b"")
        self.link.console.write(half[: LINE_MAX // 2])
        name = self.deck.random.choice(SETTABLE)
        told = self.link.request("get", name=name)
        self.outcome.recoveries += told.get("name") == name
        if told.get("name") != name:
            self.outcome.violations[f"asked for {name}, told {told}"] += 1

    def _parameters(self) -> dict[str, str]:
        return {name: self.link.request("get", name=name)["value"] for name in SETTABLE}

    def _judge_parameters(self, before: dict[str, str]) -> None:
        for name, value in self._parameters().items():
            if value != before[name]:
                self.outcome.violations[f"{name} became {value}"] += 1

    def _judge_starts(self) -> None:
        boots, again = starts(self.session.recorder), resets(self.session.dut.counters())
        if boots != 1 or again:
            self.outcome.violations[f"{boots} starts, {again} resets"] += 1

    def _counted(self) -> int:
        """Lines that the board has read so far."""
        health = self.link.wait_for(lambda item: isinstance(item, Frame) and item.type == schema.HEALTH, 5.0, "HEALTH")
        assert isinstance(health, Frame)
        return health.fields["command_count"] + health.fields["rx_error_count"]

    def _is_safe(self, item) -> bool:
        return _state(item) == "SAFE"


def _state(item) -> str | None:
    if isinstance(item, Frame) and item.type == schema.PACK:
        return schema.STATES[item.fields["state"]]
    return None


def false_frames(raw: bytes, count: int, seed: int) -> tuple[int, int]:
    """Of `count` damaged copies of the frames in a recording: how many the decoder believes although they are none that
    the board sent, and how many damaged segments it was given. A CRC-16 lets 1 in 65 536 through."""
    rng = random.Random(seed)
    frames = [segment for segment in raw.split(b"\0") if segment]
    honest = {_said(frame) for frame in _decoded(raw)}
    decoder = Decoder()
    believed = damaged = 0
    for _ in range(count):
        segment = bytearray(rng.choice(frames))
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(segment))
            injury = rng.randrange(4)
            if injury == 0:
                segment[at] ^= 1 << rng.randrange(8)
            elif injury == 1 and len(segment) > 1:
                del segment[at]
            elif injury == 2:
                segment.insert(at, rng.randrange(1, 256))
            else:
                segment = segment[:at] + rng.choice(frames)
        damaged += bytes(segment) not in frames
        for item in decoder.feed(b"\0" + bytes(segment) + b"\0"):
            believed += isinstance(item, Frame) and _said(item) not in honest
    return believed, damaged


def _decoded(raw: bytes) -> Iterable[Frame]:
    return [item for item in Decoder().feed(b"\0" + raw + b"\0") if isinstance(item, Frame)]


def _said(frame: Frame) -> str:
    return repr((frame.type, frame.flags, frame.sequence, frame.fields))
