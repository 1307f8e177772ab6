"""Levenberg-Marquardt with a numerical Jacobian: enough for a dozen parameters whose model runs in milliseconds."""

from collections.abc import Callable

import numpy as np

STEP = 1e-4  # of a parameter; they are logarithms or near one
TRIES = 12  # rises of the damping before a step is given up


def fitted(residual: Callable[[np.ndarray], np.ndarray], start: np.ndarray, rounds: int = 30) -> np.ndarray:
    """Parameters that make the sum of squares of `residual` small; stops when a round gains less than 1e-4 of it."""
    at = np.array(start, dtype=float)
    off = residual(at)
    damping = 1e-3
    for _ in range(rounds):
        slope = np.stack([(residual(at + STEP * unit) - off) / STEP for unit in np.eye(len(at))], axis=1)
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
