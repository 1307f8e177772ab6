"""Flashing the real virtual board through its pseudo-terminal: what arrives, is mended, or is refused untouched."""

import dataclasses
import random
from collections import Counter

import pytest
from assb.protocol import schema
from assb_hil.dut.flash_image import read_image, write_image
from assb_hil.dut.idle_world import IdleWorld
from assb_hil.dut.virtual import VirtualBoard
from assb_host.config import build_image, load_pack
from assb_host.errors import FlashError, LinkError, MismatchError, NotRunningError, PortError, RolledBackError
from assb_host.flash import board_repl, flasher, slots
from assb_host.flash.board_files import BoardFiles
from assb_host.flash.board_repl import BoardRepl
from assb_host.flash.firmware_files import CONFIG, MANIFEST, compiled, manifest, placed, sha256
from assb_host.flash.plan import CONFIG_PATH, FlashPlan, plan_for
from assb_host.link.console import ExclusiveConsole
from assb_host.link.decoder import Decoder, Frame
from assb_host.link.link import Link
from flashed_boards import PACE, running_board, running_copy

PACK = "li_lpscl_nca"
CUTS = 1  # in CI
TRIES = 3
DEAD_AFTER_S = 4.0  # of silence a board without power is given up on, so that these tests are short


@pytest.fixture(scope="module")
def plan() -> FlashPlan:
    return plan_for(PACK)


@pytest.fixture
def board():
    with VirtualBoard(IdleWorld()) as board:
        board.power_on()
        with board.background(PACE):
            yield board


@pytest.fixture(scope="module")
def flashed_image(plan, tmp_path_factory):
    """A flash image with the plan on it, so that not every test starts from an empty one."""
    path = tmp_path_factory.mktemp("flash") / "flash.bin"
    with VirtualBoard(IdleWorld(), flash=path) as board:
        board.power_on()
        with board.background(PACE):
            flasher.flash(board.console_port, plan)
    return path.read_bytes()


@pytest.fixture
def flashed(flashed_image, tmp_path):
    """A running board that was flashed before."""
    with running_copy(flashed_image, tmp_path, PACE) as board:
        yield board


@pytest.fixture
def flashed_by_the_clock(flashed_image, tmp_path):
    """The same as fast as a real one, which the host's patience is made for."""
    with running_copy(flashed_image, tmp_path) as board:
        yield board


@pytest.fixture
def cut(board, monkeypatch):
    """Takes the power of the board, which is then given up on after a moment, so that these tests are short. Not
    before: a slow machine would be given up on, too."""

    consoles = []

    def opened(*arguments):
        consoles.append(ExclusiveConsole(*arguments))
        return consoles[-1]

    def act():
        board.power_off()
        monkeypatch.setattr(board_repl, "BYTE_DEADLINE_S", 0.3)
        consoles[-1].port.timeout = 0.3

    monkeypatch.setattr(flasher, "ExclusiveConsole", opened)
    yield act


def on_board(board, roots=("/",)):
    """{path: SHA-256} as the board itself reads its files."""
    with ExclusiveConsole(board.console_port) as console, BoardRepl(console) as repl:
        return BoardFiles(repl).hashes(roots)


def at(step, share=0.0, do=None):
    """Progress that calls `do` once, when a step has come to this share of its bytes."""
    fired = []

    def progress(now, done, total, _path):
        if now == step and not fired and (not total or done >= share * total):
            fired.append(True)
            do()

    return progress


def interrupt():
    raise KeyboardInterrupt


def test_an_empty_board_gets_everything_and_says_so(board, plan):
    result = flasher.flash(board.console_port, plan)
    files = placed(plan.files)
    assert sorted(result.sent) == sorted(files)
    assert (result.hello["config_crc"], result.hello["config_status"]) == (plan.config_crc, 0)
    assert result.hello["pack"] == PACK
    present = on_board(board)
    assert {path: present[path] for path in files} == {path: sha256(data) for path, data in files.items()}
    assert not [path for path in present if path.endswith(".new")]


def test_a_second_flash_sends_nothing_and_the_board_runs_again(flashed, plan):
    result = flasher.flash(flashed.console_port, plan)
    assert result.sent == {}
    assert len(result.unchanged) == len(plan.files)


def next_version(plan, path="assb/storage/frame_dump.mpy", data=None):
    """The plan with one module that is another file, and a manifest that says so."""
    files = plan.files | {path: data or plan.files[path] + b"\0"}
    del files[MANIFEST]
    return dataclasses.replace(plan, files=files | {MANIFEST: manifest(files)})


def test_an_update_goes_to_the_other_slot_and_only_what_changed_over_the_cable(flashed_by_the_clock, plan):
    flashed = flashed_by_the_clock
    with ExclusiveConsole(flashed.console_port) as console, BoardRepl(console) as repl:
        repl.run("open('/notes.txt', 'w').close()\nopen('/crashes', 'w').close()")
    changed = next_version(plan)
    result = flasher.flash(flashed.console_port, changed)
    assert sorted(result.sent) == ["/b/assb/storage/frame_dump.mpy", "/b/manifest"]
    assert len(result.copied) == len(changed.files) - 5  # those two, and what stands outside of the slots
    assert (result.slot, result.hello["slot"]) == ("b", slots.B)
    present = on_board(flashed)
    assert "/notes.txt" in present
    assert "/crashes" not in present
    assert {path: present[path] for path in placed(plan.files)} == {
        path: sha256(data) for path, data in placed(plan.files).items()
    }  # the version before stands


def test_a_third_version_takes_the_place_of_the_first_and_a_rollback_runs_the_second(flashed, plan):
    flasher.flash(flashed.console_port, next_version(plan))
    third = next_version(plan, data=plan.files["assb/storage/frame_dump.mpy"] + b"\0\0")
    result = flasher.flash(flashed.console_port, third)
    assert (result.slot, result.hello["slot"]) == ("a", 0)
    assert sorted(result.sent) == ["/a/assb/storage/frame_dump.mpy", "/a/manifest"]
    result = flasher.roll_back(flashed.console_port)
    assert (result.slot, result.hello["slot"]) == ("b", slots.B)


def test_there_is_nothing_to_roll_back_to_on_a_board_that_was_flashed_once(flashed):
    before = on_board(flashed)
    with pytest.raises(MismatchError, match="slot b holds no whole firmware"):
        flasher.roll_back(flashed.console_port)
    assert on_board(flashed) == before


def test_firmware_that_does_not_confirm_itself_is_said_to_have_gone_back(flashed, plan, tmp_path):
    source = tmp_path / "start.py"
    source.write_text("raise ValueError('no heart')\n", encoding="utf-8")
    broken = next_version(plan, "assb/start.mpy", compiled(source, "assb/start.py", tmp_path))
    with pytest.raises(RolledBackError, match="slot b, which did not confirm itself, and runs slot a again"):
        flasher.flash(flashed.console_port, broken)


def test_verify_says_what_differs_and_writes_nothing(flashed, plan):
    result = flasher.verify(flashed.console_port, plan)
    assert (result.sent, result.removed, len(result.unchanged)) == ({}, [], len(plan.files))
    before = on_board(flashed, ("/a", "/boot.py", "/main.py"))
    result = flasher.verify(flashed.console_port, next_version(plan))
    assert sorted(result.sent) == ["/a/assb/storage/frame_dump.mpy", "/a/manifest"]
    assert on_board(flashed, ("/a", "/boot.py", "/main.py")) == before


def test_firmware_alone_keeps_the_configuration(flashed, plan):
    result = flasher.flash(flashed.console_port, plan_for())
    assert result.hello["config_crc"] == plan.config_crc
    assert on_board(flashed, (CONFIG_PATH,)) == {CONFIG_PATH: sha256(plan.files[CONFIG])}


@pytest.mark.parametrize(("step", "share"), [("compare", 0), ("write", 0.4), ("verify", 0), ("commit", 0)])
def test_a_board_that_lost_power_in_a_flash_is_mended_by_a_second_one(board, plan, step, share, cut, monkeypatch):
    with pytest.raises((LinkError, PortError, NotRunningError)):
        flasher.flash(board.console_port, plan, at(step, share, cut))
    assert not board.powered
    monkeypatch.undo()
    board.power_on()
    assert flasher.flash(board.console_port, plan).hello["config_crc"] == plan.config_crc


def update(image, plan, cut):
    """Flash the plan on the board of an image. `cut`: at which flash operation, from the first write on, power fails.
    (operations, whether the board still has power)."""
    with VirtualBoard(IdleWorld(), flash=image) as board:
        board.power_on()
        begun = []

        def progress(step, *_):
            if step == "compare" and not begun:
                begun.append(board.counters()["flash_operations"])
                board.power_cut_at(cut)

        with board.background(PACE):
            try:
                flasher.flash(board.console_port, plan, progress)
            except (LinkError, PortError, FlashError, NotRunningError, RolledBackError):
                assert cut is not None
        return int(board.counters()["flash_operations"] - begun[0]), board.powered


def said_slot(image):
    """HELLO's in four seconds after power-on, the last of them."""
    with VirtualBoard(IdleWorld(), flash=image) as board:
        board.power_on()
        board.run_until(board.now_us + 4_000_000)
        items = Decoder(mid_stream=False).feed(board.read_console())
    return [item.fields["slot"] for item in items if isinstance(item, Frame) and item.type == schema.HELLO][-1]


def running_version(image, versions):
    """Which of them the slot that says HELLO holds, in all its files."""
    slot = slots.SLOTS[said_slot(image) & slots.B]
    files = read_image(image)
    held = [v for v, plan in enumerate(versions) if placed(plan.files, slot).items() <= files.items()]
    assert len(held) == 1, f"a mixture in {slot}"
    return held[0]


@pytest.mark.parametrize("state", ["b", "b 3 a"])
def test_an_update_may_be_cut_at_any_flash_operation(flashed_image, plan, tmp_path, request, monkeypatch, state):
    """It is the second, so that the slot holds an older version, most of which stays; that one may be on trial yet."""
    if state == "b" and not request.config.getoption("--all-cuts"):
        pytest.skip("the walk from a confirmed slot: --all-cuts")
    image = tmp_path / "flash.bin"
    image.write_bytes(flashed_image)
    second = next_version(plan)
    update(image, second, None)
    write_image(image, {"/slot": state.encode()}, keep=True)
    kept, third = image.read_bytes(), next_version(plan, data=plan.files["assb/storage/frame_dump.mpy"] + b"\0\0")
    versions = (plan, second, third)
    total, _ = update(image, third, None)
    assert running_version(image, versions) == 2
    monkeypatch.setattr(board_repl, "BYTE_DEADLINE_S", DEAD_AFTER_S)
    for deadline in ("HELLO_DEADLINE_S", "TRIAL_DEADLINE_S"):
        monkeypatch.setattr(flasher, deadline, DEAD_AFTER_S)
    points = range(1, total + 1)
    if not request.config.getoption("--all-cuts"):
        points = sorted(random.Random(total).sample(points, CUTS))
    seen = Counter()
    for point in points:
        powered = True
        for _ in range(TRIES):  # a busy machine may break a flash off before its cut: then nothing was cut
            image.write_bytes(kept)
            _, powered = update(image, third, point)
            if not powered:
                break
        assert not powered, point
        seen[running_version(image, versions)] += 1
    print(f"{len(points)} of {total} cut points: versions that run, {dict(seen)}")


def test_a_slot_on_trial_is_no_more_named_once_it_is_written_over(flashed, plan):
    with pytest.raises(KeyboardInterrupt):
        flasher.flash(flashed.console_port, next_version(plan), at("restart", do=interrupt))
    third = next_version(plan, data=plan.files["assb/storage/frame_dump.mpy"] + b"\0\0")
    with pytest.raises(KeyboardInterrupt):
        flasher.flash(flashed.console_port, third, at("write", do=interrupt))
    with ExclusiveConsole(flashed.console_port) as console, BoardRepl(console) as repl:
        files = BoardFiles(repl)
        assert files.text("/slot") == "a"
        assert files.hashes(("/b/manifest",)) == {}


def test_room_is_asked_for_before_anything_goes_and_what_goes_makes_room(flashed_image, plan, tmp_path):
    image, big = tmp_path / "flash.bin", "assb/big.bin"
    image.write_bytes(flashed_image)
    before = next_version(plan, big, bytes(120_000))
    write_image(image, placed(before.files, "b"), keep=True)
    with running_board(image, PACE) as board:
        present = on_board(board, ("/a", "/b", "/slot"))
        with pytest.raises(FlashError, match="bytes to write"):
            flasher.flash(board.console_port, next_version(plan, big, bytes(400_000)))
        assert on_board(board, ("/a", "/b", "/slot")) == present
        after = next_version(plan, big, b"\1" * 120_000)
        result = flasher.flash(board.console_port, after)
        assert result.sent == {f"/b/{big}": 120_000, "/b/manifest": len(after.files[MANIFEST])}
        assert result.identity.free_bytes < 120_000


def test_an_image_for_another_board_is_refused_untouched(board, tmp_path):
    path = tmp_path / "config.bin"
    path.write_bytes(build_image(load_pack(PACK, board="esp32s3")))
    with pytest.raises(MismatchError, match=r"board esp32s3 \(esp32\), this one runs port linux"):
        flasher.flash(board.console_port, plan_for(config_file=str(path)))
    assert "/main.py" not in on_board(board)


def test_ctrl_c_leaves_the_board_at_its_friendly_prompt(board, plan):
    with pytest.raises(KeyboardInterrupt):
        flasher.flash(board.console_port, plan, at("write", 0.5, interrupt))
    with ExclusiveConsole(board.console_port) as console:
        console.write(b"print(6*7)\r\n")
        heard = b""
        while b"\r\n42" not in heard:
            heard += console.read(5.0) or pytest.fail(f"no prompt: {heard!r}")


def test_a_board_of_another_kind_is_refused_untouched(flashed, plan):
    pico = dataclasses.replace(plan, board=load_pack(PACK, board="pico2").board)
    before = on_board(flashed)
    with pytest.raises(MismatchError, match=r"board pico2 \(rp2\), this one runs port linux"):
        flasher.flash(flashed.console_port, pico)
    assert on_board(flashed) == before


def test_bytecode_of_another_version_is_refused_untouched(board, plan):
    old = {path: (b"M\x05" + data[2:] if path.endswith(".mpy") else data) for path, data in plan.files.items()}
    with pytest.raises(MismatchError, match=r"loads \.mpy files of version 6, not 5"):
        flasher.flash(board.console_port, dataclasses.replace(plan, files=old))
    assert "/main.py" not in on_board(board)


def test_firmware_that_does_not_come_up_is_named_with_its_last_words(flashed, plan):
    broken = dataclasses.replace(plan, files=plan.files | {"/main.py": b"raise ValueError('no heart')\n"})
    with pytest.raises(NotRunningError, match=r"left the board at its prompt; it said: .*ValueError: no heart"):
        flasher.flash(flashed.console_port, broken)


def test_another_configuration_than_the_plan_says_is_noticed(flashed, plan):
    with pytest.raises(NotRunningError, match="the board reports config"):
        flasher.flash(flashed.console_port, dataclasses.replace(plan, config_crc=plan.config_crc ^ 1))


def test_a_loop_that_runs_is_interrupted_on_the_way_to_the_repl(board):
    with ExclusiveConsole(board.console_port) as console:
        console.write(b"while True: pass\r\n\r\n")
        with BoardRepl(console) as repl:
            assert repl.run("print('free')").strip() == b"free"


def test_commands_are_answered_after_a_flash(flashed, plan):
    with ExclusiveConsole(flashed.console_port) as console:
        link = Link(console)
        assert link.hello(10.0).fields["config_crc"] == plan.config_crc
        assert link.request("get", name="lease_ms")["value"] == "5000"
        assert link.request("set", name="soh_period_ms", value=2000) == {"name": "soh_period_ms", "value": "2000"}


def test_a_file_that_an_interrupted_flash_left_open_spoils_no_later_one(flashed, plan):
    with ExclusiveConsole(flashed.console_port) as console:
        with BoardRepl(console) as repl:
            files = BoardFiles(repl)
            repl.run("_f = open('/a/note', 'wb')\n_f.write(b'old ' * 600)")
        with BoardRepl(console) as repl:  # without a reset between them
            files = BoardFiles(repl)
            files.write("/a/note", b"new " * 100, lambda _count: None)
            repl.run("import gc\ngc.collect()")
            assert files.hashes(("/a/note",)) == {"/a/note": sha256(b"new " * 100)}
