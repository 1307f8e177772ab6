"""Flash and heap that the firmware takes, against firmware/budget.toml: no growth unseen, and no saving either."""

import tomllib
from dataclasses import replace
from pathlib import Path

import assb
import pytest
from assb_hil.scenario import load_scenario
from assb_hil.session import open_session
from assb_host.flash.firmware_files import firmware_files

BUDGET = tomllib.loads((Path(assb.__file__).parents[1] / "budget.toml").read_text(encoding="utf-8"))
SLACK = 0.06  # a budget that lies further from the truth guards nothing
RUNS = {  # a scenario on the board
    "virtual-pico": "hard_short",
    "virtual-cheap": "cheap_rig/measures",
    "virtual-2s": "balancing",
    "virtual-bq": "stack_monitor/measures",
}


def test_the_firmwares_files_keep_to_the_budget():
    taken = sum(len(data) for path, data in firmware_files().items() if path.endswith(".mpy"))
    assert taken <= BUDGET["flash"]["mpy_bytes"]
    assert taken >= (1 - SLACK) * BUDGET["flash"]["mpy_bytes"], "smaller: write the saving down"


def test_every_budget_has_a_run():
    assert sorted(RUNS) == sorted(BUDGET["heap_low_bytes"])


@pytest.mark.parametrize("board", RUNS)
def test_the_heap_keeps_to_the_budget(board):
    scenario = replace(load_scenario(RUNS[board]), duration_s=4.0, faults=(), checks=())
    with open_session(scenario) as session:
        session.run()
        assert session.pack.board.name == board
        low_b = session.recorder.window("heap_low_b", 0.0, 4.0)[1][-1]
    least_b = BUDGET["heap_low_bytes"][board]
    assert low_b >= least_b
    assert low_b * (1 - SLACK) <= least_b, "more is free: write the saving down"
