"""Freeze frames of a board, put together from their CAPTURE or FRAME frames: the fast samples around what happened."""

from dataclasses import dataclass
from math import isnan
from typing import Any

from assb.protocol import schema

from assb_host.link.units import word

BY_HOST = 255  # in place of a cell: the host asked for it
BY_ROW = 254  # a limit row opened the contactor: the stage is its position
UNKNOWN = schema.INT30_MIN  # in place of a value: the sensor gave none
LEAD = 3  # values of a row before the voltages: t_ms, current_ua, pressure_kpa
HEAD = ("time_s", "current_a", "pressure_mpa")


@dataclass(frozen=True)
class Capture:
    """One frame that is whole. `rows`: (time_s, current_a, pressure_mpa, voltage_v of each cell), NaN where a sensor
    gave nothing; time 0 is the tick that saw it, `trigger_ms` on the board's clock (modulo 2^30)."""

    number: int
    cell: int | None  # None: the host asked for it, or a limit row opened
    stage: str  # or the limit row
    trigger_ms: int
    rows: tuple[tuple[float, ...], ...]

    @property
    def name(self) -> str:
        """For a file: `1_cell0_soft_short`, `2_trip_overtemperature`, `3_asked`."""
        if self.cell is None:
            return f"{self.number}_trip_{self.stage}" if self.stage != "none" else f"{self.number}_asked"
        return f"{self.number}_cell{self.cell}_{self.stage}"

    def csv(self) -> str:
        """A table with a line of names and units; a cell left empty is a value that is not known."""
        cells = len(self.rows[0]) - LEAD
        lines = [",".join((*HEAD, *(f"voltage_v[{cell}]" if cell else "voltage_v" for cell in range(cells))))]
        lines += [",".join("" if isnan(value) else f"{value:.9g}" for value in row) for row in self.rows]
        return "\n".join(lines) + "\n"


class Captures:
    """Feed it the fields of every CAPTURE, or FRAME, frame; `take` gives a Capture when one is whole.

    A board sends a frame in order; what was lost on the way comes when the host asks again (`capture`).
    """

    def __init__(self):
        self._number: int | None = None
        self._parts: dict[int, tuple[int, ...]] = {}
        self._whole = False

    def take(self, fields: dict[str, Any]) -> Capture | None:
        number, width, count = fields["number"], fields["width"], fields["rows"]
        if number != self._number:
            self._number, self._parts, self._whole = number, {}, False
        values = fields["values"]
        for row in range(len(values) // width if width > LEAD else 0):
            self._parts[fields["row"] + row] = tuple(values[row * width : (row + 1) * width])
        if self._whole or any(row not in self._parts for row in range(count)) or not count:
            return None
        self._whole = True
        return self._put_together(fields)

    def _put_together(self, fields) -> Capture:
        """The tick that triggered is the first after what came before, or the last where nothing came after it."""
        count = fields["rows"]
        trigger_ms = self._parts[min(fields["trigger_row"], count - 1)][0]
        cell, words = fields["cell"], schema.STAGES
        if cell == BY_ROW:
            words = tuple(row[1] for row in schema.LIMIT_ROWS)
        return Capture(
            number=fields["number"],
            cell=None if cell in (BY_HOST, BY_ROW) else cell,
            stage=word(words, fields["stage"]),
            trigger_ms=trigger_ms,
            rows=tuple(physical_row(self._parts[row], trigger_ms) for row in range(count)),
        )


def physical_row(row: tuple[int, ...], trigger_ms: int) -> tuple[float, ...]:
    half = schema.TICKS_PERIOD_MS // 2
    time_ms = (row[0] - trigger_ms + half) % schema.TICKS_PERIOD_MS - half
    factors = (1e-6, 1e-3, *(1e-6 for _ in row[LEAD:]))
    values = (
        float("nan") if value == UNKNOWN else value * factor for value, factor in zip(row[1:], factors, strict=True)
    )
    return (1e-3 * time_ms, *values)
