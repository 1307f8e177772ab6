"""What a restart does not mend locks the board out over restarts, until somebody clears it."""

import shutil
import sys

import pytest
from assb import start
from assb.protocol import image, schema
from assb.storage.lockout import FOLDER
from assb.storage.records import Store
from assb_host.link.decoder import Decoder, Frame
from bench import Bench


@pytest.fixture
def boot(tmp_path):
    """A board with its flash: called again, it has restarted."""
    return lambda: Bench(store=Store(lambda: 0, str(tmp_path)))


def told(bench, event):
    """(a, b) of every event of that kind."""
    items = Decoder(mid_stream=False).feed(bytes(bench.console.wire))
    events = [item.fields for item in items if isinstance(item, Frame) and item.type == schema.EVENT]
    return [(each["a"], each["b"]) for each in events if each["event"] == event]


def collapsed(boot):
    bench = boot().to_rest()
    bench.board.voltages_uv = [1_000_000]
    return bench.run(5000)


def welded(boot):
    bench = boot().to_rest()
    bench.board.welded = True
    bench.send("stop")
    return bench.run(5000)


@pytest.mark.parametrize(("fault", "cause", "sounds"), [(collapsed, "hard_short", 1), (welded, "contactor", 0)])
def test_it_outlasts_restarts_until_it_is_cleared_after_one(boot, fault, cause, sounds):
    assert fault(boot).state == "LOCKOUT"
    for _ in range(2):
        bench = boot()
        bench.board.temperature_cdegc = 6000
        bench.run(3000)
        bench.send("arm")
        assert bench.run(3000).state == "LOCKOUT"
        assert bench.board.outputs == (0, 0, 0, 0)
        assert bench.app.alarm.on == sounds
        assert not bench.tripped()
        assert told(bench, schema.EV_LOCKED) == [(schema.LOCKOUT_CAUSES.index(cause), 0)]
    bench.send("clear")
    assert bench.run(3000).state == "LOCKOUT"  # not before a restart
    assert boot().to_rest().state == "REST"


@pytest.mark.parametrize("fault", [collapsed, welded])
def test_a_board_that_began_locked_out_and_is_cleared_has_failed_no_self_test_and_is_not_injected(boot, fault):
    fault(boot)
    bench = boot().run(3000)
    for command in ("hello", "clear"):
        bench.send(command)
        bench.run(1000)
        bench.send("inject", lease_ms=1000, config=bench.config.crc)
        bench.run(100)
        assert b"!err inject" in bytes(bench.console.wire)
        assert (bench.state, bench.app.injection) == ("LOCKOUT", None)
    assert told(bench, schema.EV_SELF_TEST) == []
    assert not bench.tripped()


def test_clear_leaves_it_while_its_row_is_tripped(boot):
    bench = collapsed(boot)
    bench.send("clear")
    assert bench.run(1000).state == "LOCKOUT"
    assert boot().run(3000).state == "LOCKOUT"


def test_what_does_not_fit_into_memory_or_flash_is_tried_again_and_told_once(boot, monkeypatch):
    status = [-12]
    bench = boot().to_rest()
    record = bench.app.lockout._record
    sound = record.write
    monkeypatch.setattr(record, "write", lambda: status[0] or sound())
    bench.board.voltages_uv = [1_000_000]
    bench.run(25_000)
    assert told(bench, schema.EV_STORAGE_FAILED) == [(12, schema.STORAGE_PLACES.index("lockout"))]
    status[0] = 0
    bench.run(11_000)
    assert boot().run(3000).state == "LOCKOUT"


def reset(bench):
    bench.send("reset")
    bench.run(20)
    assert bench.app.reset_wanted
    bench.app.keep()


def interrupt(bench):
    start._interrupted(bench.app, bench.watchdog, bench.app.record)


def crash(bench):
    start._crashed(ValueError("broken"), FullRecord(), None, bench.app.lockout, bench.app.kept.log)


class FullRecord:
    boot_count = 7

    @staticmethod
    def crashed():
        raise OSError(28)


@pytest.fixture
def printed(monkeypatch):
    """sys.print_exception, which CPython has not."""
    seen = []
    monkeypatch.setattr(sys, "print_exception", lambda error, *_: seen.append(error), raising=False)
    return seen


@pytest.mark.parametrize("ends", [reset, interrupt, crash, lambda bench: None], ids=("reset", "Ctrl-C", "crash", "cut"))
@pytest.mark.parametrize("after_ms", [0, 100, 300])
def test_a_short_just_before_the_end_of_a_run_is_there_in_the_next(boot, printed, ends, after_ms):
    bench = boot().to_rest()
    bench.board.voltages_uv = [1_000_000]
    for _ in range(100):
        if "hard_short" in bench.tripped():
            break
        bench.run(1)
    bench.run(after_ms)
    assert bench.app.capture.recording
    ends(bench)
    after = boot().run(3000)
    after.send("arm")
    after.run(3000)
    assert (after.state, after.board.outputs, after.app.alarm.on) == ("LOCKOUT", (0, 0, 0, 0), 1)


def test_what_trips_in_the_last_tick_before_a_restart_is_kept_without_a_slice(boot):
    bench = boot().to_rest()
    bench.app.protection.trip_bits |= bench.app.lockout._short
    bench.app.keep()
    assert boot().run(3000).state == "LOCKOUT"


def damaged(folder, names):
    for name in names:
        path = folder / name
        data = bytearray(path.read_bytes())
        data[-1] ^= 2  # hard_short to none
        path.write_bytes(data)


def test_a_flipped_bit_in_either_slot_leaves_the_cause_in_the_other(boot, tmp_path):
    welded(boot)
    for name in "ab":
        damaged(tmp_path / FOLDER[1:], name)
        bench = boot().run(3000)
        assert bench.state == "LOCKOUT"
        assert told(bench, schema.EV_LOCKED) == [(schema.LOCKOUT_CAUSES.index("contactor"), 0)]
        damaged(tmp_path / FOLDER[1:], name)


def empty(folder):
    for path in folder.iterdir():
        path.write_bytes(b"")


@pytest.mark.parametrize(
    "left",
    [
        lambda folder: damaged(folder, "ab"),
        empty,
        lambda folder: [path.unlink() for path in folder.iterdir()],
        lambda folder: shutil.rmtree(folder) or folder.write_bytes(b"a file"),
    ],
    ids=("damaged", "empty", "no files", "no folder"),
)
def test_a_lockout_that_can_not_be_read_is_the_worst_and_is_told_and_written_anew(boot, tmp_path, left):
    collapsed(boot)
    left(tmp_path / FOLDER[1:])
    bench = boot().run(3000)
    assert (bench.state, bench.app.alarm.on) == ("LOCKOUT", 1)
    assert told(bench, schema.EV_LOCKED) == [(schema.LOCKOUT_CAUSES.index("hard_short"), 0)]
    assert told(bench, schema.EV_STORAGE_FAILED)[0] == (5, schema.STORAGE_PLACES.index("lockout"))
    bench.send("clear")
    bench.run(1000)
    assert not bench.app.lockout.cause
    if (tmp_path / FOLDER[1:]).is_dir():
        assert boot().to_rest().state == "REST"


def test_a_row_that_locks_out_over_restarts_never_trips_because_data_is_lost():
    """It would trip by itself where the row that is told of its lost data is off; a contactor's row never loses any."""
    missing = {row[1]: row[9] for row in schema.LIMIT_ROWS if row[1] in ("hard_short", "weld_current")}
    assert missing == {"hard_short": "estimator_invalid", "weld_current": "current_stale"}
    assert set(missing.values()) <= set(image.ALWAYS_ENABLED)


@pytest.mark.parametrize("dead", ["voltage", "current", "pressure", "temperature"])
def test_lost_data_is_no_lockout_after_a_restart(boot, dead):
    bench = boot().to_rest()
    bench.board.dead.add(dead)
    assert bench.run(10000).state == "FAULT"
    assert boot().to_rest().state == "REST"


def test_other_faults_are_forgotten_by_a_restart(boot):
    bench = boot().to_rest()
    bench.board.temperature_cdegc = 9000
    assert bench.run(5000).state == "FAULT"
    assert boot().to_rest().state == "REST"
