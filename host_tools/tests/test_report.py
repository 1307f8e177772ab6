"""A recording becomes a page that stands alone, and a table that says what the Battery Data Format wants."""

import json
import re
from html.parser import HTMLParser

import pytest
from assb_host.report import Check, Event, Recording, Series, render_page, write_bdf

TIMES_S = [0.1 * tick for tick in range(200)]


def recording(**changes):
    def series(value):
        return Series(TIMES_S, [value] * len(TIMES_S))

    settings = {
        "title": "A <test> & more",
        "series": {
            "voltage_v": series(3.8),
            "current_a": series(0.2),
            "soc_frac": series(0.52),
            "soc_sigma_frac": series(0.01),
            "true_soc_frac": series(0.5),
            "pressure_mpa": series(5.0),
            "stage": series(2.0),
            "state": series(6.0),
        },
        "windows": {"pressure_mpa": (4.5, 5.5)},
        "state_names": ("A", "B", "C", "D", "E", "F", "CHARGE"),
        "stage_names": ("none", "suspect", "soft_short", "hard_short"),
        "events": [Event(5.0, "rig", "fault_applied", "soft short"), Event(9.0, "board", "stage_changed", "<b>")],
        "checks": [Check("pressure", True, 12.0, 30.0, "kPa")],
        "meta": {"seed": "1"},
    }
    return Recording(**(settings | changes))


class Reader(HTMLParser):
    """Collects what a page would fetch, and its tags."""

    def __init__(self):
        super().__init__()
        self.fetched, self.tags = [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.fetched += [value for name, value in attrs if name in ("src", "href") and not str(value).startswith("#")]


def read(page):
    reader = Reader()
    reader.feed(page)
    return reader


def test_a_page_fetches_nothing():
    reader = read(render_page(recording()))
    assert reader.fetched == []
    assert not {"script", "link", "img", "iframe"} & set(reader.tags)


def test_a_page_has_a_picture_for_each_quantity_that_was_recorded():
    assert read(render_page(recording())).tags.count("svg") == 5
    assert read(render_page(recording(series={}))).tags.count("svg") == 0


def test_text_from_outside_is_escaped():
    page = render_page(recording())
    assert "A &lt;test&gt; &amp; more" in page
    assert "<b>" not in page


@pytest.mark.parametrize(
    ("checks", "verdict"),
    [
        ([Check("a", True, 1.0, 2.0, "s")], "PASSED"),
        ([Check("a", True, 1.0, 2.0, "s"), Check("b", False, None, 2.0, "s")], "FAILED"),
        ([], "RECORDED"),
    ],
)
def test_the_verdict_is_that_of_all_checks(checks, verdict):
    assert re.search(r"<strong>(\w+)</strong>", render_page(recording(checks=checks))).group(1) == verdict


def test_the_same_recording_gives_the_same_page():
    assert render_page(recording()) == render_page(recording())


def test_the_soc_error_of_the_page_ends_before_the_first_fault():
    late = [0.5] * 150 + [0.9] * 50
    series = recording().series | {"soc_frac": Series(TIMES_S, late)}
    events = [Event(15.0, "rig", "fault_applied")]
    assert "0.00 %" in render_page(recording(series=series, events=events))
    assert "40.00 %" in render_page(recording(series=series, events=[]))


def test_a_bdf_table_has_the_names_of_the_format_and_its_meta_says_it_is_whole(tmp_path):
    path = write_bdf(recording(), tmp_path / "cell0.bdf.csv")
    lines = path.read_text().splitlines()
    assert lines[0] == "test_time_second,voltage_volt,current_ampere,applied_pressure_pa"
    assert lines[1] == "0.000,3.800000,0.200000,5000000"
    assert len(lines) == 1 + len(TIMES_S)
    meta = json.loads((tmp_path / "cell0.bdf.meta.json").read_text())
    assert meta["finalized"] is True
    assert meta["seed"] == "1"


def test_what_is_not_yet_known_is_an_empty_cell(tmp_path):
    series = recording().series | {"temperature_degc": Series([10.0], [25.0])}
    lines = write_bdf(recording(series=series), tmp_path / "c.csv").read_text().splitlines()
    assert lines[1].split(",")[3] == ""
    assert lines[-1].split(",")[3] == "25.000"


def test_a_bdf_table_without_a_current_is_refused(tmp_path):
    with pytest.raises(ValueError, match="needs voltage_v and current_a; the recording has voltage_v"):
        write_bdf(Recording("t", series={"voltage_v": Series([0.0], [3.8])}), tmp_path / "c.csv")


def test_a_second_cell_has_panels_and_a_table_of_its_own(tmp_path):
    two = recording()
    two.series["voltage_v[1]"] = Series(TIMES_S, [3.6] * len(TIMES_S))
    page = render_page(two)
    assert "Voltage of cell 0" in page
    assert "Voltage of cell 1" in page
    assert "State of charge of cell" in page
    assert "Voltage of cell" not in render_page(recording())
    table = write_bdf(two.of_cell(1), tmp_path / "cell1.bdf.csv").read_text(encoding="utf-8")
    assert table.splitlines()[1].startswith("0.000,3.600000,0.200000")


def test_units_behind_one_monitor_are_drawn_beside_each_other():
    two = recording()
    assert ">unit 1<" not in render_page(two)
    two.series["true_soc_frac[1]"] = Series(TIMES_S, [0.4] * len(TIMES_S))
    assert ">unit 1<" in render_page(two)
