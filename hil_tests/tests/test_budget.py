"""The fault-time budget counts what the firmware really does between two fast ticks."""

import math

import pytest
from assb_host.config import fault_time_budget_ms, load_pack
from assb_host.config.budget import SLICES_BESIDE_CELLS, slices_per_tick
from bench import Bench


@pytest.mark.parametrize("cells", [1, 2])
def test_the_slow_tick_has_the_slices_that_the_budget_counts(cells):
    slots = Bench(cell_count=cells).app._slots
    assert sum(len(slot) for slot in slots) == SLICES_BESIDE_CELLS + cells
    assert max(len(slot) for slot in slots) == math.ceil((SLICES_BESIDE_CELLS + cells) / len(slots))


def test_fewer_fast_ticks_for_the_same_slices_lengthen_the_budget():
    wide = load_pack("li_lpscl_nca")
    tight = load_pack("li_lpscl_nca", changes={"timing.slow_period_ms": 50})
    assert (slices_per_tick(wide), slices_per_tick(tight)) == (1, 2)
    longer_ms = fault_time_budget_ms(tight, "cell_overvoltage") - fault_time_budget_ms(wide, "cell_overvoltage")
    assert longer_ms == pytest.approx(wide.board.cost.slice_worst_us / 1000)
