"""Faults of the link between host and board."""

import random
from typing import Annotated, Any, ClassVar, Literal

from assb.protocol.commands import format_line
from assb.protocol.frame import Crc16
from msgspec import Meta

from assb_hil import link_line
from assb_hil.dut.base import CONSOLE
from assb_hil.faults.base import FaultRig, LastingFault, Positive, Share

BURST_US = 10_000  # how often a flood comes
WAYS = {"to_board": ("to_board",), "to_host": ("to_host",), "both": ("to_board", "to_host")}


class LinkFault(LastingFault, frozen=True, kw_only=True):
    """Of one way, or of both."""

    group: ClassVar[str] = "link"
    needs: ClassVar[frozenset[str]] = frozenset({CONSOLE})
    way: Literal["to_board", "to_host", "both"] = "both"

    def begin(self, rig: FaultRig, now_us: int) -> None:
        for way in WAYS[self.way]:
            rig.link.ways[way].faults[self.name] = self.damage(rig.fault_random(f"{self.name} {way}"))

    def end(self, rig: FaultRig) -> None:
        for way in WAYS[self.way]:
            rig.link.ways[way].faults.pop(self.name, None)

    def damage(self, chance: random.Random) -> link_line.Damage:
        """What it does to messages."""
        raise NotImplementedError


class LinkBitErrors(LinkFault, frozen=True, kw_only=True):
    """Each bit is wrong with this probability."""

    name: ClassVar[str] = "link_bit_errors"
    error_frac: Annotated[float, Meta(gt=0.0, le=0.5)]

    def damage(self, chance: random.Random) -> link_line.Damage:
        return link_line.bit_errors(chance, self.error_frac)


class LinkLost(LinkFault, frozen=True, kw_only=True):
    """Messages are lost."""

    name: ClassVar[str] = "link_lost"
    lost_frac: Share

    def damage(self, chance: random.Random) -> link_line.Damage:
        return link_line.some(chance, self.lost_frac, lambda _message: [])


class LinkRepeated(LinkFault, frozen=True, kw_only=True):
    """Messages come twice."""

    name: ClassVar[str] = "link_repeated"
    repeated_frac: Share

    def damage(self, chance: random.Random) -> link_line.Damage:
        return link_line.some(chance, self.repeated_frac, lambda message: [message, message])


class LinkReordered(LinkFault, frozen=True, kw_only=True):
    """Messages are overtaken by the one after them."""

    name: ClassVar[str] = "link_reordered"
    reordered_frac: Share

    def damage(self, chance: random.Random) -> link_line.Damage:
        return link_line.reordered(chance, self.reordered_frac)


class LinkTruncated(LinkFault, frozen=True, kw_only=True):
    """Of a message only the beginning comes."""

    name: ClassVar[str] = "link_truncated"
    truncated_frac: Share

    def damage(self, chance: random.Random) -> link_line.Damage:
        return link_line.some(chance, self.truncated_frac, lambda message: [message[: chance.randrange(len(message))]])


class LinkUnplugged(LinkFault, frozen=True, kw_only=True):
    """Nothing passes."""

    name: ClassVar[str] = "link_unplugged"

    def damage(self, chance: random.Random) -> link_line.Damage:
        return link_line.unplugged


class Intruder(LastingFault, frozen=True, kw_only=True):
    """Somebody else writes to the board's port, every `every` µs, until it ends."""

    group: ClassVar[str] = "link"
    needs: ClassVar[frozenset[str]] = frozenset({CONSOLE})

    def intrude(self, rig: FaultRig, now_us: int, period_us: int, words: Any) -> None:
        """`words` gives what is written each time."""
        last_us = None if self.for_s is None else now_us + round(self.for_s * 1e6)

        def write(at_us: int) -> bool:
            goes_on = last_us is None or at_us <= last_us
            if goes_on:
                rig.board.write_console(next(words))
            return goes_on

        rig.every(now_us, period_us, write)

    def end(self, rig: FaultRig) -> None:
        """It has written its last."""


class LinkFlood(Intruder, frozen=True, kw_only=True):
    """Bytes at random flood the board's port."""

    name: ClassVar[str] = "link_flood"
    bytes_per_s: Annotated[float, Meta(gt=100.0, le=1e6)]

    def begin(self, rig: FaultRig, now_us: int) -> None:
        self.intrude(rig, now_us, BURST_US, self._noise(rig.fault_random(self.name)))

    def _noise(self, chance: random.Random):
        size = round(self.bytes_per_s * BURST_US * 1e-6)
        while True:
            # A board at its prompt would be interrupted by Ctrl-C; its program, too: no noise has it
            yield chance.randbytes(size).replace(b"\x03", b"\x02")


class SecondHost(Intruder, frozen=True, kw_only=True):
    """Another program has the port open and sends a command now and then; `torn`: each in two halves, between which
    ours come."""

    name: ClassVar[str] = "second_host"
    command: Literal["hello", "stop", "lease", "arm", "clear", "help"]
    every_s: Positive
    torn: bool = False

    def begin(self, rig: FaultRig, now_us: int) -> None:
        parts = 2 if self.torn else 1
        self.intrude(rig, now_us, round(self.every_s * 1e6 / parts), self._lines(parts))

    def _lines(self, parts: int):
        line = format_line(Crc16(), self.command, (("id", 9001),)).encode() + b"\n"
        size = -(-len(line) // parts)
        while True:
            yield from (line[at : at + size] for at in range(0, len(line), size))
