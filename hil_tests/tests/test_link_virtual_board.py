"""The link to the real firmware in lockstep: hello, commands, refusals, a lease that is kept or lapses; the monitor."""

import json
import os
import queue
import re
import signal
import subprocess
import sys
import time

import pytest
from assb.protocol import schema
from assb_hil.dut.idle_world import IdleWorld
from assb_hil.dut.virtual import VirtualBoard
from assb_host.commands.capture import fetched
from assb_host.commands.monitor import json_line, plain_text
from assb_host.errors import LinkError, NotRunningError, RefusedError
from assb_host.link.console import DutConsole, ExclusiveConsole, SerialConsole
from assb_host.link.decoder import Frame
from assb_host.link.link import Link
from assb_host.link.lock import BusyError
from assb_host.monitor.board import WatchedBoard
from assb_host.monitor.view import View, view_of
from assb_host.monitor.watched import Watched
from flashed_boards import running_copy, until

LEASE_S = 3.0
PACE = 5.0
STATE = {name: number for number, name in enumerate(schema.STATES)}


@pytest.fixture
def link(dut):
    """A link in virtual time to the firmware on the reference bench."""
    link = Link(DutConsole(dut))
    link.wait_for(lambda item: isinstance(item, Frame) and item.type == schema.HELLO, 10.0, "HELLO of the boot")
    return link


def state_is(name):
    return lambda item: isinstance(item, Frame) and item.type == schema.PACK and item.fields["state"] == STATE[name]


def event_is(number):
    return lambda item: isinstance(item, Frame) and item.type == schema.EVENT and item.fields["event"] == number


def test_hello_says_who_is_there(dut):
    hello = Link(DutConsole(dut)).hello(10.0)
    assert (hello.fields["pack"], hello.fields["schema_id"]) == ("li_lpscl_nca", schema.schema_id())


def test_a_freeze_frame_of_now_comes_whole(link):
    link.wait_for(state_is("SAFE"), 10.0)
    frame = fetched(link, 12.0)
    assert (frame.cell, frame.stage) == (None, "none")
    assert frame.rows[-1][0] == pytest.approx(0.99)
    assert frame.rows[-1][3] == pytest.approx(3.8, abs=0.5)
    assert fetched(link, 12.0).csv() == frame.csv()  # it stands for a while, and is sent again


def test_a_parameter_that_was_set_reads_back(link):
    assert link.request("set", name="soh_period_ms", value=1234) == {"name": "soh_period_ms", "value": "1234"}
    assert link.request("get", name="soh_period_ms")["value"] == "1234"


@pytest.mark.parametrize(
    ("command", "pairs", "reason"),
    [
        ("explode", {}, "unknown_command"),
        ("set", {"name": "capacity_uah", "value": 1}, "config_image_only"),
        ("set", {"name": "soh_period_ms", "value": -1}, "out_of_range"),
        ("set", {"name": "soh_period_ms", "value": "much"}, "bad_number"),
        ("get", {"name": "charm"}, "unknown_parameter"),
        ("lease", {}, "no_lease"),
    ],
)
def test_a_refusal_names_its_reason(link, command, pairs, reason):
    with pytest.raises(RefusedError, match=reason):
        link.request(command, **pairs)


def test_a_command_without_its_checksum_changes_nothing(link):
    link.console.write(b"!set name=soh_period_ms value=4321\n")
    assert link.request("get", name="soh_period_ms")["value"] != "4321"


def test_a_damaged_command_is_refused_as_damaged(link):
    class DamagedConsole:
        """The last stretch of wire, flipping a digit."""

        name, number, gap_count = "wire", 0, 0
        read, now_s, close = link.console.read, link.console.now_s, link.console.close

        def write(self, data):
            link.console.write(data.replace(b"4321", b"4322"))

    with pytest.raises(RefusedError, match="bad_crc"):
        Link(DamagedConsole()).request("set", name="soh_period_ms", value=4321, reply_deadline_s=0.4)
    assert link.request("get", name="soh_period_ms")["value"] not in ("4321", "4322")


@pytest.mark.bench(events=("lease_lapsed",), trips=("lease_lapsed",))
def test_a_lease_that_is_kept_keeps_the_board_armed_and_lapses_without(link):
    link.wait_for(state_is("SAFE"), 10.0, "SAFE")
    link.request("arm", lease_ms=int(1000 * LEASE_S))
    link.keep_lease(LEASE_S / 4)
    link.wait_for(state_is("REST"), 120.0, "REST")
    kept_until_s = link.console.now_s() + 4 * LEASE_S
    while link.console.now_s() < kept_until_s:
        assert not any(event_is(schema.EV_LEASE)(item) for item in link.poll(0.5))
    link.drop_lease()
    link.wait_for(event_is(schema.EV_LEASE), 2 * LEASE_S, "lapse")
    link.wait_for(state_is("SAFE"), 5.0, "SAFE")


def test_a_board_without_power_is_a_link_error_in_virtual_time():
    with VirtualBoard(IdleWorld()) as board, pytest.raises(LinkError, match="no reply to `help` in 2 s"):
        Link(DutConsole(board)).request("help")


@pytest.fixture
def hurried(image, tmp_path):
    """As `running`, and faster than the clock."""
    with running_copy(image, tmp_path, PACE) as board:
        yield board


def monitor(port, *options, **kwargs):
    """It hears SIGINT even where the tests run in the background of a shell, which has it ignored."""
    command = [sys.executable, "-m", "assb_host", "monitor", "--port", port, *options]
    heard = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs)
    finally:
        signal.signal(signal.SIGINT, heard)


def test_monitor_prints_lines_and_ctrl_c_ends_it_well(running):
    process = monitor(running.console_port, "--plain")
    lines = [process.stdout.readline() for _ in range(3)]
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=10)
    assert (process.returncode, stderr) == (0, "")
    assert any("MPa" in line and "stage none" in line for line in lines)


def test_monitor_prints_one_json_object_a_line(running):
    process = monitor(running.console_port, "--json", "--duration", "3.5")
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    newest = json.loads(output.splitlines()[-1])
    assert newest["pack"]["state"] in schema.STATES
    assert newest["link"]["damaged"] == 0


def test_monitor_without_a_word_from_the_board_says_so():
    with VirtualBoard(IdleWorld()) as board:
        board.power_on()
        with board.background():
            process = monitor(board.console_port, "--plain", "--duration", "1.5")
            _, stderr = process.communicate(timeout=20)
    assert process.returncode == LinkError.exit_code
    assert "no telemetry" in stderr


@pytest.fixture
def bench_port(image, tmp_path):
    """Port of a board on the reference bench, in a process of its own and in SAFE."""
    path = tmp_path / "bench.bin"
    path.write_bytes(image)
    environment = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "assb_host", "board", "run", "bench", "--flash", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        port = process.stdout.readline().split()[3]
        with SerialConsole(port) as console:
            Link(console).wait_for(state_is("SAFE"), 30.0, "SAFE")
        yield port
        process.terminate()


def test_stop_reaches_a_board_that_assb_arm_holds(bench_port):
    command = [sys.executable, "-m", "assb_host", "{}", "--port", bench_port]
    deaf = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)}  # as a shell's background job
    arm = subprocess.Popen([part.format("arm") for part in command], stdout=subprocess.PIPE, text=True, **deaf)
    lines = [arm.stdout.readline() for _ in range(4)]
    while "ARMED" not in "".join(lines) and len(lines) < 40:  # the first PACK frame may be from before the command
        lines.append(arm.stdout.readline())
    assert "ARMED" in "".join(lines)
    assert re.search(r"cell 0: 3\.\d+ V  SOC", "".join(lines))
    done = subprocess.run([part.format("stop") for part in command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "stopped: the board is in SAFE\n", "")
    assert "stopped" in arm.communicate(timeout=10)[0]
    assert arm.returncode == 0


def test_a_monitor_that_armed_keeps_the_lease_and_the_port_until_stop_from_elsewhere(bench_port):
    watched = Watched(bench_port)
    watched.open()
    board = WatchedBoard(watched).start()
    try:
        said = queue.SimpleQueue()
        board.command("arm", said.put)
        assert said.get(timeout=30).startswith("armed; lease 5 s")
        until(lambda: watched.picture.state == "ARMED" and board._begun)
        with pytest.raises(BusyError, match="`assb monitor` needs it; end that first"):
            ExclusiveConsole(bench_port, "assb flash")
        lapses_s = time.monotonic() + 6
        until(lambda: time.monotonic() > lapses_s)
        assert watched.picture.state not in ("SAFE", "FAULT")
        command = [sys.executable, "-m", "assb_host", "stop", "--port", bench_port]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 0
        until(lambda: not board.armed_here)
        assert "its lease is not kept any more" in board.said
        ExclusiveConsole(bench_port, "assb flash").close()
    finally:
        board.close()


def test_a_monitor_serves_the_port_to_another_and_to_stop_and_one_survives_the_other(running):
    serving = monitor(running.console_port, "--json")
    json.loads(serving.stdout.readline())
    served = monitor(running.console_port, "--json")
    while not json.loads(served.stdout.readline())["pack"]:
        pass
    done = subprocess.run(
        [sys.executable, "-m", "assb_host", "stop", "--port", running.console_port],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("stopped: the board is in ")
    serving.send_signal(signal.SIGINT)
    assert serving.communicate(timeout=10)[1] == ""
    frames = json.loads(served.stdout.readline())["link"]["frames"]
    for _ in range(2):
        newest = json.loads(served.stdout.readline())
    assert newest["link"]["frames"] > frames
    assert newest["link"]["damaged"] == 0
    assert newest["link"]["gaps"] == 1
    served.send_signal(signal.SIGINT)
    served.communicate(timeout=10)


def test_a_flash_borrows_the_port_of_a_monitor(hurried):
    watching = monitor(hurried.console_port, "--plain")
    watching.stdout.readline()
    done = subprocess.run(
        # another pack: the other slot is filled, which takes longer than from one line to the next
        [sys.executable, "-m", "assb_host", "flash", "--port", hurried.console_port, "--pack", "graphite_nmc"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = []
    while len(lines) < 60 and not (any("assb flash" in line for line in lines) and "MPa" in lines[-1]):
        lines.append(watching.stdout.readline())
    watching.send_signal(signal.SIGINT)
    watching.communicate(timeout=10)
    assert any("assb flash" in line for line in lines), lines
    assert "MPa" in lines[-1]


def watch_until(watched, wanted, deadline_s=30.0):
    """Polls until wanted(watched) holds."""
    end_s = time.monotonic() + deadline_s
    while not wanted(watched):
        assert time.monotonic() < end_s, f"not seen in {deadline_s} s: {watched.absent}"
        watched.see()


def test_monitor_finds_a_board_that_went_away_and_came_back(image, tmp_path):
    """The port's name stays, as that of a USB board does; what is behind it does not."""
    port = tmp_path / "port"
    watched = None
    for turn in range(2):
        path = tmp_path / f"flash{turn}.bin"
        path.write_bytes(image)
        with VirtualBoard(IdleWorld(), flash=path) as board:
            port.unlink(missing_ok=True)
            port.symlink_to(board.console_port)
            board.power_on()
            with board.background():
                if watched is None:
                    watched = Watched(str(port))
                    watched.open()
                watch_until(watched, lambda it: it.picture.pack and not it.absent)
        watch_until(watched, lambda it: it.absent)
    watched.close()
    assert ["went away" in text for _, text in watched.gaps] == [True]


def shown(watched) -> View:
    return view_of(WatchedBoard(watched))


def test_a_board_that_stands_still_is_shown_as_silent_with_what_it_said_last(image, tmp_path):
    path = tmp_path / "flash.bin"
    path.write_bytes(image)
    with VirtualBoard(IdleWorld(), flash=path) as board:
        board.power_on()
        watched = Watched(board.console_port)
        watched.open()
        with board.background():
            watch_until(watched, lambda it: it.picture.pack and it.picture.hello)
            assert json.loads(json_line(watched))["link"]["silent_s"] < 1
            assert "silent" not in plain_text(watched) + shown(watched).banner.text
        watch_until(watched, lambda it: it.silent_s > 1.5)
        watched.close()
        assert re.match(rf"silent for \d+ s; last .* s  {watched.picture.state} ", plain_text(watched))
        assert shown(watched).state.text == f"last {watched.picture.state}"
        assert json.loads(json_line(watched))["link"]["silent_s"] > 1.5


def test_a_port_that_comes_back_shows_nothing_of_the_board_before(image, tmp_path):
    port = tmp_path / "port"
    path = tmp_path / "flash.bin"
    path.write_bytes(image)
    with VirtualBoard(IdleWorld(), flash=path) as board:
        port.symlink_to(board.console_port)
        board.power_on()
        watched = Watched(str(port))
        watched.open()
        with board.background():
            watch_until(watched, lambda it: it.picture.pack)
    watch_until(watched, lambda it: it.absent)
    with VirtualBoard(IdleWorld()) as mute:
        port.unlink()
        port.symlink_to(mute.console_port)
        watch_until(watched, lambda it: not it.absent)
        assert watched.picture.pack == {}
        assert plain_text(watched) == f"no telemetry on {port}"
    watched.close()


def test_a_board_at_its_prompt_is_told_how_to_start_its_firmware(running):
    watched = Watched(running.console_port)
    watched.open()
    watch_until(watched, lambda it: it.picture.pack)
    watched.link.console.write(b"\r\x03\x03")
    watch_until(watched, lambda it: it.silence and it.link.at_prompt)
    assert "the board is at its Python prompt; Ctrl-D" in plain_text(watched)
    assert "the board is at its Python prompt; Ctrl-D" in shown(watched).banner.text
    with pytest.raises(LinkError, match=r"no reply to `stop` .*Python prompt; Ctrl-D or `mpremote reset` starts"):
        watched.link.request("stop", reply_deadline_s=0.3)
    watched.link.console.write(b"\x04")
    watch_until(watched, lambda it: not it.silence)
    assert not watched.link.at_prompt
    watched.close()


def test_the_view_shows_what_tripped_and_what_to_do(hurried):
    watched = Watched(hurried.console_port)
    watched.open()
    watch_until(watched, lambda it: "current_stale" in it.picture.tripped and it.picture.hello)
    view = shown(watched)
    watched.close()
    assert view.name.startswith("virtual-pico / li_lpscl_nca")
    remedies = {row[0].text: row[3].text for row in view.faults.rows}
    assert remedies["current_stale"] == "Check the wiring and supply of the current monitor."


@pytest.fixture
def unconfigured(tmp_path):
    """A board with firmware and no configuration."""
    from assb_hil.dut.flash_image import write_image
    from assb_host.flash.firmware_files import placed
    from assb_host.flash.plan import plan_for

    path = tmp_path / "flash.bin"
    write_image(path, placed(plan_for().files))
    with VirtualBoard(IdleWorld(), flash=path) as board:
        board.power_on()
        with board.background():
            yield board


def assb(*arguments):
    return subprocess.run([sys.executable, "-m", "assb_host", *arguments], capture_output=True, text=True, check=False)


def test_a_board_without_configuration_says_so_and_shows_dashes(unconfigured):
    hint = "no valid configuration (missing); flash one with `assb flash --pack NAME`"
    watched = Watched(unconfigured.console_port)
    watched.open()
    watch_until(watched, lambda it: it.picture.hello and it.picture.pack)
    watched.close()
    line = plain_text(watched)
    assert "LOCKOUT" in line
    assert "- A  -/- MPa  - degC" in line
    assert line.endswith(hint)
    assert hint in shown(watched).banner.text
    assert json.loads(json_line(watched))["pack"]["current_a"] is None
    done = assb("arm", "--port", unconfigured.console_port)
    assert done.returncode == RefusedError.exit_code
    assert hint in done.stderr


def test_flash_without_a_pack_on_a_board_without_configuration_says_so(unconfigured):
    done = assb("flash", "--port", unconfigured.console_port)
    assert done.returncode == NotRunningError.exit_code
    assert "verified in" in done.stdout
    assert "no valid configuration (missing); " in done.stderr
    assert done.stderr.endswith("flash one with `assb flash --pack NAME`\n")
