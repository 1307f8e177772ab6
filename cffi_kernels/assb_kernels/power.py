"""State of power of one cell: C kernel in single or double precision, beside its `Estimator`."""

from collections.abc import Sequence
from dataclasses import dataclass

from assb_kernels._kernels import ffi, lib
from assb_kernels.estimator import Estimator, group_of
from assb_kernels.status import STATUS_TEXT, demand_ok

HORIZONS_S = (2.0, 10.0, 30.0)
BOUNDS = ("none", "voltage", "soc", "current", "temperature", "pressure", "plating", "stripping")


@dataclass(frozen=True, slots=True)
class PowerLimit:
    """One direction's limits, by horizon (HORIZONS_S). Magnitudes; `bound` names what binds (BOUNDS)."""

    current_a: tuple[float, ...]
    power_w: tuple[float, ...]
    voltage_v: tuple[float, ...]
    bound: tuple[str, ...]


class Power:
    """Largest constant currents of a cell, from an estimator's state; see assb.estimation.power for the model.

    parameters: as the estimator's, of which it takes the group `power`. precision: that of its estimators.
    Raises ValueError for parameters of the wrong count or that make no sense.
    """

    def __init__(self, parameters: Sequence[float], precision: str = "f32") -> None:
        if precision not in ("f32", "f64"):
            raise ValueError(f"precision is 'f32' or 'f64', not {precision!r}")
        own = group_of(parameters, "power_params")
        self._prefix = f"assb_est_{precision}_"
        self._params = ffi.new(self._prefix + "power_params *")
        ffi.cast("float *" if precision == "f32" else "double *", self._params)[0 : len(own)] = own
        self._ask = ffi.new(self._prefix + "power_ask *")
        self._limit = ffi.new(self._prefix + "power_limit *")
        self._limits = getattr(lib, self._prefix + "power_limits")
        demand_ok(getattr(lib, self._prefix + "power_check")(self._params), "power parameters")

    def limits(
        self, estimator: Estimator, charging: bool, temperature_degc: float, pressure_mpa: float | None
    ) -> PowerLimit:
        """Limits of one direction; pressure_mpa None: not known, the lower end of the window is taken.

        Raises ValueError for a temperature or pressure that is not finite or implausible.
        """
        ask, limit = self._ask, self._limit
        ask.temperature_degc = temperature_degc
        ask.pressure_known = pressure_mpa is not None
        ask.pressure_mpa = 0.0 if pressure_mpa is None else pressure_mpa
        ask.charging = charging
        status = self._limits(estimator.c_params, self._params, estimator.c_state, ask, limit)
        if status != lib.ASSB_OK:
            raise ValueError(f"power limits: {STATUS_TEXT[status]} (status {status})")
        bound = tuple(BOUNDS[code] for code in limit.bound)
        return PowerLimit(tuple(limit.current_a), tuple(limit.power_w), tuple(limit.voltage_v), bound)
