"""What each evidence sees, and what must not fool it. That C says the same: test_detection_twin.py."""

import random
from math import log
from types import SimpleNamespace

import pytest
from assb.detection import ACTIVE, LEARNING, NORMAL, UNAVAILABLE, detector, missing_charge
from assb.detection.charge_errors import OHM_LEAST, ChargeErrors
from assb.detection.current_step import OHM_ERROR, CurrentStep
from assb.detection.deficit import Deficit
from assb.detection.detector import Detector, Pack
from assb.detection.leak_test import STRONG_FRAC, TAKEN_MOST, LeakTest
from assb.detection.observed import ONCE
from assb.estimation import flat_layout, parameters
from assb.protocol import schema
from bench import OCV_V, PRESSURES_MPA, TEMPERATURES_DEGC
from hypothesis import given, settings
from hypothesis import strategies as st

AT = {name: position for position, name in enumerate(schema.EVIDENCES)}
CAPACITY_AH = 0.6
SLOPE_V = 1.2  # of the bench's straight OCV
SIGMA_V = 0.0005
FOLLOW_S = 5.0  # in which the filter takes an offset for its own error
DIP_COUNT = round(flat_layout.DEFAULTS["dip_count"])
CHARGE_ALONE = flat_layout.DEFAULTS["charge_alone"]
FALL_S = round(flat_layout.DEFAULTS["stage_fall_s"])
NONE, SUSPECT, SOFT_SHORT, HARD_SHORT = range(4)
GAP = {"gap_swelling_um": 250.0, "gap_stiffness_mpa_per_um": 0.05}


def parameters_of(**changes):
    cell = {
        "capacity_ah": CAPACITY_AH, "ocv_v": OCV_V, "r0_temperature_degc": TEMPERATURES_DEGC,
        "r0_pressure_mpa": PRESSURES_MPA, "r0_ohm": [0.05] * (len(TEMPERATURES_DEGC) * len(PRESSURES_MPA)),
        "r1_ohm": [0.01] * parameters.TEMPERATURE_POINTS, "r2_ohm": [0.01] * parameters.TEMPERATURE_POINTS,
        "tau1_s": 5.0, "tau2_s": 60.0, "leak_sigma_a": 0.06, "current_max_a": 10.0,
    }  # fmt: skip
    return flat_layout.pack(cell | {"charge_settle_s": 10.0} | changes)


class Cell:
    """A cell whose estimator is right in everything: tests say what the sample shows beside that."""

    def __init__(self, seed=1, pack=None, **changes):
        self.ekf = SimpleNamespace(
            soc=0.5, soc_residual=0.0, r0_ohm=0.05, resistance_scale=1.0, capacity_scale=1.0, innovation_v=0.0,
            soc_var=1e-6,
        )  # fmt: skip
        self.detector = Detector(parameters_of(**changes), self.ekf, "d")
        self.pack = pack or Pack()
        self.pack.detectors.append(self.detector)
        self.random = random.Random(seed)
        self.sample = {"temperature_degc": 25.0, "pressure_mpa": 5.0, "gap_um": 100.0, "aim_mpa": 5.0,
                       "has_pressure": True, "has_gap": True}  # fmt: skip
        self.current_a = self.followed_v = 0.0
        self.told = {name: set() for name in schema.EVIDENCES}

    def run(self, seconds, dt_s=0.1, off_v=0.0, leak_a=0.0, sigma_v=SIGMA_V, rest_v=0.0, **sample):
        """Seconds with `off_v` below the model, a leak that the filter's SOC follows, and `rest_v` per second."""
        self.current_a = sample.pop("current_a", self.current_a)
        self.sample.update(sample)
        for _ in range(round(seconds / dt_s)):
            noise_v = self.random.gauss(0, sigma_v)
            self.ekf.soc += (self.current_a - leak_a) * dt_s / (3600 * CAPACITY_AH)
            self.ekf.innovation_v = noise_v - (off_v - self.followed_v)
            self.followed_v += (off_v - self.followed_v) * dt_s / (FOLLOW_S + dt_s)
            volts = 3.0 + SLOPE_V * self.ekf.soc + 0.05 * self.current_a + noise_v - off_v
            self.feed(volts, dt_s)
        return self

    def dip(self, seconds, off_v, trace_v=0.0015, level_v=0.0):
        """Of a bridge: what it leaves behind takes seconds to go; a loose wire leaves nothing."""
        below = self.run(seconds, off_v=level_v + off_v)
        return below.run(2, off_v=level_v + trace_v).run(5, off_v=level_v)

    def feed(self, volts, dt_s):
        cell = self.detector.cell
        for name, value in (self.sample | {"voltage_v": volts, "current_a": self.current_a, "dt_s": dt_s}).items():
            setattr(cell, name, value)
        if self.detector.see_sample():
            self.pack.compare(self.detector)
            self.detector.see_second(self.pack)
        for name, at in AT.items():
            self.told[name].add(cell.state[at])

    def state(self, name):
        return self.detector.cell.state[AT[name]]

    @property
    def fusion(self):
        return self.detector.fusion


@pytest.mark.parametrize("seconds", [0.1, 0.3, 1.0, 4.0])
def test_a_dip_counts_once_whatever_its_length(seconds):
    cell = Cell().run(20).dip(seconds, off_v=10 * SIGMA_V).run(20)
    assert cell.detector.dips.total == 1
    assert cell.detector.dips.depth_v > 5 * SIGMA_V


def test_so_many_dips_in_the_window_are_evidence_and_are_forgotten_after_it():
    cell = Cell(dip_window_s=60.0).run(20)
    for count in range(1, DIP_COUNT + 1):
        assert cell.state("dips") == NORMAL
        cell.dip(0.3, off_v=0.005)
        assert cell.detector.dips.ages == count
    assert cell.state("dips") == ACTIVE
    assert cell.run(70).state("dips") == NORMAL


def test_an_hour_of_noise_alone_raises_no_dip():
    assert Cell(seed=3).run(3600).detector.dips.total == 0


def test_dips_are_not_looked_for_while_the_noise_is_learned_nor_after_a_step_or_a_move():
    assert Cell().run(4).dip(0.3, off_v=0.1).detector.dips.total == 0
    assert Cell().run(20).run(0.1, current_a=0.3).dip(0.3, off_v=0.01).detector.dips.total == 0
    assert Cell().run(20).run(0.1, aim_mpa=6.0).dip(0.3, off_v=0.01).detector.dips.total == 0
    assert Cell().run(20).dip(0.3, off_v=0.01).detector.dips.total == 1


@pytest.mark.parametrize("current_a", [0.3, -0.3])
@pytest.mark.parametrize("off_v", [0.02, 0.1, -0.02])
def test_a_loose_wire_jumps_either_way_and_leaves_no_trace_so_it_makes_no_dip(current_a, off_v):
    cell = Cell().run(20, current_a=current_a).run(20)
    for _ in range(5):
        cell.dip(0.3, off_v, trace_v=0.0)
    assert cell.detector.dips.total == 0


def test_the_trace_must_be_worth_a_part_of_the_depth():
    assert Cell().run(20).dip(0.3, off_v=0.1, trace_v=0.002).detector.dips.total == 0
    assert Cell().run(20).dip(0.3, off_v=0.1, trace_v=0.006).detector.dips.total == 1


@pytest.mark.parametrize("off_v", [0.02, -0.02])
def test_a_voltage_that_moves_and_stays_there_is_a_new_level_and_no_dip(off_v):
    cell = Cell().run(20).run(30, off_v=off_v)
    assert cell.detector.dips.total == 0
    assert cell.dip(0.3, 0.02, level_v=off_v).detector.dips.total == 1


def test_a_voltage_that_grows_loud_and_stays_so_is_evidence_unless_the_whole_pack_is_loud():
    assert Cell().run(600).run(50, sigma_v=4 * SIGMA_V).state("noise") == NORMAL  # not for long enough
    assert ACTIVE in Cell().run(600).run(80, sigma_v=4 * SIGMA_V).told["noise"]
    pack = Pack()
    cells = [Cell(seed, pack) for seed in (1, 2, 3)]
    for loud in (1, 4):
        for _ in range(200):
            for cell in cells:
                cell.run(1, sigma_v=loud * SIGMA_V)
    assert all(ACTIVE not in cell.told["noise"] for cell in cells)


def test_a_leak_is_missing_charge_and_its_rate_tells_the_resistance():
    cell = Cell().run(2 * 3600, dt_s=1.0).run(600, dt_s=1.0, leak_a=0.03)
    assert cell.state("missing_charge") == ACTIVE
    assert cell.fusion.stage == SOFT_SHORT
    assert cell.detector.charge.leak_a == pytest.approx(0.03, rel=0.35)  # it shows across no resistance here
    assert 0 < cell.fusion.rs_low_ohm < cell.fusion.rs_ohm < cell.fusion.rs_high_ohm


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
    model.find(seen, 0.0, 0.0)
    first_v = model.deficit_v
    for soc in path:
        missing, ekf.soc = ekf.soc - soc, soc
        model.find(seen, missing, 0.0)
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


def relax(cell, hours, v_per_ln, leak_a=0.0):
    """A rest whose relaxation goes with the logarithm of time, so that its slope goes as 1/t."""
    for second in range(1, round(hours * 360)):
        volts = 3.6 - v_per_ln * log(10.0 * second)
        cell.feed(volts - SLOPE_V * leak_a * 10.0 * second / (3600 * CAPACITY_AH), 10.0)
    return cell


def test_a_rest_that_goes_on_falling_is_a_leak_and_relaxation_is_none():
    assert relax(Cell(), 8, 0.002).state("rest_decay") == NORMAL
    assert ACTIVE in relax(Cell(), 8, 0.002, leak_a=0.006).told["rest_decay"]


def hold(cell, end_a):
    """A held voltage: the current falls from 0.3 A to `end_a`."""
    for second in range(0, 2700, 10):
        cell.current_a = end_a + 0.3 * 2.718 ** (-second / 300)
        cell.feed(4.1, 10.0)
    cell.current_a = 0.0
    cell.feed(4.0, 10.0)


def test_a_held_voltage_whose_current_ends_in_more_than_it_used_to_is_evidence():
    cell = Cell()
    for _ in range(6):
        hold(cell, 0.004)
    assert ACTIVE not in cell.told["cv_tail"]
    hold(cell, 0.06)
    assert ACTIVE in cell.told["cv_tail"]


def test_cycles_that_give_back_less_than_the_ones_before_are_evidence():
    cell = Cell()
    for at in range(10):  # the last three
        lost_a = 0.005 if at >= 7 else 0.0
        cell.run(4320, dt_s=10.0, current_a=-0.25)
        cell.run(4320 * (1 + lost_a / 0.25), dt_s=10.0, current_a=0.25, leak_a=lost_a)
        assert (ACTIVE in cell.told["efficiency"]) is False
    cell.run(10, dt_s=10.0, current_a=-0.25)
    assert cell.state("efficiency") == ACTIVE


def pulses(cell, count, r0_ohm, share=1.0):
    """Steps of the current; the first sample of each has this `share` of it, as a mean over a step within it has."""
    before_a = 0.0
    for _ in range(count):
        for after_a in (0.0, 0.3):
            for k in range(10):
                cell.current_a = before_a + (1.0 if k else share) * (after_a - before_a)
                cell.feed(3.6 + r0_ohm * cell.current_a, 0.1)
            before_a = after_a
    return cell


@pytest.mark.parametrize("share", [0.0, 0.01, 0.03, 0.5, 0.97, 0.99, 1.0])
def test_a_step_measures_the_resistance_wherever_in_a_sample_it_falls(share):
    seen = pulses(Cell(), 10, 0.06, share).detector.resistance
    assert seen.steps + seen.recent_steps >= 8
    assert seen.usual == pytest.approx(1.2)  # of the table's 0.05


def test_a_step_that_is_not_over_measures_nothing():
    cell = Cell()
    for current_a in [0.0] * 5 + [0.1, 0.2, 0.3, 0.4] * 5:
        cell.current_a = current_a
        cell.feed(3.6 + 0.06 * current_a, 0.1)
    assert cell.detector.resistance.steps == 0


def test_steps_of_current_show_a_bridge_as_a_drop_and_a_lost_contact_as_a_rise_of_resistance():
    assert pulses(pulses(Cell(), 10, 0.05), 10, 0.049).state("resistance_drop") == NORMAL
    assert ACTIVE in pulses(pulses(Cell(), 10, 0.05), 10, 0.035).told["resistance_drop"]
    lost = pulses(pulses(Cell(), 10, 0.05), 20, 0.08)
    assert ACTIVE in lost.told["contact_loss"]
    assert lost.fusion.stage == NONE


def test_at_another_pressure_or_temperature_a_drop_of_resistance_says_nothing():
    for change in ({"pressure_mpa": 7.0}, {"temperature_degc": 35.0}):
        cell = pulses(Cell(), 10, 0.05)
        cell.sample.update(change)
        assert pulses(cell, 10, 0.03).state("resistance_drop") == LEARNING


def test_a_charge_whose_voltage_does_not_rise_is_evidence_except_on_a_plateau():
    assert Cell().run(600, dt_s=1.0, current_a=0.2).state("stall") == NORMAL
    stalled = Cell().run(600, dt_s=1.0, current_a=0.2, leak_a=0.19)
    assert ACTIVE in stalled.told["stall"]
    assert Cell(charge_slope_most_v=0.4).run(600, dt_s=1.0, current_a=0.2, leak_a=0.19).told["stall"] == {UNAVAILABLE}


def swell(cell, cycles, um_per_full):
    """Up and down by 20 % of charge; the gap follows the charge with `um_per_full`."""
    for sign in (1, -1) * cycles:
        for _ in range(432):
            cell.sample["gap_um"] += um_per_full * sign * 0.1 * 10 / (3600 * CAPACITY_AH)
            cell.run(10, dt_s=10.0, current_a=0.1 * sign)
    return cell


def test_less_swelling_than_learned_is_a_short_and_more_is_plating_where_that_can_be():
    sound = swell(Cell(**GAP), 4, 250.0)
    assert sound.told["swelling"] == {UNAVAILABLE, LEARNING, NORMAL}
    assert ACTIVE in swell(swell(Cell(**GAP), 4, 250.0), 1, 200.0).told["swelling"]
    assert ACTIVE in swell(swell(Cell(**GAP, plating_watch=1.0), 4, 250.0), 1, 400.0).told["plating"]
    assert swell(swell(Cell(**GAP), 4, 250.0), 1, 400.0).told["plating"] == {UNAVAILABLE}


def test_without_a_gap_there_is_no_mechanical_evidence():
    cell = Cell()
    cell.sample["has_gap"] = False
    swell(cell, 1, 250.0)
    assert cell.told["swelling"] == cell.told["pressure_fall"] == cell.told["plating"] == {UNAVAILABLE}


def test_heat_that_the_current_does_not_explain_is_evidence_but_makes_no_stage():
    cell = Cell(heat_j_per_k=20.0)
    for _ in range(300):
        cell.sample["temperature_degc"] += 0.04  # 0.8 W
        cell.run(1.0)
    assert cell.state("heat") == ACTIVE
    assert cell.fusion.stage == NONE
    assert Cell().run(100).state("heat") == UNAVAILABLE


def fused(scores, seconds=1, cell=None, second_s=1.0):
    """Stage after seconds in which these evidences score so."""
    cell = cell or Cell()
    observed = cell.detector.cell
    observed.dt_s = second_s
    for name, score in scores.items():
        observed.judge(AT[name], score)
    for _ in range(seconds):
        cell.fusion.update(observed, cell.detector.charge, cell.detector.dips)
    return cell


@pytest.mark.parametrize(
    ("scores", "stage"),
    [
        ({}, NONE),
        ({"dips": 0.9, "missing_charge": 0.9}, NONE),
        ({"dips": 1.0}, SUSPECT),
        ({"dips": 5.0, "noise": 5.0}, SUSPECT),  # of one kind
        ({"dips": 1.0, "missing_charge": 1.0}, SOFT_SHORT),
        ({"dips": 1.0, "missing_charge": 0.5}, SOFT_SHORT),
        ({"dips": 0.9, "missing_charge": 1.2}, SUSPECT),
        ({"stall": 1.0, "swelling": 1.0}, SOFT_SHORT),
        ({"missing_charge": 0.9 * CHARGE_ALONE}, SUSPECT),
        ({"missing_charge": 1.1 * CHARGE_ALONE}, SOFT_SHORT),  # well beyond what the sensors explain
        ({"pressure_fall": 5.0, "dips": 1.0}, SUSPECT),  # creep, without charge
        ({"pressure_fall": 1.0, "missing_charge": 1.0}, SOFT_SHORT),
        ({"heat": 9.0, "contact_loss": 9.0}, NONE),
    ],
)
def test_stages_follow_the_rule_of_two_kinds(scores, stage):
    assert fused(scores).fusion.stage == stage


def test_the_evidences_that_carry_a_stage_are_told():
    cell = fused({"dips": 1.0, "missing_charge": 1.2, "heat": 0.5, "contact_loss": 3.0})
    assert cell.fusion.carried == 1 << AT["dips"] | 1 << AT["missing_charge"]


def test_a_stage_falls_only_after_the_evidence_was_silent():
    cell = fused({"dips": 1.0})
    assert fused({"dips": 0.0}, FALL_S - 1, cell).fusion.stage == SUSPECT
    assert fused({"dips": 0.0}, 2, cell).fusion.stage == NONE


@pytest.mark.parametrize("second_s", [1.0 - 1e-7, 1.0, 1.0 + 1e-7])
def test_a_stage_falls_in_the_same_second_however_seconds_are_rounded(second_s):
    cell = fused({"dips": 1.0})
    assert fused({"dips": 0.0}, FALL_S - 1, cell, second_s).fusion.stage == SUSPECT
    assert fused({"dips": 0.0}, 1, cell, second_s).fusion.stage == NONE


def test_a_collapse_is_a_hard_short_at_once_and_news_once():
    fusion = Cell().fusion
    assert fusion.collapse()
    assert not fusion.collapse()
    assert fusion.stage == HARD_SHORT
    assert fusion.confidence() > 0.9999


def test_a_hard_short_keeps_its_resistance_until_the_stage_falls():
    cell = Cell()
    cell.fusion.collapse()
    cell.fusion.shorted(0.2)
    assert fused({}, FALL_S - 1, cell).fusion.rs_ohm == 0.2
    assert (cell.fusion.rs_low_ohm, cell.fusion.rs_high_ohm) == (0.1, 0.4)
    assert fused({}, 2, cell).fusion.rs_ohm == 0.0


def test_one_window_span_or_cycle_alone_is_a_score_below_its_threshold():
    stalled = Cell().run(250, dt_s=1.0, current_a=0.2, leak_a=0.19)
    assert stalled.state("stall") == NORMAL
    assert stalled.detector.cell.score[AT["stall"]] == ONCE


@settings(max_examples=100, deadline=None)
@given(st.floats(0.0, 20.0), st.floats(0.0, 20.0), st.sampled_from(schema.EVIDENCES))
def test_confidence_grows_with_every_score_and_stays_a_fraction(low, high, name):
    low, high = sorted((low, high))
    mild, strong = (fused({name: score}).fusion.confidence() for score in (low, high))
    assert 0 <= mild <= strong <= 1
