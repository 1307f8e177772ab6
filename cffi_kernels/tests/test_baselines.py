"""The literature's detectors: each on made columns that show what it looks at, and stay silent without it."""

import math

import numpy as np
import pytest
from assb.estimation import flat_layout
from assb_kernels import Estimator
from assb_kernels.baselines import SCORES, Baselines

HOUR = 3600
SECONDS = 4 * HOUR
ONSET = 2 * HOUR
ROWS = 10  # per second
LOW_V, HIGH_V = 2.5, 4.3


def columns(believed: dict, cells: int = 3, leak_c: float = 0.0, dip_v: float = 0.0, drop_v: float = 0.0) -> dict:
    """Readings that the estimator's own model gives for pulses around SOC 0.6, the last cell with a fault from ONSET
    on: a leak, a dip of one second, or a lasting drop."""
    time_s = np.arange(1, SECONDS + 1, dtype=float)
    current_a = 0.3 * np.sign(np.sin(2 * math.pi * time_s / 1200.0))
    flat = flat_layout.pack(believed)
    out = np.empty((SECONDS, cells))
    for cell in range(cells):
        model = Estimator(flat, "f64")
        model.reset(0.6 + 0.01 * cell, 0.01)
        leaks = leak_c * believed["capacity_ah"] * (time_s > ONSET) * (cell == cells - 1)
        out[:, cell] = [shown(model, amps, amps - leak_a) for amps, leak_a in zip(current_a, leaks, strict=True)]
    out[ONSET : ONSET + 1, -1] -= dip_v
    out[ONSET:, -1] -= drop_v
    out += 2e-5 * np.random.default_rng(1).normal(size=out.shape)
    repeat = {"time_s": time_s, "voltage_v": out, "current_a": current_a, "temperature_degc": np.full(SECONDS, 25.0)}
    repeat["pressure_mpa"] = np.full(SECONDS, 5.0)
    return {name: np.repeat(values, ROWS, axis=0).astype(float).ravel() for name, values in repeat.items()}


def shown(model: Estimator, current_a: float, inner_a: float) -> float:
    """Voltage of a cell that is what the filter believes."""
    model.predict(inner_a, 25.0, 5.0, 1.0)
    params = model.c_params
    place = model.soc * 128
    knot = min(int(place), 127)
    open_v = params.ocv_v[knot] + (place - knot) * (params.ocv_v[knot + 1] - params.ocv_v[knot])
    return open_v + model.hysteresis_v + model.v1_v + model.v2_v + model.r0_ohm * current_a


def scores(believed: dict, cells: int = 3, **fault) -> list[dict[str, float]]:
    """Highest threshold of each score that each cell reached after the onset; 0: none."""
    given = columns(believed, cells, **fault)
    baselines = Baselines([flat_layout.pack(believed)] * cells, ROWS, LOW_V, HIGH_V)
    cut = ONSET * ROWS
    for part in (slice(None, cut), slice(cut, None)):
        baselines.begin_crossings(ONSET if part.start else 0.0)
        widths = {name: cells if name == "voltage_v" else 1 for name in given}
        baselines.run(
            *(values.reshape(-1, widths[name])[part].ravel() for name, values in given.items()),
        )
    out = []
    for cell in range(cells):
        reached = [sum(map(math.isfinite, at_s)) for at_s in baselines.crossings(cell)]
        grids = [[0.0, *baselines.grid(name)] for name in SCORES]
        out.append({name: grid[count] for name, grid, count in zip(SCORES, grids, reached, strict=True)})
    return out


@pytest.fixture(scope="module")
def sound(believed):
    return scores(believed)


def test_a_leak_shows_in_the_socs_drift_as_its_size(believed, sound):
    leaking = scores(believed, leak_c=0.05)
    assert 0.02 < leaking[-1]["soc_drift"] < 0.06
    assert max(cell["soc_drift"] for cell in leaking[:-1]) < 0.02 and sound[-1]["soc_drift"] < 0.01


def test_a_leak_shows_in_the_mean_difference(believed, sound):
    leaking = scores(believed, leak_c=0.05)
    assert leaking[-1]["mean_difference"] > 5 * max(sound[-1]["mean_difference"], 1e-4)


def test_a_dip_shows_in_the_pseudo_ocv(believed, sound):
    assert scores(believed, dip_v=0.02)[-1]["pseudo_ocv"] == pytest.approx(0.02, rel=0.25)
    assert sound[-1]["pseudo_ocv"] < 0.002


def test_a_lasting_drop_shows_against_the_packs_median(believed):
    assert scores(believed, drop_v=0.3)[-1]["voltage_threshold"] == pytest.approx(0.3, rel=0.25)


def test_one_cell_alone_is_judged_by_its_window_and_itself(believed):
    alone = scores(believed, cells=1, leak_c=0.05)[0]
    assert alone["voltage_threshold"] == alone["mean_difference"] == 0.0
    assert 0.02 < alone["soc_drift"] < 0.06
    assert scores(believed, cells=1, drop_v=2.0)[0]["voltage_threshold"] > 0.3


def test_a_second_with_a_hole_is_passed_over(believed):
    given = columns(believed, 1)
    baselines = Baselines([flat_layout.pack(believed)], ROWS, LOW_V, HIGH_V)
    given["voltage_v"][ONSET * ROWS] = math.nan
    baselines.run(*given.values())
    assert not math.isfinite(baselines.crossings(0)[0][0])
    assert baselines.c_baselines.seconds == SECONDS - 1


def test_crossings_rise_with_the_threshold(believed):
    baselines = Baselines([flat_layout.pack(believed)] * 3, ROWS, LOW_V, HIGH_V)
    baselines.run(*columns(believed, 3, leak_c=0.1).values())
    for at_s in baselines.crossings(2):
        assert list(at_s) == sorted(at_s)


def test_nonsense_is_refused(believed):
    with pytest.raises(ValueError, match="at least one"):
        Baselines([], ROWS, LOW_V, HIGH_V)
    broken = list(flat_layout.pack(believed))
    broken[0] = -1.0
    with pytest.raises(ValueError, match="cell 1"):
        Baselines([flat_layout.pack(believed), broken], ROWS, LOW_V, HIGH_V)
