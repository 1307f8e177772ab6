"""Arithmetic on millisecond ticks that wrap at 2**30, as on every 32-bit MicroPython board. Pure: time is passed in."""

from assb.const import const

_MASK = const((1 << 30) - 1)
_HALF = const(1 << 29)


def elapsed_ms(now_ms, then_ms):
    """Time from `then_ms` to `now_ms`, 0 … 2**30 - 1 (12.4 days); `then_ms` must not be in the future."""
    return (now_ms - then_ms) & _MASK


def until_ms(due_ms, now_ms):
    """Signed time from now until `due_ms`; negative when it has passed."""
    return ((due_ms - now_ms + _HALF) & _MASK) - _HALF


def later(now_ms, delay_ms):
    return (now_ms + delay_ms) & _MASK
