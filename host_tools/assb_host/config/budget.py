"""Fault-time budget of a limit row: from the quantity passing its level to the pack being safe, at worst.

Sum of what can come between the two, each from the configuration: the age of a sample, the row's debounce, the tick
that finds it, a slice and a garbage collection that make that tick late, and the actuator. A quantity that is a time by
itself (an age, or how long a code has stood still) has passed its level only after that time, and one that is filtered
after the time of its filter.
"""

import math

from assb.protocol import schema

from assb_host.config.pack import PackConfig

# Slices of a slow tick beside one for each cell: slow sensors, limits of current, collection, pressure, telemetry,
# storage, collection again
SLICES_BESIDE_CELLS = 7
# Signals that the slow tick puts on the blackboard; a fast tick may find them one slow period old
SLOW_SIGNALS = (
    "cell_stage",
    "estimator_status",
    "press_stalled",
    "press_mismatch_kpa",
    "outside_window_ms",
    "heater_unanswered_ms",
)
# Time constant of the low-pass whose lead is the rate of pressure: firmware/assb/quantities.py
FILTER_MS = {"pressure_rate_kpa_s": 1000.0}


def limit_row(name: str):
    return next(row for row in schema.LIMIT_ROWS if row[1] == name)


def fault_time_budget_ms(pack: PackConfig, row: str) -> float:
    """Worst time in ms from the fault to its act for a row of schema.LIMIT_ROWS."""
    return sum(budget_terms_ms(pack, row).values())


def budget_terms_ms(pack: PackConfig, row: str) -> dict[str, float]:
    """The budget's terms by name, in the order in which they pass."""
    debounce_ms = debounced_ms(pack, pack.limits[row].debounce_ms)
    if row == "hard_short":  # called in the fast tick after a time of its own, which the row's own follows
        debounce_ms += debounced_ms(pack, pack.parameters["hard_short_debounce_ms"])
    return {
        "sample_age_ms": sample_age_ms(pack, row),
        "filter_ms": FILTER_MS.get(limit_row(row)[3], 0.0),
        "debounce_ms": debounce_ms,
        **tick_terms_ms(pack),
        "actuator_ms": actuator_ms(pack, row),
    }


def tick_terms_ms(pack: PackConfig) -> dict[str, float]:
    """From a sample that came just after a tick to the end of the next, which a slice and a collection make late."""
    cost = pack.cost
    return {
        "tick_ms": pack.parameters["fast_period_ms"] + (cost.fast_worst_us + pack.board.bus_us()) / 1000,
        "slice_ms": slices_per_tick(pack) * cost.slice_worst_us / 1000,
        "gc_ms": cost.gc_worst_us / 1000,
    }


def debounced_ms(pack: PackConfig, debounce_ms: int) -> float:
    """From the tick that begins a debounce, were it in time, to the one that ends it.

    It is counted from when a tick began, which a slice made late, and ends with a tick of the grid: often one more than
    it has ticks. Where a collection made the first tick late, none is in the way of the last.
    """
    if not debounce_ms:
        return 0.0
    fast_ms, terms = pack.parameters["fast_period_ms"], tick_terms_ms(pack)
    slice_ms, gc_ms = terms["slice_ms"], terms["gc_ms"]
    plain_ms = math.ceil((debounce_ms + slice_ms) / fast_ms) * fast_ms
    collected_ms = math.ceil((debounce_ms + slice_ms + gc_ms) / fast_ms) * fast_ms - gc_ms
    return float(max(plain_ms, collected_ms))


def lost_data_budget_ms(pack: PackConfig, name: str) -> float | None:
    """Worst time in ms from a sensor's last sample to the act, for a row that itself acts on data that is lost; None
    where a row of age does, or where no sensor is behind its quantity."""
    row = limit_row(name)
    another = row[9] != "self" and pack.limits[row[9]].enabled
    if row[4] == schema.KIND_STALE or another or not channel_period_ms(pack, row):
        return None
    return pack.parameters["blind_ms"] + sum(tick_terms_ms(pack).values()) + actuator_ms(pack, name)


def slices_per_tick(pack: PackConfig) -> int:
    """Slices of the slow tick that one fast tick may have to wait for: one while there are not too many cells."""
    ticks = pack.parameters["slow_period_ms"] // pack.parameters["fast_period_ms"]
    return -(-(SLICES_BESIDE_CELLS + pack.parameters["cells_in_series"]) // ticks)


def slow_period_load_ms(pack: PackConfig) -> float:
    """The work of one slow period, each piece at the middle of what it takes on this board."""
    cost, ticks = pack.cost, pack.parameters["slow_period_ms"] // pack.parameters["fast_period_ms"]
    return (
        ticks * (cost.fast_us + cost.fast_jitter_us / 2 + pack.board.bus_us())
        + pack.parameters["cells_in_series"] * (cost.estimator_slice_us + cost.estimator_slice_jitter_us / 2)
        + SLICES_BESIDE_CELLS * (cost.other_slice_us + cost.other_slice_jitter_us / 2)
        + cost.gc_us
        + cost.gc_jitter_us / 2
    ) / 1000


def sample_age_ms(pack: PackConfig, name: str) -> float:
    """How old the value can be that a fast tick judges; of a time by itself, with that time."""
    row = limit_row(name)
    signal = row[3]
    if row[4] == schema.KIND_STALE:
        return float(pack.limits[name].trip)
    if signal == "late_us":
        return pack.limits[name].trip / 1000
    if signal == "estimator_status":  # it refuses what it is given, the slowest of which is the temperature
        return pack.parameters["slow_period_ms"] + thermometer_period_ms(pack)
    if signal in SLOW_SIGNALS and name != "hard_short":  # which is called in the fast tick
        own_ms = pack.limits[name].trip if signal.endswith("_ms") else 0
        return float(own_ms + pack.parameters["slow_period_ms"])
    period_ms = channel_period_ms(pack, row)
    if signal.endswith("_still_ms"):
        return pack.limits[name].trip + period_ms
    return 2 * period_ms if "_jump_" in signal else period_ms  # a jump is one when the next sample confirms it


def channel_period_ms(pack: PackConfig, row) -> float:
    """Time between two samples of the sensor that a row's quantity comes from; 0 for what the firmware makes itself."""
    board, signal, fast_ms = pack.board, row[3], pack.parameters["fast_period_ms"]
    if signal.startswith("pressure_"):
        return board.pressure_cycle_us(fast_ms) / 1000 if board.bridges else 0.0
    if signal.startswith(("temperature_", "heater_")):
        return thermometer_period_ms(pack)
    if row[9] == "current_stale":
        slow_ms = pack.parameters["slow_period_ms"]
        return board.current_code_ms(slow_ms) if signal == "current_still_ms" else board.current_cycle_us() / 1000
    if signal == "pack_mismatch_uv":  # the stack is measured in every third scan
        return 3 * board.voltage_cycle_us(fast_ms) / 1000
    if row[9] == "voltage_stale" or row[1] == "hard_short":
        return board.voltage_cycle_us(fast_ms) / 1000
    return 0.0


def thermometer_period_ms(pack: PackConfig) -> float:
    """From one conversion of the slowest thermometer to the next, and the slow tick that reads it."""
    return pack.board.temperature_cycle_ms(pack.parameters["fast_period_ms"]) + pack.parameters["slow_period_ms"]


def actuator_ms(pack: PackConfig, name: str) -> float:
    action = limit_row(name)[7]
    if action in ("open", "lockout"):
        return pack.contactor_open_ms
    return 0.0 if action == "log" else pack.cycler_stop_ms
