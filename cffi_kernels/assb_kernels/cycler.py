"""A battery cycler that obeys enable lines and current limits late. Its rules stand in assb_cycler.h."""

import math
from dataclasses import asdict, dataclass
from typing import Any

from assb_kernels._kernels import ffi, lib
from assb_kernels.pack import Pack
from assb_kernels.status import STATUS_TEXT, demand_ok


@dataclass(frozen=True)
class CyclerParams:
    """Delays, slew rate (0: at once) and largest current of a cycler. Defaults: ideal."""

    enable_delay_s: float = 0.0
    limit_delay_s: float = 0.0
    limit_timeout_s: float = math.inf
    slew_a_per_s: float = 0.0
    current_max_a: float = math.inf


class Cycler:
    """Starts without current, with both lines off and both limits 0. Raises ValueError for parameters below 0."""

    def __init__(self, params: CyclerParams) -> None:
        self.params = params
        self._params = ffi.new("assb_cycler_params *", asdict(params))
        self._state = ffi.new("assb_cycler_state *")
        self._input = ffi.new("assb_cycler_input *")
        self._current = ffi.new("double *")
        demand_ok(lib.assb_cycler_check(self._params), f"{params}")
        lib.assb_cycler_reset(self._state)

    def step(
        self,
        wanted_a: float,
        dt_s: float,
        pack: Pack,
        *,
        voltage_max_v: float = math.inf,
        voltage_min_v: float = -math.inf,
        unit_max_v: float = math.inf,
        unit_min_v: float = -math.inf,
        charge_enabled: bool = True,
        discharge_enabled: bool = True,
        charge_limit_a: float = math.inf,
        discharge_limit_a: float = math.inf,
        limit_age_s: float = 0.0,
        connected: bool = True,
    ) -> float:
        """Current of the next dt_s, A, + charges.

        Held so that `pack` ends dt_s at most at voltage_max_v (each cell: unit_max_v) when it charges, and at least at
        the minimum when it discharges. Limits are magnitudes; a line or a limit that changes with this call acts from
        its delay on, counted from the begin of this dt_s. `connected`: a closed contactor.
        Raises ValueError for a dt_s that is not positive, a wanted current that is not finite, a limit below 0.
        """
        given = self._input
        given.wanted_a = wanted_a
        given.voltage_max_v, given.voltage_min_v = voltage_max_v, voltage_min_v
        given.unit_max_v, given.unit_min_v = unit_max_v, unit_min_v
        given.charge_enabled, given.discharge_enabled = charge_enabled, discharge_enabled
        given.charge_limit_a, given.discharge_limit_a = charge_limit_a, discharge_limit_a
        given.limit_age_s = limit_age_s
        given.connected = connected
        status = lib.assb_cycler_step(self._params, self._state, given, pack.memory.pack, dt_s, self._current)
        if status != lib.ASSB_OK:
            seen = f"wanted {wanted_a} A, dt {dt_s} s, limits {charge_limit_a} and {discharge_limit_a} A"
            raise ValueError(f"cycler step: {STATUS_TEXT[status]} ({seen})")
        return self._current[0]

    def state_bytes(self) -> bytes:
        return bytes(ffi.buffer(self._state))

    @property
    def c_params(self) -> Any:
        """For other kernels."""
        return self._params

    @property
    def current_a(self) -> float:
        """Of the last step."""
        return self._state.current_a
