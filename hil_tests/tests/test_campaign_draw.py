"""Trials as they are drawn: the same by number, balanced, each row doing what it says."""

import math
import random
from collections import Counter
from dataclasses import fields

import numpy as np
import pytest
from assb_hil.campaign.classes import BRIDGES, CLASSES, Shorted, due_s, shorted
from assb_hil.campaign.confounders import CONFOUNDERS, aged, confounding
from assb_hil.campaign.draw import DECK, PROFILES, draw
from assb_hil.campaign.loads import LOADS, moved_ah, play_of
from assb_hil.campaign.mismatch import OCV_CORRELATION_SOC, OCV_SIGMA_V, SIGMAS_MOST, SPREADS, mismatched, ocv_error_v
from assb_hil.campaign.record import TrialSpec
from assb_hil.campaign.scene import Scene, plant_of
from assb_kernels import CellParams


def spec(**changes) -> TrialSpec:
    usual = {
        "number": 0,
        "seed": 11,
        "profile": "graphite_nmc",
        "bench": "pneumatic",
        "cells": 2,
        "load": "cccv",
        "short_class": "",
        "confounders": (),
        "duration_s": 12 * 3600.0,
        "dt_s": 0.1,
    }
    return TrialSpec(**(usual | changes))


def test_a_trial_is_its_number_and_the_campaigns_seed():
    assert [draw(3, k) for k in range(24)] == [draw(3, k) for k in range(24)]
    assert draw(3, 5) != draw(4, 5)
    seeds = {draw(3, k).seed for k in range(200)}
    assert len(seeds) == 200


def test_a_hundred_thousand_hours_have_enough_of_each_class_and_half_without_a_short():
    hours, counts, number = Counter(), Counter(), 0
    while sum(hours.values()) < 1e5:
        drawn = draw(1, number)
        hours[drawn.short_class] += drawn.cells * drawn.duration_s / 3600.0
        counts[drawn.short_class] += 1
        number += 1
    assert min(counts[name] for name in CLASSES) >= 100
    assert hours[""] >= 0.5 * sum(hours.values())


def test_every_profile_load_and_confounder_has_its_turn():
    drawn = [draw(1, k) for k in range(40 * len(DECK))]
    assert {each.profile for each in drawn} == set(PROFILES)
    assert {each.load for each in drawn} == set(LOADS)
    assert {name for each in drawn for name in each.confounders} == set(CONFOUNDERS)
    assert all(1 <= len(set(each.confounders)) <= 3 for each in drawn if not each.short_class)
    assert all(len(each.confounders) == 1 for each in drawn if "plain" in each.confounders)


def test_a_class_gets_the_cells_and_loads_that_it_needs():
    for each in (draw(1, k) for k in range(40 * len(DECK))):
        if not each.short_class:
            continue
        row = CLASSES[each.short_class]
        assert each.load in row.loads and each.dt_s == row.dt_s
        assert each.cells in row.cells or each.profile == "bipolar_2s"
        assert each.short_class != "leak_c500_pack" or each.cells >= 4
        if each.short_class == "leak_c500_rest":
            assert LOADS[each.load].rest_h >= 4.0 and each.cells == 1
        if each.short_class == "leak_c500_single":
            assert LOADS[each.load].rest_h < 1.0


@pytest.mark.parametrize("name", CLASSES)
def test_a_short_is_within_its_trial_and_of_its_size(name):
    row = CLASSES[name]
    for seed in range(20):
        scene = Scene(spec(short_class=name, seed=seed, duration_s=row.duration_s, dt_s=row.dt_s))
        short = shorted(scene)
        assert isinstance(short, Shorted)
        truth = short.truth
        assert row.lead_s <= truth.onset_s <= row.lead_s + row.window_s and truth.onset_s == int(truth.onset_s)
        assert 0.0 < due_s(scene.spec) <= row.deadline_s and truth.onset_s + row.deadline_s < scene.duration_s
        assert 0 <= truth.cell < scene.plant.units
        assert all(truth.onset_s <= change.time_s <= scene.duration_s for change in short.changes)
    if name.startswith("leak_c"):
        assert truth.leak_c == pytest.approx(1.0 / float(name.removeprefix("leak_c").split("_")[0]))


def test_bridges_come_and_go():
    short = shorted(Scene(spec(short_class="bridges")))
    ups, downs = short.changes[0::2], short.changes[1::2]
    assert len(ups) == BRIDGES == len(short.truth.bridges_s)
    assert all(1.0 <= 1.0 / up.value <= 10.0 and down.value == 0.0 for up, down in zip(ups, downs, strict=True))
    assert all(1.0 <= down.time_s - up.time_s <= 5.0 for up, down in zip(ups, downs, strict=True))
    assert all(5.0 <= up.time_s - down.time_s <= 600.0 for up, down in zip(ups[1:], downs, strict=False))


def test_a_hard_short_is_harder_than_r0():
    for seed in range(50):
        scene = Scene(spec(short_class="hard", seed=seed))
        assert 0.001 <= shorted(scene).truth.rs_ohm <= 0.3 * scene.contact_ohm_frac()[0]


def test_a_growing_short_ends_at_a_fifth_of_c():
    scene = Scene(spec(short_class="growing"))
    first, last = shorted(scene).changes
    assert shorted(scene).truth.leak_c == pytest.approx(0.2)
    assert last.value / first.value == pytest.approx(200.0) and last.by_factors


def test_without_a_class_there_is_no_short():
    assert shorted(Scene(spec())) is None


@pytest.mark.parametrize("name", [name for name in CONFOUNDERS if name != "plain"])
def test_a_confounder_changes_what_it_says_and_never_shorts(name):
    wanted = {
        "pressure_steps": {"aim_mpa"},
        "actuator_moves": {"aim_mpa"},
        "heating": {"ambient_degc"},
        "contact_loss": {"theta"},
        "sensor_drift": {"offset", "gain"},
        "ripple": {"ripple_a"},
        "connector": {"offset"},
        "dropout": {"dropout"},
        "ageing": set(),
    }[name]
    for seed in range(30):
        scene = Scene(spec(confounders=(name,), seed=seed))
        changes = confounding(scene)
        assert {change.kind for change in changes} == wanted
        assert not changes or min(change.time_s for change in changes) < scene.duration_s
        fresh = scene.cell.ageing
        assert (aged(scene, fresh) != fresh) == (name == "ageing")


def test_pressure_and_heat_stay_within_the_plants_window():
    for seed in range(50):
        scene = Scene(spec(confounders=("pressure_steps", "actuator_moves", "heating"), seed=seed))
        limits = scene.plant.limits
        for change in confounding(scene):
            low, high = {
                "aim_mpa": (limits.pressure_min_mpa, limits.pressure_max_mpa),
                "ambient_degc": (limits.temperature_min_degc, limits.temperature_max_degc),
            }[change.kind]
            assert low <= change.value <= high


def test_lost_contact_multiplies_r0_as_drawn():
    scene = Scene(spec(profile="li_lpscl_nca"))
    view = plant_of("li_lpscl_nca", "", 1).pack().cells[0]
    r0_ohm, contact_frac = scene.contact_ohm_frac()
    assert r0_ohm == pytest.approx(view.r0_ohm, rel=1e-6)
    cell, area_cm2 = scene.cell, scene.cell.layers * scene.cell.layer_area_cm2
    assert contact_frac * r0_ohm * area_cm2 == pytest.approx(cell.contact_ohm_cm2, rel=1e-6)  # at 25 degC and 5 MPa


def test_adding_a_confounder_leaves_the_others_as_they_were():
    alone = confounding(Scene(spec(confounders=("heating",))))
    both = confounding(Scene(spec(confounders=("ripple", "heating"))))
    assert [change for change in both if change.kind == "ambient_degc"] == alone


@pytest.mark.parametrize("name", LOADS)
def test_a_load_stays_within_the_plants_current_and_window(name):
    for profile in PROFILES:
        scene = Scene(spec(profile=profile, bench="", load=name, cells=1))
        limits, play = scene.plant.limits, play_of(scene)
        assert play.phases[0].current_a == 0.0 and play.loop_from == 2 and 0.05 <= play.soc <= 0.95
        for phase in play.phases:
            column = list(phase.drive_a) if phase.drive_a is not None else [phase.current_a]
            assert max(column) <= limits.charge_max_c * scene.capacity_ah * (1 + 1e-9)
            assert min(column) >= -limits.discharge_max_c * scene.capacity_ah * (1 + 1e-9)
            assert (phase.floor_v, phase.ceiling_v) == (limits.voltage_min_v, limits.voltage_max_v)
            assert phase.until_s > 0.0


@pytest.mark.parametrize("name", ["rest_mostly", "pulses", "drive", "storage"])
def test_a_load_that_ends_by_time_gives_back_what_it_takes(name):
    for seed in range(10):
        scene = Scene(spec(load=name, seed=seed))
        play = play_of(scene)
        cycle_ah = [moved_ah(phase) for phase in play.phases[play.loop_from :]]
        soc = play.soc + np.cumsum([moved_ah(phase) for phase in play.phases[1:]]) / scene.capacity_ah
        assert abs(sum(cycle_ah)) < (0.15 if name == "rest_mostly" else 1e-6) * scene.capacity_ah
        assert soc.min() > 0.0 and soc.max() < 1.05


def test_every_stated_spread_reaches_its_parameters():
    cell = plant_of("li_lpscl_nca", "", 1).cell
    changed = mismatched([cell, cell], random.Random(1))
    assert changed[0] == changed[1]
    for spread in SPREADS:
        for name in spread.parameters:
            ratio = np.asarray(getattr(changed[0], name)) / np.asarray(getattr(cell, name))
            assert (ratio != 1.0).all() and (abs(ratio - 1.0) <= SIGMAS_MOST * spread.sigma_frac).all(), name
    named = {name for spread in SPREADS for name in spread.parameters} | {"ocv_v"}
    same = [field.name for field in fields(CellParams) if field.name not in named]
    assert all(getattr(changed[0], name) == getattr(cell, name) for name in same)


def test_the_spreads_are_as_wide_as_stated():
    cell = plant_of("li_lpscl_nca", "", 1).cell
    drawn = [mismatched([cell], random.Random(seed))[0] for seed in range(400)]
    for spread in SPREADS:
        ratio = np.array([np.ravel(getattr(each, spread.parameters[0])) for each in drawn])
        assert (ratio / ratio.mean(axis=0)).std() == pytest.approx(spread.sigma_frac, rel=0.12), spread.name


def test_the_ocvs_error_is_smooth_and_as_large_as_stated():
    curves = np.array([ocv_error_v(129, random.Random(seed)) for seed in range(600)])
    assert curves.std(axis=0) == pytest.approx(OCV_SIGMA_V, rel=0.2)
    apart = round(OCV_CORRELATION_SOC * 128)
    together = (curves[:, :-apart] * curves[:, apart:]).mean() / (curves**2).mean()
    assert together == pytest.approx(math.exp(-0.5), abs=0.08)
