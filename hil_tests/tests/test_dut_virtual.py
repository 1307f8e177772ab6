"""Claims about the virtual board: time, determinism, resets, heap."""

import subprocess
import time

import assb_hil.dut.virtual as virtual_module
import pytest
from assb_hil.dut.bridge import SPIN_S
from assb_hil.dut.cost import CostModel
from assb_hil.dut.find_micropython import find_micropython
from assb_hil.dut.virtual import PICO_2_HEAP_BYTES, BoardHangsError, VirtualBoard
from virtual_bench import BOOT, ChipWorld, Trace, make_board, run_lines

TICKER = """
import machine, time
bus = machine.I2C(0, freq=400000)
out = machine.Pin(10, machine.Pin.OUT)
back = machine.Pin(11, machine.Pin.IN)
buf = bytearray(3)
due = time.ticks_ms()
n = 0
import sys, select
keys = select.poll(); keys.register(sys.stdin, select.POLLIN)
while True:
    bus.readfrom_mem_into(0x40, 5, buf)
    early = bytes(buf)
    bus.readfrom_mem_into(0x40, 9, buf)
    counted = bytes(buf)
    if n % 3 == 0:
        bus.readfrom_mem_into(0x40, 9, buf)
    out.value(n & 1)
    bus.writeto_mem(0x40, 1, buf)
    time.board_cost(1)
    bus.readfrom_mem_into(0x40, 5, buf)
    print(n, time.ticks_us(), early, counted, bytes(buf), back.value())
    if keys.poll(0):
        print("got", sys.stdin.read(1))
    n += 1
    due = time.ticks_add(due, 10)
    time.sleep_ms(time.ticks_diff(due, time.ticks_ms()))
"""


def traced(folder, world=None, step_us=7_000, main=TICKER, **options):
    """Trace of the ticker over 1 s, with keys pressed at fixed virtual times, and its world."""
    world = world or ChipWorld()
    with make_board(folder, main, world, **options) as board:
        trace = Trace(board)
        for at_us in range(0, 1_000_001, step_us):
            board.run_until(at_us)
            if at_us % (28 * 7_000) == 0:
                board.write_console(b"k")
        assert board.counters()["crashes"] == 0
    return trace, world


def test_same_seed_gives_the_same_trace_and_another_seed_another(tmp_path):
    cost = CostModel(boot_us=10_000, fast_us=500, fast_jitter_us=400)
    first, world = traced(tmp_path, cost=cost, seed=1)
    second, again = traced(tmp_path, cost=cost, seed=1)
    other, _ = traced(tmp_path, cost=cost, seed=2)
    assert first.text().count("got k") >= 4
    assert first.rows == second.rows
    assert first.sha256() == second.sha256()
    assert (world.pins, world.writes) == (again.pins, again.writes)
    assert first.sha256() != other.sha256()


def test_predicted_reads_equal_reads_that_ask(tmp_path):
    predicted, world = traced(tmp_path, ChipWorld(predicts=True))
    asked, plain = traced(tmp_path, ChipWorld(predicts=False))
    assert predicted.text() == asked.text()
    assert (world.pins, world.writes, world.reads) == (plain.pins, plain.writes, plain.reads)
    assert len(world.reads) > 100


def test_the_trace_does_not_depend_on_the_steps_of_run_until(tmp_path):
    world = ChipWorld()
    with make_board(tmp_path, TICKER, world) as board:
        trace = Trace(board)
        board.run_until(300_000)
    stepped = ChipWorld()
    with make_board(tmp_path, TICKER, stepped) as board:
        steps = Trace(board)
        for at_us in range(0, 300_001, 1_000):
            board.run_until(at_us)
            assert board.now_us == at_us
    assert trace.text() == steps.text()
    assert world.pins == stepped.pins


def test_a_tick_takes_one_round_trip(tmp_path):
    main = """
import machine, time
bus = machine.I2C(0)
out = machine.Pin(10, machine.Pin.OUT)
back = machine.Pin(11, machine.Pin.IN)
buf = bytearray(3)
n = 0
while True:
    for register in range(8):
        bus.readfrom_mem_into(0x40, register, buf)
    back.value()
    out.value(n & 1)
    bus.writeto_mem(0x40, 1, buf)
    n += 1
    time.sleep_us(10_000 - time.ticks_us() % 10_000)
"""
    with make_board(tmp_path, main) as board:
        board.world.peek = lambda bus, address, write, read_n: (bytes(read_n), 1 << 60)
        board.run_until(200_000)
        before = board.counters()["requests"]
        board.run_until(1_200_000)
        assert board.counters()["requests"] - before == pytest.approx(100, abs=2)


def test_boot_runs_before_main_and_a_failing_boot_does_not_stop_main(tmp_path):
    lines = run_lines(tmp_path, "print('main')", 50_000, boot="print('boot')\n1/0")
    assert lines[:5] == [
        "boot",
        "Traceback (most recent call last):",
        '  File "boot.py", line 2, in <module>',
        "ZeroDivisionError: divide by zero",
        "main",
    ]
    assert lines[-1] == ">>> "


def test_the_board_sees_its_flash_and_nothing_of_the_host(tmp_path):
    main = """
import os, sys
print(sorted(os.listdir('/')), sys.path, sys.argv, os.getcwd())
for name in ('_boot', '_lockstep', 'wire', '_flash'):
    try:
        __import__(name)
        print('found', name)
    except ImportError:
        pass
try:
    open('/etc/passwd')
except OSError as error:
    print(error)
"""
    lines = run_lines(tmp_path, main, 50_000)
    assert lines[:2] == ["['main.py'] ['', '.frozen', '/lib'] [] /", "[Errno 2] ENOENT"]


def test_the_app_has_a_pico_2s_heap_in_larger_words_and_the_shims_come_on_top(tmp_path):
    code = "import gc; gc.collect(); print(gc.mem_free())"
    plain = subprocess.run(
        [find_micropython(), "-X", "heapsize=896K", "-c", code], capture_output=True, text=True, check=True
    )
    on_board = int(run_lines(tmp_path, code, 50_000)[0])
    assert on_board == pytest.approx(int(plain.stdout), abs=1024)
    assert on_board < 2 * PICO_2_HEAP_BYTES == 896 * 1024


def test_reads_waits_and_pins_allocate_nothing(tmp_path):
    main = """
import gc, machine, time
bus = machine.I2C(0)
pin = machine.Pin(11, machine.Pin.IN)
out = machine.Pin(10, machine.Pin.OUT)
watchdog = machine.WDT(timeout=1000)
buf = bytearray(3)
def tick(n):
    bus.readfrom_mem_into(0x40, 5, buf)
    bus.writeto_mem(0x40, 1, buf)
    pin.value()
    out.value(n & 1)
    time.ticks_diff(time.ticks_ms(), time.ticks_us())
    time.board_cost(1)
    watchdog.feed()
    time.sleep_ms(10)
def allocated():
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    for n in range(50):
        tick(n)
    return gc.mem_alloc() - before
tick(0); tick(1)
print(allocated())
"""
    assert run_lines(tmp_path, main, 900_000)[0] == "0"


def test_ticks_wrap_at_2_to_the_30(tmp_path):
    main = """
import time
for _ in range(4):
    a = time.ticks_ms()
    time.sleep_ms(40)
    b = time.ticks_ms()
    print(a, b, time.ticks_diff(b, a), time.ticks_diff(a, b), time.ticks_add(a, 40) == b)
"""
    with make_board(tmp_path, main) as board:
        start_us = ((1 << 30) - 100) * 1000 - BOOT.boot_us
        board.lockstep.now_us = start_us
        board.run_until(start_us + 500_000)
        lines = board.read_console().decode().splitlines()
    full = 1 << 30
    assert [line.split()[0] for line in lines[:4]] == [str(full - 100), str(full - 60), str(full - 20), "20"]
    assert all(line.split()[2:] == ["40", "-40", "True"] for line in lines[:4])


def test_a_loop_that_watches_the_clock_gets_there(tmp_path):
    main = """
import time
t = time.ticks_ms()
while time.ticks_diff(time.ticks_ms(), t) < 30:
    pass
print(time.ticks_ms() - t)
"""
    assert run_lines(tmp_path, main, 100_000)[0] == "30"


def test_bus_bytes_take_the_time_of_the_clock(tmp_path):
    main = """
import machine, time
bus = machine.I2C(0, freq=100000)
t = time.ticks_us()
bus.readfrom_mem_into(0x40, 1, bytearray(3))
print(time.ticks_us() - t)
"""
    # Address, register, address again, three bytes: six times nine bits at 100 kHz; then overhead and clock reading
    expected_us = 6 * 90 + BOOT.i2c_overhead_us + BOOT.ticks_call_us
    assert run_lines(tmp_path, main, 50_000)[0] == str(expected_us)


def test_a_watchdog_that_is_not_fed_resets_at_its_time(tmp_path):
    main = """
import machine, time
print('cause', machine.reset_cause())
out = machine.Pin(10, machine.Pin.OUT, value=1)
dog = machine.WDT(timeout=50)
for _ in range(5):
    time.sleep_ms(40)
    dog.feed()
time.sleep_ms(100)
out.value(0)
print('not reached')
"""
    world = ChipWorld()
    with make_board(tmp_path, main, world) as board:
        trace = Trace(board)
        board.run_until(600_000)
        assert board.counters()["watchdog_resets"] == 2
    assert "cause 1" in trace.text()
    assert "cause 3" in trace.text()
    assert "not reached" not in trace.text()
    assert world.resets == 3
    # Boot, five waits, then 50 ms: the second boot follows at once
    second_boot_us = next(at for at, data in trace.rows if b"cause 3" in data)
    assert second_boot_us == pytest.approx(BOOT.boot_us + 200_000 + 50_000 + BOOT.boot_us, abs=200)


def test_a_late_feed_does_not_save_the_board(tmp_path):
    main = """
import machine, time
dog = machine.WDT(timeout=20)
for _ in range(9):
    time.board_cost(4)
dog.feed()
print('saved')
"""
    with make_board(tmp_path, main, cost=CostModel(boot_us=10_000, gc_us=4_000, gc_jitter_us=0)) as board:
        board.run_until(60_000)
        assert board.counters()["watchdog_resets"] >= 1
        assert b"saved" not in board.read_console()


def test_firmware_that_spins_is_bitten_by_its_watchdog_or_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(virtual_module, "HANG_S", 0.6)
    with make_board(
        tmp_path, "import machine\nprint(machine.reset_cause())\nmachine.WDT(timeout=50)\nwhile True: pass"
    ) as board:
        board.run_until(70_000)
        assert board.counters()["watchdog_resets"] == 1
        assert board.read_console().split() == [b"1", b"3"]
    with make_board(tmp_path, "while True: pass") as board, pytest.raises(BoardHangsError, match="no watchdog"):
        board.run_until(70_000)


def test_a_board_that_hangs_in_a_users_hands_waits_for_ctrl_c(tmp_path, monkeypatch):
    monkeypatch.setattr(virtual_module, "HANG_S", 0.6)
    with make_board(tmp_path, "print('spin')\nwhile True: pass") as board:
        started = time.monotonic()
        board.run_paced(1.0, lambda: time.monotonic() - started > 20 or board.now_us > 600_000)
        assert board.now_us > 600_000
        board.write_console(b"\x03")
        said = bytearray()

        def told():
            said.extend(board.read_console())
            return b"KeyboardInterrupt" in said or time.monotonic() - started > 60

        board.run_paced(1.0, told)  # it may take the machine a moment
        assert b"KeyboardInterrupt" in said


def test_a_vm_that_a_busy_machine_holds_up_does_not_count_as_computing(tmp_path):
    """Else input would come early, and a trace would depend on what else the machine does."""
    with make_board(tmp_path, "import time\nwhile True: time.sleep_ms(10)") as board:
        board.run_until(30_000)
        board._heard_s -= 100.0
        assert board._computing_s() < SPIN_S
        assert board._computing_s() < SPIN_S


def test_a_program_that_is_no_vm_is_reported_with_what_it_said(tmp_path):
    fake = tmp_path / "micropython"
    fake.write_text("#!/bin/sh\necho micropython\n")
    fake.chmod(0o755)
    with VirtualBoard(ChipWorld(), flash=tmp_path / "flash.bin", micropython=fake) as board:
        board.power_on()
        with pytest.raises(BoardHangsError, match=r"ended with 0.*micropython"):
            board.run_until(10_000)


@pytest.mark.parametrize(
    ("call", "cause"), [("machine.reset()", "2"), ("machine.soft_reset()", "5"), ("raise SystemExit", "5")]
)
def test_resets_from_code_say_their_cause(tmp_path, call, cause):
    main = f"import machine\nprint('cause', machine.reset_cause())\nif machine.reset_cause() == 1: {call}"
    world = ChipWorld()
    with make_board(tmp_path, main, world) as board:
        board.run_until(100_000)
        text = board.read_console()
    assert f"cause {cause}".encode() in text
    assert (b"MPY: soft reboot" in text) == (cause == "5")
    assert world.resets == 2


def test_power_off_turns_the_outputs_off_and_time_goes_on(tmp_path):
    world = ChipWorld()
    with make_board(
        tmp_path, "import machine, time\nmachine.Pin(10, machine.Pin.OUT, value=1)\ntime.sleep(9)", world
    ) as board:
        board.run_until(100_000)
        assert world.levels == {10: 1}
        board.power_off()
        assert world.levels == {}
        board.run_until(200_000)
        assert board.now_us == 200_000
        board.power_on()
        board.run_until(300_000)
        assert world.levels == {10: 1}


def test_a_device_that_goes_raises_oserror_on_read_and_write(tmp_path):
    main = """
import machine, time
bus = machine.I2C(0)
buf = bytearray(2)
while True:
    for call in (
        lambda: bus.readfrom_mem_into(0x40, 1, buf),
        lambda: bus.writeto(0x40, buf),
        lambda: bus.readfrom_mem_into(0x41, 1, buf),
    ):
        try:
            call()
            print('ok', end=' ')
        except OSError as error:
            print(error.errno, end=' ')
    print(bus.scan())
    time.sleep_ms(20)
"""
    world = ChipWorld()
    with make_board(tmp_path, main, world) as board:
        board.run_until(15_000)
        world.present = frozenset()
        board.run_until(80_000)
        lines = board.read_console().decode().splitlines()
    assert lines[0] == "ok ok 5 [64]"
    assert lines[-1] == "5 5 5 []"


def test_long_transfers_and_register_widths_arrive_byte_for_byte(tmp_path):
    main = """
import machine
bus = machine.I2C(0)
bus.writeto(0x40, bytes(range(100)))
bus.writeto_mem(0x40, 0x1234, b'ab', addrsize=16)
bus.writeto_mem(0x40, 7, b'')
print(list(bus.readfrom_mem(0x40, 9, 20)), machine.ADC(26).read_u16())
try:
    bus.writeto(0x40, bytes(300))
except ValueError as error:
    print('ValueError')
"""
    world = ChipWorld()
    lines = run_lines(tmp_path, main, 100_000, world)
    assert [data for _, _, data in world.writes] == [bytes(range(100)), b"\x12\x34ab", b"\x07"]
    assert lines[0].endswith("1026")
    assert lines[1] == "ValueError"


def test_pins_of_a_board_in_reset_are_inputs_and_released_pins_are_low(tmp_path):
    main = """
import machine
pin = machine.Pin('GP10', machine.Pin.OUT, value=1)
pin.init(machine.Pin.IN)
pwm = machine.PWM(machine.Pin(5), freq=1000, duty_u16=32768)
pwm.deinit()
"""
    world = ChipWorld()
    run_lines(tmp_path, main, 50_000, world)
    assert [(pin, level) for _, pin, level in world.pins] == [(10, 1), (10, 0), (5, 0)]
