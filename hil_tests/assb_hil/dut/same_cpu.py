"""Keeps the VM and the thread that drives it on one processor while they take turns.

They never run at the same time, and waking an idle processor takes longer than a whole tick: on a two-processor virtual
machine a tick took 160 µs across processors and 40 µs on one.
"""

import contextlib
import ctypes
import os
from types import TracebackType


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

    def follow(self, pid: int) -> None:
        """The VM is this process from now on."""
        if self._possible:
            cpu = self._getcpu()
            with contextlib.suppress(ProcessLookupError):  # it may just have ended
                os.sched_setaffinity(pid, {cpu})
            self._vm = (pid, cpu)

    def forget(self) -> None:
        """No VM runs."""
        self._vm = (0, -1)

    def __enter__(self) -> None:
        if not self._possible:
            return
        self._allowed = os.sched_getaffinity(0)
        cpu = self._getcpu()
        os.sched_setaffinity(0, {cpu})
        pid, vm_cpu = self._vm
        if pid and vm_cpu != cpu:
            self.follow(pid)

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._possible:
            os.sched_setaffinity(0, self._allowed)
