"""The hub: the process that has a port open serves it to the others, over a local socket beside the port's lock.

A thread moves the bytes, so that neither a command that is busy nor a client that does not read holds up the rest. What
the board says goes to everybody; what a client says goes to the board line by line, each in one piece.

Messages on the socket, either way: kind (one byte), length (u32, little-endian), body.
"""

import contextlib
import json
import os
import selectors
import socket
import stat
import struct
import threading
import time
from collections import deque

import serial

from assb_host.link.lock import PortLock

HEAD = struct.Struct("<cI")
DATA = b"D"  # bytes from or to the board
WELCOME = b"W"  # to a client: its number, as text
WHO = b"H"  # from a client: {"name", "lends"}; again when it changes
ASIDE = b"A"  # from a client: let me have the port; to all: the port is lent to the one named
KEPT = b"K"  # to a client that asked: the port stays, and why
LOST = b"L"  # to a client: so many bytes were dropped here, because it did not read
FAILED = b"F"  # to a client: what it wrote did not reach the board
GONE = b"G"  # to all: the port went away, and why

GUESTS_MOST = 64
HALF_LINE_MAX_BYTES = 64 * 1024  # no line for a board is near that long
QUEUE_MAX_BYTES = 1 << 20  # for each reader; 25 s of a board that sends 1000 frames of 40 bytes a second
BODY_MAX_BYTES = 1 << 20
READ_BYTES = 1 << 13  # 64 KiB, shrunk to what came, left holes: a recorder grew by 18 MB an hour
PAUSE_S = 0.004  # between two looks at a board that talks all the time: one wake-up for many frames
DEADLINE_S = 2.0  # of a client, for a hub that should answer at once
FAREWELL_S = 0.2  # for the last messages of a hub that ends
# A line is whole at its newline; control characters below end-of-text (Ctrl-A to Ctrl-E, carriage return) wait for none
LINE_ENDS = b"\n\r\x01\x02\x03\x04\x05"


def message(kind: bytes, body: bytes = b"") -> bytes:
    return HEAD.pack(kind, len(body)) + body


class Unpacker:
    """Feed it bytes of a socket; yields (kind, body)."""

    def __init__(self):
        self._rest = bytearray()

    def feed(self, data: bytes):
        """ValueError when this is not our protocol."""
        self._rest += data
        while len(self._rest) >= HEAD.size:
            kind, length = HEAD.unpack_from(self._rest)
            if length > BODY_MAX_BYTES:
                raise ValueError(f"a message of {length} bytes")
            if len(self._rest) < HEAD.size + length:
                return
            body = bytes(self._rest[HEAD.size : HEAD.size + length])
            del self._rest[: HEAD.size + length]
            yield kind, body


class Inbox:
    """What the board said, for the process that owns the hub: bounded, and read with a timeout."""

    def __init__(self):
        self.dropped_bytes = 0
        self._news = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self.ended = False

    def put(self, data: bytes) -> None:
        with self._news:
            if self._size + len(data) > QUEUE_MAX_BYTES:
                self.dropped_bytes += len(data)
                return
            self._chunks.append(data)
            self._size += len(data)
            self._news.notify()

    def end(self) -> None:
        with self._news:
            self.ended = True
            self._news.notify()

    def get(self, wait_s: float) -> bytes:
        with self._news:
            if not self._chunks and not self.ended:
                self._news.wait(wait_s)
            data = b"".join(self._chunks)
            self._chunks.clear()
            self._size = 0
            return data


class Guest:
    """One connected client, as the hub sees it."""

    def __init__(self, connection: socket.socket, number: int):
        self.connection = connection
        self.number = number
        self.name = "another process"
        self.lends = True
        self.unpacker = Unpacker()
        self.half_line = b""
        self.queue: deque[bytes] = deque()
        self.queued_bytes = 0
        self.dropped_bytes = 0

    def post(self, kind: bytes, body: bytes = b"") -> None:
        """Bytes from the board are dropped, and counted, when this client does not read; other messages never are."""
        if kind == DATA:
            if self.queued_bytes + len(body) > QUEUE_MAX_BYTES:
                self.dropped_bytes += len(body)
                return
            if self.dropped_bytes:
                self._add(message(LOST, b"%d" % self.dropped_bytes))
                self.dropped_bytes = 0
        self._add(message(kind, body))

    def _add(self, data):
        self.queue.append(data)
        self.queued_bytes += len(data)

    def flush(self) -> None:
        """Send what the socket takes; OSError when the client has gone."""
        while self.queue:
            try:
                sent = self.connection.send(self.queue[0])
            except BlockingIOError:
                return
            self.queued_bytes -= sent
            if sent < len(self.queue[0]):
                self.queue[0] = self.queue[0][sent:]
                return
            self.queue.popleft()

    def whole_lines(self, data: bytes) -> bytes:
        """What of it may go to the board now; the rest waits for its end."""
        self.half_line += data
        end = max(self.half_line.rfind(character) for character in LINE_ENDS) + 1
        whole, self.half_line = self.half_line[:end], self.half_line[end:]
        if len(self.half_line) > HALF_LINE_MAX_BYTES:
            raise ValueError("a line without an end")
        return whole


class Hub:
    """Serves an open port until close(), and lets go of the lock then. `failure` is what ended it by itself, `lent_to`
    who asked for the port. read() and write() are for the process that it lives in."""

    number = 0

    def __init__(self, port: serial.Serial, lock: PortLock, lends: bool):
        self.name = lock.holder
        self.lends = lends
        self.failure: Exception | None = None
        self.lent_to = ""
        self._port = port
        self._lock = lock
        self._inbox = Inbox()
        self._write_lock = threading.Lock()
        self._guests: dict[int, Guest] = {}
        self._last_number = 0
        self._closing = False
        self._listener = listen(lock.socket_path, lock.port)
        self._wake_reader, self._wake = os.pipe()
        self._selector = selectors.SelectSelector()  # the one that takes terminals on every system
        port.timeout = 0
        self._selector.register(port.fileno(), selectors.EVENT_READ, self._hear_board)
        self._selector.register(self._listener, selectors.EVENT_READ, self._welcome)
        self._selector.register(self._wake_reader, selectors.EVENT_READ, lambda *_: None)
        self._thread = threading.Thread(target=self._run, name="hub", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        return self._inbox.ended

    @property
    def dropped_bytes(self) -> int:
        return self._inbox.dropped_bytes

    def introduce(self, name: str, lends: bool) -> None:
        self.name, self.lends = name, lends

    def read(self, wait_s: float) -> bytes:
        return self._inbox.get(wait_s)

    def write(self, data: bytes) -> bool:
        """To the board, in one piece; False when the hub has ended."""
        with self._write_lock:
            if self.ended and not self.failure:
                return False
            self._port.write(data)
        return True

    def close(self) -> None:
        """Ends the service; the port and its lock are free afterwards."""
        if self._closing:
            return
        self._closing = True
        os.write(self._wake, b"x")
        self._thread.join()
        os.close(self._wake_reader)
        os.close(self._wake)

    def _run(self):
        try:
            while not (self._closing or self.failure or self.lent_to):
                for key, events in self._selector.select():
                    if key.fd in self._selector.get_map():  # not closed by one before it
                        key.data(key.fileobj, events)
                if not self._closing:
                    time.sleep(PAUSE_S)
        finally:
            self._end()

    def _hear_board(self, *_):
        try:
            data = self._port.read(READ_BYTES)
        except (serial.SerialException, OSError, TypeError) as error:  # TypeError: pyserial on a closed descriptor
            self._fail(error)
            return
        self._inbox.put(data)
        self._tell_all(DATA, data)

    def _fail(self, error):
        self.failure = error
        self._tell_all(GONE, str(error).encode())

    def _tell_all(self, kind, body):
        for guest in list(self._guests.values()):
            guest.post(kind, body)
            self._flush(guest)

    def _welcome(self, *_):
        try:
            connection, _ = self._listener.accept()
        except OSError:
            return  # it gave up meanwhile
        if len(self._guests) >= GUESTS_MOST:
            connection.close()
            return
        connection.setblocking(False)
        self._last_number += 1
        guest = Guest(connection, self._last_number)
        self._guests[connection.fileno()] = guest
        self._selector.register(connection, selectors.EVENT_READ, self._serve)
        guest.post(WELCOME, b"%d" % guest.number)
        self._flush(guest)

    def _serve(self, connection, events):
        guest = self._guests[connection.fileno()]
        if events & selectors.EVENT_WRITE:
            self._flush(guest)
        if events & selectors.EVENT_READ and connection.fileno() in self._guests:
            try:
                data = connection.recv(READ_BYTES)
                for kind, body in guest.unpacker.feed(data):
                    self._answer(guest, kind, body)
            except BlockingIOError:
                return
            except Exception:  # whatever a stranger's message does, it is that one's end and not the hub's
                data = b""
            if not data:
                self._dismiss(guest)

    def _answer(self, guest, kind, body):
        if kind == DATA:
            self._pass_on(guest, guest.whole_lines(body))
        elif kind == WHO:
            who = json.loads(body)
            guest.name, guest.lends = str(who["name"]), bool(who["lends"])
        elif kind == ASIDE:
            self._step_aside(guest)

    def _pass_on(self, guest, data):
        if not data:
            return
        try:
            self.write(data)
        except serial.SerialTimeoutException as error:
            guest.post(FAILED, str(error).encode())
            self._flush(guest)
        except (serial.SerialException, OSError) as error:
            self._fail(error)

    def _step_aside(self, asking):
        keeper = next(
            (user.name for user in (self, *self._guests.values()) if user is not asking and not user.lends), ""
        )
        if keeper:
            asking.post(KEPT, keeper.encode())
            self._flush(asking)
            return
        self.lent_to = asking.name
        self._tell_all(ASIDE, asking.name.encode())

    def _flush(self, guest):
        try:
            guest.flush()
        except OSError:
            self._dismiss(guest)
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if guest.queue else 0)
        if self._selector.get_key(guest.connection).events != wanted:
            self._selector.modify(guest.connection, wanted, self._serve)

    def _dismiss(self, guest):
        if self._guests.pop(guest.connection.fileno(), None):
            self._selector.unregister(guest.connection)
            guest.connection.close()

    def _end(self):
        with contextlib.suppress(OSError):
            os.unlink(self._lock.socket_path)
        self._listener.close()
        with self._write_lock:
            self._port.close()
        self._lock.release()  # before the clients see the end: one of them takes over
        for guest in list(self._guests.values()):
            with contextlib.suppress(OSError):
                guest.connection.settimeout(FAREWELL_S)
                if guest.queue:
                    guest.connection.sendall(b"".join(guest.queue))
            guest.connection.close()
        self._guests.clear()
        self._selector.close()
        self._inbox.end()


def listen(path: str, port: str) -> socket.socket:
    """A listening socket that those may use who may use the port."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)  # of a holder that was killed: whoever has the lock is alone here
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        listener.bind(path)
    finally:
        os.umask(before)
    mode = os.stat(port)
    with contextlib.suppress(OSError):
        os.chown(path, -1, mode.st_gid)
        os.chmod(path, stat.S_IMODE(mode.st_mode) & 0o666)
    listener.listen()
    listener.setblocking(False)
    return listener


class HubClient:
    """A connection to the hub of another process. OSError from connect when there is none."""

    def __init__(self, path: str, name: str, lends: bool):
        self.number = 0
        self.dropped_bytes = 0
        self.lent_to = ""
        self.kept_for = ""  # who needs the port, so that the hub does not step aside
        self.failure: Exception | None = None
        self.ended = False
        self._unpacker = Unpacker()
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._connection.settimeout(DEADLINE_S)
        try:
            self._connection.connect(path)
            self.introduce(name, lends)
            self._take(DEADLINE_S)
            if not self.number:
                raise ConnectionResetError("the hub ended, or stands still")
        except BaseException:
            self._connection.close()
            raise

    def introduce(self, name: str, lends: bool) -> None:
        self._send(WHO, json.dumps({"name": name, "lends": lends}).encode())

    def write(self, data: bytes) -> bool:
        """To the board, line by line; False when the hub has ended."""
        return not self.ended and self._send(DATA, data)

    def ask_aside(self, deadline_s: float) -> None:
        """Ask for the port and wait for `lent_to` or `kept_for`."""
        self._send(ASIDE, b"")
        end_s = time.monotonic() + deadline_s
        while not (self.lent_to or self.kept_for or self.ended) and time.monotonic() < end_s:
            self.read(0.1)

    def read(self, wait_s: float) -> bytes:
        """What the board said; empty also when the hub has ended."""
        return b"" if self.ended else self._take(wait_s)

    def close(self) -> None:
        self.ended = True
        self._connection.close()

    def _send(self, kind, body) -> bool:
        try:
            self._connection.settimeout(DEADLINE_S)
            self._connection.sendall(message(kind, body))
        except OSError:
            self.close()
        return not self.ended

    def _take(self, wait_s) -> bytes:
        said = []
        try:
            self._connection.settimeout(wait_s)
            data = self._connection.recv(READ_BYTES)
        except (TimeoutError, BlockingIOError):
            return b""
        except OSError:
            data = b""
        if not data:
            self.close()
            return b""
        for kind, body in self._unpacker.feed(data):
            if kind == DATA:
                said.append(body)
            else:
                self._note(kind, body.decode(errors="replace"))
        return b"".join(said)

    def _note(self, kind, text):
        if kind == WELCOME:
            self.number = int(text)
        elif kind == LOST:
            self.dropped_bytes += int(text)
        elif kind == ASIDE:
            self.lent_to = text
        elif kind == KEPT:
            self.kept_for = text
        elif kind == FAILED:
            raise serial.SerialTimeoutException(text)
        elif kind == GONE:
            self.failure = serial.SerialException(text)
