"""What each evidence sees, and what must not fool it. That C says the same: test_detection_twin.py."""

from math import log

import pytest
from assb.detection import ACTIVE, LEARNING, NORMAL, UNAVAILABLE
from assb.detection.detector import Pack
from assb.detection.observed import ONCE
from assb.protocol import schema
from detection_cell import (
    AT,
    CAPACITY_AH,
    CHARGE_ALONE,
    DIP_COUNT,
    FALL_S,
    GAP,
    HARD_SHORT,
    NONE,
    SIGMA_V,
    SLOPE_V,
    SOFT_SHORT,
    SUSPECT,
    Cell,
)
from hypothesis import given, settings
from hypothesis import strategies as st


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
