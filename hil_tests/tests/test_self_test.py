"""The self-test at boot and on demand: each check holds on a good board and fails, alone, for what it is about."""

from contextlib import contextmanager
from dataclasses import replace

import pytest
from assb.protocol import image_writer, schema
from assb.protocol.image import decode
from assb_hil.dut.flash_image import read_image, write_image
from assb_hil.session import compiled_firmware, open_session
from assb_host.commands.selftest import run
from assb_host.config import build_image, load_pack
from assb_host.errors import RefusedError
from assb_host.link.console import DutConsole
from assb_host.link.decoder import Frame
from assb_host.link.link import Link
from powered_lives import QUICK, idle, made_image

VICTIM = "/a/assb/storage/frame_dump.mpy"  # not loaded before it is asked for


@contextmanager
def running(image, state="SAFE", pack="li_lpscl_nca"):
    """(session, link) of a board that is in that state, on the rig of that pack."""
    with open_session(replace(idle(0.6, 1e6), pack=pack), flash=image) as session:
        session.start()
        link = Link(DutConsole(session.dut))
        number = schema.STATES.index(state)
        link.wait_for(
            lambda item: isinstance(item, Frame) and item.type == schema.PACK and item.fields["state"] == number, 20.0
        )
        yield session, link


@pytest.fixture
def image(tmp_path):
    return made_image(tmp_path / "flash.bin", QUICK)


def test_a_board_that_is_well_passes_every_check_and_can_be_armed_after_it(image):
    with running(image) as (session, link):
        assert run(link) == {}
        assert session.recorder.window("late_worst_s", 0, 1e9)[1][-1] < 0.02
        link.request("arm")
        with pytest.raises(RefusedError, match="not_safe"):
            link.request("selftest")


def test_a_file_that_is_not_what_was_flashed_locks_out_at_boot_and_is_named_on_demand(image):
    data = bytearray(read_image(image)[VICTIM])
    data[-1] ^= 1
    write_image(image, {VICTIM: bytes(data)}, keep=True)
    with running(image, "LOCKOUT") as (session, link):
        (event,) = session.recorder.events_named("self_test_failed")
        assert event["code"] == 5
        (line,) = run(link)["files"]
    assert read_image(image)["/a/manifest"].decode().splitlines()[line - 1].endswith(VICTIM.removeprefix("/a/"))


def test_a_file_that_is_missing_is_noticed_where_the_firmware_would_not_miss_it(image):
    listed = read_image(image)["/a/manifest"] + b"00000000 5 assb/gone.mpy\n"
    write_image(image, {"/a/manifest": listed}, keep=True)
    with running(image, "LOCKOUT") as (_, link):
        assert run(link)["files"] == [len(listed.splitlines())]


def test_without_a_list_a_board_starts_and_says_so_on_demand(tmp_path):
    firmware = {path: data for path, data in compiled_firmware().items() if path != "/a/manifest"}
    write_image(tmp_path / "flash.bin", firmware | {"/a/config.bin": QUICK})
    with running(tmp_path / "flash.bin") as (_, link):
        assert run(link) == {"files": [0]}


def test_without_a_configuration_the_configuration_and_the_sensors_fail(tmp_path):
    image = made_image(tmp_path / "flash.bin", b"")
    with running(image, "LOCKOUT") as (_, link):
        assert set(run(link)) == {"configuration", "plausibility"}


def test_a_thermometer_that_is_pulled_off_is_absent(image):
    with running(image) as (session, link):
        for chip in session.rig.chips_of("tmp117"):
            chip.acking = False
        assert 32 in run(link)["sensors"]


@pytest.mark.parametrize(
    ("pack", "kind", "pins", "numbers"),
    [
        ("li_lpscl_nca_3s", "ntc", (15, -1, -1, -1), {32 + 3}),
        ("li_lpscl_nca", "alarm", (77, -1, -1, -1), {96}),
        ("li_lpscl_nca", "contactor", (10, 30, -1, -1), {96}),
        ("li_lpscl_nca", "enable_lines", (12, 30, -1, -1), {96}),
        ("li_lpscl_nca", "i2c_bus", (6, 7, -1, -1), {80, 0, 32, 48, 64}),
        ("li_lpscl_nca_3s", "i2c_bus", (6, 7, -1, -1), {80, 72, 0, 34, 48, 64}),
    ],
)
def test_a_pin_that_the_board_does_not_have_is_counted_and_never_fatal(tmp_path, pack, kind, pins, numbers):
    """As from an image that `assb config` did not make: it refuses such pins."""
    config = decode(build_image(load_pack(pack)))
    config.devices = [(*device[:4], pins, device[5]) if device[0] == kind else device for device in config.devices]
    image = made_image(tmp_path / "flash.bin", image_writer.encode(config))
    with running(image, "LOCKOUT", pack) as (session, link):
        assert {event["device"] for event in session.recorder.events_named("bus_error")} == numbers
        assert link.hello(5.0).fields["boot_count"] == 1
        with pytest.raises(RefusedError):
            link.request("arm")
        assert numbers <= set(run(link)["sensors"])
