"""Claims about the cost model: what a board file may say, and what the board makes of it."""

import pytest
from assb_hil.dut.cost import CostError, CostModel
from virtual_bench import run_lines


def test_a_table_replaces_what_it_names_and_keeps_the_rest():
    model = CostModel.from_table({"gc_us": 7, "source": "a measurement"})
    assert model.gc_us == 7
    assert model.fast_us == CostModel().fast_us
    assert model.pairs()[4] == (7, CostModel().gc_jitter_us)


@pytest.mark.parametrize("table", [{"gc_ms": 7}, {"gc_us": -1}, {"gc_us": 1.5}, {"gc_us": True}, {"gc_us": 10**10}])
def test_a_wrong_table_is_refused(table):
    with pytest.raises(CostError, match="gc_"):
        CostModel.from_table(table)


def test_costs_stay_between_base_and_base_plus_jitter_and_use_the_whole_range(tmp_path):
    main = """
import time
taken = []
for n in range(200):
    t = time.ticks_us()
    time.board_cost(3)
    taken.append(time.ticks_diff(time.ticks_us(), t) - 2)
print(min(taken), max(taken), sum(taken) // 200)
"""
    cost = CostModel(boot_us=1_000, other_slice_us=100, other_slice_jitter_us=1_000)
    smallest, largest, mean = map(int, run_lines(tmp_path, main, 500_000, cost=cost)[0].split())
    assert 100 <= smallest < 150
    assert 1_050 < largest <= 1_100
    assert mean == pytest.approx(600, abs=80)
