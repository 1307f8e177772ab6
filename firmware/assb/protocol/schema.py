"""The tables of tables.py spread into tuples, for the host, tests and generated pages. No board loads this."""

from assb.protocol import tables
from assb.protocol.tables import *  # noqa: F403 - one name space for the host: constants, ids and tables

SCOPE_PACK, SCOPE_CELL, SCOPE_FIXED = "pack", "cell", "fixed"
KIND_HIGH, KIND_LOW, KIND_STALE = "high", "low", "stale"
TICKS_PERIOD_MS = 1 << 30
CELLS_MAX = 16
FLAG_INJECTED = 1  # sensor values came over the link, not from drivers

# Ids of messages and events by name. Firmware modules write `_EV_TRIP = const(5)` for the few that they use, which
# keeps the names off the board; a test holds them equal to these.
HELLO, SCHEMA, PACK, CELL, EVIDENCE, HEALTH, CYCLER, EVENT, POWER, SOH = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
SCORES, CAPTURE, LOG, FRAME, CRASH, ROWS, PRESS, INPUTS, SNAPSHOT = 11, 12, 13, 14, 15, 20, 21, 22, 23
(
    EV_BOOT, EV_STATE, EV_WARN, EV_DERATE, EV_TRIP, EV_CLEAR, EV_STAGE, EV_DIP, EV_ARMED, EV_LEASE, EV_STOPPED,
    EV_FAULTS_CLEARED, EV_CONTACTOR_COMMAND, EV_CONTACTOR, EV_PARAMETER, EV_MARK, EV_SELF_TEST, EV_BUS, EV_ALERT,
) = range(1, 20)  # fmt: skip
EV_LEARNED_RESTORED, EV_LEARNED_REJECTED, EV_LEARNED_UNUSED, EV_STORAGE_FAILED, EV_CARRIED, EV_ALARM = range(30, 36)
EV_PARAMETERS_RESTORED, EV_PARAMETERS_UNUSED, EV_LOG_CUT, EV_FRAME_STORED, EV_CRASHED = range(50, 55)
EV_CHECK_FAILED, EV_SELF_TESTED = 55, 56
EV_BLIND, EV_LOCKED, EV_INTERRUPTED, EV_PRESS_HOMED, EV_BUS_FREED, EV_PRESS_NOT_HOMED = 60, 61, 62, 63, 64, 65
EV_INJECTION, EV_INJECTION_LAPSED = 80, 81
EV_REST_BEGUN, EV_REST_ENDED = 90, 91
INJECTED = 1  # flag of a frame


def _blank(word):
    return "" if word == "-" else word


def _fields(scope, text):
    if scope != "fixed":
        return tuple(text.split(","))
    return tuple(tuple(field.split(":")) for field in text.split(","))


STATES = tuple(tables.STATES.split())
STAGES = tuple(tables.STAGES.split())
EVIDENCES = tuple(tables.EVIDENCES.split())
EVIDENCE_STATES = tuple(tables.EVIDENCE_STATES.split())
BOUNDS = tuple(tables.BOUNDS.split())
LEARNING_GAPS = tuple(tables.LEARNING_GAPS.split())
ACTIONS = tuple(tables.ACTIONS.split())
RECOVERIES = tuple(tables.RECOVERIES.split())
RESET_CAUSES = tuple(tables.RESET_CAUSES.split())
UNUSED_REASONS = tuple(tables.UNUSED_REASONS.split())
CHECKS = tuple(tables.CHECKS.split())
LOCKOUT_CAUSES = tuple(tables.LOCKOUT_CAUSES.split())
STORAGE_PLACES = tuple(tables.STORAGE_PLACES.split())

# (id, name, wire code)
PACK_SIGNALS = tuple(tuple(row) for row in tables.rows(tables.PACK_SIGNALS))
CELL_SIGNALS = tuple(tuple(row) for row in tables.rows(tables.CELL_SIGNALS))
# (id, name, scope, period parameter, fields): fields are signals, or (name, code) where the scope is SCOPE_FIXED
MESSAGES = tuple(
    (number, name, scope, _blank(period), _fields(scope, fields))
    for number, name, scope, period, fields in tables.rows(tables.MESSAGES)
)
# (id, name, names of a and b)
EVENTS = tuple((number, name, _blank(a), _blank(b)) for number, name, a, b in tables.rows(tables.EVENTS))
# (id, name, settable while running, lowest, highest, default)
PARAMETERS = tuple(tuple(row) for row in tables.rows(tables.PARAMETERS))
# (id, name, scope, signal, kind, least trip level, greatest trip level, action, when it is judged, row that trips when
# the quantity is missing or `self`, longest debounce in ms, what its derate level takes from)
LIMIT_ROWS = tuple(tuple(row) for row in tables.rows(tables.LIMIT_ROWS))
BITS_PER_WORD = 30
# (name, 1 = the line must carry its CRC, keys it takes)
COMMANDS = tuple(
    (name, crc, tuple(_blank(keys).split(",")) if _blank(keys) else ())
    for name, crc, keys in tables.rows(tables.COMMANDS)
)


def index_of(table):
    """Name → position of each row of a table whose second column is the name."""
    return {row[1]: position for position, row in enumerate(table)}


def code_of(name):
    """Wire code of a signal."""
    return tables.signal_code(name)


def layout(message):
    """((field, code), …) of one row of MESSAGES, in wire order, the cell's index included."""
    if message[2] == SCOPE_FIXED:
        return message[4]
    fields = tuple((name, code_of(name)) for name in message[4])
    return (("cell", "B"),) + fields if message[2] == SCOPE_CELL else fields


def message_text(row):
    """One message's layout as a SCHEMA frame carries it."""
    return "%d %s %s" % (row[0], row[1], " ".join("%s:%s" % field for field in layout(row)))
