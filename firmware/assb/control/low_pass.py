"""First-order low-pass in integers: what limit rows of a slower time scale judge. Allocates nothing."""


class LowPass:
    """`update` at a fixed rate; after `steps` of them 63 % of a step of the input has come through, in the end all."""

    def __init__(self, steps):
        self._steps = steps
        self._rest = 0  # of the divisions: without it a difference below `steps` would never come through
        self._known = False
        self.value = 0

    def update(self, value):
        """The new mean. Differences of two inputs must fit 30 bits."""
        if not self._known:
            self._known = True
            self.value = value
        self._rest += value - self.value
        step = self._rest // self._steps
        self.value += step
        self._rest -= step * self._steps
        return self.value
