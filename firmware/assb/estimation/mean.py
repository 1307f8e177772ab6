"""Means of the fast samples between two estimator steps, in integers that stay within 30 bits. Allocates nothing."""

from array import array


class Means:
    """`channels` sums, each kept in two: of sixteenths and of what they leave, so that 16 samples of 1024 A in uA fit
    and none loses a digit."""

    def __init__(self, channels):
        self._sixteenths = array("i", bytes(4 * channels))
        self._left = array("i", bytes(4 * channels))
        self._count = array("i", bytes(4 * channels))

    def add(self, channel, value):
        if self._count[channel] < 16:
            self._sixteenths[channel] += value >> 4
            self._left[channel] += value & 15
            self._count[channel] += 1

    def take(self, channel, fallback):
        """The mean since the last take, rounded; or `fallback` when nothing was added."""
        count = self._count[channel]
        if not count:
            return fallback
        sixteenths = self._sixteenths[channel]
        left = (sixteenths % count << 4) + self._left[channel]
        mean = (sixteenths // count << 4) + (left + (count >> 1)) // count
        self._sixteenths[channel] = self._left[channel] = self._count[channel] = 0
        return mean
