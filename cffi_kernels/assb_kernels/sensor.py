"""Sensor errors between the truth and a chip. Their laws stand in assb_sensor.h."""

from array import array
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any

from assb_kernels._kernels import ffi, lib
from assb_kernels.columns import column, pointer
from assb_kernels.status import STATUS_TEXT, demand_parameters


@dataclass(frozen=True)
class SensorParams:
    """One channel, in the unit of its quantity; the defaults are a perfect sensor.

    `drift_per_rt_h`: rms of a random walk after one hour. `quantum` 0: not quantised. `dropout_frac`: share of readings
    that repeat the one before.
    """

    gain_frac: float = 0.0
    offset: float = 0.0
    drift_per_rt_h: float = 0.0
    noise_rms: float = 0.0
    quantum: float = 0.0
    delay_s: float = 0.0
    dropout_frac: float = 0.0


class Sensor:
    """One channel with its own random numbers, drawn from `seed` and `name`. Raises ValueError for bad parameters."""

    def __init__(self, params: SensorParams, seed: int = 0, name: str = "") -> None:
        self.params = params
        self.name = name
        self._params = ffi.new("assb_sensor_params *", asdict(params))
        self._faults = ffi.new("assb_sensor_faults *", {"gain_fault": 1.0})
        self._state = ffi.new("assb_sensor_state *")
        self._measured = ffi.new("double *")
        good = asdict(SensorParams())
        demand_parameters(lib.assb_sensor_check, "assb_sensor_params *", asdict(params), good, f"sensor {name}")
        stream = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "little")
        lib.assb_sensor_reset(self._state, seed % 2**64, stream)

    def read(self, truth: float, dt_s: float) -> float:
        """What is measured when the truth is `truth`, dt_s (>= 0) after the reading before.

        Raises ValueError for a truth that is not finite, or a dt_s so short that the delay spans too many readings.
        """
        status = lib.assb_sensor_read(self._params, self._faults, self._state, truth, dt_s, self._measured)
        if status != lib.ASSB_OK:
            raise self._refusal(status, truth, dt_s)
        return self._measured[0]

    def run(self, truth: Iterable[float], dt_s: float) -> "array[Any]":
        """Readings of a column, dt_s apart; a float64 buffer is used in place. Raises ValueError as `read` does."""
        given = column(truth, "d")
        count = len(given)
        out = array("d", bytes(8 * count))
        source, sink, status = pointer(given, "d"), pointer(out, "d", writable=True), ffi.new("int *")
        taken = lib.assb_sensor_run(self._params, self._faults, self._state, source, sink, count, dt_s, status)
        if taken != count:
            raise self._refusal(status[0], given[taken], dt_s, f" {taken}")
        return out

    def _refusal(self, status: int, truth: float, dt_s: float, at: str = "") -> ValueError:
        why = STATUS_TEXT[status]
        if status == lib.ASSB_BAD_VOLTAGE:
            why = "truth not finite or beyond 1e100"
        elif dt_s >= 0.0:
            why += f": a delay of {self.params.delay_s} s spans more than {lib.ASSB_SENSOR_LINE} readings"
        return ValueError(f"sensor {self.name}: reading{at} refused: {why} (truth {truth}, dt {dt_s} s)")

    def _set_fault(self, name: str, value: float) -> None:
        faults = ffi.new("assb_sensor_faults *", self._faults[0])
        setattr(faults, name, value)
        if lib.assb_sensor_faults_check(faults) != lib.ASSB_OK:
            raise ValueError(f"sensor {self.name}: {name} is {value}, needs a finite, plausible number; a noise >= 0")
        self._faults[0] = faults[0]

    @property
    def stuck(self) -> bool:
        """Fault: repeats its last reading."""
        return bool(self._faults.stuck)

    @stuck.setter
    def stuck(self, value: bool) -> None:
        self._faults.stuck = int(value)

    @property
    def gain_fault(self) -> float:
        """Fault: factor on what it reads, 1: none."""
        return self._faults.gain_fault

    @gain_fault.setter
    def gain_fault(self, value: float) -> None:
        self._set_fault("gain_fault", value)

    @property
    def offset_fault(self) -> float:
        """Fault: added after the factor."""
        return self._faults.offset_fault

    @offset_fault.setter
    def offset_fault(self, value: float) -> None:
        self._set_fault("offset_fault", value)

    @property
    def noise_fault_rms(self) -> float:
        """Fault: added to the noise."""
        return self._faults.noise_fault_rms

    @noise_fault_rms.setter
    def noise_fault_rms(self, value: float) -> None:
        self._set_fault("noise_fault_rms", value)

    @property
    def dropout_frac(self) -> float:
        """Of the parameters, and settable: a fault."""
        return self._params.dropout_frac

    @dropout_frac.setter
    def dropout_frac(self, value: float) -> None:
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"sensor {self.name}: dropout_frac is {value}, needs 0 to 1")
        self._params.dropout_frac = value
