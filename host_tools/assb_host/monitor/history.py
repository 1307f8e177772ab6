"""Trends over the last hours in bounded memory: the newest minutes as they came, older ones as extremes of a span."""

import math
from array import array
from collections.abc import Iterator

POINTS = 1500  # of each level
# seconds that one point stands for: all of 2.5 min at 10 Hz, 50 min, and 8.3 h
LEVELS_S = (0.1, 2.0, 20.0)


class Level:
    """A ring of (end time, lowest, highest) over spans of fixed length."""

    def __init__(self, span_s: float):
        self.span_s = span_s
        self._ring = [array("d", [math.nan]) * POINTS for _ in range(3)]
        self._count = 0
        self._index = math.nan  # of the span that is open

    def add(self, t_s: float, value: float) -> None:
        """NaN ends a line: a gap shows as a gap."""
        index = t_s // self.span_s
        times, lows, highs = self._ring
        at = (self._count - 1) % POINTS
        if index == self._index and not math.isnan(value) and not math.isnan(lows[at]):
            times[at], lows[at], highs[at] = t_s, min(lows[at], value), max(highs[at], value)
            return
        self._index = index
        at = self._count % POINTS
        times[at], lows[at], highs[at] = t_s, value, value
        self._count += 1

    def points(self) -> Iterator[tuple[float, float, float]]:
        """Oldest first."""
        for position in range(max(0, self._count - POINTS), self._count):
            at = position % POINTS
            yield self._ring[0][at], self._ring[1][at], self._ring[2][at]


class Trend:
    """One quantity."""

    def __init__(self):
        self.latest = math.nan
        self._levels = [Level(span_s) for span_s in LEVELS_S]

    def add(self, t_s: float, value: float) -> None:
        self.latest = value
        for level in self._levels:
            level.add(t_s, value)

    def points(self, from_s: float, span_max_s: float = LEVELS_S[0]) -> list[tuple[float, float, float]]:
        """(time, lowest, highest) since then, oldest first: of the finest level that is not finer than asked and still
        goes back so far, coarser ones before it."""
        wanted = [level for level in self._levels if level.span_s >= span_max_s] or self._levels[-1:]
        found: list[tuple[float, float, float]] = []
        for level in wanted:
            older = list(level.points())
            begin_s = found[0][0] if found else math.inf
            found = [point for point in older if from_s <= point[0] < begin_s - (level.span_s if found else 0)] + found
        return found


class History:
    """Trends by name; times are time.time()."""

    def __init__(self):
        self.trends: dict[str, Trend] = {}

    def add(self, name: str, t_s: float, value: float | None) -> None:
        trend = self.trends.get(name)
        if trend is None:
            trend = self.trends[name] = Trend()
        trend.add(t_s, math.nan if value is None else value)

    def end_lines(self, t_s: float) -> None:
        """What comes next does not join what was."""
        for trend in self.trends.values():
            if not math.isnan(trend.latest):
                trend.add(t_s, math.nan)
