"""The watch over columns, which campaigns and replays run, and the whole firmware call the same stages at one time:
both are fed the very readings of a pack at 100 Hz.
"""

import random

import pytest
from assb.estimation import twin
from assb.protocol import schema
from assb_host.replay.raw import native_kernel
from assb_kernels.watch import COLLAPSE_HOLD_S, COLLAPSE_V, Watch
from bench import Bench, estimator_floats

FAST_S, SLOW_S = 0.01, 0.1
FIRST = 1
CAPACITY_AH, R0_OHM = 0.6, 0.05
TRACE_V = 0.003  # what a bridge leaves behind for a while
CHANGES = {"charge_settle_s": 20.0}


class ShortedPack:
    """Readings of cells with straight OCV at rest and on charge; the last one gets bridges, a leak and a hard short."""

    def __init__(self, cells, seed):
        self.random = random.Random(seed)
        self.soc = [0.5] * cells
        self.readings = []

    def run(self, seconds, current_a, leak_a=0.0, bridge_v=0.0, left=1.0):
        for _ in range(round(seconds / FAST_S)):
            volts = []
            for cell in range(len(self.soc)):
                short_a = leak_a if cell == len(self.soc) - 1 else 0.0
                self.soc[cell] += (current_a - short_a) * FAST_S / (3600 * CAPACITY_AH)
                volt = 3.0 + 1.2 * self.soc[cell] + R0_OHM * (current_a - short_a) + self.random.gauss(0, 3e-4)
                if cell == len(self.soc) - 1:
                    volt = (volt - bridge_v) * left
                volts.append(round(volt, 6))
            self.readings.append((volts, current_a))
        return self


def shorted(cells):
    pack = ShortedPack(cells, seed=5).run(40, 0.0).run(40, 0.3)
    for _ in range(4):
        pack.run(0.5, 0.3, bridge_v=0.02).run(2, 0.3, bridge_v=TRACE_V).run(6, 0.3)
    return pack.run(120, 0.3, leak_a=1.0).run(2, 0.3, leak_a=1.0, left=0.4).readings


def by_watch(readings, cells):
    """[(time, cell, stage)], the first reading at 0. The watch begins with the reading at which the firmware's first
    step sets its clock, in the second fast tick."""
    flat = list(estimator_floats(**CHANGES))
    watch = Watch([flat] * cells, rows_per_step=round(SLOW_S / FAST_S))
    times_s = [FAST_S * at for at in range(FIRST, len(readings))]
    volts = [volt for row, _ in readings[FIRST:] for volt in row]
    changes = watch.run(times_s, volts, [current_a for _, current_a in readings[FIRST:]], 25.0, 5.0, aim_mpa=5.0)
    return [(change.time_s, change.cell, change.stage) for change in changes]


def by_firmware(readings, cells, kernel):
    """Likewise; a stage is noted at the reading with which the firmware changed it."""
    bench = Bench(cells, estimator=CHANGES, kernel=(kernel, 0, 0))
    stages, before = [], [0] * cells
    for at, (volts, current_a) in enumerate(readings):
        bench.board.voltages_uv = [round(1e6 * volt) for volt in volts]
        bench.board.current_ua = round(1e6 * current_a)
        bench.run(round(1000 * FAST_S))
        now = [watch.shorts.fusion.stage for watch in bench.app.cells]
        stages += [(FAST_S * at, cell, now[cell]) for cell in range(cells) if now[cell] != before[cell]]
        before = now
    return stages


@pytest.fixture(params=["twin", "native"])
def kernel(request):
    """The firmware's own; native: the host's build of the same C."""
    return twin if request.param == "twin" else native_kernel()


@pytest.mark.parametrize("cells", [1, 3])
def test_they_call_the_same_stages_within_a_slow_tick_and_a_hard_short_in_the_same_fast_tick(cells, kernel):
    readings = shorted(cells)
    watched, called = by_watch(readings, cells), by_firmware(readings, cells, kernel)
    assert [stage for _, _, stage in watched] == [1, 2, 3]
    assert [row[1:] for row in called] == [row[1:] for row in watched]
    assert {cell for _, cell, _ in called} == {cells - 1}
    for (watch_s, _, _), (firmware_s, _, _) in zip(watched, called, strict=True):
        assert firmware_s == pytest.approx(watch_s, abs=SLOW_S)
    assert called[-1][0] == pytest.approx(watched[-1][0], abs=1e-6)


@pytest.mark.parametrize(("refused_s", "after_s"), [(0.5, 0.02), (1.5, 0.12)])
def test_what_the_filter_expected_more_than_a_second_ago_calls_no_hard_short(refused_s, after_s, kernel):
    """Voltages that it refuses, then a collapse: after too many of them it is told by the next slow tick's."""
    pack = ShortedPack(1, seed=5).run(40 + (FIRST + 1) * FAST_S, 0.0)
    pack.run(refused_s, 0.0, left=3.0)
    begin_s = FAST_S * len(pack.readings)
    pack.run(1, 0.0, left=0.4)
    watched, called = by_watch(pack.readings, 1), by_firmware(pack.readings, 1, kernel)
    assert [stage for _, _, stage in called] == [3]
    assert called[0][0] == pytest.approx(begin_s + after_s, abs=1e-6)
    assert watched[0] == pytest.approx(called[0], abs=1e-6)


def test_the_first_slow_tick_only_sets_the_clock_whatever_it_says():
    bench = Bench(1, now_ms=90_000)
    bench.run(90)
    assert not bench.app.cells[0].started
    bench.run(100)
    assert bench.app.cells[0].started
    assert bench.app.cells[0].shorts.detector.cell.dt_s == pytest.approx(SLOW_S)


def test_the_hard_short_of_the_watch_is_the_firmwares():
    """Same drop, same time: defaults of the schema."""
    defaults = {row[1]: row[5] for row in schema.PARAMETERS}
    assert pytest.approx(defaults["hard_short_drop_uv"] / 1e6) == COLLAPSE_V
    assert pytest.approx(defaults["hard_short_debounce_ms"] / 1e3) == COLLAPSE_HOLD_S
