"""Command lines and replies on a serial port: what is sent is what a board reads; damaged replies are not believed."""

import os
import pty
import threading

import pytest
from assb.protocol import schema
from assb.protocol.commands import LineError, format_line, parse_line
from assb.protocol.frame import Crc16, FrameWriter
from assb_host.errors import LinkError, RefusedError
from assb_host.link.console import SerialConsole
from assb_host.link.link import SETTLED_S, Link, command_line
from hypothesis import given
from hypothesis import strategies as st

CRC16 = Crc16()
PRINTING = st.characters(min_codepoint=33, max_codepoint=126)
KEYS = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=12)
VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="*="), min_size=1, max_size=12)


@given(KEYS, st.dictionaries(KEYS, VALUES, max_size=3))
def test_a_command_line_reads_as_it_was_written(name, pairs):
    lead, line, end = command_line(name, pairs.items(), CRC16).decode().split("\n")
    assert (lead, end) == ("", "")
    assert parse_line(CRC16, line) == (name, pairs, True)


@given(KEYS, st.dictionaries(KEYS, VALUES, max_size=3), st.data())
def test_a_line_with_one_wrong_character_is_never_another_checked_command(name, pairs, data):
    line = command_line(name, pairs.items(), CRC16).decode().strip()
    at = data.draw(st.integers(0, len(line) - 1))
    wrong = data.draw(
        st.characters(min_codepoint=33, max_codepoint=126).filter(lambda c: c.lower() != line[at].lower())
    )
    try:
        _, _, checked = parse_line(CRC16, line[:at] + wrong + line[at + 1 :])
    except LineError:
        return
    assert not checked


@pytest.mark.parametrize("value", ["two words", "star*", "umläut", "new\nline", "x" * 200])
def test_what_a_line_can_not_carry_is_refused_before_it_is_sent(value):
    with pytest.raises(LinkError, match="can't be sent as a command"):
        command_line("set", [("name", value)])


class BoardEnd:
    """The far end of a serial port, for a test that says what a board answers to the next line."""

    def __init__(self):
        self.fd, self._slave = pty.openpty()
        self.path = os.ttyname(self._slave)

    def answer(self, make_reply):
        """In the background: read one line, write what make_reply(name, pairs) gives."""

        def run():
            heard = b""
            while heard.strip() == b"" or not heard.endswith(b"\n"):
                heard += os.read(self.fd, 1000)
            name, pairs, _ = parse_line(CRC16, heard.decode())
            os.write(self.fd, make_reply(name, pairs))

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def close(self):
        os.close(self.fd)
        os.close(self._slave)


@pytest.fixture
def board_end():
    end = BoardEnd()
    yield end
    end.close()


@pytest.fixture
def link(board_end):
    with SerialConsole(board_end.path) as console:
        yield Link(console)


def reply_line(kind, name, *pairs):
    return format_line(CRC16, f"{kind} {name}", pairs).encode() + b"\r\n"


def accepted(name, pairs, *more):
    return reply_line("ok", name, ("id", pairs["id"]), *more)


def event_frame():
    writer = FrameWriter(schema.schema_id())
    writer.begin(schema.EVENT, 0, 0)
    for size, value in ((1, 16), (2, 7), (4, 0), (4, 0)):
        writer.put(size, value)
    return bytes(writer.wire[: writer.end()])


def test_frames_that_come_before_a_reply_stay_for_the_next_poll(link, board_end):
    thread = board_end.answer(lambda name, pairs: event_frame() + accepted(name, pairs, ("value", 5)))
    assert link.request("get", name="lease_ms") == {"value": "5"}
    thread.join()
    (frame,) = link.poll()
    assert frame.fields["number"] == 7


def test_a_reply_to_another_line_is_not_taken(link, board_end):
    thread = board_end.answer(lambda name, pairs: reply_line("ok", name, ("id", 4711)))
    with pytest.raises(LinkError, match=r"no reply to `stop` in 0\.3 s"):
        link.request("stop", reply_deadline_s=0.3)
    thread.join()


def test_a_late_reply_of_an_earlier_process_with_the_same_id_is_not_taken(link, board_end):
    thread = board_end.answer(
        lambda name, pairs: reply_line("ok", "hello", ("id", pairs["id"])) + accepted(name, pairs)
    )
    assert link.request("stop") == {}
    thread.join()
    assert link.poll()[0].text.startswith("!ok hello")


def test_a_damaged_reply_is_counted_and_not_believed(link, board_end):
    thread = board_end.answer(lambda name, pairs: accepted(name, pairs).replace(b"!ok", b"!oc"))
    with pytest.raises(LinkError, match="no reply"):
        link.request("stop", reply_deadline_s=0.3)
    thread.join()
    thread = board_end.answer(lambda name, pairs: accepted(name, pairs, ("v", 5)).replace(b"v=5", b"v=6"))
    with pytest.raises(LinkError, match="no reply"):
        link.request("get", reply_deadline_s=0.3)
    thread.join()
    assert link.damaged_reply_count == 1


def test_a_refusal_without_id_counts_when_no_other_reply_comes(link, board_end):
    """The board could not read the line, so it can't name it."""
    thread = board_end.answer(lambda name, pairs: reply_line("err", "?", ("reason", "bad_crc")))
    with pytest.raises(RefusedError, match=r"bad_crc; command `arm`; .*send it again"):
        link.request("arm", reply_deadline_s=0.3)
    thread.join()


def test_a_refusal_of_an_earlier_half_line_is_not_ours(link, board_end):
    thread = board_end.answer(
        lambda name, pairs: reply_line("err", "?", ("reason", "not_a_command")) + accepted(name, pairs)
    )
    assert link.request("stop") == {}
    thread.join()


class Said:
    """A console at which the board says things at their times; its clock goes on while one waits for them."""

    name, number, gap_count = "said", 0, 0

    def __init__(self, *parts: tuple[float, bytes]):
        self._parts = list(parts)
        self._now_s = 0.0

    def write(self, data):
        pass

    def read(self, wait_s):
        if self._parts and self._parts[0][0] <= self._now_s + wait_s:
            self._now_s, data = self._parts.pop(0)
            return data
        self._now_s += wait_s
        return b""

    def now_s(self):
        return self._now_s

    def close(self):
        pass


OLD_PROMPT = b">>> import machine\r\n>>> "


@pytest.mark.parametrize(
    ("parts", "stays_from_s"),
    [
        ([(0.1, OLD_PROMPT), (0.2, b"machine.reset()\r\n"), (1.5, event_frame())], None),
        ([(0.1, OLD_PROMPT), (0.3, b"machine.reset()\r\n")], None),
        ([(0.1, b"SyntaxError: invalid syntax\r\n>>> ")], 0.1 + SETTLED_S),
        ([(0.1, b">>> "), (0.3, b"\r\n>>> ")], 0.3 + SETTLED_S),
    ],
)
def test_a_board_that_starts_again_behind_an_old_prompt_is_not_taken_for_one_that_stays_there(parts, stays_from_s):
    link = Link(Said(*parts))
    at_prompt_s = None
    while at_prompt_s is None and link.console.now_s() < 3.0:
        link.poll(0.05)
        if link.stays_at_prompt:
            at_prompt_s = link.console.now_s()
    assert at_prompt_s == (None if stays_from_s is None else pytest.approx(stays_from_s, abs=0.06))
