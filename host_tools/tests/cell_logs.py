"""Logs of a made cell whose circuit is known: a slow discharge, and pulses at a temperature and pressure."""

from pathlib import Path

import numpy as np

CAPACITY_AH = 2.0
SOC = np.array([0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 1.0])
OCV_V = np.array([2.9, 3.15, 3.3, 3.42, 3.52, 3.62, 3.7, 3.82, 3.95, 4.05, 4.18])
R_OHM = (0.030, 0.012, 0.013)  # R0, R1 over 30 s, R2 over 300 s, all at 25 degC and 5 MPa
TAU_S = (30.0, 300.0)
HEAD = "time_s,voltage_v,current_a,temperature_degc"


def scale(degc: float) -> float:
    """0.3 eV."""
    return float(np.exp(0.3 / 8.617e-5 * (1 / (degc + 273.15) - 1 / 298.15)))


def voltage_v(time_s, current_a, soc0: float, degc: float = 25.0, pressure_mpa: float = 5.0) -> np.ndarray:
    """Of a current held from row to row, from rest."""
    dt_s = np.diff(time_s, prepend=time_s[0])
    soc = soc0 + np.cumsum(current_a * dt_s) / 3600 / CAPACITY_AH
    r0, r1, r2 = (scale(degc) * r for r in R_OHM)
    v1 = v2 = 0.0
    over = np.zeros(len(soc))
    for k, (i, dt) in enumerate(zip(current_a, dt_s, strict=True)):
        v1 += (1 - np.exp(-dt / TAU_S[0])) * (r1 * i - v1)
        v2 += (1 - np.exp(-dt / TAU_S[1])) * (r2 * i - v2)
        over[k] = v1 + v2 + r0 * (pressure_mpa / 5.0) ** -0.5 * i
    return np.interp(soc, SOC, OCV_V) + over


def write_log(
    path: Path, time_s, current_a, soc0: float, degc: float = 25.0, pressure_mpa: float | None = None
) -> Path:
    """With 1 mV rms of noise; a pressure column where one is given."""
    noise_v = np.random.default_rng(1).normal(0, 1e-3, len(time_s))
    volts = voltage_v(time_s, current_a, soc0, degc, pressure_mpa or 5.0) + noise_v
    columns = [time_s, volts, current_a, np.full(len(time_s), degc)]
    columns += [] if pressure_mpa is None else [np.full(len(time_s), pressure_mpa)]
    head = HEAD + ("" if pressure_mpa is None else ",pressure_mpa")
    np.savetxt(path, np.stack(columns, axis=1), delimiter=",", header=head, comments="", fmt="%.8g")
    return path


def slow_discharge(path: Path, hours=20.0, sample_s=60.0) -> Path:
    """From full to empty, by default at C/20 with a row a minute, after a rest."""
    time_s = np.arange(0.0, hours * 3600 + 600, sample_s)
    return write_log(path, time_s, np.where(time_s > 600, -CAPACITY_AH / hours, 0.0), 1.0)


def pulses(path: Path, sample_s=1.0, degc=25.0, pressure_mpa=None, returns=True, rest_s=1200.0) -> Path:
    """Nine times: 10 s of 1C, a rest, 10 s of charge (if `returns`), a rest, a tenth of the capacity at C/2, a rest."""
    steps = [(60.0, 0.0)]
    for _ in range(9):
        steps += [(10 * sample_s, -CAPACITY_AH), (rest_s, 0.0)]
        steps += [(10 * sample_s, 0.75 * CAPACITY_AH), (rest_s, 0.0)] if returns else []
        steps += [(660.0, -CAPACITY_AH / 2), (rest_s, 0.0)]
    currents = [np.full(max(1, round(length / sample_s)), amps) for length, amps in steps if length]
    current_a = np.concatenate([[0.0], *currents])
    return write_log(path, sample_s * np.arange(len(current_a)), current_a, 1.0, degc, pressure_mpa)
