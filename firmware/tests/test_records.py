"""Records of two slots on a file system: what is believed after cuts, flips, wraps and failures."""

import struct

from assb.storage import records
from assb.storage.records import HEADER_BYTES, Record, room_full
from hypothesis import given
from hypothesis import strategies as st

BODY_BYTES = 24


class Flash:
    """A clock that a write moves, and the record that looks at it."""

    def __init__(self, folder, layout=1, body_bytes=BODY_BYTES):
        self.us = 0
        self.write_us = 0
        self.record = Record(str(folder / "kept"), layout, body_bytes, self.now_us)

    def now_us(self):
        self.us = (self.us + self.write_us) & ((1 << 30) - 1)
        return self.us


def fresh(folder, **options):
    return Flash(folder, **options).record


def put(record, number):
    record.body[:] = bytes([number]) * len(record.body)
    assert record.write() == records.OK


def read(folder, **options):
    """(status, the number that `put` put) as after a restart."""
    record = fresh(folder, **options)
    status = record.read()
    return status, record.body[0] if status == records.OK else None


def test_nothing_written_is_absent_and_a_record_comes_back(tmp_path):
    assert read(tmp_path) == (records.ABSENT, None)
    put(fresh(tmp_path), 7)
    assert read(tmp_path) == (records.OK, 7)


def test_a_write_never_touches_the_slot_that_is_believed(tmp_path):
    record = fresh(tmp_path)
    put(record, 1)
    for number in range(2, 9):
        before = {path.name: path.read_bytes() for path in (tmp_path / "kept").iterdir()}
        record = fresh(tmp_path)
        record.read()
        put(record, number)
        changed = [name for name, data in before.items() if (tmp_path / "kept" / name).read_bytes() != data]
        assert len(changed) <= 1
        assert all(before[name][HEADER_BYTES] != number - 1 for name in changed)
        assert read(tmp_path) == (records.OK, number)


def test_the_newer_slot_is_known_when_the_sequence_wraps(tmp_path):
    record = fresh(tmp_path)
    record.sequence = 0xFFFD
    for number in range(1, 7):
        put(record, number)
        assert read(tmp_path) == (records.OK, number)
    assert record.sequence == 3


def two_slots(folder):
    record = fresh(folder)
    put(record, 1)
    put(record, 2)
    return folder / "kept" / "a", folder / "kept" / "b"  # 1 and 2


def test_a_flipped_bit_anywhere_in_a_slot_leaves_the_other(tmp_path):
    older, newer = two_slots(tmp_path)
    for path, left in ((newer, 1), (older, 2)):
        whole = path.read_bytes()
        for bit in range(8 * len(whole)):
            data = bytearray(whole)
            data[bit // 8] ^= 1 << bit % 8
            path.write_bytes(data)
            assert read(tmp_path) == (records.OK, left), bit
        path.write_bytes(whole)


def test_a_slot_of_any_wrong_length_is_not_believed(tmp_path):
    _, newer = two_slots(tmp_path)
    whole = newer.read_bytes()
    for length in range(len(whole)):
        newer.write_bytes(whole[:length])
        assert read(tmp_path) == (records.OK, 1)
    newer.write_bytes(whole + b"\0")
    assert read(tmp_path) == (records.OK, 1)


def test_two_damaged_slots_are_damaged_and_the_next_write_mends_them(tmp_path):
    for path in two_slots(tmp_path):
        path.write_bytes(b"\xff" * len(path.read_bytes()))
    record = fresh(tmp_path)
    assert record.read() == records.DAMAGED
    put(record, 9)
    assert read(tmp_path) == (records.OK, 9)


def test_another_layout_or_length_is_told_from_damage(tmp_path):
    two_slots(tmp_path)
    assert read(tmp_path, layout=2) == (records.OTHER_LAYOUT, None)
    assert read(tmp_path, body_bytes=BODY_BYTES + 4) == (records.OTHER_LAYOUT, None)


@given(
    writes=st.lists(st.integers(0, 255), min_size=1, max_size=6),
    cut=st.integers(0, HEADER_BYTES + BODY_BYTES),
    noise=st.binary(max_size=40),
)
def test_whatever_a_cut_write_leaves_the_last_or_the_one_before_is_read(tmp_path_factory, writes, cut, noise):
    folder = tmp_path_factory.mktemp("cut")
    record = fresh(folder)
    for number in writes:
        put(record, number)
    torn = folder / "kept" / "ba"[len(writes) % 2]  # the slot of the last write
    whole = torn.read_bytes()
    torn.write_bytes(whole[:cut] + noise)
    status, number = read(folder)
    if torn.read_bytes() == whole:
        assert (status, number) == (records.OK, writes[-1])
    elif len(writes) > 1:
        assert (status, number) == (records.OK, writes[-2])
    else:
        assert status in (records.ABSENT, records.DAMAGED, records.OTHER_LAYOUT)


def test_a_file_system_that_fails_gives_its_errno_and_raises_nothing(tmp_path):
    (tmp_path / "kept").write_text("a file stands where the folder should")
    record = fresh(tmp_path)
    assert record.read() == records.ABSENT
    assert record.write() == -20  # ENOTDIR


def test_room_is_unknown_until_a_write_took_an_erase_and_then_counts_down(tmp_path):
    flash = Flash(tmp_path)
    record = flash.record
    flash.write_us = 800
    for _ in range(3):
        put(record, 1)
        assert record.room == 0
    flash.write_us = 46000
    put(record, 1)
    assert record.room == record.room_full == 11
    flash.write_us = 800
    for left in (*range(10, -1, -1), 0):
        put(record, 1)
        assert record.room == left
    assert record.worst_us == 46000


def test_a_store_that_never_makes_anyone_wait_always_has_room(tmp_path):
    record = fresh(tmp_path)
    for _ in range(17):
        put(record, 1)
    assert record.room == record.room_full


def test_a_record_that_does_not_fit_a_directory_log_has_no_room():
    assert room_full(512) == 1
    assert room_full(513) == 0


def test_the_header_is_the_one_in_the_specification(tmp_path):
    put(fresh(tmp_path), 5)
    data = (tmp_path / "kept" / "a").read_bytes()
    assert struct.unpack_from("<4sHHH", data) == (b"ASSR", 1, 1, BODY_BYTES)
    assert data[HEADER_BYTES:] == bytes([5]) * BODY_BYTES
