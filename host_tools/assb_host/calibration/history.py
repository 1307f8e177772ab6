"""What was calibrated when, by whom and with what: a JSON list beside the work, from which the newest can be undone."""

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from assb_host.calibration.board import hash_of
from assb_host.calibration.fit import CalibrationError, Fit

DAY = "calibrated_day"


def entry_of(fit: Fit, before: dict[str, int], after: dict[str, int], board: dict[str, str], **who: str) -> dict:
    """`who`: instrument, operator, note."""
    return {
        "kind": fit.kind.name, "unit": fit.kind.unit, "date": datetime.now(UTC).isoformat(timespec="seconds"), **who,
        "board": board, "points": [asdict(point) for point in fit.points], "residuals": list(fit.residuals),
        "gain": fit.gain, "offset": fit.offset, "before": before, "after": after, "hash": hash_of(after),
        "undone": False,
    }  # fmt: skip


def load(path: Path) -> list[dict[str, Any]]:
    """Raises CalibrationError for a file that is none."""
    if not path.exists():
        return []
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        if not (isinstance(entries, list) and all(isinstance(entry, dict) and "undone" in entry for entry in entries)):
            raise ValueError("no list of calibrations")
    except (OSError, ValueError) as error:
        raise CalibrationError(f"this is no history of calibrations: {error}", str(path), "name another") from None
    return entries


def demand_new(entries: list[dict[str, Any]], fit: Fit, board: dict[str, str]) -> None:
    """Points were read with the corrections of then: applied again, they correct twice. Raises CalibrationError."""
    points = [asdict(point) for point in fit.points]
    for entry in entries:
        same = entry["kind"] == fit.kind.name and entry["board"] == board and entry["points"] == points
        if same and not entry["undone"]:
            seen = f"these points were applied already, on {entry['date']}"
            raise CalibrationError(seen, fit.kind.name, "read new ones, or `assb calibrate undo` first")


def put_back(entry: dict[str, Any], now: dict[str, int], board: dict[str, str]) -> dict[str, int]:
    """What an undo writes: of what this calibration changed, the values before. Raises CalibrationError when the board
    is another one, or has other values by now."""
    if entry["board"] != board:
        seen = f"the calibration is of {entry['board']['board']}, {entry['board']['pack']}"
        raise CalibrationError(seen, f"{board['board']}, {board['pack']}", "name that board, or another --history")
    changed = {name: value for name, value in entry["before"].items() if value != entry["after"][name]}
    newer = [name for name in changed if name != DAY and now[name] != entry["after"][name]]
    if newer:
        raise CalibrationError(f"the board has another {newer[0]} by now", str(now[newer[0]]), "calibrate it again")
    return changed


def save(path: Path, entries: list[dict[str, Any]]) -> None:
    """Replaced whole. Raises CalibrationError."""
    fresh = path.with_name(path.name + ".new")
    try:
        fresh.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise CalibrationError(f"the history can't be written: {error.strerror}", str(path), "name another") from None


def newest(entries: list[dict[str, Any]], path: Path) -> dict[str, Any]:
    """The one that an undo takes back. Raises CalibrationError."""
    standing = [entry for entry in entries if not entry["undone"]]
    if not standing:
        raise CalibrationError("there is nothing to take back", str(path), "name the right --history")
    return standing[-1]
