"""`assb cell fit` finds a known circuit again, and what it writes is a whole profile."""

import json
import tomllib

import numpy as np
import pytest
from assb_host import cli
from assb_host.cell_fit.least_squares import fitted
from assb_host.config.cell import load_cell
from assb_host.config.estimator_parameters import SOC_AXIS, cell_values, flat_parameters
from assb_host.config.resample import over_temperature_and_pressure
from assb_kernels import PARAMETER_SIZE
from cell_logs import CAPACITY_AH, OCV_V, R_OHM, SOC, pulses, scale, slow_discharge


def fit(capsys, out, ocv, *pulse_logs, options=()):
    """(facts of the command, the profile)."""
    assert (
        cli.run(
            ["cell", "fit", "--ocv", str(ocv), "--pulses", *map(str, pulse_logs), "--out", str(out), "--json", *options]
        )
        == 0
    )
    return json.loads(capsys.readouterr().out), load_cell(out)


@pytest.fixture
def ocv(tmp_path):
    return slow_discharge(tmp_path / "c20.csv")


def test_a_known_circuit_is_found_again(capsys, tmp_path, ocv):
    logs = [pulses(tmp_path / "warm.csv"), pulses(tmp_path / "cold.csv", degc=5.0)]
    facts, cell = fit(capsys, tmp_path / "made.toml", ocv, *logs)
    assert cell.capacity_ah == pytest.approx(CAPACITY_AH, rel=0.01)
    assert cell.r0.temperature_degc[:2] == [5.0, 25.0]
    for degc, row, r1, r2 in zip(
        cell.r0.temperature_degc[:2], cell.r0.ohm, cell.rc.r1_ohm, cell.rc.r2_ohm, strict=False
    ):
        assert row[0] == pytest.approx(scale(degc) * R_OHM[0], rel=0.05)
        middle = np.interp(0.5, cell.rc.soc, cell.rc.factor)
        assert r1 * middle == pytest.approx(scale(degc) * R_OHM[1], rel=0.25)
        assert r2 * middle == pytest.approx(scale(degc) * R_OHM[2], rel=0.25)
    off_v = np.array(cell.ocv.voltage_v) - np.interp(cell.ocv.soc, SOC, OCV_V)
    assert np.abs(off_v[np.array(cell.ocv.soc) > 0.05]).max() < 0.008
    assert all(log["residual_rms_mv"] < 4.0 for log in facts["pulses"])
    assert cell.noise.voltage_sigma_v < 0.02


def test_the_profile_is_whole_and_says_where_everything_is_from(capsys, tmp_path, ocv):
    facts, cell = fit(capsys, tmp_path / "made.toml", ocv, pulses(tmp_path / "warm.csv"))
    assert (tmp_path / "made-fit.png").stat().st_size > 10_000
    assert facts["profile"] == str(tmp_path / "made.toml")
    text = (tmp_path / "made.toml").read_text()
    for name in ("c20.csv", "warm.csv"):
        assert name in text
    tables = [table for table in tomllib.loads(text).values() if isinstance(table, dict)]
    assert len(tables) == 11 and all("source" in table for table in tables)
    assert "A: 0.15 eV" in cell.r0.source and "A: " in cell.geometry.source
    assert len(flat_parameters(cell)) == PARAMETER_SIZE
    factor = np.array(cell_values(cell)["rc_factor"])
    assert factor == pytest.approx(np.interp(SOC_AXIS, cell.rc.soc, cell.rc.factor))
    assert np.ptp(factor) > 0


def test_a_base_gives_what_logs_do_not_tell(capsys, tmp_path, ocv):
    _, cell = fit(
        capsys, tmp_path / "made.toml", ocv, pulses(tmp_path / "warm.csv"), options=("--base", "li_lpscl_nca")
    )
    assert cell.pressure.target_mpa == 5.0 and cell.geometry.layers == 20
    at_1, at_5 = (cell.r0.ohm[1][cell.r0.pressure_mpa.index(mpa)] for mpa in (1.0, 5.0))
    assert "A: 0.34 eV for other temperatures, as li_lpscl_nca" in cell.r0.source
    assert at_1 == pytest.approx(at_5 * 0.2318 / 0.1250, rel=0.01)


def test_logs_at_several_pressures_give_r0_over_pressure(capsys, tmp_path, ocv):
    logs = [pulses(tmp_path / f"p{mpa:.0f}.csv", pressure_mpa=mpa) for mpa in (2.0, 5.0, 8.0)]
    _, cell = fit(capsys, tmp_path / "made.toml", ocv, *logs)
    assert cell.r0.pressure_mpa == [2.0, 5.0, 8.0]
    grid = over_temperature_and_pressure(
        cell.r0.temperature_degc, cell.r0.pressure_mpa, cell.r0.ohm, [25.0], [2.0, 8.0]
    )
    assert grid[0, 0] / grid[0, 1] == pytest.approx(2.0, rel=0.06)


@pytest.mark.parametrize(
    "way", [{"sample_s": 0.5}, {"sample_s": 10.0}, {"returns": False}, {"rest_s": 120.0}, {"rest_s": 0.0}]
)
def test_other_sampling_and_missing_rests_still_give_the_resistance(capsys, tmp_path, ocv, way):
    _, cell = fit(capsys, tmp_path / "made.toml", ocv, pulses(tmp_path / "pulses.csv", **way))
    total = cell.r0.ohm[1][0] + np.interp(0.5, cell.rc.soc, cell.rc.factor) * (cell.rc.r1_ohm[1] + cell.rc.r2_ohm[1])
    assert total == pytest.approx(sum(R_OHM), rel=0.2)
    assert cell.capacity_ah == pytest.approx(CAPACITY_AH, rel=0.02)


def test_uneven_rows_do_not_matter(capsys, tmp_path, ocv):
    lines = pulses(tmp_path / "pulses.csv").read_text().splitlines()
    keep = np.random.default_rng(0).random(len(lines)) > 0.3
    (tmp_path / "uneven.csv").write_text("\n".join(line for k, line in enumerate(lines) if keep[k] or k < 2) + "\n")
    _, cell = fit(capsys, tmp_path / "made.toml", ocv, tmp_path / "uneven.csv")
    assert cell.r0.ohm[1][0] == pytest.approx(R_OHM[0], rel=0.1)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--out", "Big Name.toml"), "small letters"),
        (("--out", "made.txt"), "named as its file"),
        (("--out", "made.toml", "--name", "other"), "named as its file"),
        (("--out", "made.toml", "--base", "no_such_cell"), "no_such_cell"),
        (("--out", "made.toml", "--columns", "volts=V"), "quantities"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(capsys, tmp_path, ocv, arguments, word):
    log = pulses(tmp_path / "p.csv", sample_s=10.0)
    name = tmp_path / arguments[1]
    command = ["cell", "fit", "--ocv", str(ocv), "--pulses", str(log), "--out", str(name), *arguments[2:]]
    assert cli.run(command) != 0
    assert word in capsys.readouterr().err
    assert not name.exists()


def test_a_log_without_pulses_is_refused(capsys, tmp_path, ocv):
    path = tmp_path / "rest.csv"
    path.write_text("time_s,voltage_v,current_a,temperature_degc\n" + "".join(f"{k},3.7,0,25\n" for k in range(50)))
    assert cli.run(["cell", "fit", "--ocv", str(ocv), "--pulses", str(path), "--out", str(tmp_path / "a.toml")]) == 3
    assert "no pulses" in capsys.readouterr().err
    assert cli.run(["cell", "fit", "--ocv", str(path), "--pulses", str(path), "--out", str(tmp_path / "a.toml")]) == 3
    assert "no charge that flows" in capsys.readouterr().err


def test_least_squares_takes_a_jacobian_or_none():
    def residual(at):
        return np.array([at[0] ** 2 - 4.0, at[1] - at[0]])

    def slope(at):
        return np.array([[2 * at[0], 0.0], [-1.0, 1.0]])

    for given in (None, slope):
        assert fitted(residual, np.array([1.0, 0.0]), 50, given) == pytest.approx([2.0, 2.0], abs=1e-3)
