"""The wire between host and board, both ways, message by message, with what is wrong with it.

A sound way hands on what it gets. On a faulty one whole messages (a frame with its zeros, or a line) pass one after
the other through each fault, in the order in which they began.
"""

import random
import re
from collections.abc import Callable

# A frame with both its zeros, or text up to its newline or the zero of the next frame
MESSAGE = re.compile(rb"\0[^\0]*\0|[^\0\n]*\n|[^\0\n]+(?=\0)")
Damage = Callable[[list[bytes]], list[bytes]]  # messages in → messages out


class Way:
    """One direction."""

    def __init__(self) -> None:
        self.faults: dict[str, Damage] = {}
        self._begun = b""  # of a message that is not whole yet

    def carry(self, data: bytes) -> bytes:
        """What comes out when `data` goes in."""
        if not self.faults:
            data, self._begun = self._begun + data, b""
            return data
        data = self._begun + data
        messages, end = [], 0
        while match := MESSAGE.match(data, end):
            messages.append(match[0])
            end = match.end()
        self._begun = data[end:]
        for damage in self.faults.values():
            messages = damage(messages)
        return b"".join(messages)


class LinkLine:
    """Both directions."""

    def __init__(self) -> None:
        self.ways = {"to_board": Way(), "to_host": Way()}

    def to_board(self, data: bytes) -> bytes:
        return self.ways["to_board"].carry(data)

    def to_host(self, data: bytes) -> bytes:
        return self.ways["to_host"].carry(data)


def unplugged(_messages: list[bytes]) -> list[bytes]:
    return []


def bit_errors(chance: random.Random, error_frac: float) -> Damage:
    """Each bit is wrong with this probability."""

    def damage(messages: list[bytes]) -> list[bytes]:
        return [_flipped(message, chance, error_frac) for message in messages]

    return damage


def _flipped(message: bytes, chance: random.Random, error_frac: float) -> bytes:
    bits = int.from_bytes(message, "little")
    at = _gap(chance, error_frac)
    while at < 8 * len(message):
        bits ^= 1 << at
        at += 1 + _gap(chance, error_frac)
    return bits.to_bytes(len(message), "little")


def _gap(chance: random.Random, error_frac: float) -> int:
    """Sound bits before the next wrong one."""
    return int(chance.expovariate(error_frac))


def some(chance: random.Random, frac: float, change: Callable[[bytes], list[bytes]]) -> Damage:
    """Each message is replaced by what `change` makes of it, with this probability."""

    def damage(messages: list[bytes]) -> list[bytes]:
        return [part for message in messages for part in (change(message) if chance.random() < frac else [message])]

    return damage


def reordered(chance: random.Random, frac: float) -> Damage:
    """A message is overtaken by the one after it, with this probability."""
    waiting: list[bytes] = []

    def damage(messages: list[bytes]) -> list[bytes]:
        out: list[bytes] = []
        for message in messages:
            if not waiting and chance.random() < frac:
                waiting.append(message)
            else:
                out += [message, *waiting]
                waiting.clear()
        return out

    return damage
