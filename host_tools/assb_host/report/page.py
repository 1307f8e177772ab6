"""One HTML page that carries everything: verdict, key figures, plots as inline SVG, checks, events, provenance.

It needs no network and no other file, and prints on paper.
"""

from html import escape
from itertools import dropwhile
from math import inf, isnan, nan

from assb_host.report.page_style import STYLE
from assb_host.report.plots import draw_panels
from assb_host.report.recording import Check, Event, Recording

KEY = (
    '<p class="key"><i class="rig"></i> fault, by the rig or by itself <i class="board"></i> decision of the board</p>'
)

SETTLED_S = 10.0


def render_page(recording: Recording) -> str:
    """The page's HTML."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(recording.title)}</title><style>{STYLE}</style></head><body><main>"
        f"{_header(recording)}{_figures(recording)}{_panels(recording)}{checks_section(recording.checks)}"
        f"{_events(recording.events)}{meta_section(recording.meta)}</main></body></html>\n"
    )


def _header(recording: Recording) -> str:
    held = sum(check.passed for check in recording.checks)
    verdict, kind = ("PASSED", "pass") if recording.passed else ("FAILED", "fail")
    words = f"{held} of {len(recording.checks)} checks held"
    if not recording.checks:
        verdict, kind, words = "RECORDED", "none", "nothing was judged"
    return (
        f'<header><h1>{escape(recording.title)}</h1><p class="summary">{escape(recording.summary)}</p>'
        f'<p class="verdict {kind}"><strong>{verdict}</strong> {words}</p></header>'
    )


def _figures(recording: Recording) -> str:
    cards = "".join(
        f'<div class="card"><span class="value">{escape(value)}</span><span class="label">{escape(label)}</span></div>'
        for label, value in key_figures(recording)
    )
    return f'<section class="cards">{cards}</section>' if cards else ""


def key_figures(recording: Recording) -> list[tuple[str, str]]:
    """(label, value) of the handful of numbers a reader looks for first."""
    figures = []
    if recording.has("voltage_v"):
        how, name = ("simulated", "true_voltage_v") if recording.has("true_voltage_v") else ("recorded", "voltage_v")
        series = recording.series[name]
        figures.append((how, f"{series.time_s[-1] - series.time_s[0]:.0f} s"))
    if recording.has("soc_frac", "true_soc_frac"):
        figures.append(("largest SOC error before any fault", f"{100 * largest_soc_error(recording):.2f} %"))
    if recording.has("pressure_mpa") and "pressure_mpa" in recording.windows:
        low, high = recording.windows["pressure_mpa"]
        values = list(dropwhile(lambda value: not low <= value <= high, recording.series["pressure_mpa"].values)) or [
            nan
        ]
        figures.append((f"MPa once pressed, window {low:g} to {high:g}", f"{min(values):.2f} … {max(values):.2f}"))
    if recording.has("temperature_degc"):
        figures.append(("hottest", f"{max(known(recording, 'temperature_degc')):.1f} °C"))
    if recording.has("stage") and recording.stage_names and not isnan(known(recording, "stage")[0]):
        worst = int(max(known(recording, "stage")))
        figures.append(("worst stage", recording.stage_names[worst].replace("_", " ")))
    return figures


def known(recording: Recording, name: str) -> list[float]:
    """Values of a series but for those in its gaps."""
    return [value for value in recording.series[name].values if not isnan(value)] or [nan]


def largest_soc_error(recording: Recording) -> float:
    """Of the estimate, once it has settled for ten seconds, up to the first fault that was applied."""
    truth, estimate = recording.series["true_soc_frac"], recording.series["soc_frac"]
    faults = [event.t_s for event in recording.events if event.name in ("fault_applied", "bridge")]
    end_s = min(faults, default=inf)
    errors = [
        abs(value - truth.at(t_s))
        for t_s, value in zip(estimate.time_s, estimate.values, strict=True)
        if estimate.time_s[0] + SETTLED_S <= t_s < end_s
    ]
    return max(errors, default=nan)


def _panels(recording: Recording) -> str:
    parts = []
    for title, note, svg in draw_panels(recording):
        caption = f"{escape(title)} <small>{escape(note)}</small>"
        parts.append(f"<figure><figcaption>{caption}</figcaption>{svg}</figure>")
    return f'<section class="plots">{KEY if parts else ""}{"".join(parts)}</section>'


def _number(value: float | str | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, str):
        return escape(value)
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def checks_section(checks: list[Check]) -> str:
    """A table of them, or nothing."""
    if not checks:
        return ""
    rows = "".join(
        f'<tr class="{"ok" if check.passed else "bad"}"><td class="mark">{"held" if check.passed else "broken"}</td>'
        f'<td>{escape(check.name)}</td><td class="number">{_number(check.value)}</td>'
        f'<td class="number">{_number(check.limit)}</td><td>{escape(check.unit)}</td></tr>'
        for check in checks
    )
    head = '<tr><th></th><th>check</th><th class="number">value</th><th class="number">limit</th><th>unit</th></tr>'
    return f"<section><h2>Checks</h2><table>{head}{rows}</table></section>"


def _events(events: list[Event]) -> str:
    if not events:
        return ""
    rows = "".join(
        f'<tr class="{escape(event.source)} {escape(event.name)}"><td class="number">{event.t_s:.3f}</td>'
        f"<td>{escape(event.source)}</td>"
        f"<td>{escape(event.name.replace('_', ' '))}</td><td>{escape(event.text)}</td></tr>"
        for event in events
    )
    head = '<tr><th class="number">time / s</th><th>seen by</th><th>event</th><th></th></tr>'
    return f'<section><h2>Events</h2><table class="events">{head}{rows}</table></section>'


def meta_section(meta: dict[str, str]) -> str:
    """What made the page, and from what."""
    if not meta:
        return ""
    rows = "".join(
        f"<tr><th>{escape(key)}</th><td><code>{escape(str(value))}</code></td></tr>" for key, value in meta.items()
    )
    return f'<section><h2>Where it came from</h2><table class="meta">{rows}</table></section>'
