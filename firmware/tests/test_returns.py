"""A cycle that takes more than it gives back: what it tells, and what must not fool it."""

from types import SimpleNamespace

import pytest
from assb.detection.detector import Detector, Pack
from assb.detection.returns import OFFSET_MOST, PACK_LEAST_C, SAME_FRAC, Returns
from assb.estimation import flat_layout, parameters
from hypothesis import given, settings
from hypothesis import strategies as st

WINDOW_S = 30.0
OFFSET_C = flat_layout.DEFAULTS["charge_offset_c"]
LOW, HIGH = 0.04, 0.96


class Cycled:
    """A cell between LOW and HIGH of the SOC that its filter has, and what is told of it after each window."""

    def __init__(self, rate_c=0.5):
        self.returns = Returns("d")
        self.rate_c, self.way, self.soc, self.now_s = rate_c, 1, 0.5, 0.0
        self.degc, self.slope_v, self.steep, self.lost_ohm = 25.0, 0.8, False, 0.0
        self.others = SimpleNamespace(passed=0, took_c=(0.0, 0.0))
        names = [name for name, _ in parameters.detection_rows()]
        q = [OFFSET_C if name == "charge_offset_c" else 0.0 for name in names]
        self.cell = SimpleNamespace(q=q, temperature_degc=25.0, ekf=SimpleNamespace(soc=0.5, soc_var=1e-6))

    def _meet(self, others_c):
        """Others of the pack, if any, pass what it passes; their cycles take `others_c`."""
        self.others.passed = 0 if others_c is None else self.returns.passed
        self.others.took_c = (others_c, others_c)

    def run(self, hours, leak_c=0.0, shift=0.0, offset_c=0.0, others_c=None):
        """`shift`: a contact that is lost leaves so much too much SOC on charge and too little on discharge.
        Returns the highest score."""
        most = 0.0
        for _ in range(round(3600 * hours / WINDOW_S)):
            self.now_s += WINDOW_S
            self.soc += (self.way * self.rate_c - leak_c) * WINDOW_S / 3600
            self.returns.count((self.way * self.rate_c + offset_c) * WINDOW_S / 3600, WINDOW_S)
            seen = self.soc + self.way * shift
            if not LOW < seen < HIGH and (seen > 0.5) == (self.way > 0):
                self.way = -self.way
            self.cell.ekf.soc = self.soc + self.way * shift
            self.cell.temperature_degc = self.degc
            step = SimpleNamespace(
                current_a=self.way * self.rate_c, size_c=self.rate_c, slope_v=self.slope_v, steep=self.steep
            )
            deficit = SimpleNamespace(slow_ohm=0.1, open2_v=0.1 * step.current_a)
            self.returns.see(self.cell, deficit, step, self.others, self.lost_ohm)
            self._meet(others_c)
            most = max(most, self.returns.score)
        return most

    def go(self, soc, **more):
        """Until the cell holds `soc`. Returns the highest score."""
        self.way = 1 if soc > self.soc else -1
        return self.run(abs(soc - self.soc) / self.rate_c, **more)


def cycle_h(rate_c):
    return 2 * (HIGH - LOW) / rate_c


@given(st.floats(0.1, 1.0), st.floats(-0.03, 0.03))
@settings(max_examples=20, deadline=None)
def test_cycles_that_give_back_what_they_took_say_nothing(rate_c, shift):
    assert Cycled(rate_c).run(4 * cycle_h(rate_c), shift=shift) < 0.3


@pytest.mark.parametrize(("leak_c", "within_turns"), [(1 / 20, 1.1), (1 / 100, 2.2)])
@pytest.mark.parametrize("begins", [0.0, 0.3, 0.7])
def test_a_leak_is_told_once_both_directions_were_seen_and_so_is_its_rate(leak_c, within_turns, begins):
    cell, cycle = Cycled(0.5), cycle_h(0.5)
    assert cell.run((1.2 + begins) * cycle) < 0.3
    assert cell.run(0.5 * within_turns * cycle + 0.5, leak_c) > 1.4
    assert 0.5 < cell.returns.leak_c / leak_c < 2


@given(st.floats(0.0, 2.0), st.floats(0.1, 3.0), st.floats(0.0, 0.06))
@settings(max_examples=40, deadline=None)
def test_a_contact_that_is_lost_and_comes_back_is_no_leak(lost_after, back_after, shift):
    """In cycles; whenever it happens, one direction at least has nothing to tell."""
    cell, cycle = Cycled(0.5), cycle_h(0.5)
    cell.run((1.2 + lost_after) * cycle)
    assert cell.run(back_after * cycle, shift=shift) < 1
    assert cell.run(2 * cycle) < 1


@pytest.mark.parametrize("offset_c", [0.0, OFFSET_MOST * OFFSET_C])
def test_in_a_pack_the_others_tell_what_the_sensor_counted_and_a_weak_leak_is_told(offset_c):
    cell, cycle = Cycled(0.3), cycle_h(0.3)
    assert cell.run(2 * cycle, offset_c=offset_c, others_c=offset_c) < 0.3
    assert cell.run(1.5 * cycle, 1 / 500, offset_c=offset_c, others_c=offset_c) > 1.8
    assert 0.5 < 500 * cell.returns.leak_c < 2
    alone = Cycled(0.3)
    alone.run(2 * cycle)
    assert alone.run(1.5 * cycle, 1 / 500) < 1


def test_in_a_pack_a_contact_that_is_lost_is_no_leak_and_a_flat_ocv_tells_nothing():
    cell, cycle = Cycled(0.5), cycle_h(0.5)
    cell.run(2 * cycle, others_c=0.0)
    assert cell.run(cycle, shift=0.03, others_c=0.0) < 1
    assert cell.run(2 * cycle, others_c=0.0) < 1
    flat = Cycled(0.3)
    flat.slope_v = 0.2
    flat.run(2 * cycle_h(0.3), others_c=0.0)
    assert flat.run(1.5 * cycle_h(0.3), 1 / 500, others_c=0.0) < 1


@pytest.mark.parametrize("lost_ohm", [0.0, 0.024])
def test_a_contact_that_comes_back_after_one_passing_each_way_is_a_leak_unless_it_is_known_to_have_been_lost(lost_ohm):
    cell, shift = Cycled(0.5), 0.015  # 0.024 ohm of 0.5 A on 0.8 V
    cell.lost_ohm = lost_ohm
    cell.go(0.1, others_c=0.0)
    cell.go(0.9, shift=shift, others_c=0.0)
    cell.go(0.1, shift=shift, others_c=0.0)
    assert (cell.go(0.9, others_c=0.0) < 1) == (lost_ohm > 0)


@pytest.mark.parametrize(("passed_ago_h", "doubts"), [(0.0, True), (11.0, True), (12.1, False)])
def test_what_has_to_come_back_is_doubt_for_half_a_day(passed_ago_h, doubts):
    cell = Cycled(0.5)
    cell.returns.clock_s = 50000.0
    cell.soc = cell.cell.ekf.soc = 0.85
    cell.go(0.95)  # one passing to compare with
    cell.go(0.85)
    cell.returns.owed[3], cell.returns.at_s[3] = -0.1, cell.returns.clock_s - 3600 * passed_ago_h
    cell.returns.owed[4] = -0.2  # of a tenth that was not passed
    cell.returns.edge = 0
    cell.go(0.95)
    assert (cell.returns.contact2 > 0) == doubts


def test_in_a_pack_what_no_leak_is_as_weak_as_is_none():
    cell, cycle = Cycled(0.3), cycle_h(0.3)
    cell.run(2 * cycle, others_c=0.0)
    assert cell.run(2 * cycle, PACK_LEAST_C, others_c=0.0) < 1
    assert cell.run(2 * cycle, 1 / 500, others_c=0.0) > 1.8


def pack_that_passed(*passings):
    """Of cells: which tenth each passed last, and what its cycles took on charge and on discharge."""
    pack = Pack()
    for passed, more in passings:
        own = Detector([0.0] * parameters.SIZE, SimpleNamespace(soc=0.5), "d")
        own.charge.known, returns = True, own.charge.returns
        returns.passed = passed
        for way in range(2):
            returns.more[way], returns.over_s[way], returns.told_s[way] = more[way], 7200.0, 1.0
        pack.detectors.append(own)
    pack.compare(pack.detectors[0])
    return pack


def test_what_a_cell_took_is_compared_with_the_most_that_two_others_took_of_the_same_tenth():
    pack = pack_that_passed((3, (0.0, 0.0)), (3, (0.004, -0.1)), (3, (0.002, 0.006)), (2, (0.5, 0.5)))
    assert (pack.passed, pack.took_c) == (3, (0.002, 0.003))
    assert pack_that_passed((3, (0.0, 0.0)), (3, (0.0, 0.0)), (2, (0.0, 0.0))).passed == 0
    assert pack_that_passed((0, (0.0, 0.0)), (0, (0.0, 0.0)), (0, (0.0, 0.0))).passed == 0


def test_a_tenth_that_is_passed_again_before_any_other_is_no_cycle():
    """A contact comes back just as it is passed for the first time: early, and once more."""
    cell = Cycled(0.5)
    cell.go(0.92)
    cell.go(0.55)
    cell.go(0.92)
    cell.go(0.18, shift=0.06)  # on discharge more seems to have gone in, four times
    assert min(cell.returns.latest[1], cell.returns.more[1]) > 0.04
    assert max(cell.go(0.275), cell.go(0.285, shift=0.03), cell.go(0.7)) < 1


@pytest.mark.parametrize("offset_c", [-3 * OFFSET_C, OFFSET_MOST * OFFSET_C])
def test_what_the_sensors_offset_counts_is_no_leak(offset_c):
    assert Cycled(0.2).run(4 * cycle_h(0.2), offset_c=offset_c) < 0.1


def test_more_than_that_is_one():
    assert Cycled(0.2).run(4 * cycle_h(0.2), offset_c=6 * OFFSET_C) > 1


@pytest.mark.parametrize(
    "change",
    [
        {"rate_c": 0.5 * (1 + 1.5 * SAME_FRAC)}, {"degc": 28.0}, {"steep": True}, {"slope_v": 0.0}, {"rate_c": 0.015},
    ],
)  # fmt: skip
def test_other_conditions_are_not_compared(change):
    cell, cycle = Cycled(0.5), cycle_h(0.5)
    cell.run(1.2 * cycle)
    vars(cell).update(change)
    assert cell.run(0.9 * cycle, 1 / 20) == 0


def test_a_flat_ocv_has_to_show_more():
    scores = []
    for slope_v in (0.8, 0.1):
        cell = Cycled(0.5)
        cell.slope_v = slope_v
        cell.run(1.2 * cycle_h(0.5))
        scores.append(cell.run(cycle_h(0.5), 1 / 100))
    assert scores[0] > 3 * scores[1] > 0


def test_charge_that_nobody_saw_begins_it_anew_and_what_was_told_is_forgotten_after_hours():
    cell, cycle = Cycled(0.5), cycle_h(0.5)
    cell.run(1.2 * cycle)
    assert cell.run(cycle, 1 / 20) > 1
    cell.returns.lose()
    assert cell.run(0.9 * cycle, 1 / 20) == 0
    assert cell.run(cycle, 1 / 20) > 1
    cell.steep = True  # nothing is passed any more
    cell.run(4.1)
    assert cell.returns.score == 0
    assert cell.returns.leak_c == 0


def test_counters_begin_anew_and_forget_nothing():
    cell, cycle = Cycled(0.5), cycle_h(0.5)
    cell.returns.clock_s, cell.returns.net = 9.5e4, 3.9
    assert cell.run(1.2 * cycle, offset_c=0.01) < 0.3
    assert cell.run(1.5 * cycle, 1 / 20, offset_c=0.01) > 1.4
    assert cell.returns.clock_s < 9.5e4
    assert abs(cell.returns.net) < 3.9
    assert 15 < 1 / cell.returns.leak_c < 30
