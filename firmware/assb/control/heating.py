"""Temperature of a heated rig: PI on the hottest thermometer, within a largest power and a largest temperature. Pure.

    share of the power = kp*e + integral of ki*e        e: target less temperature

The integral stands while the power is at its end and the error would push it on (conditional integration, Astrom and
Hagglund, Advanced PID Control, 2006, section 3.5), and begins anew whenever the heater was off: it is off without a
temperature, where it is not allowed, and from the largest temperature on.

A thermometer that came off its place reads the room and would have the heater on for good. So full power that warms
nothing by a kelvin is counted: `unanswered_ms`.
"""

from ..const import const

_RISE_CDEGC = const(100)
_LONGEST_MS = const(100000000)


class Heating:
    """Temperatures in hundredths of a degC, shares of the heater's power in thousandths. Attributes: target_cdegc,
    on: it may heat, unanswered_ms."""

    def __init__(self, parameter):
        """`parameter(name)` gives the integers of the configuration."""
        self._max_cdegc = parameter("heater_max_cdegc")
        self._most = parameter("heater_max_permille")
        self.unanswered_ms = self._risen_cdegc = 0
        self._held = 0.0
        self.on = False
        self.tune(parameter)

    def tune(self, parameter):
        """Take the gains and the target again; a target is cut to the largest temperature."""
        self.target_cdegc = min(parameter("heater_target_cdegc"), self._max_cdegc)
        self._kp = parameter("heater_kp_ppm_per_k") / 1e5  # permille per cK
        self._ki_per_ms = parameter("heater_ki_ppm_per_k_s") / 1e8

    def update(self, cdegc, allowed, dt_ms):
        """The share of the power from now on. `cdegc`: None while it is not known."""
        self.on = bool(allowed and self.target_cdegc and cdegc is not None and cdegc < self._max_cdegc)
        if not self.on:
            self._held, self.unanswered_ms = 0.0, 0
            return 0
        error_cdegc = self.target_cdegc - cdegc
        wanted = self._kp * error_cdegc + self._held
        permille = int(min(max(wanted, 0.0), self._most))
        if (wanted < self._most or error_cdegc < 0) and (wanted > 0 or error_cdegc > 0):
            self._held = min(max(self._held + self._ki_per_ms * error_cdegc * dt_ms, 0.0), self._most)
        self._count_unanswered(cdegc, permille, dt_ms)
        return permille

    def _count_unanswered(self, cdegc, permille, dt_ms):
        if permille < self._most or not self.unanswered_ms or cdegc >= self._risen_cdegc + _RISE_CDEGC:
            self._risen_cdegc, self.unanswered_ms = cdegc, 0
        if permille >= self._most:
            self.unanswered_ms = min(self.unanswered_ms + dt_ms, _LONGEST_MS)
