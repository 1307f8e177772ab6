"""What the short detectors see of a simulated cell, each claim against the same cell without the short."""

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest
from assb_hil.campaign.belief import believed
from assb_hil.plant_file import load_plant
from assb_kernels import FilamentParams, Pack, SensorParams, Trial, TrialSensors
from assb_kernels.trial import Change, Phase
from assb_kernels.watch import Watch

PROFILE = "li_lpscl_nca"
SETTLED_H = 2.0
ROWS = 3000
DT_S = 0.1
REST = (Phase(1e6),)


@lru_cache
def plant():
    return load_plant(PROFILE)


def capacity_ah():
    return plant().cell.capacity_ah


def leak_s(rate_c):
    """Conductance that takes this share of the capacity an hour."""
    return rate_c * capacity_ah() / 3.8


def watched(phases=REST, changes=(), hours=3.0, **thresholds):
    """(watch, stages that changed) of one cell that begins at rest; `changes` from SETTLED_H on."""
    file = plant()
    cell = replace(file.cell, filament=FilamentParams())
    pack = Pack([cell], file.stacks, file.stack_of, soc=0.55, temperature_degc=25.0, pressure_mpa=5.0, seed=3)
    sensor = SensorParams(noise_rms=1e-4, quantum=195.3125e-6)
    sensors = TrialSensors(
        [sensor], SensorParams(noise_rms=3e-4), SensorParams(noise_rms=0.008), [SensorParams(noise_rms=0.0015)]
    )
    trial = Trial(pack, phases, sensors, changes, dt_s=DT_S, seed=3, samples=10)
    watch = Watch([parameters(**thresholds)])
    columns, found = trial.columns(ROWS), []
    for _ in range(round(hours * 3600 / DT_S / ROWS)):
        trial.run(columns, ROWS)
        found += watch.run(
            *(columns[name] for name in ("time_s", "voltage_v", "current_a", "temperature_degc", "pressure_mpa"))
        )
    return watch, found


def parameters(**thresholds):
    from assb.estimation import flat_layout

    names = [name for name, count, _ in flat_layout.ROWS for _ in range(count)]
    flat = list(believed(PROFILE))
    for name, value in thresholds.items():
        flat[names.index(name)] = value
    return flat


def at(hours, kind, value, **more):
    return Change(SETTLED_H * 3600 + hours * 3600, kind, value, **more)


def worst(found):
    return max((change.stage for change in found), default=0)


def test_a_sound_cell_that_rests_cycles_and_is_pressed_stays_without_a_stage():
    cycle = (Phase(3600, 0.08), Phase(1800), Phase(3600, -0.08), Phase(1800))
    _watch, found = watched(cycle, [at(0.5, "aim_mpa", 5.3)], hours=6.0)
    assert found == []


@pytest.mark.parametrize(("rate_c", "within_s"), [(1 / 20, 900), (1 / 100, 7200)])
def test_a_leak_at_rest_is_a_soft_short_in_time_and_its_resistance_is_near(rate_c, within_s):
    _watch, found = watched(changes=[at(0, "short_s", leak_s(rate_c))], hours=SETTLED_H + within_s / 3600)
    told = [change for change in found if change.stage == 2]
    assert told and told[0].time_s > SETTLED_H * 3600
    assert "missing_charge" in told[0].evidence
    assert 0.5 < told[0].rs_ohm * leak_s(rate_c) < 2.0


def test_a_lost_contact_on_discharge_is_no_short_and_is_known_once_the_current_changes():
    phases = (Phase(5400), Phase(7200, -0.08), Phase(7200))
    higher = []
    for changes in ([at(0, "theta", 0.6, ramp_s=600.0)], []):
        watch, found = watched(phases, changes, hours=5.0)
        assert found == []
        higher.append(watch.detection(0).charge.error[2])
    assert higher == pytest.approx([0.75, 0.0], abs=0.12)


def bridges(ohm, stands_s=2.0, count=4):
    times = [k * 120.0 / 3600 for k in range(count)]
    return [
        change for t in times for change in (at(t, "short_s", 1 / ohm), at(t + stands_s / 3600, "short_s", 0.0))
    ]  # fmt: skip


def test_bridges_leave_a_trace_and_make_a_suspect_where_a_loose_wire_does_not():
    watch, found = watched(changes=bridges(5.0), hours=SETTLED_H + 0.25)
    assert worst(found) >= 1
    assert watch.detection(0).dips.total == 4
    jumps = [
        change
        for k in range(4)
        for change in (
            at(k / 30, "offset", -0.05, channel="voltage_v"),
            at(k / 30 + 2 / 3600, "offset", 0.0, channel="voltage_v"),
        )
    ]
    wire, none = watched(changes=jumps, hours=SETTLED_H + 0.25)
    assert none == [] and wire.detection(0).dips.total == 0


def readings(hours):
    n = round(hours * 36000)
    times = np.arange(n) * DT_S
    volts = 3.8 + 1e-4 * np.random.default_rng(1).normal(size=n)
    return times, volts


def test_readings_that_are_missing_or_impossible_change_no_verdict():
    times, volts = readings(1.0)
    bad = volts.copy()
    bad[1000::997] = 0.0
    bad[500::1009] = math.nan
    watch = Watch([parameters()])
    assert watch.run(times, bad, 0.0, 25.0, 5.0) == []
    assert watch.refused(0) >= 35
    assert worst(Watch([parameters()]).run(times, volts, 0.0, 25.0, 5.0)) == 0


def test_readings_may_be_cut_anywhere():
    times, volts = readings(0.5)
    volts[9000:] -= np.linspace(0, 0.02, len(volts) - 9000)
    whole, cut = Watch([parameters(charge_settle_s=60.0)]), Watch([parameters(charge_settle_s=60.0)])
    found = whole.run(times, volts, 0.0, 25.0, 5.0)
    parts = [cut.run(times[a:b], volts[a:b], 0.0, 25.0, 5.0) for a, b in ((0, 7), (7, 9004), (9004, len(times)))]
    assert found and found == [change for part in parts for change in part]
    assert whole.evidence(0) == cut.evidence(0)


def test_a_watch_refuses_parameters_that_make_no_sense():
    with pytest.raises(ValueError, match="detection parameters of cell 0"):
        Watch([parameters(noise_ratio=0.5)])
    with pytest.raises(ValueError, match="0 cells"):
        Watch([])
    with pytest.raises(ValueError, match="takes"):
        Watch([[1.0]])
