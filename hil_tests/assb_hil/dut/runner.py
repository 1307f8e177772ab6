"""Starts a virtual board for a person or for another command."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from assb_hil.dut.base import World
from assb_hil.dut.cost import CostModel
from assb_hil.dut.idle_world import IdleWorld
from assb_hil.dut.virtual import VirtualBoard

WorldFactory = Callable[[], World]


@contextlib.contextmanager
def start_board(
    name: str,
    *,
    flash: str | Path | None = None,
    micropython: str | Path | None = None,
    world_factory: WorldFactory = IdleWorld,
    cost: CostModel | None = None,
    seed: int = 0,
) -> Iterator[VirtualBoard]:
    """A board with power on; nobody drives it yet (run_until, run_paced or background)."""
    with VirtualBoard(world_factory(), name=name, flash=flash, micropython=micropython, cost=cost, seed=seed) as board:
        board.power_on()
        yield board
