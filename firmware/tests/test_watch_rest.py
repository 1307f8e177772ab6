"""Rests that the watch for shorts asks for: when, for how long, what is told of them, and that no current is left."""

from types import SimpleNamespace

import pytest
from assb import watch_rests
from assb.control.derating import Derating
from assb.control.watch_rest import WatchRest
from assb.protocol import schema
from assb.signals import Signals
from assb.watch_rests import WatchRests
from hypothesis import given, settings
from hypothesis import strategies as st

EVERY_S, REST_S, MOST_S = 3600, 600, 1500
MORE_S, SCORE_LEAST, SCORE_RISE = 300.0, 0.1, 0.02  # written a second time: who changes one changes it here too
SCORE_LOUD, SOON = 0.5, 0.25
RISES = [SCORE_LEAST + 2 * SCORE_RISE * k for k in range(100)]


def rested_s(watch, scores=(0.0,)):
    """Steps of a second until the rest is over; `scores`: in each of its parts, the last one stands."""
    seconds = 0
    while watch.resting:
        part = 0 if seconds < watch.rest_s else 1 + int((seconds - watch.rest_s) // MORE_S)
        watch.step(False, [scores[min(part, len(scores) - 1)]], 1.0)
        seconds += 1
    return seconds


def worked(watch, seconds, flows=True, score=0.0):
    for _ in range(seconds):
        watch.step(flows, [score], 1.0)
    return watch


def resting(score=0.0):
    watch = worked(WatchRest(EVERY_S, REST_S, MOST_S), EVERY_S - 1)
    worked(watch, 1, score=score)
    assert watch.resting
    return watch


def test_what_is_loud_waits_for_a_part_of_the_time():
    watch = worked(WatchRest(EVERY_S, REST_S, MOST_S), int(SOON * EVERY_S) - 1, score=2.0)
    assert not watch.resting
    assert not worked(watch, 100, score=SCORE_LOUD - 1e-6).resting
    assert worked(watch, 1, score=SCORE_LOUD).resting


def test_a_rest_in_which_a_current_flows_is_none_but_ends():
    watch = resting()
    assert worked(watch, REST_S).resting
    assert worked(watch, REST_S - 1, flows=False).resting
    assert not worked(watch, 1, flows=False).resting
    watch = resting()
    assert worked(watch, MOST_S - 1).resting
    assert not worked(watch, 1).resting
    assert not worked(watch, EVERY_S - 1).resting  # nor is it asked for at once


def test_it_begins_with_no_rest_behind_it():
    watch = WatchRest(EVERY_S, REST_S, MOST_S)
    assert (watch.resting, watch.worked_s, watch.rested_s, watch.due_s, watch.before) == (False, 0.0, 0.0, 0.0, [0.0])


def test_it_asks_for_a_rest_after_its_time_and_not_before_and_works_as_long_again_after_it():
    watch = worked(WatchRest(EVERY_S, REST_S, MOST_S), EVERY_S - 1)
    for _ in range(3):
        assert not watch.resting
        worked(watch, 1)
        assert rested_s(watch) == REST_S
        assert not worked(watch, EVERY_S - 1).resting


def test_a_rest_goes_on_while_the_score_grows_part_by_part_up_to_its_most():
    for parts in range(3):
        stands = RISES[parts - 1] if parts else 0.0
        assert rested_s(resting(), [*RISES[:parts], stands]) == REST_S + parts * MORE_S
    assert rested_s(resting(), RISES) == MOST_S
    watch = worked(WatchRest(EVERY_S, REST_S, REST_S + 100), EVERY_S)
    assert rested_s(watch, RISES) == REST_S + 100


@pytest.mark.parametrize(
    ("before", "after", "goes_on"),
    [
        (0.0, SCORE_LEAST, True),
        (0.0, SCORE_LEAST - 1e-6, False),
        (0.3, 0.3 + SCORE_RISE + 1e-6, True),
        (0.3, 0.3 + SCORE_RISE, False),
        (0.4, 0.3, False),
        (0.4, SCORE_LOUD, True),
        (SCORE_LOUD, SCORE_LOUD, True),
        (1.0, SCORE_LOUD - 1e-6, False),
    ],
)
def test_only_a_score_that_speaks_and_grew_or_is_loud_makes_it_longer(before, after, goes_on):
    watch = resting(before)
    worked(watch, REST_S, flows=False, score=after)
    assert watch.resting == goes_on


def test_a_score_that_stands_still_is_loud_once_and_again_when_it_grew_or_had_fallen():
    stands = SCORE_LOUD + 0.1
    watch = worked(WatchRest(EVERY_S, REST_S, MOST_S), EVERY_S // 4, score=stands)
    assert rested_s(watch, [stands] * 9) == MOST_S
    assert not worked(watch, EVERY_S - 1, score=stands).resting
    assert rested_s(worked(watch, 1, score=stands), [stands] * 9) == REST_S
    assert worked(watch, EVERY_S // 4, score=stands + SCORE_RISE + 1e-6).resting
    assert rested_s(watch) == REST_S
    worked(watch, 1, score=0.0)
    assert worked(watch, EVERY_S // 4, score=stands).resting


def test_what_still_grew_when_a_rest_had_to_end_is_loud_again():
    watch = worked(WatchRest(EVERY_S, REST_S, REST_S), EVERY_S // 4, score=SCORE_LOUD)
    assert rested_s(watch, [SCORE_LOUD + 2 * SCORE_RISE]) == REST_S
    assert worked(watch, EVERY_S // 4, score=SCORE_LOUD + 2 * SCORE_RISE).resting


@pytest.mark.parametrize("growing", [0, 1])
def test_the_score_of_one_cell_hides_none_of_another(growing):
    """One stands still above what the other grows to."""
    watch, scores = WatchRest(EVERY_S, REST_S, MOST_S, 2), [0.9, 0.9]

    def changes_after_s():
        before, seconds = watch.resting, 0
        while watch.resting == before:
            watch.step(not before, scores, 1.0)
            seconds += 1
        return seconds

    assert (changes_after_s(), changes_after_s()) == (EVERY_S // 4, MOST_S)
    scores[growing] = SCORE_LEAST
    assert changes_after_s() == EVERY_S
    scores[growing] += 2 * SCORE_RISE
    assert changes_after_s() == REST_S + MORE_S
    scores[growing] = SCORE_LOUD
    assert changes_after_s() == EVERY_S // 4


def test_a_most_below_the_rest_makes_it_no_longer():
    watch = worked(WatchRest(100, REST_S, REST_S - 1), 100)
    assert rested_s(watch, RISES) == REST_S


def test_a_rest_that_comes_by_itself_puts_it_off_and_a_shorter_one_does_not():
    watch = worked(worked(WatchRest(EVERY_S, REST_S, MOST_S), EVERY_S - 1), REST_S, flows=False)
    assert not worked(watch, EVERY_S - 1).resting
    assert worked(watch, 1).resting
    watch = worked(worked(WatchRest(EVERY_S, REST_S, MOST_S), EVERY_S - 1), REST_S - 1, flows=False)
    assert not watch.resting  # without a current there is nothing to end
    assert worked(watch, 1).resting


@pytest.mark.parametrize("rested", [0, 300])
def test_what_is_opened_ends_a_rest_and_only_one_that_is_long_enough_counts(rested):
    watch = worked(resting(), rested, flows=False)
    watch.end()
    assert not watch.resting
    assert not worked(watch, REST_S - rested - 1, flows=False).resting
    assert worked(watch, 1).resting
    watch = worked(resting(), rested, flows=False)
    watch.end()
    assert not worked(worked(watch, REST_S - rested, flows=False), EVERY_S - 1).resting


LIVES = st.lists(
    st.tuples(st.booleans(), st.floats(0.0, 3.0), st.floats(0.0, 2.0), st.integers(1, 200), st.booleans()), max_size=60
)
TIMES = (st.integers(1, 500), st.integers(60, 700), st.integers(0, 1500))


def lived(watch, life):
    """(resting before the step, flows, dt_s, resting after it) of each step of a life; sometimes it is opened."""
    for flows, dt_s, score, steps, opened in life:
        for _ in range(steps):
            before = watch.resting
            watch.step(flows and not before, [score], dt_s)
            yield before, flows and not before, dt_s, watch.resting
        if opened:
            watch.end()


@settings(max_examples=100, deadline=None)
@given(TIMES[1], TIMES[2], LIVES)
def test_with_no_time_set_it_never_rests(rest_s, more_s, life):
    assert not any(after for *_, after in lived(WatchRest(0, rest_s, rest_s + more_s), life))


@settings(max_examples=200, deadline=None)
@given(*TIMES, LIVES)
def test_no_rest_is_longer_than_its_most_and_none_that_is_left_alone_shorter_than_its_least(
    every_s, rest_s, more_s, life
):
    watch, seconds, longest_s = WatchRest(every_s, rest_s, rest_s + more_s), 0.0, 0.0
    for flows, dt_s, score, steps, _opened in life:
        longest_s = max(longest_s, dt_s)
        for before, _flows, dt, after in lived(watch, [(flows, dt_s, score, steps, False)]):
            seconds = seconds + dt if before else 0.0
            assert seconds < watch.most_s + longest_s + 1e-6
            assert not before or after or seconds >= rest_s - 1e-6


@settings(max_examples=200, deadline=None)
@given(*TIMES, LIVES)
def test_between_two_rests_of_any_kind_it_works_its_time_and_begins_only_in_a_current(every_s, rest_s, more_s, life):
    watch, since_s, idle_s = WatchRest(every_s, rest_s, rest_s + more_s), 0.0, 0.0
    for step in life:
        part = SOON if step[2] >= SCORE_LOUD else 1.0
        for before, flows, dt_s, after in lived(watch, [(*step[:4], False)]):
            if before:
                since_s = idle_s = 0.0
                continue
            idle_s = 0.0 if flows else idle_s + dt_s
            since_s = 0.0 if idle_s >= rest_s else since_s + dt_s
            if after:
                assert flows
                assert since_s >= part * every_s - 1e-6


# ---- what a second of every cell comes to ----


class Cells:
    """WatchRests over cells that say a score, fed by hand."""

    def __init__(self, count=2, **times):
        self.score = [[0.0] * len(schema.EVIDENCES) for _ in range(count)]
        cells = [
            SimpleNamespace(shorts=SimpleNamespace(detector=SimpleNamespace(cell=SimpleNamespace(score=score))))
            for score in self.score
        ]
        self.signals = Signals(count)
        self.told = []
        parameters = {"rest_current_ma": 10, "watch_rest_every_s": 60, "watch_rest_s": 60, "watch_rest_most_s": 600}
        self.derating = Derating(600, 600)
        self.now_ms = (1 << 30) - 20000  # the ticks wrap on the way
        self.rests = WatchRests(
            cells,
            (parameters | times).__getitem__,
            self.signals,
            SimpleNamespace(push=self.push),
            self.derating,
            self.now_ms,
        )

    def push(self, event, a, b):
        self.told.append((event, a, b))

    def run(self, seconds, current_ua=100000, connected=1):
        for _ in range(10 * seconds):
            self.signals.put(self.signals.pack("current_ua"), current_ua, self.now_ms)
            self.now_ms = (self.now_ms + 100) & (1 << 30) - 1
            self.rests.step(connected, self.now_ms)
        return self

    @property
    def seen(self):
        """As telemetry and the limits have it, which is one thing."""
        assert self.signals.value[self.signals.pack("watch_rest")] == self.derating.resting
        return self.derating.resting


def test_the_place_of_missing_charge_is_that_of_the_table():
    assert schema.EVIDENCES[watch_rests._MISSING_CHARGE] == "missing_charge"


@pytest.mark.parametrize("current_ua", [10001, -10001, 600000])
def test_any_current_counts_and_begin_and_end_are_told_with_seconds_and_score(current_ua):
    cells = Cells().run(59, current_ua)
    assert cells.seen == 0
    cells.score[0][2] = 0.05
    assert cells.run(1, current_ua).seen == 1
    assert cells.told == [(schema.EV_REST_BEGUN, 60, 50)]
    assert cells.run(59, 0).seen == 1
    assert cells.run(1, 0).seen == 0
    assert cells.told[1:] == [(schema.EV_REST_ENDED, 60, 50)]


def test_without_a_current_or_without_knowing_it_no_rest_is_asked_for():
    cells = Cells().run(200, 10000)
    assert cells.seen == 0
    cells = Cells()
    cells.run(30)
    current = cells.signals.pack("current_ua")
    cells.signals.lose(current)
    assert cells.signals.value[current] > 0
    for _ in range(2000):
        cells.now_ms = (cells.now_ms + 100) & (1 << 30) - 1
        cells.rests.step(1, cells.now_ms)
    assert cells.seen == 0 and not cells.told


@pytest.mark.parametrize("cell", range(2))
def test_the_highest_score_of_all_cells_makes_it_longer(cell):
    cells = Cells().run(60)
    cells.score[cell][2] = 0.3
    cells.score[cell][0] = cells.score[cell][11] = 5.0  # of other evidences, which count for nothing
    assert cells.run(60 + 299, 0).seen == 1
    assert cells.run(1, 0).seen == 0
    assert cells.told[-1] == (schema.EV_REST_ENDED, 360, 300)


def test_a_current_between_the_seconds_counts():
    cells = Cells()
    for _ in range(60):
        for tick in range(10):
            cells.signals.put(cells.signals.pack("current_ua"), 100000 if tick == 4 else 0, cells.now_ms)
            cells.now_ms = (cells.now_ms + 100) & (1 << 30) - 1
            cells.rests.step(1, cells.now_ms)
    assert cells.seen == 1


def test_it_ends_within_a_slow_tick_of_the_contactor_opening_and_what_was_worked_stays():
    cells = Cells().run(60)
    assert cells.seen == 1
    cells.now_ms = (cells.now_ms + 100) & (1 << 30) - 1
    cells.rests.step(0, cells.now_ms)
    assert cells.seen == 0
    assert cells.told[-1][0] == schema.EV_REST_ENDED
    assert cells.run(1).seen == 1
    cells.run(61, connected=0)
    assert cells.seen == 0
    assert cells.run(59).seen == 0
    assert cells.run(1).seen == 1


def test_while_it_rests_both_limits_are_nothing_and_their_lines_come_back_a_second_after_it():
    derating = Derating(600, 500)
    assert (derating.charge, derating.discharge, derating.resting) == (0, 0, 0)
    derating.cells_charge_ma = derating.cells_discharge_ma = 400
    derating.update(1000, 1000, 1000)
    assert (derating.charge, derating.discharge, derating.charge_ma, derating.discharge_ma) == (1, 1, 400, 400)
    derating.resting = 1
    derating.update(1000, 1000, 2000)
    assert (derating.charge, derating.discharge, derating.charge_ma, derating.discharge_ma) == (0, 0, 0, 0)
    derating.resting = 0
    derating.update(1000, 1000, 2990)
    assert (derating.charge, derating.discharge, derating.charge_ma, derating.discharge_ma) == (0, 0, 400, 400)
    derating.update(1000, 1000, 3000)
    assert (derating.charge, derating.discharge) == (1, 1)
