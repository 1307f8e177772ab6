"""The estimator's filter as one would write it with numpy, and with filterpy where that is installed: what the kernel's
speed is compared with.

Same five states, same tables, same Jacobians, same Joseph form; neither checks, gates or adapts, and the error of the
resistances is plain noise of the voltage here. The kernel does more, and is the faster one.
"""

import math

import numpy as np
from assb.estimation import flat_layout

from assb_hil.kernel_drive import START_SIGMA, START_SOC

STATES = 5
BEND_WEIGHT = 20.0  # as the kernel: how much a bent OCV widens the voltage's variance
HYSTERESIS_UNKNOWN = 0.333


class Model:
    """The cell's equations at one sample: Jacobians and noises of the five states as numpy arrays."""

    def __init__(self, flat: list[float], dt_s: float) -> None:
        at = 0
        self.p: dict = {}
        for name, count, _default in flat_layout.ROWS:
            self.p[name] = flat[at] if count == 1 else np.array(flat[at : at + count])
            at += count
        p = self.p
        p["r0_ohm"] = p["r0_ohm"].reshape(len(p["r0_temperature_degc"]), -1)
        p["soc"] = np.linspace(0.0, 1.0, len(p["ocv_v"]))
        self.d1, self.d2 = -math.expm1(-dt_s / p["tau1_s"]), -math.expm1(-dt_s / p["tau2_s"])
        self.dl = -math.expm1(-dt_s / p["leak_tau_s"])
        self.per_a = dt_s / (3600 * p["capacity_ah"])
        self.soc_var = p["soc_noise_frac_per_rts"] ** 2 * dt_s
        self.x = np.array([START_SOC, 0.0, 0.0, 0.0, 0.0])
        leak_var, rc_var = p["leak_sigma_a"] ** 2, p["rc_sigma_v"] ** 2
        self.P = np.diag([START_SIGMA**2, rc_var, rc_var, HYSTERESIS_UNKNOWN, leak_var])

    def resistances(self, soc: float, degc: float, mpa: float) -> tuple[float, float, float]:
        p = self.p
        along = [np.interp(mpa, p["r0_pressure_mpa"], row) for row in self.warm_rows(degc)]
        fraction = self.warm_fraction
        factor = np.interp(soc, p["soc"], p["rc_factor"])
        r1, r2 = (factor * np.interp(degc, p["r0_temperature_degc"], p[name]) for name in ("r1_ohm", "r2_ohm"))
        return along[0] + fraction * (along[1] - along[0]), r1, r2

    def warm_rows(self, degc: float) -> np.ndarray:
        axis = self.p["r0_temperature_degc"]
        row = int(np.searchsorted(axis, degc)) - 1
        self.warm_fraction = (degc - axis[row]) / (axis[row + 1] - axis[row])
        return self.p["r0_ohm"][row : row + 2]

    def time_step(
        self, x: np.ndarray, amps: float, degc: float, mpa: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The state a step later, F and Q; the resistance is kept for `voltage`."""
        p, d1, d2, dl = self.p, self.d1, self.d2, self.dl
        r0, r1, r2 = self.resistances(x[0], degc, mpa)
        self.r0_ohm = r0
        inner_a = amps - x[4]
        sign = float(np.sign(inner_a))
        counted = self.per_a * (p["coulombic_efficiency_frac"] if inner_a > 0 else 1.0)
        turn = self.per_a * p["hysteresis_rate"]
        dh = -math.expm1(-turn * abs(inner_a))
        f = np.diag([1.0, 1 - d1, 1 - d2, 1 - dh, 1 - dl])
        f[:4, 4] = (-counted, -d1 * r1, -d2 * r2, -(sign - x[3]) * (1 - dh) * turn * sign)
        moved = np.array([counted * inner_a, d1 * (r1 * inner_a - x[1]), d2 * (r2 * inner_a - x[2])])
        after = x + np.array([*moved, dh * (sign - x[3]), -dl * x[4]])
        over, rc_var = p["overvoltage_sigma_frac"], p["rc_sigma_v"] ** 2
        drift1, drift2 = over * r1 * inner_a, over * (r0 + r2) * inner_a
        q = np.diag([
            self.soc_var,
            (rc_var + drift1**2) * d1 * (2 - d1),
            (rc_var + drift2**2) * d2 * (2 - d2),
            p["hysteresis_sigma_frac"] ** 2 * dh * (2 - dh),
            p["leak_sigma_a"] ** 2 * dl * (2 - dl),
        ])  # fmt: skip
        return after, f, q

    def slope(self, x: np.ndarray) -> np.ndarray:
        """dV/dstate, 1 x 5."""
        dv = np.interp(x[0], self.p["soc"], self.p["docv_v"])
        return np.array([[dv, 1.0, 1.0, self.p["hysteresis_v"], -self.r0_ohm]])

    def voltage(self, x: np.ndarray, amps: float, degc: float) -> float:
        p = self.p
        open_v = np.interp(x[0], p["soc"], p["ocv_v"]) + p["entropy_v_per_k"] * (degc - p["ocv_temperature_degc"])
        return open_v + x[1] + x[2] + p["hysteresis_v"] * x[3] + self.r0_ohm * (amps - x[4])

    def noise_var(self, x: np.ndarray, variance: float, amps: float) -> float:
        p = self.p
        knot = min(int(x[0] * (len(p["soc"]) - 1)), len(p["soc"]) - 2)
        bend = (p["docv_v"][knot + 1] - p["docv_v"][knot]) * (len(p["soc"]) - 1) * variance
        drop = p["overvoltage_sigma_frac"] * self.r0_ohm * amps
        return p["voltage_sigma_v"] ** 2 + BEND_WEIGHT * bend**2 + drop**2


class NumpyFilter(Model):
    """One cell with numpy's matrices."""

    def step(self, volts: float, amps: float, degc: float, mpa: float, _dt_s: float) -> None:
        x, f, q = self.time_step(self.x, amps, degc, mpa)
        predicted = f @ self.P @ f.T + q
        h = self.slope(x)
        r = self.noise_var(x, predicted[0, 0], amps)
        cross = predicted @ h.T
        gain = cross / (h @ cross + r)
        self.x = x + gain[:, 0] * (volts - self.voltage(x, amps, degc))
        left = np.eye(STATES) - gain @ h
        self.P = left @ predicted @ left.T + r * (gain @ gain.T)


class FilterpyFilter(Model):
    """One cell with filterpy's ExtendedKalmanFilter; raises ImportError where filterpy is not installed."""

    def __init__(self, flat: list[float], dt_s: float) -> None:
        from filterpy.kalman import ExtendedKalmanFilter  # pyright: ignore[reportMissingImports]

        super().__init__(flat, dt_s)
        self.ekf = ExtendedKalmanFilter(dim_x=STATES, dim_z=1)
        self.ekf.x, self.ekf.P = self.x, self.P
        self.ekf.predict_x = lambda u=0: setattr(self.ekf, "x", self.after)

    def step(self, volts: float, amps: float, degc: float, mpa: float, _dt_s: float) -> None:
        ekf = self.ekf
        self.after, ekf.F, ekf.Q = self.time_step(ekf.x, amps, degc, mpa)
        ekf.predict()
        ekf.R = np.array([[self.noise_var(ekf.x, ekf.P[0, 0], amps)]])
        ekf.update(np.array([volts]), self.slope, lambda x: np.array([self.voltage(x, amps, degc)]))
        self.x, self.P = ekf.x, ekf.P
