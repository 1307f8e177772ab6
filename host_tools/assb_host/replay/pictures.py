"""Pictures of a replay: the ranked cells against the pack and their neighbours, and their stages over time."""

import io
from typing import Any

import numpy as np

from assb_host.cell_fit.plot import dress
from assb_host.replay.replay import Replay
from assb_host.replay.verdict import MISSING_SIGMAS, STAGES
from assb_host.report.plots import ALARM, BAND, CALM, ESTIMATE, GRID, MEASURED, STAGE_COLOURS, STYLE, WARN

RANKED = 4  # cells with a colour of their own; the others make the background
COLOURS = (ALARM, MEASURED, ESTIMATE, CALM)
SIZE_IN = (9.2, 8.2)


def draw(run: Replay) -> str:
    """One SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=SIZE_IN, layout="constrained")
        rows: Any = figure.subplots(3, 1, sharex=True, height_ratios=(3, 3, 1.6))
        unit_s, unit = (86400.0, "d") if run.log.since_s[-1] > 3 * 86400 else (3600.0, "h")
        time = run.comparison.time_s / unit_s
        draw_cells(rows[0], run, time, 1e3 * run.comparison.pack_deviation_v, "from the pack's median / mV")
        draw_cells(rows[1], run, time, 100 * run.comparison.deviation, "from the neighbours / % SOC")
        bound = -100 * MISSING_SIGMAS * run.comparison.sigma
        rows[1].plot(time, bound, ".", color=WARN, markersize=2, label="bound of a suspect")
        rows[1].legend(frameon=False, fontsize=8, ncols=6, loc="lower left")
        draw_stages(rows[2], run, unit_s)
        rows[2].set_xlabel(f"time / {unit}")
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = out.getvalue()
    return text[text.index("<svg") :]


def draw_cells(axes: Any, run: Replay, time: np.ndarray, values: np.ndarray, label: str) -> None:
    ranked = [verdict.cell for verdict in run.verdicts[:RANKED]]
    others = [k for k in range(run.log.cells) if k not in ranked]
    if others and len(time):
        low, high = values[:, others].min(axis=1), values[:, others].max(axis=1)
        axes.fill_between(time, low, high, color=BAND, linewidth=0, label=f"other {len(others)}")
    for k, colour in zip(ranked, COLOURS, strict=False):
        axes.plot(time, values[:, k], ".-", color=colour, linewidth=0.7, markersize=3, label=run.log.names[k])
    axes.axhline(0, color=GRID, linewidth=0.8)
    dress(axes, "", label)


def draw_stages(axes: Any, run: Replay, unit_s: float) -> None:
    """A bar per ranked cell, from stage to stage."""
    ranked = run.verdicts[:RANKED][::-1]
    end = run.log.since_s[-1] / unit_s
    for row, verdict in enumerate(ranked):
        axes.barh(row, end, color=STAGE_COLOURS[0], height=0.7)
        for stage in range(1, len(STAGES)):
            first_s = verdict.first_s[stage]
            if first_s is not None:
                begin = first_s / unit_s
                axes.barh(row, end - begin, left=begin, color=STAGE_COLOURS[stage], height=0.7)
                axes.text(begin, row, f" {STAGES[stage].replace('_', ' ')}", va="center", fontsize=8)
    axes.set_yticks(range(len(ranked)), [run.log.names[verdict.cell] for verdict in ranked])
    dress(axes, "", "")
    axes.grid(False)
