"""Finished trials on disk: Parquet parts, each written whole or not at all, each trial a row.

Any reader of Parquet opens them; columns are the fields of TrialSpec and TrialResult.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any
from uuid import uuid4

import msgspec
from assb_host.errors import AssbError

from assb_hil.campaign.record import TrialResult
from assb_hil.campaign.settings import write_whole
from assb_hil.out_folder import writing

FOLDER = "trials"
PART_TRIALS = 200  # a part is written when so many are finished
PART_S = 5.0  # or so long after the last: what a lost host loses at most


def schema() -> Any:
    """The columns, as pyarrow types; a test holds them to the structs of record.py."""
    import pyarrow as pa

    times = pa.list_(pa.float64())
    spec = {"number": pa.int64(), "seed": pa.int64(), "profile": pa.string(), "bench": pa.string(), "cells": pa.int32()}
    spec |= {"load": pa.string(), "short_class": pa.string(), "confounders": pa.list_(pa.string())}
    spec |= {"duration_s": pa.float64(), "dt_s": pa.float64(), "watch_rests": pa.bool_()}
    change = {"time_s": pa.float64(), "cell": pa.int32(), "stage": pa.int8(), "evidence_bits": pa.int32()}
    change |= dict.fromkeys(("confidence", "rs_ohm", "rs_low_ohm", "rs_high_ohm"), pa.float64())
    truth = {"cell": pa.int32(), **dict.fromkeys(("onset_s", "rs_ohm", "leak_c"), pa.float64()), "bridges_s": times}
    observer = dict.fromkeys(("noise_v", "dt_s", "slope_v", "capacity_ah"), pa.float64())
    observer |= {"ohm": times, "tau_s": times}
    crossings = {"before_s": times, "after_s": times}
    return pa.schema(
        {
            "spec": pa.struct(spec),
            "changes": pa.list_(pa.struct(change)),
            "crossings": pa.list_(pa.list_(pa.struct(crossings))),
            "truth": pa.struct(truth),
            "observer": pa.struct(observer),
            "wall_s": pa.float64(),
            "refused": pa.int64(),
            "rested_s": pa.float64(),
        }
    )


class Writer:
    """Context manager: whatever ends it, an exception too, what was added is on disk."""

    def __init__(self, folder: Path, part_s: float = PART_S):
        self._folder = folder / FOLDER
        self._part_s = part_s
        self._held: list[TrialResult] = []
        self._wrote_s = monotonic()

    def __enter__(self) -> "Writer":
        with writing(self._folder):
            self._folder.mkdir(exist_ok=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.flush()

    def add(self, result: TrialResult) -> None:
        self._held.append(result)
        if len(self._held) >= PART_TRIALS or monotonic() - self._wrote_s >= self._part_s:
            self.flush()

    def flush(self) -> None:
        """A name of its own for every part: two that write into one folder spoil nothing."""
        import pyarrow as pa
        from pyarrow import parquet

        if self._held:
            rows = [msgspec.to_builtins(result) for result in self._held]
            buffer = io.BytesIO()
            parquet.write_table(pa.Table.from_pylist(rows, schema()), buffer, compression="zstd")
            with writing(self._folder):
                write_whole(self._folder / f"{uuid4().hex}.parquet", buffer.getvalue())
        self._held, self._wrote_s = [], monotonic()


def finished(folder: Path) -> set[int]:
    """Numbers of the trials on disk."""
    return {row["spec"]["number"] for part in parts(folder) for row in _rows(part, ["spec.number"])}


def results(folder: Path) -> Iterator[TrialResult]:
    """Every trial on disk once, a part in memory at a time."""
    seen: set[int] = set()
    for part in parts(folder):
        for row in _rows(part, None):
            result = msgspec.convert(row, TrialResult)
            if result.spec.number not in seen:
                seen.add(result.spec.number)
                yield result


def parts(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER).glob("*.parquet"))


def _rows(part: Path, columns: list[str] | None) -> list[dict[str, Any]]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(part).read(columns=columns).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise AssbError(f"not readable: {error}", str(part), "remove it; its trials are run again") from None
