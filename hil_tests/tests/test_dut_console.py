"""Claims about the console: Ctrl-C at any moment, input at defined times, floods, ports without a reader."""

import contextlib
import os
import time

import pytest
from virtual_bench import ChipWorld, Trace, make_board

CATCHER = """
import machine, time
bus = machine.I2C(0)
buf = bytearray(4)
caught = n = 0
while True:
    try:
        while True:
            bus.readfrom_mem_into(0x40, n & 7, buf)
            if buf[1] != (n & 7) * 1000000 >> 16 & 255:
                print('desync', n, bytes(buf))
            n += 1
            time.sleep_ms(3)
    except KeyboardInterrupt:
        caught += 1
        print('caught', caught, n)
"""


def run_for(board, wall_s, done):
    """Drives the board in steps until done(); fails after wall_s."""
    deadline_s = time.monotonic() + wall_s
    while not done():
        assert time.monotonic() < deadline_s, "deadline"
        board.run_until(board.now_us + 10_000)


def test_ctrl_c_ends_a_wait_and_never_desyncs(tmp_path):
    with make_board(tmp_path, CATCHER) as board:
        trace = Trace(board)
        board.run_until(20_000)
        for step in range(100):
            board.write_console(b"\x03")
            board.run_until(20_000 + 1_700 * (step + 1))
        board.run_until(250_000)
        assert board.counters()["crashes"] == 0
    assert "caught 100" in trace.text()
    assert "desync" not in trace.text()


def test_ctrl_c_at_the_same_time_gives_the_same_trace(tmp_path):
    traces = []
    for _ in range(2):
        with make_board(tmp_path, CATCHER) as board:
            traces.append(Trace(board))
            for at_us in (31_000, 47_500, 90_001):
                board.run_until(at_us)
                board.write_console(b"ab\x03")
            board.run_until(120_000)
    assert traces[0].rows == traces[1].rows
    assert len(traces[0].rows) == 3


def test_ctrl_c_stops_code_that_never_waits(tmp_path):
    with make_board(tmp_path, "print('spin')\nwhile True: pass") as board:
        trace = Trace(board)
        board.write_console(b"\x03")
        board.run_until(100_000)
        assert "KeyboardInterrupt" in trace.text()
        assert trace.text().endswith(">>> ")
        assert board.counters()["soft_resets"] == 0


def test_ctrl_c_twice_stops_code_that_swallows_the_first(tmp_path):
    main = "try:\n    while True: pass\nexcept KeyboardInterrupt:\n    print('swallowed')\nwhile True: pass"
    with make_board(tmp_path, main) as board:
        trace = Trace(board)
        board.write_console(b"\x03\x03")
        board.run_until(100_000)
        assert "swallowed" in trace.text()
        assert trace.text().endswith(">>> ")
        assert board.counters()["soft_resets"] == board.counters()["crashes"] == 0


def test_ctrl_c_at_the_prompt_is_a_key_like_others(tmp_path):
    with make_board(tmp_path, "print('up')") as board:
        board.run_until(50_000)
        board.write_console(b"garbage\x03print(6 * 7)\r")
        board.run_until(100_000)
        assert b"\r\n42" in board.read_console()
        assert board.counters()["soft_resets"] == board.counters()["crashes"] == 0


def test_kbd_intr_makes_ctrl_c_a_byte(tmp_path):
    main = """
import micropython, select, sys, time
micropython.kbd_intr(-1)
keys = select.poll()
keys.register(sys.stdin, select.POLLIN)
while True:
    while keys.poll(0):
        print(repr(sys.stdin.buffer.read(1)))
    time.sleep_ms(10)
"""
    with make_board(tmp_path, main) as board:
        board.run_until(50_000)
        board.write_console(b"a\x03b")
        board.run_until(100_000)
        assert board.read_console().split() == [b"b'a'", b"b'\\x03'", b"b'b'"]


def test_code_that_reads_without_waiting_gets_its_input(tmp_path):
    with make_board(tmp_path, "print('name?')\nprint('hello', input())") as board:
        board.run_until(50_000)
        board.write_console(b"bench\r")
        board.run_until(60_000)
        assert b"hello bench" in board.read_console()


def test_what_is_written_to_a_board_without_power_never_arrives(tmp_path):
    with make_board(tmp_path, "print(repr(input()))") as board:
        board.power_off()
        port = os.open(board.console_port, os.O_RDWR | os.O_NOCTTY)
        os.write(port, b"lost\n")
        board.run_until(board.now_us + 50_000)
        os.write(port, b"lost too\n")
        board.power_on()
        os.write(port, b"heard\n")
        board.run_until(board.now_us + 50_000)
        os.close(port)
        said = board.read_console()
        assert b"'heard'" in said and b"lost" not in said


def test_a_board_that_runs_as_fast_as_it_goes_does_so_for_code_at_its_prompt_and_idles_by_the_clock(tmp_path):
    with make_board(tmp_path, "") as board:
        board.run_until(50_000)
        started_s = time.monotonic()
        board.write_console(b"import time; time.sleep(3600); print('sle' + 'pt')\r")
        said = bytearray()

        def woke():
            said.extend(board.read_console())
            return b"slept" in said or time.monotonic() - started_s > 30

        board.run_paced(float("inf"), woke)
        assert b"slept" in said
        idle_us, idle_s = board.now_us, time.monotonic()
        board.run_paced(float("inf"), lambda: time.monotonic() > idle_s + 0.1)
        assert board.now_us - idle_us < 1e6 * (time.monotonic() - idle_s) + 100_000


def test_a_flood_nobody_reads_does_not_block_the_board(tmp_path):
    main = "import time\nfor n in range(300):\n    print('x' * 5000)\n    time.sleep_ms(1)\nprint('done')"
    with make_board(tmp_path, main) as board:
        board.run_until(800_000)
        assert board.counters()["console_dropped_bytes"] > 1_400_000
        assert b"done" in board.read_console()


def test_a_peer_that_does_not_read_does_not_block_the_board(tmp_path):
    main = "import time\nfor n in range(300):\n    print('x' * 5000)\n    time.sleep_ms(1)\nprint('done')"
    with make_board(tmp_path, main) as board:
        peer = os.open(board.console_port, os.O_RDWR | os.O_NOCTTY)
        try:
            board.run_until(800_000)
            assert board.counters()["console_dropped_bytes"] > 0
            assert b"done" in board.read_console()
        finally:
            os.close(peer)


def test_a_flood_of_input_that_the_board_ignores_is_held_up_and_ctrl_c_still_works(tmp_path):
    with make_board(tmp_path, "import time\nwhile True:\n    time.sleep_ms(1)") as board:
        board.write_console(b"z" * 600_000)
        board.run_until(100_000)
        board.write_console(b"\x03")
        board.run_until(200_000)
        # The board's own buffer is full of z: as on a USB port, what comes behind is not seen; a reset helps
        board.reset("hard")
        board.run_until(300_000)
        assert board.counters()["crashes"] == 0


def test_bytes_through_the_port_reach_both_ways_unchanged(tmp_path):
    main = """
import select, sys, time
keys = select.poll()
keys.register(sys.stdin, select.POLLIN)
while True:
    while keys.poll(0):
        sys.stdout.buffer.write(sys.stdin.buffer.read(1))
    time.sleep_ms(2)
"""
    every_byte = bytes(n for n in range(256) if n != 3)
    with make_board(tmp_path, main) as board:
        peer = os.open(board.console_port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            os.write(peer, every_byte)
            got = bytearray()

            def received():
                with contextlib.suppress(BlockingIOError):
                    got.extend(os.read(peer, 4096))
                return len(got) >= len(every_byte)

            run_for(board, 20, received)
            assert bytes(got) == every_byte
        finally:
            os.close(peer)


def test_a_port_can_be_closed_and_opened_again(tmp_path):
    with make_board(tmp_path, "import time\nwhile True:\n    print('tick')\n    time.sleep_ms(10)") as board:
        for _ in range(3):
            peer = os.open(board.console_port, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK)

            def reads(peer=peer):
                try:
                    return b"tick" in os.read(peer, 4096)
                except BlockingIOError:
                    return False

            run_for(board, 20, reads)
            os.close(peer)
            board.run_until(board.now_us + 100_000)


def test_ctrl_d_at_the_prompt_is_a_soft_reset(tmp_path):
    with make_board(tmp_path, "import machine\nprint('cause', machine.reset_cause())") as board:
        board.run_until(50_000)
        board.write_console(b"\x04")
        board.run_until(100_000)
        text = board.read_console()
        assert b"MPY: soft reboot\r\ncause 5" in text
        assert board.counters()["soft_resets"] == 1


def test_soft_reset_in_the_raw_repl_runs_boot_alone_and_stays_raw(tmp_path):
    with make_board(tmp_path, "print('main ran')", boot="print('boot ran')") as board:
        board.run_until(50_000)
        board.write_console(b"\x01")
        board.run_until(60_000)
        board.read_console()
        board.write_console(b"\x04")
        board.run_until(100_000)
        assert board.read_console() == b"OK\r\nMPY: soft reboot\r\nboot ran\nraw REPL; CTRL-B to exit\r\n>"
        board.write_console(b"print(1)\x04")
        board.run_until(110_000)
        assert board.read_console() == b"OK1\n\x04\x04>"


@pytest.mark.parametrize("chunks", [1, 3])
def test_code_at_the_prompt_asks_the_host_for_the_time_and_the_bus(tmp_path, chunks):
    world = ChipWorld()
    with make_board(tmp_path, "import time, machine\nbus = machine.I2C(0)", world) as board:
        board.run_until(50_000)
        for n in range(1, chunks + 1):
            board.run_until(n * 1_000_000)
            board.read_console()
            board.write_console(b"bus.readfrom_mem(0x40, 0, 2), time.ticks_ms()\r")
            board.run_until(n * 1_000_000 + 5_000)
            expected = (n * 1_000_000 // 3300).to_bytes(2, "big")
            text = board.read_console()
            assert f"({expected!r}, {n * 1000})".encode() in text
