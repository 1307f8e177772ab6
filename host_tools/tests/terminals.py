"""A pseudo-terminal in the place of a board's port."""

import os
import pty
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
