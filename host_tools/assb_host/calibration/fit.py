"""From points (what the reference says, what the board says) to the corrections that a board keeps; refuses nonsense.

The board corrects what its image makes of a code: `corrected = raw * (1 + gain) + offset`. Least squares over raw,
which is worked out from readings that were taken with the corrections of before.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite

from assb.protocol import schema

from assb_host.errors import AssbError

ROWS = {row[1]: row for row in schema.PARAMETERS}
LINE_FRAC = 0.02  # of the span: a residual beyond it is no calibration error of a sensor (assumption)


class CalibrationError(AssbError):
    """The points make no calibration; the board was left as it was."""


@dataclass(frozen=True)
class Point:
    """In the unit of the kind. `read` with the corrections that were on the board then."""

    reference: float
    read: float


@dataclass(frozen=True)
class Kind:
    """What is calibrated. `parameters`: (gain, offset), either may be ""; `per_unit`: wire units of the offset per
    unit; `span_least`: references must lie so far apart, where a gain is looked for."""

    name: str
    unit: str
    signal: str  # of telemetry, in that unit
    parameters: tuple[str, str]
    per_unit: float
    points_least: int
    span_least: float
    noise: float  # in the unit: residuals below it are none


LOAD_CELL = ("load_cell_span_ppm", "load_cell_zero_shift_counts")
KINDS = {
    kind.name: kind
    for kind in (
        Kind("load-cell", "MPa", "pressure_mpa", LOAD_CELL, 1, 3, 0.5, 0.01),
        Kind("current", "A", "current_a", ("current_gain_ppm", "current_offset_ua"), 1e6, 3, 0.05, 0.0005),
        Kind("voltage", "V", "voltage_v", ("voltage_gain_ppm", ""), 1, 2, 0.5, 0.0005),
        Kind("temperature", "°C", "temperature_degc", ("", "temperature_offset_cdegc"), 100, 2, 0.0, 0.2),
    )
}


@dataclass(frozen=True)
class Fit:
    """`values`: parameters to be set. `residuals`: corrected less reference, one per point."""

    kind: Kind
    points: tuple[Point, ...]
    gain: float
    offset: float  # in the unit
    values: dict[str, int]
    residuals: tuple[float, ...]


def fitted(kind: Kind, points: list[Point], before: dict[str, int], kpa_per_count: float = 1.0) -> Fit:
    """`before`: the parameters as they were while the points were read. Raises CalibrationError."""
    demand_points(kind, points)
    to_raw = raw_of(kind, before, kpa_per_count)
    raw, references = [to_raw(point.read) for point in points], [point.reference for point in points]
    gain, offset = line(kind, raw, references)
    residuals = tuple(gain * x + offset - y for x, y in zip(raw, references, strict=True))
    demand_line(kind, references, residuals)
    values = wire_values(kind, gain, offset, kpa_per_count)
    for name, value in values.items():
        _, _, _, lowest, highest, _ = ROWS[name]
        if not lowest <= value <= highest:
            seen = f"{name} would be {value}, beyond what a board takes ({lowest} to {highest})"
            raise CalibrationError(seen, kind.name, "check the reference, its unit and its sign, and the wiring")
    return Fit(kind, tuple(points), gain, offset, values, residuals)


def demand_points(kind: Kind, points: list[Point]) -> None:
    if len(points) < kind.points_least:
        seen = f"{len(points)} points are too few"
        raise CalibrationError(seen, kind.name, f"take {kind.points_least} at the least, spread over the range")
    if odd := [point for point in points if not (isfinite(point.reference) and isfinite(point.read))]:
        seen = f"a point is no pair of numbers: {odd[0].reference:g}, {odd[0].read:g}"
        raise CalibrationError(seen, kind.name, "take that point again")
    ordered = sorted(points, key=lambda point: point.reference)
    for low, high in pairwise(ordered):
        if kind.span_least and not (high.reference > low.reference and high.read > low.read):
            seen = (
                f"readings do not rise with the reference: {low.reference:g} reads {low.read:g}, "
                f"{high.reference:g} reads {high.read:g} {kind.unit}"
            )
            raise CalibrationError(seen, kind.name, "each point at another reference; check sign and sensor")
    span = ordered[-1].reference - ordered[0].reference
    if span < kind.span_least:
        seen = f"the points span {span:g} {kind.unit}, which tells no gain"
        raise CalibrationError(seen, kind.name, f"spread them over {kind.span_least:g} {kind.unit} at the least")


def demand_line(kind: Kind, references: list[float], residuals: tuple[float, ...]) -> None:
    span = max(references) - min(references)
    allowed = max(LINE_FRAC * span, kind.noise)
    worst = max(range(len(residuals)), key=lambda at: abs(residuals[at]))
    if abs(residuals[worst]) > allowed:
        seen = (
            f"the points lie on no line: the one at {references[worst]:g} {kind.unit} is {residuals[worst]:+.4g} off, "
            f"{allowed:.4g} is allowed"
        )
        raise CalibrationError(seen, kind.name, "take that point again")


def raw_of(kind: Kind, before: dict[str, int], kpa_per_count: float) -> Callable[[float], float]:
    gain, offset = (before.get(name, 0) for name in kind.parameters)
    scale = 1 + 1e-6 * gain
    if kind.name == "load-cell":
        return lambda read: read / scale + 1e-3 * kpa_per_count * offset
    return lambda read: (read - offset / kind.per_unit) / scale


def line(kind: Kind, raw: list[float], references: list[float]) -> tuple[float, float]:
    """(gain, offset) of those that the kind has."""
    has_gain, has_offset = (bool(name) for name in kind.parameters)
    count = len(raw)
    if not has_gain:
        return 1.0, (sum(references) - sum(raw)) / count
    if not has_offset:
        return sum(x * y for x, y in zip(raw, references, strict=True)) / sum(x * x for x in raw), 0.0
    mean_x, mean_y = sum(raw) / count, sum(references) / count
    gain = sum((x - mean_x) * (y - mean_y) for x, y in zip(raw, references, strict=True)) / sum(
        (x - mean_x) ** 2 for x in raw
    )
    return gain, mean_y - gain * mean_x


def wire_values(kind: Kind, gain: float, offset: float, kpa_per_count: float) -> dict[str, int]:
    gain_name, offset_name = kind.parameters
    values = {}  # the offset first: the board may refuse it, and then has nothing of this
    if kind.name == "load-cell":
        values[offset_name] = round(-offset / gain / (1e-3 * kpa_per_count))
    elif offset_name:
        values[offset_name] = round(kind.per_unit * offset)
    if gain_name:
        values[gain_name] = round(1e6 * (gain - 1))
    return values
