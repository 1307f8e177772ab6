"""How soon an observer who knows plant and sensors perfectly could tell a leak, at the same false alarms.

With gamma readings between false alarms on average, no stopping rule has a smaller worst mean delay, as gamma grows,
than ln(gamma) / I readings, where I is the Kullback-Leibler divergence per reading of "short" from "no short" (Lorden
1971, doi:10.1214/aoms/1177693055; Page's CUSUM reaches it exactly: Moustakides 1986, doi:10.1214/aos/1176350164; the
Shiryaev-Roberts rule to within a constant: Pollak 1985, doi:10.1214/aos/1176346587). Here I is not constant, so the
bound is the time at which the divergences of all readings since the onset add up to ln(gamma).

A leak I_l moves the voltage after t by

    dV(t) = I_l (R0 + sum R_i (1 - exp(-t / tau_i))) + dOCV/dSOC I_l t / (3600 Q)

and a reading has white Gaussian noise of sigma, so its divergence is dV(t)^2 / (2 sigma^2). All that an estimator must
find out meanwhile (its own parameters, the sensors' offsets, what else happens) such an observer knows for nothing.
"""

from math import inf, isfinite, log

import numpy as np

from assb_hil.campaign.record import Observer

LONGEST_S = 30 * 86400.0  # who has not told by then does not
CHUNK_TICKS = 1000  # of the first summing; each further is twice as long


def voltage_change_v(observer: Observer, leak_a: float, since_onset_s: np.ndarray) -> np.ndarray:
    """How far the leak has moved the voltage, V, at each time."""
    share = np.zeros_like(since_onset_s)
    for ohm, tau_s in zip(observer.ohm, observer.tau_s, strict=True):
        share += ohm * (-np.expm1(-since_onset_s / tau_s) if tau_s > 0.0 else 1.0)
    return leak_a * (share + observer.slope_v * since_onset_s / (3600.0 * observer.capacity_ah))


def bound_delay_s(observer: Observer, leak_a: float, between_alarms_s: float) -> float:
    """The delay at which the divergence adds up to ln(readings between false alarms); inf: not within 30 days."""
    needed = log(max(between_alarms_s / observer.dt_s, 1.0))
    if not (leak_a > 0.0 and isfinite(needed) and observer.noise_v > 0.0):
        return 0.0 if needed <= 0.0 or (leak_a > 0.0 and observer.noise_v == 0.0) else inf
    gathered, done, ticks = 0.0, 0, CHUNK_TICKS
    while done * observer.dt_s < LONGEST_S:
        times_s = observer.dt_s * np.arange(done + 1, done + ticks + 1)
        total = gathered + np.cumsum(0.5 * (voltage_change_v(observer, leak_a, times_s) / observer.noise_v) ** 2)
        if total[-1] >= needed:
            return float(times_s[np.searchsorted(total, needed)])
        gathered, done, ticks = float(total[-1]), done + ticks, min(2 * ticks, 1_000_000)
    return inf
