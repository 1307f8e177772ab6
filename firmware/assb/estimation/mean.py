"""Means of the fast samples between two estimator steps, in integers that stay within 30 bits. Allocates nothing."""

from array import array


class Means:
    """`channels` sums. A sample is kept to 16 units, so that 1024 A in uA can be summed over 16 ticks."""

    def __init__(self, channels):
        self._sum = array("i", bytes(4 * channels))
        self._count = array("i", bytes(4 * channels))

    def add(self, channel, value):
        if self._count[channel] < 16:
            self._sum[channel] += (value + 8) >> 4
            self._count[channel] += 1

    def take(self, channel, fallback):
        """The mean since the last take, or `fallback` when nothing was added."""
        count = self._count[channel]
        if not count:
            return fallback
        mean = (self._sum[channel] << 4) // count
        self._sum[channel] = 0
        self._count[channel] = 0
        return mean
