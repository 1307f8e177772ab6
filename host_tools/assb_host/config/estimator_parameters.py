"""The tables of a cell file on the grids that the estimator works with; one code for boards, packs and recordings."""

import numpy as np
from assb.estimation import flat_layout
from assb.estimation import parameters as layout

from assb_host.config.cell import Cell
from assb_host.config.resample import over_temperature, over_temperature_and_pressure, rising_curve

# The R0 table spans what the firmware may meet before it opens: beyond it the estimator holds the edge value
PRESSURE_AXIS_LOW_FRAC = 0.2  # of the window's lower end
PRESSURE_AXIS_HIGH_FRAC = 1.2  # of the trip level, or of the window's upper end where there is no pack
TEMPERATURE_MARGIN_K = 10.0
SOC_AXIS = np.linspace(0, 1, layout.OCV_POINTS)
NO_STEP_C = 1e6  # no step of current is that large: nothing is learned from them
KNEE_FACTOR = 2.0  # an OCV that many times as steep as in the middle of SOC is a knee (assumption)
MIDDLE_SOC = (0.2, 0.9)
CURRENT_HEADROOM = 4.0  # a recording's plausible current over the cell's own limits


def flat_parameters(cell: Cell, **changes: object) -> list[float]:
    """The estimator's parameters (flat_layout) of a cell alone; `changes` replaces rows. Raises as flat_layout.pack."""
    return flat_layout.pack(cell_values(cell) | changes)


def cell_values(cell: Cell) -> dict[str, object]:
    """{row of the estimator's layout: value or values} of a cell without a pack: its own windows span the tables."""
    low_degc = min(*cell.r0.temperature_degc, cell.temperature.charge_min_degc)
    high_degc = max(*cell.r0.temperature_degc, cell.temperature.max_degc)
    current_max_a = CURRENT_HEADROOM * max(cell.current.charge_max_a, cell.current.discharge_max_a)
    return estimator_values(
        cell,
        temperature_axis_degc(low_degc, high_degc),
        pressure_axis_mpa(cell.pressure.min_mpa, cell.pressure.max_mpa),
        current_max_a,
    )


def estimator_values(
    cell: Cell, grid_degc: np.ndarray, grid_mpa: np.ndarray, current_max_a: float
) -> dict[str, object]:
    """{row of the estimator's layout: value or values} of a cell, with R0 on the grid of temperatures and pressures."""
    r0, rc = cell.r0, cell.rc
    ocv_v = rising_curve(cell.ocv.soc, cell.ocv.voltage_v, SOC_AXIS)
    values: dict[str, object] = {
        "capacity_ah": cell.capacity_ah,
        "ocv_v": ocv_v,
        "ocv_temperature_degc": cell.ocv.temperature_degc,
        "entropy_v_per_k": cell.ocv.entropy_v_per_k,
        "hysteresis_v": cell.ocv.hysteresis_v,
        "hysteresis_rate": cell.ocv.hysteresis_rate,
        "r0_temperature_degc": grid_degc,
        "r0_pressure_mpa": grid_mpa,
        "r0_ohm": over_temperature_and_pressure(
            r0.temperature_degc, r0.pressure_mpa, r0.ohm, grid_degc, grid_mpa
        ).ravel(),
        "r1_ohm": over_temperature(rc.temperature_degc, rc.r1_ohm, grid_degc),
        "r2_ohm": over_temperature(rc.temperature_degc, rc.r2_ohm, grid_degc),
        "tau1_s": rc.tau1_s,
        "tau2_s": rc.tau2_s,
        "leak_sigma_a": cell.capacity_ah / 10,  # a short that empties the cell in ten hours, before any evidence
        "current_max_a": current_max_a,
        "voltage_max_v": 1.2 * cell.voltage.abs_max_v,
    }
    values["charge_slope_most_v"] = KNEE_FACTOR * median_slope_v(ocv_v)
    if rc.soc:
        values["rc_factor"] = np.interp(SOC_AXIS, rc.soc, rc.factor)
    return values | noise_values(cell) | learning_values(cell)


def median_slope_v(ocv_v: np.ndarray) -> float:
    """dOCV/dSOC in the middle of the SOC range, V."""
    slopes = np.gradient(np.asarray(ocv_v), SOC_AXIS)
    low, high = MIDDLE_SOC
    return float(np.median([slope for soc, slope in zip(SOC_AXIS, slopes, strict=True) if low <= soc <= high]))


def noise_values(cell: Cell) -> dict[str, float]:
    if cell.noise is None:
        return {}
    figures = {name: getattr(cell.noise, name) for name in cell.noise.__struct_fields__ if name != "source"}
    return {name: value for name, value in figures.items() if value is not None}


def learning_values(cell: Cell) -> dict[str, float]:
    learning, values = cell.learning, {}
    if learning is None:
        return values
    if learning.capacity_sigma_frac is not None:
        values["capacity_prior_sigma_frac"] = learning.capacity_sigma_frac
    if learning.capacity_drift_frac_per_rt_cycle is not None:
        values["capacity_drift_frac_per_rt_cycle"] = learning.capacity_drift_frac_per_rt_cycle
    if not learning.resistance_from_steps:
        values["step_min_c"] = NO_STEP_C
    return values


def temperature_axis_degc(low_degc: float, high_degc: float) -> np.ndarray:
    return np.linspace(low_degc - TEMPERATURE_MARGIN_K, high_degc + TEMPERATURE_MARGIN_K, layout.TEMPERATURE_POINTS)


def pressure_axis_mpa(window_min_mpa: float, highest_mpa: float) -> np.ndarray:
    low = PRESSURE_AXIS_LOW_FRAC * window_min_mpa
    return np.geomspace(low, PRESSURE_AXIS_HIGH_FRAC * highest_mpa, layout.PRESSURE_POINTS)
