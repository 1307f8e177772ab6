"""The plant against PyBaMM: fitted on C/20 and HPPC, at most 10 mV rms off on cycles that the fit did not see."""

from dataclasses import replace

import numpy as np
import pytest
from pybamm_cells import CELLS, discharge_1c, known, trace
from reference_data import data_folder
from trace_fit import fit_trace, rmse_v

ALLOWED_V = 0.010


@pytest.fixture(scope="module")
def folder():
    return data_folder("pybamm_truth")


@pytest.fixture(scope="module", params=list(CELLS))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def cell(folder, name):
    return fit_trace(known(folder, name))


def test_us06_is_followed_within_10_mv(folder, name, cell):
    assert rmse_v(cell, trace(folder, name, "US06_25C")) <= ALLOWED_V


def test_a_cell_with_half_more_resistance_is_found_out(folder, name, cell):
    us06 = trace(folder, name, "US06_25C")
    worse = replace(cell, se_ohm_cm2=1.5 * cell.se_ohm_cm2, rc_ohm=tuple(1.5 * ohm for ohm in cell.rc_ohm))
    assert rmse_v(worse, us06) > 1.5 * rmse_v(cell, us06)


def test_an_ocv_off_by_two_percent_of_soc_is_found_out(folder, name, cell):
    us06 = trace(folder, name, "US06_25C")
    shifted = replace(cell, ocv_v=np.interp(np.linspace(0, 1, 129) + 0.02, np.linspace(0, 1, 129), cell.ocv_v).tolist())
    assert rmse_v(shifted, us06) > ALLOWED_V


def test_1c_is_followed_within_10_mv(name, cell):
    pytest.importorskip("pybamm", reason="PyBaMM is not installed: pip install -e '.[pybamm]'")
    assert rmse_v(cell, discharge_1c(name, cell.capacity_ah)) <= ALLOWED_V
