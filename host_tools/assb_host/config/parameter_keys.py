"""How a pack file's keys become the schema's parameters: one row each; ranges and defaults are the schema's own."""

from typing import Annotated, Literal

import msgspec
from assb.protocol import schema
from assb.protocol.schema_text import PARAMETER_TEXT
from msgspec import Meta

from assb_host.config.board_tables import Table

# parameter, table, key, wire units per unit of the key, must be given (else the schema's default holds)
ROWS = (
    ("fast_period_ms", "timing", "fast_period_ms", 1, True),
    ("slow_period_ms", "timing", "slow_period_ms", 1, True),
    ("watchdog_ms", "timing", "watchdog_ms", 1, True),
    ("pack_period_ms", "telemetry", "pack_period_ms", 1, False),
    ("cell_period_ms", "telemetry", "cell_period_ms", 1, False),
    ("evidence_period_ms", "telemetry", "evidence_period_ms", 1, False),
    ("health_period_ms", "telemetry", "health_period_ms", 1, False),
    ("cycler_period_ms", "telemetry", "cycler_period_ms", 1, False),
    ("power_period_ms", "telemetry", "power_period_ms", 1, False),
    ("soh_period_ms", "telemetry", "soh_period_ms", 1, False),
    ("charge_current_max_ma", "current", "charge_max_a", 1000, True),
    ("discharge_current_max_ma", "current", "discharge_max_a", 1000, True),
    ("derate_ppm", "current", "derate_frac", 1_000_000, True),
    ("rest_current_ma", "current", "rest_a", 1000, True),
    ("current_gain_error_ppm", "current", "gain_error_frac", 1_000_000, False),
    ("pressure_target_kpa", "pressure", "target_mpa", 1000, True),
    ("pressure_recovery_kpa", "pressure", "recovery_mpa", 1000, False),
    ("pressure_charge_kpa", "pressure", "charge_mpa", 1000, False),
    ("pressure_discharge_kpa", "pressure", "discharge_mpa", 1000, False),
    ("pressure_contact_kpa", "pressure", "contact_mpa", 1000, False),
    ("pressure_min_kpa", "pressure", "min_mpa", 1000, True),
    ("pressure_max_kpa", "pressure", "max_mpa", 1000, True),
    ("pressure_rate_max_kpa_s", "pressure", "rate_max_mpa_s", 1000, True),
    ("pressure_command_max_kpa", "pressure", "command_max_mpa", 1000, True),
    ("pressure_kp_ppm", "pressure", "proportional_gain", 1_000_000, False),
    ("pressure_ki_ppm_s", "pressure", "integral_gain_per_s", 1_000_000, False),
    ("pressure_feed_forward_ppm", "pressure", "feed_forward_frac", 1_000_000, False),
    ("pressure_deadband_kpa", "pressure", "deadband_mpa", 1000, False),
    ("pressure_play_kpa", "pressure", "play_mpa", 1000, False),
    ("expansion_nm_per_k", "pressure", "expansion_um_per_k", 1000, False),
    ("stack_stiffness_kpa_per_um", "pressure", "stiffness_mpa_per_um", 1000, True),
    ("regulator_full_scale_kpa", "pressure", "regulator_full_scale_mpa", 1000, True),
    ("pressure_lead_ms", "pressure", "lead_s", 1000, False),
    ("press_hold_ms", "pressure", "hold_s", 1000, False),
    ("press_timeout_ms", "pressure", "press_timeout_s", 1000, True),
    ("load_cell_zero_counts", "load_cell", "zero_counts", 1, True),
    ("check_cell_zero_counts", "load_cell", "second_zero_counts", 1, False),
    ("lease_ms", "supervision", "lease_ms", 1, True),
    ("precharge_ms", "supervision", "precharge_ms", 1, True),
    ("precharge_current_ma", "supervision", "precharge_current_a", 1000, False),
    ("precharge_timeout_ms", "supervision", "precharge_timeout_ms", 1, False),
    ("precharge_retries", "supervision", "precharge_retries", 1, False),
    ("precharge_pause_ms", "supervision", "precharge_pause_ms", 1, False),
    ("blind_ms", "supervision", "blind_ms", 1, False),
    ("self_test_timeout_ms", "supervision", "self_test_timeout_ms", 1, False),
    ("dry_rig", "supervision", "dry_rig", 1, False),
    ("contactor_timeout_ms", "contactor", "timeout_ms", 1, True),
    ("soc_initial_sigma_ppm", "detection", "soc_initial_sigma_frac", 1_000_000, False),
    ("hard_short_drop_uv", "detection", "hard_short_drop_v", 1_000_000, False),
    ("cold_cdegc", "detection", "cold_degc", 100, False),
    ("hard_short_debounce_ms", "detection", "hard_short_debounce_ms", 1, False),
    ("capture_before_ms", "detection", "capture_before_s", 1000, False),
    ("capture_after_ms", "detection", "capture_after_s", 1000, False),
    ("balance_start_uv", "balancing", "start_v", 1_000_000, False),
    ("balance_stop_uv", "balancing", "stop_v", 1_000_000, False),
    ("balance_least_uv", "balancing", "least_v", 1_000_000, False),
    ("balance_rest_ms", "balancing", "rest_s", 1000, False),
    ("balance_longest_ms", "balancing", "longest_s", 1000, False),
    ("balance_hot_cdegc", "balancing", "hot_degc", 100, False),
    ("bleed_ohm", "balancing", "bleed_ohm", 1, False),
    ("watch_rest_every_s", "watch_rests", "every_s", 1, False),
    ("watch_rest_s", "watch_rests", "rest_s", 1, False),
    ("watch_rest_most_s", "watch_rests", "most_s", 1, False),
    ("heater_target_cdegc", "heater", "target_degc", 100, False),
    ("heater_max_cdegc", "heater", "max_degc", 100, False),
    ("heater_kp_ppm_per_k", "heater", "gain_per_k", 1_000_000, False),
    ("heater_ki_ppm_per_k_s", "heater", "integral_gain_per_k_s", 1_000_000, False),
    ("learned_save_ms", "learned", "save_s", 1000, False),
    ("learned_change_ppm", "learned", "change_frac", 1_000_000, False),
    ("learned_off_sigma_ppm", "learned", "off_sigma_frac", 1_000_000, False),
    ("learned_reject_milli", "learned", "reject_sigmas", 1000, False),
)
# Parameters that come from other places of the files: the key that sets each
ELSEWHERE = {
    "cells_in_series": "cells_in_series",
    "shunt_uohm": "shunt_ohm",
    "capacity_uah": "cell: capacity_ah",
    "units_per_cell": "cell: geometry.units_in_series",
    "swelling_nm_per_mah": "cell: swelling, geometry",
    "load_cell_kpa_per_count_ppb": "load_cell, cell: geometry, board: nau7802.gain or hx711.gain",
    "pressure_safe_state": "pressure.safe_state",
    "pressure_quantum_kpa": "pressure: regulator_full_scale_mpa or stiffness_mpa_per_um, board: mcp4725 or stepper",
    "pressure_by_position": "board: stepper",
    "press_nm_per_step": "board: stepper.um_per_step",
    "heater_max_permille": "heater.power_max_w, board: heater.power_w",
    "lease_lapse_stops": "supervision.lease_lapse",
}
# What a board is calibrated by (`assb calibrate`) is the board's own: no file sets it, an image has none of it
CALIBRATION = {row[1]: row[5] for row in schema.PARAMETERS if row[2] == 2}
ELSEWHERE |= dict.fromkeys(CALIBRATION, "the board alone: `assb calibrate`")
WORDS = {"safe_state": ("hold", "bleed", "let_go"), "lease_lapse": ("continue", "stop")}


def parameter_row(name: str):
    return next(row for row in schema.PARAMETERS if row[1] == name)


def field_for(row):
    """(key, type[, default]) of one row, for msgspec.defstruct."""
    parameter, _table, key, factor, required = row
    _id, _name, _settable, lowest, highest, default = parameter_row(parameter)
    text = f"{PARAMETER_TEXT[parameter]} (`{parameter}`)"
    if factor == 1:
        kind = Annotated[int, Meta(ge=lowest, le=highest, description=text)]
        return (key, kind) if required else (key, kind, default)
    kind = Annotated[float, Meta(ge=lowest / factor, le=highest / factor, description=text)]
    return (key, kind) if required else (key, kind, default / factor)


def table_struct(table: str, *more):
    """Struct of one table of the pack file: its parameters and the fields in `more`."""
    fields = [field_for(row) for row in ROWS if row[1] == table]
    return msgspec.defstruct(
        table.title().replace("_", ""), [*fields, *more], bases=(Table,), kw_only=True, frozen=True
    )


def word_field(key: str, description: str):
    return (key, Annotated[Literal[WORDS[key]], Meta(description=description)])


def parameters_of(pack_file) -> dict[str, int]:
    """{parameter: wire value} of every row above, from a decoded pack file."""
    return {
        parameter: round(getattr(getattr(pack_file, table), key) * factor)
        for parameter, table, key, factor, _required in ROWS
    }
