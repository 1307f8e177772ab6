"""Supervisor rows: reachability, priority, outputs, timeouts. The rows are data: the laws are checked on all."""

import itertools

import pytest
from assb.control import protection as rows
from assb.control import supervisor as sv
from assb.protocol import schema
from assb.signals import Events
from hypothesis import given, settings
from hypothesis import strategies as st

STATES = range(len(schema.STATES))
ALL_CONDITIONS = [1 << bit for bit in range(14)]
PRECHARGE_MS = 50


def make(state=sv._BOOT, precharge_ms=PRECHARGE_MS):
    timeouts = [0] * len(schema.STATES)
    timeouts[sv.SELFTEST] = 1000
    timeouts[sv.ARMED] = 2000
    timeouts[sv.PRECHARGE] = 500
    supervisor = sv.Supervisor(timeouts, precharge_ms, Events())
    supervisor.state = state
    return supervisor


def reachable(start):
    supervisor = make()
    seen, front = {start}, [start]
    while front:
        state = front.pop()
        for pair in itertools.combinations_with_replacement(ALL_CONDITIONS, 2):
            to = supervisor.next_state(state, pair[0] | pair[1])
            if to not in seen:
                seen.add(to)
                front.append(to)
    return seen


def test_every_state_is_reachable_from_boot():
    assert reachable(sv._BOOT) == set(STATES)


@pytest.mark.parametrize("state", [sv.ARMED, sv.PRECHARGE, sv._REST, sv._CHARGE, sv._DISCHARGE, sv._DERATE])
@pytest.mark.parametrize("also", [0, sv.ARM, sv.STOP, sv.PRESSED, sv.CLOSED, sv.CHARGING, sv.CLEARED])
def test_an_opening_row_wins_over_everything_but_a_lockout(state, also):
    supervisor = make(state)
    assert supervisor.next_state(state, sv.OPEN | also) == sv.FAULT
    assert supervisor.next_state(state, sv.OPEN | sv.LOCK | also) == sv.LOCKOUT


@pytest.mark.parametrize("state", [state for state in STATES if state not in sv.CLOSED_STATES])
def test_only_closed_states_and_a_finished_precharge_close_the_contactor(state):
    supervisor = make(state)
    supervisor.step(0, 0, 0)
    if supervisor.state == state:
        assert supervisor.main == supervisor.charge == supervisor.discharge == 0


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(STATES), st.integers(0, (1 << 14) - 1), st.integers(0, 15), st.integers(0, 5000))
def test_no_combination_gives_an_output_that_a_tripped_row_blocks(state, conditions, blocked, now_ms):
    supervisor = make(state)
    supervisor.step(conditions, blocked, now_ms)
    assert not (blocked & (rows.OPEN | rows.LOCKOUT) and blocked & rows.OPEN and supervisor.main)
    assert not (blocked & rows.NO_CHARGE and supervisor.charge)
    assert not (blocked & rows.NO_DISCHARGE and supervisor.discharge)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.integers(0, (1 << 12) - 1), max_size=30))
def test_lockout_is_left_only_for_maintenance(conditions):
    supervisor = make(sv.LOCKOUT)
    for now_ms, bits in enumerate(conditions):
        supervisor.step(bits, 0, now_ms)
        assert supervisor.state in (sv.LOCKOUT, sv._MAINTENANCE)
        assert not supervisor.main


def test_boot_goes_through_the_self_test_to_safe_and_never_further_by_itself():
    supervisor = make()
    for now_ms in range(0, 900, 10):
        supervisor.step(sv.READY | sv.PRESSED | sv.CLOSED, 0, now_ms)
    assert supervisor.state == sv.SAFE


def test_a_self_test_that_does_not_end_locks_out():
    supervisor = make()
    for now_ms in range(0, 1100, 10):
        supervisor.step(0, 0, now_ms)
    assert supervisor.state == sv.LOCKOUT


def test_precharge_comes_before_the_main_contactor():
    supervisor = make(sv.ARMED)
    supervisor.step(sv.PRESSED, 0, 0)
    assert (supervisor.state, supervisor.precharge, supervisor.main) == (sv.PRECHARGE, 1, 0)
    supervisor.step(sv.PRESSED, 0, PRECHARGE_MS - 1)
    assert (supervisor.precharge, supervisor.main) == (1, 0)
    supervisor.step(sv.PRESSED, 0, PRECHARGE_MS)
    assert (supervisor.precharge, supervisor.main) == (1, 1)
    supervisor.step(sv.PRESSED | sv.CLOSED, 0, PRECHARGE_MS + 20)
    assert (supervisor.state, supervisor.precharge, supervisor.main) == (sv._REST, 0, 1)


def test_a_contactor_that_does_not_close_is_a_fault():
    supervisor = make(sv.PRECHARGE)
    supervisor.step(sv.PRESSED, 0, 499)
    assert supervisor.state == sv.PRECHARGE
    supervisor.step(sv.PRESSED, 0, 500)
    assert (supervisor.state, supervisor.main) == (sv.FAULT, 0)


def test_arming_is_refused_while_a_row_blocks_both_directions():
    both = rows.NO_CHARGE | rows.NO_DISCHARGE
    supervisor = make(sv.SAFE)
    supervisor.step(sv.ARM, both, 0)
    assert supervisor.state == sv.SAFE
    supervisor.step(sv.ARM, rows.NO_CHARGE, 0)
    assert supervisor.state == sv.ARMED


def test_a_fault_is_left_only_by_a_clear_that_left_no_open_row():
    supervisor = make(sv.FAULT)
    supervisor.step(sv.READY | sv.ARM | sv.PRESSED, 0, 0)
    assert supervisor.state == sv.FAULT
    supervisor.step(sv.CLEARED, rows.ACTION_MASKS["open"], 0)
    assert supervisor.state == sv.FAULT
    supervisor.step(sv.CLEARED, 0, 0)
    assert supervisor.state == sv.SAFE
