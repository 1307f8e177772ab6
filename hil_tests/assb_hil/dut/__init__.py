"""Devices under test: one interface, and the virtual board behind it."""

import contextlib
from collections.abc import Iterator
from typing import Any

from assb_host.errors import EXIT_PORT, AssbError


class BoardNotFoundError(AssbError):
    """No virtual board of that name runs."""

    exit_code = EXIT_PORT


@contextlib.contextmanager
def open_dut(name: str = "", **options: Any) -> Iterator[Any]:
    """Entry point `virtual`: yields a running virtual board (only its console_port), or one started for the context.

    name: of a board that `assb board run` keeps alive; empty: the one that runs, else a new one with an empty flash.
    options: flash, pace, micropython, pack and seed of a new one.
    """
    from assb_hil.dut.registry import find_entry
    from assb_hil.dut.runner import start_board

    entry = find_entry(name or None)
    if entry:
        yield _Running(entry.port)
        return
    if name:
        raise BoardNotFoundError(f"no virtual board named {name} runs", "", f"start it with `assb board run {name}`")
    pace = options.pop("pace", 1.0)
    with start_board("virtual", **options) as board, board.background(pace):
        yield board


class _Running:
    """A board in another process: its port is all there is to it."""

    def __init__(self, console_port: str):
        self.console_port = console_port
