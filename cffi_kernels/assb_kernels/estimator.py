"""The fast estimator of one cell: C kernel in single or double precision, same names as `assb.estimation.ekf.Ekf`."""

import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Any

from assb_kernels._kernels import ffi, lib
from assb_kernels.columns import column, outputs, pointer
from assb_kernels.status import demand_ok

STATES = 5
DIAGONAL = (0, 5, 9, 12, 14)  # of the packed covariance
STATE_MOST = 1e12
STATE_FIELDS = dict(ffi.typeof("assb_est_f64_state").fields)
KEPT_AT = STATE_FIELDS["kept_dt_s"].offset // ffi.sizeof("double")  # from here on: what `forget` forgets
RESULTS = tuple(name for name, _field in ffi.typeof("assb_est_f64_results").fields)


def layout(struct: str) -> tuple[tuple[str, int], ...]:
    """(name, count) of each member of a struct of reals, in order; `struct` without its precision."""
    real = ffi.sizeof("double")
    fields = ffi.typeof(f"assb_est_f64_{struct}").fields
    return tuple((name, ffi.sizeof(field.type) // real) for name, field in fields)


# The groups of the flat layout, each a struct of its own, as they follow each other
GROUPS = ("params", "learning_params", "power_params", "detection_params")
GROUP_SIZE = {group: sum(count for _name, count in layout(group)) for group in GROUPS}
PARAMETER_LAYOUT = tuple(row for group in GROUPS for row in layout(group))
PARAMETER_SIZE = sum(GROUP_SIZE.values())


def group_of(parameters: Sequence[float], group: str) -> list[float]:
    """The floats of one group; raises ValueError for a flat layout of another size."""
    if len(parameters) != PARAMETER_SIZE:
        raise ValueError(f"the estimator takes {PARAMETER_SIZE} parameters, got {len(parameters)}")
    first = sum(GROUP_SIZE[earlier] for earlier in GROUPS[: GROUPS.index(group)])
    return list(parameters[first : first + GROUP_SIZE[group]])


class Estimator:
    """EKF with the states SOC, V1, V2, hysteresis and leak current; positive current charges, leak_a > 0 is a short.

    parameters: PARAMETER_SIZE floats in the order of PARAMETER_LAYOUT (see assb.estimation.parameters).
    precision: "f32", the bytes that a board computes, or "f64".
    Raises ValueError for parameters of the wrong count or that make no sense.

    feed(voltage_v, current_a, temperature_degc, pressure_mpa, dt_s) is `step` without Python around C's own function:
    no keywords, a third of the time.
    """

    feed: Callable[[float, float, float, float, float], int]

    def __init__(self, parameters: Sequence[float], precision: str = "f32") -> None:
        if precision not in ("f32", "f64"):
            raise ValueError(f"precision is 'f32' or 'f64', not {precision!r}")
        self._code = "f" if precision == "f32" else "d"
        self._real = "float" if precision == "f32" else "double"
        self._prefix = f"assb_est_{precision}_"
        self.flat = list(parameters)
        self.c_params = self.parameter_group("params")
        self.c_state = ffi.new(self._prefix + "state *")
        self._sample = ffi.new(self._prefix + "sample *")
        self.feed = partial(getattr(lib, self._prefix + "feed"), self.c_params, self.c_state)
        demand_ok(getattr(lib, self._prefix + "check")(self.c_params), "estimator parameters")
        self.reset(0.5, 1.0)

    def parameter_group(self, group: str) -> Any:
        """A group of the parameters (see GROUPS) as its C struct."""
        own = group_of(self.flat, group)
        struct = ffi.new(f"{self._prefix}{group} *")
        ffi.cast(self._real + " *", struct)[0 : len(own)] = own
        return struct

    def reset(self, soc: float, soc_sigma: float) -> None:
        """Start at rest without a leak; raises ValueError for a SOC outside 0..1 or a sigma outside (0, 1]."""
        demand_ok(getattr(lib, self._prefix + "reset")(self.c_params, self.c_state, soc, soc_sigma), "estimator reset")

    def doubt_relaxed(self, v1_sigma_v: float, v2_sigma_v: float) -> None:
        """After a reset of a cell that may not have rested: so much may V1 and V2 be, 1-sigma."""
        for k, sigma_v in ((1, v1_sigma_v), (2, v2_sigma_v)):
            self.c_state.covariance[DIAGONAL[k]] += sigma_v * sigma_v

    def rested_soc(self, voltage_v: float, temperature_degc: float) -> float:
        """SOC at which the rested cell shows this voltage."""
        return getattr(lib, self._prefix + "rested_soc")(self.c_params, voltage_v, temperature_degc)

    def step(
        self, voltage_v: float, current_a: float, temperature_degc: float, pressure_mpa: float, dt_s: float
    ) -> int:
        """Advance by dt_s with the current held, correct with the voltage at its end.

        Returns 0, or a negative status (see STATUS_TEXT) for an input that is not finite or implausible; the state is
        then untouched.
        """
        return self.feed(voltage_v, current_a, temperature_degc, pressure_mpa, dt_s)

    def predict(self, current_a: float, temperature_degc: float, pressure_mpa: float, dt_s: float) -> int:
        """Count charge without a voltage (its sensor is lost); returns a status like `step`."""
        sample = self.sample(0.0, current_a, temperature_degc, pressure_mpa, dt_s)
        return getattr(lib, self._prefix + "predict")(self.c_params, self.c_state, sample)

    def observe_soc(self, soc: float, soc_sigma: float) -> int:
        """Correct with a SOC that something else than the voltage tells; returns a status like `step`."""
        return getattr(lib, self._prefix + "observe_soc")(self.c_params, self.c_state, soc, soc_sigma)

    def run(
        self,
        voltage_v: Iterable[float],
        current_a: float | Iterable[float],
        temperature_degc: float | Iterable[float],
        pressure_mpa: float | Iterable[float],
        dt_s: float | Iterable[float],
        results: Iterable[str] = ("soc", "soc_var", "leak_a", "leak_var", "status"),
    ) -> "dict[str, array[Any]]":
        """Step through time series of n values, in C from end to end; a number stands for n equal values.

        Inputs that are buffers of the estimator's own type (numpy float32/float64, array 'f'/'d') are used in place.
        Returns the named columns of n values (see RESULTS); a refused sample repeats the state and has its status.
        Raises ValueError for unequal lengths or an unknown result.
        """
        first = column(voltage_v, self._code)
        count = len(first)
        rest = [column(v, self._code, count) for v in (current_a, temperature_degc, pressure_mpa, dt_s)]
        keep = [pointer(buffer, self._code) for buffer in (first, *rest)]
        columns = ffi.new(self._prefix + "columns *", keep)
        out = outputs(results, RESULTS, self._code, count)
        held = {name: pointer(values, values.typecode, writable=True) for name, values in out.items()}
        sinks = ffi.new(self._prefix + "results *", held)
        getattr(lib, self._prefix + "run")(self.c_params, self.c_state, columns, sinks, count)
        return out

    def covariance(self) -> list[list[float]]:
        """5 x 5, order soc, v1_v, v2_v, hysteresis, leak_a."""
        packed = iter(self.c_state.covariance)
        upper = [[0.0] * k + list(islice(packed, STATES - k)) for k in range(STATES)]
        return [[upper[min(i, j)][max(i, j)] for j in range(STATES)] for i in range(STATES)]

    def state_bytes(self) -> bytes:
        """All of the state as it lies in memory, to compare or to keep."""
        return bytes(ffi.buffer(self.c_state))

    def restore(self, state: bytes) -> None:
        """Take up a state from `state_bytes` of the same precision and build.

        Raises ValueError for another size, or for numbers that no step leaves; nothing has changed then.
        """
        if len(state) != ffi.sizeof(self.c_state[0]):
            raise ValueError(f"a saved state has {ffi.sizeof(self.c_state[0])} bytes, got {len(state)}")
        numbers = array(self._code, state)
        given = ffi.cast(f"{self._prefix}state *", ffi.from_buffer(numbers))
        if not (self._is_sound(given) and all(abs(number) <= STATE_MOST for number in numbers[:KEPT_AT])):
            raise ValueError(f"a saved state is none: SOC {given.soc}, or a number that no step leaves")
        ffi.memmove(self.c_state, given, ffi.sizeof(self.c_state[0]))
        getattr(lib, self._prefix + "forget")(self.c_state)

    def _is_sound(self, state: Any) -> bool:
        scales = (state.capacity_scale, state.resistance_scale)
        variances = [state.covariance[k] for k in DIAGONAL]
        return (
            0 <= state.soc <= 1
            and abs(state.hysteresis) <= 1
            and abs(state.leak_a) <= self.c_params.current_max_a
            and all(1e-3 <= scale <= 1e3 for scale in scales)
            and all(0 < variance <= STATE_MOST for variance in variances)
        )

    def sample(
        self, voltage_v: float, current_a: float, temperature_degc: float, pressure_mpa: float, dt_s: float
    ) -> Any:
        """The numbers as C's struct, the same one each time."""
        sample = self._sample
        sample.voltage_v = voltage_v
        sample.current_a = current_a
        sample.temperature_degc = temperature_degc
        sample.pressure_mpa = pressure_mpa
        sample.dt_s = dt_s
        return sample

    @property
    def soc(self) -> float:
        return self.c_state.soc

    @property
    def soc_sigma(self) -> float:
        return math.sqrt(self.c_state.covariance[0])

    @property
    def v1_v(self) -> float:
        return self.c_state.v1_v

    @property
    def v2_v(self) -> float:
        return self.c_state.v2_v

    @property
    def hysteresis(self) -> float:
        """-1 (discharged) .. +1 (charged)."""
        return self.c_state.hysteresis

    @property
    def hysteresis_v(self) -> float:
        return self.c_params.hysteresis_v * self.c_state.hysteresis

    @property
    def leak_a(self) -> float:
        return self.c_state.leak_a

    @property
    def leak_sigma_a(self) -> float:
        return math.sqrt(self.c_state.covariance[14])

    @property
    def r0_ohm(self) -> float:
        """At the temperature and pressure of the last step."""
        return self.c_state.r0_ohm

    @property
    def resistance_scale(self) -> float:
        """Of R0, R1 and R2 against the tables; 1 when new."""
        return self.c_state.resistance_scale

    @property
    def capacity_scale(self) -> float:
        """Of capacity_ah; 1 when new."""
        return self.c_state.capacity_scale

    @property
    def innovation_v(self) -> float:
        """Measured less expected voltage of the last step."""
        return self.c_state.innovation_v

    @property
    def innovation_sigma_v(self) -> float:
        return math.sqrt(self.c_state.innovation_var)
