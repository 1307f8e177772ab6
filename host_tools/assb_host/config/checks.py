"""What must hold between board, pack and cell; the first thing that does not is raised as ConfigError."""

from assb.protocol import image, schema

from assb_host.config.budget import fault_time_budget_ms, slow_period_load_ms
from assb_host.config.errors import ConfigError
from assb_host.config.limit_keys import LEVELS, unit_of
from assb_host.config.pack import PackConfig
from assb_host.config.row_checks import (
    check_escalation,
    check_hard_short,
    check_pack_voltage,
    check_plausibility,
    check_staleness,
    fail,
    level_key,
    row_of,
)

# A monitor near the end of its range can't tell a trip level from saturation
SENSOR_HEADROOM_FRAC = 0.95
CAPTURE_HEAP_FRAC = 1 / 16  # what the firmware leaves is more, but in pieces (assumption)
ORDER = {
    schema.KIND_HIGH: "warn <= derate <= trip, and reset < trip",
    schema.KIND_LOW: "warn >= derate >= trip, and reset > trip",
    schema.KIND_STALE: "warn <= derate <= trip, and reset < trip",
}


def check_pack(pack: PackConfig) -> None:
    check_parameters(pack)
    check_pressure(pack)
    check_channels(pack)
    for row in schema.LIMIT_ROWS:
        check_limit(pack, row)
    check_against_cell(pack)
    check_currents(pack)
    check_voltages(pack)
    check_staleness(pack)
    check_pack_voltage(pack)
    check_plausibility(pack)
    check_escalation(pack)
    check_precharge(pack)
    check_balancing(pack)
    check_watch_rests(pack)
    check_heater(pack)
    check_hard_short(pack)
    check_load(pack)


def check_parameters(pack: PackConfig) -> None:
    for row in schema.PARAMETERS:
        value = pack.parameters[row[1]]
        if not row[3] <= value <= row[4]:
            raise ConfigError(
                pack.path, f"({row[1]})", value, f"{row[3]} .. {row[4]}", "change what it is computed from"
            )
    check_timing(pack)
    check_capture(pack)


def check_capture(pack: PackConfig) -> None:
    """A freeze frame lies in RAM, four bytes a value: time, current, pressure and the voltage of each cell."""
    p = pack.parameters
    rows = (p["capture_before_ms"] + p["capture_after_ms"]) // p["fast_period_ms"]
    frame_b = 4 * rows * (3 + p["cells_in_series"])
    most_b = pack.board.memory.heap_bytes * CAPTURE_HEAP_FRAC
    if frame_b > most_b:
        allowed = (
            f"with capture_after_s at most {most_b:.0f} B of samples, a sixteenth of the heap; this is {frame_b} B"
        )
        raise fail(pack, "detection.capture_before_s", allowed)


def check_timing(pack: PackConfig) -> None:
    fast_ms, slow_ms = pack.parameters["fast_period_ms"], pack.parameters["slow_period_ms"]
    watchdog_ms, least_ms = pack.parameters["watchdog_ms"], image.watchdog_least_ms(slow_ms)
    if slow_ms % fast_ms:
        raise fail(pack, "timing.slow_period_ms", "a multiple of timing.fast_period_ms")
    if slow_ms > image.FAST_TICKS_PER_SLOW_MAX * fast_ms:
        allowed = f"at most {image.FAST_TICKS_PER_SLOW_MAX} times timing.fast_period_ms ({fast_ms})"
        raise fail(pack, "timing.slow_period_ms", allowed, "the firmware averages no more fast samples into one step")
    most_ms = pack.board.micropython.watchdog_max_ms
    if watchdog_ms > most_ms:
        raise fail(pack, "timing.watchdog_ms", f"up to {most_ms}, the longest of board {pack.board.name}")
    if watchdog_ms and watchdog_ms < least_ms:
        allowed = f"0 (no watchdog), or at least {least_ms}: one second and four slow periods"
        remedy = "a shorter watchdog bites while the board starts or collects garbage, and resets it for ever"
        raise fail(pack, "timing.watchdog_ms", allowed, remedy)


def check_pressure(pack: PackConfig) -> None:
    p, v = pack.parameters, pack.limits
    low, high = v["pressure_low"], v["pressure_high"]
    if not p["pressure_min_kpa"] <= p["pressure_target_kpa"] <= p["pressure_max_kpa"]:
        raise fail(pack, "pressure.target_mpa", "min_mpa <= target_mpa <= max_mpa")
    for state in ("recovery", "charge", "discharge", "contact"):
        wanted_kpa = p[f"pressure_{state}_kpa"]
        if wanted_kpa and not p["pressure_min_kpa"] <= wanted_kpa <= p["pressure_max_kpa"]:
            raise fail(pack, f"pressure.{state}_mpa", f"0 (none), or min_mpa <= {state}_mpa <= max_mpa")
    if low.enabled and low.trip >= p["pressure_min_kpa"]:
        raise fail(
            pack, "limits.pressure_low.trip_mpa", "less than pressure.min_mpa", "the window lies between the trips"
        )
    if high.enabled and high.trip <= p["pressure_max_kpa"]:
        raise fail(
            pack, "limits.pressure_high.trip_mpa", "more than pressure.max_mpa", "the window lies between the trips"
        )
    if pack.board.mcp4725 and p["pressure_command_max_kpa"] > p["regulator_full_scale_kpa"]:
        raise fail(pack, "pressure.command_max_mpa", "at most pressure.regulator_full_scale_mpa")
    if p["pressure_target_kpa"] > p["pressure_command_max_kpa"]:
        raise fail(pack, "pressure.target_mpa", "at most pressure.command_max_mpa")
    if pack.board.drives_press:
        check_press(pack)


def check_press(pack: PackConfig) -> None:
    """What drives a press measures its pressure and watches it; image.py has the same for the board."""
    name = pack.board.name
    if not pack.board.bridges:
        allowed = "with a nau7802, hx711 or ads1115_pressure"
        raise ConfigError(pack.path, "board", name, allowed, "it drives a press without a pressure")
    for row in image.PRESS_ROWS:
        if not pack.limits[row].enabled:
            raise ConfigError(pack.path, f"limits.{row}.enabled", False, "true", f"board {name} drives a press")
    if pack.board.stepper:
        check_screw(pack, pack.board.stepper.rate_per_s)


def check_screw(pack: PackConfig, rate_per_s: int) -> None:
    p = pack.parameters
    if not p["stack_stiffness_kpa_per_um"]:
        raise fail(pack, "pressure.stiffness_mpa_per_um", "at least 0.0005 for a screw, which turns it into steps")
    if rate_per_s * p["fast_period_ms"] > 1000:
        allowed = (
            f"at most {1000 // rate_per_s} with board {pack.board.name}, whose stepper makes {rate_per_s} a second"
        )
        raise fail(pack, "timing.fast_period_ms", allowed, "a pulse a fast tick; or a smaller stepper.rate_per_s")


def check_voltages(pack: PackConfig) -> None:
    """An input at its end reads as that: the row must trip below it."""
    trip_v = pack.limits["cell_overvoltage"].trip / 1e6
    for at, cell in enumerate(pack.board.ads1115_cell):
        if cell.range_mv * cell.divider / 1000 * SENSOR_HEADROOM_FRAC <= trip_v:
            allowed = f"with its divider beyond limits.cell_overvoltage.trip_v, {trip_v:g} V"
            raise ConfigError(pack.path, f"board.ads1115_cell[{at}].range_mv", cell.range_mv, allowed)
    for at, ntc in enumerate(pack.board.ads1115_ntc):
        if ntc.range_mv < ntc.supply_mv:
            allowed = f"at least supply_mv, {ntc.supply_mv}"
            raise ConfigError(pack.path, f"board.ads1115_ntc[{at}].range_mv", ntc.range_mv, allowed)


def check_currents(pack: PackConfig) -> None:
    reach_a = pack.shunt_full_scale_a * SENSOR_HEADROOM_FRAC
    for row_name, maximum in (
        ("charge_overcurrent", "charge_current_max_ma"),
        ("discharge_overcurrent", "discharge_current_max_ma"),
        ("charge_overcurrent_10s", "charge_current_max_ma"),
        ("discharge_overcurrent_10s", "discharge_current_max_ma"),
    ):
        trip_a = abs(pack.limits[row_name].trip) / 1e6
        key = f"limits.{row_name}.trip_a"
        if trip_a > reach_a:
            allowed = f"magnitudes up to {reach_a:.3g} A, 95 % of what {pack.file.shunt_ohm:g} ohm can show"
            raise fail(pack, key, allowed, "choose a smaller shunt_ohm or a lower level")
        if trip_a * 1000 <= pack.parameters[maximum]:
            raise fail(pack, key, f"magnitudes above the current limit of {pack.parameters[maximum] / 1000:g} A")


def check_channels(pack: PackConfig) -> None:
    cells = pack.board.measured_cells
    wanted = list(range(pack.file.cells_in_series))
    if cells != wanted:
        remedy = f"board {pack.board.name} measures cells {cells}"
        raise fail(pack, "cells_in_series", f"{len(cells)}, one monitor for each cell", remedy)
    for signals, fitted, missing in quantities_of(pack):
        for row in schema.LIMIT_ROWS:
            if row[3] in signals and pack.limits[row[1]].enabled and not fitted:
                raise ConfigError(pack.path, f"limits.{row[1]}.enabled", True, "false on this board", missing)
    if len(pack.board.bridges) > 1 and not pack.limits["pressure_disagreement"].enabled:
        remedy = f"board {pack.board.name} has two load cells; the second is there to be compared with"
        raise ConfigError(pack.path, "limits.pressure_disagreement.enabled", False, "true on this board", remedy)
    mismatch_ms = pack.limits["contactor_mismatch"].debounce_ms
    if mismatch_ms < pack.contactor_open_ms:
        raise fail(pack, "limits.contactor_mismatch.debounce_ms", "at least contactor.open_ms")


def quantities_of(pack: PackConfig):
    """(signals, whether they can be measured, what is missing for them)."""
    board = pack.board
    pressure = [row[3] for row in schema.LIMIT_ROWS if row[3].startswith("pressure_")] + ["outside_window_ms"]
    return (
        (pressure, board.bridges, f"board {board.name} has no nau7802, hx711 or ads1115_pressure to measure pressure"),
        (
            ["press_stalled", "press_mismatch_kpa"],
            board.drives_press,
            f"board {board.name} has no mcp4725 or stepper to command pressure with",
        ),
        (
            ["heater_cdegc", "heater_unanswered_ms"],
            board.heater is not None,
            f"board {board.name} has no heater",
        ),
        (
            ["pressure_disagreement_kpa"],
            len(board.bridges) > 1,
            f"board {board.name} has no second nau7802, hx711 or ads1115_pressure",
        ),
        (["cell_spread_uv"], pack.file.cells_in_series > 1, "one cell has nothing to be apart from"),
        (["pack_mismatch_uv"], board.bq76952 is not None, f"board {board.name} has no monitor of the whole pack"),
    )


def levels(pack: PackConfig, row) -> dict[str, float]:
    """The levels of one row as the file has them."""
    table = getattr(pack.file.limits, row[1])
    suffix = (unit_of(row) or ("",))[0]
    named = {level + suffix: getattr(table, level + suffix, None) for level in LEVELS}
    return {name: value for name, value in named.items() if value is not None}


def check_limit(pack: PackConfig, row) -> None:
    limit = pack.limits[row[1]]
    try:
        image.check_limit(row, limit.image_row(row))
    except image.ImageError:
        raise ConfigError(pack.path, f"limits.{row[1]}", levels(pack, row), ORDER[row[4]]) from None
    if limit.recovery == "auto" and not limit.recovery_ms:
        key = f"limits.{row[1]}.recovery_ms"
        raise fail(pack, key, 'more than 0 with recovery = "auto"', "say how long it must be safe")
    if row[7] in ("lockout",) and limit.recovery == "auto":
        raise fail(pack, f"limits.{row[1]}.recovery", "manual or reset", "this row locks out")
    budget_ms = fault_time_budget_ms(pack, row[1])
    if limit.enabled and budget_ms > limit.allowed_ms:
        key = f"limits.{row[1]}.allowed_ms"
        allowed = f"at least {budget_ms:.1f}, its fault-time budget"
        raise fail(pack, key, allowed, "shorten debounce_ms, or choose faster sampling or a faster contactor")


def check_against_cell(pack: PackConfig) -> None:
    cell, limits, p = pack.cell, pack.limits, pack.parameters
    cases = (
        (
            "cell_overvoltage",
            limits["cell_overvoltage"].trip <= cell.voltage.abs_max_v * 1e6,
            f"up to {cell.voltage.abs_max_v:g}",
        ),
        (
            "cell_undervoltage",
            limits["cell_undervoltage"].trip >= cell.voltage.abs_min_v * 1e6,
            f"from {cell.voltage.abs_min_v:g}",
        ),
        (
            "overtemperature",
            limits["overtemperature"].trip <= cell.temperature.max_degc * 100,
            f"up to {cell.temperature.max_degc:g}",
        ),
    )
    for name, holds, allowed in cases:
        if not holds:
            raise fail(pack, level_key(row_of(name)), f"{allowed}, the limit of cell {cell.name}")
    if p["pressure_max_kpa"] > cell.pressure.max_mpa * 1000:
        raise fail(pack, "pressure.max_mpa", f"up to {cell.pressure.max_mpa:g}, the limit of cell {cell.name}")
    if p["charge_current_max_ma"] > cell.current.charge_max_a * 1000 + 0.5:
        raise fail(pack, "current.charge_max_a", f"up to {cell.current.charge_max_a:g}, the limit of cell {cell.name}")
    if p["discharge_current_max_ma"] > cell.current.discharge_max_a * 1000 + 0.5:
        raise fail(
            pack, "current.discharge_max_a", f"up to {cell.current.discharge_max_a:g}, the limit of cell {cell.name}"
        )


def check_precharge(pack: PackConfig) -> None:
    p = pack.parameters
    if p["precharge_ms"] and pack.board.contactor.precharge_pin is None:
        remedy = f"board {pack.board.name} names no contactor.precharge_pin"
        raise fail(pack, "supervision.precharge_ms", "0 on a board without a precharge path", remedy)
    if p["precharge_current_ma"] and not p["precharge_ms"]:
        raise fail(pack, "supervision.precharge_current_a", "0 without supervision.precharge_ms")
    if p["precharge_retries"] and p["precharge_timeout_ms"] <= p["precharge_ms"]:
        raise fail(
            pack, "supervision.precharge_timeout_ms", "more than supervision.precharge_ms, with precharge_retries"
        )


def check_balancing(pack: PackConfig) -> None:
    p, cells = pack.parameters, pack.file.cells_in_series
    if not p["balance_start_uv"]:
        return
    if not pack.board.bq76952 and (pack.board.bleed is None or len(pack.board.bleed.pins) < cells):
        remedy = f"board {pack.board.name} has no bleed switch for each of {cells} cells"
        raise fail(pack, "balancing.start_v", "0 (no balancing) on this board", remedy)
    if p["balance_stop_uv"] >= p["balance_start_uv"]:
        raise fail(pack, "balancing.stop_v", "less than balancing.start_v")
    if not pack.cell.voltage.min_v <= p["balance_least_uv"] / 1e6 < pack.cell.voltage.max_v:
        allowed = f"{pack.cell.voltage.min_v:g} .. {pack.cell.voltage.max_v:g}, the window of cell {pack.cell.name}"
        raise fail(pack, "balancing.least_v", allowed)
    if p["balance_hot_cdegc"] > pack.limits["overtemperature"].trip:
        raise fail(pack, "balancing.hot_degc", "at most limits.overtemperature.trip_degc")


def check_watch_rests(pack: PackConfig) -> None:
    p = pack.parameters
    if 0 < p["watch_rest_every_s"] < p["watch_rest_s"]:
        raise fail(pack, "watch_rests.every_s", f"0 or at least watch_rests.rest_s ({p['watch_rest_s']})")
    if p["watch_rest_most_s"] < p["watch_rest_s"]:
        raise fail(pack, "watch_rests.most_s", f"at least watch_rests.rest_s ({p['watch_rest_s']})")


def check_heater(pack: PackConfig) -> None:
    p, heater, board = pack.parameters, pack.file.heater, pack.board
    if p["heater_target_cdegc"] > p["heater_max_cdegc"]:
        raise fail(pack, "heater.target_degc", "at most heater.max_degc")
    if not p["heater_max_cdegc"]:
        return
    if board.heater is None:
        raise fail(pack, "heater.max_degc", "0 (not heated) on this board", f"board {board.name} has no heater")
    for row in image.HEATER_ROWS:
        if not pack.limits[row].enabled:
            raise ConfigError(pack.path, f"limits.{row}.enabled", False, "true", "this rig is heated")
    if heater.power_max_w > board.heater.power_w:
        raise fail(pack, "heater.power_max_w", f"up to {board.heater.power_w:g}, the power of the board's heater")
    if p["heater_max_cdegc"] >= pack.limits["heater_overtemperature"].trip:
        raise fail(pack, "heater.max_degc", "less than limits.heater_overtemperature.trip_degc")
    if pack.limits["heater_overtemperature"].trip > pack.limits["overtemperature"].trip:
        raise fail(pack, level_key(row_of("heater_overtemperature")), "at most limits.overtemperature.trip_degc")


def check_load(pack: PackConfig) -> None:
    slow_ms, load_ms = pack.parameters["slow_period_ms"], slow_period_load_ms(pack)
    if load_ms > slow_ms:
        remedy = f"what board {pack.board.name} does in a slow period of {slow_ms} ms takes it {load_ms:.0f} ms"
        raise fail(pack, "timing.fast_period_ms", "slower ticks, or a faster board", remedy)
