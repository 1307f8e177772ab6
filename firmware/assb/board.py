"""The drivers of one configuration, behind the few calls that the app makes.

A device that fails is counted, never fatal: its channel stays invalid, the self-test does not pass, and the board still
answers.
"""

from .const import const
from .control.plausibility import Plausibility
from .devices import OUTPUTS, Devices, attempt, input_pin, output
from .drivers.contactor import Contactor
from .drivers.enable_lines import EnableLines
from .drivers.status import CONFIG_LOST, HELD, NOT_READY
from .protocol import tables
from .ticks import elapsed_ms

# Ids of the wire, as in schema.py (a test compares)
_EV_BUS = const(18)
_EV_ALERT = const(19)
_EV_PRESS_HOMED = const(63)
_EV_BUS_FREED = const(64)
_EV_PRESS_NOT_HOMED = const(65)

_REGULATOR = const(64)  # in the event bus_error
_MEND_TICKS = const(3)


class NoBoard:
    """No valid configuration: nothing is known of the wiring, so nothing is driven and every pin stays an input."""

    regulates = measures_pressure = heats = homing = False
    injected = 0

    def __init__(self):
        self.samples = Plausibility(0, 0)
        self.polls = 0

    def attach(self, signals, cells, events):
        pass

    def calibrate(self, parameter):
        pass

    def sample(self, now_ms):
        self.polls += 1  # there are none

    def sample_slow(self, now_ms):
        pass

    def mend(self):
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

    def heat(self, permille, on):
        pass

    def home(self):
        return False

    def off(self):
        pass

    def applied_kpa(self):
        return 0

    def command_kpa(self, kpa):
        pass

    def bus_error_count(self):
        return 0


class Board:
    injected = 0  # flag of frames: the host sends what sensors say
    make_devices = Devices

    def __init__(self, config):
        self._temperature_offset_cdegc = 0
        self._outputs = [-1, -1, -1, -1]
        self._contactor = self._enable_lines = self._alarm = None
        self._alarm_on = 0
        self.bleeding = 0  # bit n: the switch of cell n is on
        self._bleeders = []
        self._bleed_ohm = config.parameter("bleed_ohm")
        self.polls = 0  # of the sensors, for the watchdog, which counts them
        self._failures = failures = []  # (device number, error) of set-up
        # outputs first: whatever fails later, they are defined and off
        for device in config.devices_of("contactor"):
            self._contactor = attempt(failures, OUTPUTS, self._make_contactor, device[4], device[5])
        for device in config.devices_of("enable_lines"):
            self._enable_lines = attempt(failures, OUTPUTS, self._make_enable_lines, device[4])
        for device in config.devices_of("bleed"):
            self._bleeders += [attempt(failures, OUTPUTS, output, pin) for pin in device[4]]
        for device in config.devices_of("alarm"):
            self._alarm = attempt(failures, OUTPUTS, output, device[4][0])
        devices = self.make_devices(config)
        self._buses = devices.buses
        self._heater = devices.heater()
        self.heats = self._heater is not None
        self._converters = devices.converters
        self._monitors = devices.monitors()
        self._stack = devices.stack
        self._thermometers = devices.thermometers()
        self.samples = Plausibility(len(self._monitors), len(self._thermometers))
        self._alerts = bytearray(len(self._monitors))
        self._heard_ms = [-1] * len(self._thermometers)
        self._load_cell, self._check_cell = devices.load_cell(0), devices.load_cell(1)
        self._stepper, self._regulator = devices.screw()
        self._regulator = self._regulator or devices.regulator()
        self.homing = False  # the screw is on its way to its switch, whatever is commanded
        self._errors = self._lost_ticks = 0
        self.regulates = self._regulator is not None
        self.measures_pressure = self._load_cell is not None
        failures += devices.failures

    def _make_enable_lines(self, pins):
        return EnableLines(output(pins[0]), output(pins[1]))

    def _make_contactor(self, pins, arguments):
        if not arguments[0]:
            raise ValueError("contactor: only drives that close at level 1 are supported")
        return Contactor(output(pins[0]), input_pin(pins[1]), output(pins[2]), arguments[1])

    def calibrate(self, parameter):
        """Take the corrections of the sensors; `parameter` as Settings. One that does not fit is not taken."""
        try:
            gain_ppm = parameter("voltage_gain_ppm")
            for monitor in self._monitors:
                monitor.calibrate(parameter("current_gain_ppm"), parameter("current_offset_ua"), gain_ppm)
            if self._load_cell:
                self._load_cell.calibrate(parameter("load_cell_zero_shift_counts"), parameter("load_cell_span_ppm"))
            self._temperature_offset_cdegc = parameter("temperature_offset_cdegc")
        except ValueError as error:
            print("assb: calibration:", error)

    def attach(self, signals, cells, events):
        """Where samples go. Failures of set-up become events and console text."""
        self._signals = signals
        self._cells = cells
        self._events = events
        self._s_current = signals.pack("current_ua")
        self._s_pack = signals.pack("pack_voltage_uv")
        self._s_pressure = signals.pack("pressure_kpa")
        self._s_mismatch = signals.pack("pack_mismatch_uv")
        self._s_disagreement = signals.pack("pressure_disagreement_kpa")
        self._s_temperature = signals.pack("temperature_cdegc")
        self._s_coldest = signals.pack("temperature_low_cdegc")
        self._s_voltages = [signals.cell(cell, "voltage_uv") for cell in range(len(cells))]
        self._count = min(len(cells), len(self._monitors))
        for number, error in self._failures:
            events.push(_EV_BUS, number, 0)
            print("device %d: %s" % (number, error))

    def sample(self, now_ms):
        """Fast tick: cells, current and stack pressure onto the blackboard. Allocates nothing."""
        for converter in self._converters:
            converter.tick()
        self._sample_cells(now_ms)
        if self.measures_pressure:
            self._sample_pressure(now_ms)
        if self._stepper:
            self._stepper.tick()
        self.polls += 1

    def _sample_cells(self, now_ms):
        signals, samples = self._signals, self.samples
        pack_uv = 0
        heard = lost = 0
        for at in range(self._count):
            monitor = self._monitors[at]
            fresh = monitor.update()
            held = not fresh and monitor.status == HELD
            if at == 0:
                self._see_current(monitor, fresh or held, now_ms)
            if held:
                continue
            if not fresh:
                signals.lose(self._s_voltages[at])
                lost += 1
                continue
            samples.see(at, monitor.voltage_uv, monitor.voltage_code, now_ms)
            signals.put(self._s_voltages[at], monitor.voltage_uv, now_ms)
            pack_uv += monitor.voltage_uv
            heard += 1
            if signals.valid[self._s_current]:
                cell_ua = signals.value[self._s_current]
                if self.bleeding >> at & 1:
                    cell_ua -= monitor.voltage_uv // self._bleed_ohm
                self._cells[at].add_sample(monitor.voltage_uv, cell_ua, now_ms)
        if heard == self._count:
            signals.put(self._s_pack, pack_uv, now_ms)
            if self._stack:
                signals.put(self._s_mismatch, abs(self._stack.stack_uv - pack_uv), now_ms)
        elif lost:
            signals.lose(self._s_pack)
            signals.lose(self._s_mismatch)
        self._lost_ticks = self._lost_ticks + 1 if lost else 0

    def _see_current(self, monitor, known, now_ms):
        """Of the monitor with the shunt, whose current may be new where its voltage is not."""
        if known:
            self._signals.put(self._s_current, monitor.current_ua, now_ms)
            self.samples.see(self.samples.current, monitor.current_ua, monitor.current_code, now_ms)
        else:
            self._signals.lose(self._s_current)

    def _sample_pressure(self, now_ms):
        load_cell, samples = self._load_cell, self.samples
        if load_cell.update():
            self._signals.put(self._s_pressure, load_cell.pressure_kpa, now_ms)
            samples.see(samples.pressure, load_cell.pressure_kpa, load_cell.code, now_ms)
        elif load_cell.status != NOT_READY:
            self._signals.lose(self._s_pressure)
        if self._check_cell:
            self._compare_pressures(now_ms)

    def _compare_pressures(self, now_ms):
        signals, check_cell = self._signals, self._check_cell
        if check_cell.update() and signals.valid[self._s_pressure]:
            apart_kpa = abs(check_cell.pressure_kpa - signals.value[self._s_pressure])
            signals.put(self._s_disagreement, apart_kpa, now_ms)
        elif not signals.valid[self._s_pressure] or check_cell.status not in (0, NOT_READY):
            signals.lose(self._s_disagreement)

    def sample_slow(self, now_ms):
        """Slow tick: the hottest and the coldest thermometer, the chips' own diagnosis, outputs asserted again."""
        self._sample_temperature(now_ms)
        for at, monitor in enumerate(self._monitors):
            if not monitor.update_diagnostics() and monitor.status == CONFIG_LOST:
                self._restore(monitor.restore)
            if monitor.alert_flags & ~self._alerts[at]:
                self._events.push(_EV_ALERT, at, monitor.alert_flags)
            self._alerts[at] = monitor.alert_flags  # an alert that lasts is one event
            monitor.clear_alerts()
        for converter in self._converters:
            if converter.status == CONFIG_LOST:
                self._restore(converter.restore)
        if self._regulator and not self._regulator.verify():
            self._events.push(_EV_BUS, _REGULATOR, 0)
        if self._stack:
            self._stack.bleed(self.bleeding)
        self._free_buses()
        if self.homing and not self._stepper.homing:
            self.homing = False
            self._events.push(_EV_PRESS_HOMED if self._stepper.homed else _EV_PRESS_NOT_HOMED, 0, 0)
        self._assert_outputs()

    def _sample_temperature(self, now_ms):
        """The hottest and the coldest place: neither hides behind the other. Both are fresh only when every thermometer
        is: a lost one must not hide behind the others."""
        hottest, coldest = tables.INT30_MIN, tables.INT30_MAX
        for at, thermometer in enumerate(self._thermometers):
            if thermometer.update():
                self._heard_ms[at] = now_ms
                cdegc = thermometer.temperature_cdegc + self._temperature_offset_cdegc
                self.samples.see(self.samples.first_thermometer + at, cdegc, thermometer.code, now_ms)
            elif thermometer.status != NOT_READY:
                self._heard_ms[at] = -1
                if thermometer.status == CONFIG_LOST:
                    self._restore(thermometer.restore)
            hottest = max(hottest, thermometer.temperature_cdegc)
            coldest = min(coldest, thermometer.temperature_cdegc)
        oldest_ms = self._oldest_ms(now_ms)
        if oldest_ms < 0:
            self._signals.lose(self._s_temperature)
            self._signals.lose(self._s_coldest)
        elif self._thermometers:
            self._signals.put(self._s_temperature, hottest + self._temperature_offset_cdegc, oldest_ms)
            self._signals.put(self._s_coldest, coldest + self._temperature_offset_cdegc, oldest_ms)

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

    def mend(self):
        """Between two fast ticks: monitors that were lost a moment ago may be on a bus that is held low. Until the next
        slow tick their channels would be stale."""
        if self._lost_ticks == _MEND_TICKS:
            self._free_buses()

    def _free_buses(self):
        """After a failed transfer: a chip that holds SDA low is clocked out of its byte."""
        errors = self.bus_error_count()
        if errors == self._errors:
            return
        self._errors = errors
        for bus, clocks in self._buses.free():
            if clocks > 0:
                self._events.push(_EV_BUS_FREED, bus, clocks)

    def absent(self):
        """Numbers of the devices that do not say who they are or were not set up, as in the event bus_error. Takes some
        bus transfers."""
        found = [number for number, _ in self._failures]
        for first, devices in ((0, self._monitors), (32, self._thermometers), (72, self._converters)):
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
        fitted = len(self._monitors) if self._stack else len(self._bleeders)
        self.bleeding = bits & ((1 << fitted) - 1)
        self._assert_outputs()

    def heat(self, permille, on):
        """The heater, a share of its power in thousandths. Nothing else turns it on."""
        if self._heater:
            self._heater.set(permille, on)

    def off(self):
        """All outputs off, written whatever was written before."""
        self.bleeding = 0
        self.heat(0, False)
        for at in range(4):
            self._outputs[at] = 0
        if self._stepper:
            self._stepper.release()
        self._assert_outputs()
        if self._stack:
            self._stack.bleed(0)  # by itself it would go on for seconds; what fails is not raised

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

    def home(self):
        """Open the screw to its switch; an event tells when it is there, or ended without. False where there is none.
        A command ends it."""
        self.homing = self._stepper is not None and self._stepper.home()
        return self.homing

    def bus_error_count(self):
        count = 0
        others = [self._load_cell, self._check_cell, self._regulator]
        for device in self._monitors + self._thermometers + self._converters + others:
            if device is not None:
                count += device.error_count
        return count & tables.INT30_MAX
