"""A recording read back: frames through the decoder again, tables to their last whole line, and what was cut."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assb_host.errors import AssbError
from assb_host.link.decoder import Decoder, Frame, Line
from assb_host.recording.cell_table import whole_lines
from assb_host.recording.frame_file import FrameReader
from assb_host.recording.image_file import IMAGE_NAME
from assb_host.recording.recorder import COUNTERS, META_NAME

NOT_FINALIZED = "the recording was not ended: its process was killed, or it runs still"


class StoredRecording:
    """A folder that `assb record` or `assb log` wrote. Raises AssbError when it is none."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.frame_files = sorted(folder.glob("*.frames"), key=part_of)
        self.meta = read_meta(folder)
        self.counts = dict.fromkeys(COUNTERS, 0)
        self.cut: list[str] = [] if self.meta.get("finalized") else [NOT_FINALIZED]

    @property
    def image(self) -> bytes | None:
        """The configuration that was kept with it."""
        path = self.folder / IMAGE_NAME
        return path.read_bytes() if path.is_file() else None

    def items(self) -> Iterator[tuple[float, Frame | Line | None]]:
        """(unix time, frame or line) in order; None where the port went away. `counts` and `cut` are those of what was
        read so far."""
        decoder = Decoder(mid_stream=True)
        for path in self.frame_files:
            reader = FrameReader(path)
            for piece in reader:
                if not piece.data:
                    self._count(decoder)
                    decoder = Decoder(mid_stream=True)
                    yield piece.unix_s, None
                for item in decoder.feed(piece.data):
                    yield piece.unix_s, item
            if reader.cut:
                self.cut.append(f"{path.name}: {reader.cut}")
        self._count(decoder)

    def forget(self) -> None:
        """Before it is read again."""
        self.counts = dict.fromkeys(COUNTERS, 0)
        self.cut = [] if self.meta.get("finalized") else [NOT_FINALIZED]

    def _count(self, decoder: Decoder) -> None:
        for name in COUNTERS:
            self.counts[name] += getattr(decoder, name)

    def tables(self) -> dict[int, list[Path]]:
        """{cell: its tables, part after part}."""
        found: dict[int, list[Path]] = {}
        for path in sorted(self.folder.glob("*.cell*.bdf.csv"), key=part_of):
            found.setdefault(int(path.name.split(".")[1].removeprefix("cell")), []).append(path)
        return found

    def columns(self, cell: int) -> dict[str, list[float]]:
        """{column: values} of a cell over all parts; NaN for what is not known. What was cut goes to `cut`."""
        columns: dict[str, list[float]] = {}
        for path in self.tables().get(cell, []):
            lines, cut = whole_lines(path)
            if cut:
                self.cut.append(f"{path.name}: {cut}")
            names = lines[0].split(",") if lines else []  # none: it was killed before its first line was written
            for row in lines[1:]:
                for name, value in zip(names, row.split(","), strict=True):
                    columns.setdefault(name, []).append(float(value) if value else float("nan"))
        return columns


def part_of(path: Path) -> tuple[int, str]:
    """Parts in their order: 9999 before 10000."""
    number = path.name.split(".")[0]
    return len(number), number


def read_meta(folder: Path) -> dict[str, Any]:
    path = folder / META_NAME
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        said = f"this is no recording: {META_NAME} is missing or damaged ({error})"
        raise AssbError(said, str(folder), "`assb record` writes recordings") from None
