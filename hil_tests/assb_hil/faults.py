"""Faults that a scenario can inject, each by name; `FAULTS` is the table of them.

A fault acts on the rig through few handles: the plant, its sensors, its chips, and a way to do something later.
"""

import math
import random
from collections.abc import Callable
from typing import Annotated, Any, ClassVar, Literal, Protocol

import msgspec
from msgspec import Meta

from assb_hil.dut.base import CHIP_MODELS
from assb_hil.plant import Plant
from assb_hil.recorder import of_cell
from assb_hil.sensors import Channel

Seconds = Annotated[float, Meta(ge=0.0)]
Positive = Annotated[float, Meta(gt=0.0)]
Unit = Annotated[int, Meta(ge=0)]
Ohms = Annotated[float, Meta(ge=1e-4, le=1e6)]
Quantity = Literal["voltage_v", "current_a", "pressure_mpa", "temperature_degc"]
UPDATE_US = 50_000  # how often a gradual fault moves on


class FaultRig(Protocol):
    """What a fault may touch. `every` calls back now and then at that period until the callback returns False."""

    plant: Plant
    sensors: dict[str, Channel]

    def chips_of(self, device: str) -> list[Any]: ...

    def schedule(self, at_us: int, call: Callable[[int], None]) -> None: ...

    def every(self, now_us: int, period_us: int, call: Callable[[int], bool]) -> None: ...

    def fault_random(self, name: str) -> random.Random: ...


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Begins at `at_s`. `needs`: features that a device under test must offer for it."""

    at_s: Seconds
    name: ClassVar[str] = ""
    needs: ClassVar[frozenset[str]] = frozenset({CHIP_MODELS})

    def apply(self, rig: FaultRig, now_us: int) -> None:
        """Do it, now."""
        raise NotImplementedError


class CellFault(Fault, frozen=True, kw_only=True):
    """Of one of the units in series."""

    cell: Unit = 0


class SoftShort(CellFault, frozen=True, kw_only=True):
    """A conducting filament of constant resistance inside a cell."""

    name: ClassVar[str] = "soft_short"
    rs_ohm: Ohms

    def apply(self, rig: FaultRig, now_us: int) -> None:
        rig.plant.short_s[self.cell] = 1.0 / self.rs_ohm


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

        def grow(at_us: int) -> bool:
            done = min((at_us - now_us) * 1e-6 / self.over_s, 1.0)
            growth["base_s"] = math.exp(start_s + (end_s - start_s) * done)
            rig.plant.short_s[self.cell] = growth["base_s"] + growth["extra_s"]
            return done < 1.0

        rig.every(now_us, UPDATE_US, grow)
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


class SensorLost(Fault, frozen=True, kw_only=True):
    """The chip stops answering on its bus (NACK), for good or `for_s`."""

    name: ClassVar[str] = "sensor_lost"
    device: Literal["ina228", "nau7802", "tmp117", "mcp4725"]
    for_s: Positive | None = None

    def apply(self, rig: FaultRig, now_us: int) -> None:
        chips = rig.chips_of(self.device)
        for chip in chips:
            chip.acking = False

        def back(_at_us: int) -> None:
            for chip in chips:
                chip.acking = True

        if self.for_s is not None:
            rig.schedule(now_us + int(self.for_s * 1e6), back)


class SensorFault(Fault, frozen=True, kw_only=True):
    """What the faults of one channel share. `place`: which of several alike (cell, stack, thermometer)."""

    channel: Quantity
    place: Unit = 0

    def sensor(self, rig: FaultRig) -> Channel:
        return rig.sensors[of_cell(self.channel, self.place)]


class SensorStuck(SensorFault, frozen=True, kw_only=True):
    """The channel keeps its newest value, for good or `for_s`."""

    name: ClassVar[str] = "sensor_stuck"
    for_s: Positive | None = None

    def apply(self, rig: FaultRig, now_us: int) -> None:
        sensor = self.sensor(rig)
        sensor.stuck = True
        if self.for_s is not None:
            rig.schedule(now_us + int(self.for_s * 1e6), lambda _at_us: setattr(sensor, "stuck", False))


class SensorOffset(SensorFault, frozen=True, kw_only=True):
    """A constant is added to the channel, in its own unit."""

    name: ClassVar[str] = "sensor_offset"
    offset: float

    def apply(self, rig: FaultRig, now_us: int) -> None:
        self.sensor(rig).offset_fault = self.offset


class SensorGain(SensorFault, frozen=True, kw_only=True):
    """The channel is multiplied."""

    name: ClassVar[str] = "sensor_gain"
    gain: Annotated[float, Meta(gt=0.0, le=10.0)]

    def apply(self, rig: FaultRig, now_us: int) -> None:
        self.sensor(rig).gain_fault = self.gain


class SensorNoise(SensorFault, frozen=True, kw_only=True):
    """White noise is added to every sample, in the channel's unit."""

    name: ClassVar[str] = "sensor_noise"
    rms: Positive

    def apply(self, rig: FaultRig, now_us: int) -> None:
        self.sensor(rig).noise_fault_rms = self.rms


class SensorDropout(SensorFault, frozen=True, kw_only=True):
    """Each sample is lost with this probability: the chip converts the one before it again."""

    name: ClassVar[str] = "sensor_dropout"
    lost_frac: Annotated[float, Meta(gt=0.0, le=1.0)]

    def apply(self, rig: FaultRig, now_us: int) -> None:
        self.sensor(rig).dropout_frac = self.lost_frac


class Heating(Fault, frozen=True, kw_only=True):
    """The room around the cell goes to `ambient_degc`, evenly over `over_s`."""

    name: ClassVar[str] = "heating"
    ambient_degc: Annotated[float, Meta(ge=-60.0, le=300.0)]
    over_s: Positive

    def apply(self, rig: FaultRig, now_us: int) -> None:
        start_degc = rig.plant.ambient_degc

        def warm(at_us: int) -> bool:
            done = min((at_us - now_us) * 1e-6 / self.over_s, 1.0)
            rig.plant.ambient_degc = start_degc + (self.ambient_degc - start_degc) * done
            return done < 1.0

        rig.every(now_us, UPDATE_US, warm)


class ContactorWelded(Fault, frozen=True, kw_only=True):
    """The contact no longer opens once it is closed."""

    name: ClassVar[str] = "contactor_welded"

    def apply(self, rig: FaultRig, now_us: int) -> None:
        rig.plant.contactor.welded = True


class PressureStep(Fault, frozen=True, kw_only=True):
    """The regulator's valve is off by `offset_mpa` from now on, as after a knock."""

    name: ClassVar[str] = "pressure_step"
    offset_mpa: Annotated[float, Meta(ge=-10.0, le=10.0)]

    def apply(self, rig: FaultRig, now_us: int) -> None:
        rig.plant.set_valve(offset_mpa=self.offset_mpa)


class SupplyLost(Fault, frozen=True, kw_only=True):
    """The air supply falls to a pressure (as felt by the stacks)."""

    name: ClassVar[str] = "supply_lost"
    supply_mpa: Annotated[float, Meta(ge=0.0, le=100.0)] = 0.0

    def apply(self, rig: FaultRig, now_us: int) -> None:
        for stack in rig.plant.stacks:
            stack.supply_mpa = self.supply_mpa


class RegulatorStalled(Fault, frozen=True, kw_only=True):
    """The regulator holds its pressure whatever it is asked for."""

    name: ClassVar[str] = "regulator_stalled"

    def apply(self, rig: FaultRig, now_us: int) -> None:
        for stack in rig.plant.stacks:
            stack.frozen = True


FAULTS: dict[str, type[Fault]] = {
    cls.name: cls
    for cls in (
        SoftShort, HardShort, GrowingShort, SensorLost, SensorStuck, SensorOffset, SensorGain, SensorNoise,
        SensorDropout, Heating, ContactorWelded, PressureStep, SupplyLost,
        RegulatorStalled,
    )
}  # fmt: skip
