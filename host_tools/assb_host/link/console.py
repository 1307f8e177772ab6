"""Where bytes to and from a board go: a serial port, or the console of a virtual board in this process.

A console has its own clock, because a virtual board in lockstep only moves while somebody lets it.
"""

import time
from typing import Protocol

import serial

from assb_host.errors import PortError
from assb_host.link.lock import PortLock

BAUD = 115200  # USB ignores it; a UART bridge does not
WRITE_DEADLINE_S = 2.0
SLICE_US = 10_000  # a virtual board is let run in slices this long while somebody waits for its bytes


class Console(Protocol):
    name: str

    def write(self, data: bytes) -> None: ...

    def read(self, wait_s: float) -> bytes:
        """What has come; waits up to wait_s for the first byte."""
        ...

    def now_s(self) -> float: ...

    def close(self) -> None: ...


class SerialConsole:
    """A serial port that is ours alone while it is open; the lock names us to whoever comes second."""

    def __init__(self, path: str, holder: str = ""):
        self.name = path
        self.lock = PortLock(path, holder)
        self.lock.take()
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


def open_port(path: str) -> serial.Serial:
    """An exclusive pyserial port; PortError says why not."""
    try:
        return serial.Serial(path, BAUD, timeout=1.0, write_timeout=WRITE_DEADLINE_S, exclusive=True)
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
