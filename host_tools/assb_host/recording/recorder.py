"""What a board says, onto disk: raw bytes, a table per cell, and `recording.meta.json`; in parts, where they rotate.

NAME/0000.frames  0000.cell0.bdf.csv  0000.cell1.bdf.csv …  0001.frames …  recording.meta.json
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any

from assb import VERSION
from assb.protocol import schema

from assb_host.errors import AssbError
from assb_host.link.decoder import Decoder, Frame
from assb_host.link.units import physical
from assb_host.recording.board_time import BoardTime
from assb_host.recording.cell_table import ESTIMATES, NO_ESTIMATES, CellTable
from assb_host.recording.frame_file import FrameWriter
from assb_host.report.bdf import BDF_VERSION

META_NAME = "recording.meta.json"
GAPS_MOST = 1000  # told one by one; the rest is counted
STALE_S = 2.0  # an older PACK says nothing of a cell's current
WANTS_PACK = ("current_a", "temperature_degc", "pressure_mpa", "pressure_target_mpa", "state")
ESTIMATED = ("r0_ohm", "soc_frac", "soc_sigma_frac", "leak_a", "leak_sigma_a", "innovation_v")
NOT_STARTED = -100  # estimator_status before the first sample: the estimates are zeros
COUNTERS = ("frame_count", "damaged_count", "lost_count", "undecoded_count", "restart_count")


@dataclass
class Settings:
    """`rotate_*`: a new part when the present one has grown, or lasted, that much."""

    keeps_frames: bool = True
    rotate_bytes: float = inf
    rotate_s: float = inf
    on_part: Callable[[list[Path]], None] | None = None  # called with the tables of a part that is closed


@dataclass
class Gap:
    from_s: float
    to_s: float | None
    reason: str


@dataclass
class Part:
    began_s: float
    frames: FrameWriter | None
    tables: dict[int, CellTable] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(table.size for table in self.tables.values()) + (self.frames.size if self.frames else 0)


class Recorder:
    """Feed it the bytes as they come (`heard`), then what the link made of them (`take`); `flush` once per batch."""

    def __init__(self, folder: Path, now_s: float, settings: Settings | None = None, about: dict | None = None):
        """Makes the folder. AssbError when it can't, or when a recording is there already."""
        self.folder = folder
        self.settings = settings or Settings()
        self.began_s = self.now_s = now_s
        self.hello: dict[str, Any] = {}
        self.gaps: list[Gap] = []
        self.untold_gaps = 0
        self.counts = dict.fromkeys(COUNTERS, 0)
        self.about = about or {}
        self._earlier = dict(self.counts)  # of connections that ended
        self._time = BoardTime()
        self._pack: dict[str, Any] = {}
        self._pack_s = -inf
        self._stages: dict[int, int] = {}
        self._charge_limit_a: Any = ""
        self._lost = 0
        self._parts: list[dict] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                raise AssbError("the folder for the recording is not empty", str(folder), "name another with --out")
            self.part = self._new_part()
            self.write_meta()
        except OSError as error:
            raise AssbError(f"can't write there: {error.strerror}", str(folder), "choose another --out") from error

    # ---- what comes ----

    def heard(self, data: bytes, now_s: float) -> None:
        """Bytes of the port."""
        self.now_s = now_s
        if self.part.frames:
            self.part.frames.write(now_s, data)

    def take(self, item) -> None:
        """A frame or line that the decoder found in them."""
        if not isinstance(item, Frame):
            return
        unix_s = self._time.at(item, self.now_s)
        if item.type == schema.HELLO:
            self._greet(item.fields)
        elif item.type == schema.PACK:
            self._pack, self._pack_s = physical(item.fields), unix_s
        elif item.type == schema.CYCLER:
            self._charge_limit_a = "%.3f" % (1e-3 * item.fields["charge_limit_ma"])
        elif item.type == schema.EVIDENCE:
            self._stages[item.fields["cell"]] = item.fields["cell_stage"]
        elif item.type == schema.CELL:
            self._row(item.fields["cell"], unix_s, physical(item.fields))

    def _row(self, cell: int, unix_s: float, fields: dict[str, Any]) -> None:
        pack = self._pack if unix_s - self._pack_s <= STALE_S else {}
        current, degc, mpa, target_mpa, state = (pack.get(name) for name in WANTS_PACK)
        began = fields["estimator_status"] != NOT_STARTED
        self._table(cell).write((
            unix_s - self.began_s, fields["voltage_v"], decimals(current, 6), unix_s, decimals(degc, 3),
            decimals(mpa, 0, 1e6), ESTIMATES % tuple(fields[name] for name in ESTIMATED) if began else NO_ESTIMATES,
            self._stages.get(cell, ""),
            "" if state is None else state, decimals(target_mpa, 0, 1e6), self._charge_limit_a,
        ))  # fmt: skip

    def _table(self, cell: int) -> CellTable:
        if cell not in self.part.tables:
            self.part.tables[cell] = CellTable(self.folder / f"{self._stem}.cell{cell}.bdf.csv")
        return self.part.tables[cell]

    def _greet(self, hello: dict[str, Any]) -> None:
        if self.hello and hello["config_crc"] != self.hello["config_crc"]:
            self._note(Gap(self.now_s, self.now_s, "another configuration from here on"))
        self.hello = hello
        self.write_meta()

    # ---- gaps ----

    def count(self, decoder: Decoder) -> None:
        """Take over the decoder's counts; frames that were lost on the way are a gap."""
        self.counts = {name: self._earlier[name] + getattr(decoder, name) for name in COUNTERS}
        lost = self.counts["lost_count"]
        if lost > self._lost:
            self._note(Gap(self.now_s, self.now_s, f"{lost - self._lost} frames missing"))
            self._lost = lost

    def disconnect(self, now_s: float, reason: str) -> None:
        """The port went away."""
        self._earlier = dict(self.counts)
        self._time.lose()
        self._pack_s = -inf
        self.gaps.append(Gap(now_s, None, reason))
        if self.part.frames:
            self.part.frames.write(now_s, b"")
        for table in self.part.tables.values():
            table.mark_gap(now_s - self.began_s, now_s)
        self.flush(now_s)
        self.write_meta()

    def reconnect(self, now_s: float) -> None:
        if self.gaps and self.gaps[-1].to_s is None:
            self.gaps[-1].to_s = now_s
            self.write_meta()

    def _note(self, gap: Gap) -> None:
        if len(self.gaps) < GAPS_MOST:
            self.gaps.append(gap)
        else:
            self.untold_gaps += 1

    # ---- disk ----

    def flush(self, now_s: float) -> bool:
        """What has come is handed to the operating system. True when a new part begins."""
        self.now_s = now_s
        if self.part.frames:
            self.part.frames.flush()
        for table in self.part.tables.values():
            table.flush()
        full = self.part.size >= self.settings.rotate_bytes or now_s - self.part.began_s >= self.settings.rotate_s
        if full:
            self._close_part()
            self.part = self._new_part()
            self.write_meta()
        return full

    def close(self, finalized: bool = True) -> None:
        """The end that was meant; a recording without it says that it has none."""
        self._close_part()
        self.write_meta(finalized)

    @property
    def _stem(self) -> str:
        return f"{len(self._parts):04d}"

    @property
    def row_count(self) -> int:
        return sum(part["rows"] for part in self._parts) + sum(t.row_count for t in self.part.tables.values())

    @property
    def byte_count(self) -> int:
        return sum(part["bytes"] for part in self._parts) + self.part.size

    def _new_part(self) -> Part:
        frames = FrameWriter(self.folder / f"{self._stem}.frames") if self.settings.keeps_frames else None
        return Part(self.now_s, frames)

    def _close_part(self) -> None:
        part, tables = self.part, [table for _, table in sorted(self.part.tables.items())]
        for table in tables:
            table.close()
        if part.frames:
            part.frames.close()
        told = {"began_s": part.began_s - self.began_s, "bytes": part.size, "tables": [t.path.name for t in tables]}
        told |= {"rows": sum(table.row_count for table in tables)}
        told |= {"frames": part.frames.path.name} if part.frames else {}
        self._parts.append(told)
        self.part = Part(self.now_s, None)
        if self.settings.on_part:
            self.settings.on_part([table.path for table in tables])

    def write_meta(self, finalized: bool = False) -> None:
        """Replaced whole, so that a reader never sees half of it."""
        target, fresh = self.folder / META_NAME, self.folder / (META_NAME + ".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(self.meta(finalized), file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(target)

    def meta(self, finalized: bool) -> dict[str, Any]:
        hello = self.hello
        board = {name: hello[name] for name in ("board", "pack", "cell", "cell_count", "estimator") if name in hello}
        if hello:
            board["firmware"] = ".".join(str(hello[f"version_{part}"]) for part in ("major", "minor", "patch"))
            board |= {"schema_id": f"{hello['schema_id']:08x}", "config_crc": f"{hello['config_crc']:08x}"}
        return {
            "format": BDF_VERSION,
            "finalized": finalized,
            "began": datetime.fromtimestamp(self.began_s, UTC).isoformat(timespec="milliseconds"),
            "began_unix_s": self.began_s,
            "lasted_s": round(self.now_s - self.began_s, 3),
            "host": ".".join(str(part) for part in VERSION),
            "host_schema_id": f"{schema.schema_id():08x}",
            "board": board,
            **self.about,
            "counts": self.counts,
            "gaps": [
                {
                    "from_s": round(gap.from_s - self.began_s, 3),
                    "to_s": since(gap.to_s, self.began_s),
                    "why": gap.reason,
                }
                for gap in self.gaps
            ],
            "gaps_not_told": self.untold_gaps,
            "parts": self._parts,
        }


def decimals(value: float | None, digits: int, factor: float = 1.0) -> str:
    return "" if value is None else f"{factor * value:.{digits}f}"


def since(at_s: float | None, began_s: float) -> float | None:
    return None if at_s is None else round(at_s - began_s, 3)
