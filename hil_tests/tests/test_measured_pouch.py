"""The plant's thermal and mechanical nodes against a real pouch (see pouch_fit.py): at most 10 % of the span off, at
every moment, at rates that the fit did not see."""

from dataclasses import replace

import pytest
from pouch_fit import fit_cell, load_pouch, rise_off, thickness_off
from reference_data import data_folder

ALLOWED_FRAC = 0.10


@pytest.fixture(scope="module")
def pouch():
    return load_pouch(data_folder("enertech_swelling"))


@pytest.fixture(scope="module")
def cell(pouch):
    return fit_cell(pouch)


@pytest.mark.parametrize("rate", [0.5, 2.0])
def test_thickness_fitted_at_two_rates_predicts_the_others(pouch, cell, rate):
    assert thickness_off(pouch, cell, rate)["max_frac"] <= ALLOWED_FRAC


def test_temperature_fitted_at_1c_predicts_2c(pouch, cell):
    assert rise_off(pouch, cell, 2.0)["max_frac"] <= ALLOWED_FRAC


def test_a_straight_swelling_curve_is_found_out(pouch, cell):
    straight = replace(cell, swelling_frac=[k / 128 for k in range(129)])
    assert thickness_off(pouch, straight, 0.5)["max_frac"] > ALLOWED_FRAC


def test_a_cell_without_reversible_heat_and_half_the_cooling_is_found_out(pouch, cell):
    wrong = replace(cell, entropy_v_per_k=0.0, surface_ambient_w_per_k=0.5 * cell.surface_ambient_w_per_k)
    assert rise_off(pouch, wrong, 2.0)["max_frac"] > ALLOWED_FRAC


def test_the_fit_finds_figures_that_a_pouch_of_50_g_can_have(cell):
    """35 to 80 J/K is 0.7 to 1.6 J/gK; entropies of such cells are within 0.5 mV/K."""
    assert 35 < cell.core_j_per_k + cell.surface_j_per_k < 80
    assert max(abs(value) for value in cell.entropy_v_per_k) < 5e-4
    assert cell.expansion_um_per_k > 0
