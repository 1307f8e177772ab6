"""The drivers of what a configuration names. A driver's code is heap, so it is loaded where its device is fitted.

Every monitor of a cell looks like INA228, every thermometer like TMP117. What can't be made or set up, because it does
not answer or its pin is not one for it, is counted, never fatal.
"""

import machine

from .const import const
from .port.i2c import Buses, pin_id
from .protocol import tables

_TRIP = const(6)  # column of a limit row
# Kinds of device, as in image.py, that give one channel each
MONITORS = ("ina228", "ina226", "ads1115_cell")
THERMOMETERS = ("tmp117", "bq76952_ts", "ntc", "ads1115_ntc")
BRIDGES = ("nau7802", "hx711", "ads1115_pressure")
_NO_SWITCHES = ("limit_switches", 0, 0, 0, (-1, -1, -1, -1), (0, 0, 0, 0))
_CRC = const(1)  # flags of a bq76952
_FAST = const(2)
# Where a device's failure is counted from, in the event bus_error
_THERMOMETERS = const(32)
_LOAD_CELLS = const(48)
_REGULATOR = const(64)
_CONVERTERS = const(72)
_BUSES = const(80)
OUTPUTS = const(96)
_SUPPLY_STEP_MV = const(10)


def output(pin):
    return machine.Pin(pin_id(pin), machine.Pin.OUT, value=0) if pin >= 0 else None


def input_pin(pin):
    return machine.Pin(pin_id(pin), machine.Pin.IN) if pin >= 0 else None


def attempt(failures, number, make, *arguments):
    """What `make` gives; None when a port, a chip or a driver refuses, with (number, error) among the failures."""
    try:
        return make(*arguments)
    except (OSError, ValueError, KeyError) as error:  # KeyError: what it stands on could not be made
        failures.append((number, error))
        return None


def silent():
    """In the place of a sensor whose driver could not be made: one that nobody gives a value."""
    from .drivers.injected import InjectedSensor

    return InjectedSensor()


class Devices:
    """Makes them. `failures`: (device number, error) of set-up. `converters`: ADS1115s, which need their tick."""

    def __init__(self, config):
        self._config = config
        self._parameter = config.parameter
        self.failures = []
        self.buses = Buses()
        for _, number, _, _, pins, arguments in config.devices_of("i2c_bus"):
            self.attempt(_BUSES + number, self.buses.open, number, pins[0], pins[1], arguments[0])
        for number in self.buses.stuck:
            self.failures.append((_BUSES + number, "I2C bus %d: SDA is held low" % number))
        self._inputs = {}  # of an ADS1115, by (chip, positive input): the chip's driver, and their order
        made = [
            self.attempt(_CONVERTERS + each[1], self._make_converter, each) for each in config.devices_of("ads1115")
        ]
        self.converters = [converter for converter in made if converter]

    def attempt(self, number, make, *arguments):
        return attempt(self.failures, number, make, *arguments)

    def _make_converter(self, device):
        """The inputs of an ADS1115 in their order are those that some other device names."""
        from .drivers.ads1115 import ADS1115

        wired = [
            (other[4][0], other[4][1], other[5][0])
            for other in self._config.devices
            if other[0] in ("ads1115_cell", "ads1115_pressure", "ads1115_ntc") and other[2:4] == device[2:4]
        ]
        chip = ADS1115(
            self.buses[device[2]], device[3], [((plus, minus), mv) for plus, minus, mv in wired], device[5][0]
        )
        for at, (plus, _, _) in enumerate(wired):
            self._inputs[device[2], device[3], plus] = chip, at
        self.attempt(_CONVERTERS + device[1], chip.configure)
        return chip

    def _input_of(self, device):
        return self._inputs[device[2], device[3], device[4][0]]

    def monitors(self):
        """Of the cells, from the first on."""
        for device in self._config.devices_of("bq76952"):
            cells = self.attempt(0, self._make_stack, device)
            return cells or [silent() for _ in range(bin(device[5][0]).count("1"))]
        return self._sensors(MONITORS, 0, self._make_monitor)

    def _sensors(self, kinds, first, make):
        """Of these kinds, in the order of their cells or places; their failures count from `first` on."""
        found = {}
        for kind in kinds:
            for device in self._config.devices_of(kind):
                found[device[1]] = self.attempt(first + device[1], make, device) or silent()
        return [found[at] for at in sorted(found)]

    def _make_monitor(self, device):
        if device[0] == "ads1115_cell":
            from .drivers.ads1115 import AdsCell

            chip, at = self._input_of(device)
            return AdsCell(chip, at, device[5][1])
        kind, cell, bus, address, _, (adc_range, conversion_us, averages, polarity) = device
        shunt_uohm = self._parameter("shunt_uohm")
        if kind == "ina226":
            from .drivers.ina226 import INA226

            monitor = INA226(self.buses[bus], address, shunt_uohm, polarity=polarity)
            self.attempt(cell, monitor.configure, conversion_us, conversion_us, averages)
        else:
            from .drivers.ina228 import INA228

            monitor = INA228(self.buses[bus], address, shunt_uohm, adc_range, polarity=polarity)
            self.attempt(cell, monitor.configure, conversion_us, conversion_us, 50, averages)
        self.attempt(cell, self._program_alerts, monitor, cell == 0)
        return monitor

    def _make_stack(self, device):
        from .drivers.bq76952 import BQ76952
        from .drivers.stack_channels import StackCell

        _, _, bus, address, _, (inputs, flags, thermistors, polarity) = device
        stack = BQ76952(
            self.buses[bus], address, inputs, self._parameter("shunt_uohm"), flags & _CRC, thermistors, polarity
        )
        self.stack = stack
        self.attempt(0, stack.configure, flags & _FAST)
        self.attempt(0, self._program_alerts, stack, True)
        return [StackCell(stack, cell) for cell in range(len(stack.voltage_uv))]

    def _program_alerts(self, monitor, has_shunt):
        """The comparators trip at the same levels as the rows, without waiting for a tick."""
        trip = {row[1]: limit[_TRIP] for row, limit in zip(tables.rows(tables.LIMIT_ROWS), self._config.limits)}
        monitor.set_alert_limits(
            undervoltage_uv=trip["cell_undervoltage"],
            overvoltage_uv=trip["cell_overvoltage"],
            charge_ua=trip["charge_overcurrent"] if has_shunt else None,
            discharge_ua=trip["discharge_overcurrent"] if has_shunt else None,
        )

    stack = None  # the BQ76952, which bleeds its cells by itself

    def thermometers(self):
        """By their places."""
        return self._sensors(THERMOMETERS, _THERMOMETERS, self._make_thermometer)

    def _make_thermometer(self, device):
        kind, pins, arguments = device[0], device[4], device[5]
        if kind == "bq76952_ts":
            from .drivers.stack_channels import StackThermistor

            return StackThermistor(self.stack, arguments[0]) if self.stack else None
        if kind == "ntc":
            from .drivers.ntc import Ntc, PinRatio

            return Ntc(PinRatio(machine.ADC(machine.Pin(pin_id(pins[0])))), *arguments[:3])
        if kind == "ads1115_ntc":
            from .drivers.ads1115 import AdsRatio
            from .drivers.ntc import Ntc

            range_mv, r25_ohm, beta_k, packed = arguments
            chip, at = self._input_of(device)
            return Ntc(
                AdsRatio(chip, at, (packed >> 20) * _SUPPLY_STEP_MV, range_mv), r25_ohm, beta_k, packed & 0xFFFFF
            )
        from .drivers.tmp117 import TMP117

        thermometer = TMP117(self.buses[device[2]], device[3])
        self.attempt(_THERMOMETERS + device[1], thermometer.configure, device[5][0], device[5][1])
        return thermometer

    def load_cell(self, place):
        """Of the load cell that regulates (0), or checks (1); None where there is none."""
        for kind in BRIDGES:
            for device in self._config.devices_of(kind):
                if device[1] == place:
                    zero_counts = "check_cell_zero_counts" if place else "load_cell_zero_counts"
                    return self.attempt(_LOAD_CELLS + place, self._make_load_cell, device, zero_counts) or silent()
        return None

    def _make_load_cell(self, device, zero_counts):
        from .drivers.load_cell import LoadCell

        kind, place, bus, address, pins, arguments = device
        if kind == "ads1115_pressure":
            from .drivers.ads1115 import AdsInput

            bridge = AdsInput(*self._input_of(device))
        elif kind == "hx711":
            from time import ticks_us

            from .drivers.hx711 import HX711

            bridge = HX711(input_pin(pins[0]), output(pins[1]), ticks_us)
            self.attempt(_LOAD_CELLS + place, bridge.configure, arguments[0], arguments[1])
        else:
            from .drivers.nau7802 import NAU7802

            bridge = NAU7802(self.buses[bus], address)
            self.attempt(_LOAD_CELLS + place, bridge.configure, arguments[0], arguments[1], arguments[2])
        return LoadCell(bridge, self._parameter(zero_counts), self._parameter("load_cell_kpa_per_count_ppb"))

    def regulator(self):
        """What moves the press, or None."""
        for device in self._config.devices_of("mcp4725"):
            return self.attempt(_REGULATOR + device[1], self._make_regulator, device)
        return None

    def _make_regulator(self, device):
        from .drivers.electro_pneumatic import ElectroPneumatic
        from .drivers.mcp4725 import MCP4725

        dac = MCP4725(self.buses[device[2]], device[3])
        self.attempt(_REGULATOR + device[1], dac.configure)
        return ElectroPneumatic(
            dac, self._parameter("regulator_full_scale_kpa"), self._parameter("pressure_command_max_kpa")
        )

    def screw(self):
        """(stepper, press) of a screw press, or (None, None)."""
        for device in self._config.devices_of("stepper"):
            switches = self._config.devices_of("limit_switches")
            made = self.attempt(_REGULATOR, self._make_screw, device, switches[0] if switches else _NO_SWITCHES)
            return made or (None, None)
        return None, None

    def _make_screw(self, device, switches):
        from .drivers.screw_press import ScrewPress
        from .drivers.stepper import Stepper

        pins, (rate, ramp, closes, opens) = device[4], device[5]
        _, _, _, _, ends, arguments = switches
        closed, opened = [input_pin(pin) for pin in ends[:2]]
        step, direction, enable = [output(pin) for pin in pins[:3]]
        travel = (-opens, closes)
        stepper = Stepper(
            step, direction, enable, closed, opened, arguments[0], rate, ramp, self._parameter("fast_period_ms"), travel
        )
        kpa_per_step = self._parameter("stack_stiffness_kpa_per_um") * self._parameter("press_nm_per_step") / 1000
        return stepper, ScrewPress(stepper, kpa_per_step)

    def heater(self):
        for device in self._config.devices_of("heater"):
            return self.attempt(OUTPUTS, self._make_heater, device[4], device[5])
        return None

    def _make_heater(self, pins, arguments):
        from .drivers.heater import Heater

        pwm = machine.PWM(machine.Pin(pin_id(pins[0])), freq=arguments[0], duty_u16=0)
        return Heater(pwm, output(pins[1]))
