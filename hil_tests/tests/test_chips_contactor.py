"""The contactor."""

import pytest
from assb_hil.chips.contactor import Contactor


def closed_contactor(**options):
    contactor = Contactor(**options)
    contactor.drive(1)
    contactor.advance(100_000)
    return contactor


def test_contacts_follow_the_coil_after_operate_and_release_time():
    contactor = Contactor(operate_us=20000, release_us=12000)
    contactor.drive(1)
    contactor.advance(19999)
    assert (contactor.closed, contactor.feedback) == (False, 0)
    contactor.advance(20000)
    assert (contactor.closed, contactor.feedback) == (True, 1)
    contactor.drive(0)
    assert contactor.next_change_us == 32000
    contactor.advance(31999)
    assert contactor.closed
    contactor.advance(32000)
    assert not contactor.closed


def test_a_coil_that_changes_its_mind_moves_nothing():
    contactor = closed_contactor()
    contactor.drive(0)
    contactor.advance(105_000)
    contactor.drive(1)
    contactor.advance(1_000_000)
    assert contactor.closed


def test_a_welded_contactor_stays_closed_and_its_mirror_contact_says_so():
    contactor = closed_contactor()
    contactor.welded = True
    contactor.drive(0)
    contactor.advance(1_000_000)
    assert (contactor.closed, contactor.feedback) == (True, 1)


def test_a_weld_set_while_open_happens_at_the_next_closing():
    contactor = Contactor()
    contactor.welded = True
    assert not contactor.closed
    for level in (1, 0):
        contactor.drive(level)
        contactor.advance(contactor.now_us + 100_000)
    assert contactor.closed


def test_a_contactor_stuck_open_never_closes():
    contactor = Contactor()
    contactor.stuck_open = True
    contactor.drive(1)
    contactor.advance(1_000_000)
    assert (contactor.closed, contactor.feedback) == (False, 0)


@pytest.mark.parametrize("level", [0, 1])
def test_a_stuck_mirror_contact_hides_the_truth(level):
    contactor = closed_contactor()
    contactor.feedback_stuck_level = level
    assert contactor.feedback == level
    contactor.drive(0)
    contactor.advance(1_000_000)
    assert contactor.feedback == level


def test_feedback_wired_to_ground_reads_low_when_closed():
    assert closed_contactor(feedback_closed_level=0).feedback == 0
