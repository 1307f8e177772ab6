"""Limit rows: graded levels, debounce, hysteresis, recovery; missing data never clears."""

import pytest
from assb.control.protection import (
    _AUTO,
    _CLEAR,
    _MANUAL,
    _TRIPPED,
    _UNTIL_RESET,
    _WARNED,
    ACTION_MASKS,
    DERATED,
    OPEN,
    Protection,
)
from assb.protocol import schema
from assb.signals import Events, Signals
from bench import LEVELS, limit
from hypothesis import example, given, settings
from hypothesis import strategies as st

AT = schema.index_of(schema.LIMIT_ROWS)
DISABLED = {"flags": 0}


class Bench:
    """Protection with one row enabled, fed by hand every 10 ms."""

    def __init__(self, name, now_ms=0, **changes):
        self.signals = Signals(1, now_ms)
        self.events = Events()
        rows = [limit(row[1], **(changes if row[1] == name else DISABLED)) for row in schema.LIMIT_ROWS]
        self.protection = Protection(self.signals, rows, self.events)
        _, _, scope, signal = schema.LIMIT_ROWS[AT[name]][:4]
        self.index = self.signals.pack(signal) if scope == schema.SCOPE_PACK else self.signals.cell(0, signal)
        self.now_ms = now_ms

    @property
    def level(self):
        return self.protection.level[0]

    def feed(self, value, ticks=1):
        for _ in range(ticks):
            self.signals.put(self.index, value, self.now_ms)
            self._tick()
        return self.level

    def starve(self, ticks):
        self.signals.lose(self.index)
        for _ in range(ticks):
            self._tick()
        return self.level

    def _tick(self):
        self.protection.evaluate(self.now_ms)
        self.now_ms = (self.now_ms + 10) & ((1 << 30) - 1)


@pytest.mark.parametrize("name", [row[1] for row in schema.LIMIT_ROWS if row[4] != schema.KIND_STALE])
def test_a_row_trips_at_its_level_after_its_debounce_and_not_before(name):
    _, _, trip, _, debounce_ms = LEVELS[name]
    bench = Bench(name)
    outward = -1 if schema.LIMIT_ROWS[AT[name]][4] == schema.KIND_LOW else 1
    assert bench.feed(trip - outward, 100) != _TRIPPED
    ticks = debounce_ms // 10
    assert bench.feed(trip, ticks) != _TRIPPED
    assert bench.feed(trip) == _TRIPPED
    assert bench.protection.trip_bits == 1 << AT[name]
    assert bench.protection.blocked == ACTION_MASKS[schema.LIMIT_ROWS[AT[name]][7]]


@pytest.mark.parametrize("name", [row[1] for row in schema.LIMIT_ROWS if row[4] == schema.KIND_STALE])
def test_a_stale_row_trips_by_age_and_missing_data_does_not_clear_it(name):
    trip_ms = LEVELS[name][2]
    bench = Bench(name)
    assert bench.feed(1) == _CLEAR
    assert bench.starve(trip_ms // 10 - 1) == _CLEAR
    assert bench.starve(1) == _TRIPPED
    assert bench.starve(1000) == _TRIPPED
    assert bench.protection.clear() == 1 << AT[name]


def test_missing_data_holds_the_level_that_stood():
    bench = Bench("cell_overvoltage")
    bench.feed(4310000, 5)
    assert bench.starve(100) == _TRIPPED
    bench.feed(4160000, 1)
    assert bench.protection.trip_bits


def test_one_sample_beyond_the_level_is_not_a_trip():
    bench = Bench("cell_undervoltage")
    for _ in range(50):
        assert bench.feed(2400000, 2) != _TRIPPED
        assert bench.feed(3000000, 1) != _TRIPPED


def test_levels_rise_warn_derate_trip_and_fall_with_hysteresis():
    bench = Bench("cell_overvoltage")
    assert bench.feed(4150000, 3) == _WARNED
    assert bench.feed(4200000, 3) == DERATED
    assert bench.feed(4150000, 10) == DERATED  # inside the hysteresis of 100 mV
    assert bench.feed(4099999, 3) == _WARNED
    assert bench.feed(4049999, 3) == _CLEAR


def test_a_rise_to_trip_is_timed_from_the_trip_level_not_from_the_warning():
    bench = Bench("cell_overvoltage", debounce_ms=100)
    bench.feed(4160000, 9)
    assert bench.feed(4310000, 10) != _TRIPPED
    assert bench.feed(4310000) == _TRIPPED


def test_recovery_auto_waits_inside_the_reset_level():
    bench = Bench("charge_undertemperature", recovery=_AUTO, recovery_ms=1000)
    assert bench.feed(-10, 11) == _TRIPPED
    assert bench.feed(499, 300) == _TRIPPED  # warmer than the trip level, colder than the reset level
    assert bench.feed(500, 100) == _TRIPPED
    assert bench.feed(500) == _CLEAR


def test_recovery_manual_needs_the_reset_level_and_a_clear():
    bench = Bench("cell_overvoltage", recovery=_MANUAL)
    bench.feed(4310000, 3)
    assert bench.protection.clear() == 1
    bench.feed(4200001, 5)
    assert bench.protection.clear() == 1
    assert bench.feed(4200000, 500) == _TRIPPED
    assert bench.protection.clear() == 0
    assert bench.level == _CLEAR


def test_recovery_reset_is_never_cleared():
    bench = Bench("hard_short", recovery=_UNTIL_RESET)
    bench.feed(3)
    bench.feed(0, 10000)
    assert bench.protection.clear() == 1 << AT["hard_short"]


def test_too_many_trips_lock_the_row():
    bench = Bench("charge_undertemperature", recovery=_AUTO, recovery_ms=10, trips_to_lockout=2)
    for expected in (_CLEAR, _TRIPPED):
        bench.feed(-10, 20)
        assert bench.feed(2000, 20) == expected
    bench.feed(2000, 1000)
    assert bench.level == _TRIPPED


def test_a_trip_is_one_event_with_its_row_and_value():
    bench = Bench("cell_undervoltage")
    bench.feed(2450000, 20)
    event = [0] * 5
    seen = []
    while bench.events.take(event):
        seen.append((event[0], event[2], event[3]))
    assert seen.count((schema.EV_TRIP, AT["cell_undervoltage"], 2450000)) == 1


def test_timing_survives_the_wrap_of_the_ticks():
    bench = Bench("cell_overvoltage", now_ms=(1 << 30) - 20, debounce_ms=100)
    bench.feed(3600000)
    assert bench.feed(4310000, 10) != _TRIPPED
    assert bench.feed(4310000) == _TRIPPED


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(2000000, 5000000), min_size=1, max_size=60))
@example([4200000, 4300000, 4300000, 4300000])  # the milder level is entered while the trip is being timed
def test_a_trip_happens_exactly_when_the_value_stays_beyond_for_the_debounce(values):
    bench = Bench("cell_overvoltage", recovery=_UNTIL_RESET)
    trip, debounce_ms = LEVELS["cell_overvoltage"][2], LEVELS["cell_overvoltage"][4]
    run = 0
    tripped = False
    for value in values:
        run = run + 1 if value >= trip else 0
        tripped = tripped or run > debounce_ms // 10
        assert (bench.feed(value) == _TRIPPED) == tripped


def test_every_row_is_evaluated_although_an_earlier_one_trips():
    signals, events = Signals(1), Events()
    protection = Protection(signals, [limit(row[1], debounce_ms=0) for row in schema.LIMIT_ROWS], events)
    signals.put(signals.cell(0, "voltage_uv"), 4400000, 0)
    signals.put(signals.pack("temperature_cdegc"), 9000, 0)
    signals.put(signals.pack("pressure_kpa"), 9000, 0)
    protection.evaluate(0)
    names = {row[1] for at, row in enumerate(schema.LIMIT_ROWS) if protection.trip_bits >> at & 1}
    assert names == {"cell_overvoltage", "overtemperature", "pressure_high"}
    assert protection.blocked & OPEN


def test_ripple_across_the_trip_level_does_not_hide_the_milder_levels():
    bench = Bench("cell_overvoltage")
    for value in (4290000, 4310000) * 20:
        bench.feed(value)
    assert bench.level == DERATED


def test_a_row_that_rests_keeps_its_trip_and_ends_its_warning():
    bench = Bench("pressure_low")
    bench.feed(3000, 10)
    bench.protection.evaluate(bench.now_ms, 0)
    assert bench.level == _TRIPPED
    warned = Bench("pressure_low")
    assert warned.feed(4600, 10) == _WARNED
    warned.protection.evaluate(warned.now_ms, 0)
    assert warned.level == _CLEAR
