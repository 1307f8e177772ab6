"""The watchdog is fed on evidence alone: what is withheld, one piece at a time, ends the feeding."""

import pytest
from bench import Bench

ROUND_MS = 100


def feeds(bench, duration_ms=1000):
    before = bench.watchdog.feeds
    bench.run(duration_ms)
    return bench.watchdog.feeds - before


def test_a_board_that_is_well_is_fed_once_a_round_in_every_state():
    bench = Bench()
    assert feeds(bench, 300) >= 2  # BOOT and SELFTEST
    assert feeds(bench) == 1000 // ROUND_MS
    bench.to_rest()
    assert feeds(bench) == 1000 // ROUND_MS
    bench.board.temperature_cdegc = 9000
    bench.run(500)
    assert bench.state == "FAULT"
    assert feeds(bench) == 1000 // ROUND_MS


def names_of_slices():
    return [(slot, at) for slot, jobs in enumerate(Bench(3).app._slots) for at in range(len(jobs))]


@pytest.mark.parametrize(("slot", "at"), names_of_slices())
def test_a_slice_that_does_not_run_ends_the_feeding(slot, at):
    bench = Bench(3).run(1000)
    del bench.app._slots[slot][at]
    bench.run(ROUND_MS)
    assert feeds(bench) == 0


def test_sensors_that_are_not_polled_end_the_feeding():
    bench = Bench().run(1000)
    bench.board.sample = lambda now_ms: None
    bench.run(ROUND_MS)
    assert feeds(bench) == 0


def test_sensors_that_are_polled_but_dead_are_a_matter_of_the_rows_and_not_of_the_watchdog():
    bench = Bench().run(1000)
    bench.board.dead = {"voltage", "current", "pressure", "temperature"}
    assert feeds(bench) == 1000 // ROUND_MS
    assert bench.state == "FAULT"


def test_rows_that_are_not_evaluated_end_the_feeding():
    bench = Bench().run(1000)
    bench.app.protection.evaluate = lambda now_ms, connected=1: None
    bench.run(ROUND_MS)
    assert feeds(bench) == 0


def test_rows_that_are_evaluated_in_all_but_one_tick_of_each_round_end_the_feeding():
    bench = Bench().run(1000)
    evaluate, calls = bench.app.protection.evaluate, []

    def lazy(now_ms, connected=1):
        calls.append(now_ms)
        if len(calls) % 10:
            evaluate(now_ms, connected)

    bench.app.protection.evaluate = lazy
    bench.run(ROUND_MS)
    assert feeds(bench) == 0


def test_a_deadline_that_is_missed_in_each_round_ends_the_feeding():
    bench = Bench().run(1000)
    fed = bench.watchdog.feeds
    for _ in range(20):
        bench.run(60)
        bench.clock.ms += 60  # a slice that took so long
    assert bench.watchdog.feeds <= fed + 1


def test_evidence_of_an_earlier_round_does_not_count():
    bench = Bench().run(1000)
    bench.run(ROUND_MS)
    sample = bench.board.sample
    bench.board.sample = lambda now_ms: None
    bench.run(2 * ROUND_MS)
    assert feeds(bench) == 0
    bench.board.sample = sample
    bench.run(2 * ROUND_MS)
    assert feeds(bench) == 1000 // ROUND_MS
