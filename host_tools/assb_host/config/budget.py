"""Fault-time budget of a limit row: from the quantity passing its level to the pack being safe, at worst.

Sum of what can come between the two, each from the configuration: the age of a sample, the row's debounce, the tick
that finds it, a slice and a garbage collection that make that tick late, and the actuator. A quantity that is a time by
itself (an age, or how long a code has stood still) has passed its level only after that time, and one that is filtered
after the time of its filter.
"""

from assb.protocol import schema

from assb_host.config.pack import PackConfig

# Slices of a slow tick beside one for each cell: slow sensors, limits of current, collection, pressure, telemetry,
# storage, collection again
SLICES_BESIDE_CELLS = 7
# Signals that the slow tick puts on the blackboard; a fast tick may find them one slow period old
SLOW_SIGNALS = ("cell_stage", "estimator_status", "press_stalled", "press_mismatch_kpa", "outside_window_ms")
# Time constant of the low-pass whose lead is the rate of pressure: firmware/assb/quantities.py
FILTER_MS = {"pressure_rate_kpa_s": 1000.0}


def limit_row(name: str):
    return next(row for row in schema.LIMIT_ROWS if row[1] == name)


def fault_time_budget_ms(pack: PackConfig, row: str) -> float:
    """Worst time in ms from the fault to its act for a row of schema.LIMIT_ROWS."""
    return sum(budget_terms_ms(pack, row).values())


def budget_terms_ms(pack: PackConfig, row: str) -> dict[str, float]:
    """The budget's terms by name, in the order in which they pass."""
    fast_ms = pack.parameters["fast_period_ms"]
    debounce_ms = pack.limits[row].debounce_ms
    if row == "hard_short":  # called in the fast tick after a time of its own, which the row's own follows
        debounce_ms += pack.parameters["hard_short_debounce_ms"]
    cost = pack.board.cost
    return {
        "sample_age_ms": sample_age_ms(pack, row),
        "filter_ms": FILTER_MS.get(limit_row(row)[3], 0.0),
        # debounce is counted in ticks, so it ends with one
        "debounce_ms": float(-(-debounce_ms // fast_ms) * fast_ms),
        "tick_ms": fast_ms + (cost.fast_worst_us + bus_us(pack)) / 1000,
        "slice_ms": slices_per_tick(pack) * cost.slice_worst_us / 1000,
        "gc_ms": cost.gc_worst_us / 1000,
        "actuator_ms": actuator_ms(pack, row),
    }


def slices_per_tick(pack: PackConfig) -> int:
    """Slices of the slow tick that one fast tick may have to wait for: one while there are not too many cells."""
    ticks = pack.parameters["slow_period_ms"] // pack.parameters["fast_period_ms"]
    return -(-(SLICES_BESIDE_CELLS + pack.parameters["cells_in_series"]) // ticks)


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
        own_ms = pack.limits[name].trip if signal == "outside_window_ms" else 0
        return float(own_ms + pack.parameters["slow_period_ms"])
    period_ms = channel_period_ms(pack, row)
    if signal.endswith("_still_ms"):
        return pack.limits[name].trip + period_ms
    return 2 * period_ms if "_jump_" in signal else period_ms  # a jump is one when the next sample confirms it


def channel_period_ms(pack: PackConfig, row) -> float:
    """Time between two samples of the sensor that a row's quantity comes from; 0 for what the firmware makes itself."""
    board, signal = pack.board, row[3]
    if signal.startswith("pressure_"):
        return 1000 / min(converter.rate_hz for converter in board.bridges) if board.bridges else 0.0
    if signal.startswith("temperature_"):
        return thermometer_period_ms(pack)
    if row[9] in ("voltage_stale", "current_stale") or signal == "pack_mismatch_uv" or row[1] == "hard_short":
        return max(monitor.cycle_us for monitor in board.ina228) / 1000
    return 0.0


def thermometer_period_ms(pack: PackConfig) -> float:
    """From one conversion of the slowest thermometer to the next, and the slow tick that reads it."""
    return float(max(sensor.cycle_ms for sensor in pack.board.tmp117) + pack.parameters["slow_period_ms"])


def bus_us(pack: PackConfig) -> float:
    """Transfers of one fast tick: voltage and current of each monitor, ready flag and result of the bridge converter.

    A transfer is at most 7 bytes of 9 bits (address, register, address, up to four of data). An HX711 is read by hand:
    up to 27 pulses, a level after each of 24, and two more.
    """
    board = pack.board
    transfers = 3 * len(board.ina228) + 2 * len(board.nau7802)
    slowest_hz = min(bus.frequency_hz for bus in board.i2c)
    by_hand_us = (2 * 27 + 26) * board.cost.pin_us * len(board.hx711)
    return by_hand_us + transfers * (7 * 9 * 1e6 / slowest_hz + board.cost.i2c_overhead_us)


def actuator_ms(pack: PackConfig, name: str) -> float:
    action = limit_row(name)[7]
    if action in ("open", "lockout"):
        return pack.contactor_open_ms
    return 0.0 if action == "log" else pack.cycler_stop_ms
