"""Keys of a pack file's `[detection]` that are thresholds of the evidences: rows of the estimator's flat layout."""

from typing import TYPE_CHECKING, Annotated

from assb.estimation import flat_layout
from msgspec import Meta

if TYPE_CHECKING:
    from assb_host.config.pack import PackConfig

# key = row of the flat layout's group `detection`: (lowest, highest, what it says); the layout has the defaults. What
# is left out here comes from elsewhere in the files, or belongs to rigs that measure the gap of the stack.
KEYS = {
    "step_c": (1e-4, 1.0, "A change of current above it, per Ah, is a step: what looks at single samples waits"),
    "step_mask_s": (0.0, 60.0, "How long it waits after a step of the current"),
    "move_mask_s": (0.0, 600.0, "And after a move of the press"),
    "dip_sigmas": (1.0, 100.0, "How far below the level before it a dip begins, in sigmas of the innovations"),
    "dip_floor_v": (1e-5, 1.0, "Dips shallower than this never count"),
    "dip_window_s": (1.0, 3600.0, "Window in which dips are counted"),
    "dip_count": (1.0, 16.0, "Dips within the window that make the evidence active"),
    "dip_trace_frac": (
        0.0,
        1.0,
        "Of its depth, what a dip leaves behind half a second later: a loose wire leaves nothing",
    ),
    "dip_trace_v": (0.0, 1.0, "And at least so much"),
    "noise_ratio": (1.1, 1000.0, "Variance of the voltage over its usual one"),
    "noise_hold_s": (0.0, 3600.0, "How long it must be so loud"),
    "charge_offset_c": (0.0, 0.1, "Offset of the current sensor, per Ah; less than twice of it is taken for none"),
    "charge_capacity_frac": (1e-4, 0.5, "1-sigma error of the capacity and of the slope of the OCV"),
    "charge_ocv_v": (1e-5, 1.0, "1-sigma error of the OCV table's features, per unit in series"),
    "pack_ocv_v": (1e-5, 1.0, "The same against the other cells"),
    "charge_resistance_frac": (1e-3, 1.0, "1-sigma error of the resistances"),
    "pack_resistance_frac": (1e-3, 1.0, "The same against the other cells"),
    "charge_rc_frac": (1e-3, 1.0, "1-sigma error of what the resistances have of diffusion"),
    "charge_contact": (0.0, 100.0, "Change of R0 by a contact that is lost or comes back, per root of an hour"),
    "charge_drift_v": (0.0, 0.1, "Drift of the voltage's sensor, per root of an hour"),
    "pack_drift_v": (0.0, 0.1, "The same against the other cells"),
    "charge_noise_v": (1e-6, 0.1, "Noise of the voltage, the middle one of five seconds"),
    "charge_nats": (1.0, 1000.0, "Logarithm of the likelihood ratio of a leak that makes a suspect"),
    "charge_settle_s": (0.0, 86400.0, "After the start, before missing charge is believed"),
    "charge_slope_least_v": (1e-3, 10.0, "The voltage tells no charge where the OCV is flatter, V per unit of SOC"),
    "rest_window_s": (10.0, 86400.0, "Window of the slope of a rest"),
    "rest_ratio": (1.0, 100.0, "Slope of a rest over what relaxation explains"),
    "rest_leak_c": (1e-6, 1.0, "The least leak, per Ah, that a rest is judged by"),
    "cv_tail_c": (1e-4, 1.0, "What the current of a held voltage ends in, above its usual, per Ah"),
    "efficiency_drop_frac": (1e-4, 1.0, "Drop of the coulombic efficiency"),
    "resistance_drop_frac": (0.001, 1.0, "Drop of R0 over its tables"),
    "resistance_rise_frac": (0.001, 10.0, "Rise of R0 that is a lost contact"),
    "stall_ratio": (0.0, 0.99, "Rise of the charge voltage over what the OCV asks for"),
    "stall_s": (1.0, 86400.0, "For how long"),
    "heat_j_per_k": (0.0, 1e6, "Heat capacity of a cell; 0: heat is not watched"),
    "heat_w": (0.001, 1000.0, "Heat that current and resistance do not explain"),
    "charge_alone": (1.0, 100.0, "Missing charge so many times its threshold is a soft short by itself"),
    "stage_fall_s": (0.0, 86400.0, "A stage falls when all evidence was silent for so long"),
}


SENSOR_OFFSET_A = 0.0005  # of a shunt and its monitor: 25 uV on 50 mohm (assumption)
PER_UNIT = ("charge_ocv_v", "pack_ocv_v")


def fields() -> list[tuple[str, type, float]]:
    """(key, type, default) of each, for msgspec.defstruct."""
    return [
        (key, Annotated[float, Meta(ge=low, le=high, description=text)], flat_layout.DEFAULTS[key])  # type: ignore[misc]
        for key, (low, high, text) in KEYS.items()
    ]


def detection_values(pack: "PackConfig") -> dict[str, object]:
    """{row of the flat layout: value} of a pack. Units in series behind one reading: each brings its table's error."""
    table, units = pack.file.detection, pack.cell.geometry.units_in_series
    values: dict[str, object] = {key: getattr(table, key) for key in KEYS}
    return values | {
        "rest_c": pack.parameters["rest_current_ma"] / 1000 / pack.cell.capacity_ah,
        "charge_offset_c": max(table.charge_offset_c, SENSOR_OFFSET_A / pack.cell.capacity_ah),
        "charge_gain_frac": pack.parameters["current_gain_error_ppm"] / 1e6,
        **{key: units * getattr(table, key) for key in PER_UNIT},
    }
