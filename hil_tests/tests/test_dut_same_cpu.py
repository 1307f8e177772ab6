"""Boards that came to one processor part, and one that has its own stays."""

import os

import pytest
from assb_hil.dut import same_cpu

LOOKS = 100


class Clock:
    """In place of the system's: both times go on as they are told."""

    def __init__(self):
        self.now_s = self.used_s = 0.0

    def monotonic(self):
        return self.now_s

    def thread_time(self):
        return self.used_s


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="this process may run on one processor alone")
@pytest.mark.parametrize(("used_frac", "moves"), [(0.5, True), (0.9, False)])
def test_who_shares_a_processor_goes_elsewhere_and_who_has_one_stays(monkeypatch, used_frac, moves):
    clock = Clock()
    monkeypatch.setattr(same_cpu, "time", clock)
    allowed = os.sched_getaffinity(0)
    seen = set()
    here = same_cpu.SameCpu()
    with here:
        for _ in range(LOOKS):
            clock.now_s += 1.01 * same_cpu.LOOK_S
            clock.used_s += used_frac * 1.01 * same_cpu.LOOK_S
            here.make_room()
            (cpu,) = os.sched_getaffinity(0)
            seen.add(cpu)
    assert os.sched_getaffinity(0) == allowed
    assert (len(seen) > 1) == moves
