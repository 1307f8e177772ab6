"""Asked for 4C: what a charge takes within the firmware's limits, and what becomes of the cell without them. Simulated.

Estimator, limits of current (C kernels of the firmware) and pressure regulator run at their own rates on the profile's
press, with the sensors' errors; the cycler's and the pack's own limits of current stand aside, so that what binds is
what the cell takes. Between charges the cell is discharged at the rate that its profile admits.
"""

import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from assb_host.config import load_pack
from assb_host.config.image_builder import build_config
from assb_kernels import Estimator, Power, Sensor

from assb_hil.plant_file import PlantFile
from assb_hil.plant_parameters import drawn
from assb_hil.press_rigs import RIGS, PressedPack
from assb_hil.press_runs import Commands, first_short_s, press_up
from assb_hil.press_tuning import TICK_S, Progress

ASKED_C = 4.0
FROM_SOC, TO_SOC = 0.1, 0.8
LIMIT_TICKS = 10  # the board works the limits out once a second
SETTLE_S = 30.0
LONGEST_S = 12 * 3600.0
LOOPS = 5  # closed loops, each with its own sensors; the seeds are spread over them
Cases = tuple[tuple[str, float], ...]
CASES: Cases = tuple((profile, degc) for profile in ("li_lpscl_nca", "usi_nmc811") for degc in (25.0, 60.0))
HEADROOM_A = 1e-3


@dataclass(frozen=True)
class Charged:
    """One closed loop: its commands, how long it took, what bound it most of the time, and how hot it got."""

    commands: Commands
    charge_s: float
    bound: str
    hottest_degc: float


class Instruments:
    """The sensors of the bench as drawn for a seed, on the first cell and its stack."""

    def __init__(self, plant: PlantFile, seed: int):
        self._sensors = {
            name: Sensor(drawn(plant.sensors[name], f"{name}[0]", seed), seed, f"{name}[0]")
            for name in ("voltage_v", "current_a", "temperature_degc")
        }

    def read(self, name: str, truth: float) -> float:
        return self._sensors[name].read(truth, TICK_S)


@cache
def charge(profile: str, temperature_degc: float, seed: int, limited: bool) -> Charged:
    """From FROM_SOC to TO_SOC. Not `limited`: 4C, less only where the upper voltage is held."""
    pressed = PressedPack(profile, RIGS[0], soc=FROM_SOC, seed=seed, temperature_degc=temperature_degc)
    commands = press_up(pressed, temperature_degc, SETTLE_S)
    cell, plant = pressed.pack.cells[0], pressed.plant
    asked_a = ASKED_C * plant.cell.capacity_ah
    flat = list(build_config(load_pack(profile)).estimator)
    estimator, power, shown = Estimator(flat), Power(flat), Instruments(plant, seed)
    estimator.reset(cell.soc, 0.02)
    begun_s, current_a, bounds, hottest_degc = pressed.pack.time_s, 0.0, [], temperature_degc
    while cell.soc < TO_SOC and pressed.pack.time_s - begun_s < LONGEST_S:
        if limited:
            pressure_mpa = pressed.measured_kpa / 1000.0
            seen_degc = shown.read("temperature_degc", cell.surface_degc)
            seen = (shown.read("voltage_v", pressed.pack.voltage_v), shown.read("current_a", current_a))
            estimator.step(*seen, seen_degc, pressure_mpa, TICK_S)
            if len(commands.current_a) % LIMIT_TICKS == 0:
                limit = power.limits(estimator, True, seen_degc, pressure_mpa)
                current_a = min(asked_a, limit.current_a[1])
                bounds.append("asked" if current_a == asked_a else limit.bound[1])
        else:
            current_a = held_at(pressed, plant.limits.voltage_max_v, asked_a)
        commands.step(pressed, current_a, temperature_degc)
        hottest_degc = max(hottest_degc, cell.temperature_degc)
    return Charged(commands, pressed.pack.time_s - begun_s, most_often(bounds or ["asked"]), hottest_degc)


def held_at(pressed: PressedPack, high_v: float, asked_a: float) -> float:
    """The asked current, or the one whose resistance drop leads to the upper voltage."""
    cell = pressed.pack.cells[0]
    at_rest_v = pressed.pack.voltage_v - pressed.pack.current_a * cell.r0_ohm
    return min(asked_a, max(HEADROOM_A, (high_v - at_rest_v) / cell.r0_ohm))


def most_often(words: list[str]) -> str:
    return max(sorted(set(words)), key=words.count)


class Repeated:
    """A charge again and again on one pack, a discharge between; each seed has its own filaments."""

    def __init__(self, profile: str, temperature_degc: float, loop: int, charged: Charged):
        pressed = PressedPack(profile, RIGS[0], soc=FROM_SOC, seed=loop, temperature_degc=temperature_degc)
        self._pack, self._charged, self._degc = pressed.pack, charged, temperature_degc
        rate_a = pressed.plant.limits.discharge_max_c * pressed.plant.cell.capacity_ah
        seconds = sum(charged.commands.current_a) * TICK_S / rate_a
        self._discharge_a = np.full(math.ceil(seconds), -rate_a * seconds / math.ceil(seconds))  # a second each

    def charges_to_short(self, charges: int, seed: int) -> int | None:
        """In which charge the first filament bridges; None: in none of so many."""
        pack, commands = self._pack, self._charged.commands
        pack.reset(*commands.start, seed)
        for number in range(1, charges + 1):
            commands.run(pack, results=())
            if number < charges:
                pack.run(self._discharge_a, 1.0, self._degc, aim_mpa=[commands.aim_mpa[-1]], results=())
            if first_short_s(pack) < math.inf:
                return number
        return None


def fast_charge_study(
    seeds: int = 200, charges: int = 10, cases: Cases = CASES, progress: Progress = lambda share: None
) -> dict[str, Any]:
    """{"kind", "setup", "rows"}: a row per profile and temperature, with and without the limits."""
    rows, runs = [], [(profile, degc, limited) for profile, degc in cases for limited in (True, False)]
    for k, (profile, degc, limited) in enumerate(runs):
        loops, shorts, used = [], [], min(LOOPS, seeds)
        for loop in range(used):
            loops.append(charge(profile, degc, loop + 1, limited))
            repeated = Repeated(profile, degc, loop + 1, loops[-1])
            for seed in range(loop, seeds, used):
                shorts.append(repeated.charges_to_short(charges, 1000 + seed))
                progress((k + len(shorts) / seeds) / len(runs))
        rows.append(row(profile, degc, limited, loops, shorts))
    setup = {
        "asked_c": ASKED_C, "from_soc": FROM_SOC, "to_soc": TO_SOC, "charges": charges, "loops": LOOPS,
    }  # fmt: skip
    return {"study": "fast_charge", "kind": "simulated", "setup": setup, "rows": rows}


def row(profile: str, degc: float, limited: bool, loops: list[Charged], shorts: list[int | None]) -> dict[str, Any]:
    came = [charges for charges in shorts if charges is not None]
    return {
        "profile": profile,
        "temperature_degc": degc,
        "limits": limited,
        "charge_min": median(each.charge_s for each in loops) / 60.0,
        "bound": most_often([each.bound for each in loops]),
        "hottest_degc": max(each.hottest_degc for each in loops),
        "seeds": len(shorts),
        "shorted": len(came),
        "shorted_frac": len(came) / len(shorts),
        "shorted_in_first_frac": came.count(1) / len(shorts),
        "median_charges_to_short": median(came) if 2 * len(came) > len(shorts) else None,
    }


def lines(study: dict[str, Any]) -> list[str]:
    charges = study["setup"]["charges"]
    out = [f"profile        degC  limits   10 to 80 %, min   hottest degC   shorted in {charges} charges   bound by"]
    for each in study["rows"]:
        name, limits = f"{each['profile']:14} {each['temperature_degc']:4g}", "on " if each["limits"] else "off"
        shorted = f"{each['shorted']:4} of {each['seeds']}"
        if each["shorted"]:
            shorted += f", {each['shorted_in_first_frac']:.0%} in the first"
        out.append(
            f"{name}  {limits}      {each['charge_min']:10.1f}       {each['hottest_degc']:8.1f}"
            f"       {shorted:22}   {each['bound']}"
        )
    return out


def plot(study: dict[str, Any], path: Path) -> None:
    from matplotlib.figure import Figure

    rows = study["rows"]
    figure = Figure(figsize=(8.0, 3.4), layout="constrained")
    time, shorts = figure.subplots(1, 2)
    limits = ["limits" if row["limits"] else "none" for row in rows]
    names = [f"{r['profile']}\n{r['temperature_degc']:g} °C, {word}" for r, word in zip(rows, limits, strict=True)]
    colours = ["#1d4e89" if row["limits"] else "#c2571a" for row in rows]
    time.barh(names, [row["charge_min"] for row in rows], color=colours)
    time.set_xlabel("10 to 80 %, min")
    shorts.barh(names, [100.0 * row["shorted_frac"] for row in rows], color=colours)
    shorts.set_xlabel(f"shorted within {study['setup']['charges']} charges, %")
    shorts.set_yticks([])
    for axes in (time, shorts):
        axes.invert_yaxis()
        axes.tick_params(labelsize=7)
    figure.suptitle("Asked for 4C (simulated)", fontsize=10)
    figure.savefig(path, dpi=100, metadata={"Software": None})
