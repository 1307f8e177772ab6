"""The estimator's kernel over a recording, with sensor errors put in, and how well it did where the truth is known."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from assb_host.cell_fit.log_reader import Log
from assb_host.config.cell import Cell
from assb_host.config.errors import ConfigError
from assb_host.config.estimator_parameters import flat_parameters

SETTLED_AFTER_S = 600.0  # errors before it belong to the start
SETTLED_FRAC = 0.02
GAP_FACTOR = 20.0  # of the median interval: a longer one is a gap, after which the filter starts again
GAP_LEAST_S = 120.0
BEYOND_FRAC = 0.1  # of SOC, beyond 0 and 1: what a count and a capacity may disagree
START_SIGMA = 0.2  # of the SOC, at the start ...
GAP_SIGMA = 0.1  # ... and after a gap
REST_C = 0.01  # a log that begins with less is taken to begin at rest
UNRELAXED_C = 0.5  # what may still be relaxing otherwise, and after a gap, 1-sigma: of R1 and R2 at this rate
COLUMNS = (
    "soc", "soc_var", "soc_sigma", "leak_a", "r0_ohm", "resistance_scale", "resistance_sigma", "capacity_scale",
    "capacity_sigma", "status",
)  # fmt: skip


@dataclass(frozen=True)
class Sensors:
    """Errors put on what the log says. Noise is white and seeded."""

    noise_v: float = 0.0
    gain_frac: float = 0.0
    offset_a: float = 0.0
    seed: int = 0

    def seen(self, log: Log) -> tuple[np.ndarray, np.ndarray]:
        """(voltage, current) as the sensors show them."""
        noise_v = np.random.default_rng(self.seed).normal(0.0, 1.0, len(log)) * self.noise_v
        return log.voltage_v + noise_v, log.current_a * (1.0 + self.gain_frac) + self.offset_a


@dataclass(frozen=True)
class Estimate:
    """Columns of the kernel along the log; `truth` is None where the log does not tell it."""

    log: Log
    columns: dict[str, np.ndarray]
    truth: np.ndarray | None
    gaps: int
    fitted: bool  # whether the profile was counted on this very cell

    @property
    def soc(self) -> np.ndarray:
        return self.columns["soc"]

    @property
    def r0_sigma_ohm(self) -> np.ndarray:
        return self.columns["r0_ohm"] * self.columns["resistance_sigma"] / self.columns["resistance_scale"]

    @property
    def sigma(self) -> np.ndarray:
        """Of SOC. The noise of a fitted profile covers its OCV; to others learning adds what their table may miss."""
        return np.sqrt(self.columns["soc_var"]) if self.fitted else self.columns["soc_sigma"]


def estimate(
    cell: Cell,
    log: Log,
    *,
    soc0: float | None = None,
    soc_start: float | None = None,
    sensors: Sensors | None = None,
    precision: str = "f32",
) -> Estimate:
    """Runs the kernel from `soc0`, by default what the first voltage says. `soc_start`: where the cycler's count began.
    Raises ConfigError where the log does not fit the cell."""
    from assb_kernels import Estimator, Learning

    voltage_v, current_a = (sensors or Sensors()).seen(log)
    sample_s, gap_s = log.sample_s, gap_of(log.sample_s)
    most_a = 2.0 * max(1e-3, float(np.abs(current_a).max()), cell.current.charge_max_a, cell.current.discharge_max_a)
    flat = flat_parameters(cell, dt_max_s=2.0 * gap_s, current_max_a=most_a)
    check_voltage(cell, log)
    estimator = Estimator(flat, precision)
    rested = estimator.rested_soc(float(voltage_v[0]), float(log.temperature_degc[0]))
    unrelaxed_v = [UNRELAXED_C * cell.capacity_ah * min(ohm) for ohm in (cell.rc.r1_ohm, cell.rc.r2_ohm)]
    estimator.reset(rested if soc0 is None else soc0, START_SIGMA)
    if abs(log.current_a[0]) > REST_C * cell.capacity_ah:
        estimator.doubt_relaxed(*unrelaxed_v)
    learning = Learning(estimator)
    dt_s = np.diff(log.time_s, prepend=log.time_s[0] - sample_s)
    pressure_mpa = np.full(len(log), cell.pressure.target_mpa) if log.pressure_mpa is None else log.pressure_mpa
    real = np.float32 if precision == "f32" else np.float64
    inputs = [np.asarray(x, real) for x in (voltage_v, current_a, log.temperature_degc, pressure_mpa, dt_s)]
    starts = np.concatenate(([0], np.flatnonzero(dt_s > gap_s), [len(log)]))
    parts = []
    for begin, end in pairwise(starts.tolist()):
        if begin:
            inputs[4][begin] = sample_s
            estimator.reset(estimator.soc, GAP_SIGMA)
            estimator.doubt_relaxed(*unrelaxed_v)
            learning.lose()
        parts.append(learning.run(*(np.ascontiguousarray(x[begin:end]) for x in inputs), results=COLUMNS))
    columns = {name: np.concatenate([np.asarray(part[name], float) for part in parts]) for name in COLUMNS}
    return Estimate(log, columns, true_soc(cell, log, soc_start), len(starts) - 2, cell.learning is not None)


def gap_of(sample_s: float) -> float:
    return max(GAP_LEAST_S, GAP_FACTOR * sample_s)


def check_voltage(cell: Cell, log: Log) -> None:
    middle_v = float(np.median(log.voltage_v))
    if not cell.voltage.abs_min_v <= middle_v <= cell.voltage.abs_max_v:
        allowed = f"a median within {cell.voltage.abs_min_v:g} .. {cell.voltage.abs_max_v:g} V, as {cell.name} has"
        raise ConfigError(log.path, "voltage_v", round(middle_v, 4), allowed, "is it this cell's log?")


def true_soc(cell: Cell, log: Log, soc_start: float | None) -> np.ndarray | None:
    """The log's own SOC, else the cycler's count from `soc_start`. Raises ConfigError for what this cell can't have."""
    if log.soc is not None:
        return log.soc
    if log.net_charge_ah is None or soc_start is None:
        return None
    soc = soc_start + log.moved_ah / cell.capacity_ah
    low, high = float(soc.min()), float(soc.max())
    if low < -BEYOND_FRAC or high > 1 + BEYOND_FRAC:
        allowed = f"SOC 0 .. 1 of {cell.capacity_ah:g} Ah: is it this cell's log, and is --soc-start right?"
        raise ConfigError(log.path, "net_charge_ah", f"SOC {low:.3f} .. {high:.3f}", allowed)
    return soc


def scores(run: Estimate) -> dict[str, float | None]:
    """SOC errors after SETTLED_AFTER_S; the share of all samples after it inside 1 and 3 sigma; None without a truth.

    settle_s: from when on the error stays within SETTLED_FRAC, from the log's start; None if it never does.
    """
    names = ("soc_rmse_frac", "soc_max_error_frac", "settle_s", "inside_3sigma_frac", "inside_1sigma_frac")
    if run.truth is None:
        return dict.fromkeys(names)
    since_s = run.log.time_s - run.log.time_s[0]
    error = run.soc - run.truth
    late = since_s >= SETTLED_AFTER_S
    if not late.any():
        late = np.ones(len(error), bool)
    outside = np.flatnonzero(np.abs(error) > SETTLED_FRAC)
    first = int(outside[-1]) + 1 if len(outside) else 0
    return {
        "soc_rmse_frac": float(np.sqrt(np.mean(error[late] ** 2))),
        "soc_max_error_frac": float(np.abs(error[late]).max()),
        "settle_s": float(since_s[first]) if first < len(error) else None,
        "inside_3sigma_frac": float(np.mean(np.abs(error[late]) <= 3 * run.sigma[late])),
        "inside_1sigma_frac": float(np.mean(np.abs(error[late]) <= run.sigma[late])),
    }
