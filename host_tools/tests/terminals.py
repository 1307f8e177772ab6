"""A pseudo-terminal in the place of a board's port."""

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def open_terminal() -> Iterator[tuple[int, str]]:
    """(master descriptor, path of the other end)."""
    master, slave = pty.openpty()
    try:
        yield master, os.ttyname(slave)
    finally:
        os.close(master)
        os.close(slave)


HOLD = """
import sys
from assb_host.link import console
held = getattr(console, sys.argv[1])(*sys.argv[2:])
print("held", flush=True)
sys.stdin.read()
"""


def holder(console: str, path: str, name: str) -> subprocess.Popen[str]:
    """A process of that name that has the port, through that console, until its standard input ends."""
    command = [sys.executable, "-c", HOLD, console, path, name]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process
