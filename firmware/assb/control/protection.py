"""Limit rows and their one interpreter. Every row is evaluated on every fast tick; nothing here allocates.

A row watches one signal (per cell where its scope says so) and has three graded levels. Missing or invalid data never
clears a row: the level that stood stays, and the stale row of that channel trips by age.

Each level is entered after the row's debounce above it, and left below it by the row's hysteresis (trip - reset):
  warn, derate  leave by themselves, after the same debounce
  trip          latches; leaves by its recovery: auto (within the reset level for recovery_ms), manual (`clear` within the
                reset level) or reset (not before a restart). After `trips_to_lockout` trips it never leaves.
"""

from ..protocol import schema
from ..ticks import elapsed_ms

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


class Watch:
    """One row on one signal: its levels (sign turned so that higher is worse) and its state."""

    def __init__(self, row_at, limit, index):
        _, name, _, _, kind, _, _, action = schema.LIMIT_ROWS[row_at]
        _, flags, recovery, trips_to_lockout, warn, derate, trip, reset, debounce_ms, recovery_ms = limit
        sign = -1 if kind == schema.KIND_LOW else 1
        self.row_at = row_at
        self.bit = 1 << row_at
        self.index = index
        self.stale = kind == schema.KIND_STALE
        self.connected_only = name in schema.ROWS_WHILE_CONNECTED
        self.sign = sign
        self.trip = sign * trip
        # a level that is not used stands above the trip level, where it is never reached first
        self.warn = sign * warn if flags & WARNS else self.trip
        self.derate = sign * derate if flags & DERATES else self.trip
        self.hysteresis = sign * trip - sign * reset
        self.debounce_ms = debounce_ms
        self.recovery = recovery
        self.recovery_ms = recovery_ms
        self.trips_to_lockout = trips_to_lockout
        self.mask = ACTION_MASKS[action]
        self.level = CLEAR
        self.trip_count = 0
        self.timing = 0  # 1 while `since_ms` counts towards `next_level`
        self.next_level = CLEAR
        self.since_ms = 0
        self.within_reset = 1


class Protection:
    """All limit rows of one configuration. `limits` are the rows of the config image, in the schema's order."""

    def __init__(self, signals, limits, events):
        self._signals = signals
        self._events = events
        self.watches = []
        for row_at, limit in enumerate(limits):
            _, _, scope, name = schema.LIMIT_ROWS[row_at][:4]
            if not limit[1] & ENABLED:
                continue
            if scope == schema.SCOPE_PACK:
                self.watches.append(Watch(row_at, limit, signals.pack(name)))
            else:
                for cell in range(signals.cell_count):
                    self.watches.append(Watch(row_at, limit, signals.cell(cell, name)))
        self._count = len(self.watches)
        self.warn_bits = 0
        self.derate_bits = 0
        self.trip_bits = 0
        self.blocked = 0  # union of the tripped rows' masks

    def evaluate(self, now_ms, connected=1):
        """Every row once. Results in warn_bits, derate_bits, trip_bits and blocked. `connected`: contactor commanded closed."""
        warn = derate = trip = blocked = 0
        watches = self.watches
        for at in range(self._count):
            watch = watches[at]
            if connected or not watch.connected_only:
                self._step(watch, now_ms)
            else:
                self._suspend(watch)
            if watch.level == TRIPPED:
                trip |= watch.bit
                blocked |= watch.mask
            elif watch.level == DERATED:
                derate |= watch.bit
            elif watch.level == WARNED:
                warn |= watch.bit
        self.warn_bits = warn
        self.derate_bits = derate
        self.trip_bits = trip
        self.blocked = blocked

    def _suspend(self, watch):
        """Not judged now: a trip stays for its recovery, milder levels end."""
        watch.within_reset = 1
        watch.timing = 0
        if watch.level != TRIPPED:
            watch.level = CLEAR

    def _step(self, watch, now_ms):
        signals = self._signals
        if watch.stale:
            value = elapsed_ms(now_ms, signals.stamp_ms[watch.index])
        elif signals.valid[watch.index]:
            value = watch.sign * signals.value[watch.index]
        else:
            return  # the level that stood stays; the channel's stale row counts its age
        level = self._level_of(watch, value)
        watch.within_reset = level < TRIPPED
        if watch.level == TRIPPED:
            self._recover(watch, level, now_ms)
        else:
            self._move(watch, level, now_ms)

    def _level_of(self, watch, value):
        """The level that the value asks for, with each level's hysteresis once it is entered."""
        held = watch.level
        back = watch.hysteresis
        if value >= watch.trip or (held == TRIPPED and value > watch.trip - back):
            return TRIPPED
        if watch.derate < watch.trip and value >= watch.derate - (back if held >= DERATED else 0):
            return DERATED
        if watch.warn < watch.trip and value >= watch.warn - (back if held >= WARNED else 0):
            return WARNED
        return CLEAR

    def _move(self, watch, level, now_ms):
        """Debounce towards another level; a rise past the level that is being timed starts its own time."""
        if level == watch.level:
            watch.timing = 0
            return
        if not watch.timing or self._restarts(watch, level):
            watch.timing = 1
            watch.since_ms = now_ms
        watch.next_level = level
        if elapsed_ms(now_ms, watch.since_ms) < watch.debounce_ms:
            return
        watch.timing = 0
        self._enter(watch, level)

    def _restarts(self, watch, level):
        return level > watch.next_level or (level > watch.level) != (watch.next_level > watch.level)

    def _enter(self, watch, level):
        watch.level = level
        value = self._reported(watch)
        if level == TRIPPED:
            watch.trip_count += 1
            self._events.push(schema.EV_TRIP, watch.row_at, value)
        elif level == DERATED:
            self._events.push(schema.EV_DERATE, watch.row_at, value)
        elif level == WARNED:
            self._events.push(schema.EV_WARN, watch.row_at, value)
        else:
            self._events.push(schema.EV_CLEAR, watch.row_at, value)

    def _reported(self, watch):
        signals = self._signals
        if watch.stale:
            return elapsed_ms(self._events.now_ms, signals.stamp_ms[watch.index])
        return signals.value[watch.index]

    def _recover(self, watch, level, now_ms):
        if level == TRIPPED or watch.recovery != AUTO or self.locked(watch):
            watch.timing = 0
            return
        if not watch.timing:
            watch.timing = 1
            watch.since_ms = now_ms
        if elapsed_ms(now_ms, watch.since_ms) >= watch.recovery_ms:
            watch.timing = 0
            self._enter(watch, CLEAR)

    def locked(self, watch):
        return watch.trips_to_lockout and watch.trip_count >= watch.trips_to_lockout

    def clear(self):
        """The user's deliberate clear: manual rows whose value is back within the reset level. Returns the bits left."""
        left = 0
        for watch in self.watches:
            if watch.level != TRIPPED:
                continue
            if watch.recovery == MANUAL and watch.within_reset and not self.locked(watch):
                self._enter(watch, CLEAR)
            else:
                left |= watch.bit
        return left
