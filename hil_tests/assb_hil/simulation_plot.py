"""The picture of a simulation: one column of panels on one time axis, with the events of the filaments across all."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from assb_host.report.plots import ALARM, CALM, ESTIMATE, GRID, MEASURED, STYLE, TRUTH, WARN

from assb_hil.simulation import Simulation

WIDTH_IN, PANEL_IN, HEAD_IN, LEGEND_IN = 9.6, 1.65, 0.85, 0.25
LEAST_SPAN_FRAC = 0.005  # of the values: the numbers at an axis stay short
LINES_MAX = 8  # units that get a line of their own
MARKS_MAX = 25  # events of one kind that get a line across; more become ticks on the top edge
RASTER_ROWS = 4000  # longer lines are pixels inside the SVG
EVENT_COLOURS = {
    "bridge": WARN,
    "deepened": ESTIMATE,
    "burn_out": CALM,
    "hard_short": ALARM,
    "voided": TRUTH,
    "untold": WARN,
}
TIME_UNITS = ((2 * 86400.0, 86400.0, "days"), (2 * 3600.0, 3600.0, "h"), (300.0, 60.0, "min"), (0.0, 1.0, "s"))


def write_plots(run: Simulation, folder: Path) -> None:
    """plot.png and plot.svg."""
    import matplotlib as mpl

    with mpl.rc_context({**STYLE, "agg.path.chunksize": 20_000}):
        figure = drawn(run)
        figure.savefig(folder / "plot.png", dpi=160, metadata={"Software": None})
        figure.savefig(folder / "plot.svg", dpi=200, metadata={"Date": None, "Creator": None})


def drawn(run: Simulation) -> Any:
    """The figure."""
    from matplotlib.figure import Figure

    panels = [panel for panel in PANELS if panel[2](run)]
    head_in = HEAD_IN + (LEGEND_IN if run.events else 0.0)
    height_in = head_in + PANEL_IN * len(panels) + 0.45
    figure = Figure(figsize=(WIDTH_IN, height_in))
    top, bottom = 1.0 - head_in / height_in, 0.5 / height_in
    rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    figure.subplots_adjust(left=0.085, right=0.915, top=top, bottom=bottom, hspace=0.16)
    factor_s, unit = time_unit(run)
    for axes, (title, least_span, _, draw) in zip(rows, panels, strict=True):
        draw(axes, run, run.time_s / factor_s)
        _dress(axes, title, least_span)
        _mark_events(axes, run, factor_s)
    rows[-1].set_xlabel(f"time / {unit}")
    rows[-1].set_xlim(run.time_s[0] / factor_s, max(run.time_s[-1], run.time_s[0] + 1.0) / factor_s)
    figure.align_ylabels(rows[1:])
    _head(figure, run, height_in)
    return figure


def time_unit(run: Simulation) -> tuple[float, str]:
    """(seconds, name) of the unit that the axis is read in."""
    span_s = run.time_s[-1] - run.time_s[0]
    return next((factor_s, name) for least_s, factor_s, name in TIME_UNITS if span_s >= least_s)


def _head(figure: Any, run: Simulation, height_in: float) -> None:
    """What was simulated, and the legend of the events that there were."""
    plant, request = run.request.plant, run.request
    line = f"{plant.name} · {plant.format_name} · {plant.bench_name} · seed {request.seed}"
    line += "" if run.ended == "finished" else f" · {run.ended}"
    figure.text(0.085, 1 - 0.20 / height_in, request.protocol.title, size=13, weight="bold", va="top")
    figure.text(0.085, 1 - 0.47 / height_in, line + " · simulated", size=8.5, va="top", color="#52606d")
    counts = [(kind, sum(event.kind == kind for event in run.events)) for kind in EVENT_COLOURS]
    left = 0.085
    for kind, count in counts:
        if count:
            label = f"{kind.replace('_', ' ')} ×{count}"
            place = {"size": 8.5, "va": "top", "color": EVENT_COLOURS[kind], "weight": "bold"}
            figure.text(left, 1 - 0.68 / height_in, f"▏{label}", **place)
            left += 0.0085 * len(label) + 0.03


def _dress(axes: Any, title: str, least_span: float) -> None:
    """Grid, label and legend; what hardly moves must not fill its panel."""
    axes.grid(True, color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines["top"].set_visible(False)
    axes.margins(y=0.12)
    axes.ticklabel_format(axis="y", useOffset=False)
    low, high = axes.get_ylim()
    least_span = max(least_span, LEAST_SPAN_FRAC * max(abs(low), abs(high)))
    room = max(0.0, 0.5 * (least_span - (high - low)))
    axes.set_ylim(low - room, high + room)
    axes.set_ylabel(title)
    handles, labels = axes.get_legend_handles_labels()
    if labels:
        place = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.01), "borderpad": 0, "borderaxespad": 0}
        axes.legend(handles, labels, frameon=False, fontsize=7.5, ncols=len(labels), **place)


def _mark_events(axes: Any, run: Simulation, factor_s: float) -> None:
    """A line across for each event, or ticks on the top edge where there are too many."""
    for kind, colour in EVENT_COLOURS.items():
        times = [event.time_s / factor_s for event in run.events if event.kind == kind]
        low = 0.0 if len(times) <= MARKS_MAX else 0.94
        across = axes.get_xaxis_transform()
        axes.vlines(times, low, 1.0, transform=across, color=colour, linewidth=0.8, alpha=0.5, zorder=1)


def _line(axes: Any, run: Simulation, t: np.ndarray, values: np.ndarray, colour: str, **style: Any) -> None:
    style = {"linewidth": 1.2 if len(t) < RASTER_ROWS else 0.7, "rasterized": len(t) > RASTER_ROWS} | style
    axes.plot(t, values, color=colour, **style)


def _units(axes: Any, run: Simulation, t: np.ndarray, table: np.ndarray, colour: str, label: str = "") -> None:
    """A line for each of a few, a band and the median of many."""
    if table.shape[1] <= LINES_MAX:
        for k, values in enumerate(table.T):
            _line(axes, run, t, values, colour, alpha=1.0 if k == 0 else 0.55, label=label if k == 0 else "_")
        return
    axes.fill_between(t, table.min(axis=1), table.max(axis=1), color=colour, alpha=0.25, linewidth=0)
    _line(axes, run, t, np.median(table, axis=1), colour, label=label or "_")


def draw_voltage(axes: Any, run: Simulation, t: np.ndarray) -> None:
    """Current on the axis at the right, in the background; the units' voltages on the one at the left."""
    current_a = run.columns["current_a"]
    _line(axes, run, t, current_a, ESTIMATE, alpha=0.75, drawstyle="steps-pre")
    most_a = max(1.15 * float(np.abs(current_a).max()), 1e-6)
    axes.set_ylim(-most_a, most_a)
    left = axes.twinx()  # which would put itself at the right
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.yaxis.label.set_color(ESTIMATE)
    axes.tick_params(axis="y", colors=ESTIMATE)
    left.yaxis.tick_left()
    left.yaxis.set_label_position("left")
    left.set_ylabel("voltage / V")
    left.spines["top"].set_visible(False)
    left.margins(y=0.12)
    _units(left, run, t, run.of_units("voltage_v"), MEASURED)


def draw_soc(axes: Any, run: Simulation, t: np.ndarray) -> None:
    _units(axes, run, t, 100 * run.of_units("soc"), MEASURED)


def draw_pressure(axes: Any, run: Simulation, t: np.ndarray) -> None:
    """Stacks; the window of the plant where it is near."""
    table, limits = run.of_stacks("pressure_mpa"), run.request.plant.limits
    _units(axes, run, t, table, MEASURED)
    span = max(float(table.max() - table.min()), 0.02 * float(table.max()), 1e-3)
    for level, name in ((limits.pressure_min_mpa, "lowest"), (limits.pressure_max_mpa, "highest")):
        if table.min() - span <= level <= table.max() + span:
            axes.axhline(level, color=ALARM, linewidth=0.8, linestyle=(0, (4, 3)), label=f"{name} allowed")


def draw_temperature(axes: Any, run: Simulation, t: np.ndarray) -> None:
    _units(axes, run, t, run.of_units("temperature_degc"), MEASURED, "core")
    _line(axes, run, t, run.columns["ambient_degc"], TRUTH, label="room", drawstyle="steps-pre")


def draw_r0(axes: Any, run: Simulation, t: np.ndarray) -> None:
    _units(axes, run, t, 1e3 * run.of_units("r0_ohm"), MEASURED)


def draw_lithium(axes: Any, run: Simulation, t: np.ndarray) -> None:
    _units(axes, run, t, 100 * run.of_units("filament_length"), ALARM, "filament length")
    _units(axes, run, t, 100 * run.of_units("theta"), WARN, "contact lost to voids")


def has_lithium(run: Simulation) -> bool:
    return max(run.of_units("filament_length").max(), run.of_units("theta").max()) > 1e-4


def draw_ageing(axes: Any, run: Simulation, t: np.ndarray) -> None:
    _units(axes, run, t, 100 * run.of_units("capacity_loss_frac"), MEASURED, "capacity lost")
    _units(axes, run, t, 100 * run.of_units("resistance_growth_frac"), ESTIMATE, "resistance gained")


def has_ageing(run: Simulation) -> bool:
    return run.of_units("capacity_loss_frac")[-1].max() > 1e-3


def always(run: Simulation) -> bool:
    return True


Draw = Callable[[Any, Simulation, np.ndarray], None]
# (label, least span of the axis, whether there is something to see, how it is drawn)
PANELS: tuple[tuple[str, float, Callable[[Simulation], bool], Draw], ...] = (
    ("current / A", 0.0, always, draw_voltage),
    ("SOC / %", 5.0, always, draw_soc),
    ("pressure / MPa", 0.1, always, draw_pressure),
    ("temperature / °C", 1.0, always, draw_temperature),
    ("R0 / mΩ", 0.0, always, draw_r0),
    ("filament, voids / %", 0.0, has_lithium, draw_lithium),
    ("ageing / %", 0.0, has_ageing, draw_ageing),
)
