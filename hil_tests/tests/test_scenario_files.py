"""Scenario and plant files are read strictly: what is wrong is named with its place and what is allowed."""

import tomllib
from pathlib import Path

import pytest
from assb_hil.checks import CHECKS
from assb_hil.faults import FAULTS
from assb_hil.loads import LOADS
from assb_hil.plant_file import load_plant
from assb_hil.scenario import load_scenario, read_scenario, scenario_names
from assb_host.config.errors import ConfigError

GOOD = """
title = "t"
pack = "li_lpscl_nca"
plant = "li_lpscl_nca"
duration_s = 10.0
start = { soc_frac = 0.5 }
[[load]]
kind = "cc"
at_s = 1.0
current_a = 0.1
[[fault]]
name = "soft_short"
at_s = 2.0
rs_ohm = 10.0
[[check]]
kind = "soc_error"
max_frac = 0.05
"""


def read(text):
    return read_scenario(tomllib.loads(text), Path("case.toml"))


def test_a_good_file_reads():
    scenario = read(GOOD)
    assert (scenario.name, scenario.loads[0].current_a, scenario.faults[0].rs_ohm) == ("case", 0.1, 10.0)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("current_a = 0.1", "curent_a = 0.1", ("load[0].curent_a", "did you mean current_a?")),
        ("current_a = 0.1", 'current_a = "0.1 A"', ("load[0].current_a", "'0.1 A'", "a number")),
        ("rs_ohm = 10.0", "rs_ohm = -1.0", ("fault[0].rs_ohm", "-1.0", "0.0001 .. 1e+06")),
        ('name = "soft_short"', 'name = "hardshort"', ("fault[0].name", "'hardshort'", "hard_short, growing_short")),
        ('kind = "cc"', 'kind = "ccc"', ("load[0].kind", "rest, cc, cccv, pulse, drive")),
        ("max_frac = 0.05", "", ("check[0].max_frac", "add this key")),
        ("at_s = 2.0", "at_s = 20.0", ("20.0", "duration_s = 10")),
        ("soc_frac = 0.5", "soc_frac = 50", ("start.soc_frac", "50", "0 .. 1")),
        ("duration_s = 10.0", "duration_s = 0.0", ("duration_s", "more than 0")),
    ],
)
def test_a_wrong_file_is_refused_by_place_value_and_what_is_allowed(old, new, told):
    with pytest.raises(ConfigError) as refusal:
        read(GOOD.replace(old, new))
    for words in ("case.toml", *told):
        assert words in str(refusal.value)


def test_unknown_limit_rows_and_commands_are_refused():
    with pytest.raises(ConfigError, match="cell_overvoltage, cell_undervoltage"):
        read('expected_trips = ["overvoltage"]' + GOOD)
    with pytest.raises(ConfigError, match=r"'open'.*one of help"):
        read(GOOD + '[[command]]\nat_s = 1.0\nname = "open"\n')


def test_a_scenario_without_a_check_is_refused():
    with pytest.raises(ConfigError, match="checks nothing"):
        read(GOOD[: GOOD.index("[[check]]")])


def test_an_unknown_name_lists_the_scenarios():
    with pytest.raises(ConfigError, match="cccv_charge"):
        load_scenario("cccv")


def test_every_shipped_scenario_reads_and_every_fault_has_a_name():
    assert len([load_scenario(name) for name in scenario_names()]) >= 8
    assert all(name == cls.name for name, cls in FAULTS.items())


def test_a_plant_needs_a_marked_source_for_every_number(tmp_path):
    shipped = Path(load_plant.__code__.co_filename).parent / "plants" / "li_lpscl_nca.toml"
    text = shipped.read_text(encoding="utf-8")
    for old, new, told in (
        (
            "capacity_ah = { value = 0.597, source",
            'capacity_ah = { value = 0.597, origin = "x", source',
            "cell.capacity_ah",
        ),
        ('source = "A: sheet cell', 'source = "sheet cell', "one of R, V, K, A"),
        ("layers = {", "layerz = {", "cell.layerz"),
        ("soc_frac = [0.0, 0.01", "soc_frac = [0.0, 0.0", "soc must rise"),
    ):
        case = tmp_path / "case.toml"
        assert old in text
        case.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(ConfigError, match=told):
            load_plant(str(case))


def test_the_page_on_scenarios_names_every_load_fault_and_check():
    page = (Path(__file__).parents[2] / "docs" / "scenarios.md").read_text(encoding="utf-8")
    missing = [name for name in (*LOADS, *FAULTS, *CHECKS) if f"`{name}`" not in page]
    assert not missing
