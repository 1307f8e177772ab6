"""From the devices of a config image to chip models on buses and pins, with the plant behind their inputs.

The rig is wired as the image says, so a board that carries another image finds another bench.
"""

from typing import Any

from assb.protocol.image import NO_PIN, Config

from assb_hil.chips.ina228 import INA228
from assb_hil.chips.mcp4725 import MCP4725
from assb_hil.chips.nau7802 import FULL_SCALE, NAU7802
from assb_hil.chips.tmp117 import TMP117
from assb_hil.plant import Plant
from assb_hil.sensors import Sensor

DAC_FULL_CODE = 4096
VALVE_FULL_V = 10.0  # the DAC's full scale is amplified to the regulator's 0 to 10 V


class Wiring:
    """Chips by (bus, address) and by kind, and the pins of contactor and enable lines."""

    def __init__(self, config: Config, plant: Plant, sensors: dict[str, Sensor]):
        if config.parameter("cells_in_series") != 1:
            raise ValueError(f"this rig has one cell; the pack has {config.parameter('cells_in_series')}")
        self._config = config
        self._plant = plant
        self._sensors = sensors
        self.chips: dict[tuple[int, int], Any] = {}
        self.kinds: dict[str, list[Any]] = {}
        self.drive_pin = self.feedback_pin = self.charge_pin = self.discharge_pin = NO_PIN
        self.close_level = 1
        for device in config.devices:
            kind, _, bus, address, pins, arguments = device
            if kind == "contactor":
                self.drive_pin, self.feedback_pin = pins[0], pins[1]
                self.close_level = arguments[0]
                plant.contactor.feedback_closed_level = arguments[1]
            elif kind == "enable_lines":
                self.charge_pin, self.discharge_pin = pins[0], pins[1]
            elif kind in MAKERS:
                chip = MAKERS[kind](self, arguments)
                self.chips[bus, address] = chip
                self.kinds.setdefault(kind, []).append(chip)

    def _ina228(self, arguments: tuple[int, ...]) -> INA228:
        plant, volts, amperes = self._plant, self._sensors["voltage_v"], self._sensors["current_a"]
        cell = plant.cell
        ohms = arguments[3] * 1e-6 * self._config.parameter("shunt_uohm")  # turned round where polarity is -1
        return INA228(
            bus_voltage_v=lambda: volts.read(cell.voltage_v),
            shunt_voltage_v=lambda: ohms * amperes.read(plant.current_a),
            die_temperature_degc=lambda: plant.ambient_degc,
        )

    def _nau7802(self, arguments: tuple[int, ...]) -> NAU7802:
        cell, pressure = self._plant.cell, self._sensors["pressure_mpa"]
        counts_per_mpa = 1e12 / self._config.parameter("load_cell_kpa_per_count_ppb")
        zero_counts = self._config.parameter("load_cell_zero_counts")
        # counts = ratio * gain * 2 * full scale (the chip's own law), solved for the ratio
        per_count = 1.0 / (arguments[0] * 2.0 * FULL_SCALE)
        return NAU7802(
            bridge_v_per_v=lambda: (zero_counts + counts_per_mpa * pressure.read(cell.pressure_mpa)) * per_count,
            external_avdd=arguments[2] == 0,
        )

    def _tmp117(self, _arguments: tuple[int, ...]) -> TMP117:
        cell, sensor = self._plant.cell, self._sensors["temperature_degc"]
        return TMP117(temperature_degc=lambda: sensor.read(cell.surface_degc))

    def _mcp4725(self, _arguments: tuple[int, ...]) -> MCP4725:
        """Its EEPROM holds the pressure at which the bench is found, so that power-on does not move the stack."""
        share = self._plant.regulator.pressure_mpa / self._plant.regulator.full_scale_mpa
        return MCP4725(eeprom_code=min(round(share * DAC_FULL_CODE), DAC_FULL_CODE - 1))

    def follow_dac(self) -> None:
        """The valve's input is the DAC's output; 0 V without one."""
        for dac in self.kinds.get("mcp4725", ()):
            self._plant.valve_input_v = VALVE_FULL_V * dac.output_v / dac.vdd_v


MAKERS = {
    "ina228": Wiring._ina228,
    "nau7802": Wiring._nau7802,
    "tmp117": Wiring._tmp117,
    "mcp4725": Wiring._mcp4725,
}
