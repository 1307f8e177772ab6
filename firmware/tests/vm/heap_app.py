"""Run by test_heap_app.py on the VM: the whole fast tick and the frame encoder under a locked heap.

Prints `allocates: NAME` for what failed, `ok` at the end. `control` allocates on purpose and must be reported.
"""

import gc
import sys

import micropython
from assb.start import choose_kernel, read_config

config, status = read_config(sys.argv[1])
kernel = choose_kernel()

from assb.app import App  # noqa: E402 - in the order of start.main, for the same peak of the heap
from assb.board import Board  # noqa: E402
from assb.injection import InjectedBoard  # noqa: E402
from assb.storage import records  # noqa: E402


class Clock:
    """Stands between the steps: what rows judge must not depend on how busy the machine is."""

    ms = 1000

    def now_ms(self):
        return self.ms

    def now_us(self):
        return self.ms * 1000

    def cost(self, kind):
        pass


class Console:
    dropped_line_count = 0

    def __init__(self):
        self.length = 0

    def writable(self):
        return True

    def write(self, buffer, length):
        self.length = length
        return True

    def write_text(self, text):
        pass

    def read_line(self):
        return None


class Record:
    boot_count = reset_cause = 1
    slot = 0

    def forget_crashes(self):
        pass


class Watchdog:
    def feed(self):
        pass


def locked(name, call):
    failed = None
    micropython.heap_lock()
    try:
        call()  # no arguments: passing *args would allocate
    except MemoryError as error:
        failed = error
    micropython.heap_unlock()
    if failed:
        print("allocates:", name)
        sys.print_exception(failed)


def fast_ticks(app, now_ms, count):
    for tick in range(count):
        app.fast(now_ms + 10 * tick, tick)


def encode_all(app, now_ms):
    telemetry = app.telemetry
    for plan in telemetry.plans:
        telemetry.send(telemetry.encode(plan, 0, now_ms))
    telemetry.send_events()


def control(app):
    app.leftover = [1, 2, 3]


board = Board(config)
clock = Clock()
app = App(
    board, config, status, clock, Console(), Watchdog(), Record(), kernel,
    records.Store(clock.now_us, sys.argv[2]),
)  # fmt: skip
injected = InjectedBoard(config)
config.release()
for _ in range(300):
    clock.ms = app._due_ms
    app.step(clock.ms)
now_ms = clock.ms + 10
gc.collect()
print("free", gc.mem_free())
print("state", app.supervisor.state, "saved", app.kept.learned._record.sequence > 0)
locked("fast tick", lambda: fast_ticks(app, now_ms, 200))
locked("encoder", lambda: encode_all(app, now_ms))
app.supervisor.state = 5
locked("fast tick, closed", lambda: fast_ticks(app, now_ms + 2000, 200))
for bus in board._buses._opened.values():
    bus.fail = 1
locked("fast tick without acknowledge", lambda: fast_ticks(app, now_ms + 4000, 200))
print("tripped", app.protection.trip_bits != 0, "state", app.supervisor.state)
for bus in board._buses._opened.values():
    bus.fail = 0
app.cells[0].shorts.collapse.expect(100000000, 0, 0.1, now_ms + 6000)  # the stand-in's cell has 57 V
locked("hard short", lambda: fast_ticks(app, now_ms + 6000, 20))
print("stage", app.cells[0].shorts.fusion.stage)
locked("freeze frame", lambda: fast_ticks(app, now_ms + 6200, 100))
locked("freeze frame's encoder", lambda: app.capture.send(app.telemetry, now_ms + 7200))
print("rows sent", app.capture._row)
injected.attach(app.signals, app.cells, app.events)
injected.take({"t": "1", "v": "3700000", "i": "-1000", "p": "5000,1234", "c": "2500", "k": "1", "a": "5000"})
locked("injected sample", lambda: injected.sample(now_ms + 8000))
print("injected", app.signals.value[injected._s_voltages[0]], injected.contactor_closed())
locked("control", lambda: control(app))
print("ok")
