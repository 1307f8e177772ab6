"""Limit rows and their one interpreter. Every row is evaluated on every fast tick; nothing here allocates.

A row watches one signal (per cell where its scope says so) and has three graded levels. Missing or invalid data never
clears a row: the level that stood stays, and the row that is named as `missing` trips; where that is the row itself, or
one that is switched off, this row trips once its signal is older than blind_ms.

Each level is entered after the row's debounce above it, and left below it by the row's hysteresis (trip - reset):
  warn, derate  leave by themselves, after the same debounce
  trip          latches; leaves by its recovery: auto (within the reset level for recovery_ms), manual (`clear` within
                the reset level) or reset (not before a restart). After `trips_to_lockout` trips it never leaves.

A row acts on what it forbids whatever the current does just then: one that forbids charge leaves discharge alone.
While a row rests its trip recovers as if within the reset level; while its signal is missing nothing recovers.
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
_EV_BLIND = const(60)

NO_CHARGE, NO_DISCHARGE, OPEN, LOCKOUT, DERATE = 1, 2, 4, 8, 16
ACTION_MASKS = {
    "log": 0,
    "no_charge": NO_CHARGE,
    "no_discharge": NO_DISCHARGE,
    "stop": NO_CHARGE | NO_DISCHARGE,
    "open": NO_CHARGE | NO_DISCHARGE | OPEN,
    "lockout": NO_CHARGE | NO_DISCHARGE | OPEN | LOCKOUT,
    "derate": DERATE,
}
_CLEAR = const(0)
_WARNED = const(1)
DERATED = const(2)
_TRIPPED = const(3)
_ENABLED = const(1)
_WARNS = const(2)
_DERATES = const(4)
_AUTO = const(0)
_MANUAL = const(1)
_UNTIL_RESET = const(2)
_ENTERED = (_EV_CLEAR, _EV_WARN, _EV_DERATE, _EV_TRIP)
_WORD = const(30)  # rows per word of bits: no board makes a long integer of one
_WHOLE = const(1000)  # permille
_CHARGE = const(1)
_DISCHARGE = const(2)
_SIDES = {"charge": _CHARGE, "discharge": _DISCHARGE, "both": _CHARGE | _DISCHARGE}
_JUDGED = {"always": 0, "connected": 1, "open": 2}


class Protection:
    """All limit rows of one configuration. `limits` are the config image's rows, in the order of tables.LIMIT_ROWS.

    A watch is one row on one signal; its columns are arrays, which on a board weigh a fifth of one object per watch.
    What runs once per watch keeps its frame (locals and stack) within 11 words: MicroPython takes larger ones from the
    heap, at three times the cost of the call.
    Levels are kept with the sign turned for rows that trip low, so that higher is always worse.
    """

    def __init__(self, signals, limits, events, blind_ms=2000, derate_permille=500):
        """`derate_permille`: share of the limits of current that is left where a row begins to derate."""
        self._signals = signals
        self._events = events
        self._blind_ms = blind_ms
        self._derate_permille = derate_permille
        self._begun_ms = -1  # of the first evaluation: what came before it is nobody's silence
        self._begins = True
        self._loud = False  # some row was at a level
        self._value = 0
        self.count = count = sum([1 for _ in _watched(signals, limits)])
        for name in _INTEGERS.split():
            setattr(self, name, array("i", bytes(4 * count)))
        for name in _BYTES.split():
            setattr(self, name, array("b", bytes(count)))
        for at, (row_at, row, limit, index) in enumerate(_watched(signals, limits)):
            self._fill(at, row_at, row, limit, index)
            self.blind[at] = row[4] != "stale" and (row[9] == "self" or not _enabled(limits, row[9]))
            self.plain[at] = row[4] != "stale" and not self.blind[at]
        self._bits = array("i", bytes(32))  # two words of each level
        self.warn_bits = self.warn_bits_2 = 0
        self.derate_bits = self.derate_bits_2 = 0
        self.trip_bits = self.trip_bits_2 = 0
        self.blocked = 0  # union of the tripped rows' masks
        self.discharge_blockers = 0  # how many tripped rows forbid discharge
        self.evaluations = 0  # for the watchdog, which counts them
        self.charge_permille = self.discharge_permille = _WHOLE  # what derating rows leave of the limits of current

    # columns, one entry per watch
    row_at: array  # position of its row
    index: array  # place of its signal on the blackboard
    sign: array
    stale: array  # 1: compares the signal's age
    blind: array  # 1: trips by itself when its signal is not there
    plain: array  # 1: neither of both, its value alone counts
    judged: array  # 0: always; 1: while the contactor is commanded closed; 2: open
    word: array  # of its bit
    bit: array
    sides: array  # which limits of current its derate level takes from
    warn: array
    derate: array
    trip: array
    hysteresis: array
    debounce_ms: array
    recovery: array
    recovery_ms: array
    trips_to_lockout: array
    mask: array
    mildest: array  # the highest level below a trip that this row uses
    quiet: array  # below this none of its levels is near
    level: array  # state from here on
    trip_count: array
    timing: array  # 1 while since_ms counts towards next_level
    next_level: array
    since_ms: array
    tripping: array  # 1 while beyond_ms counts towards a trip
    beyond_ms: array  # of a stale row that is tripped: the sample that has tripped it
    within_reset: array

    def _fill(self, at, row_at, row, limit, index):
        _, flags, recovery, trips_to_lockout, warn, derate, trip, reset, debounce_ms, recovery_ms = limit
        sign = -1 if row[4] == "low" else 1
        self.row_at[at] = row_at
        self.index[at] = index
        self.sign[at] = sign
        self.stale[at] = row[4] == "stale"
        self.judged[at] = _JUDGED[row[8]]
        self.word[at] = row_at // _WORD
        self.bit[at] = 1 << row_at % _WORD
        self.sides[at] = _SIDES[row[11]]
        self.trip[at] = sign * trip
        # a level that is not used stands at the trip level, where it is never reached first
        self.warn[at] = sign * (warn if flags & _WARNS else trip)
        self.derate[at] = sign * (derate if flags & _DERATES else trip)
        self.mildest[at] = DERATED if flags & _DERATES else _WARNED if flags & _WARNS else _CLEAR
        self.quiet[at] = min(self.warn[at], self.derate[at])
        self.hysteresis[at] = sign * (trip - reset)
        self.debounce_ms[at] = debounce_ms
        self.recovery[at] = recovery
        self.recovery_ms[at] = recovery_ms
        self.trips_to_lockout[at] = trips_to_lockout
        self.mask[at] = ACTION_MASKS[row[7]]

    def evaluate(self, now_ms, connected=1):
        """Every row once, into the bits, `blocked` and the shares. `connected`: contactor told to close."""
        if self._begins:
            self._begin(now_ms)
        rests = 2 if connected else 1
        signals, level, quiet = self._signals, self.level, self.quiet
        index, sign = self.index, self.sign  # four at once would make a tuple
        plain, judged = self.plain, self.judged
        loud = False
        for at in range(self.count):
            place = index[at]
            # most rows, most of the time: judged here, as a call for each would take as long again
            if (
                plain[at]
                and level[at] == _CLEAR
                and signals.valid[place]
                and sign[at] * signals.value[place] < quiet[at]
            ):
                self.timing[at] = self.tripping[at] = 0
                continue
            if judged[at] == rests:
                self._suspend(at, now_ms)
            else:
                self._step(at, now_ms)
            loud = loud or level[at] != _CLEAR
        if loud or self._loud:
            self._gather()
        self._loud = loud
        self.evaluations += 1

    def _begin(self, now_ms):
        """For the first blind_ms no row is blind yet."""
        if self._begun_ms < 0:
            self._begun_ms = now_ms
        self._begins = elapsed_ms(now_ms, self._begun_ms) <= self._blind_ms

    def _gather(self):
        """What the levels of all rows come to."""
        bits = self._bits
        for at in range(8):
            bits[at] = 0
        self.blocked = self.discharge_blockers = 0
        self.charge_permille = self.discharge_permille = _WHOLE
        for at in range(self.count):
            level = self.level[at]
            if level:
                bits[2 * level + self.word[at]] |= self.bit[at]
                if level == _TRIPPED:
                    self.blocked |= self.mask[at]
                    self.discharge_blockers += self.mask[at] >> 1 & 1
                if level == DERATED or (level == _TRIPPED and self.mask[at] == DERATE):
                    bits[2 * DERATED + self.word[at]] |= self.bit[at]
                    self._derate(at, level)
        self.warn_bits, self.warn_bits_2 = bits[2], bits[3]
        self.derate_bits, self.derate_bits_2 = bits[4], bits[5]
        self.trip_bits, self.trip_bits_2 = bits[6], bits[7]

    def _derate(self, at, level):
        """From derate_permille at the derate level to nothing at the trip level, in proportion to the margin left."""
        share = self._derate_permille
        if level == DERATED:
            share = share * self._margin_permille(at) // _WHOLE
        if self.sides[at] & _CHARGE and share < self.charge_permille:
            self.charge_permille = share
        if self.sides[at] & _DISCHARGE and share < self.discharge_permille:
            self.discharge_permille = share

    def _margin_permille(self, at):
        span = self.trip[at] - self.derate[at]
        left = self.trip[at] - self.sign[at] * self._signals.value[self.index[at]]
        if left >= span:
            return _WHOLE
        if left <= 0:
            return 0
        # the product of what is below a million with 1000 fits 30 bits
        return left * _WHOLE // span if span < 1000000 else left // (span // _WHOLE)

    def _suspend(self, at, now_ms):
        """Not judged now: a trip recovers as if within its reset level, milder levels end."""
        self.within_reset[at] = 1
        self.tripping[at] = 0
        if self.level[at] == _TRIPPED:
            self._recover(at, _CLEAR, now_ms)
        else:
            self.timing[at] = 0
            self.level[at] = _CLEAR

    def _step(self, at, now_ms):
        if not self._sees(at, now_ms):
            self._wait(at)
            return
        level = self._level_of(at, self._value)
        self.within_reset[at] = level < _TRIPPED
        if self.level[at] == _TRIPPED:
            self._recover(at, level, now_ms)
        elif not self._trips(at, level, now_ms):
            self._move(at, min(level, self.mildest[at]), now_ms)

    def _wait(self, at):
        """The level that stood stays, and nothing recovers unseen; the row named as missing counts the age."""
        self.within_reset[at] = 0
        if self.next_level[at] < self.level[at]:  # always so for a trip
            self.timing[at] = 0

    def _sees(self, at, now_ms):
        """What it judges goes into _value; False when it is not there."""
        place = self.index[at]
        if self.stale[at]:
            return self._ages(at, self._signals.stamp_ms[place], now_ms)
        if self.blind[at] and not self._begins and elapsed_ms(now_ms, self._signals.stamp_ms[place]) > self._blind_ms:
            self._lose_sight(at, now_ms)
            return False
        self._value = self.sign[at] * self._signals.value[place]
        return self._signals.valid[place] == 1

    def _ages(self, at, stamp_ms, now_ms):
        """False where the newest sample has tripped this row: its age begins anew when ticks wrap, after 12.4 days."""
        self._value = elapsed_ms(now_ms, stamp_ms)
        if self.level[at] != _TRIPPED:
            return True
        if self._value >= self.trip[at]:
            self.beyond_ms[at] = stamp_ms  # a trip that stands is not timed
        return self.beyond_ms[at] != stamp_ms

    def _lose_sight(self, at, now_ms):
        self.within_reset[at] = self.timing[at] = self.tripping[at] = 0
        if self.level[at] != _TRIPPED:
            self.level[at] = _TRIPPED
            self.trip_count[at] += 1
            self._events.push(_EV_BLIND, self.row_at[at], elapsed_ms(now_ms, self._signals.stamp_ms[self.index[at]]))

    def _level_of(self, at, value):
        """The level that the value asks for, with each level's hysteresis once it is entered. One that stands at the
        trip level never is, as the trip is entered first."""
        held = self.level[at]
        back = self.hysteresis[at]
        if value >= self.trip[at] or (held == _TRIPPED and value > self.trip[at] - back):
            return _TRIPPED
        if value >= self.derate[at] - (back if held >= DERATED else 0):
            return DERATED
        if value >= self.warn[at] - (back if held >= _WARNED else 0):
            return _WARNED
        return _CLEAR

    def _trips(self, at, level, now_ms):
        """The trip level has its own time: ripple across it must not hide that the milder levels are exceeded too."""
        if level < _TRIPPED:
            self.tripping[at] = 0
            return False
        if not self.tripping[at]:
            self.tripping[at] = 1
            self.beyond_ms[at] = now_ms
        if elapsed_ms(now_ms, self.beyond_ms[at]) < self.debounce_ms[at]:
            return False
        self._enter(at, _TRIPPED)
        return True

    def _move(self, at, level, now_ms):
        """Debounce towards a milder level than a trip; a rise past the one that is being timed starts its own time."""
        held = self.level[at]
        if level == held:
            self.timing[at] = 0
            return
        next_level = self.next_level[at]
        if not self.timing[at] or level > next_level or (level > held) != (next_level > held):
            self.timing[at] = 1
            self.since_ms[at] = now_ms
        self.next_level[at] = level
        if elapsed_ms(now_ms, self.since_ms[at]) >= self.debounce_ms[at]:
            self._enter(at, level)

    def _enter(self, at, level):
        self.timing[at] = 0
        self.level[at] = level
        if level == _TRIPPED:
            self.tripping[at] = 0  # entering a milder level leaves the time towards a trip running
            self.trip_count[at] += 1
        signals, events = self._signals, self._events
        index = self.index[at]
        value = elapsed_ms(events.now_ms, signals.stamp_ms[index]) if self.stale[at] else signals.value[index]
        events.push(_ENTERED[level], self.row_at[at], value)

    def _recover(self, at, level, now_ms):
        if level == _TRIPPED or self.recovery[at] != _AUTO or self.locked(at):
            self.timing[at] = 0
            return
        if not self.timing[at]:
            self.timing[at] = 1
            self.since_ms[at] = now_ms
        if elapsed_ms(now_ms, self.since_ms[at]) >= self.recovery_ms[at]:
            self._enter(at, _CLEAR)

    def trip_level(self, name):
        """Trip level of a row, or the largest number where the configuration has it switched off."""
        row_at = tables.position(tables.LIMIT_ROWS, name)
        for at in range(self.count):
            if self.row_at[at] == row_at:
                return self.sign[at] * self.trip[at]
        return tables.INT30_MAX

    def locked(self, at):
        """Tripped too often: only a restart helps."""
        return self.trips_to_lockout[at] != 0 and self.trip_count[at] >= self.trips_to_lockout[at]

    def clear(self):
        """The user's deliberate clear: manual rows that are back within their reset level. The bits say what stays."""
        for at in range(self.count):
            if (
                self.level[at] == _TRIPPED
                and self.recovery[at] == _MANUAL
                and self.within_reset[at]
                and not self.locked(at)
            ):
                self._enter(at, _CLEAR)
        self._gather()


_INTEGERS = (
    "index bit quiet warn derate trip hysteresis debounce_ms recovery_ms trips_to_lockout trip_count since_ms beyond_ms"
)
_BYTES = (
    "row_at sign stale blind plain judged word sides recovery mask mildest level timing next_level tripping "
    "within_reset"
)


def _enabled(limits, name):
    return limits[tables.position(tables.LIMIT_ROWS, name)][1] & _ENABLED


def _watched(signals, limits):
    """(position, row, limit, blackboard index) of every enabled row, once per cell where its scope says so."""
    for row_at, row in enumerate(tables.rows(tables.LIMIT_ROWS)):
        if row_at >= len(limits) or not limits[row_at][1] & _ENABLED:
            continue
        if row[2] == "pack":
            yield row_at, row, limits[row_at], signals.pack(row[3])
        else:
            for cell in range(signals.cell_count):
                yield row_at, row, limits[row_at], signals.cell(cell, row[3])
