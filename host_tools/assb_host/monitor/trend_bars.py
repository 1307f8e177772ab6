"""A trend as bars of block characters, for a terminal."""

import math

EIGHTHS = " ▁▂▃▄▅▆▇█"


def columns_of(points, from_s: float, to_s: float, width: int) -> list[tuple[float, float] | None]:
    """(lowest, highest) in each of `width` columns of time; None where nothing was heard."""
    columns: list[tuple[float, float] | None] = [None] * width
    for t_s, low, high in points:
        if math.isnan(low) or not from_s <= t_s <= to_s:
            continue
        at = min(width - 1, int((t_s - from_s) / (to_s - from_s) * width))
        before = columns[at]
        columns[at] = (low, high) if before is None else (min(low, before[0]), max(high, before[1]))
    return columns


def bars(columns, height: int) -> tuple[list[str], float, float]:
    """(lines from the top, lowest, highest value). The lowest is one eighth high, so that it shows; the highest leaves
    one eighth free, so that plots below each other stay apart."""
    known = [column for column in columns if column]
    if not known:
        return [" " * len(columns)] * height, math.nan, math.nan
    low, high = min(column[0] for column in known), max(column[1] for column in known)
    span = high - low
    steps = 8 * height
    lines = []
    for row in reversed(range(height)):
        signs = []
        for column in columns:
            if column is None:
                signs.append(" ")
                continue
            mean = (column[0] + column[1]) / 2
            level = 1 + round((mean - low) / span * (steps - 2)) if span > 0 else steps // 2
            signs.append(EIGHTHS[max(0, min(8, level - 8 * row))])
        lines.append("".join(signs))
    return lines, low, high
