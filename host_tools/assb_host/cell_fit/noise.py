"""What a fit leaves unexplained, as the figures that the estimator's noise model takes."""

import numpy as np

from assb_host.cell_fit.fit import CellFit
from assb_host.config.cell import Noise


def residuals(fit: CellFit) -> tuple[float, float]:
    """(rms of the misfit at rest in V, rms of the misfit under load over the overvoltage)."""
    rest, load = [], []
    for trace, off, kept in zip(fit.pulses.traces, fit.pulses.misfit_v, fit.pulses.kept, strict=True):
        loaded = np.abs(trace.current_a) > 0.1 * np.abs(trace.current_a).max()
        rest.append(off[kept & ~loaded])
        load.append((off / np.abs(trace.current_a).clip(1e-9))[kept & loaded])
    return float(np.sqrt(np.mean(np.concatenate(rest) ** 2))), float(np.sqrt(np.mean(np.concatenate(load) ** 2)))


def noise_of(fit: CellFit) -> Noise:
    rest_v, _ = residuals(fit)
    return Noise(
        source=f"M: {1e3 * rest_v:.2g} mV rms left at rest; A: what of it is slow",
        voltage_sigma_v=0.02,
        rc_sigma_v=0.008,
        leak_sigma_a=float(f"{fit.capacity_ah / 500:.3g}"),
    )
