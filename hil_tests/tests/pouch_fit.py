"""An LCO/graphite pouch that was really measured: the plant fitted on two rates, judged on the other two.

Data: Ai et al. 2020, doi:10.1149/2.0122001JES; Rieger et al. 2016. Thickness at 0.1C, 0.5C, 1C and 2C, voltage at
0.1C, 1C and 2C, rise of temperature at 1C and 2C, all on discharge from full. What is fitted, and on what:

* OCV: the voltage at 0.1C plus the plant's own overvoltage.
* resistances (with their course over SOC), heat capacity, cooling and entropy: voltage and temperature at 1C.
* swelling over SOC and thermal expansion: thickness at 0.1C and 1C, at the plant's own SOC and temperature.

Every prediction is a run of the C plant. 0.30 eV for all resistances is the plants' usual assumption.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from assb_host.cell_fit.least_squares import fitted
from assb_kernels import CellParams, Pack, Stack, ocv_table

NOMINAL_AH = 2.28  # Ai et al. 2020, table of the Enertech cell
RATES = (0.1, 0.5, 1.0, 2.0)
FITTED_RATES = (0.1, 1.0)
KNOTS = np.linspace(0, 1, 7)  # SOC, of entropy and resistance
SWELLING_KNOTS = np.linspace(0, 1, 25)
AXIS = np.linspace(0, 1, 129)
AMBIENT_DEGC = 25.0
RECORDED_S = 6000  # the cell is back at the room's temperature by then
SPREAD_K, SPREAD_V, SPREAD_MV_PER_K = 0.33, 0.033, 0.33  # what a residual of one means


@dataclass(frozen=True)
class Pouch:
    """Columns (time_s, value) of each rate: V, K above the room, um against the empty cell."""

    voltage_v: dict[float, Any]
    rise_k: dict[float, Any]
    thickness_um: dict[float, Any]

    @property
    def capacity_ah(self) -> float:
        """At 0.1C."""
        return 0.1 * NOMINAL_AH * self.voltage_v[0.1][-1, 0] / 3600


def load_pouch(folder: Path) -> Pouch:
    def read(rate: float, what: str, unit: float = 1.0) -> Any:
        return np.loadtxt(folder / f"{rate:g}C_discharge_{what}.txt") * (1.0, unit)

    return Pouch(
        voltage_v={rate: read(rate, "U") for rate in (0.1, 1.0, 2.0)},
        rise_k={rate: read(rate, "T") for rate in (1.0, 2.0)},
        thickness_um={rate: read(rate, "displacement", 1e6) for rate in RATES},
    )


def fit_cell(pouch: Pouch) -> CellParams:
    """Fitted on 0.1C and 1C alone."""
    guess = np.concatenate((np.log([0.03, 0.05, 60.0, 0.1]), np.zeros(2 * len(KNOTS))))
    cell = thermal_cell(pouch, fitted(lambda at: misfit(pouch, at), guess, rounds=60))
    return with_swelling(pouch, cell)


def thermal_cell(pouch: Pouch, at: np.ndarray) -> CellParams:
    """The cell that a vector of parameters stands for: logarithms of R0, R of the RC pairs, heat capacity and cooling;
    entropy in mV/K and logarithm of the resistance's factor at KNOTS."""
    r0_ohm, rc_ohm, heat_j_per_k, cooling_w_per_k = np.exp(at[:4])
    entropy_mv_per_k, ln_factor = at[4 : 4 + len(KNOTS)], at[4 + len(KNOTS) :]
    slow = pouch.voltage_v[0.1][::60]
    soc = 1 - 0.1 * NOMINAL_AH / 3600 * slow[:, 0] / pouch.capacity_ah
    over_v = 0.1 * NOMINAL_AH * (r0_ohm + rc_ohm * np.interp(soc, KNOTS, np.exp(ln_factor)))
    return CellParams(
        capacity_ah=pouch.capacity_ah,
        ocv_v=ocv_table(soc[::-1].tolist(), (slow[:, 1] + over_v)[::-1].tolist()),
        layers=1,
        layer_area_cm2=1,
        se_ohm_cm2=r0_ohm,
        contact_ohm_cm2=0.0,
        se_activation_ev=0.30,
        rc_activation_ev=0.30,
        rc_ohm=(0.1 * rc_ohm, 0.2 * rc_ohm, 0.7 * rc_ohm),
        rc_tau_s=(1.0, 20.0, 150.0),
        rc_factor=np.interp(AXIS, KNOTS, np.exp(ln_factor)).tolist(),
        entropy_v_per_k=(1e-3 * np.interp(AXIS, KNOTS, entropy_mv_per_k)).tolist(),
        core_j_per_k=0.95 * heat_j_per_k,
        surface_j_per_k=0.05 * heat_j_per_k,
        core_surface_w_per_k=2.0,
        surface_ambient_w_per_k=cooling_w_per_k,
        swelling_um_per_mah_cm2=0.0,
        expansion_um_per_k=0.0,
    )


def misfit(pouch: Pouch, at: np.ndarray) -> np.ndarray:
    """Temperature and voltage at 1C, and how unlikely the parameters are."""
    run = discharged(thermal_cell(pouch, at), 1.0, pouch.voltage_v[1.0][-1, 0], RECORDED_S)
    warm_s, flat_s = np.arange(10, RECORDED_S, 10), np.arange(10, 3550, 10)
    off_k = run["rise_k"][warm_s - 1] - np.interp(warm_s, *pouch.rise_k[1.0].T)
    off_v = run["voltage_v"][flat_s - 1] - np.interp(flat_s, *pouch.voltage_v[1.0].T)
    entropy, ln_factor = at[4 : 4 + len(KNOTS)], at[4 + len(KNOTS) :]
    likely = (entropy / SPREAD_MV_PER_K, 0.3 * np.diff(entropy, 2), 0.3 * np.diff(ln_factor), [ln_factor.sum()])
    return np.concatenate((off_k / SPREAD_K, off_v / SPREAD_V, *likely))


def discharged(cell: CellParams, rate: float, until_s: float, recorded_s: float | None = None) -> dict[str, Any]:
    """The plant's columns, one row a second: voltage_v, soc, rise_k and height_um against full and cold."""
    current_a = np.zeros(int(recorded_s or until_s))
    current_a[: int(until_s)] = -rate * NOMINAL_AH
    pack = Pack([cell], [Stack()], soc=1.0, temperature_degc=AMBIENT_DEGC)
    full_um = pack.cells[0].height_um
    columns = pack.run(
        current_a, 1.0, ambient_degc=AMBIENT_DEGC, results=("voltage_v", "soc", "surface_degc", "height_um")
    )
    run = {name: np.asarray(values) for name, values in columns.items()}
    return run | {"rise_k": run["surface_degc"] - AMBIENT_DEGC, "height_um": run["height_um"] - full_um}


def with_swelling(pouch: Pouch, cell: CellParams) -> CellParams:
    """Linear least squares: height is linear in the swelling curve's knots and in the expansion."""
    rows, heights = [], []
    for rate in FITTED_RATES:
        time_s, measured_um = thickness(pouch, rate)
        run = discharged(cell, rate, time_s[-1])
        at = time_s.astype(int) - 1
        weight = 1 / np.sqrt(len(at))
        shape = hats(run["soc"][at]) - hats(np.ones(1))
        rows.append(weight * np.column_stack((shape, run["rise_k"][at])))
        heights.append(weight * measured_um)
    smooth = 1e-3 * np.diff(np.eye(len(SWELLING_KNOTS)), 2, axis=0)
    rows.append(np.column_stack((smooth, np.zeros(len(smooth)))))
    rows.append(np.eye(1, len(SWELLING_KNOTS) + 1))  # nothing at SOC 0
    heights.append(np.zeros(len(smooth) + 1))
    found = np.linalg.lstsq(np.vstack(rows), np.concatenate(heights), rcond=None)[0]
    curve_um = np.interp(AXIS, SWELLING_KNOTS, found[:-1])
    full_um = curve_um[-1] - curve_um[0]
    return replace(
        cell,
        swelling_um_per_mah_cm2=full_um / (1000 * cell.capacity_ah / cell.layer_area_cm2),
        swelling_frac=((curve_um - curve_um[0]) / full_um).tolist(),
        expansion_um_per_k=float(found[-1]),
    )


def hats(soc: Any) -> np.ndarray:
    """Share of each knot in a straight-line interpolation, one row per SOC."""
    return np.stack([np.interp(soc, SWELLING_KNOTS, unit) for unit in np.eye(len(SWELLING_KNOTS))], axis=1)


def thickness(pouch: Pouch, rate: float) -> tuple[Any, Any]:
    """(whole seconds, um against the full cell)."""
    columns = pouch.thickness_um[rate]
    time_s = np.arange(1, int(columns[-1, 0]) + 1, 10).astype(float)
    return time_s, np.interp(time_s, *columns.T) - columns[0, 1]


def thickness_off(pouch: Pouch, cell: CellParams, rate: float) -> dict[str, Any]:
    """Simulated and measured thickness, and the largest and the rms error over the measured span."""
    time_s, measured_um = thickness(pouch, rate)
    simulated_um = discharged(cell, rate, time_s[-1])["height_um"][time_s.astype(int) - 1]
    return judged(time_s, simulated_um, measured_um)


def rise_off(pouch: Pouch, cell: CellParams, rate: float) -> dict[str, Any]:
    """The same for the temperature, with the way back to that of the room."""
    run = discharged(cell, rate, pouch.voltage_v[rate][-1, 0], RECORDED_S)
    time_s = np.arange(10.0, RECORDED_S, 10)
    return judged(time_s, run["rise_k"][time_s.astype(int) - 1], np.interp(time_s, *pouch.rise_k[rate].T))


def judged(time_s: Any, simulated: Any, measured: Any) -> dict[str, Any]:
    off, span = simulated - measured, np.ptp(measured)
    return {
        "time_s": time_s,
        "simulated": simulated,
        "measured": measured,
        "max_frac": float(np.max(np.abs(off)) / span),
        "rms_frac": float(np.sqrt(np.mean(off**2)) / span),
    }
