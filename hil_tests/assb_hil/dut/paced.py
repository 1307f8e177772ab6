"""A virtual board that runs along the wall clock, for people and for programs that only know its port."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from assb_hil.dut.turns import Turns

FREE_RUN = float("inf")
FREE_RUN_SLICE_US = 50_000  # how much virtual time passes between looks at the clock
TURN_S = 0.005
LONGEST_LAG_S = 0.5  # a board that can't keep its pace falls behind by so much, then it is simply slower


class Paced:
    """Mixed into a board that has these."""

    name: str
    _turns: Turns

    @property
    def now_us(self) -> int:
        raise NotImplementedError

    def _serve(self, limit_us: int, until_s: float | None) -> None:
        raise NotImplementedError

    def _await_events(self, seconds: float) -> None:
        raise NotImplementedError

    def _busy(self) -> bool:
        raise NotImplementedError

    @contextlib.contextmanager
    def background(self, pace: float = 1.0) -> Iterator[None]:
        """A thread drives the board, `pace` virtual seconds per second (inf: as fast as it goes)."""
        stopping = threading.Event()
        failures: list[BaseException] = []

        def drive() -> None:
            try:
                self.run_paced(pace, stopping.is_set)
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=drive, name=f"board-{self.name}", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stopping.set()
            self._turns.wake_up()
            thread.join()
        if failures:
            raise failures[0]

    def run_paced(self, pace: float, stop: Callable[[], bool]) -> None:
        """Drives the board from this thread until stop() says so."""
        # A board that waits for its user has nothing to hurry for, not even when it is as fast as it goes
        rate = 1.0 if pace == FREE_RUN else pace
        wall_s, due_us = time.monotonic(), float(self.now_us)
        while not stop():
            with self._turns.driver():
                before_s, wall_s = wall_s, time.monotonic()
                due_us = max(due_us, self.now_us) + (wall_s - before_s) * 1e6 * rate
                due_us = min(due_us, self.now_us + LONGEST_LAG_S * 1e6 * rate)
                free = pace == FREE_RUN and self._busy()
                limit_us = self.now_us + FREE_RUN_SLICE_US if free else int(due_us)
                self._serve(limit_us, time.monotonic() + TURN_S)
                if not free and self.now_us >= limit_us:
                    self._await_events(TURN_S)
