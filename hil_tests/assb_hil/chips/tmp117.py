"""TI TMP117 thermometer at register level (datasheet SNOSD82D)."""

from collections.abc import Callable

from assb_hil.chips.i2c_chip import NEVER, WordChip

TEMP_RESULT, CONFIGURATION, HIGH_LIMIT, LOW_LIMIT, EEPROM_UNLOCK = 0, 1, 2, 3, 4
TEMP_OFFSET, DEVICE_ID = 0x07, 0x0F

POWER_ON = {
    TEMP_RESULT: 0x8000,
    CONFIGURATION: 0x0220,
    HIGH_LIMIT: 0x6000,
    LOW_LIMIT: 0x8000,
    EEPROM_UNLOCK: 0,
    0x05: 0,
    0x06: 0,
    TEMP_OFFSET: 0,
    0x08: 0,
    DEVICE_ID: 0x0117,
}
WRITABLE = {
    CONFIGURATION: 0x0FFC,
    HIGH_LIMIT: 0xFFFF,
    LOW_LIMIT: 0xFFFF,
    EEPROM_UNLOCK: 0x8000,
    0x05: 0xFFFF,
    0x06: 0xFFFF,
    TEMP_OFFSET: 0xFFFF,
    0x08: 0xFFFF,
}

HIGH_ALERT, LOW_ALERT, DATA_READY, SOFT_RESET = 0x8000, 0x4000, 0x2000, 0x0002
MODE_SHUTDOWN, MODE_ONE_SHOT = 1, 3
AVERAGES = (1, 8, 32, 64)
CONVERSION_US = 15500  # active time of one conversion, typical (6.5)
# Table 7-7: conversion cycle for CONV 0 to 7, never shorter than the averaged conversions take
CYCLE_US = (15500, 125000, 250000, 500000, 1000000, 4000000, 8000000, 16000000)
SHORTEST_CYCLE_US = (15500, 125000, 500000, 1000000)
START_UP_US = 1500
SOFT_RESET_US = 2000
LSB_DEGC = 7.8125e-3


def _room() -> float:
    return 25.0


def _signed16(word: int) -> int:
    return word - 0x10000 if word & 0x8000 else word


class TMP117(WordChip):
    """Input: temperature_degc, sampled as an (averaged) conversion ends. The flags are those of alert mode (7.4.4.1).

    Simplifications: writing the configuration starts a conversion afresh; the EEPROM is plain registers that forget
    (no programming, EEPROM_Busy never shows); the ALERT pin and therm mode are missing.
    """

    writable = WRITABLE

    def __init__(self, temperature_degc: Callable[[], float] = _room) -> None:
        self.temperature_degc = temperature_degc
        super().__init__()

    def power_on_reset(self) -> None:
        self._value = dict(POWER_ON)
        self._start(START_UP_US)

    def _start(self, delay_us: int = 0) -> None:
        config = self._value[CONFIGURATION]
        average = config >> 5 & 3
        self._mode = config >> 10 & 3
        self._cycle_us = max(CYCLE_US[config >> 7 & 7], SHORTEST_CYCLE_US[average])
        active_us = AVERAGES[average] * CONVERSION_US
        self.next_change_us = NEVER if self._mode == MODE_SHUTDOWN else self.now_us + delay_us + active_us

    def _change(self, now_us: int) -> None:
        value = self._value
        code = round(self.temperature_degc() / LSB_DEGC) + _signed16(value[TEMP_OFFSET])
        code = max(-0x8000, min(0x7FFF, code))
        value[TEMP_RESULT] = code & 0xFFFF
        value[CONFIGURATION] |= DATA_READY
        if code > _signed16(value[HIGH_LIMIT]):
            value[CONFIGURATION] |= HIGH_ALERT
        if code < _signed16(value[LOW_LIMIT]):
            value[CONFIGURATION] |= LOW_ALERT
        if self._mode == MODE_ONE_SHOT:
            value[CONFIGURATION] = value[CONFIGURATION] & ~0x0C00 | MODE_SHUTDOWN << 10
            self._mode = MODE_SHUTDOWN
            self.next_change_us = NEVER
        else:
            self.next_change_us += ((now_us - self.next_change_us) // self._cycle_us + 1) * self._cycle_us

    def _written(self, register: int, word: int) -> None:
        if register == CONFIGURATION:
            if word & SOFT_RESET:
                self.power_on_reset()
                self._start(SOFT_RESET_US)
            else:
                self._start()

    def _after_read(self, register: int, read_n: int) -> None:
        if register == CONFIGURATION:
            self._value[CONFIGURATION] &= ~(HIGH_ALERT | LOW_ALERT | DATA_READY)
        elif register == TEMP_RESULT:
            self._value[CONFIGURATION] &= ~DATA_READY

    def _valid_until(self, register: int, read_n: int) -> int:
        flags = self._value[CONFIGURATION]
        if register == CONFIGURATION and flags & (HIGH_ALERT | LOW_ALERT | DATA_READY):
            return 0
        if register == TEMP_RESULT and flags & DATA_READY:
            return 0
        return self.next_change_us if register in (TEMP_RESULT, CONFIGURATION) else NEVER
