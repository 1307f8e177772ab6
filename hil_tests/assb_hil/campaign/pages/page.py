"""The page: verdict, key figures, pictures, tables, and where it came from."""

from html import escape

from assb_host.report.page import checks_section, meta_section
from assb_host.report.page_style import STYLE

from assb_hil.campaign.counting.criteria import checks
from assb_hil.campaign.counting.tally import Figures, Tally, alarm_figures
from assb_hil.campaign.pages import plots, tables

TITLE = "Internal shorts: seen how soon, with how many false alarms"
LIMITS = (
    "Simulated packs; spreads of plants and sensors are assumed. Definitions of every figure and the limits of the "
    "claim: docs/campaign.md."
)


def render(tally: Tally, summary: Figures, command: str) -> str:
    """The page's HTML."""
    parts = [header(summary), cards(summary), checks_section(checks(summary))]
    if summary["classes"]:
        parts += of_shorts(tally, summary)
    parts += of_alarms(tally, summary)
    parts.append(meta_section(provenance(summary, command)))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{TITLE}</title><style>{STYLE}{tables.DENSE}</style></head><body><main>{''.join(parts)}</main></body></html>\n"
    )


def header(summary: Figures) -> str:
    judged = checks(summary)
    held = sum(check.passed for check in judged)
    verdict, kind = ("PASSED", "pass") if held == len(judged) else ("FAILED", "fail")
    part = "" if summary["trials"] >= summary["trials_planned"] else " <strong>Unfinished: part of the trials.</strong>"
    return (
        f'<header><h1>{TITLE}</h1><p class="summary">{summary["cell_hours"]:,.0f} cell-hours in {summary["trials"]:,} '
        f"of {summary['trials_planned']:,} trials, seed {summary['seed']}.{part} {escape(LIMITS)}</p>"
        f'<p class="verdict {kind}"><strong>{verdict}</strong> {held} of {len(judged)} criteria held</p></header>'
    )


def cards(summary: Figures) -> str:
    low, high = summary["ci95_per_1000h"]
    figures = (
        (
            f"{summary['false_alarms_per_1000h']:.3g}",
            f"false alarms per 1000 cell-hours: {summary['false_alarms']} (95 %: {low:.3g} … {high:.3g})",
        ),
        (f"{summary['suspects_per_1000h']:.3g}", "suspects per 1000 cell-hours"),
        (tables.percent(summary["rs_within_2x_frac"]), "of detections state Rs within a factor of 2"),
        (tables.percent(summary["contact_loss_confused_frac"]), "of contact losses called a short"),
        (f"{summary['cell_hours_per_core_hour'] or 0:,.0f}", "cell-hours per core-hour"),
    )
    if summary["watch_rests"]:
        figures += ((tables.percent(summary["rested_frac"]), "of the time at rest as the watch asked for it"),)
    cells = "".join(
        f'<div class="card"><span class="value">{value}</span><span class="label">{label}</span></div>'
        for value, label in figures
    )
    return f'<section class="cards">{cells}</section>'


def figure(title: str, note: str, svg: str) -> str:
    caption = f"{escape(title)}<br><small>{escape(note)}</small>"
    return f'<figure><figcaption style="margin-bottom:4px">{caption}</figcaption>{svg}</figure>'


def of_shorts(tally: Tally, summary: Figures) -> list[str]:
    classes = summary["classes"]
    granted = summary["baselines_compared_at_per_1000h"]
    leaks = [row for row in classes if row["lorden_ratio"] is not None]
    parts = [
        f"<section><h2>Shorts</h2>{tables.classes(classes)}</section>",
        figure(
            "Told against the time since the onset",
            f"dashed: deadline; baselines at {granted:.3g} false alarms per 1000 cell-hours, threshold by class",
            plots.detection_over_time(tally, classes),
        ),
        figure(
            "Latency",
            "line 5 to 95 %, bar 25 to 75 %, thick tick median, thin tick deadline (what is later stands there); "
            "diamond: median of the best baseline",
            plots.latencies(tally, classes),
        ),
        figure(
            "Told within the deadline against false alarms per 1000 cell-hours",
            "each point a threshold; none seen stands at the left edge",
            plots.roc(tally, classes, summary["false_alarms_per_1000h"]),
        ),
    ]
    if leaks:
        note = (
            "black: bound of an observer who knows plant and sensors (Lorden); red: ours, untold ones at the deadline"
        )
        parts += [figure("Mean delay and its bound", note, plots.lorden(leaks)), tables.lorden(leaks)]
    return parts


def of_alarms(tally: Tally, summary: Figures) -> list[str]:
    names = [row["name"] for row in summary["classes"]]
    rows = summary["by_confounder"]
    total = {"name": "all", **alarm_figures(tally.trials)}
    note = "trials without a short; one with several confounders stands in several rows; dashed: what is asked for"
    return [
        "<section><h2>False alarms</h2></section>",
        figure("By confounder, with 95 % intervals", note, plots.alarm_rates(rows, total)),
        tables.alarms("confounder", rows),
        tables.alarms("load", [*summary["by_load"], total]),
        f"<section><h2>What was taken for what</h2>{tables.confusion(summary['stages_reached'])}</section>",
        f"<section><h2>By chemistry</h2>{tables.alarms('profile', summary['by_profile'])}</section>",
        tables.profiles(summary["by_profile"], names) if names else "",
    ]


def provenance(summary: Figures, command: str) -> dict[str, str]:
    return {"made by": command, "code and parameters": summary["code"], "seed": str(summary["seed"])}
