"""The estimator's filter as one would write it with numpy, and with filterpy where that is installed: what the kernel's
speed is compared with.

Same five states, same tables, same Jacobians, same Joseph form; neither checks, gates or adapts, and the error of the
resistances is plain noise of the voltage here. The kernel does more, and is the faster one.
"""

import math
from bisect import bisect_right

import numpy as np
from assb.estimation import flat_layout

from assb_hil.kernel_drive import START_SIGMA, START_SOC

STATES = 5
BEND_WEIGHT = 20.0  # as the kernel: how much a bent OCV widens the voltage's variance
HYSTERESIS_UNKNOWN = 0.333


def place(axis: list[float], x: float) -> tuple[int, float]:
    """Cell of x on a rising axis, and the fraction inside; held at the ends."""
    k = min(max(bisect_right(axis, x) - 1, 0), len(axis) - 2)
    return k, min(max((x - axis[k]) / (axis[k + 1] - axis[k]), 0.0), 1.0)


def between(table: list[float], at: tuple[int, float]) -> float:
    k, fraction = at
    return table[k] + fraction * (table[k + 1] - table[k])


class Model:
    """The cell's equations at one sample, in plain floats (numpy's interp is slower for one number); Jacobians and
    noises of the five states as numpy arrays."""

    def __init__(self, flat: list[float], dt_s: float) -> None:
        at = 0
        self.p: dict = {}
        for name, count, _default in flat_layout.ROWS:
            self.p[name] = flat[at] if count == 1 else flat[at : at + count]
            at += count
        p = self.p
        width = len(p["r0_pressure_mpa"])
        self.r0_rows = [p["r0_ohm"][k : k + width] for k in range(0, len(p["r0_ohm"]), width)]
        self.last = len(p["ocv_v"]) - 1
        self.d1, self.d2 = -math.expm1(-dt_s / p["tau1_s"]), -math.expm1(-dt_s / p["tau2_s"])
        self.dl = -math.expm1(-dt_s / p["leak_tau_s"])
        self.per_a = dt_s / (3600 * p["capacity_ah"])
        self.soc_var = p["soc_noise_frac_per_rts"] ** 2 * dt_s
        self.x = np.array([START_SOC, 0.0, 0.0, 0.0, 0.0])
        leak_var, rc_var = p["leak_sigma_a"] ** 2, p["rc_sigma_v"] ** 2
        self.P = np.diag([START_SIGMA**2, rc_var, rc_var, HYSTERESIS_UNKNOWN, leak_var])

    def soc_place(self, soc: float) -> tuple[int, float]:
        k = min(max(int(soc * self.last), 0), self.last - 1)
        return k, soc * self.last - k

    def resistances(self, soc: float, degc: float, mpa: float) -> tuple[float, float, float]:
        p = self.p
        row, fraction = warm = place(p["r0_temperature_degc"], degc)
        pressed = place(p["r0_pressure_mpa"], mpa)
        cold_ohm, warm_ohm = between(self.r0_rows[row], pressed), between(self.r0_rows[row + 1], pressed)
        factor = between(p["rc_factor"], self.soc_place(soc))
        r0_ohm = cold_ohm + fraction * (warm_ohm - cold_ohm)
        return r0_ohm, factor * between(p["r1_ohm"], warm), factor * between(p["r2_ohm"], warm)

    def time_step(
        self, x: np.ndarray, amps: float, degc: float, mpa: float
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The state a step later, F and Q; the resistance is kept for `voltage`."""
        p, d1, d2, dl = self.p, self.d1, self.d2, self.dl
        soc, v1, v2, hys, leak = x.tolist()
        r0, r1, r2 = self.resistances(soc, degc, mpa)
        self.r0_ohm = r0
        inner_a = amps - leak
        sign = (inner_a > 0) - (inner_a < 0)
        counted = self.per_a * (p["coulombic_efficiency_frac"] if inner_a > 0 else 1.0)
        turn = self.per_a * p["hysteresis_rate"]
        dh = -math.expm1(-turn * abs(inner_a))
        f, q = np.eye(STATES), np.zeros((STATES, STATES))
        f[1, 1], f[2, 2], f[3, 3], f[4, 4] = 1 - d1, 1 - d2, 1 - dh, 1 - dl
        f[:4, 4] = (-counted, -d1 * r1, -d2 * r2, -(sign - hys) * (1 - dh) * turn * sign)
        v1, v2 = v1 + d1 * (r1 * inner_a - v1), v2 + d2 * (r2 * inner_a - v2)
        after = np.array([soc + counted * inner_a, v1, v2, hys + dh * (sign - hys), leak - dl * leak])
        over, rc_var = p["overvoltage_sigma_frac"], p["rc_sigma_v"] ** 2
        drift1, drift2 = over * r1 * inner_a, over * (r0 + r2) * inner_a
        q[0, 0] = self.soc_var
        q[1, 1], q[2, 2] = (rc_var + drift1**2) * d1 * (2 - d1), (rc_var + drift2**2) * d2 * (2 - d2)
        q[3, 3], q[4, 4] = p["hysteresis_sigma_frac"] ** 2 * dh * (2 - dh), p["leak_sigma_a"] ** 2 * dl * (2 - dl)
        return after, f, q

    def slope(self, x: np.ndarray) -> np.ndarray:
        """dV/dstate, 1 x 5."""
        dv = between(self.p["docv_v"], self.soc_place(float(x[0])))
        return np.array([[dv, 1.0, 1.0, self.p["hysteresis_v"], -self.r0_ohm]])

    def voltage(self, x: np.ndarray, amps: float, degc: float) -> float:
        p, (soc, v1, v2, hys, leak) = self.p, x.tolist()
        open_v = between(p["ocv_v"], self.soc_place(soc)) + p["entropy_v_per_k"] * (degc - p["ocv_temperature_degc"])
        return open_v + v1 + v2 + p["hysteresis_v"] * hys + self.r0_ohm * (amps - leak)

    def noise_var(self, x: np.ndarray, variance: float, amps: float) -> float:
        p, (knot, _fraction) = self.p, self.soc_place(float(x[0]))
        bend = (p["docv_v"][knot + 1] - p["docv_v"][knot]) * self.last * variance
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
