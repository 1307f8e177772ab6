"""A recording of `assb record` or `assb log` as something to read."""

import hashlib
from array import array
from pathlib import Path
from typing import Any

from assb.protocol import schema

from assb_host.link.decoder import Frame
from assb_host.link.picture import event_text
from assb_host.link.units import physical
from assb_host.recording.board_time import BoardTime
from assb_host.recording.reader import StoredRecording
from assb_host.recording.recorder import ESTIMATED, NOT_STARTED
from assb_host.report.recording import Check, Event, Recording, Series

NAN = float("nan")
POINTS_MOST = 4000  # of a line in a picture
HASHED = 1 << 20
SAMPLES = (schema.PACK, schema.CELL, schema.EVIDENCE, schema.CYCLER)
# columns of a table → series, and what a value of the column is worth in it
COLUMNS = {
    "voltage_volt": ("voltage_v", 1.0), "current_ampere": ("current_a", 1.0),
    "temperature_t1_celsius": ("temperature_degc", 1.0), "applied_pressure_pa": ("pressure_mpa", 1e-6),
    "pressure_target_pa": ("pressure_target_mpa", 1e-6), "internal_resistance_ohm": ("r0_ohm", 1.0),
    "soc_frac": ("soc_frac", 1.0), "soc_sigma_frac": ("soc_sigma_frac", 1.0), "leak_a": ("leak_a", 1.0),
    "leak_sigma_a": ("leak_sigma_a", 1.0), "stage": ("stage", 1.0), "state": ("state", 1.0),
    "charge_limit_a": ("charge_limit_a", 1.0),
}  # fmt: skip
OF_PACK = ("current_a", "temperature_degc", "pressure_mpa", "pressure_target_mpa", "stage", "state", "charge_limit_a")


def recording_of(stored: StoredRecording) -> Recording:
    """Series, events and checks; from the raw frames where there are some, else from the tables."""
    series, events = from_frames(stored)
    series = series or from_tables(stored)
    board = stored.meta.get("board", {})
    title = (
        f"Recording of {board.get('pack', 'an unknown board')}, {stored.meta.get('began', '')[:19].replace('T', ' ')}"
    )
    return Recording(
        title=title,
        summary=summary_of(stored, series),
        meta=provenance(stored),
        series={name: thinned(*columns) for name, columns in series.items()},
        state_names=schema.STATES,
        stage_names=schema.STAGES,
        events=events + gap_events(stored),
        checks=checks_of(stored),
    )


def from_frames(stored: StoredRecording) -> tuple[dict[str, tuple[array, array]], list[Event]]:
    series: dict[str, tuple[array, array]] = {}
    events: list[Event] = []
    time, began_s = BoardTime(), stored.meta["began_unix_s"]
    for unix_s, item in stored.items():
        if item is None:
            time.lose()
            for times, values in series.values():
                times.append(unix_s - began_s)
                values.append(NAN)
        if not isinstance(item, Frame):
            continue
        t_s = time.at(item, unix_s) - began_s
        if item.type == schema.EVENT:
            text = event_text(item.fields)
            name, _, rest = text.partition(" ")
            events.append(Event(t_s, "board", name, rest.replace("_", " ")))
        elif item.type in SAMPLES:
            add(series, t_s, item)
    return series, events


def add(series: dict, t_s: float, frame: Frame) -> None:
    cell = frame.fields.get("cell")
    unknown = ESTIMATED if frame.fields.get("estimator_status") == NOT_STARTED else ()
    for name, value in physical(frame.fields).items():
        if name != "cell" and name not in unknown:
            key = f"{name}[{cell}]" if cell else name
            times, values = series.setdefault(key, (array("d"), array("d")))
            times.append(t_s)
            values.append(value)


def from_tables(stored: StoredRecording) -> dict[str, tuple[array, array]]:
    series = {}
    for cell in sorted(stored.tables()):
        columns = stored.columns(cell)
        times = array("d", columns.get("test_time_second", []))
        for column, (name, worth) in COLUMNS.items():
            if column in columns and not (cell and name in OF_PACK):
                values = array("d", [worth * value for value in columns[column]])
                series[f"{name}[{cell}]" if cell else name] = (times, values)
    return series


def thinned(times: Any, values: Any) -> Series:
    """At most POINTS_MOST of them: of each stretch its least, its greatest, and whether something is missing."""
    import numpy as np

    if len(times) <= POINTS_MOST:
        return Series(times, values)
    at, value = np.asarray(times), np.asarray(values)
    kept: list[int] = []
    for part in np.array_split(np.arange(len(at)), POINTS_MOST // 3):
        own = value[part]
        holes = np.flatnonzero(np.isnan(own))[:1]
        if len(holes) < len(own) and not np.isnan(own).all():
            holes = np.append(holes, [np.nanargmin(own), np.nanargmax(own)])
        kept += sorted(set(part[holes].tolist()))
    return Series(at[kept].tolist(), value[kept].tolist())


def summary_of(stored: StoredRecording, series: dict[str, tuple[array, array]]) -> str:
    lasted_s = max((times[-1] for times, _ in series.values() if len(times)), default=0.0)
    parts = max(len(stored.frame_files), *(len(paths) for paths in stored.tables().values()), 1)
    said = f"{lasted_s:.0f} s in {parts} parts" if parts > 1 else f"{lasted_s:.0f} s"
    cuts = "".join(f" {cut[0].upper()}{cut[1:]}." for cut in dict.fromkeys(stored.cut))
    return f"{said}, written by {stored.meta.get('command', 'assb record')}.{cuts}"


def gap_events(stored: StoredRecording) -> list[Event]:
    return [
        Event(gap["from_s"], "host", "gap", gap["why"] + ("" if gap["to_s"] is None else f", to {gap['to_s']:.1f} s"))
        for gap in stored.meta["gaps"]
    ]


def checks_of(stored: StoredRecording) -> list[Check]:
    counts = stored.counts if stored.frame_files else stored.meta["counts"]
    return [
        Check("no frame is missing in the sequence", counts["lost_count"] == 0, counts["lost_count"], 0, "frames"),
        Check("nothing damaged on the way", counts["damaged_count"] == 0, counts["damaged_count"], 0, "segments"),
        Check("no gap", not stored.meta["gaps"], len(stored.meta["gaps"]), 0, "gaps"),
        Check("ended as it was meant to", not stored.cut, len(stored.cut), 0, "cuts"),
    ]


def provenance(stored: StoredRecording) -> dict[str, str]:
    meta, board = stored.meta, stored.meta.get("board", {})
    told = {
        "board / pack / cell": " / ".join(str(board.get(key, "?")) for key in ("board", "pack", "cell")),
        "firmware version": str(board.get("firmware", "?")),
        "host version": str(meta.get("host", "?")),
        "schema id": str(board.get("schema_id", "?")),
        "config CRC": str(board.get("config_crc", "?")),
        "began": str(meta.get("began", "?")),
    }
    if "calibration" in meta:
        told["calibration"] = str(meta["calibration"].get("hash", meta["calibration"]))
    files = [*stored.frame_files, *(path for paths in stored.tables().values() for path in paths)]
    return told | {f"SHA-256 of {path.name}": sha256_of(path) for path in files[:8]}


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(HASHED):
            digest.update(block)
    return digest.hexdigest()
