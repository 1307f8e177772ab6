"""`time` of the virtual board: ticks wrap at 2**30 as on a 32-bit port, waits are virtual, wall time is out of reach.

`board_cost(kind)` is this board's own: the firmware's port layer tells where computing takes time (1 fast tick,
2 estimator slice, 3 other slice, 4 garbage collection), and the clock moves by the board file's figures.
"""

import utime
from _lockstep import cost, now_us, wait

board_cost = cost
_PERIOD = 1 << 30
_MASK = _PERIOD - 1
_HALF = _PERIOD >> 1
# A board without a battery for its clock starts here (rp2: 2021-01-01, in the unix port's epoch of 1970)
_EPOCH_S = 1_609_459_200


def ticks_ms():
    return now_us() // 1000 & _MASK


def ticks_us():
    return now_us() & _MASK


ticks_cpu = ticks_us


def ticks_add(ticks, delta):
    return ticks + delta & _MASK


def ticks_diff(end, start):
    return (end - start + _HALF & _MASK) - _HALF


def sleep_ms(ms):
    wait(ms * 1000)


def sleep_us(us):
    wait(us)


def sleep(seconds):
    wait(int(seconds * 1_000_000))


def time():
    return _EPOCH_S + now_us() // 1_000_000


def time_ns():
    return _EPOCH_S * 1_000_000_000 + now_us() * 1000


def gmtime(seconds=None):
    return utime.gmtime(time() if seconds is None else seconds)


localtime = gmtime
mktime = utime.mktime
