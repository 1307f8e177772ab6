"""Resistance and capacity are learned from cells that age, with the shipped profiles and sensors that are wrong."""

from dataclasses import replace

import numpy as np
import pytest
from assb_hil.plant_file import load_plant
from assb_host.config import build_config, load_pack
from assb_kernels import Estimator, Learning, ProtocolStep, run_protocol
from assb_kernels._kernels import lib
from learning_bench import SENSORS, USE, Sensors, cycled, learned

CHEMISTRIES = ("li_lpscl_nca", "halide_ncm85", "graphite_nmc", "samsung_agc", "liin_tis2", "hcsi_nmc811")
UNOBSERVABLE = ("lto_nmc", "lis")
ERRORS = [Sensors(gain, offset) for gain in (-1.0, 1.0) for offset in (-1.0, 1.0)]
PLAIN = replace(USE, rest_s=600.0, pulses=(1.0,))  # as protocols/cycle.toml: nothing but four steps of current a cycle
PART = replace(USE, span_frac=0.45)


def signs(sensors: Sensors) -> str:
    return f"gain {sensors.gain:+g}, offset {sensors.offset:+g}"


@pytest.mark.parametrize("sensors", ERRORS, ids=signs)
@pytest.mark.parametrize("name", CHEMISTRIES)
def test_after_ten_cycles_capacity_is_within_1_5_and_r0_within_5_percent(name, sensors):
    run = learned(name, sensors)
    assert 1.0 - run.capacity_ah[-1] / run.plant.cell.capacity_ah > 0.09
    assert abs(run.capacity_error[-1]) < 0.015
    assert abs(run.r0_error[-1]) < 0.05
    worst = run.worst_sigmas()
    assert worst["capacity"] < 3 and worst["r0"] < 3
    assert run.learning.capacity_pairs >= 15 and run.learning.capacity_missing == lib.ASSB_LEARNT


@pytest.mark.parametrize("name", CHEMISTRIES[:4])
def test_plain_cycles_with_ten_minutes_of_rest_teach_as_well(name):
    """Four steps of current a cycle, of 15 mV in 2 mV of noise where they are least: R0 is known less well, and says
    so."""
    run = learned(name, use=PLAIN)
    assert abs(run.capacity_error[-1]) < 0.015
    assert abs(run.r0_error[-1]) < 0.09
    assert run.learning.resistance_sigma > 0.03
    worst = run.worst_sigmas()
    assert worst["capacity"] < 3 and worst["r0"] < 3


@pytest.mark.parametrize("loss", [0.05, 0.15])
@pytest.mark.parametrize("name", CHEMISTRIES[:4])
def test_a_cell_that_ages_slower_or_faster_is_followed(name, loss):
    run = learned(name, use=replace(USE, loss=loss))
    assert abs(run.capacity_error[-1]) < 0.015
    assert abs(run.r0_error[-1]) < 0.05


@pytest.mark.parametrize("use", [USE, PLAIN, PART, replace(USE, share=0.4)], ids=["full", "plain", "part", "slow"])
@pytest.mark.parametrize("name", UNOBSERVABLE)
def test_lto_and_lithium_sulfur_are_always_within_three_of_their_sigmas(name, use):
    run = learned(name, use=use)
    assert max(run.worst_sigmas().values()) < 3, run.worst_sigmas()


def test_lithium_sulfur_on_its_plateau_learns_no_capacity_and_says_why():
    run = learned("lis", use=PART)
    assert run.capacity_error[-1] > 0.05
    assert run.learning.capacity_pairs == 0
    assert run.learning.capacity_missing == lib.ASSB_OCV_FLAT
    assert (np.diff(run.told["capacity_sigma"]) >= 0).all()
    assert run.told["capacity_sigma"][-1] > run.told["capacity_sigma"][0] >= 0.05


@pytest.mark.parametrize("name", UNOBSERVABLE)
def test_the_filter_alone_claims_more_than_it_knows(name):
    """The bound above fails where it should: by the filter's own sigma, capacity and OCV table taken for exact."""
    run = learned(name)
    _plant, true = cycled(name)
    estimator = Estimator(build_config(load_pack(name)).estimator)
    noise = np.random.default_rng(SENSORS.seed)
    volts = true["voltage_v"] + noise.normal(0.0, 0.002, len(true["time_s"]))
    degc = true["surface_degc[0]"]
    estimator.reset(estimator.rested_soc(volts[0], degc[0]), 0.1)
    columns = (volts, true["current_a"], degc, true["pressure_mpa[0]"])
    told = estimator.run(*(np.asarray(column, np.float32) for column in columns), 1.0)
    off = np.abs(np.array(told["soc"]) - np.clip(true["soc[0]"], 0, 1)) / np.sqrt(told["soc_var"])
    assert off[600:].max() > 3 > run.worst_sigmas()["soc"]


def test_sensed_ten_times_a_second_the_same_is_learned():
    use = replace(USE, cycles=2, loss=0.05)
    slow, fast = learned("halide_ncm85", use=use), learned("halide_ncm85", use=replace(use, dt_s=0.1))
    for run in (slow, fast):
        assert abs(run.r0_error[-1]) < 0.05 and max(run.worst_sigmas()[name] for name in ("capacity", "r0")) < 3
    assert fast.told["resistance_scale"][-1] == pytest.approx(slow.told["resistance_scale"][-1], abs=0.03)
    assert fast.told["capacity_scale"][-1] == pytest.approx(slow.told["capacity_scale"][-1], abs=0.01)


def test_single_and_double_precision_learn_the_same():
    single, double = (learned("halide_ncm85", precision=precision) for precision in ("f32", "f64"))
    for name, bound in (("capacity_scale", 2e-3), ("resistance_scale", 1e-2), ("capacity_sigma", 1e-3)):
        assert np.abs(single.told[name] - double.told[name]).max() < bound


# A soft short


def test_a_soft_short_is_not_taken_for_a_lower_resistance():
    """20 ohm across 0.125 ohm makes any step 0.6 % smaller; what is left of a C/3 leak must not look like more."""
    sound, short = (learned_pulses(short_ohm=ohm) for ohm in (0.0, 20.0))
    assert short.estimator.leak_a > 5 * short.estimator.leak_sigma_a
    assert abs(short.resistance_scale - sound.resistance_scale) < 0.02


def test_the_onset_of_a_short_is_a_dip_and_teaches_no_resistance():
    learning = learned_pulses(short_ohm=5.0, pulses=False)
    assert learning.resistance_steps == 0 and learning.resistance_scale == 1.0


def learned_pulses(short_ohm: float, pulses: bool = True) -> Learning:
    """Half an hour at 5 MPa with pulses (or at one current), the short in its second half."""
    plant = load_plant("li_lpscl_nca")
    pack = plant.pack(0.6, seed=1)
    amperes = np.tile(np.repeat([0.3, -0.3, 0.0], 200), 15) if pulses else np.full(9000, 0.05)
    half = len(amperes) // 2
    short_s = np.where(np.arange(len(amperes)) >= half, 1.0 / short_ohm if short_ohm else 0.0, 0.0)
    true = pack.run(amperes, 0.1, short_s=[short_s], results=("voltage_v", "surface_degc[0]", "pressure_mpa[0]"))
    noise = np.random.default_rng(1).normal(0.0, 0.002, len(amperes))
    learning = Learning(Estimator(build_config(load_pack("li_lpscl_nca")).estimator))
    learning.estimator.reset(0.6, 0.02)
    columns = (np.array(true["voltage_v"]) + noise, amperes, true["surface_degc[0]"], true["pressure_mpa[0]"])
    learning.run(*(np.asarray(column, np.float32) for column in columns), 0.1)
    return learning


@pytest.mark.parametrize("short_ohm", [300.0, 1000.0])
def test_a_leak_through_whole_cycles_teaches_no_wrong_capacity(short_ohm):
    """C/50 and C/160: long rests show that the voltage falls, so there is no anchor; the sigma holds the truth."""
    run = learned("li_lpscl_nca", use=replace(USE, cycles=3, loss=0.01, short_ohm=short_ohm))
    assert run.learning.capacity_missing in (lib.ASSB_LEAKING, lib.ASSB_ONE_ANCHOR)
    assert run.worst_sigmas()["capacity"] < 3
    assert abs(run.capacity_error[-1]) < 0.03
    assert abs(run.r0_error[-1]) < 0.05


# A step of pressure


def pressed(later_mpa: float, fed_mpa: float | None, seed: int) -> tuple[float, float]:
    """(change of SOH-R, of the error of SOC) by a step from 5 MPa, between two times of an hour with balanced pulses.

    Without voids: below 3 MPa lithium strips unevenly at this current, and that is a worse contact indeed.
    """
    plant = load_plant("li_lpscl_nca", changes={"voids.rate_per_s": 0.0})
    pack = plant.pack(0.5, pressure_mpa=5.0, seed=1)
    pulses = 0.3 * np.tile(np.repeat([1.0, 0.0, -1.0, 0.0], 20), 45)
    steps = [
        ProtocolStep("rest", until_s=60.0, aim_mpa=5.0),
        ProtocolStep("drive", drive_a=pulses, drive_dt_s=1.0, until_s=len(pulses)),
        ProtocolStep("drive", drive_a=pulses, drive_dt_s=1.0, until_s=len(pulses), aim_mpa=later_mpa),
    ]
    result = run_protocol(pack, steps, dt_s=0.5, every_s=0.5)
    kept = np.diff(np.array(result.columns["time_s"]), prepend=-1.0) > 1e-6
    true = {name: np.array(values)[kept] for name, values in result.columns.items()}
    assert true["pressure_mpa[0]"][-1] == pytest.approx(later_mpa, abs=0.3)
    volts = true["voltage_v"] + np.random.default_rng(seed).normal(0.0, 0.002, len(true["time_s"]))
    mpa = true["pressure_mpa[0]"] if fed_mpa is None else np.full(len(volts), fed_mpa)
    learning = Learning(Estimator(build_config(load_pack("li_lpscl_nca")).estimator))
    learning.estimator.reset(learning.estimator.rested_soc(volts[0], 25.0), 0.05)
    columns = (volts, true["current_a"], true["surface_degc[0]"], mpa)
    told = learning.run(
        *(np.asarray(column, np.float32) for column in columns), 0.5, ("soc", "resistance_scale", "status")
    )
    assert not any(told["status"])
    half = len(volts) // 2
    off = np.array(told["soc"]) - true["soc[0]"]
    soh = 1.0 / np.array(told["resistance_scale"])
    return float(soh[-1] - soh[half]), float(off[-1] - off[half])


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("later_mpa", [2.0, 8.0])
def test_three_mpa_more_or_less_move_neither_soc_nor_soh_and_move_the_filter_without_pressure(later_mpa, seed):
    soh, soc = pressed(later_mpa, None, seed)
    blind_soh, blind_soc = pressed(later_mpa, 5.0, seed)
    print(f"5 -> {later_mpa} MPa: SOC {100 * soc:+.3f} %, SOH-R {100 * soh:+.2f} %;", end=" ")
    print(f"without pressure {100 * blind_soc:+.3f} %, {100 * blind_soh:+.2f} %")
    assert abs(soc) < 0.002 and abs(soh) < 0.01
    assert abs(blind_soh) > 0.08


@pytest.mark.parametrize("later_mpa", [2.0, 8.0])
def test_under_a_steady_load_the_filter_without_pressure_takes_the_step_for_charge(later_mpa):
    """0.1C, where the step itself moves the voltage: nothing of current tells it apart."""
    soc, blind_soc = (loaded(later_mpa, fed_mpa) for fed_mpa in (None, 5.0))
    print(f"5 -> {later_mpa} MPa at 0.1C: SOC moves {100 * soc:+.3f} %, without pressure {100 * blind_soc:+.3f} %")
    assert abs(soc) < 0.002
    assert abs(blind_soc) > 1.5 * abs(soc)


def loaded(later_mpa: float, fed_mpa: float | None) -> float:
    """Largest change of the SOC's error within ten minutes after the step."""
    plant = load_plant("li_lpscl_nca", changes={"voids.rate_per_s": 0.0})
    pack = plant.pack(0.4, pressure_mpa=5.0, seed=1)
    steps = [
        ProtocolStep("current", 0.06, until_s=1800.0, aim_mpa=5.0),
        ProtocolStep("current", 0.06, until_s=600.0, aim_mpa=later_mpa),
    ]
    result = run_protocol(pack, steps, dt_s=0.5, every_s=0.5)
    kept = np.diff(np.array(result.columns["time_s"]), prepend=-1.0) > 1e-6
    true = {name: np.array(values)[kept] for name, values in result.columns.items()}
    volts = true["voltage_v"] + np.random.default_rng(1).normal(0.0, 0.002, len(true["time_s"]))
    mpa = true["pressure_mpa[0]"] if fed_mpa is None else np.full(len(volts), fed_mpa)
    learning = Learning(Estimator(build_config(load_pack("li_lpscl_nca")).estimator))
    learning.estimator.reset(0.4, 0.02)
    columns = (volts, true["current_a"], true["surface_degc[0]"], mpa)
    told = learning.run(*(np.asarray(column, np.float32) for column in columns), 0.5, ("soc",))
    off = np.array(told["soc"]) - true["soc[0]"]
    after = off[3600:] - off[3599]
    return float(after[np.argmax(np.abs(after))])
