"""Kernel and twin agree from any state, not only from those that a sequence reaches, and where a number stands exactly
on a threshold: states, parameters and samples are drawn from few numbers, so that they often meet."""

from typing import Any

import pytest
from any_state import STEPS_S, Draw, constants, pursue
from assb.detection import (
    charge_errors,
    current_step,
    cv_tail,
    deficit,
    detector,
    dips,
    efficiency,
    fusion,
    heat,
    leak_test,
    missing_charge,
    noise,
    observed,
    pressure_fall,
    resistance,
    rest_decay,
    returns,
    stall,
    swelling,
)
from assb.estimation import flat_layout, parameters
from assb_kernels import Estimator
from assb_kernels._kernels import ffi, lib
from cases import so_many
from test_detection_twin import OUTCOME, OWN, PARTS, STRUCTS, StateOfC, same, same_struct

DETECTION = constants((
    charge_errors, current_step, cv_tail, deficit, detector, dips, efficiency, fusion, heat, leak_test, missing_charge,
    noise, observed, pressure_fall, resistance, rest_decay, returns, stall, swelling,
))  # fmt: skip


def take_over(twin: Any, struct: Any) -> None:
    """The twin's attributes from the members of the same names, each in the type that it has."""
    for name, field in ffi.typeof(struct).fields:
        owner = next(
            (one for one in (twin, *(getattr(twin, part, None) for part in PARTS)) if hasattr(one, name)), None
        )
        assert owner is not None, f"{type(twin).__name__} has no {name}"
        value, own = getattr(struct, name), getattr(owner, name)
        if field.type.kind == "struct":
            take_over(own, value)
        elif isinstance(own, list):
            for each, inner in zip(own, value, strict=True):
                take_over(each, inner)
        elif field.type.kind == "array" and field.type.item.kind == "struct":
            for at, number in enumerate(getattr(row, column) for row in value for column, _ in field.type.item.fields):
                own[at] = number
        elif field.type.kind == "array":
            for at, number in enumerate(value):
                own[at] = int(number) if isinstance(own, bytearray) else number
        else:
            setattr(owner, name, type(own)(value))


NAMES = [name for name, _count in parameters.detection_rows()]
SETTLE = NAMES.index("charge_settle_s")
RC_FACTOR = parameters.offset("rc_factor")
SLOW_OHM = 0.25
TAU2_S = parameters.offset("tau2_s")


class Detectors:
    """Detectors of one cell in C and in Python, in whatever state is drawn; the reference compares a few of them."""

    CELLS = 4

    def __init__(self, flat: list[float], seed: int) -> None:
        self.draw = Draw(seed, DETECTION)
        self.kernel = Estimator(flat, "f64")
        self.cell_params, self.state = self.kernel.c_params, self.kernel.c_state
        self.params = self.kernel.parameter_group("detection_params")
        self.sound = list(ffi.cast("double *", self.params)[0 : parameters.DETECTION_SIZE])
        self.c = ffi.new("assb_est_f64_detection[]", self.CELLS)
        self.sample = ffi.new("assb_est_f64_detection_sample *")
        self.reference = ffi.new("assb_est_f64_reference *")
        self.flat = flat
        self.factors = flat[RC_FACTOR : RC_FACTOR + parameters.OCV_POINTS]

    def begin(self) -> detector.Detector:
        """A new state of everything; its twin."""
        draw, rng = self.draw, self.draw.random
        draw.dt_s = rng.choice(STEPS_S)
        self._draw_parameters()
        for name in ("soc", "soc_residual", "r0_ohm", "innovation_v", "leak_a", "v1_v", "v2_v", "hysteresis"):
            setattr(self.state, name, draw.number(name))
        self.state.soc = rng.choice((0.0, 0.05, 0.1, 0.25, 0.5, 0.5, 0.75, 0.9, 0.95, 1.0, rng.random()))
        self.state.soc_residual = rng.choice((0.0, 0.0, 1e-9))
        self.state.r0_ohm = rng.choice((0.0625, 0.5, 1.0, rng.random() + 0.01))
        self.state.capacity_scale = rng.choice((1.0, 1.0, 0.5, 0.9))
        self.state.resistance_scale = rng.choice((1.0, 1.0, 2.0, 1.1))
        self.state.covariance[0] = rng.choice((0.0, 1e-4, 0.0625, 0.25, 0.01, 1.0, rng.random()))
        draw.fill(self.c[0])
        self.c[0].charge.rows, self.c[0].charge.begun = rng.randrange(lib.ASSB_LATEST), 0  # no covariance is just any
        draw.fill(self.sample[0])
        sample = self.sample
        sample.dt_s = draw.dt_s
        sample.has_pressure, sample.has_gap = rng.choice((0, 1, 1)), rng.choice((0, 1, 1))
        sample.temperature_degc = rng.choice((25.0, 25.0, 0.0, -10.0, 7.0, 14.0, 21.0, 77.0, 90.0, rng.uniform(0, 60)))
        self._meet()
        self._let_go_on()
        self._draw_reference()
        if rng.random() < 0.6:
            self._let_window_close()
        twin = detector.Detector(self.flat, StateOfC(self.kernel), "d")
        self.put(twin, self.c[0])
        return twin

    def _draw_parameters(self) -> None:
        rng = self.draw.random
        own = [rng.choice((value, value, 0.5, 1.0, 2.0, 0.25)) for value in self.sound]
        for name in ("gap_swelling_um", "gap_stiffness_mpa_per_um"):
            if rng.random() < 0.1:
                own[NAMES.index(name)] = rng.choice((0.0, -1.0))
        self.cell_params.tau2_s = self.flat[TAU2_S] = rng.choice((64.0, 256.0))
        ffi.cast("double *", self.params)[0 : len(own)] = own
        self.q = own

    def _meet(self) -> None:
        """Makes what is compared with each other equal, or nearly."""
        rng, c, sample = self.draw.random, self.c[0], self.sample
        pairs = (
            (c, "current_a", sample.current_a), (c, "aim_mpa", sample.aim_mpa), (c.stall, "low_a", sample.current_a),
            (c.stall, "start_degc", sample.temperature_degc), (c.swelling, "start_degc", sample.temperature_degc),
            (c.swelling, "aim_mpa", sample.aim_mpa), (c.tail, "voltage_v", sample.voltage_v),
            (c.resistance, "middle_a", sample.current_a), (c.resistance, "usual_degc", sample.temperature_degc),
            (c.resistance, "usual_mpa", sample.pressure_mpa), (c.rest, "mark_degc", sample.temperature_degc),
            (c.resistance, "before_a", c.resistance.middle_a), (c.charge, "current_a", sample.current_a),
        )  # fmt: skip
        for owner, name, value in pairs:
            if rng.random() < 0.5:
                setattr(owner, name, value + rng.choice((0.0, 0.0, 1.0, -1.0)) * rng.choice((0.0, 0.5, 0.3, 0.02, 1.5)))

    def _let_go_on(self) -> None:
        """Half of the time what hides the rest of an evidence is not there."""
        rng, c, sample = self.draw.random, self.c[0], self.sample
        if rng.random() < 0.5:
            c.since_step_s = c.since_move_s = 1000.0
            c.dips.learned = rng.choice((5.0, 26.0, 100.0))
            c.dips.level_known = 1
            c.dips.level_v, c.dips.drift_v = sample.voltage_v + rng.choice((0.5, -1.0, -0.5, -0.5, 1.0, 0.0)), 0.0
            c.dips.after_s = rng.choice((0.35, 0.45, 0.95)) - rng.choice((0.0, sample.dt_s))
            c.dips.waits, c.dips.deep = rng.choice((0, 1)), rng.choice((0.0, 0.25))
            c.dips.variance_v2, c.dips.ages = rng.choice((0.0, 1e-6)), rng.choice((0, 1, 15, 16, 16))
            age_s = rng.choice((0.01, 10.0))  # a window that is full stays so, or is left by its oldest
            c.dips.age_s = [age_s * (lib.ASSB_DIPS - k) for k in range(lib.ASSB_DIPS)]
            self.state.innovation_v = rng.choice((0.0, 0.0, 0.001))
            c.noise.usual_v2, c.noise.seen_s = rng.choice((0.0, 1e-9, 1.0)), rng.choice((59.5, 100.0, 410.0))
            c.noise.has_before = 2
            c.dips.length_s, c.dips.up_s = rng.choice((0.0, 0.0, 0.0, 20.0, 19.5)), rng.choice((3.0, 3.0, 0.0, 2.5))
        if rng.random() < 0.5:
            c.rest.rest_s, c.rest.mark_s = rng.choice((600.0, 1000.0, 599.5)), rng.choice((0.0, 500.0, 999.0))
            c.swelling.begun, c.swelling.still_s = 1, rng.choice((600.0, 599.5, 1000.0))
            c.swelling.direction = (sample.current_a > 0) - (sample.current_a < 0)
            c.swelling.aim_mpa, c.swelling.start_degc = sample.aim_mpa, sample.temperature_degc
            c.swelling.charge_frac = rng.choice((0.01, -0.01, 0.5, -0.5, 0.0))
            self._let_swell()
            c.stall.low_a, c.stall.start_degc = sample.current_a, sample.temperature_degc
            c.stall.span_s = rng.choice((1.0, 100.0, 1000.0))
            c.stall.charge_frac = rng.choice((0.25, 0.001, 0.0, 0.0019, 0.0021))
            c.tail.points, c.tail.voltage_v = rng.choice((1, 2)), sample.voltage_v
            c.tail.second_a = sample.current_a * rng.choice((1.0625, 1.25))
            c.tail.first_a = sample.current_a * rng.choice((1.25, 1.5))
            c.tail.begin_a = rng.choice((1.0, 1.2, 2.0, 4.0)) * sample.current_a
            c.tail.holds, c.tail.usual_a = rng.choice((2, 3, 3, 4)), 0.5 * sample.current_a
            c.tail.hold_s, c.tail.mark_s = rng.choice((120.0, 240.0, 119.5)), rng.choice((0.0, 120.0))
            c.resistance.seen, c.resistance.steady, c.resistance.steps = 2, 1, rng.choice((7, 8, 9))
            c.resistance.middle_a, c.resistance.before_a = (
                sample.current_a,
                sample.current_a - rng.choice((0.5, 0.05, 1)),
            )

    def _draw_reference(self) -> None:
        rng, reference = self.draw.random, self.reference
        self.draw.fill(reference[0])
        reference.cells, reference.ends = rng.choice((1, 2, 3, 4)), rng.choice((0, 0, 0, 1))
        if rng.random() < 0.7:
            self.c[0].charge.cells = reference.cells

    def _let_window_close(self) -> None:
        """The next second is the last of a window, and the filter of the charge's errors is under way."""
        rng, charge, sample = self.draw.random, self.c[0].charge, self.sample
        if rng.random() < 0.5:
            self.reference.passed = charge.returns.passed
        charge.cells, charge.alone = self.reference.cells, float(self.reference.cells < 2)
        charge.rows, charge.begun, charge.ends = lib.ASSB_LATEST - 1, 1, rng.choice((0, 0, 0, 1))
        charge.jumps, charge.lost = rng.choice((0, 1, 1)), rng.choice((0, 0, 0, 1))
        charge.seen_s = self.q[SETTLE] + rng.choice((0.0, -sample.dt_s, 1.0, -1000.0, 400.0))
        charge.highest = rng.choice((0.0, 0.15, 0.17, 0.2, 1.0))
        charge.lean = rng.choice((0.0, -0.4, -0.5, 1.5, -1.5))
        charge.ohm = charge.usual_ohm = rng.choice((0.5, 1.0))
        charge.degc = sample.temperature_degc + rng.choice((0.0, 0.0, 2.0, -2.0))
        charge.span_s = rng.choice((3.0, 4.0))
        charge.rested_s = rng.choice((0.0, 295.0, 296.0, 297.0, 300.0))
        charge.lag_c = rng.choice((0.0, 0.5, -0.5, 0.001))
        charge.open_hysteresis, charge.driven = rng.choice((0.0, 0.5, -1.0)), rng.choice((0.0, 0.5, 1.0))
        charge.loop_then = charge.open_hysteresis + rng.choice((0.0, 0.0, 0.25))
        for name in ("open1_v", "open2_v", "open3_v", "open2_then_v", "open3_then_v"):
            setattr(charge, name, rng.choice((0.0, 0.0, 0.125, -0.125)))
        self._draw_covariance(charge)
        self.state.soc = rng.choice((0.0, 1.0, 1e-5, 0.1, 0.5, 0.55, 0.7, 0.95, rng.random()))
        work_a = rng.choice((0.0, 0.0, 0.001, 0.0055, 0.01, 0.022, 0.5, -0.5, 1.0, -1.0))
        for k in range(lib.ASSB_LATEST):
            charge.row[k].current_a = charge.row[rng.randrange(lib.ASSB_LATEST)].current_a if k % 2 else work_a
            charge.row[k].excess_v = rng.choice((0.0, 0.001, -0.001, 0.25, -0.25, rng.uniform(-0.01, 0.01)))
            for name in ("fast_v", "middle_v", "slow_v"):
                setattr(charge.row[k], name, rng.choice((0.0, 0.0625, -0.25, 0.5)))
        sample.current_a = self.c[0].sum_a = work_a
        self.c[0].span_s, self.c[0].sum_v = 1.0, 3.5
        self.c[0].counted, self.c[0].rose = (rng.choice((0.0, 1e-4, -1e-4, 0.125)) for _ in range(2))
        charge.current_a, charge.swing_a = work_a + rng.choice((0.0, 0.0, 0.5)), rng.choice((0.0, 0.0, 0.25))
        charge.moved_as = rng.choice((0.0, 0.0, 4 * work_a, -36.0))
        for test in charge.test:
            test.nats = rng.choice((0.0, -0.5, 0.5, 2.0, 8.0, 40.0))
            test.hours, test.loud_h = (rng.choice((0.0, 0.1, 1.0, 3.0, 9.0, 60.0)) for _ in range(2))
        self._draw_returns(charge.returns, work_a)
        if rng.random() < 0.7:
            charge.open2_v = self._slow_ohm() * work_a * rng.choice((1.0, 1.0, 1.05, 1.2))

    def _slow_ohm(self) -> float:
        place = (len(self.factors) - 1) * self.state.soc
        knot = min(int(place), len(self.factors) - 2)
        return SLOW_OHM * (self.factors[knot] + (place - knot) * (self.factors[knot + 1] - self.factors[knot]))

    def _draw_covariance(self, charge: Any) -> None:
        """Of errors that depend on each other a little: the diagonal outweighs the rest."""
        rng, count = self.draw.random, lib.ASSB_CHARGE_ERRORS
        deviation = [rng.choice((1e-7, 1e-3, 0.01, 0.1, 0.25, 0.5, 1.0)) for _ in range(count)]
        at = 0
        for i in range(count):
            charge.error[i] = rng.choice((0.0, 0.0, -0.6, -0.5, 0.05, 0.15, 0.3, 7.0, rng.uniform(-0.1, 0.1)))
            for j in range(i, count):
                share = 1.0 if i == j else rng.choice((0.0, 0.125, -0.125))
                charge.covariance[at] = share * deviation[i] * deviation[j]
                at += 1

    def _draw_returns(self, returns: Any, current_a: float) -> None:
        """A tenth of the SOC is passed just now, in steady current, after days or months."""
        rng = self.draw.random
        returns.clock_s = rng.choice((0.0, 1000.0, 5e4, 1e5, 1e5 + 1.0, 1e5 + 1.0))
        returns.net = rng.choice((0.0, 0.5, -0.5, 4.0, -5.0, 5.0))
        for at in (returns.at_s, returns.told_s, returns.first_s):
            at[0 : len(at)] = [self._moment(returns.clock_s) for _ in at]
        sign = 1 if current_a > 0 else -1
        tenth = 1 + int(10 * min(max(self.state.soc, 0.0), 0.99))
        returns.tenth = min(max(tenth - sign * rng.choice((1, 1, 1, 0)), 0), 10)
        here = returns.tenth if sign > 0 else 10 + tenth
        returns.edge = rng.choice((0, max(here - 1, 0), here))
        factor = rng.choice((1.0, 1.0, 1.04, 1.06))
        for k in range(len(returns.current_a)):
            returns.current_a[k] = factor * current_a
            returns.degc[k] = self.sample.temperature_degc + rng.choice((0.0, 1.0, 3.0))

    def _moment(self, clock_s: float) -> float:
        """In the past of the counters, near what they ask of it."""
        rng = self.draw.random
        ago_s = rng.choice((500.0, 598.0, 599.0, 600.0, 602.0, 1e4, 14398.0, 14399.0, 14400.0, 14402.0))
        return rng.choice((0.0, 0.5, clock_s - ago_s, clock_s - ago_s, 6e4, 50000.5))

    def _let_swell(self) -> None:
        """About as this tenth of the SOC usually does."""
        rng, swelling, sample = self.draw.random, self.c[0].swelling, self.sample
        per_frac_um = self.q[NAMES.index("gap_swelling_um")]
        stiffness = self.q[NAMES.index("gap_stiffness_mpa_per_um")]
        if stiffness <= 0:
            return
        height_um = sample.gap_um + sample.pressure_mpa / stiffness
        swelling.start_um = height_um - per_frac_um * swelling.charge_frac * rng.choice((1.0, 1.02, 0.9, 1.5))
        for at in range(lib.ASSB_SWELLING_BINS):
            swelling.usual[at], swelling.visits[at] = 1.0, rng.choice((2, 3, 4))

    def put(self, twin: detector.Detector, c: Any) -> None:
        twin.cell.q = self.q
        for name in STRUCTS:
            take_over(getattr(twin, name), getattr(c, name))
        for name in OUTCOME:
            setattr(twin.fusion, name, type(getattr(twin.fusion, name))(getattr(c, name)))
        for name in OWN:
            setattr(twin, name, type(getattr(twin, name))(getattr(c, name)))
        for name, field in ffi.typeof(self.sample[0]).fields:
            assert field.type.kind == "primitive"
            setattr(twin.cell, name, type(getattr(twin.cell, name))(getattr(self.sample, name)))
        twin.cell.since_step_s, twin.cell.since_move_s = c.since_step_s, c.since_move_s
        for at in range(observed.EVIDENCES):
            twin.cell.state[at], twin.cell.score[at] = int(c.state[at]), c.score[at]

    def compare(self, twin: detector.Detector) -> None:
        c = self.c[0]
        for name in STRUCTS:
            same_struct(getattr(twin, name), getattr(c, name), name)
        for name in OUTCOME:
            same(getattr(twin.fusion, name), getattr(c, name), name)
        for name in OWN:
            same(getattr(twin, name), getattr(c, name), name)
        for name in ("since_step_s", "since_move_s", "state", "score"):
            same(getattr(twin.cell, name), getattr(c, name), name)


@pytest.fixture(scope="module")
def dyadic(believed: dict) -> list[float]:
    """A cell whose numbers are sums of few powers of two."""
    return flat_layout.pack(believed | {
        "capacity_ah": 2.0, "ocv_v": [3.0 + max(k - 40, 0) / 64 + k / 1024 for k in range(129)], "tau1_s": 2.0,
        "tau2_s": 64.0, "hysteresis_v": 0.125, "hysteresis_rate": 8.0, "entropy_v_per_k": 0.0078125,
        "ocv_temperature_degc": 25.0, "coulombic_efficiency_frac": 0.96875,
        "rc_factor": [1.0 + (k % 3) / 4 for k in range(129)], "gap_swelling_um": 256.0, "plating_watch": 1.0,
        "gap_stiffness_mpa_per_um": 0.0625, "heat_j_per_k": 16.0, "r2_ohm": [SLOW_OHM] * len(believed["r2_ohm"]),
        "charge_slope_least_v": 0.5,
    })  # fmt: skip


@pytest.mark.parametrize("seed", range(5))
def test_detectors_take_a_sample_alike_from_any_state(dyadic, seed):
    both = Detectors(dyadic, seed)

    def act(twin):
        told = twin.see_sample()
        where = (both.params, both.cell_params, both.c, both.state, both.sample)
        assert told == lib.assb_est_f64_detection_sample_taken(*where)
        both.compare(twin)

    assert pursue(300, both.begin, act) > 250


@pytest.mark.parametrize("seed", range(8))
def test_detectors_end_a_second_alike_from_any_state(dyadic, seed):
    both = Detectors(dyadic, 100 + seed)
    pack = detector.Pack()

    def act(twin):
        pack.cells, pack.ends = int(both.reference.cells), both.reference.ends > 0
        for name in ("deficit_v", "slope_v_per_s", "noise_ratio", "passed", "took_c"):
            setattr(pack, name, getattr(both.reference, name))
        told = twin.see_second(pack)
        where = (both.params, both.cell_params, both.c, both.state, both.sample, both.reference)
        assert told == lib.assb_est_f64_detection_second(*where)
        both.compare(twin)

    assert pursue(400, both.begin, act) > 320


def test_detectors_forget_alike_from_any_state(dyadic):
    both = Detectors(dyadic, 3)
    acts = (
        (lambda twin: twin.lose(), lib.assb_est_f64_detection_lose),
        (lambda twin: twin.blind(), lib.assb_est_f64_detection_blind),
    )

    def act(twin):
        own, other = both.draw.random.choice(acts)
        own(twin)
        other(both.c)
        both.compare(twin)

    assert pursue(200, both.begin, act) == 200


def test_a_collapse_is_news_alike_from_any_state(dyadic):
    both = Detectors(dyadic, 4)

    def act(twin):
        rs_ohm = abs(both.draw.number("rs_ohm"))
        news = twin.fusion.collapse()
        twin.fusion.shorted(rs_ohm)
        assert news == lib.assb_est_f64_detection_collapsed(both.c, rs_ohm)
        both.compare(twin)

    assert pursue(200, both.begin, act) == 200


def test_a_reset_detector_is_a_new_twin_whatever_it_was(dyadic):
    both = Detectors(dyadic, 5)
    both.begin()
    lib.assb_est_f64_detection_reset(both.c)
    new = detector.Detector(dyadic, StateOfC(both.kernel), "d")
    new.fusion.likelihood = 0.0  # the twin has the prior before its first second
    both.compare(new)


def test_a_pack_compares_alike_from_any_states(dyadic):
    both = Detectors(dyadic, 6)
    pack = detector.Pack()
    for _ in range(so_many(400)):
        count = both.draw.random.randint(0, both.CELLS)
        pack.detectors = [detector.Detector(dyadic, StateOfC(both.kernel), "d") for _ in range(count)]
        for k, twin in enumerate(pack.detectors):
            both.draw.fill(both.c[k])
            both.c[k].rest.slope_v_per_s = -both.draw.number("slope_v_per_s")
            both.c[k].charge.returns.over_s = [both.draw.number("over_s") + 1.0 for _ in range(2)]
            for name in ("charge", "rest", "noise"):
                take_over(getattr(twin, name), getattr(both.c[k], name))
        if not count:
            continue
        own = both.draw.random.randrange(count)
        for k, twin in enumerate(pack.detectors):
            both.c[k].stage = twin.fusion.stage = both.draw.random.choice((0, 0, 0, 1))
            both.c[k].has_soc = twin.has_soc = both.draw.random.choice((0, 1, 1))
            both.c[k].soc_before = twin.soc_before = both.draw.random.choice(
                (0.5, 0.3, 0.9999, 0.99995, 1.0, 1e-4, 0.0)
            )
        pack.compare(pack.detectors[own])
        lib.assb_est_f64_detection_reference(both.c, count, own, both.reference)
        for name in ("cells", "ends", "deficit_v", "slope_v_per_s", "noise_ratio", "passed", "took_c"):
            same(getattr(pack, name), getattr(both.reference, name), name)


def test_no_more_cells_are_compared_than_there_is_room_for(dyadic):
    both = Detectors(dyadic, 7)
    many = ffi.new("assb_est_f64_detection[]", lib.ASSB_PACK_MOST + 1)
    for k in range(lib.ASSB_PACK_MOST + 1):
        many[k].charge.known = 1
    lib.assb_est_f64_detection_reference(many, lib.ASSB_PACK_MOST + 1, 0, both.reference)
    assert both.reference.cells == lib.ASSB_PACK_MOST
