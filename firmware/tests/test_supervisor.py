"""Supervisor rows: reachability, priority, outputs, timeouts. The rows are data: the laws are checked on all of them,
in every state and with every set of conditions that the state looks at."""

import itertools

import pytest
from assb.control import protection as rows
from assb.control import supervisor as sv
from assb.protocol import schema
from assb.signals import Events
from hypothesis import given, settings
from hypothesis import strategies as st

STATES = range(len(schema.STATES))
BIT_COUNT = 18
OWN = sv._TIMEOUT | sv._BLOCKED | sv._RETRY | sv._PAUSE  # what the supervisor works out by itself
GIVEN = (1 << BIT_COUNT) - 1 & ~OWN
ALL_MASKS = range(32)
PRECHARGE_MS = 50
TIMEOUTS_MS = {sv.SELFTEST: 1000, sv.ARMED: 2000, sv.PRECHARGE: 500}
OFF = [state for state in STATES if not any(sv.OUTPUTS[state][:4])]
END = (sv.LOCKOUT, sv._MAINTENANCE)


def make(state=sv._BOOT, precharge_ms=PRECHARGE_MS, retries=0, pause_ms=0):
    timeouts = [TIMEOUTS_MS.get(state, 0) for state in STATES]
    supervisor = sv.Supervisor(timeouts, precharge_ms, Events(), 0, retries, pause_ms)
    supervisor.state = state
    return supervisor


def outputs(supervisor):
    return supervisor.main, supervisor.precharge, supervisor.charge, supervisor.discharge


def looked_at(state):
    """Condition bits that rows of this state need or are blocked by: no other bit can change where it goes."""
    bits = 0
    for states, needs, blocked_by, _ in sv.ROWS:
        if states >> state & 1:
            bits |= needs | blocked_by
    return [1 << bit for bit in range(BIT_COUNT) if bits >> bit & 1]


def condition_sets(state):
    bits = looked_at(state)
    for chosen in itertools.product((0, 1), repeat=len(bits)):
        yield sum(bit for bit, on in zip(bits, chosen, strict=True) if on)


EDGES = {
    state: {(conditions, make().next_state(state, conditions)) for conditions in condition_sets(state)}
    for state in STATES
}


def test_a_bit_that_no_row_of_a_state_names_changes_nothing_there():
    """What makes the walk below complete."""
    supervisor = make()
    for state in STATES:
        others = (1 << BIT_COUNT) - 1 & ~sum(looked_at(state))
        assert all(supervisor.next_state(state, conditions | others) == to for conditions, to in EDGES[state])


def test_every_state_is_reachable_from_boot():
    seen, front = {sv._BOOT}, [sv._BOOT]
    while front:
        new = {to for _, to in EDGES[front.pop()]} - seen
        seen |= new
        front += new
    assert seen == set(STATES)


@pytest.mark.parametrize("state", [state for state in STATES if state not in END])
def test_from_every_state_every_set_of_conditions_with_a_fault_leads_to_a_safe_one(state):
    """No state stops polling: a row that locks is seen everywhere, one that opens wherever something can be on."""
    for conditions, to in EDGES[state]:
        if conditions & sv.LOCK:
            assert to == sv.LOCKOUT
        elif conditions & sv.OPEN and state not in (sv._BOOT, sv.FAULT):
            assert to == sv.FAULT
        elif conditions & sv.STOP and state not in OFF:
            assert to in (sv.SAFE, sv._MAINTENANCE)
        if conditions & (sv.LOCK | sv.OPEN | sv.UPDATE):
            assert to in OFF


@pytest.mark.parametrize("state", STATES)
def test_in_every_state_no_set_of_conditions_and_rows_gives_an_output_that_is_not_safe(state):
    """Every set of given conditions that the state looks at, with every union of row actions, before and after its
    timeout: what the outputs are then."""
    given_sets = {conditions & GIVEN for conditions in condition_sets(state)}
    for conditions, blocked, now_ms in itertools.product(given_sets, ALL_MASKS, (0, 5000)):
        supervisor = make(state)
        supervisor.step(conditions | sv.SETTLED, blocked, now_ms)
        main, precharge, charge, discharge = outputs(supervisor)
        closing = supervisor.state == sv.PRECHARGE
        assert not main or supervisor.state in sv.CLOSED_STATES or closing
        assert not precharge or closing
        assert not (charge or discharge) or (main and supervisor.state in sv.CLOSED_STATES)
        if blocked & (rows.OPEN | rows.LOCKOUT) or conditions & (sv.OPEN | sv.LOCK):
            assert not main
            assert not precharge
        if conditions & sv.STOP and state not in OFF:
            assert (main, precharge, charge, discharge) == (0, 0, 0, 0)
        assert not (blocked & rows.NO_CHARGE and charge)
        assert not (blocked & rows.NO_DISCHARGE and discharge)


def test_the_way_to_a_closed_contactor_is_one_and_begins_with_arming():
    entries = {
        to: {state for state in STATES for _, there in EDGES[state] if there == to and state != to} for to in STATES
    }
    closed = set(sv.CLOSED_STATES)
    assert set().union(*(entries[state] for state in closed)) - closed == {sv.PRECHARGE}
    assert entries[sv.PRECHARGE] == {sv.ARMED}
    assert entries[sv.ARMED] == {sv.SAFE, sv.PRECHARGE}  # from precharge: to try it again
    for conditions, to in EDGES[sv.SAFE]:
        if to == sv.ARMED:
            assert conditions & sv.ARM
            assert not conditions & (sv.STOP | sv.OPEN | sv.LOCK | sv._BLOCKED)


def test_lockout_and_maintenance_have_no_way_back():
    assert {to for _, to in EDGES[sv.LOCKOUT]} == {sv.LOCKOUT, sv._MAINTENANCE}
    assert {to for _, to in EDGES[sv._MAINTENANCE]} == {sv._MAINTENANCE}


def test_a_fault_is_left_for_safe_only_by_a_clear_with_no_open_row_left():
    for conditions, to in EDGES[sv.FAULT]:
        if to == sv.SAFE:
            assert conditions & sv.CLEARED
            assert not conditions & (sv.OPEN | sv.LOCK)


@pytest.mark.parametrize("state", TIMEOUTS_MS)
def test_a_state_that_waits_does_not_wait_for_ever(state):
    """With nothing that it waits for, at its timeout and not a tick before."""
    waited = sv.PRESSED if state == sv.PRECHARGE else 0
    for now_ms, stays in ((TIMEOUTS_MS[state] - 1, True), (TIMEOUTS_MS[state], False)):
        supervisor = make(state)
        supervisor.step(waited, 0, now_ms)
        assert (supervisor.state == state) == stays
        if not stays:
            assert outputs(supervisor) == (0, 0, 0, 0)


def test_the_app_gives_every_waiting_state_its_timeout():
    from assb.app import _timeouts_ms

    timeouts_ms = _timeouts_ms({row[1]: row[5] for row in schema.PARAMETERS}.__getitem__)
    assert {state for state in STATES if timeouts_ms[state]} == set(TIMEOUTS_MS)


@pytest.mark.parametrize("state", [sv.ARMED, sv.PRECHARGE, sv.REST, sv._CHARGE, sv._DISCHARGE, sv._DERATE])
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


READY_TO_CLOSE = sv.PRESSED | sv.SETTLED


def test_precharge_comes_before_the_main_contactor():
    supervisor = make(sv.ARMED)
    supervisor.step(READY_TO_CLOSE, 0, 0)
    assert (supervisor.state, supervisor.precharge, supervisor.main) == (sv.PRECHARGE, 1, 0)
    supervisor.step(READY_TO_CLOSE, 0, PRECHARGE_MS - 1)
    assert (supervisor.precharge, supervisor.main) == (1, 0)
    supervisor.step(READY_TO_CLOSE, 0, PRECHARGE_MS)
    assert (supervisor.precharge, supervisor.main) == (1, 1)
    supervisor.step(READY_TO_CLOSE | sv.CLOSED, 0, PRECHARGE_MS + 20)
    assert (supervisor.state, supervisor.precharge, supervisor.main) == (sv.REST, 0, 1)


def test_the_main_contactor_waits_for_the_precharge_current_and_does_not_let_go_of_it_again():
    supervisor = make(sv.PRECHARGE)
    supervisor.step(sv.PRESSED, 0, PRECHARGE_MS + 100)
    assert outputs(supervisor) == (0, 1, 0, 0)
    supervisor.step(READY_TO_CLOSE, 0, PRECHARGE_MS + 110)
    assert outputs(supervisor) == (1, 1, 0, 0)
    supervisor.step(sv.PRESSED, 0, PRECHARGE_MS + 120)
    assert outputs(supervisor) == (1, 1, 0, 0)


def test_a_precharge_that_does_not_settle_is_tried_again_after_a_pause_and_then_is_a_fault():
    supervisor = make(sv.ARMED, retries=2, pause_ms=100)
    now_ms, states = 0, []
    while supervisor.state != sv.FAULT:
        supervisor.step(sv.PRESSED, 0, now_ms)
        assert supervisor.main == 0
        if not states or states[-1][0] != supervisor.state:
            states.append((supervisor.state, now_ms))
        now_ms += 10
    precharged = [at_ms for state, at_ms in states if state == sv.PRECHARGE]
    assert precharged == [0, 600, 1200]  # its timeout of 500, and the pause
    assert states[-1] == (sv.FAULT, 1700)


def test_a_new_arming_has_all_its_tries():
    supervisor = make(sv.ARMED, retries=1)
    for now_ms in (0, 500, 510):
        supervisor.step(sv.PRESSED, 0, now_ms)
    supervisor.step(sv.STOP, 0, 520)
    supervisor.step(sv.ARM, 0, 530)
    supervisor.step(sv.PRESSED, 0, 540)
    supervisor.step(sv.PRESSED, 0, 1040)
    assert supervisor.state == sv.ARMED


def test_a_contactor_that_does_not_close_is_a_fault_however_many_tries_are_left():
    supervisor = make(sv.PRECHARGE, retries=5)
    supervisor.step(READY_TO_CLOSE, 0, 499)
    assert (supervisor.state, supervisor.main) == (sv.PRECHARGE, 1)
    supervisor.step(READY_TO_CLOSE, 0, 500)
    assert outputs(supervisor) == (0, 0, 0, 0)
    assert supervisor.state == sv.FAULT


def test_arming_is_refused_while_a_row_blocks_both_directions():
    both = rows.NO_CHARGE | rows.NO_DISCHARGE
    supervisor = make(sv.SAFE)
    supervisor.step(sv.ARM, both, 0)
    assert supervisor.state == sv.SAFE
    for one in (rows.NO_CHARGE, rows.NO_DISCHARGE):
        supervisor = make(sv.SAFE)
        supervisor.step(sv.ARM, one, 0)
        assert supervisor.state == sv.ARMED


def test_every_change_of_state_is_one_event_with_both_and_before_the_first_step_nothing_is_on():
    events = Events()
    supervisor = sv.Supervisor([0] * len(STATES), PRECHARGE_MS, events)
    assert (*outputs(supervisor), supervisor.regulate) == (0, 0, 0, 0, 0)
    seen, event = [], [0] * 5
    for conditions in (0, 0, sv.READY, sv.READY, sv.ARM, sv.STOP, sv.OPEN):
        supervisor.step(conditions, 0, 0)
        while events.take(event):
            seen.append((event[0], *event[2:4]))
    way = (sv._BOOT, sv.SELFTEST, sv.SAFE, sv.ARMED, sv.SAFE, sv.FAULT)
    assert seen == [(schema.EV_STATE, before, after) for before, after in itertools.pairwise(way)]


@pytest.mark.parametrize("column", range(5))
def test_each_column_of_the_outputs_is_one_output(column, monkeypatch):
    allowed = tuple(int(at == column) for at in range(5))
    monkeypatch.setattr(sv, "OUTPUTS", (allowed,) * len(STATES))
    supervisor = make(sv.SAFE)
    supervisor.step(0, 0, 0)
    assert (*outputs(supervisor), supervisor.regulate) == allowed
