"""The pictures of a report: one SVG per quantity, all on the same time axis so that they read as one column.

matplotlib is imported when the first picture is drawn: commands that draw nothing don't pay for it.
"""

import io
from collections.abc import Callable
from math import isnan
from typing import Any

from assb_host.report.recording import Event, Recording

INK, GRID, TRUTH, MEASURED, ESTIMATE, BAND, ALARM, WARN, CALM = (
    "#1f2933",
    "#e4e7eb",
    "#9aa5b1",
    "#1d4e89",
    "#c2571a",
    "#f3d9c4",
    "#b3261e",
    "#b58105",
    "#3d7a4b",
)
STYLE: dict[Any, Any] = {  # of matplotlib, for every picture
    "svg.fonttype": "none",
    "svg.hashsalt": "assb",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": TRUTH,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.6,
    "font.sans-serif": ["Inter", "Helvetica Neue", "Arial", "DejaVu Sans"],
}
WIDTH_IN, HEIGHT_IN = 9.2, 2.15
STAGE_COLOURS = ("#dfe8df", "#f5e6b8", "#f0b98a", "#d9776f")

# Events worth a line across every picture: what befell the cell, and what the board decided
MARKED_EVENTS = {
    "rig": ("fault_applied",),
    "plant": ("bridge", "hard_short"),
    "board": ("stage_changed", "limit_tripped", "armed"),
}


def draw_panels(recording: Recording) -> list[tuple[str, str, str]]:
    """(title, note, svg) of each panel for which the recording has data, top to bottom."""
    panels = []
    for title, note, needed, draw in PANELS:
        views = {title: recording}
        if draw in OF_EACH_CELL and recording.cells > 1:
            views = {f"{title} of cell {cell}": recording.of_cell(cell) for cell in range(recording.cells)}
        panels += [(name, note, _svg(view, draw)) for name, view in views.items() if view.has(*needed)]
    return panels


def _svg(recording: Recording, draw: Callable[[Any, Recording], None]) -> str:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN))
        axes = figure.add_axes((0.085, 0.19, 0.895, 0.70))
        draw(axes, recording)
        _dress(axes, recording)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = out.getvalue()
    return text[text.index("<svg") :]


def _dress(axes: Any, recording: Recording) -> None:
    """What every panel shares: span, grid, marks of the events, legend."""
    axes.set_xlim(*time_span(recording))
    axes.grid(True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    for spine in ("top", "right"):
        axes.spines[spine].set_visible(False)
    for event in marked_events(recording.events):
        style = {"color": ALARM, "linestyle": (0, (2, 2))} if event.source != "board" else {"color": WARN}
        axes.axvline(event.t_s, linewidth=0.8, alpha=0.7, **style)
    axes.set_xlabel("time / s", labelpad=1)
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        place = {"loc": "lower right", "bbox_to_anchor": (1.0, 0.99), "borderpad": 0}
        axes.legend(handles, labels, frameon=False, fontsize=8, ncols=len(labels), **place)


def marked_events(events: list[Event]) -> list[Event]:
    """Events that get a line: faults of the rig and the plant, and the board's decisions."""
    return [event for event in events if event.name in MARKED_EVENTS.get(event.source, ())]


def time_span(recording: Recording) -> tuple[float, float]:
    """First and last time of any series, never an empty span."""
    starts = [series.time_s[0] for series in recording.series.values() if len(series.time_s)]
    ends = [series.time_s[-1] for series in recording.series.values() if len(series.time_s)]
    if not starts:
        return 0.0, 1.0
    return min(starts), max(*ends, min(starts) + 1e-3)


def _line(axes: Any, recording: Recording, name: str, label: str, colour: str, **style: Any) -> None:
    if recording.has(name):
        series = recording.series[name]
        style.setdefault("linewidth", 1.2)
        axes.plot(series.time_s, series.values, color=colour, label=label, **style)


def _truth_of_units(axes: Any, recording: Recording, name: str, label: str) -> None:
    """The truth of the cell; where the board has one reading of several units, of each of them."""
    _line(axes, recording, name, label, TRUTH, linewidth=2.4)
    others = [other for other in recording.series if other.startswith(f"{name}[")]
    for other in others:
        if not recording.has(other.removeprefix("true_")):
            _line(axes, recording, other, f"unit {other[len(name) + 1 : -1]}", TRUTH, linewidth=2.4, linestyle=":")


def _step(axes: Any, recording: Recording, name: str, label: str, colour: str, **style: Any) -> None:
    _line(axes, recording, name, label, colour, drawstyle="steps-post", **style)


def _sigma_band(axes: Any, recording: Recording, name: str, sigma: str, scale: float = 1.0) -> None:
    if recording.has(name, sigma):
        middle, spread = recording.series[name], recording.series[sigma]
        low = [scale * (m - 3 * s) for m, s in zip(middle.values, spread.values, strict=False)]
        high = [scale * (m + 3 * s) for m, s in zip(middle.values, spread.values, strict=False)]
        axes.fill_between(middle.time_s, low, high, color=BAND, linewidth=0, label="±3σ")


def _window(axes: Any, recording: Recording, name: str, label: str) -> None:
    if name in recording.windows:
        low, high = recording.windows[name]
        axes.axhspan(low, high, color="#e6f0e8", linewidth=0, label=label)


def _keep_data_in_view(axes: Any, recording: Recording, names: tuple[str, ...], margin: float) -> None:
    """Limit the axis to the data: a ±3σ band that is still wide must not flatten everything else."""
    values = [v for name in names if recording.has(name) for v in recording.series[name].values if not isnan(v)]
    if values:
        room = max(margin, 0.15 * (max(values) - min(values)))
        axes.set_ylim(min(values) - room, max(values) + room)


def draw_voltage(axes: Any, recording: Recording) -> None:
    _line(axes, recording, "true_voltage_v", "cell", TRUTH, linewidth=2.4)
    _line(axes, recording, "voltage_v", "measured", MEASURED)
    axes.set_ylabel("V")


def draw_current(axes: Any, recording: Recording) -> None:
    _line(axes, recording, "true_current_a", "cell", TRUTH, linewidth=2.4)
    _line(axes, recording, "current_a", "measured", MEASURED)
    _step(axes, recording, "charge_limit_a", "charge limit", CALM, linestyle="--", linewidth=1.0)
    _keep_data_in_view(axes, recording, ("current_a", "true_current_a"), 0.05)
    axes.set_ylabel("A (+ charges)")


def draw_soc(axes: Any, recording: Recording) -> None:
    _sigma_band(axes, recording, "soc_frac", "soc_sigma_frac")
    _truth_of_units(axes, recording, "true_soc_frac", "cell")
    _line(axes, recording, "soc_frac", "estimated", ESTIMATE)
    _keep_data_in_view(axes, recording, ("soc_frac", "true_soc_frac"), 0.03)
    axes.set_ylabel("SOC")


def draw_pressure(axes: Any, recording: Recording) -> None:
    _window(axes, recording, "pressure_mpa", "window")
    _line(axes, recording, "true_pressure_mpa", "stack", TRUTH, linewidth=2.4)
    _line(axes, recording, "pressure_mpa", "measured", MEASURED)
    _step(axes, recording, "pressure_target_mpa", "target", CALM, linestyle="--", linewidth=1.0)
    axes.set_ylabel("MPa")


def draw_temperature(axes: Any, recording: Recording) -> None:
    _truth_of_units(axes, recording, "true_temperature_degc", "cell")
    _line(axes, recording, "temperature_degc", "measured", MEASURED)
    _keep_data_in_view(axes, recording, ("temperature_degc", "true_temperature_degc"), 0.5)
    axes.set_ylabel("°C")


def draw_leak(axes: Any, recording: Recording) -> None:
    _sigma_band(axes, recording, "leak_a", "leak_sigma_a")
    _truth_of_units(axes, recording, "true_leak_a", "short current of the cell")
    _line(axes, recording, "leak_a", "estimated", ESTIMATE)
    axes.set_yscale("symlog", linthresh=0.01)
    axes.set_ylabel("A")


def draw_evidence(axes: Any, recording: Recording) -> None:
    _step(axes, recording, "leak_score", "leak state", ESTIMATE)
    _step(axes, recording, "dip_score", "dips on charge", MEASURED)
    axes.axhline(1.0, color=ALARM, linewidth=0.8, linestyle="--", label="threshold")
    axes.set_yscale("symlog", linthresh=1.0)
    axes.set_ylim(bottom=0.0)
    axes.set_ylabel("score")


def draw_stage(axes: Any, recording: Recording) -> None:
    stages = recording.series["stage"]
    names = recording.stage_names
    end_s = time_span(recording)[1]
    edges = [*stages.time_s, end_s]
    for position, value in enumerate(stages.values):
        if isnan(value):  # a gap
            continue
        colour = STAGE_COLOURS[min(int(value), len(STAGE_COLOURS) - 1)]
        axes.axvspan(edges[position], edges[position + 1], color=colour, linewidth=0)
    if recording.has("state"):
        states = recording.series["state"]
        used = sorted({int(value) for value in states.values if not isnan(value)})
        rungs = [value if isnan(value) else used.index(int(value)) for value in states.values]
        axes.plot(states.time_s, rungs, color=INK, linewidth=1.4, drawstyle="steps-post", label="state")
        axes.set_yticks(range(len(used)), [recording.state_names[value].lower() for value in used])
        axes.set_ylim(-0.6, len(used) - 0.4)
    for value in sorted({int(value) for value in stages.values if not isnan(value)}):
        axes.plot([], [], color=STAGE_COLOURS[value], linewidth=7, label=names[value].replace("_", " "))


# (title, note, series without which the panel is left out, how it is drawn)
PANELS = (
    ("Voltage", "", ("voltage_v",), draw_voltage),
    ("Current", "the limit is what the board allows the cycler", ("current_a",), draw_current),
    ("State of charge", "estimate by the board's filter, band ±3σ", ("soc_frac",), draw_soc),
    ("Stack pressure", "shaded: the window of the pack", ("pressure_mpa",), draw_pressure),
    ("Temperature", "", ("temperature_degc",), draw_temperature),
    ("Leak current", "linear within ±10 mA, logarithmic beyond", ("leak_a",), draw_leak),
    ("Evidence of a short", "1 is the threshold of each evidence", ("leak_score", "dip_score"), draw_evidence),
    ("Supervisor state and short stage", "line: state; shade: stage", ("stage",), draw_stage),
)
# Drawn for every cell of a pack; the others are the pack's
OF_EACH_CELL = (draw_voltage, draw_soc, draw_leak, draw_evidence)
