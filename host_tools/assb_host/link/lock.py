"""Who holds a port: a lock file beside no one's data, released by the kernel when its holder dies."""

import fcntl
import json
import os
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from assb_host.errors import PortError


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
            holder = describe(file.read())
            file.close()
            raise PortError(
                f"the port is busy: {holder} has it", self.port, "end that process, or use another port"
            ) from None
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


def describe(text: str) -> str:
    """`assb monitor (process 4711, since 12:00:03)` from a lock file's text."""
    try:
        entry = json.loads(text)
        return f"{entry['holder']} (process {entry['pid']}, since {entry['since']})"
    except (ValueError, KeyError, TypeError):
        return "another process"
