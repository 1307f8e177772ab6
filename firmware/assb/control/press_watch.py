"""Does the press give what it is asked for? How much pressure stands beyond that: + more, - less. Pure.

An actuator that holds a pressure is compared with its command, as late as the pressure is. One that holds a position is
only known by what it moved: what the pressure changed beyond its travel, the swelling and the heat is summed up and
forgotten within a minute, for creep and the error of the stiffness are slow and a slip is not. While its setpoint ramps
nothing is summed, as the error of the stiffness is then as fast.

So a load cell that drifts shows on an air press alone, whose command is a second opinion; a screw needs a second cell.
"""

from ..const import const

_FORGET_S = const(60)  # creep of a stack is minutes to hours (assumption)
_LONGEST_MS = const(100000000)
_MOST = const(400000)  # kPa; what lies beyond trips rows of its own


class PressWatch:
    """One press. Pressures in kPa, currents in mA (+ charges)."""

    def __init__(self, parameter):
        """`parameter(name)` gives the integers of the configuration."""
        self._by_position = parameter("pressure_by_position")
        self._lag_s = parameter("pressure_lead_ms") / 1000
        stiffness_kpa_per_um = parameter("stack_stiffness_kpa_per_um")
        # as in stack_pressure.py
        self._swelling_kpa_s_per_ma = parameter("swelling_nm_per_mah") * stiffness_kpa_per_um / 3.6e6
        self._expansion_kpa_per_cdegc = parameter("expansion_nm_per_k") * stiffness_kpa_per_um / 1e5
        self.start(0, 0)

    def start(self, pressure_kpa, applied_kpa):
        """From here on."""
        self._asked_kpa = float(applied_kpa)
        self._pressure_kpa, self._applied_kpa, self._cdegc = pressure_kpa, applied_kpa, None
        self._moved_kpa = 0.0
        self._outside_ms = 0

    def update(self, pressure_kpa, applied_kpa, current_ma, cdegc, ramps, dt_ms):
        """The mismatch in kPa. `cdegc`: None while it is not known; `ramps`: the setpoint is on its way."""
        dt_s = dt_ms / 1000
        if self._by_position:
            mismatch_kpa = self._beyond_travel(pressure_kpa, applied_kpa, current_ma, cdegc, dt_s)
            if ramps:
                mismatch_kpa = self._moved_kpa = 0.0
        else:
            self._asked_kpa += (applied_kpa - self._asked_kpa) * (dt_s / max(self._lag_s, dt_s))
            mismatch_kpa = pressure_kpa - self._asked_kpa
        self._pressure_kpa, self._applied_kpa = pressure_kpa, applied_kpa
        return min(max(round(mismatch_kpa), -_MOST), _MOST)

    def _beyond_travel(self, pressure_kpa, applied_kpa, current_ma, cdegc, dt_s):
        explained_kpa = applied_kpa - self._applied_kpa + self._swelling_kpa_s_per_ma * current_ma * dt_s
        if cdegc is not None:
            if self._cdegc is not None:
                explained_kpa += self._expansion_kpa_per_cdegc * (cdegc - self._cdegc)
            self._cdegc = cdegc
        self._moved_kpa -= self._moved_kpa * dt_s / _FORGET_S
        self._moved_kpa += pressure_kpa - self._pressure_kpa - explained_kpa
        return self._moved_kpa

    def count_outside(self, inside, dt_ms):
        """How long the pressure has been outside its window, in ms."""
        self._outside_ms = 0 if inside else min(self._outside_ms + dt_ms, _LONGEST_MS)
        return self._outside_ms
