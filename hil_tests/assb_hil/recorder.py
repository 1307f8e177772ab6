"""Everything that a run leaves behind: the truth at a steady rate, what the board said, events, and one hash over all.

Times are seconds since the scenario began. The hash covers every console byte with its virtual time, every truth row
and every act of the rig: the same seed gives the same hash, bit for bit.
"""

import hashlib
import struct
from array import array
from typing import Any

from assb.protocol import schema
from assb_host.link.capture import Capture, Captures
from assb_host.link.decoder import Decoder, Frame, Line
from assb_host.link.units import evidences_of, physical_pair, word

PACK_TRUTH = ("true_current_a", "ambient_degc")
UNIT_TRUTH = (
    "true_soc_frac", "true_temperature_degc", "true_pressure_mpa", "true_leak_a", "true_short_s", "true_r0_ohm",
    "true_contact_lost_frac", "true_filament_frac",
)  # fmt: skip
EVENT_ROWS = {row[0]: row for row in schema.EVENTS}
NO_SAMPLES = (schema.HELLO, schema.LOG, schema.FRAME, schema.CRASH)  # they tell of another time
PARAMETER_NAMES = {row[0]: row[1] for row in schema.PARAMETERS}
# What the numbers of an event mean: a column named like this is a position in that list of words
WORD_LISTS = {
    "from_state": schema.STATES,
    "to_state": schema.STATES,
    "stage": schema.STAGES,
    "reset_cause": schema.RESET_CAUSES,
    "reason": schema.UNUSED_REASONS,
    "store": schema.STORAGE_PLACES,
    "cause": schema.LOCKOUT_CAUSES,
    "row": tuple(row[1] for row in schema.LIMIT_ROWS),
}


def of_cell(name: str, cell: int) -> str:
    """A series of that cell: the first cell's goes by the plain name."""
    return f"{name}[{cell}]" if cell else name


def truth_names(units: int = 1, monitors: int = 1) -> tuple[str, ...]:
    """Columns of the truth: the pack's, the voltage that each monitor sees, then those of every unit. Where a monitor
    sees several units, theirs are told one by one."""
    names = [*PACK_TRUTH, *(of_cell("true_voltage_v", at) for at in range(monitors))]
    per_unit = UNIT_TRUTH if units == monitors else (*UNIT_TRUTH, "true_unit_voltage_v")
    return (*names, *(of_cell(name, unit) for unit in range(units) for name in per_unit))


def unit_of_field(field: str) -> tuple[str, float]:
    """(name in physical units, what one count of the wire is worth)."""
    name, factor = physical_pair(field, 1)
    return str(name), float(factor)


class Recorder:
    """Series by name: truth columns, and every field of the board's messages in physical units (see `of_cell`)."""

    def __init__(self, keeps: bool = True, truth: tuple[str, ...] = truth_names()) -> None:
        """`keeps` False: frames are decoded and nothing is remembered, for a bench that stands for days."""
        self.keeps = keeps
        self.truth_names = truth
        self.decoder = Decoder(mid_stream=False)
        self.series: dict[str, tuple[array, array]] = {}
        self.events: list[dict[str, Any]] = []
        self.captures: list[Capture] = []
        self._captures = Captures()
        self.lines: list[tuple[float, str]] = []
        self.hello: dict[str, Any] = {}
        self.hello_count = 0
        self.frame_bytes = bytearray()
        self._hash = hashlib.sha256()
        self._truth_struct = struct.Struct(f"<{1 + len(truth)}d")
        self._columns: dict[tuple[str, int], list[tuple[str, str, float]]] = {}
        self.clock_offset_s: float | None = None  # scenario time minus the board's; None: from the first frame

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def truth(self, t_s: float, values: tuple[float, ...]) -> None:
        """One row of what is really so."""
        self._hash.update(self._truth_struct.pack(t_s, *values))
        if not self.keeps:
            return
        for name, value in zip(self.truth_names, values, strict=True):
            self._add(name, t_s, value)

    def rig_event(self, t_s: float, name: str, source: str, fields: dict[str, Any]) -> None:
        """Something that the rig did or saw; `source` is "rig", "host" or "plant"."""
        self._hash.update(f"{t_s:.6f} {source} {name} {sorted(fields.items())}".encode())
        if not self.keeps:
            return
        self.events.append({**fields, "t_s": t_s, "source": source, "name": name})

    def console(self, t_s: float, data: bytes) -> list[Frame]:
        """Bytes that the board sent; returns the frames that are complete with them."""
        self._hash.update(struct.pack("<dI", t_s, len(data)) + data)
        if not self.keeps:
            return [item for item in self.decoder.feed(data) if isinstance(item, Frame)]
        self.frame_bytes += data
        frames = []
        for item in self.decoder.feed(data):
            if isinstance(item, Line):
                self.lines.append((t_s, item.text))
            else:
                self._frame(t_s, item)
                frames.append(item)
        return frames

    def _frame(self, t_s: float, frame: Frame) -> None:
        if frame.type == schema.HELLO:
            self.hello = frame.fields
            self.hello_count += 1
        if self.clock_offset_s is None:
            self.clock_offset_s = t_s - 1e-3 * frame.t_ms
        if frame.type == schema.EVENT:
            self._board_event(1e-3 * frame.t_ms + self.clock_offset_s, frame.fields)
        elif frame.type == schema.CAPTURE:
            whole = self._captures.take(frame.fields)
            self.captures += [whole] if whole else []
        elif frame.type not in NO_SAMPLES:
            self._sample(1e-3 * frame.t_ms + self.clock_offset_s, frame)

    def _sample(self, t_s: float, frame: Frame) -> None:
        cell = int(frame.fields.get("cell", 0))
        columns = self._columns.get((frame.name, cell))
        if columns is None:
            columns = self._columns[frame.name, cell] = [
                (field, of_cell(name, cell), factor)
                for field, value in frame.fields.items()
                if isinstance(value, int)
                for name, factor in [unit_of_field(field)]
            ]
        for field, name, factor in columns:
            self._add(name, t_s, int(frame.fields[field]) * factor)

    def _board_event(self, t_s: float, fields: dict[str, Any]) -> None:
        row = EVENT_ROWS.get(fields["event"])
        event: dict[str, Any] = {
            "t_s": round(t_s, 3),
            "source": "board",
            "name": row[1] if row else f"#{fields['event']}",
        }
        columns = row[2:] if row else ("a", "b")
        for column, value in zip(columns, (fields["a"], fields["b"]), strict=True):
            if column:
                event[column] = self._word(column, value)
        self.events.append(event)

    @staticmethod
    def _word(column: str, value: int) -> int | str:
        if column == "carried_bits":
            return " ".join(evidences_of(value))
        if column in WORD_LISTS:
            return word(WORD_LISTS[column], value)
        return PARAMETER_NAMES.get(value, value) if column == "parameter" else value

    def _add(self, name: str, t_s: float, value: float) -> None:
        try:
            times, values = self.series[name]
        except KeyError:
            times, values = self.series[name] = (array("d"), array("d"))
        times.append(t_s)
        values.append(value)

    def window(self, name: str, from_s: float, to_s: float) -> tuple[list[float], list[float]]:
        """(times, values) of a series within a span; empty when there is no such series."""
        times, values = self.series.get(name, (array("d"), array("d")))
        chosen = [(t, v) for t, v in zip(times, values, strict=True) if from_s <= t <= to_s]
        return [t for t, _ in chosen], [v for _, v in chosen]

    def events_named(self, name: str, source: str | None = None) -> list[dict[str, Any]]:
        """Events of a name, by time."""
        return [e for e in self.events if e["name"] == name and source in (None, e["source"])]
