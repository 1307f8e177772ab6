"""What the estimator promises: refused inputs, bounds, honest uncertainty, and leaks found without false ones."""

import math
import random
import struct
from array import array
from dataclasses import replace

import pytest
from assb.estimation import ekf, flat_layout, parameters
from assb_kernels import STATUS_TEXT, ActuatorParams, Estimator, Pack, Stack
from cases import so_many
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

GOOD = {"voltage_v": 3.8, "current_a": 0.3, "temperature_degc": 25.0, "pressure_mpa": 5.0, "dt_s": 0.1}
TICK_S = 0.1


@pytest.fixture
def flat(believed) -> list[float]:
    return flat_layout.pack(believed)


@pytest.fixture(params=["f32", "f64", "twin"])
def estimator(request, flat):
    made = ekf.Ekf(flat) if request.param == "twin" else Estimator(flat, request.param)
    made.reset(0.5, 0.05)
    return made


def snapshot(estimator) -> list[float]:
    scalars = [estimator.soc, estimator.v1_v, estimator.v2_v, estimator.hysteresis, estimator.leak_a]
    seen = [estimator.r0_ohm, estimator.innovation_v, estimator.innovation_sigma_v]
    return scalars + seen + [x for row in estimator.covariance() for x in row]


@pytest.mark.parametrize(
    ("name", "values", "status"),
    [
        ("voltage_v", (math.nan, math.inf, -math.inf, -0.1, 6.1), ekf._BAD_VOLTAGE),
        ("current_a", (math.nan, math.inf, -math.inf, 10.1, -10.1), ekf._BAD_CURRENT),
        ("temperature_degc", (math.nan, math.inf, -41.0, 121.0), ekf._BAD_TEMPERATURE),
        ("pressure_mpa", (math.nan, math.inf, -1.1, 401.0), ekf._BAD_PRESSURE),
        ("dt_s", (math.nan, math.inf, 0.0, -0.1, 60.1), ekf._BAD_DT),
    ],
)
def test_bad_input_returns_its_status_and_leaves_the_state_untouched(estimator, name, values, status):
    assert estimator.step(**GOOD) == 0
    before = snapshot(estimator)
    for value in values:
        assert estimator.step(**GOOD | {name: value}) == status
        assert status in STATUS_TEXT
        assert snapshot(estimator) == before


@pytest.mark.parametrize(
    "change",
    [
        {"capacity_ah": 0.0},
        {"tau1_s": -1.0},
        {"voltage_sigma_v": math.nan},
        {"r0_temperature_degc": [5.0] * 12},
        {"r0_pressure_mpa": [8.0, 7, 6, 5, 4, 3, 2, 1]},
    ],
)
def test_senseless_parameters_are_refused(believed, change):
    flat = flat_layout.pack(believed | change)
    for make in (ekf.Ekf, Estimator):
        with pytest.raises(ValueError, match=r"estimator parameter|must"):
            make(flat)


def test_wrong_count_and_wrong_names_are_named(believed, flat):
    for make in (ekf.Ekf, Estimator):
        with pytest.raises(ValueError, match=str(parameters.SIZE)):
            make(flat[:-1])
    with pytest.raises(KeyError, match="tau1_sec"):
        flat_layout.pack(believed | {"tau1_sec": 1.0})
    with pytest.raises(KeyError, match="missing: tau1_s"):
        flat_layout.pack({name: value for name, value in believed.items() if name != "tau1_s"})
    with pytest.raises(ValueError, match="r1_ohm has 2 values, needs 12"):
        flat_layout.pack(believed | {"r1_ohm": [1.0, 2.0]})


def test_reset_refuses_a_soc_that_is_none(flat):
    assert ekf.Ekf(flat).reset(1.1, 0.1) == ekf._BAD_SOC
    with pytest.raises(ValueError, match="SOC"):
        Estimator(flat).reset(0.5, math.nan)


@settings(max_examples=so_many(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32), precision=st.sampled_from(["f32", "f64"]))
def test_soc_stays_in_bounds_and_the_covariance_positive(flat, seed, precision):
    np = pytest.importorskip("numpy")
    rng = random.Random(seed)
    estimator = Estimator(flat, precision)
    estimator.reset(rng.random(), rng.choice((1e-3, 0.1, 1.0)))
    for _ in range(120):
        dt_s = rng.choice((0.01, 0.1, 10.0, 60.0))
        voltage_v = rng.choice((rng.uniform(0, 6), rng.uniform(3.4, 4.2)))
        assert estimator.step(voltage_v, rng.uniform(-10, 10), rng.uniform(-40, 120), rng.uniform(-1, 100), dt_s) == 0
        assert 0.0 <= estimator.soc <= 1.0
        assert -1.0 <= estimator.hysteresis <= 1.0
        covariance = np.array(estimator.covariance())
        assert np.isfinite(covariance).all()
        assert (covariance == covariance.T).all()
        sigma = np.sqrt(np.diag(covariance))
        # of the correlations, so that the scales of the states do not matter; f32 rounding is 6e-8 per operation
        assert np.linalg.eigvalsh(covariance / np.outer(sigma, sigma)).min() > (-1e-4 if precision == "f32" else -1e-9)


def test_one_minus_exp_is_that_to_1e_9():
    for k in range(2000):
        x = 1e-6 * 1.0098**k
        assert abs(ekf.one_minus_exp(x) + math.expm1(-x)) < 1e-9
    assert ekf.one_minus_exp(0.0) == 0.0


def test_float32_loses_no_charge(believed):
    """Without compensation an increment below 3e-8 of SOC vanishes: 1 mA into 5 Ah at 100 Hz is 5.6e-10."""
    estimator = Estimator(flat_layout.pack(believed | {"capacity_ah": 5.0}), "f32")
    estimator.reset(0.75, 0.01)
    for _ in range(100_000):
        estimator.predict(0.001, 25.0, 5.0, 0.01)
    assert estimator.soc - 0.75 == pytest.approx(0.001 * 1000 / (3600 * 5.0), rel=1e-3)


def test_batch_equals_steps(flat):
    rng = random.Random(5)
    rows = [(rng.uniform(3.6, 3.9), rng.uniform(-1, 1), 25.0, 5.0, 0.1) for _ in range(200)]
    rows[50] = (math.nan, 0.0, 25.0, 5.0, 0.1)
    one, many = Estimator(flat, "f32"), Estimator(flat, "f32")
    for estimator in (one, many):
        estimator.reset(0.4, 0.1)
    status = [one.step(*row) for row in rows]
    columns = [array("f", column) for column in zip(*rows, strict=True)]
    out = many.run(*columns, results=("soc", "status"))
    assert list(out["status"]) == status
    assert status[50] == ekf._BAD_VOLTAGE
    assert one.state_bytes() == many.state_bytes()
    assert out["soc"][-1] == one.soc
    with pytest.raises(ValueError, match="199 values"):
        many.run(columns[0], columns[1][:-1], 25.0, 5.0, 0.1)
    with pytest.raises(ValueError, match="unknown result sock"):
        many.run(*columns, results=("sock",))


def test_restored_state_goes_on_exactly(flat):
    first, second = Estimator(flat), Estimator(flat)
    first.reset(0.3, 0.1)
    first.step(**GOOD)
    second.restore(first.state_bytes())
    assert first.step(**GOOD) == second.step(**GOOD) == 0
    assert first.state_bytes() == second.state_bytes()
    with pytest.raises(ValueError, match="bytes"):
        second.restore(b"short")
    before = second.state_bytes()
    for spoilt in (math.nan, 1.5, -0.1):
        with pytest.raises(ValueError, match="a saved state is none"):
            second.restore(struct.pack("f", spoilt) + before[4:])
    assert second.state_bytes() == before


def test_rested_soc_inverts_the_ocv(believed, flat):
    for estimator in (ekf.Ekf(flat), Estimator(flat, "f64")):
        for k in (0, 17, 64, 128):
            assert estimator.rested_soc(believed["ocv_v"][k], 25.0) == pytest.approx(k / 128, abs=1e-12)
        assert estimator.rested_soc(2.0, 25.0) == 0.0
        assert estimator.rested_soc(5.0, 25.0) == 1.0


PISTON = Stack(actuator=ActuatorParams(kind="pneumatic", piston_um_per_s_mpa=5.0, piston_friction_mpa=0.1))


def watch(cell_params, flat, *, load_a, short_s, seconds, resistance=1.0, gain=1.0, soc_error=0.02, **options):
    """The cell under a load (number or function of time) with a short (function of time); its log, the estimate's."""
    factors = {name: getattr(cell_params, name) * resistance for name in ("se_ohm_cm2", "contact_ohm_cm2")}
    pack = Pack([replace(cell_params, **factors)], [PISTON], soc=0.3)
    times = [k * TICK_S for k in range(int(seconds / TICK_S))]
    current = array("d", [load_a(t) if callable(load_a) else load_a for t in times])
    short = array("d", [short_s(t) for t in times])
    truth = pack.run(
        current, TICK_S, short_s=[short], results=("voltage_v", "soc", "temperature_degc", "pressure_mpa", "short_a")
    )
    noise = random.Random(options.get("seed", 1))
    measured = array("f", [v + noise.gauss(0, 0.001) for v in truth["voltage_v"]])
    estimator = Estimator(flat, options.get("precision", "f32"))
    estimator.reset(0.3 + soc_error, 0.05)
    felt = array("f", [gain * i for i in current])
    out = estimator.run(measured, felt, truth["temperature_degc"], truth["pressure_mpa"], TICK_S)
    assert not any(out["status"])
    return truth, out


def drive(t: float) -> float:
    return 0.6 * math.sin(t / 7) + 0.3 * math.sin(t / 1.3) + 0.05


def healthy(_t: float) -> float:
    return 0.0


@pytest.mark.parametrize("load_a", [0.3, -0.3, 0.0, drive])
def test_soft_short_of_10_ohm_is_known_within_a_minute(cell_params, flat, load_a):
    truth, out = watch(cell_params, flat, load_a=load_a, short_s=lambda t: 0.1 * (t >= 300), seconds=400)
    at = int(360 / TICK_S)
    assert out["leak_a"][at] == pytest.approx(truth["short_a"][at], rel=0.25)
    assert out["leak_a"][at] > 5 * math.sqrt(out["leak_var"][at])


def test_short_that_grows_over_five_minutes_is_followed(cell_params, flat):
    def grows(t):
        return 0.1 * min(max((t - 300) / 300, 0), 1)

    truth, out = watch(cell_params, flat, load_a=0.3, short_s=grows, seconds=1000)
    seen = next(k for k in range(3000, 10000) if out["leak_a"][k] > 5 * math.sqrt(out["leak_var"][k]))
    assert truth["short_a"][seen] < 0.2
    assert out["leak_a"][-1] == pytest.approx(truth["short_a"][-1], rel=0.1)


@pytest.mark.parametrize("load_a", [0.3, -0.3, 0.6, 0.0, drive])
@pytest.mark.parametrize(("resistance", "gain"), [(1.0, 1.002), (1.05, 0.998), (0.95, 1.0)])
def test_healthy_cell_shows_no_leak(cell_params, flat, load_a, resistance, gain):
    """0.2 % of current gain and 5 % of resistance wrong, 20 minutes: never 3 sigma of leak once settled."""
    _truth, out = watch(
        cell_params, flat, load_a=load_a, short_s=healthy, seconds=1200, resistance=resistance, gain=gain
    )
    worst = max(leak / math.sqrt(var) for leak, var in zip(out["leak_a"][600:], out["leak_var"][600:], strict=True))
    assert worst < 3.0


@pytest.mark.parametrize("soc_error", [-0.2, 0.2])
def test_wrong_start_is_forgotten_without_a_false_leak(cell_params, flat, soc_error):
    truth, out = watch(cell_params, flat, load_a=0.3, short_s=healthy, seconds=900, soc_error=soc_error)
    assert abs(out["soc"][600] - truth["soc"][600]) < 0.03
    assert max(abs(a) / math.sqrt(v) for a, v in zip(out["leak_a"][600:], out["leak_var"][600:], strict=True)) < 3.0


def pressed(cell_params, flat, later_mpa: float) -> Estimator:
    """Ten minutes of C/2, the drive pressure 3 MPa for the first five."""
    pack = Pack([cell_params], [PISTON], soc=0.4, pressure_mpa=3.0)
    estimator = Estimator(flat)
    estimator.reset(0.4, 0.01)
    for k in range(6000):
        pack.step(0.3, TICK_S, aim_mpa=[3.0 if k < 3000 else later_mpa])
        degc, mpa = pack.cells[0].temperature_degc, pack.stacks[0].pressure_mpa
        estimator.step(pack.voltage_v, 0.3, degc, mpa, TICK_S)
    assert pack.stacks[0].pressure_mpa == pytest.approx(later_mpa, abs=0.2)
    return estimator


def test_pressure_step_is_no_leak(cell_params, flat):
    """Pressing from 3 to 6 MPa lowers R0 by a fifth; the filter reads the pressure, so neither SOC nor leak moves."""
    steady, stepped = (pressed(cell_params, flat, mpa) for mpa in (3.0, 6.0))
    assert stepped.r0_ohm < 0.85 * steady.r0_ohm
    assert stepped.soc == pytest.approx(steady.soc, abs=0.002)
    assert abs(stepped.leak_a - steady.leak_a) < steady.leak_sigma_a


def test_one_outlier_moves_nothing(estimator):
    for _ in range(300):
        estimator.step(**GOOD | {"current_a": 0.0, "voltage_v": 3.8})
    soc, leak_a = estimator.soc, estimator.leak_a
    estimator.step(**GOOD | {"current_a": 0.0, "voltage_v": 3.3})
    assert estimator.soc == pytest.approx(soc, abs=1e-4)
    assert estimator.leak_a == pytest.approx(leak_a, abs=1e-4)


def test_f32_stays_beside_f64_for_an_hour_of_driving(cell_params, flat):
    """The bound that the documentation states: 1e-3 of SOC and 2 mA of leak, with a short on the way."""
    logs = [
        watch(cell_params, flat, load_a=drive, short_s=lambda t: 0.02 * (t > 1800), seconds=3600, precision=precision)[
            1
        ]
        for precision in ("f32", "f64")
    ]
    for name, bound in (("soc", 1e-3), ("leak_a", 2e-3)):
        assert max(abs(a - b) for a, b in zip(logs[0][name], logs[1][name], strict=True)) < bound


def test_lost_voltage_sensor_lets_the_uncertainty_grow(estimator):
    for _ in range(100):
        estimator.step(**GOOD)
    sigma, soc = estimator.soc_sigma, estimator.soc
    for _ in range(360):
        assert estimator.predict(0.0, 25.0, 5.0, 10.0) == 0
    assert estimator.soc_sigma > 1.5 * sigma
    assert abs(estimator.soc - soc) < 0.1


@pytest.mark.parametrize(
    "change",
    [
        {"capacity_ah": 1e-9},
        {"voltage_sigma_v": 1e30},
        {"rc_sigma_v": 1e25},
        {"overvoltage_sigma_frac": 20.0},
        {"r1_ohm": [1e30] * 12},
        {"entropy_v_per_k": 3e37},
        {"soc_noise_frac_per_rts": math.inf},
        {"ocv_v": [-1e7] + [3.0 + k / 128 for k in range(128)]},
    ],
)
def test_parameters_whose_squares_overflow_are_refused(believed, change):
    flat = flat_layout.pack(believed | change)
    for make in (ekf.Ekf, Estimator, lambda given: Estimator(given, "f64")):
        with pytest.raises(ValueError, match=r"estimator parameter|must"):
            make(flat)


@pytest.mark.parametrize(
    ("name", "value"),
    [("hysteresis", 1e30), ("leak_a", 1e30), ("resistance_scale", 1e30), ("capacity_scale", 1e-30), ("soc", math.nan)],
)
def test_a_state_that_no_step_leaves_is_not_restored(flat, name, value):
    spoilt, sound = Estimator(flat), Estimator(flat)
    setattr(spoilt.c_state, name, value)
    before = sound.state_bytes()
    with pytest.raises(ValueError, match="a saved state is none"):
        sound.restore(spoilt.state_bytes())
    assert sound.state_bytes() == before


@pytest.mark.parametrize(("name", "value"), [("soc", math.nan), ("soc", -0.1), ("soc", 1.1), ("leak_a", math.inf)])
def test_a_spoilt_state_is_refused_and_becomes_no_index(flat, name, value):
    """Only somebody who writes into the state gets there."""
    for precision in ("f32", "f64"):
        estimator = Estimator(flat, precision)
        setattr(estimator.c_state, name, value)
        before = estimator.state_bytes()
        assert estimator.step(**GOOD) == estimator.predict(0.1, 25.0, 5.0, 0.1) == ekf._BAD_SOC
        assert estimator.state_bytes() == before


def test_a_cell_that_may_not_have_rested_takes_its_first_voltage_with_care(flat):
    """20 mV are left to relax: taken for OCV they are an error of SOC, doubted they are mostly not."""
    errors = []
    for doubt_v in (0.0, 0.05):
        estimator = Estimator(flat)
        estimator.reset(0.5, 0.1)
        rested_v = next(v / 1000 for v in range(3400, 4200) if estimator.rested_soc(v / 1000, 25.0) >= 0.5)
        estimator.doubt_relaxed(doubt_v, doubt_v)
        for _ in range(20):
            estimator.step(rested_v + 0.02, 0.0, 25.0, 5.0, 0.1)
        errors.append(abs(estimator.soc - 0.5) / estimator.soc_sigma)
    assert errors[1] < 0.5 < errors[0]


def test_rows_of_a_matrix_are_taken_one_after_the_other_or_refused(flat):
    np = pytest.importorskip("numpy")
    one, other = Estimator(flat, "f64"), Estimator(flat, "f64")
    volts = np.linspace(3.7, 3.8, 12).reshape(3, 4)
    one.run(volts, 0.1, 25.0, 5.0, 1.0)
    other.run(volts.ravel(), 0.1, 25.0, 5.0, 1.0)
    assert one.state_bytes() == other.state_bytes()
    with pytest.raises(ValueError, match="2 dimensions"):
        one.run(volts.T, 0.1, 25.0, 5.0, 1.0)
