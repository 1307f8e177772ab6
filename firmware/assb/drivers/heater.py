"""Heater behind a PWM output (gate of a MOSFET, or a solid-state relay), and a second switch in series with it."""


class Heater:
    """`pwm`: machine.PWM-like, off when made. `enable`: output or None; 1 closes the second switch, which is there for
    the day the first one is stuck closed. The constructor switches both off."""

    def __init__(self, pwm, enable=None):
        self._pwm = pwm
        self._enable = enable
        self.set(0, False)

    def set(self, permille, on):
        """A share of the full power, in thousandths; without `on` both switches are open. Written each time."""
        self._pwm.duty_u16(65535 * permille // 1000 if on else 0)
        if self._enable is not None:
            self._enable.value(1 if on else 0)
