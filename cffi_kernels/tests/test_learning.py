"""What learning promises: bounds, honest sigmas, no NaN, refused inputs, and a restart that goes on exactly."""

import math
import random
from array import array
from itertools import pairwise

import pytest
from assb.estimation import ekf, flat_layout, parameters
from assb.estimation import learning as twin_module
from assb_kernels import LEARNED, LEARNED_SIZE, MISSING_TEXT, Estimator, Learning
from assb_kernels._kernels import ffi, lib
from cases import so_many
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

GOOD = {"voltage_v": 3.8, "current_a": 0.3, "temperature_degc": 25.0, "pressure_mpa": 5.0, "dt_s": 0.1}


@pytest.fixture
def flat(believed) -> list[float]:
    return flat_layout.pack(believed)


def made(flat, precision: str = "f32") -> Learning:
    learning = Learning(Estimator(flat, precision))
    learning.estimator.reset(0.5, 0.05)
    return learning


anything = st.floats() | st.floats(-10.0, 10.0) | st.sampled_from([0.0, math.nan, math.inf, -math.inf, 1e30, 1e-30])


@settings(max_examples=so_many(300), deadline=None, suppress_health_check=list(HealthCheck))
@given(
    rows=st.lists(
        st.tuples(
            anything | st.floats(3.2, 4.3), anything, anything | st.floats(0.0, 60.0), anything,
            st.sampled_from([0.1, 1.0, 59.0]) | anything, st.integers(1, 60),
        ),
        min_size=1, max_size=10,
    ),
    precision=st.sampled_from(["f32", "f64"]),
)  # fmt: skip
def test_no_input_makes_a_nan_a_scale_out_of_bounds_or_a_sigma_that_is_none(believed, rows, precision):
    learning = made(
        flat_layout.pack(believed | {"rest_min_s": 20.0, "rest_full_s": 30.0, "height_sigma_um": 1.0}), precision
    )
    for *given_row, length in rows:
        row = [lib_real(precision, value) for value in given_row]
        for _ in range(length):
            learning.step(*row)
            learning.height_step(row[3], row[0])
        assert all(math.isfinite(value) for value in learning.numbers())
        assert 0.3 - 1e-6 <= learning.resistance_scale <= 5.0 and 0.3 - 1e-6 <= learning.capacity_scale <= 1.3 + 1e-6
        assert learning.resistance_sigma > 0 and learning.capacity_sigma > 0 and learning.soc_sigma > 0
        assert learning.soh_resistance_sigma > 0
        assert learning.resistance_missing in MISSING_TEXT and learning.capacity_missing in MISSING_TEXT


def lib_real(precision: str, value: float) -> float:
    """As cffi can pass it: a double beyond single precision is infinite there."""
    if precision == "f32" and math.isfinite(value) and abs(value) > 3.4e38:
        return math.copysign(math.inf, value)
    return value


@pytest.mark.parametrize(
    "bad",
    [{"voltage_v": math.nan}, {"current_a": 1e3}, {"temperature_degc": math.inf}, {"pressure_mpa": -9.0}, {"dt_s": 0}],
)
@pytest.mark.parametrize("precision", ["f32", "f64"])
def test_bad_input_leaves_all_untouched(flat, bad, precision):
    learning = made(flat, precision)
    assert learning.step(**GOOD) == 0
    before = learning.state_bytes(), learning.estimator.state_bytes()
    assert learning.step(**GOOD | bad) < 0
    assert (learning.state_bytes(), learning.estimator.state_bytes()) == before


@pytest.mark.parametrize(
    "change",
    [
        {"rest_min_s": 0.0},
        {"pair_min_frac": -0.1},
        {"capacity_scale_max": 0.9},
        {"resistance_scale_min": 1.1},
        {"swelling_um": 0.0},
        {"rest_full_s": 100.0},
    ],
)
def test_senseless_parameters_are_refused(believed, change):
    flat = flat_layout.pack(believed | change)
    with pytest.raises(ValueError, match="learning parameters"):
        Learning(Estimator(flat))
    with pytest.raises(ValueError, match=r"learning parameter \d+ must|bounds must have 1|rest_full_s"):
        twin_module.Learning(flat, ekf.Ekf(flat))


def pulses(learning: Learning, true_scale: float, count: int, seed: int = 1) -> None:
    """A cell that is the believed one but for its resistances, at SOC 0.5 and 25 degC, under random pulses."""
    noise, dt_s, tau_s = random.Random(seed), 0.1, 2.2
    flat = learning.estimator.flat
    fresh = Estimator(flat, "f64")
    fresh.reset(0.5, 0.1)
    fresh.step(**GOOD)
    ocv_v, ohm, r1_ohm = flat[parameters.offset("ocv_v") + 64], fresh.r0_ohm * true_scale, 0.010 * true_scale
    v1 = amperes = 0.0
    for k in range(count):
        if k % 20 == 0:
            amperes = 0.0 if amperes else noise.choice((-0.6, 0.6, 0.3, -0.3))
        v1 += (1 - math.exp(-dt_s / tau_s)) * (r1_ohm * amperes - v1)
        learning.step(ocv_v + v1 + ohm * amperes + noise.gauss(0, 0.001), amperes, 25.0, 5.0, dt_s)


@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize("true_scale", [0.6, 0.9, 1.0, 1.15, 1.6])
def test_a_scale_is_found_within_its_sigma(believed, precision, true_scale):
    learning = made(flat_layout.pack(believed | {"capacity_ah": 60.0, "step_min_c": 1e-4}), precision)
    pulses(learning, true_scale, 20_000)
    assert learning.resistance_scale == pytest.approx(true_scale, abs=0.015)
    assert abs(learning.resistance_scale - true_scale) < 2 * learning.resistance_sigma
    assert learning.resistance_missing == lib.ASSB_LEARNT
    assert learning.estimator.resistance_scale == learning.resistance_scale


def test_one_step_moves_the_scale_by_five_percent_at_most(flat):
    learning = made(flat, "f64")
    learning.step(**GOOD | {"current_a": 0.0})
    learning.step(**GOOD | {"current_a": 0.6, "voltage_v": 4.3})
    assert 1.0 < learning.resistance_scale <= 1.05 + 1e-12
    assert learning.resistance_sigma > 0.13  # and it does not count as evidence of more than it moved


@pytest.mark.parametrize(
    ("first", "then", "why"),
    [
        ({}, {"current_a": 0.31}, lib.ASSB_NO_CHANCE),
        ({}, {"current_a": -0.3, "dt_s": 20.0}, lib.ASSB_TOO_SLOW),
        ({}, {"current_a": -0.3, "pressure_mpa": 6.0}, lib.ASSB_UNSTEADY),
        ({}, {"current_a": -0.3, "temperature_degc": 27.0}, lib.ASSB_UNSTEADY),
        ({}, {"current_a": -0.3}, lib.ASSB_LEARNT),
    ],
)
def test_a_step_that_may_not_teach_says_why(flat, first, then, why):
    learning = made(flat)
    learning.step(**GOOD | first)
    learning.step(**GOOD | then)
    assert learning.resistance_missing == why
    assert (learning.resistance_steps == 1) == (why == lib.ASSB_LEARNT)


def fill(learning: Learning, rng: random.Random, true: float, pairs: int, x_sigma: float, y_sigma: float) -> None:
    """Pairs straight into the sums of the twin."""
    for _ in range(pairs):
        span = rng.uniform(0.3, 1.0) * rng.choice((-1, 1))
        x, y = span + rng.gauss(0, x_sigma), true * span + rng.gauss(0, y_sigma)
        learning._take_pair(x, x_sigma**2, y, y_sigma**2)


def cost(sums: list[float], capacity: float) -> float:
    c1, c2, c3, c4, c5, c6 = sums
    k = c1 / c4
    top = k * k * (c4 * capacity**4 - 2 * c5 * capacity**3 + c6 * capacity**2) + c1 * capacity**2 - 2 * c2 * capacity
    return (top + c3) / (1 + k * capacity**2) ** 2


@pytest.mark.parametrize(("x_sigma", "y_sigma"), [(0.02, 0.002), (0.01, 0.01), (0.002, 0.02)])
@pytest.mark.parametrize("true", [0.75, 0.9, 1.0, 1.05])
def test_the_capacity_minimises_the_awtls_cost_and_is_not_biased(flat, true, x_sigma, y_sigma):
    errors, scaled = [], []
    for seed in range(60):
        learning = twin_module.Learning(flat, ekf.Ekf(flat))
        fill(learning, random.Random(seed), true, 30, x_sigma, y_sigma)
        (found, sigma, pairs, _missing), _resistance = learning.soh()
        sums = learning._s[4:10]
        assert cost(sums, found) <= min(cost(sums, found + d) for d in (-1e-3, -1e-4, 1e-4, 1e-3))
        assert pairs >= 29  # where the first is beyond 5 sigma of the prior it is an outlier
        errors.append(found - true)
        scaled.append((found - true) / sigma)
    pull = (1 - true) / (0.05**2 * learning._s[10])  # of the prior, which has not faded
    assert min(pull, 0) - 0.0025 < sum(errors) / 60 < max(pull, 0) + 0.0025
    assert max(map(abs, scaled)) < 3


def test_noise_in_soc_alone_does_not_shrink_the_capacity(believed):
    """Least squares of charge over SOC would: by var(x noise) / var(x), here 4 %."""
    flat = flat_layout.pack(believed | {"capacity_prior_sigma_frac": 1.0})
    found, plain = [], []
    for seed in range(40):
        learning = twin_module.Learning(flat, ekf.Ekf(flat))
        fill(learning, random.Random(seed), 0.9, 60, 0.14, 0.002)
        found.append(learning._s[3])
        plain.append(learning._s[5] / learning._s[4])
    assert sum(plain) / 40 < 0.88
    assert sum(found) / 40 == pytest.approx(0.9, abs=0.01)


def test_one_contradicting_pair_is_not_believed_and_many_are(flat):
    learning = twin_module.Learning(flat, ekf.Ekf(flat))
    fill(learning, random.Random(1), 1.0, 10, 0.01, 0.002)
    before = learning._s[3]
    assert learning._take_pair(0.8, 1e-4, 0.5, 1e-6) == twin_module._OUTLIER
    assert learning._s[3] == before
    for _ in range(20):
        learning._take_pair(0.8, 1e-4, 0.5, 1e-6)
    assert learning._s[3] == pytest.approx(0.625, abs=0.01)


def test_what_is_not_learned_again_is_known_less_well_with_every_cycle(flat):
    learning = made(flat, "f64")
    sigmas = []
    for _cycle in range(4):
        for current_a in (0.6, -0.6):
            for _ in range(70):
                learning.estimator.predict(current_a, 25.0, 5.0, 50.0)
                learning.step(3.8, current_a, 25.0, 5.0, 50.0)
        sigmas.append(learning.capacity_sigma)
    assert all(later > sooner > 0.05 for sooner, later in pairwise(sigmas))


@pytest.mark.parametrize("precision", ["f32", "f64"])
def test_a_restart_from_the_whole_state_goes_on_exactly(flat, precision):
    first = made(flat, precision)
    pulses(first, 1.2, 500)
    second = Learning(Estimator(flat, precision))
    second.estimator.restore(first.estimator.state_bytes())
    second.restore_state(first.state_bytes())
    pulses(first, 1.2, 300, seed=2)
    pulses(second, 1.2, 300, seed=2)
    assert first.state_bytes() == second.state_bytes()
    assert first.estimator.state_bytes() == second.estimator.state_bytes()
    with pytest.raises(ValueError, match="bytes"):
        second.restore_state(b"short")


def test_what_was_learned_outlives_a_power_cycle_to_the_bit(flat):
    first = made(flat, "f32")
    pulses(first, 1.2, 500)
    second = made(flat, "f32")
    second.restore(first.export())
    assert second.export().tobytes() == first.export().tobytes()
    assert second.resistance_scale == first.resistance_scale
    assert second.capacity_sigma == first.capacity_sigma
    twin = twin_module.Learning(flat, ekf.Ekf(flat))
    assert twin.restore(first.export())
    assert twin.export().tobytes() == first.export().tobytes()
    assert len(twin.export()) == LEARNED_SIZE == len(LEARNED)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("resistance_scale", math.nan),
        ("resistance_scale", 0.2),
        ("resistance_scale", 5.1),
        ("resistance_var", 0.0),
        ("resistance_var", 1.0),
        ("resistance_steps", -1.0),
        ("capacity_scale", 1.4),
        ("capacity_scale", math.inf),
        ("c4", 0.0),
        ("information", -1.0),
        ("cycles", math.nan),
    ],
)
def test_senseless_saved_values_are_refused_and_change_nothing(flat, name, value):
    learning, twin = made(flat), twin_module.Learning(flat, ekf.Ekf(flat))
    pulses(learning, 1.2, 300)
    saved = list(learning.export())
    saved[LEARNED.index(name)] = value
    before, twin_before = learning.state_bytes(), list(twin._s)
    with pytest.raises(ValueError, match="restored learning"):
        learning.restore(saved)
    assert not twin.restore(array("f", saved))
    assert not twin.restore(saved[:-1])
    with pytest.raises(ValueError, match="14 values, got 13"):
        learning.restore(saved[:-1])
    assert learning.state_bytes() == before and twin._s == twin_before


def test_lost_charge_forgets_the_anchor_alone(flat):
    learning, twin = made(flat), twin_module.Learning(flat, ekf.Ekf(flat))
    pulses(learning, 1.2, 300)
    before = learning.export()
    learning.lose()
    twin._s[twin_module._ANCHOR_KNOWN] = 1.0
    twin.lose()
    assert learning.export() == before
    assert twin._s[twin_module._ANCHOR_KNOWN] == 0.0


def test_the_square_root_is_that_in_both_precisions():
    for k in range(-60, 40):
        x = 1.37 * 2.0**k
        assert lib.assb_est_f64_square_root(x) == pytest.approx(math.sqrt(min(x, 1e12)), rel=1e-12)
        assert lib.assb_est_f32_square_root(x) == pytest.approx(math.sqrt(min(x, 1e12)), rel=3e-7)
        assert twin_module.square_root(x) == lib.assb_est_f64_square_root(x)
    assert lib.assb_est_f64_square_root(0.0) == lib.assb_est_f64_square_root(-1.0) == twin_module.square_root(-1.0) == 0
    assert lib.assb_est_f64_square_root(math.nan) == twin_module.square_root(math.nan) == 0
    assert lib.assb_est_f64_square_root(math.inf) == twin_module.square_root(math.inf) == pytest.approx(1e6)


def test_learning_parameters_are_one_group_of_the_flat_layout():
    rows = list(parameters.learning_rows())
    assert [name for name, _ in rows] == [name for name, _ in ffi.typeof("assb_est_f64_learning_params").fields]
    assert sum(count for _, count in rows) == parameters.LEARNING_SIZE


@pytest.mark.parametrize("precision", ["f32", "f64", "twin"])
def test_an_observed_soc_corrects_as_a_scalar_filter_does(flat, precision):
    estimator = ekf.Ekf(flat) if precision == "twin" else Estimator(flat, precision)
    estimator.reset(0.5, 0.1)
    assert estimator.observe_soc(0.6, 0.1) == 0
    assert estimator.soc == pytest.approx(0.55) and estimator.soc_sigma == pytest.approx(0.1 / math.sqrt(2), rel=1e-5)
    before = [estimator.soc, estimator.covariance()]
    for bad in ((math.nan, 0.1), (1.1, 0.1), (0.5, 0.0), (0.5, math.nan), (-0.1, 0.1)):
        assert estimator.observe_soc(*bad) == ekf._BAD_SOC
    assert [estimator.soc, estimator.covariance()] == before


def height_of(learning: Learning, soc: float, mpa: float = 5.0) -> float:
    """Gap at which a stack of this SOC stands at a pressure, um."""
    return 250.0 * soc - mpa / 0.05


def anchored(believed, **changes) -> Learning:
    """Half an hour of rest at SOC 0.5 with the height known, then charge that nobody's voltage sees."""
    given = {"height_sigma_um": 1.0, "swelling_um": 250.0, "stack_stiffness_mpa_per_um": 0.05, "capacity_ah": 6.0}
    flat = flat_layout.pack(believed | given | changes)
    learning = Learning(Estimator(flat, "f64"))
    learning.estimator.reset(0.5, 0.02)
    for _ in range(1900):
        assert learning.step(flat[parameters.offset("ocv_v") + 64], 0.0, 25.0, 5.0, 1.0) == 0
        assert learning.height_step(5.0, height_of(learning, 0.5)) == 0
    return learning


def test_height_tells_soc_where_the_filter_has_lost_it_and_says_nothing_where_it_knows_better(believed):
    learning = anchored(believed)
    assert learning.height_step(4.0, height_of(learning, 0.6, 4.0)) == 0  # the filter's sigma is below the height's
    learning.estimator.reset(0.3, 0.2)
    assert learning.height_step(4.0, height_of(learning, 0.6, 4.0)) == 1
    assert abs(learning.estimator.soc - 0.6) < 3 * learning.estimator.soc_sigma
    assert 0.005 < learning.estimator.soc_sigma < 0.03
    assert learning.height_step(4.0, height_of(learning, 0.6, 4.0)) in (0, 1)
    for bad in ((math.nan, 0.0), (5.0, math.inf), (1e4, 0.0), (5.0, 1e7)):
        assert learning.height_step(*bad) == lib.ASSB_BAD_PRESSURE


def test_height_is_off_by_default_and_forgotten_with_its_anchor(believed):
    learning = anchored(believed, height_sigma_um=0.0)
    learning.estimator.reset(0.3, 0.2)
    assert learning.height_step(5.0, height_of(learning, 0.6)) == 0
    learning = anchored(believed)
    learning.lose()
    learning.estimator.reset(0.3, 0.2)
    assert learning.height_step(5.0, height_of(learning, 0.6)) == 0 and learning.estimator.soc == 0.3
