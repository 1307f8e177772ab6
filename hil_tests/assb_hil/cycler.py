"""The cycler of the bench: plays the loads of a scenario. That it obeys the board, and how late, is C.

It obeys late, as real ones do: enable pins through an input filter, limits from telemetry through its own controller.
When the board's limits stop coming it stops by itself.
"""

import math
from collections.abc import Sequence

import assb_kernels
from assb_kernels import CyclerParams, Pack

from assb_hil.loads import ConstantCurrentVoltage, Load, Rest

HELD_V = 0.001  # this close to its ceiling a charge counts as held there; a stopped one drops by more, at once


class Cycler:
    """Current into the pack, asked for at every step of the plant."""

    def __init__(self, params: CyclerParams, loads: Sequence[Load]):
        self.enable_delay_us = round(1e6 * params.enable_delay_s)
        self.loads = sorted(loads, key=lambda load: load.at_s)
        self.disobeys = False  # a fault: what the board says is as if it allowed everything
        self.charge_enabled = False
        self.discharge_enabled = False
        self.charge_limit_a = 0.0
        self.discharge_limit_a = 0.0
        self.limit_us: int | None = None
        self.finished_us: int | None = None  # when the present load ended by itself (a charge at its cut-off)
        self._obeying = assb_kernels.Cycler(params)
        self._load: Load = Rest(at_s=0.0)
        self._next = 0

    def set_limits(self, now_us: int, charge_a: float, discharge_a: float) -> None:
        """Limits that the board has sent; magnitudes, A."""
        self.limit_us = now_us
        self.charge_limit_a = charge_a
        self.discharge_limit_a = discharge_a

    def step(self, now_us: int, dt_s: float, pack: Pack, connected: bool) -> float:
        """Current at now_us, + charges. `connected`: the contactor is closed."""
        self._take_load(1e-6 * now_us)
        load, ceiling_v = self._load, math.inf
        if isinstance(load, ConstantCurrentVoltage):
            ceiling_v = load.voltage_max_v
            held = connected and pack.voltage_v > ceiling_v - HELD_V
            if held and self.finished_us is None and pack.current_a < load.cutoff_a:
                self.finished_us = now_us
        wanted_a = load.current_at(1e-6 * now_us - load.at_s) if self.finished_us is None else 0.0
        return self._obeying.step(
            wanted_a,
            dt_s,
            pack,
            voltage_max_v=ceiling_v,
            charge_enabled=self.charge_enabled or self.disobeys,
            discharge_enabled=self.discharge_enabled or self.disobeys,
            charge_limit_a=math.inf if self.disobeys else self.charge_limit_a,
            discharge_limit_a=math.inf if self.disobeys else self.discharge_limit_a,
            limit_age_s=self._limit_age_s(now_us),
            connected=connected,
        )

    def _limit_age_s(self, now_us: int) -> float:
        if self.disobeys:
            return 0.0
        return math.inf if self.limit_us is None else 1e-6 * (now_us - self.limit_us)

    def _take_load(self, t_s: float) -> None:
        while self._next < len(self.loads) and self.loads[self._next].at_s <= t_s:
            self._load = self.loads[self._next]
            self._next += 1
            self.finished_us = None
