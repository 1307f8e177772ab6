"""What the rows of a trial's tables are told: the plant on its bench, how long, and a source of chance for each."""

import math
import random
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from assb_kernels import CellParams, Pack, Stack

from assb_hil.campaign.record import TrialSpec
from assb_hil.plant_file import PlantFile, load_plant

CYCLING_MOST_C = 1.0  # A: tests of hours run no faster, whatever the cell could take


@lru_cache(maxsize=128)
def plant_of(profile: str, bench: str, cells: int) -> PlantFile:
    """The plant of a trial; bench "": its own. One without leads between its units is as its file says."""
    plant = load_plant(profile, bench=bench or None)
    return load_plant(profile, bench=bench or None, units=cells) if plant.taps else plant


@dataclass(frozen=True)
class Scene:
    """A trial before anything of it has been drawn."""

    spec: TrialSpec

    def luck(self, what: str) -> random.Random:
        """The chance of one thing: drawing more of another changes none of it."""
        return random.Random(f"{self.spec.seed} {what}")

    @cached_property
    def plant(self) -> PlantFile:
        return plant_of(self.spec.profile, self.spec.bench, self.spec.cells)

    @cached_property
    def cell(self) -> CellParams:
        """A unit as the plant's file has it."""
        return self.plant.cell

    @property
    def leads(self) -> int:
        """Voltages that are seen."""
        return self.plant.units if self.plant.taps else 1

    @property
    def duration_s(self) -> float:
        return self.spec.duration_s

    @property
    def capacity_ah(self) -> float:
        return self.cell.capacity_ah

    @property
    def charge_a(self) -> float:
        """Largest current of a cycling test, as is the next."""
        return min(self.plant.limits.charge_max_c, CYCLING_MOST_C) * self.capacity_ah

    @property
    def discharge_a(self) -> float:
        return min(self.plant.limits.discharge_max_c, CYCLING_MOST_C) * self.capacity_ah

    @property
    def nominal_v(self) -> float:
        """Of a unit, half charged."""
        return self.cell.ocv_v[len(self.cell.ocv_v) // 2]

    def contact_ohm_frac(self) -> tuple[float, float]:
        """R0 of a unit at the plant's usual temperature and pressure, and the share of it that is contact."""
        limits, cell = self.plant.limits, self.cell
        whole_ohm, bare_ohm = (
            Pack([each], [Stack()]).cells[0].r0_at_ohm(limits.temperature_degc, limits.pressure_mpa)
            for each in (cell, replace(cell, contact_ohm_cm2=0.0))
        )
        return whole_ohm, 1.0 - bare_ohm / whole_ohm


def log_uniform(luck: random.Random, low: float, high: float) -> float:
    return math.exp(luck.uniform(math.log(low), math.log(high)))
