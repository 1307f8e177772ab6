"""The pictures of docs/model.md that need the reference data:

PYTHONPATH=hil_tests/tests python hil_tests/tests/model_page_plots.py docs/model
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pouch_fit
import pybamm_cells
from matplotlib.figure import Figure
from reference_data import data_folder
from trace_fit import fit_trace, simulated_v

SIMULATED, MEASURED = "#1d4e89", "#c2571a"
RATE_COLOURS = {0.1: "#3d7a4b", 0.5: "#1d4e89", 1.0: "#9a6a00", 2.0: "#c2571a"}
CELL_TITLES = {"Xu2019": "lithium-metal half cell (Xu2019, DFN)", "Chen2020": "NMC811 (Chen2020, SPMe)"}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save(pouch_picture(), folder / "pouch.png")
    save(trace_picture(), folder / "pybamm.png")


def save(figure: Figure, path: Path) -> None:
    figure.savefig(path, dpi=90, metadata={"Software": None})
    print(path)


def pouch_picture() -> Figure:
    """Thickness at four rates, temperature at two; those that the fit saw have thin lines."""
    pouch = pouch_fit.load_pouch(data_folder("enertech_swelling"))
    cell = pouch_fit.fit_cell(pouch)
    figure = Figure(figsize=(9.6, 3.7), layout="constrained")
    left, right = figure.subplots(1, 2)
    for rate in pouch_fit.RATES:
        judged = pouch_fit.thickness_off(pouch, cell, rate)
        note = "fitted" if rate in pouch_fit.FITTED_RATES else f"predicted, {100 * judged['max_frac']:.1f} % of span"
        draw(left, judged, judged["time_s"] * rate / 3600, f"{rate:g}C, {note}", rate, rate in pouch_fit.FITTED_RATES)
    for rate in (1.0, 2.0):
        judged = pouch_fit.rise_off(pouch, cell, rate)
        note = "fitted" if rate == 1.0 else f"predicted, {100 * judged['max_frac']:.1f} % of span"
        draw(right, judged, judged["time_s"] / 60, f"{rate:g}C, {note}", rate, rate == 1.0)
    left.set(xlabel="charge taken out, of the nominal capacity", ylabel="thickness against full, µm")
    right.set(xlabel="time, min", ylabel="rise of temperature, K")
    for axes in (left, right):
        axes.plot([], [], ".", color="#52606d", label="measured")
        axes.legend(frameon=False, fontsize=8)
    return figure


def draw(axes: Any, judged: dict[str, Any], along: Any, label: str, rate: float, is_fitted: bool) -> None:
    every = max(1, len(along) // 40)
    axes.plot(along[::every], judged["measured"][::every], ".", ms=3.5, color=RATE_COLOURS[rate])
    shade = {"lw": 0.8} if is_fitted else {"lw": 1.6}
    axes.plot(along, judged["simulated"], color=RATE_COLOURS[rate], label=label, **shade)


def trace_picture() -> Figure:
    """A quarter of an hour of US06 in the middle, and the error over all of it."""
    folder = data_folder("pybamm_truth")
    figure = Figure(figsize=(9.6, 4.6), layout="constrained")
    grid = figure.subplots(2, 2)
    for column, name in enumerate(pybamm_cells.CELLS):
        trace = pybamm_cells.trace(folder, name, "US06_25C")
        cell = fit_trace(pybamm_cells.known(folder, name))
        voltage_v = simulated_v(cell, trace)
        off_mv = 1000 * (voltage_v - trace.voltage_v)
        some = slice(7000, 7900)
        grid[0, column].plot(trace.time_s[some], trace.voltage_v[some], color=MEASURED, lw=1.6, label="PyBaMM")
        grid[0, column].plot(trace.time_s[some], voltage_v[some], color=SIMULATED, lw=0.8, label="plant")
        grid[0, column].set(title=CELL_TITLES[name], ylabel="voltage, V")
        grid[0, column].legend(frameon=False, fontsize=8, ncols=2)
        rms_mv = float(np.sqrt(np.mean(off_mv**2)))
        grid[1, column].plot(trace.time_s, off_mv, color=SIMULATED, lw=0.5)
        grid[1, column].set(xlabel="time, s", ylabel="error, mV", title=f"US06, rms {rms_mv:.1f} mV")
    return figure


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/model"))
