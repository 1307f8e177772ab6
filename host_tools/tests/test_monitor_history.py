"""Trends keep hours in bounded memory, lose no extreme, and show gaps as gaps."""

import itertools
import math
import tracemalloc
from types import SimpleNamespace

from assb_host.commands.monitor import plain_line
from assb_host.link.decoder import Decoder
from assb_host.link.picture import Picture
from assb_host.monitor.chart_data import chart_points
from assb_host.monitor.history import LEVELS_S, POINTS, History, Trend
from assb_host.monitor.trend_bars import bars, columns_of
from assb_host.monitor.view import meaning_of
from board_stream import BoardStream

HOUR_S = 3600.0


def test_eight_hours_at_ten_a_second_stay_bounded_and_keep_every_extreme():
    tracemalloc.start()
    trend = Trend()
    begun_s = 1.7e9
    for at in range(8 * 36000):
        trend.add(begun_s + at / 10, 5.0 if at == 3 * 36000 + 7 else -2.0 if at == 36000 else 1.0)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    end_s = begun_s + 8 * HOUR_S
    points = trend.points(end_s - 8 * HOUR_S)
    assert held < 200_000
    assert len(points) <= len(LEVELS_S) * POINTS
    assert points[0][0] - begun_s <= LEVELS_S[-1]
    assert end_s - points[-1][0] < 0.2
    assert (min(low for _, low, _ in points), max(high for _, _, high in points)) == (-2.0, 5.0)
    times = [t_s for t_s, _, _ in points]
    assert times == sorted(times)
    assert max(b - a for a, b in itertools.pairwise(times)) < 2.5 * LEVELS_S[-1]
    peak_s = next(t_s for t_s, _, high in points if high == 5.0)
    assert abs(peak_s - (begun_s + 3 * HOUR_S + 0.7)) <= LEVELS_S[-1]


def test_a_gap_is_not_bridged():
    history = History()
    for at in range(50):
        history.add("x", 1000 + at / 10, 1.0)
    history.end_lines(1005)
    for at in range(50):
        history.add("x", 1060 + at / 10, 2.0)
    drawn = chart_points(history.trends["x"].points(0.0), 1.0)
    assert [value for _, value in drawn].count(None) == 1
    columns = columns_of(history.trends["x"].points(0.0), 1000, 1066, 66)
    assert columns[30] is None
    assert columns[2] == (1.0, 1.0)


def test_both_extremes_of_a_span_reach_the_chart():
    assert chart_points([(1.0, 2.0, 3.0), (2.0, 4.0, 4.0)], 10.0) == [[1000, 20.0], [1000, 30.0], [2000, 40.0]]


def test_bars_fill_their_height_between_the_extremes():
    lines, low, high = bars([(1.0, 1.0), None, (2.0, 2.0), (3.0, 3.0)], 2)
    assert (low, high) == (1.0, 3.0)
    assert lines == ["   ▇", "▁ ██"]
    assert all(math.isnan(value) for value in bars([None], 1)[1:])


def test_a_tripped_limit_stands_beside_the_state():
    def meaning(*tripped, rests=False):
        return meaning_of(SimpleNamespace(state="SAFE", rests=rests, tripped=list(tripped)))

    assert meaning() == "Outputs off until it is armed"
    assert meaning("lease_lapsed") == "Outputs off until it is armed; tripped: lease_lapsed"
    assert meaning("a", "b", "c", "d") == "Outputs off until it is armed; tripped: a, b, c …"
    asks = "the watch for shorts asks for a rest, no current"
    assert meaning("a", rests=True) == f"Outputs off until it is armed; {asks}; tripped: a"


def test_a_rest_of_the_watch_is_said_and_an_older_board_that_knows_none_is_taken():
    stream, picture = BoardStream(), Picture()
    for item in Decoder().feed(stream.hello() + stream.round()):
        picture.take(item)
    for asked in (1, 0):
        picture.cycler["watch_rest"] = asked
        assert picture.snapshot()["cycler"]["watch_rest"] == asked
        assert ("rest asked for by the watch for shorts" in plain_line(picture)) == picture.rests == bool(asked)
    del picture.cycler["watch_rest"]
    assert not picture.rests
