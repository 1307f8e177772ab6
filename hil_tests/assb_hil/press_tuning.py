"""A step test of a press: what its commands and pressures say about it, the gains that follow, and the error to expect.

The press is seen as play, a lag and a gain: lag(play(command)) * gain + offset + slope * time, the slope for what a
stack relaxes meanwhile. For a screw the gain is the true stiffness over the believed one; that of an air press is its
calibration, which is taken for right.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
from assb.control.stack_pressure import FILTER_S

TICK_S = 0.1  # the slow tick
INTEGRAL_LAGS = 0.4  # integral gain times all lags in the loop; half of what begins to ring (press_bench)
DEADBAND_NOISES = 3.0  # rms of the load cell's noise behind the regulator's filter
UNKNOWN_FRAC = 0.05  # of swelling and stiffness: the error of feed-forward (assumption)
LEAST_SPAN_PLAYS = 1.5  # a staircase that spans less does not show the play
GRID = 9
ROUNDS = 5


Progress = Callable[[float], None]  # share done, 0..1


@dataclass(frozen=True)
class Trace:
    """Rows of one press, evenly `dt_s` apart: the command that it held and the pressure that was measured, kPa."""

    dt_s: float
    command_kpa: np.ndarray
    pressure_kpa: np.ndarray


@dataclass(frozen=True)
class Press:
    """What a step test found. `stiffness_kpa_per_um` is None where pressure alone can't tell it (air)."""

    gain: float
    play_kpa: float
    lag_s: float
    noise_kpa: float
    residual_kpa: float
    stiffness_kpa_per_um: float | None


@dataclass(frozen=True)
class Errors:
    """What bounds the rms error of a regulated press, kPa; `bound` names the largest. `turn_kpa`: a peak when the load
    turns, too short to count in the rms."""

    quantum_kpa: float
    sensor_kpa: float
    loop_kpa: float
    turn_kpa: float

    @property
    def rms_kpa(self) -> float:
        return math.sqrt(self.quantum_kpa**2 + self.sensor_kpa**2 + self.loop_kpa**2)

    @property
    def bound(self) -> str:
        named = {"actuator quantum": self.quantum_kpa, "sensor noise": self.sensor_kpa, "loop": self.loop_kpa}
        return max(named, key=named.__getitem__)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"rms_kpa": self.rms_kpa, "bound": self.bound}


def staircase(low_kpa: float, high_kpa: float, rate_kpa_s: float, hold_s: float, rounds: int = 3) -> Iterator[float]:
    """Targets, a tick each: between the two and back, `rounds` times; ends high."""
    each_s = (high_kpa - low_kpa) / rate_kpa_s + hold_s
    for target_kpa in [high_kpa, low_kpa] * rounds + [high_kpa]:
        yield from [target_kpa] * round(each_s / TICK_S)


def find_press(trace: Trace, stiffness_kpa_per_um: float | None) -> Press:
    """`stiffness_kpa_per_um`: believed, of a screw. Raises ValueError for a trace that shows too little."""
    command, pressure = trace.command_kpa, trace.pressure_kpa
    span_kpa = float(np.ptp(command)) if len(command) else 0.0
    noise_kpa = noise_of(pressure)
    if not span_kpa > 5.0 * noise_kpa:
        raise ValueError(f"the command moved by {span_kpa:.0f} kPa, too little beside {noise_kpa:.1f} kPa of noise")
    lows, highs = [0.0, 0.05], [0.8 * span_kpa, 5.0]
    best = (math.inf, 0.0, 0.0)
    air = stiffness_kpa_per_um is None
    for _ in range(ROUNDS):
        axes = [np.linspace(low, high, GRID) for low, high in zip(lows, highs, strict=True)]
        best = min([best, *[(_misfit(trace, play, lag, air)[0], play, lag) for play, lag in product(*axes)]])
        steps = [float(axis[1] - axis[0]) for axis in axes]
        lows = [max(least, at - step) for least, at, step in zip((0.0, 0.05), best[1:], steps, strict=True)]
        highs = [at + step for at, step in zip(best[1:], steps, strict=True)]
    residual_kpa, play_kpa, lag_s = map(float, best)
    gain = _misfit(trace, play_kpa, lag_s, False)[1]
    if not (gain > 0.1 and residual_kpa < 0.3 * float(np.std(pressure))):
        raise ValueError(f"the pressure does not follow the command: gain {gain:.2f}, {residual_kpa:.0f} kPa are left")
    if span_kpa < LEAST_SPAN_PLAYS * play_kpa:
        raise ValueError(f"the command moved by {span_kpa:.0f} kPa, within a play of about {play_kpa:.0f} kPa")
    stiffness = None if stiffness_kpa_per_um is None else gain * stiffness_kpa_per_um
    scale = 1.0 if air else gain
    return Press(scale, scale * play_kpa, lag_s, noise_kpa, residual_kpa, stiffness)


def noise_of(pressure_kpa: np.ndarray) -> float:
    """Rms of a reading, from second differences; the median, so that moves count little. NaN for too few."""
    if len(pressure_kpa) < 100:
        return math.nan
    return float(np.median(np.abs(np.diff(pressure_kpa, n=2))) / 0.6745 / math.sqrt(6.0))


def _misfit(trace: Trace, play_kpa: float, lag_s: float, gain_is_one: bool) -> tuple[float, float]:
    """(rms of what is left, gain). The first quarter only takes the play up."""
    seen = np.array(_lagged(trace, play_kpa, lag_s))
    kept = slice(len(seen) // 4, None)
    columns = np.column_stack([seen, np.ones(len(seen)), np.linspace(0.0, 1.0, len(seen))])[kept]
    wanted = trace.pressure_kpa[kept]
    if gain_is_one:
        wanted, columns = wanted - seen[kept], columns[:, 1:]
    solution, *_ = np.linalg.lstsq(columns, wanted, rcond=None)
    left = wanted - columns @ solution
    return float(np.sqrt(np.mean(left**2))), 1.0 if gain_is_one else float(solution[0])


def _lagged(trace: Trace, play_kpa: float, lag_s: float) -> list[float]:
    half, share = 0.5 * play_kpa, 1.0 - math.exp(-trace.dt_s / lag_s)
    inside = drive = float(trace.command_kpa[0])
    out = []
    for command in trace.command_kpa.tolist():
        inside = min(max(inside, command - half), command + half)
        drive += (inside - drive) * share
        out.append(drive)
    return out


def integral_gain_per_s(lag_s: float) -> float:
    """`lag_s`: of the press alone."""
    return INTEGRAL_LAGS / (lag_s + FILTER_S + TICK_S)


def deadband_kpa(noise_kpa: float, quantum_kpa: float, air: bool) -> int:
    """`noise_kpa`: rms of a reading, one a tick."""
    filtered_frac = math.sqrt(TICK_S / (2.0 * FILTER_S))  # of white noise, behind a first-order filter
    wide = DEADBAND_NOISES * filtered_frac * noise_kpa
    return math.ceil(max(wide, 0.5 * quantum_kpa) if air else wide)


def settings(press: Press, quantum_kpa: float) -> dict[str, float]:
    """Keys of `[pressure]` in a pack file."""
    air = press.stiffness_kpa_per_um is None
    found = {
        "play_mpa": round(press.play_kpa / 1000.0, 4),
        "integral_gain_per_s": round(integral_gain_per_s(max(press.lag_s - TICK_S, 0.0)), 3),  # the tick is in it
        "lead_s": round(press.lag_s, 2),
        "deadband_mpa": deadband_kpa(press.noise_kpa, quantum_kpa, air) / 1000.0,
    }
    if press.stiffness_kpa_per_um is not None:
        found["stiffness_mpa_per_um"] = round(press.stiffness_kpa_per_um / 1000.0, 5)
    return found


def expected_errors(
    quantum_kpa: float, noise_kpa: float, lag_s: float, play_kpa: float, grows_kpa_s: float, air: bool
) -> Errors:
    """While a stack grows by `grows_kpa_s` (its stiffness times its swelling). Inside the deadband any error is as
    likely; the loop is behind by what feed-forward leaves; a turn crosses all but a twentieth of the play."""
    return Errors(
        quantum_kpa=quantum_kpa / math.sqrt(12.0),
        sensor_kpa=deadband_kpa(noise_kpa, 0.0 if air else quantum_kpa, False) / math.sqrt(3.0),
        loop_kpa=(UNKNOWN_FRAC * lag_s if air else UNKNOWN_FRAC / integral_gain_per_s(lag_s)) * abs(grows_kpa_s),
        turn_kpa=max(UNKNOWN_FRAC * play_kpa, 2.0 * quantum_kpa) if play_kpa else 0.0,
    )
