"""Stack-pressure regulation: an integral law through the inverse of the actuator's play, with feed-forward. Pure.

    setpoint   ramps to the target no faster than the rate limit
    output     the pressure that an actuator without play would be asked for: follows the setpoint, grows with ki*e, and
               gives way to swelling and heat where the actuator holds a position
    command    = output + kp*e + what was crossed of the play - lead * dP/dt(swelling)

Play (backlash of a screw; hysteresis and seal friction of a regulator with its cylinder) is crossed at once when the
output turns, so that a reversal costs little error: the inverse of the play operator (Tao and Kokotovic, IEEE Trans.
Automat. Contr. 38, 1993, doi:10.1109/9.250511). It stops short of the whole play, as what is too far could only be
taken back by crossing it again, which would never end; the error then leads it through the rest, and how far that was
is learned for the next turn. A load that feed-forward knows of goes on while the play is crossed, so it turns the press
the sooner, and crosses it the further, the faster it is.

e is the setpoint, as late as the pressure is, less the pressure; inside the deadband it is none, so that noise moves
nothing. Of a screw the part of a step that its rounding leaves is known, and taken off, but not inside the play, where
no rounding shows: until the pressure answered a turn. What the actuator could not follow is taken back from the output
(back-calculation, Astrom and Hagglund, Advanced PID Control, 2006, section 3.5).

Moves wear a press, and a law with play in its loop may hunt: turns that follow each other soon widen the deadband,
which narrows again within an hour.

A press that does not answer is pushed only so far: `stalled` tells it, and the setpoint waits. One that is at its end
is asked on: `ended`. Output, ramp and correction move no faster than twice the rate limit.

A command is a pressure also for a screw: what would stand had the stack not grown since the start, so it may be below
zero. Nothing presses on once the pressure that is measured is above its window, or reaches the largest one ever
commanded.
"""

from math import ceil

from assb.const import const

_HOLD = const(0)
_BLEED = const(1)
_LET_GO = const(2)
_SUSPECT = const(1)  # stage of a short
_HEAL_MS = const(600000)  # pressed on after contact was lost (assumption: voids close within minutes)
FILTER_S = 0.4  # time constant of the pressure's noise filter (assumption: below any lag of a press)
_TURN_S = 20.0  # after a turn the error tells of the play for so long (assumption: a few lags and its crossing)
_SETTLED_S = 2.0  # ... or until it was inside the deadband for so long
_CROSSING_S = 2.0  # until the play is crossed and the pressure answers (seen on a stiff frame)
_CROSS_PER_S = 2.0  # of the error, into the crossing; air hunts at twice that
_SCREW_CROSS_PER_S = 3.0  # which has no lag
_PLAY_MOST = 1.5  # of the configured play: how far it may be learned away from it, and the inverse below
_SHORT_SHARE = 0.05  # of the play is left when it is crossed, at least two steps (assumption: how well it is known)
_UNSURE_SHARE = 0.1  # ... of a screw's, until a turn taught it: its stiffness is as little known
_LEARNED = 0.5  # of what a turn shows of it
_SOON_S = 120.0  # a load does not turn that soon again, a law that hunts does (assumption)
_REACH_FRAC = 0.05  # of the setpoint, by which regulator and load cell may disagree (assumption)
_REACH_PLAYS = 1.2
_PUSH_S = 60.0  # what was pushed longer ago does not count: a drift is followed for hours (assumption)
_ANSWER = 0.3  # of what was pushed, seen in the pressure
_STANDS_S = 1.0  # a motor that is crossing sends its next pulse sooner, its first one too (drivers/stepper.py)
_END_S = 5.0  # longer than any actuator takes to begin to move (assumption)
_HUNTS = 5  # turns that come too soon, one after the other
_WIDEST = 1.5  # steps of the actuator that a deadband may be wider (assumption)
_SLEW_RATES = const(2)  # the ramp, and as much again to correct it
_OPEN_KPA = const(-262000)  # further open than any screw travels
_CLOSED_KPA = const(262000)  # ... and closed
_CONTACT_FRAC = 0.1  # of the target: no zero of a load cell is so far off (assumption)
_NARROW_S = 1200.0  # time constant of what a deadband was widened by (assumption)


class StackPressure:
    """One stack. Pressures in kPa, currents in mA (+ charges), times in ms; floats inside, integers outside."""

    def __init__(self, parameter):
        """`parameter(name)` gives the integers of the configuration."""
        self.target_kpa = self.aim_kpa = parameter("pressure_target_kpa")
        self.min_kpa = parameter("pressure_min_kpa")
        self.max_kpa = parameter("pressure_max_kpa")
        self._rate_kpa_s = parameter("pressure_rate_max_kpa_s")
        self._command_max_kpa = parameter("pressure_command_max_kpa")
        self._safe_state = parameter("pressure_safe_state")
        self._recovery_kpa = parameter("pressure_recovery_kpa")
        self._charge_kpa = parameter("pressure_charge_kpa")
        self._discharge_kpa = parameter("pressure_discharge_kpa")
        self._contact_kpa = parameter("pressure_contact_kpa")
        self._healing_ms = 0
        self._lead_s = parameter("pressure_lead_ms") / 1000
        self._by_position = parameter("pressure_by_position")
        self._lag_s = FILTER_S if self._by_position else FILTER_S + self._lead_s
        self._quantum_kpa = parameter("pressure_quantum_kpa")
        stiffness_kpa_per_um = parameter("stack_stiffness_kpa_per_um")
        # nm/mAh * mA / 3600 s/h = nm/s; kPa/um is 1e-3 kPa/nm
        self._swelling_kpa_s_per_ma = parameter("swelling_nm_per_mah") * stiffness_kpa_per_um / 3.6e6
        self._expansion_kpa_per_cdegc = parameter("expansion_nm_per_k") * stiffness_kpa_per_um / 1e5
        self.yields = False  # set by who knows: the press gives less than it is asked for, or the load cell lies
        self._usual_play_kpa = -1
        self.tune(parameter)
        self.reversals = 0
        self.start(0, 0)
        self._regulates = self.creeps = False
        self._creeping_kpa = 0.0

    def tune(self, parameter):
        """Take the gains, the play and the target again: they may be set while running."""
        self.target_kpa = parameter("pressure_target_kpa")
        self._kp = parameter("pressure_kp_ppm") / 1e6
        self._ki_per_s = parameter("pressure_ki_ppm_s") / 1e6
        self._feed_forward = parameter("pressure_feed_forward_ppm") / 1e6
        self._deadband_kpa = parameter("pressure_deadband_kpa")
        play_kpa = parameter("pressure_play_kpa")
        if play_kpa != self._usual_play_kpa:  # what was learned stays while it is not set anew
            self._usual_play_kpa, self._taught = play_kpa, False
            self.play_kpa = float(play_kpa)

    def respond(self, stage, contact_lost=False, current_ma=0, dt_ms=0):
        """To what the cells need, where the configuration names a pressure for it: a suspect of a short that at which
        cells recover, one that lost contact that at which voids close, else the one of charge or discharge
        (`current_ma` 0: rest). From a soft short on the pressure stays where it is. Returns what is aimed at."""
        self._healing_ms = _HEAL_MS if contact_lost else max(self._healing_ms - dt_ms, 0)
        if stage > _SUSPECT:
            if self._regulates:
                self.aim_kpa = int(self._setpoint_kpa + 0.5)
            return self.aim_kpa
        wanted_kpa = self._charge_kpa if current_ma > 0 else self._discharge_kpa if current_ma < 0 else 0
        if stage == _SUSPECT:
            wanted_kpa = self._recovery_kpa
        elif self._healing_ms and self._contact_kpa:
            wanted_kpa = self._contact_kpa
        self.aim_kpa = wanted_kpa or self.target_kpa
        return self.aim_kpa

    def startable_kpa(self, pressure_kpa, applied_kpa, apart):
        """The command to start from. Of an air press whose command stands while its pressure is gone (no supply) the
        ramp would go on top of all that, and come at once with the supply: it starts from the pressure. A screw that is
        `apart` from its stack would take the gap for a stall: it closes until there is a pressure to start from."""
        if self._by_position:
            return _CLOSED_KPA if apart and pressure_kpa < _CONTACT_FRAC * self.target_kpa else applied_kpa
        reach_kpa = (
            _REACH_PLAYS * self.play_kpa + _REACH_FRAC * applied_kpa + 2 * self._quantum_kpa + self._deadband_kpa
        )
        if applied_kpa <= pressure_kpa + reach_kpa:
            return applied_kpa
        return max(pressure_kpa, 0)

    def start(self, pressure_kpa, command_kpa):
        """Bumpless start: from the pressure that stands and the command that the actuator holds. A press is closed from
        above its stack, so its play is taken up on that side."""
        self._regulates = True
        self._setpoint_kpa = self._expected_kpa = self._seen_kpa = float(pressure_kpa)
        self._direction = 1
        self._output_kpa = self._furthest_kpa = self._moved_kpa = float(command_kpa)
        self._offset_kpa = self._crossed_kpa = self._crossing_kpa = 0.0
        self._left_kpa = 0.0
        self._turning_s = self._settled_s = self._wide_kpa = self._pushed_kpa = self._stalled_kpa = self._stalled_s = (
            0.0
        )
        self._least_kpa = self._seen_kpa
        self._ended_s, self._applied_kpa = 0.0, command_kpa
        self.stalled = False
        self._answered, self._behind_kpa, self._grows_kpa_s = True, 0.0, 0.0
        self._straight_s = _SOON_S
        self._soon_turns = 0
        self._cdegc = None
        self.command_kpa = command_kpa

    def regulate(self, pressure_kpa, current_ma, cdegc, applied_kpa, dt_ms):
        """One step; returns the new command. `cdegc`: the stack's temperature, None while it is not known;
        `applied_kpa`: what the actuator really holds of the last command."""
        dt_s = dt_ms / 1000
        self._take_back(applied_kpa, dt_s)
        self._ramp(self._rate_kpa_s * dt_s)
        self._seen_kpa += (pressure_kpa - self._seen_kpa) * min(1.0, dt_s / FILTER_S)
        self._straight_s = min(self._straight_s + dt_s, _SOON_S)
        self._wide_kpa -= self._wide_kpa * min(1.0, dt_s / _NARROW_S)
        band_kpa = self._deadband_kpa + self._wide_kpa
        self._expected_kpa += (self._setpoint_kpa - self._expected_kpa) * min(1.0, dt_s / self._lag_s)
        left_kpa = self._left_kpa if self._answered else 0.0
        error_kpa = _beyond(self._expected_kpa - self._seen_kpa - left_kpa, band_kpa)
        self._learn(error_kpa, dt_s)
        ahead_kpa = self._give_way(current_ma, cdegc, dt_s)
        self._turn(error_kpa)
        wanted = self._output_kpa + self._kp * error_kpa + self._offset_kpa - ahead_kpa
        limited = self._within(self._slew(wanted, _SLEW_RATES * self._rate_kpa_s * dt_s), pressure_kpa, applied_kpa)
        self._output_kpa += limited - wanted
        self._moved_kpa = limited - self._offset_kpa
        self.command_kpa = round(limited)
        return self.command_kpa

    def _slew(self, wanted, most_kpa):
        """Ramp and correction together are no faster; crossing the play is no pressure, so it does not count."""
        moved_kpa = min(max(wanted - self._offset_kpa, self._moved_kpa - most_kpa), self._moved_kpa + most_kpa)
        return self._offset_kpa + moved_kpa

    def _within(self, wanted, pressure_kpa, applied_kpa):
        if self.yields or pressure_kpa > self.max_kpa or pressure_kpa >= self._command_max_kpa:
            wanted = min(wanted, applied_kpa)  # not the last command: a screw may still be on its way there
        return wanted if self._by_position else min(max(wanted, 0.0), float(self._command_max_kpa))

    def _ramp(self, most_kpa):
        before_kpa = self._setpoint_kpa
        after_kpa = _towards(before_kpa, self.aim_kpa, most_kpa)
        if self.stalled and (after_kpa - before_kpa) * (before_kpa - self._seen_kpa) > 0:
            return  # further away from where it stands
        self._setpoint_kpa = after_kpa
        self._output_kpa += after_kpa - before_kpa

    def _take_back(self, applied_kpa, dt_s):
        """What the actuator does not hold of the last command: less than its step is rounding, which a screw shows in
        the pressure and a regulator hides in its play; a crossing that it is still at goes on; more is a limit, a slew
        or a jam."""
        left_kpa = self.command_kpa - applied_kpa
        if applied_kpa != self._applied_kpa:
            self._ended_s, self._applied_kpa = 0.0, applied_kpa
        self._crossing_kpa = crossing_kpa = max(min(self._crossing_kpa, self._direction * left_kpa), 0.0)
        if abs(left_kpa) > self._quantum_kpa:
            self._ended_s += dt_s
            if self._ended_s > _STANDS_S:
                self._crossing_kpa = crossing_kpa = 0.0
            over_kpa = left_kpa - self._direction * crossing_kpa
            if abs(over_kpa) > self._quantum_kpa:
                self._output_kpa -= over_kpa
                self._furthest_kpa -= over_kpa
                self._pushed_kpa -= over_kpa
                self._moved_kpa -= over_kpa
            left_kpa = 0
        if self._by_position:
            self._left_kpa += (left_kpa - self._left_kpa) * min(1.0, dt_s / FILTER_S)

    @property
    def ended(self):
        """What is asked is not moved at all: the end of the travel, or an actuator that does not hear. Nothing winds up
        then, so it is asked on and on."""
        return self._ended_s > _END_S

    def _learn(self, error_kpa, dt_s):
        if self._turning_s <= 0:
            self._push(self._ki_per_s * error_kpa * dt_s, error_kpa, dt_s)
            return
        if self._crossing_kpa > self._quantum_kpa:
            return  # the motor is still at it: the pressure can't tell yet
        self._turning_s -= dt_s
        onward_kpa = self._direction * error_kpa
        self._await_answer(onward_kpa)
        left_kpa = _PLAY_MOST * self._usual_play_kpa - self._crossed_kpa
        if onward_kpa > 0 and left_kpa > 0:
            per_s = _SCREW_CROSS_PER_S if self._by_position else _CROSS_PER_S
            self._cross(min(per_s * onward_kpa * dt_s, left_kpa))
            self._settled_s = 0.0
            return
        if self._answered or left_kpa <= 0:
            self._settled_s += dt_s
        if self._settled_s >= _SETTLED_S:
            self._turning_s = 0.0
            seen_kpa = max(self._crossed_kpa + onward_kpa, self._usual_play_kpa / _PLAY_MOST)  # less what was too far
            self._taught = True
            self.play_kpa += _LEARNED * (seen_kpa - self.play_kpa)
        self._answered = self._answered or self._turning_s <= 0

    def _await_answer(self, onward_kpa):
        """The pressure answers a turn when it comes back by half a step, or goes too far by as much."""
        self._behind_kpa = max(self._behind_kpa, onward_kpa)
        if onward_kpa < self._behind_kpa - 0.5 * max(self._quantum_kpa, self._deadband_kpa):
            self._answered = True

    def _push(self, kpa, error_kpa, dt_s):
        """The integral. What the pressure does not answer to is pushed no further."""
        step_kpa = 2.0 * self._quantum_kpa + self._deadband_kpa
        answer_kpa = abs(self._seen_kpa - self._least_kpa)
        if self.stalled:
            self._wait(abs(error_kpa), answer_kpa > step_kpa, dt_s)
        if kpa * self._pushed_kpa <= 0:
            self._pushed_kpa, self._least_kpa, self.stalled = 0.0, self._seen_kpa, False
        self._least_kpa = (min if kpa > 0 else max)(self._least_kpa, self._seen_kpa)
        if self.stalled:
            return
        self._pushed_kpa += kpa - self._pushed_kpa * min(1.0, dt_s / _PUSH_S)
        self._output_kpa += kpa
        pushed_kpa = abs(self._pushed_kpa)
        if pushed_kpa > step_kpa and answer_kpa > _ANSWER * pushed_kpa:
            self._pushed_kpa, self._least_kpa = 0.0, self._seen_kpa
        elif pushed_kpa > step_kpa + _REACH_PLAYS * self._usual_play_kpa + _REACH_FRAC * self._setpoint_kpa:
            self.stalled, self._stalled_kpa, self._stalled_s = True, abs(error_kpa), 0.0

    def _wait(self, error_kpa, moved, dt_s):
        """Until the press moves or the error halves. A screw tries again after a while, as its steps were lost."""
        self._stalled_s += dt_s
        tries_again = self._by_position and self._stalled_s >= _PUSH_S
        if tries_again or moved or 2 * error_kpa < self._stalled_kpa:
            self._pushed_kpa, self.stalled = 0.0, False

    def _cross(self, kpa):
        self._crossed_kpa += kpa
        self._crossing_kpa += kpa
        self._offset_kpa += self._direction * kpa

    def _give_way(self, current_ma, cdegc, dt_s):
        """Feed-forward. An actuator that holds a position has to move by what the stack grows; one that holds a
        pressure only lags behind: returns by how much its command has to be ahead."""
        swelling_kpa_s = self._feed_forward * self._swelling_kpa_s_per_ma * current_ma
        if not self._by_position:
            return self._lead_s * swelling_kpa_s
        self._grows_kpa_s = swelling_kpa_s
        self._output_kpa -= swelling_kpa_s * dt_s
        if cdegc is not None:
            if self._cdegc is not None:
                self._output_kpa -= self._feed_forward * self._expansion_kpa_per_cdegc * (cdegc - self._cdegc)
            self._cdegc = cdegc
        return 0.0

    def _turn(self, error_kpa):
        """The output came back from its furthest by more than the actuator's step, less what a load that drives it back
        goes on meanwhile: it crosses the play."""
        ahead_kpa = self._direction * (self._output_kpa - self._furthest_kpa)
        if ahead_kpa >= 0:
            self._furthest_kpa = self._output_kpa
            return
        led_kpa = max(self._direction * self._grows_kpa_s * _CROSSING_S, 0.0)
        if -ahead_kpa > max(self._quantum_kpa - led_kpa, self._deadband_kpa):
            self._direction = -self._direction
            self._furthest_kpa = self._output_kpa
            self.reversals += 1
            self._soon_turns = self._soon_turns + 1 if self._straight_s < _SOON_S else 0
            self._straight_s = 0.0
            if self._soon_turns >= _HUNTS:
                self._wide_kpa = min(self._wide_kpa + 0.5 * self._quantum_kpa, _WIDEST * self._quantum_kpa)
            if self.play_kpa:
                self._begin_crossing(led_kpa, self._direction * error_kpa if self._by_position else 0.0)

    def _begin_crossing(self, led_kpa, off_kpa):
        """Short of the play, so that it is not too far; but what the pressure is off already, up to a step, comes back
        at once, and is no play."""
        off_kpa = min(max(off_kpa, 0.0), float(self._quantum_kpa))
        self._crossing_kpa = self._settled_s = self._behind_kpa = self._ended_s = 0.0
        self._answered = not self._by_position
        self._turning_s = _TURN_S
        share = _SHORT_SHARE if self._taught or not self._by_position else _UNSURE_SHARE
        short_kpa = max(share * self.play_kpa, 2.0 * self._quantum_kpa - led_kpa)
        self._crossed_kpa = -off_kpa
        self._cross(max(self.play_kpa - short_kpa + off_kpa, 0.0))

    def rest(self, applied_kpa, pressure_kpa, dt_ms, faulted):
        """Not regulating: hold the actuator, but come down while the pressure is above its window; after a fault bleed
        to the window's lower edge, or let go, if the rig says so. A screw bleeds while the pressure is known, which
        alone tells it how far, and lets go down to its limit switch. `pressure_kpa`: 0 when not measured.
        """
        return self.creep(applied_kpa, self._floor_kpa(applied_kpa, pressure_kpa, faulted), dt_ms)

    def creep(self, applied_kpa, goal_kpa, dt_ms):
        """The next command on the way there, at the rate of the ramp. `creeps` until it is there."""
        if self._regulates or not self.creeps:
            self._creeping_kpa = float(applied_kpa)
        self._regulates, self.creeps = False, applied_kpa != goal_kpa
        # goes on by itself, as a tick's share may be less than the step that a screw needs to move at all
        step_kpa = self._rate_kpa_s * dt_ms / 1000
        sign = 1 if goal_kpa > applied_kpa else -1
        ahead_kpa = max(sign * (self._creeping_kpa - applied_kpa), -self._quantum_kpa) + step_kpa
        ahead_kpa = min(ahead_kpa, max(step_kpa, self._quantum_kpa), abs(goal_kpa - applied_kpa))
        self._creeping_kpa = applied_kpa + sign * ahead_kpa
        self.command_kpa = applied_kpa + sign * max(ceil(ahead_kpa), 0)
        return self.command_kpa

    def _floor_kpa(self, applied_kpa, pressure_kpa, faulted):
        """Down to which command it comes."""
        if faulted and self._safe_state == _LET_GO:
            return _OPEN_KPA if self._by_position else 0
        bleeds = faulted and self._safe_state == _BLEED
        if self._by_position:
            return _OPEN_KPA if pressure_kpa > (self.min_kpa if bleeds else self.max_kpa) else applied_kpa
        if pressure_kpa > self.max_kpa:
            return 0
        return min(self.min_kpa, applied_kpa) if bleeds else applied_kpa

    @property
    def ramps(self):
        """The setpoint is on its way."""
        return self._setpoint_kpa != self.aim_kpa

    def inside(self, pressure_kpa, ramped):
        """Is the pressure inside its window and, where `ramped`, the ramp at its end?"""
        return self.min_kpa <= pressure_kpa <= self.max_kpa and not (ramped and self.ramps)


def _towards(value, target, step):
    if value < target:
        return min(value + step, float(target))
    return max(value - step, float(target))


def _beyond(value, band):
    if value > band:
        return value - band
    return value + band if value < -band else 0.0
