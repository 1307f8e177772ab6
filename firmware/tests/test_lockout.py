"""What a restart does not mend locks the board out over restarts, until somebody clears it."""

import pytest
from assb.protocol import schema
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


def test_other_faults_are_forgotten_by_a_restart(boot):
    bench = boot().to_rest()
    bench.board.temperature_cdegc = 9000
    assert bench.run(5000).state == "FAULT"
    assert boot().to_rest().state == "REST"
