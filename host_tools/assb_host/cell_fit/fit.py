"""OCV runs and pulses → capacity, OCV, circuit and what they leave unexplained."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from assb_host.cell_fit import ocv_run
from assb_host.cell_fit.log_reader import Log
from assb_host.cell_fit.ocv_run import Run, Window
from assb_host.cell_fit.pulse_fit import KNOTS, LN_OHM, SAME_K, Problem, PulseFit, fit_pulses
from assb_host.cell_fit.trace import Trace, thinned
from assb_host.config.errors import ConfigError
from assb_host.config.estimator_parameters import SOC_AXIS

ROUNDS = 4  # the OCV run gives the OCV less the overvoltage that the pulses give, and they need the OCV
FULL_SOC = 0.99  # a pulse log that begins at rest above it begins full, as its user charged the cell
HYSTERESIS_LEAST_V = 0.003  # half gap; less is the overvoltage's error
JUDGED_LEAST = 20  # rows; fewer are no pulses
START_SOC = (-0.05, 1.05)  # of a pulse log, as the OCV run counts; further out it is no log of this cell
SOC_SPAN_LEAST = 0.2  # of a SOC column: less says nothing about the capacity


@dataclass(frozen=True)
class CellFit:
    """What was found. Arrays over SOC_AXIS; `pulses` has the circuit and the misfit of every row."""

    capacity_ah: float
    ocv_v: np.ndarray
    hysteresis_v: float
    ocv_logs: Sequence[Log]
    runs: Sequence[Run]
    curves_v: Sequence[np.ndarray]  # of each run, overvoltage taken away
    pulses: PulseFit
    start_soc: np.ndarray  # of each pulse log
    notes: list[str] = field(default_factory=list)

    @property
    def main_degc(self) -> float:
        return middle_degc([run.trace for run in self.runs])


def fit_cell(ocv_logs: Sequence[Log], pulse_logs: Sequence[Log], empty_v: float | None = None) -> CellFit:
    """`empty_v`: OCV at SOC 0, for a discharge that goes on below it; by default a discharge ends at SOC 0.

    Raises ConfigError for logs that do not hold what the fit needs.
    """
    notes: list[str] = []
    runs = ocv_run.usable(ocv_run.runs_of(ocv_logs), notes)
    window = ocv_run.window_of(runs, [*ocv_logs, *pulse_logs])
    work = Approximation(runs, [thinned(log) for log in pulse_logs], empty_v, window)
    pulses = work.improved(None)
    for _ in range(ROUNDS - 1):
        pulses = work.improved(pulses)
    check_starts(work.traces, work.starts + pulses.start_shift)
    check_r0(pulses)
    gap_v = ocv_run.half_gap_v(runs, work.curves_v)
    return CellFit(
        capacity_ah=work.capacity_ah,
        ocv_v=work.window.holds(work.ocv_v + np.interp(SOC_AXIS, KNOTS, pulses.correction_v)),
        hysteresis_v=gap_v if gap_v >= HYSTERESIS_LEAST_V else 0.0,
        ocv_logs=ocv_logs,
        runs=runs,
        curves_v=work.curves_v,
        pulses=pulses,
        start_soc=work.starts,
        notes=notes,
    )


class Approximation:
    """Capacity, OCV and starts as they are known so far; each round makes them better."""

    def __init__(self, runs: Sequence[Run], traces: Sequence[Trace], empty_v: float | None, window: Window):
        for trace in traces:
            check_pulses(trace)
        self.runs, self.traces, self.empty_v, self.window = runs, traces, empty_v, window
        logs = [trace.log for trace in traces]
        self.said_ah = said_capacity_ah(logs)
        self.run_ah = run_capacity_ah(runs, self.said_ah)
        self.capacity_ah = self.said_ah or self.run_ah
        self.shift = np.zeros(len(traces))
        self.starts = self.shift
        self.nodes_degc = nodes_of(traces)
        self.main_degc = middle_degc([run.trace for run in runs])
        self.vector: np.ndarray | None = None
        self.curves_v: list[np.ndarray] = []
        self.ocv_v = np.zeros(len(SOC_AXIS))

    def improved(self, before: PulseFit | None) -> PulseFit:
        """One round: OCV with the circuit so far, circuit with this OCV."""
        circuit = before.circuit if before else None
        self.curves_v = [ocv_run.curve_v(run, self.run_ah, circuit) for run in self.runs]
        self.ocv_v = ocv_run.merged_curve_v(self.curves_v)
        self.cut_at_empty()
        self.ocv_v = self.window.holds(self.ocv_v)
        self.starts = np.array([start_soc(trace, self.ocv_v) for trace in self.traces]) + self.shift
        pulses, self.vector = fit_pulses(self.problem(before.spread if before else 1.0), self.vector)
        self.capacity_ah *= pulses.capacity_factor
        self.shift = self.shift + pulses.start_shift
        return pulses

    def cut_at_empty(self) -> None:
        kept = ocv_run.above_empty(self.runs, self.ocv_v, self.empty_v)
        if kept < 1.0:
            self.run_ah *= kept
            self.capacity_ah *= 1.0 if self.said_ah else kept
            self.ocv_v = np.interp(1.0 - kept * (1.0 - SOC_AXIS), SOC_AXIS, self.ocv_v)

    def problem(self, spread: float) -> Problem:
        soc = [start + t.moved_ah / self.capacity_ah for start, t in zip(self.starts, self.traces, strict=True)]
        for trace, passed in zip(self.traces, soc, strict=True):
            check_range(trace, passed)
        over_v = [t.voltage_v - np.interp(s, SOC_AXIS, self.ocv_v) for t, s in zip(self.traces, soc, strict=True)]
        slope_v = np.gradient(self.ocv_v, SOC_AXIS)
        return Problem(
            traces=self.traces,
            soc=soc,
            over_v=over_v,
            nodes_degc=self.nodes_degc,
            slopes_v=[np.interp(s, SOC_AXIS, slope_v) for s in soc],
            main_degc=self.main_degc,
            spread=spread,
            known_soc=[trace.log.soc is not None for trace in self.traces],
        )


def check_pulses(trace: Trace) -> None:
    log = trace.log
    if np.ptp(log.current_a) <= 0 or trace.judged.sum() < JUDGED_LEAST:
        raise ConfigError(log.path, "current_a", "no pulses", "a log with steps of current and rests (--pulses)")


def check_starts(traces: Sequence[Trace], starts: np.ndarray) -> None:
    low, high = START_SOC
    for trace, start in zip(traces, starts, strict=True):
        if not low <= start <= high:
            allowed = f"a start within {low:g} .. {high:g}"
            raise ConfigError(
                trace.log.path, "", f"pulses that begin at SOC {start:.3f}", allowed, "is it the same cell?"
            )


def check_r0(pulses: PulseFit) -> None:
    """A resistance at an end of its search was not found."""
    ln_ohm = np.log(pulses.pressed_ohm)
    lost = np.flatnonzero((ln_ohm <= LN_OHM[0] + 1e-6) | (ln_ohm >= LN_OHM[1] - 1e-6))
    if len(lost):
        degc = pulses.circuit.temperature_degc[lost[0]]
        trace = min(pulses.traces, key=lambda trace: abs(middle_degc([trace]) - degc))
        seen = f"R0 of {pulses.pressed_ohm[lost[0]]:.2g} ohm at {degc:g} degC, an end of its search"
        allowed = "a voltage that answers the steps of current"
        raise ConfigError(trace.log.path, "", seen, allowed, "are --ocv and --pulses of the same cell?")


def check_range(trace: Trace, soc: np.ndarray) -> None:
    if (trace.judged & (soc >= 0.0) & (soc <= 1.0)).sum() < JUDGED_LEAST:
        seen = f"SOC {soc.min():.2f} .. {soc.max():.2f} by its charge and the OCV run"
        raise ConfigError(trace.log.path, "", seen, "pulses within 0 .. 1", "is it the same cell? see --current-sign")


def run_capacity_ah(runs: Sequence[Run], said_ah: float | None) -> float:
    """Charge from SOC 0 to 1 as the OCV runs count it: by their SOC column, else by the pulses', else by their ends."""
    known = []
    for run in runs:
        if run.soc_begin is not None and run.soc_end is not None:
            span = abs(run.soc_end - run.soc_begin)
            known += [run.moved_ah / span] if span > SOC_SPAN_LEAST else []
    return float(np.mean(known)) if known else said_ah or runs[0].moved_ah


def said_capacity_ah(logs: Sequence[Log]) -> float | None:
    """By the SOC columns of the pulses."""
    spans = [(log.moved_ah, log.soc) for log in logs if log.soc is not None]
    found = [float(np.ptp(moved) / np.ptp(soc)) for moved, soc in spans if np.ptp(soc) > SOC_SPAN_LEAST]
    return float(np.mean(found)) if found else None


def start_soc(trace: Trace, ocv_v: np.ndarray) -> float:
    """SOC of the first row: the log's own, else what its voltage says."""
    if trace.log.soc is not None:
        return float(trace.log.soc[0])
    soc = float(np.interp(trace.voltage_v[0], ocv_v, SOC_AXIS))
    return 1.0 if soc > FULL_SOC and trace.begins_at_rest else soc


def middle_degc(traces: Sequence[Trace]) -> float:
    return float(np.median(np.concatenate([trace.temperature_degc for trace in traces])))


def nodes_of(traces: Sequence[Trace]) -> np.ndarray:
    """Temperatures of the tables: those of the logs, near ones as one."""
    nodes: list[list[float]] = []
    for degc in sorted(middle_degc([trace]) for trace in traces):
        if nodes and degc - nodes[-1][0] < SAME_K:
            nodes[-1].append(degc)
        else:
            nodes.append([degc])
    return np.array([round(float(np.mean(each)), 1) for each in nodes])
