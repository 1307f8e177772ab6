"""Levenberg-Marquardt, with a numerical Jacobian where the caller has none: enough for some dozens of parameters."""

from collections.abc import Callable

import numpy as np

STEP = 1e-4  # of a parameter; they are logarithms or near one
TRIES = 12  # rises of the damping before a step is given up


def numerical_slope(residual: Callable[[np.ndarray], np.ndarray], at: np.ndarray, off: np.ndarray) -> np.ndarray:
    """d residual / d parameter, one column each."""
    return np.stack([(residual(at + STEP * unit) - off) / STEP for unit in np.eye(len(at))], axis=1)


def fitted(
    residual: Callable[[np.ndarray], np.ndarray],
    start: np.ndarray,
    rounds: int = 30,
    slope_of: Callable[[np.ndarray], np.ndarray] | None = None,
) -> np.ndarray:
    """Parameters that make the sum of squares of `residual` small; stops when a round gains less than 1e-4 of it.

    `slope_of` gives the Jacobian, residuals by parameters; without it differences are taken.
    """
    at = np.array(start, dtype=float)
    off = residual(at)
    damping = 1e-3
    for _ in range(rounds):
        slope = slope_of(at) if slope_of else numerical_slope(residual, at, off)
        curvature = slope.T @ slope
        for _ in range(TRIES):
            damped = curvature + damping * np.diag(np.diag(curvature) + 1e-12)
            trial = at - np.linalg.solve(damped, slope.T @ off)
            trial_off = residual(trial)
            if trial_off @ trial_off < off @ off:
                break
            damping *= 4
        else:
            return at
        gain = 1 - (trial_off @ trial_off) / (off @ off)
        at, off, damping = trial, trial_off, damping / 5
        if gain < 1e-4:
            return at
    return at
