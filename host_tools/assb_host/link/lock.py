"""Who holds a port: a lock file beside no one's data, released by the kernel when its holder dies."""

import fcntl
import json
import os
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
    serves: bool = False  # through its hub

    def __str__(self):
        return f"{self.name} (process {self.pid}, since {self.since})"

    @property
    def is_stopped(self) -> bool:
        """By Ctrl-Z: it has the port, and serves nobody. Nobody knows where there is no /proc."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "T"
        except OSError:
            return False


class BusyError(PortError):
    """Another `assb` process has the port; `holder` is None when its lock can't be read."""

    def __init__(self, port: str, holder: Holder | None, remedy: str = ""):
        pid = holder and f"free it with Ctrl-C in its terminal or `kill -INT {holder.pid}`"
        remedy = remedy or f"{pid or 'end that process'}, or use another port"
        super().__init__(f"the port is busy: {holder or 'another process'} has it", port, remedy)
        self.holder = holder

    @property
    def may_be_shared(self) -> bool:
        """Whether the holder serves the port, or will in a moment: a lock that can't be read is just being written."""
        return self.holder is None or self.holder.serves


def lock_folder() -> Path:
    """A folder that every user of this machine shares, since ports are shared too."""
    return Path("/run/lock") if os.access("/run/lock", os.W_OK) else Path(tempfile.gettempdir())


class PortLock:
    """Exclusive use of one port among `assb` processes; its file says who has it."""

    def __init__(self, port: str, holder: str = "", serves: bool = False):
        self.port = os.path.realpath(port)
        self.serves = serves
        self.holder = holder or Path(sys.argv[0]).name
        self.path = lock_folder() / f"assb{self.port.replace('/', '-')}.lock"
        self.socket_path = str(self.path.with_suffix(".sock"))  # of the hub
        self._file = None

    def take(self) -> None:
        """PortError names the holder when somebody else has it."""
        try:
            file = os.fdopen(self._open(), "r+")
            if os.fstat(file.fileno()).st_uid == os.geteuid():
                os.fchmod(file.fileno(), 0o666)  # whatever the umask says: the next holder may be another user
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
        since = datetime.now(UTC).isoformat("T", "seconds")
        json.dump({"pid": os.getpid(), "holder": self.holder, "since": since, "serves": self.serves}, file)
        file.flush()
        self._file = file

    def _open(self) -> int:
        try:
            return os.open(self.path, os.O_RDWR | os.O_NOFOLLOW)
        except FileNotFoundError:  # only then: O_CREAT on another user's file is refused in /run/lock
            return os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)

    def release(self) -> None:
        if self._file:
            fcntl.flock(self._file, fcntl.LOCK_UN)  # closing leaves it to a child that was forked just now
            self._file.close()
            self._file = None


def holder_of(lock: PortLock) -> Holder | None:
    """Who has the port now, without taking it."""
    try:
        with open(lock.path) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return read_holder(file.read())
    except OSError:  # nobody ever had it
        pass
    return None


def read_holder(text: str) -> Holder | None:
    """The holder in a lock file's text; None when it is not readable, as while it is being written."""
    try:
        entry = json.loads(text)
        return Holder(str(entry["holder"]), int(entry["pid"]), str(entry["since"]), bool(entry.get("serves")))
    except (ValueError, KeyError, TypeError):
        return None
