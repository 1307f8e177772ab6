"""Is what a channel says possible, and is it a measurement at all? Two numbers for each channel:

jump     how far the median of its newest three samples moved with the newest: nothing real moves further between two
         samples, and one sample alone may be a disturbed transfer, which no median of three shows
still    how long its converter's code has not changed: the lowest bits of a converter that works are never at rest

Limit rows judge both. Allocates nothing.
"""

from array import array

from ..const import const
from ..ticks import elapsed_ms

_MOST = const((1 << 29) - 1)  # so that a difference fits 30 bits; whatever lies beyond trips rows of its own


class Plausibility:
    """Channels are numbers: the cells from 0 on, then current, pressure, and every thermometer."""

    def __init__(self, cell_count, thermometer_count):
        count = cell_count + 2 + thermometer_count
        self.current = cell_count
        self.pressure = cell_count + 1
        self.first_thermometer = cell_count + 2
        self.count = count
        self.jump = array("i", bytes(4 * count))
        self._last = array("i", bytes(4 * count))
        self._before = array("i", bytes(4 * count))
        self._median = array("i", bytes(4 * count))
        self._code = array("i", bytes(4 * count))
        self._moved_ms = array("i", bytes(4 * count))
        self._known = bytearray(count)

    def see(self, channel, value, code, now_ms):
        """A new sample: in the unit of its signal, and as the converter gave it."""
        value = min(max(value, -_MOST), _MOST)
        if not self._known[channel]:
            self._known[channel] = 1
            self._last[channel] = self._before[channel] = self._median[channel] = value
            self._moved_ms[channel] = now_ms
        elif code != self._code[channel]:
            self._moved_ms[channel] = now_ms
        self._code[channel] = code
        self._follow(channel, value)

    def _follow(self, channel, value):
        median = _median(self._before[channel], self._last[channel], value)
        self._before[channel] = self._last[channel]
        self._last[channel] = value
        self.jump[channel] = abs(median - self._median[channel])
        self._median[channel] = median

    def still_ms(self, channel, now_ms):
        return elapsed_ms(now_ms, self._moved_ms[channel]) if self._known[channel] else 0


def _median(a, b, c):
    return max(min(a, b), min(max(a, b), c))
