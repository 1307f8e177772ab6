"""Freeze frames: what the fast tick saw around a change of stage, from the ring to the host's table."""

import math

import pytest
from assb.capture import _HOLD_MS
from assb.protocol import schema
from assb_host.link.capture import Captures
from assb_host.link.decoder import Decoder, Frame
from bench import Bench

FAST_MS = 10
BEFORE_MS, AFTER_MS = 500, 200
SENT_MS = (BEFORE_MS + AFTER_MS) // FAST_MS * 100 + 200  # a part of a frame has a row at least, and goes every 100 ms
SOFT_SHORT, HARD_SHORT = schema.STAGES.index("soft_short"), schema.STAGES.index("hard_short")


def bench_of(cell_count=1, **parameters):
    lengths = {"capture_before_ms": BEFORE_MS, "capture_after_ms": AFTER_MS}
    return Bench(cell_count, **lengths | parameters).run(2000)


def put_stage(bench, stage, cell=0):
    """As the detector of that cell would, so that it stays."""
    fusion = bench.app.cells[cell].shorts.fusion
    fusion.stage = stage
    fusion.quiet_s = 0.0
    bench.app.signals.put(bench.app.signals.cell(cell, "cell_stage"), stage, bench.clock.now_ms())


def captures(bench):
    """Every freeze frame that is whole on the bench's console."""
    assembler, found = Captures(), []
    for item in Decoder().feed(bytes(bench.console.wire)):
        if isinstance(item, Frame) and item.type == schema.CAPTURE:
            whole = assembler.take(item.fields)
            found += [whole] if whole else []
    return found


@pytest.mark.parametrize("cell_count", [1, 3, 16])
def test_a_change_of_stage_is_framed_by_every_fast_sample_around_it(cell_count):
    bench = bench_of(cell_count)
    put_stage(bench, SOFT_SHORT, cell_count - 1)
    bench.board.current_ua = 1_230
    bench.run(100)
    bench.board.voltages_uv = [3_500_000] * cell_count
    bench.run(SENT_MS)
    (frame,) = captures(bench)
    assert (frame.number, frame.cell, frame.stage) == (1, cell_count - 1, "soft_short")
    times_ms = [round(1000 * row[0]) for row in frame.rows]
    assert times_ms == list(range(-BEFORE_MS, AFTER_MS, FAST_MS))
    before, later = frame.rows[BEFORE_MS // FAST_MS - 20], frame.rows[-1]
    assert before[1:] == pytest.approx((0.0, 5.0, *[3.6] * cell_count))
    assert later[1:] == pytest.approx((0.00123, 5.0, *[3.5] * cell_count))


def test_a_hard_short_is_framed_from_the_tick_that_called_it_and_its_frame_stays():
    bench = bench_of()
    bench.board.voltages_uv = [2_000_000]
    bench.run(SENT_MS + 2 * _HOLD_MS)
    (frame,) = captures(bench)
    assert (frame.cell, frame.stage) == (0, "hard_short")
    low = [round(1000 * row[0]) for row in frame.rows if row[3] < 3.0]
    assert low[0] == -20  # the debounce
    assert low[-1] == AFTER_MS - FAST_MS
    bench.console.wire.clear()
    bench.send("capture")
    bench.run(SENT_MS)
    assert captures(bench) == [frame]


def test_a_sensor_that_gives_nothing_leaves_its_place_empty():
    bench = bench_of()
    put_stage(bench, SOFT_SHORT)
    bench.run(100)
    bench.board.dead.add("current")
    bench.run(SENT_MS)
    (frame,) = captures(bench)
    assert math.isnan(frame.rows[-1][1])
    assert frame.csv().splitlines()[-1].split(",")[1] == ""
    assert frame.csv().splitlines()[0] == "time_s,current_a,pressure_mpa,voltage_v"


def test_what_was_lost_on_the_way_comes_when_the_host_asks_again():
    bench = bench_of()
    put_stage(bench, SOFT_SHORT)
    bench.run(AFTER_MS + 500)
    bench.console.wire.clear()  # the first parts are lost
    bench.run(2000)
    assert captures(bench) == []
    bench.send("capture")
    bench.run(SENT_MS)
    assert [frame.stage for frame in captures(bench)] == ["soft_short"]


def test_the_host_may_have_a_frame_of_now():
    bench = bench_of()
    bench.send("capture")
    bench.run(SENT_MS)
    (frame,) = captures(bench)
    assert (frame.cell, frame.stage, frame.name) == (None, "none", "1_asked")
    assert len(frame.rows) == (BEFORE_MS + AFTER_MS) // FAST_MS


def test_a_worse_stage_takes_the_place_of_a_frame_and_a_milder_one_does_not():
    bench = bench_of()
    put_stage(bench, 1)
    bench.run(AFTER_MS + 300)
    put_stage(bench, SOFT_SHORT)
    bench.run(AFTER_MS + 300)
    put_stage(bench, 1)
    bench.run(SENT_MS)
    (frame,) = captures(bench)
    assert (frame.number, frame.stage) == (2, "soft_short")
    assert frame.rows[0][0] == 0.0  # what came before is in the frame that it took the place of


def test_after_a_while_it_records_anew():
    bench = bench_of()
    put_stage(bench, 1)
    bench.run(SENT_MS + _HOLD_MS + BEFORE_MS + 200)
    put_stage(bench, 0)
    bench.run(SENT_MS)
    first, second = captures(bench)
    assert (second.number, second.stage) == (first.number + 1, "none")
    assert len(second.rows) == len(first.rows)


def test_a_frame_waits_for_a_link_that_is_full():
    bench = bench_of()
    put_stage(bench, SOFT_SHORT)
    bench.run(500)
    bench.console.blocked = True
    bench.run(3 * _HOLD_MS)
    bench.console.blocked = False
    bench.run(SENT_MS)
    assert len(captures(bench)) == 1


def test_without_a_length_nothing_is_kept_and_the_host_is_told():
    bench = bench_of(capture_before_ms=0, capture_after_ms=0)
    put_stage(bench, SOFT_SHORT)
    bench.send("capture")
    bench.run(SENT_MS)
    assert captures(bench) == []
    assert b"!err capture reason=no_capture" in bytes(bench.console.wire)


@pytest.mark.parametrize("lengths", [(BEFORE_MS, 0), (0, AFTER_MS)])
def test_one_side_alone_will_do(lengths):
    bench = bench_of(capture_before_ms=lengths[0], capture_after_ms=lengths[1])
    put_stage(bench, SOFT_SHORT)
    bench.run(SENT_MS)
    (frame,) = captures(bench)
    assert len(frame.rows) == sum(lengths) // FAST_MS


def test_it_runs_across_the_wrap_of_the_ticks():
    bench = Bench(now_ms=(1 << 30) - 2300, capture_before_ms=BEFORE_MS, capture_after_ms=AFTER_MS).run(2200)
    put_stage(bench, SOFT_SHORT)
    bench.run(SENT_MS)
    (frame,) = captures(bench)
    assert [round(1000 * row[0]) for row in frame.rows] == list(range(-BEFORE_MS, AFTER_MS, FAST_MS))
