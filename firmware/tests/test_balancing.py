"""Balancing: which cells are bled, when, and all that forbids it."""

import pytest
from assb.control.balancing import Balancing
from assb.protocol import schema
from assb.signals import Signals
from bench import Bench
from hypothesis import given, settings
from hypothesis import strategies as st

START_UV, STOP_UV, LEAST_UV = 10000, 3000, 4000000
REST_MS, LONGEST_MS, HOT_CDEGC = 60000, 600000, 4500
SETTINGS = {
    "balance_start_uv": START_UV,
    "balance_stop_uv": STOP_UV,
    "balance_least_uv": LEAST_UV,
    "balance_rest_ms": REST_MS,
    "balance_longest_ms": LONGEST_MS,
    "balance_hot_cdegc": HOT_CDEGC,
    "bleed_ohm": 100,
}
SLOW_MS = 100


class Pack:
    """Three cells that rested long enough, fed by hand."""

    def __init__(self, *voltages_uv):
        self.signals = Signals(3)
        self.balancing = Balancing(self.signals, SETTINGS.__getitem__, 0)
        self.now_ms = 0
        self.signals.put(self.signals.pack("temperature_cdegc"), 2500, 0)
        for cell in range(3):
            self.put("cell_stage", 0, cell)
            self.put("estimator_status", 0, cell)
        self.see(*voltages_uv or (4150000, 4150000, 4150000))
        self.step(False)

    def put(self, name, value, cell=1):
        self.signals.put(self.signals.cell(cell, name), value, self.now_ms)

    def see(self, *voltages_uv):
        for cell, voltage_uv in enumerate(voltages_uv):
            self.put("voltage_uv", voltage_uv, cell)
        return self

    def step(self, idle=True):
        bits = self.balancing.step(idle, self.now_ms)
        self.now_ms = (self.now_ms + SLOW_MS) & schema.TICKS_PERIOD_MS - 1
        return bits

    def rest(self, duration_ms=REST_MS):
        for _ in range(duration_ms // SLOW_MS):
            bits = self.step()
        return bits


def test_the_cells_above_the_lowest_are_bled_after_a_rest_and_not_before():
    pack = Pack(4150000 + START_UV + 1, 4150000, 4150000 + START_UV)
    assert pack.rest(REST_MS - SLOW_MS) == 0
    assert pack.step() == 0b001


@pytest.mark.parametrize("cell", range(3))
def test_bleeding_ends_at_its_own_level(cell):
    def pack_with(above_uv):
        return [4150000 + (above_uv if at == cell else 0) for at in range(3)]

    pack = Pack(*pack_with(START_UV + 1))
    assert pack.rest() == 1 << cell
    for above_uv, bled in ((STOP_UV + 1, 1), (STOP_UV, 0), (START_UV, 0), (START_UV + 1, 1)):
        assert pack.see(*pack_with(above_uv)).step() == bled << cell


def test_from_its_start_on_nobody_is_bled_before_a_whole_rest_and_the_stack_is_not_yet_hot():
    pack = Pack(4200000, 4150000, 4150000)
    pack.signals.put(pack.signals.pack("temperature_cdegc"), HOT_CDEGC - 1, 0)
    pack.balancing, pack.now_ms = Balancing(pack.signals, SETTINGS.__getitem__, 5000), 5000
    assert pack.balancing.bits == 0
    assert pack.rest() == 0
    assert pack.step() == 0b001


def test_a_current_ends_it_and_it_takes_another_rest():
    pack = Pack(4200000, 4150000, 4150000)
    assert pack.rest() == 0b001
    assert pack.step(idle=False) == 0
    assert pack.rest(REST_MS - SLOW_MS) == 0
    assert pack.step() == 0b001


def test_only_at_the_upper_end():
    assert Pack(4200000, LEAST_UV - 1, 4200000).rest() == 0
    assert Pack(4200000, LEAST_UV, 4200000).rest() == 0b101


def test_after_its_longest_stretch_the_pack_rests_again():
    pack = Pack(4200000, 4150000, 4150000)
    assert pack.rest() == 0b001
    assert pack.rest(LONGEST_MS - SLOW_MS) == 0b001
    assert pack.step() == 0
    assert pack.rest(REST_MS - SLOW_MS) == 0
    assert pack.step() == 0b001


@pytest.mark.parametrize(("name", "value"), [("cell_stage", 1), ("cell_stage", 3), ("estimator_status", -1)])
def test_no_cell_is_bled_while_any_is_suspected_or_not_understood(name, value):
    pack = Pack(4200000, 4150000, 4150000)
    assert pack.rest() == 0b001
    pack.put(name, value, cell=2)
    assert pack.step() == 0
    pack.put(name, 0, cell=2)
    assert pack.step() == 0b001


@pytest.mark.parametrize("name", ["voltage_uv", "cell_stage", "estimator_status", "temperature_cdegc"])
def test_what_is_not_known_ends_it(name):
    pack = Pack(4200000, 4150000, 4150000)
    assert pack.rest() == 0b001
    of_pack = name == "temperature_cdegc"
    pack.signals.lose(pack.signals.pack(name) if of_pack else pack.signals.cell(1, name))
    assert pack.step() == 0


def test_a_warm_stack_is_not_warmed_further_until_it_is_cooler():
    pack = Pack(4200000, 4150000, 4150000)
    assert pack.rest() == 0b001
    at = pack.signals.pack("temperature_cdegc")
    for cdegc, bits in (
        (HOT_CDEGC - 1, 0b001),
        (HOT_CDEGC, 0),
        (HOT_CDEGC - 300, 0),
        (HOT_CDEGC - 301, 0b001),
        (HOT_CDEGC - 1, 0b001),
    ):
        pack.signals.put(at, cdegc, pack.now_ms)
        assert pack.step() == bits


def test_it_goes_on_across_the_wrap_of_the_ticks():
    pack = Pack(4200000, 4150000, 4150000)
    pack.now_ms = (1 << 30) - REST_MS // 2
    pack.step(False)
    assert pack.rest(REST_MS - SLOW_MS) == 0
    assert pack.step() == 0b001
    assert pack.now_ms < REST_MS


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(*[st.integers(3900000, 4300000)] * 3, st.booleans()), max_size=20))
def test_the_lowest_cell_is_never_bled_nor_any_below_the_stop_level(steps):
    pack = Pack()
    pack.rest()
    for *voltages_uv, idle in steps:
        bits = pack.see(*voltages_uv).step(idle)
        lowest_uv = min(voltages_uv)
        assert not bits or idle
        for cell, voltage_uv in enumerate(voltages_uv):
            assert not bits >> cell & 1 or voltage_uv - lowest_uv > STOP_UV


def bleeding_bench():
    bench = Bench(2, **SETTINGS | {"balance_rest_ms": 2000})
    bench.board.voltages_uv = [4140000, 4100000]
    return bench


def test_the_app_balances_in_safe_and_at_rest_and_ends_it_with_the_first_current():
    bench = bleeding_bench().run(4000)
    assert bench.state == "SAFE"
    assert bench.board.bleeding == 0b01
    assert bench.app.signals.value[bench.app.signals.pack("bleed_bits")] == 0b01
    bench.send("arm")
    bench.run(500)
    assert bench.board.bleeding == 0  # while it presses
    bench.run_leased(6000)
    assert bench.state == "REST"
    assert bench.board.bleeding == 0b01
    bench.board.current_ua = 100000
    bench.run(120)
    assert bench.board.bleeding == 0


def test_a_tripped_row_and_a_way_out_of_the_firmware_end_it():
    bench = bleeding_bench().run(4000)
    assert bench.board.bleeding
    bench.board.temperature_cdegc = 7100
    bench.run(500)
    assert bench.board.bleeding == 0
    bench = bleeding_bench().run(4000)
    bench.app.safe()
    assert bench.board.bleeding == 0


@pytest.mark.parametrize(("cell_count", "start_uv"), [(1, START_UV), (2, 0)])
def test_a_pack_that_does_not_balance_has_no_balancing(cell_count, start_uv):
    bench = Bench(cell_count, **SETTINGS | {"balance_start_uv": start_uv}).run(4000)
    assert bench.app.balancing is None
    assert bench.board.bleeding == 0
