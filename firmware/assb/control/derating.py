"""Current limits for the cycler, in mA: the least of what is configured, what limit rows leave of it, and what every
cell can take. Allocates nothing."""


class Derating:
    def __init__(self, charge_max_ma, discharge_max_ma, derate_ppm):
        self._charge_max_ma = charge_max_ma
        self._discharge_max_ma = discharge_max_ma
        # 1000 steps keep the product within 30 bits for 100 A
        self._derate_permille = derate_ppm // 1000
        self.charge_ma = 0
        self.discharge_ma = 0
        # What every cell can take for 10 s, from the slow tick; 0 until each of them is known
        self.cells_charge_ma = 0
        self.cells_discharge_ma = 0

    def update(self, charge_allowed, discharge_allowed, derated):
        """Both limits; 0 in a direction that is not allowed."""
        share = self._derate_permille if derated else 1000
        charge_ma = min(self._charge_max_ma * share // 1000, self.cells_charge_ma)
        discharge_ma = min(self._discharge_max_ma * share // 1000, self.cells_discharge_ma)
        self.charge_ma = charge_ma if charge_allowed else 0
        self.discharge_ma = discharge_ma if discharge_allowed else 0
