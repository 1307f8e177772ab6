"""One electrochemical unit of a pack: its parameters and a view of its state. Equations stand in assb_cell.h."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise
from numbers import Real
from typing import Any

from assb_kernels._kernels import ffi, lib

OCV_POINTS: int = lib.ASSB_OCV_POINTS
STRAIGHT = tuple(k / (OCV_POINTS - 1) for k in range(OCV_POINTS))
TABLES = ("ocv_v", "entropy_v_per_k", "swelling_frac", "rc_factor")


@dataclass(frozen=True)
class VoidParams:
    """Voids at a stripped lithium face; rate_per_s 0 (the default): none form."""

    rate_per_s: float = 0.0
    strip_ma_cm2: float = 0.5
    strip_pressure_mpa: float = 5.0
    strip_exponent: float = 1.9
    heal_per_s: float = 0.0
    heal_exponent: float = 1.0
    theta_max: float = 0.95
    height_um: float = 0.0
    both_ways: float = 0.0


@dataclass(frozen=True)
class FilamentParams:
    """A filament through the separator; with growth, creep and bridge rates 0 (the defaults) the unit never shorts."""

    ccd_ma_cm2: float = 1.0
    pressure_mpa: float = 5.0
    ccd_pressure_exponent: float = 0.0
    ccd_activation_ev: float = 0.0
    growth_per_s: float = 0.0
    void_focus: float = 3.0
    creep_per_s: tuple[float, float] = (0.0, 0.0)
    creep_exponent: tuple[float, float] = (1.0, 1.0)
    healing_per_s: float = 0.0
    bridge_per_s: float = 0.0
    bridge_exponent: float = 8.0
    bridge_median_ohm: float = 50.0
    bridge_sigma_ln: float = 1.0
    burn_median_j: float = 0.0
    burn_sigma_ln: float = 1.0
    burn_window_s: float = 10.0
    burnt_length: float = 0.5
    deepen_per_s: float = 0.0
    both_ways: float = 0.0


@dataclass(frozen=True)
class AgeingParams:
    """Loss of capacity and growth of resistance; 0 (the defaults): none."""

    calendar_frac_per_rt_day: float = 0.0
    calendar_activation_ev: float = 0.0
    calendar_soc_slope: float = 0.0
    cycle_frac_per_rt_cycle: float = 0.0
    cycle_exponent: float = 0.5
    resistance_per_loss: float = 0.0


@dataclass(frozen=True)
class CellParams:
    """What the cell is. Defaults are assumptions after the equations' paper values; a plant file gives its own.

    The tables ocv_v, entropy_v_per_k, swelling_frac and rc_factor have OCV_POINTS values from SOC 0 to 1 (`ocv_table`
    resamples); entropy and rc_factor may be one number. One cell has `layers` electrode layers in parallel of
    `layer_area_cm2` each. `swelling_um_per_mah_cm2` > 0 means thicker when charged.
    """

    capacity_ah: float
    ocv_v: Sequence[float]
    layers: float
    layer_area_cm2: float
    entropy_v_per_k: float | Sequence[float] = 0.0
    swelling_frac: Sequence[float] = STRAIGHT
    rc_factor: float | Sequence[float] = 1.0
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
    ambient_offset_k: float = 0.0
    voids: VoidParams = field(default_factory=VoidParams)
    filament: FilamentParams = field(default_factory=FilamentParams)
    ageing: AgeingParams = field(default_factory=AgeingParams)


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


def cell_values(params: CellParams) -> dict[str, Any]:
    """As cffi fills an assb_cell_params; raises ValueError for a table of the wrong length."""
    values = _plain(params)
    for part in ("voids", "filament", "ageing"):
        values[part] = _plain(values[part])
    for name in TABLES:
        given = values[name]
        table = [float(given)] * OCV_POINTS if isinstance(given, (int, float, Real)) else [float(v) for v in given]
        if len(table) != OCV_POINTS:
            raise ValueError(f"{name} has {len(table)} values, needs {OCV_POINTS} (see ocv_table)")
        values[name] = table
    return values


def _plain(params: Any) -> dict[str, Any]:
    return {entry.name: getattr(params, entry.name) for entry in fields(params)}


class CellView:
    """One unit of a pack, as it stands now. Positive current charges."""

    def __init__(self, owner: Any, params: Any, state: Any, stack: Any) -> None:
        self._owner = owner  # keeps the memory
        self._params = params
        self._state = state
        self._stack = stack

    def r0_at_ohm(self, temperature_degc: float, pressure_mpa: float) -> float:
        """Fresh and without voids."""
        return lib.assb_cell_r0_ohm(self._params, temperature_degc, pressure_mpa)

    def ocv_at_v(self, soc: float, temperature_degc: float) -> float:
        """Without hysteresis."""
        return lib.assb_cell_ocv_v(self._params, soc, temperature_degc)

    def state_bytes(self) -> bytes:
        return bytes(ffi.buffer(ffi.addressof(self._state)))

    @property
    def voltage_v(self) -> float:
        return self._state.voltage_v

    @property
    def mean_voltage_v(self) -> float:
        """Over the last step: energy closes with this one."""
        return self._state.mean_voltage_v

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
        """As it is: with voids and ageing."""
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
    def theta(self) -> float:
        """Share of contact lost to voids."""
        return self._state.theta

    @theta.setter
    def theta(self, value: float) -> None:
        if not 0.0 <= value < 1.0:
            raise ValueError(f"theta is {value}, needs 0 <= theta < 1")
        self._state.theta = value

    @property
    def filament_length(self) -> float:
        """1: through the separator."""
        return self._state.filament.length

    @property
    def bridges(self) -> int:
        """Since reset."""
        return int(self._state.filament.bridges)

    @property
    def burn_outs(self) -> int:
        return int(self._state.filament.burn_outs)

    @property
    def is_hard_short(self) -> bool:
        return bool(self._state.filament.is_hard)

    @property
    def short_a(self) -> float:
        """Through its own bridge and the injected short, at the end of the last step."""
        return self._state.short_a

    @property
    def short_s(self) -> float:
        """Conductance of both, siemens."""
        return self._state.short_s

    @property
    def heat_w(self) -> float:
        """All sources over the last step, the short's included, the heater's not."""
        return self._state.heat_w

    @property
    def stored_j(self) -> float:
        """In the RC pairs."""
        return self._state.stored_j

    @property
    def height_um(self) -> float:
        return self._state.height_um

    @property
    def capacity_ah(self) -> float:
        """Present."""
        return self._state.capacity_ah

    @property
    def capacity_loss_frac(self) -> float:
        return self._state.ageing.capacity_loss_frac

    def lose_capacity(self, lost_frac: float) -> None:
        """That share is gone at once, at the same SOC; ageing goes on from what is left."""
        if not 0.0 <= lost_frac < 1.0:
            raise ValueError(f"lost_frac is {lost_frac}, needs 0 <= lost_frac < 1")
        left = 1.0 - lost_frac
        self._params.capacity_ah *= left
        self._state.capacity_ah *= left
        self._state.cache.soc_per_as /= left

    @property
    def resistance_growth_frac(self) -> float:
        return self._state.ageing.resistance_growth_frac

    @property
    def throughput_ah(self) -> float:
        """Both directions, shorts included."""
        return self._state.ageing.throughput_ah

    @property
    def pressure_mpa(self) -> float:
        """Of its stack."""
        return self._stack.pressure_mpa
