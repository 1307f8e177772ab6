"""The C kernel and the firmware's plain twin are two writings of one filter; here they are held equal."""

import math
import random
import struct
import subprocess
from pathlib import Path

import pytest
from assb.estimation import believed_cell, ekf, flat_layout, parameters
from assb_kernels import PARAMETER_LAYOUT, Estimator
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FIRMWARE = Path(ekf.__file__).resolve().parents[2]
RELATIVE = 1e-9
SCALARS = (
    "soc",
    "v1_v",
    "v2_v",
    "hysteresis",
    "leak_a",
    "r0_ohm",
    "innovation_v",
    "innovation_sigma_v",
    "hysteresis_v",
)

segments = st.lists(
    st.tuples(
        st.floats(-12.0, 12.0),  # current beyond the plausible 10 A now and then
        st.sampled_from([0.0, 1.0, 1e-3, 1e-12]),  # scaled, so that rest and tiny currents come up
        st.floats(-50.0, 130.0),
        st.floats(-2.0, 80.0),
        st.sampled_from([0.1, 0.1, 0.1, 0.01, 1.0, 1.0, 7.3, 59.0, 1e-6, 0.0, -1.0, 61.0, math.nan]),
        st.floats(2.0, 5.0) | st.floats(3.4, 4.2) | st.floats(3.6, 3.9) | st.sampled_from([math.nan, math.inf, -1.0]),
        st.integers(1, 6),
    ),
    min_size=1,
    max_size=6,
)
variations = st.fixed_dictionaries(
    {
        "capacity_ah": st.floats(0.01, 100.0),
        "coulombic_efficiency_frac": st.floats(0.9, 1.0),
        "entropy_v_per_k": st.floats(-1e-3, 1e-3),
        "hysteresis_v": st.floats(0.0, 0.2),
        "hysteresis_rate": st.floats(1.0, 200.0),
        "tau1_s": st.floats(0.1, 20.0),
        "tau2_s": st.floats(20.0, 5000.0),
        "overvoltage_sigma_frac": st.floats(0.0, 0.2),
        "leak_sigma_a": st.floats(1e-3, 1.0),
        "gate_sigmas": st.floats(2.0, 8.0),
    }
)


def samples(plan: list, seed: int) -> list[tuple[float, ...]]:
    """Each segment held for its length, with measurement noise on top."""
    noise = random.Random(seed)
    rows = []
    for current_a, scale, temperature_degc, pressure_mpa, dt_s, voltage_v, length in plan:
        for _ in range(length):
            wobble_v = noise.gauss(0, 0.01)
            rows.append((voltage_v + wobble_v, current_a * scale, temperature_degc, pressure_mpa, dt_s))
    return rows


def assert_same(twin, kernel: Estimator) -> None:
    for name in SCALARS:
        assert math.isclose(getattr(twin, name), getattr(kernel, name), rel_tol=RELATIVE, abs_tol=1e-15), name
    for row, other in zip(twin.covariance(), kernel.covariance(), strict=True):
        for a, b in zip(row, other, strict=True):
            assert math.isclose(a, b, rel_tol=RELATIVE, abs_tol=1e-18)


def run_both(twin, kernel: Estimator, rows: list, soc: float) -> None:
    twin.reset(soc, 0.1)
    kernel.reset(soc, 0.1)
    for row in rows:
        assert twin.step(*row) == kernel.step(*row)
        assert_same(twin, kernel)


def test_flat_layout_is_the_kernels_struct():
    assert tuple((name, count) for name, count, _default in flat_layout.ROWS) == PARAMETER_LAYOUT
    assert sum(count for _name, count, _default in flat_layout.ROWS) == parameters.SIZE


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(plan=segments, variation=variations, soc=st.floats(0.0, 1.0), seed=st.integers(0, 2**32))
def test_twin_equals_the_f64_kernel_for_any_sequence(believed, plan, variation, soc, seed):
    flat = flat_layout.pack(believed | variation)
    run_both(ekf.Ekf(flat), Estimator(flat, "f64"), samples(plan, seed), soc)


def plausible_rows(count: int, seed: int) -> list[tuple[float, ...]]:
    rng = random.Random(seed)
    return [
        (rng.uniform(3.4, 4.1), rng.uniform(-1, 1), rng.uniform(0, 60), rng.uniform(1, 10), rng.choice((0.1, 0.5, 2.0)))
        for _ in range(count)
    ]


def mutated(old: str, new: str) -> type:
    """The twin with one thing wrong, in whichever of its two files that thing stands."""
    cell_source, ekf_source = (Path(module.__file__).read_text(encoding="utf-8") for module in (believed_cell, ekf))
    assert old in cell_source + ekf_source, f"the mutation no longer fits: {old}"
    names: dict = {}
    exec(compile(cell_source.replace(old, new, 1), "mutated_believed_cell", "exec"), names)
    imports = "from assb.estimation.believed_cell import LAST_KNOT, BelievedCell, lerp\n"
    assert imports in ekf_source
    exec(compile(ekf_source.replace(imports, "", 1).replace(old, new, 1), "mutated_ekf", "exec"), names)
    return names["Ekf"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ocv_v + (polarised_v", "ocv_v - (polarised_v"),
        ("per_a = dt_s / (", "per_a = 0.1 / ("),
        ("inner_a = current_a - self.leak_a", "inner_a = current_a + self.leak_a"),
        ("g[_V2] = -d2 * r2_ohm", "g[_V2] = d2 * r2_ohm"),
        ("known_var * k - pulled[i]", "known_var * k - b[i]"),
        ("return nis <= limit", "return True"),
        ("warm = cold + parameters.PRESSURE_POINTS", "warm = cold"),
        ("self._coulombic_efficiency_frac if inner_a > 0", "self._coulombic_efficiency_frac if inner_a < 0"),
    ],
)
def test_broken_twin_is_found_out(believed, old, new):
    flat = flat_layout.pack(believed | {"hysteresis_v": 0.02, "coulombic_efficiency_frac": 0.99})
    rows = plausible_rows(60, seed=7)
    run_both(mutated("+", "+")(flat), Estimator(flat, "f64"), rows, 0.5)
    broken = mutated(old, new)(flat)
    with pytest.raises(AssertionError):
        run_both(broken, Estimator(flat, "f64"), rows, 0.5)


VM_SCRIPT = """
import struct, sys
from assb.estimation.ekf import Ekf
def floats(name):
    with open(name, 'rb') as f:
        data = f.read()
    return struct.unpack('<%dd' % (len(data) // 8), data)
twin = Ekf(floats(sys.argv[1]))
rows = floats(sys.argv[2])
twin.reset(0.5, 0.1)
for k in range(0, len(rows), 5):
    assert twin.step(*rows[k:k + 5]) == 0
state = (twin.soc, twin.v1_v, twin.v2_v, twin.hysteresis, twin.leak_a, twin.r0_ohm, twin.innovation_v)
for row in twin.covariance():
    state += tuple(row)
print(''.join('%02x' % b for b in struct.pack('<%dd' % len(state), *state)))
"""


def test_twin_on_the_micropython_vm_equals_the_kernel(believed, micropython, tmp_path):
    flat = flat_layout.pack(believed)
    rows = plausible_rows(400, seed=11)
    numbers = [x for row in rows for x in row]
    (tmp_path / "twin.py").write_text(VM_SCRIPT)
    (tmp_path / "params").write_bytes(struct.pack(f"<{len(flat)}d", *flat))
    (tmp_path / "rows").write_bytes(struct.pack(f"<{len(numbers)}d", *numbers))
    command = [micropython, "-X", "heapsize=192K", "twin.py", "params", "rows"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={"MICROPYPATH": str(FIRMWARE)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    on_vm = struct.unpack("<32d", bytes.fromhex(done.stdout.strip()))

    kernel = Estimator(flat, "f64")
    kernel.reset(0.5, 0.1)
    for row in rows:
        assert kernel.step(*row) == 0
    here = [getattr(kernel, name) for name in SCALARS[:7]] + [x for row in kernel.covariance() for x in row]
    for a, b in zip(on_vm, here, strict=True):
        assert math.isclose(a, b, rel_tol=RELATIVE, abs_tol=1e-18)
