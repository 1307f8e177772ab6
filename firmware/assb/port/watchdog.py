"""The hardware watchdog. A started one can't be stopped on an RP2040, so at the REPL, outputs off, a timer feeds it."""

import machine

from assb.const import const

_KEEP_ALIVE_PERIOD_MS = const(500)


class Watchdog:
    def __init__(self, timeout_ms):
        self._wdt = machine.WDT(timeout=timeout_ms) if timeout_ms else None
        self._timer = None

    def feed(self):
        if self._wdt:
            self._wdt.feed()

    def keep_alive(self):
        """Hand the feeding to a timer: only with the outputs off, for the REPL and for maintenance."""
        if self._wdt and hasattr(machine, "Timer"):
            self._timer = machine.Timer(-1)
            self._timer.init(period=_KEEP_ALIVE_PERIOD_MS, mode=machine.Timer.PERIODIC, callback=self._feed_from_timer)

    def _feed_from_timer(self, _timer):
        self._wdt.feed()
