"""Stack-pressure regulation: PI on the measured pressure, feed-forward of swelling, rate limit, anti-windup. Pure.

    setpoint   ramps to the target no faster than the rate limit
    command    = setpoint + kp*e + integral - lead * dP/dt(swelling)      e = setpoint - pressure
    integral   grows with ki*e inside the command's range; what the actuator could not follow is taken back
               (back-calculation, Astrom and Hagglund, Advanced PID Control, 2006, section 3.5)

The feed-forward is the pressure that the stack would gain while the regulator lags: stiffness times swelling rate times
that lag. Inside the deadband the command rests, so that the valve does not chatter.
"""

from assb.const import const

_HOLD = const(0)
_BLEED = const(1)
_NONE = const(0)  # stages of a short
_SUSPECT = const(1)


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
        self._lead_s = parameter("pressure_lead_ms") / 1000
        # nm/mAh * mA / 3600 s/h = nm/s; kPa/um is 1e-3 kPa/nm
        self._swelling_kpa_s_per_ma = parameter("swelling_nm_per_mah") * parameter("stack_stiffness_kpa_per_um") / 3.6e6
        self.tune(parameter)
        self._regulates = False
        self._setpoint_kpa = 0.0
        self._integral_kpa = 0.0
        self.command_kpa = 0

    def tune(self, parameter):
        """Take the gains and the target again: they may be set while running."""
        self.target_kpa = parameter("pressure_target_kpa")
        self._kp = parameter("pressure_kp_ppm") / 1e6
        self._ki_per_s = parameter("pressure_ki_ppm_s") / 1e6
        self._feed_forward = parameter("pressure_feed_forward_ppm") / 1e6
        self._deadband_kpa = parameter("pressure_deadband_kpa")

    def respond(self, stage):
        """To the worst stage of a short: a suspect is given the pressure at which cells recover, where there is one;
        from a soft short on the pressure stays where it is. Returns what is aimed at."""
        if stage == _NONE:
            self.aim_kpa = self.target_kpa
        elif stage == _SUSPECT:
            self.aim_kpa = self._recovery_kpa or self.target_kpa
        elif self._regulates:
            self.aim_kpa = int(self._setpoint_kpa + 0.5)
        return self.aim_kpa

    def start(self, pressure_kpa, command_kpa):
        """Bumpless start: from the pressure that stands and the command that the actuator holds."""
        self._regulates = True
        self._setpoint_kpa = float(pressure_kpa)
        self._integral_kpa = float(command_kpa - pressure_kpa)
        self.command_kpa = command_kpa

    def regulate(self, pressure_kpa, current_ma, applied_kpa, dt_ms):
        """One step; returns the new command. `applied_kpa` is what the actuator really holds of the last one."""
        dt_s = dt_ms / 1000
        self._integral_kpa += applied_kpa - self.command_kpa
        self._setpoint_kpa = _towards(self._setpoint_kpa, self.aim_kpa, self._rate_kpa_s * dt_s)
        error_kpa = self._setpoint_kpa - pressure_kpa
        swelling_kpa_s = self._swelling_kpa_s_per_ma * current_ma
        ahead_kpa = self._feed_forward * self._lead_s * swelling_kpa_s
        if abs(error_kpa) <= self._deadband_kpa:
            error_kpa = 0.0
        elif self._setpoint_kpa == self.aim_kpa:  # on the ramp the error is the regulator's lag, nothing to learn from
            self._integral_kpa += self._ki_per_s * error_kpa * dt_s
        wanted = self._setpoint_kpa + self._kp * error_kpa + self._integral_kpa - ahead_kpa
        limited = min(max(wanted, 0.0), float(self._command_max_kpa))
        self._integral_kpa += limited - wanted
        self.command_kpa = int(limited + 0.5)
        return self.command_kpa

    def rest(self, applied_kpa, pressure_kpa, dt_ms, faulted):
        """Not regulating: hold the actuator, but come down while the pressure is above its window; after a fault bleed
        to the window's lower edge if the rig says so, measured or not. `pressure_kpa`: 0 when not measured.
        """
        step_kpa = self._rate_kpa_s * dt_ms / 1000
        self._regulates = False
        self.command_kpa = applied_kpa
        if pressure_kpa > self.max_kpa:
            self.command_kpa = int(_towards(applied_kpa, 0, step_kpa))
        elif faulted and self._safe_state == _BLEED and applied_kpa > self.min_kpa:
            self.command_kpa = int(_towards(applied_kpa, self.min_kpa, step_kpa))
        return self.command_kpa

    def inside(self, pressure_kpa, ramped):
        """Is the pressure inside its window and, where `ramped`, the ramp at its end?"""
        return self.min_kpa <= pressure_kpa <= self.max_kpa and (not ramped or self._setpoint_kpa == self.aim_kpa)


def _towards(value, target, step):
    if value < target:
        return min(value + step, float(target))
    return max(value - step, float(target))
