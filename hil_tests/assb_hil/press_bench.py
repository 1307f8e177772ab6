"""How well each press holds each profile at its own pressure, beside the same stack left alone. Simulated.

A cycle at the rates that the profile admits, in a room that swings by 20 K meanwhile; the truth against the target.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from assb_host.config.errors import ConfigError

from assb_hil.press_rigs import FIXED_GAP, RIGS, SPRING_ONLY, TICK_S, PressedPack, Rig

PROFILES = (
    "samsung_agc", "li_lpscl_nca", "usi_nmc811", "nanosi_scnmc", "hcsi_nmc811", "liin_tis2", "halide_ncm85", "lis",
    "graphite_nmc", "lto_nmc", "bipolar_2s",
)  # fmt: skip
SWING_K = 20.0
REST_S = 600.0
SETTLE_S = 1800.0  # after the press has reached its target: a pressed cell rests before it is cycled
START_SOC = 0.05
SPRING_RMS_KPA, SPRING_RMS_FRAC, PEAK_RMS = 20.0, 0.004, 3.0  # what is asked of a rig with springs
QUANTUM_TIMES = 1.5  # of what rounding to whole steps leaves, on a stiff frame

COLOURS = {
    "fixed_gap": "#9a9a9a",
    "spring_only": "#c2571a",
    "spring_pneumatic": "#1d4e89",
    "spring_stepper": "#2a9d5c",
    "stiff_stepper": "#7b3fa0",
}

Progress = Callable[[float], None]  # share done, 0..1


@dataclass(frozen=True)
class Held:
    """One cycle of one profile on one rig; kPa about the target. `trace`: (time h, pressure MPa), every minute."""

    rms_kpa: float
    peak_kpa: float
    peak_to_peak_kpa: float
    moves_per_cycle: float
    reversals_per_cycle: float
    quantum_kpa: float
    trace: tuple[tuple[float, float], ...]


@cache
def hold(profile: str, rig: Rig, seed: int = 1, cycles: int = 1) -> Held:
    """Raises ConfigError for a rig that does not reach the profile's pressure."""
    pressed = PressedPack(profile, rig, soc=START_SOC, seed=seed)
    limits = pressed.plant.limits
    ambient_degc, target_kpa = limits.temperature_degc, 1000.0 * limits.pressure_mpa
    settled_s = 0.0
    while pressed.regulator and settled_s < SETTLE_S:
        pressed.step(0.0, ambient_degc)
        settled_s = settled_s + TICK_S if pressed.regulator.inside(round(pressed.pressure_kpa), True) else 0.0
    moves, turns = pressed.move_count, pressed.regulator.reversals if pressed.regulator else 0
    time_s, errors_kpa, squares, trace = 0.0, [0.0, 0.0], 0.0, []
    period_s = 2 * REST_S + 3600.0 * (1.0 / limits.charge_max_c + 1.0 / limits.discharge_max_c)
    for current_a in cycling(pressed, cycles):
        swing_k = 0.5 * SWING_K * math.sin(math.tau * time_s / period_s)
        pressed.step(current_a, ambient_degc + swing_k)
        error_kpa = pressed.pressure_kpa - target_kpa
        squares += error_kpa * error_kpa
        errors_kpa = [min(errors_kpa[0], error_kpa), max(errors_kpa[1], error_kpa)]
        if round(time_s / TICK_S) % round(60.0 / TICK_S) == 0:
            trace.append((time_s / 3600.0, pressed.pressure_kpa / 1000.0))
        time_s += TICK_S
    return Held(
        rms_kpa=math.sqrt(squares / round(time_s / TICK_S)),
        peak_kpa=max(-errors_kpa[0], errors_kpa[1]),
        peak_to_peak_kpa=errors_kpa[1] - errors_kpa[0],
        moves_per_cycle=(pressed.move_count - moves) / cycles,
        reversals_per_cycle=(pressed.regulator.reversals - turns) / cycles if pressed.regulator else 0.0,
        quantum_kpa=pressed.quantum_kpa if pressed.regulator else 0.0,
        trace=tuple(trace),
    )


def cycling(pressed: PressedPack, cycles: int):
    """Currents, a tick each, until `cycles` are over: up to the upper voltage, rest, down to the lower one, rest."""
    plant, pack = pressed.plant, pressed.pack
    limits, capacity_ah = plant.limits, plant.cell.capacity_ah
    high_v, low_v = plant.units * limits.voltage_max_v, plant.units * limits.voltage_min_v
    for _ in range(cycles):
        while pack.voltage_v < high_v:
            yield limits.charge_max_c * capacity_ah
        yield from [0.0] * round(REST_S / TICK_S)
        while pack.voltage_v > low_v:
            yield -limits.discharge_max_c * capacity_ah
        yield from [0.0] * round(REST_S / TICK_S)


def press_table(
    profiles: tuple[str, ...] = PROFILES, seed: int = 1, cycles: int = 1, progress: Progress | None = None
) -> dict[str, Any]:
    """{"kind", "setup", "rows", "traces"}; a row per profile and rig that reaches its pressure, `unreachable` names the
    others. Traces: {profile: {rig: [(h, MPa)]}}."""
    rows, traces, unreachable = [], {}, []
    rigs = (FIXED_GAP, SPRING_ONLY, *RIGS)
    for k, profile in enumerate(profiles):
        held: dict[str, Held] = {}
        for j, rig in enumerate(rigs):
            try:
                held[rig.name] = hold(profile, rig, seed, cycles)
            except ConfigError as error:
                unreachable.append({"profile": profile, "rig": rig.name, "why": str(error)})
            if progress:
                progress((k + (j + 1) / len(rigs)) / len(profiles))
        rows += [row(profile, rig, held) for rig in RIGS if rig.name in held]
        traces[profile] = {name: each.trace for name, each in held.items()}
    setup = {"swing_k": SWING_K, "rest_s": REST_S, "seed": seed, "cycles": cycles, "tick_s": TICK_S}
    return {
        "table": "press",
        "kind": "simulated",
        "setup": setup,
        "rows": rows,
        "unreachable": unreachable,
        "traces": traces,
    }


def row(profile: str, rig: Rig, held: dict[str, Held]) -> dict[str, Any]:
    """What is asked of the rig stands in `rms_most_kpa` and `peak_most_kpa`."""
    from assb_hil.plant_file import load_plant

    mine, target_kpa = held[rig.name], 1000.0 * load_plant(profile).limits.pressure_mpa
    if rig.name == "stiff_stepper":
        rms_most_kpa = QUANTUM_TIMES * mine.quantum_kpa / math.sqrt(12.0)
        peak_most_kpa = QUANTUM_TIMES * mine.quantum_kpa
    else:
        rms_most_kpa = max(SPRING_RMS_KPA, SPRING_RMS_FRAC * target_kpa)
        peak_most_kpa = PEAK_RMS * rms_most_kpa
    out = {
        "profile": profile,
        "rig": rig.name,
        "target_mpa": target_kpa / 1000.0,
        "rms_kpa": mine.rms_kpa,
        "peak_kpa": mine.peak_kpa,
        "peak_to_peak_kpa": mine.peak_to_peak_kpa,
        "rms_most_kpa": rms_most_kpa,
        "peak_most_kpa": peak_most_kpa,
        "moves_per_cycle": mine.moves_per_cycle,
        "reversals_per_cycle": mine.reversals_per_cycle,
        "quantum_kpa": mine.quantum_kpa,
    }
    for name, key in (("fixed_gap", "fixed_gap"), ("spring_only", "spring")):
        out[f"{key}_peak_kpa"] = held[name].peak_kpa if name in held else None
        out[f"{key}_peak_to_peak_kpa"] = held[name].peak_to_peak_kpa if name in held else None
    return out


def plot(table: dict[str, Any], path: Path) -> None:
    """A row of plots per profile: the stack left alone and regulated, and what the regulated ones miss."""
    from matplotlib.figure import Figure

    traces = table["traces"]
    figure = Figure(figsize=(11.0, 2.1 * len(traces)), layout="constrained")
    rows = figure.subplots(len(traces), 2, squeeze=False)
    for (profile, rigs), (whole, close) in zip(traces.items(), rows, strict=True):
        target_mpa = next(each["target_mpa"] for each in table["rows"] if each["profile"] == profile)
        for name, trace in rigs.items():
            time_h, pressure_mpa = zip(*trace, strict=True)
            whole.plot(time_h, pressure_mpa, label=name.replace("_", " "), color=COLOURS[name], linewidth=1.2)
            if name not in (FIXED_GAP.name, SPRING_ONLY.name):
                error_kpa = [1000.0 * (each - target_mpa) for each in pressure_mpa]
                close.plot(time_h, error_kpa, color=COLOURS[name], linewidth=0.8)
        whole.set_ylabel("MPa")
        close.set_ylabel("error, kPa")
        whole.set_title(f"{profile}, {target_mpa:g} MPa", loc="left", fontsize=9)
    rows[0][0].legend(frameon=False, fontsize=7, ncols=3)
    for axes in rows[-1]:
        axes.set_xlabel("time, h")
    figure.suptitle(f"Stack pressure over a cycle, room swinging by {SWING_K:g} K (simulated)")
    figure.savefig(path, dpi=100, metadata={"Software": None})


def lines(table: dict[str, Any]) -> list[str]:
    """The table in text."""
    out = ["profile        rig               MPa   rms kPa (most)   peak kPa (most)   moves  turns  fixed gap  spring"]
    for each in table["rows"]:
        alone = [each[f"{key}_peak_kpa"] for key in ("fixed_gap", "spring")]
        gap, spring = ["-" if value is None else f"{value:.0f}" for value in alone]
        rms = f"{each['rms_kpa']:7.1f} ({each['rms_most_kpa']:4.0f})"
        peak = f"{each['peak_kpa']:8.1f} ({each['peak_most_kpa']:4.0f})"
        work = f"{each['moves_per_cycle']:6.0f} {each['reversals_per_cycle']:6.0f}"
        name = f"{each['profile']:14} {each['rig']:16} {each['target_mpa']:4g}"
        out.append(f"{name}   {rms}   {peak}   {work}   {gap:>8}  {spring:>6}")
    return out + [f"{each['profile']}: {each['rig']} does not reach it" for each in table["unreachable"]]
