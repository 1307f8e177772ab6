"""What limit rows judge beside the samples themselves, worked out in the fast tick from what the board has just put on
the blackboard. A quantity is valid only while what it is made of is. Allocates nothing."""

from .const import const
from .control.low_pass import LowPass
from .protocol import tables
from .signals import CELL_COUNT, PACK_COUNT

# Places on the blackboard, in the order of the tables (a test compares)
_CURRENT_UA = const(8)
_TEMPERATURE_CDEGC = const(10)
_PRESSURE_KPA = const(11)
_CURRENT_10S_UA = const(36)
_CURRENT_JUMP_UA = const(37)
_PRESSURE_RATE_KPA_S = const(39)
_PRESSURE_JUMP_KPA = const(40)
_TEMPERATURE_JUMP_CDEGC = const(44)
_TEMPERATURE_STILL_MS = const(45)
_CELL_SPREAD_UV = const(46)
_FORBIDDEN_UA = const(48)

_MEAN_MS = const(10000)
_RATE_MS = const(1000)


class Quantities:
    """`samples`: the board's Plausibility."""

    def __init__(self, signals, samples, fast_ms):
        self._signals = signals
        self._samples = samples
        self._mean = LowPass(_MEAN_MS // fast_ms)
        self._slow_pressure = LowPass(_RATE_MS // fast_ms)
        self._voltage = PACK_COUNT + tables.position(tables.CELL_SIGNALS, "voltage_uv")
        self._jump = PACK_COUNT + tables.position(tables.CELL_SIGNALS, "voltage_jump_uv")

    def update(self, charge, discharge, now_ms):
        """`charge`, `discharge`: whether a current may flow that way, as the outputs stand."""
        valid = self._signals.valid
        self._cells(now_ms)
        if valid[_CURRENT_UA]:
            self._current(now_ms)
            self._forbidden(charge, discharge, now_ms)
        else:
            self._lose(_CURRENT_10S_UA, 3)
            self._signals.lose(_FORBIDDEN_UA)
        if valid[_PRESSURE_KPA]:
            self._pressure(now_ms)
        else:
            self._lose(_PRESSURE_RATE_KPA_S, 3)
        if valid[_TEMPERATURE_CDEGC]:
            self._temperature(now_ms)
        else:
            self._lose(_TEMPERATURE_JUMP_CDEGC, 2)

    def _lose(self, first, count):
        """What stands side by side on the blackboard, its channel lost: no row recovers on what nobody measured."""
        for at in range(first, first + count):
            self._signals.lose(at)

    def _plausible(self, channel, at, now_ms):
        """Jump and stillness of a channel, which stand side by side on the blackboard."""
        self._signals.put(at, self._samples.jump[channel], now_ms)
        self._signals.put(at + 1, self._samples.still_ms(channel, now_ms), now_ms)

    def _cells(self, now_ms):
        signals = self._signals
        lowest = tables.INT30_MAX
        highest = 0
        for cell in range(signals.cell_count):
            at = self._voltage + cell * CELL_COUNT
            if not signals.valid[at]:
                highest = tables.INT30_MAX  # no spread while one is not known
                self._lose(self._jump + cell * CELL_COUNT, 2)
                continue
            lowest = min(lowest, signals.value[at])
            highest = max(highest, signals.value[at])
            self._plausible(cell, self._jump + cell * CELL_COUNT, now_ms)
        if signals.cell_count > 1 and highest < tables.INT30_MAX:
            signals.put(_CELL_SPREAD_UV, highest - lowest, now_ms)
        else:
            signals.lose(_CELL_SPREAD_UV)

    def _current(self, now_ms):
        # in quarters of 4 uA, so that differences fit 30 bits at 1073 A
        mean = self._mean.update(self._signals.value[_CURRENT_UA] >> 2) << 2
        self._signals.put(_CURRENT_10S_UA, mean, now_ms)
        self._plausible(self._samples.current, _CURRENT_JUMP_UA, now_ms)

    def _forbidden(self, charge, discharge, now_ms):
        current_ua = self._signals.value[_CURRENT_UA]
        allowed = charge if current_ua > 0 else discharge
        self._signals.put(_FORBIDDEN_UA, 0 if allowed else abs(current_ua), now_ms)

    def _pressure(self, now_ms):
        """The rate is how far the pressure is ahead of itself a second ago: on a ramp just its slope."""
        pressure_kpa = self._signals.value[_PRESSURE_KPA]
        ahead_kpa = pressure_kpa - self._slow_pressure.update(pressure_kpa)
        self._signals.put(_PRESSURE_RATE_KPA_S, abs(ahead_kpa), now_ms)
        self._plausible(self._samples.pressure, _PRESSURE_JUMP_KPA, now_ms)

    def _temperature(self, now_ms):
        """Of the worst thermometer: one that is stuck must not hide behind a hotter one."""
        samples = self._samples
        jump = still = 0
        for channel in range(samples.first_thermometer, samples.count):
            jump = max(jump, samples.jump[channel])
            still = max(still, samples.still_ms(channel, now_ms))
        self._signals.put(_TEMPERATURE_JUMP_CDEGC, jump, now_ms)
        self._signals.put(_TEMPERATURE_STILL_MS, still, now_ms)
