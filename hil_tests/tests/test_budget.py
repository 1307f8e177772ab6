"""The fault-time budget counts what the firmware really does between two fast ticks."""

import math
from functools import cache

import bench
import pytest
from assb.port.clock import ESTIMATE, FAST, GC, SLICE
from assb_hil.dut.cost import CostModel
from assb_hil.reactions import measure
from assb_host.config import budget_terms_ms, fault_time_budget_ms, load_pack, lost_data_budget_ms
from assb_host.config.budget import SLICES_BESIDE_CELLS, debounced_ms, slices_per_tick
from bench import Bench, limit

PACK = "li_lpscl_nca"
ROW = "cell_overvoltage"
TICK = ("tick_ms", "slice_ms", "gc_ms")
SLOTS = range(10)  # of a slow tick: the phase between the fault and what makes ticks late


@pytest.mark.parametrize("cells", [1, 2])
def test_the_slow_tick_has_the_slices_that_the_budget_counts(cells):
    slots = Bench(cell_count=cells).app._slots
    assert sum(len(slot) for slot in slots) == SLICES_BESIDE_CELLS + cells
    assert max(len(slot) for slot in slots) == math.ceil((SLICES_BESIDE_CELLS + cells) / len(slots))


def test_fewer_fast_ticks_for_the_same_slices_lengthen_the_budget():
    wide = load_pack("li_lpscl_nca")
    tight = load_pack("li_lpscl_nca", changes={"timing.slow_period_ms": 50})
    assert (slices_per_tick(wide), slices_per_tick(tight)) == (1, 2)
    longer_ms = fault_time_budget_ms(tight, "voltage_jump") - fault_time_budget_ms(wide, "voltage_jump")
    assert longer_ms == pytest.approx(wide.board.cost.slice_worst_us / 1000)


@cache
def worst_us():
    """What each piece of computing takes at worst on the pack's board."""
    pack = load_pack(PACK)
    cost = pack.cost
    fast_us = cost.fast_worst_us + math.floor(pack.board.bus_us())
    other_us = cost.other_slice_us + cost.other_slice_jitter_us
    return {FAST: fast_us, ESTIMATE: cost.slice_worst_us, SLICE: other_us, GC: cost.gc_worst_us}


class CostClock:
    """Time that computing takes."""

    def __init__(self, now_ms=0):
        self._cost_us = worst_us()
        self.us = 1000 * now_ms

    def now_ms(self):
        return self.us // 1000

    def now_us(self):
        return self.us & ((1 << 30) - 1)

    def cost(self, kind):
        self.us += self._cost_us[kind]

    def tick(self, app, extra_us=0):
        due_ms = app.step(self.now_ms())
        self.us = max(self.us + extra_us, 1000 * due_ms)


def opens_after_ms(debounce_ms, slot, collected):
    """From a voltage that rises just after a tick has read it, in that slot of the slow tick, to the outputs being off;
    in the tick with the number `collected`, a collection that was not planned comes as well."""
    rows = {ROW: limit(ROW, debounce_ms=debounce_ms), "pack_overvoltage": limit("pack_overvoltage", flags=0)}
    desk = Bench(limits=rows, press_hold_ms=0)
    app, clock, board = desk.app, desk.clock, desk.board
    while clock.now_ms() < 500:
        clock.tick(app)
    desk.send("arm")
    while desk.state != "REST":
        clock.tick(app)
        assert clock.now_ms() < 9000
    while app._slot != slot:
        clock.tick(app)
    begun_us, sample, tick, cost_us = clock.us, board.sample, 0, worst_us()

    def sample_then_rise(now_ms):
        sample(now_ms)
        board.voltages_uv, board.sample = [4_400_000], sample

    board.sample = sample_then_rise
    while True:
        due_us = clock.us
        clock.tick(app, cost_us[GC] if tick == collected else 0)
        tick += 1
        if not board.outputs[0]:
            return (due_us - begun_us + cost_us[FAST]) / 1000


@pytest.mark.parametrize("debounce_ms", [0, 20, 50])
def test_the_app_on_a_board_at_its_slowest_opens_within_the_budget(monkeypatch, debounce_ms):
    """Also with a tick that was late when the debounce began, and a collection in any one of its ticks."""
    monkeypatch.setattr(bench, "BenchClock", CostClock)
    terms = budget_terms_ms(load_pack(PACK, changes={f"limits.{ROW}.debounce_ms": debounce_ms}), ROW)
    budget_ms = sum(terms[name] for name in ("debounce_ms", "tick_ms", "slice_ms", "gc_ms"))
    ticks = (None, *range(debounce_ms // 10 + 2))
    worst_ms = max(opens_after_ms(debounce_ms, slot, collected) for slot in SLOTS for collected in ticks)
    assert budget_ms - 10 < worst_ms <= budget_ms


def test_a_row_acts_within_its_budget_at_every_phase_of_the_ticks():
    """A phase in each fast tick of a slow one, each at another part of its fast tick; worst costs."""
    (reaction,) = measure([ROW], PACK, SLOTS, worst=True, phase_s=lambda seed, _row: 0.011 * seed)
    assert (reaction.repeats, reaction.passed) == (len(SLOTS), True), reaction


def test_a_debounce_ends_with_a_tick_after_one_that_was_late_and_none_takes_no_time():
    """A slice takes 4 ms, a collection 5.5: late by both, 5 ms end 20 ms after the grid's tick, with none to come."""
    pack = load_pack(PACK)
    assert [debounced_ms(pack, length_ms) for length_ms in (0, 5, 15, 20)] == [0.0, 14.5, 24.5, 30.0]


def test_the_two_debounces_of_a_hard_short_are_rounded_up_apart():
    changes = {"detection.hard_short_debounce_ms": 5, "limits.hard_short.debounce_ms": 15}
    pack = load_pack(PACK, changes=changes)
    assert budget_terms_ms(pack, "hard_short")["debounce_ms"] == debounced_ms(pack, 5) + debounced_ms(pack, 15) == 39


def test_more_cells_take_the_fast_tick_longer_in_the_budget_and_on_the_virtual_board():
    one, two = load_pack("li_lpscl_nca"), load_pack("li_lpscl_nca_2s")
    cell_us = two.board.cost.fast_cell_us
    assert cell_us > 0
    assert two.cost.fast_worst_us - one.cost.fast_worst_us == cell_us
    assert CostModel.from_table(two.cost.figures()).fast_us == one.board.cost.fast_us + cell_us
    bus_ms = (two.board.bus_us() - one.board.bus_us()) / 1000
    longer_ms = budget_terms_ms(two, ROW)["tick_ms"] - budget_terms_ms(one, ROW)["tick_ms"]
    assert longer_ms == pytest.approx(cell_us / 1000 + bus_ms)


def test_a_row_that_acts_on_lost_data_by_itself_has_a_budget_for_that():
    checked = load_pack(PACK, changes={"board": "virtual-checked", "limits.pressure_disagreement.enabled": True})
    assert lost_data_budget_ms(checked, ROW) is None  # voltage_stale has its own
    lost_ms = lost_data_budget_ms(checked, "pressure_disagreement")
    assert lost_ms == pytest.approx(2000 + 20 + sum(budget_terms_ms(checked, ROW)[k] for k in TICK))
