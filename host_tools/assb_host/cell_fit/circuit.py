"""The estimator's circuit as something to fit: V = OCV(SOC) + R0(T) i + V1 + V2, with factor(SOC) on both pairs.

For given time constants the voltage is linear in `r factor`, so the response of a pair is computed once per knot of
the factor (a low-pass of the current that flowed near that knot) and a guess costs one product of matrices.
"""

from dataclasses import dataclass

import numpy as np

from assb_host.cell_fit.trace import Trace
from assb_host.config.resample import over_temperature


def hats(x: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """(len(x), len(knots)): weights of straight lines between knots; held beyond the ends."""
    at = np.clip(np.searchsorted(knots, x, side="right") - 1, 0, len(knots) - 2)
    place = np.clip((x - knots[at]) / (knots[at + 1] - knots[at]), 0.0, 1.0)
    weights = np.zeros((len(x), len(knots)))
    rows = np.arange(len(x))
    weights[rows, at] = 1.0 - place
    weights[rows, at + 1] = place
    return weights


def responses(trace: Trace, soc: np.ndarray, knots: np.ndarray, tau_s: np.ndarray) -> np.ndarray:
    """(len(tau_s), rows, knots): low-passed current near each knot, in A, from rest; exact for a held current."""
    middle = 0.5 * (soc + np.concatenate((soc[:1], soc[:-1])))
    drive_a = hats(middle, knots) * trace.mean_a[:, None]
    kept = np.exp(-trace.dt_s[:, None] / tau_s)[:, :, None]
    out = np.zeros((len(trace), len(tau_s), len(knots)))
    state = np.zeros((len(tau_s), len(knots)))
    for row in range(1, len(trace)):
        state = kept[row] * state + (1.0 - kept[row]) * drive_a[row]
        out[row] = state
    return out.transpose(1, 0, 2)


@dataclass(frozen=True)
class Circuit:
    """Resistances per temperature at factor 1, the factor at `knots` of SOC, and two time constants."""

    tau_s: tuple[float, float]
    temperature_degc: np.ndarray
    r0_ohm: np.ndarray
    r1_ohm: np.ndarray
    r2_ohm: np.ndarray
    knots: np.ndarray
    factor: np.ndarray

    def at(self, degc: float) -> tuple[float, float, float]:
        """R0, R1, R2 at a temperature: Arrhenius between and beyond the measured ones."""

        def there(ohm: np.ndarray) -> float:
            return float(over_temperature(self.temperature_degc, ohm, [degc])[0])

        return there(self.r0_ohm), there(self.r1_ohm), there(self.r2_ohm)

    def overvoltage_v(self, trace: Trace, soc: np.ndarray) -> np.ndarray:
        """R0 i + V1 + V2 along a trace, at its median temperature."""
        r0, r1, r2 = self.at(float(np.median(trace.temperature_degc)))
        slow = responses(trace, soc, self.knots, np.array(self.tau_s)) @ self.factor
        return r0 * trace.current_a + r1 * slow[0] + r2 * slow[1]
