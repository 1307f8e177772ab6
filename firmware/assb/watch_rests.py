"""Rests that the watch for shorts asks for, wired: what all cells say of missing charge → the limits of current."""

from .const import const
from .control.watch_rest import WatchRest
from .ticks import elapsed_ms

# Ids of the wire, as in schema.py (a test compares)
_EV_REST_BEGUN = const(90)
_EV_REST_ENDED = const(91)

_MISSING_CHARGE = const(2)  # of tables.EVIDENCES (a test compares)
_STEP_MS = const(1000)


class WatchRests:
    """`step(connected, now_ms)` at every slow tick: about once a second, and at once when nothing is connected."""

    def __init__(self, cells, settings, signals, events, derating, now_ms):
        self._cells = cells
        self._signals = signals
        self._events = events
        self._derating = derating
        self._rest_ua = 1000 * settings("rest_current_ma")
        self._s_current = signals.pack("current_ua")
        self._s_rest = signals.pack("watch_rest")
        self._stepped_ms = now_ms
        self._flowed = False  # since then
        self._scores = [0.0] * len(cells)
        self.watch = WatchRest(
            settings("watch_rest_every_s"), settings("watch_rest_s"), settings("watch_rest_most_s"), len(cells)
        )

    def step(self, connected, now_ms):
        watch = self.watch
        self._flowed = self._flowed or self._flows()
        if not connected:
            watch.end()
        ms = elapsed_ms(now_ms, self._stepped_ms)
        if ms >= _STEP_MS:
            self._stepped_ms = now_ms
            for k in range(len(self._scores)):
                self._scores[k] = self._cells[k].shorts.detector.cell.score[_MISSING_CHARGE]
            watch.step(connected and self._flowed, self._scores, ms / 1000)
            self._flowed = False
        if watch.resting and not self._derating.resting:
            self._tell(_EV_REST_BEGUN, watch.worked_s)
        elif self._derating.resting and not watch.resting:
            self._tell(_EV_REST_ENDED, watch.rested_s)
        self._derating.resting = 1 if watch.resting else 0
        self._signals.put(self._s_rest, self._derating.resting, now_ms)

    def _tell(self, event, seconds):
        self._events.push(event, int(seconds), int(1000 * max(self._scores)))

    def _flows(self):
        """A current that is not known is none: its row opens before a rest could come of it."""
        signals = self._signals
        return signals.valid[self._s_current] and abs(signals.value[self._s_current]) > self._rest_ua
