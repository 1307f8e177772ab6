"""`assb estimate`: its scores on a log small enough to be counted by hand, and what it does with gaps and errors."""

import json

import numpy as np
import pytest
from assb_host import cli
from assb_host.cell_fit.estimate import Estimate, Sensors, estimate, scores, true_soc
from assb_host.cell_fit.log_reader import read_log
from assb_host.config.cell import load_cell
from assb_host.config.errors import ConfigError
from assb_host.config.locate import find

CELL = "li_lpscl_nca"


def log_file(folder, rows=900, sample_s=1.0, head="time_s,voltage_v,current_a,temperature_degc,net_charge_ah"):
    """C/10 of charge from SOC 0.5, at about the voltage that the cell has there."""
    time_s = sample_s * np.arange(rows)
    charge_ah = 0.06 * time_s / 3600
    volts = 3.8075 + 0.85 * charge_ah / 0.6 + 0.06 * 0.15
    table = np.stack([time_s, volts, np.full(rows, 0.06), np.full(rows, 25.0), charge_ah], axis=1)
    path = folder / "log.csv"
    np.savetxt(path, table, delimiter=",", header=head, comments="", fmt="%.8f")
    return path


def made_run(folder, error, sigma) -> Estimate:
    """An estimate whose errors are given, one row per 200 s."""
    log = read_log(log_file(folder, rows=len(error), sample_s=200.0))
    truth = np.full(len(error), 0.5)
    return Estimate(log, {"soc": truth + error, "soc_var": np.square(np.full(len(error), sigma))}, truth, 0, True)


def test_scores_are_those_counted_by_hand(tmp_path):
    #                            0      200   400    600    800    1000  1200 s
    error = np.array([0.20, 0.05, 0.010, -0.03, 0.010, 0.00, 0.019])
    found = scores(made_run(tmp_path, error, 0.008))
    late = [-0.03, 0.010, 0.0, 0.019]
    assert found["soc_rmse_frac"] == pytest.approx(np.sqrt(sum(e * e for e in late) / 4))
    assert found["soc_max_error_frac"] == pytest.approx(0.03)
    assert found["settle_s"] == 800.0
    assert found["inside_3sigma_frac"] == 0.75
    assert found["inside_1sigma_frac"] == 0.25


def test_an_error_that_stays_never_settles(tmp_path):
    assert scores(made_run(tmp_path, np.full(6, 0.03), 0.01))["settle_s"] is None


def test_the_command_scores_with_a_count_and_writes_table_and_plot(capsys, tmp_path):
    out = tmp_path / "out"
    options = ["--soc0", "0.4", "--soc-start", "0.5", "--sensor-noise-mv", "1", "--out", str(out), "--json"]
    assert cli.run(["estimate", "--cell", CELL, "--log", str(log_file(tmp_path)), *options]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["rows"] == 900 and facts["rows_refused"] == 0
    assert 0 < facts["soc_rmse_frac"] < 0.05
    lines = (out / "estimate.csv").read_text().splitlines()
    assert len(lines) == 901 and lines[0].startswith("time_s,soc,soc_sigma,soc_true,soh_capacity")
    assert (out / "estimate.png").stat().st_size > 10_000


def test_without_a_truth_nothing_is_scored(capsys, tmp_path):
    assert cli.run(["estimate", "--cell", CELL, "--log", str(log_file(tmp_path)), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["soc_rmse_frac"] is None and facts["inside_1sigma_frac"] is None
    assert cli.run(["estimate", "--cell", CELL, "--log", str(log_file(tmp_path))]) == 0
    assert "not scored" in capsys.readouterr().out


def test_a_soc_column_is_the_truth(tmp_path):
    path = log_file(tmp_path)
    lines = path.read_text().splitlines()
    with_soc = [lines[0] + ",soc", *(f"{row},{0.5 + float(row.rsplit(',', 1)[1]) / 0.6:.6f}" for row in lines[1:])]
    path.write_text("\n".join(with_soc))
    run = estimate(load_cell(find("cell", CELL)), read_log(path))
    assert run.truth is not None and run.truth[0] == 0.5


def test_sensor_errors_are_put_in_and_repeat_by_their_seed(tmp_path):
    log = read_log(log_file(tmp_path))
    volts, amps = Sensors(noise_v=0.002, gain_frac=0.01, offset_a=0.005, seed=3).seen(log)
    assert np.std(volts - log.voltage_v) == pytest.approx(0.002, rel=0.1)
    assert amps == pytest.approx(log.current_a * 1.01 + 0.005)
    assert np.array_equal(volts, Sensors(noise_v=0.002, seed=3).seen(log)[0])
    assert not np.array_equal(volts, Sensors(noise_v=0.002, seed=4).seen(log)[0])


def test_a_gap_starts_the_filter_again_with_a_wide_uncertainty(tmp_path):
    path = log_file(tmp_path)
    lines = path.read_text().splitlines()
    later = [
        lines[0],
        *lines[1:601],
        *(f"{float(r.split(',')[0]) + 7200:.1f},{r.split(',', 1)[1]}" for r in lines[601:]),
    ]
    path.write_text("\n".join(later))
    run = estimate(load_cell(find("cell", CELL)), read_log(path), soc0=0.5)
    assert run.gaps == 1
    assert run.sigma[600] > 1.5 * run.sigma[599]
    assert (run.columns["status"] == 0).all()


def test_rows_a_minute_apart_are_not_gaps(tmp_path):
    run = estimate(load_cell(find("cell", CELL)), read_log(log_file(tmp_path, rows=60, sample_s=60.003)))
    assert run.gaps == 0 and (run.columns["status"] == 0).all()


def test_another_cells_log_is_refused(capsys, tmp_path):
    path = log_file(tmp_path)
    assert cli.run(["estimate", "--cell", "lto_nmc", "--log", str(path)]) == 3
    assert "is it this cell's log?" in capsys.readouterr().err


def test_a_count_that_this_cell_can_not_have_is_refused(tmp_path):
    log, cell = read_log(log_file(tmp_path)), load_cell(find("cell", CELL))
    assert true_soc(cell, log, 0.5) is not None
    with pytest.raises(ConfigError, match="is it this cell's log"):
        true_soc(cell, log, 1.5)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(
    "option",
    ["--soc0", "--soc-start", "--sensor-noise-mv", "--current-gain", "--current-offset-ma", "--temperature-degc"],
)
def test_a_figure_that_is_not_finite_is_refused_by_its_option(capsys, tmp_path, option, value):
    assert cli.run(["estimate", "--cell", CELL, "--log", str(log_file(tmp_path)), option, value]) == 2
    assert option in capsys.readouterr().err


def test_a_temperature_of_one_file_must_be_finite(capsys, tmp_path):
    assert cli.run(["estimate", "--cell", CELL, "--log", f"{log_file(tmp_path)}@nan"]) == 2
    assert "not a finite temperature" in capsys.readouterr().err


def test_a_log_of_which_every_row_is_refused_is_an_error_that_says_why(capsys, tmp_path):
    path = log_file(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], *(row.replace(",25.0", ",-120.0") for row in lines[1:])]))
    assert cli.run(["estimate", "--cell", CELL, "--log", str(path), "--out", str(tmp_path / "out")]) == 3
    said = capsys.readouterr().err
    assert "900 rows, all refused" in said and "temperature" in said
    assert not (tmp_path / "out").exists()
