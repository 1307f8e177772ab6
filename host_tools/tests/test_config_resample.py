"""Tables of a cell file on the estimator's grids: no overshoot, and the physics between the points."""

import numpy as np
import pytest
from assb.estimation import flat_layout
from assb.estimation import parameters as layout
from assb_host.config import load_pack
from assb_host.config.image_builder import estimator_values
from assb_host.config.resample import (
    arrhenius_coordinate,
    over_temperature_and_pressure,
    rising_curve,
)
from hypothesis import given
from hypothesis import strategies as st


@given(
    st.lists(st.floats(0.01, 1.0), min_size=3, max_size=20), st.lists(st.floats(0.001, 1.0), min_size=20, max_size=20)
)
def test_a_rising_table_stays_rising_and_goes_through_its_points(gaps, steps):
    x = np.concatenate([[0.0], np.cumsum(gaps)])
    y = np.concatenate([[2.0], 2.0 + np.cumsum(steps[: len(gaps)])])
    grid = np.linspace(0.0, x[-1], 500)
    curve = rising_curve(x, y, grid)
    assert np.all(np.diff(curve) >= -1e-12)
    assert rising_curve(x, y, x) == pytest.approx(y)


def law(temperature_degc, pressure_mpa):
    heat = np.exp(0.34 * (arrhenius_coordinate(temperature_degc) - arrhenius_coordinate(25.0)))
    return 0.08 * heat * (np.asarray(pressure_mpa) / 5.0) ** -0.55


def test_an_arrhenius_and_power_law_is_exact_between_and_beyond_its_points():
    temperatures, pressures = [0.0, 25.0, 60.0], [1.0, 5.0, 10.0]
    table = [[law(t, p) for p in pressures] for t in temperatures]
    grid_degc, grid_mpa = np.linspace(-10, 80, 12), np.geomspace(0.5, 12, 8)
    got = over_temperature_and_pressure(temperatures, pressures, table, grid_degc, grid_mpa)
    assert got == pytest.approx(np.array([law(t, grid_mpa) for t in grid_degc]), rel=1e-9)


def test_one_measured_temperature_stands_for_all():
    got = over_temperature_and_pressure([25.0], [5.0], [[0.1]], np.array([0.0, 80.0]), np.array([1.0, 9.0]))
    assert got == pytest.approx(np.full((2, 2), 0.1))


def test_the_reference_cell_fills_the_estimators_layout_near_its_own_table():
    pack = load_pack("li_lpscl_nca")
    values = estimator_values(pack)
    assert len(flat_layout.pack(values)) == layout.SIZE
    degc, mpa = values["r0_temperature_degc"], values["r0_pressure_mpa"]
    grid = np.array(values["r0_ohm"]).reshape(len(degc), len(mpa))
    at_25 = [np.interp(25.0, degc, column) for column in grid.T]
    assert np.interp(5.0, mpa, at_25) == pytest.approx(0.125, rel=0.04)  # bilinear between knots, as the kernel does
