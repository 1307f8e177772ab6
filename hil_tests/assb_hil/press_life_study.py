"""How long lithium metal lasts under a load, by what presses it: the regulator, a fixed gap, springs. Simulated.

One cycle of the load is run with the firmware in the loop, and repeated in C for every seed: an air press holds what it
was asked for whatever the stack has grown to meanwhile. The stack left alone needs no loop.
"""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from assb_kernels import Pack

from assb_hil.press_bench import REST_S, START_SOC
from assb_hil.press_rigs import FIXED_GAP, RIGS, SPRING_ONLY, PressedPack, Rig
from assb_hil.press_runs import Commands, first_short_s, press_up
from assb_hil.press_tuning import TICK_S, Progress

PROFILE = "li_lpscl_nca"
SETTLE_S = 600.0
DEPTH = 0.8  # of the capacity, each way
RATE_SHARE = 0.9  # of the rate that the profile admits
COARSE_S = 5.0  # of the runs in C
LONGEST_H = 4000.0
WAYS: tuple[Rig, ...] = (RIGS[0], FIXED_GAP, SPRING_ONLY)


@dataclass(frozen=True)
class Cycle:
    """A cycle of one way to press, a row each COARSE_S; `swing_mpa`: least and greatest pressure in it."""

    pack: Pack
    start: tuple[float, float, float]
    current_a: np.ndarray
    aim_mpa: np.ndarray
    ambient_degc: float
    swing_mpa: tuple[float, float]


@cache
def cycle(rig: Rig, seed: int = 1) -> Cycle:
    """Charge, rest, discharge, rest; the same currents for every way to press."""
    pressed = PressedPack(PROFILE, rig, soc=START_SOC, seed=seed)
    limits, capacity_ah = pressed.plant.limits, pressed.plant.cell.capacity_ah
    commands: Commands = press_up(pressed, limits.temperature_degc, SETTLE_S)
    start_mpa, seen_mpa = pressed.pressure_kpa / 1000.0, []
    charge_a = RATE_SHARE * min(limits.charge_max_c, limits.discharge_max_c) * capacity_ah
    half = round(3600.0 * DEPTH * capacity_ah / charge_a / COARSE_S) * round(COARSE_S / TICK_S)
    rest = round(REST_S / COARSE_S) * round(COARSE_S / TICK_S)
    begun = len(commands.current_a)
    for current_a, ticks in ((charge_a, half), (0.0, rest), (-charge_a, half), (0.0, rest)):
        for _ in range(ticks):
            commands.step(pressed, current_a, limits.temperature_degc)
            seen_mpa.append(pressed.pressure_kpa / 1000.0)
    every = slice(begun, None, round(COARSE_S / TICK_S))
    return Cycle(
        pressed.pack, (START_SOC, limits.temperature_degc, start_mpa), np.array(commands.current_a[every]),
        np.array(commands.aim_mpa[every]), limits.temperature_degc, (min(seen_mpa), max(seen_mpa)),
    )  # fmt: skip


def hours_to_short(way: Cycle, seed: int, longest_h: float = LONGEST_H) -> float:
    """Until the first filament bridges; `longest_h` where none does."""
    way.pack.reset(*way.start, seed)
    while way.pack.time_s < 3600.0 * longest_h:
        way.pack.run(way.current_a, COARSE_S, way.ambient_degc, aim_mpa=[way.aim_mpa], results=())
        if (short_s := first_short_s(way.pack)) < math.inf:
            return min(short_s / 3600.0, longest_h)
    return longest_h


def press_life_study(
    seeds: int = 200, longest_h: float = LONGEST_H, progress: Progress = lambda share: None
) -> dict[str, Any]:
    """{"kind", "setup", "rows", "times_h"}: a row for each way to press, in the order of WAYS."""
    rows, times = [], {}
    for k, rig in enumerate(WAYS):
        way, hours = cycle(rig), []
        for seed in range(seeds):
            hours.append(hours_to_short(way, 1000 + seed, longest_h))
            progress((k + (seed + 1) / seeds) / len(WAYS))
        low, middle, high = (float(x) for x in np.percentile(hours, (25, 50, 75)))
        rows.append({
            "press": rig.name, "median_h": middle, "quartile_low_h": low, "quartile_high_h": high, "seeds": seeds,
            "median_is_censored": middle >= longest_h, "censored_frac": float(np.mean(np.array(hours) >= longest_h)),
            "pressure_low_mpa": way.swing_mpa[0], "pressure_high_mpa": way.swing_mpa[1],
        })  # fmt: skip
        times[rig.name] = hours
    setup = {"profile": PROFILE, "depth": DEPTH, "rate_share": RATE_SHARE, "longest_h": longest_h, "dt_s": COARSE_S}
    return {"study": "press_life", "kind": "simulated", "setup": setup, "rows": rows, "times_h": times}


def lines(study: dict[str, Any]) -> list[str]:
    out = ["press              median h    quartiles h        pressure MPa"]
    for row in study["rows"]:
        least = ">= " if row["median_is_censored"] else "   "
        quartiles = f"{row['quartile_low_h']:.0f} .. {row['quartile_high_h']:.0f}"
        swing = f"{row['pressure_low_mpa']:.2f} .. {row['pressure_high_mpa']:.2f}"
        out.append(f"{row['press']:16} {least}{row['median_h']:8.0f}    {quartiles:16}   {swing}")
    return out


def plot(study: dict[str, Any], path: Path) -> None:
    """Share of cells that are not shorted, over time."""
    from matplotlib.figure import Figure

    from assb_hil.press_bench import COLOURS

    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.subplots()
    for name, hours in study["times_h"].items():
        left = 1.0 - np.arange(len(hours) + 1) / len(hours)
        axes.step([0.0, *sorted(hours)], left, where="post", label=name.replace("_", " "), color=COLOURS[name])
    axes.set_xlabel("time under load, h")
    axes.set_ylabel("cells without a short")
    axes.set_xlim(left=0.0)
    axes.legend(frameon=False)
    axes.set_title(f"{study['setup']['profile']}, the same load (simulated)", loc="left", fontsize=10)
    figure.savefig(path, dpi=100, metadata={"Software": None})
