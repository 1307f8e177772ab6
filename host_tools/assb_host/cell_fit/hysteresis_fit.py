"""OCV and hysteresis from one slow charge and one slow discharge, each from end to end.

Each begins where the other ended, so the hysteresis turns over while its first tenths of SOC pass: the mean of both is
the OCV only where it is whole. Here both branches are made one curve: V = OCV + M h + I R, dh/dSOC as the estimator
has it, with M and the rate that bring the branches together. Counting is trusted within a run, not from run to run: SOC
0 and 1 of each lie where its own OCV is what they are defined to be, so that an offset of the current sensor does not
shift one against the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assb_host.cell_fit.least_squares import fitted
from assb_host.cell_fit.ocv_run import Run, half_gap_v, rising
from assb_host.config.errors import ConfigError
from assb_host.config.estimator_parameters import SOC_AXIS

JUDGED = (SOC_AXIS >= 0.02) & (SOC_AXIS <= 0.98)
VOLTAGE_SIGMA_V = 2e-4  # how far branches may lie apart for noise (assumption) ...
SOC_SIGMA = 5e-4  # ... and for a count that is not quite even (assumption); where the OCV is steep it is all
START_V, START_RATE = 1e-3, 20.0  # least half gap, and e-folds per run, from which the search begins
LOWEST, HIGHEST = np.log([1e-6, 0.1]), np.log([1.0, 1e3])  # of V and of e-folds per run


@dataclass(frozen=True)
class SlowOcv:
    """`ocv_v` over SOC_AXIS; `capacity_ah` by the runs' own count; `empty_soc`: where the discharge ended; `apart_v`:
    rms of what still separates the branches within SOC 0.02..0.98."""

    ocv_v: np.ndarray
    hysteresis_v: float
    hysteresis_rate: float
    capacity_ah: float
    empty_soc: float
    apart_v: float


def fit_slow_runs(runs: Sequence[Run], ends_v: tuple[float, float], resistance_ohm: float) -> SlowOcv:
    """`runs`: a discharge and a charge. `ends_v`: OCV that SOC 0 and 1 are defined by; `resistance_ohm`: all of it, as
    a slow current sees it. Raises ConfigError for other runs."""
    if [run.is_charge for run in runs] != [False, True]:
        seen = ["charge" if run.is_charge else "discharge" for run in runs]
        raise ConfigError("slow runs", "", seen, "one discharge and one charge, each from end to end")
    branches = [branch_of(run, resistance_ohm) for run in runs]

    def residual(at: np.ndarray) -> np.ndarray:
        down_v, up_v = (curve_v(branch, at, ends_v) for branch in branches)
        slope_v = np.gradient(0.5 * (up_v + down_v), SOC_AXIS)
        return ((up_v - down_v) / np.hypot(VOLTAGE_SIGMA_V, SOC_SIGMA * slope_v))[JUDGED]

    at = fitted(residual, start(runs, branches, ends_v))
    return summed_up(runs, branches, at, ends_v)


def summed_up(
    runs: Sequence[Run], branches: Sequence["Branch"], at: np.ndarray, ends_v: tuple[float, float]
) -> SlowOcv:
    down_v, up_v = (curve_v(branch, at, ends_v) for branch in branches)
    inner_v = np.clip(0.5 * (up_v + down_v), *ends_v)[1:-1]
    most_v, per_run = most_and_rate(at)
    shares = [aligned(branch, at, ends_v)[2] for branch in branches]
    spans = [float(full - empty) for empty, full in shares]
    return SlowOcv(
        ocv_v=rising(np.concatenate((ends_v[:1], inner_v, ends_v[1:]))),
        hysteresis_v=most_v,
        hysteresis_rate=per_run * float(np.mean(spans)),
        capacity_ah=float(np.mean([span * run.moved_ah for span, run in zip(spans, runs, strict=True)])),
        empty_soc=(-1.0 - float(shares[0][0])) / spans[0],
        apart_v=float(np.sqrt(np.mean((up_v - down_v)[JUDGED] ** 2))),
    )


def start(runs: Sequence[Run], branches: Sequence["Branch"], ends_v: tuple[float, float]) -> np.ndarray:
    """What the search begins with: ln of half the gap between the branches as they are, and of a usual rate."""
    flat = np.array([LOWEST[0], 0.0])
    gap_v = half_gap_v(runs, [curve_v(branch, flat, ends_v) for branch in branches])
    return np.log([max(gap_v, START_V), START_RATE])


@dataclass(frozen=True)
class Branch:
    """One run without its ohmic part: share of its own charge, voltage, and which way (+ charges)."""

    passed: np.ndarray
    voltage_v: np.ndarray
    sign: int


def branch_of(run: Run, resistance_ohm: float) -> Branch:
    trace = run.trace
    passed = np.abs(trace.moved_ah - trace.moved_ah[0]) / run.moved_ah
    return Branch(passed, trace.voltage_v - resistance_ohm * trace.current_a, 1 if run.is_charge else -1)


def most_and_rate(at: np.ndarray) -> tuple[float, float]:
    """M in V and e-folds per run, of their logarithms."""
    most_v, per_run = np.exp(np.clip(at, LOWEST, HIGHEST))
    return float(most_v), float(per_run)


def curve_v(branch: Branch, at: np.ndarray, ends_v: tuple[float, float]) -> np.ndarray:
    """OCV over SOC_AXIS by one branch."""
    counted, ocv_v, (empty, full) = aligned(branch, at, ends_v)
    return np.interp(SOC_AXIS, (counted - empty) / (full - empty), ocv_v)


def aligned(branch: Branch, at: np.ndarray, ends_v: tuple[float, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share of charge upwards, OCV there, and the shares at SOC 0 and 1."""
    most_v, per_run = most_and_rate(at)
    ocv_v = branch.voltage_v - most_v * branch.sign * (1.0 - 2.0 * np.exp(-per_run * branch.passed))
    upwards = slice(None, None, branch.sign)
    counted, ocv_v = branch.sign * branch.passed[upwards], ocv_v[upwards]
    return counted, ocv_v, np.interp(ends_v, rising(ocv_v), counted)
