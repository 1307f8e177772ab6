"""A port is shared: the first process serves the others, nobody holds anybody up, and somebody always takes over."""

import os
import pty
import signal
import socket
import threading
import time
from pathlib import Path

import pytest
from assb_host.errors import PortError
from assb_host.link import hub
from assb_host.link.console import ExclusiveConsole, SerialConsole
from assb_host.link.lock import BusyError, PortLock
from terminals import holder

DEADLINE_S = 20.0


def test_a_port_is_free_once_it_was_let_go_of_even_while_a_child_is_being_forked(terminal):
    lock = PortLock(terminal[1])
    lock.take()
    assert lock.path.stat().st_mode & 0o777 == 0o666  # the next holder may be another user
    child = os.dup(lock._file.fileno())  # as between fork and exec
    lock.release()
    again = PortLock(terminal[1])
    again.take()
    again.release()
    os.close(child)


def heard(console, count):
    """Exactly so many bytes from a console."""
    data, end_s = b"", time.monotonic() + DEADLINE_S
    while len(data) < count:
        assert time.monotonic() < end_s, f"{len(data)} of {count} bytes: {data[-80:]!r}"
        data += console.read(0.1)
    assert len(data) == count
    return data


def until(wanted):
    end_s = time.monotonic() + DEADLINE_S
    while not wanted():
        assert time.monotonic() < end_s
        time.sleep(0.005)


def from_others(master, count):
    data = b""
    while len(data) < count:
        data += os.read(master, 4096)
    return data


def test_every_process_hears_the_board(terminal):
    master, path = terminal
    with SerialConsole(path, "first") as first, SerialConsole(path, "second") as second:
        os.write(master, b"\0frame\0")
        assert heard(first, 7) == heard(second, 7) == b"\0frame\0"
        assert (first.number, second.number) == (0, 1)


def test_lines_of_different_processes_are_not_mixed(terminal):
    master, path = terminal
    rounds = 200
    with SerialConsole(path) as first, SerialConsole(path) as second, SerialConsole(path) as third:

        def write(console, name):
            for turn in range(rounds):
                text = f"{name}{turn:03}".encode() * 8
                console.write(text[:10])  # half a line: not sent before its end
                console.write(text[10:] + b"\n")

        first.write(b"\n")
        writers = [threading.Thread(target=write, args=pair) for pair in ((second, "b"), (third, "c"))]
        for writer in writers:
            writer.start()
        for turn in range(rounds):
            first.write(f"a{turn:03}".encode() * 8 + b"\n")
        lines = from_others(master, 1 + 3 * rounds * 33).split()
        for writer in writers:
            writer.join()
    assert sorted(lines) == sorted(f"{name}{turn:03}".encode() * 8 for name in "abc" for turn in range(rounds))


def test_control_characters_wait_for_no_line_to_end(terminal):
    master, path = terminal
    with SerialConsole(path), SerialConsole(path) as second:
        second.write(b"\r\x03\x03")
        assert from_others(master, 3) == b"\r\x03\x03"


def test_a_process_that_does_not_read_holds_up_nobody_and_is_told_what_it_missed(terminal, monkeypatch):
    monkeypatch.setattr(hub, "QUEUE_MAX_BYTES", 5000)
    master, path = terminal
    piece = bytes(range(250)) * 12
    with SerialConsole(path) as first, SerialConsole(path) as lazy, SerialConsole(path) as third:
        sent = 0
        while sent < 600_000:  # more than the socket and the queue hold
            os.write(master, piece)
            assert heard(first, len(piece)) == heard(third, len(piece)) == piece
            sent += len(piece)
        assert (first.gap_count, third.gap_count) == (0, 0)
        got, end_s = 0, time.monotonic() + DEADLINE_S
        while got + lazy.dropped_bytes < sent - 5000 or not lazy.dropped_bytes:
            assert time.monotonic() < end_s, (got, lazy.dropped_bytes, sent)
            os.write(master, b"!")  # what comes after the gap tells how long it was
            sent += 1
            got += len(lazy.read(0.05))
        assert lazy.gap_count >= 1


def test_a_server_that_was_stopped_by_ctrl_z_is_named(terminal):
    _, path = terminal
    process = holder("SerialConsole", path, "assb monitor")
    try:
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        with pytest.raises(PortError, match=f"`kill -CONT {process.pid}`"):
            SerialConsole(path)
        process.send_signal(signal.SIGCONT)
        SerialConsole(path).close()
    finally:
        process.kill()
        process.communicate()


def test_one_of_the_others_takes_over_when_the_server_ends_and_the_gap_is_marked(terminal):
    master, path = terminal
    process = holder("SerialConsole", path, "assb monitor")
    with SerialConsole(path) as second, SerialConsole(path) as third:
        assert {second.number, third.number} == {1, 2}
        os.write(master, b"before")
        assert heard(second, 6) == heard(third, 6) == b"before"
        process.kill()
        process.communicate()

        def settled():
            assert second.read(0.01) + third.read(0.01) == b""
            return second.gap_count and third.gap_count and {second.number, third.number} == {0, 1}

        until(settled)
        os.write(master, b"after")
        assert heard(second, 5) == heard(third, 5) == b"after"
        assert (second.gap_count, third.gap_count) == (1, 1)


def test_a_line_written_as_the_server_ends_still_reaches_the_board(terminal):
    master, path = terminal
    first = SerialConsole(path)
    with SerialConsole(path) as second:
        first.close()
        second.write(b"\n!stop\n")
        assert from_others(master, 7) == b"\n!stop\n"


def test_a_flash_gets_the_port_alone_and_the_others_have_it_back_afterwards(terminal):
    master, path = terminal
    with SerialConsole(path, "assb monitor") as first, SerialConsole(path, "assb record") as second:
        with ExclusiveConsole(path, "assb flash") as flash:
            until(lambda: not (first.read(0.01) or second.read(0.01)) and first.waits_for and second.waits_for)
            assert "assb flash" in first.waits_for
            with pytest.raises(PortError, match="lent to assb flash"):
                second.write(b"\n!get\n")
            os.write(master, b"raw REPL")
            assert flash.read(5.0) == b"raw REPL"
        until(lambda: not (first.read(0.01) or second.read(0.01) or first.waits_for or second.waits_for))
        os.write(master, b"back")
        assert heard(first, 4) == heard(second, 4) == b"back"
        assert (first.gap_count, second.gap_count) == (1, 1)


@pytest.mark.parametrize("armer_is_first", [True, False])
def test_a_flash_does_not_get_a_port_on_which_a_lease_hangs(terminal, armer_is_first):
    _, path = terminal
    with SerialConsole(path, "one") as first, SerialConsole(path, "two") as second:
        (first if armer_is_first else second).lends = False
        name = "one" if armer_is_first else "two"
        with pytest.raises(BusyError, match=f"`{name}` needs it; end that first"):
            ExclusiveConsole(path, "assb flash")
        (first if armer_is_first else second).lends = True
        ExclusiveConsole(path, "assb flash").close()


def test_a_port_that_goes_away_goes_away_for_everybody():
    master, slave = pty.openpty()
    path = os.ttyname(slave)
    os.close(slave)
    with SerialConsole(path) as first, SerialConsole(path) as second:
        os.close(master)
        for console in (first, second):
            with pytest.raises(PortError, match="went away"):
                until(lambda console=console: console.read(0.1))


def test_a_socket_that_cannot_be_made_is_a_clear_error_and_frees_the_port(terminal):
    _, path = terminal
    in_the_way = Path(PortLock(path).socket_path)
    (in_the_way / "occupied").mkdir(parents=True)
    try:
        with pytest.raises(PortError, match=r"the socket that shares the port can't be made; .*remove it"):
            SerialConsole(path)
    finally:
        (in_the_way / "occupied").rmdir()
        in_the_way.rmdir()
    SerialConsole(path).close()


@pytest.mark.parametrize(
    ("kind", "body"), [(hub.WHO, b"[]"), (hub.WHO, b"[" * 200_000), (hub.WHO, b"\xff"), (hub.DATA, b"x" * 70_000)]
)
def test_a_stranger_who_sends_nonsense_is_dismissed_and_nobody_else_notices(terminal, kind, body):
    master, path = terminal
    with SerialConsole(path, "first") as first, SerialConsole(path, "second") as second:
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(str(PortLock(path).socket_path))
            stranger.sendall(hub.message(kind, body))
            stranger.settimeout(DEADLINE_S)
            while stranger.recv(4096):  # until it is dismissed
                pass
        os.write(master, b"\0frame\0")
        assert heard(first, 7) == heard(second, 7) == b"\0frame\0"
        assert (first.gap_count, second.gap_count) == (0, 0)


def test_there_is_room_for_so_many_guests_and_no_more(terminal, monkeypatch):
    monkeypatch.setattr(hub, "GUESTS_MOST", 2)
    master, path = terminal
    with SerialConsole(path, "first") as first, SerialConsole(path, "second") as second:
        strangers = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for stranger in strangers:
            stranger.connect(str(PortLock(path).socket_path))
            stranger.settimeout(DEADLINE_S)
        assert [bool(stranger.recv(100)) for stranger in strangers] == [True, False, False]
        os.write(master, b"\0frame\0")
        assert heard(first, 7) == heard(second, 7) == b"\0frame\0"
        for stranger in strangers:
            stranger.close()
