"""The modelled battery cycler: plays the loads of a scenario, and obeys the board's enables and current limits.

It obeys late, as real ones do: enable pins through an input filter, limits from telemetry through its own controller.
When the board's limits stop coming it stops by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from assb_hil.loads import ConstantCurrentVoltage, Load, Rest

CV_SETTLE_S = 0.05  # time constant of the constant-voltage loop; assumption, typical of bench cyclers
CV_RESISTANCE_OHM = 0.15  # what the loop is tuned for; a cell far below it would ring


@dataclass(frozen=True)
class CyclerParams:
    """Delays of the cycler; `limit_timeout_us` is how long it trusts the newest limit."""

    enable_delay_us: int
    limit_delay_us: int
    limit_timeout_us: int
    slew_a_per_s: float
    current_max_a: float


class Cycler:
    """Current into the cell, asked for at every step of the plant."""

    def __init__(self, params: CyclerParams, loads: Sequence[Load]):
        self.params = params
        self.loads = sorted(loads, key=lambda load: load.at_s)
        self.charge_enabled = False
        self.discharge_enabled = False
        self.charge_limit_a = 0.0
        self.discharge_limit_a = 0.0
        self.limit_us: int | None = None
        self.current_a = 0.0
        self.finished_us: int | None = None  # when the present load ended by itself (a charge at its cut-off)
        self._load: Load = Rest(at_s=0.0)
        self._next = 0
        self._cv_a: float | None = None

    def set_limits(self, now_us: int, charge_a: float, discharge_a: float) -> None:
        """Limits that reached the cycler's controller; magnitudes, A."""
        self.limit_us = now_us
        self.charge_limit_a = charge_a
        self.discharge_limit_a = discharge_a

    def step(self, now_us: int, dt_s: float, voltage_v: float, connected: bool) -> float:
        """Current at now_us, + charges. `connected`: the contactor is closed."""
        wanted_a = self._wanted_a(now_us * 1e-6, dt_s, voltage_v, connected)
        if not connected:
            self.current_a = 0.0
            return 0.0
        if wanted_a > 0.0:
            wanted_a = min(wanted_a, self._charge_limit_a(now_us))
        elif wanted_a < 0.0:
            wanted_a = max(wanted_a, -self._discharge_limit_a(now_us))
        room_a = self.params.slew_a_per_s * dt_s
        self.current_a += min(max(wanted_a - self.current_a, -room_a), room_a)
        return self.current_a

    def _wanted_a(self, t_s: float, dt_s: float, voltage_v: float, connected: bool) -> float:
        while self._next < len(self.loads) and self.loads[self._next].at_s <= t_s:
            self._load = self.loads[self._next]
            self._next += 1
            self._cv_a = None
            self.finished_us = None
        load = self._load
        if self.finished_us is not None:
            return 0.0
        current_a = load.current_at(t_s - load.at_s)
        if not isinstance(load, ConstantCurrentVoltage):
            return current_a
        if self._cv_a is None and (voltage_v < load.voltage_max_v or not connected):
            return current_a
        return self._held_a(load, t_s, dt_s, voltage_v, connected)

    def _held_a(
        self, load: ConstantCurrentVoltage, t_s: float, dt_s: float, voltage_v: float, connected: bool
    ) -> float:
        """Constant voltage, down to the cut-off; begins at the current that flows."""
        if self._cv_a is None:
            self._cv_a = self.current_a
        assert load.voltage_max_v is not None  # only such a load is held
        room_v = load.voltage_max_v - voltage_v
        self._cv_a += room_v / CV_RESISTANCE_OHM * min(dt_s / CV_SETTLE_S, 1.0)
        self._cv_a = min(max(self._cv_a, 0.0), load.current_at(t_s - load.at_s))
        if connected and self._cv_a < load.cutoff_a:
            self.finished_us = int(t_s * 1e6)
            return 0.0
        return self._cv_a

    def _trusts(self, now_us: int) -> bool:
        return self.limit_us is not None and now_us - self.limit_us <= self.params.limit_timeout_us

    def _charge_limit_a(self, now_us: int) -> float:
        allowed = self.charge_enabled and self._trusts(now_us)
        return min(self.charge_limit_a, self.params.current_max_a) if allowed else 0.0

    def _discharge_limit_a(self, now_us: int) -> float:
        allowed = self.discharge_enabled and self._trusts(now_us)
        return min(self.discharge_limit_a, self.params.current_max_a) if allowed else 0.0
