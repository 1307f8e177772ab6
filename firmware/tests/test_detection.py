"""Evidences and stages: what raises them, and what must not."""

import random

import pytest
from assb.detection import ACTIVE, LEARNING, NORMAL, UNAVAILABLE
from assb.detection.dips import _LEARN_SAMPLES, Dips
from assb.detection.fusion import _FALL_MS, _HARD_SHORT, _NONE, _SOFT_SHORT, _SUSPECT, Fusion
from assb.detection.leak import Leak
from assb.protocol import schema
from hypothesis import given, settings
from hypothesis import strategies as st

DEFAULTS = {row[1]: row[5] for row in schema.PARAMETERS}
STEP_MS = 100
SIGMA_UV = 500


def parameter(**changes):
    return {**DEFAULTS, **changes}.__getitem__


class Charging:
    """A cell on charge with seeded noise; `dip(depth, samples)` lays a dip into it."""

    def __init__(self, seed=1, **changes):
        self.dips = Dips(parameter(**changes))
        self.random = random.Random(seed)
        self.now_ms = 0
        self.seen = 0

    def run(self, samples, depth_uv=0, charging=True, masked=False):
        for _ in range(samples):
            innovation_uv = self.random.gauss(0, SIGMA_UV) - depth_uv
            self.seen += self.dips.update(innovation_uv, charging, masked, self.now_ms)
            self.now_ms += STEP_MS
        return self


@pytest.mark.parametrize("samples", [1, 3, 10, 40])
def test_a_dip_counts_once_whatever_its_length(samples):
    cell = Charging().run(200).run(samples, depth_uv=10 * SIGMA_UV).run(200)
    assert cell.seen == 1
    assert cell.dips.depth_uv > 5 * SIGMA_UV


def test_three_dips_in_the_window_make_the_evidence_active_and_they_are_forgotten_after_it():
    cell = Charging(dip_window_ms=60000).run(200)
    for count in range(1, 4):
        cell.run(3, depth_uv=10 * SIGMA_UV).run(50)
        assert cell.dips.count() == count
    assert cell.dips.state == ACTIVE
    cell.run(700)
    assert cell.dips.state == NORMAL


def test_ten_hours_of_noise_alone_raise_no_dip():
    assert Charging(seed=3).run(360000).seen == 0


@pytest.mark.parametrize("how", [{"charging": False}, {"masked": True}])
def test_no_dip_is_counted_off_charge_or_under_a_mask(how):
    cell = Charging().run(200).run(50, depth_uv=20 * SIGMA_UV, **how)
    assert cell.seen == 0
    assert cell.dips.state == UNAVAILABLE


def test_it_learns_its_noise_before_it_judges():
    cell = Charging().run(_LEARN_SAMPLES - 1)
    assert cell.dips.state == LEARNING
    assert cell.run(2).dips.state == NORMAL


def test_a_shallow_dip_below_the_floor_is_not_counted():
    cell = Charging(dip_floor_uv=100 * SIGMA_UV).run(200).run(5, depth_uv=20 * SIGMA_UV)
    assert cell.seen == 0


def leak_after(seconds, leak_ua, sigma_ua=1000, current_ua=600000, valid=True, **changes):
    leak = Leak(parameter(**changes))
    for now_ms in range(0, int(seconds * 1000) + 1, STEP_MS):
        leak.update(leak_ua, sigma_ua, current_ua, valid, now_ms)
    return leak


def test_a_leak_beyond_what_the_sensor_can_explain_is_evidence_after_it_persists():
    allowance_ua = DEFAULTS["leak_floor_ua"] + DEFAULTS["current_gain_error_ppm"] * 0.6
    threshold_ua = allowance_ua + DEFAULTS["leak_sigma_milli"] / 1000 * 1000
    persist_s = DEFAULTS["leak_persist_ms"] / 1000
    assert leak_after(persist_s + 1, threshold_ua + 1).state == ACTIVE
    assert leak_after(persist_s - 1, threshold_ua + 1).state != ACTIVE
    assert leak_after(10 * persist_s, threshold_ua - 1).state == NORMAL


def test_a_gain_error_of_the_current_sensor_is_not_a_leak():
    assert leak_after(3600, 0.002 * 600000, sigma_ua=1, leak_floor_ua=100).state == NORMAL


def test_an_estimator_that_is_not_to_be_believed_gives_no_evidence():
    assert leak_after(60, 10**6, valid=False).state == UNAVAILABLE


class Kinds:
    """Evidences as fusion sees them."""

    def __init__(self, state=NORMAL, score_milli=0, active_ms=0):
        self.state, self.score_milli, self.active_ms = state, score_milli, active_ms


QUIET, LOUD = Kinds(), Kinds(ACTIVE, 1500)


def fuse(fusion, dips=QUIET, leak=QUIET, collapsed=False, samples=1, now_ms=0):
    for _ in range(samples):
        fusion.update(dips, leak, collapsed, 3700000, 370000, now_ms)
        now_ms += STEP_MS
    return fusion.stage


def test_one_kind_is_a_suspect_and_two_kinds_are_a_soft_short():
    assert fuse(Fusion(parameter())) == _NONE
    assert fuse(Fusion(parameter()), dips=LOUD) == _SUSPECT
    assert fuse(Fusion(parameter()), leak=LOUD) == _SUSPECT
    assert fuse(Fusion(parameter()), dips=LOUD, leak=LOUD) == _SOFT_SHORT


def test_charge_evidence_alone_must_persist_for_a_soft_short():
    alone_ms = DEFAULTS["leak_alone_ms"]
    assert fuse(Fusion(parameter()), leak=Kinds(ACTIVE, 1500, alone_ms - 1)) == _SUSPECT
    assert fuse(Fusion(parameter()), leak=Kinds(ACTIVE, 1500, alone_ms)) == _SOFT_SHORT


def test_a_collapse_of_the_voltage_is_a_hard_short_at_once_and_news_once():
    fusion = Fusion(parameter())
    assert fusion.collapse()
    assert not fusion.collapse()
    assert fuse(fusion, collapsed=True) == _HARD_SHORT
    assert fuse(fusion, samples=10) == _HARD_SHORT
    assert fusion.confidence_ppm == 1000000


def test_a_stage_falls_only_after_the_evidence_was_silent():
    fusion = Fusion(parameter())
    fuse(fusion, dips=LOUD)
    silent = _FALL_MS // STEP_MS
    assert fuse(fusion, samples=silent - 1, now_ms=STEP_MS) == _SUSPECT
    assert fuse(fusion, samples=3, now_ms=_FALL_MS) == _NONE


def test_the_resistance_is_voltage_over_leak():
    fusion = Fusion(parameter())
    fuse(fusion, leak=LOUD)
    assert fusion.short_mohm == 10000  # 3.7 V / 370 mA


@settings(max_examples=200, deadline=None)
@given(st.integers(-1000000, 1000000), st.integers(-1000000, 1000000), st.booleans())
def test_confidence_grows_with_the_score_and_stays_a_fraction(low, high, dips_active):
    low, high = sorted((low, high))
    dips = LOUD if dips_active else QUIET
    confidences = []
    for score_milli in (low, high):
        fusion = Fusion(parameter())
        fuse(fusion, dips=dips, leak=Kinds(ACTIVE, score_milli))
        confidences.append(fusion.confidence_ppm)
    assert 0 <= confidences[0] <= confidences[1] <= 1000000
