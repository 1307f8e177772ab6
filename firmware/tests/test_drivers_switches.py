"""Contactor and enable lines on pins that remember."""

import pytest
from assb.drivers import contactor
from assb.drivers.contactor import Contactor
from assb.drivers.enable_lines import EnableLines


class Pin:
    def __init__(self, level=None):
        self.level = level

    def value(self, level=None):
        if level is not None:
            self.level = level
        return self.level


def test_the_constructor_opens_whatever_the_pins_were():
    drive, precharge = Pin(1), Pin(1)
    Contactor(drive, Pin(0), precharge)
    assert (drive.level, precharge.level) == (0, 0)


def test_open_drops_coil_and_precharge_together():
    drive, precharge = Pin(), Pin()
    switch = Contactor(drive, Pin(0), precharge)
    switch.precharge(True)
    switch.close()
    assert (drive.level, precharge.level, switch.commanded) == (1, 1, True)
    switch.open()
    assert (drive.level, precharge.level, switch.commanded) == (0, 0, False)


def test_feedback_is_the_contact_not_the_command():
    feedback = Pin(0)
    switch = Contactor(Pin(), feedback)
    switch.close()
    assert not switch.is_closed_feedback()
    feedback.level = 1
    assert switch.is_closed_feedback()


@pytest.mark.parametrize("level", [0, 1])
def test_feedback_level_follows_the_wiring(level):
    assert Contactor(Pin(), Pin(level), feedback_closed_level=level).is_closed_feedback()


def test_without_feedback_the_command_is_taken_for_the_fact():
    switch = Contactor(Pin())
    switch.close()
    assert switch.is_closed_feedback()
    assert switch.update(0)


@pytest.mark.parametrize("start_ms", [0, 1000, (1 << 30) - 50])
def test_a_weld_is_a_mismatch_after_the_timeout_and_not_before(start_ms):
    feedback = Pin(1)
    switch = Contactor(Pin(), feedback, timeout_ms=100)
    for elapsed_ms in range(0, 101, 10):
        assert switch.update((start_ms + elapsed_ms) & contactor.TICKS_MASK)
    assert not switch.update((start_ms + 110) & contactor.TICKS_MASK)
    assert switch.mismatch == contactor.MISMATCH_WELDED


def test_a_contactor_that_stays_open_is_a_mismatch_that_stays_until_cleared():
    feedback = Pin(0)
    switch = Contactor(Pin(), feedback, timeout_ms=100)
    switch.close()
    switch.update(0)
    switch.update(101)
    assert switch.mismatch == contactor.MISMATCH_STUCK_OPEN
    feedback.level = 1
    assert not switch.update(102)
    switch.clear_mismatch()
    assert switch.update(103)


def test_each_command_gets_its_own_time():
    feedback = Pin(0)
    switch = Contactor(Pin(), feedback, timeout_ms=100)
    switch.close()
    switch.update(0)
    switch.open()
    switch.close()
    switch.update(90)
    assert switch.update(180)
    assert not switch.update(191)


def test_enable_lines_start_off_and_follow():
    charge, discharge = Pin(1), Pin(1)
    lines = EnableLines(charge, discharge)
    assert (charge.level, discharge.level) == (0, 0)
    lines.set(True, False)
    assert (charge.level, discharge.level, lines.charge, lines.discharge) == (1, 0, True, False)
    lines.off()
    assert (charge.level, discharge.level) == (0, 0)


def test_a_line_that_is_not_fitted_is_left_alone():
    discharge = Pin()
    EnableLines(None, discharge).set(True, True)
    assert discharge.level == 1
