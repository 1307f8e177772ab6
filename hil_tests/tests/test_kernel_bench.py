"""`assb bench kernel`: what is compared is the same filter, in place and with nothing left out; no time is judged."""

import json
import math
import shutil
import tracemalloc
from array import array
from itertools import pairwise

import numpy as np
import pytest
from assb_hil import kernel_bench, kernel_instructions
from assb_hil.kernel_batch import FLOOR, KERNEL, Batch
from assb_hil.kernel_drive import START_SIGMA, START_SOC, bench_drive
from assb_hil.kernel_peers import FilterpyFilter, NumpyFilter
from assb_hil.plant_bench import DT_S
from assb_host.cli import run
from assb_kernels import CellEstimators, Estimator
from assb_kernels._kernels import ffi, lib
from assb_kernels.columns import column, pointer

STEPS = 3000
KEYS = {
    "step_ns_f32", "step_ns_f64", "floor_ns_f32", "floor_ns_f64", "ratio_f32", "ratio_f64", "call_ns",
    "empty_call_ns", "call_ratio", "soa64_ns", "soa1_ns", "soa_speedup", "ratio_median_f32", "ratio_median_f64",
}  # fmt: skip


@pytest.fixture(scope="module")
def drive():
    return bench_drive(STEPS)


def ran(drive, precision, function, flat=None):
    batch = Batch(flat or drive.flat, drive.columns("f" if precision == "f32" else "d"), precision, function)
    batch.start(START_SOC, START_SIGMA)
    batch.run()
    return batch


def apart(kernel, floor) -> tuple[float, float]:
    """Largest difference of SOC, and of its variance relative to the kernel's."""
    soc, var = (np.asarray(getattr(kernel, name)) - np.asarray(getattr(floor, name)) for name in ("soc", "soc_var"))
    return float(np.abs(soc).max()), float(np.abs(var / np.asarray(kernel.soc_var)).max())


# The floor tells no current from a discharge, so that a first sample at rest leaves 5e-5 of the variance; its
# exponentials are libm's, the kernel's are good to 1e-9.
@pytest.mark.parametrize(("precision", "soc_bound", "var_bound"), [("f64", 1e-7, 1e-4), ("f32", 1e-5, 2e-4)])
def test_the_floor_is_the_same_filter(drive, precision, soc_bound, var_bound):
    soc, var = apart(ran(drive, precision, KERNEL), ran(drive, precision, FLOOR))
    assert soc < soc_bound
    assert var < var_bound


def test_the_floor_ends_in_the_kernels_state(drive):
    kernel, floor = (ran(drive, "f64", function).estimator for function in (KERNEL, FLOOR))
    for name in ("soc", "v1_v", "v2_v", "hysteresis", "leak_a"):
        assert getattr(floor, name) == pytest.approx(getattr(kernel, name), rel=1e-4, abs=1e-6)
    for row, other in zip(floor.covariance(), kernel.covariance(), strict=True):
        assert row == pytest.approx(other, rel=2e-3, abs=1e-9)


def test_a_floor_with_another_cell_is_told_apart(drive):
    other = [drive.flat[0] * 1.01, *drive.flat[1:]]
    soc, var = apart(ran(drive, "f64", KERNEL), ran(drive, "f64", FLOOR, other))
    assert soc > 1e-5
    assert var > 1e-3


def test_nothing_is_gated_or_refused_on_the_drive(drive):
    estimator = Estimator(drive.flat, "f64")
    estimator.reset(START_SOC, START_SIGMA)
    out = estimator.run(*drive.columns("d"), results=("status", "innovation_v", "innovation_var"))
    assert not any(out["status"])
    gate = estimator.c_params.gate_sigmas
    pairs = zip(out["innovation_v"], out["innovation_var"], strict=True)
    assert max(abs(v) / math.sqrt(var) for v, var in pairs) < gate


def test_temperature_and_pressure_change_with_every_sample(drive):
    for values in (drive.temperature_degc, drive.pressure_mpa, drive.voltage_v, drive.current_a):
        assert all(a != b for a, b in pairwise(values))


@pytest.mark.parametrize("peer", [NumpyFilter, FilterpyFilter])
def test_a_peer_is_the_same_filter(drive, peer):
    """To 3e-3 of SOC: the peers take the error of the resistances as noise, the kernel as an error that stays."""
    if peer is FilterpyFilter:
        pytest.importorskip("filterpy", reason="pip install 'assb-bms[bench]'")
    filter_, kernel = peer(drive.flat, DT_S), ran(drive, "f64", KERNEL)
    for k, row in enumerate(list(drive.rows())[:300]):
        filter_.step(*row)
        assert filter_.x[0] == pytest.approx(kernel.soc[k], abs=3e-3)


def test_an_empty_call_takes_what_a_step_takes_and_does_nothing(drive):
    for precision in ("f32", "f64"):
        estimator = Estimator(drive.flat, precision)
        estimator.reset(0.5, 0.1)
        before = estimator.state_bytes()
        nothing, feed = (getattr(lib, f"assb_est_{precision}_{name}") for name in ("nothing", "feed"))
        assert ffi.typeof(nothing) == ffi.typeof(feed)
        assert nothing(estimator.c_params, estimator.c_state, *next(drive.rows())) == 0
        assert estimator.state_bytes() == before


def test_a_million_steps_are_made_without_a_copy(drive):
    steps, float_bytes = 1_000_000, 4
    columns = [np.resize(np.asarray(values, dtype=np.float32), steps) for values in drive.columns("f")]
    for values in columns:
        assert column(values, "f", steps) is values
        assert int(ffi.cast("uintptr_t", pointer(values, "f"))) == values.ctypes.data
    estimator = Estimator(drive.flat, "f32")
    estimator.reset(START_SOC, START_SIGMA)
    used = peak_bytes(lambda: estimator.run(*columns, results=("soc",)))
    assert steps * float_bytes <= used < 2.1 * steps * float_bytes  # the result, and zeros to make it from
    copied = peak_bytes(lambda: estimator.run(columns[0].astype(np.float64), *columns[1:], results=("soc",)))
    assert copied > used + steps * float_bytes


def test_many_cells_take_their_buffers_in_place_too(drive):
    rows, cells = 2000, 64
    group = CellEstimators(drive.flat, cells)
    columns = [array("f", [x for x in values[:rows] for _ in range(cells)]) for values in drive.columns("f")[:4]]
    used = peak_bytes(lambda: group.run(*columns, array("f", [DT_S]) * rows, results=()))
    assert used < 4 * rows * cells / 4


def peak_bytes(call) -> int:
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_command_prints_one_json_object(capsys):
    assert run(["bench", "kernel", "--json", "--repeats", "1", "--no-peers"]) == 0
    figures = json.loads(capsys.readouterr().out)["kernel"]
    assert set(figures) == KEYS
    assert all(math.isfinite(value) and value > 0 for value in figures.values())
    assert run(["bench", "kernel", "--repeats", "1", "--no-peers"]) == 0
    text = capsys.readouterr().out
    assert "times the floor of this run" in text
    assert "64 cells at once" in text


def test_a_peer_that_is_not_installed_is_none(drive, monkeypatch):
    monkeypatch.setattr(kernel_bench, "PEER_REPEATS", 1)
    monkeypatch.setitem(__import__("sys").modules, "filterpy.kalman", None)
    figures = kernel_bench.measured_peers(drive, 100.0, lambda _share: None)
    assert figures["filterpy_ratio"] is None
    assert figures["numpy_ratio"] > 0
    assert "not installed" in kernel_bench.peer_line("filterpy", figures)


def test_without_valgrind_no_instructions_are_told(drive, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    assert kernel_instructions.instructions_per_step(drive, lambda _share: None) == {}


def test_a_count_that_fails_says_so():
    with pytest.raises(RuntimeError, match="counted nothing"):
        kernel_instructions.counted(["sh", "-c", "echo broken >&2; exit 1"])
