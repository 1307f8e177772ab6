"""Sensor errors, between the true quantity and the chip that converts it: gain, offset, noise, stuck, lost samples.

Chips quantise and saturate by themselves (their models do); they are told what the world looks like through these.
"""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class SensorSpec:
    """1-sigma spread of gain and offset from one bench (seed) to the next, and white noise per sample, in the unit of
    the quantity."""

    gain_sigma_ppm: float = 0.0
    offset_sigma: float = 0.0
    noise_rms: float = 0.0


class Sensor:
    """One channel. Faults add to what the bench drew from its seed."""

    def __init__(self, spec: SensorSpec, seed: int, name: str):
        self.name = name
        self._random = random.Random(f"{seed} {name}")
        self._gain = 1.0 + 1e-6 * self._random.gauss(0.0, spec.gain_sigma_ppm)
        self._offset = self._random.gauss(0.0, spec.offset_sigma)
        self._noise_rms = spec.noise_rms
        self._held: float | None = None
        self._last = 0.0
        self.gain_fault = 1.0
        self.offset_fault = 0.0
        self.noise_fault_rms = 0.0
        self.dropout_frac = 0.0

    def read(self, true_value: float) -> float:
        """What reaches the chip when the truth is `true_value`."""
        if self._held is not None:
            return self._held
        if self.dropout_frac and self._random.random() < self.dropout_frac:
            return self._last
        noise = self._random.gauss(0.0, self._noise_rms + self.noise_fault_rms)
        self._last = (true_value * self._gain + self._offset) * self.gain_fault + self.offset_fault + noise
        return self._last

    def stick(self) -> None:
        """Keep giving the newest value."""
        self._held = self._last

    def free(self) -> None:
        """Follow the truth again."""
        self._held = None
