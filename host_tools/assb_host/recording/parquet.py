"""A closed table as Parquet, its meta data in the file; needs the extra `parquet` (pyarrow)."""

import json
from pathlib import Path

from assb_host.errors import ToolError


def demand_pyarrow() -> None:
    """Raises ToolError."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        remedy = "pip install 'assb-bms[parquet]'"
        raise ToolError("writing Parquet needs pyarrow, which is not installed", "--parquet", remedy) from None


def write_parquet(table: Path, meta: dict) -> Path:
    """`NAME.bdf.csv` as `NAME.bdf.parquet` beside it: the same columns and values."""
    from pyarrow import csv, float64, parquet

    with table.open(encoding="utf-8") as file:
        names = file.readline().rstrip("\n").split(",")
    options = csv.ConvertOptions(column_types=dict.fromkeys(names, float64()))
    rows = csv.read_csv(table, convert_options=options)
    rows = rows.replace_schema_metadata({"assb": json.dumps(meta)})
    target = table.with_suffix(".parquet")
    parquet.write_table(rows, target)
    return target
