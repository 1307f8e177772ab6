"""Charge-enable and discharge-enable outputs for the cycler or charger."""


class EnableLines:
    """Two `machine.Pin`-like outputs, either may be None; level 1 enables. The constructor disables both.

    Attributes: charge, discharge (bool), as last set.
    """

    def __init__(self, pin_charge=None, pin_discharge=None):
        self._pin_charge = pin_charge
        self._pin_discharge = pin_discharge
        self.charge = False
        self.discharge = False
        self.set(False, False)

    def set(self, charge: bool, discharge: bool) -> None:
        if self._pin_charge is not None:
            self._pin_charge.value(1 if charge else 0)
        if self._pin_discharge is not None:
            self._pin_discharge.value(1 if discharge else 0)
        self.charge = charge
        self.discharge = discharge

    def off(self) -> None:
        self.set(False, False)
