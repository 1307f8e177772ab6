"""Logs of cyclers: names, signs, units and gaps are understood or refused in words."""

import gzip

import numpy as np
import pytest
from assb_host.cell_fit.log_columns import parse_mapping
from assb_host.cell_fit.log_reader import read_log
from assb_host.config.errors import ConfigError

HEAD = "time_s,voltage_v,current_a,temperature_degc,net_charge_ah"
ROWS = ("0,3.70,0,25.0,0", "1,3.80,1.0,25.1,0.0001", "2,3.81,1.0,25.2,0.0004", "3,3.72,0,25.2,0.0006")


def written(folder, *lines, name="log.csv"):
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_a_plain_table_is_read(tmp_path):
    log = read_log(written(tmp_path, HEAD, *ROWS))
    assert len(log) == 4 and log.dropped == 0
    assert log.voltage_v.tolist() == [3.70, 3.80, 3.81, 3.72]
    assert log.soc is None and log.pressure_mpa is None
    assert log.moved_ah.tolist() == pytest.approx([0, 0.0001, 0.0004, 0.0006])
    assert log.sample_s == 1.0


def test_gzip_makes_no_difference(tmp_path):
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress("\n".join([HEAD, *ROWS]).encode()))
    assert np.array_equal(read_log(path).current_a, read_log(written(tmp_path, HEAD, *ROWS)).current_a)
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(ConfigError, match="gzip"):
        read_log(path)


def test_machine_names_of_the_battery_data_format_are_known(tmp_path):
    names = "test_time_second,voltage_volt,current_ampere,temperature_t1_celsius,net_capacity_ah,applied_pressure_pa"
    log = read_log(written(tmp_path, names, *(row + ",5000000" for row in ROWS)))
    assert log.net_charge_ah is not None
    assert log.pressure_mpa.tolist() == pytest.approx([5.0] * 4)


def test_names_may_follow_lines_about_the_test_and_be_an_arbins(tmp_path):
    lines = ("Test report;;;", "cell 7;;;", "Test_Time(s);Voltage(V);Current(A);Aux_Temperature_1(C)")
    log = read_log(written(tmp_path, *lines, *(";".join(row.split(",")[:4]) for row in ROWS)))
    assert log.temperature_degc[-1] == 25.2


def test_columns_are_mapped_by_name_and_by_position(tmp_path):
    path = written(tmp_path, "t,u,i,Cell T [C],q", *ROWS)
    by_name = read_log(path, parse_mapping("time_s=t,voltage_v=u,current_a=i,temperature_degc=Cell T [C]"))
    bare = written(tmp_path, *ROWS, name="bare.csv")
    by_place = read_log(bare, parse_mapping("time_s=#1,voltage_v=#2,current_a=#3,temperature_degc=#4"))
    assert len(by_place) == 4
    assert np.array_equal(by_name.voltage_v, by_place.voltage_v)
    with pytest.raises(ConfigError, match="quantities: time_s"):
        parse_mapping("time=t")


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path):
    path = written(tmp_path, "time_s,voltage_v,current_a,T_cell", *(",".join(r.split(",")[:4]) for r in ROWS))
    with pytest.raises(ConfigError, match=r"temperature_degc: is missing.*time_s, voltage_v, current_a, T_cell") as e:
        read_log(path)
    assert "--temperature-degc" in str(e.value)
    assert read_log(path, temperature_degc=10.0).temperature_degc.tolist() == [10.0] * 4
    with pytest.raises(ConfigError, match=r"voltage_v \(Ecell\)"):
        read_log(path, {"voltage_v": "Ecell"}, temperature_degc=10.0)


def test_a_current_that_discharges_with_plus_is_turned_with_its_count(tmp_path):
    rows = ("0,3.70,0,25,0", "1,3.60,1.0,25,0.0001", "2,3.59,1.0,25,0.0004", "3,3.68,0,25,0.0006")
    path = written(tmp_path, HEAD, *rows)
    with pytest.raises(ConfigError, match="--current-sign -"):
        read_log(path)
    log = read_log(path, plus_discharges=True)
    assert log.current_a.tolist() == [0, -1, -1, 0]
    assert log.moved_ah[-1] == pytest.approx(-0.0006)


def charge_rows(cc_rows=60, cv_rows=0, noise_a=0.0, step_s=60.0):
    """A slow charge at 0.1 A, then constant voltage while the current decays; no steps of current in it."""
    k = np.arange(cc_rows + cv_rows)
    charging = k < cc_rows
    amps = np.where(charging, 0.1, 0.1 * np.exp(-(k - cc_rows) / 30.0))
    amps = amps + np.random.default_rng(0).normal(0, 1, len(k)) * noise_a
    volts = np.where(charging, 3.2 + k / cc_rows, 4.2 + 1e-5 * (k - cc_rows))
    return np.stack([step_s * k, volts, amps], axis=1)


def plain_log(folder, rows, name="charge.csv"):
    return written(
        folder, "time_s,voltage_v,current_a", *(",".join(f"{x:.9g}" for x in row) for row in rows), name=name
    )


@pytest.mark.parametrize("way", [{"cv_rows": 120}, {"noise_a": 1e-4}, {"cv_rows": 120, "noise_a": 1e-4, "step_s": 1.0}])
def test_a_charge_at_constant_current_or_voltage_has_its_sign_by_where_its_voltage_ends(tmp_path, way):
    rows = charge_rows(**way)
    assert len(read_log(plain_log(tmp_path, rows), temperature_degc=25.0)) == len(rows)
    wrong = plain_log(tmp_path, rows * [1, 1, -1])
    with pytest.raises(ConfigError, match="--current-sign -"):
        read_log(wrong, temperature_degc=25.0)
    assert read_log(wrong, temperature_degc=25.0, plus_discharges=True).current_a[0] > 0.09


def test_a_rest_with_a_sensors_offset_is_not_judged(tmp_path):
    k = np.arange(200)
    noise_a = np.random.default_rng(2).normal(0, 1e-4, 200)
    rows = np.stack([1.0 * k, 3.7 - 0.02 * (1 - np.exp(-k / 40)), 1e-3 + noise_a], axis=1)
    assert len(read_log(plain_log(tmp_path, rows), temperature_degc=25.0)) == 200


def test_a_count_against_the_current_is_refused(tmp_path):
    rows = ("0,3.70,0,25,0", "1,3.80,1.0,25,-0.0001", "2,3.81,1.0,25,-0.0004", "3,3.72,0,25,-0.0006")
    with pytest.raises(ConfigError, match="net_charge_ah"):
        read_log(written(tmp_path, HEAD, *rows))


def test_rows_without_numbers_and_repeats_are_dropped_and_counted(tmp_path):
    log = read_log(written(tmp_path, HEAD, *ROWS[:2], "1,3.9,9,25,0", "1.5,nan,1,25,0", "1.7,,1,25,0", *ROWS[2:]))
    assert len(log) == 4 and log.dropped == 3
    assert log.current_a[1] == 1.0  # the first of two rows at one time


def test_time_that_falls_is_refused_with_its_line(tmp_path):
    with pytest.raises(ConfigError, match=r"line 4, time_s: got 0\.5"):
        read_log(written(tmp_path, HEAD, *ROWS[:2], "0.5,3.8,1,25,0", *ROWS[2:]))


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ([row.replace(",25.", ",298.") for row in ROWS], "kelvin"),
        ([row.replace(",3.", ",3700.") for row in ROWS], "millivolts"),
    ],
)
def test_figures_in_another_unit_are_refused(tmp_path, rows, word):
    with pytest.raises(ConfigError, match=word):
        read_log(written(tmp_path, HEAD, *rows))


@pytest.mark.parametrize(
    ("lines", "word"),
    [(("",), "empty file"), ((HEAD,), "0 rows"), ((HEAD, ROWS[0]), "1 rows"), ((HEAD, "a,b,c,d,e", *ROWS[:1]), "rows")],
)
def test_a_file_without_a_table_is_refused(tmp_path, lines, word):
    with pytest.raises(ConfigError, match=word):
        read_log(written(tmp_path, *lines))


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.csv"):
        read_log(tmp_path / "none.csv")
