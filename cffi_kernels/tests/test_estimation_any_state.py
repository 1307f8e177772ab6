"""Filter, learning, power limits and height: kernel and twin agree from any state and exactly on every threshold."""

import math
from typing import Any

import pytest
from any_state import Draw, constants, pursue
from assb.estimation import believed_cell, ekf, flat_layout, learning, parameters, power, pressure_soc
from assb_kernels import Estimator, Learning, Power
from assb_kernels._kernels import ffi, lib

RELATIVE = 1e-9
THRESHOLDS = constants((believed_cell, ekf, learning, power, pressure_soc))
SHARED = (
    "soc", "soc_residual", "v1_v", "v2_v", "hysteresis", "leak_a", "nis_mean", "resistance_scale", "capacity_scale",
    "r0_ohm", "innovation_v", "innovation_var",
)  # fmt: skip
PAIRS = [(i, j) for i in range(5) for j in range(i, 5)]


@pytest.fixture(scope="module")
def dyadic(believed: dict) -> list[float]:
    """A cell whose numbers are sums of few powers of two."""
    return flat_layout.pack(believed | {
        "capacity_ah": 1.0, "ocv_v": [3.0 + k / 128 + (k / 128) ** 2 / 4 for k in range(129)], "tau1_s": 2.0,
        "tau2_s": 64.0, "hysteresis_v": 0.125, "hysteresis_rate": 8.0, "entropy_v_per_k": 0.0078125,
        "ocv_temperature_degc": 25.0, "coulombic_efficiency_frac": 0.96875, "overvoltage_sigma_frac": 0.125,
        "rc_factor": [1.0 + (k % 3) / 4 for k in range(129)], "current_max_a": 4.0, "leak_sigma_a": 0.25,
        "voltage_sigma_v": 0.0078125, "gate_sigmas": 4.0, "dt_max_s": 64.0,
        "height_sigma_um": 1.0, "swelling_um": 256.0, "hot_full_degc": 40.0, "hot_zero_degc": 60.0,
        "charge_zero_degc": 0.0, "charge_full_degc": 16.0, "contact_zero_mpa": 0.5, "contact_full_mpa": 4.0,
        "pressed_full_mpa": 6.0, "pressed_zero_mpa": 20.0,
        "soc_margin_sigmas": 1.0, "voltage_margin_sigmas": 1.0, "rest_min_s": 16.0, "rest_full_s": 32.0,
    })  # fmt: skip


def close(own, other, name) -> None:
    assert math.isclose(own, other, rel_tol=RELATIVE, abs_tol=1e-15), f"{name}: {own} in Python, {other} in C"


class Cell:
    """Twin and kernel of everything that one cell's estimator is, in whatever state is drawn."""

    def __init__(self, flat: list[float], seed: int) -> None:
        self.draw = Draw(seed, THRESHOLDS)
        self.flat = flat
        self.kernel = Estimator(flat, "f64")
        self.cell, self.state = self.kernel.c_params, self.kernel.c_state
        self.groups = {name: self.kernel.parameter_group(f"{name}_params") for name in ("learning", "power")}
        self.learned = ffi.new("assb_est_f64_learning *")
        self.height = ffi.new("assb_est_f64_height *")
        self.sample = ffi.new("assb_est_f64_sample *")
        self.ekf = ekf.Ekf(flat)
        self.twin = learning.Learning(flat, self.ekf)
        self.tall = pressure_soc.Height(self.twin)

    def begin(self) -> "Cell":
        self._draw_state()
        self._draw_sample()
        self._draw_learned()
        self._put_state()
        return self

    def _draw_state(self) -> None:
        draw, rng, state = self.draw, self.draw.random, self.state
        for name in SHARED:
            setattr(state, name, draw.number(name))
        state.soc = rng.choice((0.0, 0.0625, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0, rng.random()))
        state.soc_residual = rng.choice((0.0, 0.0, 1e-9, -1e-9))
        state.hysteresis = rng.choice((-1.0, 0.0, 1.0, 0.5, rng.uniform(-1, 1)))
        state.leak_a = rng.choice((0.0, 0.0, 1.0, -1.0, 4.0, -4.0, 0.5))
        state.nis_mean = rng.choice((0.0, 1.0, 4.0, 0.5, 100.0))
        state.settling_s = rng.choice((0.0, 0.5, 10.0, -0.5))
        state.capacity_scale = rng.choice((1.0, 1.0, 0.5, 0.9, 1.25))
        state.resistance_scale = rng.choice((1.0, 1.0, 2.0, 1.1))
        state.r0_ohm = rng.choice((0.0, 0.0625, 0.5, 1.0, rng.random()))
        state.innovation_var = rng.choice((0.0, 0.0625, 1.0, rng.random()))
        root = [[rng.choice((0.0, 0.0, 0.5, 0.125, rng.uniform(-0.3, 0.3))) for _ in range(5)] for _ in range(5)]
        # positive, as a filter keeps it
        state.covariance = [sum(root[i][k] * root[j][k] for k in range(5)) + (i == j) / 1024 for i, j in PAIRS]
        state.resistance_cross = [rng.choice((0.0, 0.0, 0.0625, -0.0625)) for _ in range(5)]

    def _draw_sample(self) -> None:
        rng, sample = self.draw.random, self.sample
        sample.voltage_v = rng.choice((3.0, 3.5, 4.0, 4.25, 3.625, rng.uniform(3.0, 4.3)))
        sample.current_a = rng.choice((0.0, 0.0, 0.5, -0.5, 1.0, -1.0, 4.0, -4.0, rng.uniform(-4, 4)))
        sample.temperature_degc = rng.choice((25.0, 25.0, 0.0, 7.0, 77.0, 90.0, -10.0, rng.uniform(0, 70)))
        sample.pressure_mpa = rng.choice((5.0, 0.5, -1.0, 0.0, 40.0, rng.uniform(0, 25)))
        sample.dt_s = rng.choice((0.125, 0.5, 1.0, 4.0, 64.0, 0.1))
        self.draw.dt_s = sample.dt_s

    def _draw_learned(self) -> None:
        draw, rng, learned = self.draw, self.draw.random, self.learned[0]
        draw.fill(learned)
        for name in ("c1", "c2", "c3", "c4", "c5", "c6", "information", "best_information"):
            setattr(learned, name, rng.choice((1.0, 2.0, 0.5, 16.0, rng.uniform(0.1, 100))))
        learned.resistance_scale, learned.capacity_scale = self.state.resistance_scale, self.state.capacity_scale
        learned.information = rng.choice((0.5, 1.0, 1.5, 100.0))
        for name in ("rest_done", "anchor_known"):
            setattr(learned, name, rng.choice((0, 1)))
        learned.residuals = rng.choice((0, 1, 2, 7, 8))
        learned.resistance_var = rng.choice((0.0625, 0.01, 1e-4))
        learned.rest_s = rng.choice((0.0, 15.5, 16.0, 31.0, 31.5, 32.0, 16.0 - self.sample.dt_s))
        learned.rest_mark_s = rng.choice((0.0, 200.0, 200.0 - self.sample.dt_s, 100.0))
        learned.clock_s = rng.choice((0.0, 10.0 - self.sample.dt_s, 9.5, 3.0))
        volts = self.sample.voltage_v
        for name in ("rest_v", "rest_mark_v", "rest_mid_v"):
            setattr(learned, name, volts + rng.choice((0.0, 0.0, 0.001, -0.001, 0.0625, -0.5)))
        learned.previous_a = self.sample.current_a - rng.choice((0.0, 0.5, 1.0, 0.05, -0.5, 1e-3))
        learned.previous_r0_ohm = self.state.r0_ohm * rng.choice((1.0, 1.0, 1.01, 0.99, 1.1))
        learned.home_r0_ohm = rng.choice((0.0, 0.25, self.state.r0_ohm))
        for name in ("anchor_soc", "charge"):
            setattr(learned, name, rng.choice((0.0, 0.25, 0.5, 1.0, -0.25, rng.uniform(-1, 1))))
        for name in ("anchor_var", "charged", "elapsed_h"):
            setattr(learned, name, rng.choice((0.0, 1e-4, 0.25, 1.0)))
        learned.resistance_missing, learned.capacity_missing = rng.randint(0, 8), rng.randint(0, 8)
        learned.cycles = rng.choice((0.0, 1.0, 4.0))
        learned.soc_var = self.state.covariance[0] * rng.choice((1.0, 1.0, 2.0, 0.5))
        self.height.known = rng.choice((0, 1))
        self.height.pressure_mpa, self.height.gap_um = 5.0, 100.0

    def _put_state(self) -> None:
        state = self.state
        lib.assb_est_f64_forget(state)
        for name in SHARED:
            setattr(self.ekf, name, getattr(state, name))
        self.ekf._settling_s = state.settling_s
        for at, (i, j) in enumerate(PAIRS):
            self.ekf._covariance[i][j] = self.ekf._covariance[j][i] = state.covariance[at]
        for i in range(5):
            self.ekf._cross[i] = state.resistance_cross[i]
        self.twin._s[:] = self.numbers(self.learned, "learning")
        self.tall.known = bool(self.height.known)
        self.tall.pressure_mpa, self.tall.gap_um = self.height.pressure_mpa, self.height.gap_um

    @staticmethod
    def numbers(pointer, struct) -> list[float]:
        count = ffi.sizeof(f"assb_est_f64_{struct}") // ffi.sizeof("double")
        return list(ffi.cast("double *", pointer)[0:count])

    def compare(self) -> None:
        for name in SHARED:
            close(getattr(self.ekf, name), getattr(self.state, name), name)
        close(self.ekf._settling_s, self.state.settling_s, "settling_s")
        for at, (i, j) in enumerate(PAIRS):
            close(self.ekf._covariance[i][j], self.state.covariance[at], f"covariance {i} {j}")
        for i in range(5):
            close(self.ekf._cross[i], self.state.resistance_cross[i], f"cross {i}")
        names = [name for name, _ in ffi.typeof("assb_est_f64_learning").fields]
        for name, own, other in zip(names, self.twin._s, self.numbers(self.learned, "learning"), strict=True):
            close(own, other, name)

    def row(self) -> tuple[float, ...]:
        sample = self.sample
        return sample.voltage_v, sample.current_a, sample.temperature_degc, sample.pressure_mpa, sample.dt_s


def test_the_filter_steps_alike_from_any_state(dyadic):
    cell = Cell(dyadic, 11)

    def act(cell: Cell) -> None:
        assert cell.ekf.step(*cell.row()) == lib.assb_est_f64_step(cell.cell, cell.state, cell.sample)
        cell.compare()

    assert pursue(3000, cell.begin, act) > 2900


def test_the_filter_predicts_and_observes_a_soc_alike_from_any_state(dyadic):
    cell = Cell(dyadic, 12)

    def act(cell: Cell) -> None:
        rng = cell.draw.random
        assert cell.ekf.predict(*cell.row()[1:]) == lib.assb_est_f64_predict(cell.cell, cell.state, cell.sample)
        cell.compare()
        soc, sigma = (
            rng.choice((0.0, 1.0, 0.5, 1.01, -0.01, math.nan)),
            rng.choice((0.0, 1.0, 0.25, 1e-9, 1.01, -1.0, math.nan)),
        )
        assert cell.ekf.observe_soc(soc, sigma) == lib.assb_est_f64_observe_soc(cell.cell, cell.state, soc, sigma)
        cell.compare()

    assert pursue(2000, cell.begin, act) > 1800


def draw_learning(cell: Cell) -> None:
    """Other parameters of learning for both, within what `learning_check` takes."""
    rng = cell.draw.random
    q = cell.groups["learning"]
    names = [name for name, _ in ffi.typeof("assb_est_f64_learning_params").fields]
    sound = list(cell.flat[parameters.EKF_SIZE : parameters.EKF_SIZE + parameters.LEARNING_SIZE])
    for at, name in enumerate(names):
        value = sound[at] if rng.random() < 0.6 or "scale" in name else rng.choice((0.0625, 0.25, 0.5, 1.0, 4.0))
        if name in ("rest_min_s", "rest_full_s", "height_sigma_um", "swelling_um"):
            value = sound[at]
        setattr(q, name, value)
        cell.twin._q[at] = value
    cell.twin._step_min_a, cell.twin._rest_a = (
        q.step_min_c * cell.cell.capacity_ah,
        q.rest_current_c * cell.cell.capacity_ah,
    )


def test_a_state_without_a_soc_is_refused_and_stays(dyadic):
    cell = Cell(dyadic, 18).begin()
    for name, value in (("soc", math.nan), ("soc", 1.01), ("leak_a", math.inf), ("soc_residual", math.nan)):
        kept = getattr(cell.state, name)
        setattr(cell.state, name, value)
        before = bytes(ffi.buffer(cell.state))
        for act in (lib.assb_est_f64_step, lib.assb_est_f64_predict):
            cell.sample.voltage_v, cell.sample.temperature_degc, cell.sample.pressure_mpa = 3.5, 25.0, 5.0
            assert act(cell.cell, cell.state, cell.sample) == lib.ASSB_BAD_SOC
        assert bytes(ffi.buffer(cell.state)) == before
        setattr(cell.state, name, kept)


@pytest.mark.parametrize(
    "reset", [(-0.01, 0.1), (1.01, 0.1), (0.5, 0.0), (0.5, 1.01), (math.nan, 0.1), (0.5, math.nan)]
)
def test_a_reset_refuses_alike_and_changes_nothing(dyadic, reset):
    cell = Cell(dyadic, 19).begin()
    assert cell.ekf.reset(*reset) == lib.assb_est_f64_reset(cell.cell, cell.state, *reset) == lib.ASSB_BAD_SOC
    cell.compare()


@pytest.mark.parametrize("reset", [(0.0, 1.0), (1.0, 1e-6), (0.5, 0.1)])
def test_a_reset_begins_alike(dyadic, reset):
    cell = Cell(dyadic, 20).begin()
    assert cell.ekf.reset(*reset) == lib.assb_est_f64_reset(cell.cell, cell.state, *reset) == lib.ASSB_OK
    cell.compare()


def test_learning_takes_a_sample_alike_from_any_state(dyadic):
    cell = Cell(dyadic, 13)

    def act(cell: Cell) -> None:
        draw_learning(cell)
        voltage_v, current_a, degc, _mpa, dt_s = cell.row()
        cell.twin.update(voltage_v, current_a, degc, dt_s)
        lib.assb_est_f64_learning_update(cell.cell, cell.groups["learning"], cell.state, cell.learned, cell.sample)
        cell.compare()
        own = (cell.twin.soh()[1][1], cell.twin.soh()[0][1], cell.twin.resistance_sigma(), cell.twin.soc_sigma())
        q, learned = cell.groups["learning"], cell.learned
        other = (
            lib.assb_est_f64_soh_resistance_sigma(cell.cell, q, learned), lib.assb_est_f64_capacity_sigma(q, learned),
            lib.assb_est_f64_resistance_sigma(q, learned), lib.assb_est_f64_soc_sigma(cell.state, learned),
        )  # fmt: skip
        for a, b in zip(own, other, strict=True):
            close(a, b, "sigma")

    assert pursue(5000, cell.begin, act) > 3500


def test_a_height_corrects_alike_from_any_state(dyadic):
    cell = Cell(dyadic, 14)

    def act(cell: Cell) -> None:
        rng = cell.draw.random
        cell.groups["learning"].height_sigma_um = cell.twin._q[21] = rng.choice((0.0, 1.0, 1.0))
        mpa, um = (
            rng.choice((5.0, 6.0, 40.0, 40.5, -40.0, -41.0)),
            rng.choice((100.0, 164.0, 1e6, 1.1e6, -1e6, -2e6, math.nan)),
        )
        q = cell.groups["learning"]
        assert cell.tall.step(mpa, um) == lib.assb_est_f64_height_step(
            cell.cell, q, cell.state, cell.learned, cell.height, mpa, um
        )
        for name in ("known", "pressure_mpa", "gap_um"):
            close(getattr(cell.tall, name), getattr(cell.height, name), name)
        cell.compare()

    assert pursue(2000, cell.begin, act) > 1900


def test_learning_forgets_and_begins_anew_alike(dyadic):
    cell = Cell(dyadic, 15).begin()
    cell.twin.lose()
    lib.assb_est_f64_learning_lose(cell.learned)
    cell.compare()
    cell.twin.reset()
    lib.assb_est_f64_learning_reset(cell.groups["learning"], cell.learned)
    cell.compare()


@pytest.mark.parametrize("place", range(lib.ASSB_LEARNED))
def test_learning_restores_alike_up_to_every_bound(dyadic, place):
    cell = Cell(dyadic, 16).begin()
    cell.twin.reset()
    sound = list(cell.twin._s[: lib.ASSB_LEARNED])
    q = cell.twin._q
    bounds = {0.0, 1.0, 1e12, 1e-3, q[6], q[7], q[19], q[20], q[2] * q[2], math.nan, math.inf, -1.0}
    around = [
        value * by for value in bounds for by in ((1.0, 1 - 1e-12, 1 + 1e-12) if math.isfinite(value) else (1.0,))
    ]
    answers = set()
    for value in around:
        cell.begin()
        values = [*sound[:place], value, *sound[place + 1 :]]
        given = ffi.new("double[]", values)
        status = lib.assb_est_f64_learning_restore(cell.groups["learning"], cell.learned, given)
        assert cell.twin.restore(values) == (status == lib.ASSB_OK)
        assert status in (lib.ASSB_OK, lib.ASSB_BAD_PARAMETER)
        answers.add(status)
        cell.compare()
    assert len(answers) == 2


def asked(cell: Cell, powers: tuple[Any, Any, Any]) -> None:
    """Both directions of one state's limits, held equal."""
    twin, ask, limit = powers
    sample = cell.sample
    for charging in (False, True):
        for known in (True, False):
            ask.temperature_degc, ask.pressure_mpa = sample.temperature_degc, sample.pressure_mpa
            ask.pressure_known, ask.charging = known, charging
            status = twin.limits(cell.ekf, charging, sample.temperature_degc, sample.pressure_mpa, known)
            told = lib.assb_est_f64_power_limits(cell.cell, cell.groups["power"], cell.state, ask, limit)
            assert status == told
            for name in ("current_a", "power_w", "voltage_v", "bound"):
                for own, other in zip(getattr(twin, name), getattr(limit, name), strict=True):
                    close(own, other, name)


def test_power_limits_are_alike_from_any_state_and_for_any_limits(dyadic):
    cell = Cell(dyadic, 17)
    at = parameters.EKF_SIZE + parameters.LEARNING_SIZE
    flat = list(dyadic)
    twin = power.Power(flat)
    powers = (twin, ffi.new("assb_est_f64_power_ask *"), ffi.new("assb_est_f64_power_limit *"))
    names = [(name, field.type.kind) for name, field in ffi.typeof("assb_est_f64_power_params").fields]

    def act(cell: Cell) -> None:
        rng = cell.draw.random
        # so large that a step of the current is more than the voltage may miss: what ends a search that can't succeed
        cell.state.resistance_scale = cell.ekf.resistance_scale = rng.choice((1.0, 1.0, 0.5, 1e6, 1e15))
        place = at
        for name, kind in names:
            count = 96 if kind == "array" else 1
            for k in range(place, place + count):
                kept = name.endswith(("_degc", "_mpa", "_v")) or rng.random() < 0.5
                flat[k] = dyadic[k] if kept else rng.choice((0.0, 0.25, 0.5, 1.0))
            values = flat[place : place + count]
            setattr(cell.groups["power"], name, values if kind == "array" else values[0])
            place += count
        asked(cell, powers)

    assert pursue(800, cell.begin, act) > 700


def jumping(believed: dict, volts: float) -> list[float]:
    """An OCV with a jump: over one knot of SOC, more volts than a current's last digit can dose."""
    ocv_v = [3.0 + 1e-3 * k + (volts if k > 64 else 0.0) for k in range(129)]
    return flat_layout.pack(believed | {"capacity_ah": 0.01, "ocv_v": ocv_v, "docv_v": [1.0] * 129, "window_max_v": 4.0,
                                        "charge_max_a": 10.0, "current_max_a": 10.0})  # fmt: skip


@pytest.mark.parametrize("precision", ["f32", "f64"])
@pytest.mark.parametrize("volts", [1e2, 1e4, 9e5])
@pytest.mark.parametrize("soc", [0.3, 0.45, 0.49, 0.499])
def test_a_limit_that_no_current_meets_exactly_is_not_exceeded(believed, precision, volts, soc):
    flat = jumping(believed, volts)
    kernel = Estimator(flat, precision)
    kernel.reset(soc, 1e-3)
    limit = Power(flat, precision).limits(kernel, True, 25.0, 5.0)
    assert all(0 < current_a < 10 for current_a in limit.current_a)
    assert all(voltage_v <= 4.0 for voltage_v in limit.voltage_v)
    if precision == "f64":
        twin, own = ekf.Ekf(flat), power.Power(flat)
        twin.reset(soc, 1e-3)
        assert own.limits(twin, True, 25.0, 5.0) == 0
        assert own.current_a == pytest.approx(limit.current_a, rel=RELATIVE)


@pytest.mark.parametrize(("name", "value"), [("soc", 1.5), ("soc", -0.5), ("soc", math.nan), ("v1_v", math.inf)])
def test_no_limit_is_told_of_a_state_that_is_none(dyadic, name, value):
    cell = Cell(dyadic, 21).begin()
    setattr(cell.state, name, value)
    setattr(cell.ekf, name, value)
    ask, limit = ffi.new("assb_est_f64_power_ask *"), ffi.new("assb_est_f64_power_limit *")
    ask.temperature_degc, ask.pressure_mpa, ask.pressure_known = 25.0, 5.0, 1
    told = lib.assb_est_f64_power_limits(cell.cell, cell.groups["power"], cell.state, ask, limit)
    assert told == power.Power(dyadic).limits(cell.ekf, False, 25.0, 5.0) == lib.ASSB_BAD_PARAMETER


FILTER_RESULTS = [name for name, _ in ffi.typeof("assb_est_f64_results").fields]
RESULTS = [name for name, _ in ffi.typeof("assb_est_f64_learning_results").fields]


@pytest.mark.parametrize("wanted", [RESULTS, *([name] for name in RESULTS)])
def test_a_run_learns_what_its_steps_do_and_writes_what_is_asked_for(believed, wanted):
    flat = flat_layout.pack(believed)
    run, steps = Learning(Estimator(flat, "f64")), Learning(Estimator(flat, "f64"))
    samples = [(3.7 + 0.01 * k, 0.3 * (-1) ** (k // 5), 25.0, 5.0, 1.0 if k % 7 else -1.0) for k in range(40)]
    out = run.run(*(list(column) for column in zip(*samples, strict=True)), results=wanted)
    assert set(out) == set(wanted)
    given = steps.estimator
    for k, sample in enumerate(samples):
        told = {"status": steps.step(*sample), "soc": given.soc, "soc_var": given.c_state.covariance[0]}
        for name in ("r0_ohm", "leak_a"):
            told[name] = getattr(given, name)
        for name in ("soc_sigma", "resistance_scale", "resistance_sigma", "capacity_scale", "capacity_sigma"):
            told[name] = getattr(steps, name)
        assert [out[name][k] for name in wanted] == [told[name] for name in wanted]
    assert run.state_bytes() == steps.state_bytes()


@pytest.mark.parametrize("wanted", [FILTER_RESULTS, *([name] for name in FILTER_RESULTS)])
@pytest.mark.parametrize("precision", ["f32", "f64"])
def test_a_run_filters_as_its_steps_do_and_writes_what_is_asked_for(believed, wanted, precision):
    flat = flat_layout.pack(believed)
    run, steps = Estimator(flat, precision), Estimator(flat, precision)
    samples = [(3.7 + 0.01 * k, 0.3, 25.0, 5.0, 1.0 if k % 4 else -1.0) for k in range(10)]
    out = run.run(*(list(column) for column in zip(*samples, strict=True)), results=wanted)
    for k, sample in enumerate(samples):
        state = steps.c_state
        told = {"status": steps.step(*sample), "soc_var": state.covariance[0], "leak_var": state.covariance[14]}
        for name in set(FILTER_RESULTS) - set(told):
            told[name] = getattr(state, name)
        assert [out[name][k] for name in wanted] == [told[name] for name in wanted]
    assert run.state_bytes() == steps.state_bytes()


def test_a_run_without_a_status_gives_the_rest(believed):
    flat = flat_layout.pack(believed)
    run, steps = Estimator(flat, "f64"), Estimator(flat, "f64")
    out = run.run([3.7, 3.8], 0.1, 25.0, 5.0, 1.0, results=("soc",))
    assert list(out["soc"]) == [[steps.step(v, 0.1, 25.0, 5.0, 1.0), steps.soc][1] for v in (3.7, 3.8)]
