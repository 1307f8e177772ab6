"""From the devices of a config image to chip models on buses and pins, with the plant behind their inputs.

The rig is wired as the image says, so a board that carries another image finds another bench.
"""

from collections.abc import Callable, Mapping
from typing import Any

from assb.protocol.image import NO_PIN, Config
from assb_host.config import PackConfig
from assb_host.config.errors import ConfigError

from assb_hil.chips.hx711 import HX711
from assb_hil.chips.ina228 import INA228
from assb_hil.chips.mcp4725 import MCP4725
from assb_hil.chips.nau7802 import FULL_SCALE, NAU7802
from assb_hil.chips.tmp117 import TMP117
from assb_hil.plant import VALVE_FULL_V, Plant
from assb_hil.plant_file import PlantFile, load_plant
from assb_hil.recorder import of_cell
from assb_hil.sensors import Channel

DAC_FULL_CODE = 4096
ON_PINS = -1  # the bus of chips that sit on none


def plant_for(pack: PackConfig, name: str, changes: Mapping[str, float] | None = None) -> PlantFile:
    """The plant `name`, `changes` made, with as many units as the pack has cells. Without a lead between its units,
    what the board calls a cell is the whole stack, and the plant's own number stands. Raises ConfigError."""
    cells = pack.parameters["cells_in_series"]
    plant = load_plant(name, changes=changes)
    if plant.taps:
        return plant if plant.units == cells else load_plant(name, units=cells, changes=changes)
    if cells != 1:
        allowed = f"1: plant {plant.name} has no lead between its {plant.units} units"
        raise ConfigError(pack.path, "cells_in_series", cells, allowed)
    return plant


class Wiring:
    """Chips by (bus, address) and by kind, their sensors by name, and the pins of contactor and enable lines."""

    def __init__(self, config: Config, spec: PlantFile, plant: Plant, seed: int):
        cells = config.parameter("cells_in_series")
        if cells != len(plant.leads):
            raise ValueError(f"the plant shows {len(plant.leads)} voltages; the pack has {cells} cells")
        self._config = config
        self._spec = spec
        self._plant = plant
        self._seed = seed
        self.sensors: dict[str, Channel] = {}
        self.chips: dict[tuple[int, int], Any] = {}
        self.kinds: dict[str, list[Any]] = {}
        self.drive_pin = self.precharge_pin = self.feedback_pin = self.charge_pin = self.discharge_pin = (
            self.alarm_pin
        ) = NO_PIN
        self.close_level = 1
        self.step_pin = self.direction_pin = self.closed_switch_pin = self.open_switch_pin = NO_PIN
        self.switch_level = 0
        self.bleed_pins: dict[int, int] = {}  # pin: cell
        self.data_pins: dict[int, HX711] = {}
        self.clock_pins: dict[int, HX711] = {}
        self.bleed_ohm = config.parameter("bleed_ohm")
        for device in config.devices:
            kind, _, bus, address, pins, _ = device
            if kind == "contactor":
                self.drive_pin, self.feedback_pin, self.precharge_pin = pins[:3]
                self.close_level = device[5][0]
                plant.contactor.feedback_closed_level = device[5][1]
            elif kind == "enable_lines":
                self.charge_pin, self.discharge_pin = pins[0], pins[1]
            elif kind == "alarm":
                self.alarm_pin = pins[0]
            elif kind == "bleed":
                self.bleed_pins |= {pin: 4 * device[1] + at for at, pin in enumerate(pins) if pin != NO_PIN}
            elif kind == "stepper":
                self.step_pin, self.direction_pin = pins[0], pins[1]
                plant.board_turns_screw = True
            elif kind == "limit_switches":
                self.closed_switch_pin, self.open_switch_pin = pins[0], pins[1]
                self.switch_level = device[5][0]
            elif kind == "hx711":
                self.chips[ON_PINS, pins[0]] = chip = self._hx711(device[1], device[5])
                self.kinds.setdefault(kind, []).append(chip)
                self.data_pins[pins[0]] = self.clock_pins[pins[1]] = chip
            elif kind in MAKERS:
                chip = MAKERS[kind](self, device[1], device[5])
                self.chips[bus, address] = chip
                self.kinds.setdefault(kind, []).append(chip)

    def _channel(self, quantity: str, place: int, truth: Callable[[], float]) -> Callable[[], float]:
        channel = Channel(self._spec, self._seed, quantity, place, self._plant, truth)
        self.sensors[of_cell(quantity, place)] = channel
        return channel.see

    def _ina228(self, cell: int, arguments: tuple[int, ...]) -> INA228:
        """One for each voltage lead. The first has the shunt; at the others its inputs are joined."""
        plant = self._plant
        ohms = arguments[3] * 1e-6 * self._config.parameter("shunt_uohm")  # turned round where polarity is -1
        amperes = None if cell else self._channel("current_a", cell, lambda: plant.current_a)
        return INA228(
            bus_voltage_v=self._channel("voltage_v", cell, lambda: plant.voltage_v(cell)),
            shunt_voltage_v=lambda: ohms * amperes() if amperes else 0.0,
            die_temperature_degc=lambda: plant.ambient_degc,
        )

    def _bridge_v_per_v(self, place: int, gain: int) -> Callable[[], float]:
        """Of a load cell; every one stands in the first stack."""
        pressed = self._plant.stacks[0]
        pressure = self._channel("pressure_mpa", place, lambda: pressed.pressure_mpa)
        counts_per_mpa = 1e12 / self._config.parameter("load_cell_kpa_per_count_ppb")
        zero_counts = self._config.parameter("check_cell_zero_counts" if place else "load_cell_zero_counts")
        # counts = ratio * gain * 2 * full scale (the chips' own law), solved for the ratio
        per_count = 1.0 / (gain * 2.0 * FULL_SCALE)
        return lambda: (zero_counts + counts_per_mpa * pressure()) * per_count

    def _nau7802(self, place: int, arguments: tuple[int, ...]) -> NAU7802:
        return NAU7802(self._bridge_v_per_v(place, arguments[0]), external_avdd=arguments[2] == 0)

    def _hx711(self, place: int, arguments: tuple[int, ...]) -> HX711:
        return HX711(self._bridge_v_per_v(place, arguments[0]), arguments[1])

    def _tmp117(self, place: int, _arguments: tuple[int, ...]) -> TMP117:
        """Places are the units in their order; more thermometers than units share the last one."""
        cell = self._plant.cells[min(place, len(self._plant.cells) - 1)]
        return TMP117(temperature_degc=self._channel("temperature_degc", place, lambda: cell.surface_degc))

    def _mcp4725(self, _instance: int, _arguments: tuple[int, ...]) -> MCP4725:
        """Its EEPROM holds the pressure at which the bench is found, so that power-on does not move the stack."""
        full_scale_mpa = self._plant.full_scale_mpa
        if not full_scale_mpa:
            raise ValueError(f"the board drives a regulator; bench {self._spec.bench_name} has none")
        share = self._plant.stacks[0].pressure_mpa / full_scale_mpa
        return MCP4725(eeprom_code=min(round(share * DAC_FULL_CODE), DAC_FULL_CODE - 1))

    def switch(self, pin: int) -> int:
        """Level of a limit switch of the screw."""
        stack = self._plant.stacks[0]
        at_end = stack.at_min if pin == self.closed_switch_pin else stack.at_max
        return self.switch_level if at_end else 1 - self.switch_level

    def follow_dac(self) -> None:
        """The valve's input is the DAC's output; 0 V without one."""
        for dac in self.kinds.get("mcp4725", ()):
            self._plant.set_valve(VALVE_FULL_V * dac.output_v / dac.vdd_v)


MAKERS = {
    "ina228": Wiring._ina228,
    "nau7802": Wiring._nau7802,
    "tmp117": Wiring._tmp117,
    "mcp4725": Wiring._mcp4725,
}
