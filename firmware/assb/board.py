"""The drivers of one configuration, behind the few calls that the app makes.

A device that fails is counted, never fatal: its channel stays invalid, the self-test does not pass, and the board still
answers.
"""

import machine

from .const import const
from .control.plausibility import Plausibility
from .drivers.contactor import Contactor
from .drivers.electro_pneumatic import ElectroPneumatic
from .drivers.enable_lines import EnableLines
from .drivers.ina228 import INA228
from .drivers.load_cell import LoadCell
from .drivers.mcp4725 import MCP4725
from .drivers.nau7802 import NAU7802
from .drivers.status import CONFIG_LOST, NOT_READY
from .drivers.tmp117 import TMP117
from .protocol import tables
from .ticks import elapsed_ms

# Ids of the wire, as in schema.py (a test compares)
_EV_BUS = const(18)
_EV_ALERT = const(19)

_TRIP = 6  # column of a limit row
# The longest transfer takes 160 us at 400 kHz and no chip here stretches the clock. Ports wait 50 ms by default: with a
# bus that is held low, a tick would take ten times its period, and the watchdog would starve.
_BUS_TIMEOUT_US = const(2000)
_NO_SWITCHES = ("limit_switches", 0, 0, 0, (-1, -1, -1, -1), (0, 0, 0, 0))


class NoBoard:
    """No valid configuration: nothing is known of the wiring, so nothing is driven and every pin stays an input."""

    regulates = measures_pressure = False

    def __init__(self):
        self.samples = Plausibility(0, 0)
        self.polls = 0

    def attach(self, signals, cells, events):
        pass

    def sample(self, now_ms):
        self.polls += 1  # there are none

    def sample_slow(self, now_ms):
        pass

    def ready(self):
        return False

    def absent(self):
        return ()

    def contactor_closed(self):
        return 0

    def apply(self, main, precharge, charge, discharge):
        pass

    def sound(self, alarm):
        pass

    def bleed(self, bits):
        pass

    def off(self):
        pass

    def applied_kpa(self):
        return 0

    def command_kpa(self, kpa):
        pass

    def bus_error_count(self):
        return 0


class Board:
    def __init__(self, config):
        self._limits = config.limits
        self._parameter = config.parameter
        self._buses = {}
        self._outputs = [-1, -1, -1, -1]
        self._failures = []  # (device number, text) of set-up
        self._contactor = self._enable_lines = self._alarm = None
        self._alarm_on = 0
        self.bleeding = 0  # bit n: the switch of cell n is on
        self._bleeders = []
        self._bleed_ohm = config.parameter("bleed_ohm")
        self.polls = 0  # of the sensors, for the watchdog, which counts them
        # outputs first: whatever fails later, they are defined and off
        for device in config.devices_of("contactor"):
            self._contactor = self._make_contactor(device[4], device[5])
        for device in config.devices_of("enable_lines"):
            self._enable_lines = EnableLines(_output(device[4][0]), _output(device[4][1]))
        for device in config.devices_of("bleed"):
            self._bleeders += [_output(pin) for pin in device[4]]
        for device in config.devices_of("alarm"):
            self._alarm = _output(device[4][0])
        for _, instance, _, _, pins, arguments in config.devices_of("i2c_bus"):
            sda, scl = machine.Pin(pins[0]), machine.Pin(pins[1])
            self._buses[instance] = machine.I2C(instance, sda=sda, scl=scl, freq=arguments[0], timeout=_BUS_TIMEOUT_US)
        self._monitors = [self._make_monitor(device) for device in config.devices_of("ina228")]
        self._thermometers = [self._make_thermometer(device) for device in config.devices_of("tmp117")]
        self.samples = Plausibility(len(self._monitors), len(self._thermometers))
        self._alerts = bytearray(len(self._monitors))
        self._heard_ms = [-1] * len(self._thermometers)
        self._load_cell = self._check_cell = self._regulator = None
        for device in config.devices_of("nau7802") + config.devices_of("hx711"):
            if device[1]:
                self._check_cell = self._make_load_cell(device, "check_cell_zero_counts")
            else:
                self._load_cell = self._make_load_cell(device, "load_cell_zero_counts")
        for device in config.devices_of("mcp4725"):
            self._regulator = self._make_regulator(device)
        self._stepper = None
        for device in config.devices_of("stepper"):
            self._regulator = self._make_screw(device, config.devices_of("limit_switches"))
        self.regulates = self._regulator is not None
        self.measures_pressure = self._load_cell is not None

    def _make_contactor(self, pins, arguments):
        if not arguments[0]:
            raise ValueError("contactor: only drives that close at level 1 are supported")
        feedback = machine.Pin(pins[1], machine.Pin.IN) if pins[1] >= 0 else None
        return Contactor(_output(pins[0]), feedback, _output(pins[2]), arguments[1])

    def _make_monitor(self, device):
        _, instance, bus, address, _, arguments = device
        monitor = INA228(self._buses[bus], address, self._parameter("shunt_uohm"), arguments[0], polarity=arguments[3])
        self._set_up(instance, monitor.configure, arguments[1], arguments[1], 50, arguments[2])
        self._set_up(instance, self._program_alerts, monitor, instance)
        return monitor

    def _program_alerts(self, monitor, instance):
        """The comparators trip at the same levels as the rows, without waiting for a tick."""
        trip = {row[1]: limit[_TRIP] for row, limit in zip(tables.rows(tables.LIMIT_ROWS), self._limits)}
        monitor.set_alert_limits(
            undervoltage_uv=trip["cell_undervoltage"],
            overvoltage_uv=trip["cell_overvoltage"],
            charge_ua=trip["charge_overcurrent"] if instance == 0 else None,
            discharge_ua=trip["discharge_overcurrent"] if instance == 0 else None,
        )

    def _make_thermometer(self, device):
        thermometer = TMP117(self._buses[device[2]], device[3])
        self._set_up(32 + device[1], thermometer.configure, device[5][0], device[5][1])
        return thermometer

    def _make_load_cell(self, device, zero_counts):
        if device[0] == "hx711":
            bridge = _hx711(device[4])
            self._set_up(48 + device[1], bridge.configure, device[5][0], device[5][1])
        else:
            bridge = NAU7802(self._buses[device[2]], device[3])
            self._set_up(48 + device[1], bridge.configure, device[5][0], device[5][1], device[5][2])
        return LoadCell(bridge, self._parameter(zero_counts), self._parameter("load_cell_kpa_per_count_ppb"))

    def _make_regulator(self, device):
        dac = MCP4725(self._buses[device[2]], device[3])
        self._set_up(64 + device[1], dac.configure)
        return ElectroPneumatic(
            dac, self._parameter("regulator_full_scale_kpa"), self._parameter("pressure_command_max_kpa")
        )

    def _make_screw(self, device, switches):
        from .drivers.screw_press import ScrewPress
        from .drivers.stepper import Stepper

        pins, (rate, ramp, closes, opens) = device[4], device[5]
        _, _, _, _, ends, arguments = switches[0] if switches else _NO_SWITCHES
        closed, opened = [machine.Pin(pin, machine.Pin.IN) if pin >= 0 else None for pin in ends[:2]]
        step, direction, enable = [_output(pin) for pin in pins[:3]]
        travel = (-opens, closes)
        self._stepper = Stepper(
            step, direction, enable, closed, opened, arguments[0], rate, ramp, self._parameter("fast_period_ms"), travel
        )
        kpa_per_step = self._parameter("stack_stiffness_kpa_per_um") * self._parameter("press_nm_per_step") / 1000
        return ScrewPress(self._stepper, kpa_per_step)

    def _set_up(self, number, configure, *arguments):
        try:
            configure(*arguments)
        except (OSError, ValueError) as error:
            self._failures.append((number, error))

    def attach(self, signals, cells, events):
        """Where samples go. Failures of set-up become events and console text."""
        self._signals = signals
        self._cells = cells
        self._events = events
        self._s_current = signals.pack("current_ua")
        self._s_pack = signals.pack("pack_voltage_uv")
        self._s_pressure = signals.pack("pressure_kpa")
        self._s_disagreement = signals.pack("pressure_disagreement_kpa")
        self._s_temperature = signals.pack("temperature_cdegc")
        self._s_voltages = [signals.cell(cell, "voltage_uv") for cell in range(len(cells))]
        self._count = min(len(cells), len(self._monitors))
        for number, error in self._failures:
            events.push(_EV_BUS, number, 0)
            print(error)

    def sample(self, now_ms):
        """Fast tick: cells, current and stack pressure onto the blackboard. Allocates nothing."""
        signals, samples = self._signals, self.samples
        current_ua = 0
        pack_uv = 0
        heard = 0
        for at in range(self._count):
            monitor = self._monitors[at]
            if not monitor.update():
                signals.lose(self._s_voltages[at])
                if at == 0:
                    signals.lose(self._s_current)
                continue
            if at == 0:
                current_ua = monitor.current_ua
                signals.put(self._s_current, current_ua, now_ms)
                samples.see(samples.current, current_ua, current_ua, now_ms)
            samples.see(at, monitor.voltage_uv, monitor.voltage_uv, now_ms)
            signals.put(self._s_voltages[at], monitor.voltage_uv, now_ms)
            pack_uv += monitor.voltage_uv
            heard += 1
            if signals.valid[self._s_current]:
                cell_ua = current_ua
                if self.bleeding >> at & 1:
                    cell_ua -= monitor.voltage_uv // self._bleed_ohm
                self._cells[at].add_sample(monitor.voltage_uv, cell_ua, now_ms)
        if heard == self._count:
            signals.put(self._s_pack, pack_uv, now_ms)
        else:
            signals.lose(self._s_pack)
        if self.measures_pressure:
            self._sample_pressure(now_ms)
        if self._stepper:
            self._stepper.tick()
        self.polls += 1

    def _sample_pressure(self, now_ms):
        load_cell, samples = self._load_cell, self.samples
        if load_cell.update():
            self._signals.put(self._s_pressure, load_cell.pressure_kpa, now_ms)
            samples.see(samples.pressure, load_cell.pressure_kpa, load_cell.counts, now_ms)
        elif load_cell.status != NOT_READY:
            self._signals.lose(self._s_pressure)
        if self._check_cell:
            self._compare_pressures(now_ms)

    def _compare_pressures(self, now_ms):
        signals, check_cell = self._signals, self._check_cell
        if check_cell.update() and signals.valid[self._s_pressure]:
            apart_kpa = abs(check_cell.pressure_kpa - signals.value[self._s_pressure])
            signals.put(self._s_disagreement, apart_kpa, now_ms)
        elif check_cell.status not in (0, NOT_READY):
            signals.lose(self._s_disagreement)

    def sample_slow(self, now_ms):
        """Slow tick: the hottest thermometer, the chips' own diagnosis, outputs asserted again."""
        self._sample_temperature(now_ms)
        for at, monitor in enumerate(self._monitors):
            if not monitor.update_diagnostics() and monitor.status == CONFIG_LOST:
                self._restore(monitor.restore)
            if monitor.alert_flags & ~self._alerts[at]:
                self._events.push(_EV_ALERT, at, monitor.alert_flags)
            self._alerts[at] = monitor.alert_flags  # an alert that lasts is one event
            monitor.clear_alerts()
        if self._regulator:
            self._regulator.verify()
        self._assert_outputs()

    def _sample_temperature(self, now_ms):
        """The hottest place. It is fresh only when every thermometer is: a lost one must not hide behind the others."""
        hottest = None
        for at, thermometer in enumerate(self._thermometers):
            if thermometer.update():
                self._heard_ms[at] = now_ms
                cdegc = thermometer.temperature_cdegc
                self.samples.see(self.samples.first_thermometer + at, cdegc, cdegc, now_ms)
            elif thermometer.status != NOT_READY:
                self._heard_ms[at] = -1
                if thermometer.status == CONFIG_LOST:
                    self._restore(thermometer.restore)
            if hottest is None or thermometer.temperature_cdegc > hottest:
                hottest = thermometer.temperature_cdegc
        oldest_ms = self._oldest_ms(now_ms)
        if oldest_ms < 0:
            self._signals.lose(self._s_temperature)
        elif hottest is not None:
            self._signals.put(self._s_temperature, hottest, oldest_ms)

    def _oldest_ms(self, now_ms):
        """When the thermometer that was heard longest ago was heard; -1 while one is lost or has not spoken yet."""
        oldest_ms = now_ms
        for heard_ms in self._heard_ms:
            if heard_ms < 0:
                return -1
            if elapsed_ms(now_ms, heard_ms) > elapsed_ms(now_ms, oldest_ms):
                oldest_ms = heard_ms
        return oldest_ms

    def _restore(self, program):
        """A brown-out took the registers: program them again. The channel stays invalid until it converts.

        The bridge converter is not restored here: its calibration takes longer than a tick may, so it needs a restart.
        """
        try:
            program()
        except OSError:
            pass  # the driver counted it, and the next slow tick tries again

    def absent(self):
        """Numbers of the devices that do not say who they are, as in the event bus_error. Takes some bus transfers."""
        found = []
        for first, devices in ((0, self._monitors), (32, self._thermometers)):
            for at, device in enumerate(devices):
                try:
                    device.check_id()
                except OSError:
                    found.append(first + at)
        if self._load_cell and not self._signals.valid[self._s_pressure]:
            found.append(48)  # its converter has no identity: it has to convert
        if self._check_cell and not self._signals.valid[self._s_disagreement]:
            found.append(49)
        return found

    def ready(self):
        """Every device took its set-up, the monitors' comparators among it, and every channel has given valid data."""
        valid = self._signals.valid
        return (
            not self._failures
            and self._count == len(self._cells)
            and all([valid[index] for index in self._s_voltages])
            and valid[self._s_current] == 1
            and valid[self._s_temperature] == 1
            and (not self.measures_pressure or valid[self._s_pressure] == 1)
            and (not self._check_cell or valid[self._s_disagreement] == 1)
        )

    def contactor_closed(self):
        return 1 if self._contactor and self._contactor.is_closed_feedback() else 0

    def apply(self, main, precharge, charge, discharge):
        """Outputs, 0 or 1 each; written when they change (and again by the slow tick). Allocates nothing."""
        outputs = self._outputs
        if outputs[0] != main or outputs[1] != precharge or outputs[2] != charge or outputs[3] != discharge:
            outputs[0] = main
            outputs[1] = precharge
            outputs[2] = charge
            outputs[3] = discharge
            self._assert_outputs()

    def sound(self, alarm):
        """The alarm output, 0 or 1. Nothing else turns it off."""
        self._alarm_on = alarm
        self._assert_outputs()

    def bleed(self, bits):
        """Bleed switches, bit n for cell n; what is not fitted stays off."""
        self.bleeding = bits & ((1 << len(self._bleeders)) - 1)
        self._assert_outputs()

    def off(self):
        """All outputs off, written whatever was written before."""
        self.bleeding = 0
        for at in range(4):
            self._outputs[at] = 0
        if self._stepper:
            self._stepper.release()
        self._assert_outputs()

    def _assert_outputs(self):
        main, precharge, charge, discharge = self._outputs
        contactor = self._contactor
        if self._alarm:
            self._alarm.value(self._alarm_on)
        for cell in range(len(self._bleeders)):
            if self._bleeders[cell]:
                self._bleeders[cell].value(self.bleeding >> cell & 1)
        if self._enable_lines:
            self._enable_lines.set(charge == 1, discharge == 1)
        if not contactor:
            return
        if main == 1:
            contactor.close()
            contactor.precharge(precharge == 1)
        else:
            contactor.open(precharge == 1)

    def applied_kpa(self):
        return self._regulator.commanded_kpa if self._regulator else 0

    def command_kpa(self, kpa):
        if self._regulator:
            self._regulator.command_kpa(kpa)

    def bus_error_count(self):
        count = 0
        for device in self._monitors + self._thermometers + [self._load_cell, self._check_cell, self._regulator]:
            if device is not None:
                count += device.error_count
        return count & tables.INT30_MAX


def _output(pin):
    return machine.Pin(pin, machine.Pin.OUT, value=0) if pin >= 0 else None


def _hx711(pins):
    """Loaded where one is fitted: its code is heap."""
    from time import ticks_us

    from .drivers.hx711 import HX711

    return HX711(machine.Pin(pins[0], machine.Pin.IN), _output(pins[1]), ticks_us)
