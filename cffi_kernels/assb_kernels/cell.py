"""The simulated cell in its stack: C in double precision. Equations and sources stand in assb_cell.h and .c."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

from assb_kernels._kernels import ffi, lib
from assb_kernels.columns import column, outputs, pointer
from assb_kernels.status import demand_ok

OCV_POINTS: int = lib.ASSB_OCV_POINTS
RESULTS = tuple(name for name, _field in ffi.typeof("assb_cell_results").fields)


@dataclass(frozen=True)
class CellParams:
    """What the cell is. Defaults are assumptions after the equations' paper values; a plant file gives its own.

    `ocv_v` has OCV_POINTS values from SOC 0 to 1 (`ocv_table` resamples). One cell has `layers` electrode layers in
    parallel of `layer_area_cm2` each. `swelling_um_per_mah_cm2` > 0 means thicker when charged.
    """

    capacity_ah: float
    ocv_v: Sequence[float]
    layers: int
    layer_area_cm2: float
    entropy_v_per_k: float = 0.0
    hysteresis_v: float = 0.0
    hysteresis_rate: float = 20.0
    reference_k: float = 298.15
    se_ohm_cm2: float = 10.0
    se_activation_ev: float = 0.34
    contact_ohm_cm2: float = 15.0
    contact_activation_ev: float = 0.34
    contact_pressure_mpa: float = 5.0
    contact_exponent: float = 0.55
    contact_floor_mpa: float = 0.05
    rc_ohm: tuple[float, float, float] = (0.010, 0.010, 0.008)
    rc_tau_s: tuple[float, float, float] = (2.0, 30.0, 300.0)
    rc_activation_ev: float = 0.34
    core_j_per_k: float = 25.0
    surface_j_per_k: float = 10.0
    core_surface_w_per_k: float = 1.0
    surface_ambient_w_per_k: float = 0.5
    swelling_um_per_mah_cm2: float = 4.25
    expansion_um_per_k: float = 0.02
    stiffness_mpa_per_um: float = 0.02
    viscous_frac: tuple[float, float] = (0.10, 0.15)
    viscous_tau_s: tuple[float, float] = (600.0, 2e4)
    creep_um_per_s: float = 0.0
    creep_pressure_mpa: float = 5.0
    creep_exponent: float = 6.6
    piston_um_per_s_mpa: float = 0.0
    piston_friction_mpa: float = 0.0


STACK_FIELDS = frozenset(name for name, _field in ffi.typeof("assb_stack_params").fields)


def ocv_table(soc: Sequence[float], voltage_v: Sequence[float]) -> list[float]:
    """`voltage_v` over rising `soc`, resampled linearly to OCV_POINTS from 0 to 1; held beyond its ends.

    Raises ValueError for lengths that differ or a SOC that does not rise.
    """
    if len(soc) != len(voltage_v) or len(soc) < 2:
        raise ValueError(f"OCV needs as many SOC values as voltages, two or more; got {len(soc)} and {len(voltage_v)}")
    if any(b <= a for a, b in pairwise(soc)):
        raise ValueError("OCV: soc must rise")
    table, k = [], 0
    for point in range(OCV_POINTS):
        at = min(max(point / (OCV_POINTS - 1), soc[0]), soc[-1])
        while k < len(soc) - 2 and at > soc[k + 1]:
            k += 1
        place = (at - soc[k]) / (soc[k + 1] - soc[k])
        table.append(voltage_v[k] + place * (voltage_v[k + 1] - voltage_v[k]))
    return table


class Cell:
    """One simulated cell that stands in its own stack. Positive current charges.

    Starts at rest at `soc`, evenly at `temperature_degc`, and standing at `pressure_mpa` since long.
    Raises ValueError for parameters or a start that make no sense.
    """

    def __init__(
        self, params: CellParams, soc: float = 0.5, temperature_degc: float = 25.0, pressure_mpa: float = 5.0
    ) -> None:
        self.params = params
        values = asdict(params)
        stack = {name: values.pop(name) for name in STACK_FIELDS}
        if len(params.ocv_v) != OCV_POINTS:
            raise ValueError(f"ocv_v has {len(params.ocv_v)} values, needs {OCV_POINTS} (see ocv_table)")
        self._params = ffi.new("assb_cell_params *", {**values, "stack": stack})
        self._state = ffi.new("assb_cell_state *")
        self._input = ffi.new("assb_cell_input *")
        demand_ok(lib.assb_cell_check(self._params), "cell parameters")
        self.reset(soc, temperature_degc, pressure_mpa)

    def reset(self, soc: float, temperature_degc: float, pressure_mpa: float) -> None:
        """Back to rest; raises ValueError for a SOC outside 0..1, a temperature or pressure out of range."""
        demand_ok(lib.assb_cell_reset(self._params, self._state, soc, temperature_degc, pressure_mpa), "cell reset")

    def step(
        self,
        current_a: float,
        dt_s: float,
        ambient_degc: float = 25.0,
        drive_mpa: float = 0.0,
        gap_rate_um_s: float = 0.0,
        short_s: float = 0.0,
    ) -> int:
        """Advance by dt_s, inputs held; returns 0, or a negative status (STATUS_TEXT) and changes nothing.

        drive_mpa: pressure that a piston is asked for (only with piston_um_per_s_mpa > 0).
        gap_rate_um_s: speed of a screw, > 0 opens. short_s: conductance of an internal short, siemens.
        """
        given = self._input
        given.current_a = current_a
        given.ambient_degc = ambient_degc
        given.drive_mpa = drive_mpa
        given.gap_rate_um_s = gap_rate_um_s
        given.short_s = short_s
        return lib.assb_cell_step(self._params, self._state, given, dt_s)

    def run(
        self,
        current_a: Iterable[float],
        dt_s: float,
        ambient_degc: float | Iterable[float] = 25.0,
        drive_mpa: float | Iterable[float] = 0.0,
        gap_rate_um_s: float | Iterable[float] = 0.0,
        short_s: float | Iterable[float] = 0.0,
        results: Iterable[str] = ("voltage_v", "soc", "core_degc", "pressure_mpa"),
    ) -> "dict[str, array[Any]]":
        """n steps of dt_s in C; inputs are columns of n values (float64 buffers are used in place) or one number.

        Returns the named columns (see RESULTS), n values each.
        Raises ValueError for unequal lengths, an unknown result, or an input that a step refuses (says which).
        """
        first = column(current_a, "d")
        count = len(first)
        rest = [column(v, "d", count) for v in (ambient_degc, drive_mpa, gap_rate_um_s, short_s)]
        keep = [pointer(buffer, "d") for buffer in (first, *rest)]
        out = outputs(results, RESULTS, "d", count)
        held = {name: pointer(values, "d", writable=True) for name, values in out.items()}
        columns = ffi.new("assb_cell_columns *", keep)
        sinks = ffi.new("assb_cell_results *", held)
        taken = lib.assb_cell_run(self._params, self._state, columns, sinks, dt_s, count)
        if taken != count:
            at = [buffer[taken] for buffer in (first, *rest)]
            raise ValueError(
                f"cell run: input {taken} refused (current, ambient, drive, gap rate, short: {at}, dt {dt_s})"
            )
        return out

    def r0_at_ohm(self, temperature_degc: float, pressure_mpa: float) -> float:
        return lib.assb_cell_r0_ohm(self._params, temperature_degc, pressure_mpa)

    def ocv_at_v(self, soc: float, temperature_degc: float) -> float:
        """Without hysteresis."""
        return lib.assb_cell_ocv_v(self._params, soc, temperature_degc)

    def state_bytes(self) -> bytes:
        return bytes(ffi.buffer(self._state))

    @property
    def voltage_v(self) -> float:
        return self._state.voltage_v

    @property
    def soc(self) -> float:
        return self._state.soc

    @property
    def hysteresis(self) -> float:
        """-1 (discharged) .. +1 (charged)."""
        return self._state.hysteresis

    @property
    def ocv_v(self) -> float:
        """With entropy and hysteresis, at the present SOC."""
        return self._state.ocv_v

    @property
    def r0_ohm(self) -> float:
        return self._state.r0_ohm

    @property
    def rc_v(self) -> tuple[float, ...]:
        """Voltages of the RC pairs, > 0 on discharge."""
        return tuple(self._state.rc_v)

    @property
    def temperature_degc(self) -> float:
        """Of the core."""
        return self._state.core_degc

    @property
    def surface_degc(self) -> float:
        """Where a sensor would sit."""
        return self._state.surface_degc

    @property
    def pressure_mpa(self) -> float:
        return self._state.stack.pressure_mpa

    @property
    def gap_um(self) -> float:
        return self._state.stack.gap_um

    @property
    def height_um(self) -> float:
        return self._state.height_um

    @property
    def creep_um(self) -> float:
        return self._state.stack.creep_um

    @property
    def short_a(self) -> float:
        """Through the internal short, at the end of the last step."""
        return self._state.short_a

    @property
    def heat_w(self) -> float:
        """All sources over the last step, the short's included."""
        return self._state.heat_w
