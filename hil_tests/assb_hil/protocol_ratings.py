"""What a protocol needs to know of a plant and its bench: rates, windows, what the press and a cold cell admit."""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Any

from assb_host.config.errors import ConfigError
from assb_kernels import Limits, Pack

from assb_hil.plant_checks import reach_mpa

# A cell that is cold or thick carries its plant's rates only on paper: they are cut where R0 alone would take this
# share of the voltage window (A)
OHMIC_WINDOW_FRAC = 0.2


@dataclass(frozen=True)
class Ratings:
    """What a protocol needs to know of a plant; voltages per unit, rates in units of the nominal capacity per hour."""

    capacity_ah: float
    area_cm2: float  # of all layers together
    units: int
    taps: bool  # whether a single unit's voltage is seen
    voltage_min_v: float
    voltage_max_v: float
    charge_max_c: float
    discharge_max_c: float
    pressure_min_mpa: float
    pressure_max_mpa: float
    pressure_mpa: float  # the plant's target
    temperature_min_degc: float
    temperature_max_degc: float
    room_degc: float  # at the start
    r0_ohm_at: Callable[[float], float]  # of the worst unit, at a temperature in degC and the pressure of the start
    reach_mpa: float = inf  # the bench presses no harder
    guard: Limits | None = None  # what stops the run; None: nothing does

    @classmethod
    def of(cls, plant: Any, pack: Pack, room_degc: float, aim_mpa: float, guard: Limits | None) -> "Ratings":
        """Of a PlantFile and the pack that is made of it."""
        cell, limits = plant.cell, plant.limits
        shared = [name for name in cls.__dataclass_fields__ if hasattr(limits, name)]
        return cls(
            capacity_ah=cell.capacity_ah,
            area_cm2=cell.layers * cell.layer_area_cm2,
            units=plant.units,
            taps=plant.taps,
            room_degc=room_degc,
            r0_ohm_at=lambda degc: max(unit.r0_at_ohm(degc, aim_mpa) for unit in pack.cells),
            reach_mpa=reach_mpa(plant.bench),
            guard=guard,
            **{name: getattr(limits, name) for name in shared},
        )

    def stops(self, kind: str, unit: str) -> tuple[float, float] | None:
        """The figures of `guard` between which a run goes on."""
        if self.guard is None:
            return None
        return getattr(self.guard, f"{kind}_min_{unit}"), getattr(self.guard, f"{kind}_max_{unit}")

    def beyond_reach(self, place: tuple[Any, str], pressure_mpa: float) -> list[str]:
        """A note on a pressure that the bench can't press with; raises ConfigError where limits hold."""
        window = (0.0, self.reach_mpa)
        if self.guard is not None and pressure_mpa > self.reach_mpa:
            file, key = place
            raise ConfigError(file, key, pressure_mpa, f"up to {self.reach_mpa:g} MPa: what the bench can press with")
        what = "the reach of the bench"
        return outside(place, pressure_mpa, window, None, "MPa", what)

    def admitted_a(self, rated_c: float, room_degc: float) -> float:
        """What the plant admits in a room of that temperature: its rate, and no more than R0 lets through."""
        window_v = self.voltage_max_v - self.voltage_min_v
        return min(rated_c * self.capacity_ah, OHMIC_WINDOW_FRAC * window_v / self.r0_ohm_at(room_degc))

    def reduced(self, rated_c: float, room_degc: float, do: str) -> list[str]:
        """A note where R0 keeps the admissible current below the plant's rate."""
        most_a, rated_a = self.admitted_a(rated_c, room_degc), rated_c * self.capacity_ah
        if most_a >= rated_a:
            return []
        share = f"{100 * OHMIC_WINDOW_FRAC:g} % of the voltage window"
        return [f"{do}: {most_a:.4g} A is admissible at {room_degc:g} °C, not {rated_a:.4g} A: R0 alone takes {share}"]

    def unit_volts(self, voltage: float | str) -> float:
        """A figure per unit, "max" or "min", in V."""
        named = {"max": self.voltage_max_v, "min": self.voltage_min_v}
        return named[voltage] if isinstance(voltage, str) else voltage

    def end_voltages(self, voltage: float | str) -> dict[str, float]:
        """The end of a step: the first unit that gets there where units are seen, else the mean of them."""
        unit_v = self.unit_volts(voltage)
        if self.taps and self.units > 1:
            return {"until_unit_voltage_v": unit_v}
        return {"until_voltage_v": self.units * unit_v}

    def amperes(self, key: str, value: float, most_a: float) -> float:
        """A current by one of CURRENT_KEYS; `most_a`: what the plant admits in its direction."""
        unit_a = {
            "c_rate": self.capacity_ah,
            "current_a": 1.0,
            "current_ma_cm2": 1e-3 * self.area_cm2,
            "admissible_frac": most_a,
        }
        return value * unit_a[key]


def outside(
    place: tuple[Any, str],
    value: float,
    window: tuple[float, float],
    stops: tuple[float, float] | None,
    unit: str,
    of: str = "the plant's window",
) -> list[str]:
    """A note on a value outside `window`; raises ConfigError when it is outside `stops` too (None: nothing stops)."""
    file, key = place
    if stops is not None and not stops[0] <= value <= stops[1]:
        allowed = f"{stops[0]:.5g} .. {stops[1]:.5g} {unit}: the plant's window with the margin of a run"
        raise ConfigError(file, key, value, allowed, "or give --no-limits")
    if not window[0] <= value <= window[1]:
        window_said = f"{window[0]:g} .. {window[1]:g} {unit}"
        return [f"{key or file}: {value:g} {unit} is outside {of}, {window_said}"]
    return []
