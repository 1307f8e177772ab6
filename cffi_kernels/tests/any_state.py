"""States, parameters and samples that are drawn from few numbers, so that they often meet each other or a threshold.

What a sequence of steps reaches leaves most comparisons of a kernel far from equality; from here every one is met.
"""

import random
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

from assb_kernels._kernels import ffi
from cases import so_many

GRID = (0.0, 0.0, 0.25, 0.5, 0.5, 1.0, 1.0, 2.0, 3.0, 4.0, -0.25, -0.5, -1.0, -2.0)
STEPS_S = (0.125, 0.25, 0.5, 0.5, 1.0, 4.0, 0.1, 0.95)
# Whole numbers in their range: an index or a count beyond it is no state that the kernel can be in
WHOLE = {
    "ages": (0, 1, 2, 15, 16), "has_before": (0, 1, 2), "bin": (-1, 0, 1, 23, 24, 47), "points": (0, 1, 2, 3),
    "holds": (0, 1, 2, 3, 4), "cycles": (0, 1, 2, 3, 4, 9, 10, 11), "lows": (0, 1, 2, 3), "seen": (0, 1, 2, 3),
    "steps": (0, 1, 7, 8, 9), "recent_steps": (0, 7, 8), "stalls": (0, 1, 2, 3), "direction": (-1, 0, 1),
    "visits": (0, 1, 2, 3, 4, 7, 8), "stage": (0, 1, 2, 3), "carried": (0, 1, 4, 64), "state": (0, 1, 2, 3),
    "windows": (0, 1, 2, 3), "falls": (0, 1, 2), "cells": (-1, 1, 3), "after_n": (0, 1, 2), "total": (0, 1, 5),
    "known": (0, 1), "table_known": (0, 1), "level_known": (0, 1), "waits": (0, 1), "near": (0, 1), "begun": (0, 1),
    "turned": (0, 1), "steady": (0, 1), "has_soc": (0, 1), "alone": (0, 1), "lost": (0, 1), "doubted": (0, 1),
    "ends": (0, 1), "jumps": (0, 1), "rows": (0, 1, 4), "edge": (0, 1, 5, 11, 19), "passed": (0, 1, 1, 19),
    "tenth": (0, 1, 2, 3, 5, 6, 7, 8, 9, 10), "way": (0, 1),
}  # fmt: skip
# Below zero no time, variance or sum of squares is
NEVER_NEGATIVE = (
    "_s",
    "_v2",
    "doubt2",
    "contact2",
    "var",
    "learned",
    "_sigma",
    "travelled",
    "active",
    "most_v",
    "usual_v",
    "usual",
    "ratio",
    "score",
    "sure",
)


def constants(modules: Iterable[ModuleType]) -> list[float]:
    """The thresholds that are written into the twin's modules."""
    numbers = {
        abs(float(value))
        for module in modules
        for name, value in vars(module).items()
        if name.upper() == name and isinstance(value, int | float)
    }
    return sorted(number for number in numbers if number <= 1e5)


class Draw:
    """Numbers that often are equal to each other, or stand a time step before a threshold."""

    def __init__(self, seed: int, thresholds: list[float]) -> None:
        self.random = random.Random(seed)
        self._thresholds = thresholds
        self.dt_s = 0.5

    def number(self, name: str) -> float:
        rng = self.random
        if name in WHOLE:
            return float(rng.choice(WHOLE[name]))
        kind = rng.random()
        if kind < 0.5:
            value = rng.choice(GRID)
        elif kind < 0.8:
            value = rng.choice(self._thresholds)
            value = value - self.dt_s if rng.random() < 0.4 else value * rng.choice((1.0, 1.0, -1.0))
        else:
            value = rng.uniform(-4.0, 4.0) * 10.0 ** rng.randint(-3, 2)
        return abs(value) if name.endswith(NEVER_NEGATIVE) else value

    def fill_array(self, array: Any, name: str, kind: Any) -> None:
        for at in range(kind.length):
            if kind.item.kind == "struct":
                self.fill(array[at])
            else:
                array[at] = self.number(name)

    def fill(self, struct: Any, only: Callable[[str], bool] = lambda name: True) -> None:
        """Members of a C struct of reals, nested ones too."""
        for name, field in ffi.typeof(struct).fields:
            if not only(name):
                continue
            kind = field.type.kind
            if kind == "struct":
                self.fill(getattr(struct, name))
            elif kind == "array":
                self.fill_array(getattr(struct, name), name, field.type)
            else:
                setattr(struct, name, self.number(name))


def pursue(count: int, begin: Callable[[], Any], act: Callable[[Any], None]) -> int:
    """Cases in which the twin divides by zero, or overflows, are none; returns how many of `count` were left."""
    whole, tried = 0, so_many(count)
    for _ in range(tried):
        try:
            twin = begin()
            act(twin)
        except (ZeroDivisionError, OverflowError):
            continue
        whole += 1
    return round(whole * count / tried)
