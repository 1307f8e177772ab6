"""Who may touch the board: the thread that drives it, or a guest from another thread, who need not wait long."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator


class Turns:
    """A lock that the driving thread hands over when a guest comes; a pipe wakes it out of its waiting."""

    def __init__(self):
        self._lock = threading.RLock()
        self._guests = 0
        self._guests_lock = threading.Lock()
        self.wake_fd, self._waker = os.pipe()
        os.set_blocking(self.wake_fd, False)
        os.set_blocking(self._waker, False)

    @contextlib.contextmanager
    def guest(self) -> Iterator[None]:
        """The next turn."""
        with self._guests_lock:
            self._guests += 1
        self.wake_up()
        with self._lock:
            with self._guests_lock:
                self._guests -= 1
            yield

    @contextlib.contextmanager
    def driver(self) -> Iterator[None]:
        """A turn when no guest waits."""
        while self._guests:
            time.sleep(0)
        with self._lock:
            yield

    def wake_up(self) -> None:
        with contextlib.suppress(BlockingIOError):
            os.write(self._waker, b"w")

    def awake(self) -> None:
        """The driver has been woken."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.wake_fd, 4096)

    def close(self) -> None:
        os.close(self.wake_fd)
        os.close(self._waker)
