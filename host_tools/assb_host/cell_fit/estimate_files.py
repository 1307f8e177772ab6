"""What an estimate leaves behind: a table and a picture."""

from pathlib import Path
from typing import Any

import numpy as np

from assb_host.cell_fit.estimate import Estimate
from assb_host.cell_fit.plot import dress
from assb_host.report.bdf import write_table
from assb_host.report.plots import BAND, ESTIMATE, MEASURED, STYLE, TRUTH

PLOTTED_MOST = 6000  # points of a line


def write_csv(run: Estimate, path: Path) -> None:
    """Raises OSError."""
    columns: list[tuple[str, Any, int]] = [
        ("time_s", run.log.time_s, 3),
        ("soc", run.soc, 6),
        ("soc_sigma", run.sigma, 6),
        ("soh_capacity", run.columns["capacity_scale"], 5),
        ("soh_capacity_sigma", run.columns["capacity_sigma"], 5),
        ("r0_ohm", run.columns["r0_ohm"], 7),
        ("r0_sigma_ohm", run.r0_sigma_ohm, 7),
        ("soh_resistance", 1.0 / run.columns["resistance_scale"], 5),
        ("leak_a", run.columns["leak_a"], 6),
        ("status", run.columns["status"], 0),
    ]
    if run.truth is not None:
        columns.insert(3, ("soc_true", run.truth, 6))
    write_table(columns, path)


def write_plot(run: Estimate, path: Path, title: str) -> None:
    """Raises OSError."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    every = max(1, len(run.log) // PLOTTED_MOST)
    t = run.log.time_s[::every] / 3600.0
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 7.6), layout="constrained")
        rows: Any = figure.subplots(4, 1, sharex=True)
        draw_soc(rows[0], run, t, every)
        draw_error(rows[1], run, t, every)
        draw_band(rows[2], t, 1e3 * run.columns["r0_ohm"][::every], 1e3 * run.r0_sigma_ohm[::every])
        dress(rows[2], "", "R0 ± σ / mΩ")
        draw_band(
            rows[3], t, 100 * run.columns["capacity_scale"][::every], 100 * run.columns["capacity_sigma"][::every]
        )
        dress(rows[3], "time / h", "capacity ± σ / %")
        figure.suptitle(title, size=12, weight="bold", x=0.01, ha="left")
        figure.savefig(path, dpi=130, metadata={"Software": None})


def draw_band(axes: Any, t: np.ndarray, value: np.ndarray, sigma: np.ndarray) -> None:
    axes.fill_between(t, value - sigma, value + sigma, color=BAND, linewidth=0)
    axes.plot(t, value, color=MEASURED, linewidth=0.9)


def draw_soc(axes: Any, run: Estimate, t: np.ndarray, every: int) -> None:
    if run.truth is not None:
        axes.plot(t, 100 * run.truth[::every], color=TRUTH, linewidth=1.6, label="counted")
    axes.plot(t, 100 * run.soc[::every], color=ESTIMATE, linewidth=0.9, label="estimated")
    dress(axes, "", "SOC / %")


def draw_error(axes: Any, run: Estimate, t: np.ndarray, every: int) -> None:
    """Error inside its 3 sigma band; without a truth the band alone."""
    three = 300 * run.sigma[::every]
    axes.fill_between(t, -three, three, color=BAND, linewidth=0, label="±3 σ")
    most = 1.3 * float(np.percentile(three, 98))
    if run.truth is not None:
        error = 100 * (run.soc - run.truth)[::every]
        axes.plot(t, error, color=ESTIMATE, linewidth=0.9, label="error")
        most = max(most, 1.2 * float(np.percentile(np.abs(error), 95)))
    axes.set_ylim(-most, most)
    dress(axes, "", "SOC error / %")
