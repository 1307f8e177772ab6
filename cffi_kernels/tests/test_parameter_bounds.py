"""What the kernels' checks of parameters take and refuse, on each bound and one step beyond it, in both precisions."""

import math
from typing import Any

import pytest
from assb.estimation import ekf, flat_layout, learning, parameters, power
from assb_kernels import Estimator
from assb_kernels._kernels import ffi, lib

MOST = 1e6
POSITIVE = (
    "coulombic_efficiency_frac", "tau1_s", "tau2_s", "voltage_sigma_v", "leak_sigma_a", "leak_tau_s", "gate_sigmas",
    "adapt_tau_s", "adapt_max", "current_max_a", "dt_max_s", "hysteresis_rate", "pressure_max_mpa", "rc_sigma_v",
)  # fmt: skip
ABOVE_ZERO = (
    "dip_sigmas", "dip_window_s", "charge_ocv_v", "pack_ocv_v", "charge_slope_least_v", "rest_window_s", "rest_ratio",
    "rest_leak_c", "cv_tail_c", "efficiency_drop_frac", "resistance_drop_frac", "resistance_rise_frac", "stall_s",
    "heat_w", "rest_c", "step_c", "charge_noise_v", "charge_nats",
)  # fmt: skip
# Learning's figures from here on may be zero, apart from those two
MAY_BE_ZERO = ("height_sigma_um", "swelling_sigma_frac", "height_hysteresis_um", "height_creep_um_per_rt_h")
CHECKS = {"params": "check", "learning_params": "learning_check", "power_params": "power_check",
          "detection_params": "detection_check"}  # fmt: skip


# Where each begins in the flat layout, and what checks it on a board without the kernel; detection's is checked by none
TWINS = {
    "params": (0, ekf.Ekf),
    "learning_params": (parameters.EKF_SIZE, lambda flat: learning.Learning(flat, ekf.Ekf(SOUND))),
    "power_params": (parameters.EKF_SIZE + parameters.LEARNING_SIZE, power.Power),
    "detection_params": (parameters.SIZE - parameters.DETECTION_SIZE, None),
}
SOUND: list[float] = []


class Group:
    """One group of parameters of one precision, and its check."""

    def __init__(self, believed: dict, group: str, precision: str) -> None:
        self.prefix = f"assb_est_{precision}_"
        self.real = "float" if precision == "f32" else "double"
        self.struct = Estimator(flat_layout.pack(believed), precision).parameter_group(group)
        self.flat = flat_layout.pack(believed)
        SOUND[:] = self.flat
        self.size = ffi.sizeof(self.struct[0]) // ffi.sizeof(self.real)
        self.at, self.twin = TWINS[group]
        self._check = getattr(lib, self.prefix + CHECKS[group])
        self.fields = dict(ffi.typeof(self.struct[0]).fields)

    def next(self, value: float, up: bool) -> float:
        """The neighbour of a number in this precision."""
        if self.real == "double":
            return math.nextafter(value, math.inf if up else -math.inf)
        bits = ffi.new("float *", value)
        whole = ffi.cast("int32_t *", bits)
        if value == 0:
            return 1e-45 if up else -1e-45
        whole[0] += 1 if up == (value > 0) else -1
        return bits[0]

    def takes(self, **values: Any) -> bool:
        """Whether the check takes these values in place of the sound ones; a pair is (place, value) of a table."""
        before = bytes(ffi.buffer(self.struct))
        for name, value in values.items():
            if isinstance(value, tuple):
                getattr(self.struct, name)[value[0]] = value[1]
            else:
                setattr(self.struct, name, value)
        status = self._check(self.struct)
        if self.real == "double" and self.twin:
            assert self._twin_takes() == (status == lib.ASSB_OK)
        ffi.buffer(self.struct)[:] = before
        assert status in (lib.ASSB_OK, lib.ASSB_BAD_PARAMETER)
        return status == lib.ASSB_OK

    def _twin_takes(self) -> bool:
        flat = self.flat[:]
        own = list(ffi.cast("double *", self.struct)[0 : self.size])
        flat[self.at : self.at + self.size] = own
        try:
            self.twin(flat)
        except ValueError:
            return False
        return True

    def places(self):
        """Every number of the group: (name, what `takes` is given for a value there)."""
        for name, field in self.fields.items():
            if field.type.kind == "array":
                for at in (0, 1, field.type.length - 1):
                    yield name, lambda value, at=at: (at, value)
            else:
                yield name, lambda value: value

    def bounded_below(self, name: str, bound: float, *, open_end: bool = False) -> None:
        """`bound` is the lowest that is taken, or (open_end) the highest that is not."""
        bound = float(ffi.cast(self.real, bound))
        assert self.takes(**{name: bound}) is not open_end, name
        assert self.takes(**{name: self.next(bound, open_end)}) is open_end, name

    def bounded_above(self, name: str, bound: float, *, open_end: bool = False) -> None:
        bound = float(ffi.cast(self.real, bound))
        assert self.takes(**{name: bound}) is not open_end, name
        assert self.takes(**{name: self.next(bound, not open_end)}) is open_end, name


@pytest.fixture(params=["f32", "f64"])
def group(request, believed):
    return lambda name: Group(believed, name, request.param)


@pytest.mark.parametrize("name", CHECKS)
def test_no_number_of_any_group_may_be_none(group, name):
    own = group(name)
    assert own.takes()
    for member, put in own.places():
        for value in (math.nan, math.inf, -math.inf):
            assert not own.takes(**{member: put(value)}), member


def test_no_number_of_the_filter_may_be_beyond_a_million(group):
    own = group("params")
    for member, put in own.places():
        if member.startswith("r0_temp") or member.startswith("r0_pres"):
            continue  # an axis must rise, too
        assert own.takes(**{member: put(MOST)}) or member == "overvoltage_sigma_frac", member
        assert not own.takes(**{member: put(own.next(MOST, True))}), member
        assert not own.takes(**{member: put(own.next(-MOST, False))}), member
    for member in ("entropy_v_per_k", "voltage_min_v", "temperature_min_degc"):
        assert own.takes(**{member: -MOST})


def test_what_must_be_positive_of_the_filter_is(group):
    own = group("params")
    for name in POSITIVE:
        own.bounded_below(name, 1e-12)
    own.bounded_below("capacity_ah", 1e-6)
    own.bounded_above("overvoltage_sigma_frac", 10.0)
    free = set(own.fields) - {*POSITIVE, "capacity_ah", "r0_temperature_degc", "r0_pressure_mpa"}
    for name in free:
        array = own.fields[name].type.kind == "array"
        assert own.takes(**{name: (0, 0.0) if array else 0.0}), name


@pytest.mark.parametrize(("axis", "count"), [("r0_temperature_degc", 12), ("r0_pressure_mpa", 8)])
def test_an_axis_must_rise_at_every_step(group, axis, count):
    own = group("params")
    for at in range(1, count):
        before = getattr(own.struct, axis)[at - 1]
        assert not own.takes(**{axis: (at, before)})
        assert own.takes(**{axis: (at, own.next(before, True))}) or at + 1 < count


def test_what_must_be_positive_of_learning_is(group):
    own = group("learning_params")
    for name in own.fields:
        if name in MAY_BE_ZERO:
            own.bounded_below(name, 0.0)
        elif name not in ("resistance_scale_max", "capacity_scale_max", "rest_full_s"):
            own.bounded_below(name, 1e-9)
        if name not in ("resistance_scale_min", "capacity_scale_min", "rest_min_s"):
            own.bounded_above(name, MOST)
    for scale in ("resistance", "capacity"):
        own.bounded_above(scale + "_scale_min", 1.0)
        own.bounded_below(scale + "_scale_max", 1.0)
    own.bounded_below("rest_full_s", own.struct.rest_min_s)


def test_what_must_not_be_negative_of_power_limits_is_not(group):
    own = group("power_params")
    for name in ("charge_max_a", "discharge_max_a", "soc_min_frac", "soc_margin_sigmas", "voltage_margin_sigmas",
                 "critical_safety_frac"):  # fmt: skip
        own.bounded_below(name, 0.0)
    for name in ("soc_max_frac", "critical_safety_frac"):
        own.bounded_above(name, 1.0)
    for name in ("plating_limit_a", "stripping_limit_a"):
        for at in (0, 50, 95):
            assert own.takes(**{name: (at, 0.0)})
            assert not own.takes(**{name: (at, -1e-6)})


@pytest.mark.parametrize(
    ("low", "high", "equal"),
    [
        ("soc_min_frac", "soc_max_frac", False),
        ("window_min_v", "window_max_v", False),
        ("charge_zero_degc", "charge_full_degc", False),
        ("hot_full_degc", "hot_zero_degc", False),
        ("contact_zero_mpa", "contact_full_mpa", False),
        ("pressed_full_mpa", "pressed_zero_mpa", False),
        ("contact_full_mpa", "pressed_full_mpa", True),
    ],
)
def test_the_ends_of_each_range_of_power_limits_are_in_order(group, low, high, equal):
    own = group("power_params")
    value = getattr(own.struct, high)
    own.bounded_above(low, value, open_end=not equal)


def test_what_must_be_positive_of_detection_is(group):
    own = group("detection_params")
    for name in ABOVE_ZERO:
        own.bounded_below(name, 0.0, open_end=True)
    for name in ("noise_ratio", "swelling_high"):
        own.bounded_below(name, 1.0, open_end=True)
    for name in ("stall_ratio", "swelling_low"):
        own.bounded_above(name, 1.0, open_end=True)
    own.bounded_below("dip_count", 1.0)
    own.bounded_above("dip_count", float(lib.ASSB_DIPS))
    own.bounded_below("charge_alone", 1.0)
    limited = {*ABOVE_ZERO, "noise_ratio", "swelling_high", "stall_ratio", "swelling_low", "dip_count", "charge_alone"}
    for name in set(own.fields) - limited:
        own.bounded_below(name, -MOST)
    for name in set(own.fields) - {"stall_ratio", "swelling_low", "dip_count"}:
        own.bounded_above(name, MOST)
