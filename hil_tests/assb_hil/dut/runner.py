"""Starts a virtual board for a person or for another command, with a bench around it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from assb_hil.dut.cost import CostModel
from assb_hil.dut.idle_world import IdleWorld
from assb_hil.dut.virtual import VirtualBoard

DEFAULT_PACK = "li_lpscl_nca"


@contextlib.contextmanager
def start_board(
    name: str,
    *,
    flash: str | Path | None = None,
    micropython: str | Path | None = None,
    pack: str = DEFAULT_PACK,
    seed: int = 0,
) -> Iterator[VirtualBoard]:
    """A board with power on; nobody drives it yet (run_until, run_paced or background).

    It is wired as the pack says and stands beside a simulated cell that is cycled gently. Empty pack: a bare board.
    """
    world, cost, taps = standing_world(pack, seed) if pack else (IdleWorld(), CostModel(), [])
    with VirtualBoard(world, name=name, flash=flash, micropython=micropython, cost=cost, seed=seed) as board:
        for tap in taps:
            board.add_tap(tap)
        board.power_on()
        yield board


def standing_world(pack: str, seed: int):
    """(rig, cost model of the pack's board, taps) of a pack."""
    from assb_host.config import load_pack

    from assb_hil.standing import standing_rig

    rig = standing_rig(pack, seed=seed)
    return rig, CostModel.from_table(load_pack(pack).cost.figures()), [rig.hear]
