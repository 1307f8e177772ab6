"""How well a press holds its pressure, and which of actuator, sensor and loop keeps it from being better."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from assb_host.errors import LinkError
from assb_host.link.decoder import Frame
from assb_host.link.link import Link

from assb_hil.press_bench import cycling
from assb_hil.press_rigs import PressedPack, press_lag_s
from assb_hil.press_step_test import PRESSED, SETTLE_S, image_target_kpa, pack_frame, parameter
from assb_hil.press_tuning import TICK_S, Errors, Press, Progress, Trace, expected_errors, noise_of

LONGEST_S = 3600.0  # of a simulated run


@dataclass(frozen=True)
class Report:
    """kPa about the target, which may change; `target_kpa` is the last one, `off_kpa` a row each tick. `errors` is what
    bounds them. `what`: the rig, or the board. `note`: what is odd."""

    what: str
    kind: str  # simulated, or as the board tells it
    target_kpa: float
    off_kpa: np.ndarray
    rms_kpa: float
    peak_kpa: float
    errors: Errors
    trace: Trace
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        named = {key: getattr(self, key) for key in ("what", "kind", "target_kpa", "rms_kpa", "peak_kpa")}
        return named | {"bounds": self.errors.as_dict(), "note": self.note}

    def lines(self) -> list[str]:
        errors, asked = self.errors, f"about {self.target_kpa / 1000.0:g} MPa"
        return [
            f"{self.what} ({self.kind}): rms {self.rms_kpa:.1f} kPa, peak {self.peak_kpa:.1f} kPa {asked}",
            f"  actuator quantum {errors.quantum_kpa:6.1f} kPa rms",
            f"  sensor noise     {errors.sensor_kpa:6.1f} kPa rms",
            f"  loop             {errors.loop_kpa:6.1f} kPa rms",
            f"  expected         {errors.rms_kpa:6.1f} kPa rms; the limit is the {errors.bound}",
            f"  a turn of the load: {errors.turn_kpa:.0f} kPa for some seconds",
            *([f"  {self.note}"] if self.note else []),
        ]


def growth_kpa_s(parameters: Mapping[str, int], current_a: float) -> float:
    """How fast the stack's swelling would raise a fixed gap's pressure; nm/mAh * mA / 3600 is nm/s."""
    nm_per_s = parameters["swelling_nm_per_mah"] * 1000.0 * current_a / 3600.0
    return nm_per_s / 1000.0 * parameters["stack_stiffness_kpa_per_um"]


def of_rig(pressed: PressedPack, progress: Progress = lambda share: None) -> Report:
    """The profile's cycle, at most an hour of it, on a simulated rig; errors are of the load cell's reading."""
    limits, regulator, actuator = pressed.plant.limits, pressed.regulator, pressed.actuator
    if not (regulator and actuator):
        raise ValueError("a rig that is not regulated has no error to bound")
    settled_s = 0.0
    while settled_s < SETTLE_S:
        pressed.step(0.0, limits.temperature_degc)
        settled_s = settled_s + TICK_S if regulator.inside(round(pressed.pressure_kpa), True) else 0.0
    command, pressure = [], []
    for current_a in cycling(pressed, 1):
        pressed.step(current_a, limits.temperature_degc)
        command.append(actuator.commanded_kpa)
        pressure.append(pressed.measured_kpa)
        progress(min(1.0, len(command) * TICK_S / LONGEST_S))
        if len(command) * TICK_S >= LONGEST_S:
            break
    trace = Trace(TICK_S, np.array(command, dtype=float), np.array(pressure, dtype=float))
    p = pressed.parameters
    air = not p["pressure_by_position"]
    errors = expected_errors(
        pressed.quantum_kpa, 1000.0 * pressed.plant.sensors["pressure_mpa"].noise_rms, press_lag_s(pressed.plant),
        p["pressure_play_kpa"], growth_kpa_s(p, limits.charge_max_c * pressed.plant.cell.capacity_ah), air,
    )  # fmt: skip
    target_kpa = np.full(len(pressure), float(regulator.target_kpa))
    return report(f"{pressed.plant.name} on {pressed.plant.bench_name}", "simulated", target_kpa, trace, errors)


def of_board(link: Link, seconds: float, progress: Progress = lambda share: None) -> Report:
    """What a board tells for so long while it regulates; nothing is sent but questions. Raises LinkError."""
    names = (
        "pressure_quantum_kpa", "pressure_lead_ms", "pressure_play_kpa", "swelling_nm_per_mah",
        "stack_stiffness_kpa_per_um", "pressure_by_position", "pressure_rate_max_kpa_s",
    )  # fmt: skip
    p = {name: parameter(link, name) for name in names}
    try:
        image_target_kpa(link)
        note = ""
    except LinkError as error:
        note = f"{error.seen}; {error.remedy}"
    frames: list[Frame] = []
    end_s = link.console.now_s() + seconds
    while (now_s := link.console.now_s()) < end_s:
        frame = pack_frame(link)
        if frame.fields["state"] in PRESSED:
            frames.append(frame)
        progress(min(1.0, 1.0 - (end_s - now_s) / seconds))
    if len(frames) < 100:
        raise ValueError(f"{len(frames)} readings while pressed and connected in {seconds:g} s; arm the board first")
    return replace(of_frames(link.console.name, frames, p), note=note)


def of_frames(name: str, frames: Sequence[Frame], p: Mapping[str, int]) -> Report:
    """Of a board's PACK messages while it is pressed, and what it believes (`p`)."""
    t_s = np.array([frame.t_ms for frame in frames]) / 1000.0
    even_s = np.arange(t_s[0], t_s[-1], TICK_S)
    columns = {
        key: np.interp(even_s, t_s, [frame.fields[key] for frame in frames])
        for key in ("pressure_command_kpa", "pressure_kpa", "current_ua", "pressure_target_kpa")
    }
    trace = Trace(TICK_S, columns["pressure_command_kpa"], columns["pressure_kpa"])
    errors = expected_errors(
        p["pressure_quantum_kpa"], noise_of(trace.pressure_kpa), p["pressure_lead_ms"] / 1000.0,
        p["pressure_play_kpa"], growth_kpa_s(p, float(np.max(np.abs(columns["current_ua"]))) * 1e-6),
        not p["pressure_by_position"],
    )  # fmt: skip
    setpoint_kpa = ramped(columns["pressure_target_kpa"], TICK_S * p["pressure_rate_max_kpa_s"])
    return report(name, "as the board tells it", setpoint_kpa, trace, errors)


def ramped(target_kpa: np.ndarray, most_kpa: float) -> np.ndarray:
    """The setpoint, as the regulator ramps it from target to target by at most so much a tick."""
    setpoint_kpa, out = float(target_kpa[0]), []
    for each_kpa in target_kpa.tolist():
        setpoint_kpa += min(max(each_kpa - setpoint_kpa, -most_kpa), most_kpa)
        out.append(setpoint_kpa)
    return np.array(out)


def report(what: str, kind: str, target_kpa: np.ndarray, trace: Trace, errors: Errors) -> Report:
    off_kpa = trace.pressure_kpa - target_kpa
    rms_kpa, peak_kpa = math.sqrt(float(np.mean(off_kpa**2))), float(np.max(np.abs(off_kpa)))
    return Report(what, kind, float(target_kpa[-1]), off_kpa, rms_kpa, peak_kpa, errors, trace)


def plot_report(found: Report, path: Path) -> None:
    """The error over time beside what bounds it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 3.6), layout="constrained")
    time, bars = figure.subplots(1, 2, width_ratios=(3, 1))
    time_s = found.trace.dt_s * np.arange(len(found.trace.pressure_kpa))
    time.plot(time_s / 60.0, found.off_kpa, color="#1d4e89", linewidth=0.7)
    time.set_xlabel("time, min")
    time.set_ylabel("error, kPa")
    time.set_title(f"{found.what}, {found.target_kpa / 1000.0:g} MPa ({found.kind})", loc="left", fontsize=9)
    errors = found.errors
    heights = [errors.quantum_kpa, errors.sensor_kpa, errors.loop_kpa, found.rms_kpa]
    bars.bar(["quantum", "sensor", "loop", "seen"], heights, color=["#9a9a9a"] * 3 + ["#1d4e89"])
    bars.set_ylabel("rms, kPa")
    figure.savefig(path, dpi=100, metadata={"Software": None})


def plot_press(trace: Trace, press: Press, what: str, path: Path) -> None:
    """The staircase over time, and pressure over command, where the play is the width of the loop."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 3.6), layout="constrained")
    time, loop = figure.subplots(1, 2)
    time_s = trace.dt_s * np.arange(len(trace.pressure_kpa))
    time.plot(time_s, trace.command_kpa / 1000.0, label="command", color="#c2571a", linewidth=1.0)
    time.plot(time_s, trace.pressure_kpa / 1000.0, label="pressure", color="#1d4e89", linewidth=1.0)
    time.legend(frameon=False)
    time.set_xlabel("time, s")
    time.set_ylabel("MPa")
    time.set_title(what, loc="left", fontsize=9)
    loop.plot(trace.command_kpa / 1000.0, trace.pressure_kpa / 1000.0, color="#1d4e89", linewidth=0.7)
    loop.set_xlabel("command, MPa")
    loop.set_title(f"play {press.play_kpa:.0f} kPa, lag {press.lag_s:.2f} s", loc="left", fontsize=9)
    figure.savefig(path, dpi=100, metadata={"Software": None})
