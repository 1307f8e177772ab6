"""The alarm output: on from a soft short on, and after a hard short until the stack is cold. Allocates nothing.

Opening the contactor does not end a short inside a cell: it goes on heating. So the alarm of a hard short ends only
when the stack has been colder than `cold_cdegc` for a while; a temperature that is not known is not cold.
"""

from ..const import const
from ..ticks import elapsed_ms

_SOFT_SHORT = const(2)
_HARD_SHORT = const(3)
_COLD_MS = const(60000)  # (assumption)


class Alarm:
    def __init__(self, parameter, now_ms, shorted=False):
        """`shorted`: by a hard short before this start."""
        self._cold_cdegc = parameter("cold_cdegc")
        self._hot_ms = now_ms  # when it was last not cold
        self._shorted = shorted
        self.on = 0

    def update(self, stage, temperature_cdegc, known, now_ms):
        """True when it changed. `stage`: the worst of all cells."""
        if stage == _HARD_SHORT:
            self._shorted = True
        if stage == _HARD_SHORT or not known or temperature_cdegc >= self._cold_cdegc:
            self._hot_ms = now_ms
        elif elapsed_ms(now_ms, self._hot_ms) >= _COLD_MS:
            self._shorted = False
        before = self.on
        self.on = 1 if stage >= _SOFT_SHORT or self._shorted else 0
        return self.on != before
