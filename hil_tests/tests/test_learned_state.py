"""The learned state on a virtual board: real firmware on a real VM, littlefs on a simulated flash, power that fails."""

import random
import struct
from dataclasses import replace
from pathlib import Path

import powered_lives
import pytest
from assb.protocol import schema
from assb.protocol.image import decode
from assb.storage import learned
from assb.storage.records import HEADER_BYTES, OK, Record
from assb_hil.dut.flash_image import read_image, write_image
from assb_hil.dut.idle_world import IdleWorld
from assb_hil.dut.virtual import VirtualBoard
from assb_hil.loads import ConstantCurrent
from assb_hil.scenario import Host
from assb_hil.session import compiled_firmware, host_acts, open_session
from assb_host.config import build_image, load_pack
from powered_lives import idle

SAVES_SOON = load_pack("li_lpscl_nca", changes={"learned.save_s": 10.0})
CONFIG = build_image(load_pack("li_lpscl_nca"))
SLOTS = ("/learned/a", "/learned/b")
SCALE, CAPACITY = 1.25, 0.93
# What learning exports of such a cell: scale of resistance, its variance, steps; scale of capacity, sums of AWTLS,
# information, pairs, cycles
TAUGHT = (SCALE, 4e-4, 40.0, CAPACITY, *[900.0] * 6, 900.0, 900.0, 3.0, 0.0)
NEW = (1.0, 0.0225, 0.0, 1.0, *[400.0] * 6, 400.0, 400.0, 0.0, 0.0)  # within 15 % and 5 %
SOC = 0.6
UP_S = 2.5  # boot, self-test, first samples, and room in the record's log
FEW_CUTS = 4
SETTLED_S = 14.0  # by then the record says that the contactor is open


def made_image(path, **slots):
    """A flash with firmware, and slots `a` and `b` where given."""
    return powered_lives.made_image(path, CONFIG, {f"/learned/{name}": data for name, data in slots.items()})


def slot_bytes(folder, soc=SOC, values=TAUGHT, opened=1, sequence=1):
    """One slot as the firmware writes it."""
    body = struct.pack(learned.HEAD, learned.identity(decode(CONFIG)), opened, 1, len(values), learned.VALUES_LAYOUT)
    body += struct.pack(f"<{3 + len(values)}f", soc, 0.004, 0.0, *values)
    record = Record(str(folder), learned.LAYOUT, len(body), lambda: 0)
    record.sequence = sequence - 1
    record.body[:] = body
    assert record.write() == OK
    return (folder / "a").read_bytes()


@pytest.fixture
def image(tmp_path):
    """A flash with firmware and what was learned of a cell at SOC."""
    return made_image(tmp_path / "flash.bin", a=slot_bytes(tmp_path / "made"))


def live(image, soc=SOC, duration_s=UP_S, cut=None, act=None):
    """Power on, time, power off. `cut`: the flash operation at which power fails; `act(session)`: half-way."""
    return powered_lives.live(image, idle(soc, duration_s), cut, [(duration_s / 2, act)] if act else [])


def stored(image):
    """{sequence: body} of the slots that the firmware would believe."""
    found = {}
    for name, data in read_image(image).items():
        if name in SLOTS:
            folder = image.parent / "look"
            folder.mkdir(exist_ok=True)
            for slot in ("a", "b"):
                Path(folder, slot).unlink(missing_ok=True)
            Path(folder, "a").write_bytes(data)
            record = Record(str(folder), learned.LAYOUT, learned.body_bytes(1, len(TAUGHT)), lambda: 0)
            if record.read() == OK:
                found[record.sequence] = bytes(record.body)
    return found


def values_of(body):
    return struct.unpack_from(f"<{3 + len(TAUGHT)}f", body, learned.HEAD_BYTES)


def logged(image):
    """Events that the log on flash has, asked for in another life."""
    return {entry[1] for entry in live(image, act=lambda session: session.send("events")).log().values()}


def newest(image):
    return values_of(stored(image)[max(stored(image))])


def test_soc_and_scales_survive_a_power_cycle(image, tmp_path):
    life = live(image)
    assert life.event("learned_state_restored")["cell"] == 0
    assert life.last("soc_frac") == pytest.approx(SOC, abs=0.01)
    untaught = live(made_image(tmp_path / "fresh.bin"))
    assert life.last("r0_ohm") == pytest.approx(SCALE * untaught.last("r0_ohm"), rel=0.01)
    live(image, duration_s=SETTLED_S)
    again = live(image)
    assert again.last("r0_ohm") == pytest.approx(life.last("r0_ohm"), rel=1e-3)
    soc, _, _, *values = newest(image)
    assert soc == pytest.approx(SOC, abs=0.01)
    assert values[:1] + values[2:-1] == pytest.approx(TAUGHT[:1] + TAUGHT[2:-1], rel=1e-3)  # but what time doubts


@pytest.mark.parametrize("kind", ["soft", "hard", "watchdog"])
def test_it_survives_every_kind_of_reset(image, kind):
    life = live(image, duration_s=2 * UP_S, act=lambda session: session.dut.reset(kind))
    assert life.names.count("learned_state_restored") == 2
    assert life.last("soc_frac") == pytest.approx(SOC, abs=0.01)


def test_a_reset_that_is_meant_writes_first(tmp_path):
    image = made_image(tmp_path / "flash.bin")
    life = live(image, duration_s=2 * UP_S, act=lambda session: session.send("reset"))
    assert life.names.count("boot") == 2
    assert life.event("learned_state_restored")["deviation_ppm"] == pytest.approx(0, abs=5000)


@pytest.mark.parametrize("keys", [b"\x03", b"\r\x03", b"\x03\x03", b"noise\n\x03\r"])
def test_ctrl_c_and_the_soft_reset_of_a_flash_write_first(tmp_path, keys):
    image = made_image(tmp_path / "flash.bin")

    def stop(session):
        session.dut.write_console(keys)
        session.run_to(session.t_s + 0.3)
        session.dut.write_console(b"\x04")

    life = live(image, duration_s=2 * UP_S, act=stop)
    assert life.names.count("boot") == 2
    assert "learned_state_restored" in life.names
    assert schema.EV_INTERRUPTED in logged(image)


NOISES = (b"\x03x\n", b"!stop\x03\x03\n", b"\x07\x03", b"\x03\x01\x03\n", b"\x80\x03\r\n")


def test_a_ctrl_c_in_noise_ends_nothing(tmp_path):
    image = made_image(tmp_path / "flash.bin")

    def disturb(session):
        for noise in NOISES:
            session.dut.write_console(noise)
            session.run_to(session.t_s + 0.3)
            session.dut.write_console(b"\n")

    life = live(image, duration_s=2 * UP_S, act=disturb)
    assert life.names.count("boot") == 1
    assert schema.EV_INTERRUPTED not in logged(image)


def cut_everywhere(image, all_cuts):
    """Cut the power at each flash operation of a life, and boot again: (whole slots, next life) of each cut; of the
    first, the last and a few others unless `all_cuts`."""
    kept = image.read_bytes()
    total = live(image).operations
    assert total > 15
    points = range(1, total + 1)
    if not all_cuts:
        points = [1, *sorted(random.Random(1).sample(points[1:-1], FEW_CUTS)), total]
    bodies, newest_sequence, cuts = {}, 0, []
    for cut in points:
        image.write_bytes(kept)
        assert not live(image, cut=cut).powered, cut
        whole = stored(image)
        for sequence, body in whole.items():
            assert bodies.setdefault(sequence, body) == body, (cut, sequence)  # the same write, whole or not at all
        assert max(whole, default=0) >= newest_sequence, cut
        newest_sequence = max(whole, default=0)
        after = live(image)
        assert after.powered, cut
        assert after.recorder.hello["config_status"] == 0
        assert "learned_state_unused" not in after.names, cut
        assert ("learned_state_restored" in after.names) == bool(whole), cut
        cuts.append((whole, after))
    return cuts


def test_power_that_fails_at_any_flash_operation_leaves_the_old_or_the_new_record(image, request):
    cuts = cut_everywhere(image, request.config.getoption("--all-cuts"))
    print(f"{len(cuts)} cut points in the life of a board with a record")
    for whole, after in cuts:
        assert whole
        assert all(values_of(body)[3:] == pytest.approx(TAUGHT) for body in whole.values())
        assert after.last("soc_frac") == pytest.approx(SOC, abs=0.01)


def test_power_that_fails_at_any_flash_operation_of_the_first_save_leaves_none_or_a_whole_one(tmp_path, request):
    cuts = cut_everywhere(made_image(tmp_path / "flash.bin"), request.config.getoption("--all-cuts"))
    none = sum(not whole for whole, _ in cuts)
    print(f"{len(cuts)} cut points in the first life of a board, {none} before its first record")
    assert 0 < none < len(cuts)


@pytest.mark.parametrize("slot", ["a", "b"])
@pytest.mark.parametrize("at", [0, 5, 11, HEADER_BYTES + 5, -1])
def test_a_flipped_byte_in_either_slot_leaves_the_other(tmp_path, slot, at):
    slots = {"a": slot_bytes(tmp_path / "1", sequence=1), "b": slot_bytes(tmp_path / "2", soc=0.61, sequence=2)}
    broken = bytearray(slots[slot])
    broken[at] ^= 0x10
    image = made_image(tmp_path / "flash.bin", **slots | {slot: bytes(broken)})
    life = live(image)
    assert "learned_state_restored" in life.names
    assert "learned_state_unused" not in life.names
    assert life.last("r0_ohm") > 0


def test_two_damaged_slots_are_a_fresh_start_and_an_event(tmp_path):
    whole = slot_bytes(tmp_path / "1")
    broken = whole[:-1] + bytes([whole[-1] ^ 1])
    image = made_image(tmp_path / "flash.bin", a=broken, b=broken)
    life = live(image)
    assert life.event("learned_state_unused")["reason"] == "damaged"
    assert life.last("soc_frac") == pytest.approx(SOC, abs=0.01)
    assert "learned_state_restored" in live(image).names


def test_a_swapped_cell_is_noticed_by_its_rested_voltage_and_learned_anew(image):
    write_image(image, {"/a/config.bin": build_image(SAVES_SOON)}, keep=True)
    live(image, duration_s=SETTLED_S)
    swapped = live(image, soc=0.25, duration_s=25.0)
    assert swapped.event("learned_state_rejected")["deviation_ppm"] == pytest.approx(-350000, abs=15000)
    assert swapped.last("soc_frac") == pytest.approx(0.25, abs=0.01)
    assert newest(image)[3:] == pytest.approx(NEW, rel=1e-3, abs=1e-3)
    assert "learned_state_restored" in live(image, soc=0.25).names


def test_writes_while_connected_make_no_tick_late_and_erase_nothing(image):
    charge = ConstantCurrent(at_s=45.0, current_a=0.5)
    scenario = replace(idle(SOC, 85.0), host=Host(arm_at_s=13.0), loads=(charge,))
    with open_session(scenario, flash=image) as session:
        session.start()
        for at_s, name, keys in sorted(host_acts(scenario), key=lambda act: act[0]):
            session.run_to(at_s)
            if at_s == 44.0:
                before = session.dut.counters()["flash_operations"]
            session.send(name, **keys)
        session.run_to(85.0)
        written = session.dut.counters()["flash_operations"] - before
        result = session.judge()
        recorder = session.recorder
    assert [check.name for check in result.checks if not check.passed] == []
    late_s, slice_s = (recorder.window(name, 0, 85)[1][-1] for name in ("late_worst_s", "slice_worst_s"))
    print(f"{written} flash operations while connected; worst lateness {late_s} s, worst slice {slice_s} s")
    assert written > 0
    assert stored(image)[max(stored(image))][4] == 0  # it says that current may flow
    assert late_s < 0.01
    assert slice_s < 0.0085  # an erase takes 45 ms; the slice that collects garbage is the longest: 1.0 and 5.5 ms


ROOM = """
import sys, time
sys.path.insert(0, "/a")
from assb.storage.records import Record
record = Record("/learned", 1, %d, time.ticks_us)
record.read()
for n in range(300):
    record.body[0] = n & 255
    room, start_us = record.room, time.ticks_us()
    print(record.write(), room, time.ticks_diff(time.ticks_us(), start_us))
print(record.room_full)
"""


@pytest.mark.parametrize("body_bytes", [36, 64, 120, 250, 498])  # the first two: one cell and two
def test_no_write_erases_while_the_record_says_that_there_is_room(tmp_path, body_bytes):
    files = {name: data for name, data in compiled_firmware().items() if "/assb/" in name}
    image = tmp_path / "flash.bin"
    write_image(image, files | {"/main.py": (ROOM % body_bytes).encode()})
    for _boot in range(2):
        with VirtualBoard(IdleWorld(), flash=image) as board:
            board.power_on()
            board.run_until(60_000_000)
            lines = board.read_console().decode().splitlines()
        writes = [tuple(map(int, line.split())) for line in lines[:300]]
        full = int(lines[300])
        with_room = [us for _, room, us in writes if room]
        erasing = [us for _, _, us in writes if us > 20_000]
        print(
            f"{body_bytes} bytes: room {full}, quick {max(with_room)} us, slow {max(erasing)} us, {len(erasing)} erases"
        )
        assert {status for status, _, _ in writes} == {OK}
        assert full >= 1
        assert max(with_room) < 2_000  # a page or two, where a slice may take 4 ms
        assert max(erasing) < 50_000  # one erase, where the ticks begin anew
