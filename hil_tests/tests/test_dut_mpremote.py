"""The real mpremote, unmodified, against a running virtual board: at its prompt and while a program keeps it busy."""

import os
import pty
import select
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest
from assb_hil.dut.flash_image import write_image
from assb_hil.dut.idle_world import IdleWorld
from assb_hil.dut.repl import RAW_BANNER
from assb_hil.dut.virtual import VirtualBoard
from assb_host.flash.firmware_files import placed
from assb_host.flash.plan import plan_for
from virtual_bench import make_board

MPREMOTE = Path(sys.executable).parent / "mpremote"
BUSY = "import time\nn = 0\nwhile True:\n    n += 1\n    print('tick', n)\n    time.sleep_ms(10)\n"
DEADLINE_S = 25


def test_ctrl_c_during_the_boot_waits_for_the_prompt(tmp_path):
    """A blank flash is formatted first; a client that connects meanwhile must find a board that soft-resets as one."""
    with make_board(tmp_path, "") as running:
        running.write_console(b"\r\x03")
        with running.background():
            assert mpremote(running, "fs", "ls").returncode == 0
        assert running.counters()["crashes"] == 0


@pytest.fixture(params=["", BUSY], ids=["at the prompt", "busy"])
def board(request, tmp_path):
    with make_board(tmp_path, request.param, boot="print('booted')") as running, running.background():
        yield running
        assert running.counters()["crashes"] == 0


def test_mpremote_takes_a_board_from_its_firmware_with_the_outputs_off_first(tmp_path):
    path = tmp_path / "flash.bin"
    write_image(path, placed(plan_for("li_lpscl_nca").files))
    with VirtualBoard(IdleWorld(), flash=path) as running:
        running.power_on()
        with running.background():
            assert mpremote(running, "resume", "exec", "print(6 * 7)").stdout.endswith("42\n")
            running_again(running)
            assert "config.bin" in mpremote(running, "fs", "ls", ":a").stdout
        assert running.counters()["crashes"] == 0


@pytest.mark.parametrize(("keys", "at_ms"), [(b"\x03", 0), (b"\x03", 150), (b"\x03", 600), (b"\x03\x03", 0)])
def test_ctrl_c_in_the_start_of_the_firmware_gives_a_prompt_that_lasts(tmp_path, keys, at_ms):
    """Also where it strikes between the start of the watchdog and the word of it."""
    path = tmp_path / "flash.bin"
    write_image(path, placed(plan_for("li_lpscl_nca").files))
    with VirtualBoard(IdleWorld(), flash=path) as running:
        running.power_on()
        running.run_until(at_ms * 1000)
        running.write_console(b"\r" + keys + b"\r\x01")
        running.run_until(running.now_us + 3_000_000)
        assert RAW_BANNER in running.read_console()
        running.write_console(b"print(6 * 7)\x04")
        running.run_until(running.now_us + 10_000_000)
        assert b"OK42" in running.read_console()
        assert not running.counters()["watchdog_resets"]


def mpremote(board, *arguments) -> subprocess.CompletedProcess:
    """One command line, ended."""
    return subprocess.run(
        [MPREMOTE, "connect", board.console_port, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=DEADLINE_S, check=False,
    )  # fmt: skip


def test_mpremote_lists_copies_and_removes_files(board, tmp_path):
    source, back = tmp_path / "source.bin", tmp_path / "back.bin"
    source.write_bytes(bytes(range(256)) * 30)
    assert mpremote(board, "fs", "cp", str(source), ":copy.bin").returncode == 0
    assert "7680 copy.bin" in mpremote(board, "fs", "ls").stdout
    assert mpremote(board, "fs", "cp", ":copy.bin", str(back)).returncode == 0
    assert back.read_bytes() == source.read_bytes()
    assert mpremote(board, "fs", "rm", "copy.bin").returncode == 0
    assert "copy.bin" not in mpremote(board, "fs", "ls").stdout


def test_mpremote_runs_code_and_reports_its_errors(board, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import time\nt = time.ticks_ms()\ntime.sleep_ms(50)\nprint('slept', time.ticks_diff(time.ticks_ms(), t))\n"
    )
    assert mpremote(board, "exec", "print(6 * 7)").stdout == "42\n"
    assert mpremote(board, "run", str(script)).stdout == "slept 50\n"
    failed = mpremote(board, "exec", "raise ValueError('no')")
    assert failed.returncode == 1
    assert "ValueError: no" in failed.stderr + failed.stdout


def test_mpremote_resets_the_board_and_it_comes_up_again(board):
    assert mpremote(board, "soft-reset").returncode == 0
    assert board.counters()["soft_resets"] >= 1
    running_again(board)
    assert mpremote(board, "resume", "exec", "import machine; print(machine.reset_cause())").stdout == "2\n"


def test_mpremote_repl_is_entered_and_left(board):
    terminal, end = pty.openpty()
    process = subprocess.Popen([MPREMOTE, "connect", board.console_port, "repl"], stdin=end, stdout=end, stderr=end)
    os.close(end)
    try:
        read_until(terminal, b"Use Ctrl-]")
        await_raw(terminal)
        os.write(terminal, b"\r\x03")
        read_until(terminal, b">>> ")
        os.write(terminal, b"print('six', 6 * 7)\r")
        assert b"\r\nsix 42\r\n" in read_until(terminal, b"six 42\r\n>>> ")
        os.write(terminal, b"\x1d")
        assert process.wait(DEADLINE_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(terminal)


def running_again(board) -> None:
    """A hard reset, and it has begun."""
    assert mpremote(board, "reset").returncode == 0
    deadline_s = time.monotonic() + DEADLINE_S
    while not board.counters()["hard_resets"]:
        assert time.monotonic() < deadline_s


def read_until(terminal: int, wanted: bytes) -> bytes:
    """What the terminal shows, up to some text."""
    shown = b""
    while wanted not in shown:
        assert select.select([terminal], [], [], DEADLINE_S)[0], shown
        shown += os.read(terminal, 4096)
    return shown


def await_raw(terminal: int) -> None:
    """mpremote greets before it switches its terminal to raw; until then Ctrl-C would not pass."""
    deadline_s = time.monotonic() + DEADLINE_S
    while termios.tcgetattr(terminal)[3] & termios.ICANON:
        assert time.monotonic() < deadline_s
