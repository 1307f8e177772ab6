"""Rows of a recording to replay: what can be no reading is counted and left out, times may be dates, gaps part it."""

import gzip
import zipfile

import numpy as np
import pytest
from assb_host.config.errors import ConfigError
from assb_host.replay.columns import parse_mapping
from assb_host.replay.pack_log import read_pack_log, rising
from pack_recordings import CELL, COLUMNS, written

HEAD = "t,I,T,U_1,U_2"
ROWS = [f"{30 * k},-0.1,25,3.70{k % 10},3.69{k % 10}" for k in range(12)]


def read(path, **options):
    return read_pack_log(path, CELL, parse_mapping(COLUMNS), **options)


def test_a_table_of_cells_is_read(tmp_path):
    log = read(written(tmp_path, [HEAD, *ROWS]))
    assert (len(log), log.cells, log.names, log.skipped) == (12, 2, ["U_1", "U_2"], {})
    assert log.voltage_v[1].tolist() == [3.701, 3.691]
    assert log.start is None and log.sample_s == 30.0 and log.pressure_mpa is None


def test_packed_files_make_no_difference(tmp_path):
    plain = written(tmp_path, [HEAD, *ROWS])
    gzipped, zipped = tmp_path / "pack.csv.gz", tmp_path / "pack.zip"
    gzipped.write_bytes(gzip.compress(plain.read_bytes()))
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.write(plain, "folder/pack.csv")
    for path in (gzipped, zipped):
        assert np.array_equal(read(path).voltage_v, read(plain).voltage_v)


def test_a_zip_of_two_files_or_a_broken_one_is_refused(tmp_path):
    path = tmp_path / "pack.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", HEAD)
        archive.writestr("b.csv", HEAD)
    with pytest.raises(ConfigError, match=r"a zip of 2 files: a\.csv, b\.csv"):
        read(path)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ConfigError, match="broken gzip or zip"):
        read(path)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("100,-0.1,25,0.0,3.7", "voltage out of range"),
        ("100,-0.1,25,3.7,65.535", "voltage out of range"),
        ("100,-0.1,25,,3.7", "not a number"),
        ("100,-0.1,25,nan,3.7", "not a number"),
        ("100,-0.1,25", "not a number"),
        ("soon,-0.1,25,3.7,3.7", "not a number"),
        ("100,1000,25,3.7,3.7", "current out of range"),
        ("100,-0.1,-273,3.7,3.7", "temperature out of range"),
        ("90,-0.1,25,3.7,3.7", "time not rising"),
        ("-5,-0.1,25,3.7,3.7", "time not rising"),
        ("9999999,-0.1,25,3.7,3.7", "time not rising"),
    ],
)
def test_a_row_that_can_be_no_reading_is_counted_and_left_out(tmp_path, row, reason):
    whole = read(written(tmp_path, [HEAD, *ROWS]))
    log = read(written(tmp_path, [HEAD, *ROWS[:4], row, *ROWS[4:]], "other.csv"))
    assert log.skipped == {reason: 1}
    assert np.array_equal(log.time_s, whole.time_s) and np.array_equal(log.voltage_v, whole.voltage_v)


def test_the_cell_whose_voltage_was_none_is_known(tmp_path):
    log = read(written(tmp_path, [HEAD, *ROWS, "400,0,25,3.7,0.0", "430,0,25,3.7,0.0"]))
    assert log.skipped_by_cell.tolist() == [0, 2]


def test_a_recording_of_other_cells_is_refused_with_the_worst_column(tmp_path):
    rows = [row.replace("3.69", "1.20") for row in ROWS]
    with pytest.raises(ConfigError, match=r"12 voltage out of range.*as graphite_nmc has.*U_2 is out in 12 rows"):
        read(written(tmp_path, [HEAD, *rows]))


def test_a_clock_that_jumps_costs_its_own_rows_alone():
    assert rising(np.array([0.0, 1, 2, 3])).all()
    assert rising(np.array([0.0, 1, 99, 2, 3, 4, 5])).tolist() == [True, True, False, True, True, True, True]
    assert rising(np.array([0.0, 1, 2, -9, 3, 4, 5])).tolist() == [True, True, True, False, True, True, True]
    assert rising(np.array([0.0, 1, 1, 2, 3, 4, 5])).tolist() == [True, True, False, True, True, True, True]


def test_times_may_be_dates(tmp_path):
    rows = [f"2019-04-15 17:{k:02d}:30,-0.1,25,3.70,3.69" for k in range(12)]
    log = read(written(tmp_path, [HEAD, *rows]))
    assert log.start == "2019-04-15T17:00:30"
    assert log.since_s.tolist() == [60.0 * k for k in range(12)]


def test_a_long_gap_parts_the_recording_and_a_short_one_does_not(tmp_path):
    times = [*range(0, 300, 30), *range(400, 700, 30), *range(9000, 9300, 30)]
    log = read(written(tmp_path, [HEAD, *(f"{t},-0.1,25,3.70,3.69" for t in times)]))
    assert [(part.start, part.stop) for part in log.parts()] == [(0, 20), (20, 30)]


def test_a_current_that_discharges_with_plus_is_turned_by_its_minus_or_by_the_option(tmp_path):
    path = written(tmp_path, [HEAD, *ROWS])
    minus = parse_mapping(COLUMNS.replace("current=I", "current=-I"))
    assert read_pack_log(path, CELL, minus).current_a[0] == 0.1
    assert read(path, plus_discharges=True).current_a[0] == 0.1
    assert read_pack_log(path, CELL, minus, plus_discharges=True).current_a[0] == -0.1


def test_a_fast_recording_with_the_wrong_sign_is_refused(tmp_path):
    rows = [f"{k},{0.3 * (k % 7 > 3)},25,{3.7 - 0.04 * (k % 7 > 3):.3f},3.69" for k in range(60)]
    path = written(tmp_path, ["t,I,T,U_1,U_2", *rows])
    with pytest.raises(ConfigError, match="--current-sign -"):
        read(path)
    assert len(read(path, plus_discharges=True)) == 60


def test_a_single_cell_is_named_by_its_file_and_its_pressure_may_be_in_pascal(tmp_path):
    head = "test_time_second,voltage_volt,current_ampere,temperature_t1_celsius,applied_pressure_pa"
    path = written(tmp_path, [head, *(f"{k},3.7,0.1,25,5000000" for k in range(5))], "cell7.csv")
    log = read_pack_log(path, CELL)
    assert log.names == ["cell7"] and log.pressure_mpa.tolist() == pytest.approx([5.0] * 5)


def test_a_temperature_may_be_given_or_be_a_mean_of_several(tmp_path):
    path = written(tmp_path, ["time_s,voltage_v,current_a", *(f"{k},3.7,0.1" for k in range(5))])
    assert read_pack_log(path, CELL, temperature_degc=12.0).temperature_degc.tolist() == [12.0] * 5
    path = written(tmp_path, ["t,I,T_1,T_2,U_1", *(f"{k},0.1,20,30,3.7" for k in range(5))])
    mapping = parse_mapping("time=t,current=I,temperature=T_*,voltage=U_1")
    assert read_pack_log(path, CELL, mapping).temperature_degc.tolist() == [25.0] * 5
