"""Trends as ECharts takes them: options, series, points."""

import math

from assb_host.monitor import view as plain
from assb_host.monitor.board import WatchedBoard

SERIES_COLOURS = ("#1d8fb5", "#d9822b", "#2e9d4f", "#8e44ad", "#d33232", "#7f8c1f", "#555555", "#c2559d")


def trend_points(board: WatchedBoard, row: plain.TrendRow, from_s: float) -> list[list[list]]:
    """The points of each of the row's trends since then, as ECharts takes them."""
    trends = [board.history.trends.get(name) for name in row.names]
    return [chart_points(trend.points(from_s), row.factor) if trend else [] for trend in trends]


def chart_series(name: str, at: int, data: list[list], marks: dict | None) -> dict:
    colour = SERIES_COLOURS[at % len(SERIES_COLOURS)]
    series = {"name": name, "type": "line", "showSymbol": False, "data": data, "animation": False,
              "lineStyle": {"width": 1.2, "color": colour}, "itemStyle": {"color": colour}}  # fmt: skip
    return series | {"markLine": marks} if marks else series


def chart_points(points, factor: float) -> list[list]:
    """[ms, value] for ECharts; both extremes of a span that has two, null where the line ends."""
    found: list[list] = []
    for t_s, low, high in points:
        at_ms = round(1000 * t_s)
        if math.isnan(low):
            found.append([at_ms, None])
            continue
        found.append([at_ms, round(low * factor, 6)])
        if high != low:
            found.append([at_ms, round(high * factor, 6)])
    return found


def chart_options(row: plain.TrendRow) -> dict:
    return {
        "title": {
            "text": f"{row.title} / {row.unit}",
            "left": 54,
            "top": 0,
            "textStyle": {"fontSize": 12, "fontWeight": "normal"},
        },
        "grid": {"left": 60, "right": 12, "top": 28, "bottom": 44},
        "xAxis": {"type": "time"},
        "yAxis": {"type": "value", "scale": True},
        "tooltip": {"trigger": "axis"},
        "dataZoom": [{"type": "inside"}, {"type": "slider", "height": 14, "bottom": 4}],
        "animation": False,
        "series": [],
    }


def mark_line(marks: dict[str, float]) -> dict:
    """Dashed lines across a chart."""
    lines = []
    for name, value in marks.items():
        side = "insideEndTop" if name == "target" else "insideStartTop"
        lines.append({"yAxis": value, "name": name, "label": {"formatter": name, "position": side}})
    style = {"type": "dashed", "color": "#888888"}
    return {"silent": True, "symbol": "none", "lineStyle": style, "data": lines}
