"""Where bytes to and from a board go: a serial port, or the console of a virtual board in this process.

A console has its own clock, because a virtual board in lockstep only moves while somebody lets it.
"""

import contextlib
import fcntl
import time
from typing import Protocol

import serial

from assb_host.errors import PortError
from assb_host.link.hub import Hub, HubClient
from assb_host.link.lock import BusyError, PortLock

BAUD = 115200  # USB ignores it; a UART bridge does not
WRITE_DEADLINE_S = 2.0
ATTACH_EVERY_S = 0.02
ATTACH_DEADLINE_S = 2.0  # for a holder that is about to serve, or to end
ASIDE_DEADLINE_S = 5.0
LENT_S = 0.5  # left to the one who asked for the port, before it is looked for again
SLICE_US = 10_000  # a virtual board is let run in slices this long while somebody waits for its bytes


class Console(Protocol):
    name: str

    @property
    def number(self) -> int:
        """Ours among those who share the port."""
        ...

    @property
    def gap_count(self) -> int:
        """How often a stretch of what the board said was missed; what read() returns begins after it."""
        ...

    def write(self, data: bytes) -> None: ...

    def read(self, wait_s: float) -> bytes:
        """What has come; waits up to wait_s for the first byte."""
        ...

    def now_s(self) -> float: ...

    def close(self) -> None: ...


class ExclusiveConsole:
    """A serial port that is ours alone, as a flash needs it. Whoever else of ours has it is asked to step aside."""

    number = 0
    gap_count = 0

    def __init__(self, path: str, holder: str = ""):
        self.name = path
        self.lock = PortLock(path, holder)
        take_aside(self.lock)
        try:
            self.port = open_port(path)
        except BaseException:
            self.lock.release()
            raise

    def write(self, data: bytes) -> None:
        try:
            self.port.write(data)
        except (serial.SerialException, OSError) as error:
            raise lost(self.name, error) from error

    def read(self, wait_s: float) -> bytes:
        try:
            self.port.timeout = wait_s
            first = self.port.read(1)
            return first + self.port.read(self.port.in_waiting) if first else first
        except (serial.SerialException, OSError, TypeError) as error:  # TypeError: pyserial reading a closed descriptor
            raise lost(self.name, error) from error

    def now_s(self) -> float:
        return time.monotonic()

    def close(self) -> None:
        self.port.close()
        self.lock.release()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def take_aside(lock: PortLock) -> None:
    """Take the lock, if need be from a process that serves the port; BusyError when that one keeps it."""
    end_s = time.monotonic() + ASIDE_DEADLINE_S
    while True:
        try:
            lock.take()
            return
        except BusyError as busy:
            if not busy.may_be_shared or time.monotonic() > end_s:
                raise
            kept_for = ask_aside(lock)
            if kept_for:
                raise BusyError(lock.port, busy.holder, f"`{kept_for}` needs it; end that first") from None
        time.sleep(ATTACH_EVERY_S)


def ask_aside(lock: PortLock) -> str:
    """Ask the hub for the port; who needs it, when it keeps it."""
    try:
        with contextlib.closing(HubClient(lock.socket_path, lock.holder, lends=True)) as hub:
            hub.ask_aside(ASIDE_DEADLINE_S)
            return hub.kept_for
    except OSError:
        return ""  # it is about to serve, or has ended


class SerialConsole:
    """A serial port, shared: the first process has it open and serves it to the others, which notice no difference.

    When the process that serves ends, one of the others takes over; while it lends the port, to a flash, all wait.
    """

    def __init__(self, path: str, holder: str = "", lends: bool = True):
        self.name = path
        self.gap_count = 0
        self.waits_for = ""  # who has the port alone meanwhile
        self._lends = lends
        self._dropped_bytes = 0  # by connections before this one
        self._lock = PortLock(path, holder, serves=True)
        self._source: Hub | HubClient | None = None
        self._attach_at_s = 0.0
        self._attach_patiently()

    @property
    def number(self) -> int:
        """Ours among those who share the port; 0 serves it. Makes the ids of commands differ."""
        return self._source.number if self._source else 0

    @property
    def dropped_bytes(self) -> int:
        """Bytes of the board that were thrown away because we did not read for long."""
        return self._dropped_bytes + (self._source.dropped_bytes if self._source else 0)

    @property
    def lends(self) -> bool:
        """Whether a flash may have the port meanwhile: not while a lease hangs on it."""
        return self._lends

    @lends.setter
    def lends(self, lends: bool) -> None:
        self._lends = lends
        if self._source:
            self._source.introduce(self._lock.holder, lends)

    def write(self, data: bytes) -> None:
        """PortError while the port is lent, or when it has gone."""
        try:
            if self._source is None:
                self._attach()
            elif not self._source.write(data):
                self._heed_end()
                self._attach_patiently()
            else:
                return
            if self._source is None or not self._source.write(data):
                raise PortError(f"the port is lent to {self.waits_for}", self.name, "wait until it is back")
        except (serial.SerialException, OSError, TypeError) as error:  # TypeError: pyserial on a closed descriptor
            raise lost(self.name, error) from error

    def read(self, wait_s: float) -> bytes:
        if self._source is None:
            time.sleep(min(wait_s, ATTACH_EVERY_S))
            self._attach()
            return b""
        before = self.dropped_bytes
        try:
            data = self._source.read(wait_s)
        except serial.SerialException as error:
            raise lost(self.name, error) from error
        self.gap_count += self.dropped_bytes > before
        if not data:
            self._heed_end()
        return data

    def _heed_end(self):
        """When the hub, ours or another's, has ended: by a failure, which is raised, because it lends, or for good."""
        if self._source is None or not self._source.ended:
            return
        failure, self.waits_for = self._source.failure, self._source.lent_to
        self._leave()
        if failure:
            raise lost(self.name, failure) from failure
        self.gap_count += 1
        self._attach_at_s = time.monotonic() + (LENT_S if self.waits_for else 0.0)

    def _leave(self):
        self._dropped_bytes = self.dropped_bytes
        source, self._source = self._source, None
        if source:
            source.close()

    def _attach(self) -> None:
        """Serve the port, or join who serves it; stays without when somebody has it alone."""
        if time.monotonic() < self._attach_at_s:
            return
        try:
            self._source = self._connection()
            self.waits_for = ""
        except BusyError as busy:
            self.waits_for = str(busy.holder or self.waits_for or "another process")

    def _attach_patiently(self) -> None:
        """BusyError when somebody has the port alone."""
        end_s = time.monotonic() + ATTACH_DEADLINE_S
        while True:
            try:
                self._source = self._connection()
                return
            except BusyError as busy:
                if time.monotonic() > end_s or not busy.may_be_shared:
                    raise
                time.sleep(ATTACH_EVERY_S)

    def _connection(self) -> Hub | HubClient:
        try:
            self._lock.take()
        except BusyError as busy:
            if busy.holder and busy.holder.is_stopped:
                remedy = f"`fg` in its terminal, or `kill -CONT {busy.holder.pid}`"
                raise PortError(f"{busy.holder} has the port and was stopped by Ctrl-Z", self.name, remedy) from None
            try:
                return HubClient(self._lock.socket_path, self._lock.holder, self._lends)
            except OSError:
                raise busy from None
        port = None
        try:
            port = open_port(self.name)
            return Hub(port, self._lock, self._lends)
        except BaseException as error:
            if port:
                port.close()
            self._lock.release()
            if isinstance(error, OSError):
                path = self._lock.socket_path
                raise PortError("the socket that shares the port can't be made", path, f"{error}; remove it") from error
            raise

    def now_s(self) -> float:
        return time.monotonic()

    def close(self) -> None:
        self._leave()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class LockedPort(serial.Serial):
    """A pyserial port whose exclusive lock ends with close(), also while a child that was forked just now has it."""

    def close(self) -> None:
        if self.is_open:
            with contextlib.suppress(OSError):
                fcntl.flock(self.fileno(), fcntl.LOCK_UN)
        super().close()


def open_port(path: str) -> serial.Serial:
    """An exclusive pyserial port; PortError says why not."""
    try:
        return LockedPort(path, BAUD, timeout=1.0, write_timeout=WRITE_DEADLINE_S, exclusive=True)
    except serial.SerialException as error:
        raise _open_error(path, error) from error
    except OSError as error:  # termios on something that is no terminal
        raise PortError("this is not a serial port", path, f"{error}; name the port of a board") from error


def _open_error(path, error) -> PortError:
    code = getattr(error, "errno", None)
    text = str(error)
    if code == 2 or "No such file" in text:
        return PortError(
            "no such port", path, "plug the board in; `python -m serial.tools.list_ports` lists what is there"
        )
    if code == 13 or "Permission denied" in text:
        return PortError(
            "no permission to open the port", path, "join the group that owns it (often `dialout`) and log in again"
        )
    if code in (11, 16) or "lock" in text.lower():
        return PortError(
            "the port is busy: another program has it open", path, "close that program (mpremote, a terminal, an IDE)"
        )
    return PortError("the port can't be opened", path, text)


def lost(path, error) -> PortError:
    """The port went away while it was in use."""
    if isinstance(error, serial.SerialTimeoutException):
        return PortError("the port takes no more bytes", path, "the board hangs or is off; reset it")
    return PortError("the port went away", path, f"check the cable and the board's power ({error})")


class DutConsole:
    """The console of a virtual board that this process drives: waiting here is what lets its time pass."""

    number = 0
    gap_count = 0

    def __init__(self, dut):
        self.name = dut.name
        self._dut = dut

    def write(self, data: bytes) -> None:
        self._dut.write_console(data)

    def read(self, wait_s: float) -> bytes:
        end_us = self._dut.now_us + int(wait_s * 1e6)
        data = self._dut.read_console()
        while not data and self._dut.now_us < end_us:
            self._dut.run_until(min(end_us, self._dut.now_us + SLICE_US))
            data = self._dut.read_console()
        return data

    def now_s(self) -> float:
        return self._dut.now_us * 1e-6

    def close(self) -> None:
        """The board is its owner's to close."""
