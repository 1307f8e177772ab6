"""Two slots on the real VM: new firmware confirms itself or goes back, whatever is wrong and wherever power fails."""

import random
from functools import lru_cache
from pathlib import Path

import assb
import pytest
from assb.protocol import schema
from assb_hil.dut import virtual
from assb_hil.dut.flash_image import read_image, write_image
from assb_host.config import build_image, load_pack
from assb_host.flash import slots
from assb_host.flash.firmware_files import firmware_files, placed
from powered_lives import QUICK, QUICKLY, idle, live, made_image

SECONDS = 3.0  # of a life in which the board comes up and confirms
CUTS = 2  # in CI
HANG_S = 2.0  # of processor time in which a VM says nothing: ten times what it takes to start
firmware = lru_cache(firmware_files)  # compiled once
UNWATCHED = build_image(load_pack("li_lpscl_nca", changes=QUICKLY | {"timing.watchdog_ms": 0}))
HANGS = b"while True:\n    pass\n"


def board(
    tmp_path,
    state: str | bytes,
    b: dict[str, bytes | None] | None = None,
    a: dict[str, bytes | None] | None = None,
    lacks=(),
):
    """An image with the firmware in both slots, but for these files: None leaves one out, a .py takes the place of the
    .mpy of its name. `lacks`: what is taken away afterwards, of what the image makes itself."""
    files = {"/slot": state if isinstance(state, bytes) else state.encode()}
    for slot, changes in (("a", a or {}), ("b", b or {})):
        whole = firmware() | {"config.bin": QUICK}
        for path in changes:
            whole.pop(path.removesuffix(".py") + ".mpy", None)
        files |= placed({path: data for path, data in (whole | changes).items() if data is not None}, slot)
    image = made_image(tmp_path / "flash.bin", files["/a/config.bin"], files)
    write_image(image, {path: data for path, data in read_image(image).items() if path not in lacks})
    return image


def slot_file(image) -> str:
    return read_image(image)["/slot"].decode()


def last_hello(life) -> dict:
    return life.frames(schema.HELLO)[-1]


def test_both_ends_know_the_bits_of_the_slot():
    main = (Path(assb.__file__).parent / "rootfs/main.py").read_text(encoding="utf-8")
    assert f"B, ON_TRIAL, FELL_BACK = {slots.B}, {slots.ON_TRIAL}, {slots.FELL_BACK}" in main
    assert f"TRIES = {slots.TRIES}" in main
    start = (Path(assb.__file__).parent / "start.py").read_text(encoding="utf-8")
    watchdog_ms = main.split("TRIAL_WATCHDOG_MS = ")[1].split()[0]
    assert f"_TRIAL_WATCHDOG_MS = const({watchdog_ms})" in start


def test_new_firmware_that_is_well_confirms_itself(tmp_path):
    image = board(tmp_path, "b 3 a")
    life = live(image, idle(0.6, SECONDS))
    hellos = life.frames(schema.HELLO)
    assert hellos[0]["slot"] == slots.B | slots.ON_TRIAL
    assert slot_file(image) == "b"
    assert last_hello(live(image, idle(0.6, SECONDS)))["slot"] == slots.B


@pytest.mark.parametrize("config", [pytest.param(UNWATCHED, id="watchdog_ms 0"), pytest.param(None, id="none")])
def test_the_watchdog_of_a_trial_is_fed_whatever_the_configuration_says_of_one(tmp_path, config):
    image = board(tmp_path, "b 3 a", {"config.bin": config})
    life = live(image, idle(0.6, 12.0))
    assert slot_file(image) == "b"
    assert len(life.frames(schema.HELLO)) == 1


@pytest.mark.parametrize("module", ["start", "board", "port/console"])
def test_ctrl_c_while_firmware_on_trial_is_loaded_gives_a_prompt_that_lasts(tmp_path, module):
    """Its watchdog of 8 s runs from before the first import on."""
    image = board(tmp_path, "b 3 a", {f"assb/{module}.py": b"raise KeyboardInterrupt\n"})
    live(image, idle(0.6, 20.0))
    assert slot_file(image) == "b 2 a"  # no second start


@pytest.mark.parametrize(
    ("what", "seconds", "tries"),
    [
        pytest.param({"assb/app.py": b"raise ValueError('no heart')\n"}, 6.0, 3, id="raises while it is loaded"),
        pytest.param({"assb/start.mpy": b"no bytecode"}, 6.0, 3, id="a file that is none"),
        pytest.param({"assb/start.py": HANGS}, 14.0, 1, id="hangs before its watchdog runs"),
        pytest.param({"assb/telemetry.py": b"raise MemoryError\n"}, 8.0, 3, id="crashes"),
        pytest.param({"assb/storage/frame_dump.mpy": b"M\x06"}, 18.0, 1, id="a file is not as listed"),
        pytest.param({"config.bin": QUICK[:-1]}, 18.0, 1, id="refuses its configuration"),
    ],
)
def test_new_firmware_that_is_not_goes_back_by_itself(tmp_path, what, seconds, tries, monkeypatch):
    monkeypatch.setattr(virtual, "HANG_S", HANG_S)
    image = board(tmp_path, f"b {tries} a", what)
    life = live(image, idle(0.6, seconds))
    assert slot_file(image) == "a back"
    assert last_hello(life)["slot"] == slots.FELL_BACK
    assert last_hello(life)["config_status"] == 0
    assert life.last("state") == schema.STATES.index("SAFE")


def test_firmware_that_can_no_longer_be_loaded_gives_way_to_the_other_slot(tmp_path):
    image = board(tmp_path, "a", a={"assb/start.mpy": b""})
    life = live(image, idle(0.6, SECONDS))
    assert last_hello(life)["slot"] & slots.B
    assert slot_file(image) == "b"


def test_with_both_slots_bad_the_board_is_at_its_prompt_and_says_so(tmp_path):
    image = board(tmp_path, "b 3 a", {"assb/start.mpy": b""}, {"assb/start.mpy": b""})
    life = live(image, idle(0.6, 8.0))
    assert not life.frames(schema.HELLO)
    said = [
        text for _, text in life.recorder.lines if text.startswith("MAINTENANCE: the firmware in /a can't be loaded")
    ]
    assert said
    assert slot_file(image) == "a back"


@pytest.mark.parametrize(
    ("state", "half"), [("b 3 a", "b"), ("b 0 a", "b"), ("b", "b"), ("a", "a"), ("a 3 b", "a"), ("a back", "a")]
)
def test_a_slot_that_a_flash_left_half_written_is_not_started_and_the_host_knows(tmp_path, state, half):
    image = board(tmp_path, state, lacks=(f"/{half}/manifest",))
    life = live(image, idle(0.6, SECONDS))
    runs = slots.read_slots(state, read_image(image)).runs
    assert {hello["slot"] for hello in life.frames(schema.HELLO)} == {"ab".index(runs)}
    assert runs != half
    assert slot_file(image) == state  # nothing confirmed


@pytest.mark.parametrize("text", ["", "?", "b", "b 3", "b x a", "a 9 a", "\xff", b"\xff\xfe", b"b\xff"])
def test_no_text_in_slot_keeps_a_board_from_starting(tmp_path, text):
    image = board(tmp_path, text)
    assert live(image, idle(0.6, SECONDS)).frames(schema.HELLO)


@pytest.mark.parametrize(
    "what", [pytest.param({}, id="confirms"), pytest.param({"assb/start.mpy": b""}, id="goes back")]
)
def test_power_may_fail_at_any_flash_operation_of_a_trial(tmp_path, request, what):
    image = board(tmp_path, "b 1 a" if what else "b 3 a", what)
    kept = image.read_bytes()
    total = live(image, idle(0.6, 6.0)).operations
    points = range(1, total + 1)
    if not request.config.getoption("--all-cuts"):
        points = sorted(random.Random(total).sample(points, CUTS))
    for point in points:
        image.write_bytes(kept)
        assert not live(image, idle(0.6, 6.0), point).powered, point
        after = live(image, idle(0.6, 6.0))
        assert last_hello(after)["slot"] & slots.B == (0 if what else slots.B), point
        assert slot_file(image) == ("a back" if what else "b"), point
    print(f"{len(points)} of {total} cut points")
