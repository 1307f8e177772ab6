"""What the firmware believes of the reference cell is close to what the simulated cell is; they share no figure."""

import random

import pytest
from assb_hil.plant_file import load_plant
from assb_host.config import build_config, load_pack
from assb_kernels import Cell, Estimator

CELL_STEP_S = 0.02
STEPS_PER_SAMPLE = 5


def current_a(t_s: float) -> float:
    """Half an hour of charge at C/2, ten minutes of rest, then pulses of 1C and short returns."""
    if t_s < 1800:
        return 0.3
    if t_s < 2400:
        return 0.0
    return -0.6 if int(t_s // 20) % 2 else 0.1


@pytest.mark.parametrize(("temperature_degc", "pressure_mpa"), [(25.0, 5.0), (25.0, 3.5), (10.0, 5.0), (45.0, 6.0)])
def test_soc_stays_right_and_no_leak_is_seen_in_a_sound_cell(temperature_degc, pressure_mpa):
    noise = random.Random(1)
    cell = Cell(load_plant("li_lpscl_nca").cell, 0.3, temperature_degc, pressure_mpa)
    cell.step(0.0, 1e-6, temperature_degc, pressure_mpa, 0.0, 0.0)
    estimator = Estimator(build_config(load_pack("li_lpscl_nca")).estimator)
    estimator.reset(estimator.rested_soc(cell.voltage_v, temperature_degc), 0.1)
    worst_soc = worst_leak_sigmas = 0.0
    for sample in range(30_000):
        amperes = current_a(sample * 0.1)
        for _ in range(STEPS_PER_SAMPLE):
            cell.step(amperes, CELL_STEP_S, temperature_degc, pressure_mpa, 0.0, 0.0)
        measured_v = cell.voltage_v + noise.gauss(0.0, 1e-4)
        measured_a = amperes * 1.0005 + 2e-4 + noise.gauss(0.0, 1e-4)
        assert estimator.step(measured_v, measured_a, cell.surface_degc, cell.pressure_mpa, 0.1) == 0
        if sample > 600:
            worst_soc = max(worst_soc, abs(estimator.soc - cell.soc))
            worst_leak_sigmas = max(worst_leak_sigmas, abs(estimator.leak_a) / estimator.leak_sigma_a)
    assert worst_soc < 0.01
    assert worst_leak_sigmas < 2.5  # half of what the leak evidence asks for
