"""A protocol for one plant: loops unrolled, "max", C-rates and shares turned into volts and amperes; + charges."""

from dataclasses import dataclass, replace
from math import inf, nan
from pathlib import Path
from typing import Any

from assb_host.config.errors import ConfigError
from assb_kernels import ProtocolStep

from assb_hil.drive_file import DriveCycle, load_drive_cycle
from assb_hil.protocol_file import (
    CURRENT_KEYS,
    Charge,
    Current,
    Drive,
    End,
    Hold,
    Protocol,
    Repeat,
    Rest,
    given_of,
)

MAX_STEPS = 100_000  # after unrolling
# A short can keep a voltage from ever being reached: a step without a time of its own ends at the latest then
GUARD_TURNS = 2.5  # times the hours that the nominal capacity takes at its current
DRIVE_TURNS_MAX = 2000  # for a drive cycle that hardly empties the cell, or doesn't
GUARD_HOLD_S = 24 * 3600.0


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

    @classmethod
    def of(cls, plant: Any) -> "Ratings":
        """Of a PlantFile."""
        cell, limits = plant.cell, plant.limits
        shared = [name for name in cls.__dataclass_fields__ if hasattr(limits, name)]
        return cls(
            capacity_ah=cell.capacity_ah,
            area_cm2=cell.layers * cell.layer_area_cm2,
            units=plant.units,
            taps=plant.taps,
            **{name: getattr(limits, name) for name in shared},
        )

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

    def amperes(self, key: str, value: float, most_c: float) -> float:
        """A current by one of CURRENT_KEYS; `most_c`: what the plant admits in its direction."""
        unit_a = {
            "c_rate": self.capacity_ah,
            "current_a": 1.0,
            "current_ma_cm2": 1e-3 * self.area_cm2,
            "admissible_frac": most_c * self.capacity_ah,
        }
        return value * unit_a[key]


@dataclass(frozen=True)
class DriveOptions:
    """What the command line says about drive cycles; it goes before the file. None: as the file says."""

    file: Path | None = None
    plus_discharges: bool | None = None
    scale: float | None = None


@dataclass(frozen=True)
class Unrolled:
    """One pass of a protocol: steps, the name of each, how many cycles they count, and what a reader should know."""

    steps: tuple[ProtocolStep, ...]
    names: tuple[str, ...]
    cycles: int
    notes: tuple[str, ...]

    def shifted(self, cycles: int) -> list[ProtocolStep]:
        """The steps of a later pass, that many cycles on."""
        return [replace(step, cycle=step.cycle + cycles) for step in self.steps]


def unroll(protocol: Protocol, ratings: Ratings, dt_s: float, drive: DriveOptions | None = None) -> Unrolled:
    """The steps of one pass. Raises ConfigError for what only shows once plant and protocol meet."""
    unroller = _Unroller(protocol, ratings, dt_s, drive or DriveOptions())
    unroller.add(protocol.steps, "step")
    cycles = max(step.cycle for step in unroller.steps)
    return Unrolled(tuple(unroller.steps), tuple(unroller.names), cycles, tuple(dict.fromkeys(unroller.notes)))


class _Unroller:
    """Walks the loops of one protocol."""

    def __init__(self, protocol: Protocol, ratings: Ratings, dt_s: float, drive: DriveOptions):
        self.path = protocol.path
        self.ratings = ratings
        self.dt_s = dt_s
        self.drive = drive
        self.steps: list[ProtocolStep] = []
        self.names: list[str] = []
        self.notes: list[str] = []
        self._cycle = 1
        self._cycle_used = False
        self._made: dict[str, ProtocolStep] = {}

    def add(self, steps: Any, where: str) -> None:
        for position, step in enumerate(steps):
            key = f"{where}[{position}]"
            if isinstance(step, Repeat):
                for _ in range(step.times):
                    self._next_cycle(step.as_cycles)
                    self.add(step.step, f"{key}.step")
            else:
                self._append(step, key)

    def _next_cycle(self, counts: bool) -> None:
        """A turn that counts begins a new cycle, unless nothing was done in this one yet."""
        if counts and self._cycle_used:
            self._cycle += 1
            self._cycle_used = False

    def _append(self, step: Rest | Current | Drive, key: str) -> None:
        if len(self.steps) >= MAX_STEPS:
            raise ConfigError(self.path, key, f"more than {MAX_STEPS} steps once the loops are unrolled", "fewer turns")
        if key not in self._made:
            self._made[key] = self._kernel_step(step, key)
        self.steps.append(replace(self._made[key], cycle=self._cycle))
        self.names.append(step.name or step.do)
        self._cycle_used = True

    def _kernel_step(self, step: Rest | Current | Drive, key: str) -> ProtocolStep:
        if isinstance(step, Drive):
            made = self._drive(step, key)
        elif isinstance(step, Hold):
            made = self._hold(step, key)
        elif isinstance(step, Current):
            made = self._current(step, key)
        else:
            made: dict[str, Any] = {"mode": "rest", **self._ends(step.until)}
        return ProtocolStep(**made, **self._surroundings(step))

    def _surroundings(self, step: Rest | Current | Drive) -> dict[str, Any]:
        ratings = self.ratings
        aim_mpa = nan if step.pressure_mpa is None else step.pressure_mpa
        if aim_mpa == "target":
            aim_mpa = ratings.pressure_mpa
        if step.pressure_window_frac is not None:
            window_mpa = ratings.pressure_max_mpa - ratings.pressure_min_mpa
            aim_mpa = ratings.pressure_min_mpa + step.pressure_window_frac * window_mpa
        return {
            "aim_mpa": float(aim_mpa),
            "ambient_degc": nan if step.ambient_degc is None else step.ambient_degc,
            "heater_w": step.heater_w,
        }

    def _amperes(self, step: Current, most_c: float, key: str) -> float:
        named = given_of(step, CURRENT_KEYS)[0]
        current_a = self.ratings.amperes(named, getattr(step, named), most_c)
        most_a = most_c * self.ratings.capacity_ah
        if current_a > most_a * (1.0 + 1e-9):
            self.notes.append(f"{key}.{named}: {current_a:.4g} A is more than the {most_a:.4g} A that the plant admits")
        return current_a

    def _current(self, step: Current, key: str) -> dict[str, Any]:
        charges = isinstance(step, Charge)
        ratings = self.ratings
        current_a = self._amperes(step, ratings.charge_max_c if charges else ratings.discharge_max_c, key)
        guard_s = GUARD_TURNS * 3600.0 * ratings.capacity_ah / current_a
        return {
            "mode": "current",
            "current_a": current_a if charges else -current_a,
            **self._ends(step.until, guard_s),
        }

    def _hold(self, step: Hold, key: str) -> dict[str, Any]:
        ratings = self.ratings
        most_c = {"max": ratings.charge_max_c, "min": ratings.discharge_max_c}
        either_c = min(most_c.values())
        current_a = self._amperes(step, most_c.get(str(step.voltage), either_c), key)
        voltage_v = ratings.units * ratings.unit_volts(step.voltage)
        ends = self._ends(step.until, GUARD_HOLD_S) | ratings.end_voltages(step.voltage)
        return {"mode": "voltage", "current_a": current_a, "voltage_v": voltage_v, **ends, "until_voltage_v": nan}

    def _ends(self, until: End, guard_s: float = inf) -> dict[str, float]:
        """The ends of a step; NaN: no such end."""
        ratings = self.ratings
        time_s = until.time_s if until.time_h is None else 3600.0 * until.time_h
        charge_ah = until.charge_ah if until.charge_frac is None else until.charge_frac * ratings.capacity_ah
        named = given_of(until, CURRENT_KEYS[:3])
        return {
            "until_s": guard_s if time_s is None else time_s,
            "until_current_a": ratings.amperes(named[0], getattr(until, named[0]), nan) if named else nan,
            "until_ah": nan if charge_ah is None else charge_ah,
            **({} if until.voltage is None else ratings.end_voltages(until.voltage)),
        }

    def _drive(self, step: Drive, key: str) -> dict[str, Any]:
        cycle = self._drive_cycle(step, key)
        factor = self._scale(step, cycle)
        column_a, interval_s = cycle.column(self.dt_s)
        self._note_drive(cycle, factor)
        turns = min(self.ratings.capacity_ah / max(-factor * cycle.charge_ah, 1e-12), DRIVE_TURNS_MAX)
        guard_s = GUARD_TURNS * turns * cycle.duration_s
        ends = {"until_s": cycle.duration_s} if step.until is None else self._ends(step.until, guard_s)
        return {"mode": "drive", "drive_a": factor * column_a, "drive_dt_s": interval_s, **ends}

    def _drive_cycle(self, step: Drive, key: str) -> DriveCycle:
        file = self.drive.file or (self.path.parent / step.file if step.file else None)
        if file is None:
            raise ConfigError(
                self.path, f"{key}.file", None, "a CSV file with time_s,current_a", "or give --drive-file"
            )
        given = self.drive.plus_discharges
        return load_drive_cycle(file, step.plus == "discharges" if given is None else given)

    def _scale(self, step: Drive, cycle: DriveCycle) -> float:
        ratings = self.ratings
        peaks_a = cycle.peak_a
        if self.drive.scale is not None or max(peaks_a) == 0.0:
            return self.drive.scale or 1.0
        if step.peak_c_rate is not None:
            return step.peak_c_rate * ratings.capacity_ah / max(peaks_a)
        if step.peak_admissible_frac is not None:
            most_a = [c * ratings.capacity_ah for c in (ratings.discharge_max_c, ratings.charge_max_c)]
            room = min(most / peak for most, peak in zip(most_a, peaks_a, strict=True) if peak > 0.0)
            return step.peak_admissible_frac * room
        return 1.0 if step.scale is None else step.scale

    def _note_drive(self, cycle: DriveCycle, factor: float) -> None:
        discharge_a, charge_a = (factor * peak for peak in cycle.peak_a)
        self.notes.append(
            f"{cycle.path.name}: {cycle.duration_s:g} s, current × {factor:.4g}: up to {discharge_a:.4g} A out and "
            f"{charge_a:.4g} A in, {1e3 * factor * cycle.charge_ah:+.4g} mAh a turn"
        )
        if cycle.charge_ah > 0.0:
            self.notes.append(f"{cycle.path.name} charges on the whole; if + discharges in it, give --drive-sign -")
