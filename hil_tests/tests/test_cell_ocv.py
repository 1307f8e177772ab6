"""The [ocv] tables that ship are as near to the simulated cells as a slow run through sensors shows them."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from assb_hil.lab_runs import lab_logs
from assb_hil.plant_file import load_plant
from assb_host.cell_fit.hysteresis_fit import fit_slow_runs
from assb_host.cell_fit.load_factor import KNOTS
from assb_host.cell_fit.ocv_run import runs_of
from assb_host.config.cell import load_cell
from assb_host.config.errors import ConfigError
from assb_host.config.estimator_parameters import SOC_AXIS
from assb_host.config.locate import find, shipped_names
from assb_host.config.resample import rising_curve

NAME = "usi_nmc811"  # the widest hysteresis
SCRIPT = Path(__file__).parents[2] / "host_tools" / "checks" / "cell_ocv.py"


@pytest.fixture(scope="module")
def command():
    spec = importlib.util.spec_from_file_location("cell_ocv", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def log():
    return lab_logs(load_plant(NAME), rate_c=0.02, pulses_to=[0.0, 0.5], seed=2)[0]


@pytest.mark.parametrize("name", shipped_names("cell"))
def test_a_shipped_ocv_is_within_what_sensors_show_of_the_simulated_cell(command, name):
    rms_v, most_v, slope_rms_v = command.errors(load_plant(name), load_cell(find("cell", name)))
    assert 5e-5 < rms_v < 7e-4
    assert most_v < 2e-3
    assert slope_rms_v < 0.015


def test_the_written_table_is_what_the_command_fits(command):
    plant, cell = load_plant(NAME), load_cell(find("cell", NAME))
    fit, factor = command.fitted(plant, cell)
    assert cell.rc.factor == pytest.approx(factor, abs=0.02)
    assert rising_curve(cell.ocv.soc, cell.ocv.voltage_v, SOC_AXIS) == pytest.approx(fit.ocv_v, abs=1.5e-4)
    assert cell.ocv.hysteresis_v == pytest.approx(fit.hysteresis_v, abs=1e-4)


def test_hysteresis_is_found_from_another_unit_and_other_sensors(command, log):
    plant, cell = load_plant(NAME).cell, load_cell(find("cell", NAME))
    ends_v = (plant.ocv_v[0], plant.ocv_v[-1])
    fit = fit_slow_runs(runs_of([log]), ends_v, command.resistance_ohm(cell, degc=25.0, mpa=50.0))
    assert fit.hysteresis_v == pytest.approx(plant.hysteresis_v, rel=0.01)
    assert fit.hysteresis_rate == pytest.approx(plant.hysteresis_rate, rel=0.05)
    inner = (SOC_AXIS > 0.05) & (SOC_AXIS < 0.95)
    assert np.abs(fit.ocv_v - plant.ocv_v)[inner].max() < 0.002


def test_without_a_charge_there_is_no_fit(log):
    with pytest.raises(ConfigError, match="one discharge and one charge"):
        fit_slow_runs(runs_of([log])[:1], (2.45, 4.12), resistance_ohm=0.0)


def test_the_factor_of_the_pairs_rises_to_both_ends_as_the_simulated_one_does(command):
    """Sulfur's, whose ends are the worst: 2.5 when empty and 2 when full, 1 between."""
    factor = dict(zip(KNOTS.tolist(), load_cell(find("cell", "lis")).rc.factor, strict=True))
    assert 2.0 < factor[0.0] < 3.0
    assert 1.5 < factor[1.0] < 2.5
    assert factor[0.5] == pytest.approx(1.0, abs=0.05)


def test_a_table_that_is_off_is_told_and_mended_and_the_rest_of_the_file_stays(command, tmp_path, monkeypatch, capsys):
    path = tmp_path / f"{NAME}.toml"
    right = find("cell", NAME).read_text()
    bent = {"soc": [0.0, 0.5, 1.0], "voltage_v": [2.4505, 3.6, 4.1195]}
    path.write_text(command.written(right, "ocv", bent))
    assert command.errors(load_plant(NAME), load_cell(path))[0] > 0.05
    monkeypatch.setattr(command, "find", lambda kind, name: path)
    assert command.main([NAME, "--write"]) == 0
    assert NAME in capsys.readouterr().out
    assert command.errors(load_plant(NAME), load_cell(path))[0] < 7e-4
    mended, was = load_cell(path), load_cell(find("cell", NAME))
    assert (mended.r0, mended.noise, mended.rc.r1_ohm) == (was.r0, was.noise, was.rc.r1_ohm)
    assert path.read_text().splitlines()[0] == right.splitlines()[0]


def test_a_file_without_the_table_is_refused(command):
    with pytest.raises(ValueError, match=r"without a table \[ocv\]"):
        command.written("name = 'bare'\n", "ocv", {})
