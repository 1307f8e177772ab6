"""What limit rows judge beside the samples themselves, worked out in the fast tick from what the board has just put on
the blackboard. A quantity is put only while what it is made of is valid. Allocates nothing."""

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
_CURRENT_STILL_MS = const(38)
_PRESSURE_RATE_KPA_S = const(39)
_PRESSURE_JUMP_KPA = const(40)
_PRESSURE_STILL_MS = const(41)
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
            self._current(charge, discharge, now_ms)
        if valid[_PRESSURE_KPA]:
            self._pressure(now_ms)
        if valid[_TEMPERATURE_CDEGC]:
            self._temperature(now_ms)

    def _cells(self, now_ms):
        signals, samples = self._signals, self._samples
        whole = signals.cell_count > 1
        lowest = highest = signals.value[self._voltage] if signals.cell_count else 0
        for cell in range(signals.cell_count):
            at = cell * CELL_COUNT
            if signals.valid[self._voltage + at]:
                lowest = min(lowest, signals.value[self._voltage + at])
                highest = max(highest, signals.value[self._voltage + at])
                signals.put(self._jump + at, samples.jump[cell], now_ms)
                signals.put(self._jump + at + 1, samples.still_ms(cell, now_ms), now_ms)
            else:
                whole = False
        if whole:
            signals.put(_CELL_SPREAD_UV, highest - lowest, now_ms)
        else:
            signals.lose(_CELL_SPREAD_UV)

    def _current(self, charge, discharge, now_ms):
        signals, samples = self._signals, self._samples
        current_ua = signals.value[_CURRENT_UA]
        # in quarters of 4 uA, so that differences fit 30 bits at 1073 A
        signals.put(_CURRENT_10S_UA, self._mean.update(current_ua >> 2) << 2, now_ms)
        signals.put(_CURRENT_JUMP_UA, samples.jump[samples.current], now_ms)
        signals.put(_CURRENT_STILL_MS, samples.still_ms(samples.current, now_ms), now_ms)
        forbidden_ua = 0
        if current_ua > 0 and not charge:
            forbidden_ua = current_ua
        elif current_ua < 0 and not discharge:
            forbidden_ua = -current_ua
        signals.put(_FORBIDDEN_UA, forbidden_ua, now_ms)

    def _pressure(self, now_ms):
        """The rate is how far the pressure is ahead of itself a second ago: on a ramp just its slope."""
        signals, samples = self._signals, self._samples
        pressure_kpa = signals.value[_PRESSURE_KPA]
        ahead_kpa = pressure_kpa - self._slow_pressure.update(pressure_kpa)
        signals.put(_PRESSURE_RATE_KPA_S, ahead_kpa if ahead_kpa >= 0 else -ahead_kpa, now_ms)
        signals.put(_PRESSURE_JUMP_KPA, samples.jump[samples.pressure], now_ms)
        signals.put(_PRESSURE_STILL_MS, samples.still_ms(samples.pressure, now_ms), now_ms)

    def _temperature(self, now_ms):
        """Of the worst thermometer: one that is stuck must not hide behind a hotter one."""
        signals, samples = self._signals, self._samples
        jump = still = 0
        for channel in range(samples.first_thermometer, samples.count):
            jump = max(jump, samples.jump[channel])
            still = max(still, samples.still_ms(channel, now_ms))
        signals.put(_TEMPERATURE_JUMP_CDEGC, jump, now_ms)
        signals.put(_TEMPERATURE_STILL_MS, still, now_ms)
