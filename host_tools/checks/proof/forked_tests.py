"""Runs tests in forked copies of one process that has collected them: each run starts from the same state, costs no
start-up, and may crash or run for ever without harm."""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator

import pytest

# Python that was forked away must not write what the parent has buffered, nor run its exit handlers
PASSED, FAILED = 0, 1
CPU_LEAST_S = 0.5
CPU_FACTOR = 5.0  # of what the test took unchanged


class Session:
    """A pytest plugin: `work(session)` in place of pytest's own loop over the tests."""

    def __init__(self, work: Callable[["Session"], None]) -> None:
        self._work = work
        self.items: dict[str, pytest.Item] = {}
        self._failed = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("the tests can't be collected")
        self.items = {item.nodeid: item for item in session.items}
        self._work(self)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._failed = self._failed or report.failed

    def passes(self, name: str) -> bool:
        """Runs one test here and now."""
        self._failed = False
        item = self.items[name]
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=None)
        return not self._failed


def child(task: Callable[[], int]) -> int:
    """Forks; the copy runs `task`, says nothing and ends with its result. Returns its process id."""
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return pid
    code = FAILED
    with contextlib.suppress(BaseException):
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        code = task()
    os._exit(code)


def allow_cpu_s(seconds: float) -> None:
    """From now on this process may use so much processor time; then it is killed. Wall time would tell the load."""
    signal.signal(signal.SIGVTALRM, signal.SIG_DFL)  # what C loops in, no handler of Python's would end
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)


def cpu_limit_s(usual_s: float) -> float:
    return CPU_LEAST_S + CPU_FACTOR * usual_s


def outcomes(tasks: Iterator[tuple[int, Callable[[], int]]], jobs: int) -> Iterator[tuple[int, str, int]]:
    """(number, "survived" | "failed" | "crashed" | "endless", exit code) of each task, `jobs` at a time."""
    running: dict[int, int] = {}
    left = True
    while running or left:
        while left and len(running) < jobs:
            task = next(tasks, None)
            if task is None:
                left = False
                break
            running[child(task[1])] = task[0]
        if running:
            pid, status = os.wait()
            yield running.pop(pid), _name(status), os.waitstatus_to_exitcode(status)


def _name(status: int) -> str:
    if os.WIFSIGNALED(status):
        return "endless" if os.WTERMSIG(status) == signal.SIGVTALRM else "crashed"
    return "survived" if os.WEXITSTATUS(status) == PASSED else "failed"
