"""What the firmware believes of a cell is close to what the simulated cell is, but neither is taken from the other."""

from itertools import pairwise

import numpy as np
import pytest
from assb_hil.plant_file import load_plant, plant_names
from assb_host.config import build_config, load_pack
from assb_host.config.cell import load_cell
from assb_host.config.locate import find, shipped_names
from assb_kernels import Estimator

PRODUCTS = [name for name in plant_names() if name != "li_li_symmetric"]
SAMPLE_S = 0.1
STEPS_PER_SAMPLE = 5


def currents_a(one_c_a: float) -> np.ndarray:
    """Half an hour of charge at C/2, ten minutes of rest, then pulses of 1C and short returns; one value per sample."""
    t_s = SAMPLE_S * np.arange(30_000)
    pulses = np.where((t_s // 20).astype(int) % 2 == 1, -one_c_a, one_c_a / 6)
    return np.where(t_s < 1800, one_c_a / 2, np.where(t_s < 2400, 0.0, pulses))


def estimated(name: str, temperature_degc: float, pressure_mpa: float):
    """(true columns, estimated columns, estimator) of a sound cell under pulses, seen through small sensor errors."""
    plant = load_plant(name)
    pack = plant.pack(0.3, temperature_degc, pressure_mpa, seed=1)
    estimator = Estimator(build_config(load_pack(name)).estimator)
    pack.step(0.0, 1e-6, temperature_degc)
    estimator.reset(estimator.rested_soc(sum(cell.voltage_v for cell in pack.cells), temperature_degc), 0.1)
    amperes = currents_a(min(plant.cell.capacity_ah, load_cell(find("cell", name)).current.charge_max_a))
    true = pack.run(
        np.repeat(amperes, STEPS_PER_SAMPLE),
        SAMPLE_S / STEPS_PER_SAMPLE,
        temperature_degc,
        aim_mpa=[pressure_mpa],
        results=("voltage_v", "soc[0]", "surface_degc[0]", "pressure_mpa[0]"),
    )
    seen = {key: np.array(column)[STEPS_PER_SAMPLE - 1 :: STEPS_PER_SAMPLE] for key, column in true.items()}
    noise = np.random.default_rng(1)
    volts = seen["voltage_v"] + noise.normal(0.0, 1e-4, len(amperes))
    measured_a = amperes * 1.0005 + plant.cell.capacity_ah * 3e-4 + noise.normal(0.0, 1e-4, len(amperes))
    told = [np.asarray(v, np.float32) for v in (volts, measured_a, seen["surface_degc[0]"], seen["pressure_mpa[0]"])]
    run = estimator.run(*told, SAMPLE_S)
    return seen, {key: np.array(column) for key, column in run.items()}


@pytest.mark.parametrize("name", PRODUCTS)
def test_soc_stays_right_and_no_leak_is_seen_in_a_sound_cell(name):
    limits = load_plant(name).limits
    true, run = estimated(name, limits.temperature_degc, limits.pressure_mpa)
    assert not run["status"].any()
    settled = slice(600, None)
    error = np.abs(run["soc"] - true["soc[0]"])[settled]
    assert error.max() < np.maximum(0.02, 3 * np.sqrt(run["soc_var"][settled])).min()
    assert (np.abs(run["leak_a"]) / np.sqrt(run["leak_var"]))[settled].max() < 5.0  # the threshold of the leak evidence


@pytest.mark.parametrize(("temperature_degc", "pressure_mpa"), [(25.0, 5.0), (25.0, 3.5), (10.0, 5.0), (45.0, 6.0)])
def test_the_reference_profile_holds_in_all_of_its_window(temperature_degc, pressure_mpa):
    true, run = estimated("li_lpscl_nca", temperature_degc, pressure_mpa)
    settled = slice(600, None)
    assert np.abs(run["soc"] - true["soc[0]"])[settled].max() < 0.01
    assert (np.abs(run["leak_a"]) / np.sqrt(run["leak_var"]))[settled].max() < 2.5


def test_each_row_has_a_plant_a_cell_and_a_pack():
    assert len(PRODUCTS) == 11
    assert set(PRODUCTS) <= set(shipped_names("cell")) & set(shipped_names("pack"))


@pytest.mark.parametrize("name", PRODUCTS)
def test_believed_figures_are_near_the_true_ones_and_are_not_them(name):
    plant, cell = load_plant(name), load_cell(find("cell", name))
    size = cell.capacity_ah / plant.cell.capacity_ah
    assert size != 1 and abs(size - 1) < 0.03
    view = plant.pack(seed=0).cells[0]
    true_v = [plant.units * view.ocv_at_v(soc, cell.ocv.temperature_degc) for soc in cell.ocv.soc]
    off_v = np.array(cell.ocv.voltage_v) - true_v
    gentle = np.abs(np.array(cell.ocv.soc) - 0.5) <= 0.45  # both ends are steeper than the table's grid is fine
    assert 0 < np.abs(off_v[gentle]).max() < 0.010 * plant.units
    assert (np.abs(off_v) > 0).mean() > 0.5
    for degc, row in zip(cell.r0.temperature_degc, cell.r0.ohm, strict=True):
        for mpa, ohm in zip(cell.r0.pressure_mpa, row, strict=True):
            ratio = ohm / (plant.units * view.r0_at_ohm(degc, mpa))
            assert abs(ratio - 1) < 0.15
            assert all(a > b for a, b in pairwise(row))
    limits = plant.limits
    assert limits.charge_max_c == pytest.approx(cell.current.charge_c)
    assert limits.discharge_max_c == pytest.approx(cell.current.discharge_c)
    assert cell.pressure.min_mpa <= limits.pressure_mpa <= cell.pressure.max_mpa
    swelling = plant.tables.cell.anode_um_per_mah_cm2.value + plant.tables.cell.cathode_um_per_mah_cm2.value
    assert cell.swelling.um_per_mah_cm2 == pytest.approx(plant.units * swelling, rel=0.1)
