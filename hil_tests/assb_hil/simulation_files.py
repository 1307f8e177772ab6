"""A simulation as files: BDF tables as a lab sees it, per unit a table of the truth, cycles, events, plot, result.

Everything is written beside its place first and renamed when it is whole.
"""

import csv
import json
import shutil
from dataclasses import asdict
from io import StringIO
from math import isfinite
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
from assb import VERSION
from assb_host.report import Recording
from assb_host.report.bdf import Column, write_meta, write_table

from assb_hil.out_folder import make_folder, writing
from assb_hil.simulation import Simulation
from assb_hil.simulation_sensors import SENSED, sensed_columns

OURS = ("cell*.bdf.csv", "cell*.bdf.meta.json", "stack.bdf.csv", "stack.bdf.meta.json", "cell*.truth.csv")
OURS += ("cycles.csv", "events.csv", "plot.png", "plot.svg", "result.json")
JSON_ROWS_MAX = 1000  # cycles and events in the JSON object; the tables have all
# (name in the file, column of the run, factor, decimals, whose it is); SPEC of the BDF names: Battery Data Alliance
BDF_TABLE = (
    ("test_time_second", "time_s", 1.0, 3, "pack"),
    ("voltage_volt", "voltage_v", 1.0, 6, "unit"),
    ("current_ampere", "current_a", 1.0, 6, "pack"),
    ("temperature_t1_celsius", "surface_degc", 1.0, 3, "unit"),
    ("ambient_temperature_celsius", "ambient_degc", 1.0, 3, "pack"),
    ("applied_pressure_pa", "pressure_mpa", 1e6, 0, "stack"),
    ("cycle_count", "cycle", 1.0, 0, "pack"),
    ("step_index", "step", 1.0, 0, "pack"),
    ("charging_capacity_ah", "charge_ah", 1.0, 7, "pack"),
    ("discharging_capacity_ah", "discharge_ah", 1.0, 7, "pack"),
)
TRUTH_TABLE = (
    ("time_s", "time_s", 1.0, 3, "pack", "s since the start"),
    ("step", "step", 1.0, 0, "pack", "position in the protocol, loops unrolled, from 0"),
    ("cycle", "cycle", 1.0, 0, "pack", "from 1"),
    ("current_a", "current_a", 1.0, 6, "pack", "A, + charges"),
    ("voltage_v", "voltage_v", 1.0, 6, "unit", "V of this unit"),
    ("ocv_v", "ocv_v", 1.0, 6, "unit", "V at rest for ever"),
    ("soc_frac", "soc", 1.0, 6, "unit", "0..1 of the present capacity"),
    ("temperature_degc", "temperature_degc", 1.0, 3, "unit", "°C of the core"),
    ("surface_degc", "surface_degc", 1.0, 3, "unit", "°C of the surface"),
    ("ambient_degc", "ambient_degc", 1.0, 3, "pack", "°C of the room"),
    ("pressure_mpa", "pressure_mpa", 1.0, 5, "stack", "MPa of this unit's stack"),
    ("gap_um", "gap_um", 1.0, 3, "stack", "µm, where the press stands; more is wider"),
    ("r0_ohm", "r0_ohm", 1.0, 7, "unit", "Ω, separator and contact"),
    ("theta_frac", "theta", 1.0, 6, "unit", "share of the lithium face that has lost contact"),
    ("filament_length_frac", "filament_length", 1.0, 6, "unit", "1: through the separator"),
    ("short_ohm", "short_ohm", 1.0, 4, "unit", "Ω of the bridge; empty: none"),
    ("short_a", "short_a", 1.0, 7, "unit", "A through it"),
    ("capacity_loss_frac", "capacity_loss_frac", 1.0, 7, "unit", "share of the fresh capacity"),
    ("resistance_growth_frac", "resistance_growth_frac", 1.0, 7, "unit", "share of the fresh R0"),
    ("charge_ah", "charge_ah", 1.0, 7, "pack", "Ah in, since the start"),
    ("discharge_ah", "discharge_ah", 1.0, 7, "pack", "Ah out, since the start"),
    ("charge_wh", "charge_wh", 1.0, 7, "pack", "Wh into the whole pack"),
    ("discharge_wh", "discharge_wh", 1.0, 7, "pack", "Wh out of it"),
)
CYCLE_DECIMALS = {
    "cycle": 0,
    "begin_s": 3,
    "end_s": 3,
    "charge_ah": 7,
    "discharge_ah": 7,
    "charge_wh": 7,
    "discharge_wh": 7,
    "efficiency_frac": 7,
    "voltage_min_v": 6,
    "voltage_max_v": 6,
    "pressure_min_mpa": 5,
    "pressure_max_mpa": 5,
    "temperature_max_degc": 3,
    "capacity_loss_frac": 7,
    "resistance_growth_frac": 7,
    "events": 0,
}
# {column of the run: (name in the table of the truth, decimals)}
SENSOR_COLUMNS = {
    source: (f"sensor_{channel}", next(row[3] for row in TRUTH_TABLE if row[1] == source))
    for channel, source, _ in SENSED
}


def write_simulation(run: Simulation, folder: Path, sensors: bool = False) -> dict[str, Path]:
    """Writes all files of a run into `folder`, in place of those of an earlier run; returns where.

    `sensors`: the BDF tables hold what the bench's sensors would have shown, and the truth tables that beside it.
    Raises AssbError where that can't be.
    """
    make_folder(folder)
    with writing(folder):
        _replace_all(run, folder, sensors)
    cells = "cell0" if run.units == 1 else "cell*"
    return {
        "plot": folder / "plot.png",
        "table": folder / f"{'stack' if is_sealed(run) else cells}.bdf.csv",
        "truth": folder / f"{cells}.truth.csv",
        "cycles": folder / "cycles.csv",
        "events": folder / "events.csv",
        "result": folder / "result.json",
    }


def _replace_all(run: Simulation, folder: Path, sensors: bool) -> None:
    fresh = Path(mkdtemp(prefix=".assb-sim-", dir=folder))
    try:
        _write_all(run, fresh, sensors)
        written = {path.name for path in fresh.iterdir()}
        for path in sorted(fresh.iterdir()):
            path.replace(folder / path.name)
        for stale in {path for pattern in OURS for path in folder.glob(pattern) if path.name not in written}:
            stale.unlink()
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _write_all(run: Simulation, folder: Path, sensors: bool) -> None:
    from assb_hil.simulation_plot import write_plots

    if is_sealed(run):
        shown = sensed_columns(run, 0, lambda run, name, whose, _: column(run, name, whose, None)) if sensors else {}
        _write_bdf(run, None, shown, folder / "stack.bdf.csv")
    for unit in range(run.units):
        sensed = sensed_columns(run, unit, column) if sensors else {}
        if is_sealed(run):
            sensed.pop("voltage_v", None)  # no lead, no sensor
        else:
            _write_bdf(run, unit, sensed, folder / f"cell{unit}.bdf.csv")
        write_table(truth_columns(run, unit, sensed), folder / f"cell{unit}.truth.csv")
    write_table(cycle_columns(run), folder / "cycles.csv")
    (folder / "events.csv").write_text(events_csv(run), encoding="utf-8")
    (folder / "result.json").write_text(json.dumps(result_of(run), indent=1) + "\n", encoding="utf-8")
    write_plots(run, folder)


def _write_bdf(run: Simulation, unit: int | None, sensed: dict[str, np.ndarray], path: Path) -> None:
    table = write_table(bdf_columns(run, unit, sensed), path)
    write_meta(Recording(run.request.protocol.title, meta=provenance(run, unit, bool(sensed))), table)


def is_sealed(run: Simulation) -> bool:
    """Whether a lab sees only the terminals of several units."""
    return run.units > 1 and not run.request.plant.taps


def column(run: Simulation, name: str, whose: str, unit: int | None) -> np.ndarray:
    """A column of the pack, of a unit, or of the stack that the unit stands in; None: of a package that shows its
    terminals' voltage only, the others as a mean."""
    if unit is None and (whose == "pack" or name == "voltage_v"):
        return run.columns[name]
    if unit is None:
        return (run.of_units if whose == "unit" else run.of_stacks)(name).mean(axis=1)
    if name == "short_ohm":
        siemens = run.columns[f"short_s[{unit}]"]
        return np.divide(1.0, siemens, out=np.full(len(siemens), np.nan), where=siemens > 0.0)
    place = {"pack": "", "unit": f"[{unit}]", "stack": f"[{run.request.plant.stack_of[unit]}]"}[whose]
    return run.columns[name + place]


def bdf_columns(run: Simulation, unit: int | None, sensed: dict[str, np.ndarray]) -> list[Column]:
    columns: list[Column] = []
    for name, source, factor, decimals, whose in BDF_TABLE:
        values = sensed.get(source, column(run, source, whose, unit))
        columns.append((name, (factor * values).tolist(), decimals))
    return columns


def truth_columns(run: Simulation, unit: int, sensed: dict[str, np.ndarray]) -> list[Column]:
    columns: list[Column] = [
        (name, (factor * column(run, source, whose, unit)).tolist(), decimals)
        for name, source, factor, decimals, whose, _ in TRUTH_TABLE
    ]
    return columns + [
        (SENSOR_COLUMNS[source][0], values.tolist(), SENSOR_COLUMNS[source][1]) for source, values in sensed.items()
    ]


def cycle_columns(run: Simulation) -> list[Column]:
    """Every cycle; where there is no efficiency its field is empty."""
    rows = [asdict(cycle) for cycle in run.cycles]
    return [(name, [row[name] for row in rows], decimals) for name, decimals in CYCLE_DECIMALS.items()]


def events_csv(run: Simulation) -> str:
    """The truth log: every event of a filament or void."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["time_s", "cell", "kind", "value"])
    for event in run.events:
        writer.writerow([f"{event.time_s:.3f}", event.cell, event.kind, f"{event.value:.6g}"])
    return out.getvalue()


def provenance(run: Simulation, unit: int | None, sensors: bool) -> dict[str, str]:
    """Where the table came from, as text."""
    plant = run.request.plant
    part = f"{plant.units} units without taps" if unit is None else f"unit {unit} of {plant.units}"
    return {
        "origin": "simulated by assb sim; no row is a measurement",
        "host version": ".".join(str(part) for part in VERSION),
        "cell": f"{plant.name}, format {plant.format_name}, bench {plant.bench_name}, {part}",
        "protocol": run.request.protocol.name,
        "seed": str(run.request.seed),
        "step": f"{run.dt_s:g} s; {rows_said(run)}",
        "columns": "with the errors of the bench's sensors" if sensors else "without sensor errors",
        "ended": f"{run.ended} {run.detail}".strip(),
    }


def result_of(run: Simulation) -> dict[str, Any]:
    """The result for programs; what is not a finite number is null."""
    plant = run.request.plant
    return {
        "cell": plant.name,
        "format": plant.format_name,
        "bench": plant.bench_name,
        "units": plant.units,
        "protocol": run.request.protocol.name,
        "seed": run.request.seed,
        "dt_s": run.dt_s,
        "every_s": run.every_s,
        "rows": len(run.time_s),
        "rows_made": run.rows_made,
        "sim_time_s": float(run.time_s[-1]),
        "wall_time_s": round(run.wall_time_s, 3),
        "ended": run.ended,
        "detail": run.detail,
        "notes": list(run.notes),
        "final": final_of(run),
        "press_stops": [asdict(stop) for stop in run.press_stops],
        "cycle_count": len(run.cycles),
        "cycles": [{key: finite(value) for key, value in asdict(run.cycles[k]).items()} for k in shown_cycles(run)],
        "event_count": len(run.events),
        "events": [asdict(event) for event in run.events[:JSON_ROWS_MAX]],
    }


def shown_cycles(run: Simulation) -> list[int]:
    """Positions of at most JSON_ROWS_MAX cycles, evenly, with the first and the last."""
    count = len(run.cycles)
    return sorted({round(k) for k in np.linspace(0, count - 1, min(count, JSON_ROWS_MAX)).tolist()})


def rows_said(run: Simulation) -> str:
    """How often there is a row."""
    if len(run.time_s) < run.rows_made:
        return f"{len(run.time_s)} rows of {run.rows_made}, ends of steps before others; --every keeps all"
    return f"{len(run.time_s)} rows: every {run.every_s:g} s and at the end of each step"


def final_of(run: Simulation) -> dict[str, list[Any]]:
    """State of each unit at the end; no bridge: `short_ohm` is null."""
    names = ("voltage_v", "soc", "temperature_degc", "r0_ohm", "theta", "filament_length")
    names += ("capacity_loss_frac", "resistance_growth_frac")
    final: dict[str, list[Any]] = {name: run.of_units(name)[-1].tolist() for name in names}
    final["short_ohm"] = [finite(float(column(run, "short_ohm", "unit", unit)[-1])) for unit in range(run.units)]
    final["pressure_mpa"] = run.of_stacks("pressure_mpa")[-1].tolist()
    return final


def finite(value: Any) -> Any:
    return None if isinstance(value, float) and not isfinite(value) else value
