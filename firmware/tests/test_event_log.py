"""The event log: what is on flash when, what a damaged byte takes, what the host is sent, and what it wears."""

import random
import re
import shutil
import struct
from pathlib import Path

import pytest
from assb import app
from assb.protocol import schema
from assb.protocol.frame import FrameWriter
from assb.signals import Events
from assb.storage import event_dump, event_log, event_ring, frame_dump, frame_store, lockout, note, params, pending
from assb.storage.event_dump import EventDump
from assb.storage.event_log import (
    _ITEM_BYTES,
    _JOURNAL_ENTRIES,
    _JOURNAL_ROUTINE,
    _ROUTINE_ENTRIES,
    _URGENT_ENTRIES,
    FILE_BYTES,
    EventLog,
)
from assb.storage.records import Record, Store
from assb.telemetry import Telemetry
from assb_host.link.decoder import Decoder, Frame
from bench import BenchConsole

ERASE_US, PAGE_US, WRITES_PER_ERASE = 45000, 400, 16  # W25Q16JV, typical
SLICE_MS = 100


class TimedStore(Store):
    """Records whose writes take the time of littlefs: every sixteenth has an erase in it."""

    def __init__(self, folder):
        super().__init__(self.now_us, str(folder))
        self.us = self.erases = 0

    def now_us(self):
        return self.us & ((1 << 30) - 1)

    def record(self, folder, layout, body_bytes):
        return TimedRecord(self, folder, layout, body_bytes)


class TimedRecord(Record):
    def __init__(self, store, folder, layout, body_bytes):
        super().__init__(store.root + folder, layout, body_bytes, store.now_us)
        self.store = store
        self.writes = 0

    def _put(self, path):
        super()._put(path)
        self.writes += 1
        erased = self.writes % WRITES_PER_ERASE == 3
        self.store.erases += erased
        self.store.us += ERASE_US * erased + PAGE_US


class Life:
    """A log on a folder, from one boot on."""

    def __init__(self, folder, boot=1):
        self.events = Events()
        self.store = TimedStore(folder)
        self.log = EventLog(self.store, boot, self.events)
        self.events.log_to(self.log)
        self.now_ms = 0
        self.appended = 0

    def push(self, *numbers):
        for number in numbers:
            self.events.now_ms = self.now_ms
            self.events.push(schema.EV_MARK, number, -number)
        return self

    def run(self, duration_ms, connected=False):
        for _ in range(0, duration_ms, SLICE_MS):
            self.now_ms += SLICE_MS
            appends = self.log.appends
            if not self.log.step(self.now_ms, connected) and not connected:
                self.log.make_room()
            self.appended += self.log.appends - appends
        return self

    def dump(self, since=0):
        """(number, boot, a, t_ms) of every event that the host is sent; the frame without events ends it."""
        console = BenchConsole()
        writer = FrameWriter(schema.schema_id())
        telemetry = Telemetry(Life.NoSignals, self.events, writer, console, 0)
        dump = EventDump(self.log, since)
        for _ in range(2000):
            if dump.send(telemetry, self.now_ms):
                break
        else:
            raise AssertionError("the dump does not end")
        found = []
        for item in Decoder().feed(bytes(console.wire)):
            assert isinstance(item, Frame) and item.type == schema.LOG
            found.append(item.fields)
        assert found.pop()["values"] == []
        return [
            (fields["number"] + at, fields["boot"], fields["values"][4 * at + 1], fields["values"][4 * at + 3])
            for fields in found
            for at in range(len(fields["values"]) // 4)
        ]

    class NoSignals:
        cell_count = 0

        @staticmethod
        def pack(_name):
            return 0


def marks(life):
    return [row[2] for row in life.dump()]


def test_the_ids_that_these_modules_write_down_are_those_of_the_schema():
    for module in (event_log, event_dump, frame_store, frame_dump, params, pending, lockout):
        source = Path(module.__file__).read_text()
        ids = re.findall(r"^_((?:EV|MESSAGE)_[A-Z_]+) = const\((\d+)\)", source, re.M)
        assert ids, module
        for name, value in ids:
            assert int(value) == getattr(schema, name.removeprefix("MESSAGE_")), (module, name)
    places = {"event_log": event_log._PLACE, "parameters": params.Params.PLACE, "freeze_frame": frame_store._PLACE,
              "lockout": lockout._PLACE, "note": note.Note.PLACE}  # fmt: skip
    assert places == {name: schema.STORAGE_PLACES.index(name) for name in places}
    assert _ITEM_BYTES == event_ring._ITEM_BYTES == struct.calcsize("<IIBii")
    causes = ("none", "contactor", "hard_short")
    assert causes == schema.LOCKOUT_CAUSES
    assert (lockout.NONE, lockout.BY_CONTACTOR, lockout.BY_HARD_SHORT, app._BY_HARD_SHORT) == (0, 1, 2, 2)


def test_events_are_on_flash_soon_and_come_back_with_number_boot_and_time(tmp_path):
    life = Life(tmp_path, boot=3).push(10, 11).run(200)
    assert life.log.stored == 2
    again = Life(tmp_path, boot=4).push(12)
    assert again.dump() == [(0, 3, 10, 0), (1, 3, 11, 0), (2, 4, 12, 0)]
    assert again.dump(since=2) == [(2, 4, 12, 0)]
    assert again.dump(since=3) == []


def test_what_is_not_stored_is_lost_with_the_power_and_nothing_else(tmp_path):
    life = Life(tmp_path).push(1).run(200).push(2)
    assert (life.log.stored, life.log.next) == (1, 2)
    assert marks(Life(tmp_path)) == [1]


def test_who_asks_for_it_need_not_wait_for_the_next_append(tmp_path):
    life = Life(tmp_path).run(2000).push(1).run(200).push(2).run(1000)
    assert life.log.stored == 1
    life.log.want()
    assert life.run(200).log.stored == 2
    life.push(3).log.want()
    assert life.run(800).log.stored == 2  # who asks all the time does not wear the flash out
    assert life.run(400).log.stored == 3


@pytest.mark.parametrize("event", [schema.EV_TRIP, schema.EV_STAGE])
def test_a_trip_and_a_change_of_stage_do_not_wait_either(tmp_path, event):
    life = Life(tmp_path).run(2000).push(1).run(1500)
    life.events.push(event, 0, 0)
    assert life.run(200).log.stored == 2
    assert set(event_log._URGENT) == {schema.EV_TRIP, schema.EV_STAGE}


def ready(folder):
    """With room in the journal, and nothing waiting."""
    life = Life(folder).push(0).run(15000)
    assert life.log._record.room >= 4
    return life


def test_while_connected_the_journal_is_written_and_no_file(tmp_path):
    life = ready(tmp_path).push(1, 2)
    erases = life.store.erases
    life.run(20000, connected=True)
    assert life.log.stored == 3
    assert (life.log.appends, life.store.erases) == (1, erases)
    assert marks(Life(tmp_path)) == [0, 1, 2]


def test_what_the_journal_holds_is_moved_to_the_files_once(tmp_path):
    ready(tmp_path).push(1, 2).run(20000, connected=True)
    second = Life(tmp_path, boot=2)
    assert second.log._rings[0].count == 0
    assert marks(second) == [0, 1, 2]
    assert marks(Life(tmp_path, boot=3).push(3)) == [0, 1, 2, 3]
    assert [row[1] for row in Life(tmp_path, boot=3).dump()] == [1, 1, 1]


def test_a_journal_of_this_boot_goes_to_the_files_when_the_contactor_opens(tmp_path):
    life = ready(tmp_path).push(1).run(20000, connected=True).push(2).run(200)
    assert life.log.stored == 3
    assert marks(life) == [0, 1, 2]
    assert marks(Life(tmp_path)) == [0, 1, 2]


def test_without_room_nothing_is_written_while_connected(tmp_path):
    life = Life(tmp_path).run(100, connected=True).push(1).run(60000, connected=True)
    assert life.log.stored == 0
    assert not list(tmp_path.iterdir())
    assert life.run(200).log.stored == 1


def test_a_long_session_loses_the_oldest_that_are_not_stored_and_the_numbers_say_so(tmp_path):
    life = ready(tmp_path)
    for number in range(1, 200):
        life.push(number).run(1000, connected=True)
    stored = life.log.stored
    kept = [*range(1 + _JOURNAL_ROUTINE), *range(200 - _ROUTINE_ENTRIES, 200)]
    assert (stored, life.log.lost) == (1 + _JOURNAL_ROUTINE, 200 - len(kept))
    life.run(200)
    assert life.log.stored == 200
    expected = kept
    assert [row[0] for row in life.dump()] == marks(life) == expected
    assert marks(Life(tmp_path)) == expected


def test_two_files_bound_what_is_kept_and_the_newest_are_always_there(tmp_path):
    life = Life(tmp_path)
    for number in range(0, 3000, 20):
        life.push(*range(number, number + 20)).run(10100)
    kept = marks(life)
    assert kept == list(range(kept[0], 3000))
    assert len(kept) >= FILE_BYTES // event_log.ENTRY_BYTES - 100
    assert all(path.stat().st_size <= FILE_BYTES for path in (tmp_path / "events").iterdir())
    assert marks(Life(tmp_path)) == kept


def test_an_open_board_with_an_event_every_second_appends_every_ten(tmp_path):
    life = Life(tmp_path)
    for number in range(3600):
        life.push(number).run(1000)
    print(f"an event a second: {life.appended} appends an hour")
    assert life.appended <= 361


@pytest.mark.parametrize("at", [0, 3, 7, 20, -1])
def test_behind_a_damaged_byte_nothing_is_believed_and_nothing_is_appended(tmp_path, at):
    Life(tmp_path).push(1).run(10100).push(2).run(10100).push(3).run(10100)
    path = tmp_path / "events" / "0"
    chunk = event_log.chunk_bytes(1)
    data = bytearray(path.read_bytes())
    assert len(data) == 3 * chunk
    data[chunk + at if at >= 0 else 2 * chunk + at] ^= 0x10
    path.write_bytes(data)
    second = Life(tmp_path, boot=2)
    event = [0] * 5
    assert second.events.take(event) and event[0] == schema.EV_LOG_CUT
    assert (event[2], event[3]) == (0, 2 * chunk)
    assert marks(second.push(9).run(200)) == [1, 9]
    assert path.read_bytes() == data
    assert marks(Life(tmp_path, boot=3)) == [1, 9]


@pytest.mark.parametrize("cut", range(1, 30, 4))
def test_a_torn_tail_is_cut(tmp_path, cut):
    Life(tmp_path).push(1).run(10100).push(2).run(10100)
    path = tmp_path / "events" / "0"
    path.write_bytes(path.read_bytes()[:-cut])
    assert marks(Life(tmp_path, boot=2)) == ([1] if cut <= event_log.chunk_bytes(1) else [])


def test_a_file_that_can_not_be_written_is_one_event_and_tried_again(tmp_path):
    (tmp_path / "events").write_bytes(b"in the way")
    life = Life(tmp_path).push(1).run(30000)
    seen, event = [], [0] * 5
    while life.events.take(event):
        seen.append(tuple(event[:4]))
    assert [row[0] for row in seen] == [schema.EV_MARK, schema.EV_STORAGE_FAILED]
    assert seen[1][3] == 1
    assert life.log.stored == 0
    (tmp_path / "events").unlink()
    assert life.run(20000).log.stored == 2
    assert len(Life(tmp_path).dump()) == 2


def test_a_dump_goes_on_over_an_append_without_loss_or_repetition(tmp_path):
    life = Life(tmp_path).push(*range(30)).run(200).push(*range(30, 60))
    console = BenchConsole()
    telemetry = Telemetry(Life.NoSignals, life.events, FrameWriter(schema.schema_id()), console, 0)
    dump = EventDump(life.log, 0)
    for part in range(40):
        if part == 8:  # it is in RAM by then
            assert dump._file == event_dump._RAM
            life.log.want()
            life.run(1200)
        if dump.send(telemetry, 0):
            break
    numbers = []
    for item in Decoder().feed(bytes(console.wire)):
        numbers += range(item.fields["number"], item.fields["number"] + len(item.fields["values"]) // 4)
    assert numbers == list(range(60))


def test_the_journal_s_bytes_are_those_of_the_specification(tmp_path):
    life = ready(tmp_path).push(7).run(20000, connected=True)
    record = life.store.record(event_log.JOURNAL, 2, 3 + 17 * _JOURNAL_ENTRIES)
    assert record.read() == 0
    assert struct.unpack_from("<HB", record.body) == (1, 1)
    assert struct.unpack_from("<IIBii", record.body, 3) == (1, 15000, schema.EV_MARK, 7, -7)


def full_of_routine(folder):
    """Connected for long: of the journal and of RAM there is only what is kept for urgent events."""
    life = ready(folder)
    for number in range(1, 200):
        life.push(number).log.want()
        life.run(1000, connected=True)
    assert life.log._record.room > 0
    return life


def events_of(life):
    return {row[0]: row for row in life.dump()}


def after_a_cut(folder):
    """The next boot, had the power failed now."""
    copy = folder.with_name(folder.name + " after a cut")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    return Life(copy, boot=2)


def test_what_is_urgent_reaches_flash_at_once_late_in_a_long_session_as_well(tmp_path):
    life = full_of_routine(tmp_path)
    erases, stored = life.store.erases, life.log.stored
    for stage in range(3):
        life.events.now_ms = life.now_ms
        life.events.push(schema.EV_STAGE, stage, 0)
        life.run(SLICE_MS, connected=True)
    assert life.store.erases == erases
    after = events_of(after_a_cut(tmp_path))
    assert [after[200 + stage][1:3] for stage in range(3)] == [(1, stage) for stage in range(3)]
    assert life.log.stored == 200 - _ROUTINE_ENTRIES  # from there on they wait for the files
    life.run(200)
    assert [row[0] for row in life.dump()] == [*range(stored), *range(200 - _ROUTINE_ENTRIES, 203)]
    assert [row[0] for row in Life(tmp_path).dump()] == [row[0] for row in life.dump()]


def test_nothing_drives_an_urgent_event_out_of_ram_but_others_of_its_kind(tmp_path):
    life = Life(tmp_path)  # without room in the journal
    life.run(100, connected=True)
    for at in range(_URGENT_ENTRIES + 2):
        life.events.push(schema.EV_TRIP, at, 0)
        life.push(*range(20))
    life.run(1000, connected=True)
    assert life.log.stored == 0
    life.run(200)
    trips = [row[2] for row in life.dump() if row[2] < _URGENT_ENTRIES + 2 and row[0] % 21 == 0]
    assert trips == list(range(2, _URGENT_ENTRIES + 2))


def test_below_stored_every_number_is_on_flash_or_counted_as_lost(tmp_path):
    rng = random.Random(5)
    for seed in range(4):
        folder = tmp_path / str(seed)
        folder.mkdir()
        life = Life(folder).run(2000)
        for _ in range(25):
            for _ in range(rng.choice((1, 1, 3, 30))):
                life.events.push(schema.EV_STAGE if rng.random() < 0.1 else schema.EV_MARK, 0, 0)
            if rng.random() < 0.3:
                life.log.want()
            life.run(rng.choice((100, 1000, 20000)), connected=rng.random() < 0.8)
            stored = life.log.stored
            there = [number for number in events_of(life) if number < stored]
            assert stored - len(there) <= life.log.lost
            assert set(there) <= set(events_of(after_a_cut(folder)))
        life.run(11000)
        numbers = [row[0] for row in life.dump()]
        assert numbers == sorted(set(numbers))
        assert life.log.stored == life.log.next == len(numbers) + life.log.lost


def test_what_the_files_do_not_take_at_boot_stays_in_the_journal_and_is_told_of_its_boot(tmp_path):
    ready(tmp_path).push(1, 2).run(20000, connected=True)
    aside = tmp_path / "aside"
    (tmp_path / "events").rename(aside)
    (tmp_path / "events").write_bytes(b"in the way")
    second = Life(tmp_path, boot=2).push(3).run(5000, connected=True)
    assert [row[:3] for row in second.dump()][:2] == [(1, 1, 1), (2, 1, 2)]
    (tmp_path / "events").unlink()
    aside.rename(tmp_path / "events")
    second.run(20000)
    rows = [row[:3] for row in Life(tmp_path, boot=3).dump()]
    assert rows[1:3] == [(1, 1, 1), (2, 1, 2)]
    assert (rows[-1][1], rows[-1][2]) == (2, 3)
