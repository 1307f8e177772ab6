"""Current limits for the cycler, in mA: what is configured, less what limit rows take away. Allocates nothing."""


class Derating:
    def __init__(self, charge_max_ma, discharge_max_ma, derate_ppm):
        self._charge_max_ma = charge_max_ma
        self._discharge_max_ma = discharge_max_ma
        # 1000 steps keep the product within 30 bits for 100 A
        self._derate_permille = derate_ppm // 1000
        self.charge_ma = 0
        self.discharge_ma = 0

    def update(self, charge_allowed, discharge_allowed, derated):
        """Both limits; 0 in a direction that is not allowed."""
        share = self._derate_permille if derated else 1000
        self.charge_ma = self._charge_max_ma * share // 1000 if charge_allowed else 0
        self.discharge_ma = self._discharge_max_ma * share // 1000 if discharge_allowed else 0
