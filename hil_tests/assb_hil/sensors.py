"""The sensors of a bench, between a true quantity and the chip that converts it; their law is C (assb_kernels.Sensor).

Chips quantise and saturate by themselves (their models do); they are told what the world looks like through these.
"""

from assb_kernels import Sensor

from assb_hil.plant import Plant
from assb_hil.plant_file import PlantFile
from assb_hil.plant_parameters import drawn
from assb_hil.recorder import of_cell


class Channel(Sensor):
    """A sensor that is asked whenever its chip converts."""

    def __init__(self, spec: PlantFile, seed: int, quantity: str, place: int, plant: Plant):
        """`place`: which of several (monitor, stack, thermometer). Each is drawn from the seed by itself."""
        name = of_cell(quantity, place)
        super().__init__(drawn(spec.sensors[quantity], name, seed), seed, name)
        self._plant = plant
        self._read_us = plant.now_us

    def see(self, true_value: float) -> float:
        """What reaches the chip when the truth is `true_value`, now."""
        now_us = self._plant.now_us
        dt_s = 1e-6 * (now_us - self._read_us)
        self._read_us = now_us
        return self.read(true_value, dt_s)
