"""What a comparison and the firmware's detectors are allowed to see of a recording, gate by gate."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from assb.estimation.flat_layout import DEFAULTS
from assb_host.config.cell import Learning, Noise
from assb_host.replay.columns import parse_mapping
from assb_host.replay.comparison import Comparison, compare, resting, usual_of, windows
from assb_host.replay.pack_log import PackLog, read_pack_log
from assb_host.replay.replay import replay
from assb_host.replay.watching import bounds, can_watch, missing_evidence, noise_v
from pack_recordings import CELL, COLUMNS, MadePack, written

REST_A = CELL.capacity_ah / 40


def pack_log(time_s, current_a, voltage_v) -> PackLog:
    volts = np.atleast_2d(np.asarray(voltage_v, float))
    count = len(time_s)
    volts = np.repeat(volts, count, axis=0) if len(volts) == 1 else volts
    names = [f"U_{k + 1}" for k in range(volts.shape[1])]
    return PackLog(
        Path("pack.csv"), names, np.asarray(time_s, float), volts, np.broadcast_to(current_a, count).astype(float),
        np.full(count, 25.0), None, {}, np.zeros(len(names), int),
    )  # fmt: skip


def read(folder, pack: MadePack) -> PackLog:
    return read_pack_log(written(folder, pack.lines()), CELL, parse_mapping(COLUMNS))


def stages(log: PackLog, cell=CELL) -> list[int]:
    return [verdict.stage for verdict in replay(cell, log).verdicts]


def test_a_rest_begins_a_row_after_the_load_and_not_behind_a_gap():
    current_a = [1.0, 0, 0, 0.9 * REST_A, -1.1 * REST_A, 0, 0, 0, 0]
    log = pack_log([0, 30, 60, 90, 120, 150, 180, 900, 930], current_a, [3.7, 3.7])
    assert resting(log, REST_A).tolist() == [False, False, True, True, False, False, True, False, True]


def test_windows_are_of_an_hour_and_of_five_rows_at_least():
    time_s = np.array([0, 900, 1800, 2700, 3600, 3700, 4500, 20000, 20030, 20060, 20090, 20120.0])
    assert [group.tolist() for group in windows(time_s, np.arange(12))] == [[0, 1, 2, 3, 4], [7, 8, 9, 10, 11]]


def test_a_load_a_flat_ocv_and_a_single_cell_give_no_windows():
    log = pack_log(np.arange(0, 3000, 30.0), 0.0, [3.7, 3.71])
    assert len(compare(CELL, log)) == 1
    assert len(compare(CELL, replace(log, current_a=log.current_a + 1.1 * REST_A))) == 0
    flat_v = [3.6 + 0.2 * soc for soc in CELL.ocv.soc]
    flat = msgspec.structs.replace(CELL, ocv=msgspec.structs.replace(CELL.ocv, voltage_v=flat_v))
    assert len(compare(flat, log)) == 0
    assert len(compare(CELL, replace(log, voltage_v=log.voltage_v[:, :1], names=["U_1"]))) == 0


def test_the_usual_is_known_after_three_windows_near_this_soc_and_never_above_the_neighbours():
    soc = np.array([0.9, 0.3, 0.9, 0.3, 0.9, 0.3, 0.9, 0.3])
    weak = np.array([0.0, -0.04] * 4)  # of less capacity: lower the emptier the pack is
    above = np.full(8, 0.03)
    usual = usual_of(soc, np.stack([weak, above], axis=1))
    assert np.isnan(usual[:6]).all()
    assert usual[6:, 0].tolist() == [0.0, -0.04] and usual[6:, 1].tolist() == [0.0, 0.0]


def test_nothing_has_fallen_while_the_usual_is_unknown_nor_after_a_rise():
    deviation = np.array([[-0.05], [-0.05], [0.0]])
    usual = np.array([[np.nan], [-0.01], [-0.01]])
    found = Comparison(np.arange(3.0), np.full(3, 0.5), deviation, deviation, np.full(3, 0.003), usual)
    assert found.fallen[:, 0].tolist() == pytest.approx([0.0, 0.04, 0.0])
    assert found.missing[:, 0].tolist() == [0.05, 0.05, 0.0]


def test_a_pack_is_watched_up_to_a_second_and_a_cell_up_to_a_minute():
    for sample_s, cells, is_watched in ((1.0, 2, True), (1.1, 2, False), (60.0, 1, True), (61.0, 1, False)):
        log = pack_log(sample_s * np.arange(5), 0.0, [3.7] * cells)
        assert can_watch(log) is is_watched


def test_a_profile_is_not_believed_beyond_what_its_fit_left():
    log = pack_log(np.arange(5.0), 0.0, [3.7])
    noise = Noise("made", rc_sigma_v=0.01, overvoltage_sigma_frac=0.1)
    wide = bounds(msgspec.structs.replace(CELL, noise=noise), log)
    bare = bounds(msgspec.structs.replace(CELL, noise=None), log)
    assert (wide["charge_ocv_v"], wide["charge_resistance_frac"]) == pytest.approx((0.03, 0.3))
    of_rows = ("charge_noise_v", "rest_leak_c")
    assert all(bare[name] == DEFAULTS[name] for name in wide if name not in of_rows)


def test_the_noise_of_a_recording_is_its_rows_and_its_last_digit():
    rows = np.random.default_rng(3).normal(3.7, 0.002, (4000, 1))
    assert noise_v(pack_log(np.arange(4000.0), 0.0, rows)) == pytest.approx(0.002, rel=0.1)
    coarse = np.full((4000, 1), 3.7)
    coarse[2000:] += 0.005
    assert noise_v(pack_log(np.arange(4000.0), 0.0, coarse)) == pytest.approx(0.005 / np.sqrt(12))


def test_evidence_that_can_not_be_seen_is_out_of_reach():
    volts = np.random.default_rng(3).normal(3.7, 0.001, (500, 1))
    slow, fast = (pack_log(sample_s * np.arange(500), 0.0, volts) for sample_s in (1.0, 0.1))
    fitted = msgspec.structs.replace(CELL, learning=Learning("made", resistance_from_steps=False))
    assert set(missing_evidence(CELL, slow)) == {"dip_floor_v", "noise_ratio"}
    assert missing_evidence(CELL, fast) == {}
    assert set(missing_evidence(fitted, fast)) == {"resistance_drop_frac", "resistance_rise_frac"}


@pytest.mark.parametrize(("digit_v", "unseen"), [(0.004, {"noise_ratio"}), (0.001, set())])
def test_a_noise_that_the_last_digit_hides_can_not_rise(digit_v, unseen):
    """Rows under a load that moves do not repeat; the detector does not listen to them, nor does this."""
    load_a = np.where(np.arange(2000) % 100 < 50, 0.0, np.random.default_rng(4).normal(0.0, 1.0, 2000))
    volts = 3.7 + 0.1 * load_a + np.random.default_rng(3).normal(0.0, 0.001, 2000)
    rounded = np.round(volts / digit_v)[:, None] * digit_v
    assert set(missing_evidence(CELL, pack_log(0.1 * np.arange(2000), load_a, rounded))) == unseen


def test_charge_that_flowed_in_a_gap_is_not_missing(tmp_path):
    log = read(tmp_path, MadePack(1, 20))
    keep = (log.time_s < 1.5 * 3600) | (log.time_s > 3 * 3600)
    cut = replace(log, **{name: getattr(log, name)[keep] for name in
                          ("time_s", "voltage_v", "current_a", "temperature_degc")})  # fmt: skip
    assert len(cut.parts()) == 2 and stages(cut) == [0]


@pytest.mark.parametrize(("sample_s", "rows", "stage"), [(1.0, 2, 3), (30.0, 2, 0), (30.0, 3, 0)])
def test_a_collapse_shows_where_no_load_can_have_come_between_rows(tmp_path, sample_s, rows, stage):
    """What is low and comes back is no charge that is missing."""
    log = read(tmp_path, MadePack(1, 3, sample_s=sample_s))
    log.voltage_v[len(log) // 2 : len(log) // 2 + rows] -= 0.8
    assert stages(log) == [stage]
