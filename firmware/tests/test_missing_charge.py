"""Evidence 3, missing charge: what it sees and what must not fool it. That C says the same: test_detection_twin.py."""

from math import exp

import pytest
from assb.detection import ACTIVE, NORMAL, UNAVAILABLE, charge_errors, detector, missing_charge
from assb.detection.charge_errors import OHM_LEAST, ChargeErrors
from assb.detection.current_step import OHM_ERROR, CurrentStep
from assb.detection.deficit import Deficit
from assb.detection.detector import Pack
from assb.detection.leak_test import STRONG_FRAC, TAKEN_MOST, LeakTest
from bench import OCV_V
from detection_cell import CAPACITY_AH, NONE, SIGMA_V, SLOPE_V, SOFT_SHORT, SUSPECT, Cell
from hypothesis import given
from hypothesis import strategies as st


def test_a_leak_is_missing_charge_and_its_rate_tells_the_resistance():
    cell = Cell().run(2 * 3600, dt_s=1.0).run(600, dt_s=1.0, leak_a=0.03)
    assert cell.state("missing_charge") == ACTIVE
    assert cell.fusion.stage == SOFT_SHORT
    assert cell.detector.charge.leak_a == pytest.approx(0.03, rel=0.35)  # it shows across no resistance here
    assert 0 < cell.fusion.rs_low_ohm < cell.fusion.rs_ohm < cell.fusion.rs_high_ohm


@pytest.mark.parametrize(("current_a", "stage"), [(0.0, SOFT_SHORT), (0.02, NONE)])
def test_a_knee_hides_a_leak_while_a_current_flows_and_shows_it_in_a_long_rest(current_a, stage):
    knee = Cell(charge_slope_most_v=SLOPE_V / 4, charge_noise_v=SIGMA_V).run(3600, dt_s=1.0, current_a=0.02)
    assert knee.run(250, dt_s=1.0, current_a=current_a, leak_a=0.06, off_v=0.0036).fusion.stage == NONE
    assert knee.run(650, dt_s=1.0, leak_a=0.06, off_v=0.0036).fusion.stage == stage


@pytest.mark.parametrize("unknown", [False, True])
def test_what_evens_out_in_a_knee_after_a_charge_is_no_leak(unknown, monkeypatch):
    """A surface that leads by 2 % of SOC per C, of which half an hour takes most."""
    if unknown:
        monkeypatch.setattr(charge_errors, "EVENS_SOC", 0.0)
    knee = Cell(charge_slope_most_v=SLOPE_V / 4, charge_noise_v=SIGMA_V).run(2 * 3600, dt_s=1.0, current_a=0.12)
    led_v = 0.02 * SLOPE_V * 0.12 / CAPACITY_AH
    for part in range(360):
        knee.run(10, dt_s=1.0, current_a=0.0, off_v=led_v * (1 - exp(-part / 90)))
    assert (ACTIVE in knee.told["missing_charge"]) == unknown


def test_at_rest_a_knee_begins_at_twice_the_slope():
    cell = Cell(charge_slope_most_v=0.6 * SLOPE_V, charge_noise_v=SIGMA_V).run(3600, dt_s=1.0, current_a=0.02)
    assert cell.run(250, dt_s=1.0, current_a=0.0, leak_a=0.06, off_v=0.0036).fusion.stage == SOFT_SHORT


def test_a_step_of_the_voltage_is_a_suspect_at_most_for_a_leak_goes_on():
    cell = Cell(charge_noise_v=SIGMA_V).run(3600, dt_s=1.0)
    stages = {cell.run(10, dt_s=1.0, off_v=0.002).fusion.stage for _ in range(60)}
    assert SUSPECT in stages
    assert SOFT_SHORT not in stages
    assert cell.detector.charge.nats < 1
    assert cell.run(600, dt_s=1.0, off_v=0.002, leak_a=0.03).fusion.stage == SOFT_SHORT


def test_a_step_that_only_a_strong_leak_makes_is_not_waited_for():
    cell = Cell(charge_noise_v=SIGMA_V).run(3600, dt_s=1.0)
    assert cell.run(60, dt_s=1.0, off_v=0.06 * 2 * STRONG_FRAC * CAPACITY_AH).fusion.stage == SOFT_SHORT


def test_a_leak_that_would_have_taken_a_tenth_of_the_charge_was_told_by_then_or_is_none():
    test = LeakTest("d", leak_c=0.05)
    test.known, test.shown = 4.0, 4.0 * 0.03  # A: C/20 of 0.6 Ah
    within_h = 20 * TAKEN_MOST
    for nats, hours, speaks in (
        (0.0, 0.1, False), (9.0, within_h - 0.01, True), (9.0, within_h + 0.01, False), (8.0, within_h + 0.01, True),
        (27.0, within_h + 0.01, True),
    ):  # fmt: skip
        test.nats, test.loud_h = nats, hours
        assert test.speaks(8.5, 27.0, CAPACITY_AH) == speaks
        assert test.loud_h == (0 if nats < 8.5 else hours)  # what is half of a suspect is loud
    test.go_on()
    assert (test.doubted, test.loud_h, test.known, test.shown) == (True, 0, 0, 0)
    test.begin()
    assert (test.doubted, test.nats) == (False, 0)


class Pair:
    """Two cells in series, of which the first loses `lost_ohm` of contact and the second has a leak."""

    def __init__(self):
        pack = Pack()
        self.cells = [Cell(seed, pack, charge_noise_v=SIGMA_V) for seed in range(2)]

    def run(self, seconds, current_a, lost_ohm=0.0, leak_a=0.0):
        for _ in range(seconds):
            self.cells[0].run(1.0, dt_s=1.0, current_a=current_a, off_v=-lost_ohm * current_a)
            self.cells[1].run(1.0, dt_s=1.0, current_a=current_a, leak_a=leak_a, off_v=0.06 * leak_a)

    def drive(self, times, **more):
        for _ in range(times):
            self.run(60, -0.1, **more)
            self.run(60, 0.0, **more)

    @property
    def told(self):
        return self.cells[0].told["missing_charge"] | self.cells[1].told["missing_charge"]


@pytest.mark.parametrize("current_a", [0.0, 0.1])
def test_a_pair_of_which_one_has_lost_its_contact_accuses_nobody_and_still_tells_a_leak(current_a):
    pair = Pair()
    pair.drive(20)
    pair.drive(30, lost_ohm=0.1)
    assert pair.cells[1].detector.charge.errors.error[2] < OHM_LEAST
    pair.run(600, current_a, lost_ohm=0.1)
    assert ACTIVE not in pair.told
    pair.run(1800, current_a, lost_ohm=0.1, leak_a=0.06)
    assert pair.cells[1].fusion.stage == SOFT_SHORT
    assert pair.cells[0].fusion.stage == NONE


def test_a_strong_leak_that_grows_is_not_made_to_wait():
    cell = Cell(charge_noise_v=SIGMA_V).run(3600, dt_s=1.0)
    for second in range(60):  # to C/1.2, across 60 mohm
        leak_a = 0.5 * second / 60
        cell.run(1, dt_s=1.0, leak_a=leak_a, off_v=0.06 * leak_a)
    assert cell.fusion.stage == SOFT_SHORT
    assert not cell.detector.charge.errors.lost


def test_a_second_step_is_a_suspect_at_most_as_well():
    cell = Cell(charge_noise_v=SIGMA_V).run(3600, dt_s=1.0)
    for off_v in (0.002, 0.004):
        stages = {cell.run(10, dt_s=1.0, off_v=off_v).fusion.stage for _ in range(12)}
        assert SOFT_SHORT not in stages


@pytest.mark.parametrize(("current_a", "leak_a"), [(0.0005, 0.0005), (0.1, 0.0002)])
def test_what_the_current_sensor_may_be_wrong_by_is_not_missing(current_a, leak_a):
    """Offset and gain of the sensor: C/1200 at rest, 0.2 % of 0.1 A."""
    cell = Cell(charge_noise_v=SIGMA_V).run(4 * 3600, dt_s=10.0, leak_a=leak_a, current_a=current_a)
    assert ACTIVE not in cell.told["missing_charge"]


def test_a_sensors_offset_that_flickers_about_what_counts_as_none_brings_no_charge():
    """Samples of it exceed what a second's mean does not."""
    cell = Cell(charge_offset_c=0.004, charge_noise_v=SIGMA_V).run(3600, dt_s=1.0)
    shown_v = cell.detector.charge.deficit.shown_v
    for k in range(36000):
        cell.current_a = (0.0085 if k % 2 else 0.007) * CAPACITY_AH
        cell.feed(3.0 + SLOPE_V * cell.ekf.soc + cell.random.gauss(0, SIGMA_V), 0.1)
    assert cell.detector.charge.deficit.shown_v == pytest.approx(shown_v, abs=1e-9)
    assert cell.detector.charge.nats < 1


def test_in_a_pack_a_sensors_error_is_in_all_cells_and_a_weak_leak_in_one():
    pack = Pack()
    cells = [Cell(seed, pack, charge_noise_v=SIGMA_V) for seed in range(4)]
    for _ in range(3600):
        for at, cell in enumerate(cells):
            cell.run(10.0, dt_s=10.0, leak_a=0.01 + (0.0025 if at == 2 else 0.0))  # 10 mA of all is the sensor's
    assert [ACTIVE in cell.told["missing_charge"] for cell in cells] == [False, False, True, False]


def test_a_contact_that_is_lost_on_discharge_is_no_leak_and_is_known_once_the_current_changes():
    cell = Cell().run(3600, dt_s=1.0, current_a=-0.1).run(900, dt_s=1.0, off_v=0.004)
    cell.run(60, dt_s=1.0, current_a=-0.2, off_v=0.008).run(60, dt_s=1.0, current_a=0.0, off_v=0.0)
    assert ACTIVE not in cell.told["missing_charge"]
    assert cell.detector.charge.errors.error[2] == pytest.approx(0.04 / 0.06, rel=0.2)  # 40 mohm more than R0 and R1


LOST_OHM = 0.12  # twice what R0 and R1 are believed to be


@pytest.mark.parametrize(
    ("leak_a", "lost_ohm", "stage", "higher"), [(0.012, 0.0, SUSPECT, 0.0), (0.0, LOST_OHM, NONE, 2.0)]
)
def test_what_a_constant_discharge_hides_a_turn_of_the_current_tells(leak_a, lost_ohm, stage, higher):
    """A leak of C/50, or a contact that is lost meanwhile: both lower the voltage by about as much."""
    cell = Cell(charge_noise_v=SIGMA_V).run(3600, dt_s=1.0, current_a=-0.1)
    for part in range(1, 5):
        cell.run(900, dt_s=1.0, leak_a=leak_a, off_v=0.1 * lost_ohm * part / 4 + 0.06 * leak_a)
    errors = cell.detector.charge.errors
    assert errors.highest > 0.3  # neither is known from the other yet
    assert cell.fusion.stage == NONE
    cell.run(600, dt_s=1.0, current_a=0.1, leak_a=leak_a, off_v=-0.1 * lost_ohm + 0.06 * leak_a)
    assert cell.fusion.stage == stage
    assert errors.highest == pytest.approx(higher, abs=0.15)
    assert (errors.lost_ohm() > 0) == (lost_ohm > 0)


def test_a_step_tells_the_resistance_only_between_seconds_of_steady_current():
    cell = Cell().detector.cell
    cell.dt_s, step = 1.0, CurrentStep()

    def see(current_a, change_a):
        return step.see(cell, 0.01 - 0.02 * current_a, current_a, 0.06 * current_a, change_a, True)

    assert not see(0.0, 0.0)
    assert not see(0.3, 0.3)  # not over yet
    assert see(0.3, 0.0)
    assert step.higher == pytest.approx(1 / 3)
    assert OHM_ERROR < step.sigma < 1.3 * OHM_ERROR
    assert not see(0.31, 0.01)  # no step
    assert not see(0.0, 0.31)
    assert not see(0.1, 0.1)
    assert not see(0.2, 0.1)
    assert not see(0.3, 0.1)
    assert not see(0.3, 0.0)  # too long ago
    assert not see(-0.3, 0.6)
    assert not see(-0.3, 0.05)  # not steady
    assert see(-0.3, 0.0)
    step.lose()
    assert not see(0.3, 0.0)


@pytest.mark.parametrize("part", [0.0, 0.02, 0.055, 0.5, 0.945, 0.98])
def test_a_step_tells_the_resistance_wherever_in_a_second_it_falls(part):
    cell = Cell().detector.cell
    cell.dt_s, step, told, before_a = 1.0, CurrentStep(), [], 0.0
    for current_a in (0.0, 0.0, part * 0.24, 0.24, 0.24):
        change_a, before_a = abs(current_a - before_a), current_a
        told.append(step.see(cell, 0.01 - 0.02 * current_a, current_a, 0.06 * current_a, change_a, True))
    assert any(told[3:]) and not any(told[:3])
    assert step.higher == pytest.approx(1 / 3)


def test_many_steps_tell_no_more_than_one_as_their_error_is_the_same():
    errors, step, test = ChargeErrors("d", None), CurrentStep(), LeakTest("d", leak_c=0.05)
    errors.covariance[11], step.higher, step.sigma = 0.25, 0.1, 0.04
    for _ in range(3):
        test.follows[2] = -2.0
        errors.learn_step([test], step, CAPACITY_AH)
        assert errors.covariance[11] == pytest.approx(0.04**2 + 0.01**2)
        assert errors.error[2] == pytest.approx(0.1, abs=0.001)
    assert test.known == pytest.approx(2.0**2 / 0.25, rel=0.02)  # of the first


@pytest.mark.parametrize(
    ("higher", "follows", "spoken"), [(-0.6, -50.0, 0.7), (-0.6, 50.0, 0.0), (7.0, 50.0, 0.0), (0.0, -50.0, 0.0)]
)
def test_a_resistance_below_any_cells_is_cut_off_and_speaks_for_the_leak_that_pushes_it_there(higher, follows, spoken):
    errors, test = ChargeErrors("d", None), LeakTest("d", leak_c=0.05)
    errors.error[2], errors.covariance[11], errors.covariance[0] = higher, 0.25, 1e-4
    errors.covariance[2] = -0.004
    test.follows[2] = follows
    errors.hold_resistance([test], CAPACITY_AH)
    assert test.nats == pytest.approx(spoken)
    assert errors.error[2] == pytest.approx(-0.1 if higher < OHM_LEAST else higher)
    assert errors.covariance[11] == pytest.approx(0.09 if higher < OHM_LEAST else 0.25)
    assert errors.error[0] == pytest.approx(-0.016 * (errors.error[2] - higher))  # they went together


@pytest.mark.parametrize("real", ["d", "f"])
@given(variance=st.floats(1e-4, 1.0), higher=st.floats(-1.0, 3.0))
def test_a_step_that_gives_the_offset_up_tells_the_resistance(real, variance, higher):
    errors, step = ChargeErrors(real, None), CurrentStep()
    errors.covariance[11], step.higher, step.sigma = variance, higher, 0.04
    errors.learn_step([], step, CAPACITY_AH)
    assert not errors.lost or abs(errors.error[2]) > 0.45 * abs(higher)
    assert errors.covariance[11] > 0


@pytest.mark.parametrize(("higher", "lost"), [(0.1, False), (3.0, True)])
def test_a_resistance_that_nobody_expected_tells_itself_and_no_charge(higher, lost):
    """It jumped, or the offset had taken it for its own."""
    errors, step = ChargeErrors("d", None), CurrentStep()
    errors.covariance[11], errors.covariance[0], errors.covariance[2] = 0.01, 1e-4, -9e-4
    step.higher, step.sigma = higher, 0.04
    errors.learn_step([], step, CAPACITY_AH)
    assert errors.lost == lost
    assert errors.error[2] == pytest.approx(higher, rel=0.2)
    assert abs(errors.error[0]) < 0.01
    assert errors.highest == errors.measured == pytest.approx(errors.error[2] - errors.covariance[11] ** 0.5)


@given(path=st.lists(st.floats(0.02, 0.98), min_size=1, max_size=30), start=st.floats(0.02, 0.98))
def test_wherever_the_filters_soc_goes_nothing_is_missing_that_the_current_did_not_bring(path, start):
    """A loose wire takes it there and back again."""
    cell = Cell(ocv_v=CURVED_OCV_V)
    model, seen, ekf = Deficit(), cell.detector.cell, cell.ekf
    seen.dt_s, seen.voltage_v, seen.temperature_degc, ekf.soc = 1.0, 3.5, 25.0, start
    model.find(seen, 0.0, 0.0, 0.0)
    first_v = model.deficit_v
    for soc in path:
        rose, ekf.soc = soc - ekf.soc, soc
        model.find(seen, 0.0, rose, 0.0)
        assert model.deficit_v == pytest.approx(first_v, abs=1e-9)


CURVED_OCV_V = [3.0 + 1.2 * (k / (len(OCV_V) - 1)) ** 3 for k in range(len(OCV_V))]


@pytest.mark.parametrize("event", ["blind", "lose"])
@pytest.mark.parametrize(("before", "after"), [(0.5, 0.88), (0.95, 0.3)])
def test_charge_that_flows_unseen_or_an_estimator_that_begins_anew_leaves_no_deficit(event, before, after):
    cell = Cell(ocv_v=CURVED_OCV_V)
    seen = cell.detector.cell

    def rest(soc, seconds):
        cell.ekf.soc = soc
        for _ in range(seconds):
            cell.feed(seen.over_soc(2, soc), 1.0)

    rest(before, 3600)
    getattr(cell.detector, event)()
    shown_v = cell.detector.charge.deficit.shown_v
    rest(after, 600)
    assert cell.detector.charge.deficit.shown_v == pytest.approx(shown_v, abs=1e-9)
    assert cell.fusion.stage == NONE


def test_what_an_end_of_soc_hides_may_clear_the_cell_and_not_accuse_it():
    cell = Cell().run(3600, dt_s=1.0)
    cell.ekf.soc = 0.0
    for _ in range(60):
        cell.feed(2.9, 1.0)  # the table ends at 3 V
        assert cell.state("missing_charge") == UNAVAILABLE
    cell.ekf.soc = 0.5
    cell.run(600, dt_s=1.0, off_v=0.1)
    assert ACTIVE not in cell.told["missing_charge"]
    assert cell.state("missing_charge") == NORMAL


def test_a_leak_that_was_told_before_an_end_of_soc_stays_told_there():
    cell = Cell().run(3600, dt_s=1.0).run(1200, dt_s=1.0, leak_a=0.06, off_v=0.003)
    assert cell.fusion.stage == SOFT_SHORT
    cell.ekf.soc = 0.0
    cell.feed(2.9, 1.0)
    assert cell.state("missing_charge") == ACTIVE


def pack_of_three(soc=0.5):
    """After an hour of rest; `soc`: of the second and the third."""
    pack = Pack()
    cells = [Cell(seed, pack, charge_noise_v=SIGMA_V) for seed in range(3)]
    for cell in cells[1:]:
        cell.ekf.soc = soc
    for _ in range(360):
        for cell in cells:
            cell.run(10.0, dt_s=1.0)
    return cells


@pytest.mark.parametrize("wrong", [False, True])
def test_where_a_current_drives_other_cells_beyond_their_table_nobody_is_accused(wrong, monkeypatch):
    if wrong:
        monkeypatch.setattr(detector, "at_end", lambda soc: False)
    cells = pack_of_three(soc=1.0)
    for second in range(600):
        cells[0].run(1.0, dt_s=1.0, current_a=0.01)
        for cell in cells[1:]:
            cell.current_a = 0.01
            cell.feed(3.0 + SLOPE_V + 0.0005 + 2.5e-5 * second, 1.0)
    assert (ACTIVE in cells[0].told["missing_charge"]) == wrong


@pytest.mark.parametrize("blind", [False, True])
def test_a_leak_is_told_beside_full_cells_at_rest_and_beside_cells_that_were_full_and_are_blind(blind):
    cells = pack_of_three(soc=1.0)
    current_a = 0.01 if blind else 0.0
    if blind:
        for cell in cells[1:]:
            cell.detector.blind()
    for _ in range(3600):
        cells[0].run(1.0, dt_s=1.0, current_a=current_a, leak_a=0.03, off_v=0.0018)
        for cell in () if blind else cells[1:]:
            cell.feed(3.0 + SLOPE_V, 1.0)
    assert cells[0].fusion.stage == SOFT_SHORT


def test_a_voltage_that_does_not_answer_to_the_current_is_no_resistance():
    cell = Cell()
    for current_a in (0.1, -0.1) * 20:
        cell.current_a = current_a
        for _ in range(20):
            cell.feed(3.6, 0.1)
    assert cell.detector.resistance.steps == 0
    assert cell.state("resistance_drop") == cell.state("contact_loss") == UNAVAILABLE


@pytest.mark.parametrize("wrong", [False, True])
def test_a_step_of_the_table_that_cells_pass_one_after_the_other_accuses_nobody(wrong, monkeypatch):
    """Where the SOC is wrong all voltages rise by 150 mV and the table does not, one of them ten minutes later."""
    if wrong:
        monkeypatch.setattr(missing_charge, "STRAYS_V", 1.0)
    cells = pack_of_three()
    for second in range(1800):
        for cell, late_s in zip(cells, (600, 0, 0), strict=True):
            cell.run(1.0, dt_s=1.0, off_v=-0.15 * min(max((second - late_s) / 60, 0.0), 1.0))
    assert (ACTIVE in cells[0].told["missing_charge"]) == wrong
    assert wrong or ACTIVE not in cells[1].told["missing_charge"] | cells[2].told["missing_charge"]
