"""How the resistances of the RC pairs follow SOC, from rests after pulses over all of it.

From the last row under load to the end of the rest the charge stays, so that OCV and hysteresis drop out of the
difference: what is left is R0 and the pairs. It is linear in the factor, and in what the unit's resistance is more or
less than the profile's, which is the unit's own and dropped: the factor is 1 in the middle of SOC.
"""

import numpy as np

from assb_host.cell_fit.circuit import responses
from assb_host.cell_fit.log_reader import Log
from assb_host.cell_fit.trace import REST_FRAC, Trace, evenly
from assb_host.config.cell import Cell
from assb_host.config.resample import over_temperature, over_temperature_and_pressure

KNOTS = np.array([0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 0.98, 1.0])
MIDDLE = (KNOTS >= 0.3) & (KNOTS <= 0.7)
MIDDLE_SIGMA = 1e-3  # of the factor's mean there about 1, by definition
VOLTAGE_SIGMA_V = 1e-4  # of a difference (assumption)
OVERVOLTAGE_FRAC = 0.03  # two pairs follow a real overvoltage no better (assumption)
PRIOR_SIGMA = 0.7  # of the factor about 1 (assumption) ...
BEND_SIGMA = 0.3  # ... and of its bend from knot to knot (assumption)


def load_factor(log: Log, start_soc: float, capacity_ah: float, cell: Cell) -> np.ndarray:
    """Factor at KNOTS. `log`: pulses either way, each with a rest that lets it relax; it begins at rest."""
    trace = evenly(log, len(log))
    soc = start_soc + trace.moved_ah / capacity_ah
    made, seen = differences(trace, soc, cell)
    bend = np.diff(np.eye(len(KNOTS)), 2, axis=0) / BEND_SIGMA
    about = np.vstack((np.eye(len(KNOTS)) / PRIOR_SIGMA, MIDDLE / MIDDLE.sum() / MIDDLE_SIGMA))
    known = np.pad(np.vstack((bend, about)), ((0, 0), (0, 1)))  # nothing of the unit's own resistance
    right = np.concatenate((seen, np.zeros(len(bend)), about.sum(axis=1)))
    return np.linalg.lstsq(np.vstack((made, known)), right, rcond=None)[0][: len(KNOTS)]


def differences(trace: Trace, soc: np.ndarray, cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    """What adds up (a column for each knot and one for the unit's own resistance), and to what: a weighted row for
    each rest."""
    loaded, rested = rests(trace)
    r0_ohm, r1_ohm, r2_ohm = resistances_ohm(cell, trace)
    fast_a, slow_a = responses(trace, soc, KNOTS, np.array([cell.rc.tau1_s, cell.rc.tau2_s]))
    pairs_v = r1_ohm[:, None] * fast_a + r2_ohm[:, None] * slow_a
    over_v = trace.voltage_v - r0_ohm * trace.current_a
    fell_v = trace.voltage_v[loaded] - trace.voltage_v[rested]
    weight = 1.0 / np.hypot(VOLTAGE_SIGMA_V, OVERVOLTAGE_FRAC * fell_v)
    made = np.column_stack((pairs_v[loaded] - pairs_v[rested], trace.current_a[loaded]))
    return weight[:, None] * made, weight * (over_v[loaded] - over_v[rested])


def rests(trace: Trace) -> tuple[np.ndarray, np.ndarray]:
    """The last row under load, and the last one of the rest after it."""
    flows = np.abs(trace.current_a) > REST_FRAC * float(np.abs(trace.current_a).max())
    loaded = np.flatnonzero(flows[:-1] & ~flows[1:])
    starts = np.append(np.flatnonzero(flows[1:] & ~flows[:-1]), len(flows) - 1)
    return loaded, starts[np.searchsorted(starts, loaded, side="right")]


def resistances_ohm(cell: Cell, trace: Trace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """R0, R1, R2 of the profile at each row's temperature, and at the trace's median pressure."""
    degc, r0, rc = trace.temperature_degc, cell.r0, cell.rc
    mpa = cell.pressure.target_mpa if trace.pressure_mpa is None else float(np.median(trace.pressure_mpa))
    r0_ohm = over_temperature_and_pressure(r0.temperature_degc, r0.pressure_mpa, r0.ohm, degc, [mpa])[:, 0]
    r1_ohm, r2_ohm = (over_temperature(rc.temperature_degc, ohm, degc) for ohm in (rc.r1_ohm, rc.r2_ohm))
    return r0_ohm, r1_ohm, r2_ohm
