"""A bench for the firmware's pure parts: configuration as an object, a board of attributes, a console that records."""

from array import array

from assb.control.plausibility import Plausibility
from assb.estimation import flat_layout, twin
from assb.estimation import parameters as layout
from assb.protocol import image, schema
from assb.ticks import until_ms

CELL_FULL_V, CELL_EMPTY_V = 4.2, 3.0
OCV_V = [CELL_EMPTY_V + (CELL_FULL_V - CELL_EMPTY_V) * k / (layout.OCV_POINTS - 1) for k in range(layout.OCV_POINTS)]
TEMPERATURES_DEGC = [7.0 * k for k in range(layout.TEMPERATURE_POINTS)]
PRESSURES_MPA = [1.0 + k for k in range(layout.PRESSURE_POINTS)]


def estimator_floats(**changes):
    """A plain cell: straight OCV, constant 50 mOhm, 0.6 Ah."""
    values = {
        "capacity_ah": 0.6,
        "ocv_v": OCV_V,
        "r0_temperature_degc": TEMPERATURES_DEGC,
        "r0_pressure_mpa": PRESSURES_MPA,
        "r0_ohm": [0.05] * (layout.TEMPERATURE_POINTS * layout.PRESSURE_POINTS),
        "r1_ohm": [0.01] * layout.TEMPERATURE_POINTS,
        "r2_ohm": [0.01] * layout.TEMPERATURE_POINTS,
        "tau1_s": 5.0,
        "tau2_s": 60.0,
        "leak_sigma_a": 0.06,
        "current_max_a": 10.0,
    }
    values.update(changes)
    return array("f", flat_layout.pack(values))


LEVELS = {  # warn, derate, trip, reset, debounce_ms; None: the level is not used
    "cell_overvoltage": (4150000, 4200000, 4300000, 4200000, 20),
    "cell_undervoltage": (2700000, None, 2500000, 2800000, 20),
    "charge_overcurrent": (None, None, 900000, 700000, 20),
    "discharge_overcurrent": (None, None, -900000, -700000, 20),
    "overtemperature": (5500, 6000, 7000, 5000, 100),
    "charge_undertemperature": (None, None, 0, 500, 100),
    "pressure_high": (5400, 5500, 6000, 5500, 50),
    "pressure_low": (4600, None, 4000, 4500, 50),
    "voltage_stale": (None, None, 30, 10, 0),
    "current_stale": (None, None, 30, 10, 0),
    "pressure_stale": (None, None, 60, 20, 0),
    "temperature_stale": (None, None, 500, 200, 0),
    "short_suspected": (None, None, 1, 0, 0),
    "soft_short": (None, None, 2, 1, 0),
    "hard_short": (None, None, 3, 2, 0),
    "contactor_mismatch": (None, None, 1, 0, 200),
    "estimator_invalid": (None, None, -1, 0, 500),
    "deadline_overrun": (None, None, 50000, 20000, 0),
    "self_test_failed": (None, None, 1, 0, 0),
    "suspect_derates": (None, None, 1, 0, 0),
    "pack_overvoltage": (None, None, 69000000, 68000000, 20),  # sixteen cells' worth
    "pack_undervoltage": (None, None, 2400000, 2700000, 20),
    "charge_overcurrent_10s": (None, None, 800000, 600000, 50),
    "discharge_overcurrent_10s": (None, None, -800000, -600000, 50),
    "charge_overtemperature": (None, None, 6200, 5700, 100),
    "discharge_overtemperature": (None, None, 6500, 6000, 100),
    "discharge_undertemperature": (None, None, -2000, -1500, 100),
    "cell_spread": (150000, None, 300000, 200000, 100),
    "pack_mismatch": (None, None, 100000, 50000, 100),
    "open_wire": (None, None, 300000, 1000000, 20),
    "voltage_jump": (None, None, 10000000, 1000000, 0),
    "voltage_stuck": (None, None, 3600000, 1000, 0),  # a bench's values stand still by nature
    "current_jump": (None, None, 5000000, 2000000, 0),
    "current_stuck": (None, None, 3600000, 1000, 0),
    "temperature_jump": (None, None, 12000, 2000, 0),
    "temperature_stuck": (None, None, 36000000, 1000, 0),
    "pressure_jump": (None, None, 10000, 5000, 0),
    "pressure_stuck": (None, None, 3600000, 1000, 0),
    "pressure_rate": (None, None, 10000, 5000, 100),
    "pressure_disagreement": (None, None, 500, 250, 100),
    "actuator_stall": (None, None, 1, 0, 100),
    "forbidden_current": (None, None, 50000, 20000, 200),
    "weld_current": (None, None, 50000, 20000, 200),
    "lease_lapsed": (None, None, 1, 0, 0),
    "press_runaway": (None, None, 100000, 500, 1000),  # a bench moves its pressure by hand
    "press_gives_way": (None, None, -100000, -500, 1000),
    "window_unreached": (None, None, 3600000, 1000, 0),
    "heater_overtemperature": (None, None, 7000, 5000, 100),
    "heater_unanswered": (None, None, 3600000, 1000, 0),
}
UNAVAILABLE = ("pack_mismatch", "pressure_disagreement")  # on the bench's board
RECOVERY = {
    "suspect_derates": (0, 1000),
    "charge_undertemperature": (0, 1000),
    "lease_lapsed": (0, 1000),
    "hard_short": (2, 0),
    "self_test_failed": (2, 0),
}


def limit(name, **changes):
    """One limit row of the bench as the config image carries it."""
    warn, derate, trip, reset, debounce_ms = LEVELS[name]
    flags = (
        image.ROW_ENABLED
        | (image.ROW_WARNS if warn is not None else 0)
        | (image.ROW_DERATES if derate is not None else 0)
    )
    recovery, recovery_ms = RECOVERY.get(name, (1, 0))
    row = {
        "id": next(row[0] for row in schema.LIMIT_ROWS if row[1] == name),
        "flags": flags,
        "recovery": recovery,
        "trips_to_lockout": 0,
        "warn": trip if warn is None else warn,
        "derate": trip if derate is None else derate,
        "trip": trip,
        "reset": reset,
        "debounce_ms": debounce_ms,
        "recovery_ms": recovery_ms,
    }
    row.update(changes)
    return tuple(row.values())


def config(cell_count=1, **parameters):
    values = {row[1]: row[5] for row in schema.PARAMETERS}
    values["cells_in_series"] = cell_count
    values.update(parameters)
    off = UNAVAILABLE if cell_count > 1 else (*UNAVAILABLE, "cell_spread")
    limits = [limit(row[1], **({"flags": 0} if row[1] in off else {})) for row in schema.LIMIT_ROWS]
    return image.Config(("bench", "bench", "bench"), values, limits, [], estimator_floats())


class BenchBoard:
    """What a board shows the app: set the attributes, step the app, look at `outputs`."""

    regulates = measures_pressure = heats = True
    homing = False
    injected = 0

    def __init__(self, cell_count=1):
        self.voltages_uv = [3600000] * cell_count
        self.current_ua = 0
        self.pressure_kpa = 5000
        self.temperature_cdegc = 2500
        self.coldest_cdegc = None  # of a second place, where it is colder
        self.dead = set()  # names of channels that give no data
        self.welded = False
        self.outputs = (0, 0, 0, 0)
        self.alarm = 0
        self.held_kpa = self.wanted_kpa = 5000
        self.slew_kpa = 0  # of the press, a tick; 0: it is there at once
        self.bleeding = 0
        self.heater = (0, False)  # permille, on
        self.homed = self.silent = False
        self.history = []
        self.samples = Plausibility(cell_count, 1)
        self.polls = 0

    def attach(self, signals, cells, events):
        self.signals, self.cells = signals, cells

    def calibrate(self, parameter):
        self.corrections = {row[1]: parameter(row[1]) for row in schema.PARAMETERS if row[2] == 2}

    def sample(self, now_ms):
        signals, samples = self.signals, self.samples
        if self.slew_kpa:
            self.held_kpa += min(max(self.wanted_kpa - self.held_kpa, -self.slew_kpa), self.slew_kpa)
        self._put(signals.pack("pack_voltage_uv"), "voltage", sum(self.voltages_uv), now_ms)
        for cell, voltage_uv in enumerate(self.voltages_uv):
            self._put(signals.cell(cell, "voltage_uv"), "voltage", voltage_uv, now_ms, cell)
            if "voltage" not in self.dead:
                self.cells[cell].add_sample(voltage_uv, self.current_ua, now_ms)
        self._put(signals.pack("current_ua"), "current", self.current_ua, now_ms, samples.current)
        self._put(signals.pack("pressure_kpa"), "pressure", self.pressure_kpa, now_ms, samples.pressure)
        self.polls += 1

    def mend(self):
        pass

    def sample_slow(self, now_ms):
        index, channel = self.signals.pack("temperature_cdegc"), self.samples.first_thermometer
        self._put(index, "temperature", self.temperature_cdegc, now_ms, channel)
        coldest_cdegc = self.temperature_cdegc if self.coldest_cdegc is None else self.coldest_cdegc
        self._put(self.signals.pack("temperature_low_cdegc"), "temperature", coldest_cdegc, now_ms)

    def _put(self, index, name, value, now_ms, channel=None):
        if name in self.dead:
            self.signals.lose(index)
            return
        self.signals.put(index, value, now_ms)
        if channel is not None:
            self.samples.see(channel, value, value, now_ms)

    def ready(self):
        return not self.dead

    def contactor_closed(self):
        return 1 if self.outputs[0] or self.welded else 0

    def sound(self, alarm):
        self.alarm = alarm

    def bleed(self, bits):
        self.bleeding = bits

    def heat(self, permille, on):
        self.heater = (permille, on)

    def home(self):
        self.homed = self.homing = True
        return True

    def off(self):
        self.bleeding = 0
        self.heater = (0, False)
        self.apply(0, 0, 0, 0)

    def apply(self, main, precharge, charge, discharge):
        self.outputs = (main, precharge, charge, discharge)
        self.history.append(self.outputs)

    def applied_kpa(self):
        return self.held_kpa

    def command_kpa(self, kpa):
        if not self.silent:
            self.wanted_kpa = kpa
            self.held_kpa = self.held_kpa if self.slew_kpa else kpa
        self.homing = False

    def bus_error_count(self):
        return 0


class BenchClock:
    """Time that the test moves."""

    def __init__(self, now_ms=0):
        self.ms = now_ms

    def now_ms(self):
        return self.ms & ((1 << 30) - 1)

    def now_us(self):
        return (self.ms * 1000) & ((1 << 30) - 1)

    def cost(self, kind):
        pass


class BenchConsole:
    def __init__(self):
        self.wire = bytearray()
        self.lines = []
        self.dropped_line_count = 0
        self.blocked = False

    def writable(self):
        return not self.blocked

    def write(self, buffer, length):
        if self.blocked:
            return False
        self.wire += buffer[:length]
        return True

    def write_text(self, text):
        self.wire += text.encode() + b"\r\n"

    def read_line(self):
        return self.lines.pop(0) if self.lines else None


class BenchWatchdog:
    def __init__(self):
        self.feeds = 0

    def feed(self):
        self.feeds += 1

    def keep_alive(self):
        pass


class BenchRecord:
    boot_count = 7
    reset_cause = 1
    slot = 0

    def __init__(self):
        self.updates = self.confirmations = 0
        self.resets = 0
        self.full = False  # the flash

    def forget_crashes(self):
        pass

    def forget_update(self):
        pass

    def confirm_slot(self):
        self.confirmations += 1
        self.slot &= 3 if self.full else 1

    def intend_reset(self):
        self.resets += 1

    def request_update(self):
        self.updates += not self.full
        return not self.full


def names_of(protection):
    """Rows that are tripped."""
    bits = protection.trip_bits | protection.trip_bits_2 << schema.BITS_PER_WORD
    return {row[1] for at, row in enumerate(schema.LIMIT_ROWS) if bits >> at & 1}


class Bench:
    """An App on the bench. `run(ms)` moves time tick by tick; `send(name, key=value)` is a command with its CRC.
    `estimator`: changes of the plain cell that it believes in; `limits`: rows in place of the bench's, by name;
    `store`: a records.Store, where things are kept."""

    def __init__(self, cell_count=1, now_ms=0, kernel=None, estimator=None, limits=None, store=None, **parameters):
        from assb.app import App

        self.board = BenchBoard(cell_count)
        self.clock = BenchClock(now_ms)
        self.console = BenchConsole()
        self.watchdog = BenchWatchdog()
        self.config = config(cell_count, **parameters)
        self.config.estimator = estimator_floats(**(estimator or {}))
        for at, row in enumerate(schema.LIMIT_ROWS):
            self.config.limits[at] = (limits or {}).get(row[1], self.config.limits[at])
        kernel = kernel or (twin, 0, 0)
        board, record = self.board, BenchRecord()
        self.app = App(board, self.config, 0, self.clock, self.console, self.watchdog, record, kernel, store)

    def run(self, duration_ms):
        end_ms = self.clock.ms + duration_ms
        while self.clock.ms < end_ms:
            due_ms = self.app.step(self.clock.now_ms())
            self.clock.ms += max(1, until_ms(due_ms, self.clock.now_ms()))
        return self

    def run_leased(self, duration_ms):
        for _ in range(0, duration_ms, 1000):
            self.send("lease")
            self.run(min(1000, duration_ms))
        return self

    def send(self, command, **pairs):
        from assb.protocol.commands import format_line

        self.console.lines.append(format_line(self.app.writer.crc, command, pairs.items()))

    @property
    def state(self):
        return schema.STATES[self.app.supervisor.state]

    def tripped(self):
        return names_of(self.app.protection)

    def to_rest(self):
        self.run(500)
        self.send("arm")
        self.run(3500)
        assert self.state == "REST", self.state
        return self
