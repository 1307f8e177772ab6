"""A stepper motor behind STEP/DIR/EN: pulses from the fast tick, with acceleration, limit switches and homing.

At most one pulse a tick, so 100 a second: a press ramps by micrometres a second, which is tens of steps, and pulses so
far apart need neither a timer nor PIO, so every port and the virtual board drive the same code. Integers only.
"""

from assb.const import const

_WHOLE = const(1000)  # of a step, in the phase
_FAR = const(1 << 28)
_SURE_TICKS = const(3)  # of the open switch before it is home: a glitch of its line is none (assumption)


class Stepper:
    """`position`: pulses sent since it was made or homed, + closes. A motor that stalls does not know of it.

    step, direction, enable: outputs, direction 1 closes, enable 1 holds. closed_switch, open_switch: inputs, or None;
    `active`: their level at the end of the travel. `rate`: pulses a second at most; `ramp`: how much faster it may get
    within a second; both for ticks of `tick_ms`. `travel`: (least, greatest) position, kept from where it was made, and
    from the open switch once it was homed.
    Attributes: at_closed, at_open: a switch stopped it; homing; homed.
    """

    def __init__(self, step, direction, enable, closed_switch, open_switch, active, rate, ramp, tick_ms, travel):
        most = rate * tick_ms  # thousandths of a step in a tick
        if not (0 < most <= _WHOLE and ramp > 0 and travel[0] <= 0 <= travel[1]):
            raise ValueError("stepper: rate 1 to %d a second, a ramp above 0, travel about 0" % (_WHOLE // tick_ms))
        self._step = step
        self._direction = direction
        self._enable = enable
        self._closed_switch = closed_switch
        self._open_switch = open_switch
        self._active = active
        self._most = most
        self._gain = max(1, ramp * tick_ms * tick_ms // 1000)  # of the speed, a tick
        self._least, self._greatest = travel
        self._speed = self._phase = 0
        self._sign = 1
        self._target = 0
        self._at_home = 0  # ticks in a row
        self.position = 0
        self.at_closed = self.at_open = self.homing = self.homed = False
        enable.value(0)
        direction.value(1)

    def move_to(self, position):
        """Within the travel; it goes there tick by tick. Ends homing, which may have led it out of the travel."""
        self._target = min(max(position, min(self._least, self.position)), self._greatest)
        self.homing = False

    def home(self):
        """Open until the open switch says so: there is position 0, and the travel counts from there. Relieves the stack
        altogether: only with nothing connected. Ends without `homed` when the switch does not come within the whole
        travel of where it was made, or homed. False without an open switch, or when it has been that far."""
        furthest = self._least - self._greatest
        if self._open_switch is None or self.position <= furthest:
            return False
        self.homing, self.homed, self._at_home = True, False, 0
        self._target = furthest
        return True

    def release(self):
        """No pulse and no current: a self-locking screw stays where it is."""
        self._target, self._speed, self.homing = self.position, 0, False
        self._enable.value(0)

    def tick(self):
        """Fast tick: at most one pulse. Allocates and raises nothing."""
        left = self._target - self.position
        sign = 1 if left > 0 else -1
        if left == 0 or self._ends(sign):
            self._speed = self._phase = 0
            self.homing = self.homing and left != 0
            return
        if sign != self._sign:
            self._turn(sign)
            return
        self._accelerate(left * sign)
        self._phase += self._speed
        if self._phase >= _WHOLE:
            self._phase -= _WHOLE
            self._step.value(1)
            self._step.value(0)
            self.position += sign

    def _turn(self, sign):
        """Slow down, then let the direction settle for a tick before the next pulse."""
        self._speed -= self._gain
        if self._speed > 0:
            return
        self._speed = self._phase = 0
        self._sign = sign
        self._direction.value(1 if sign > 0 else 0)

    def _accelerate(self, left):
        """Full speed, or what can still be braked within `left` steps."""
        self._enable.value(1)
        braking = self._speed * self._speed // (2 * self._gain)  # thousandths of a step
        if left < _FAR // _WHOLE and braking >= left * _WHOLE:
            self._speed = max(self._speed - self._gain, self._gain)
        else:
            self._speed = min(self._speed + self._gain, self._most)

    def _ends(self, sign):
        """At the switch of that side."""
        self.at_closed = sign > 0 and self._is_on(self._closed_switch)
        self.at_open = sign < 0 and self._is_on(self._open_switch)
        if self.homing:
            self._at_home = self._at_home + 1 if self.at_open else 0
            if self._at_home == _SURE_TICKS:
                self._arrive()
        return self.at_closed or self.at_open

    def _arrive(self):
        self._least, self._greatest = 0, self._greatest - self._least
        self._target = self.position = 0
        self.homing, self.homed = False, True

    def _is_on(self, switch):
        return switch is not None and switch.value() == self._active
