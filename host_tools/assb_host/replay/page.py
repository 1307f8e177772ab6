"""A page on a replay, which needs no other file: verdict, pictures, cells, events."""

from html import escape

from assb_host.replay.pictures import draw
from assb_host.replay.replay import Replay
from assb_host.replay.tables import ohm_text, scaled, since
from assb_host.report.page_style import STYLE

CELL_HEADS = ("cell", "stage", "confidence", "Rs / Ω", "suspect after", "soft short after", "missing / % SOC")


def render(run: Replay, facts: dict) -> str:
    """HTML."""
    title = escape(f"Replay of {run.log.path.name}")
    alarmed = [alarm(cell) for cell in facts["cells"] if cell["stage"] != "none"]
    verdict = "; ".join(alarmed) or "no cell is suspect"
    kind = "fail" if alarmed else "pass"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{STYLE}</style>'
        f'</head><body><main><header><h1>{title}</h1><p class="summary">{escape(summary(facts))}</p>'
        f'<p class="verdict {kind}"><strong>{escape(verdict)}</strong></p></header>'
        f"<figure>{draw(run)}</figure>"
        f"<section><h2>Cells, the weakest first</h2>{table(CELL_HEADS, [cell_row(cell) for cell in facts['cells']])}"
        f"</section>{events(facts)}</main></body></html>\n"
    )


def alarm(cell: dict) -> str:
    return f"{cell['name']}: {cell['stage'].replace('_', ' ')}, confidence {cell['confidence']:.3f}"


def summary(facts: dict) -> str:
    skipped = ", ".join(f"{count} {reason}" for reason, count in facts["rows_skipped"].items()) or "none"
    return (
        f"{len(facts['cells'])} cells, profile {facts['profile']}, {facts['rows']} rows, one per "
        f"{facts['sample_s']:g} s, {facts['hours']:.1f} h, {facts['gaps']} gaps; rows skipped: {skipped}. "
        f"{facts['windows_compared']} windows of rest compared."
    )


def cell_row(cell: dict) -> list[str]:
    return [
        cell["name"], cell["stage"].replace("_", " "), f"{cell['confidence']:.3f}", ohm_text(cell),
        since(cell["first_suspect_s"]), since(cell["first_soft_short_s"]), scaled(cell["missing_soc_frac"], 100, ".2f"),
    ]  # fmt: skip


def events(facts: dict) -> str:
    if not facts["events"]:
        return ""
    rows = [
        [event["time"] or since(event["time_s"]), event["cell"], event["stage"].replace("_", " "),
         ", ".join(event["evidence"]).replace("_", " ")]
        for event in facts["events"]
    ]  # fmt: skip
    return f"<section><h2>Events</h2>{table(('time', 'cell', 'stage', 'evidence'), rows)}</section>"


def table(heads: tuple[str, ...], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(text)}</th>" for text in heads)
    body = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"
