"""What is put on a board: all that the firmware needs, nothing that only hosts need, and no image it would refuse."""

from dataclasses import replace
from pathlib import Path

import assb
import pytest
from assb_host.config import build_image, load_board, load_pack
from assb_host.config.locate import find
from assb_host.errors import EXIT_CONFIG, FlashError, MismatchError
from assb_host.flash.firmware_files import CONFIG, firmware_files, mpy_abi, reached, sha256
from assb_host.flash.flasher import Change, differences, last_words, prove, sealed_change
from assb_host.flash.plan import FlashPlan, ImageFileError, plan_for
from assb_host.flash.seal import SEAL, Key
from assb_host.flash.slots import read_slots

PACKAGE = Path(assb.__file__).parent


@pytest.fixture(scope="module")
def files():
    return firmware_files()


def test_the_same_sources_give_the_same_bytes(files):
    assert firmware_files() == files


def test_bytecode_fits_boards_with_31_bit_integers(files):
    version, small_int_bits = mpy_abi(files)
    assert (version, small_int_bits) == (6, 31)


def test_boot_and_main_are_text_at_the_root(files):
    assert files["/boot.py"] == (PACKAGE / "rootfs/boot.py").read_bytes()
    assert files["/main.py"] == (PACKAGE / "rootfs/main.py").read_bytes()


def test_the_board_gets_what_main_reaches_and_no_prose_for_hosts(files):
    modules = {path.removeprefix("assb/").removesuffix(".mpy") for path in files}
    assert {"__init__", "app", "start", "board", "control/protection", "drivers/ina228", "protocol/tables"} <= modules
    assert not {"protocol/schema", "protocol/schema_text", "rootfs/main", "rootfs/__init__"} & modules


def test_imports_are_followed_however_they_are_written(tmp_path):
    package = tmp_path / "assb"
    written = {
        "__init__.py": "", "app.py": "def run():\n    from .deep import inner\n",
        "deep/__init__.py": "from . import one\n",
        "deep/inner.py": "import assb.deep.two\nfrom ..other import NAME\nimport machine\n", "deep/one.py": "",
        "deep/two.py": "", "other.py": "NAME = 1\n", "unused.py": "", "rootfs/main.py": "from assb.app import run\n",
    }  # fmt: skip
    for name, text in written.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    found = {path.relative_to(package).as_posix() for path in reached([package / "rootfs/main.py"], package)}
    assert found == set(written) - {"unused.py", "rootfs/main.py"}


@pytest.mark.parametrize(
    "damage", [lambda image: image[:40], lambda image: image[:60] + b"\xff" + image[61:], lambda _: b""]
)
def test_a_damaged_config_image_is_refused_before_a_port_is_opened(tmp_path, damage):
    path = tmp_path / "config.bin"
    path.write_bytes(damage(plan_for("li_lpscl_nca").files[CONFIG]))
    with pytest.raises(ImageFileError, match="not a config image") as caught:
        plan_for(config_file=str(path))
    assert caught.value.exit_code == EXIT_CONFIG


def test_an_absent_config_image_is_named(tmp_path):
    with pytest.raises(ImageFileError, match=r"can't be read; .*nothing\.bin; No such file"):
        plan_for(config_file=str(tmp_path / "nothing.bin"))


def test_a_pack_and_its_image_are_the_same_plan(tmp_path):
    from_pack = plan_for("li_lpscl_nca")
    path = tmp_path / "config.bin"
    path.write_bytes(from_pack.files[CONFIG])
    from_image = plan_for(config_file=str(path))
    assert (from_image.files, from_image.config_crc) == (from_pack.files, from_pack.config_crc)


def image_for(board, path):
    """A file with the configuration of a pack for this board."""
    path.write_bytes(build_image(load_pack("li_lpscl_nca", board=board)))
    return str(path)


def own_board(folder):
    """A board file that is not a shipped one."""
    path = folder / "lab_rig.toml"
    path.write_text('name = "lab_rig"\ndescription = "A Pico 2 in our lab."\nbased_on = "pico2"\n')
    return str(path)


def test_a_plan_from_an_image_knows_the_board_that_it_was_built_for(tmp_path):
    own = own_board(tmp_path)
    assert plan_for(config_file=image_for("esp32s3", tmp_path / "esp.bin")).board == load_board(
        find("board", "esp32s3")
    )
    assert plan_for(config_file=image_for(own, tmp_path / "own.bin"), board=own).board == load_board(Path(own))


@pytest.mark.parametrize(
    ("built_for", "named", "seen"),
    [
        ("own", "", "for board lab_rig, which is not a shipped one; .*own.bin; name its file: --board FILE"),
        ("own", "pico2", "for board lab_rig, not pico2"),
        ("esp32s3", "own", "for board esp32s3, not lab_rig"),
    ],
)
def test_an_image_of_a_board_that_nobody_knows_is_refused(tmp_path, built_for, named, seen):
    files = {"own": own_board(tmp_path)}
    image = image_for(files.get(built_for, built_for), tmp_path / f"{built_for}.bin")
    with pytest.raises(ImageFileError, match=seen):
        plan_for(config_file=image, board=files.get(named, named))


def board_with(**slots):
    """{path: SHA-256} of a board with these files in its slots, by their contents."""
    files = {f"/{slot}/{path}": data for slot, held in slots.items() for path, data in held.items()}
    folders = {path[: at + 1] for path in files for at in range(1, len(path)) if path[at] == "/"}
    return {path: sha256(data) for path, data in files.items()} | dict.fromkeys(folders, "")


OLD = {"assb/app.mpy": b"old", "assb/same.mpy": b"same", "assb/gone.mpy": b"gone", "manifest": b"1", "config.bin": b"c"}
NEW_PLAN = FlashPlan({"/main.py": b"main", "assb/app.mpy": b"new", "assb/same.mpy": b"same", "manifest": b"2"})


def test_only_what_no_slot_has_is_sent_and_the_configuration_is_kept():
    present = board_with(a=OLD) | {"/main.py": sha256(b"main"), "/notes.txt": ""}
    change = Change(NEW_PLAN, "b", "a", present)
    assert change.to_send == {"/b/assb/app.mpy": b"new", "/b/manifest": b"2"}
    assert change.copies == {"/b/assb/same.mpy": "/a/assb/same.mpy", "/b/config.bin": "/a/config.bin"}
    assert change.stale == []


def test_stale_files_are_those_of_the_slot_that_is_written_and_of_an_interrupted_flash_alone():
    present = board_with(a=OLD, b=OLD) | {"/main.py.new": "", "/slot.new": "", "/notes.txt": ""}
    change = Change(NEW_PLAN, "b", "a", present)
    assert sorted(change.stale) == ["/b/assb/gone.mpy", "/main.py.new", "/slot.new"]


def test_a_key_seals_no_configuration_that_it_did_not_seal_before():
    key, plan = Key(bytes(32)), replace(NEW_PLAN, key=Key(bytes(32)))
    files = OLD | {SEAL: key.seal({path: sha256(data) for path, data in OLD.items()})}
    sealed = sealed_change(plan, "b", "a", board_with(a=files))
    assert sealed.copies["/b/config.bin"] == "/a/config.bin"
    for held in (files | {"config.bin": b"edited"}, files | {SEAL: Key(b"1" * 32).seal({})}, OLD):
        with pytest.raises(MismatchError, match=r"the key has not sealed it; /a/config\.bin; name --pack"):
            sealed_change(plan, "b", "a", board_with(a=held))
        named = replace(plan, files=plan.files | {CONFIG: b"reviewed"})
        assert sealed_change(named, "b", "a", board_with(a=held)).to_send["/b/config.bin"] == b"reviewed"


@pytest.mark.parametrize(
    ("text", "runs", "safe", "target", "trial"),
    [
        ("", "", "", "a", "a"),  # nothing whole
        ("a", "a", "a", "b", "b 3 a"),
        ("b", "b", "b", "a", "a 3 b"),
        ("b 2 a", "b", "a", "b", "b 3 a"),  # what is on trial may be written over, what stands behind it may not
        ("a back", "a", "a", "b", "b 3 a"),
        ("?", "a", "a", "b", "b 3 a"),
    ],
)
def test_the_slot_that_a_board_can_run_is_never_written(text, runs, safe, target, trial):
    slots = read_slots(text, {"/a/manifest": "", "/b/manifest": ""} if text else {})
    assert (slots.runs, slots.safe, slots.target("", "port"), slots.trial(target)) == (runs, safe, target, trial)
    if safe:
        with pytest.raises(MismatchError, match=f"slot {safe} is what the board runs"):
            slots.target(safe, "port")


def test_a_file_that_reads_back_wrong_fails_the_flash():
    wanted = {"/main.py": sha256(b"right"), "/boot.py": sha256(b"boot")}
    prove(wanted, wanted)
    with pytest.raises(FlashError, match=r"1 files read back wrong; /main\.py; flash again"):
        prove(wanted | {"/main.py": sha256(b"wrong")}, wanted)
    with pytest.raises(FlashError, match="2 files"):
        prove({}, wanted)


def test_a_hello_must_report_version_schema_and_configuration():
    plan = FlashPlan({}, None, 0x1234)
    major, minor, patch = plan.version
    hello = {"version_major": major, "version_minor": minor, "version_patch": patch, "schema_id": plan.schema_id,
             "config_crc": 0x1234, "config_status": 0}  # fmt: skip
    assert differences(hello, plan) == []
    assert differences(hello | {"version_patch": patch + 1}, plan) == [f"version {major}.{minor}.{patch + 1}"]
    assert "schema" in differences(hello | {"schema_id": 1}, plan)[0]
    assert "config" in differences(hello | {"config_crc": 0x1235}, plan)[0]
    assert "status -2" in differences(hello | {"config_status": -2}, plan)[0]
    assert differences(hello | {"config_crc": 0, "config_status": -1}, FlashPlan({})) == []


def test_the_last_words_of_a_board_are_its_own():
    said = [
        "MPY: soft reboot",
        "Traceback (most recent call last):",
        "MemoryError:",
        "MicroPython v1.28",
        ">>> !hello id=1",
    ]
    assert last_words(said) == "; it said: MPY: soft reboot / Traceback (most recent call last): / MemoryError:"
    assert last_words([]) == ""
