"""Which cells in series to bleed through a resistor, so that the highest come down to the lowest. Pure, integers.

Cells are compared only where their voltages tell of their charge: at rest for a while (`idle`), and above a voltage
that the pack declares. A cell is bled from balance_start_uv above the lowest one on, down to balance_stop_uv; for no
longer than balance_longest_ms at a stretch, after which the pack must rest again. Nobody is bled while any cell is
suspected of a short or its estimator refuses (a cell that leaks falls behind by itself: the others must not be emptied
after it), while a voltage or the temperature is not known, or while it is hot.
"""

from ..const import const
from ..protocol import tables
from ..signals import CELL_COUNT, PACK_COUNT
from ..ticks import elapsed_ms

_COOLER_CDEGC = const(300)  # hysteresis of balance_hot_cdegc (assumption: a bleeder warms its place by about that)


class Balancing:
    """`step` in the slow tick; `bits`: cells whose bleed switch is on, bit n = cell n."""

    def __init__(self, signals, parameter, now_ms):
        self._signals = signals
        self._start_uv = parameter("balance_start_uv")
        self._stop_uv = parameter("balance_stop_uv")
        self._least_uv = parameter("balance_least_uv")
        self._rest_ms = parameter("balance_rest_ms")
        self._longest_ms = parameter("balance_longest_ms")
        self._hot_cdegc = parameter("balance_hot_cdegc")
        self._temperature = signals.pack("temperature_cdegc")
        columns = tables.positions(tables.CELL_SIGNALS)
        self._voltage = PACK_COUNT + columns["voltage_uv"]
        self._stage = PACK_COUNT + columns["cell_stage"]
        self._status = PACK_COUNT + columns["estimator_status"]
        self._moved_ms = now_ms  # when the pack was last not at rest, or its stretch of bleeding was over
        self._bled_ms = now_ms  # when the present stretch began
        self._hot = False
        self.bits = 0

    def step(self, idle, now_ms):
        """`idle`: no current, and nothing is wrong with the pack. Returns bits."""
        if not idle or (self.bits and elapsed_ms(now_ms, self._bled_ms) >= self._longest_ms):
            self._moved_ms = now_ms
        rested = elapsed_ms(now_ms, self._moved_ms) >= self._rest_ms
        bits = self._chosen() if rested and self._may() else 0
        if bits and not self.bits:
            self._bled_ms = now_ms
        self.bits = bits
        return bits

    def _may(self):
        """Is everything known, cool and healthy?"""
        value, valid = self._signals.value, self._signals.valid
        cdegc = value[self._temperature]
        self._hot = cdegc >= self._hot_cdegc - (_COOLER_CDEGC if self._hot else 0)
        if self._hot or not valid[self._temperature]:
            return False
        for cell in range(self._signals.cell_count):
            at = cell * CELL_COUNT
            if not (valid[self._voltage + at] and valid[self._stage + at] and valid[self._status + at]):
                return False
            if value[self._stage + at] or value[self._status + at]:
                return False
        return True

    def _chosen(self):
        value, cells = self._signals.value, range(self._signals.cell_count)
        lowest_uv = min([value[self._voltage + cell * CELL_COUNT] for cell in cells])
        if lowest_uv < self._least_uv:
            return 0
        bits = 0
        for cell in cells:
            above_uv = value[self._voltage + cell * CELL_COUNT] - lowest_uv
            if above_uv > (self._stop_uv if self.bits >> cell & 1 else self._start_uv):
                bits |= 1 << cell
        return bits
