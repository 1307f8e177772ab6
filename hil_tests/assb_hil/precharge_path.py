"""The path round the main contact: a relay and a resistor, into the capacitor at the input of whatever is connected.

What rushes into a capacitor that is not full when the main contact closes is not simulated.
"""

from math import exp


class PrechargePath:
    """`on`: the relay is closed, at once. `load_s`: what draws from the capacitor, S; `load_v`: what it has."""

    def __init__(self, resistance_ohm: float, capacitor_f: float) -> None:
        self._path_s = 1.0 / resistance_ohm
        self._capacitor_f = capacitor_f
        self.on = False
        self.load_s = 0.0
        self.load_v = 0.0

    def step(self, pack_v: float, connected: bool, dt_s: float) -> float:
        """Mean current over dt_s in A, + charges the pack. `connected`: the main contact is closed."""
        path_s = self._path_s if self.on else 0.0
        if connected:
            self.load_v = pack_v
        if connected or not path_s + self.load_s:
            return 0.0
        tau_s = self._capacitor_f / (path_s + self.load_s)
        end_v = pack_v * path_s / (path_s + self.load_s)
        left_v = (self.load_v - end_v) * exp(-dt_s / tau_s)
        mean_v = end_v + (self.load_v - end_v - left_v) * tau_s / dt_s
        self.load_v = end_v + left_v
        return -path_s * (pack_v - mean_v)
