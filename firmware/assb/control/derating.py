"""Current limits for the cycler, in mA: the least of what is configured, what limit rows leave of it, and what every
cell can take; 0 while the watch for shorts asks for a rest. A limit of 0 is no request: it takes that direction's
enable line away. Allocates nothing."""

from ..const import const
from ..ticks import elapsed_ms

_BACK_MS = const(1000)  # above 0 for so long a limit gives the line back, so that it does not flap (assumption)


class Derating:
    """`charge`, `discharge`: 1 where the limit leaves something of that direction."""

    def __init__(self, charge_max_ma, discharge_max_ma):
        self._charge_max_ma = charge_max_ma
        self._discharge_max_ma = discharge_max_ma
        self.charge_ma = self.discharge_ma = 0
        self.charge = self.discharge = 0
        self._no_charge_ms = self._no_discharge_ms = 0  # when that limit was last 0
        self.resting = 0  # 1: the watch for shorts asks for no current (WatchRests)
        # What every cell can take for 10 s, from the slow tick; 0 until each of them is known
        self.cells_charge_ma = 0
        self.cells_discharge_ma = 0

    def update(self, charge_permille, discharge_permille, now_ms):
        """Both limits from the shares that are left, 0 .. 1000: those keep the product within 30 bits for 100 A."""
        self.charge_ma = min(self._charge_max_ma * charge_permille // 1000, self.cells_charge_ma)
        self.discharge_ma = min(self._discharge_max_ma * discharge_permille // 1000, self.cells_discharge_ma)
        if self.resting:
            self.charge_ma = self.discharge_ma = 0
        if not self.charge_ma:
            self.charge, self._no_charge_ms = 0, now_ms
        elif elapsed_ms(now_ms, self._no_charge_ms) >= _BACK_MS:
            self.charge = 1
        if not self.discharge_ma:
            self.discharge, self._no_discharge_ms = 0, now_ms
        elif elapsed_ms(now_ms, self._no_discharge_ms) >= _BACK_MS:
            self.discharge = 1
