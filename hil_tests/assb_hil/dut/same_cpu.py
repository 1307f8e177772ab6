"""Keeps the VM and the thread that drives it on one processor while they take turns.

They never run at the same time, and waking an idle processor takes longer than a whole tick: on a two-processor virtual
machine a tick took 160 µs across processors and 40 µs on one.
"""

import contextlib
import ctypes
import os
import time
from types import TracebackType

from assb_hil.dut.process import processor_s

LOOK_S = 0.1  # so often both look whether they have their processor to themselves
SHARED_FRAC = 0.75  # of the time that went by: less processor time, and another board is at work there


def may_choose() -> bool:
    """Whether this process may say where it runs: not on every system, nor in every container."""
    try:
        os.sched_setaffinity(0, os.sched_getaffinity(0))
    except (AttributeError, OSError):
        return False
    return current_cpu() >= 0


def current_cpu() -> int:
    """Number of the processor that this thread runs on; -1 when the system doesn't tell."""
    try:
        return ctypes.CDLL(None).sched_getcpu()
    except (AttributeError, OSError):
        return -1


class SameCpu:
    """A context in which this thread stays where it is, the VM beside it. Between contexts the scheduler decides."""

    def __init__(self):
        self._possible = may_choose()
        self._getcpu = ctypes.CDLL(None).sched_getcpu if self._possible else current_cpu
        self._allowed: set[int] = set()
        self._vm = (0, -1)  # process, processor
        self._went_s = self._used_s = 0.0  # in contexts since the last look: on the clock, of processors
        self._since_s = self._since_used_s = self._due_s = 0.0

    def follow(self, pid: int) -> None:
        """The VM is this process from now on."""
        if self._possible:
            self._beside(pid, self._getcpu())
            self._since_used_s = self._processor_s()

    def forget(self) -> None:
        """No VM runs."""
        self._vm = (0, -1)
        self._since_used_s = self._processor_s()

    def make_room(self) -> None:
        """Called often. Two boards that came to one processor would stay there, and others idle: one goes elsewhere.
        Which one is left to chance, so that they don't go together."""
        if not self._possible or time.monotonic() < self._due_s:
            return
        self._measure()
        shared = self._used_s < SHARED_FRAC * self._went_s
        self._went_s = self._used_s = 0.0
        self._due_s = self._since_s + LOOK_S
        others = sorted(self._allowed - os.sched_getaffinity(0))
        chance = os.urandom(2)
        if shared and others and chance[0] & 1:
            cpu = others[chance[1] % len(others)]
            os.sched_setaffinity(0, {cpu})
            self._beside(self._vm[0], cpu)

    def _beside(self, pid: int, cpu: int) -> None:
        with contextlib.suppress(ProcessLookupError):  # it may just have ended
            if pid:
                os.sched_setaffinity(pid, {cpu})
        self._vm = (pid, cpu)

    def _processor_s(self) -> float:
        return time.thread_time() + (processor_s(self._vm[0]) if self._vm[0] else 0.0)

    def _measure(self) -> None:
        now_s, used_s = time.monotonic(), self._processor_s()
        self._went_s += now_s - self._since_s
        self._used_s += used_s - self._since_used_s
        self._since_s, self._since_used_s = now_s, used_s

    def __enter__(self) -> None:
        if not self._possible:
            return
        self._allowed = os.sched_getaffinity(0)
        cpu = self._getcpu()
        os.sched_setaffinity(0, {cpu})
        pid, vm_cpu = self._vm
        if pid and vm_cpu != cpu:
            self._beside(pid, cpu)
        self._since_s, self._since_used_s = time.monotonic(), self._processor_s()
        self._due_s = self._since_s + LOOK_S - self._went_s

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._possible:
            self._measure()
            os.sched_setaffinity(0, self._allowed)
