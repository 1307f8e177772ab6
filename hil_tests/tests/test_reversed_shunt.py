"""A shunt that is wired the other way round and said to be so (`polarity = -1`) gives currents with their true sign."""

import tomllib
from pathlib import Path

import pytest
from assb_hil.scenario import read_scenario
from assb_hil.session import open_session
from assb_host.config.locate import find

CASE = """
title = "A charge and a discharge through a reversed shunt"
pack = "PACK"
plant = "li_lpscl_nca"
duration_s = 48.0
start = { soc_frac = 0.5, pressure_mpa = 5.0 }
load = [{ kind = "cc", at_s = 40.0, current_a = 0.12 }, { kind = "cc", at_s = 44.0, current_a = -0.08 }]
check = [
    { kind = "signal", signal = "true_current_a", statistic = "min", from_s = 42.0, to_s = 43.9, min = 0.11 },
    { kind = "signal", signal = "true_current_a", statistic = "max", from_s = 46.0, max = -0.075 },
    { kind = "event", event = "state_changed", fields = { to_state = "CHARGE" }, after_s = 40.0, by_s = 44.0 },
    { kind = "event", event = "state_changed", fields = { to_state = "DISCHARGE" }, after_s = 44.0 },
]
"""


BOARD = """
name = "reversed"
description = "The virtual board with its shunt turned round"
based_on = "virtual-pico"

[[ina228]]
cell = 0
bus = 0
address = 0x40
range_mv = 163
conversion_us = 540
averages = 4
polarity = -1
"""


@pytest.fixture
def reversed_pack(tmp_path):
    """The reference pack on a board whose monitor's IN+ faces the cell."""
    (tmp_path / "reversed.toml").write_text(BOARD, encoding="utf-8")
    pack = find("pack", "li_lpscl_nca").read_text(encoding="utf-8")
    path = tmp_path / "li_lpscl_nca.toml"
    path.write_text(pack.replace('board = "virtual-pico"', 'board = "reversed.toml"'), encoding="utf-8")
    return path


def test_a_reversed_shunt_shows_the_sign_of_the_true_current(reversed_pack):
    scenario = read_scenario(tomllib.loads(CASE.replace("PACK", str(reversed_pack))), Path("reversed.toml"))
    with open_session(scenario) as session:
        assert session.pack.board.ina228[0].polarity == -1
        result = session.run()
    for from_s, to_s, current_a in ((42.0, 43.9, 0.12), (46.0, 48.0, -0.08)):
        _, said_a = result.recorder.window("current_a", from_s, to_s)
        assert said_a
        assert said_a == pytest.approx([current_a] * len(said_a), abs=0.01)
    assert not [f"{check.name}: {check.value}" for check in result.checks if not check.passed]
