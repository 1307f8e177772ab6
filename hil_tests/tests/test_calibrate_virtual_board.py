"""Corrections on a running board: they act on what it reads, outlast a restart, and are refused while it is in use."""

import pytest
from assb import console_commands
from assb.protocol import schema
from assb.storage.note import TEXT_BYTES
from assb_host.calibration import board
from assb_host.calibration.board import NOTE_CHARACTERS
from assb_host.calibration.fit import KINDS, CalibrationError, Point, fitted, wire_values
from assb_host.errors import RefusedError
from assb_host.link.console import DutConsole
from assb_host.link.decoder import Frame
from assb_host.link.link import Link
from assb_host.link.stored import sync


@pytest.fixture
def link(dut):
    link = Link(DutConsole(dut))
    link.hello(10.0)
    safe = schema.STATES.index("SAFE")
    link.wait_for(lambda item: isinstance(item, Frame) and item.fields.get("state") == safe and item.name == "PACK", 10)
    return link


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("voltage", {"voltage_gain_ppm": 5000}, lambda before, _: before * 1.005),
        ("current", {"current_offset_ua": 25000}, lambda before, _: before + 0.025),
        ("temperature", {"temperature_offset_cdegc": -150}, lambda before, _: before - 1.5),
        ("load-cell", {"load_cell_zero_shift_counts": -2000}, lambda before, kpa: before + 2.0 * kpa),
    ],
)
def test_a_correction_acts_on_what_is_read(link, kind, values, expected):
    kpa, before = board.kpa_per_count(link), board.mean_reading(link, KINDS[kind], 0, 1.0)
    board.demand_idle(link)
    board.put(link, values)
    board.mean_reading(link, KINDS["voltage"], 0, 1.0)  # what was sampled before is sent
    tolerance = {"voltage": 5e-4, "current": 2e-3, "temperature": 0.1, "load-cell": 0.02}[kind]
    assert board.mean_reading(link, KINDS[kind], 0, 1.0) == pytest.approx(expected(before, kpa), abs=tolerance)
    assert board.read(link) == dict.fromkeys(board.PARAMETERS, 0) | values


def test_a_fit_of_readings_makes_them_right(link):
    """The reference is 0.2 % above what the board reads, wherever the points are."""
    read = board.mean_reading(link, KINDS["voltage"], 0, 1.0)
    fit = fitted(KINDS["voltage"], [Point(1.002 * x, x) for x in (read - 1, read)], board.read(link))
    board.put(link, fit.values)
    board.mean_reading(link, KINDS["voltage"], 0, 1.0)  # what was sampled before is sent
    assert board.mean_reading(link, KINDS["voltage"], 0, 1.0) == pytest.approx(1.002 * read, abs=5e-4)


def test_a_board_in_use_refuses_and_changes_nothing(link):
    link.request("arm")
    link.poll(0.3)
    with pytest.raises(CalibrationError, match="in use"):
        board.demand_idle(link)
    with pytest.raises(RefusedError, match="not_safe"):
        link.request("set", name="current_gain_ppm", value=1000)
    assert board.read(link) == dict.fromkeys(board.PARAMETERS, 0)


def test_beyond_the_envelope_is_refused(link):
    with pytest.raises(RefusedError, match="out_of_range"):
        link.request("set", name="voltage_gain_ppm", value=10001)


def test_a_zero_that_would_move_the_trip_of_pressure_too_far_is_refused_and_its_span_with_it(link):
    """5 % of 7 MPa is 150323 counts: within the parameter's range, but not within this pack's."""
    values = wire_values(KINDS["load-cell"], 1.01, -0.36, board.kpa_per_count(link))
    assert 150323 < values["load_cell_zero_shift_counts"] < 200000
    with pytest.raises(RefusedError, match="out_of_range_-150323_to_150323"):
        board.put(link, values)
    assert board.read(link) == dict.fromkeys(board.PARAMETERS, 0)


@pytest.mark.bench(starts=2)
def test_the_board_says_who_calibrated_it_also_after_a_restart(link):
    assert board.note(link) == ""
    told = "current 2026-11-28, A. Lab_2, 8846A #1234567, 5 % off before*"
    assert board.put_note(link, told) == board.note(link) == told
    assert sync(link, 5.0)["parameters"] == 0
    link.request("reset")
    link.hello(10.0)
    assert board.note(link) == told


def test_a_line_that_is_too_long_is_cut_short_and_longer_ones_are_refused(link):
    kept = board.put_note(link, "ä" + 99 * "n")
    assert kept == board.note(link) == "ä" + (NOTE_CHARACTERS - 6) * "n"
    with pytest.raises(RefusedError, match="too_long"):
        link.request("note", text=(NOTE_CHARACTERS + 1) * "n")
    assert board.note(link) == kept
    assert NOTE_CHARACTERS == TEXT_BYTES == console_commands._NOTE_MOST
