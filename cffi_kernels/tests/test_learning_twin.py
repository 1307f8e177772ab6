"""What is learned in C and in the firmware's plain Python is the same."""

import math
import random
import struct
import subprocess
from pathlib import Path

import pytest
from assb.estimation import ekf, flat_layout, parameters, pressure_soc
from assb.estimation import learning as twin_module
from assb_kernels import LEARNED, MISSING_TEXT, Estimator, Learning
from assb_kernels._kernels import lib
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FIRMWARE = Path(ekf.__file__).resolve().parents[2]
RELATIVE = 1e-9
# Rests of a minute, so that a short sequence holds several of them
FAST = {"rest_min_s": 20.0, "rest_full_s": 30.0, "pair_min_frac": 0.05, "capacity_drift_frac_per_rt_cycle": 0.1}
PRESSED = {"height_sigma_um": 1.0, "swelling_um": 250.0}

currents_a = st.floats(-2.0, 2.0) | st.sampled_from([0.0, 0.0, 0.6, -0.6])
segments = st.lists(
    st.tuples(
        currents_a,
        st.floats(0.0, 60.0),
        st.floats(1.0, 10.0),
        st.sampled_from([0.1, 1.0, 1.0, 7.3, 59.0, math.nan]),
        st.floats(-0.05, 0.05) | st.sampled_from([0.0, math.nan]),
        st.integers(1, 30),
    ),
    min_size=1,
    max_size=12,
)
variations = st.fixed_dictionaries(
    {
        "capacity_ah": st.floats(0.1, 10.0),
        "coulombic_efficiency_frac": st.floats(0.95, 1.0),
        "hysteresis_v": st.floats(0.0, 0.05),
        "ocv_sigma_v": st.floats(1e-4, 0.02),
        "step_min_c": st.floats(1e-3, 0.5),
        "height_sigma_um": st.sampled_from([0.0, 1.0]),
    }
)


def ocv_of(twin: ekf.Ekf, soc: float) -> float:
    knot, fraction = twin._knot(soc)
    low, high = (twin._p[twin._ocv_v + k] for k in (knot, knot + 1))
    return low + fraction * (high - low)


class Both:
    """Twin and kernel beside each other, watching a cell that is nearly the believed one."""

    def __init__(self, flat, seed: int, twin_class=twin_module.Learning) -> None:
        self.ekf = ekf.Ekf(flat)
        self.twin = twin_class(flat, self.ekf)
        self.height = pressure_soc.Height(self.twin)
        self.kernel = Learning(Estimator(flat, "f64"))
        self.noise = random.Random(seed)
        self.soc = 0.4  # of the cell, which holds a tenth less than is believed
        for estimator in (self.ekf, self.kernel.estimator):
            estimator.reset(0.4, 0.1)

    def moved(self, current_a, dt_s):
        return 0.0 if math.isnan(dt_s) else current_a * dt_s / (3600 * 0.9 * self.ekf._capacity_ah)

    def step(self, voltage_v, current_a, degc, mpa, dt_s) -> None:
        status = self.ekf.step(voltage_v, current_a, degc, mpa, dt_s)
        if status == 0:
            self.twin.update(voltage_v, current_a, degc, dt_s)
        assert status == self.kernel.step(voltage_v, current_a, degc, mpa, dt_s)
        assert self.height.step(mpa, 3.0) == self.kernel.height_step(mpa, 3.0)

    def play(self, plan) -> None:
        for current_a, degc, mpa, dt_s, off_v, length in plan:
            for _ in range(length):
                self.soc = min(max(self.soc + self.moved(current_a, dt_s), 0.0), 1.0)
                volts = ocv_of(self.ekf, self.soc) + 1.1 * current_a * self.ekf.r0_ohm + off_v
                volts += self.noise.gauss(0, 0.0005)
                self.step(volts, current_a, degc, mpa, dt_s)
            self.compare()

    def compare(self) -> None:
        for k, (a, b) in enumerate(zip(self.twin._s, self.kernel.numbers(), strict=True)):
            assert math.isclose(a, b, rel_tol=RELATIVE, abs_tol=1e-15), k
        given = self.kernel.estimator
        for name in ("soc", "resistance_scale", "capacity_scale", "leak_a"):
            assert math.isclose(getattr(self.ekf, name), getattr(given, name), rel_tol=RELATIVE, abs_tol=1e-15), name
        for row, other in zip(self.ekf.covariance(), given.covariance(), strict=True):
            assert all(math.isclose(a, b, rel_tol=RELATIVE, abs_tol=1e-18) for a, b in zip(row, other, strict=True))
        told = self.twin.soh()
        assert told[0] == pytest.approx(
            (self.kernel.capacity_scale, self.kernel.capacity_sigma, self.kernel.capacity_pairs,
             self.kernel.capacity_missing)
        )  # fmt: skip
        assert told[1] == pytest.approx(
            (self.kernel.soh_resistance, self.kernel.soh_resistance_sigma, self.kernel.resistance_steps,
             self.kernel.resistance_missing)
        )  # fmt: skip
        assert self.twin.soc_sigma() == pytest.approx(self.kernel.soc_sigma, rel=RELATIVE)
        assert self.twin.resistance_sigma() == pytest.approx(self.kernel.resistance_sigma, rel=RELATIVE)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=segments, variation=variations, seed=st.integers(0, 2**32))
def test_twin_learns_what_the_f64_kernel_learns(believed, plan, variation, seed):
    Both(flat_layout.pack(believed | FAST | PRESSED | variation), seed).play(plan)


def rests_and_pulses(cycles: int) -> list:
    """Up and down by half the capacity of 0.6 Ah with rests between, pulses on the way."""
    half = []
    for sign in (1.0, -1.0):
        half += [(0.6 * sign, 25.0, 5.0, 10.0, 0.0, 60), (0.2 * sign, 25.0, 5.0, 1.0, 0.01, 5)] * 3
        half += [(0.2, 35.0, 5.0, 1.0, 0.0, 5), (-0.2, 35.0, 5.0, 1.0, 0.0, 5), (0.0, 25.0, 5.0, 1.0, 0.0, 40)]
    return half * cycles


def test_a_plan_with_rests_teaches_both_and_uses_the_height(believed):
    both = Both(flat_layout.pack(believed | FAST | PRESSED), seed=3)
    both.play(rests_and_pulses(3))
    assert both.twin.soh()[0][2] >= 3 and both.twin.soh()[1][2] >= 10
    assert both.height.known


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ekf.innovation_v - s[_RESIDUAL_V]", "ekf.innovation_v + s[_RESIDUAL_V]"),
        ("+ AWAY_ERROR * away", ""),
        ("3.0 * (k * k * s[_C5])", "2.0 * (k * k * s[_C5])"),
        ("s[_CHARGE] = total", "s[_CHARGE] = total * 1.0001"),
        ("passed = s[_CLOCK_S] / DAY_S", "passed = s[_CLOCK_S]"),
        ("sigma = max(up, down)", "sigma = min(up, down)"),
        ("moved / s[_C_SCALE]) * kept", "moved / s[_C_SCALE])"),
        ("s[_BEST] = told", "s[_BEST] = 0.9 * told"),
    ],
)
def test_a_broken_twin_is_found_out(believed, old, new):
    source = Path(twin_module.__file__).read_text(encoding="utf-8")
    assert old in source, f"the mutation no longer fits: {old}"
    names: dict = {}
    exec(compile(source.replace(old, new, 1), "mutated_learning", "exec"), names)
    with pytest.raises(AssertionError):
        Both(flat_layout.pack(believed | FAST), 3, names["Learning"]).play(rests_and_pulses(3))


def test_codes_and_places_are_the_kernels():
    codes = {name: getattr(lib, "ASSB" + name) for name in (
        "_LEARNT", "_NO_CHANCE", "_TOO_SLOW", "_UNSTEADY", "_LEAKING", "_OCV_FLAT", "_ONE_ANCHOR", "_SHORT_SPAN",
        "_OUTLIER")}  # fmt: skip
    assert {name: getattr(twin_module, name) for name in codes} == codes
    assert set(MISSING_TEXT) == set(codes.values())
    assert len(LEARNED) == twin_module._LEARNED
    rows = [name for name, _count in parameters.learning_rows()]
    for module, name, row in (
        (twin_module, "_OCV_SIGMA_V", "ocv_sigma_v"),
        (twin_module, "_CAPACITY_MAX", "capacity_scale_max"),
        (twin_module, "_HEIGHT_SIGMA_UM", "height_sigma_um"),
        (pressure_soc, "_CREEP_UM", "height_creep_um_per_rt_h"),
    ):
        assert rows[getattr(module, name)] == row
    for name in ("_ANCHOR_KNOWN", "_ANCHOR_SOC", "_ANCHOR_VAR", "_ELAPSED_H", "_CLOCK_S"):
        assert getattr(pressure_soc, name) == getattr(twin_module, name)


VM_SCRIPT = """
import struct, sys
from assb.estimation.ekf import Ekf
from assb.estimation.learning import Learning
from assb.estimation.pressure_soc import Height
def floats(name):
    with open(name, 'rb') as f:
        data = f.read()
    return struct.unpack('<%dd' % (len(data) // 8), data)
flat = floats(sys.argv[1])
rows = floats(sys.argv[2])
twin = Ekf(flat)
learned = Learning(flat, twin)
height = Height(learned)
twin.reset(0.4, 0.1)
for k in range(0, len(rows), 5):
    volts, amperes, degc, mpa, dt_s = rows[k:k + 5]
    assert twin.step(volts, amperes, degc, mpa, dt_s) == 0
    learned.update(volts, amperes, degc, dt_s)
    height.step(mpa, 3.0)
assert learned.restore(learned.export())
state = tuple(learned._s[:14]) + (twin.soc,)
print(''.join('%02x' % b for b in struct.pack('<%dd' % len(state), *state)))
"""


def test_twin_on_the_micropython_vm_learns_the_same(believed, micropython, tmp_path):
    flat = flat_layout.pack(believed | FAST | PRESSED)
    kernel = Learning(Estimator(flat, "f64"))
    kernel.estimator.reset(0.4, 0.1)
    table, rows = ekf.Ekf(flat), []
    for current_a, degc, mpa, dt_s, off_v, length in rests_and_pulses(1):
        for _ in range(length):
            volts = ocv_of(table, kernel.estimator.soc) + current_a * kernel.estimator.r0_ohm + off_v
            rows += [volts, current_a, degc, mpa, dt_s]
            assert kernel.step(*rows[-5:]) == 0
            kernel.height_step(mpa, 3.0)
    (tmp_path / "twin.py").write_text(VM_SCRIPT)
    (tmp_path / "params").write_bytes(struct.pack(f"<{len(flat)}d", *flat))
    (tmp_path / "rows").write_bytes(struct.pack(f"<{len(rows)}d", *rows))
    done = subprocess.run(
        [micropython, "-X", "heapsize=288K", "twin.py", "params", "rows"],
        cwd=tmp_path,
        env={"MICROPYPATH": str(FIRMWARE)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    on_vm = struct.unpack("<15d", bytes.fromhex(done.stdout.strip()))
    kernel.restore(kernel.export())  # which rounds to single precision, as the VM did
    here = [*kernel.numbers()[:14], kernel.estimator.soc]
    for a, b in zip(on_vm, here, strict=True):
        assert math.isclose(a, b, rel_tol=RELATIVE, abs_tol=1e-18)
