"""The firmware's own estimators and detectors over a recording, at the rate at which it was taken."""

from collections.abc import Iterator
from math import inf

import numpy as np
from assb.estimation.flat_layout import DEFAULTS
from assb_kernels.watch import COLLAPSE_V, Watch

from assb_host.cell_fit.estimate import gap_of
from assb_host.config.cell import Cell
from assb_host.config.estimator_parameters import CURRENT_HEADROOM, SOC_AXIS, flat_parameters
from assb_host.config.resample import rising_curve
from assb_host.replay.comparison import SIGMA_PER_MAD
from assb_host.replay.pack_log import PackLog
from assb_host.replay.verdict import Change

STEP_S = 0.1  # the slow tick of the firmware; faster rows are taken together
FAST_SAMPLE_S = 0.5  # a slower recording has faster rows at most around its pulses: neither dips nor noise show in them
COLLAPSE_SAMPLE_S = 1.0  # in a longer time a load may have come: a low voltage is no collapse
# Rows further apart are points of a current that moved in between, which count no charge, and a monitor that reads one
# cell after the other meets another current at each. A cycler's log of one cell holds its current between rows
PACK_SAMPLE_S = 1.0
CELL_SAMPLE_S = 60.0
NEVER = 1e5  # a threshold that nothing reaches
REST_MEAN_TAU_S = 30.0  # of the mean whose slope the rest evidence takes
NOISE_SIGMAS = 6.0
FLAT_PERCENT = 5.0  # of the rows, where the OCV is flattest
LEAST_DIGIT_V = 1e-7  # less is arithmetic
PROFILE_SIGMAS = 3.0  # what a fit left unexplained, that often, is no missing charge (assumption)


def can_watch(log: PackLog) -> bool:
    return log.sample_s <= (CELL_SAMPLE_S if log.cells == 1 else PACK_SAMPLE_S) * 1.01


def watched(cell: Cell, log: PackLog) -> list[Change]:
    """Stages as they changed. After a gap the estimators start anew; what was learned stays."""
    flat = flat_parameters(cell, **run_values(cell, log), **bounds(cell, log), **missing_evidence(cell, log))
    collapse_v = COLLAPSE_V if log.sample_s <= COLLAPSE_SAMPLE_S else inf
    watch = Watch([flat] * log.cells, max(1, round(STEP_S / log.sample_s)), collapse_v=collapse_v)
    found = []
    for part, columns in columns_of(cell, log):
        if part.start:
            watch.restart()
        found += watch.run(*columns)
    return [
        Change(
            change.time_s, change.cell, change.stage, change.confidence, change.evidence,
            *(ohm or None for ohm in (change.rs_ohm, change.rs_low_ohm, change.rs_high_ohm)),
        )
        for change in found
    ]  # fmt: skip


def columns_of(cell: Cell, log: PackLog) -> Iterator[tuple[slice, list[np.ndarray]]]:
    """What Watch takes of each stretch; a recording without pressure counts as pressed to the profile's target."""
    pressure_mpa = np.full(len(log), cell.pressure.target_mpa) if log.pressure_mpa is None else log.pressure_mpa
    for part in log.parts():
        columns = (log.since_s, log.voltage_v, log.current_a, log.temperature_degc, pressure_mpa)
        yield part, [np.ascontiguousarray(column[part], float).ravel() for column in columns]


def run_values(cell: Cell, log: PackLog) -> dict[str, float]:
    most_a = max(float(np.abs(log.current_a).max()), cell.current.charge_max_a, cell.current.discharge_max_a)
    return {"dt_max_s": 2.0 * gap_of(log.sample_s), "current_max_a": CURRENT_HEADROOM * most_a}


def bounds(cell: Cell, log: PackLog) -> dict[str, float]:
    """A profile that knows what it leaves unexplained is not believed beyond that, nor a voltage beyond its noise."""
    noise = cell.noise
    slow_v = (noise.rc_sigma_v if noise else None) or 0.0
    share = (noise.overvoltage_sigma_frac if noise else None) or 0.0
    known = {
        "charge_ocv_v": PROFILE_SIGMAS * slow_v,
        "charge_drift_v": PROFILE_SIGMAS * slow_v,
        "charge_resistance_frac": PROFILE_SIGMAS * share,
        "charge_rc_frac": PROFILE_SIGMAS * share,
        "charge_noise_v": noise_v(log),
        "rest_leak_c": resting_leak_c(cell, log),
    }
    return {name: max(DEFAULTS[name], value) for name, value in known.items()}


def resting_leak_c(cell: Cell, log: PackLog) -> float:
    """The leak, 1/h, whose fall of a resting voltage stands out of the noise: between two means REST_WINDOW apart."""
    ocv_v = rising_curve(cell.ocv.soc, cell.ocv.voltage_v, SOC_AXIS)
    slopes_v = np.interp(log.voltage_v, ocv_v, np.gradient(ocv_v, SOC_AXIS))
    slope_v = max(float(np.percentile(slopes_v, FLAT_PERCENT)), DEFAULTS["charge_slope_least_v"])
    part = log.sample_s / (REST_MEAN_TAU_S + log.sample_s)
    means = 2 if log.cells == 1 else 4  # in a pack those of the reference, too
    between_v = NOISE_SIGMAS * noise_v(log) * np.sqrt(means * part / (2 - part))
    return float(between_v / (DEFAULTS["rest_ratio"] * slope_v) * 3600 / DEFAULTS["rest_window_s"])


def noise_v(log: PackLog) -> float:
    """1 sigma of the loudest cell: of neighbouring rows, half of which see no step, and of the last digit."""
    change_v = np.abs(np.diff(log.voltage_v, axis=0))
    digit_v = float(change_v[change_v > LEAST_DIGIT_V].min(initial=1.0))
    loud_v = float(np.median(change_v, axis=0).max()) * SIGMA_PER_MAD / np.sqrt(2)
    return float(np.hypot(loud_v, digit_v / np.sqrt(12)))


def digit_hides_noise(cell: Cell, log: PackLog) -> bool:
    """Most rows after the mask of a step repeat the voltage: the few that do not are rounding, no noise that rose."""
    is_step = np.abs(np.diff(log.current_a)) > DEFAULTS["step_c"] * cell.capacity_ah
    step_s = np.maximum.accumulate(np.where(is_step, log.time_s[1:], -inf))
    is_heard = log.time_s[1:] - step_s >= DEFAULTS["step_mask_s"]
    change_v = np.abs(np.diff(log.voltage_v, axis=0))[is_heard]
    return bool(is_heard.any() and np.median(change_v, axis=0).min() < LEAST_DIGIT_V)


def missing_evidence(cell: Cell, log: PackLog) -> dict[str, float]:
    """Thresholds out of reach of evidences that this recording or this profile can not show."""
    never = {}
    if log.sample_s > FAST_SAMPLE_S:
        never |= {"dip_floor_v": NEVER}
    if log.sample_s > FAST_SAMPLE_S or digit_hides_noise(cell, log):
        never |= {"noise_ratio": NEVER}
    if cell.learning is not None and not cell.learning.resistance_from_steps:
        never |= {"resistance_drop_frac": NEVER, "resistance_rise_frac": NEVER}
    return never
