"""Contactor and enable lines on pins that remember."""

import pytest
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


def test_open_with_precharge_drops_the_coil_alone():
    drive, precharge = Pin(), Pin()
    switch = Contactor(drive, Pin(0), precharge)
    switch.precharge(True)
    switch.close()
    switch.open(precharge=True)
    assert (drive.level, precharge.level, switch.commanded) == (0, 1, False)


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
