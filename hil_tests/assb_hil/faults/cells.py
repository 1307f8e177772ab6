"""Faults of the cells: shorts, lost contact, lost capacity, heat."""

import math
from typing import Annotated, ClassVar

from msgspec import Meta

from assb_hil.faults.base import Fault, FaultRig, LastingFault, Positive, Unit, gradually

Ohms = Annotated[float, Meta(ge=1e-4, le=1e6)]


class CellFault(Fault, frozen=True, kw_only=True):
    """Of one of the units in series."""

    group: ClassVar[str] = "cell"
    cell: Unit = 0


class SoftShort(LastingFault, frozen=True, kw_only=True):
    """A conducting filament of constant resistance inside a cell."""

    name: ClassVar[str] = "soft_short"
    group: ClassVar[str] = "cell"
    rs_ohm: Ohms
    cell: Unit = 0

    def begin(self, rig: FaultRig, now_us: int) -> None:
        rig.plant.short_s[self.cell] = 1.0 / self.rs_ohm

    def end(self, rig: FaultRig) -> None:
        rig.plant.short_s[self.cell] = 0.0


class HardShort(SoftShort, frozen=True, kw_only=True):
    """A bridge of far lower resistance than the cell's own."""

    name: ClassVar[str] = "hard_short"
    rs_ohm: Ohms = 0.02


class GrowingShort(CellFault, frozen=True, kw_only=True):
    """A filament that grows: its resistance falls evenly on a logarithmic scale; bridges flicker on top of it.

    Bridges come at random (Poisson, mean spacing `flicker_every_s`), conduct `flicker_ohm` for `flicker_s`, and burn
    out; that soft shorts come and go by the thousand: Counihan et al., Joule 2024.
    """

    name: ClassVar[str] = "growing_short"
    rs_from_ohm: Ohms
    rs_to_ohm: Ohms
    over_s: Positive
    flicker_ohm: Ohms | None = None
    flicker_every_s: Positive = 10.0
    flicker_s: Positive = 0.5

    def apply(self, rig: FaultRig, now_us: int) -> None:
        start_s = math.log(1.0 / self.rs_from_ohm)
        end_s = math.log(1.0 / self.rs_to_ohm)
        growth = {"base_s": 1.0 / self.rs_from_ohm, "extra_s": 0.0}

        def grow(done: float) -> None:
            growth["base_s"] = math.exp(start_s + (end_s - start_s) * done)
            rig.plant.short_s[self.cell] = growth["base_s"] + growth["extra_s"]

        gradually(rig, now_us, self.over_s, grow)
        if self.flicker_ohm is not None:
            self._flicker(rig, now_us, growth)

    def _flicker(self, rig: FaultRig, begin_us: int, growth: dict[str, float]) -> None:
        chance = rig.fault_random(self.name)
        end_us = begin_us + int(self.over_s * 1e6)

        def set_bridge(conductance_s: float) -> None:
            growth["extra_s"] = conductance_s
            rig.plant.short_s[self.cell] = growth["base_s"] + conductance_s

        def burn_out(at_us: int) -> None:
            set_bridge(0.0)
            plan(at_us)

        def bridge(at_us: int) -> None:
            set_bridge(1.0 / float(self.flicker_ohm or math.inf))
            rig.schedule(at_us + int(self.flicker_s * 1e6), burn_out)

        def plan(at_us: int) -> None:
            next_us = at_us + int(chance.expovariate(1.0 / self.flicker_every_s) * 1e6)
            if next_us < end_us:
                rig.schedule(next_us, bridge)

        plan(begin_us)


class ContactLost(CellFault, frozen=True, kw_only=True):
    """That share of the lithium face loses contact at once; where the plant has voids, they heal as its own do."""

    name: ClassVar[str] = "contact_lost"
    lost_frac: Annotated[float, Meta(gt=0.0, lt=1.0)]

    def apply(self, rig: FaultRig, now_us: int) -> None:
        rig.plant.cells[self.cell].theta = self.lost_frac


class CapacityLost(CellFault, frozen=True, kw_only=True):
    """That share of the capacity is gone, at the same SOC."""

    name: ClassVar[str] = "capacity_lost"
    lost_frac: Annotated[float, Meta(gt=0.0, lt=1.0)]

    def apply(self, rig: FaultRig, now_us: int) -> None:
        rig.plant.cells[self.cell].lose_capacity(self.lost_frac)


class Heating(Fault, frozen=True, kw_only=True):
    """The room around the cell goes to `ambient_degc`, evenly over `over_s`."""

    name: ClassVar[str] = "heating"
    group: ClassVar[str] = "cell"
    ambient_degc: Annotated[float, Meta(ge=-60.0, le=300.0)]
    over_s: Positive

    def apply(self, rig: FaultRig, now_us: int) -> None:
        start_degc = rig.plant.ambient_degc

        def warm(done: float) -> None:
            rig.plant.ambient_degc = start_degc + (self.ambient_degc - start_degc) * done

        gradually(rig, now_us, self.over_s, warm)
