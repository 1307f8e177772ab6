"""Scenario and plant files are read strictly: what is wrong is named with its place and what is allowed."""

import tomllib
from pathlib import Path

import pytest
from assb_hil.checks import CHECKS
from assb_hil.faults import FAULTS
from assb_hil.loads import LOADS
from assb_hil.plant_file import load_plant
from assb_hil.scenario import load_scenario, read_scenario, scenario_names
from assb_hil.session import open_session
from assb_hil.vocabulary import EVENT_FIELDS, series_names
from assb_host.config.errors import ConfigError
from assb_host.config.locate import find
from assb_host.errors import EXIT_CONFIG

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
        ("at_s = 2.0", "at_s = 20.0", ("fault[0].at_s", "20.0", "duration_s = 10")),
        ("duration_s = 10.0", "duration_s = 0.5", ("load[0].at_s", "1.0", "duration_s = 0.5")),
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
    with pytest.raises(ConfigError, match=r"expected_trips.*'overvoltage'.*cell_overvoltage, cell_undervoltage"):
        read('expected_trips = ["overvoltage"]' + GOOD)
    with pytest.raises(ConfigError, match=r"expected_events.*'bus_eror'.*self_test_failed, lease_lapsed, bus_error"):
        read('expected_events = ["bus_eror"]' + GOOD)
    with pytest.raises(ConfigError, match=r"command\[0\].name.*'open'.*one of help"):
        read(GOOD + '[[command]]\nat_s = 1.0\nname = "open"\n')


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ('name = "arm"\nkeys = { lease = 5000 }', r"command\[0\].keys.lease.*keys of arm: lease_ms"),
        ('name = "stop"\nkeys = { now = 1 }', r"command\[0\].keys.now.*keys of stop: none"),
        ('name = "get"\nkeys = { name = "presure_kpa" }', r"command\[0\].keys.name.*'presure_kpa'.*pressure_kp_ppm"),
    ],
)
def test_a_command_takes_its_own_keys_and_parameters_alone(command, told):
    with pytest.raises(ConfigError, match=told):
        read(GOOD + f"[[command]]\nat_s = 1.0\n{command}\n")


NO_EVENT = '[[check]]\nkind = "no_event"\n'
SIGNAL = '[[check]]\nkind = "signal"\nstatistic = "max"\n'


@pytest.mark.parametrize(
    ("check", "told"),
    [
        (NO_EVENT + 'event = "limit_triped"', ("check[1].event", "'limit_triped'", "limit_tripped", "contact_moved")),
        ('[[check]]\nkind = "event"\nevent = "arm"', ("check[1].event", "'arm'", "armed", "sent_arm")),
        (
            NO_EVENT + 'event = "limit_tripped"\nfields = { rows = "soft_short" }',
            ("check[1].fields.rows", "'soft_short'", "row, value"),
        ),
        (
            NO_EVENT + 'event = "limit_tripped"\nfields = { row = "softshort" }',
            ("check[1].fields.row", "'softshort'", "short_suspected, soft_short"),
        ),
        (
            NO_EVENT + 'event = "stage_changed"\nfields = { stage = "short" }',
            ("check[1].fields.stage", "'short'", "none, suspect, soft_short, hard_short"),
        ),
        (
            NO_EVENT + 'event = "state_changed"\nfields = { from_state = "charge" }',
            ("check[1].fields.from_state", "'charge'", "REST, CHARGE"),
        ),
        (
            NO_EVENT + 'event = "state_changed"\nfields = { to_state = 6 }',
            ("check[1].fields.to_state", "got 6", "REST, CHARGE"),
        ),
        (
            NO_EVENT + 'event = "boot"\nfields = { reset_cause = "wdt" }',
            ("check[1].fields.reset_cause", "'wdt'", "hard, watchdog"),
        ),
        (
            NO_EVENT + 'event = "parameter_set"\nfields = { parameter = "pressure_target" }',
            ("check[1].fields.parameter", "'pressure_target'", "pressure_target_kpa"),
        ),
        (
            NO_EVENT + 'event = "parameter_set"\nfields = { value = "4700" }',
            ("check[1].fields.value", "'4700'", "a whole number"),
        ),
        (
            NO_EVENT + 'event = "register_crossed"\nfields = { row = "overtemperature" }',
            ("check[1].fields.row", "'overtemperature'", "cell_overvoltage, cell_undervoltage"),
        ),
        (
            NO_EVENT + 'event = "contact_moved"\nfields = { closed = "0" }',
            ("check[1].fields.closed", "'0'", "one of 0, 1"),
        ),
        (
            NO_EVENT + 'event = "enable_switched"\nfields = { line = "charge" }',
            ("check[1].fields.line", "'charge'", "charge_enabled, discharge_enabled"),
        ),
        (
            NO_EVENT + 'event = "fault_applied"\nfields = { fault = "short" }',
            ("check[1].fields.fault", "'short'", "soft_short, hard_short"),
        ),
        (
            NO_EVENT + 'event = "fault_applied"\nfields = { device = "ina229" }',
            ("check[1].fields.device", "'ina229'", "ina228"),
        ),
        (
            NO_EVENT + 'event = "sent_arm"\nfields = { keys = 5000 }',
            ("check[1].fields.keys", "5000", "text in quotes"),
        ),
        (NO_EVENT + 'event = "stopped"\nfields = { by = "host" }', ("check[1].fields.by", "stopped has none")),
        (NO_EVENT + 'event = "stopped"\nfrom_s = 11.0', ("check[1].from_s", "11.0", "duration_s = 10")),
        (NO_EVENT + 'event = "stopped"\nfrom_s = 5.0\nto_s = 4.0', ("check[1].to_s", "4.0", "from_s = 5 or later")),
        (SIGNAL + 'signal = "true_curent_a"\nmax = 1.0', ("check[1].signal", "'true_curent_a'", "true_current_a")),
        (SIGNAL + 'signal = "true_current_a"', ("check[1].max", "is missing", "in min, in max")),
        (
            '[[check]]\nkind = "reaction"\nrow = "undervoltage"',
            ("check[1].row", "'undervoltage'", "cell_overvoltage, cell_undervoltage"),
        ),
        (
            '[[check]]\nkind = "reaction"\nrow = "overtemperature"',
            ("check[1].row", "'overtemperature'", "the rows of the monitor's registers"),
        ),
    ],
)
def test_a_check_that_could_judge_nothing_is_refused(check, told):
    with pytest.raises(ConfigError) as refusal:
        read(GOOD + check)
    assert refusal.value.exit_code == EXIT_CONFIG
    for words in ("case.toml", *told):
        assert words in str(refusal.value)


def test_a_run_says_nothing_that_the_vocabulary_lacks():
    scenario = read(
        GOOD.replace("duration_s = 10.0", "duration_s = 4.0") + '[[command]]\nat_s = 3.0\nname = "schema"\n'
    )
    with open_session(scenario) as session:
        recorder = session.run().recorder
    assert set(recorder.series) <= set(series_names())
    assert {"count", "heap_low_b"} <= set(recorder.series)  # a SCHEMA frame and a HEALTH frame were among them
    for event in recorder.events:
        assert set(event) - {"t_s", "source", "name"} <= set(EVENT_FIELDS[event["name"]])


def test_a_pack_or_plant_that_is_not_there_is_told_with_the_scenario_and_its_key():
    for key, told in (("pack", "li_lpscl_nca, .*lto_nmc"), ("plant", "li_lpscl_nca, ")):
        for name, allowed in (("li_nca", told), ("./gone.toml", "a file that")):
            with pytest.raises(ConfigError, match=rf"^case.toml: {key}: got '{name}'; allowed .*{allowed}"):
                read(GOOD.replace(f'{key} = "li_lpscl_nca"', f'{key} = "{name}"'))


def test_a_pack_that_is_wrong_inside_is_told_with_the_scenario_and_both_keys(tmp_path):
    path = tmp_path / "li_lpscl_nca.toml"
    text = find("pack", "li_lpscl_nca").read_text(encoding="utf-8")
    path.write_text(text.replace("cells_in_series = 1", "cells_in_series = 0"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^case.toml: pack: .*li_lpscl_nca.toml: cells_in_series: got 0"):
        read(GOOD.replace('pack = "li_lpscl_nca"', f'pack = "{path}"'))
    path.write_text(text.replace("cells_in_series = 1", "cells_in_series = 2"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^case.toml: pack: "):
        read(GOOD.replace('pack = "li_lpscl_nca"', f'pack = "{path}"'))


def test_a_chip_that_the_board_lacks_cannot_be_lost(tmp_path):
    path = tmp_path / "bare.toml"
    board = find("board", "pico").read_text(encoding="utf-8").replace('name = "pico"', 'name = "bare"')
    for slow, fast in (("fast_us = 8700", "fast_us = 1000"), ("jitter_us = 22600", "jitter_us = 1000")):  # 10 ms
        board = board.replace(slow, fast)
    path.write_text(board[: board.index("[[mcp4725]]")] + board[board.index("[contactor]") :], encoding="utf-8")
    pack = tmp_path / "li_lpscl_nca.toml"
    text = find("pack", "li_lpscl_nca").read_text(encoding="utf-8")
    for row in ("actuator_stall", "press_runaway", "press_gives_way"):
        text = text.replace(f"[limits.{row}]", f"[limits.{row}]\nenabled = false")
    pack.write_text(text.replace('board = "virtual-pico"', 'board = "bare.toml"'), encoding="utf-8")
    lost = '[[fault]]\nname = "sensor_lost"\nat_s = 3.0\ndevice = "mcp4725"\n'
    with pytest.raises(ConfigError, match=r"fault\[1\].device: got 'mcp4725'; allowed one of ina228, nau7802, tmp117"):
        read(GOOD.replace('pack = "li_lpscl_nca"', f'pack = "{pack}"') + lost)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ('name = "soft_short"\nrs_ohm = 5.0\ncell = 1', r"fault\[1\].cell: got 1; allowed one of 0"),
        ('name = "sensor_gain"\nchannel = "voltage_v"\ngain = 2.0\nplace = 1', r"fault\[1\].place: got 1"),
    ],
)
def test_a_cell_or_sensor_that_is_not_there_cannot_fail(fault, told):
    with pytest.raises(ConfigError, match=told):
        read(f"{GOOD}[[fault]]\nat_s = 3.0\n{fault}\n")
    two = GOOD.replace('pack = "li_lpscl_nca"', 'pack = "li_lpscl_nca_2s"')
    assert read(f"{two}[[fault]]\nat_s = 3.0\n{fault}\n").faults


def test_a_second_cells_series_exist_only_in_a_pack_that_has_one():
    check = '[[check]]\nkind = "signal"\nsignal = "soc_frac[1]"\nstatistic = "last"\nmin = 0.1\n'
    assert read(GOOD.replace('pack = "li_lpscl_nca"', 'pack = "li_lpscl_nca_2s"') + check)
    with pytest.raises(ConfigError, match=r"check\[1\].signal: got 'soc_frac\[1\]'"):
        read(GOOD + check)


def test_a_board_with_a_press_needs_a_bench_with_one(tmp_path):
    plant = find("board", "pico").parents[2] / "hil_tests" / "assb_hil" / "plants" / "li_lpscl_nca.toml"
    stiff = tmp_path / "stiff.toml"
    text = plant.read_text(encoding="utf-8").replace('bench = "pneumatic"', 'bench = "fixed_gap"')
    stiff.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"plant: got .*drives a regulator, fixed_gap has none"):
        read(GOOD.replace('plant = "li_lpscl_nca"', f'plant = "{stiff}"'))


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
        ("hysteresis_v = { value = 0.004, source", 'hysteresis_v = { origin = "x", source', "cell.hysteresis_v"),
        ('source = "A: small for NCA"', 'source = "small for NCA"', "cell.hysteresis_v.source"),
        ("hysteresis_v = {", "hysteresiz_v = {", "hysteresiz_v"),
        ("soc = [0.0, 0.01", "soc = [0.0, 0.0", "ocv.soc"),
    ):
        case = tmp_path / "case.toml"
        assert old in text
        case.write_text(text.replace(old, new), encoding="utf-8")
        with pytest.raises(ConfigError, match=told):
            load_plant(str(case))


def test_the_page_on_scenarios_names_every_load_fault_and_check():
    docs = Path(__file__).parents[2] / "docs"
    page = "".join((docs / name).read_text(encoding="utf-8") for name in ("scenarios.md", "faults.md"))
    missing = [name for name in (*LOADS, *FAULTS, *CHECKS) if f"`{name}`" not in page]
    assert not missing
