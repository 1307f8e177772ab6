"""Time of this board, wrapping at 2**30. A virtual board charges virtual time for code through `time.board_cost`."""

import time

FAST, ESTIMATE, SLICE, GC = 1, 2, 3, 4
_MASK = (1 << 30) - 1


class Clock:
    """`cost(kind)` says that a piece of code of that kind has just run: a virtual board needs to be told."""

    def __init__(self):
        self.now_ms = time.ticks_ms
        self.now_us = time.ticks_us
        self.cost = getattr(time, "board_cost", _no_cost)

    def sleep_until(self, due_ms):
        wait_ms = time.ticks_diff(due_ms, time.ticks_ms())
        if wait_ms > 0:
            time.sleep_ms(wait_ms)


def _no_cost(kind):
    pass


def spent_us(now_us, then_us):
    return (now_us - then_us) & _MASK
