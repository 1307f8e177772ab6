"""Claims about boards that other commands find: run, list, stop, stale entries, `--dut virtual`."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from assb_hil.dut import BoardNotFoundError, open_dut, registry
from assb_hil.dut.flash_image import write_image
from assb_hil.dut.registry import Entry, RegistryError, find_board, registered, running

DEADLINE_S = 60
# Swallows what a lost host would raise
BUSY = "import time\nwhile True:\n    try:\n        time.sleep_ms(1)\n    except Exception:\n        pass\n"
ENTRY = Entry("bench", "/dev/pts/99", os.getpid(), "flash.bin", "1")


@pytest.fixture(autouse=True)
def runtime_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def assb(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-m", "assb_host", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=DEADLINE_S, check=False,
    )  # fmt: skip


@contextlib.contextmanager
def running_board(*options):
    """`assb board run bench2`, its process and its port."""
    command = [sys.executable, "-m", "assb_host", "board", "run", "bench2", "--pace", "max", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    first = process.stdout.readline()
    assert first.startswith("board bench2 on /dev/")
    try:
        yield process, first.split()[3]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def bench():
    with running_board() as started:
        yield started


def test_an_entry_is_found_while_it_is_registered_and_not_after():
    with registered(ENTRY):
        assert running() == [ENTRY]
        assert find_board() == find_board("bench") == "/dev/pts/99"
        assert find_board("other") is None
    assert running() == []
    assert find_board() is None


def test_a_name_runs_once():
    with registered(ENTRY), pytest.raises(RegistryError, match="runs already"), registered(ENTRY):
        pass


def test_a_stale_entry_is_removed_even_when_its_process_number_lives():
    path = registry.path_of("dead")
    path.write_text(json.dumps({"name": "dead", "port": "/dev/pts/1", "pid": os.getpid(), "flash": "", "pace": "1"}))
    assert running() == []
    assert not path.exists()


def test_several_boards_need_a_name_unless_one_is_virtual():
    with registered(ENTRY), registered(Entry("b", "/dev/pts/98", 1, "", "1")):
        with pytest.raises(RegistryError, match="several"):
            find_board()
        with registered(Entry("virtual", "/dev/pts/97", 1, "", "1")):
            assert find_board() == "/dev/pts/97"


@pytest.mark.parametrize("name", ["", "../x", "a b", "x" * 65])
def test_names_that_are_no_file_names_are_refused(name):
    with pytest.raises(RegistryError, match="no name"):
        registry.path_of(name)


def test_a_board_runs_is_listed_found_and_stopped(bench):
    process, port = bench
    assert port in assb("board", "list").stdout
    (entry,) = json.loads(assb("board", "list", "--json").stdout)
    assert (entry["name"], entry["port"], entry["pid"]) == ("bench2", port, process.pid)
    with open_dut() as found:
        assert found.console_port == port
    assert assb("board", "run", "bench2").returncode == 4
    assert assb("board", "stop", "bench2").returncode == 0
    assert process.wait(DEADLINE_S) == 0
    assert "no virtual board" in assb("board", "list").stdout


@pytest.mark.parametrize("main", ["", BUSY], ids=["at the prompt", "busy"])
def test_a_killed_board_leaves_no_vm_and_no_entry(tmp_path, main):
    image = tmp_path / "flash.bin"
    write_image(image, {"/main.py": main.encode()})
    with running_board("--flash", str(image)) as (process, _):
        vm = int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text())
        process.send_signal(signal.SIGKILL)
        process.wait()
        deadline_s = time.monotonic() + DEADLINE_S
        while os.path.exists(f"/proc/{vm}/exe"):
            assert time.monotonic() < deadline_s
        assert running() == []


def test_a_board_is_started_for_a_command_when_none_runs():
    with open_dut() as board:
        assert os.path.exists(board.console_port)
        assert board.powered
    assert not os.path.exists(str(board.flash))


def test_wrong_arguments_get_a_message_and_an_exit_code():
    with pytest.raises(BoardNotFoundError, match="assb board run nobody"), open_dut("nobody"):
        pass
    assert assb("board", "stop").returncode == 4
    assert assb("board", "run", "x", "--pace", "0").returncode == 2
    absent = assb("board", "run", "x", "--micropython", "/nowhere/micropython")
    assert absent.returncode == 10
    assert "pip install" in absent.stderr
