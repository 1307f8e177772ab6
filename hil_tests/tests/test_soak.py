"""The long run: a seeded part of it holds, it is the same twice, and it sees what it is there to see."""

from dataclasses import replace

import pytest
from assb_hil import soak
from assb_hil.reaction_stimuli import QUICK
from assb_hil.session import open_session
from assb_hil.soak_faults import SOAK_FAULTS

NAMED = {fault.name: fault for fault in SOAK_FAULTS}
TWENTY_MINUTES_H = 1 / 3
IN_A_HURRY_H = 40 / 3600  # two faults or three, and a load


def test_twenty_minutes_with_faults_at_random_hold():
    result = soak.run_soak(TWENTY_MINUTES_H, seed=1)
    assert result.passed, result.broken
    assert sum(result.fault_counts.values()) >= 6
    assert result.state_s["CHARGE"] > 100
    assert result.state_s["DISCHARGE"] > 100


@pytest.fixture
def hurried(monkeypatch):
    """Faults from a list of its own, soon after one another, on a pack that is pressed in seconds."""

    def quickly(scenario, **options):
        return open_session(replace(scenario, pack_changes=QUICK), **options)

    def choose(*faults):
        monkeypatch.setattr(soak, "SOAK_FAULTS", faults)
        monkeypatch.setattr(soak, "open_session", quickly)
        monkeypatch.setattr(soak, "FIRST_FAULT_S", 12.0)
        monkeypatch.setattr(soak, "FAULT_GAP_S", (1.0, 3.0))
        monkeypatch.setattr(soak, "RECOVER_S", 8.0)

    return choose


def test_the_same_seed_gives_the_same_trace(hurried):
    hurried(*SOAK_FAULTS)
    first, again, other = (soak.run_soak(IN_A_HURRY_H, seed) for seed in (3, 3, 4))
    assert first.trace_sha256 == again.trace_sha256 != other.trace_sha256
    assert first.fault_counts == again.fault_counts
    assert sum(first.fault_counts.values()) >= 2


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (replace(NAMED["monitor lost"], rows=()), "voltage_stale tripped during monitor lost"),
        (replace(NAMED["slow ticks"], holds_up=False), "a fast tick was"),
        (replace(NAMED["reset"], restarts=False), "restart during reset"),
        (replace(NAMED["load cell browns out"], lasts_s=1), "FAULT 8 s after load cell browns out"),
    ],
)
def test_what_a_fault_may_not_cause_breaks_the_run(hurried, fault, told):
    hurried(fault)
    result = soak.run_soak(IN_A_HURRY_H, seed=1)
    assert not result.passed
    assert any(told in line for line in result.broken), result.broken


def line(slope_b_per_h, low_b=50_000, hours=4):
    boot = soak.Boot(0.0)
    for t_s in range(0, hours * 3600, 10):
        boot.add(float(t_s), round(100_000 + slope_b_per_h * t_s / 3600 + t_s % 7), low_b)
    return boot


@pytest.mark.parametrize("slope_b_per_h", [0.0, -300.0, 50.0])
def test_the_slope_of_the_heap_is_a_least_squares_line_after_warm_up(slope_b_per_h):
    boot = line(slope_b_per_h)
    assert boot.slope_b_per_h == pytest.approx(slope_b_per_h, abs=3.0)
    assert boot.span_s == pytest.approx(4 * 3600 - soak.WARM_UP_S, abs=20)


@pytest.mark.parametrize(
    ("slope_b_per_h", "hours", "leaks"), [(0.0, 4, False), (-300.0, 4, True), (-300.0, 2, False), (-50.0, 24, True)]
)
def test_a_heap_leaks_that_goes_on_falling(slope_b_per_h, hours, leaks):
    assert line(slope_b_per_h, hours=hours).leaks == leaks


@pytest.mark.parametrize(("fell_b", "hours", "told"), [(9_000, 4, 0), (16_001, 4, 1), (16_001, 1, 0)])
def test_a_low_water_that_falls_far_breaks_a_run_whose_heap_comes_back_each_time(fell_b, hours, told):
    boot = line(0.0, hours=hours)
    boot.add(hours * 3600.0, 100_000, 50_000 - fell_b)
    assert not boot.leaks
    assert [f"fell by {fell_b} B" in words for words in boot.complaints()] == [True] * told
    assert not boot.complaints()  # told once


def test_a_heap_that_shrinks_is_told():
    boot = line(-300.0)
    assert boot.complaints() == [f"the heap of this boot shrank by {-boot.slope_b_per_h:.0f} B an hour"]
    assert boot.complaints() == []
