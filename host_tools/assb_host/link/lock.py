"""Who holds a port: a lock file beside no one's data, released by the kernel when its holder dies."""

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from assb_host.errors import PortError


@dataclass(frozen=True)
class Holder:
    """Who has a port, as its lock file says."""

    name: str  # `assb monitor`
    pid: int
    since: str

    def __str__(self):
        return f"{self.name} (process {self.pid}, since {self.since})"

    def lives(self) -> bool:
        """Whether that process is still the command that took the lock, and not another with its old number."""
        path = Path(f"/proc/{self.pid}/cmdline")
        if path.parent.parent.joinpath("self").exists():
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace") if path.exists() else ""
        else:
            listed = subprocess.run(
                ["ps", "-o", "args=", "-p", str(self.pid)], capture_output=True, text=True, check=False
            )
            line = listed.stdout
        program, _, command = self.name.partition(" ")
        return program in line and command in line.split()

    def interrupt(self) -> None:
        """As Ctrl-C in its terminal; PortError when that process is not the one of the lock, or not ours to ask."""
        try:
            if self.lives():
                os.kill(self.pid, signal.SIGINT)
                return
        except ProcessLookupError:
            pass  # it has ended since
        except PermissionError as error:
            raise PortError(f"{self} belongs to another user", f"process {self.pid}", "end it there") from error
        raise PortError(f"process {self.pid} is not `{self.name}` any more", "its lock", "try again")


class BusyError(PortError):
    """Another `assb` process has the port; `holder` is None when its lock can't be read."""

    def __init__(self, port: str, holder: Holder | None):
        remedy = "end that process, or use another port"
        if holder:
            remedy = f"free it with Ctrl-C in its terminal or `kill -INT {holder.pid}`, or use another port"
        super().__init__(f"the port is busy: {holder or 'another process'} has it", port, remedy)
        self.holder = holder


def lock_folder() -> Path:
    """A folder that every user of this machine shares, since ports are shared too."""
    return Path("/run/lock") if os.access("/run/lock", os.W_OK) else Path(tempfile.gettempdir())


class PortLock:
    """Exclusive use of one port among `assb` processes; its file says who has it."""

    def __init__(self, port: str, holder: str = ""):
        self.port = os.path.realpath(port)
        self.holder = holder or Path(sys.argv[0]).name
        self.path = lock_folder() / f"assb{self.port.replace('/', '-')}.lock"
        self._file = None

    def take(self) -> None:
        """PortError names the holder when somebody else has it."""
        try:
            file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666), "r+")
        except OSError as error:
            raise PortError(
                "the lock of the port can't be opened", str(self.path), error.strerror or str(error)
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = read_holder(file.read())
            file.close()
            raise BusyError(self.port, holder) from None
        file.truncate(0)
        json.dump(
            {"pid": os.getpid(), "holder": self.holder, "since": datetime.now(UTC).isoformat("T", "seconds")}, file
        )
        file.flush()
        self._file = file

    def release(self) -> None:
        if self._file:
            self._file.close()
            self._file = None


def read_holder(text: str) -> Holder | None:
    """The holder in a lock file's text; None when it is not readable, as while it is being written."""
    try:
        entry = json.loads(text)
        return Holder(str(entry["holder"]), int(entry["pid"]), str(entry["since"]))
    except (ValueError, KeyError, TypeError):
        return None
