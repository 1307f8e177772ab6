"""`assb cell fit` finds a known circuit again, and what it writes is a whole profile."""

import json
import tomllib

import numpy as np
import pytest
from assb_host import cli
from assb_host.cell_fit import ocv_run
from assb_host.cell_fit.least_squares import fitted
from assb_host.cell_fit.log_reader import read_log
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


def refused(capsys, tmp_path, ocv, pulse_log) -> str:
    """What `assb cell fit` says of logs that it refuses; nothing is written."""
    out = tmp_path / "refused.toml"
    assert cli.run(["cell", "fit", "--ocv", str(ocv), "--pulses", str(pulse_log), "--out", str(out)]) == 3
    assert not out.exists()
    return capsys.readouterr().err


def test_pulses_are_no_ocv_run(capsys, tmp_path):
    log = pulses(tmp_path / "pulses.csv")
    said = refused(capsys, tmp_path, log, log)
    assert "pulses.csv" in said and "at most 2C" in said and "5.46C" in said


def test_pulses_that_begin_outside_of_the_soc_are_refused_with_it(capsys, tmp_path, ocv):
    path = pulses(tmp_path / "pulses.csv", sample_s=10.0)
    lines = path.read_text().splitlines()
    table = np.array([[float(x) for x in line.split(",")] for line in lines[1:]])
    soc = 1.08 + np.cumsum(table[:, 2]) * 10.0 / 3600 / CAPACITY_AH
    path.write_text(
        "\n".join([f"{lines[0]},soc", *(f"{line},{x:.6f}" for line, x in zip(lines[1:], soc, strict=True))])
    )
    said = refused(capsys, tmp_path, ocv, path)
    assert "pulses.csv" in said and "begin at SOC 1.0" in said


def test_a_resistance_at_the_end_of_its_search_is_refused(capsys, tmp_path, ocv):
    path = pulses(tmp_path / "pulses.csv", sample_s=20.0)
    table = np.loadtxt(path, delimiter=",", skiprows=1)
    soc = 1.0 + np.cumsum(table[:, 2]) * 20.0 / 3600 / CAPACITY_AH
    table[:, 1] = 2 * np.interp(soc, SOC, OCV_V) - table[:, 1]
    np.savetxt(path, table, delimiter=",", header="time_s,voltage_v,current_a,temperature_degc", comments="")
    said = refused(capsys, tmp_path, ocv, path)
    assert "pulses.csv" in said and "R0 of" in said and "25 degC" in said


def test_the_ocv_stays_within_what_runs_and_rests_show():
    window = ocv_run.Window(3.0, 4.2)
    curve = window.holds(np.linspace(2.95, 4.3, len(SOC_AXIS)))
    assert curve[0] == 3.0 and curve[-1] == 4.2 and (np.diff(curve) >= 0.99e-4).all()


def test_a_rest_when_full_is_the_upper_end_and_not_the_charge_before_it(tmp_path):
    k = np.arange(0.0, 7200.0, 60.0)
    amps = np.where(k < 3000, 1.0, np.where(k < 4200, 0.0, -1.0))
    volts = np.where(k < 3000, 3.2 + k / 2990, np.where(k < 4200, 4.15, 4.1 - (k - 4200) / 3000))
    np.savetxt(
        tmp_path / "log.csv",
        np.stack([k, volts, amps], axis=1),
        delimiter=",",
        header="time_s,voltage_v,current_a",
        comments="",
    )
    log = read_log(tmp_path / "log.csv", temperature_degc=25.0)
    window = ocv_run.window_of(ocv_run.runs_of([log]), [log])
    assert window.high_v == pytest.approx(4.15)
    assert window.low_v == pytest.approx(volts[-1])


def test_a_fast_ocv_run_makes_the_profile_less_certain(capsys, tmp_path, ocv):
    log = pulses(tmp_path / "pulses.csv", sample_s=10.0)
    _, slow = fit(capsys, tmp_path / "slow.toml", ocv, log)
    fast_ocv = slow_discharge(tmp_path / "c1.csv", hours=1.0, sample_s=10.0)
    facts, fast = fit(capsys, tmp_path / "fast.toml", fast_ocv, log)
    assert fast.noise.rc_sigma_v > 10 * slow.noise.rc_sigma_v
    assert fast.noise.voltage_sigma_v > 2 * slow.noise.voltage_sigma_v
    assert "of the OCV" in fast.noise.source and "of the OCV" not in slow.noise.source
    assert any("fast for an OCV run" in note for note in facts["notes"])


def test_an_end_that_no_run_passes_makes_the_profile_less_certain(capsys, tmp_path, ocv):
    table = np.loadtxt(ocv, delimiter=",", skiprows=1)
    soc = 1.0 + np.cumsum(table[:, 2]) * 60.0 / 3600 / CAPACITY_AH
    part = np.column_stack((table, soc))[(soc > 0.15) & (soc < 0.9)]
    head = "time_s,voltage_v,current_a,temperature_degc,soc"
    np.savetxt(tmp_path / "part.csv", part, delimiter=",", header=head, comments="")
    log = pulses(tmp_path / "pulses.csv", sample_s=10.0)
    _, whole = fit(capsys, tmp_path / "whole.toml", ocv, log)
    _, short = fit(capsys, tmp_path / "short.toml", tmp_path / "part.csv", log)
    assert short.noise.rc_sigma_v > 5 * whole.noise.rc_sigma_v
    assert "of the OCV" in short.noise.source and "of the OCV" not in whole.noise.source
