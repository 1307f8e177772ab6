"""What a fit leaves unexplained, as the figures that the estimator's noise model takes.

The pulses' misfit under load at the OCV run's temperature is the one scale; its median, so that the few pulses near
empty, where a circuit fails, do not speak for all of the range. The estimator takes voltage noise as white, and the
misfit lasts from sample to sample for as long as a current does: so a sample counts as VOLTAGE_PER_MISFIT times as
uncertain. What is left for minutes (OCV, diffusion) drifts in V1 and V2. The factors are assumptions: one set for all
cells, chosen with drive cycles of three cells in sight (docs/fit.md), none of it per cell.

An OCV run that is no C/20 leaves an error that the pulses do not show: a share of the overvoltage that was taken away
from it, and at an end that no run passes a share of the rise that is missing there. It is slow, and far larger than
the misfit.
"""

import numpy as np

from assb_host.cell_fit.fit import CellFit
from assb_host.cell_fit.pulse_fit import PulseFit
from assb_host.config.cell import Learning, Noise

VOLTAGE_PER_MISFIT = 5.0
SLOW_PER_MISFIT = 0.35
FAST_C = 0.1  # an OCV run above it ...
OCV_PER_OVERVOLTAGE = 0.6  # ... leaves so much of the overvoltage taken away as the OCV's sigma (assumption)
OCV_PER_EXTRAPOLATED = 0.5  # of the rise that a straight line would have up to an end that no run passes (assumption)
VOLTAGE_PER_OCV = 2.0  # of the OCV's sigma, for one sample
LEAK_C = 1 / 200  # what a leak, or the current sensor's error that looks like one, may be before any evidence
CAPACITY_SIGMA_FRAC = 0.005  # of a capacity that was counted on this very cell
CAPACITY_DRIFT_FRAC = 0.002  # per square root of a full cycle
LOADED_FRAC = 0.1  # of the largest current
SIGMA_PER_MEDIAN = 1.4826  # of a normal distribution's magnitude
LEAST_V = 1e-3  # a voltage's own noise and the grid of the OCV; a simulated cell leaves less


def misfit_v(fit: PulseFit, main_degc: float) -> float:
    """1-sigma misfit under load of the logs nearest to a temperature."""
    away = [abs(float(np.median(trace.temperature_degc)) - main_degc) for trace in fit.traces]
    parts = []
    for trace, off_v, kept, far in zip(fit.traces, fit.misfit_v, fit.kept, away, strict=True):
        loaded = np.abs(trace.current_a) > LOADED_FRAC * np.abs(trace.current_a).max()
        if far <= min(away) + 1.0:
            parts.append(np.abs(off_v[kept & loaded]))
    return max(LEAST_V, SIGMA_PER_MEDIAN * float(np.median(np.concatenate(parts))))


def ocv_sigma_v(fit: CellFit) -> float:
    """1 sigma of an OCV whose runs are fast or stop short of an end; 0 for slow runs from full to empty."""
    return float(np.hypot(OCV_PER_OVERVOLTAGE * fast_overvoltage_v(fit), OCV_PER_EXTRAPOLATED * extrapolated_v(fit)))


def fast_overvoltage_v(fit: CellFit) -> float:
    """Median overvoltage taken away from the runs above FAST_C, in a mean to which slow ones add nothing."""
    circuit = fit.pulses.circuit
    over_v = [
        float(np.median(np.abs(circuit.overvoltage_v(run.trace, run.soc(fit.capacity_ah)))))
        if run.rate_c > FAST_C
        else 0.0
        for run in fit.runs
    ]
    return float(np.mean(over_v))


def extrapolated_v(fit: CellFit) -> float:
    """The larger rise of the OCV between an end of the SOC and where the runs come to, at the slope inside of it."""
    seen = np.flatnonzero(np.isfinite(np.array(fit.curves_v)).any(axis=0))
    first, last = int(seen[0]), int(seen[-1])
    inside = max(1, (last - first) // 8)
    low_v = (fit.ocv_v[first + inside] - fit.ocv_v[first]) / inside * first
    high_v = (fit.ocv_v[last] - fit.ocv_v[last - inside]) / inside * (len(fit.ocv_v) - 1 - last)
    return float(max(low_v, high_v))


def noise_of(fit: CellFit) -> Noise:
    left_v, ocv_v = misfit_v(fit.pulses, fit.main_degc), ocv_sigma_v(fit)
    fast = f"; A: {1e3 * ocv_v:.2g} mV of the OCV, whose runs are fast or stop short" if ocv_v else ""
    return Noise(
        source=f"M: {1e3 * left_v:.2g} mV (1 sigma) are left under load; A: 5 times that for one sample, "
        f"0.35 of it slow, a leak of C/200{fast}",
        voltage_sigma_v=float(f"{np.hypot(VOLTAGE_PER_MISFIT * left_v, VOLTAGE_PER_OCV * ocv_v):.3g}"),
        overvoltage_sigma_frac=0.05,
        rc_sigma_v=float(f"{np.hypot(SLOW_PER_MISFIT * left_v, ocv_v):.3g}"),
        leak_sigma_a=float(f"{LEAK_C * fit.capacity_ah:.3g}"),
    )


def learning_of() -> Learning:
    return Learning(
        source="A: a capacity counted on this cell; R0 stands for the first 2 s of a pulse, so steps do not show it",
        capacity_sigma_frac=CAPACITY_SIGMA_FRAC,
        capacity_drift_frac_per_rt_cycle=CAPACITY_DRIFT_FRAC,
        resistance_from_steps=False,
    )
