"""Verdicts on made recordings whose truth is known, and that rows which can be no reading change none of them."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from assb_host import cli
from assb_host.replay.columns import parse_mapping
from assb_host.replay.comparison import beside_v
from assb_host.replay.pack_log import read_pack_log
from assb_host.replay.replay import facts_of, replay
from assb_host.replay.verdict import LASTING, confidence_of, lasting
from hypothesis import given, settings
from hypothesis import strategies as st
from pack_recordings import CELL, COLUMNS, PROFILE, MadePack, written

AH = CELL.capacity_ah
LEAK = {4: (AH / 500, 20.0)}
INVALID = (
    lambda fields: [*fields[:-1], "0.0"],
    lambda fields: [*fields[:3], "nan", *fields[4:]],
    lambda fields: fields[:4],
    lambda fields: ["", *fields[1:]],
    lambda fields: [fields[0], "9e9", *fields[2:]],
    lambda fields: fields,  # the same time again
    lambda fields: ["-1", *fields[1:]],
)


def facts(lines: list[str]) -> dict:
    with TemporaryDirectory() as folder:
        log = read_pack_log(written(Path(folder), lines), CELL, parse_mapping(COLUMNS))
    return facts_of(replay(CELL, log))


@cache
def leaking_lines() -> list[str]:
    return MadePack(10, 60, leak_a=LEAK).lines()


@cache
def leaking_facts() -> dict:
    return facts(leaking_lines())


def alarmed(found: dict) -> list[str]:
    return [cell["name"] for cell in found["cells"] if cell["stage"] != "none"]


@pytest.mark.parametrize("cells", [2, 4, 10])
def test_the_leaking_cell_comes_first_with_its_resistance_and_no_other_is_alarmed(cells):
    found = facts(MadePack(cells, 60, leak_a={cells - 1: (AH / 500, 20.0)}).lines())
    weakest = found["cells"][0]
    assert alarmed(found) == [f"U_{cells}"]
    assert weakest["stage"] == "soft_short" and weakest["confidence"] > 0.9
    truth_ohm = 3.7 / (AH / 500)
    assert truth_ohm / 2 < weakest["rs_ohm"] < truth_ohm * 2
    assert weakest["rs_low_ohm"] < weakest["rs_ohm"] < weakest["rs_high_ohm"]
    assert weakest["first_suspect_s"] <= weakest["first_soft_short_s"]
    assert weakest["first_soft_short_s"] > 20 * 3600
    assert [event["stage"] for event in found["events"]] == ["suspect", "soft_short"]


@pytest.mark.parametrize(
    "pack",
    [
        MadePack(10, 60),
        MadePack(10, 60, leak_a={k: (AH / 500, 20.0) for k in range(4, 10)}),  # a monitor that feeds on its cells
        MadePack(10, 60, capacity_frac={4: 0.95}),
        MadePack(10, 60, offset_soc={4: -0.015}),
        MadePack(4, 8, sample_s=1.0),
        MadePack(1, 20),
    ],
    ids=["sound", "module", "capacity", "imbalance", "fast", "single"],
)
def test_what_is_no_short_alarms_nobody(pack):
    assert alarmed(facts(pack.lines())) == []


def test_an_imbalance_that_was_always_there_is_a_suspect_at_most():
    found = facts(MadePack(10, 60, offset_soc={4: -0.04}).lines())
    assert [(cell["name"], cell["stage"]) for cell in found["cells"][:1]] == [("U_5", "suspect")]
    assert found["cells"][0]["rs_ohm"] is None and found["cells"][0]["confidence"] < 0.5


def test_a_leak_goes_on_through_a_gap():
    """No row of the days in which the charge is lost."""
    lines = MadePack(10, 130, leak_a={4: (AH / 1000, 42.0)}).lines()
    kept = [line for line in lines[1:] if not 41.5 * 3600 < float(line.split(",")[0]) < 90 * 3600]
    found = facts([lines[0], *kept])
    assert found["gaps"] == 1 and alarmed(found) == ["U_5"]
    assert found["cells"][0]["stage"] == "soft_short"


@pytest.mark.parametrize(("cells", "sample_s", "within_h"), [(1, 30.0, 2.9), (1, 1.0, 2.9), (4, 1.0, 2.1)])
def test_a_recording_that_can_feed_the_firmwares_detectors_does(cells, sample_s, within_h):
    found = facts(MadePack(cells, 12, sample_s=sample_s, leak_a={0: (AH / 20, 6.0)}).lines())
    weakest = found["cells"][0]
    assert "firmware" in found["detectors"]
    assert weakest["stage"] == "soft_short" and len(alarmed(found)) == 1
    assert 6 < weakest["first_soft_short_s"] / 3600 < 6 + within_h
    assert 0.5 < weakest["rs_ohm"] / (3.7 / (AH / 20)) < 2


def test_a_pack_read_every_half_minute_feeds_the_comparison_alone():
    assert leaking_facts()["detectors"] == ["neighbours"]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 7000), st.sampled_from(INVALID)), max_size=8, unique_by=lambda one: one[0]))
def test_rows_that_can_be_no_reading_change_no_verdict(inserted):
    lines = list(leaking_lines())
    for row, spoilt in sorted(inserted, key=lambda one: -one[0]):
        lines.insert(row + 1, ",".join(spoilt(lines[row].split(","))))
    found, truth = facts(lines), leaking_facts()
    assert sum(found["rows_skipped"].values()) == len(inserted)
    for cell in (*found["cells"], *truth["cells"]):
        cell.pop("rows_skipped", None)
    assert (found["cells"], found["events"]) == (truth["cells"], truth["events"])


def test_a_cell_is_compared_with_the_lower_of_its_sides():
    row = np.array([[3.7, 3.7, 3.7, 3.7, 3.6, 3.6, 3.6, 3.6, 3.6, 3.6]])
    assert beside_v(row)[0].tolist() == pytest.approx([3.7, 3.7, *[3.6] * 8])
    few = np.array([[3.70, 3.71, 3.65]])
    assert beside_v(few)[0].tolist() == [3.65, 3.65, 3.70]


def test_one_window_alone_is_no_evidence():
    sigmas = np.zeros((8, 1))
    sigmas[3] = 50.0
    assert lasting(sigmas).max() == 0
    assert lasting(np.full((LASTING - 1, 1), 50.0)).max() == 0
    assert lasting(np.full((LASTING, 1), 50.0)).max() == 50


def test_confidence_rises_with_the_score_and_is_bounded():
    assert confidence_of(0) < 0.02 < confidence_of(1) < 0.5 < confidence_of(2) < confidence_of(3) == confidence_of(99)


def test_the_command_prints_json_a_table_and_a_page(tmp_path, capsys):
    path = written(tmp_path, leaking_lines())
    options = ["replay", str(path), "--cell", PROFILE, "--columns", COLUMNS]
    assert cli.run([*options, "--json", "--out", str(tmp_path / "out")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"name", "stage", "confidence", "rs_ohm", "first_suspect_s", "first_soft_short_s"} <= set(found["cells"][0])
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert found["report"].endswith("report.html") and "U_5: soft short" in page and "<svg" in page
    assert json.loads((tmp_path / "out" / "replay.json").read_text())["cells"] == found["cells"]
    rows = (tmp_path / "out" / "deviation.csv").read_text().splitlines()
    assert rows[0].startswith("time_s,soc,sigma,U_1") and len(rows) == 1 + found["windows_compared"]
    assert cli.run(options) == 0
    said = capsys.readouterr().out
    assert "U_5" in said and "soft short" in said and "missing against neighbours" in said


def test_a_folder_that_can_not_be_written_is_told(tmp_path, capsys):
    path = written(tmp_path, leaking_lines())
    assert cli.run(["replay", str(path), "--cell", PROFILE, "--columns", COLUMNS, "--out", str(path / "out")]) == 1
    assert "choose another --out" in capsys.readouterr().err
