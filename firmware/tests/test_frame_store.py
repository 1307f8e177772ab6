"""Freeze frames on flash: which are kept, which give way, and that nothing half-written is believed."""

import pytest
from assb.protocol import schema
from assb.storage.frame_store import _PART_BYTES, COUNT, HEAD_BYTES
from assb.storage.records import Store
from assb_host.link.capture import Captures
from assb_host.link.decoder import Decoder, Frame
from bench import Bench

SUSPECT, SOFT_SHORT, HARD_SHORT = 1, 2, 3
RANK = {SUSPECT: 1, SOFT_SHORT: 2, "trip": 3, HARD_SHORT: 4}
BEFORE_MS, AFTER_MS = 500, 200
DONE_MS = 9000  # from a change of stage: recorded, sent, written, and the ring has begun anew


def start(folder, **parameters):
    lengths = {"capture_before_ms": BEFORE_MS, "capture_after_ms": AFTER_MS}
    return Bench(store=Store(lambda: 0, str(folder)), **lengths | parameters).run(3000)


def put_stage(bench, stage, run_ms=DONE_MS):
    fusion = bench.app.cells[0].shorts.fusion
    fusion.stage, fusion.quiet_s = stage, 0.0
    bench.app.signals.put(bench.app.signals.cell(0, "cell_stage"), stage, bench.clock.now_ms())
    return bench.run(run_ms)


def ranks(folder):
    """As the next boot sees them."""
    return sorted(start(folder).app.kept.frames.ranks)


def fetched(bench, place):
    """The frame in that place as the host gets it."""
    bench.send("frames", place=place)
    begin = len(bench.console.wire)
    bench.run(20000)
    captures = Captures()
    for item in Decoder(mid_stream=True).feed(bytes(bench.console.wire[begin:])):
        if isinstance(item, Frame) and item.type == schema.FRAME:
            whole = captures.take(item.fields)
            if whole:
                return whole
    raise AssertionError("no frame came")


def test_a_change_of_stage_is_on_flash_and_the_next_boot_sends_it(tmp_path):
    bench = start(tmp_path)
    bench.board.current_ua = 5_000
    put_stage(bench, SOFT_SHORT)
    assert not bench.app.kept.frames.pending
    again = start(tmp_path)
    assert list(again.app.kept.frames.ranks) == [2, 0, 0, 0]
    frame = fetched(again, 0)
    assert (frame.cell, frame.stage) == (0, "soft_short")
    assert len(frame.rows) == (BEFORE_MS + AFTER_MS) // 10
    assert frame.rows[0][0] == pytest.approx(-BEFORE_MS / 1000)
    assert frame.rows[-1][1:] == pytest.approx((0.005, 5.0, 3.6))


def test_a_row_that_opens_is_framed_with_its_name_and_a_milder_row_is_not(tmp_path):
    bench = start(tmp_path)
    bench.board.temperature_cdegc = -100  # no_charge
    bench.run(2000)
    assert not bench.app.capture.number
    bench.board.temperature_cdegc = 8000
    bench.run(DONE_MS)
    assert list(bench.app.kept.frames.ranks) == [RANK["trip"], 0, 0, 0]
    assert fetched(start(tmp_path), 0).name == "1_trip_overtemperature"


def test_while_connected_a_frame_waits_in_ram_and_the_ring_goes_on(tmp_path):
    bench = start(tmp_path)
    bench.send("arm")
    bench.run(3500)
    assert bench.state == "REST"
    for _ in range(9):
        bench.send("lease")
        put_stage(bench, SUSPECT, 1000)
    assert bench.app.kept.frames.pending
    assert bench.app.capture._left < 0
    assert not (tmp_path / "frames").exists()
    bench.send("stop")
    bench.run(2000)
    assert ranks(tmp_path) == [0, 0, 0, RANK[SUSPECT]]


def test_a_worse_frame_takes_the_place_of_one_that_waits(tmp_path):
    bench = start(tmp_path)
    bench.send("arm")
    bench.run(3500)
    for stage in (SUSPECT,) * 9 + (SOFT_SHORT,) * 4:
        bench.send("lease")
        put_stage(bench, stage, 1000)
    bench.send("stop")
    bench.run(2000)
    assert ranks(tmp_path) == [0, 0, 0, RANK[SOFT_SHORT]]


def test_milder_frames_never_take_the_place_of_worse_ones(tmp_path):
    bench = start(tmp_path)
    for _ in range(3):
        put_stage(bench, SOFT_SHORT)
        put_stage(bench, 0)
    assert sorted(bench.app.kept.frames.ranks) == [1, 2, 2, 2]
    for _ in range(3):
        put_stage(bench, SUSPECT)
        put_stage(bench, 0)
    assert sorted(bench.app.kept.frames.ranks) == [1, 2, 2, 2]
    put_stage(bench, HARD_SHORT)
    assert ranks(tmp_path) == [2, 2, 2, 4]


def test_a_hard_short_is_kept_among_any_number_of_others(tmp_path):
    put_stage(start(tmp_path), HARD_SHORT)
    for _ in range(2 * COUNT):
        bench = put_stage(start(tmp_path), SOFT_SHORT)
    assert sorted(bench.app.kept.frames.ranks) == [2, 2, 2, 4]
    assert fetched(bench, list(bench.app.kept.frames.ranks).index(4)).stage == "hard_short"


def test_of_equals_the_oldest_gives_way(tmp_path):
    for stage in (SOFT_SHORT,) * COUNT:
        put_stage(start(tmp_path), stage)
    first = (tmp_path / "frames" / "0").read_bytes()
    others = [(tmp_path / "frames" / str(place)).read_bytes() for place in range(1, COUNT)]
    put_stage(start(tmp_path), SOFT_SHORT)
    assert (tmp_path / "frames" / "0").read_bytes() != first
    assert [(tmp_path / "frames" / str(place)).read_bytes() for place in range(1, COUNT)] == others


@pytest.mark.parametrize("at", [0, 5, 12, HEAD_BYTES + 100, -1])
def test_a_damaged_frame_is_none(tmp_path, at):
    put_stage(start(tmp_path), SOFT_SHORT)
    path = tmp_path / "frames" / "0"
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    assert ranks(tmp_path) == [0, 0, 0, 0]


@pytest.mark.parametrize("length", [0, 10, HEAD_BYTES, _PART_BYTES, -4, -1])
def test_a_frame_that_was_cut_is_none(tmp_path, length):
    put_stage(start(tmp_path), SOFT_SHORT)
    path = tmp_path / "frames" / "0"
    path.write_bytes(path.read_bytes()[:length])
    assert ranks(tmp_path) == [0, 0, 0, 0]


def test_a_frame_that_can_not_be_written_is_an_event_and_the_board_goes_on(tmp_path):
    (tmp_path / "frames").write_bytes(b"in the way")
    bench = put_stage(start(tmp_path), SOFT_SHORT)
    failed = [
        item.fields
        for item in Decoder().feed(bytes(bench.console.wire))
        if isinstance(item, Frame) and item.type == schema.EVENT and item.fields["event"] == schema.EV_STORAGE_FAILED
    ]
    assert [fields["b"] for fields in failed] == [schema.STORAGE_PLACES.index("freeze_frame")]
    assert bench.state == "SAFE"


def test_what_the_host_asked_for_is_not_stored(tmp_path):
    bench = start(tmp_path)
    bench.send("capture")
    bench.run(DONE_MS)
    assert bench.app.capture.number == 1
    assert not (tmp_path / "frames").exists()


@pytest.mark.parametrize("place", [-1, 0, 4])
def test_a_place_without_a_frame_is_refused(tmp_path, place):
    bench = start(tmp_path)
    bench.send("frames", place=place)
    bench.run(200)
    assert b"!err frames reason=no_frame" in bytes(bench.console.wire)


def test_no_heap_for_a_file_loses_the_frame_and_not_the_program(tmp_path, monkeypatch):
    def no_heap(_place):
        raise MemoryError

    bench = start(tmp_path)
    monkeypatch.setattr(bench.app.kept.frames, "_open", no_heap)
    put_stage(bench, SOFT_SHORT)
    assert not bench.app.kept.frames.pending
    assert list(bench.app.kept.frames.ranks) == [0, 0, 0, 0]
    monkeypatch.undo()
    assert any(put_stage(bench, HARD_SHORT).app.kept.frames.ranks)
