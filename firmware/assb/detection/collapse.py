"""Hard short, in the fast tick: the voltage lies far below what the estimator expects and stays there. Integers only,
allocates nothing.

A load that draws more lowers the voltage too; the cell's whole resistance times the change of current, by half more,
is therefore allowed before the drop counts; so is, on discharge, what a contact that is being lost takes: twice that
resistance. Nothing confirms it: neither another evidence nor a second opinion.
"""

from assb.const import const

from ..ticks import elapsed_ms
from . import ACTIVE, NORMAL, UNAVAILABLE

_FRESH_MS = const(1000)  # an older expectation is none: the filter did not follow the cell (assumption)
_STEP_SHIFT = const(10)  # currents are compared in steps of 1024 uA, so that products stay within 30 bits
_ALLOWED_MOST_UV = const(1 << 28)
MARGIN = 1.5  # on the cell's whole resistance (assumption)
CONTACT_MARGIN = 2.0  # of it, that a lost contact may add (assumption)


class Collapse:
    """One cell. `expect` at every good estimator step, `update` at every fast sample."""

    def __init__(self, parameter):
        self._drop_uv = parameter("hard_short_drop_uv")
        self._debounce_ms = parameter("hard_short_debounce_ms")
        self._expected_uv = self._current_steps = self._expected_ms = 0
        self._per_step_uv = self._per_contact_uv = self._steps_most = 1
        self._expects = self._below = False
        self._since_ms = 0
        self.voltage_uv = self.lost_uv = 0  # what was left when it was called, and what was missing
        self.state = UNAVAILABLE

    def expect(self, voltage_uv, current_ua, resistance_ohm, now_ms):
        """The voltage that a healthy cell shows at this current, and the most that R0, R1 and R2 together can be."""
        self._expected_uv = voltage_uv
        self._current_steps = current_ua >> _STEP_SHIFT
        self._per_step_uv = int(MARGIN * resistance_ohm * (1 << _STEP_SHIFT)) + 1
        self._per_contact_uv = int(CONTACT_MARGIN * resistance_ohm * (1 << _STEP_SHIFT)) + 1
        self._steps_most = _ALLOWED_MOST_UV // self._per_contact_uv
        self._expected_ms = now_ms
        self._expects = True

    def update(self, voltage_uv, current_ua, now_ms):
        """One sample; True at the one in which a hard short is called."""
        if not self._expects or elapsed_ms(now_ms, self._expected_ms) > _FRESH_MS:
            self._below = False
            self.state = UNAVAILABLE
            return False
        # one step more, for what the shift has cut off
        steps = min(self._current_steps - (current_ua >> _STEP_SHIFT) + 1, self._steps_most)
        allowed_uv = self._drop_uv + (steps * self._per_step_uv if steps > 0 else 0)
        drawn_steps = min(-(current_ua >> _STEP_SHIFT), self._steps_most)
        if drawn_steps > 0:
            allowed_uv += drawn_steps * self._per_contact_uv
        if voltage_uv >= self._expected_uv - allowed_uv:
            self._below = False
            self.state = NORMAL
            return False
        if not self._below:
            self._below = True
            self._since_ms = now_ms
        if self.state == ACTIVE or elapsed_ms(now_ms, self._since_ms) < self._debounce_ms:
            return False
        self.state = ACTIVE
        self.voltage_uv = voltage_uv
        self.lost_uv = self._expected_uv - voltage_uv
        return True
