"""Loads that a scenario asks of the cycler: one class per `kind`; `LOADS` is the table of them. + charges."""

from bisect import bisect_right
from functools import cached_property
from itertools import accumulate
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

Seconds = Annotated[float, Meta(ge=0.0)]
Positive = Annotated[float, Meta(gt=0.0)]
Amperes = Annotated[float, Meta(ge=-1000.0, le=1000.0)]


class Load(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """From `at_s` on, until the next load begins."""

    at_s: Seconds
    kind: ClassVar[str] = ""

    def current_at(self, elapsed_s: float) -> float:
        """Current that the load asks for, `elapsed_s` after it began."""
        raise NotImplementedError


class Rest(Load, frozen=True, kw_only=True):
    """No current."""

    kind: ClassVar[str] = "rest"

    def current_at(self, elapsed_s: float) -> float:
        return 0.0


class ConstantCurrent(Load, frozen=True, kw_only=True):
    """One current for good."""

    kind: ClassVar[str] = "cc"
    current_a: Amperes

    def current_at(self, elapsed_s: float) -> float:
        return self.current_a


class ConstantCurrentVoltage(Load, frozen=True, kw_only=True):
    """A charge: `current_a` up to `voltage_max_v`, then held there until the current is below `cutoff_a`, then rest."""

    kind: ClassVar[str] = "cccv"
    current_a: Positive
    voltage_max_v: Annotated[float, Meta(gt=0.0, le=6.0)]  # pyright: ignore[reportIncompatibleVariableOverride]
    cutoff_a: Positive  # pyright: ignore[reportIncompatibleVariableOverride]

    def current_at(self, elapsed_s: float) -> float:
        return self.current_a


class Pulse(Load, frozen=True, kw_only=True):
    """`current_a` for `on_s`, rest for `off_s`, `count` times; then rest."""

    kind: ClassVar[str] = "pulse"
    current_a: Amperes
    on_s: Positive
    off_s: Seconds
    count: Annotated[int, Meta(ge=1)] = 1

    def current_at(self, elapsed_s: float) -> float:
        turn, within_s = divmod(elapsed_s, self.on_s + self.off_s)
        return self.current_a if turn < self.count and within_s < self.on_s else 0.0


class Drive(Load, frozen=True, kw_only=True, dict=True):
    """A drive cycle: straight lines between the ends of `segments` ([duration_s, current_a at its end], …), from rest.

    Played `repeat` times, times `scale`.
    """

    kind: ClassVar[str] = "drive"
    segments: Annotated[tuple[tuple[Positive, Amperes], ...], Meta(min_length=1)]
    scale: float = 1.0
    repeat: Annotated[int, Meta(ge=1)] = 1

    @cached_property
    def ends_s(self) -> list[float]:
        """End of each segment, from the beginning of a turn."""
        return list(accumulate(duration_s for duration_s, _ in self.segments))

    def current_at(self, elapsed_s: float) -> float:
        ends_s = self.ends_s
        turn, within_s = divmod(elapsed_s, ends_s[-1])
        if turn >= self.repeat:
            return 0.0
        position = min(bisect_right(ends_s, within_s), len(ends_s) - 1)
        duration_s, end_a = self.segments[position]
        start_a = self.segments[position - 1][1] if position else 0.0
        done = 1.0 - (ends_s[position] - within_s) / duration_s
        return self.scale * (start_a + (end_a - start_a) * done)


LOADS: dict[str, type[Load]] = {cls.kind: cls for cls in (Rest, ConstantCurrent, ConstantCurrentVoltage, Pulse, Drive)}
