"""`assb events` and `assb params` against the real firmware in virtual time; only the serial port is left out."""

import json
import tomllib
from contextlib import contextmanager
from dataclasses import replace

import pytest
from assb.protocol import schema
from assb_hil.scenario import Host
from assb_hil.session import open_session
from assb_host.commands import events, params
from assb_host.config import build_image, load_pack
from assb_host.link.console import DutConsole
from assb_host.link.decoder import Frame
from assb_host.link.link import Link
from powered_lives import idle, made_image

PACK = "li_lpscl_nca"
CONFIG = build_image(load_pack(PACK))
HOT_DEGC = 85.0


@pytest.fixture
def bench(tmp_path, monkeypatch, capsys):
    """`bench(scenario)` runs a board on one flash; inside, `assb(...)` is (exit code, what it printed)."""
    from assb_host import cli

    image = made_image(tmp_path / "flash.bin", CONFIG)

    @contextmanager
    def running(scenario):
        with open_session(scenario, flash=image) as session:
            session.start()
            link = Link(DutConsole(session.dut))
            link.wait_for(lambda item: isinstance(item, Frame) and item.type == schema.HELLO, 10.0, "HELLO")

            @contextmanager
            def opened(_port, _dut, _holder):
                yield link

            def assb(*words):
                monkeypatch.setattr(events, "opened_link", opened)
                monkeypatch.setattr(params, "opened_link", opened)
                code = cli.run(list(words))
                captured = capsys.readouterr()
                return code, captured.out + captured.err

            yield session, link, assb

    return running


def state_is(name):
    number = schema.STATES.index(name)
    return lambda item: isinstance(item, Frame) and item.type == schema.PACK and item.fields["state"] == number


def wait(link, duration_s):
    end_s = link.console.now_s() + duration_s
    while link.console.now_s() < end_s:
        link.poll(0.1)


def rest(duration_s=1e6):
    return idle(0.6, duration_s)


def test_a_parameter_that_was_set_holds_over_a_power_cycle(bench):
    with bench(rest()) as (_, _, assb):
        code, said = assb("params", "set", "pressure_target_kpa=5200", "soh_period_ms=1234")
        assert (code, said.splitlines()) == (
            0, ["pressure_target_kpa = 5200", "soh_period_ms = 1234", "kept on flash"],
        )  # fmt: skip
    with bench(rest()) as (_, _, assb):
        assert assb("params", "get", "pressure_target_kpa") == (0, "pressure_target_kpa = 5200  (image: 5000)\n")
        code, said = assb("params", "diff", "--json")
        assert code == 1
        assert json.loads(said) == {
            "pressure_target_kpa": {"board": 5200, "other": 5000},
            "soh_period_ms": {"board": 1234, "other": 10000},
        }
        assert assb("params", "diff", "--pack", PACK)[0] == 1
        assert assb("params", "set", "pressure_target_kpa=5000", "soh_period_ms=10000")[0] == 0
        assert assb("params", "diff") == (0, "")
        assert assb("params", "diff", "--pack", PACK) == (0, "")


def test_while_connected_a_parameter_holds_and_says_that_it_is_not_kept_yet(bench):
    scenario = replace(rest(), host=Host(arm_at_s=None))
    with bench(scenario) as (_, link, assb):
        link.wait_for(state_is("SAFE"), 10.0, "SAFE")
        link.request("arm")
        link.keep_lease(1.0)
        link.wait_for(state_is("REST"), 60.0, "REST")
        code, said = assb("params", "set", "soh_period_ms=4321")
        assert (code, said.splitlines()[-1]) == (0, "applied; goes to flash when nothing is connected")
        link.request("stop")
        link.wait_for(state_is("SAFE"), 10.0, "SAFE")
        assert assb("params", "set", "soh_period_ms=4321")[1].endswith("kept on flash\n")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["pressure_target_kpa=5200", "soh_period_ms=-1"], "-1 is not 0..600000; soh_period_ms"),
        (["soh_period_ms=5", "watchdog_ms=100"], "lies in the config image alone; watchdog_ms"),
        (["soh_period_ms=5", "pressure_target_kpa=9000"], "9000 is outside of the pack's window 4500..5500"),
        (["soh_period_ms=5", "charm=1"], "no parameter 'charm'"),
        (["soh_period_ms=5", "pack_period_ms=much"], "'much' is no whole number; pack_period_ms"),
        (["soh_period_ms=5", "soh_period_ms=6"], "named twice"),
    ],
)
def test_one_value_that_is_wrong_and_nothing_is_sent(bench, words, why):
    with bench(rest()) as (_, _, assb):
        code, said = assb("params", "set", *words)
        assert code == 2
        assert why in said
        assert assb("params", "diff") == (0, "")


def test_an_export_is_every_parameter_and_compares_with_the_board(bench, tmp_path):
    file = tmp_path / "board.toml"
    with bench(rest()) as (_, _, assb):
        assert assb("params", "export", "-o", str(file))[0] == 0
        exported = tomllib.loads(file.read_text())
        assert exported["pack"] == PACK
        assert list(exported["parameters"]) == [row[1] for row in schema.PARAMETERS]
        assert assb("params", "diff", "--file", str(file)) == (0, "")
        code, said = assb("params", "export", "--json")
        assert (code, json.loads(said)["parameters"]) == (0, exported["parameters"])
        assert assb("params", "set", "soh_period_ms=5")[0] == 0
        assert assb("params", "diff", "--file", str(file)) == (1, f"soh_period_ms: board 5, {file} 10000\n")
        file.write_text("[other]\n")
        assert assb("params", "diff", "--file", str(file))[0] == 2


def test_events_of_several_boots_are_printed_with_names_and_units(bench):
    with bench(rest()) as (_, link, assb):
        link.wait_for(state_is("SAFE"), 10.0, "SAFE")
        link.request("mark", number=77)
        link.request("set", name="soh_period_ms", value=9)
        assert assb("events", "--sync")[0] == 0
    with bench(rest()) as (_, link, assb):
        link.wait_for(state_is("SAFE"), 10.0, "SAFE")
        code, said = assb("events")
        assert code == 0
        words = [line.split(" s  ")[-1] for line in said.splitlines()]
        assert words[:4] == [
            "boot 1", "boot reset_cause=power_on boot_count=1", "state_changed from_state=BOOT to_state=SELFTEST",
            "state_changed from_state=SELFTEST to_state=SAFE",
        ]  # fmt: skip
        assert "marked number=77" in words
        assert "parameter_set parameter=soh_period_ms value=9" in words
        assert "boot 2" in words
        code, said = assb("events", "--json", "--since", "3")
        first = json.loads(said)["events"][0]
        assert (first["number"], first["event"], first["on_flash"]) == (3, "marked", True)


def test_a_trip_is_in_the_log_with_its_reading_and_its_freeze_frame(bench, tmp_path):
    with bench(idle(0.6, 1e6, HOT_DEGC)) as (_, link, assb):
        link.wait_for(state_is("FAULT"), 10.0, "FAULT")
        wait(link, 3.0)  # the frame goes on for a second, and is then written
        code, said = assb("events", "--sync", "--frames", str(tmp_path / "frames"))
        assert code == 0
    tripped = next(line for line in said.splitlines() if "limit_tripped" in line)
    assert tripped.split(" s  ")[1].startswith("limit_tripped row=overtemperature temperature_degc=8")
    assert tripped.endswith("degC")
    assert "*" not in tripped
    (path,) = (tmp_path / "frames").iterdir()
    assert said.splitlines()[-1] == f"freeze frame: {path}"
    assert path.name == "boot1_1_trip_overtemperature.csv"
    head, *rows = path.read_text().splitlines()
    assert head == "time_s,current_a,pressure_mpa,voltage_v"
    assert len(rows) > 100


def test_events_that_are_not_on_flash_yet_are_marked(bench):
    with bench(rest()) as (_, link, assb):
        link.wait_for(state_is("SAFE"), 10.0, "SAFE")
        wait(link, 4.0)
        link.request("mark", number=5)
        _, said = assb("events")
        (line,) = [line for line in said.splitlines() if "marked" in line]
        assert line[7] == "*"
        _, said = assb("events", "--sync")
        (line,) = [line for line in said.splitlines() if "marked" in line]
        assert line[7] == " "
