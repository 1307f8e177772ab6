"""Pages of recordings: what was recorded is on them, what was cut is said, and they need nothing else."""

import json

import pytest
from assb_host.cli import run
from assb_host.recording.reader import NOT_FINALIZED, StoredRecording
from assb_host.recording.recorder import META_NAME, Settings
from assb_host.report.stored import POINTS_MOST, recording_of, thinned
from board_stream import BoardStream
from test_recording import NOW_S, recorded


def text_of(folder, *options):
    assert run(["report", str(folder), *options]) == 0
    return (folder / "report.html").read_text()


def test_a_recordings_page_has_its_plots_checks_and_hashes_and_no_link(tmp_path):
    recorder = recorded(tmp_path / "r", BoardStream(cells=2), rounds=50)
    recorder.disconnect(NOW_S + 6, "the port went away")
    recorder.reconnect(NOW_S + 8)
    recorder.close()
    page = text_of(tmp_path / "r")
    assert "Voltage of cell 1" in page and "the port went away, to 8.0 s" in page
    assert "FAILED" in page and "SHA-256 of 0000.frames" in page and f"{1234:08x}" in page
    assert "src=" not in page and "href=" not in page.replace('xlink:href="#', "")


def test_a_killed_recordings_page_says_so(tmp_path):
    recorded(tmp_path / "r", BoardStream())
    assert NOT_FINALIZED[1:] in text_of(tmp_path / "r")


def test_tables_alone_make_a_page_with_the_same_voltages(tmp_path):
    recorded(tmp_path / "r", BoardStream(), settings=Settings()).close()
    recorded(tmp_path / "s", BoardStream(), settings=Settings(keeps_frames=False)).close()
    frames, tables = (recording_of(StoredRecording(tmp_path / name)) for name in "rs")
    for name in ("voltage_v", "current_a", "pressure_mpa", "soc_frac"):
        assert tables.series[name].values == pytest.approx(frames.series[name].values, abs=1e-6), name


def test_a_long_line_is_thinned_and_keeps_its_extremes_and_holes():
    values = [0.0] * 100_000
    values[41_234], values[77_777], values[50_000] = 9.0, -9.0, float("nan")
    series = thinned([0.1 * at for at in range(100_000)], values)
    assert len(series.values) <= POINTS_MOST
    assert max(series.values) == 9.0 and min(series.values) == -9.0
    assert sum(value != value for value in series.values) == 1  # noqa: PLR0124
    assert list(series.time_s) == sorted(series.time_s)


def test_a_folder_of_runs_gives_an_index_with_trends(tmp_path, capsys):
    for name in ("one", "two"):
        recorded(tmp_path / "runs" / name, BoardStream(seed=len(name))).close()
    hil = tmp_path / "runs" / "hil"
    hil.mkdir()
    (hil / "result.json").write_text(json.dumps({"checks": [{"passed": False}], "sim_time_s": 9}))
    (hil / "report.html").write_text("written by the run")
    (tmp_path / "runs" / "bad").mkdir()
    (tmp_path / "runs" / "bad" / META_NAME).write_text("{")
    assert run(["report", str(tmp_path / "runs"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    verdicts = {run["name"]: run["verdict"] for run in told["runs"]}
    assert "missing or damaged" in verdicts.pop("bad")
    assert verdicts == {"one": "whole", "two": "whole", "hil": "failed"}
    page = (tmp_path / "runs" / "index.html").read_text()
    assert 'href="one/report.html"' in page and "mean R0" in page and page.count("<svg") >= 2
    assert 'href="hil/report.html"' in page and (hil / "report.html").read_text() == "written by the run"
    assert (tmp_path / "runs" / "two" / "report.html").is_file()


def test_a_folder_without_any_run_is_refused(tmp_path, capsys):
    assert run(["report", str(tmp_path)]) == 1
    assert "no recording and no run" in capsys.readouterr().err
