"""A calibration finds the gain and offset that were put in, whatever was on the board before, and refuses nonsense."""

import json
import math

import pytest
from assb_host.calibration import history
from assb_host.calibration.board import PARAMETERS, hash_of
from assb_host.calibration.fit import KINDS, CalibrationError, Point, fitted
from assb_host.calibration.plot import write_plot

KPA_PER_COUNT = 1.5e-3
NOTHING = dict.fromkeys(PARAMETERS, 0)
LOAD_CELL, CURRENT, VOLTAGE, TEMPERATURE = (KINDS[name] for name in ("load-cell", "current", "voltage", "temperature"))


def raw_points(references, gain, offset):
    """What an uncorrected sensor reads that a board must multiply by `gain` and add `offset` to."""
    return [Point(y, (y - offset) / gain) for y in references]


def test_a_currents_gain_and_offset_are_found():
    fit = fitted(CURRENT, raw_points([-0.6, -0.2, 0.0, 0.2, 0.6], 1.01, -0.003), NOTHING)
    assert fit.values == {"current_gain_ppm": 10000, "current_offset_ua": -3000}
    assert max(map(abs, fit.residuals)) < 1e-9


def test_a_second_calibration_starts_from_what_the_first_left():
    before = NOTHING | {"current_gain_ppm": 10000, "current_offset_ua": -3000}
    points = [Point(y, y) for y in (-0.5, 0.0, 0.5)]  # corrected, and right
    assert fitted(CURRENT, points, before).values == {"current_gain_ppm": 10000, "current_offset_ua": -3000}


def test_a_load_cells_zero_and_span_are_found():
    shift, span = 2000, 0.05  # counts; more MPa a count
    points = [Point(y, y / (1 + span) + 1e-3 * KPA_PER_COUNT * shift) for y in (0.0, 2.0, 5.0, 8.0)]
    fit = fitted(LOAD_CELL, points, NOTHING, KPA_PER_COUNT)
    assert fit.values == {"load_cell_span_ppm": 50000, "load_cell_zero_shift_counts": 2000}
    with_it = NOTHING | fit.values
    assert fitted(LOAD_CELL, [Point(y, y) for y in (0.0, 4.0, 8.0)], with_it, KPA_PER_COUNT).values == fit.values


def test_a_voltages_gain_and_a_temperatures_offset_are_found():
    assert fitted(VOLTAGE, raw_points([2.8, 3.5, 4.2], 0.998, 0.0), NOTHING).values == {"voltage_gain_ppm": -2000}
    points = [Point(25.0, 24.4), Point(25.0, 24.6)]
    assert fitted(TEMPERATURE, points, NOTHING).values == {"temperature_offset_cdegc": 50}


@pytest.mark.parametrize(
    ("kind", "points", "says"),
    [
        (CURRENT, [(0, 0), (1, 1)], "2 points are too few"),
        (TEMPERATURE, [(25, 25)], "too few"),
        (CURRENT, [(0, 0), (0.5, 0.6), (1, 0.4)], "do not rise"),
        (CURRENT, [(0, 0), (0.5, -0.5), (1, -1)], "do not rise"),
        (VOLTAGE, [(3.6, 3.6), (3.6, 3.6), (3.6, 3.6)], "do not rise"),
        (LOAD_CELL, [(5.0, 5.0), (5.1, 5.1), (5.2, 5.2)], "tells no gain"),
        (CURRENT, [(0, 0), (0.5, 0.56), (1, 1)], "lie on no line"),
        (CURRENT, [(0, 0), (0.5, math.nan), (1, 1)], "no pair of numbers: 0.5, nan"),
        (TEMPERATURE, [(25, 25), (math.inf, 25)], "no pair of numbers"),
        (CURRENT, [(0, 0), (0.5, 0.25), (1, 0.5)], "current_gain_ppm would be 1000000"),
        (VOLTAGE, [(3.0, 3.1), (4.0, 4.1333)], "voltage_gain_ppm would be"),
        (TEMPERATURE, [(25, 35), (26, 36)], "temperature_offset_cdegc would be"),
        (LOAD_CELL, [(0, 4.0), (4, 8.0), (8, 12.0)], "load_cell_zero_shift_counts would be"),
    ],
)
def test_nonsense_is_refused(kind, points, says):
    with pytest.raises(CalibrationError, match=says):
        fitted(kind, [Point(*point) for point in points], NOTHING, KPA_PER_COUNT)


def test_the_hash_changes_with_any_correction():
    assert len({hash_of(NOTHING)} | {hash_of(NOTHING | {name: 1}) for name in PARAMETERS}) == len(PARAMETERS) + 1


def test_the_newest_that_stands_is_undone_and_an_empty_history_refuses(tmp_path):
    path = tmp_path / "calibrations.json"
    fit = fitted(CURRENT, raw_points([-1, 0, 1], 1.01, 0.0), NOTHING)
    entry = history.entry_of(fit, NOTHING, NOTHING | fit.values, {"board": "b"}, operator="me", instrument="x", note="")
    history.save(path, [entry, dict(entry, undone=True)])
    assert history.newest(history.load(path), path) == json.loads(json.dumps(entry))
    with pytest.raises(CalibrationError, match="nothing to take back"):
        history.newest([], path)
    for text in ("{", '{"a": 1}', "[1]", "[{}]"):
        path.write_text(text)
        with pytest.raises(CalibrationError, match="no history"):
            history.load(path)
        assert path.read_text() == text


def test_an_undo_puts_back_what_that_calibration_changed_and_nothing_else():
    board = {"board": "b", "pack": "p"}
    older = NOTHING | {"temperature_offset_cdegc": 30}
    fit = fitted(CURRENT, raw_points([-1, 0, 1], 1.01, 0.0), older)
    after = older | fit.values | {"calibrated_day": 20000}
    entry = history.entry_of(fit, older, after, board, operator="me", instrument="x", note="")
    newer = after | {"temperature_offset_cdegc": 50, "calibrated_day": 20001}
    assert history.put_back(entry, newer, board) == {"current_gain_ppm": 0, "calibrated_day": 0}
    with pytest.raises(CalibrationError, match="another current_gain_ppm by now"):
        history.put_back(entry, newer | {"current_gain_ppm": 7}, board)
    with pytest.raises(CalibrationError, match="the calibration is of b, p"):
        history.put_back(entry, after, {"board": "b", "pack": "q"})


def test_points_are_applied_once_unless_that_was_undone():
    board = {"board": "b", "pack": "p"}
    fit = fitted(CURRENT, raw_points([-1, 0, 1], 1.01, 0.0), NOTHING)
    entry = history.entry_of(fit, NOTHING, NOTHING | fit.values, board, operator="me", instrument="x", note="")
    entry = json.loads(json.dumps(entry))
    with pytest.raises(CalibrationError, match="applied already, on 20"):
        history.demand_new([entry], fit, board)
    history.demand_new([entry | {"undone": True}], fit, board)
    history.demand_new([entry], fit, {"board": "b", "pack": "q"})
    history.demand_new([entry], fitted(CURRENT, raw_points([-1, 0, 1], 1.02, 0.0), NOTHING), board)


def test_the_picture_is_drawn(tmp_path):
    fit = fitted(CURRENT, raw_points([-1, 0, 1], 1.01, 0.001), NOTHING)
    text = write_plot(fit, tmp_path / "a.svg").read_text()
    assert "residual after" in text and "gain 1.010000" in text
