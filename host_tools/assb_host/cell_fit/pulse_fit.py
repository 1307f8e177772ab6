"""Resistances, time constants and what the OCV is off, from pulses: weighted least squares over all logs at once.

A guess is a vector: logarithms of R0, R1, R2 and of the fast pair at each temperature, of the factor at its knots of
SOC, then corrections in units of their priors: the OCV at the same knots, the logarithm of the capacity, the SOC at
which each log begins, and the exponent of R0 over pressure.

Three pairs are fitted, a fast one without a factor, and the estimator gets two: what the fast one adds counts as R0.
The mean current of a drive cycle works through the slowest overvoltage, and with two pairs alone the seconds after
each step, which average out, would decide over it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from assb_host.cell_fit.circuit import Circuit, hats, responses
from assb_host.cell_fit.least_squares import fitted
from assb_host.cell_fit.trace import Trace
from assb_host.config.resample import arrhenius_coordinate, line_through

TAUS_S = (30.0, 300.0, 2.0)  # R1, R2, the fast pair; a decade apart, as diffusion has no time constant of its own
KNOTS = np.unique(np.concatenate((np.linspace(0, 0.1, 5), np.linspace(0.1, 0.9, 17), np.linspace(0.9, 1.0, 5))))
FLOOR_V = 2e-3  # a residual of one, without current ...
OVERVOLTAGE_FRAC = 0.04  # ... and with it: two pairs follow a real overvoltage no better
SAME_K = 5.0  # logs at temperatures that are nearer share a node
ROUGHNESS = 0.3  # of the factor's logarithm from knot to knot: what a second difference of one sigma is
EACH_LOG = 40  # residuals that a log counts as, so that a finely sampled one does not outweigh the others ...
OTHER_LOG = 15  # ... and at other temperatures than the OCV's, where resistances are found and the factor hardly bends
FACTOR_SPREAD = 0.7  # prior of the factor's logarithm
SPREAD = 1.0  # prior of a logarithm of R1 and of the fast pair about its R0 ...
SLOW_SPREAD = 0.12  # ... and of R2 about R1: pulses of seconds hardly show the slowest pair, and diffusion has no gap
SPREAD_LEAST = 0.2  # of the residuals over the expected ones: a simulated cell may leave nothing at all
OCV_SIGMA_V = 2e-3  # what pulses may change of the OCV run's curve, per knot
CAPACITY_SIGMA = 0.03  # relative; a C/20 run counts the offset of its sensor for 20 h, pulses hardly do
START_SIGMA = 0.005  # of the SOC at which a log begins, read off the OCV at rest ...
LOADED_START = 10.0  # ... times this when a current flows in its first row
LN_OHM = (-16.0, 9.0)  # of each resistance's search
LEAST_MPA = 0.01  # a load cell may read a little below zero


def expected_v(over_v: np.ndarray) -> np.ndarray:
    """1-sigma misfit of a circuit, before anything is known of how well it does."""
    return np.hypot(FLOOR_V, OVERVOLTAGE_FRAC * over_v)


@dataclass
class Problem:
    """Traces with their SOC, and what the OCV run left to explain."""

    traces: Sequence[Trace]
    soc: Sequence[np.ndarray]
    over_v: Sequence[np.ndarray]  # voltage less OCV
    nodes_degc: np.ndarray
    slopes_v: Sequence[np.ndarray]  # dOCV/dSOC of each row
    main_degc: float  # the OCV run's: logs near it decide over the factor
    spread: float  # of the residuals, as far as it is known: below 1 the pulses weigh more against the priors
    known_soc: Sequence[bool]  # whether the log itself says where it began, and with it what the capacity is
    weights: list[np.ndarray] = field(init=False)
    kept: list[np.ndarray] = field(init=False)
    mixes: list[np.ndarray] = field(init=False)
    hats: list[np.ndarray] = field(init=False)
    ln_mpa: list[np.ndarray] = field(init=False)  # of each row, over the median of all logs
    pairs: list[np.ndarray] = field(init=False)  # of each trace: (TAUS_S, rows, knots)

    def __post_init__(self) -> None:
        taus = np.array(TAUS_S)
        x = arrhenius_coordinate(self.nodes_degc)
        units = np.eye(len(self.nodes_degc))
        self.kept, self.weights, self.mixes, self.hats, self.pairs = [], [], [], [], []
        for trace, soc, over_v in zip(self.traces, self.soc, self.over_v, strict=True):
            kept = trace.judged & (soc >= 0.0) & (soc <= 1.0)
            sigma_v = self.spread * expected_v(over_v[kept])
            counts = EACH_LOG if self.is_main(trace) else OTHER_LOG
            self.kept.append(kept)
            self.weights.append(np.sqrt(counts / max(kept.sum(), 1)) / sigma_v)
            at = arrhenius_coordinate(trace.temperature_degc)
            self.mixes.append(np.stack([line_through(x, unit, at) for unit in units], axis=1))
            self.hats.append(self.corrections(soc, len(self.hats)))
            self.pairs.append(responses(trace, soc, KNOTS, taus))
        reference_mpa = self.reference_mpa or 1.0
        self.ln_mpa = [np.log(np.maximum(p, LEAST_MPA) / reference_mpa) for p in map(self.pressure_mpa, self.traces)]

    def pressure_mpa(self, trace: Trace) -> np.ndarray:
        return np.full(len(trace), self.reference_mpa or 1.0) if trace.pressure_mpa is None else trace.pressure_mpa

    @property
    def reference_mpa(self) -> float | None:
        """Median over the logs that have one."""
        seen = [float(np.median(trace.pressure_mpa)) for trace in self.traces if trace.pressure_mpa is not None]
        return max(LEAST_MPA, float(np.median(seen))) if seen else None

    def is_main(self, trace: Trace) -> bool:
        nearest = min(self.nodes_degc, key=lambda degc: abs(degc - self.main_degc))
        return abs(float(np.median(trace.temperature_degc)) - nearest) < SAME_K

    def corrections(self, soc: np.ndarray, log: int) -> np.ndarray:
        """(rows, corrections): change of the voltage per unit of each correction."""
        slope_v, free = self.slopes_v[log][:, None], not self.known_soc[log]
        capacity = -CAPACITY_SIGMA * (soc - soc[0])[:, None] * slope_v * (not any(self.known_soc))
        starts = self.start_sigma(log) * slope_v * (np.arange(len(self.traces)) == log) * free
        return np.hstack((OCV_SIGMA_V * hats(soc, KNOTS), capacity, starts, np.zeros((len(soc), 1))))

    def start_sigma(self, log: int) -> float:
        return START_SIGMA * (1.0 if self.traces[log].begins_at_rest else LOADED_START)

    @property
    def nodes(self) -> int:
        return len(self.nodes_degc)

    def start(self) -> np.ndarray:
        ohm = [float(np.sum(o[k] * t.current_a[k]) / np.sum(t.current_a[k] ** 2)) for o, t, k in self.each_kept()]
        ln_ohm = np.log(np.clip(np.mean(ohm), 1e-6, 1e3))
        each = np.full(self.nodes, ln_ohm)
        return np.concatenate(
            (each - 0.7, each - 1.4, each - 1.4, each - 1.4, np.zeros(2 * len(KNOTS) + 2 + len(self.traces)))
        )

    def each_kept(self):
        return zip(self.over_v, self.traces, self.kept, strict=True)

    def split(self, at: np.ndarray):
        n, m = self.nodes, len(KNOTS)
        r0, r1, r2, rf = np.clip(at[: 4 * n], *LN_OHM).reshape(4, n)
        return r0, r1, r2, rf, np.exp(np.clip(at[4 * n : 4 * n + m], -9, 9)), at[4 * n + m :]

    def misfit_v(self, at: np.ndarray) -> list[np.ndarray]:
        """Model less measured, V, every row of every trace."""
        r0, r1, r2, rf, factor, correction = self.split(at)
        off = []
        for j, trace in enumerate(self.traces):
            mix, slow = self.mixes[j], self.pairs[j]
            v1 = np.exp(mix @ r1) * (slow[0] @ factor)
            v2 = np.exp(mix @ r2) * (slow[1] @ factor) + np.exp(mix @ rf) * slow[2].sum(axis=1)
            ocv_v = self.hats[j] @ correction
            pressed = np.exp(-correction[-1] * self.ln_mpa[j])
            off.append(ocv_v + np.exp(mix @ r0) * pressed * trace.current_a + v1 + v2 - self.over_v[j])
        return off

    def residual(self, at: np.ndarray) -> np.ndarray:
        r0, r1, r2, rf, factor, correction = self.split(at)
        rows = [off[k] * w for off, k, w in zip(self.misfit_v(at), self.kept, self.weights, strict=True)]
        ln_factor = np.log(factor)
        priors = [
            np.diff(ln_factor, 2) / ROUGHNESS,
            [10 * ln_factor.mean()],
            ln_factor / FACTOR_SPREAD,
            (r1 - r0) / SPREAD,
            (r2 - r1) / SLOW_SPREAD,
            (rf - r0) / SPREAD,
        ]
        return np.concatenate((*rows, *priors, correction, np.diff(correction[: len(KNOTS)], 2)))

    def slope(self, at: np.ndarray) -> np.ndarray:
        """Jacobian of `residual`."""
        r0, r1, r2, rf, factor, correction = self.split(at)
        n, m, rows = self.nodes, len(KNOTS), []
        for j, trace in enumerate(self.traces):
            k, w, mix = self.kept[j], self.weights[j][:, None], self.mixes[j]
            slow1 = np.exp(mix @ r1)[:, None] * self.pairs[j][0] * factor
            slow2 = np.exp(mix @ r2)[:, None] * self.pairs[j][1] * factor
            fast = (np.exp(mix @ r0 - correction[-1] * self.ln_mpa[j]) * trace.current_a)[:, None]
            quick = (np.exp(mix @ rf) * self.pairs[j][2].sum(axis=1))[:, None]
            parts = (mix * fast, mix * slow1.sum(axis=1)[:, None], mix * slow2.sum(axis=1)[:, None], mix * quick)
            corrections = np.hstack((self.hats[j][:, :-1], -self.ln_mpa[j][:, None] * fast))
            rows.append(np.hstack((*parts, slow1 + slow2, corrections))[k] * w)
        bend, unit, none = np.diff(np.eye(m), 2, axis=0), np.eye(n) / SPREAD, np.zeros
        c, slow = m + 2 + len(self.traces), np.eye(n) / SLOW_SPREAD
        priors = (
            np.hstack((none((m - 2, 4 * n)), bend / ROUGHNESS, none((m - 2, c)))),
            np.hstack((none((1, 4 * n)), np.full((1, m), 10 / m), none((1, c)))),
            np.hstack((none((m, 4 * n)), np.eye(m) / FACTOR_SPREAD, none((m, c)))),
            np.hstack((-unit, unit, none((n, 2 * n + m + c)))),
            np.hstack((none((n, n)), -slow, slow, none((n, n + m + c)))),
            np.hstack((-unit, none((n, 2 * n)), unit, none((n, m + c)))),
            np.hstack((none((c, 4 * n + m)), np.eye(c))),
            np.hstack((none((m - 2, 4 * n + m)), bend, none((m - 2, c - m)))),
        )
        return np.vstack((*rows, *priors))


@dataclass(frozen=True)
class PulseFit:
    circuit: Circuit
    pressed_ohm: np.ndarray  # the part of R0 that follows pressure, at each temperature and reference_mpa
    pressure_exponent: float  # it falls as pressure to this power; 0 where logs have no pressure
    reference_mpa: float | None
    spread: float  # of the misfit over what was expected
    correction_v: np.ndarray  # of the OCV, at KNOTS
    capacity_factor: float  # on the capacity that was assumed
    start_shift: np.ndarray  # of the SOC at which each log begins
    misfit_v: list[np.ndarray]  # model less measured, every row of every trace
    kept: list[np.ndarray]
    soc: Sequence[np.ndarray]
    traces: Sequence[Trace]


def fit_pulses(problem: Problem, start: np.ndarray | None = None) -> tuple[PulseFit, np.ndarray]:
    """The fit and its vector, with which a problem of the same shape may start."""
    at = fitted(problem.residual, problem.start() if start is None else start, 40, problem.slope)
    return told(problem, at), at


def told(problem: Problem, at: np.ndarray) -> PulseFit:
    r0, r1, r2, rf, factor, correction = problem.split(at)
    fast_ohm = np.exp(r0) + np.exp(rf)
    circuit = Circuit(TAUS_S[:2], problem.nodes_degc, fast_ohm, np.exp(r1), np.exp(r2), KNOTS, factor)
    off = problem.misfit_v(at)
    m = len(KNOTS)
    return PulseFit(
        circuit=circuit,
        pressed_ohm=np.exp(r0),
        pressure_exponent=float(correction[-1]),
        reference_mpa=problem.reference_mpa,
        spread=spread_of(problem, off),
        correction_v=OCV_SIGMA_V * correction[:m],
        capacity_factor=float(np.exp(CAPACITY_SIGMA * correction[m])),
        start_shift=correction[m + 1 : -1] * [problem.start_sigma(log) for log in range(len(problem.traces))],
        misfit_v=off,
        kept=problem.kept,
        soc=problem.soc,
        traces=problem.traces,
    )


def spread_of(problem: Problem, off_v: Sequence[np.ndarray]) -> float:
    """Median misfit over the expected one, in sigma; at most 1: a bad circuit does not hand over to the priors."""
    parts = zip(off_v, problem.over_v, problem.kept, strict=True)
    ratio = np.concatenate([np.abs(off[k]) / expected_v(over[k]) for off, over, k in parts])
    return float(np.clip(1.4826 * np.median(ratio), SPREAD_LEAST, 1.0))
