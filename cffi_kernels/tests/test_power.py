"""Limits of current: none is ever broken by the model itself, they move the right way, and both writings agree."""

import math
import random
import struct
import subprocess
from pathlib import Path

import pytest
from assb.estimation import ekf, flat_layout, parameters, power
from assb_kernels import STATUS_TEXT, Estimator, Power
from assb_kernels import power as power_face
from cases import so_many
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

HORIZONS = range(3)
CRITICAL = {
    "plating_limit_a": [0.02 * 1.03 ** (k // 8) * (1 + k % 8) for k in range(96)],
    "stripping_limit_a": [0.04 * 1.03 ** (k // 8) * (1 + k % 8) for k in range(96)],
    "critical_safety_frac": 0.8,
}
WINDOW = {
    "charge_max_a": 2.4,
    "discharge_max_a": 4.8,
    "window_min_v": 2.9,
    "window_max_v": 4.25,
    "charge_zero_degc": 0.0,
    "charge_full_degc": 10.0,
    "hot_full_degc": 60.0,
    "hot_zero_degc": 70.0,
    "contact_zero_mpa": 1.0,
    "contact_full_mpa": 3.0,
    "pressed_full_mpa": 12.0,
    "pressed_zero_mpa": 15.0,
}


def bumpy(seed: int) -> list[float]:
    rng = random.Random(seed)
    return [rng.uniform(0.3, 3.0) for _ in range(129)]


variations = st.fixed_dictionaries(
    {
        "capacity_ah": st.floats(0.05, 10.0),
        "coulombic_efficiency_frac": st.floats(0.9, 1.0),
        "entropy_v_per_k": st.floats(-1e-3, 1e-3),
        "hysteresis_v": st.floats(0.0, 0.2),
        "hysteresis_rate": st.floats(1.0, 200.0),
        "tau1_s": st.floats(0.1, 20.0),
        "tau2_s": st.floats(20.0, 5000.0),
        "rc_factor": st.integers(0, 9).map(bumpy),
        "charge_max_a": st.floats(0.0, 8.0),
        "discharge_max_a": st.floats(0.0, 8.0),
        "soc_min_frac": st.floats(0.0, 0.2),
        "soc_max_frac": st.floats(0.8, 1.0),
        "soc_margin_sigmas": st.sampled_from([0.0, 1.0, 3.0]),
        "voltage_margin_sigmas": st.sampled_from([0.0, 2.0]),
    }
)
# what went before: currents, each held for some seconds
pasts = st.lists(st.tuples(st.floats(-3.0, 3.0), st.sampled_from([0.5, 3.0, 20.0, 60.0])), max_size=4)
asks = st.fixed_dictionaries({"temperature_degc": st.floats(-5.0, 75.0), "pressure_mpa": st.floats(0.0, 20.0)})


def limited(believed, **changes) -> list[float]:
    return flat_layout.pack({**believed, **WINDOW, **changes})


def come_from(estimators, past, soc: float, leak: bool = False) -> None:
    for estimator in estimators:
        estimator.reset(soc, 0.02)
        for current_a, dt_s in past:
            assert estimator.predict(current_a, 25.0, 5.0, dt_s) == 0
        if leak:  # a voltage that the model does not explain is taken for a leak, of either sign
            for _ in range(20):
                estimator.step(3.5 + 0.4 * soc, 0.0, 25.0, 5.0, 1.0)


def both(flat, past, soc: float, leak: bool = False) -> tuple[ekf.Ekf, Estimator]:
    pair = ekf.Ekf(flat), Estimator(flat, "f64")
    come_from(pair, past, soc, leak)
    return pair


def of_kernel(flat, past=(), soc=0.5, precision="f64", charging=True, temperature_degc=25.0, pressure_mpa=5.0):
    estimator = Estimator(flat, precision)
    come_from([estimator], past, soc)
    return Power(flat, precision).limits(estimator, charging, temperature_degc, pressure_mpa)


def terminal_v(cell: ekf.Ekf, current_a: float, temperature_degc: float) -> float:
    """The model of ekf.py, written once more from its text."""
    knot = min(int(cell.soc * 128), 127)
    low_v, high_v = cell._p[cell._ocv_v + knot], cell._p[cell._ocv_v + knot + 1]
    ocv_v = low_v + (high_v - low_v) * (cell.soc * 128 - knot)
    entropy_v = cell._entropy_v_per_k * (temperature_degc - cell._ocv_temperature_degc)
    inner_v = ocv_v + entropy_v + cell.hysteresis_v + cell.v1_v + cell.v2_v
    return inner_v + cell.r0_ohm * (current_a - cell.leak_a)


def voltages_on_the_way(cell: ekf.Ekf, current_a: float, horizon_s: float, ask: dict) -> list[float]:
    """With the current held, at once and in 40 steps up to the horizon."""
    cell.predict(current_a, ask["temperature_degc"], ask["pressure_mpa"], 1e-9)
    seen = [terminal_v(cell, current_a, ask["temperature_degc"])]
    for _ in range(40):
        assert cell.predict(current_a, ask["temperature_degc"], ask["pressure_mpa"], horizon_s / 40) == 0
        seen.append(terminal_v(cell, current_a, ask["temperature_degc"]))
    return seen


@settings(max_examples=so_many(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    variation=variations, past=pasts, soc=st.floats(0.0, 1.0), ask=asks, leak=st.booleans(), charging=st.booleans(),
    horizon=st.sampled_from(HORIZONS),
)  # fmt: skip
def test_the_model_itself_breaks_no_limit_with_the_current_it_is_allowed(
    believed, variation, past, soc, ask, leak, charging, horizon
):
    flat = limited(believed, **variation, current_max_a=20.0)
    cell, _ = both(flat, past, soc, leak)
    limits = power.Power(flat)
    assert limits.limits(cell, charging, **ask) == 0
    current_a, bound = limits.current_a[horizon], power_face.BOUNDS[limits.bound[horizon]]
    assert current_a >= 0
    assume(current_a > 0)
    seen = voltages_on_the_way(cell, current_a if charging else -current_a, power.HORIZONS_S[horizon], ask)
    if charging:
        assert max(seen) <= WINDOW["window_max_v"] + 1e-9
        assert cell.soc <= variation["soc_max_frac"] + 1e-9
    else:
        assert min(seen) >= WINDOW["window_min_v"] - 1e-9
        assert cell.soc >= variation["soc_min_frac"] - 1e-9
    assert current_a <= variation["charge_max_a" if charging else "discharge_max_a"]
    assert bound in ("voltage", "soc", "current", "temperature", "pressure")


@settings(max_examples=so_many(100), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    variation=variations, past=pasts, soc=st.floats(0.0, 1.0), ask=asks, leak=st.booleans(), charging=st.booleans(),
    known=st.booleans(),
)  # fmt: skip
def test_twin_equals_the_f64_kernel(believed, variation, past, soc, ask, leak, charging, known):
    flat = limited(believed, **CRITICAL, **variation)
    cell, kernel = both(flat, past, soc, leak)
    twin = power.Power(flat)
    assert twin.limits(cell, charging, ask["temperature_degc"], ask["pressure_mpa"], known) == 0
    limit = Power(flat, "f64").limits(kernel, charging, ask["temperature_degc"], ask["pressure_mpa"] if known else None)
    for mine, theirs in ((twin.current_a, limit.current_a), (twin.power_w, limit.power_w)):
        assert all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) for a, b in zip(mine, theirs, strict=True))
    assert tuple(power_face.BOUNDS[code] for code in twin.bound) == limit.bound


@settings(max_examples=so_many(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(variation=variations, past=pasts, soc=st.floats(0.0, 1.0), ask=asks, charging=st.booleans())
def test_single_precision_is_finite_breaks_nothing_and_longer_is_never_more(
    believed, variation, past, soc, ask, charging
):
    flat = limited(believed, **CRITICAL, **variation)
    limit = of_kernel(flat, past, soc, "f32", charging, **ask)
    assert all(math.isfinite(x) for x in (*limit.current_a, *limit.power_w, *limit.voltage_v))
    assert list(limit.current_a) == sorted(limit.current_a, reverse=True)
    for current_a, voltage_v in zip(limit.current_a, limit.voltage_v, strict=True):
        if current_a > 0:
            assert WINDOW["window_min_v"] - 1e-6 <= voltage_v or charging
            assert voltage_v <= WINDOW["window_max_v"] + 1e-6 or not charging


@pytest.mark.parametrize("charging", [True, False])
def test_a_limit_of_voltage_is_used_to_within_a_millivolt(believed, charging):
    flat = limited(believed, voltage_margin_sigmas=0.0, charge_max_a=8.0, discharge_max_a=8.0)
    cell, _ = both(flat, (), 0.85 if charging else 0.15)
    limits = power.Power(flat)
    assert limits.limits(cell, charging, 25.0, 5.0) == 0
    for k in HORIZONS:
        assert power_face.BOUNDS[limits.bound[k]] == "voltage"
        cell.reset(0.85 if charging else 0.15, 0.02)
        sign = 1 if charging else -1
        ask = {"temperature_degc": 25.0, "pressure_mpa": 5.0}
        seen = voltages_on_the_way(cell, sign * limits.current_a[k], power.HORIZONS_S[k], ask)
        end_v = WINDOW["window_max_v"] if charging else WINDOW["window_min_v"]
        assert 0 <= sign * (end_v - seen[-1]) < 1e-3


@settings(max_examples=so_many(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    cold=st.floats(10.0, 60.0), warmer=st.floats(0.0, 50.0), mpa=st.floats(3.0, 12.0), more=st.floats(0.0, 9.0),
    charging=st.booleans(),
)  # fmt: skip
def test_hotter_or_harder_pressed_within_the_window_lithium_allows_no_less(believed, cold, warmer, mpa, more, charging):
    flat = limited(believed, **CRITICAL)
    hot, hard = min(cold + warmer, 60.0), min(mpa + more, 12.0)
    least, most = (
        of_kernel(flat, soc=0.5, charging=charging, temperature_degc=t, pressure_mpa=p)
        for t, p in ((cold, mpa), (hot, hard))
    )
    assert all(b >= a - 1e-12 for a, b in zip(least.current_a, most.current_a, strict=True))


@pytest.mark.parametrize(
    ("change", "bound"),
    [
        ({}, "plating"),
        ({"soc": 1.0}, "soc"),
        ({"soc": 0.97, "window_max_v": 4.21}, "voltage"),
        ({"charge_max_a": 0.01}, "current"),
        ({"temperature_degc": 0.1}, "temperature"),
        ({"temperature_degc": 69.9}, "temperature"),
        ({"pressure_mpa": 1.02}, "pressure"),
        ({"pressure_mpa": 14.9}, "pressure"),
        ({"charging": False}, "stripping"),
        ({"charging": False, "soc": 0.0}, "soc"),
        ({"charging": False, "soc": 0.02, "window_min_v": 3.25}, "voltage"),
    ],
)
def test_the_limit_that_binds_is_named(believed, change, bound):
    told = {name: value for name, value in change.items() if name in WINDOW}
    limit = of_kernel(limited(believed, **CRITICAL, **told), **{k: v for k, v in change.items() if k not in told})
    assert limit.bound[2] == bound


def test_a_full_cell_takes_nothing_and_an_empty_one_gives_nothing(believed):
    flat = limited(believed, **CRITICAL)
    assert of_kernel(flat, soc=1.0).current_a == (0.0, 0.0, 0.0)
    assert of_kernel(flat, soc=0.0, charging=False).current_a == (0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("name", "values"), [("temperature_degc", (0.0, -3.0, 70.0, 75.0)), ("pressure_mpa", (1.0, 0.0, 15.0, 40.0))]
)
def test_beyond_the_window_nothing_is_allowed(believed, name, values):
    flat = limited(believed)
    for value in values:
        assert of_kernel(flat, **{name: value}).current_a == (0.0, 0.0, 0.0)


def test_cold_limits_a_charge_and_not_a_discharge(believed):
    flat = limited(believed, charge_max_a=0.2, discharge_max_a=0.2)
    assert of_kernel(flat, temperature_degc=5.0).current_a[0] == pytest.approx(0.1)
    assert of_kernel(flat, temperature_degc=5.0, charging=False).current_a[0] == pytest.approx(0.2)


def test_an_unknown_pressure_is_taken_for_the_lower_end_of_the_window(believed):
    flat = limited(believed, **CRITICAL)
    assert of_kernel(flat, pressure_mpa=None) == of_kernel(flat, pressure_mpa=3.0)
    assert of_kernel(flat, pressure_mpa=None).current_a < of_kernel(flat, pressure_mpa=5.0).current_a


def test_safety_is_a_share_of_the_critical_current(believed):
    whole, part = (of_kernel(limited(believed, **CRITICAL | {"critical_safety_frac": f})) for f in (1.0, 0.5))
    assert part.current_a[0] == pytest.approx(0.5 * whole.current_a[0])


def test_a_leak_takes_from_the_limit_and_never_adds_to_it(believed):
    """0.1 A of leak: that much less discharge within an SOC limit, and no more charge."""
    flat = limited(believed, charge_max_a=100.0, discharge_max_a=100.0, window_min_v=0.0, window_max_v=6.0)
    limits = power.Power(flat)
    cell = ekf.Ekf(flat)
    for charging, leak_a, less_a in ((True, 0.1, 0.0), (True, -0.1, 0.1), (False, 0.1, 0.1), (False, -0.1, 0.0)):
        cell.reset(0.995 if charging else 0.005, 0.01)
        limits.limits(cell, charging, 25.0, 5.0)
        without = list(limits.current_a)
        cell.leak_a = leak_a
        limits.limits(cell, charging, 25.0, 5.0)
        assert [a - b for a, b in zip(without, limits.current_a, strict=True)] == pytest.approx([less_a] * 3)


@pytest.mark.parametrize(
    ("ask", "status"),
    [
        ((math.nan, 5.0), -3), ((math.inf, 5.0), -3), ((-41.0, 5.0), -3),
        ((25.0, math.nan), -4), ((25.0, -math.inf), -4), ((25.0, 401.0), -4),
    ],
)  # fmt: skip
def test_bad_input_is_refused_and_the_limits_stay(believed, ask, status):
    flat = limited(believed)
    cell, kernel = both(flat, (), 0.5)
    twin, face = power.Power(flat), Power(flat, "f64")
    twin.limits(cell, True, 25.0, 5.0)
    before = list(twin.current_a)
    assert twin.limits(cell, True, *ask) == status
    assert twin.current_a == before
    with pytest.raises(ValueError, match=STATUS_TEXT[status].split(" ")[0]):
        face.limits(kernel, True, *ask)


@pytest.mark.parametrize("name", ["soc", "v1_v", "v2_v", "hysteresis", "leak_a", "resistance_scale", "innovation_var"])
def test_a_state_that_is_none_is_refused(believed, name):
    flat = limited(believed)
    for value in (math.nan, math.inf, -math.inf):
        cell, kernel = both(flat, (), 0.5)
        setattr(cell, name, value)
        setattr(kernel.c_state, name, value)
        twin = power.Power(flat)
        assert twin.limits(cell, True, 25.0, 5.0) == power._BAD_PARAMETER
        assert twin.current_a == [0.0] * 3
        with pytest.raises(ValueError, match="not finite"):
            Power(flat, "f64").limits(kernel, True, 25.0, 5.0)


@pytest.mark.parametrize(
    "change",
    [
        {"charge_max_a": math.nan},
        {"charge_max_a": -1.0},
        {"soc_max_frac": 1.1},
        {"soc_min_frac": 0.5, "soc_max_frac": 0.4},
        {"window_min_v": 5.0},
        {"charge_full_degc": -80.0},
        {"hot_zero_degc": 50.0},
        {"contact_full_mpa": 13.0},
        {"pressed_zero_mpa": 12.0},
        {"critical_safety_frac": 1.5},
        {"plating_limit_a": [-1.0] * 96},
    ],
)
def test_senseless_parameters_are_refused(believed, change):
    flat = limited(believed, **change)
    for make in (power.Power, Power):
        with pytest.raises(ValueError, match=r"power|must|in order"):
            make(flat)
    with pytest.raises(ValueError, match="parameters"):
        Power(flat[:-1])


def test_the_places_in_the_twin_are_those_of_the_layout():
    at = 0
    for name, count in parameters.power_rows():
        assert getattr(power, "_" + name.upper()) == at
        at += count
    assert at == parameters.POWER_SIZE
    names = {value: name[1:].lower() for name, value in vars(power).items() if name[1:].lower() in power_face.BOUNDS}
    assert all(power_face.BOUNDS[value] == name for value, name in names.items())
    assert tuple(power_face.HORIZONS_S) == power.HORIZONS_S


def mutated(old: str, new: str) -> type:
    source = Path(power.__file__).read_text(encoding="utf-8")
    assert old in source, f"the mutation no longer fits: {old}"
    names: dict = {}
    exec(compile(source.replace(old, new, 1), "mutated_power", "exec"), names)
    return names["Power"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("warm = cold + parameters.PRESSURE_POINTS", "warm = cold"),
        ("turned = min(turned, 1.0)", "turned = 0.0"),
        ("return now_v + change_v if change_v > 0 else now_v", "return now_v"),
        ("self._extra_a = leak_a if leak_a > 0 else 0.0", "self._extra_a = leak_a"),
        ("self._d1, self._d2 = self._settles[k]", "self._d1, self._d2 = self._settles[0]"),
        ("p[at + _CRITICAL_SAFETY_FRAC] * self._bilinear(at + _P", "1.0 * self._bilinear(at + _P"),
        ("most = max(most, p[at + k])", "most = most + 0.0"),
    ],
)
def test_broken_twin_is_found_out(believed, old, new):
    """Each of 200 random states, with and without what lithium allows."""
    rng = random.Random(3)
    bumps = [1.0 + (k % 2) for k in range(129)]
    for number in range(200):
        flat = limited(
            believed, rc_factor=bumps, hysteresis_v=0.05, voltage_margin_sigmas=0.0, **CRITICAL if number % 2 else {}
        )
        cell, kernel = both(flat, [(rng.uniform(-2, 2), 5.0)], rng.random(), leak=number % 4 > 1)
        charging, ask = rng.random() < 0.5, (rng.uniform(10, 60), rng.uniform(3, 12))
        twin = mutated(old, new)(flat)
        twin.limits(cell, charging, *ask)
        theirs = Power(flat, "f64").limits(kernel, charging, *ask).current_a
        if any(
            not math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) for a, b in zip(twin.current_a, theirs, strict=True)
        ):
            return
    pytest.fail(f"nobody noticed: {new}")


VM_SCRIPT = """
import struct, sys
from assb.estimation.ekf import Ekf
from assb.estimation.power import Power
def floats(name):
    with open(name, 'rb') as f:
        data = f.read()
    return struct.unpack('<%dd' % (len(data) // 8), data)
params = floats(sys.argv[1])
rows = floats(sys.argv[2])
cell, power = Ekf(params), Power(params)
out = open('seen', 'wb')
for k in range(0, len(rows), 5):
    soc, current_a, degc, mpa, charging = rows[k:k + 5]
    cell.reset(soc, 0.05)
    assert cell.predict(current_a, degc, mpa, 20.0) == 0
    assert power.limits(cell, charging > 0, degc, mpa) == 0
    out.write(struct.pack('<6d', *(power.current_a + power.power_w)))
out.close()
"""


def test_twin_on_the_micropython_vm_equals_the_kernel(believed, micropython, tmp_path):
    flat = limited(believed, **CRITICAL)
    rng = random.Random(11)
    rows = [
        (rng.random(), rng.uniform(-1, 1), rng.uniform(5, 65), rng.uniform(2, 13), rng.choice((-1, 1)))
        for _ in range(60)
    ]
    (tmp_path / "twin.py").write_text(VM_SCRIPT)
    (tmp_path / "params").write_bytes(struct.pack(f"<{len(flat)}d", *flat))
    (tmp_path / "rows").write_bytes(struct.pack(f"<{5 * len(rows)}d", *(x for row in rows for x in row)))
    done = subprocess.run(
        [micropython, "-X", "heapsize=192K", "twin.py", "params", "rows"],
        cwd=tmp_path,
        env={"MICROPYPATH": str(Path(power.__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    on_vm = struct.unpack(f"<{6 * len(rows)}d", (tmp_path / "seen").read_bytes())
    here: list[float] = []
    for soc, current_a, degc, mpa, charging in rows:
        kernel = Estimator(flat, "f64")
        kernel.reset(soc, 0.05)
        assert kernel.predict(current_a, degc, mpa, 20.0) == 0
        limit = Power(flat, "f64").limits(kernel, charging > 0, degc, mpa)
        here += [*limit.current_a, *limit.power_w]
    assert all(math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12) for a, b in zip(on_vm, here, strict=True))


def test_an_aged_cell_is_full_sooner(believed):
    """Half of the capacity is left: what the SOC allows within a horizon is half, in both writings."""
    flat = limited(believed, window_max_v=5.9)
    limits = []
    for scale in (1.0, 0.5):
        twin_cell, kernel_cell = both(flat, (), 0.9999)
        twin_cell.capacity_scale = kernel_cell.c_state.capacity_scale = scale
        twin = power.Power(flat)
        assert twin.limits(twin_cell, True, 25.0, 5.0) == 0
        kernel = Power(flat, "f64").limits(kernel_cell, True, 25.0, 5.0)
        assert twin.current_a == pytest.approx(kernel.current_a, rel=1e-9)
        limits.append(kernel)
    assert [limit.bound[2] for limit in limits] == ["soc", "soc"]
    assert limits[1].current_a[2] == pytest.approx(0.5 * limits[0].current_a[2], rel=1e-6)


@pytest.mark.parametrize("scale", [0.0, -1.0, 1e-30, 1e30, math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("charging", [True, False])
def test_a_capacity_scale_that_no_learning_leaves_is_refused_and_becomes_no_index(believed, scale, charging):
    """Only somebody who writes into the state gets there: 30 s over no capacity, times no current, is no number."""
    flat = limited(believed, charge_max_a=0.0, discharge_max_a=0.0)
    twin = power.Power(flat)
    for precision in ("f64", "f32"):
        twin_cell, kernel_cell = ekf.Ekf(flat), Estimator(flat, precision)
        come_from((twin_cell, kernel_cell), (), 0.5)
        kernel_limits = Power(flat, precision)
        before = kernel_limits.limits(kernel_cell, charging, 25.0, 5.0)
        assert twin.limits(twin_cell, charging, 25.0, 5.0) == 0
        held = [*twin.current_a, *twin.power_w, *twin.voltage_v, *twin.bound]
        twin_cell.capacity_scale = kernel_cell.c_state.capacity_scale = scale
        with pytest.raises(ValueError, match=STATUS_TEXT[-6]):
            kernel_limits.limits(kernel_cell, charging, 25.0, 5.0)
        assert tuple(kernel_limits._limit.current_a) == before.current_a
        assert twin.limits(twin_cell, charging, 25.0, 5.0) == power._BAD_PARAMETER
        assert [*twin.current_a, *twin.power_w, *twin.voltage_v, *twin.bound] == held
