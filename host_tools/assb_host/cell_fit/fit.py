"""OCV runs and pulses → capacity, OCV, circuit and what they leave unexplained."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from assb_host.cell_fit import ocv_run
from assb_host.cell_fit.log_reader import Log
from assb_host.cell_fit.ocv_run import Run
from assb_host.cell_fit.pulse_fit import KNOTS, SAME_K, Problem, PulseFit, fit_pulses
from assb_host.cell_fit.trace import Trace, thinned
from assb_host.config.errors import ConfigError
from assb_host.config.estimator_parameters import SOC_AXIS

ROUNDS = 4  # the OCV run gives the OCV less the overvoltage that the pulses give, and they need the OCV
FULL_SOC = 0.99  # a pulse log that begins at rest above it begins full, as its user charged the cell
HYSTERESIS_LEAST_V = 0.003  # half gap; less is the overvoltage's error


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


def fit_cell(ocv_logs: Sequence[Log], pulse_logs: Sequence[Log]) -> CellFit:
    """Raises ConfigError for logs that do not hold what the fit needs."""
    notes: list[str] = []
    runs = ocv_run.usable(ocv_run.runs_of(ocv_logs), notes)
    traces = [thinned(log) for log in pulse_logs]
    for trace in traces:
        check_pulses(trace)
    run_ah = run_capacity_ah(runs, pulse_logs)
    capacity_ah, shift, at, pulses = pulse_capacity_ah(run_ah, pulse_logs), np.zeros(len(traces)), None, None
    nodes_degc = nodes_of(traces)
    main_degc = float(np.median(np.concatenate([run.trace.temperature_degc for run in runs])))
    for _ in range(ROUNDS):
        circuit = pulses.circuit if pulses else None
        curves = [ocv_run.curve_v(run, run_ah, circuit) for run in runs]
        ocv_v = ocv_run.merged_curve_v(curves)
        starts = np.array([start_soc(trace, ocv_v) for trace in traces]) + shift
        soc = [start + trace.moved_ah / capacity_ah for start, trace in zip(starts, traces, strict=True)]
        problem = problem_of(traces, soc, ocv_v, nodes_degc, main_degc)
        pulses, at = fit_pulses(problem, at)
        capacity_ah *= pulses.capacity_factor
        shift = shift + pulses.start_shift
    ocv_v = ocv_run.rising(ocv_v + np.interp(SOC_AXIS, KNOTS, pulses.correction_v))
    gap_v = ocv_run.half_gap_v(runs, curves)
    return CellFit(
        capacity_ah=capacity_ah,
        ocv_v=ocv_v,
        hysteresis_v=gap_v if gap_v >= HYSTERESIS_LEAST_V else 0.0,
        ocv_logs=ocv_logs,
        runs=runs,
        curves_v=curves,
        pulses=pulses,
        start_soc=starts,
        notes=notes,
    )


def problem_of(
    traces: Sequence[Trace],
    soc: Sequence[np.ndarray],
    ocv_v: np.ndarray,
    nodes_degc: np.ndarray,
    main_degc: float,
) -> Problem:
    over_v = [t.voltage_v - np.interp(s, SOC_AXIS, ocv_v) for t, s in zip(traces, soc, strict=True)]
    slope_v = np.gradient(ocv_v, SOC_AXIS)
    slopes_v = [np.interp(s, SOC_AXIS, slope_v) for s in soc]
    known = [trace.log.soc is not None for trace in traces]
    return Problem(traces, soc, over_v, nodes_degc, slopes_v, main_degc, known)


def check_pulses(trace: Trace) -> None:
    log = trace.log
    if np.ptp(log.current_a) <= 0 or trace.judged.sum() < 20:
        raise ConfigError(log.path, "current_a", "no pulses", "a log with steps of current and rests (--pulses)")


def run_capacity_ah(runs: Sequence[Run], logs: Sequence[Log]) -> float:
    """Charge from SOC 0 to 1 as the OCV runs count it: by their SOC column, else by their ends."""
    known = [run.moved_ah / abs(run.soc_end - run.soc_begin) for run in runs if has_ends(run)]
    return float(np.mean(known)) if known else said_capacity_ah(logs) or runs[0].moved_ah


def has_ends(run: Run) -> bool:
    return run.soc_begin is not None and run.soc_end is not None and abs(run.soc_end - run.soc_begin) > 0.2


def said_capacity_ah(logs: Sequence[Log]) -> float | None:
    """By the SOC columns of the pulses."""
    spans = [(log.moved_ah, log.soc) for log in logs if log.soc is not None and np.ptp(log.soc) > 0.2]
    found = [float(np.ptp(moved) / np.ptp(soc)) for moved, soc in spans]
    return float(np.mean(found)) if found else None


def pulse_capacity_ah(run_ah: float, logs: Sequence[Log]) -> float:
    return said_capacity_ah(logs) or run_ah


def start_soc(trace: Trace, ocv_v: np.ndarray) -> float:
    """SOC of the first row: the log's own, else what its rested voltage says."""
    if trace.log.soc is not None:
        return float(trace.log.soc[0])
    soc = float(np.interp(trace.voltage_v[0], ocv_v, SOC_AXIS))
    return 1.0 if soc > FULL_SOC and trace.begins_at_rest else soc


def nodes_of(traces: Sequence[Trace]) -> np.ndarray:
    """Temperatures of the tables: those of the logs, near ones as one."""
    nodes: list[list[float]] = []
    for degc in sorted(float(np.median(trace.temperature_degc)) for trace in traces):
        if nodes and degc - nodes[-1][0] < SAME_K:
            nodes[-1].append(degc)
        else:
            nodes.append([degc])
    return np.array([round(float(np.mean(each)), 1) for each in nodes])
