"""The one table of what crosses the wire or lies in a config image: signals, messages, parameters, limit rows, events, commands.

The firmware packs frames from it, the host decodes and prints from it, TOML files are validated against it, and the
reference page in docs/ is generated from it. Units are in the names (`_uv _ua _ma _uohm _kpa _cdegc _ppm _ms _us _uah`);
+ current charges. Every value fits 30 bits, so that no board makes a long integer. An id is never used twice, even
after its row is gone. Prose for people (meaning, remedy) is in schema_text.py, which no board loads.
"""

import binascii

PROTOCOL_VERSION = 1
CELLS_MAX = 16
INT30_MAX = (1 << 30) - 1
INT30_MIN = -(1 << 30)
TICKS_PERIOD_MS = 1 << 30

# Supervisor states, in the order of the wire value
STATES = ("BOOT", "SELFTEST", "SAFE", "ARMED", "PRECHARGE", "REST", "CHARGE", "DISCHARGE", "DERATE", "FAULT", "LOCKOUT", "MAINTENANCE")
# Internal-short stages
STAGES = ("none", "suspect", "soft_short", "hard_short")
# State of one evidence: no data or gated; learning its normal; normal; active
EVIDENCE_STATES = ("unavailable", "learning", "normal", "active")
# What a tripped limit row does to the outputs, mildest first
ACTIONS = ("log", "no_charge", "no_discharge", "stop", "open", "lockout")
RESET_CAUSES = ("unknown", "power_on", "hard", "watchdog", "deep_sleep", "soft")

# (id, name, wire code). Codes are struct's, little-endian; blackboard index = position.
PACK_SIGNALS = (
    (1, "state", "B"),
    (2, "stage", "B"),  # the worst cell's
    (3, "contactor_closed", "B"),  # feedback, not the command
    (4, "contactor_command", "B"),
    (5, "charge_enabled", "B"),
    (6, "discharge_enabled", "B"),
    (7, "charge_limit_ma", "i"),
    (8, "discharge_limit_ma", "i"),
    (9, "current_ua", "i"),
    (10, "pack_voltage_uv", "i"),
    (11, "temperature_cdegc", "h"),
    (12, "pressure_kpa", "i"),
    (13, "pressure_target_kpa", "i"),
    (14, "pressure_command_kpa", "i"),
    (15, "warn_bits", "I"),
    (16, "derate_bits", "I"),
    (17, "trip_bits", "I"),
    (18, "contactor_mismatch", "B"),
    (19, "lease_age_ms", "I"),
    (20, "self_test_failed", "B"),
    (21, "late_us", "I"),  # how late the newest fast tick began
    (22, "fast_tick_count", "I"),
    (23, "fast_worst_us", "I"),
    (24, "slice_worst_us", "I"),
    (25, "late_worst_us", "I"),
    (26, "gc_worst_us", "I"),
    (27, "heap_free_b", "I"),
    (28, "heap_low_b", "I"),
    (29, "bus_error_count", "I"),
    (30, "frame_drop_count", "I"),
    (31, "rx_error_count", "I"),
    (32, "command_count", "I"),
)

CELL_SIGNALS = (
    (101, "voltage_uv", "i"),
    (102, "soc_ppm", "i"),
    (103, "soc_sigma_ppm", "i"),
    (104, "leak_ua", "i"),
    (105, "leak_sigma_ua", "i"),
    (106, "r0_uohm", "i"),
    (107, "innovation_uv", "i"),
    (108, "innovation_sigma_uv", "i"),
    (109, "cell_stage", "B"),
    (110, "short_mohm", "i"),  # 0: no estimate
    (111, "confidence_ppm", "i"),
    (112, "dip_count", "H"),
    (113, "estimator_status", "b"),  # 0 ok, below 0 a status of the kernel
    (114, "dip_state", "B"),
    (115, "dip_score_milli", "i"),  # 1000 = at its threshold
    (116, "leak_state", "B"),
    (117, "leak_score_milli", "i"),
)

SCOPE_PACK, SCOPE_CELL, SCOPE_FIXED = 0, 1, 2

# (id, name, scope, period parameter, fields). Fields of pack and cell messages are signals; a cell message starts with
# the cell's index (u8). Fixed messages spell their fields as (name, code); "s" with a count is text padded with zeros.
MESSAGES = (
    (1, "HELLO", SCOPE_FIXED, "", (
        ("protocol_version", "B"), ("schema_id", "I"), ("version_major", "B"), ("version_minor", "B"), ("version_patch", "B"),
        ("slot", "B"), ("reset_cause", "B"), ("boot_count", "H"), ("config_crc", "I"), ("config_status", "b"),
        ("estimator", "B"), ("state", "B"), ("cell_count", "B"), ("board", "16s"), ("pack", "16s"), ("cell", "16s"))),
    (2, "SCHEMA", SCOPE_FIXED, "", (("index", "B"), ("count", "B"), ("text", "*s"))),
    (3, "PACK", SCOPE_PACK, "pack_period_ms", (
        "state", "stage", "contactor_closed", "contactor_command", "current_ua", "pack_voltage_uv", "temperature_cdegc",
        "pressure_kpa", "pressure_target_kpa", "pressure_command_kpa", "warn_bits", "derate_bits", "trip_bits")),
    (4, "CELL", SCOPE_CELL, "cell_period_ms", (
        "voltage_uv", "soc_ppm", "soc_sigma_ppm", "leak_ua", "leak_sigma_ua", "r0_uohm", "innovation_uv",
        "innovation_sigma_uv", "estimator_status")),
    (5, "EVIDENCE", SCOPE_CELL, "evidence_period_ms", (
        "cell_stage", "short_mohm", "confidence_ppm", "dip_state", "dip_score_milli", "dip_count", "leak_state",
        "leak_score_milli")),
    (6, "HEALTH", SCOPE_PACK, "health_period_ms", (
        "fast_tick_count", "fast_worst_us", "slice_worst_us", "late_worst_us", "gc_worst_us", "heap_free_b", "heap_low_b",
        "bus_error_count", "frame_drop_count", "rx_error_count", "command_count", "lease_age_ms")),
    (7, "CYCLER", SCOPE_PACK, "cycler_period_ms", (
        "charge_enabled", "discharge_enabled", "charge_limit_ma", "discharge_limit_ma")),
    (8, "EVENT", SCOPE_FIXED, "", (("event", "B"), ("number", "H"), ("a", "i"), ("b", "i"))),
)
HELLO, SCHEMA, PACK, CELL, EVIDENCE, HEALTH, CYCLER, EVENT = 1, 2, 3, 4, 5, 6, 7, 8
FLAG_INJECTED = 1  # sensor values came over the link, not from drivers

# (id, name, names of a and b)
EVENTS = (
    (1, "boot", "reset_cause", "boot_count"),
    (2, "state_changed", "from_state", "to_state"),
    (3, "limit_warned", "row", "value"),
    (4, "limit_derated", "row", "value"),
    (5, "limit_tripped", "row", "value"),
    (6, "limit_cleared", "row", "value"),
    (7, "stage_changed", "cell", "stage"),
    (8, "dip_seen", "cell", "depth_uv"),
    (9, "armed", "lease_ms", ""),
    (10, "lease_lapsed", "lease_ms", ""),
    (11, "stopped", "", ""),
    (12, "faults_cleared", "trip_bits", ""),
    (13, "contactor_commanded", "closed", ""),
    (14, "contactor_moved", "closed", ""),
    (15, "parameter_set", "parameter", "value"),
    (16, "marked", "number", ""),
    (17, "self_test_failed", "code", ""),
    (18, "bus_error", "device", ""),
    (19, "alert_tripped", "device", ""),
)
(EV_BOOT, EV_STATE, EV_WARN, EV_DERATE, EV_TRIP, EV_CLEAR, EV_STAGE, EV_DIP, EV_ARMED, EV_LEASE, EV_STOPPED, EV_FAULTS_CLEARED,
 EV_CONTACTOR_COMMAND, EV_CONTACTOR, EV_PARAMETER, EV_MARK, EV_SELF_TEST, EV_BUS, EV_ALERT) = range(1, 20)

# (id, name, 1 = may be set while running (0 = config image only), lowest, highest, default)
PARAMETERS = (
    (1, "fast_period_ms", 0, 5, 100, 10),
    (2, "slow_period_ms", 0, 50, 1000, 100),
    (3, "cells_in_series", 0, 1, CELLS_MAX, 1),
    (4, "capacity_uah", 0, 1000, INT30_MAX, 600000),
    (5, "shunt_uohm", 0, 10, 1000000, 20000),
    (6, "charge_current_max_ma", 0, 0, 100000, 600),
    (7, "discharge_current_max_ma", 0, 0, 100000, 600),
    (8, "derate_ppm", 0, 0, 1000000, 500000),  # of the limits above, while a row derates
    (9, "pressure_target_kpa", 1, 0, 100000, 5000),
    (10, "pressure_min_kpa", 0, 0, 100000, 4500),
    (11, "pressure_max_kpa", 0, 0, 100000, 5500),
    (12, "pressure_rate_max_kpa_s", 0, 1, 10000, 200),
    (13, "pressure_command_max_kpa", 0, 1, 100000, 8000),
    (14, "pressure_kp_ppm", 1, 0, 10000000, 300000),
    (15, "pressure_ki_ppm_s", 1, 0, 10000000, 150000),
    (16, "pressure_feed_forward_ppm", 1, 0, 10000000, 1000000),
    (17, "pressure_deadband_kpa", 1, 0, 1000, 5),
    (18, "pressure_safe_state", 0, 0, 1, 0),  # 0 hold, 1 bleed to pressure_min_kpa
    (19, "swelling_nm_per_mah", 0, 0, 10000000, 0),  # whole stack, from electrode swelling, layers and area
    (20, "stack_stiffness_kpa_per_um", 0, 0, 100000, 50),
    (21, "lease_ms", 0, 1000, 3600000, 5000),
    (22, "lease_lapse_stops", 0, 0, 1, 1),
    (23, "precharge_ms", 0, 0, 60000, 0),  # 0: no precharge path fitted
    (24, "press_timeout_ms", 0, 1000, 3600000, 120000),
    (25, "contactor_timeout_ms", 0, 10, 5000, 200),
    (26, "rest_current_ma", 0, 1, 10000, 10),
    (27, "pack_period_ms", 1, 0, 60000, 100),
    (28, "cell_period_ms", 1, 0, 60000, 100),
    (29, "evidence_period_ms", 1, 0, 60000, 500),
    (30, "health_period_ms", 1, 0, 60000, 1000),
    (31, "cycler_period_ms", 1, 0, 60000, 100),
    (32, "dip_sigma_milli", 1, 1000, 100000, 6000),
    (33, "dip_floor_uv", 1, 10, 1000000, 1000),
    (34, "dip_mask_ms", 1, 0, 60000, 1000),
    (35, "move_mask_ms", 1, 0, 60000, 5000),
    (36, "dip_window_ms", 1, 1000, 3600000, 600000),
    (37, "dip_count_warn", 1, 1, 1000, 3),
    (38, "leak_sigma_milli", 1, 1000, 100000, 5000),
    (39, "leak_floor_ua", 1, 0, INT30_MAX, 2000),
    (40, "current_gain_error_ppm", 0, 0, 100000, 2000),
    (41, "leak_persist_ms", 1, 0, 3600000, 10000),
    (42, "leak_alone_ms", 1, 0, 36000000, 300000),
    (43, "hard_short_drop_uv", 0, 10000, 5000000, 500000),
    (44, "watchdog_ms", 0, 0, 8388, 2000),  # 0: none; RP2040's longest is 8388 ms
    (45, "load_cell_kpa_per_count_ppb", 0, 1, INT30_MAX, 1500000),
    (46, "load_cell_zero_counts", 0, -8388608, 8388607, 0),
    (47, "regulator_full_scale_kpa", 0, 1, 100000, 10000),  # stack pressure at the DAC's full code
    (48, "soc_initial_sigma_ppm", 0, 1000, 500000, 100000),
    (49, "pressure_lead_ms", 0, 0, 60000, 2000),  # how far feed-forward looks ahead: the regulator's own lag
    (50, "self_test_timeout_ms", 0, 100, 60000, 5000),
    (51, "press_hold_ms", 0, 0, 600000, 2000),  # inside the window this long before the contactor closes
)

KIND_HIGH, KIND_LOW, KIND_STALE = 1, 2, 3

# Limit rows: (id, name, scope, signal, kind, least trip level, greatest trip level, action).
# The last two levels are the envelope: no config image may set a trip level outside it. Bit n of the *_bits signals is
# the row at position n. Levels, debounce and recovery come from the config image.
LIMIT_ROWS = (
    (1, "cell_overvoltage", SCOPE_CELL, "voltage_uv", KIND_HIGH, 1000000, 5000000, "open"),
    (2, "cell_undervoltage", SCOPE_CELL, "voltage_uv", KIND_LOW, 500000, 4500000, "open"),
    (3, "charge_overcurrent", SCOPE_PACK, "current_ua", KIND_HIGH, 1000, INT30_MAX, "open"),
    (4, "discharge_overcurrent", SCOPE_PACK, "current_ua", KIND_LOW, INT30_MIN, -1000, "open"),
    (5, "overtemperature", SCOPE_PACK, "temperature_cdegc", KIND_HIGH, 0, 12000, "open"),
    (6, "charge_undertemperature", SCOPE_PACK, "temperature_cdegc", KIND_LOW, -4000, 8000, "no_charge"),
    (7, "pressure_high", SCOPE_PACK, "pressure_kpa", KIND_HIGH, 10, 100000, "open"),
    (8, "pressure_low", SCOPE_PACK, "pressure_kpa", KIND_LOW, 0, 100000, "stop"),
    (9, "voltage_stale", SCOPE_CELL, "voltage_uv", KIND_STALE, 20, 2000, "open"),
    (10, "current_stale", SCOPE_PACK, "current_ua", KIND_STALE, 20, 2000, "open"),
    (11, "pressure_stale", SCOPE_PACK, "pressure_kpa", KIND_STALE, 20, 5000, "open"),
    (12, "temperature_stale", SCOPE_PACK, "temperature_cdegc", KIND_STALE, 100, 10000, "open"),
    (13, "short_suspected", SCOPE_CELL, "cell_stage", KIND_HIGH, 1, 3, "log"),
    (14, "soft_short", SCOPE_CELL, "cell_stage", KIND_HIGH, 2, 2, "no_charge"),
    (15, "hard_short", SCOPE_CELL, "cell_stage", KIND_HIGH, 3, 3, "lockout"),
    (16, "contactor_mismatch", SCOPE_PACK, "contactor_mismatch", KIND_HIGH, 1, 1, "lockout"),
    (17, "estimator_invalid", SCOPE_CELL, "estimator_status", KIND_LOW, -127, -1, "no_charge"),
    (18, "deadline_overrun", SCOPE_PACK, "late_us", KIND_HIGH, 1000, 10000000, "open"),
    (19, "self_test_failed", SCOPE_PACK, "self_test_failed", KIND_HIGH, 1, 1, "lockout"),
)

# Rows that are judged only while the contactor is commanded closed: a stack that is not pressed yet has no pressure
ROWS_WHILE_CONNECTED = ("pressure_low",)

# Recovery of a tripped row: by itself after recovery_ms within the reset level; by `clear`; or never before a reset
RECOVERIES = ("auto", "manual", "reset")

# (name, 1 = the line must carry its CRC, keys it takes). `set` takes any settable parameter as key=value.
COMMANDS = (
    ("help", 0, ()),
    ("hello", 0, ()),
    ("schema", 0, ()),
    ("get", 0, ("name",)),
    ("stop", 0, ()),
    ("arm", 1, ("lease_ms",)),
    ("lease", 1, ()),
    ("clear", 1, ()),
    ("set", 1, ("name", "value")),
    ("mark", 1, ("number",)),
    ("update", 1, ()),
    ("reset", 1, ()),
)


def canonical_rows():
    """Every row of the tables that the two ends must share, as text, in order: the input of `schema_id`."""
    for table in (PACK_SIGNALS, CELL_SIGNALS, MESSAGES, EVENTS, PARAMETERS, LIMIT_ROWS, ROWS_WHILE_CONNECTED, COMMANDS, STATES, STAGES):
        for row in table:
            yield repr(row)


def schema_id():
    """30-bit hash of the tables: a host with another id asks the board for its SCHEMA messages or refuses."""
    crc = binascii.crc32(str(PROTOCOL_VERSION).encode())
    for text in canonical_rows():
        crc = binascii.crc32(text.encode(), crc)
    return crc & INT30_MAX


def index_of(table):
    """Name → position of each row of a table whose second column is the name."""
    return {row[1]: position for position, row in enumerate(table)}


def code_of(name):
    """Wire code of a signal."""
    for table in (PACK_SIGNALS, CELL_SIGNALS):
        for row in table:
            if row[1] == name:
                return row[2]
    raise KeyError(name)


def layout(message):
    """((field, code), …) of one row of MESSAGES, in wire order, the cell's index included."""
    if message[2] == SCOPE_FIXED:
        return message[4]
    fields = tuple((name, code_of(name)) for name in message[4])
    return ((("cell", "B"),) + fields) if message[2] == SCOPE_CELL else fields


def message_text(message):
    """One message's layout as a SCHEMA frame carries it: `id name field:code field:code …`."""
    return "%d %s %s" % (message[0], message[1], " ".join("%s:%s" % field for field in layout(message)))
