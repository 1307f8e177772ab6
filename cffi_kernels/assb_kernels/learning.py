"""What an estimator learns over days, same names as `assb.estimation.learning.Learning`."""

from array import array
from collections.abc import Iterable, Sequence
from typing import Any

from assb_kernels._kernels import ffi, lib
from assb_kernels.columns import column, outputs, pointer
from assb_kernels.estimator import Estimator
from assb_kernels.status import demand_ok

STATE_MOST = 1e12
LEARNED_SIZE: int = lib.ASSB_LEARNED
LEARNED = tuple(name for name, _field in ffi.typeof("assb_est_f64_learning").fields)[:LEARNED_SIZE]
LEARNING_RESULTS = tuple(name for name, _field in ffi.typeof("assb_est_f64_learning_results").fields)
MISSING_TEXT: dict[int, str] = {
    lib.ASSB_LEARNT: "learned",
    lib.ASSB_NO_CHANCE: "no step of current, or no rest, large or long enough so far",
    lib.ASSB_TOO_SLOW: "the samples are too far apart",
    lib.ASSB_UNSTEADY: "temperature or pressure moved the resistance meanwhile",
    lib.ASSB_LEAKING: "an internal short would be taken for it",
    lib.ASSB_OCV_FLAT: "the rested voltage does not tell SOC well enough",
    lib.ASSB_ONE_ANCHOR: "the first rest of two",
    lib.ASSB_SHORT_SPAN: "the rests are too close together in SOC",
    lib.ASSB_OUTLIER: "it contradicts what was learned so far",
}


class Learning:
    """Resistance scale, capacity and SOH of the cell of `estimator`, into which both scales are put.

    Raises ValueError for parameters that make no sense. A new cell at first; `reset` of the estimator keeps what was
    learned.
    """

    def __init__(self, estimator: Estimator) -> None:
        self.estimator = estimator
        self._prefix, self._code = estimator._prefix, estimator._code
        self._params = estimator.parameter_group("learning_params")
        self._learning = ffi.new(self._prefix + "learning *")
        self._height = ffi.new(self._prefix + "height *")
        demand_ok(self._call("learning_check", self._params), "learning parameters")
        self.reset()

    def _call(self, name: str, *arguments: Any) -> Any:
        return getattr(lib, self._prefix + name)(*arguments)

    def reset(self) -> None:
        """A new cell of nominal capacity and resistance, within the prior's sigmas."""
        self._call("learning_reset", self._params, self._learning)

    def step(
        self, voltage_v: float, current_a: float, temperature_degc: float, pressure_mpa: float, dt_s: float
    ) -> int:
        """A step of the estimator, then of learning. Returns a status like `Estimator.step`."""
        given = self.estimator
        sample = given.sample(voltage_v, current_a, temperature_degc, pressure_mpa, dt_s)
        status = self._call("step", given.c_params, given.c_state, sample)
        if status == lib.ASSB_OK:
            self._call("learning_update", given.c_params, self._params, given.c_state, self._learning, sample)
        return status

    def run(
        self,
        voltage_v: Iterable[float],
        current_a: float | Iterable[float],
        temperature_degc: float | Iterable[float],
        pressure_mpa: float | Iterable[float],
        dt_s: float | Iterable[float],
        results: Iterable[str] = ("soc", "soc_sigma", "resistance_scale", "capacity_scale", "status"),
    ) -> "dict[str, array[Any]]":
        """Step through n samples in C; inputs and outputs as in `Estimator.run`, names in LEARNING_RESULTS."""
        first = column(voltage_v, self._code)
        count = len(first)
        rest = [column(v, self._code, count) for v in (current_a, temperature_degc, pressure_mpa, dt_s)]
        keep = [pointer(buffer, self._code) for buffer in (first, *rest)]
        columns = ffi.new(self._prefix + "columns *", keep)
        out = outputs(results, LEARNING_RESULTS, self._code, count)
        held = {name: pointer(values, values.typecode, writable=True) for name, values in out.items()}
        sinks = ffi.new(self._prefix + "learning_results *", held)
        given = self.estimator
        self._call("learning_run", given.c_params, self._params, given.c_state, self._learning, columns, sinks, count)
        return out

    def height_step(self, pressure_mpa: float, gap_um: float) -> int:
        """After a step: SOC from the stack's height (see assb.estimation.pressure_soc). 1 if it corrected SOC, 0 if
        not, a negative status for a bad input."""
        given = self.estimator
        return self._call(
            "height_step",
            given.c_params,
            self._params,
            given.c_state,
            self._learning,
            self._height,
            pressure_mpa,
            gap_um,
        )

    def lose(self) -> None:
        """Charge flowed that was not counted: the last rest is no anchor any more."""
        self._call("learning_lose", self._learning)

    def export(self) -> "array[Any]":
        """LEARNED_SIZE floats that outlive a power cycle, in the order of LEARNED."""
        return array("f", self.numbers()[:LEARNED_SIZE])

    def restore(self, values: Sequence[float]) -> None:
        """Take up what `export` gave. Raises ValueError for values that learning can't have left; nothing has changed
        then."""
        if len(values) != LEARNED_SIZE:
            raise ValueError(f"what was learned has {LEARNED_SIZE} values, got {len(values)}")
        given = ffi.new("float[]" if self._code == "f" else "double[]", list(values))
        demand_ok(self._call("learning_restore", self._params, self._learning, given), "restored learning")

    def numbers(self) -> list[float]:
        """All of the state, in the order of the C struct."""
        real = "float" if self._code == "f" else "double"
        count = ffi.sizeof(self._learning[0]) // ffi.sizeof(real)
        return list(ffi.cast(real + " *", self._learning)[0:count])

    def state_bytes(self) -> bytes:
        """All of the state as it lies in memory, to compare or to keep."""
        return bytes(ffi.buffer(self._learning))

    def restore_state(self, state: bytes) -> None:
        """Take up a state from `state_bytes` of the same precision and build.

        Raises ValueError for another size, or for numbers that learning can't have left; nothing has changed then.
        """
        size = ffi.sizeof(self._learning[0])
        if len(state) != size:
            raise ValueError(f"a saved state has {size} bytes, got {len(state)}")
        numbers = array(self._code, state)
        if not all(abs(number) <= STATE_MOST for number in numbers):
            raise ValueError("a saved state of learning is none: a number is not finite, or beyond 1e12")
        self.restore(numbers[:LEARNED_SIZE])
        ffi.buffer(self._learning)[:] = state

    @property
    def resistance_scale(self) -> float:
        """Of R0, R1 and R2 against the tables; 1 when new."""
        return self._learning.resistance_scale

    @property
    def resistance_sigma(self) -> float:
        """1-sigma of resistance_scale as a measure of R0."""
        return self._call("resistance_sigma", self._params, self._learning)

    @property
    def resistance_steps(self) -> int:
        """Steps of current that it was learned from."""
        return int(self._learning.resistance_steps)

    @property
    def resistance_missing(self) -> int:
        """What the last step of current lacked, 0: nothing; see MISSING_TEXT."""
        return int(self._learning.resistance_missing)

    @property
    def capacity_scale(self) -> float:
        """Of the nominal capacity: SOH in capacity."""
        return self._learning.capacity_scale

    @property
    def capacity_sigma(self) -> float:
        return self._call("capacity_sigma", self._params, self._learning)

    @property
    def capacity_pairs(self) -> int:
        """Pairs of rests that it was learned from."""
        return int(self._learning.capacity_pairs)

    @property
    def capacity_missing(self) -> int:
        """What the last rest lacked, 0: nothing; see MISSING_TEXT."""
        return int(self._learning.capacity_missing)

    @property
    def soh_resistance(self) -> float:
        """Resistance of the new cell over that of this one, at one temperature and pressure."""
        return 1.0 / self._learning.resistance_scale

    @property
    def soh_resistance_sigma(self) -> float:
        """Also of what the new cell's resistance was: the profile's is within overvoltage_sigma_frac."""
        return self._call("soh_resistance_sigma", self.estimator.c_params, self._params, self._learning)

    @property
    def soc_sigma(self) -> float:
        """The filter's, with what an error of the OCV table may have made of SOC."""
        return self._call("soc_sigma", self.estimator.c_state, self._learning)
