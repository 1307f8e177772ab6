"""What a replay found, for a terminal."""

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

SHOWN_MOST = 8  # cells; all of them are in the JSON
DAYS_FROM_S = 3 * 86400.0
STAGE_STYLES = {"none": "green", "suspect": "yellow", "soft_short": "bold red", "hard_short": "bold white on red"}


def head_lines(facts: dict) -> list[str]:
    cells = len(facts["cells"])
    begun = f" from {facts['start']}" if facts["start"] else ""
    gaps = f", {facts['gaps']} gaps" if facts["gaps"] else ""
    lines = [
        f"{facts['file']}: {cells} {'cells' if cells > 1 else 'cell'}, {facts['rows']} rows{begun}, one per "
        f"{facts['sample_s']:g} s, {facts['hours']:.1f} h{gaps}"
    ]
    if facts["rows_skipped"]:
        lines.append("  rows skipped: " + ", ".join(f"{n} {reason}" for reason, n in facts["rows_skipped"].items()))
    return lines


def cells_table(facts: dict) -> Table:
    """The weakest first."""
    table = Table(box=SIMPLE, padding=0)
    for heading in ("cell", "stage", "sure", "Rs Ω", "suspect", "soft short", "from median", "missing"):
        table.add_column(heading, justify="left" if heading in ("cell", "stage") else "right", no_wrap=True)
    alarmed = sum(cell["stage"] != "none" for cell in facts["cells"])
    for cell in facts["cells"][: max(SHOWN_MOST, alarmed)]:
        table.add_row(
            cell["name"],
            Text(cell["stage"].replace("_", " "), STAGE_STYLES[cell["stage"]]),
            f"{cell['confidence']:.3f}",
            ohm_text(cell),
            since(cell["first_suspect_s"]),
            since(cell["first_soft_short_s"]),
            scaled(cell["pack_deviation_v"], 1e3, "+.0f", " mV"),
            scaled(cell["missing_soc_frac"], 100, ".1f", " %"),
        )
    return table


def events_table(facts: dict) -> Table:
    table = Table(box=SIMPLE, padding=0)
    for heading in ("time", "cell", "stage", "sure", "evidence"):
        table.add_column(heading)
    for event in facts["events"]:
        evidence = ", ".join(event["evidence"]).replace("_", " ")
        stage = event["stage"].replace("_", " ")
        when = event["time"] or since(event["time_s"])
        table.add_row(when, event["cell"], stage, f"{event['confidence']:.3f}", evidence)
    return table


def ohm_text(cell: dict) -> str:
    if cell["rs_ohm"] is None:
        return ""
    low, high = (scaled(cell[f"rs_{end}_ohm"], 1.0, ".2g") for end in ("low", "high"))
    return f"{cell['rs_ohm']:.2g} ({low}–{high or '∞'})"


def since(time_s: float | None) -> str:
    """Since the first row: days where it takes days, else hours and minutes; nothing for never."""
    if time_s is None:
        return ""
    if time_s > DAYS_FROM_S:
        return f"{time_s / 86400:.2f} d"
    return f"{int(time_s // 3600)}:{time_s % 3600 / 60:04.1f} h"


def scaled(value: float | None, factor: float, form: str, unit: str = "") -> str:
    return "" if value is None else format(factor * value, form) + unit
