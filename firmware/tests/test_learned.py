"""The learned state on the bench: what a power cycle leaves, when it is not believed, how often it is written."""

import re
from array import array
from pathlib import Path

import pytest
from assb import cells
from assb.estimation import twin
from assb.protocol import schema
from assb.storage import learned
from assb.storage.learned import Learned
from assb.storage.records import HEADER_BYTES, OK, Record, Store
from bench import CELL_EMPTY_V, CELL_FULL_V, Bench, BenchRecord, BenchWatchdog, config, estimator_floats

ERASE_US, PAGE_US = 45000, 400  # W25Q16JV, typical
WRITES_PER_ERASE = 16
USEFUL_PER_ERASE = 7  # the rest of a log makes room for the next session
DAY_MS = 86_400_000


class TimedRecord(Record):
    """A record whose writes take a clock's time as on littlefs: every sixteenth has an erase in it."""

    def __init__(self, folder, layout, body_bytes, clock):
        super().__init__(folder, layout, body_bytes, lambda: self.us)
        self.us = 0
        self.clock = clock
        self.writes = self.erases = 0

    def _put(self, path):
        super()._put(path)
        self.writes += 1
        erased = self.writes % WRITES_PER_ERASE == 3
        self.erases += erased
        self.us += ERASE_US * erased + PAGE_US
        if self.clock:
            self.clock.ms += (ERASE_US * erased + PAGE_US) // 1000


class TimedStore(Store):
    """The learned state's record takes a clock's time; what else is kept does not."""

    def __init__(self, folder, clock):
        super().__init__(lambda: 0, str(folder))
        self.clock = clock

    def record(self, folder, layout, body_bytes):
        if folder != learned.FOLDER:
            return super().record(folder, layout, body_bytes)
        return TimedRecord(self.root + folder, layout, body_bytes, self.clock)


class KeepingBench(Bench):
    """A bench whose app keeps its learned state in a folder; a second one on the same folder is the next boot."""

    def __init__(self, folder, described=None, cell_count=1, voltage_v=3.6, current_ua=0):
        from assb.app import App

        super().__init__(cell_count)
        self.config = described or config(cell_count)
        self.board.voltages_uv = [round(voltage_v * 1e6)] * cell_count
        self.board.current_ua = current_ua
        self.app = App(
            self.board, self.config, 0, self.clock, self.console, BenchWatchdog(), BenchRecord(), (twin, 0, 0),
            TimedStore(folder, self.clock),
        )  # fmt: skip

    @property
    def record(self):
        return self.app.kept.learned._record

    def events(self, name):
        """(a, b) of every event of that name since the start."""
        number = next(row[0] for row in schema.EVENTS if row[1] == name)
        seen, event = [], array("i", [0] * 5)
        while self.app.events.take(event):
            seen.append(tuple(event))
        self.seen = getattr(self, "seen", []) + seen
        return [(a, b) for kind, _, a, b, _ in self.seen if kind == number]

    def quiet(self):
        """Events stay in their ring, for the test to take."""
        self.app.telemetry.send_events = lambda: None
        return self


def start(folder, **options):
    return KeepingBench(folder, **options).quiet()


def voltage_v(soc):
    return CELL_EMPTY_V + soc * (CELL_FULL_V - CELL_EMPTY_V)


def load(bench, current_a):
    """Current, and the voltage of a cell of 70 mOhm at half charge under it."""
    bench.board.current_ua = round(current_a * 1e6)
    bench.board.voltages_uv = [round(1e6 * (voltage_v(0.5) + 0.07 * current_a))]


def lesson(cell, scale=1.3, capacity=0.9):
    """What learning may export of such a cell."""
    values = cell.learning.export()
    values[cells._RESISTANCE], values[1], values[cells._CAPACITY] = scale, 0.001, capacity
    return values


def taught(folder, scale=1.3, soc=0.5):
    """A board that has learned, at rest with its contactor open, and has written it."""
    bench = start(folder, voltage_v=voltage_v(soc)).run(1000)
    assert bench.app.cells[0].restore(lesson(bench.app.cells[0], scale))
    bench.app.keep()
    return bench


def test_the_ids_that_this_module_writes_down_are_those_of_the_schema():
    source = Path(learned.__file__).read_text().split("# Ids of the wire")[1].split("\n\n")[0]
    ids = re.findall(r"^_(EV_[A-Z_]+) = const\((\d+)\)", source, re.M)
    assert len(ids) == 4
    assert {name: int(value) for name, value in ids} == {name: getattr(schema, name) for name, _ in ids}
    assert schema.UNUSED_REASONS[-learned._OTHER_IDENTITY] == "other_identity"
    assert schema.UNUSED_REASONS[3] == "damaged"


def test_a_new_board_starts_from_the_voltage_without_an_event(tmp_path):
    bench = start(tmp_path, voltage_v=voltage_v(0.7)).run(1000)
    assert bench.app.cells[0].ekf.soc == pytest.approx(0.7, abs=0.005)
    assert bench.events("learned_state_unused") == bench.events("learned_state_restored") == []


def test_soc_sigma_and_scales_come_back_after_a_power_cycle(tmp_path):
    before = taught(tmp_path).app.cells[0]
    soc, sigma = before.ekf.soc, before.ekf.soc_sigma
    bench = start(tmp_path, voltage_v=voltage_v(0.5))
    cell = bench.app.cells[0]
    cell._start(voltage_v(0.5), 25.0, True)
    assert cell.ekf.soc == pytest.approx(soc, abs=1e-6)
    assert cell.ekf.soc_sigma == pytest.approx((sigma**2 + 0.02**2) ** 0.5, rel=1e-5)
    assert cell.learning.export() == lesson(cell)
    assert (cell.ekf.resistance_scale, cell.ekf.capacity_scale) == pytest.approx((1.3, 0.9))
    assert bench.events("learned_state_restored")[0] == (0, pytest.approx(0, abs=3000))


@pytest.mark.parametrize("other_soc", [0.2, 0.85])
def test_a_cell_whose_rested_voltage_is_not_that_of_the_stored_soc_is_learned_anew(tmp_path, other_soc):
    taught(tmp_path, soc=0.5)
    bench = start(tmp_path, voltage_v=voltage_v(other_soc)).run(1000)
    assert bench.events("learned_state_rejected") == [(0, pytest.approx(1e6 * (other_soc - 0.5), abs=5000))]
    cell = bench.app.cells[0]
    assert cell.ekf.soc == pytest.approx(other_soc, abs=0.01)
    assert cell.learning.export()[0] == 1.0
    assert cell.learning.export()[1] > 0.02  # 1-sigma of 15 %, as of a new cell
    bench.run(320000)
    again = start(tmp_path, voltage_v=voltage_v(other_soc)).run(1000)
    assert again.events("learned_state_restored")
    assert again.app.cells[0].ekf.resistance_scale == 1.0


def test_a_record_that_was_rejected_for_a_loose_wire_is_still_there_when_the_wire_is_mended(tmp_path):
    taught(tmp_path, soc=0.5)
    bench = start(tmp_path, voltage_v=0.0).run(120000)
    assert bench.events("learned_state_rejected")
    bench.app.keep()
    mended = start(tmp_path, voltage_v=voltage_v(0.5)).run(1000)
    assert mended.events("learned_state_restored")
    assert mended.app.cells[0].ekf.resistance_scale == pytest.approx(1.3)


@pytest.mark.parametrize("other_soc", [0.45, 0.55])
def test_what_a_month_of_self_discharge_explains_is_the_same_cell(tmp_path, other_soc):
    taught(tmp_path, soc=0.5)
    bench = start(tmp_path, voltage_v=voltage_v(other_soc)).run(3000)
    assert len(bench.events("learned_state_restored")) == 1
    assert bench.app.cells[0].ekf.soc == pytest.approx(other_soc, abs=0.01)  # the voltage corrects the rest


def test_one_swapped_cell_of_two_is_the_one_that_is_named(tmp_path):
    bench = start(tmp_path, cell_count=2, voltage_v=voltage_v(0.5)).run(1000)
    bench.app.keep()
    bench = start(tmp_path, cell_count=2, voltage_v=voltage_v(0.5))
    bench.board.voltages_uv[1] = round(1e6 * voltage_v(0.9))
    bench.run(1000)
    assert [cell for cell, _ in bench.events("learned_state_restored")] == [0]
    assert [cell for cell, _ in bench.events("learned_state_rejected")] == [1]


def other_profile():
    described = config()
    described.estimator = estimator_floats(capacity_ah=0.61)
    return described


def other_pack():
    described = config()
    described.names = ("bench", "other", "bench")
    return described


def more_cells():
    return config(cell_count=2)


@pytest.mark.parametrize("described", [other_profile, other_pack])
def test_what_was_learned_of_another_pack_or_profile_is_not_used(tmp_path, described):
    taught(tmp_path)
    bench = start(tmp_path, described=described(), voltage_v=voltage_v(0.5)).run(1000)
    assert bench.events("learned_state_unused") == [(4, 0)]
    assert bench.app.cells[0].ekf.resistance_scale == 1.0


def test_another_number_of_cells_is_another_layout(tmp_path):
    taught(tmp_path)
    bench = start(tmp_path, cell_count=2).run(1000)
    assert bench.events("learned_state_unused") == [(2, 0)]


def test_two_damaged_slots_are_a_fresh_start_with_an_event_and_are_written_again(tmp_path):
    taught(tmp_path)
    for path in (tmp_path / "learned").iterdir():
        path.write_bytes(path.read_bytes()[:-1] + b"\xa5")
    bench = start(tmp_path, voltage_v=voltage_v(0.5)).run(1000)
    assert bench.events("learned_state_unused") == [(3, 0)]
    assert bench.app.cells[0].ekf.soc == pytest.approx(0.5, abs=0.005)
    assert start(tmp_path, voltage_v=voltage_v(0.5)).run(1000).events("learned_state_restored")


def test_power_lost_while_connected_keeps_the_values_and_takes_the_soc_from_the_voltage(tmp_path):
    bench = start(tmp_path, voltage_v=voltage_v(0.5)).run(20000)
    assert bench.app.cells[0].restore(lesson(bench.app.cells[0]))
    bench.to_rest()
    bench.board.current_ua = 600000
    bench.run_leased(5000)
    assert bench.record.body[4] == 0
    bench = start(tmp_path, voltage_v=voltage_v(0.9)).run(1000)
    assert len(bench.events("learned_state_restored")) == 1
    assert bench.app.cells[0].ekf.soc == pytest.approx(0.9, abs=0.01)
    assert bench.app.cells[0].ekf.resistance_scale == pytest.approx(1.3)


def test_a_board_that_wakes_under_load_judges_nothing_by_its_voltage(tmp_path):
    taught(tmp_path, soc=0.5)
    bench = start(tmp_path, voltage_v=voltage_v(0.8), current_ua=500000).run(1000)
    assert bench.events("learned_state_rejected") == []
    assert len(bench.events("learned_state_restored")) == 1


def test_the_record_says_open_soon_after_boot_and_after_every_stop(tmp_path):
    bench = start(tmp_path).run(20000)
    assert bench.record.body[4] == 1
    bench.to_rest()
    load(bench, 0.6)
    bench.run_leased(30000)
    assert bench.record.body[4] == 0
    bench.send("stop")
    bench.board.current_ua = 0
    bench.run(12000)
    assert bench.state == "SAFE"
    assert bench.record.body[4] == 1


def test_no_tick_is_late_for_a_write_while_connected_and_none_counts_while_open(tmp_path):
    bench = start(tmp_path).run(20000)
    late_at = schema.index_of(schema.PACK_SIGNALS)["late_worst_us"]
    assert bench.record.erases > 0
    assert bench.app.signals.value[late_at] < 10000
    bench.to_rest()
    erases = bench.record.erases
    for minute in range(30):
        load(bench, 0.5 * (-1) ** minute)
        bench.run_leased(20000)
    assert bench.record.erases == erases
    assert bench.app.signals.value[late_at] < 10000
    assert "deadline_overrun" not in bench.tripped()


def test_a_pause_of_an_erase_would_be_late_if_it_counted(tmp_path):
    """The test above fails when the grid does not begin anew."""
    bench = start(tmp_path)
    slice_storage = bench.app._slice_storage

    def unforgiving(now_ms):
        slice_storage(now_ms)
        bench.app._paused = False

    for slot in bench.app._slots:
        slot[:] = [(unforgiving, kind) if job == slice_storage else (job, kind) for job, kind in slot]
    bench.run(20000)
    assert bench.app.signals.value[schema.index_of(schema.PACK_SIGNALS)["late_worst_us"]] > 30000


class Cell:
    """As much of a CellWatch as Learned looks at."""

    started = True
    kept = None

    class ekf:  # noqa: N801
        soc, soc_sigma, v1_v, v2_v = 0.5, 0.01, 0.0, 0.0

    def __init__(self):
        self.values = [1.0, 1.0, 0.01, 0.01]
        self.learning = self

    def export(self):
        return tuple(self.values)


def keeper(folder):
    cell = Cell()
    settings = {row[1]: row[5] for row in schema.PARAMETERS}.__getitem__
    from assb.signals import Events

    events = Events()
    kept = Learned(TimedStore(folder, None), [cell], config(), settings, events, 0)
    return kept, cell, kept._record, events


def pass_time(kept, cell, duration_ms, connected, now_ms=0, step_ms=1000):
    """`connected(t_ms)`; the cell's numbers move all the time, so that every write that may happen does."""
    for t_ms in range(0, duration_ms, step_ms):
        cell.values[0] = 1.0 + 0.1 * (t_ms // step_ms % 3)
        kept.step((now_ms + t_ms) & ((1 << 30) - 1), connected(t_ms))


def test_an_idle_board_whose_numbers_move_all_the_time_writes_every_five_minutes(tmp_path):
    kept, cell, record, _ = keeper(tmp_path)
    pass_time(kept, cell, DAY_MS, lambda t_ms: False)
    print(f"open all day: {record.writes} writes, {record.erases} erases")
    assert record.erases <= 24 * 12 // USEFUL_PER_ERASE + 2


def test_a_day_of_charging_and_stopping_every_half_minute_stays_within_the_life_of_flash(tmp_path):
    kept, cell, record, _ = keeper(tmp_path)
    pass_time(kept, cell, DAY_MS, lambda t_ms: t_ms // 15000 % 2 == 1)
    print(f"a stop every 30 s: {record.writes} writes, {record.erases} erases a day")
    assert record.erases <= 2 * (DAY_MS // 30000) // USEFUL_PER_ERASE + 2


def test_a_session_of_weeks_never_erases_and_writes_over_its_first_days(tmp_path):
    kept, cell, record, _ = keeper(tmp_path)
    pass_time(kept, cell, 60000, lambda t_ms: False)
    erases, written = record.erases, []
    for week in range(4):
        pass_time(kept, cell, 7 * DAY_MS, lambda t_ms: True, 60000 + week * 7 * DAY_MS, 60000)
        written.append(record.writes)
    assert record.erases == erases
    assert written[0] > 5
    print(f"connected for four weeks: writes so far, by week {written}")


def test_a_failing_store_is_one_event_and_is_tried_again_only_after_a_while(tmp_path):
    kept, cell, record, events = keeper(tmp_path)
    tried = []
    record._put = lambda path: tried.append(path) or (_ for _ in ()).throw(OSError(28, "full"))
    pass_time(kept, cell, 1_000_000, lambda t_ms: False)
    assert len(tried) == 4
    event = array("i", [0] * 5)
    assert events.take(event)
    assert (event[0], event[2]) == (schema.EV_STORAGE_FAILED, 28)
    assert not events.take(event)
    del record._put
    pass_time(kept, cell, 400_000, lambda t_ms: False, 1_000_000)
    assert record.read() == OK


def test_the_record_has_the_bytes_of_the_specification(tmp_path):
    cell = taught(tmp_path, soc=0.5).app.cells[0]
    data = max((tmp_path / "learned").iterdir(), key=lambda path: path.stat().st_mtime_ns).read_bytes()
    assert len(data) == HEADER_BYTES + learned.body_bytes(1, 14) == 90
    floats = array("f", data[HEADER_BYTES + learned.HEAD_BYTES :])
    assert floats[0] == pytest.approx(0.5, abs=0.01)
    assert floats[3:] == cell.learning.export()
