"""Battery Data Format tables: one CSV per cell with machine-readable column names, and a `.meta.json` beside it.

Column names are those of the Battery Data Alliance's specification (notation form); + current charges, as there.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from assb_host.report.recording import Recording

Column = tuple[str, Sequence[float], int]  # name, values, decimals

BDF_VERSION = "https://w3id.org/battery-data-alliance/ontology/battery-data-format"

# (BDF column, series, factor, decimals). The first three are required by the format; the rest appear where known.
COLUMNS = (
    ("voltage_volt", "voltage_v", 1.0, 6),
    ("current_ampere", "current_a", 1.0, 6),
    ("temperature_t1_celsius", "temperature_degc", 1.0, 3),
    ("ambient_temperature_celsius", "ambient_degc", 1.0, 3),
    ("applied_pressure_pa", "pressure_mpa", 1e6, 0),
    ("internal_resistance_ohm", "r0_ohm", 1.0, 6),
)


def write_bdf(recording: Recording, path: Path) -> Path:
    """Write `recording` to `path` (CSV) and its `.meta.json`; rows are those of the voltage series.

    Raises ValueError if voltage or current is missing: BDF requires both.
    """
    if not recording.has("voltage_v", "current_a"):
        have = ", ".join(sorted(recording.series)) or "nothing"
        raise ValueError(f"{path}: a BDF table needs voltage_v and current_a; the recording has {have}")
    time_s = recording.series["voltage_v"].time_s
    columns: list[Column] = [("test_time_second", time_s, 3)]
    for name, series, factor, decimals in COLUMNS:
        if recording.has(series):
            columns.append((name, [factor * value for value in recording.series[series].all_at(time_s)], decimals))
    write_table(columns, path)
    write_meta(recording, path)
    return path


def write_table(columns: Sequence[Column], path: Path) -> Path:
    """Write (name, values, decimals) columns of one length as CSV; NaN is an empty field."""
    form = ",".join(f"%.{decimals}f" for _, _, decimals in columns)
    rows = zip(*(values for _, values, _ in columns), strict=True)
    lines = [",".join(name for name, _, _ in columns), *(form % row for row in rows)]
    path.write_text("\n".join(lines).replace("nan", "") + "\n", encoding="utf-8")
    return path


def write_meta(recording: Recording, path: Path) -> Path:
    """The sidecar of the table at `path`: where the data came from, and that the table is complete."""
    target = path.with_suffix(".meta.json")
    meta = {"format": BDF_VERSION, "table": path.name, "title": recording.title, "finalized": True, **recording.meta}
    target.write_text(json.dumps(meta, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return target
