"""A Pico takes seconds to build the application, while its watchdog waits for two: it is fed in between."""

import sys
from pathlib import Path

import assb
import pytest
from assb import start
from assb.estimation import twin
from assb_hil.dut.idle_world import IdleWorld
from assb_hil.dut.machine_models import Interpreter
from assb_hil.scenario import load_scenario
from assb_host.config import build_image
from bench import BenchClock, BenchConsole, BenchRecord

LINES_MAX = 17_000  # of source between two feeds; an emulated RP2040 takes 64 us for one, a real one longer
LAST_ROUND_LINES = 12_000  # 0.8 s of an emulated one, with what is kept at the end of it
FIRMWARE = str(Path(assb.__file__).parent)
TWIN = (twin, 0, 0)


class LineCounter:
    """A watchdog that counts the firmware's lines between two feeds."""

    def __init__(self):
        self.count = self.most = 0

    def feed(self):
        self.most = max(self.most, self.count)
        self.count = 0

    def trace(self, frame, event, _argument):
        if not frame.f_code.co_filename.startswith(FIRMWARE):
            return None
        self.count += event == "line"
        return self.trace


def from_power_on(watchdog):
    from assb.app import App
    from assb.board import Board

    config, status = start.read_config()
    board = Board(config)
    watchdog.feed()  # as start.main does
    App(board, config, status, BenchClock(), BenchConsole(), watchdog, BenchRecord(), TWIN)


def injected(watchdog):
    watchdog.count = LAST_ROUND_LINES
    start._injection((5000, 0), BenchClock(), BenchConsole(), watchdog, BenchRecord(), TWIN)


@pytest.mark.parametrize("begin", [from_power_on, injected])
def test_the_watchdog_is_fed_within_half_of_its_time(begin, tmp_path, monkeypatch):
    (tmp_path / "config.bin").write_bytes(build_image(load_scenario("slow_board/cycle").load_pack()))
    monkeypatch.setattr(start, "FOLDER", str(tmp_path))
    watchdog, before = LineCounter(), sys.gettrace()
    with Interpreter(IdleWorld(), lambda us: None, lambda: 0):
        import assb.injection  # noqa: F401 - loading it is no part of this

        sys.settrace(watchdog.trace)
        try:
            begin(watchdog)
        finally:
            sys.settrace(before)
    watchdog.feed()
    assert watchdog.most <= LINES_MAX
