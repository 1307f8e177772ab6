"""Current limits for the cycler, in mA: the least of what is configured, what limit rows leave of it, and what every
cell can take. Allocates nothing."""


class Derating:
    def __init__(self, charge_max_ma, discharge_max_ma):
        self._charge_max_ma = charge_max_ma
        self._discharge_max_ma = discharge_max_ma
        self.charge_ma = 0
        self.discharge_ma = 0
        # What every cell can take for 10 s, from the slow tick; 0 until each of them is known
        self.cells_charge_ma = 0
        self.cells_discharge_ma = 0

    def update(self, charge_permille, discharge_permille):
        """Both limits from the shares that are left, 0 .. 1000: those keep the product within 30 bits for 100 A."""
        self.charge_ma = min(self._charge_max_ma * charge_permille // 1000, self.cells_charge_ma)
        self.discharge_ma = min(self._discharge_max_ma * discharge_permille // 1000, self.cells_discharge_ma)
