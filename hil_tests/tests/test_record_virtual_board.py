"""A firmware recorded in full on the VM replays bit for bit on the host; freeze frames and recordings become tests."""

import math
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from assb.estimation.parameters import OCV_POINTS
from assb.protocol import schema
from assb.protocol.image import decode
from assb_hil.dut.runner import start_board
from assb_hil.pytest_plugin import bench_scenario, demand_health
from assb_hil.session import open_session
from assb_host.commands.capture import fetched
from assb_host.config import build_image, load_pack
from assb_host.link.console import DutConsole
from assb_host.link.decoder import Frame
from assb_host.link.lasting import LastingLink, Tapped
from assb_host.link.link import Link
from assb_host.recording.image_file import IMAGE_NAME
from assb_host.recording.reader import StoredRecording
from assb_host.recording.recorder import Recorder
from assb_host.recording.session import Session
from assb_host.replay.raw import replay_items
from assb_host.replay.raw_command import facts_of, lines_of, replay_folder
from assb_host.replay.regression import write_frame_test, write_recording_test
from flashed_boards import DEADLINE_S, flash_image
from msgspec import structs

PACK, TWO_CELLS = "li_lpscl_nca", "li_lpscl_nca_2s"
BEGAN_S = 1.8e9
PACE = 6.0


def recorded(dut, folder, seconds, pack=PACK, ends_s=math.inf):
    """A recorder that ran for so long in virtual time, every step of the estimators told up to the time `ends_s`."""
    recorder = Recorder(folder, BEGAN_S)
    console = DutConsole(dut)
    link = Link(Tapped(console, lambda data: recorder.heard(data, BEGAN_S + console.now_s())))
    link.hello(10.0)
    link.wait_for(lambda item: getattr(item, "name", "") == "CELL" and item.fields["estimator_status"] == 0, 10.0)
    link.request("stream", full=1)
    begun_s = console.now_s()
    end_s = begun_s + seconds
    while console.now_s() < end_s:
        if console.now_s() - begun_s > ends_s:
            ends_s = math.inf
            link.request("stream", full=0)
        for item in link.poll(0.1):
            recorder.take(item)
        recorder.count(link.decoder)
    recorder.close()
    (folder / IMAGE_NAME).write_bytes(build_image(load_pack(pack)))
    return link


@pytest.fixture(scope="module")
def recorded_in_full(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recorded") / "full"
    with open_session(bench_scenario(None)) as session:
        session.start()
        recorded(session.dut, folder, 20)
        demand_health(session)
    return folder


@pytest.fixture
def full(recorded_in_full, tmp_path):
    """A copy, to be changed."""
    return shutil.copytree(recorded_in_full, tmp_path / "full")


def run_pytest(folder: Path):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_full_recording_replays_bit_for_bit_and_becomes_a_test_that_can_fail(full, tmp_path):
    folder = full
    stored, outcome = replay_folder(folder)
    assert outcome.first_difference == ""
    assert outcome.same and outcome.steps > 170 and outcome.compared > 170
    assert "the same, bit for bit" in "\n".join(lines_of(facts_of(stored, outcome)))
    path = write_recording_test(tmp_path / "regressions", stored, outcome, "")
    assert run_pytest(path.parent).returncode == 0
    path.write_text(path.read_text().replace("'same': True", "'same': False"))
    assert run_pytest(path.parent).returncode == 1


def test_a_part_that_is_missing_is_said(full, tmp_path):
    folder = full
    cut = tmp_path / "cut"
    shutil.copytree(folder, cut)
    path = cut / "0000.frames"
    path.write_bytes(path.read_bytes()[: -len(path.read_bytes()) // 4])
    stored, outcome = replay_folder(cut)
    assert outcome.same and 50 < outcome.steps < 170
    assert any("cut or damaged" in cut for cut in stored.cut)


def test_a_stream_that_was_ended_is_said(dut, tmp_path):
    recorded(dut, tmp_path / "r", 10, ends_s=4)
    stored, outcome = replay_folder(tmp_path / "r")
    assert outcome.same and 30 < outcome.steps < 50
    (gap,) = outcome.gaps
    assert gap.until_s is None and gap.missing >= 20
    assert "to the end" in "\n".join(lines_of(facts_of(stored, outcome)))


def loses_bytes(source):
    """Half a second of what the board says."""
    end_s = time.monotonic() + 0.5
    while time.monotonic() < end_s:
        source.console.read(0.05)


def ends_the_stream(source):
    """As another host may."""
    source.link.request("stream", full=0)


@pytest.mark.parametrize("act", [loses_bytes, ends_the_stream])
def test_after_a_gap_the_full_stream_is_asked_for_again_and_replays_from_there(tmp_path, act):
    with start_board("gap", flash=flash_image(tmp_path / "flash.bin")) as board, board.background(PACE):
        recorder = Recorder(tmp_path / "r", time.time())
        source = LastingLink(board.console_port, "", "test", lambda data: recorder.heard(data, time.time()))
        source.open()
        session, kinds = Session(source, recorder, full=True), []
        session.listeners.append(lambda frame, _unix_s: kinds.append(frame.type))
        for before in (lambda _source: None, act):
            before(source)
            kinds.clear()
            deadline_s = time.monotonic() + DEADLINE_S
            while schema.SNAPSHOT not in kinds or kinds[::-1].index(schema.SNAPSHOT) < 100:
                assert time.monotonic() < deadline_s, "no copy of the states, with frames after it"
                session.step()
        session.end()
        recorder.close()
    _, outcome = replay_folder(tmp_path / "r")
    assert (outcome.same, outcome.segments) == (True, 2)
    assert outcome.steps > 20


def test_another_configuration_does_not_give_the_same(full):
    folder = full
    (folder / IMAGE_NAME).unlink()
    assert replay_folder(folder)[1].same  # the shipped pack, known by its CRC
    config = decode(build_image(load_pack(PACK)))
    for knot in range(2, 2 + OCV_POINTS):
        config.estimator[knot] += 0.001
    assert not replay_items(config, StoredRecording(folder).items()).same


def test_what_ran_under_another_configuration_is_said_and_not_replayed(full):
    folder = full
    items = list(StoredRecording(folder).items())
    hello = next(item for _, item in items if isinstance(item, Frame) and item.type == schema.HELLO)
    other = structs.replace(hello, t_ms=15000, fields=hello.fields | {"config_crc": 1})
    at = next(k for k, (_, item) in enumerate(items) if isinstance(item, Frame) and item.t_ms > 15000)
    outcome = replay_items(decode((folder / IMAGE_NAME).read_bytes()), [*items[:at], (0.0, other), *items[at:]])
    assert (outcome.others, outcome.different, outcome.frames_different) == ([15.0], 0, 0)
    assert 0 < outcome.steps < replay_folder(folder)[1].steps
    stored = StoredRecording(folder)
    assert "another configuration from 15.0 s" in "\n".join(lines_of(facts_of(stored, outcome)))


def test_a_freeze_frame_becomes_a_test_that_can_fail(dut, tmp_path):
    link = Link(DutConsole(dut))
    link.hello(10.0)
    frame = fetched(link, 15.0)
    path = write_frame_test(tmp_path / "regressions", frame, build_image(load_pack(PACK)))
    assert run_pytest(path.parent).returncode == 0
    table = path.with_suffix("") / "frame.csv"
    lines = table.read_text().splitlines()
    lines[20] = ",".join([*lines[20].split(",")[:-1], "1.5"])
    table.write_text("\n".join(lines) + "\n")
    assert run_pytest(path.parent).returncode == 1


def test_cells_that_are_compared_with_each_other_replay_bit_for_bit_and_leave_the_heap_its_room(tmp_path):
    scenario = replace(bench_scenario(None), pack=TWO_CELLS)
    with open_session(scenario, "virtual") as session:
        session.start()
        recorded(session.dut, tmp_path / "two", 8, TWO_CELLS)
        heap_low_b = session.recorder.series["heap_low_b"][1][-1]
    _, outcome = replay_folder(tmp_path / "two")
    assert outcome.first_difference == ""
    assert outcome.same and outcome.steps > 130
    assert heap_low_b > 20_000
