"""Limit rows: graded levels, debounce, hysteresis, recovery; missing data never clears. Laws of all rows are judged on
each row of the table, so that a new one is judged too."""

import pytest
from assb.control.protection import (
    _AUTO,
    _CLEAR,
    _MANUAL,
    _TRIPPED,
    _UNTIL_RESET,
    _WARNED,
    _WARNS,
    ACTION_MASKS,
    DERATED,
    OPEN,
    Protection,
)
from assb.protocol import schema
from assb.signals import Events, Signals
from bench import LEVELS, limit, names_of
from hypothesis import example, given, settings
from hypothesis import strategies as st

AT = schema.index_of(schema.LIMIT_ROWS)
ROWS = [row[1] for row in schema.LIMIT_ROWS]
VALUED = [row[1] for row in schema.LIMIT_ROWS if row[4] != schema.KIND_STALE]
STALE = [row[1] for row in schema.LIMIT_ROWS if row[4] == schema.KIND_STALE]
DISABLED = {"flags": 0}
BLIND_MS = 2000
TICK_MS = 10


def row_of(name):
    return schema.LIMIT_ROWS[AT[name]]


class Bench:
    """Protection with one row enabled, or with `others` beside it, fed by hand every 10 ms."""

    def __init__(self, name, now_ms=0, others=(), **changes):
        self.signals = Signals(1, now_ms)
        self.events = Events()
        rows = [
            limit(row[1], **(changes if row[1] == name else {} if row[1] in others else DISABLED))
            for row in schema.LIMIT_ROWS
        ]
        self.protection = Protection(self.signals, rows, self.events, BLIND_MS)
        self.at = sum(1 for other in others if AT[other] < AT[name])
        self.index = self.index_of(name)
        self.connected = 0 if row_of(name)[8] == "open" else 1
        self.now_ms = now_ms

    def index_of(self, name):
        _, _, scope, signal = row_of(name)[:4]
        return self.signals.pack(signal) if scope == schema.SCOPE_PACK else self.signals.cell(0, signal)

    @property
    def level(self):
        return self.protection.level[self.at]

    @property
    def tripped(self):
        return names_of(self.protection)

    def feed(self, value, ticks=1):
        for _ in range(ticks):
            self.signals.put(self.index, value, self.now_ms)
            self.tick()
        return self.level

    def starve(self, ticks):
        self.signals.lose(self.index)
        for _ in range(ticks):
            self.tick()
        return self.level

    def tick(self):
        self.protection.evaluate(self.now_ms, self.connected)
        self.now_ms = (self.now_ms + TICK_MS) & ((1 << 30) - 1)

    def taken(self):
        """(event, a, b) of everything that was said since the last call."""
        event, seen = [0] * 5, []
        while self.events.take(event):
            seen.append((event[0], event[2], event[3]))
        return seen


def outward(name):
    """One unit towards the worse."""
    return -1 if row_of(name)[4] == schema.KIND_LOW else 1


def calm(name):
    """A value at which every level of the row ends."""
    warn, derate, trip, reset, _ = LEVELS[name]
    sign = outward(name)
    mildest = min(sign * level for level in (warn, derate, reset) if level is not None)
    return sign * (mildest - abs(trip - reset) - 1)


def to_trip(bench, name):
    """The row trips and its debounce is over."""
    if name in STALE:
        bench.feed(1)
        return bench.starve(LEVELS[name][2] // TICK_MS + LEVELS[name][4] // TICK_MS + 1)
    return bench.feed(LEVELS[name][2], LEVELS[name][4] // TICK_MS + 1)


def within_reset(bench, name, ticks=1):
    """Back on the safe side of the reset level."""
    return bench.feed(LEVELS[name][3] if name in VALUED else 1, ticks)


@pytest.mark.parametrize("name", VALUED)
def test_a_row_trips_at_its_level_after_its_debounce_and_not_before(name):
    _, _, trip, _, debounce_ms = LEVELS[name]
    bench = Bench(name)
    assert bench.feed(trip - outward(name), 100) != _TRIPPED
    if debounce_ms:
        assert bench.feed(trip, debounce_ms // TICK_MS) != _TRIPPED
        assert bench.tripped == set()
    assert bench.feed(trip) == _TRIPPED
    assert bench.tripped == {name}
    assert bench.protection.blocked == ACTION_MASKS[row_of(name)[7]]
    assert (schema.EV_TRIP, AT[name], trip) in bench.taken()


@pytest.mark.parametrize("name", [name for name in VALUED if LEVELS[name][4]])
def test_one_tick_on_the_safe_side_begins_the_debounce_anew(name):
    _, _, trip, _, debounce_ms = LEVELS[name]
    bench = Bench(name)
    for _ in range(3):
        assert bench.feed(trip, debounce_ms // TICK_MS) != _TRIPPED
        assert bench.feed(trip - outward(name)) != _TRIPPED
    assert bench.feed(trip, debounce_ms // TICK_MS) != _TRIPPED
    assert bench.feed(trip + outward(name)) == _TRIPPED


@pytest.mark.parametrize("name", STALE)
def test_a_stale_row_trips_by_age_and_missing_data_does_not_clear_it(name):
    trip_ms = LEVELS[name][2]
    bench = Bench(name)
    assert bench.feed(1) == _CLEAR
    assert bench.starve(trip_ms // TICK_MS - 1) == _CLEAR
    assert bench.starve(1) == _TRIPPED
    assert bench.starve(1000) == _TRIPPED
    bench.protection.clear()
    assert bench.tripped == {name}


@pytest.mark.parametrize("name", STALE)
@pytest.mark.parametrize("late_ms", [0, 1, 100])
def test_a_sample_that_has_tripped_its_row_is_not_young_again_when_the_ticks_wrap(name, late_ms):
    """It is judged once when it is just too old, then again after a wrap of the ticks."""
    bench = Bench(name, recovery=_AUTO, recovery_ms=0, debounce_ms=0)
    bench.feed(1)
    sampled_ms = bench.signals.stamp_ms[bench.index]
    bench.now_ms = sampled_ms + LEVELS[name][2]
    bench.tick()
    assert bench.level == _TRIPPED
    for now_ms in (sampled_ms + LEVELS[name][2] + late_ms, sampled_ms, sampled_ms + 1):
        bench.now_ms = now_ms
        bench.tick()
        assert bench.level == _TRIPPED
    bench.feed(1, 3)
    assert bench.level == _CLEAR


@pytest.mark.parametrize("name", STALE)
def test_a_signal_that_nobody_renews_trips_by_its_age_although_nobody_calls_it_lost(name):
    bench = Bench(name)
    assert bench.feed(1) == _CLEAR
    for _ in range(LEVELS[name][2] // TICK_MS - 1):
        bench.tick()
    assert bench.level == _CLEAR
    bench.tick()
    assert bench.level == _TRIPPED


@pytest.mark.parametrize("name", [name for name in VALUED if row_of(name)[9] != "self"])
def test_a_row_beside_the_one_that_tells_of_its_missing_data_trips_at_its_level_too(name):
    """Most rows of a pack; those alone on their bench count their signal's age themselves, which takes the long way."""
    missing, trip = row_of(name)[9], LEVELS[name][2]
    bench = Bench(name, others=(missing,), debounce_ms=20)

    def see(value, ticks=1):
        for _ in range(ticks):
            bench.signals.put(bench.index_of(missing), 0, bench.now_ms)
            bench.feed(value)
        return bench.level

    assert see(trip - outward(name), 5) != _TRIPPED
    assert see(trip, 2) != _TRIPPED
    assert see(trip - outward(name)) != _TRIPPED
    assert see(trip, 2) != _TRIPPED
    assert see(trip) == _TRIPPED
    assert bench.tripped == {name}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_that_rests_neither_trips_nor_lets_go(name):
    judged = row_of(name)[8]
    bench = Bench(name)
    bench.connected = 1 if judged == "open" else 0
    level = to_trip(bench, name)
    if judged == "always":
        assert level == _TRIPPED
        return
    assert level == _CLEAR
    assert bench.starve(500) == _CLEAR
    bench.connected = 1 - bench.connected
    assert to_trip(bench, name) == _TRIPPED
    bench.connected = 1 - bench.connected
    assert within_reset(bench, name, 500) == _TRIPPED


@pytest.mark.parametrize("name", [name for name in ROWS if row_of(name)[8] != "always"])
def test_a_row_that_recovers_by_itself_does_so_while_it_rests_whatever_it_watches(name):
    bench = Bench(name, recovery=_AUTO, recovery_ms=100)
    to_trip(bench, name)
    bench.connected = 1 - bench.connected
    assert bench.feed(LEVELS[name][2], 10) == _TRIPPED
    assert bench.feed(LEVELS[name][2], 1) == _CLEAR


@pytest.mark.parametrize("name", VALUED)
def test_nothing_recovers_and_nothing_is_cleared_unseen(name):
    bench = Bench(name, recovery=_AUTO, recovery_ms=100)
    to_trip(bench, name)
    within_reset(bench, name, 9)
    assert bench.starve(50) == _TRIPPED
    assert within_reset(bench, name, 10) == _TRIPPED
    assert within_reset(bench, name) == _CLEAR
    bench = Bench(name, recovery=_MANUAL)
    to_trip(bench, name)
    within_reset(bench, name, 9)
    bench.starve(1)
    bench.protection.clear()
    assert bench.tripped == {name}
    within_reset(bench, name)
    bench.protection.clear()
    assert bench.tripped == set()


@pytest.mark.parametrize("name", ROWS)
@pytest.mark.parametrize("recovery", [_AUTO, _MANUAL, _UNTIL_RESET])
def test_a_trip_ends_as_its_recovery_says_and_only_within_the_reset_level(name, recovery):
    bench = Bench(name, recovery=recovery, recovery_ms=100)
    assert to_trip(bench, name) == _TRIPPED
    bench.protection.clear()
    assert bench.tripped == {name}  # still beyond its level
    if name in VALUED:
        assert bench.feed(LEVELS[name][3] + outward(name), 50) == _TRIPPED  # on the safe side, not yet the reset level
        bench.protection.clear()
        assert bench.tripped == {name}
    assert within_reset(bench, name, 10) == _TRIPPED
    assert within_reset(bench, name) == (_CLEAR if recovery == _AUTO else _TRIPPED)
    bench.protection.clear()
    assert bench.tripped == ({name} if recovery == _UNTIL_RESET else set())
    assert bench.protection.blocked == (ACTION_MASKS[row_of(name)[7]] if recovery == _UNTIL_RESET else 0)


@pytest.mark.parametrize("name", ROWS)
def test_a_row_that_trips_too_often_stays(name):
    bench = Bench(name, recovery=_AUTO, recovery_ms=10, trips_to_lockout=2)
    for expected in (_CLEAR, _TRIPPED):
        assert to_trip(bench, name) == _TRIPPED
        assert within_reset(bench, name) == _TRIPPED
        assert bench.feed(calm(name) if name in VALUED else 1, 50) == expected
    assert within_reset(bench, name, 1000) == _TRIPPED
    bench.protection.clear()
    assert bench.tripped == {name}


@pytest.mark.parametrize("name", VALUED)
def test_missing_data_trips_the_row_that_the_table_names(name):
    missing = row_of(name)[9]
    blind = name if missing == "self" else missing
    bench = Bench(name, others=() if missing == "self" else (missing,))
    while bench.now_ms < BLIND_MS:  # for as long after the start no row is blind
        bench.feed(LEVELS[name][3])
        if missing != "self":
            bench.signals.put(bench.index_of(missing), LEVELS[missing][3], bench.now_ms)
    assert bench.tripped == set()
    bench.signals.lose(bench.index_of(blind))
    bench.starve(1000)
    assert bench.tripped == {blind}
    assert ACTION_MASKS[row_of(blind)[7]] & ACTION_MASKS["no_charge"] or blind == "lease_lapsed"


@pytest.mark.parametrize("name", VALUED)
def test_a_row_whose_stale_row_is_switched_off_is_blind_itself(name):
    bench = Bench(name, recovery=_MANUAL)
    bench.feed(calm(name), BLIND_MS // TICK_MS + 1)
    assert bench.starve(BLIND_MS // TICK_MS) == _CLEAR
    assert bench.starve(1) == _TRIPPED
    assert bench.tripped == {name}
    assert (schema.EV_BLIND, AT[name], BLIND_MS + TICK_MS) in bench.taken()
    bench.protection.clear()
    assert bench.tripped == {name}
    within_reset(bench, name)
    bench.protection.clear()
    assert bench.tripped == set()


def test_what_was_missing_before_the_first_evaluation_is_nobodys_silence():
    bench = Bench("cell_spread")
    bench.now_ms = 60000
    assert bench.starve(BLIND_MS // TICK_MS + 1) == _CLEAR
    assert bench.starve(1) == _TRIPPED


def test_no_row_hides_behind_one_that_does_not_take_both_currents_away():
    """The rows that stand for others when data is missing act at least as hard as no_charge, and are their own."""
    for row in schema.LIMIT_ROWS:
        if row[9] != "self":
            assert row_of(row[9])[9] == "self"
            assert row_of(row[9])[7] in ("no_charge", "open")


def test_a_value_that_is_not_valid_is_not_believed_on_either_side():
    """An always-true validity check, once: a lost channel's last value, or a zero, is no measurement."""
    bench = Bench("cell_undervoltage", others=("voltage_stale",))
    bench.feed(3600000, 10)
    bench.signals.value[bench.index] = 0
    assert bench.starve(2) == _CLEAR
    assert bench.starve(5) == _CLEAR
    assert bench.tripped == {"voltage_stale"}
    bench.signals.value[bench.index] = 3600000
    assert bench.starve(100) == _CLEAR
    assert bench.tripped == {"voltage_stale"}


@pytest.mark.parametrize("name", ["cell_overvoltage", "cell_undervoltage", "open_wire", "cell_spread"])
def test_one_missing_module_does_not_clear_the_voltage_rules(name):
    bench = Bench(name, recovery=_AUTO, recovery_ms=10)
    assert to_trip(bench, name) == _TRIPPED
    assert bench.starve(3000) == _TRIPPED


def test_a_time_in_the_configuration_is_the_time_on_the_clock():
    """2000 ms that were 1000, once: a debounce is measured with the clock, not in ticks of an assumed length."""
    for tick_ms in (5, 10, 50):
        bench = Bench("pressure_low", debounce_ms=2000)
        bench.feed(5000)
        start_ms = bench.now_ms
        while bench.level != _TRIPPED:
            bench.signals.put(bench.index, 0, bench.now_ms)
            bench.protection.evaluate(bench.now_ms)
            bench.now_ms += tick_ms
        assert bench.now_ms - tick_ms - start_ms == 2000


@pytest.mark.parametrize("name", ROWS)
def test_every_row_has_a_bit_of_its_own_in_its_word(name):
    bench = Bench(name)
    to_trip(bench, name)
    word, bit = divmod(AT[name], schema.BITS_PER_WORD)
    protection = bench.protection
    assert (protection.trip_bits, protection.trip_bits_2) == ((1 << bit, 0) if word == 0 else (0, 1 << bit))
    assert max(protection.trip_bits, protection.trip_bits_2) <= schema.INT30_MAX


GRADED = {"flags": 7}


def graded(name, debounce_ms=0):
    """A row with all three levels, ten units apart."""
    _, _, _, least, greatest = row_of(name)[2:7]
    trip = least if outward(name) < 0 else greatest
    step = outward(name) * max((greatest - least) // 10, 1)
    levels = {"warn": trip - 2 * step, "derate": trip - step, "trip": trip, "reset": trip - 3 * step}
    return Bench(name, debounce_ms=debounce_ms, recovery=_MANUAL, **GRADED, **levels), trip, step


@pytest.mark.parametrize("name", [name for name in VALUED if row_of(name)[6] - row_of(name)[5] > 1000])
def test_the_share_that_is_left_falls_from_the_derate_level_to_nothing_at_the_trip_level(name):
    bench, trip, step = graded(name)
    shares = []
    for k in range(20, -1, -1):
        bench.feed(trip - step * k // 20)
        shares.append((bench.protection.charge_permille, bench.protection.discharge_permille))
    sides = row_of(name)[11]
    for side, values in zip(("charge", "discharge"), zip(*shares, strict=True), strict=True):
        if sides in (side, "both"):
            assert list(values[:-1]) == sorted(values[:-1], reverse=True)
            assert values[0] == 500
            assert 15 <= values[-2] <= 30
            assert all(
                500 * k // 20 - 2 <= value <= 500 * k // 20 + 2
                for k, value in zip(range(20, 0, -1), values, strict=False)
            )
        else:
            assert set(values) == {1000}


def test_beyond_the_trip_level_nothing_is_left_while_the_trip_is_timed():
    bench = Bench("overtemperature")
    bench.feed(6500, 20)
    assert (bench.feed(7300), bench.protection.charge_permille, bench.protection.discharge_permille) == (DERATED, 0, 0)


def test_a_level_that_a_row_does_not_use_is_never_entered_whatever_stands_there():
    flags = limit("overtemperature")[1] & ~_WARNS
    bench = Bench("overtemperature", flags=flags, warn=5500)
    assert bench.feed(5900, 50) == _CLEAR
    assert bench.feed(6000, 50) == DERATED


def test_it_counts_the_tripped_rows_that_forbid_discharge():
    counted = {"charge_undertemperature": 0, "cell_overvoltage": 1, "pressure_low": 2, "discharge_overtemperature": 3}
    bench = Bench("cell_overvoltage", others=counted)
    assert (bench.protection.blocked, bench.protection.discharge_blockers) == (0, 0)
    for name, count in counted.items():  # the other current; all; both; discharge alone
        bench.signals.put(bench.index_of(name), LEVELS[name][2], bench.now_ms)
        for _ in range(LEVELS[name][4] // TICK_MS + 1):
            bench.tick()
        assert bench.protection.discharge_blockers == count, name


def test_the_least_share_of_all_rows_counts():
    bench = Bench("overtemperature", others=("cell_overvoltage",))
    bench.signals.put(bench.index_of("cell_overvoltage"), 4250000, 0)
    bench.feed(6700, 20)
    assert (bench.protection.charge_permille, bench.protection.discharge_permille) == (150, 150)
    bench.feed(6100, 20)
    assert (bench.protection.charge_permille, bench.protection.discharge_permille) == (250, 450)


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
    hot = {"charge_overtemperature", "discharge_overtemperature", "overtemperature"}
    assert names_of(protection) == hot | {"cell_overvoltage", "pressure_high"}
    assert protection.blocked & OPEN


def test_ripple_across_the_trip_level_does_not_hide_the_milder_levels():
    bench = Bench("cell_overvoltage")
    for value in (4290000, 4310000) * 20:
        bench.feed(value)
    assert bench.level == DERATED


def test_a_row_that_rests_ends_its_warning():
    warned = Bench("pressure_low")
    assert warned.feed(4600, 10) == _WARNED
    warned.protection.evaluate(warned.now_ms, 0)
    assert warned.level == _CLEAR
