"""The firmware: the only module that knows everyone. `App.step(now_ms)` is the whole program; every main loop calls it.

fast tick   sample, limit rows, supervisor, outputs                     integers only, allocates nothing
slow tick   temperature, estimator and detection of each cell, pressure, telemetry, garbage collection;
            one slice after each fast tick, so that a fast tick is never more than a slice late
"""

from .capture import Capture
from .cell_limits import CellLimits
from .cells import CellWatch
from .console_commands import ConsoleCommands
from .const import const
from .control import supervisor as sv
from .control.alarm import Alarm
from .control.derating import Derating
from .control.protection import OPEN as ROW_OPEN
from .control.protection import Protection
from .control.supervisor import Supervisor
from .port.clock import ESTIMATE, FAST, GC, SLICE, spent_us
from .port.heap import collect, free_b
from .protocol import tables
from .protocol.frame import FrameWriter
from .quantities import Quantities
from .settings import Settings
from .signals import Events, Signals
from .slow_stream import SlowStream
from .stack import Stack
from .storage.keeper import Keeper
from .telemetry import Telemetry
from .ticks import elapsed_ms, later, until_ms

# Ids of the wire, as in schema.py (a test compares)
_MESSAGE_HELLO = const(1)
_MESSAGE_SCHEMA = const(2)
_EV_BOOT = const(1)
_EV_ARMED = const(9)
_EV_LEASE = const(10)
_EV_STOPPED = const(11)
_EV_FAULTS_CLEARED = const(12)
_EV_CONTACTOR_COMMAND = const(13)
_EV_CONTACTOR = const(14)
_EV_SELF_TEST = const(17)
_EV_ALARM = const(35)
_EV_CRASHED = const(54)
_EV_INJECTION = const(80)

# Of what start.choose_kernel chose: places and faults (a test compares)
_KIND = const(1)
_FAULT = const(2)
_NATIVE_WRONG = const(3)
_ALL_WRONG = const(4)
_BOOT_LOOP = const(-3)  # config_status
_BY_HARD_SHORT = const(2)  # as in storage/lockout.py

# Places of the pack signals on the blackboard, in the order of tables.PACK_SIGNALS (a test compares)
_STATE = const(0)
_STAGE = const(1)
_CONTACTOR_CLOSED = const(2)
_CONTACTOR_COMMAND = const(3)
_CHARGE_ENABLED = const(4)
_DISCHARGE_ENABLED = const(5)
_CHARGE_LIMIT_MA = const(6)
_DISCHARGE_LIMIT_MA = const(7)
_CURRENT_UA = const(8)
_TEMPERATURE_CDEGC = const(10)
_WARN_BITS = const(14)
_DERATE_BITS = const(15)
_TRIP_BITS = const(16)
_CONTACTOR_MISMATCH = const(17)
_LEASE_AGE_MS = const(18)
_SELF_TEST_FAILED = const(19)
_LATE_US = const(20)
_FAST_TICK_COUNT = const(21)
_FAST_WORST_US = const(22)
_SLICE_WORST_US = const(23)
_LATE_WORST_US = const(24)
_GC_WORST_US = const(25)
_HEAP_FREE_B = const(26)
_HEAP_LOW_B = const(27)
_BUS_ERROR_COUNT = const(28)
_FRAME_DROP_COUNT = const(29)
_RX_ERROR_COUNT = const(30)
_COMMAND_COUNT = const(31)
_ALARM = const(32)
_WARN_BITS_2 = const(33)
_DERATE_BITS_2 = const(34)
_TRIP_BITS_2 = const(35)
_LEASE_LAPSED = const(49)
_BLEED_BITS = const(50)

_MISSED_MAX_US = const(100000000)  # keeps lateness within 30 bits
_TRIAL_MS = const(10000)  # firmware on trial that has not confirmed itself by then does not
_ON_TRIAL = const(2)  # in slots.status
_NO_CONFIG = const(-1)
_HEALTHY_MS = const(30000)  # after this long without a crash, earlier crashes are forgotten


class App:
    """One pack. `config` is None when there is no valid image: then it answers in LOCKOUT and drives nothing.

    kernel: what start.choose_kernel() chose for the cells; with a wrong one the self-test fails.
    store: the records.Store; None: nothing is kept. crash: the CrashRecord of earlier boots.
    """

    stream = None
    injection = None  # (lease_ms, t_ms): this firmware ends, and begins anew on values that the host sends

    def __init__(self, board, config, config_status, clock, console, watchdog, record, kernel, store=None, crash=None):
        now_ms = clock.now_ms()
        self.board, self.clock, self.console = board, clock, console
        self.watchdog = watchdog
        self.record = record
        self.kernel = kernel
        self.config = config
        self.config_status = config_status
        self.settings = settings = Settings(config)
        self.events = Events(now_ms)
        self.crash = crash
        # what the host gets from flash, a part in each slice (one a round while connected); the test it asked for
        self.dump = self.self_test = None
        self.kept = Keeper(store, record.boot_count, settings, config, self.events)
        self.cell_count = settings("cells_in_series") if config else 0
        pack = kernel[0].Pack(self.cell_count)  # large pieces first
        self.signals = Signals(self.cell_count, now_ms)
        self.capture = Capture(self.signals, settings)
        self.writer = FrameWriter(tables.schema_id())
        self.telemetry = Telemetry(self.signals, self.events, self.writer, console, now_ms, board.injected)
        watchdog.feed()  # an RP2040 takes most of a second to here, and as long from here on
        self.protection = Protection(
            self.signals,
            config.limits if config else (),
            self.events,
            settings("blind_ms"),
            settings("derate_ppm") // 1000,
        )
        self.supervisor = Supervisor(
            _timeouts_ms(settings),
            settings("precharge_ms"),
            self.events,
            now_ms,
            settings("precharge_retries"),
            settings("precharge_pause_ms"),
        )
        self.derating = Derating(settings("charge_current_max_ma"), settings("discharge_current_max_ma"))
        self.stack = Stack(board, settings, self.signals, self.supervisor, self.protection, now_ms)
        self.lockout = self._recall_lockout(store)
        self.alarm = Alarm(settings, now_ms, self._locked_by() == _BY_HARD_SHORT)
        columns = tables.positions(tables.CELL_SIGNALS)
        power = kernel[0].Power(config.estimator) if config else None
        self.cells = [
            CellWatch(cell, kernel[0], config.estimator, settings, self.signals, self.events, columns, power, pack)
            for cell in range(self.cell_count)
        ]
        self.commands = ConsoleCommands(self, console, self.writer.crc)
        self.reset_wanted = self.ready = False  # ready: every channel gave valid data; part of the self-test
        self._rest_ua, self._precharge_ua = 1000 * settings("rest_current_ma"), 1000 * settings("precharge_current_ma")
        # fast ticks that were skipped altogether since the last one; in this round: worst lateness, fast ticks, slices
        self._missed_us = self._late_us = self._ticks = self._done = self._streams = 0
        self._deadline_us = self.protection.trip_level("deadline_overrun")
        self._lapse_stops, self._lease_most_ms = settings("lease_lapse_stops"), settings("lease_ms")
        # requests: supervisor conditions asked for by commands, taken at the next fast tick
        self.requests = self.lease_ms = self._lapsed = 0
        self._lease_since_ms = self._started_ms = self._confirm_ms = now_ms
        self._healthy = self._paused = False  # paused: this slice was allowed to take longer
        self.tune()
        self._fast_ms = settings("fast_period_ms")
        self.quantities = Quantities(self.signals, board.samples, self._fast_ms)
        self.balancing = self._balancing(now_ms)
        self.rests = self._watch_rests(now_ms)
        slow_ms = settings("slow_period_ms")
        self.limits = CellLimits(self.cells, slow_ms, self.derating)
        self._slots = self._plan(slow_ms // self._fast_ms)
        self._slot = 0
        board.attach(self.signals, self.cells, self.events)
        self.kept.recall(self.capture, self.cells, settings, now_ms)
        self._say_boot()
        self._due_ms, self._due_us = clock.now_ms(), clock.now_us()  # a second later than now_ms on a slow board

    def _say_boot(self):
        self.events.push(_EV_BOOT, self.record.reset_cause, self.record.boot_count)
        if self.crash and self.crash.boot == (self.record.boot_count - 1) & 0xFFFF:
            self.events.push(_EV_CRASHED, self.crash.boot, 0)
        if self.kernel[_FAULT] == _NATIVE_WRONG:
            self.events.push(_EV_SELF_TEST, _NATIVE_WRONG, 0)
        self.send_hello()

    def _recall_lockout(self, store):
        if not (store and self.config):
            return None
        from .storage.lockout import Lockout

        return Lockout(store, self.protection, self.events)

    def _locked_by(self):
        """What locked this board out and outlasts a restart; 0: nothing."""
        return self.lockout.cause if self.lockout else 0

    def _began_locked(self):
        """Then there was no SELFTEST, cleared since or not."""
        return self.lockout and self.lockout.recalled

    def _balancing(self, now_ms):
        """None, and no heap for it, where the pack does not balance its cells."""
        if self.cell_count < 2 or not self.settings("balance_start_uv"):
            return None
        from .control.balancing import Balancing

        return Balancing(self.signals, self.settings, now_ms)

    def _watch_rests(self, now_ms):
        """None, and no heap for it, where the watch for shorts asks for no rests."""
        if not self.settings("watch_rest_every_s"):
            return None
        from .watch_rests import WatchRests

        return WatchRests(self.cells, self.settings, self.signals, self.events, self.derating, now_ms)

    def _plan(self, slot_count):
        """Slices of the slow tick, spread over its fast ticks; a slot may hold several when cells are many."""
        plan = [(self._slice_slow_sensors, SLICE)]
        plan += [(cell.step, ESTIMATE) for cell in self.cells]
        plan += [
            (self._slice_collect, SLICE),  # what cells leave behind is the most
            (self.limits.step, ESTIMATE),
            (self._slice_pressure, SLICE),
            (self._slice_telemetry, SLICE),
            (self._slice_storage, SLICE),
            (self._slice_collect, SLICE),
        ]
        self._jobs = len(plan)
        slots = [[] for _ in range(slot_count)]
        for at, job in enumerate(plan):
            slots[at * slot_count // len(plan)].append(job)
        return slots

    def tune(self):
        """Parameters changed: everything that copied one takes it again."""
        self.board.calibrate(self.settings)
        self.telemetry.tune(self.settings)
        self.stack.tune(self.settings)

    def step(self, now_ms):
        """Do what is due at `now_ms`; returns when to come again (ms ticks)."""
        clock = self.clock
        ahead_ms = until_ms(self._due_ms, now_ms)
        if ahead_ms > self._fast_ms:  # the clock went back: waiting for it would leave the pack alone for so long
            self._due_ms, self._due_us = now_ms, clock.now_us()
        elif ahead_ms > 0:
            return self._due_ms
        start_us = clock.now_us()
        late_us = spent_us(start_us, self._due_us)
        if late_us >= 1 << 29:
            late_us = 0  # a few us early: the two clocks round differently
        late_us += self._missed_us
        self._missed_us = 0
        self._late_us = max(self._late_us, late_us)
        self.fast(now_ms, late_us)
        clock.cost(FAST)
        fast_end_us = clock.now_us()
        self._worst(_FAST_WORST_US, spent_us(fast_end_us, start_us), now_ms)
        self._slice(now_ms)
        if self._paused:
            self._paused = False
            self._due_ms, self._due_us = clock.now_ms(), clock.now_us()
        else:
            self._worst(_SLICE_WORST_US, spent_us(clock.now_us(), fast_end_us), now_ms)
        self._schedule(clock.now_ms())
        return self._due_ms

    def _schedule(self, now_ms):
        """The next fast tick on its grid; ticks that were missed altogether are not made up for."""
        self._due_ms = later(self._due_ms, self._fast_ms)
        self._due_us = (self._due_us + 1000 * self._fast_ms) & ((1 << 30) - 1)
        while until_ms(self._due_ms, now_ms) < -self._fast_ms:
            self._due_ms = later(self._due_ms, self._fast_ms)
            self._due_us = (self._due_us + 1000 * self._fast_ms) & ((1 << 30) - 1)
            if self._missed_us < _MISSED_MAX_US:
                self._missed_us += 1000 * self._fast_ms  # the next tick is late by these too

    def _worst(self, index, value_us, now_ms):
        if value_us > self.signals.value[index]:
            self.signals.put(index, value_us, now_ms)

    # ---- fast tick: integers only, nothing allocated ----

    def fast(self, now_ms, late_us):
        signals, supervisor, protection = self.signals, self.supervisor, self.protection
        self.events.now_ms = now_ms
        self._ticks += 1
        signals.put(_LATE_US, late_us, now_ms)
        self._worst(_LATE_WORST_US, late_us, now_ms)
        self.board.sample(now_ms)
        # what flows through the precharge path is meant to flow
        self.quantities.update(
            signals.value[_CHARGE_ENABLED] or supervisor.precharge,
            signals.value[_DISCHARGE_ENABLED] or supervisor.precharge,
            now_ms,
        )
        self.capture.record(now_ms, protection.trip_bits, protection.trip_bits_2, protection.blocked & ROW_OPEN)
        if supervisor.state > sv.SELFTEST or not self.config:
            protection.evaluate(now_ms, supervisor.main)
        supervisor.step(self._conditions(now_ms), protection.blocked, now_ms)
        self._judge_self_test(now_ms)
        self.derating.update(protection.charge_permille, protection.discharge_permille, now_ms)
        if supervisor.main != signals.value[_CONTACTOR_COMMAND]:
            self.events.push(_EV_CONTACTOR_COMMAND, supervisor.main, 0)
        self._respond(now_ms)
        self._drive(now_ms)
        self._publish(now_ms)

    def _judge_self_test(self, now_ms):
        """A board that locked out before it was ready failed its self-test, once."""
        failed = self.signals.value[_SELF_TEST_FAILED]
        if self.supervisor.state == sv.LOCKOUT and not self.ready and not failed and not self._began_locked():
            failed = 1
            self.events.push(_EV_SELF_TEST, -self.config_status or self.kernel[_FAULT], 0)
        self.signals.put(_SELF_TEST_FAILED, failed, now_ms)

    def _respond(self, now_ms):
        """To the worst stage of all cells, beside what limit rows do."""
        signals, alarm = self.signals, self.alarm
        stage = 0
        for cell in self.cells:
            stage = max(stage, cell.shorts.fusion.stage)
        signals.put(_STAGE, stage, now_ms)
        if alarm.update(stage, signals.value[_TEMPERATURE_CDEGC], signals.valid[_TEMPERATURE_CDEGC], now_ms):
            self.events.push(_EV_ALARM, alarm.on, 0)
            self.board.sound(alarm.on)
        signals.put(_ALARM, alarm.on, now_ms)

    def _conditions(self, now_ms):
        value = self.signals.value
        conditions = self.requests
        self.requests = 0
        if self._contactor_closed(now_ms) and self.supervisor.main:
            conditions |= sv.CLOSED  # a contact that nobody asked for is a mismatch, no progress
        rest_ua = self._rest_ua
        if value[_CURRENT_UA] > rest_ua:
            conditions |= sv.CHARGING
        elif value[_CURRENT_UA] < -rest_ua:
            conditions |= sv.DISCHARGING
        if self.protection.derate_bits or self.protection.derate_bits_2:
            conditions |= sv.DERATED
        if not self._precharge_ua or (
            self.signals.valid[_CURRENT_UA] and -self._precharge_ua <= value[_CURRENT_UA] <= self._precharge_ua
        ):
            conditions |= sv.SETTLED
        if self.ready:
            conditions |= sv.READY
        if self.stack.warms_up():
            conditions |= sv.COLD
        if self.config_status == _BOOT_LOOP:
            conditions |= sv.UPDATE
        elif not self.config:
            conditions |= sv.LOCK
        if self._locked_by():
            conditions |= sv.LOCK
        if self.stack.pressed:
            conditions |= sv.PRESSED
        return conditions | self._lease_conditions(now_ms)

    def _contactor_closed(self, now_ms):
        signals = self.signals
        closed = self.board.contactor_closed()
        if closed != signals.value[_CONTACTOR_CLOSED]:
            self.events.push(_EV_CONTACTOR, closed, 0)
        signals.put(_CONTACTOR_CLOSED, closed, now_ms)
        mismatch = 1 if closed != self.supervisor.main else 0
        signals.put(_CONTACTOR_MISMATCH, mismatch, now_ms)
        return closed

    def _lease_conditions(self, now_ms):
        conditions = 0
        if self.lease_ms:
            age_ms = elapsed_ms(now_ms, self._lease_since_ms)
            self.signals.put(_LEASE_AGE_MS, age_ms, now_ms)
            if age_ms > self.lease_ms:
                self.events.push(_EV_LEASE, self.lease_ms, 0)
                self.lease_ms = 0
                self._lapsed = 1
                conditions = sv.STOP if self._lapse_stops else 0
        self.signals.put(_LEASE_LAPSED, self._lapsed, now_ms)
        return conditions

    def _drive(self, now_ms):
        """The outputs that the supervisor allows, each direction only while derating leaves something of it."""
        signals, supervisor, derating = self.signals, self.supervisor, self.derating
        charge = supervisor.charge & derating.charge
        discharge = supervisor.discharge & derating.discharge
        self.board.apply(supervisor.main, supervisor.precharge, charge, discharge)
        signals.put(_CONTACTOR_COMMAND, supervisor.main, now_ms)
        signals.put(_CHARGE_ENABLED, charge, now_ms)
        signals.put(_DISCHARGE_ENABLED, discharge, now_ms)
        signals.put(_CHARGE_LIMIT_MA, derating.charge_ma if charge else 0, now_ms)
        signals.put(_DISCHARGE_LIMIT_MA, derating.discharge_ma if discharge else 0, now_ms)

    def _publish(self, now_ms):
        # no `put = signals.put`: a bound method that is kept takes heap
        signals, protection = self.signals, self.protection
        signals.put(_STATE, self.supervisor.state, now_ms)
        signals.put(_WARN_BITS, protection.warn_bits, now_ms)
        signals.put(_DERATE_BITS, protection.derate_bits, now_ms)
        signals.put(_TRIP_BITS, protection.trip_bits, now_ms)
        signals.put(_WARN_BITS_2, protection.warn_bits_2, now_ms)
        signals.put(_DERATE_BITS_2, protection.derate_bits_2, now_ms)
        signals.put(_TRIP_BITS_2, protection.trip_bits_2, now_ms)
        signals.put(_FAST_TICK_COUNT, (signals.value[_FAST_TICK_COUNT] + 1) & tables.INT30_MAX, now_ms)

    # ---- slow tick ----

    def _slice(self, now_ms):
        self.board.mend()
        if self.lockout and self.lockout.step(now_ms):
            self._paused = True
        self.commands.poll(now_ms)
        for job, kind in self._slots[self._slot]:
            if self.reset_wanted:
                break  # outputs are off: nothing switches one on again
            job(now_ms)
            self.clock.cost(kind)
            self._done += 1
        self.telemetry.send_events()
        if self.dump and not (self._slot and self.supervisor.main) and self.dump.send(self.telemetry, now_ms):
            self.dump = None
        if self.stream and not self.stream.send(now_ms):
            self.tell_all(False)
        if self.self_test and not self.supervisor.regulate:  # neither connected nor on the way there
            self._paused = True  # a part may take longer than a tick
            if self.self_test.step():
                self.self_test = None
        self._slot = (self._slot + 1) % len(self._slots)
        if not self._slot:
            self._feed()

    def _feed(self):
        """The loop has gone round. The watchdog is fed on evidence alone: every slice ran, and every fast tick of the
        round met its deadline, polled the sensors and evaluated the rows (which wait for the self-test).
        """
        board, protection = self.board, self.protection
        evaluated = protection.evaluations if self.supervisor.state > sv.SELFTEST else self._ticks
        late = self._late_us >= self._deadline_us
        if not late and self._done == self._jobs and board.polls == evaluated == self._ticks:
            self.watchdog.feed()
        self._late_us = self._done = self._ticks = board.polls = protection.evaluations = 0

    def _slice_slow_sensors(self, now_ms):
        self.board.sample_slow(now_ms)
        if not self.ready and (self._began_locked() or self.supervisor.state == sv.SELFTEST):
            self.ready = self.kernel[_FAULT] < _ALL_WRONG and self.board.ready()
        if self.rests:
            self.rests.step(self.supervisor.main, now_ms)
        if self.balancing:
            self._balance(now_ms)
        if self.stack.heating:
            self.stack.heat(now_ms)

    def _balance(self, now_ms):
        """Only in SAFE or at REST, with no current either way and nothing that takes one away: no row, and no rest in
        which the watch for shorts looks for what flows inside a cell.
        """
        signals = self.signals
        idle = (
            self.supervisor.state in (sv.SAFE, sv.REST)
            and not self.protection.blocked
            and not self.derating.resting
            and signals.valid[_CURRENT_UA]
            and abs(signals.value[_CURRENT_UA]) <= self._rest_ua
        )
        bits = self.balancing.step(idle, now_ms)
        if bits != self.board.bleeding:
            self.board.bleed(bits)
        signals.put(_BLEED_BITS, self.board.bleeding, now_ms)

    def _slice_pressure(self, now_ms):
        if self.board.homing and elapsed_ms(now_ms, self._lease_since_ms) > self._lease_most_ms:
            self._end_homing()
        self.stack.press(self.cells, now_ms)

    def _slice_telemetry(self, now_ms):
        signals = self.signals
        put = signals.put
        put(_BUS_ERROR_COUNT, self.board.bus_error_count(), now_ms)
        put(_FRAME_DROP_COUNT, (self.telemetry.drop_count + self.events.drop_count) & tables.INT30_MAX, now_ms)
        put(_RX_ERROR_COUNT, self.commands.error_count + self.console.dropped_line_count, now_ms)
        put(_COMMAND_COUNT, self.commands.command_count, now_ms)
        self.telemetry.send_due(now_ms)
        self.capture.send(self.telemetry, now_ms)

    def _slice_storage(self, now_ms):
        """Write what is kept, and that this boot is healthy, when it is time. With nothing connected and no press
        moving, a write may take as long as flash takes to erase: ticks then begin anew after it, none counts as late.
        """
        supervisor = self.supervisor
        connected = (
            supervisor.main
            or supervisor.precharge
            or supervisor.regulate
            or self.signals.value[_CONTACTOR_CLOSED]
            or abs(self.signals.value[_CURRENT_UA]) > self._rest_ua
        )
        if self.capture.recording and not connected:
            if self.kept.log:
                self.kept.log.step(now_ms, True)  # without an erase: a pause would tear a hole into the freeze frame
            return
        if self.kept.step(now_ms, bool(connected)):
            self._paused = not connected
            return
        if self.record.slot & _ON_TRIAL and not connected:
            self._paused = self._judge_trial(now_ms)
            if self._paused:
                return
        if not (connected or self._healthy) and elapsed_ms(now_ms, self._started_ms) > _HEALTHY_MS:
            self._healthy = True
            if self.config_status != _BOOT_LOOP:
                self._paused = self.record.forget_crashes()
                return
        if self.kept.log and not connected:
            self._paused = self.kept.log.make_room()

    def _judge_trial(self, now_ms):
        """New firmware confirms itself once its own part of the self-test is passed: True when it did, which takes a
        write, and is tried again should flash not take it. Missing sensors are not its fault; what can't, asks for the
        reset that counts its trial down.
        """
        right = self.kernel[_FAULT] < _ALL_WRONG and self.config_status >= _NO_CONFIG
        if right and self.supervisor.state > sv.SELFTEST and until_ms(self._confirm_ms, now_ms) <= 0:
            self._confirm_ms = later(now_ms, _TRIAL_MS)
            self.record.confirm_slot()
            return True
        if not right and elapsed_ms(now_ms, self._started_ms) > _TRIAL_MS:
            self.safe()
            self.reset_wanted = True
        return False

    def _slice_collect(self, now_ms):
        """Collect garbage at a chosen moment, after the cells and at the end; note the low water before it."""
        clock, signals = self.clock, self.signals
        left_b = free_b()
        if not signals.valid[_HEAP_LOW_B] or left_b < signals.value[_HEAP_LOW_B]:
            signals.put(_HEAP_LOW_B, left_b, now_ms)
        start_us = clock.now_us()
        collect()
        clock.cost(GC)
        self._worst(_GC_WORST_US, spent_us(clock.now_us(), start_us), now_ms)
        signals.put(_HEAP_FREE_B, free_b(), now_ms)

    # ---- what commands ask for ----

    def arm(self, lease_ms, now_ms):
        self.lease_ms = lease_ms
        self._lapsed = 0
        self._lease_since_ms = now_ms
        self.requests |= sv.ARM
        self.events.push(_EV_ARMED, lease_ms, 0)

    def renew_lease(self, now_ms):
        """False when there is no lease to renew: it lapsed, or nobody armed or homes."""
        if not (self.lease_ms or self.board.homing):
            return False
        self._lease_since_ms = now_ms
        return True

    def home(self, now_ms):
        """Open the press to its switch while the host renews its lease, whose length it returns; 0: it can't."""
        if not self.board.home():
            return 0
        self._lease_since_ms = now_ms
        return self._lease_most_ms

    def _end_homing(self):
        self.board.command_kpa(self.board.applied_kpa())

    def stop(self):
        self.lease_ms = self._lapsed = 0
        self.requests = self.requests & ~sv.ARM | sv.STOP  # an arm that waits for its tick is taken back
        if self.board.homing:
            self._end_homing()
        self.events.push(_EV_STOPPED, 0, 0)

    def clear(self):
        """Clear what may be cleared; the protection's trip bits say what stays."""
        self.protection.clear()
        self.requests |= sv.CLEARED
        if self.config_status == _BOOT_LOOP:
            self.record.forget_crashes()
        if self.lockout:
            self.lockout.clear()
        self.events.push(_EV_FAULTS_CLEARED, self.protection.trip_bits, self.protection.trip_bits_2)

    def tell_all(self, wanted):
        """Every step of the estimators goes to the host as well, or no longer. False: no cell has begun."""
        self.stream = None
        for cell in self.cells:
            cell.stream = None
        if not wanted:
            return True
        if not self.cells or not all([cell.started for cell in self.cells]):
            return False
        self._streams = (self._streams + 1) & 0xFF
        self.stream = SlowStream(self._streams, self.cells, self.telemetry, self.signals)
        for cell in self.cells:
            cell.stream = self.stream
        return True

    def inject(self, lease_ms, t_ms):
        """Outputs off; the main loop ends, and another begins (injection.py)."""
        self.safe()
        self.events.push(_EV_INJECTION, lease_ms, 0)
        self.injection = (lease_ms, t_ms)
        self.reset_wanted = True

    def send_hello(self):
        writer, config = self.writer, self.config
        from . import VERSION

        writer.begin(_MESSAGE_HELLO, self.telemetry.flags, self.clock.now_ms())
        put = writer.put
        put(1, tables.PROTOCOL_VERSION)
        put(4, writer.schema_id)
        for part in VERSION:
            put(1, part)
        put(1, self.record.slot)
        put(1, self.record.reset_cause)
        put(2, self.record.boot_count)
        put(4, config.crc if config else 0)
        put(1, self.config_status)
        put(1, self.kernel[_KIND])
        put(1, self.supervisor.state)
        put(1, self.cell_count)
        for name in config.names if config else ("", "", ""):
            writer.put_text(name, 16)
        self.telemetry.send(writer.end())

    def send_schema(self):
        writer = self.writer
        for at, message in enumerate(tables.rows(tables.MESSAGES)):
            writer.begin(_MESSAGE_SCHEMA, self.telemetry.flags, self.clock.now_ms())
            writer.put(1, at)
            writer.put(1, tables.count(tables.MESSAGES))
            text = tables.message_text(message)
            writer.put_text(text, len(text))
            self.telemetry.send(writer.end())

    def keep(self):
        """Before a reset that is meant, outputs off: what has come since the last write is written."""
        if self.lockout:
            self.lockout.keep()
        self.kept.keep()

    def safe(self):
        """Outputs off, whatever the state: for exceptions, updates and the way to the REPL."""
        self.board.off()


def _timeouts_ms(settings):
    timeouts = [0] * len(sv.OUTPUTS)
    timeouts[sv.SELFTEST] = settings("self_test_timeout_ms")
    timeouts[sv.ARMED] = settings("press_timeout_ms")
    precharge_ms = max(settings("precharge_ms"), settings("precharge_timeout_ms"))
    timeouts[sv.PRECHARGE] = precharge_ms + settings("contactor_timeout_ms")
    return timeouts
