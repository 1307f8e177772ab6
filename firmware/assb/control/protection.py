"""Limit rows and their one interpreter. Every row is evaluated on every fast tick; nothing here allocates.

A row watches one signal (per cell where its scope says so) and has three graded levels. Missing or invalid data never
clears a row: the level that stood stays, and the stale row of that channel trips by age.

Each level is entered after the row's debounce above it, and left below it by the row's hysteresis (trip - reset):
  warn, derate  leave by themselves, after the same debounce
  trip          latches; leaves by its recovery: auto (within the reset level for recovery_ms), manual (`clear` within
                the reset level) or reset (not before a restart). After `trips_to_lockout` trips it never leaves.
"""

from array import array

from ..const import const
from ..protocol import tables
from ..ticks import elapsed_ms

# Ids of the wire, as in schema.py (a test compares)
_EV_WARN = const(3)
_EV_DERATE = const(4)
_EV_TRIP = const(5)
_EV_CLEAR = const(6)

NO_CHARGE, NO_DISCHARGE, OPEN, LOCKOUT = 1, 2, 4, 8
ACTION_MASKS = {
    "log": 0,
    "no_charge": NO_CHARGE,
    "no_discharge": NO_DISCHARGE,
    "stop": NO_CHARGE | NO_DISCHARGE,
    "open": NO_CHARGE | NO_DISCHARGE | OPEN,
    "lockout": NO_CHARGE | NO_DISCHARGE | OPEN | LOCKOUT,
}
CLEAR, WARNED, DERATED, TRIPPED = 0, 1, 2, 3
ENABLED, WARNS, DERATES = 1, 2, 4
AUTO, MANUAL, UNTIL_RESET = 0, 1, 2
_ENTERED = (_EV_CLEAR, _EV_WARN, _EV_DERATE, _EV_TRIP)


class Protection:
    """All limit rows of one configuration. `limits` are the config image's rows, in the order of tables.LIMIT_ROWS.

    A watch is one row on one signal; its columns are arrays, which on a board weigh a fifth of one object per watch.
    Levels are kept with the sign turned for rows that trip low, so that higher is always worse.
    """

    def __init__(self, signals, limits, events):
        self._signals = signals
        self._events = events
        watched = list(_watched(signals, limits))
        self.count = count = len(watched)
        for name in _COLUMNS:
            setattr(self, name, array("i", bytes(4 * count)))
        for at, (row_at, row, limit, index) in enumerate(watched):
            self._fill(at, row_at, row, limit, index)
        self.warn_bits = 0
        self.derate_bits = 0
        self.trip_bits = 0
        self.blocked = 0  # union of the tripped rows' masks

    # columns, one entry per watch
    row_at: array  # position of its row
    index: array  # place of its signal on the blackboard
    sign: array
    stale: array  # 1: compares the signal's age
    connected_only: array  # 1: rests while the contactor is commanded open
    warn: array
    derate: array
    trip: array
    hysteresis: array
    debounce_ms: array
    recovery: array
    recovery_ms: array
    trips_to_lockout: array
    mask: array
    level: array  # state from here on
    trip_count: array
    timing: array  # 1 while since_ms counts towards next_level
    next_level: array
    since_ms: array
    within_reset: array

    def _fill(self, at, row_at, row, limit, index):
        _, flags, recovery, trips_to_lockout, warn, derate, trip, reset, debounce_ms, recovery_ms = limit
        sign = -1 if row[4] == "low" else 1
        self.row_at[at] = row_at
        self.index[at] = index
        self.sign[at] = sign
        self.stale[at] = row[4] == "stale"
        self.connected_only[at] = row[8] == "connected"
        self.trip[at] = sign * trip
        # a level that is not used stands at the trip level, where it is never reached first
        self.warn[at] = sign * (warn if flags & WARNS else trip)
        self.derate[at] = sign * (derate if flags & DERATES else trip)
        self.hysteresis[at] = sign * (trip - reset)
        self.debounce_ms[at] = debounce_ms
        self.recovery[at] = recovery
        self.recovery_ms[at] = recovery_ms
        self.trips_to_lockout[at] = trips_to_lockout
        self.mask[at] = ACTION_MASKS[row[7]]
        self.within_reset[at] = 1

    def evaluate(self, now_ms, connected=1):
        """Every row once, into warn_bits, derate_bits, trip_bits and blocked. `connected`: contactor told to close."""
        warn = derate = trip = blocked = 0
        for at in range(self.count):
            if connected or not self.connected_only[at]:
                self._step(at, now_ms)
            else:
                self._suspend(at)
            level = self.level[at]
            if level == TRIPPED:
                trip |= 1 << self.row_at[at]
                blocked |= self.mask[at]
            elif level == DERATED:
                derate |= 1 << self.row_at[at]
            elif level == WARNED:
                warn |= 1 << self.row_at[at]
        self.warn_bits = warn
        self.derate_bits = derate
        self.trip_bits = trip
        self.blocked = blocked

    def _suspend(self, at):
        """Not judged now: a trip stays for its recovery, milder levels end."""
        self.within_reset[at] = 1
        self.timing[at] = 0
        if self.level[at] != TRIPPED:
            self.level[at] = CLEAR

    def _step(self, at, now_ms):
        signals = self._signals
        index = self.index[at]
        if self.stale[at]:
            value = elapsed_ms(now_ms, signals.stamp_ms[index])
        elif signals.valid[index]:
            value = self.sign[at] * signals.value[index]
        else:
            return  # the level that stood stays; the channel's stale row counts its age
        level = self._level_of(at, value)
        self.within_reset[at] = level < TRIPPED
        if self.level[at] == TRIPPED:
            self._recover(at, level, now_ms)
        elif level == self.level[at]:
            self.timing[at] = 0
        else:
            self._move(at, level, now_ms)

    def _level_of(self, at, value):
        """The level that the value asks for, with each level's hysteresis once it is entered."""
        held = self.level[at]
        trip = self.trip[at]
        back = self.hysteresis[at]
        if value >= trip or (held == TRIPPED and value > trip - back):
            return TRIPPED
        derate = self.derate[at]
        if derate < trip and value >= derate - (back if held >= DERATED else 0):
            return DERATED
        warn = self.warn[at]
        if warn < trip and value >= warn - (back if held >= WARNED else 0):
            return WARNED
        return CLEAR

    def _move(self, at, level, now_ms):
        """Debounce towards another level; a rise past the level that is being timed starts its own time."""
        next_level = self.next_level[at]
        held = self.level[at]
        if not self.timing[at] or level > next_level or (level > held) != (next_level > held):
            self.timing[at] = 1
            self.since_ms[at] = now_ms
        self.next_level[at] = level
        if elapsed_ms(now_ms, self.since_ms[at]) >= self.debounce_ms[at]:
            self._enter(at, level)

    def _enter(self, at, level):
        self.timing[at] = 0
        self.level[at] = level
        if level == TRIPPED:
            self.trip_count[at] += 1
        signals, events = self._signals, self._events
        index = self.index[at]
        value = elapsed_ms(events.now_ms, signals.stamp_ms[index]) if self.stale[at] else signals.value[index]
        events.push(_ENTERED[level], self.row_at[at], value)

    def _recover(self, at, level, now_ms):
        if level == TRIPPED or self.recovery[at] != AUTO or self.locked(at):
            self.timing[at] = 0
            return
        if not self.timing[at]:
            self.timing[at] = 1
            self.since_ms[at] = now_ms
        if elapsed_ms(now_ms, self.since_ms[at]) >= self.recovery_ms[at]:
            self._enter(at, CLEAR)

    def locked(self, at):
        """Tripped too often: only a restart helps."""
        return self.trips_to_lockout[at] != 0 and self.trip_count[at] >= self.trips_to_lockout[at]

    def clear(self):
        """The user's deliberate clear: manual rows that are back within their reset level. Returns the bits left."""
        left = 0
        for at in range(self.count):
            if self.level[at] != TRIPPED:
                continue
            if self.recovery[at] == MANUAL and self.within_reset[at] and not self.locked(at):
                self._enter(at, CLEAR)
            else:
                left |= 1 << self.row_at[at]
        return left


_COLUMNS = (
    "row_at", "index", "sign", "stale", "connected_only", "warn", "derate", "trip", "hysteresis", "debounce_ms",
    "recovery", "recovery_ms", "trips_to_lockout", "mask", "level", "trip_count", "timing", "next_level", "since_ms",
    "within_reset",
)  # fmt: skip


def _watched(signals, limits):
    """(position, row, limit, blackboard index) of every enabled row, once per cell where its scope says so."""
    for row_at, row in enumerate(tables.rows(tables.LIMIT_ROWS)):
        if row_at >= len(limits) or not limits[row_at][1] & ENABLED:
            continue
        if row[2] == "pack":
            yield row_at, row, limits[row_at], signals.pack(row[3])
        else:
            for cell in range(signals.cell_count):
                yield row_at, row, limits[row_at], signals.cell(cell, row[3])
