"""The wire between host and board: sound it changes nothing, and each fault does what it says, message by message."""

import random

import pytest
from assb.protocol.frame import FrameWriter
from assb_hil import link_line
from assb_hil.link_line import Way


def frame(number):
    writer = FrameWriter(7)
    writer.begin(3, 0, number)
    writer.put(4, number)
    return bytes(writer.wire[: writer.end()])


FRAMES = [frame(number) for number in range(40)]
STREAM = b"".join(FRAMES[:20]) + b"!ok lease id=7 *1234\r\n" + b"".join(FRAMES[20:])
MESSAGES = [*FRAMES[:20], b"!ok lease id=7 *1234\r\n", *FRAMES[20:]]


def carried(damage, size=7):
    """What comes out of a way with this fault when the stream comes in small pieces."""
    way = Way()
    if damage:
        way.faults["fault"] = damage
    return b"".join(way.carry(STREAM[at : at + size]) for at in range(0, len(STREAM), size))


def chance():
    return random.Random(1)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_sound_way_hands_on_every_byte(size):
    assert carried(None, size) == STREAM


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_messages_are_whole_however_they_come(size):
    seen = []
    assert carried(lambda messages: seen.extend(messages) or messages, size) == STREAM
    assert seen == MESSAGES


def test_what_was_held_back_goes_on_when_the_fault_ends():
    way = Way()
    way.faults["fault"] = lambda messages: messages
    assert way.carry(FRAMES[0][:5]) == b""
    way.faults.clear()
    assert way.carry(FRAMES[0][5:]) == FRAMES[0]


def test_bit_errors_come_as_often_as_asked_and_change_no_length():
    out = carried(link_line.bit_errors(chance(), 0.01))
    wrong = sum((a ^ b).bit_count() for a, b in zip(out, STREAM, strict=True))
    assert 0.5 < wrong / (0.01 * 8 * len(STREAM)) < 1.6


def test_lost_messages_are_whole_ones():
    out = carried(link_line.some(chance(), 0.5, lambda _message: []))
    kept = [message for message in MESSAGES if message in out]
    assert b"".join(kept) == out
    assert 10 < len(kept) < 31


def test_repeated_messages_come_twice_in_a_row():
    assert carried(link_line.some(chance(), 1.0, lambda m: [m, m])) == b"".join(m + m for m in MESSAGES)


def test_a_reordered_message_comes_after_the_next():
    out = carried(link_line.reordered(chance(), 1.0))
    assert out == b"".join(MESSAGES[at + 1] + MESSAGES[at] for at in range(0, len(MESSAGES) - 1, 2))


def test_an_unplugged_way_carries_nothing():
    assert carried(link_line.unplugged) == b""
