"""The sensors of a bench, between a true quantity and the chip that converts it; their law is C (assb_kernels.Sensor).

Chips quantise and saturate by themselves (their models do); they are told what the world looks like through these.
"""

from collections.abc import Callable

from assb_kernels import Sensor

from assb_hil.plant import Plant
from assb_hil.plant_file import PlantFile
from assb_hil.plant_parameters import drawn
from assb_hil.recorder import of_cell


class Channel(Sensor):
    """A sensor that is asked whenever its chip converts.

    `truth`: what it is put on. `open_value` (None: sound): what its chip sees while a wire is off.
    """

    def __init__(self, spec: PlantFile, seed: int, quantity: str, place: int, plant: Plant, truth: Callable[[], float]):
        """`place`: which of several (monitor, stack, thermometer). Each is drawn from the seed by itself."""
        name = of_cell(quantity, place)
        super().__init__(drawn(spec.sensors[quantity], name, seed), seed, name)
        self.truth = truth
        self.open_value: float | None = None
        self._plant = plant
        self._read_us = plant.now_us

    def see(self) -> float:
        """What reaches the chip now."""
        if self.open_value is not None:
            return self.open_value
        now_us = self._plant.now_us
        dt_s = 1e-6 * (now_us - self._read_us)
        self._read_us = now_us
        return self.read(self.truth(), dt_s)
