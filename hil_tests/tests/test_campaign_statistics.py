"""What a campaign counts, and how: intervals, latencies, false alarms, thresholds, the Lorden bound."""

import random
from math import ceil, exp, inf, isnan, log, nextafter

import campaign_trials as made
import msgspec
import numpy as np
import pytest
from assb_hil.campaign.counting.criteria import checks
from assb_hil.campaign.counting.intervals import poisson_at_most, poisson_interval, quantile_s, wilson_interval
from assb_hil.campaign.counting.judgement import judge
from assb_hil.campaign.counting.lorden import bound_delay_s
from assb_hil.campaign.counting.summary import summarise
from assb_hil.campaign.counting.tally import Tally
from assb_hil.campaign.counting.thresholds import Curve, at_equal_rate
from assb_hil.campaign.record import NEVER_S, SCORES, Crossings, Observer, TrialResult, Truth
from hypothesis import given
from hypothesis import strategies as st

ONSET_S = 18000.0
LEAK = Truth(0, ONSET_S, 14.8, 1 / 20, ())
SILENT = ((Crossings((NEVER_S, NEVER_S), ()),) * len(SCORES),) * 2
ONLY_R0 = Observer(2e-4, 0.1, 0.0, 5.0, (0.02,), (0.0,))
ONLY_SLOPE = Observer(2e-4, 0.1, 0.8, 5.0, (), ())
between_alarms = st.floats(3600.0, 1e9)


def trial(*changes, truth=None, short_class="leak_c20", crossings=SILENT, **spec):
    made_spec = made.spec(0, short_class if truth else "", **spec)
    observer = made.OBSERVER if truth else None
    return TrialResult(made_spec, changes, crossings, truth, observer, 1.0, 0)


def judged(*changes, **rest):
    return judge(trial(*changes, **rest), made.CLASSES)


def latency_s(*changes, **rest):
    return judged(*changes, truth=rest.pop("truth", LEAK), **rest).told.latency_s


# Intervals


@pytest.mark.parametrize(
    ("count", "low", "high"), [(0, 0.0, 3.6889), (1, 0.0253, 5.5716), (10, 4.7954, 18.3904), (50, 37.1110, 65.9188)]
)
def test_the_interval_of_a_count_is_the_tabled_one(count, low, high):
    assert poisson_interval(count) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 3000))
def test_each_end_of_an_interval_leaves_a_fortieth_beyond(count):
    low, high = poisson_interval(count)
    assert low < count < high
    assert poisson_at_most(count, high) == pytest.approx(0.025, rel=1e-6)
    assert 1.0 - poisson_at_most(count - 1, low) == pytest.approx(0.025, rel=1e-6)


def test_the_interval_of_a_fraction_is_the_tabled_one():
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson_interval(0, 0) == (0.0, 1.0)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_an_interval_of_a_fraction_holds_it_and_mirrors(counts):
    k, n = counts
    low, high = wilson_interval(k, n)
    assert 0.0 <= low <= k / n + 1e-12
    assert k / n - 1e-12 <= high <= 1.0
    assert wilson_interval(n - k, n) == pytest.approx((1.0 - high, 1.0 - low))


def test_a_quantile_among_those_that_never_ended_has_no_number():
    times_s = [3.0, 1.0, 2.0, inf]
    assert quantile_s(times_s, 0.5) == 2.0
    assert quantile_s(times_s, 0.75) == 3.0
    assert quantile_s(times_s, 0.95) == inf
    assert quantile_s([], 0.5) == inf


# Judging one trial


def test_a_short_is_told_by_the_stage_that_its_class_asks_for():
    assert latency_s(made.change(ONSET_S + 30.0, 0, 1), made.change(ONSET_S + 60.0, 0, 2)) == 60.0
    assert latency_s(made.change(ONSET_S + 60.0, 0, 3)) == 60.0
    assert latency_s(made.change(ONSET_S + 60.0, 0, 1)) == inf


def test_a_hard_short_is_not_told_by_a_soft_one():
    assert latency_s(made.change(ONSET_S + 0.05, 0, 2), short_class="hard") == inf


def test_after_the_deadline_is_too_late():
    assert latency_s(made.change(ONSET_S + 1800.0, 0, 2)) == 1800.0
    assert latency_s(made.change(nextafter(ONSET_S + 1800.0, inf), 0, 2)) == inf


def test_who_was_alarmed_before_the_onset_told_nothing():
    before = made.change(ONSET_S - 60.0, 0, 2)
    result = judged(before, truth=LEAK)
    assert (result.alarms, result.told.latency_s) == (1, inf)
    fallen, risen = made.change(ONSET_S + 10.0, 0, 0), made.change(ONSET_S + 50.0, 0, 2)
    assert latency_s(before, fallen, risen) == 50.0


def test_a_short_in_another_cell_is_a_false_alarm():
    result = judged(made.change(ONSET_S + 60.0, 1, 2), truth=LEAK)
    assert (result.alarms, result.told.latency_s) == (1, inf)
    assert result.clean_hours == pytest.approx(15.0)  # ten of the neighbour, five before the onset


def test_each_rise_is_an_alarm_and_a_stage_on_its_way_up_is_not_another():
    up = [made.change(time_s, 1, stage) for time_s, stage in ((10.0, 1), (20.0, 2), (30.0, 3), (90.0, 0), (99.0, 2))]
    result = judged(*up)
    assert (result.alarms, result.suspects) == (2, 2)
    assert judged(made.change(10.0, 0, 1)).alarms == 0


def test_intermittent_bridges_are_to_be_told_before_the_eleventh():
    begins = tuple(ONSET_S + 100.0 * k for k in range(12))
    truth = msgspec.structs.replace(LEAK, bridges_s=begins)
    assert latency_s(made.change(ONSET_S + 999.0, 0, 2), truth=truth) == 999.0
    assert latency_s(made.change(ONSET_S + 1001.0, 0, 2), truth=truth) == inf


def test_a_trial_that_ends_before_the_deadline_counts_as_untold():
    assert latency_s(duration_s=ONSET_S + 600.0) == inf


def test_only_a_class_with_one_rs_is_judged_by_it():
    told = judged(made.change(ONSET_S + 60.0, 0, 2, 20.0), truth=LEAK).told
    assert told.rs_error == pytest.approx(20.0 / 14.8)
    assert told.rs_covered
    growing = {"growing": made.Asked("growing", 1800.0, 2)}
    found = trial(made.change(ONSET_S + 60.0, 0, 2, 20.0), truth=LEAK, short_class="growing")
    assert isnan(judge(found, growing).told.rs_error)


def test_a_class_of_which_nothing_is_asked_is_told_by_a_soft_short():
    single = {"single": made.Asked("single", 1800.0, 0)}
    for stage, told_s in ((1, inf), (2, 60.0)):
        found = trial(made.change(ONSET_S + 60.0, 0, stage), truth=LEAK, short_class="single")
        assert judge(found, single).told.latency_s == told_s


# Thresholds


def crossed(before_s, after_s=()):
    return (Crossings(before_s, after_s),) * len(SCORES)


def test_a_rate_of_false_crossings_stops_its_clock_at_the_first():
    one = trial(crossings=(crossed((9000.0, NEVER_S)), crossed((NEVER_S, NEVER_S))))
    rates = Tally([one], made.CLASSES).crossed.false_per_1000h()
    assert rates.shape == (len(SCORES), 2)
    assert rates[0] == pytest.approx([1000.0 / (2.5 + 10.0), 0.0])


def test_a_crossing_after_the_deadline_is_no_detection():
    late = trial(truth=LEAK, crossings=(crossed((NEVER_S,) * 2, (100.0, 1801.0)), crossed((NEVER_S,) * 2)))
    curve = Tally([late], made.CLASSES).crossed.curves("leak_c20")["soc_drift"]
    assert curve.detected_frac.tolist() == [1.0, 0.0]
    assert curve.latency_p50_s.tolist() == [100.0, inf]


def test_a_score_that_stood_above_before_the_onset_told_nothing():
    scores = crossed((100.0, NEVER_S, 100.0), (1.0, 1.0, 50.0))
    found = trial(truth=LEAK, crossings=(scores, crossed((NEVER_S,) * 3)))
    curve = Tally([found], made.CLASSES).crossed.curves("leak_c20")["pseudo_ocv"]
    assert curve.latency_p50_s.tolist() == [inf, 1.0, 50.0]


def test_a_baseline_gets_the_fastest_threshold_that_is_quiet_enough():
    curve = Curve(np.array([5.0, 0.5, 0.5, 0.0]), np.array([1.0, 0.9, 0.8, 0.4]), np.array([10.0, 60.0, 60.0, inf]))
    assert at_equal_rate(curve, 1.0) == (1, 0.9, 60.0)
    assert at_equal_rate(curve, 0.1) == (3, 0.4, inf)


def test_a_baseline_that_is_never_quiet_enough_tells_nothing():
    curve = Curve(np.array([5.0]), np.array([1.0]), np.array([10.0]))
    assert at_equal_rate(curve, 1.0) == (-1, 0.0, inf)


def test_without_false_alarms_the_baselines_are_granted_what_could_have_been_missed():
    tally = Tally([trial(), trial()], made.CLASSES)
    assert tally.granted_per_1000h() == pytest.approx(1000.0 * 3.6889 / 40.0, rel=1e-4)
    assert tally.between_alarms_s() == pytest.approx(3600.0 * 40.0 / 3.6889, rel=1e-4)


# Lorden


@given(st.floats(1e-3, 1.0), between_alarms)
def test_a_constant_deviation_is_told_after_log_gamma_over_its_divergence(leak_a, alarms_s):
    per_reading = (leak_a * 0.02) ** 2 / (2 * (2e-4) ** 2)
    readings = log(alarms_s / 0.1) / per_reading
    assert bound_delay_s(ONLY_R0, leak_a, alarms_s) == pytest.approx(0.1 * ceil(readings), abs=0.101)


@given(st.floats(0.01, 0.5), between_alarms)
def test_a_drift_alone_is_told_when_the_sum_of_its_squares_says_so(leak_a, alarms_s):
    n = round(bound_delay_s(ONLY_SLOPE, leak_a, alarms_s) / 0.1)
    step_v = leak_a * 0.8 * 0.1 / (3600.0 * 5.0)

    def gathered(n):
        return step_v**2 / (2 * (2e-4) ** 2) * n * (n + 1) * (2 * n + 1) / 6.0

    assert gathered(n - 1) <= log(alarms_s / 0.1) * (1 + 1e-9)
    assert gathered(n) >= log(alarms_s / 0.1) * (1 - 1e-9)


@given(st.floats(1e-3, 1.0), st.floats(1.01, 10.0), between_alarms)
def test_more_leak_or_more_false_alarms_are_told_no_later(leak_a, factor, alarms_s):
    delay_s = bound_delay_s(made.OBSERVER, leak_a, alarms_s)
    assert bound_delay_s(made.OBSERVER, factor * leak_a, alarms_s) <= delay_s
    assert bound_delay_s(made.OBSERVER, leak_a, alarms_s / factor) <= delay_s


def test_a_leak_that_moves_nothing_is_never_told():
    assert bound_delay_s(Observer(2e-4, 60.0, 0.0, 5.0, (), ()), 0.1, 1e6) == inf
    assert bound_delay_s(ONLY_R0, 0.0, 1e6) == inf


# The whole


def results(cell_hours=8000.0, seed=3):
    return [made.run(made.draw(seed, k)) for k in range(round(cell_hours / 20.0))]


def test_the_summary_does_not_know_the_order_of_the_trials():
    trials = results()
    shuffled = random.Random(1).sample(trials, len(trials))
    first, second = (summarise(Tally(order, made.CLASSES)) for order in (trials, shuffled))
    assert first == second


def test_the_summary_has_what_was_put_in():
    summary = summarise(Tally(results(), made.CLASSES))
    classes = {row["name"]: row for row in summary["classes"]}
    assert summary["cell_hours"] == pytest.approx(8000.0)
    assert summary["hours_without_short"] == pytest.approx(5000.0)
    assert summary["confounder_hours"] < summary["hours_without_short"]  # a third of it is plain
    assert classes["leak_c100"]["latency_p50_s"] == pytest.approx(500.0, rel=0.35)
    assert classes["leak_c20"]["detected_frac"] == pytest.approx(0.96, abs=0.06)
    assert summary["rs_within_2x_frac"] == pytest.approx(0.917, abs=0.06)  # of a lognormal of 0.4
    assert classes["leak_c20"]["best_baseline"] == "mean_difference"
    assert summary["cell_hours_per_core_hour"] == pytest.approx(20.0 * 3600.0 / 0.5)
    low, high = summary["ci95_per_1000h"]
    assert low <= summary["false_alarms_per_1000h"] <= high
    assert classes["hard"]["lorden_ratio"] is None
    assert summary["lorden_ratio"] == max(classes[name]["lorden_ratio"] for name in ("leak_c20", "leak_c100"))


def test_a_campaign_of_nothing_has_a_summary():
    summary = summarise(Tally([], made.CLASSES))
    assert (summary["cell_hours"], summary["classes"], summary["lorden_ratio"]) == (0, [], None)


def test_a_criterion_that_does_not_hold_is_broken():
    untold = trial(truth=LEAK, crossings=())
    summary = summarise(Tally([trial(made.change(10.0, 0, 2)), untold], made.CLASSES))
    broken = {check.name for check in checks(summary) if not check.passed}
    assert "false alarms per 1000 cell-hours" in broken
    assert "leak c20: told within the deadline" in broken
    assert "leak c20: median latency" in broken


def test_criteria_without_figures_are_left_out():
    assert not [check for check in checks(summarise(Tally([], made.CLASSES))) if check.value is None]


def test_the_poisson_sum_is_the_one_of_the_textbook():
    assert poisson_at_most(2, 3.0) == pytest.approx(exp(-3.0) * (1 + 3.0 + 4.5))
