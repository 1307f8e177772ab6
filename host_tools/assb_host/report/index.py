"""A folder of runs as one page: a row per run that links to its report, and how their key figures went."""

import io
import json
from dataclasses import dataclass, field
from html import escape
from math import isnan, nan
from pathlib import Path

from assb_host.errors import AssbError
from assb_host.recording.reader import StoredRecording
from assb_host.recording.recorder import META_NAME
from assb_host.report.page import render_page
from assb_host.report.page_style import STYLE
from assb_host.report.plots import MEASURED
from assb_host.report.plots import STYLE as PLOT_STYLE
from assb_host.report.recording import Recording
from assb_host.report.stored import recording_of

PAGE_NAME, INDEX_NAME, RESULT_NAME = "report.html", "index.html", "result.json"
# series → what of it is followed from run to run
TRENDS = (
    ("lowest voltage / V", "voltage_v", min),
    ("mean R0 / Ω", "r0_ohm", lambda values: sum(values) / len(values)),
    ("hottest / °C", "temperature_degc", max),
    ("largest leak / A", "leak_a", max),
)


@dataclass
class Run:
    """One line of the index."""

    name: str
    when: str
    verdict: str
    lasted_s: float
    page: str
    figures: dict[str, float] = field(default_factory=dict)


def write_report(folder: Path, out: Path | None = None) -> tuple[Path, Recording]:
    """The page of one recording, and what is in it. Raises AssbError."""
    recording = recording_of(StoredRecording(folder))
    path = out or folder / PAGE_NAME
    write(path, render_page(recording))
    return path, recording


def write_index(folder: Path, out: Path | None = None) -> tuple[Path, list[Run]]:
    """Reports of all recordings in the folder, and the page over them and over runs of `assb hil`. Raises AssbError."""
    runs = [run for child in sorted(folder.iterdir()) if child.is_dir() for run in sound_run_of(child)]
    if not runs:
        raise AssbError("there is no recording and no run in it", str(folder), "`assb record` or `assb hil run --out`")
    runs.sort(key=lambda run: run.when)
    path = out or folder / INDEX_NAME
    write(path, render_index(folder.resolve().name, runs))
    return path, runs


def sound_run_of(folder: Path) -> list[Run]:
    """A folder that can't be read is a line of the index, too."""
    try:
        return run_of(folder)
    except (AssbError, ValueError, KeyError, TypeError) as error:
        return [Run(folder.name, "", f"unreadable: {error}", 0.0, "")]


def run_of(folder: Path) -> list[Run]:
    if (folder / META_NAME).is_file():
        path, recording = write_report(folder)
        stored = StoredRecording(folder)
        verdict = "whole" if recording.passed else "with gaps"
        page = f"{folder.name}/{path.name}"
        return [Run(folder.name, stored.meta["began"][:19], verdict, stored.meta["lasted_s"], page, figures(recording))]
    if (folder / RESULT_NAME).is_file():
        result = json.loads((folder / RESULT_NAME).read_text(encoding="utf-8"))
        verdict = "passed" if all(check["passed"] for check in result["checks"]) else "failed"
        page = f"{folder.name}/{PAGE_NAME}" if (folder / PAGE_NAME).is_file() else ""
        return [Run(folder.name, "", verdict, result["sim_time_s"], page, figures(from_tables(folder)))]
    return []


def from_tables(folder: Path) -> Recording:
    """The first cell's table of a run."""
    from assb_host.report.recording import Series
    from assb_host.report.stored import COLUMNS

    series = {}
    path = folder / "cell0.bdf.csv"
    if path.is_file():
        head, *rows = path.read_text(encoding="utf-8").splitlines()
        columns = zip(*([float(v) if v else nan for v in row.split(",")] for row in rows), strict=True)
        named = dict(zip(head.split(","), columns, strict=False))
        times = named.get("test_time_second", ())
        series = {name: Series(times, named[c]) for c, (name, _) in COLUMNS.items() if c in named}
    return Recording(title=folder.name, series=series)


def figures(recording: Recording) -> dict[str, float]:
    found = {}
    for label, name, of in TRENDS:
        if recording.has(name):
            values = [value for value in recording.series[name].values if not isnan(value)]
            if values:
                found[label] = of(values)
    return found


def render_index(title: str, runs: list[Run]) -> str:
    labels = [label for label, _, _ in TRENDS if any(label in run.figures for run in runs)]
    head = "".join(f'<th class="number">{escape(label)}</th>' for label in labels)
    rows = "".join(row_of(run, labels) for run in runs)
    trends = "".join(
        f"<figure><figcaption>{escape(label)}</figcaption>{trend(runs, label)}</figure>" for label in labels
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head><body><main><header><h1>{escape(title)}</h1>"
        f'<p class="summary">{len(runs)} runs</p></header>'
        "<section><table><tr><th>run</th><th>began</th><th>verdict</th>"
        f'<th class="number">s</th>{head}</tr>{rows}</table></section>'
        f'<section class="plots">{trends}</section></main></body></html>\n'
    )


def row_of(run: Run, labels: list[str]) -> str:
    name = escape(run.name)
    link = f'<a href="{escape(run.page)}">{name}</a>' if run.page else name
    values = "".join(
        f'<td class="number">{run.figures.get(label, nan):.4g}</td>'.replace("nan", "–") for label in labels
    )
    kind = "ok" if run.verdict in ("passed", "whole") else "bad"
    return (
        f'<tr class="{kind}"><td>{link}</td><td>{escape(run.when.replace("T", " "))}</td>'
        f'<td class="mark">{escape(run.verdict)}</td>'
        f'<td class="number">{run.lasted_s:.0f}</td>{values}</tr>'
    )


def trend(runs: list[Run], label: str) -> str:
    """One point per run, in order."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(PLOT_STYLE):
        figure = Figure(figsize=(9.2, 1.7))
        axes = figure.add_axes((0.085, 0.24, 0.895, 0.62))
        axes.plot(range(len(runs)), [run.figures.get(label, nan) for run in runs], "o-", color=MEASURED, markersize=4)
        axes.set_xlim(-0.5, len(runs) - 0.5)
        step = max(1, len(runs) // 8)
        axes.set_xticks(range(0, len(runs), step), [run.name[:22] for run in runs[::step]], fontsize=8)
        for spine in ("top", "right"):
            axes.spines[spine].set_visible(False)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = out.getvalue()
    return text[text.index("<svg") :]


def write(path: Path, page: str) -> None:
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise AssbError(f"can't write the page: {error.strerror}", str(path), "choose another --out") from error
