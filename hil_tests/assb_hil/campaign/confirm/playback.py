"""A board's chips over recorded readings: each fast tick of the firmware finds the next row in the registers."""

from array import array
from collections.abc import Callable
from typing import Any

from assb.drivers.fixed_point import Ratio, signed
from assb.drivers.ina228 import SHUNT_LSB_PV, bus_uv
from assb.protocol.image import Config
from assb_kernels import TrialColumns

from assb_hil.chips.contactor import Contactor
from assb_hil.chips.i2c_chip import NEVER
from assb_hil.chips.ina228 import CURRENT, INA228, VBUS
from assb_hil.dut.idle_world import IdleWorld
from assb_hil.plant_file import PlantFile
from assb_hil.wiring import Wiring

SLOW_ROWS = 10
# A fast tick has read its row so long after it began, and the next one is then in the registers (an INA228 of the board
# publishes every 4.5 ms) before the next tick looks, 10 ms later
TURN_US = 3_000


class Place:
    """A cell or a stack, as chips see it."""

    surface_degc = pressure_mpa = 0.0


class Readings:
    """The columns of a trial in the place of a Plant; `show` puts one row behind the sensors. The pressure changes once
    in a slow tick, since nobody tells in which fast tick its converter, which keeps a time of its own, was read."""

    def __init__(self, columns: TrialColumns, full_scale_mpa: float):
        self._columns = columns
        self.leads = range(columns.leads)
        self.cells = [Place()]
        self.stacks = [Place() for _ in range(columns.stacks)]
        self.full_scale_mpa = full_scale_mpa
        self.contactor = Contactor()
        self.row = 0
        self.show(0)

    def show(self, row: int) -> None:
        columns = self._columns
        self.row = row = min(row, columns.rows - 1)
        self.current_a = columns["current_a"][row]
        self.cells[0].surface_degc = self.ambient_degc = columns["temperature_degc"][row]
        if row % SLOW_ROWS == 1 or row == 0:
            for at, stack in enumerate(self.stacks):
                stack.pressure_mpa = columns["pressure_mpa"][row * columns.stacks + at]

    def voltage_v(self, lead: int) -> float:
        return self._columns["voltage_v"][self.row * self._columns.leads + lead]

    def set_valve(self, input_v: float) -> None:
        """Recorded pressures follow no valve."""


class ExactWiring(Wiring):
    """The readings have their sensors' errors already."""

    def _channel(self, quantity: str, place: int, truth: Callable[[], float]) -> Callable[[], float]:
        return truth


class Playback(IdleWorld):
    """A `World` that stands at the first row until fast tick number `first_tick`, and goes on by one with each from
    there; a fast tick is when the firmware asks the first monitor for its voltage, at `ticks_us`. `voltage_v` (row by
    row, a value per lead) and `current_a` gather what the registers said then, as the firmware converts it."""

    def __init__(self, config: Config, plant: PlantFile, columns: TrialColumns):
        super().__init__()
        readings: Any = Readings(columns, 1e-3 * config.parameter("regulator_full_scale_kpa"))
        self._readings = readings
        self._wiring = ExactWiring(config, plant, readings, seed=0)
        self._chips = self._wiring.chips
        self._due_us = dict.fromkeys(self._chips, 0)
        self._pins: dict[int, int] = {}
        monitor = next(device for device in config.devices if device[0] == "ina228")
        self._amperes = Ratio(SHUNT_LSB_PV[monitor[5][0]], config.parameter("shunt_uohm"), 20)
        self._turn_us = NEVER
        self._first = self._wiring.kinds["ina228"][0]
        self.first_tick: int | None = None
        self.ticks_us: list[int] = []
        self.voltage_v, self.current_a = array("d"), array("d")

    def advance(self, now_us: int) -> None:
        while True:
            at_us = min(self._turn_us, *self._due_us.values(), self._readings.contactor.next_change_us)
            if at_us > now_us:
                break
            self._happen(at_us)
        self.now_us = now_us

    def _tick(self) -> None:
        self.ticks_us.append(self.now_us)
        if self.first_tick is not None and len(self.ticks_us) > self.first_tick:
            self._gather()
            self._turn_us = self.now_us + TURN_US

    def _happen(self, at_us: int) -> None:
        self._readings.contactor.advance(at_us)
        if self._turn_us == at_us:
            self._readings.show(self._readings.row + 1)
            self._turn_us = NEVER
        for place, due_us in self._due_us.items():
            if due_us <= at_us:
                self._settle(place, at_us)

    def _settle(self, place: tuple[int, int], at_us: int) -> None:
        chip = self._chips[place]
        chip.advance(at_us)
        # an average counts when it is published: a row behind the sensors is in it whole or not at all
        seen = chip.peek(bytes([VBUS]), 3) if isinstance(chip, INA228) else None
        self._due_us[place] = seen[1] if seen else chip.next_change_us

    def _gather(self) -> None:
        monitors = self._wiring.kinds["ina228"]
        for monitor in monitors:
            self.voltage_v.append(1e-6 * bus_uv(register(monitor, VBUS) >> 4))
        self.current_a.append(1e-6 * self._amperes.apply(signed(register(monitors[0], CURRENT) >> 4, 20)))

    def i2c(self, bus: int, address: int, write: bytes, read_n: int) -> bytes | None:
        place = (bus, address)
        chip = self._chips.get(place)
        if chip is None:
            return None
        if len(write) > 1:
            self._settle(place, self.now_us)
        if self._marks(chip, write):
            self._tick()
        data = chip.i2c(write, read_n)
        if len(write) > 1:
            self._due_us[place] = chip.next_change_us
        return data

    def _marks(self, chip: Any, write: bytes) -> bool:
        """Whether this reading is one per fast tick, which has to be told of, and so is never foretold."""
        return chip is self._first and write == bytes([VBUS])

    def peek(self, bus: int, address: int, write: bytes, read_n: int) -> tuple[bytes, int] | None:
        chip = self._chips.get((bus, address))
        return None if chip is None or self._marks(chip, write) else chip.peek(write, read_n)

    def preview(self, bus: int, address: int, write: bytes, read_n: int) -> tuple[bytes, int] | None:
        chip = self._chips.get((bus, address))
        return None if chip is None or self._marks(chip, write) else chip.preview(write, read_n)

    def acks(self) -> frozenset[tuple[int, int]]:
        return frozenset(self._chips)

    def pin_read(self, pin: int) -> int:
        return self._readings.contactor.feedback if pin == self._wiring.feedback_pin else self._pins.get(pin, 0)

    def pin_write(self, pin: int, level: int) -> None:
        self._pins[pin] = level
        if pin == self._wiring.drive_pin:
            self._readings.contactor.advance(self.now_us)
            self._readings.contactor.drive(level)


def register(chip: Any, number: int) -> int:
    """The three bytes of a result, without a transaction."""
    return int.from_bytes(chip._content(number, 3), "big")
