"""Columns of a recording to replay: names, positions, ranges and patterns are found or refused in words."""

from pathlib import Path

import pytest
from assb_host.config.errors import ConfigError
from assb_host.replay.columns import columns_of, parse_mapping
from assb_host.replay.table import find_names, needed_names

HERE = Path("pack.csv")
NAMES = "when,I,SOC,V_1,V_2,V_3,V_mean,T_1,T_2"


def found(names: str, text: str):
    return columns_of(HERE, names.split(","), parse_mapping(text))


def test_cells_are_named_by_a_range_a_pattern_or_positions():
    for cells in ("V_1..V_3", "V_?", "#4..#6"):
        columns = found(NAMES, f"time=when,current=I,voltage={cells},temperature=T_1")
        assert columns.names == ["V_1", "V_2", "V_3"]
        assert columns.at["voltage_v"] == [3, 4, 5]


def test_a_name_that_is_there_is_no_pattern():
    assert found("t,I,V*,T", "time=t,current=I,voltage=V*,temperature=T").names == ["V*"]


def test_short_names_of_quantities_are_as_good_as_long_ones():
    assert parse_mapping("time_s=a,voltage_v=b") == parse_mapping("time=a, voltage=b")


def test_known_names_need_no_mapping():
    columns = columns_of(HERE, ["test_time_second", "voltage_volt", "current_ampere", "temperature_t1_celsius"], {})
    assert columns.at == {"time_s": [0], "voltage_v": [1], "current_a": [2], "temperature_degc": [3]}


def test_temperatures_may_be_several_and_a_current_not():
    assert found(NAMES, "time=when,current=I,voltage=V_?,temperature=T_*").at["temperature_degc"] == [7, 8]
    with pytest.raises(ConfigError, match="current_a: got '3 columns: V_1, V_2, V_3'; allowed one column"):
        found(NAMES, "time=when,current=V_?,voltage=V_?,temperature=T_1")


def test_one_column_is_not_two_things():
    with pytest.raises(ConfigError, match="the same column, I"):
        found(NAMES, "time=when,current=I,voltage=V_?,temperature=I")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time", "pairs such as"),
        ("volts=V_1", "quantities: time, current, voltage, temperature, pressure"),
        ("current=-", "pairs such as"),
        ("voltage=-V_1", "a minus before the current alone"),
        ("voltage=V_1,voltage=V_2", "each quantity once"),
    ],
)
def test_a_mapping_that_says_nothing_is_refused(text, said):
    with pytest.raises(ConfigError, match=said):
        parse_mapping(text)


@pytest.mark.parametrize("cells", ["V_1..V_9", "W_*", "#4..#99", "V_3..V_1"])
def test_columns_that_are_not_there_are_named_with_those_that_are(cells):
    mapping = parse_mapping(f"time=when,current=I,voltage={cells},temperature=T_1")
    with pytest.raises(ConfigError) as error:
        find_names(HERE, [NAMES, "0,1,2,3,4,5,6,7,8"], mapping, needed_names(False))
    assert f"voltage_v ({cells})" in str(error.value) and "V_1, V_2, V_3" in str(error.value)


def test_a_missing_temperature_has_a_remedy_of_its_own():
    with pytest.raises(ConfigError, match="--temperature-degc"):
        find_names(HERE, ["time_s,voltage_v,current_a", "0,3,0"], {}, needed_names(False))


def test_names_may_follow_lines_about_the_test_and_may_be_missing():
    lines = ["Report;;", "t;u;i;T", "0;3.7;0;25"]
    mapping = parse_mapping("time=t,voltage=u,current=i,temperature=T")
    assert find_names(HERE, lines, mapping, needed_names(False))[0] == 2
    by_place = parse_mapping("time=#1,voltage=#2,current=#3,temperature=#4")
    assert find_names(HERE, ["0,3.7,0,25"], by_place, needed_names(False))[0] == 0
