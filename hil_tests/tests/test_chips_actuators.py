"""The contactor and the electro-pneumatic regulator."""

import math

import pytest
from assb_hil.chips.contactor import Contactor
from assb_hil.chips.electro_pneumatic import ElectroPneumaticRegulator
from hypothesis import given, settings
from hypothesis import strategies as st


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


def regulator(volts, **options):
    return ElectroPneumaticRegulator(lambda: volts, **({"hysteresis_frac": 0.0} | options))


def test_a_small_step_is_a_first_order_lag():
    model = regulator(0.5, full_scale_mpa=10.0, time_constant_s=0.25, slew_mpa_s=4.0)
    model.advance(250_000)
    assert model.pressure_mpa == pytest.approx(0.5 * (1 - math.exp(-1)))


def test_a_large_step_rises_at_the_slew_rate_first():
    model = regulator(8.0, full_scale_mpa=10.0, slew_mpa_s=4.0)
    model.advance(500_000)
    assert model.pressure_mpa == pytest.approx(2.0)


@given(st.lists(st.integers(1, 400_000), min_size=1, max_size=20), st.floats(0.0, 10.0))
@settings(deadline=None)
def test_the_size_of_the_steps_does_not_matter(steps_us, volts):
    whole, cut = regulator(volts), regulator(volts)
    whole.advance(sum(steps_us))
    for step_us in steps_us:
        cut.advance(cut.now_us + step_us)
    assert cut.pressure_mpa == pytest.approx(whole.pressure_mpa, abs=1e-9)


@pytest.mark.parametrize(("volts", "settled_mpa"), [(-1.0, 0.0), (5.0, 5.0), (10.0, 9.0), (12.0, 9.0)])
def test_the_supply_and_the_input_range_bound_the_pressure(volts, settled_mpa):
    model = regulator(volts, full_scale_mpa=10.0, supply_mpa=9.0)
    model.advance(60_000_000)
    assert model.pressure_mpa == pytest.approx(settled_mpa)


def test_rising_and_falling_settle_a_hysteresis_apart():
    volts = [0.0]
    model = ElectroPneumaticRegulator(lambda: volts[0], full_scale_mpa=10.0, hysteresis_frac=0.01)
    settled = []
    for level in (5.0, 8.0, 5.0):
        volts[0] = level
        model.advance(model.now_us + 60_000_000)
        settled.append(model.pressure_mpa)
    assert settled[2] - settled[0] == pytest.approx(0.1)


def test_a_change_within_the_hysteresis_moves_nothing():
    volts = [5.0]
    model = ElectroPneumaticRegulator(lambda: volts[0], full_scale_mpa=10.0, hysteresis_frac=0.01)
    model.advance(60_000_000)
    before_mpa = model.pressure_mpa
    volts[0] = 4.95
    model.advance(120_000_000)
    assert model.pressure_mpa == pytest.approx(before_mpa)


def test_a_stalled_regulator_holds_its_pressure():
    model = regulator(5.0)
    model.advance(1_000_000)
    held_mpa = model.pressure_mpa
    model.stalled = True
    model.advance(60_000_000)
    assert model.pressure_mpa == held_mpa
