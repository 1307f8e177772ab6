"""The hardware watchdog. A started one can't be stopped on an RP2040, so at the REPL, outputs off, a timer feeds it."""

import machine

from assb.const import const

_KEEP_ALIVE_PERIOD_MS = const(500)


_at_prompt = []  # the one that a timer feeds: a port ends a timer that nobody refers to any more


class Watchdog:
    """Not started by its constructor; `running_ms`: of one that main.py has started, 0 for none."""

    def __init__(self, running_ms):
        self._timeout_ms = running_ms
        self._wdt = self._timer = None

    def start(self, timeout_ms):
        """0: none. A KeyboardInterrupt may come out of it with the watchdog started."""
        self._timeout_ms = timeout_ms
        if timeout_ms:
            self._wdt = machine.WDT(timeout=timeout_ms)

    def feed(self):
        if self._wdt:
            self._wdt.feed()

    def keep_alive(self):
        """Hand the feeding to a timer: only with the outputs off, for the REPL and for maintenance."""
        self.start(self._timeout_ms)  # it may not have come so far as to be remembered
        if self._wdt and hasattr(machine, "Timer"):
            try:
                self._timer = machine.Timer(-1)
            except ValueError:  # an ESP32 before MicroPython 1.29 has no virtual ones; nothing else uses that one
                self._timer = machine.Timer(0)
            self._timer.init(period=_KEEP_ALIVE_PERIOD_MS, mode=machine.Timer.PERIODIC, callback=self._feed_from_timer)
            _at_prompt.append(self)

    def _feed_from_timer(self, _timer):
        self._wdt.feed()
