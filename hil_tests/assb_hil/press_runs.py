"""Many seeds of one regulated run: the loop is closed once, and what it commanded is run again in C for every seed.

Seeds differ in the chance of filaments alone, so until its first bridge each of them is what its own closed loop would
have been; what comes after the first bridge is not asked.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from assb_kernels import Pack

from assb_hil.press_rigs import PressedPack
from assb_hil.press_tuning import TICK_S

SHORT = "bridge"


@dataclass
class Commands:
    """What went into the plant, a row each tick, and where it began (SOC, degC, MPa)."""

    start: tuple[float, float, float]
    current_a: list[float] = field(default_factory=list)
    ambient_degc: list[float] = field(default_factory=list)
    aim_mpa: list[float] = field(default_factory=list)
    rate_per_s: list[float] = field(default_factory=list)

    def step(self, pressed: PressedPack, current_a: float, ambient_degc: float) -> None:
        """Raises ValueError for what the plant refuses."""
        pressed.step(current_a, ambient_degc)
        self.current_a.append(current_a)
        self.ambient_degc.append(ambient_degc)
        self.aim_mpa.append(pressed.aim_mpa)
        self.rate_per_s.append(pressed.rate_per_s)

    @cached_property
    def columns(self) -> list[np.ndarray]:
        """Once they are complete."""
        return [np.array(column) for column in (self.current_a, self.ambient_degc, self.aim_mpa, self.rate_per_s)]

    def run(self, pack: Pack, **results: Any) -> Any:
        """The same again, in C."""
        current_a, ambient_degc, aim_mpa, rate_per_s = self.columns
        return pack.run(current_a, TICK_S, ambient_degc, aim_mpa=[aim_mpa], steps_per_s=[rate_per_s], **results)


def first_short_s(pack: Pack) -> float:
    return min((event.time_s for event in pack.drain_events() if event.kind == SHORT), default=math.inf)


def press_up(pressed: PressedPack, ambient_degc: float, settle_s: float) -> Commands:
    """Until the pressure has stood in its window for so long; a rig that is not regulated stands as it is."""
    commands, settled_s = Commands(pressed.start), 0.0
    while settled_s < settle_s:
        commands.step(pressed, 0.0, ambient_degc)
        inside = pressed.regulator is None or pressed.regulator.inside(round(pressed.pressure_kpa), True)
        settled_s = settled_s + TICK_S if inside else 0.0
    return commands
