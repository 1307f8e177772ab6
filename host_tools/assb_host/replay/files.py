"""What a replay leaves behind: a page, and its figures as JSON and CSV."""

import json
from pathlib import Path
from typing import Any

from assb_host.replay.page import render
from assb_host.replay.replay import Replay
from assb_host.report.bdf import write_table

JSON_NAME, TABLE_NAME, PAGE_NAME = "replay.json", "deviation.csv", "report.html"


def write_files(run: Replay, facts: dict, out: Path) -> Path:
    """Path of the page. Raises OSError."""
    out.mkdir(parents=True, exist_ok=True)
    (out / JSON_NAME).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    write_deviations(run, out / TABLE_NAME)
    page = out / PAGE_NAME
    page.write_text(render(run, facts), encoding="utf-8")
    return page


def write_deviations(run: Replay, path: Path) -> None:
    """SOC of every cell against its neighbours, a row per window of rest."""
    comparison = run.comparison
    columns: list[tuple[str, Any, int]] = [
        ("time_s", comparison.time_s, 1),
        ("soc", comparison.soc, 4),
        ("sigma", comparison.sigma, 5),
    ]
    columns += [(name, comparison.deviation[:, k], 5) for k, name in enumerate(run.log.names)]
    write_table(columns, path)
