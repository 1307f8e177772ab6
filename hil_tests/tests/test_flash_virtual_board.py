"""Flashing the real virtual board through its pseudo-terminal: what arrives, is mended, or is refused untouched."""

import dataclasses

import pytest
from assb_hil.dut.idle_world import IdleWorld
from assb_hil.dut.virtual import VirtualBoard
from assb_host.config import load_pack
from assb_host.errors import LinkError, MismatchError, NotRunningError, PortError
from assb_host.flash import board_repl, flasher
from assb_host.flash.board_files import BoardFiles
from assb_host.flash.board_repl import BoardRepl
from assb_host.flash.firmware_files import sha256
from assb_host.flash.plan import CONFIG_PATH, FlashPlan, plan_for
from assb_host.link.console import SerialConsole
from assb_host.link.link import Link

PACK = "li_lpscl_nca"


@pytest.fixture(scope="module")
def plan() -> FlashPlan:
    return plan_for(PACK)


@pytest.fixture
def board():
    with VirtualBoard(IdleWorld()) as board:
        board.power_on()
        with board.background():
            yield board


@pytest.fixture(scope="module")
def flashed_image(plan, tmp_path_factory):
    """A flash image with the plan on it, so that not every test starts from an empty one."""
    path = tmp_path_factory.mktemp("flash") / "flash.bin"
    with VirtualBoard(IdleWorld(), flash=path) as board:
        board.power_on()
        with board.background():
            flasher.flash(board.console_port, plan)
    return path.read_bytes()


@pytest.fixture
def flashed(flashed_image, tmp_path):
    """A running board that was flashed before."""
    path = tmp_path / "flash.bin"
    path.write_bytes(flashed_image)
    with VirtualBoard(IdleWorld(), flash=path) as board:
        board.power_on()
        with board.background():
            yield board


@pytest.fixture
def soon_given_up(monkeypatch):
    """A board without power is given up on after a moment, so that these tests are short."""
    monkeypatch.setattr(board_repl, "BYTE_DEADLINE_S", 0.3)


def on_board(board, roots=("/",)):
    """{path: SHA-256} as the board itself reads its files."""
    with SerialConsole(board.console_port) as console, BoardRepl(console) as repl:
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
    assert sorted(result.sent) == sorted(plan.files)
    assert (result.hello["config_crc"], result.hello["config_status"]) == (plan.config_crc, 0)
    assert result.hello["pack"] == PACK
    present = on_board(board)
    assert {path: present[path] for path in plan.files} == {path: sha256(data) for path, data in plan.files.items()}
    assert not [path for path in present if path.endswith(".new")]


def test_a_second_flash_sends_nothing_and_the_board_runs_again(flashed, plan):
    result = flasher.flash(flashed.console_port, plan)
    assert result.sent == {}
    assert len(result.unchanged) == len(plan.files)


def test_only_what_changed_is_sent_and_stale_files_go(flashed, plan):
    with SerialConsole(flashed.console_port) as console, BoardRepl(console) as repl:
        repl.run("open('/a/assb/old.py', 'w').close()\nopen('/notes.txt', 'w').close()\nopen('/crashes', 'w').close()")
    changed = dataclasses.replace(plan, files=plan.files | {"/boot.py": plan.files["/boot.py"] + b"# changed\n"})
    result = flasher.flash(flashed.console_port, changed)
    assert list(result.sent) == ["/boot.py"]
    assert sorted(result.removed) == ["/a/assb/old.py", "/crashes"]
    present = on_board(flashed)
    assert "/notes.txt" in present
    assert "/a/assb/old.py" not in present


def test_firmware_alone_keeps_the_configuration(flashed, plan):
    result = flasher.flash(flashed.console_port, plan_for())
    assert result.hello["config_crc"] == plan.config_crc
    assert on_board(flashed, (CONFIG_PATH,)) == {CONFIG_PATH: sha256(plan.files[CONFIG_PATH])}


@pytest.mark.parametrize(("step", "share"), [("compare", 0), ("write", 0.4), ("commit", 0), ("verify", 0)])
def test_a_board_that_lost_power_in_a_flash_is_mended_by_a_second_one(board, plan, step, share, soon_given_up):
    with pytest.raises((LinkError, PortError, NotRunningError)):
        flasher.flash(board.console_port, plan, at(step, share, board.power_off))
    board.power_on()
    assert flasher.flash(board.console_port, plan).hello["config_crc"] == plan.config_crc


@pytest.mark.parametrize("operation", [5, 60])
def test_a_power_cut_at_any_flash_operation_of_the_commit_is_mended(board, plan, operation, soon_given_up):
    with pytest.raises((LinkError, PortError, NotRunningError)):
        flasher.flash(board.console_port, plan, at("commit", 0, lambda: board.power_cut_at(operation)))
    board.power_on()
    assert flasher.flash(board.console_port, plan).hello["config_crc"] == plan.config_crc


def test_ctrl_c_leaves_the_board_at_its_friendly_prompt(board, plan):
    with pytest.raises(KeyboardInterrupt):
        flasher.flash(board.console_port, plan, at("write", 0.5, interrupt))
    with SerialConsole(board.console_port) as console:
        console.write(b"print(6*7)\r\n")
        heard = b""
        while b"\r\n42" not in heard:
            heard += console.read(5.0) or pytest.fail(f"no prompt: {heard!r}")


def test_a_board_of_another_kind_is_refused_untouched(flashed, plan):
    pico = dataclasses.replace(plan, board=load_pack(PACK, board="pico").board)
    before = on_board(flashed)
    with pytest.raises(MismatchError, match=r"board pico \(rp2\), this one runs port linux"):
        flasher.flash(flashed.console_port, pico)
    assert on_board(flashed) == before


def test_bytecode_of_another_version_is_refused_untouched(board, plan):
    old = {path: (b"M\x05" + data[2:] if path.endswith(".mpy") else data) for path, data in plan.files.items()}
    with pytest.raises(MismatchError, match=r"loads \.mpy files of version 6, not 5"):
        flasher.flash(board.console_port, dataclasses.replace(plan, files=old))
    assert "/main.py" not in on_board(board)


def test_firmware_that_does_not_come_up_is_named_with_its_last_words(board, plan):
    broken = dataclasses.replace(plan, files=plan.files | {"/main.py": b"raise ValueError('no heart')\n"})
    with pytest.raises(NotRunningError, match=r"left the board at its prompt; it said: .*ValueError: no heart"):
        flasher.flash(board.console_port, broken)


def test_another_configuration_than_the_plan_says_is_noticed(board, plan):
    with pytest.raises(NotRunningError, match="the board reports config"):
        flasher.flash(board.console_port, dataclasses.replace(plan, config_crc=plan.config_crc ^ 1))


def test_a_loop_that_runs_is_interrupted_on_the_way_to_the_repl(board):
    with SerialConsole(board.console_port) as console:
        console.write(b"while True: pass\r\n\r\n")
        with BoardRepl(console) as repl:
            assert repl.run("print('free')").strip() == b"free"


def test_commands_are_answered_after_a_flash(flashed, plan):
    with SerialConsole(flashed.console_port) as console:
        link = Link(console)
        assert link.hello(10.0).fields["config_crc"] == plan.config_crc
        assert link.request("get", name="lease_ms")["value"] == "5000"
        assert link.request("set", name="soh_period_ms", value=2000) == {"name": "soh_period_ms", "value": "2000"}
