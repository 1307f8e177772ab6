"""What is put on a board: all that the firmware needs, nothing that only hosts need, and no image it would refuse."""

from pathlib import Path

import assb
import pytest
from assb_host.errors import EXIT_CONFIG, FlashError
from assb_host.flash.board_files import NEW
from assb_host.flash.firmware_files import firmware_files, mpy_abi, reached, sha256
from assb_host.flash.flasher import differences, last_words, managed_roots, prove, stale_paths
from assb_host.flash.plan import CONFIG_PATH, FlashPlan, ImageFileError, plan_for

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
    modules = {path.removeprefix("/a/assb/").removesuffix(".mpy") for path in files}
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
    path.write_bytes(damage(plan_for("li_lpscl_nca").files[CONFIG_PATH]))
    with pytest.raises(ImageFileError, match="not a config image") as caught:
        plan_for(config_file=str(path))
    assert caught.value.exit_code == EXIT_CONFIG


def test_an_absent_config_image_is_named(tmp_path):
    with pytest.raises(ImageFileError, match=r"can't be read; .*nothing\.bin; No such file"):
        plan_for(config_file=str(tmp_path / "nothing.bin"))


def test_a_pack_and_its_image_are_the_same_plan(tmp_path):
    from_pack = plan_for("li_lpscl_nca")
    path = tmp_path / "config.bin"
    path.write_bytes(from_pack.files[CONFIG_PATH])
    from_image = plan_for(config_file=str(path))
    assert (from_image.files, from_image.config_crc) == (from_pack.files, from_pack.config_crc)


def test_stale_files_are_those_of_the_slot_and_of_an_interrupted_flash_alone():
    plan = FlashPlan({"/main.py": b"", "/a/assb/app.mpy": b""})
    present = dict.fromkeys(
        [
            "/main.py",
            "/main.py" + NEW,
            "/config.bin",
            "/a/assb/",
            "/a/assb/app.mpy",
            "/a/assb/old.mpy",
            "/a/gone/",
            "/a/gone/x.py",
        ],
        "",
    )
    assert stale_paths(present, plan.files) == ["/main.py.new", "/a/assb/old.mpy", "/a/gone/", "/a/gone/x.py"]
    assert "/" not in managed_roots(plan)


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
