"""What a restart does not mend locks the board out over restarts, until somebody clears it."""

import pytest
from bench import Bench, BenchRecord

HARD_SHORT, CONTACT = 2, 1


def collapsed():
    bench = Bench().to_rest()
    bench.board.voltages_uv = [1_000_000]
    return bench.run(5000)


def test_a_hard_short_is_marked_and_a_weld_without_its_feedback_too():
    assert collapsed().app.record.locked == HARD_SHORT
    bench = Bench().to_rest()
    bench.board.welded = True
    bench.send("stop")
    assert bench.run(5000).state == "LOCKOUT"
    assert bench.app.record.locked == CONTACT


def test_clear_leaves_the_mark_while_its_row_is_tripped():
    bench = collapsed()
    bench.send("clear")
    assert bench.run(1000).app.record.locked == HARD_SHORT
    assert bench.state == "LOCKOUT"


@pytest.mark.parametrize(("kind", "sounds"), [(HARD_SHORT, 1), (CONTACT, 0)])
def test_a_marked_board_boots_locked_out_until_it_is_cleared_and_restarted(monkeypatch, kind, sounds):
    monkeypatch.setattr(BenchRecord, "locked", kind)
    bench = Bench()
    bench.board.temperature_cdegc = 6000
    bench.run(3000)
    bench.send("arm")
    assert bench.run(3000).state == "LOCKOUT"
    assert bench.board.outputs == (0, 0, 0, 0)
    assert bench.app.alarm.on == sounds
    assert not bench.tripped()
    bench.send("clear")
    assert bench.run(1000).state == "LOCKOUT"
    assert bench.app.record.locked == 0
    monkeypatch.setattr(BenchRecord, "locked", 0)
    assert Bench().to_rest().state == "REST"


def test_other_lockouts_are_forgotten_by_a_restart():
    bench = Bench()
    assert bench.run(2000).app.record.locked == 0
