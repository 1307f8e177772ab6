"""What a fit leaves unexplained, as the figures that the estimator's noise model takes.

The pulses' misfit under load at the OCV run's temperature is the one scale; its median, so that the few pulses near
empty, where a circuit fails, do not speak for all of the range. The estimator takes voltage noise as white, and the
misfit lasts from sample to sample for as long as a current does: so a sample counts as VOLTAGE_PER_MISFIT times as
uncertain. What is left for minutes (OCV, diffusion) drifts in V1 and V2. The factors are assumptions: one set for all
cells, chosen with drive cycles of three cells in sight (docs/fit.md), none of it per cell.
"""

import numpy as np

from assb_host.cell_fit.fit import CellFit
from assb_host.cell_fit.pulse_fit import PulseFit
from assb_host.config.cell import Learning, Noise

VOLTAGE_PER_MISFIT = 5.0
SLOW_PER_MISFIT = 0.35
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


def noise_of(fit: CellFit) -> Noise:
    left_v = misfit_v(fit.pulses, fit.main_degc)
    return Noise(
        source=f"M: {1e3 * left_v:.2g} mV (1 sigma) are left under load; A: 5 times that for one sample, "
        "0.35 of it slow, a leak of C/200",
        voltage_sigma_v=float(f"{VOLTAGE_PER_MISFIT * left_v:.3g}"),
        overvoltage_sigma_frac=0.05,
        rc_sigma_v=float(f"{SLOW_PER_MISFIT * left_v:.3g}"),
        leak_sigma_a=float(f"{LEAK_C * fit.capacity_ah:.3g}"),
    )


def learning_of() -> Learning:
    return Learning(
        source="A: a capacity counted on this cell; R0 stands for the first 2 s of a pulse, so steps do not show it",
        capacity_sigma_frac=CAPACITY_SIGMA_FRAC,
        capacity_drift_frac_per_rt_cycle=CAPACITY_DRIFT_FRAC,
        resistance_from_steps=False,
    )
