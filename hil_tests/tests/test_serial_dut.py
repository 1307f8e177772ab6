"""Scenarios on a board that is seen through its port alone: with injected sensor values, and with its own."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
from assb.protocol import schema
from assb.storage import lockout
from assb.storage.records import OK, Store
from assb_hil.commands.hil import hil
from assb_hil.dut.flash_image import write_image
from assb_hil.dut.idle_world import IdleWorld
from assb_hil.dut.runner import start_board
from assb_hil.dut.virtual import VirtualBoard
from assb_hil.faults import FAULTS
from assb_hil.scenario import load_scenario, scenario_names
from assb_hil.session import UnsupportedError, open_session, run_scenario
from assb_host.errors import EXIT_USAGE, MismatchError, RefusedError
from assb_host.flash.firmware_files import placed
from assb_host.flash.plan import plan_for
from assb_host.link.console import DutConsole, SerialConsole
from assb_host.link.decoder import Frame, Line
from assb_host.link.link import Link, command_line
from click.testing import CliRunner

INJECTED = "serial --inject"
PACE = 20.0  # of the board: it waits a twentieth of the time for its lines
# Those that pass on `virtual` (test_scenarios.py), behind a cable, and on an emulated Pico (test_dut_pico.py)
FIVE = [name for name in scenario_names() if name.startswith("slow_board/")]
TICKS_OF_10_MS = "short_day/cycle"
DATA_PIN = 4  # of its I2C bus
ALARM_PIN = 14
OUTPUT_PINS = {10, 12, 13, ALARM_PIN}  # of virtual-pico: contactor, enable lines, alarm


class WatchedWorld(IdleWorld):
    """Nothing is wired; which pins rose is noted."""

    def __init__(self):
        super().__init__()
        self.raised = set()

    def pin_read(self, pin):
        return int(pin == DATA_PIN)  # its pull-up

    def pin_write(self, pin, level):
        if level:
            self.raised.add(pin)


@contextmanager
def bare_board(tmp_path, scenario, kept=None, **changes):
    """A board with the scenario's configuration and nothing wired, not driven yet. `kept`: more files on its flash."""
    image = tmp_path / "flash.bin"
    files = placed(plan_for(scenario.pack, changes=dict(scenario.pack_changes) | changes).files)
    write_image(image, files | (kept or {}))
    with VirtualBoard(WatchedWorld(), flash=image) as board:
        board.power_on()
        yield board


@pytest.fixture(scope="module")
def behind_a_cable(tmp_path_factory):
    """A running board with the configuration of the five."""
    with bare_board(tmp_path_factory.mktemp("board"), load_scenario(FIVE[0])) as board, board.background(PACE):
        yield board


@pytest.mark.parametrize("name", FIVE)
def test_the_scenario_holds_on_a_bare_board_with_injected_values(behind_a_cable, name):
    scenario = load_scenario(name)
    result = run_scenario(scenario, INJECTED, port=behind_a_cable.console_port)
    broken = [f"{check.name}: {check.value}, limit {check.limit}" for check in result.checks if not check.passed]
    assert not broken, "\n".join([*broken, *result.console])
    assert result.dut == INJECTED
    assert not OUTPUT_PINS & behind_a_cable.world.raised  # the contactor closed in the simulation alone
    with SerialConsole(behind_a_cable.console_port) as console:
        assert Link(console).hello(10.0).flags == 0  # given back to its own sensors


def test_a_dry_rig_moves_its_contactor_with_the_simulated_one(tmp_path):
    dry = load_scenario(FIVE[0])
    dry = replace(
        dry, duration_s=9.5, checks=(), loads=(), pack_changes=dict(dry.pack_changes) | {"supervision.dry_rig": 1}
    )
    with bare_board(tmp_path, dry) as board, board.background(PACE):
        run_scenario(dry, INJECTED, port=board.console_port)
        assert board.world.raised & OUTPUT_PINS == {10, 12, 13}


# A conversation in virtual time


@contextmanager
def lockstep_link(tmp_path, **changes):
    with bare_board(tmp_path, load_scenario(TICKS_OF_10_MS), **changes) as board:
        link = Link(DutConsole(board))
        yield link, link.hello(10.0).fields["config_crc"]


def hello_with(flags):
    return lambda item: isinstance(item, Frame) and item.type == schema.HELLO and item.flags == flags


def tripped(row):
    number = next(known[0] for known in schema.LIMIT_ROWS if known[1] == row)
    event = schema.EV_TRIP
    return lambda item: isinstance(item, Frame) and item.fields.get("event") == event and item.fields["a"] == number


def injected(link, config, lease_ms=200):
    link.request("inject", config=config, lease_ms=lease_ms)
    assert link.wait_for(hello_with(schema.INJECTED), 5.0).t_ms == 0


def test_without_values_for_the_lease_every_channel_is_lost_and_trips(tmp_path):
    with lockstep_link(tmp_path) as (link, config):
        injected(link, config)
        for t_ms in range(10, 400, 10):  # until SELFTEST is over
            link.request("sense", t=t_ms, v=3700000, i=0, p="100,100000", c=2500, k=0, a=100)
        link.wait_for(lambda item: isinstance(item, Frame) and item.fields.get("state") == 2, 1.0, "SAFE")
        for row in ("voltage_stale", "current_stale", "pressure_stale"):
            link.wait_for(tripped(row), 3.0, row)
        with pytest.raises(RefusedError, match=r"not_injected|out_of_step|lapsed"):
            link.request("sense", t=400, v=3700000, i=0)
        link.wait_for(hello_with(0), 15.0)  # nobody came back: it goes back to its own sensors by itself


def test_a_board_that_a_hard_short_locked_out_is_not_injected(tmp_path):
    """Its alarm would end with that."""
    record = Store(lambda: 0, str(tmp_path)).record(lockout.FOLDER, lockout.LAYOUT, 1)
    record.body[0] = lockout.BY_HARD_SHORT
    assert record.write() == OK
    kept = {f"{lockout.FOLDER}/a": (tmp_path / "lockout" / "a").read_bytes()}
    with bare_board(tmp_path, load_scenario(TICKS_OF_10_MS), kept) as board:
        link = Link(DutConsole(board))
        config = link.hello(10.0).fields["config_crc"]
        with pytest.raises(RefusedError, match="locked_out"):
            link.request("inject", config=config, lease_ms=200)
        assert link.hello(10.0).flags == 0
        assert ALARM_PIN in board.world.raised


BAD_LINES = [
    ({"t": 10}, "bad_number"),  # no voltage
    ({"t": 10, "v": "3700000,3700000"}, "bad_number"),  # of more cells than there are
    ({"t": 10, "v": "much"}, "bad_number"),
    ({"t": 10, "v": 3700000, "p": "100"}, "bad_number"),
    ({"t": 20, "v": 3700000}, "out_of_step"),  # a tick is left out
    ({"t": 10, "v": 3700000, "charm": 1}, "unknown_key"),
]


def test_a_bad_line_is_refused_and_time_stands_still(tmp_path):
    with lockstep_link(tmp_path) as (link, config):
        injected(link, config, lease_ms=60000)
        for pairs, reason in BAD_LINES:
            with pytest.raises(RefusedError, match=reason):
                link.request("sense", **pairs)
        assert link.request("sense", t=10, v=3700000, i=0)["t"] == "10"


def test_a_line_that_comes_again_is_answered_again_and_no_tick_is_done(tmp_path):
    with lockstep_link(tmp_path) as (link, config):
        injected(link, config, lease_ms=60000)
        line = command_line("sense", [("t", 10), ("v", 3700000), ("i", 0), ("id", "a")])
        link.console.write(line)
        first = link.wait_for(_reply_with("id=a"), 2.0)
        link.console.write(line)
        assert link.wait_for(_reply_with("id=a"), 2.0) == first
        assert link.request("sense", t=20, v=3700000, i=0)["t"] == "20"


def _reply_with(word):
    return lambda item: isinstance(item, Line) and word in item.text


def test_a_line_without_its_checksum_is_refused(tmp_path):
    with lockstep_link(tmp_path) as (link, config):
        injected(link, config, lease_ms=60000)
        link.console.write(b"!sense t=10 v=3700000\n")
        said = link.wait_for(lambda item: isinstance(item, Line) and item.text.startswith("!"), 2.0)
        assert "reason=crc_needed" in said.text


def test_injection_is_refused_unless_the_host_knows_the_board(tmp_path):
    with lockstep_link(tmp_path) as (link, config):
        for pairs, reason in (
            ({"lease_ms": 99}, "out_of_range"),
            ({"lease_ms": 60001}, "out_of_range"),
            ({"config": config ^ 1}, "wrong_config"),
        ):
            with pytest.raises(RefusedError, match=reason):
                link.request("inject", **({"config": config, "lease_ms": 200} | pairs))
        with pytest.raises(RefusedError, match="not_injected"):
            link.request("sense", t=10, v=3700000)
        assert link.hello().flags == 0


def test_a_board_that_is_connected_or_on_the_way_there_is_not_injected(dut):
    link = Link(DutConsole(dut))
    config = link.hello(10.0).fields["config_crc"]
    link.wait_for(lambda item: isinstance(item, Frame) and item.fields.get("state") == 2, 10.0, "SAFE")
    link.request("arm")
    link.wait_for(lambda item: isinstance(item, Frame) and item.fields.get("state") == 3, 10.0, "ARMED")
    with pytest.raises(RefusedError, match="not_safe"):
        link.request("inject", config=config, lease_ms=200)
    link.request("stop")


def test_a_reset_ends_it_and_the_log_tells_that_it_was(tmp_path):
    with lockstep_link(tmp_path) as (link, config):
        injected(link, config, lease_ms=60000)
        link.request("sense", t=10, v=3700000, i=0)
        link.request("mark", number=77)
        with pytest.raises(RefusedError, match="nothing_kept"):  # of the injected run
            link.request("sync")
        link.request("reset")
        link.wait_for(hello_with(0), 10.0)
        kept = []
        link.request("events", since=0)
        link.wait_for(lambda item: _log_ends(item, kept), 5.0)
        assert schema.EV_INJECTION in kept
        assert schema.EV_MARK not in kept


def _log_ends(item, kept):
    if not isinstance(item, Frame) or item.type != schema.LOG:
        return False
    kept += item.fields["values"][0::4]
    return not item.fields["values"]


# What is refused before anything runs


def test_a_scenario_for_another_configuration_is_refused(behind_a_cable):
    with (
        pytest.raises(MismatchError, match="add --flash"),
        open_session(load_scenario("hard_short"), INJECTED, port=behind_a_cable.console_port) as session,
    ):
        session.start()


@pytest.mark.parametrize("name", ["power_cut", "slow_tick"])
def test_a_fault_that_the_cable_can_not_bring_names_who_can(name):
    fault = next(case for case in _cases_with(name))
    with pytest.raises(UnsupportedError, match=rf"fault {name} needs .*use --dut virtual$"):
        run_scenario(fault, INJECTED, port="/dev/null")


def _cases_with(name):
    from assb_hil.fault_listing import fault_rows

    row = next(row for row in fault_rows(frozenset()) if row["name"] == name)
    assert name in FAULTS
    return [load_scenario(scenario) for scenario in row["scenarios"]]


def test_a_board_with_its_own_sensors_runs_what_needs_no_simulated_cell(tmp_path):
    scenario = load_scenario("bring_up")
    write_image(tmp_path / "flash.bin", placed(plan_for(scenario.pack).files))
    with start_board("own", flash=tmp_path / "flash.bin") as board, board.background(PACE):
        result = run_scenario(scenario, "serial", port=board.console_port)
    assert [check for check in result.checks if not check.passed] == []


def test_what_needs_a_simulated_cell_names_who_has_one():
    with pytest.raises(UnsupportedError, match=r"load cc needs plant.*use --dut virtual or .*--dut serial --inject$"):
        run_scenario(load_scenario(TICKS_OF_10_MS), "serial", port="/dev/null")


def test_the_list_says_what_keeps_a_scenario_from_a_board():
    said = CliRunner().invoke(hil, ["list", "--dut", "serial"]).output
    assert "needs plant" in said
    assert "cannot run there" not in said.split("bring_up")[1].split("\n")[1]
    assert CliRunner().invoke(hil, ["run", "bring_up", "--inject"]).exit_code == EXIT_USAGE
