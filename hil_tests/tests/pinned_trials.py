"""Trials of the short campaign with every number of the kernel pinned: a CRC over all that estimator, learning and
detectors keep, after every piece of five minutes, and over the power limits there.

Kernel and plant use no libm, and readings are rounded, so the bytes are the same wherever they are counted. After a
change of the algorithm that is meant: `python hil_tests/tests/pinned_trials.py`, and say in the commit what changed.
"""

import binascii
import json
from pathlib import Path

import numpy as np
from assb_hil.campaign.belief import believed
from assb_hil.campaign.classes import CLASSES
from assb_hil.campaign.record import TrialSpec
from assb_hil.campaign.scene import plant_of
from assb_hil.campaign.trial_bench import TrialBench
from assb_hil.campaign.trial_run import ROWS_AT_ONCE, WATCHED, part, watchers
from assb_kernels._kernels import ffi, lib
from assb_kernels.estimator import group_of
from assb_kernels.watch import Watch

FILE = Path(__file__).with_name("pinned_trials.json")
DIGITS = 6  # of a reading: far below what a sensor resolves, far above what mathematical libraries disagree in
KEPT = ("state", "learning", "detection")
# name: profile, cells, load, class of short, confounders, hours without a short
TRIALS = {
    "charged, held, rested": ("li_lpscl_nca", 1, "cccv", "", ("plain",), 10.0),
    "cycled without rest": ("graphite_nmc", 1, "cc", "", ("ageing",), 12.0),
    "four cells with a leak": ("graphite_nmc", 4, "cc", "leak_c500_pack", ()),
    "leak in pulses": ("usi_nmc811", 1, "pulses", "leak_c20", ()),
    "leak at rest": ("samsung_agc", 1, "rest_mostly", "leak_c500_rest", ()),
    "leak in a drive": ("nanosi_scnmc", 2, "drive", "leak_c100", ()),
    "leak in full cycles": ("samsung_agc", 1, "cccv", "leak_c20", ()),
    "bridges": ("li_lpscl_nca", 1, "cccv", "bridges", ()),
    "growing": ("halide_ncm85", 2, "pulses", "growing", ()),
    "hard": ("hcsi_nmc811", 2, "drive", "hard", ()),
    "bipolar": ("bipolar_2s", 1, "drive", "leak_c20", ()),
    "contact lost": ("li_lpscl_nca", 2, "drive", "", ("contact_loss", "pressure_steps"), 4.0),
    "warm and cold": ("liin_tis2", 1, "pulses", "", ("heating", "sensor_drift", "actuator_moves"), 5.0),
    "ripple and gaps": ("lis", 1, "storage", "", ("ripple", "dropout", "connector"), 4.0),
    "flat": ("lto_nmc", 4, "drive", "", ("connector",), 3.0),
}  # fmt: skip


def spec_of(name: str) -> TrialSpec:
    profile, cells, load, short_class, confounders, *hours = TRIALS[name]
    row = CLASSES.get(short_class)
    duration_s, dt_s = (row.duration_s, row.dt_s) if row else (3600.0 * hours[0], 0.1)
    seed = binascii.crc32(name.encode())
    bench = plant_of(profile, "", 1).bench_name
    return TrialSpec(0, seed, profile, bench, cells, load, short_class, confounders, duration_s, dt_s)


def counted(name: str) -> str:
    """The CRC of a trial, in hex, and how many stages changed."""
    spec = spec_of(name)
    bench = TrialBench(spec)
    watch, _ = watchers(bench.scene)
    columns = bench.trial.columns(ROWS_AT_ONCE)
    power = ffi.new("assb_est_f64_power_params *")
    own = group_of(believed(spec.profile), "power_params")
    ffi.cast("double *", power)[0 : len(own)] = own
    crc = changes = 0
    for _ in range(round(spec.duration_s / spec.dt_s) // ROWS_AT_ONCE):
        bench.run(columns, ROWS_AT_ONCE)
        readings = [np.round(np.asarray(part(columns, column, ROWS_AT_ONCE)), DIGITS) for column in WATCHED]
        changes += len(watch.run(*readings))
        crc = limits_crc(watch, power, kept_crc(watch, crc))
    return f"{crc:08x} {changes}"


def kept_crc(watch: Watch, crc: int) -> int:
    for name in KEPT:
        crc = binascii.crc32(
            ffi.buffer(getattr(watch.c_watch, name), len(watch) * ffi.sizeof(f"assb_est_f64_{name}")), crc
        )
    return crc


def limits_crc(watch: Watch, power, crc: int) -> int:
    """Of the first cell, in both directions."""
    c = watch.c_watch
    ask, limit = ffi.new("assb_est_f64_power_ask *"), ffi.new("assb_est_f64_power_limit *")
    ask.temperature_degc, ask.pressure_mpa, ask.pressure_known = c.temperature_degc, c.pressure_mpa, 1
    for ask.charging in (0, 1):
        lib.assb_est_f64_power_limits(c.params, power, c.state, ask, limit)
        crc = binascii.crc32(ffi.buffer(limit), crc)
    return crc


def pinned() -> dict[str, str]:
    return json.loads(FILE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    told = {name: counted(name) for name in TRIALS}
    FILE.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
