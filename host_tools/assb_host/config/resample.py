"""Tables of a cell file onto the grids that the estimator works with."""

import numpy as np

BOLTZMANN_EV_PER_K = 8.617333262e-5
ZERO_K = 273.15


def rising_curve(x, y, grid) -> np.ndarray:
    """Monotone cubic through the points (Fritsch and Carlson, doi:10.1137/0717021, slopes by the harmonic mean of
    Fritsch and Butland, doi:10.1137/0905021): no overshoot, so a rising OCV stays rising."""
    x, y, grid = (np.asarray(values, dtype=float) for values in (x, y, grid))
    step = np.diff(x)
    slope = np.diff(y) / step
    tangent = np.empty_like(y)
    tangent[0], tangent[-1] = slope[0], slope[-1]
    left, right = slope[:-1], slope[1:]
    weight_left, weight_right = 2 * step[1:] + step[:-1], step[1:] + 2 * step[:-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        harmonic = (weight_left + weight_right) / (weight_left / left + weight_right / right)
    tangent[1:-1] = np.where(left * right > 0, harmonic, 0.0)
    at = np.clip(np.searchsorted(x, grid, side="right") - 1, 0, len(x) - 2)
    h, t = step[at], (grid - x[at]) / step[at]
    t2, t3 = t * t, t * t * t
    value = (2 * t3 - 3 * t2 + 1) * y[at] + (t3 - 2 * t2 + t) * h * tangent[at]
    return value + (3 * t2 - 2 * t3) * y[at + 1] + (t3 - t2) * h * tangent[at + 1]


def arrhenius_coordinate(temperature_degc) -> np.ndarray:
    """1/(k_B T): the logarithm of a thermally activated resistance is a straight line in it."""
    return 1.0 / (BOLTZMANN_EV_PER_K * (np.asarray(temperature_degc, dtype=float) + ZERO_K))


def line_through(x, y, grid) -> np.ndarray:
    """Straight pieces through the points, the end pieces going on; one point alone is constant."""
    x, y, grid = (np.asarray(values, dtype=float) for values in (x, y, grid))
    if len(x) == 1:
        return np.full(grid.shape, y[0])
    order = np.argsort(x)
    x, y = x[order], y[order]
    at = np.clip(np.searchsorted(x, grid, side="right") - 1, 0, len(x) - 2)
    return y[at] + (y[at + 1] - y[at]) * (grid - x[at]) / (x[at + 1] - x[at])


def over_temperature(temperature_degc, ohm, grid_degc) -> np.ndarray:
    """A resistance at other temperatures: Arrhenius between the points and beyond them."""
    log_ohm = np.log(np.asarray(ohm, dtype=float))
    return np.exp(line_through(arrhenius_coordinate(temperature_degc), log_ohm, arrhenius_coordinate(grid_degc)))


def over_temperature_and_pressure(temperature_degc, pressure_mpa, ohm, grid_degc, grid_mpa) -> np.ndarray:
    """R0 on another grid, rows by temperature: a power law in pressure and Arrhenius in temperature between points."""
    log_ohm = np.log(np.asarray(ohm, dtype=float))
    grid_log_mpa = np.log(np.asarray(grid_mpa, dtype=float))
    by_pressure = np.array([line_through(np.log(pressure_mpa), row, grid_log_mpa) for row in log_ohm])
    x, grid_x = arrhenius_coordinate(temperature_degc), arrhenius_coordinate(grid_degc)
    return np.exp(np.array([line_through(x, column, grid_x) for column in by_pressure.T]).T)


def critical_over_temperature_and_pressure(
    temperature_degc, pressure_mpa, value, exponent, activation_ev, grid_degc, grid_mpa
) -> np.ndarray:
    """A critical current on a grid, rows by temperature: power law in pressure between points and beyond them (with
    `exponent` about a single one), larger when warm by Arrhenius' law."""
    x, log_value = np.log(np.asarray(pressure_mpa, dtype=float)), np.log(np.asarray(value, dtype=float))
    grid_x = np.log(np.asarray(grid_mpa, dtype=float))
    by_pressure = line_through(x, log_value, grid_x) if len(x) > 1 else log_value[0] + exponent * (grid_x - x[0])
    warmer = activation_ev * (arrhenius_coordinate(temperature_degc) - arrhenius_coordinate(grid_degc))
    return np.exp(by_pressure[None, :] + warmer[:, None])
