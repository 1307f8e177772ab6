"""Each kind of check holds when it should, and fails when it should."""

import pytest
from assb_hil.checks import (
    EventCheck,
    NoEventCheck,
    PressureRmsCheck,
    ReactionCheck,
    SignalCheck,
    SocErrorCheck,
)
from assb_hil.recorder import Recorder, truth_names
from assb_hil.results import collapsed


class Facts:
    """A run of ten seconds: SOC truth 0.50, estimate 0.52; pressure 20 kPa off its target; one trip at 5 s."""

    duration_s = 10.0

    def __init__(self):
        self.recorder = Recorder()
        row = dict.fromkeys(truth_names(), 0.0) | {
            "true_soc_frac": 0.5,
            "true_pressure_mpa": 4.98,
            "true_current_a": 0.2,
        }
        for tick in range(101):
            self.recorder.truth(0.1 * tick, tuple(row[name] for name in truth_names()))
            self.recorder._add("soc_frac", 0.1 * tick, 0.52)
            self.recorder._add("pressure_target_mpa", 0.1 * tick, 5.0)
        self.recorder.rig_event(5.0, "register_crossed", "rig", {"row": "cell_undervoltage"})
        self.recorder.rig_event(5.025, "coil_switched", "rig", {"closed": 0})
        self.recorder.rig_event(5.031, "contact_moved", "rig", {"closed": 0})

    def budget_ms(self, row):
        return {"cell_undervoltage": 60.0, "cell_overvoltage": 60.0}[row]

    def tick_and_debounce_ms(self, row):
        return 30.0


@pytest.fixture
def facts():
    return Facts()


def outcome(check, facts):
    return [(verdict.passed, verdict.value) for verdict in check.judge(facts)]


def test_an_event_must_come_in_time_and_often_enough(facts):
    assert outcome(EventCheck(event="coil_switched", by_s=5.1), facts) == [(True, 5.025)]
    assert outcome(EventCheck(event="coil_switched", by_s=5.0), facts) == [(False, 5.025)]
    assert outcome(EventCheck(event="coil_switched", fields={"closed": 1}), facts) == [(False, None)]
    assert outcome(EventCheck(event="coil_switched", count=2), facts) == [(False, None)]


def test_no_event_counts_only_within_its_span(facts):
    assert outcome(NoEventCheck(event="coil_switched"), facts) == [(False, 1)]
    assert outcome(NoEventCheck(event="coil_switched", to_s=5.0), facts) == [(True, 0)]


def test_a_signal_is_held_against_both_limits(facts):
    check = SignalCheck(signal="true_current_a", statistic="max", min=0.1, max=0.15)
    assert outcome(check, facts) == [(True, 0.2), (False, 0.2)]


def test_a_signal_that_does_not_exist_fails(facts):
    assert outcome(SignalCheck(signal="true_curent_a", statistic="max", max=1.0), facts) == [(False, None)]


def test_soc_error_is_estimate_against_truth(facts):
    assert outcome(SocErrorCheck(max_frac=0.021), facts) == [(True, pytest.approx(0.02))]
    assert outcome(SocErrorCheck(max_frac=0.019), facts) == [(False, pytest.approx(0.02))]


def test_pressure_rms_is_truth_against_target(facts):
    assert outcome(PressureRmsCheck(max_kpa=21.0), facts) == [(True, pytest.approx(20.0))]
    assert outcome(PressureRmsCheck(max_kpa=19.0), facts) == [(False, pytest.approx(20.0))]


def test_a_reaction_is_timed_from_the_register(facts):
    assert outcome(ReactionCheck(row="cell_undervoltage"), facts) == [(True, 25.0), (True, 31.0)]
    assert outcome(ReactionCheck(row="cell_overvoltage"), facts) == [(False, None), (False, None)]


def test_a_reaction_that_is_too_slow_fails(facts):
    facts.tick_and_debounce_ms = lambda row: 24.0
    assert outcome(ReactionCheck(row="cell_undervoltage"), facts) == [(False, 25.0), (True, 31.0)]


def test_the_hash_covers_truth_events_and_console():
    hashes = set()
    for change in range(4):
        recorder = Recorder()
        recorder.truth(0.1, tuple(float(change == 1) for _ in truth_names()))
        recorder.rig_event(0.2, "contact_moved", "rig", {"closed": int(change == 2)})
        recorder.console(0.3, b"hello\r\n" if change == 3 else b"hullo\r\n")
        hashes.add(recorder.sha256)
    assert len(hashes) == 4


def test_what_a_source_repeats_unchanged_is_shown_once_with_its_count():
    events = [{"t_s": t_s, "source": "board", "name": "alert_tripped", "flags": 8} for t_s in (1.0, 1.1, 1.2)]
    events.insert(2, {"t_s": 1.15, "source": "rig", "name": "contact_moved", "closed": 0})
    events.append({"t_s": 1.3, "source": "board", "name": "alert_tripped", "flags": 16})
    assert [(event["t_s"], event.get("times")) for event in collapsed(events)] == [(1.0, 3), (1.15, None), (1.3, None)]
    assert "times" not in events[0]
