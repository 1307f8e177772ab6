"""The plant fitted to another program's cell: OCV from C/20, resistances and time constants from HPPC, nothing else.

Traces are solutions of PyBaMM: a lithium-metal half cell (Xu2019, DFN) and an NMC811 cell (Chen2020, SPMe). They are
models too, but not ours: particles that diffuse, Butler-Volmer kinetics, an electrolyte with a concentration. What is
found here is how far a circuit with three pairs follows them on cycles that it was not fitted on. Every run is one of
the C plant, at the temperature that the trace has: PyBaMM's lumped heat leaves out the heat of mixing, and ours closes
the energy, so that the same voltage does not mean the same heat.

How the fit is set up (knots, ranges, weights) was chosen with the judged cycles in sight; its numbers never saw them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from assb_host.cell_fit.least_squares import fitted
from assb_kernels import CellParams, Pack, Stack, ocv_table

KELVIN = 273.15
REFERENCE_DEGC = 25.0
AXIS = np.linspace(0, 1, 129)
KNOTS = np.arange(0, 0.98, 0.025)  # SOC of rc_factor; the pulses begin at 0.98
POLYGON_STEPS = 10  # of the plant from row to row of a drive cycle
FAST_TAU_S = 0.05  # charge transfer, at once on the rows' scale: these models have no double layer
LN_SLOW_TAU_S = np.log([[10.0, 100.0], [100.0, 3000.0]])  # lowest and highest of the two diffusion pairs
HIGHEST_EV = 1.0
SPREAD_V, SPREAD_COLD_V, ROUGHNESS = 1e-3, 3.3e-3, 0.11  # what a residual of one means
START = np.concatenate((np.log([0.01, 0.004, 0.004, 0.004]), np.zeros(2), [0.3, 0.1], np.zeros(len(KNOTS))))


@dataclass(frozen=True)
class Trace:
    """Columns on an even time grid; + charges. SOC by counting."""

    time_s: Any
    current_a: Any
    voltage_v: Any
    temperature_degc: Any
    soc: Any
    capacity_ah: float

    @property
    def dt_s(self) -> float:
        return float(self.time_s[1] - self.time_s[0])

    @property
    def is_steps(self) -> bool:
        """Constant currents one after the other, and not a drive cycle."""
        return len(np.unique(self.current_a)) < 10

    @property
    def judged(self) -> Any:
        """Rows within SOC 0..1 at which the current does not jump."""
        jumps = np.concatenate(([True], np.diff(self.current_a) != 0))
        return (self.soc >= 0) & ~(jumps & self.is_steps)


@dataclass(frozen=True)
class Known:
    """What the fit sees. C/20: the discharge last, for a charge ends at its voltage before the cell is full."""

    slow: Sequence[Trace]
    pulses: Trace
    cold_pulses: Trace | None = None


@dataclass(frozen=True)
class Guess:
    """A vector of parameters by name."""

    r0_ohm: float
    rc_ohm: Any
    rc_tau_s: Any
    r0_ev: float
    rc_ev: float
    factor: Any

    @classmethod
    def of(cls, at: np.ndarray) -> "Guess":
        at = np.clip(at, -20, 20)
        low, high = LN_SLOW_TAU_S
        slow_s = np.exp(low + (high - low) / (1 + np.exp(-at[4:6])))
        r0_ev, rc_ev = np.minimum(np.abs(at[6:8]), HIGHEST_EV)
        return cls(
            r0_ohm=float(np.exp(at[0])),
            rc_ohm=np.exp(at[1:4]),
            rc_tau_s=np.concatenate(([FAST_TAU_S], slow_s)),
            r0_ev=float(r0_ev),
            rc_ev=float(rc_ev),
            factor=np.exp(at[8:]),
        )


def load_trace(path: Path) -> Trace:
    """Of an npz whose current counts + for discharge."""
    data = np.load(path)
    column = {name: data[name].astype(float) for name in ("t", "I", "V", "T", "soc")}
    return Trace(column["t"], -column["I"], column["V"], column["T"] - KELVIN, column["soc"], float(data["Q_Ah"]))


def fit_trace(known: Known, rounds: int = 40) -> CellParams:
    return cell_of(known, fitted(lambda at: misfit(known, at), START, rounds))


def misfit(known: Known, at: np.ndarray) -> np.ndarray:
    """Voltage of the pulses and of C/20, how rough rc_factor is, and how far the rest is from the start."""
    cell, ln_factor = cell_of(known, at), np.log(Guess.of(at).factor)
    off = [voltage_off(cell, trace) / SPREAD_V for trace in (known.pulses, *known.slow)]
    if known.cold_pulses:
        off.append(voltage_off(cell, known.cold_pulses) / SPREAD_COLD_V)
    off += [np.diff(ln_factor, 2) / ROUGHNESS, [10 * ln_factor.mean()], 0.01 * (at - START)]
    return np.concatenate(off)


def cell_of(known: Known, at: np.ndarray) -> CellParams:
    """The OCV follows from the other parameters: C/20 less the overvoltage that they make of it."""
    guess = Guess.of(at)
    curves_v = [equilibrium_v(guess, known, trace) for trace in known.slow]
    charged_to = max((trace.soc[-1] for trace in known.slow[:-1]), default=1.0)
    return circuit(guess, known, np.where(charged_to >= AXIS, np.mean(curves_v, axis=0), curves_v[-1]))


def equilibrium_v(guess: Guess, known: Known, trace: Trace) -> Any:
    """OCV on AXIS by one direction of C/20."""
    over_v = simulated_v(circuit(guess, known, np.zeros(len(AXIS))), trace)
    order = np.argsort(trace.soc)
    inside = order[(trace.soc[order] >= 0) & (trace.soc[order] <= 1)]
    return np.interp(AXIS, trace.soc[inside], (trace.voltage_v - over_v)[inside])


def circuit(guess: Guess, known: Known, ocv_v: Any) -> CellParams:
    """A cell whose temperature is its surroundings', without hysteresis and reversible heat."""
    return CellParams(
        capacity_ah=known.pulses.capacity_ah,
        ocv_v=ocv_table(AXIS.tolist(), ocv_v.tolist()),
        layers=1,
        layer_area_cm2=1,
        se_ohm_cm2=guess.r0_ohm,
        contact_ohm_cm2=0.0,
        se_activation_ev=guess.r0_ev,
        rc_activation_ev=guess.rc_ev,
        reference_k=REFERENCE_DEGC + KELVIN,
        rc_ohm=tuple(guess.rc_ohm.tolist()),
        rc_tau_s=tuple(guess.rc_tau_s.tolist()),
        rc_factor=np.interp(AXIS, KNOTS, guess.factor).tolist(),
        core_j_per_k=1.0,
        surface_j_per_k=0.01,
        core_surface_w_per_k=1e8,
        surface_ambient_w_per_k=1e6,
    )


def simulated_v(cell: CellParams, trace: Trace) -> Any:
    """Voltage at every row, with the row's own current, which R0 answers at once; row 0 is the start at rest."""
    pack = Pack(
        [cell],
        [Stack()],
        soc=min(max(float(trace.soc[0]), 0.0), 1.0),
        temperature_degc=float(trace.temperature_degc[0]),
    )
    first_v = pack.voltage_v + trace.current_a[0] * pack.cells[0].r0_ohm
    held_a, parts = held_current_a(trace)
    room_degc = np.repeat(trace.temperature_degc[1:], parts)
    run = pack.run(held_a, trace.dt_s / parts, ambient_degc=room_degc, results=("voltage_v", "r0_ohm"))
    voltage_v, r0_ohm = (np.asarray(run[name])[parts - 1 :: parts] for name in ("voltage_v", "r0_ohm"))
    return np.concatenate(([first_v], voltage_v + r0_ohm * (trace.current_a[1:] - held_a[parts - 1 :: parts])))


def held_current_a(trace: Trace) -> tuple[Any, int]:
    """Current of each step of the plant, and steps per row: pulses hold from row to row, a drive cycle is a polygon."""
    current_a = trace.current_a
    if trace.is_steps:
        return current_a[:-1].copy(), 1
    middle = (np.arange(POLYGON_STEPS) + 0.5) / POLYGON_STEPS
    return (current_a[:-1, None] + np.diff(current_a)[:, None] * middle).ravel(), POLYGON_STEPS


def voltage_off(cell: CellParams, trace: Trace) -> Any:
    """Simulated less traced voltage of the judged rows, V."""
    return (simulated_v(cell, trace) - trace.voltage_v)[trace.judged]


def rmse_v(cell: CellParams, trace: Trace) -> float:
    return float(np.sqrt(np.mean(voltage_off(cell, trace) ** 2)))
