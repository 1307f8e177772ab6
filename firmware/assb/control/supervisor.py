"""Supervisor: states, rows {from, needs, blocked by, to} and one interpreter. On every fast tick; allocates nothing.

The first row that matches wins, so the order of the rows is their priority: lock, open, maintenance, stop, progress.
What a state allows the outputs is one table; limit rows can only take away from it.
"""

from ..const import const
from ..ticks import elapsed_ms
from .protection import LOCKOUT as ROW_LOCKOUT
from .protection import NO_CHARGE, NO_DISCHARGE
from .protection import OPEN as ROW_OPEN

# Ids of the wire, as in schema.py (a test compares)
_EV_STATE = const(2)

_BOOT = const(0)
SELFTEST = const(1)
SAFE = const(2)
ARMED = const(3)
PRECHARGE = const(4)
REST = const(5)
_CHARGE = const(6)
_DISCHARGE = const(7)
_DERATE = const(8)
FAULT = const(9)
LOCKOUT = const(10)
_MAINTENANCE = const(11)

# Conditions, one bit each
READY = 1  # self-test passed, every channel has fresh valid data
ARM = 2  # the host asked, with a lease
STOP = 4  # the host asked, or its lease lapsed
OPEN = 8  # a tripped row opens
LOCK = 16  # a tripped row locks out
PRESSED = 32  # stack pressure inside its window
CLOSED = 64  # contactor feedback
CHARGING = 128
DISCHARGING = 256
DERATED = 512
UPDATE = 1024
CLEARED = 2048  # the host cleared, and no row is left tripped that opens or locks
_TIMEOUT = const(4096)  # the state's own time is over
_BLOCKED = const(8192)  # a tripped row forbids charge and discharge
SETTLED = 16384  # the precharge current has fallen, or nobody asks whether
_RETRY = const(32768)  # precharge did not settle, and may be tried again
_PAUSE = const(65536)  # the precharge resistor cools down
COLD = 131072  # charge and discharge are forbidden, and a heater that runs while the press regulates ends that


def _states(*states):
    bits = 0
    for state in states:
        bits |= 1 << state
    return bits


CLOSED_STATES = (REST, _CHARGE, _DISCHARGE, _DERATE)
_RUNNING = _states(REST, _CHARGE, _DISCHARGE, _DERATE)
_ACTIVE = _RUNNING | _states(ARMED, PRECHARGE)
_IDLE = _states(SAFE, FAULT, LOCKOUT)

# (from states, needs all of, blocked by any of, to)
ROWS = (
    (_states(_BOOT, SELFTEST, SAFE, FAULT) | _ACTIVE, LOCK, 0, LOCKOUT),
    (_states(SELFTEST, SAFE) | _ACTIVE, OPEN, 0, FAULT),
    (_states(_BOOT, SELFTEST) | _IDLE | _ACTIVE, UPDATE, 0, _MAINTENANCE),
    (_ACTIVE, STOP, 0, SAFE),
    (_states(_BOOT), 0, 0, SELFTEST),
    (_states(SELFTEST), READY, 0, SAFE),
    (_states(SELFTEST), _TIMEOUT, READY, LOCKOUT),
    (_states(SAFE), ARM, STOP | OPEN | LOCK | _BLOCKED, ARMED),
    (_states(ARMED, PRECHARGE), _BLOCKED, 0, SAFE),
    (_states(PRECHARGE), COLD, 0, SAFE),
    (_states(ARMED), PRESSED, _PAUSE | COLD, PRECHARGE),
    (_states(ARMED), _TIMEOUT, PRESSED, SAFE),
    (_states(PRECHARGE), 0, PRESSED, SAFE),
    (_states(PRECHARGE), CLOSED, 0, REST),
    (_states(PRECHARGE), _TIMEOUT | _RETRY, CLOSED, ARMED),
    (_states(PRECHARGE), _TIMEOUT, CLOSED, FAULT),
    (_states(REST, _CHARGE, _DISCHARGE), DERATED, 0, _DERATE),
    (_states(_DERATE), 0, DERATED, REST),
    (_states(REST, _DISCHARGE), CHARGING, DERATED, _CHARGE),
    (_states(REST, _CHARGE), DISCHARGING, DERATED, _DISCHARGE),
    (_states(_CHARGE, _DISCHARGE), 0, CHARGING | DISCHARGING, REST),
    (_states(FAULT), CLEARED, OPEN | LOCK, SAFE),
)

# What each state allows: (main contactor, precharge path, charge, discharge, pressure regulation)
OUTPUTS = (
    (0, 0, 0, 0, 0),  # BOOT
    (0, 0, 0, 0, 0),  # SELFTEST
    (0, 0, 0, 0, 0),  # SAFE: the press holds
    (0, 0, 0, 0, 1),  # ARMED: pressed, and heated as far as needed, before it is connected
    (0, 1, 0, 0, 1),  # PRECHARGE: main follows when the precharge time is over and its current has fallen
    (1, 0, 1, 1, 1),  # REST
    (1, 0, 1, 1, 1),  # CHARGE
    (1, 0, 1, 1, 1),  # DISCHARGE
    (1, 0, 1, 1, 1),  # DERATE
    (0, 0, 0, 0, 0),  # FAULT: the press goes to its safe state
    (0, 0, 0, 0, 0),  # LOCKOUT
    (0, 0, 0, 0, 0),  # MAINTENANCE
)


class Supervisor:
    """Holds the state; `step` applies the first matching row. `timeouts_ms[state]` is 0 where a state has none.

    `retries`: how often precharge is tried again when its current does not fall, `pause_ms` after each.
    """

    def __init__(self, timeouts_ms, precharge_ms, events, now_ms=0, retries=0, pause_ms=0):
        self._timeouts_ms = timeouts_ms
        self._precharge_ms = precharge_ms
        self._retries = retries
        self._pause_ms = pause_ms
        self._tries = 0  # that have failed
        self._closing = False  # precharge is over: main closes
        self._events = events
        self.state = _BOOT
        self.since_ms = now_ms
        self.main = self.precharge = self.charge = self.discharge = self.regulate = 0

    def step(self, conditions, blocked, now_ms):
        """One tick: `conditions` are the public bits above, `blocked` the mask of the tripped limit rows."""
        conditions = self._with_own(conditions, blocked, elapsed_ms(now_ms, self.since_ms))
        to = self.next_state(self.state, conditions)
        if to != self.state:
            self._enter(to, now_ms)
        self._allow(blocked, conditions & SETTLED, elapsed_ms(now_ms, self.since_ms))

    def _with_own(self, conditions, blocked, age_ms):
        timeout = self._timeouts_ms[self.state]
        if timeout and age_ms >= timeout:
            conditions |= _TIMEOUT
        if blocked & ROW_OPEN:
            conditions |= OPEN
        if blocked & ROW_LOCKOUT:
            conditions |= LOCK
        if blocked & NO_CHARGE and blocked & NO_DISCHARGE and not conditions & COLD:
            conditions |= _BLOCKED
        if not self._closing and self._tries < self._retries:
            conditions |= _RETRY
        if self._tries and age_ms < self._pause_ms:
            conditions |= _PAUSE
        return conditions

    def _enter(self, to, now_ms):
        if to == ARMED:
            self._tries = self._tries + 1 if self.state == PRECHARGE else 0
        self._closing = False
        self._events.push(_EV_STATE, self.state, to)
        self.state = to
        self.since_ms = now_ms

    def next_state(self, state, conditions):
        """The state that the first matching row names, or `state` itself."""
        bit = 1 << state
        for at in range(len(ROWS)):
            row = ROWS[at]
            if row[0] & bit and conditions & row[1] == row[1] and not conditions & row[2]:
                return row[3]
        return state

    def _allow(self, blocked, settled, age_ms):
        row = OUTPUTS[self.state]
        if self.state == PRECHARGE and settled and age_ms >= self._precharge_ms:
            self._closing = True  # what the contactor does to the current is no reason to let go again
        self.main = 1 if (row[0] or self._closing) and not blocked & ROW_OPEN else 0
        self.precharge = 1 if row[1] and not blocked & ROW_OPEN else 0
        self.charge = 1 if row[2] and not blocked & NO_CHARGE else 0
        self.discharge = 1 if row[3] and not blocked & NO_DISCHARGE else 0
        self.regulate = row[4]
