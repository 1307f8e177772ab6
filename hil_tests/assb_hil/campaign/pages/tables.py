"""The tables of a campaign's report."""

from collections.abc import Sequence
from html import escape
from math import isfinite
from typing import Any

from assb_hil.campaign.counting.judgement import STAGES
from assb_hil.campaign.counting.tally import Figures

UNITS_S = ((2 * 3600.0, 3600.0, "h"), (120.0, 60.0, "min"), (0.5, 1.0, "s"), (0.0, 1e-3, "ms"))
DENSE = ".dense{font-size:12px}.dense th{white-space:normal}.dense td{padding:4px 5px;white-space:pre}"
NOTHING = "–"


def duration(time_s: float | None) -> str:
    """Three digits and the unit a reader would choose."""
    if time_s is None or not isfinite(time_s):
        return NOTHING
    factor_s, unit = next((factor_s, unit) for least_s, factor_s, unit in UNITS_S if time_s >= least_s)
    return f"{time_s / factor_s:.3g} {unit}"


def percent(share: float | None) -> str:
    return NOTHING if share is None else f"{100 * share:.1f} %"


def interval(ends: Sequence[float], form: str = "{:.3g}") -> str:
    return " … ".join(form.format(end) for end in ends)


def percents(ends: Sequence[float]) -> str:
    return f"{100 * ends[0]:.1f} … {100 * ends[1]:.1f} %"


def worded(name: Any) -> str:
    return NOTHING if name is None else str(name).replace("_", " ")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], kind: str = "plain") -> str:
    """The first column is words, the others are numbers; a "dense" one folds its heads and keeps line breaks."""
    of_column = ["", *['class="number"'] * (len(heads) - 1)]
    head = "".join(f"<th {its}>{escape(text)}</th>" for its, text in zip(of_column, heads, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td {its}>{escape(text)}</td>" for its, text in zip(of_column, row, strict=True)) + "</tr>"
        for row in rows
    )
    return f'<table class="{kind}"><tr>{head}</tr>{body}</table>'


def classes(rows: Sequence[Figures]) -> str:
    heads = (
        "class",
        "n",
        "deadline",
        "told in time",
        "95 %",
        "median",
        "p95",
        "best baseline",
        "its median",
        "Rs within 2x",
    )
    return table(
        heads,
        [
            (
                worded(row["name"]),
                str(row["n"]),
                duration(row["deadline_s"]),
                percent(row["detected_frac"]),
                percents(row["detected_ci95"]),
                duration(row["latency_p50_s"]),
                duration(row["latency_p95_s"]),
                worded(row["best_baseline"]),
                duration(row["baseline_latency_p50_s"]),
                percent(row["rs_within_2x_frac"]),
            )
            for row in rows
        ],
    )


def alarms(what: str, rows: Sequence[Figures]) -> str:
    heads = (what, "trials", "cell-hours", "false alarms", "per 1000 h", "95 %", "suspects", "per 1000 h", "95 %")
    return table(
        heads,
        [
            (
                worded(row["name"]),
                str(row["trials"]),
                f"{row['clean_hours']:,.0f}",
                str(row["false_alarms"]),
                f"{row['false_alarms_per_1000h']:.3g}",
                interval(row["false_alarms_ci95_per_1000h"]),
                str(row["suspects"]),
                f"{row['suspects_per_1000h']:.3g}",
                interval(row["suspects_ci95_per_1000h"]),
            )
            for row in rows
        ],
    )


def profiles(rows: Sequence[Figures], names: Sequence[str]) -> str:
    """Told in time, and the median, of each class on each chemistry."""

    def cell(row: Figures, name: str) -> str:
        found = next((figures for figures in row["classes"] if figures["name"] == name), None)
        if found is None:
            return NOTHING
        return f"{100 * found['detected_frac']:.0f} % of {found['n']}\n{duration(found['latency_p50_s'])}"

    body = [(row["name"], *(cell(row, name) for name in names)) for row in rows]
    return table(("profile", *map(worded, names)), body, "dense")


def confusion(rows: Sequence[Figures]) -> str:
    body = [
        (f"{'no short, ' if row['kind'] == 'confounder' else ''}{worded(row['name'])}", *(str(row[s]) for s in STAGES))
        for row in rows
    ]
    return table(("trials by worst stage", *STAGES), body)


def lorden(rows: Sequence[Figures]) -> str:
    body = [
        (
            worded(row["name"]),
            duration(row["mean_delay_s"]),
            duration(row["bound_delay_s"]),
            NOTHING if row["lorden_ratio"] is None else f"{row['lorden_ratio']:.3g}",
        )
        for row in rows
    ]
    return table(("class", "mean delay", "bound", "ratio"), body)
