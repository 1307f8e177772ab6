"""Virtual boards that other commands can find: a file for each in the runtime directory, locked while it lives.

A lock ends with its process, however that ends, so an entry whose lock is free is stale, whatever its process number
says.
"""

import contextlib
import fcntl
import json
import os
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from assb_host.errors import EXIT_PORT, AssbError

CLAIM_S = 0.3
STOP_S = 10.0
POLL_S = 0.02
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class RegistryError(AssbError):
    """A name that can't be used, is in use, or is not there."""

    exit_code = EXIT_PORT


@dataclass(frozen=True)
class Entry:
    """A running virtual board."""

    name: str
    port: str
    pid: int
    flash: str
    pace: str


def directory() -> Path:
    """Where the entries lie; made on the first call, for this user alone."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    path = Path(runtime, "assb") if runtime else Path(tempfile.gettempdir(), f"assb-{os.getuid()}")
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.stat().st_uid != os.getuid():
        raise RegistryError(
            f"{path} belongs to somebody else", str(path), "set XDG_RUNTIME_DIR to a directory of your own"
        )
    return path


def path_of(name: str) -> Path:
    """The entry's file."""
    if not NAME.fullmatch(name):
        raise RegistryError(
            f"{name!r} is no name for a board", "", "use letters, digits, dot, dash and underscore, at most 64"
        )
    return directory() / f"{name}.board"


@contextlib.contextmanager
def registered(entry: Entry) -> Iterator[None]:
    """The entry is found by others while the context lasts."""
    path = path_of(entry.name)
    with _claimed(path, time.monotonic() + CLAIM_S) as file:
        if file is None:
            raise RegistryError(
                f"a board named {entry.name} runs already", str(path), f"`assb board stop {entry.name}` ends it"
            )
        file.truncate(0)
        file.write(json.dumps(asdict(entry)))
        file.flush()
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def running() -> list[Entry]:
    """All boards that run, by name; stale entries are removed on the way."""
    found = [_read(path) for path in sorted(directory().glob("*.board"))]
    return [entry for entry in found if entry]


def find_entry(name: str | None = None) -> Entry | None:
    """The running board of that name; without a name the only one, or the one named `virtual` among several."""
    if name:
        return _read(path_of(name))
    boards = running()
    if len(boards) > 1:
        boards = [entry for entry in boards if entry.name == "virtual"]
        if not boards:
            raise RegistryError(
                "several virtual boards run",
                ", ".join(entry.name for entry in running()),
                "say which: --dut virtual:NAME",
            )
    return boards[0] if boards else None


def running_ports() -> list[tuple[str, str, list[str]]]:
    """(port, description, board files that fit) of each, for `assb boards`."""
    return [(entry.port, f"virtual board {entry.name}", ["virtual-pico"]) for entry in running()]


def find_board(name: str | None = None) -> str | None:
    """Port of a running virtual board, or None; see find_entry."""
    entry = find_entry(name)
    return entry.port if entry else None


def stop(entry: Entry) -> None:
    """Asks the board's process to end, as Ctrl-C in its terminal would, and waits until it has."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(entry.pid, signal.SIGTERM)
    deadline_s = time.monotonic() + STOP_S
    while _read(path_of(entry.name)) == entry:
        if time.monotonic() > deadline_s:
            raise RegistryError(
                f"board {entry.name} has not ended within {STOP_S:g} s", f"process {entry.pid}", "kill that process"
            )
        time.sleep(POLL_S)


@contextlib.contextmanager
def _claimed(path: Path, deadline_s: float) -> Iterator[IO[str] | None]:
    """The entry's file under this process's lock; None when another board holds it. A reader has it for a moment."""
    while True:
        with open(path, "a+") as file:
            if _lock(file, fcntl.LOCK_EX):
                if path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    yield file
                    return
            elif time.monotonic() > deadline_s:
                yield None
                return
        time.sleep(POLL_S)


def _lock(file: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(path: Path) -> Entry | None:
    """An entry whose process lives; a stale file is removed."""
    try:
        with open(path) as file:
            if _lock(file, fcntl.LOCK_SH):
                path.unlink(missing_ok=True)
                return None
            return Entry(**json.loads(file.read()))
    except (FileNotFoundError, ValueError, TypeError):  # gone, or its owner is about to write it
        return None
