"""The firmware on values that the host sends: drivers, plant and time are the host's. Loaded when `inject` asks for it.

A `sense` line is one fast tick: what the sensors say, and when. Its reply comes when the tick is over and says what the
outputs should be. Nothing is kept, so a reset ends it. When the host falls silent for its lease, time goes on by itself
without data, and the limit rows do what they do about that.
"""
# pyright: reportAttributeAccessIssue=false, reportIncompatibleMethodOverride=false
# (what stands for a driver is no subclass of it)

from .app import App
from .board import Board
from .const import const
from .devices import BRIDGES, MONITORS, THERMOMETERS
from .drivers.injected import InjectedHeater, InjectedPress, InjectedSensor
from .port.clock import spent_us
from .port.heap import collect
from .port.i2c import Buses
from .protocol.commands import LineError, parse_int, parse_line
from .ticks import elapsed_ms, later, until_ms

# Ids of the wire, as in schema.py (a test compares)
_EV_LAPSED = const(81)

_ALONE_MS = const(10000)  # after the host fell silent: for so long the rows do what they do without data
_MASK = const((1 << 30) - 1)
_LOST, _NOTHING = "-", ""
_KEYS = ("t", "v", "i", "p", "q", "c", "k", "a", "id")


class InjectedDevices:
    """As devices.Devices: of each kind as many as the configuration names, none of them on a wire."""

    stack = None

    def __init__(self, config):
        self._config = config
        self.buses, self.failures, self.converters = Buses(), [], []

    def _count(self, *kinds):
        return sum([len(self._config.devices_of(kind)) for kind in kinds])

    def monitors(self):
        cells = self._count(*MONITORS)
        for device in self._config.devices_of("bq76952"):
            cells += bin(device[5][0]).count("1")
        return [InjectedSensor() for _ in range(cells)]

    def thermometers(self):
        return [InjectedSensor() for _ in range(self._count(*THERMOMETERS))]

    def load_cell(self, place):
        for kind in BRIDGES:
            if place in [device[1] for device in self._config.devices_of(kind)]:
                return InjectedSensor()
        return None

    def regulator(self):
        return InjectedPress() if self._count("mcp4725") else None

    def screw(self):
        return None, InjectedPress() if self._count("stepper") else None

    def heater(self):
        return InjectedHeater() if self._count("heater") else None


class InjectedBoard(Board):
    """As Board, its sensors and its press from the host. No output moves, unless the pack says that the rig is dry:
    then contactor, precharge, enable lines and alarm do; bleed switches, heater and press never do.
    """

    injected = 1
    make_devices = InjectedDevices

    def __init__(self, config):
        self.dry = config.parameter("dry_rig")
        self.closed = 0
        super().__init__(config)

    def contactor_closed(self):
        return self.closed

    def _assert_outputs(self):
        if self.dry:
            bleeders, self._bleeders = self._bleeders, ()
            super()._assert_outputs()
            self._bleeders = bleeders

    def take(self, pairs):
        """What a `sense` line says. LineError, and nothing is taken, for what is no number, or not one per sensor."""
        for key in pairs:
            if key not in _KEYS:
                raise LineError("unknown_key", key)
        voltages = _numbers(pairs, "v", len(self._monitors), True)
        degrees = _numbers(pairs, "c", len(self._thermometers), True) if "c" in pairs else ()
        pressures = [
            (cell, _numbers(pairs, key, 2) if pairs[key] != _LOST else None)
            for cell, key in ((self._load_cell, "p"), (self._check_cell, "q"))
            if cell and key in pairs
        ]
        current_ua = parse_int(pairs.get("i", "0"), "i")
        closed = parse_int(pairs.get("k", "0"), "k")
        applied_kpa = parse_int(pairs["a"], "a") if "a" in pairs else None
        for sensor, voltage_uv in zip(self._monitors, voltages):
            sensor.current_ua = sensor.current_code = current_ua
            if voltage_uv == _NOTHING:
                sensor.hold()
                continue
            sensor.voltage_uv = sensor.voltage_code = voltage_uv or 0
            _tell(sensor, voltage_uv)
        for sensor, cdegc in zip(self._thermometers, degrees):
            if cdegc == _NOTHING:
                continue
            if cdegc is not None:
                sensor.temperature_cdegc = sensor.code = cdegc
            _tell(sensor, cdegc)
        for sensor, values in pressures:
            if values:
                sensor.pressure_kpa, sensor.code = values
            _tell(sensor, values)
        self.closed = 1 if closed else 0
        if applied_kpa is not None and self._regulator:
            self._regulator.commanded_kpa = applied_kpa

    def outputs(self):
        """The reply's pairs: o outputs (1 main, 2 precharge, 4 charge, 8 discharge, 16 alarm, 32 heater switch),
        b bleed switches, h heater in thousandths, a the press in kPa.
        """
        main, precharge, charge, discharge = [1 if level == 1 else 0 for level in self._outputs]
        heater = self._heater
        bits = main | precharge << 1 | charge << 2 | discharge << 3 | self._alarm_on << 4
        if heater and heater.on:
            bits |= 32
        return (("o", bits), ("b", self.bleeding), ("h", heater.permille if heater else 0), ("a", self.applied_kpa()))


def _tell(sensor, value):
    if value is None:
        sensor.lose()
    else:
        sensor.give()


def _numbers(pairs, key, count, sparse=False):
    """So many integers; None for what is lost, where `sparse` _NOTHING for what has not converted anew."""
    words = pairs[key].split(",") if key in pairs else ()
    if len(words) != count:
        raise LineError("bad_number", "%s_of_%d" % (key, count))
    return [None if word == _LOST else word if sparse and word == _NOTHING else parse_int(word, key) for word in words]


class Injection:
    """`app` and `board` of a run, and its clock: as port.clock.Clock. `request`: (lease in ms, when the run begins)."""

    def __init__(self, config, request, clock, console, watchdog, record, kernel):
        self._clock, self._console, self._watchdog = clock, console, watchdog
        self._lease_ms, self._ms = request
        self._since_us, self._heard_ms = clock.now_us(), clock.now_ms()  # of the newest line, by the board's own clock
        self._lapsed = False
        self._line = None  # pairs of the one whose tick is being done, or was done last
        self.cost = clock.cost
        self.board = InjectedBoard(config)
        collect()
        watchdog.feed()
        self.app = App(self.board, config, 0, self, console, watchdog, record, kernel)
        self._fast_ms = self.app.settings("fast_period_ms")
        config.release()
        collect()

    def now_ms(self):
        return later(self._ms, elapsed_ms(self._clock.now_ms(), self._heard_ms)) if self._lapsed else self._ms

    def now_us(self):
        """Within a tick it goes on by the board's clock: how long work takes is measured as ever."""
        return self._ms * 1000 + spent_us(self._clock.now_us(), self._since_us) & _MASK

    def run(self):
        app = self.app
        while not app.reset_wanted:
            due_ms = app.step(self.now_ms())
            self._answer()
            if self._lapsed:
                self._pause(until_ms(due_ms, self.now_ms()))
                app.reset_wanted |= elapsed_ms(self.now_ms(), self._ms) > _ALONE_MS  # back to its own sensors
            else:
                self._await(due_ms)

    def _answer(self):
        """The tick is over: its line gets its reply."""
        if self._line and not self._lapsed:
            self.app.commands.reply("ok", "sense", self._line, (("t", self._ms),) + self.board.outputs())

    def _pause(self, wait_ms):
        clock = self._clock
        clock.sleep_until(later(clock.now_ms(), wait_ms))

    def _await(self, due_ms):
        """Lines, until one brings the time of the next tick, or the lease lapses."""
        app = self.app
        while until_ms(due_ms, self._ms) > 0 and not (self._lapsed or app.reset_wanted):
            line = self._console.read_line()
            self._mind_lease()  # also while other lines flood in
            if self._lapsed:
                return
            if line is None:
                self._watchdog.feed()
                if not self._console.readable():
                    self._pause(1)
            elif line.startswith("!sense "):
                self._sense(line)
            else:
                app.commands.answer(line, self._ms)

    def _mind_lease(self):
        """Silent for too long: the board's own clock takes over, and nothing that a channel said comes again."""
        clock = self._clock
        if elapsed_ms(clock.now_ms(), self._heard_ms) <= self._lease_ms:
            return
        self._lapsed = True
        self._heard_ms, self._since_us = clock.now_ms(), clock.now_us()
        self.app.events.push(_EV_LAPSED, self._lease_ms, 0)

    def _sense(self, line):
        pairs = {}
        try:
            _, pairs, checked = parse_line(self.app.writer.crc, line)
            t_ms = parse_int(pairs.get("t", ""), "t")
            ahead_ms = until_ms(t_ms, self._ms)
            if not checked:
                raise LineError("crc_needed", "sense")
            if not 0 <= ahead_ms <= self._fast_ms:
                raise LineError("out_of_step", "t_%d" % self._ms)
            if ahead_ms:
                self.board.take(pairs)
                self._ms, self._line = t_ms, pairs
                self._since_us, self._heard_ms = self._clock.now_us(), self._clock.now_ms()
            else:
                self._answer()  # the host missed the reply
        except LineError as error:
            self.app.commands.reply("err", "sense", pairs, (("reason", error.reason),))
