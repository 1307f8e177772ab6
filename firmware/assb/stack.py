"""The stack's slices of the slow tick: the press that holds its pressure, and the heater that keeps it warm."""

from .const import const
from .control import supervisor as sv
from .control.press_watch import PressWatch
from .control.protection import NO_CHARGE
from .control.stack_pressure import StackPressure
from .ticks import elapsed_ms

# Places of the pack signals on the blackboard, in the order of tables.PACK_SIGNALS (a test compares)
_STAGE = const(1)
_CURRENT_UA = const(8)
_TEMPERATURE_CDEGC = const(10)
_PRESSURE_KPA = const(11)
_PRESSURE_TARGET_KPA = const(12)
_PRESSURE_COMMAND_KPA = const(13)
_PRESS_STALLED = const(43)
_PRESS_MISMATCH_KPA = const(51)
_OUTSIDE_WINDOW_MS = const(52)
_HEATER_PERMILLE = const(53)
_HEATER_CDEGC = const(54)
_HEATER_UNANSWERED_MS = const(55)

_CONTACT_LOSS_AT = const(24)  # of an evidence's two bits, and its state there (a test compares)
_ACTIVE = const(3)
_GIVES_WAY_BIT_2 = const(1 << 15)  # of the row press_gives_way (a test compares)
# Of the rows that say that the load cell is wrong (a test compares): pressure_stale; jump, stuck, disagreement
_STALE_BIT = const(1 << 10)
_WRONG_BITS_2 = const(1 << 6 | 1 << 7 | 1 << 9)
_COLD_BIT = const(1 << 26)  # of the row discharge_undertemperature (a test compares)


class Stack:
    """`pressed`: inside the window for long enough. `heating`: None, and no heap for it, without a heater."""

    heating = None

    def __init__(self, board, settings, signals, supervisor, protection, now_ms):
        self._board = board
        self._signals = signals
        self._supervisor = supervisor
        self._protection = protection
        self.pressure, self._watch = StackPressure(settings), PressWatch(settings)
        if board.heats:
            from .control.heating import Heating

            self.heating = Heating(settings)
        self._rest_ua = 1000 * settings("rest_current_ma")
        self._hold_ms = settings("press_hold_ms")
        self._pressed_since_ms = self._pressure_at_ms = self._heated_ms = now_ms
        self.pressed = self._regulating = False
        self._apart = False  # homing opened the press, and it has not come back to its stack since

    def tune(self, settings):
        """Parameters changed."""
        self.pressure.tune(settings)
        if self.heating:
            self.heating.tune(settings)

    def warms_up(self):
        """Both directions are forbidden, discharge by cold alone, and there is a heater that is meant to heat."""
        protection = self._protection
        alone = protection.discharge_blockers == 1 and protection.trip_bits & _COLD_BIT
        return alone and protection.blocked & NO_CHARGE and self.heating and self.heating.target_cdegc > 0

    def heat(self, now_ms):
        """While pressed or on the way there, by the temperature that is known; in no other state."""
        signals, heating = self._signals, self.heating
        dt_ms = elapsed_ms(now_ms, self._heated_ms)
        self._heated_ms = now_ms
        cdegc = None
        if signals.valid[_TEMPERATURE_CDEGC]:
            cdegc = signals.value[_TEMPERATURE_CDEGC]
            signals.put(_HEATER_CDEGC, cdegc, now_ms)
        else:
            signals.lose(_HEATER_CDEGC)
        permille = heating.update(cdegc, self._supervisor.regulate, dt_ms)
        self._board.heat(permille, heating.on)
        signals.put(_HEATER_PERMILLE, permille, now_ms)
        if cdegc is None:
            signals.lose(_HEATER_UNANSWERED_MS)
        else:
            signals.put(_HEATER_UNANSWERED_MS, heating.unanswered_ms, now_ms)

    def press(self, cells, now_ms):
        """Aim, regulate, watch, and say whether the stack is pressed."""
        dt_ms = elapsed_ms(now_ms, self._pressure_at_ms)
        self._pressure_at_ms = now_ms
        signals, board, protection = self._signals, self._board, self._protection
        wrong = protection.trip_bits & _STALE_BIT or protection.trip_bits_2 & _WRONG_BITS_2
        measured = signals.valid[_PRESSURE_KPA] and not wrong
        pressure_kpa = signals.value[_PRESSURE_KPA]
        applied_kpa = board.applied_kpa()
        signals.put(_PRESSURE_TARGET_KPA, self._aim_kpa(cells, dt_ms), now_ms)
        regulate, homing = self._supervisor.regulate, board.homing
        faulted = self._supervisor.state in (sv.FAULT, sv.LOCKOUT)
        # nothing goes on to where it was wanted before, nor homes in a state that has another use for the press
        ends = (self._regulating and not (regulate and measured)) or (homing and (regulate or faulted))
        if regulate and measured:
            command_kpa = self._regulate(pressure_kpa, applied_kpa, now_ms, dt_ms)
        else:
            command_kpa = self.pressure.rest(applied_kpa, pressure_kpa if measured else 0, dt_ms, faulted)
            self._regulating = False
        self._apart = self._apart or homing
        if ends or (command_kpa != applied_kpa and not homing):
            board.command_kpa(command_kpa)
        signals.put(_PRESSURE_COMMAND_KPA, board.applied_kpa(), now_ms)
        self._hold_window(pressure_kpa, now_ms)

    def _aim_kpa(self, cells, dt_ms):
        signals, lost = self._signals, False
        for cell in cells:
            lost = lost or signals.value[cell.shorts.evidence_place] >> _CONTACT_LOSS_AT & _ACTIVE == _ACTIVE
        current_ua = signals.value[_CURRENT_UA] if signals.valid[_CURRENT_UA] else 0
        current_ma = current_ua // 1000 if abs(current_ua) > self._rest_ua else 0
        return self.pressure.respond(signals.value[_STAGE], lost, current_ma, dt_ms)

    def _regulate(self, pressure_kpa, applied_kpa, now_ms, dt_ms):
        """The new command, and on the blackboard how the press obeyed the last ones."""
        signals, pressure, watch, board = self._signals, self.pressure, self._watch, self._board
        if not self._regulating:
            start_kpa = pressure.startable_kpa(pressure_kpa, applied_kpa, self._apart)
            command_kpa = pressure.creep(applied_kpa, start_kpa, dt_ms)
            if pressure.creeps:
                return command_kpa
            self._apart = False
            pressure.start(pressure_kpa, applied_kpa)
            watch.start(pressure_kpa, applied_kpa)
            self._regulating = True
        current_ma = signals.value[_CURRENT_UA] // 1000
        cdegc = signals.value[_TEMPERATURE_CDEGC] if signals.valid[_TEMPERATURE_CDEGC] else None
        pressure.yields = self._protection.trip_bits_2 & _GIVES_WAY_BIT_2 != 0
        command_kpa = pressure.regulate(pressure_kpa, current_ma, cdegc, applied_kpa, dt_ms)
        if board.regulates:
            mismatch_kpa = watch.update(pressure_kpa, applied_kpa, current_ma, cdegc, pressure.ramps, dt_ms)
            signals.put(_PRESS_MISMATCH_KPA, mismatch_kpa, now_ms)
            signals.put(_PRESS_STALLED, 1 if pressure.stalled or pressure.ended else 0, now_ms)
        signals.put(_OUTSIDE_WINDOW_MS, watch.count_outside(pressure.inside(pressure_kpa, False), dt_ms), now_ms)
        return command_kpa

    def _hold_window(self, pressure_kpa, now_ms):
        """Pressed: inside the window for `press_hold_ms` while regulating; a rig that only monitors need not ramp."""
        inside = self.pressure.inside(pressure_kpa, self._board.regulates)
        if not (self._regulating and inside) and self._board.measures_pressure:
            self._pressed_since_ms = now_ms
            self.pressed = False
        else:
            self.pressed = elapsed_ms(now_ms, self._pressed_since_ms) >= self._hold_ms
