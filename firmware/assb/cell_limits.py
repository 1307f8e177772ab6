"""What the cells can take and give, and their health, in turn; and what that leaves to the pack."""

from .protocol import tables


class CellLimits:
    """`step(now_ms)` is a slice of the slow tick: each direction of each cell once a second, one after the other."""

    def __init__(self, cells, slow_ms, derating):
        self._cells = cells
        self._slow_ms = slow_ms
        self._derating = derating
        self._due = self._next = 0

    def step(self, now_ms):
        directions = 2 * len(self._cells)
        self._due += directions * self._slow_ms
        while self._due >= 1000:
            self._due -= 1000
            self._next = (self._next + 1) % directions
            charging = self._next % 2 == 0
            self._cells[self._next // 2].limit(charging, now_ms)
            if charging:
                self._cells[self._next // 2].health(now_ms)
        if directions:
            self._derating.cells_charge_ma = self._least_ma(True)
            self._derating.cells_discharge_ma = self._least_ma(False)

    def _least_ma(self, charging):
        """Of all cells, for 10 s; 0 while one of them is not known."""
        least_ma = tables.INT30_MAX
        for cell in self._cells:
            least_ma = min(least_ma, cell.limit_ma(charging))
        return least_ma
