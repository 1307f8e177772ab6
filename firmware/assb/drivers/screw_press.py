"""Screw press on a stepper motor: kPa of stack pressure into whole steps of its position."""

_OVERLAP = 0.02  # of a step beyond half of it, so that a command on the edge does not toggle


class ScrewPress:
    """Holds a position, so pressure is asked of it through the stack's stiffness.

    `pulses`: what makes and counts them (`move_to(position)`, `position`; steps since it was made, + closes).
    `kpa_per_step`: stiffness times travel of a step. `held_kpa`: pressure that stands where it is made. A command below
    zero opens further than the stack was relieved of then: it may have grown since. How far the screw may travel is for
    `pulses` to keep. Attributes: commanded_kpa, what the steps that were really sent make of the last command.
    """

    error_count = 0  # nothing answers

    def __init__(self, pulses, kpa_per_step, held_kpa=0):
        if not kpa_per_step > 0:
            raise ValueError(f"kpa_per_step={kpa_per_step}: above 0")
        self._pulses = pulses
        self._kpa_per_step = kpa_per_step
        self._base_kpa = held_kpa - pulses.position * kpa_per_step
        self._wanted = pulses.position

    @property
    def commanded_kpa(self):
        return round(self._base_kpa + self._pulses.position * self._kpa_per_step)

    def command_kpa(self, kpa):
        """Go to the nearest step; a command within half a step moves nothing."""
        steps = (kpa - self._base_kpa) / self._kpa_per_step
        if abs(steps - self._wanted) > 0.5 + _OVERLAP:
            self._wanted = round(steps)
        self._pulses.move_to(self._wanted)
        return True

    def verify(self):
        """Nothing is lost, and nothing to read back: a stall shows in the pressure (press_watch, stack_pressure)."""
        return True
