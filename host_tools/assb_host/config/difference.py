"""What two config images say differently: each value by its name in the schema."""

from collections.abc import Iterator, Sequence
from typing import Any

from assb.estimation import parameters as estimator_layout
from assb.protocol import schema
from assb.protocol.image import Config, decode

Difference = tuple[str, Any, Any]
ABSENT = "-"
LIMIT_FIELDS = (
    "flags", "recovery", "trips_to_lockout", "warn", "derate", "trip", "reset", "debounce_ms", "recovery_ms",
)  # fmt: skip
DEVICE_FIELDS = ("bus", "address", "pins", "arguments")


def differences(first: bytes, second: bytes) -> Iterator[Difference]:
    """(what, in the first, in the second), in the order of the image. Raises ImageError."""
    one, other = decode(first), decode(second)
    for what, a, b in zip(("board", "pack", "cell"), one.names, other.names, strict=True):
        yield from _changed(what, a, b)
    for name in one.parameters:
        yield from _changed(name, one.parameters[name], other.parameters[name])
    for row, a, b in zip(schema.LIMIT_ROWS, one.limits, other.limits, strict=True):
        for field, x, y in zip(LIMIT_FIELDS, a[1:], b[1:], strict=True):
            yield from _changed(f"{row[1]}.{field}", x, y)
    yield from _devices(one, other)
    yield from _estimator(one.estimator, other.estimator)


def _changed(what: str, a: Any, b: Any) -> Iterator[Difference]:
    if a != b:
        yield what, a, b


def _devices(one: Config, other: Config) -> Iterator[Difference]:
    first, second = ({device[:2]: device[2:] for device in config.devices} for config in (one, other))
    for kind, instance in dict.fromkeys([*first, *second]):
        a, b = first.get((kind, instance)), second.get((kind, instance))
        where = f"{kind}[{instance}]"
        if a is None or b is None:
            yield where, "fitted" if a else ABSENT, "fitted" if b else ABSENT
            continue
        for field, x, y in zip(DEVICE_FIELDS, a, b, strict=True):
            yield from _changed(f"{where}.{field}", x, y)


def _estimator(one: Sequence[float], other: Sequence[float]) -> Iterator[Difference]:
    """A row that is a table is one difference: what of it differs most."""
    for name, count in estimator_layout.rows():
        at = estimator_layout.offset(name)
        pairs = [(a, b) for a, b in zip(one[at : at + count], other[at : at + count], strict=True) if a != b]
        if pairs:
            a, b = max(pairs, key=lambda pair: abs(pair[0] - pair[1]))
            what = f"estimator.{name}" + (f" ({len(pairs)} of {count} values, the most)" if count > 1 else "")
            yield what, float(f"{a:.6g}"), float(f"{b:.6g}")
