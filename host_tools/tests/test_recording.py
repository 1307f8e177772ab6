"""A recording keeps every complete line and frame whatever ends it, says what was cut, and marks what is missing."""

import json
import multiprocessing
import os
import pty
import random
import signal
import subprocess
import sys
import time
import tty
from math import isnan

import pandas
import pytest
import serial
from assb.protocol import schema
from assb_host import cli, errors
from assb_host.errors import AssbError
from assb_host.link.decoder import Decoder, Frame
from assb_host.recording.frame_file import MAGIC, FrameReader, FrameWriter
from assb_host.recording.parquet import write_parquet
from assb_host.recording.reader import NOT_FINALIZED, StoredRecording
from assb_host.recording.recorder import META_NAME, Recorder, Settings
from board_stream import BoardStream, damaged

NOW_S = 1.8e9
PIECES = [(NOW_S + k / 8, bytes([k]) * (3 * k)) for k in range(5)]


def recorded(folder, stream, rounds=20, settings=None, decoder=None):
    """A recorder fed so many rounds, a piece each, and flushed."""
    decoder = decoder or Decoder()
    recorder = Recorder(folder, NOW_S, settings)
    for at in range(rounds):
        data = (stream.hello() if at == 0 else b"") + stream.round()
        feed(recorder, decoder, data, NOW_S + 0.1 * at)
    return recorder


def feed(recorder, decoder, data, now_s):
    recorder.heard(data, now_s)
    for item in decoder.feed(data):
        recorder.take(item)
    recorder.count(decoder)
    recorder.flush(now_s)


def frames_of(stored):
    return [item for _, item in stored.items() if isinstance(item, Frame)]


def written(path):
    writer = FrameWriter(path)
    for piece in PIECES:
        writer.write(*piece)
    writer.close()
    return path.read_bytes()


def test_raw_frames_read_back_up_to_the_last_complete_piece_wherever_the_file_is_cut(tmp_path):
    whole = written(tmp_path / "whole.frames")
    ends = [len(MAGIC)]
    for _, data in PIECES:
        ends.append(ends[-1] + 10 + len(data) + 4)
    assert ends[-1] == len(whole)
    path = tmp_path / "cut.frames"
    for length in range(len(whole) + 1):
        path.write_bytes(whole[:length])
        reader = FrameReader(path)
        kept = list(reader)
        assert kept == PIECES[: max(0, sum(end <= length for end in ends) - 1)]
        assert bool(reader.cut) == (length not in ends)


def test_only_damaged_pieces_are_left_out_and_that_is_said(tmp_path):
    whole = written(tmp_path / "a.frames")
    path, at = tmp_path / "b.frames", len(MAGIC)
    for place, (_, data) in enumerate(PIECES):
        end = at + 10 + len(data) + 4
        for hurt in {at, at + 8, at + 9, end - 1}:  # its time, its length, its CRC
            path.write_bytes(whole[:hurt] + bytes([whole[hurt] ^ 4]) + whole[hurt + 1 :])
            reader = FrameReader(path)
            assert list(reader) == PIECES[:place] + PIECES[place + 1 :]
            assert f"{end - at} bytes from byte {at} on are left out" in reader.cut
        at = end


def test_another_file_is_refused(tmp_path):
    (tmp_path / "a.frames").write_bytes(b"something else entirely")
    with pytest.raises(AssbError, match="no file of raw frames"):
        list(FrameReader(tmp_path / "a.frames"))


def test_the_tables_pass_the_validator_of_the_format_and_open_in_pandas_with_their_units(tmp_path):
    import bdf

    recorder = recorded(tmp_path / "r", BoardStream(cells=2))
    recorder.close()
    for cell in (0, 1):
        table = pandas.read_csv(tmp_path / "r" / f"0000.cell{cell}.bdf.csv")
        report = bdf.validate_df(table, raise_on_error=True)
        assert report["ok"] and not report["missing"]
        assert list(table)[:3] == ["test_time_second", "voltage_volt", "current_ampere"]
        assert len(table) == 20
        assert all(pandas.api.types.is_numeric_dtype(kind) for kind in table.dtypes)
    with pytest.raises(bdf.BDFValidationError):
        bdf.validate_df(table.drop(columns="voltage_volt"), raise_on_error=True)


def test_a_row_has_what_the_frames_said(tmp_path):
    stream = BoardStream()
    recorder = recorded(tmp_path / "r", stream)
    recorder.close()
    columns = StoredRecording(tmp_path / "r").columns(0)
    cells = [fields for _, name, fields in stream.sent if name == "CELL"]
    packs = [fields for _, name, fields in stream.sent if name == "PACK"]
    assert columns["voltage_volt"] == pytest.approx([1e-6 * fields["voltage_uv"] for fields in cells], abs=1e-9)
    assert columns["current_ampere"] == pytest.approx([1e-6 * fields["current_ua"] for fields in packs], abs=1e-9)
    assert columns["applied_pressure_pa"] == pytest.approx([1e3 * fields["pressure_kpa"] for fields in packs])
    assert columns["test_time_second"] == pytest.approx([0.1 * at for at in range(20)], abs=1e-3)


def test_parquet_has_the_same_columns_and_values(tmp_path):
    tables = []
    recorder = recorded(tmp_path / "r", BoardStream(), settings=Settings(on_part=tables.extend))
    recorder.disconnect(NOW_S + 3, "unplugged")
    recorder.close()
    target = write_parquet(tables[0], recorder.meta(True))
    pandas.testing.assert_frame_equal(
        pandas.read_parquet(target), pandas.read_csv(tables[0]).astype(float), check_dtype=False
    )


def test_parts_rotate_and_lose_nothing_between_them(tmp_path):
    stream = BoardStream()
    recorded(tmp_path / "r", stream, rounds=200, settings=Settings(rotate_bytes=20_000)).close()
    stored = StoredRecording(tmp_path / "r")
    assert len(stored.frame_files) > 2
    assert len(frames_of(stored)) == len(stream.sent)
    assert len(stored.columns(0)["voltage_volt"]) == 200
    assert stored.cut == [] and stored.counts["lost_count"] == 0


def test_parts_are_read_in_their_order_beyond_the_9999th(tmp_path):
    recorder = Recorder(tmp_path / "r", NOW_S, Settings(rotate_s=60.0))
    recorder._parts = [{"rows": 0, "bytes": 0}] * 9998  # of a week
    stream, decoder = BoardStream(), Decoder()
    for at in range(4):
        feed(recorder, decoder, (b"" if at else stream.hello()) + stream.round(), NOW_S + 60 * at)
    recorder.close()
    stored = StoredRecording(tmp_path / "r")
    for paths in (stored.frame_files, stored.tables()[0]):
        numbers = [int(path.name.split(".")[0]) for path in paths]
        assert numbers == sorted(numbers) and numbers[-1] > 9999
    assert stored.columns(0)["test_time_second"] == sorted(stored.columns(0)["test_time_second"])
    assert (len(frames_of(stored)), stored.counts["lost_count"]) == (len(stream.sent), 0)


def test_an_unplugged_board_leaves_a_gap_that_is_marked_in_meta_table_and_frames(tmp_path):
    stream = BoardStream()
    recorder = recorded(tmp_path / "r", stream)
    recorder.disconnect(NOW_S + 2.5, "the port went away")
    recorder.reconnect(NOW_S + 9)
    decoder = Decoder(mid_stream=True)
    stream.writer.sequence += 700  # what nobody heard
    for at in range(5):
        feed(recorder, decoder, stream.round(), NOW_S + 9 + at / 10)
    recorder.close()
    stored = StoredRecording(tmp_path / "r")
    assert stored.meta["gaps"] == [{"from_s": 2.5, "to_s": 9.0, "why": "the port went away"}]
    assert [at for at, (_, item) in enumerate(stored.items()) if item is None] == [81]
    columns = stored.columns(0)
    assert sum(isnan(volt) for volt in columns["voltage_volt"]) == 1
    assert columns["test_time_second"][-5] == pytest.approx(9.0, abs=1e-3)
    assert columns["test_time_second"] == sorted(columns["test_time_second"])
    assert stored.meta["counts"]["lost_count"] == 0


def test_frames_that_are_missing_in_the_sequence_are_a_gap(tmp_path):
    stream, decoder = BoardStream(), Decoder()
    recorder = recorded(tmp_path / "r", stream, decoder=decoder)
    stream.bytes(8)
    feed(recorder, decoder, stream.round(), NOW_S + 2)
    recorder.close()
    assert [gap["why"] for gap in StoredRecording(tmp_path / "r").meta["gaps"]] == ["8 frames missing"]


def test_a_recording_that_was_not_ended_says_so(tmp_path):
    recorded(tmp_path / "r", BoardStream())
    assert StoredRecording(tmp_path / "r").cut == [NOT_FINALIZED]


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(AssbError, match="not empty"):
        Recorder(tmp_path, NOW_S)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


STREAMS, FRAMES = 20, 1500
BIT_ERRORS = 1e-5


@pytest.fixture(scope="module")
def stream():
    """A stream, and what was sent by sequence; its last frames come whole."""
    stream = BoardStream()
    data = stream.hello() + stream.bytes(FRAMES)
    return data, stream.bytes(8), {sequence: fields for sequence, _, fields in stream.sent}


def heard(decoder_class, stream):
    """(frames missing, segments damaged, frames that were never sent) of the stream with bit errors, time and again."""
    data, end, sent = stream
    missing = damage = wrong = 0
    for seed in range(STREAMS):
        decoder = decoder_class()
        items = decoder.feed(damaged(data, BIT_ERRORS, random.Random(seed))) + decoder.feed(end)
        frames = [item for item in items if isinstance(item, Frame)]
        wrong += sum(frame.name != "HELLO" and frame.fields != sent.get(frame.sequence) for frame in frames)
        # HELLO alone may be lost unnoticed: nothing says what comes before the first frame
        missed = len(sent) - len(frames)
        assert missed - decoder.lost_count == (0 if frames[0].name == "HELLO" else 1) or decoder_class is not Decoder
        missing += missed
        damage += decoder.damaged_count
    return missing, damage, wrong


def test_of_bit_errors_every_damaged_frame_is_counted_and_none_believed(stream):
    missing, damage, wrong = heard(Decoder, stream)
    assert wrong == 0
    assert missing > 100 and damage > 100


def test_a_decoder_that_believes_damage_would_be_seen(stream):
    class Believing(Decoder):
        def _frame(self, segment):
            from assb_host.link.decoder import cobs, wire

            try:
                raw = cobs.decode(segment)
            except cobs.DecodeError:
                return None
            return self._accept(raw[: -wire.CRC_BYTES]) if len(raw) >= wire.HEADER_BYTES + wire.CRC_BYTES else None

    assert heard(Believing, stream)[2] > 0


def recording_process(arguments, cable):
    for descriptor in cable:  # else its ends would stay open when they are closed
        os.close(descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os._exit(cli.run(arguments))


class Cable:
    """A pseudo-terminal with a recorder's process on its other end; forked, as it would take a second to start."""

    def __init__(self, folder, *options, link=None):
        self.open()
        self.port = str(link or os.ttyname(self.slave))
        if link:
            link.symlink_to(os.ttyname(self.slave))
        arguments = ["record", "--port", self.port, "--out", str(folder), *options]
        self.process = multiprocessing.get_context("fork").Process(
            target=recording_process, args=(arguments, (self.master, self.slave))
        )
        self.process.start()
        wait_until((folder / META_NAME).exists)

    def open(self):
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)

    def replug(self, link):
        self.close()
        link.unlink()
        self.open()
        link.symlink_to(os.ttyname(self.slave))

    def stop(self):
        """As Ctrl-C does."""
        os.kill(self.process.pid, signal.SIGINT)
        self.process.join()
        assert self.process.exitcode == 0

    def kill(self):
        self.process.kill()
        self.process.join()

    def close(self):
        os.close(self.master)
        os.close(self.slave)


def wait_until(condition):
    while not condition():
        time.sleep(0.002)


@pytest.mark.parametrize("seed", range(20))
def test_killed_at_any_moment_it_keeps_every_complete_line_and_frame(tmp_path, seed):
    rng, stream = random.Random(seed), BoardStream(seed, cells=2, period_ms=10)
    cable = Cable(tmp_path / "r", "--rotate-mb", "0.1")
    try:
        os.write(cable.master, stream.hello())
        for _ in range(rng.randrange(20, 1500)):
            os.write(cable.master, stream.frame())
        cable.kill()
    finally:
        cable.close()
    stored = StoredRecording(tmp_path / "r")
    frames = frames_of(stored)
    sent = {sequence: (name, fields) for sequence, name, fields in stream.sent}
    assert [frame.sequence for frame in frames] == list(range(len(frames)))  # from the first on, without a hole
    assert all(sent[frame.sequence] == (frame.name, frame.fields) for frame in frames if frame.name != "HELLO")
    assert NOT_FINALIZED in stored.cut
    for cell in (0, 1):
        volts = [1e-6 * f.fields["voltage_uv"] for f in frames if f.name == "CELL" and f.fields["cell"] == cell]
        rows = stored.columns(cell).get("voltage_volt", []) if cell in stored.tables() else []
        assert rows == pytest.approx(volts[: len(rows)], abs=1e-9)
    assert json.loads((tmp_path / "r" / META_NAME).read_text())["finalized"] is False


@pytest.mark.parametrize("written", ["", "test_time_sec"])
def test_a_table_that_was_killed_before_its_first_line_has_no_rows(tmp_path, written):
    recorded(tmp_path / "r", BoardStream(cells=2))
    (tmp_path / "r" / "0000.cell1.bdf.csv").write_text(written)
    stored = StoredRecording(tmp_path / "r")
    assert stored.columns(1) == {} and stored.columns(0)["voltage_volt"]
    assert any("the last line is cut" in cut for cut in stored.cut) == bool(written)


def test_ctrl_c_ends_it_whole(tmp_path):
    stream = BoardStream()
    cable = Cable(tmp_path / "r", "--json")
    try:
        os.write(cable.master, stream.hello() + stream.bytes(40))
        wait_until(lambda: list((tmp_path / "r").glob("*.csv")))
        cable.stop()
    finally:
        cable.close()
    stored = StoredRecording(tmp_path / "r")
    assert (stored.cut, len(frames_of(stored))) == ([], 41)
    assert stored.meta["board"]["config_crc"] == f"{1234:08x}"
    assert stored.meta["host_schema_id"] == f"{schema.schema_id():08x}"


def test_a_busy_port_leaves_no_folder_behind(tmp_path, capsys):
    master, slave = pty.openpty()
    try:
        with serial.Serial(os.ttyname(slave), exclusive=True):  # a terminal program, say
            assert cli.run(["record", "--port", os.ttyname(slave), "--out", str(tmp_path / "s")]) == errors.EXIT_PORT
        assert "busy" in capsys.readouterr().err
        assert not (tmp_path / "s").exists()
    finally:
        os.close(master)
        os.close(slave)


def test_a_full_disk_is_a_clear_error_and_what_was_written_stays_whole(tmp_path):
    """The limit of a file's size stands in for the disk: the system refuses in the same place."""
    stream = BoardStream()
    master, slave = pty.openpty()
    tty.setraw(slave)
    limited = (
        "import resource, signal, sys; from assb_host import cli; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096)); sys.exit(cli.run(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", limited, "record", "--port", os.ttyname(slave), "--out", str(tmp_path / "r")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        wait_until((tmp_path / "r" / META_NAME).exists)
        os.write(master, stream.hello() + stream.bytes(10))
        wait_until(lambda: (tmp_path / "r" / "0000.frames").stat().st_size > 100)
        os.write(master, stream.bytes(100))
        told = process.communicate(timeout=20)[1]
    finally:
        process.kill()
        os.close(master)
        os.close(slave)
    assert process.returncode == errors.EXIT_FAILED
    assert "the recording can't be written: File too large" in told and "Traceback" not in told
    assert 11 <= len(frames_of(StoredRecording(tmp_path / "r"))) < 111


def test_two_recordings_of_one_port_have_the_same_frames(tmp_path):
    stream = BoardStream()
    cable = Cable(tmp_path / "r")
    second = multiprocessing.get_context("fork").Process(
        target=recording_process,
        args=(["record", "--port", cable.port, "--out", str(tmp_path / "s")], (cable.master, cable.slave)),
    )
    second.start()
    try:
        wait_until((tmp_path / "s" / META_NAME).exists)
        os.write(cable.master, stream.hello() + stream.bytes(40))
        tables = [tmp_path / name / "0000.cell0.bdf.csv" for name in "rs"]
        wait_until(lambda: all(table.exists() and len(table.read_text().splitlines()) == 11 for table in tables))
    finally:
        second.kill()
        second.join()
        cable.kill()
        cable.close()
    first, other = (frames_of(StoredRecording(tmp_path / name)) for name in "rs")
    assert len(first) == 41
    assert [frame.fields for frame in first] == [frame.fields for frame in other]


def test_unplugged_and_plugged_in_again_it_goes_on_and_marks_the_gap(tmp_path):
    stream = BoardStream()
    port = tmp_path / "port"
    cable = Cable(tmp_path / "r", link=port)
    table = tmp_path / "r" / "0000.cell0.bdf.csv"
    try:
        os.write(cable.master, stream.hello() + stream.bytes(40))
        wait_until(lambda: table.exists() and len(table.read_text().splitlines()) == 11)
        cable.replug(port)
        wait_until(lambda: json.loads((tmp_path / "r" / META_NAME).read_text())["gaps"])
        wait_until(lambda: os.read(cable.master, 1))  # it is back and asks who is there
        os.write(cable.master, stream.hello() + stream.bytes(40))
        wait_until(lambda: len(table.read_text().splitlines()) == 22)
        cable.stop()
    finally:
        cable.close()
    stored = StoredRecording(tmp_path / "r")
    (gap,) = stored.meta["gaps"]
    assert gap["to_s"] > gap["from_s"] and "went away" in gap["why"]
    assert sum(isnan(volt) for volt in stored.columns(0)["voltage_volt"]) == 1
    assert len(frames_of(stored)) == 82
