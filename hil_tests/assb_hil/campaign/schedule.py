"""Running trials on Dask: in this process, on processes of this machine, or on a cluster.

One trial is one task, and few more are handed out than there are threads: an interrupt waits for nothing, and a worker
that dies loses only what it was just running, which another one then runs again.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from typing import Any, Protocol, TypeVar

from assb_host.errors import AssbError, ToolError

from assb_hil.campaign.record import TrialResult, TrialSpec
from assb_hil.campaign.settings import fingerprint

Run = Callable[[TrialSpec], TrialResult]
Result = TypeVar("Result")
AHEAD = 3  # trials handed out per thread
CONNECT_S = 10.0
# Ctrl-C reaches every process of a terminal; the workers leave it to the one that started them
DEAF = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
EXTRA = ("dask", "distributed", "pyarrow")


class TrialError(AssbError):
    """A trial raised: a bug in what it runs, or a lost worker too many."""


class Pool(Protocol):
    """Where trials run."""

    def results(self, specs: Iterable[TrialSpec], run: Callable[[TrialSpec], Result]) -> Iterator[Result | TrialError]:
        """As they come, in any order."""
        ...


def need_extra() -> None:
    """Raises ToolError unless what the extra `campaign` installs is there."""
    missing = []
    for name in EXTRA:
        try:
            import_module(name)
        except ImportError:
            missing.append(name)
    if missing:
        raise ToolError(f"a campaign needs {', '.join(missing)}", remedy="pip install 'assb-bms[campaign]'")


class InProcess:
    """Dask's synchronous scheduler: one trial after the other, here."""

    def results(self, specs: Iterable[TrialSpec], run: Callable[[TrialSpec], Result]) -> Iterator[Result | TrialError]:
        from dask.delayed import delayed

        for spec in specs:
            task = delayed(run, pure=False)(spec)
            yield result_of(spec, lambda task=task: task.compute(scheduler="synchronous"))


class Cluster:
    """Through a client of `distributed`."""

    def __init__(self, client: Any):
        self._client = client

    def results(self, specs: Iterable[TrialSpec], run: Callable[[TrialSpec], Result]) -> Iterator[Result | TrialError]:
        from distributed import as_completed

        waiting = iter(specs)
        spec_of: dict[str, TrialSpec] = {}

        def hand_out() -> list[Any]:
            room = AHEAD * max(1, sum(self._client.nthreads().values())) - len(spec_of)
            futures = [(spec, self._client.submit(run, spec, pure=False)) for spec in islice(waiting, max(room, 0))]
            spec_of.update((future.key, spec) for spec, future in futures)
            return [future for _, future in futures]

        done = as_completed(hand_out(), loop=self._client.loop)
        for future in done:
            spec = spec_of.pop(future.key)
            done.update(hand_out())
            yield result_of(spec, future.result)


def result_of(spec: TrialSpec, take: Callable[[], Result]) -> Result | TrialError:
    """What `take` returns; what it raises, with the trial's name."""
    try:
        return take()
    except Exception as error:
        where = f"trial {spec.number} (seed {spec.seed}, {spec.profile}, {spec.short_class or 'no short'})"
        return TrialError(f"{type(error).__name__}: {error}", where)


@contextmanager
def open_pool(workers: int, scheduler: str | None) -> Iterator[Pool]:
    """Raises AssbError where the cluster does not answer or runs other code than this."""
    if scheduler is None and workers == 1:
        yield InProcess()
        return
    from distributed import Client, LocalCluster

    if scheduler is None:
        quiet: dict[str, Any] = {"dashboard_address": None, "silence_logs": logging.CRITICAL, "preload": DEAF}
        local = LocalCluster(n_workers=workers, threads_per_worker=1, processes=True, **quiet)
        with local, Client(local) as client:
            yield Cluster(client)
        return
    try:
        client = Client(scheduler, timeout=CONNECT_S)
    except (OSError, ValueError) as error:
        raise AssbError(f"no scheduler answers: {error}", scheduler, "start one with `dask scheduler`") from None
    with client:
        same_code(client, scheduler)
        yield Cluster(client)


def same_code(client: Any, where: str) -> None:
    """Every worker must run what this process would."""
    here = fingerprint()
    others = sorted(worker for worker, code in client.run(fingerprint).items() if code != here)
    if others:
        remedy = "install the same wheel of assb-bms on every machine"
        raise AssbError(f"other code than here on {', '.join(others)}", where, remedy)
