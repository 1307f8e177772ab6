"""The picture of a fit: OCV, resistances and factor, and what is left of every pulse log."""

from pathlib import Path
from typing import Any

import numpy as np

from assb_host.cell_fit.fit import CellFit
from assb_host.config.cell import Cell
from assb_host.config.estimator_parameters import SOC_AXIS
from assb_host.report.plots import CALM, ESTIMATE, GRID, MEASURED, STYLE, TRUTH

COLOURS = (MEASURED, ESTIMATE, CALM, TRUTH)
WIDTH_IN, ROW_IN = 9.6, 2.6


def write_plot(fit: CellFit, cell: Cell, path: Path) -> None:
    """Raises OSError."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    logs = len(fit.pulses.traces)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, ROW_IN * (2 + logs)), layout="constrained")
        grid = figure.add_gridspec(2 + logs, 2)
        draw_ocv(figure.add_subplot(grid[0, :]), fit)
        draw_resistances(figure.add_subplot(grid[1, 0]), cell)
        draw_factor(figure.add_subplot(grid[1, 1]), fit)
        for k in range(logs):
            draw_misfit(figure.add_subplot(grid[2 + k, :]), fit, k)
        figure.suptitle(f"{cell.name}: {cell.description}", size=12, weight="bold", x=0.01, ha="left")
        figure.savefig(path, dpi=130, metadata={"Software": None})


def dress(axes: Any, x: str, y: str) -> None:
    axes.grid(True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in ("top", "right"):
        axes.spines[spine].set_visible(False)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=8)


def draw_ocv(axes: Any, fit: CellFit) -> None:
    named: set[bool] = set()
    for run, curve in zip(fit.runs, fit.curves_v, strict=True):
        colour = ESTIMATE if run.is_charge else MEASURED
        name = (
            "_" if run.is_charge in named else f"{'charge' if run.is_charge else 'discharge'}, overvoltage taken away"
        )
        named.add(run.is_charge)
        axes.plot(100 * SOC_AXIS, curve, color=colour, linewidth=0.8, alpha=0.7, label=name)
    axes.plot(100 * SOC_AXIS, fit.ocv_v, color="black", linewidth=1.0, label="OCV")
    for trace, soc in zip(fit.pulses.traces, fit.pulses.soc, strict=True):
        before = np.append(np.diff(np.abs(trace.current_a)) > 0.05 * np.abs(trace.current_a).max(), False)
        rested = before & (np.abs(trace.current_a) < 0.01 * np.abs(trace.current_a).max())
        name = "end of a rest between pulses" if trace is fit.pulses.traces[0] else "_"
        axes.plot(100 * soc[rested], trace.voltage_v[rested], ".", markersize=4, color=ESTIMATE, label=name)
    dress(axes, "SOC / %", "OCV / V")


def draw_resistances(axes: Any, cell: Cell) -> None:
    middle = len(cell.r0.pressure_mpa) // 2
    axes.semilogy(
        cell.r0.temperature_degc, [1e3 * row[middle] for row in cell.r0.ohm], "o-", color=MEASURED, label="R0"
    )
    rows = (
        (cell.rc.r1_ohm, ESTIMATE, f"R1, {cell.rc.tau1_s:g} s"),
        (cell.rc.r2_ohm, CALM, f"R2, {cell.rc.tau2_s:g} s"),
    )
    for ohm, colour, name in rows:
        axes.semilogy(cell.rc.temperature_degc, [1e3 * x for x in ohm], "o-", color=colour, label=name)
    dress(axes, "temperature / °C", "resistance / mΩ")


def draw_factor(axes: Any, fit: CellFit) -> None:
    circuit = fit.pulses.circuit
    axes.plot(100 * circuit.knots, circuit.factor, ".-", color=MEASURED)
    axes.set_ylim(bottom=0)
    dress(axes, "SOC / %", "factor of R1 and R2")


def draw_misfit(axes: Any, fit: CellFit, k: int) -> None:
    trace, off_v, kept = fit.pulses.traces[k], fit.pulses.misfit_v[k], fit.pulses.kept[k]
    loaded = np.abs(trace.current_a) > 0.02 * np.abs(trace.current_a).max()
    for mask, colour, name in ((~loaded, TRUTH, "at rest"), (loaded, ESTIMATE, "under load")):
        rows = kept & mask
        axes.plot(100 * fit.pulses.soc[k][rows], -1e3 * off_v[rows], ".", markersize=2, color=colour, label=name)
    rms_mv = 1e3 * float(np.sqrt(np.mean(off_v[kept] ** 2)))
    degc = float(np.median(trace.temperature_degc))
    axes.set_title(f"{trace.log.path.name}, {degc:.0f} °C: {rms_mv:.1f} mV rms", loc="left", size=9)
    dress(axes, "SOC / %", "measured less fitted / mV")
