"""Faults of the virtual board itself, as a program on it sees them: held up, its memory taken, its clock jumping."""

import pytest
from virtual_bench import ChipWorld, make_board

TICKS = """
import time
while True:
    time.sleep_ms(10)
    print(time.ticks_ms())
"""
FREE = """
import gc, time
while True:
    time.sleep_ms(10)
    gc.collect()
    print(gc.mem_free())
"""
WATCHED = """
import time
from machine import WDT
wdt = WDT(timeout=500)
while True:
    time.sleep_ms(10)
    wdt.feed()
"""
BUS = """
import time
from machine import I2C
bus = I2C(0, freq=400_000, timeout=TIMEOUT)
while True:
    time.sleep_ms(10)
    before = time.ticks_us()
    try:
        bus.READ
        word = 0
    except OSError as error:
        word = error.errno
    print(time.ticks_diff(time.ticks_us(), before), word)
"""


def lines(board, until_us):
    board.run_until(until_us)
    return [line for line in board.read_console().decode().splitlines() if line]


def ticks(board, until_us):
    return [int(line) for line in lines(board, until_us)]


def test_a_stall_delays_the_wait_under_way_by_its_length(tmp_path):
    with make_board(tmp_path, TICKS) as board:
        before = ticks(board, 203_000)
        board.stall(70_000)
        after = ticks(board, 400_000)
    assert after[0] - before[-1] == pytest.approx(80, abs=1)
    assert after[1] - after[0] == pytest.approx(10, abs=1)


def test_a_stall_longer_than_the_watchdog_waits_is_a_watchdog_reset(tmp_path):
    with make_board(tmp_path, WATCHED) as board:
        board.run_until(300_000)
        board.stall(60_000_000)
        board.run_until(1_500_000)
        assert board.counters()["watchdog_resets"] == 1


def test_the_ticks_jump_and_time_does_not(tmp_path):
    with make_board(tmp_path, TICKS) as board:
        before = ticks(board, 200_000)
        board.jump_clock(-5_000_000)
        after = ticks(board, 400_000)
    period = 1 << 30
    steps = [(now - then) % period for then, now in zip([before[-1], *after], after, strict=False)]
    assert sorted(steps)[-1] == pytest.approx(period - 4_990, abs=2)
    assert len(after) == pytest.approx(20, abs=2)


@pytest.mark.parametrize("left_b", [40_000, 5_000])
def test_the_heap_is_filled_up_to_what_shall_be_left(tmp_path, left_b):
    with make_board(tmp_path, FREE) as board:
        assert ticks(board, 200_000)[-1] > 100_000
        board.fill_heap(left_b)
        assert ticks(board, 400_000)[-1] == pytest.approx(left_b, abs=2_000)
        board.reset()
        assert ticks(board, 700_000)[-1] > 100_000


class HangingWorld(ChipWorld):
    """Bus 0 hangs from 100 ms on."""

    def advance(self, now_us):
        super().advance(now_us)
        self.present = frozenset() if now_us > 100_000 else self.present

    def hung_buses(self):
        return (0,) if self.now_us > 100_000 else ()


@pytest.mark.parametrize("read", ["readfrom_mem(0x40, 5, 3)", "writeto(0x40, b'12')"])
@pytest.mark.parametrize("timeout_us", [2000, 50_000])
def test_a_transfer_on_a_bus_that_hangs_takes_its_timeout(tmp_path, read, timeout_us):
    main = BUS.replace("TIMEOUT", str(timeout_us)).replace("READ", read)
    with make_board(tmp_path, main, HangingWorld()) as board:
        seen = [tuple(map(int, line.split())) for line in lines(board, 600_000)]
    assert seen[0][1] == 0
    assert seen[0][0] < 500
    assert seen[-1][0] == pytest.approx(timeout_us, abs=200)
    assert seen[-1][1] == 110
