"""A new user's tools on the virtual board: doctor, boards, shell; and whoever takes the board from its firmware, by any
program, finds its outputs off."""

import json
import os
import pty
import select
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import pytest
import serial
import test_sealed_board
from assb_hil.dut import registry
from assb_hil.dut.flash_image import write_image
from assb_hil.dut.idle_world import IdleWorld
from assb_hil.dut.runner import start_board
from assb_hil.dut.virtual import VirtualBoard
from assb_hil.scenario import load_scenario
from assb_hil.session import open_session
from assb_host import diagnosis
from assb_host.commands.boards import boards
from assb_host.commands.doctor import doctor
from assb_host.commands.shell import reset, shell
from assb_host.errors import EXIT_FAILED, EXIT_OK, LinkError
from assb_host.flash.firmware_files import CONFIG, placed
from assb_host.flash.seal import KEY_FILE
from assb_host.link.console import DutConsole, ExclusiveConsole
from assb_host.link.link import Link, command_line
from assb_host.link.lock import PortLock
from click.testing import CliRunner
from flashed_boards import flash_image
from test_dut_mpremote import mpremote, read_until

PACE = 10.0
PROMPT = b">>> "
DEADLINE_S = 25


def call(command, *arguments):
    return CliRunner().invoke(command, arguments, standalone_mode=False)


def findings(port, *options):
    """(exit code, {check: finding})."""
    done = call(doctor, "--port", port, "--json", *options)
    return done.return_value, {row["check"]: row for row in json.loads(done.stdout)}


@contextmanager
def board_with(path):
    with start_board("set-up", flash=path) as board, board.background(PACE):
        yield board


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    return flash_image(tmp_path_factory.mktemp("set-up") / "flash.bin")


@pytest.fixture(scope="module")
def board(image):
    """On its rig, with the shipped configuration."""
    with board_with(image) as board:
        yield board


def test_the_doctor_finds_nothing_on_a_sound_set_up(board):
    code, found = findings(board.console_port)
    assert [(row["check"], row["seen"]) for row in found.values() if row["state"] != diagnosis.OK] == []
    assert {"python", "kernels", "port", "firmware", "slot", "config", "link", "selftest"} <= set(found)
    assert code == EXIT_OK


def test_a_port_that_another_program_holds_is_told_with_the_remedy(board):
    with serial.Serial(board.console_port, exclusive=True):
        code, found = findings(board.console_port)
    assert (code, found["port"]["state"]) == (EXIT_FAILED, diagnosis.FAILED)
    assert found["port"]["remedy"].startswith("close that program")


def test_a_board_at_its_prompt_is_told_what_starts_it_and_that_it_can_run_what_we_flash(board):
    assert call(shell, "--port", board.console_port, "print(6 * 7)").stdout == "42\n"
    code, found = findings(board.console_port, "--quick")
    assert code == EXIT_FAILED
    assert "Python prompt" in found["firmware"]["remedy"]
    assert found["runtime"]["state"] == diagnosis.OK
    assert call(shell, "--port", board.console_port, "--restart", "pass").return_value == 0
    code, found = findings(board.console_port, "--quick")
    assert (code, found["firmware"]["state"]) == (EXIT_OK, diagnosis.OK)


def test_firmware_that_runs_again_already_is_not_reset_and_a_board_that_is_dead_is_said(board, monkeypatch):
    with ExclusiveConsole(board.console_port) as console:
        assert not reset(console)
    monkeypatch.setitem(reset.__globals__, "PROMPT_S", 0.1)
    refused = pytest.raises(LinkError, match=r"no prompt took the reset in 0\.1 s; .*button")
    with VirtualBoard(IdleWorld()) as dead, ExclusiveConsole(dead.console_port) as console, refused:
        reset(console)


def test_what_fails_at_the_prompt_is_said_and_is_no_success(board):
    done = call(shell, "--port", board.console_port, "--restart", "raise ValueError('no')")
    assert "ValueError: no" in done.stderr
    assert done.return_value != 0


def test_a_refused_configuration_and_tripped_rows_are_findings(image, tmp_path):
    path = tmp_path / "flash.bin"
    path.write_bytes(image.read_bytes())
    write_image(path, {f"/a/{CONFIG}": b"ASSBCFG\0 of another time"}, keep=True)
    with board_with(path) as board:
        code, found = findings(board.console_port, "--quick")
    assert code == EXIT_FAILED
    assert (found["config"]["state"], found["config"]["remedy"]) == (diagnosis.FAILED, "`assb flash --pack NAME`")
    assert "refused" in found["config"]["seen"]


def test_a_board_that_refuses_an_unsealed_file_says_which(tmp_path):
    path = tmp_path / "flash.bin"
    shared = {path: data for path, data in test_sealed_board.plan("li_lpscl_nca").files.items() if path[0] == "/"}
    edited = test_sealed_board.sealed() | {CONFIG: b"edited"}
    write_image(path, shared | placed(edited) | {KEY_FILE: test_sealed_board.KEY.text.encode()})
    with board_with(path) as board:
        code, found = findings(board.console_port, "--quick")
    assert (code, found["seal"]["state"]) == (EXIT_FAILED, diagnosis.FAILED)
    assert found["seal"]["seen"] == "slot a does not start; ValueError: /a/config.bin is not what was sealed"


def test_no_such_device_is_a_finding_not_a_crash():
    done = call(doctor, "--dut", "nonsense", "--json")
    found = {row["check"]: row for row in json.loads(done.stdout)}
    assert (done.return_value, found["cable"]["state"]) == (EXIT_FAILED, diagnosis.FAILED)
    assert "known: " in found["cable"]["remedy"]


def test_boards_lists_what_runs_who_has_it_and_what_it_says(board, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    entry = registry.Entry("set-up", board.console_port, os.getpid(), "flash.bin", "10")
    with registry.registered(entry):
        row = _row(board, "--ask")
        assert row["board_files"] == ["virtual-pico"]
        assert "pack li_lpscl_nca, board virtual-pico" in row["says"]
        lock = PortLock(board.console_port, "assb monitor")
        lock.take()
        assert _row(board)["held_by"].startswith("assb monitor")
        lock.release()
        assert not _row(board)["held_by"]
    assert {"pico", "virtual-pico"} <= {known["name"] for known in _listed()["board_files"]}


def _listed(*options):
    return json.loads(call(boards, "--json", *options).stdout)


def _row(board, *options):
    return next(row for row in _listed(*options)["connected"] if row["port"] == board.console_port)


# Outputs off before the prompt


@pytest.fixture
def connected():
    """A session with its contactor closed, its board running by itself."""
    scenario = load_scenario("short_day/cycle")
    longer = dict(scenario.pack_changes) | {"supervision.lease_ms": 600_000}  # than any program takes to start
    with open_session(replace(scenario, pack_changes=longer)) as session:
        session.start()
        session.run_to(1.5)
        session.send("arm", lease_ms=600_000)
        session.run_to(9.0)
        assert _contacts(session) == [1]
        with session.dut.background():
            yield session
        assert session.dut.counters()["crashes"] == 0


def _contacts(session):
    return [event["closed"] for event in session.recorder.events_named("coil_switched")]


def test_ctrl_c_in_a_plain_terminal_opens_the_contactor_and_then_gives_the_prompt(connected):
    with serial.Serial(connected.dut.console_port, timeout=DEADLINE_S) as terminal:
        terminal.write(b"\x03")
        said = terminal.read_until(PROMPT)
        assert _contacts(connected) == [1, 0]
        assert b"outputs are off" in said
        terminal.write(b"6 * 7\r")
        assert b"42" in terminal.read_until(PROMPT)


def test_unmodified_mpremote_finds_the_contactor_open(connected):
    assert mpremote(connected.dut, "resume", "exec", "print(6 * 7)").stdout.endswith("42\n")
    assert _contacts(connected) == [1, 0]


@pytest.mark.parametrize("options", [(), ("--plain",)], ids=["mpremote", "plain"])
def test_assb_shell_opens_the_contactor_and_gives_a_prompt(connected, options):
    master, end = pty.openpty()
    command = [sys.executable, "-m", "assb_host", "shell", "--port", connected.dut.console_port, *options]
    process = subprocess.Popen(command, stdin=end, stdout=end, stderr=end)
    os.close(end)
    try:
        read_until(master, b"Ctrl-]" if not options else b"Quit: Ctrl+]")
        assert _contacts(connected) == [1, 0]
        shown = b""
        while b"six 42" not in shown:  # keys that come before the terminal is raw are lost
            os.write(master, b"print('six', 6 * 7)\r")
            while select.select([master], [], [], 0.5)[0]:
                shown += os.read(master, 4096)
        os.write(master, b"\x1d")
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)


@pytest.mark.bench(starts=2, events=("interrupted",))
def test_an_update_that_a_ctrl_c_came_before_does_not_keep_the_next_start_at_the_prompt(dut):
    """A host that waited long for the reply sends both; then it has the prompt, and flashes."""
    link = Link(DutConsole(dut))
    link.hello(10.0)
    dut.write_console(command_line("update", [("id", 1)]) + b"\r\x03\x03")
    dut.run_until(dut.now_us + 1_000_000)
    assert dut.read_console().endswith(PROMPT)
    dut.write_console(b"\rimport machine\rmachine.reset()\r")
    assert link.hello(10.0).fields["config_status"] == 0
    link.wait_for(lambda item: getattr(item, "name", "") == "HEALTH", 10.0)  # it runs on
