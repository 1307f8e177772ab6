"""Faults of the sensors and of the buses that their chips sit on."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from assb_hil.faults.base import UPDATE_US, Fault, FaultRig, LastingFault, Positive, Share, Unit
from assb_hil.recorder import of_cell
from assb_hil.sensors import Channel

Quantity = Literal["voltage_v", "current_a", "pressure_mpa", "temperature_degc"]
Device = Literal["ina228", "nau7802", "hx711", "tmp117", "mcp4725", "ina226", "bq76952", "ads1115"]
# What a chip reads with a wire off. INA228, 6.5: 1 MOhm from VBUS to ground, and joined inputs differ by their offset.
# NAU7802: an open bridge lead drifts into saturation (assumption; 100 MPa is beyond its full scale on any bench here).
# An NTC reads colder than any place on earth; a TMP117 has no wire but its bus.
OPEN_VALUES = {"voltage_v": 0.0, "current_a": 0.0, "pressure_mpa": 100.0, "temperature_degc": -200.0}


class SensorFault(LastingFault, frozen=True, kw_only=True):
    """What the faults of one channel share. `place`: which of several alike (cell, stack, thermometer)."""

    group: ClassVar[str] = "sensor"
    channel: Quantity
    place: Unit = 0

    def sensor(self, rig: FaultRig) -> Channel:
        return rig.sensors[of_cell(self.channel, self.place)]


class SensorOffset(SensorFault, frozen=True, kw_only=True):
    """A constant is added to the channel, in its own unit."""

    name: ClassVar[str] = "sensor_offset"
    offset: float

    def begin(self, rig: FaultRig, now_us: int) -> None:
        self.sensor(rig).offset_fault = self.offset

    def end(self, rig: FaultRig) -> None:
        self.sensor(rig).offset_fault = 0.0


class SensorGain(SensorFault, frozen=True, kw_only=True):
    """The channel is multiplied."""

    name: ClassVar[str] = "sensor_gain"
    gain: Annotated[float, Meta(gt=0.0, le=10.0)]

    def begin(self, rig: FaultRig, now_us: int) -> None:
        self.sensor(rig).gain_fault = self.gain

    def end(self, rig: FaultRig) -> None:
        self.sensor(rig).gain_fault = 1.0


class SensorDrift(SensorFault, frozen=True, kw_only=True):
    """The channel runs away evenly, in its own unit per second; when it ends, it has drifted back."""

    name: ClassVar[str] = "sensor_drift"
    drift_per_s: float

    def begin(self, rig: FaultRig, now_us: int) -> None:
        sensor = self.sensor(rig)
        last_us = None if self.for_s is None else now_us + round(self.for_s * 1e6)

        def drift(at_us: int) -> bool:
            goes_on = last_us is None or at_us < last_us
            if goes_on:
                sensor.offset_fault = self.drift_per_s * (at_us - now_us) * 1e-6
            return goes_on

        rig.every(now_us, UPDATE_US, drift)

    def end(self, rig: FaultRig) -> None:
        self.sensor(rig).offset_fault = 0.0


class SensorNoise(SensorFault, frozen=True, kw_only=True):
    """White noise is added to every sample, in the channel's unit."""

    name: ClassVar[str] = "sensor_noise"
    rms: Positive

    def begin(self, rig: FaultRig, now_us: int) -> None:
        self.sensor(rig).noise_fault_rms = self.rms

    def end(self, rig: FaultRig) -> None:
        self.sensor(rig).noise_fault_rms = 0.0


class SensorStuck(SensorFault, frozen=True, kw_only=True):
    """The channel keeps its newest value."""

    name: ClassVar[str] = "sensor_stuck"

    def begin(self, rig: FaultRig, now_us: int) -> None:
        self.sensor(rig).stuck = True

    def end(self, rig: FaultRig) -> None:
        self.sensor(rig).stuck = False


class SensorDropout(SensorFault, frozen=True, kw_only=True):
    """Each sample is lost with this probability: the chip converts the one before it again."""

    name: ClassVar[str] = "sensor_dropout"
    lost_frac: Share

    def begin(self, rig: FaultRig, now_us: int) -> None:
        self.sensor(rig).dropout_frac = self.lost_frac

    def end(self, rig: FaultRig) -> None:
        self.sensor(rig).dropout_frac = 0.0


class SensorOpen(SensorFault, frozen=True, kw_only=True):
    """A wire to the chip is off: volts and amperes read 0, a bridge saturates, an NTC is without end. A TMP117 has no
    wire but its bus."""

    name: ClassVar[str] = "sensor_open"

    def begin(self, rig: FaultRig, now_us: int) -> None:
        self.sensor(rig).open_value = OPEN_VALUES[self.channel]

    def end(self, rig: FaultRig) -> None:
        self.sensor(rig).open_value = None


class SensorSwapped(SensorFault, frozen=True, kw_only=True):
    """Two sensors of a kind are mixed up: each is where the other belongs. With itself: its two wires are."""

    name: ClassVar[str] = "sensor_swapped"
    with_place: Unit

    def begin(self, rig: FaultRig, now_us: int) -> None:
        sensor, other = self.sensor(rig), rig.sensors[of_cell(self.channel, self.with_place)]
        truth = sensor.truth
        if sensor is other:
            sensor.truth = lambda: -truth()
        else:
            sensor.truth, other.truth = other.truth, truth

    def end(self, rig: FaultRig) -> None:
        self.begin(rig, 0)  # swapped twice is as it was


class SensorLost(LastingFault, frozen=True, kw_only=True):
    """The chip stops answering on its bus (NACK)."""

    name: ClassVar[str] = "sensor_lost"
    group: ClassVar[str] = "sensor"
    device: Device

    def begin(self, rig: FaultRig, now_us: int) -> None:
        for chip in rig.chips_of(self.device):
            chip.acking = False

    def end(self, rig: FaultRig) -> None:
        for chip in rig.chips_of(self.device):
            chip.acking = True


class BusHang(LastingFault, frozen=True, kw_only=True):
    """Some device holds the bus low: nobody answers there, and every transfer takes as long as its timeout.

    `clocks`: it waits for so many clocks to end its byte, then lets go; without, it is a short.
    """

    name: ClassVar[str] = "bus_hang"
    group: ClassVar[str] = "sensor"
    bus: Annotated[int, Meta(ge=0, le=1)] = 0
    clocks: Annotated[int, Meta(ge=1, le=9)] | None = None

    def begin(self, rig: FaultRig, now_us: int) -> None:
        rig.hung[self.bus] = self.clocks
        for chip in rig.chips_on(self.bus):
            chip.acking = False

    def end(self, rig: FaultRig) -> None:
        rig.let_go(self.bus)


class ChipBrownOut(Fault, frozen=True, kw_only=True):
    """The chip's supply dips below its power-on reset, the board's does not: its registers are as at power-on."""

    name: ClassVar[str] = "chip_brown_out"
    group: ClassVar[str] = "sensor"
    device: Device

    def apply(self, rig: FaultRig, now_us: int) -> None:
        for chip in rig.chips_of(self.device):
            chip.power_on_reset()
