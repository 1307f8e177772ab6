"""Parameters that were set: what a power cycle leaves of them, when they are not applied, and what layout 1 becomes."""

import binascii
import struct

import pytest
from assb.protocol import schema, tables
from assb.settings import Settings
from assb.signals import Events
from assb.storage import params
from assb.storage.params import Params
from assb.storage.records import OK, Store
from bench import config

SETTABLE = [row for row in schema.PARAMETERS if row[2]]
CRC = 0x1234567


class Board:
    def __init__(self, folder, config_crc=CRC, **parameters):
        self.store = Store(lambda: 0, str(folder))
        self.settings = Settings(config(**parameters))
        self.events = Events()
        self.params = Params(self.store, self.settings, config_crc, self.events)

    def set(self, name, value):
        assert not self.settings.refusal(name, value)
        self.settings.set(name, value)
        self.params.changed()
        return self

    def said(self):
        """[(event, a)]"""
        seen, event = [], [0] * 5
        while self.events.take(event):
            seen.append((event[0], event[2]))
        return seen


def test_what_was_set_holds_after_a_power_cycle_and_an_event_says_how_many(tmp_path):
    board = Board(tmp_path).set("pressure_target_kpa", 5200).set("pressure_kp_ppm", 123)
    assert board.params.step(0, False)
    assert not board.params.pending
    again = Board(tmp_path)
    assert (again.settings("pressure_target_kpa"), again.settings("pressure_kp_ppm")) == (5200, 123)
    assert again.settings.image("pressure_target_kpa") == 5000
    assert again.said() == [(schema.EV_PARAMETERS_RESTORED, 2)]
    assert not again.params.step(0, False)  # nothing to write


def test_nothing_is_written_while_something_is_connected(tmp_path):
    board = Board(tmp_path).set("pressure_target_kpa", 5200)
    assert not board.params.step(0, True)
    assert board.params.pending
    assert not list(tmp_path.iterdir())
    board.params.keep()
    assert Board(tmp_path).settings("pressure_target_kpa") == 5200


def test_a_value_set_back_to_the_image_s_holds_too(tmp_path):
    Board(tmp_path).set("pressure_target_kpa", 5200).params.keep()
    Board(tmp_path).set("pressure_target_kpa", 5000).params.keep()
    again = Board(tmp_path)
    assert again.settings("pressure_target_kpa") == 5000
    assert again.said() == []


def test_values_of_another_configuration_are_not_applied(tmp_path):
    Board(tmp_path).set("pressure_target_kpa", 5200).params.keep()
    other = Board(tmp_path, config_crc=CRC + 1)
    assert other.settings("pressure_target_kpa") == 5000
    reason = schema.UNUSED_REASONS.index("other_identity")
    assert other.said() == [(schema.EV_PARAMETERS_UNUSED, reason)]
    assert Board(tmp_path).settings("pressure_target_kpa") == 5200  # they are still there for the first one


def test_values_of_another_schema_are_not_applied(tmp_path, monkeypatch):
    Board(tmp_path).set("pressure_target_kpa", 5200).params.keep()
    monkeypatch.setattr(tables, "schema_id", lambda: 1)
    assert Board(tmp_path).settings("pressure_target_kpa") == 5000


def test_a_value_that_is_refused_now_is_left_out(tmp_path):
    board = Board(tmp_path).set("pressure_kp_ppm", 123).set("pressure_target_kpa", 5200)
    board.params.keep()
    narrow = Board(tmp_path, pressure_max_kpa=5100)  # as if it were of the same configuration
    assert (narrow.settings("pressure_target_kpa"), narrow.settings("pressure_kp_ppm")) == (5000, 123)


def test_a_trip_level_or_another_fixed_value_in_the_record_is_never_applied(tmp_path):
    board = Board(tmp_path)
    body = board.params._record.body
    struct.pack_into("<IIB", body, 0, CRC, schema.schema_id(), 1)
    fixed = next(row for row in schema.PARAMETERS if row[1] == "watchdog_ms")
    struct.pack_into("<Hi", body, 9, fixed[0], 8000)
    assert board.params._record.write() == OK
    assert Board(tmp_path).settings("watchdog_ms") == fixed[5]


def layout_1(sequence, **changed):
    """A slot of layout 1 as SPEC.md has its bytes, with the bench's values but for `changed`."""
    names = {row[0]: row[1] for row in schema.PARAMETERS}
    ids = (9, 14, 15, 16, 17, 27, 28, 29, 30, 31, 52, 53)
    values = [changed.get(names[number], config().parameter(names[number])) for number in ids]
    body = struct.pack(f"<II{len(ids)}i", CRC, schema.schema_id(), *values)
    head = struct.pack("<4sHHH", b"ASSR", 1, sequence, len(body))
    return head + struct.pack("<I", binascii.crc32(head + body)) + body


@pytest.mark.parametrize("slot", ["a", "b"])
def test_a_record_of_layout_1_is_taken_over_and_written_again_into_the_other_slot(tmp_path, slot):
    folder = tmp_path / "params"
    folder.mkdir()
    old = layout_1(9, pressure_target_kpa=5200, soh_period_ms=7)
    (folder / slot).write_bytes(old)
    board = Board(tmp_path)
    assert (board.settings("pressure_target_kpa"), board.settings("soh_period_ms")) == (5200, 7)
    assert board.params.step(0, False)
    assert (folder / slot).read_bytes() == old  # until then, and with a cut in that write, the old one serves
    again = Board(tmp_path)
    assert (again.settings("pressure_target_kpa"), again.settings("soh_period_ms")) == (5200, 7)
    assert again.params._record.sequence == 10
    assert not again.params.pending


def test_a_record_of_layout_1_for_another_configuration_is_not_taken_over(tmp_path):
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "a").write_bytes(layout_1(9, pressure_target_kpa=5200))
    board = Board(tmp_path, config_crc=1)
    assert board.settings("pressure_target_kpa") == 5000
    assert not board.params.pending


def test_a_layout_of_the_future_is_left_alone_and_an_event_says_so(tmp_path):
    Board(tmp_path).set("pressure_target_kpa", 5200).params.keep()
    path = tmp_path / "params" / "a"
    path.write_bytes(path.read_bytes().replace(struct.pack("<4sH", b"ASSR", params.LAYOUT), b"ASSR\x63\x00"))
    board = Board(tmp_path)
    assert board.said() == [(schema.EV_PARAMETERS_UNUSED, schema.UNUSED_REASONS.index("other_layout"))]


def test_a_write_that_fails_is_one_event_and_is_tried_again(tmp_path):
    board = Board(tmp_path).set("pressure_target_kpa", 5200)
    (tmp_path / "params").write_bytes(b"in the way")
    tries = [board.params.step(now_ms, False) for now_ms in range(0, 30000, 100)]
    assert sum(tries) == 3
    assert [event for event, _ in board.said()] == [schema.EV_STORAGE_FAILED]
    assert board.settings("pressure_target_kpa") == 5200
    (tmp_path / "params").unlink()
    assert board.params.step(40000, False)
    assert Board(tmp_path).settings("pressure_target_kpa") == 5200


def test_the_body_has_room_for_every_parameter_that_may_be_set(tmp_path):
    board = Board(tmp_path).set("pressure_target_kpa", 5200)
    board.params.keep()
    body = board.params._record.body
    assert len(body) == 9 + 6 * len(SETTABLE)
    assert body[8] == len(SETTABLE)
    assert struct.unpack_from("<Hi", body, 9) == (9, 5200)
