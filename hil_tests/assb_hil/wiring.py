"""From the devices of a config image to chip models on buses and pins, with the plant behind their inputs.

The rig is wired as the image says, so a board that carries another image finds another bench.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from assb.protocol.image import NO_PIN, Config
from assb_host.config import PackConfig
from assb_host.config.errors import ConfigError

from assb_hil.chips.ads1115 import ADS1115
from assb_hil.chips.bq76952 import BQ76952
from assb_hil.chips.hx711 import HX711
from assb_hil.chips.ina226 import INA226
from assb_hil.chips.ina228 import INA228
from assb_hil.chips.mcp4725 import MCP4725
from assb_hil.chips.nau7802 import FULL_SCALE, NAU7802
from assb_hil.chips.tmp117 import TMP117
from assb_hil.plant import VALVE_FULL_V, Plant
from assb_hil.plant_file import PlantFile, load_plant
from assb_hil.recorder import of_cell
from assb_hil.sensors import Channel

DAC_FULL_CODE = 4096
ADC_FULL_CODE = 4096  # of the board's own converter, an RP2040's 12 bits (datasheet 4.9)
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
        self.heater_pin = self.heater_enable_pin = NO_PIN
        self.bleed_pins: dict[int, int] = {}  # pin: cell
        self.data_pins: dict[int, HX711] = {}
        self.clock_pins: dict[int, HX711] = {}
        self.bus_clock_pins: dict[int, int] = {}  # SCL: bus
        self.bus_data_pins: dict[int, int] = {}  # SDA: bus
        self.adc_inputs: dict[int, Callable[[], float]] = {}  # pin: share of the converter's reference
        self.on_bleed: Callable[[int, bool], None] = lambda _cell, _on: None  # a chip moves a bleed switch
        self.bleed_ohm = config.parameter("bleed_ohm")
        for device in config.devices:
            if not self._wire_pins(*device):
                self._wire_chip(*device)

        if plant.full_scale_mpa and "mcp4725" not in self.kinds:  # whoever only watches has set the valve by hand
            plant.set_valve(VALVE_FULL_V * plant.stacks[0].pressure_mpa / plant.full_scale_mpa)

    def _wire_pins(self, kind: str, instance: int, _bus: int, _address: int, pins: Any, arguments: Any) -> bool:
        """What is switched or read by pins alone; False for everything else."""
        plant = self._plant
        match kind:
            case "contactor":
                self.drive_pin, self.feedback_pin, self.precharge_pin = pins[:3]
                self.close_level = arguments[0]
                plant.contactor.feedback_closed_level = arguments[1]
            case "enable_lines":
                self.charge_pin, self.discharge_pin = pins[0], pins[1]
            case "alarm":
                self.alarm_pin = pins[0]
            case "bleed":
                self.bleed_pins |= {pin: 4 * instance + at for at, pin in enumerate(pins) if pin != NO_PIN}
            case "stepper":
                self.step_pin, self.direction_pin = pins[0], pins[1]
                plant.board_turns_screw = True
            case "limit_switches":
                self.closed_switch_pin, self.open_switch_pin = pins[0], pins[1]
                self.switch_level = arguments[0]
            case "heater":
                self.heater_pin, self.heater_enable_pin = pins[:2]
                plant.heater_full_w = arguments[1] / 1000
                plant.heater_enabled = self.heater_enable_pin == NO_PIN
            case "i2c_bus":
                self.bus_data_pins[pins[0]] = self.bus_clock_pins[pins[1]] = instance
            case "ntc":
                self.adc_inputs[pins[0]] = self._divider(instance, *arguments[:3])
            case _:
                return False
        return True

    def _wire_chip(self, kind: str, instance: int, bus: int, address: int, pins: Any, arguments: Any) -> None:
        """A chip model where one is fitted; inputs of a converter come with their converter."""
        place = bus, address
        if kind == "hx711":
            chip, place = self._hx711(instance, arguments), (ON_PINS, pins[0])
            self.data_pins[pins[0]] = self.clock_pins[pins[1]] = chip
        elif kind == "ads1115":
            chip = self._ads1115(bus, address)
        elif kind in MAKERS:
            chip = MAKERS[kind](self, instance, arguments)
        else:
            return
        self.chips[place] = chip
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

    def _shunt_v(self, polarity: int) -> Callable[[], float]:
        """Across the pack's shunt, turned round where polarity is -1."""
        plant = self._plant
        ohms = polarity * 1e-6 * self._config.parameter("shunt_uohm")
        amperes = self._channel("current_a", 0, lambda: plant.current_a)
        return lambda: ohms * amperes()

    def _cell_v(self, cell: int) -> Callable[[], float]:
        return self._channel("voltage_v", cell, lambda: self._plant.voltage_v(cell))

    def _ina226(self, cell: int, arguments: tuple[int, ...]) -> INA226:
        return INA226(self._cell_v(cell), (lambda: 0.0) if cell else self._shunt_v(arguments[3]))

    def _bq76952(self, _instance: int, arguments: tuple[int, ...]) -> BQ76952:
        """Its cells sit between neighbouring VC pins that are bits of its inputs."""
        inputs, flags, _, polarity = arguments
        numbers = [number for number in range(1, 17) if inputs >> number - 1 & 1]
        pins = {device[5][0] + 1: device[1] for device in self._config.devices_of("bq76952_ts")}
        bled = [False] * len(numbers)

        def bleed(mask: int) -> None:
            for cell, number in enumerate(numbers):
                on = bool(mask >> number - 1 & 1)
                if on != bled[cell]:
                    bled[cell] = on
                    self.on_bleed(cell, on)

        return BQ76952(
            cells_v={number: self._cell_v(cell) for cell, number in enumerate(numbers)},
            stack_v=lambda: sum(self._plant.voltage_v(cell) for cell in range(len(numbers))),
            shunt_v=self._shunt_v(polarity),
            thermistors_degc={pin: self._degc(place) for pin, place in pins.items()},
            die_degc=lambda: self._plant.ambient_degc,
            bleed=bleed,
            with_crc=bool(flags & 1),
        )

    def _ads1115(self, bus: int, address: int) -> ADS1115:
        """What is at its inputs are the devices with its bus and address."""
        inputs: dict[int, Callable[[], float]] = {}
        for kind, place, on_bus, at, pins, arguments in self._config.devices:
            if (on_bus, at) == (bus, address) and kind in INPUT_MAKERS:
                inputs[pins[0]] = INPUT_MAKERS[kind](self, place, arguments)
        return ADS1115(inputs)

    def _cell_input(self, cell: int, arguments: tuple[int, ...]) -> Callable[[], float]:
        """Behind its divider: that of the cell's picovolts a code is of the input's."""
        volts = self._cell_v(cell)
        share = arguments[0] * 1e9 / 32768 / arguments[1]
        return lambda: share * volts()

    def _pressure_input(self, place: int, arguments: tuple[int, ...]) -> Callable[[], float]:
        counts = self._load_cell_counts(place)
        volts_per_count = arguments[0] / 1000 / 32768
        return lambda: counts() * volts_per_count

    def _ntc_input(self, place: int, arguments: tuple[int, ...]) -> Callable[[], float]:
        _, r25_ohm, beta_k, packed = arguments
        share, supply_v = self._divider(place, r25_ohm, beta_k, packed & 0xFFFFF), (packed >> 20) / 100
        return lambda: supply_v * share()

    def _divider(self, place: int, r25_ohm: int, beta_k: int, pullup_ohm: int) -> Callable[[], float]:
        """Of a thermistor to ground: its resistance by the beta equation (IEC 60539-1) over the whole."""
        degc = self._degc(place)

        def share() -> float:
            ohm = r25_ohm * math.exp(beta_k * (1 / (degc() + 273.15) - 1 / 298.15))
            return ohm / (ohm + pullup_ohm)

        return share

    def adc_u16(self, pin: int) -> int:
        """As rp2's read_u16 stretches 12 bits."""
        if pin not in self.adc_inputs:
            return 0
        code = min(max(round(self.adc_inputs[pin]() * ADC_FULL_CODE), 0), ADC_FULL_CODE - 1)
        return code << 4 | code >> 8

    def _load_cell_counts(self, place: int) -> Callable[[], float]:
        """What the converter of a load cell should say; every load cell stands in the first stack."""
        pressed = self._plant.stacks[0]
        pressure = self._channel("pressure_mpa", place, lambda: pressed.pressure_mpa)
        counts_per_mpa = 1e12 / self._config.parameter("load_cell_kpa_per_count_ppb")
        zero_counts = self._config.parameter("check_cell_zero_counts" if place else "load_cell_zero_counts")
        return lambda: zero_counts + counts_per_mpa * pressure()

    def _bridge_v_per_v(self, place: int, gain: int) -> Callable[[], float]:
        """Of a load cell: counts = ratio * gain * 2 * full scale (the chips' own law), solved for the ratio."""
        counts = self._load_cell_counts(place)
        per_count = 1.0 / (gain * 2.0 * FULL_SCALE)
        return lambda: counts() * per_count

    def _nau7802(self, place: int, arguments: tuple[int, ...]) -> NAU7802:
        return NAU7802(self._bridge_v_per_v(place, arguments[0]), external_avdd=arguments[2] == 0)

    def _hx711(self, place: int, arguments: tuple[int, ...]) -> HX711:
        return HX711(self._bridge_v_per_v(place, arguments[0]), arguments[1])

    def _tmp117(self, place: int, _arguments: tuple[int, ...]) -> TMP117:
        return TMP117(temperature_degc=self._degc(place))

    def _degc(self, place: int) -> Callable[[], float]:
        """Places are the units in their order; more thermometers than units share the last one."""
        cell = self._plant.cells[min(place, len(self._plant.cells) - 1)]
        return self._channel("temperature_degc", place, lambda: cell.surface_degc)

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
    "ina226": Wiring._ina226,
    "bq76952": Wiring._bq76952,
}
INPUT_MAKERS = {
    "ads1115_cell": Wiring._cell_input,
    "ads1115_pressure": Wiring._pressure_input,
    "ads1115_ntc": Wiring._ntc_input,
}
