"""A board with a key: it runs what was sealed with it and nothing else, and a host without it writes nothing."""

import hashlib
import stat
from dataclasses import replace
from functools import lru_cache

import pytest
from assb.protocol import schema
from assb_hil.dut.flash_image import read_image, write_image
from assb_hil.dut.idle_world import IdleWorld
from assb_hil.dut.virtual import VirtualBoard
from assb_host.errors import MismatchError
from assb_host.flash import flasher
from assb_host.flash.firmware_files import CONFIG, placed
from assb_host.flash.plan import plan_for
from assb_host.flash.seal import KEY_FILE, SEAL, Key, KeyFileError, read_key
from assb_host.link.console import DutConsole
from assb_host.link.decoder import Frame
from assb_host.link.link import Link
from flashed_boards import PACE, running_board

KEY, OTHER = Key(bytes(range(32))), Key(bytes(32))
SECONDS = 3.0  # of the board's time, in which it comes up or says why not
plan = lru_cache(plan_for)  # compiled once


def sealed(key=KEY):
    """The files of a slot, with its seal."""
    files = {path: data for path, data in plan("li_lpscl_nca").files.items() if not path.startswith("/")}
    return files | {SEAL: key.seal({path: hashlib.sha256(data).hexdigest() for path, data in files.items()})}


def started(tmp_path, a, b=None, slot="a", key=KEY.text, beside=None):
    """(slot that says HELLO, or None; text of the console) of a board with KEY, these files in its slots, and those
    `beside` them."""
    shared = {path: data for path, data in plan("li_lpscl_nca").files.items() if path.startswith("/")}
    files = shared | placed(a, "a") | placed(b or {}, "b") | {KEY_FILE: key.encode(), "/slot": slot.encode()}
    files |= beside or {}
    write_image(tmp_path / "flash.bin", files)
    said, slots = [], []
    with VirtualBoard(IdleWorld(), flash=tmp_path / "flash.bin") as board:
        board.power_on()
        link = Link(DutConsole(board))
        while board.now_us < SECONDS * 1e6:
            for item in link.poll(0.2):
                if isinstance(item, Frame):
                    slots += ["ab"[item.fields["slot"] & 1]] if item.type == schema.HELLO else []
                else:
                    said.append(item.text)
    return slots[-1] if slots else None, "\n".join([*said, link.decoder.pending_text])


def test_what_was_sealed_with_the_key_runs(tmp_path):
    assert started(tmp_path, sealed())[0] == "a"


@pytest.mark.parametrize("slot_file", [b"a", b"\xff\xfe"])
def test_nothing_beside_the_slot_is_imported(tmp_path, slot_file):
    """Not where the slot has no such module, nor in place of one of MicroPython's own; whatever /slot holds."""
    names = ("assb_kernel", "os", "time", "struct")
    beside = {f"{folder}{name}.py": b"print('mine')\n" for folder in ("/", "/lib/") for name in names}
    slot, said = started(tmp_path, sealed(), beside=beside | {"/slot": slot_file})
    assert slot == "a"
    assert "mine" not in said


TAMPERED = {
    "a file is another": lambda files: files | {"assb/app.mpy": files["assb/app.mpy"] + b"\0"},
    "the configuration is another": lambda files: files | {CONFIG: files[CONFIG][:-1] + b"\0"},
    "a file is missing": lambda files: {path: data for path, data in files.items() if path != CONFIG},
    "a file that would be imported first": lambda files: files | {"assb/app.py": b"print('mine')\n"},
    "another key": lambda files: sealed(OTHER),
    "no seal": lambda files: {path: data for path, data in files.items() if path != SEAL},
    "a seal of nothing": lambda files: files | {SEAL: KEY.seal({})},
    "a seal without its end": lambda files: files | {SEAL: files[SEAL][:-66]},
    "an empty seal": lambda files: files | {SEAL: b""},
}


@pytest.mark.parametrize("damage", TAMPERED.values(), ids=TAMPERED)
def test_nothing_else_does_and_the_board_says_why(tmp_path, damage):
    slot, said = started(tmp_path, damage(sealed()))
    assert slot is None
    assert "MAINTENANCE: the firmware in /a can't be loaded" in said
    assert "mine" not in said


@pytest.mark.parametrize("key", ["", KEY.text[:-2], KEY.text + "00"])
def test_a_key_that_is_damaged_opens_nothing(tmp_path, key):
    """Not even what was sealed with it: an empty one anybody could seal for."""
    short = Key(bytes.fromhex(key))
    slot, said = started(tmp_path, sealed(short), key=key)
    assert slot is None and "/key is damaged" in said


def test_the_other_slot_runs_when_that_is_sealed(tmp_path):
    slot, said = started(tmp_path, TAMPERED["a file is another"](sealed()), sealed())
    assert slot == "b"
    assert "/a/assb/app.mpy is not what was sealed" in said


def test_a_key_is_set_once_and_from_then_on_nothing_is_written_without_it(tmp_path):
    path = tmp_path / "flash.bin"
    write_image(path, placed(plan("li_lpscl_nca").files))
    ours = replace(plan("li_lpscl_nca"), key=KEY)
    with running_board(path, PACE) as board:
        port = board.console_port
        with pytest.raises(MismatchError, match=r"has no key; .*--set-key"):
            flasher.flash(port, ours)
        result = flasher.flash(port, replace(ours, key=replace(KEY, sets=True)))
        assert result.slot == "b"  # sealed and confirmed; /a stands unsealed
        assert flasher.flash(port, ours).sent == {}
        assert flasher.flash(port, replace(plan(), key=KEY)).sent == {}  # it keeps what it has sealed
        for plan_without, seen in (
            (replace(ours, key=None), "runs only what its key has sealed; .*--key FILE"),
            (replace(ours, key=OTHER), "another key"),
            (replace(ours, key=replace(OTHER, sets=True)), "another key"),
        ):
            with pytest.raises(MismatchError, match=seen):
                flasher.flash(port, plan_without)
        assert flasher.verify(port, ours).sent == {}
    files = read_image(path)
    assert files[KEY_FILE].decode() == KEY.text
    assert files["/slot"] == b"b"


def test_a_key_file_is_made_once_for_its_user_alone(tmp_path):
    path = tmp_path / "lab.key"
    with pytest.raises(KeyFileError, match="--set-key"):
        read_key(path)
    made = read_key(path, sets=True)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_key(path, sets=True) == made
    assert made.text not in repr(made)
    path.write_text("deadbeef")
    with pytest.raises(KeyFileError, match="64 hexadecimal digits"):
        read_key(path)
