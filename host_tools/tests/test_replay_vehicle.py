"""The recording of a real vehicle's pack: 88 cells, V_82 known to be weak, a row every 30 s for 112 days."""

from pathlib import Path

import pytest
from assb_host.config.cell import load_cell
from assb_host.replay.columns import parse_mapping
from assb_host.replay.pack_log import read_pack_log
from assb_host.replay.replay import facts_of, replay
from reference_data import data_folder
from vehicle_profile import OUT, columns, profile

COLUMNS = "time=tboxTime,current=-BMSBatteryCurrent,voltage=V_1..V_88,temperature=BMSProbeTempMax"
DAY_S = 86400.0


@pytest.fixture(scope="module")
def recording() -> Path:
    return data_folder("ev_pack_faults") / "car2_processed.zip"


@pytest.fixture(scope="module")
def found(recording) -> dict:
    cell = load_cell(OUT)
    return facts_of(replay(cell, read_pack_log(recording, cell, parse_mapping(COLUMNS))))


def test_the_weak_cell_is_ranked_first_and_no_other_is_alarmed(found):
    stages = {cell["name"]: cell["stage"] for cell in found["cells"] if cell["stage"] != "none"}
    assert stages == {"V_82": "soft_short"}
    assert found["cells"][0]["name"] == "V_82" and found["cells"][0]["confidence"] > 0.99


def test_the_evidence_of_the_weak_cell_is_far_above_anyone_elses(found):
    weak, second = found["cells"][:2]
    assert second["confidence"] < 0.25
    assert weak["fallen_soc_frac_max"] > 3 * second["fallen_soc_frac_max"]


def test_it_says_when_and_how_large(found):
    weak = found["cells"][0]
    assert 20 < weak["first_suspect_s"] / DAY_S < 30
    assert 88.5 < weak["first_soft_short_s"] / DAY_S < 90  # it lost 3 % in the day before
    assert found["events"][-1]["time"].startswith("2019-07-1")
    assert 20 < weak["rs_ohm"] < 200


def test_the_rows_that_are_none_are_counted(found):
    assert found["rows_skipped"] == {"voltage out of range": 15, "time not rising": 1}
    assert found["rows"] == 14369


def test_the_profile_is_what_the_recording_gives(recording):
    made, kept = profile(columns(recording)), load_cell(OUT)
    assert made["ocv"]["voltage_v"] == pytest.approx(kept.ocv.voltage_v, abs=1e-3)
    assert made["capacity_ah"] == kept.capacity_ah
