"""A fit as a cell profile, each table with its source; what logs can't tell comes from a base profile or is assumed."""

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

from assb_host.cell_fit.fit import CellFit
from assb_host.cell_fit.noise import learning_of, noise_of
from assb_host.config import cell as cell_file
from assb_host.config.cell import Cell
from assb_host.config.errors import ConfigError
from assb_host.config.estimator_parameters import SOC_AXIS
from assb_host.config.fields import NAME_PATTERN
from assb_host.config.resample import arrhenius_coordinate, over_temperature, over_temperature_and_pressure

# Where a base profile is missing
ASSUMED_EV = 0.15  # activation energy of all resistances: low, since too much of it errs as far as too little
ASSUMED_SPAN_K = 25.0  # ... and how far from a single measured temperature its rows are written
ABOVE_SPAN_K = 20.0  # above the warmest log resistances fall less: what is ohmic is left
SAME_PRESSURE = 1.1  # ratio: logs at nearer pressures share a column
AREAL_MAH_CM2 = 3.0
WINDOW_MPA = (0.1, 0.5, 2.0)
WINDOW_DEGC = (0.0, 60.0)
ABSOLUTE_MARGIN_V = 0.1
POINTS = np.unique(np.concatenate((np.arange(0, 13), np.arange(12, 117, 3), np.arange(116, 129))))  # of SOC_AXIS


def profile_of(fit: CellFit, path: Path, base: Cell | None = None, description: str = "") -> Cell:
    """The profile named after `path`; checked as a file would be. Raises ConfigError."""
    if not re.match(NAME_PATTERN, path.stem):
        raise ConfigError("--out", "", path.name, "a file name of 1 to 15 small letters, digits, - and _, and .toml")
    cell = Cell(
        name=path.stem,
        description=description or f"{fit.capacity_ah:.3g} Ah cell, fitted by `assb cell fit`",
        chemistry=base.chemistry if base else "unknown",
        capacity_ah=significant(fit.capacity_ah),
        capacity_source=capacity_source(fit),
        ocv=ocv_of(fit, base),
        r0=r0_of(fit, base),
        rc=rc_of(fit, base),
        noise=noise_of(fit),
        learning=learning_of(),
        **windows_of(fit, base),
    )
    checked = msgspec.convert(msgspec.to_builtins(cell), Cell)
    cell_file.check_windows(checked, path)
    cell_file.check_tables(checked, path)
    return checked


def significant(value: float, digits: int = 5) -> float:
    return float(f"{value:.{digits}g}")


def names(logs) -> str:
    return ", ".join(dict.fromkeys(log.path.name for log in logs))


def run_names(fit: CellFit) -> str:
    return names(run.trace.log for run in fit.runs)


def pulse_names(fit: CellFit) -> str:
    return names(trace.log for trace in fit.pulses.traces)


def capacity_source(fit: CellFit) -> str:
    counted = ", ".join(f"{run.trace.log.path.name} {run.moved_ah:.4g} Ah" for run in fit.runs)
    return f"M: counted in {counted}; scaled to where the rests of {pulse_names(fit)} lie on its curve"


def ocv_of(fit: CellFit, base: Cell | None) -> cell_file.Ocv:
    source = f"M: {run_names(fit)}, less the overvoltage that {pulse_names(fit)} give"
    if base:
        source += f"; entropy from {base.name}"
    return cell_file.Ocv(
        temperature_degc=round(fit.main_degc, 1),
        soc=[float(x) for x in SOC_AXIS[POINTS]],
        voltage_v=[round(float(v), 5) for v in fit.ocv_v[POINTS]],
        source=source,
        hysteresis_v=round(fit.hysteresis_v, 5),
        hysteresis_rate=base.ocv.hysteresis_rate if base else 20.0,
        entropy_v_per_k=base.ocv.entropy_v_per_k if base else 0.0,
    )


def nodes_of(fit: CellFit, ohm: Sequence[np.ndarray], base: Cell | None) -> tuple[list[float], list[list[float]], str]:
    """Temperatures, each row of `ohm` on them, and a note: one measured temperature gets two assumed neighbours."""
    degc = [float(t) for t in fit.pulses.circuit.temperature_degc]
    if len(degc) == 1:
        ev, whose = (ASSUMED_EV, "") if base is None else (activation_ev(base), f", as {base.name}")
        return *assumed_law(degc[0], ohm, ev), f"; A: {ev:.2f} eV for other temperatures{whose}"
    above = degc[-1] + ABOVE_SPAN_K
    ends = [float(over_temperature(degc, row, [above])[0]) for row in ohm]
    rows = [[*map(float, row), float(np.sqrt(row[-1] * end))] for row, end in zip(ohm, ends, strict=True)]
    return [*degc, round(above, 1)], rows, "; A: half of the activation energy above the warmest"


def activation_ev(base: Cell) -> float:
    """Of R0, between the coldest and the warmest row of a profile."""
    if len(base.r0.temperature_degc) == 1:
        return ASSUMED_EV
    x = arrhenius_coordinate([base.r0.temperature_degc[0], base.r0.temperature_degc[-1]])
    return float(np.log(base.r0.ohm[0][0] / base.r0.ohm[-1][0]) / (x[0] - x[1]))


def assumed_law(degc: float, ohm: Sequence[np.ndarray], ev: float) -> tuple[list[float], list[list[float]]]:
    wide = [round(degc + k * ASSUMED_SPAN_K, 1) for k in (-1, 0, 1)]
    law = np.exp(ev * (arrhenius_coordinate(wide) - float(arrhenius_coordinate(degc))))
    return wide, [[float(x) for x in row[0] * law] for row in ohm]


def r0_of(fit: CellFit, base: Cell | None) -> cell_file.R0:
    """Over pressure: measured where the logs have several, else the base's shape, else none."""
    degc, (ohm, pressed), note = nodes_of(fit, [fit.pulses.circuit.r0_ohm, fit.pulses.pressed_ohm], base)
    source = f"M: {pulse_names(fit)}, what follows within 2 s{note}"
    seen = pressures_mpa(fit)
    if len(seen) > 1:
        mpa, n = seen, fit.pulses.pressure_exponent
        ratio = (np.array(mpa) / fit.pulses.reference_mpa) ** -n - 1.0
        table = [[significant(x + p * r) for r in ratio] for x, p in zip(ohm, pressed, strict=True)]
        source += f"; its part without a time constant falls as pressure to the {-n:.2f}"
    elif base is None:
        mpa, table = [seen[0] if seen else WINDOW_MPA[1]], [[significant(x)] for x in ohm]
        source += "; A: the same at any pressure"
    else:
        mpa, here = base.r0.pressure_mpa, seen[0] if seen else base.pressure.target_mpa
        rows, axis = base.r0.temperature_degc, np.array([here, *mpa])
        shape = over_temperature_and_pressure(rows, mpa, base.r0.ohm, np.array(degc), axis)
        table = [[significant(x * r) for r in row[1:] / row[0]] for x, row in zip(ohm, shape, strict=True)]
        source += f"; pressure as in {base.name}, from {here:g} MPa"
    return cell_file.R0(temperature_degc=degc, pressure_mpa=mpa, ohm=table, source=source)


def pressures_mpa(fit: CellFit) -> list[float]:
    """Those of the pulse logs, near ones as one; rising."""
    seen = [float(np.median(t.pressure_mpa)) for t in fit.pulses.traces if t.pressure_mpa is not None]
    found: list[float] = []
    for mpa in sorted(max(0.01, value) for value in seen):
        if not found or mpa > SAME_PRESSURE * found[-1]:
            found.append(significant(mpa, 3))
    return found


def rc_of(fit: CellFit, base: Cell | None) -> cell_file.RcPairs:
    circuit = fit.pulses.circuit
    degc, (r1, r2), note = nodes_of(fit, [circuit.r1_ohm, circuit.r2_ohm], base)
    return cell_file.RcPairs(
        tau1_s=circuit.tau_s[0],
        tau2_s=circuit.tau_s[1],
        temperature_degc=degc,
        r1_ohm=[significant(x) for x in r1],
        r2_ohm=[significant(x) for x in r2],
        source=f"M: {pulse_names(fit)}; A: the time constants, a decade apart{note}",
        soc=[round(float(s), 4) for s in circuit.knots],
        factor=[significant(float(f), 4) for f in circuit.factor],
    )


def windows_of(fit: CellFit, base: Cell | None) -> dict:
    """What no log tells."""
    if base is not None:
        keys = ("geometry", "voltage", "current", "pressure", "temperature", "swelling")
        return {key: getattr(base, key) for key in keys}
    volts = np.concatenate([log.voltage_v for log in fit.ocv_logs])
    low, high = round(float(volts.min()), 2), round(float(volts.max()), 2)
    flows = np.concatenate([trace.log.current_a for trace in fit.pulses.traces])
    charge, discharge = (max(fit.capacity_ah, float((sign * flows).max())) for sign in (1, -1))
    seen = pressures_mpa(fit)
    area = significant(fit.capacity_ah * 1000 / AREAL_MAH_CM2, 3)
    return {
        "geometry": cell_file.Geometry(
            layers=max(1, round(area / 1e4 + 0.5)), layer_area_cm2=min(area, 1e4), source="A: 3 mAh/cm2 in one layer"
        ),
        "voltage": cell_file.VoltageWindow(
            min_v=low,
            max_v=high,
            abs_min_v=max(0.0, round(low - ABSOLUTE_MARGIN_V, 2)),
            abs_max_v=round(high + ABSOLUTE_MARGIN_V, 2),
            source=f"M: passed in {run_names(fit)}; A: 0.1 V beyond as absolute limits",
        ),
        "current": cell_file.CurrentWindow(
            charge_max_a=significant(charge),
            discharge_max_a=significant(discharge),
            charge_c=significant(min(0.5, charge / fit.capacity_ah)),
            discharge_c=significant(min(1.0, discharge / fit.capacity_ah)),
            source=f"A: the largest currents in {pulse_names(fit)}, 1C at least; half of 1C and 1C for hours",
        ),
        "pressure": cell_file.PressureWindow(
            min_mpa=min([WINDOW_MPA[0], *seen]),
            target_mpa=seen[len(seen) // 2] if seen else WINDOW_MPA[1],
            max_mpa=max([WINDOW_MPA[2], *seen]),
            source="A: a holder's clamp, and the pressures of the logs",
        ),
        "temperature": cell_file.TemperatureWindow(
            charge_min_degc=WINDOW_DEGC[0], max_degc=WINDOW_DEGC[1], source="A: usual for cells"
        ),
        "swelling": cell_file.Swelling(
            anode_um_per_mah_cm2=0.0, cathode_um_per_mah_cm2=0.0, source="A: not known, taken as none"
        ),
    }
