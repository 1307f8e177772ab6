"""The pictures of a campaign's report, as SVG to stand inside the page."""

import io
from collections.abc import Callable, Sequence
from math import ceil, isfinite
from typing import Any

import numpy as np
from assb_host.report.plots import ALARM, CALM, ESTIMATE, GRID, INK, MEASURED, STYLE, TRUTH, WARN

from assb_hil.campaign.counting.tally import Figures, Tally
from assb_hil.campaign.counting.thresholds import OURS, Curve
from assb_hil.campaign.record import SCORES

COLUMNS = 3  # of small pictures, one per class
WIDTH_IN, ROW_IN = 9.2, 2.5
OURS_COLOUR = ALARM
SCORE_COLOURS: dict[str, str] = dict(zip(SCORES[1:], (MEASURED, CALM, WARN, TRUTH), strict=True))
TICKS_S = (
    (0.01, "10 ms"),
    (0.1, "0.1 s"),
    (1.0, "1 s"),
    (10.0, "10 s"),
    (60.0, "1 min"),
    (600.0, "10 min"),
    (3600.0, "1 h"),
    (36000.0, "10 h"),
)
ASKED_ALARMS, ASKED_SUSPECTS = 0.05, 0.5  # per 1000 cell-hours


def worded(name: str) -> str:
    return name.replace("_", " ")


def picture(height_in: float, draw: Callable[[Any], None]) -> str:
    """SVG of what `draw` puts on a matplotlib figure."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, height_in), layout="constrained")
        draw(figure)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = out.getvalue()
    return text[text.index("<svg") :]


def dress(axes: Any) -> None:
    axes.grid(True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in ("top", "right"):
        axes.spines[spine].set_visible(False)


def of_each_class(classes: Sequence[Figures], draw: Callable[[Any, Figures], None], legend: str) -> str:
    """A small picture per class, with one legend for all."""

    def fill(figure: Any) -> None:
        panels = figure.subplots(rows, COLUMNS, squeeze=False).ravel()
        for axes, row in zip(panels, classes, strict=False):
            draw(axes, row)
            dress(axes)
            axes.set_title(f"{worded(row['name'])} (n = {row['n']})", fontsize=9, loc="left")
        for axes in panels[len(classes) :]:
            axes.set_visible(False)
        lines = [figure.axes[0].plot([], [], color=OURS_COLOUR, linewidth=2.0, label=legend)[0]]
        lines += [figure.axes[0].plot([], [], color=SCORE_COLOURS[n], label=worded(n))[0] for n in SCORES[1:]]
        figure.legend(handles=lines, loc="outside lower center", ncols=len(lines), frameon=False, fontsize=8)

    rows = ceil(len(classes) / COLUMNS)
    return picture(ROW_IN * rows + 0.3, fill)


def time_axis(axes: Any, low_s: float, high_s: float) -> None:
    """Logarithmic, with ticks that are read as times."""
    axes.set_xscale("log")
    axes.set_xlim(low_s, high_s)
    ticks = [(at_s, label) for at_s, label in TICKS_S if low_s <= at_s <= high_s]
    axes.set_xticks([at_s for at_s, _ in ticks], [label for _, label in ticks])
    axes.xaxis.minorticks_off()


def detection_over_time(tally: Tally, classes: Sequence[Figures]) -> str:
    """Share told against the time since the onset; the baselines at our false-alarm rate."""

    def draw(axes: Any, row: Figures) -> None:
        latencies_s = tally.crossed.latencies_s(row["name"])
        for baseline in row["baselines"]:
            if baseline["threshold_index"] is not None:
                times_s = latencies_s[:, SCORES.index(baseline["name"]), baseline["threshold_index"]]
                staircase(axes, times_s, row["deadline_s"], color=SCORE_COLOURS[baseline["name"]], linewidth=1.1)
        ours_s = np.array([told.latency_s for told in tally.told(row["name"])])
        staircase(axes, ours_s, row["deadline_s"], color=OURS_COLOUR, linewidth=2.0)
        axes.axvline(row["deadline_s"], color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set_ylim(-0.02, 1.04)
        least_s = min([t for t in ours_s if t > 0], default=1.0)
        time_axis(axes, min(0.5 * least_s, 0.1 * row["deadline_s"]), 1.3 * row["deadline_s"])

    return of_each_class(classes, draw, "ours, by its stages")


def staircase(axes: Any, times_s: np.ndarray, end_s: float, **style: Any) -> None:
    """Share of the times that are over, of all that there are, ended or not."""
    ended = np.sort(times_s[np.isfinite(times_s)])
    shares = np.arange(1, len(ended) + 1) / max(len(times_s), 1)
    whole = np.concatenate([[1e-9], np.maximum(ended, 1e-9), [max(end_s, *ended[-1:], 1e-9)]])
    axes.step(whole, np.concatenate([[0.0], shares, shares[-1:] if len(shares) else [0.0]]), where="post", **style)


def roc(tally: Tally, classes: Sequence[Figures], alarms_per_1000h: float) -> str:
    """Detected within the deadline against false alarms; the dot is where our stages stand."""
    lowest = max(0.5 * 1000.0 / max(tally.clean_hours(), 1e-9), 1e-3)

    def draw(axes: Any, row: Figures) -> None:
        for name, curve in tally.crossed.curves(row["name"]).items():
            ours = name == SCORES[OURS]
            style = {"color": OURS_COLOUR, "linewidth": 2.0} if ours else {"color": SCORE_COLOURS[name]}
            axes.plot(*in_order(curve, lowest), drawstyle="steps-post", **style)
        axes.plot(max(alarms_per_1000h, lowest), row["detected_frac"], "o", color=OURS_COLOUR, markersize=6)
        axes.set_xscale("log")
        axes.set_xlim(0.8 * lowest, 2000.0)
        axes.set_ylim(-0.02, 1.04)

    return of_each_class(classes, draw, "our log-likelihood ratio, dot: our stages")


def in_order(curve: Curve, lowest: float) -> tuple[np.ndarray, np.ndarray]:
    """(false alarms per 1000 h, detected) from quiet to loud; no false alarm at all stands at `lowest`."""
    order = np.lexsort((curve.detected_frac, curve.false_per_1000h))
    return np.maximum(curve.false_per_1000h[order], lowest), np.maximum.accumulate(curve.detected_frac[order])


def latencies(tally: Tally, classes: Sequence[Figures]) -> str:
    """Of each class 5 to 95 % (line), 25 to 75 % (bar), median, and the deadline."""

    def fill(figure: Any) -> None:
        axes = figure.subplots()
        for at, row in enumerate(reversed(classes)):
            ours = np.sort([told.latency_s for told in tally.told(row["name"])])
            marks = [
                min(ours[max(ceil(q * len(ours)), 1) - 1], row["deadline_s"]) for q in (0.05, 0.25, 0.5, 0.75, 0.95)
            ]
            p5, p25, p50, p75, p95 = (max(mark, 1e-3) for mark in marks)
            axes.plot([p5, p95], [at, at], color=OURS_COLOUR, linewidth=1.4)
            axes.barh(at, p75 - p25, left=p25, height=0.42, color=OURS_COLOUR, alpha=0.35)
            axes.plot(p50, at, "|", color=OURS_COLOUR, markersize=16, markeredgewidth=2.2)
            axes.plot(row["deadline_s"], at, "|", color=INK, markersize=16)
            if row["baseline_latency_p50_s"]:
                axes.plot(row["baseline_latency_p50_s"], at, "D", color=MEASURED, markersize=4.5)
        axes.set_yticks(range(len(classes)), [worded(row["name"]) for row in reversed(classes)])
        dress(axes)
        time_axis(axes, 0.01, 1.5 * max(row["deadline_s"] for row in classes))

    return picture(0.42 * len(classes) + 0.7, fill)


def alarm_rates(rows: Sequence[Figures], total: Figures) -> str:
    """False alarms and suspects per 1000 cell-hours with their intervals, each row and all together."""

    def fill(figure: Any) -> None:
        panels = figure.subplots(1, 2, sharey=True)
        kinds = (("false_alarms", ASKED_ALARMS, ALARM), ("suspects", ASKED_SUSPECTS, ESTIMATE))
        for axes, (kind, asked, colour) in zip(panels, kinds, strict=True):
            for at, row in enumerate(reversed([*rows, total])):
                low, high = row[f"{kind}_ci95_per_1000h"]
                axes.plot([low, high], [at, at], color=colour, linewidth=1.6)
                axes.plot(row[f"{kind}_per_1000h"], at, "o", color=colour, markersize=5)
            axes.axvline(asked, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
            axes.set_xscale("symlog", linthresh=asked)
            axes.set_xlim(left=0.0)
            axes.set_title(f"{worded(kind)} per 1000 cell-hours", fontsize=9, loc="left")
            dress(axes)
        panels[0].set_yticks(range(len(rows) + 1), [worded(row["name"]) for row in reversed([*rows, total])])

    return picture(0.3 * len(rows) + 1.2, fill)


def lorden(classes: Sequence[Figures]) -> str:
    """Mean delay beside the bound."""

    def fill(figure: Any) -> None:
        axes = figure.subplots()
        for at, row in enumerate(reversed(classes)):
            axes.plot([row["bound_delay_s"], row["mean_delay_s"]], [at, at], color=TRUTH, linewidth=1.4, zorder=1)
            axes.plot(row["bound_delay_s"], at, "o", color=INK, markersize=6)
            axes.plot(row["mean_delay_s"], at, "o", color=OURS_COLOUR, markersize=6)
        axes.set_yticks(range(len(classes)), [worded(row["name"]) for row in reversed(classes)])
        axes.set_ylim(-0.6, len(classes) - 0.4)
        dress(axes)
        times_s = [row[key] for row in classes for key in ("bound_delay_s", "mean_delay_s") if isfinite(row[key])]
        time_axis(axes, 0.5 * min(times_s), 2.0 * max(times_s))

    return picture(0.4 * len(classes) + 0.6, fill)
