"""A protocol for one plant: loops unrolled, "max", C-rates and shares turned into volts and amperes; + charges."""

from dataclasses import dataclass, replace
from math import inf, isfinite, nan
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
from assb_hil.protocol_ratings import Ratings, outside

MAX_STEPS = 100_000  # after unrolling
# A short can keep a voltage from ever being reached: a step without a time of its own ends at the latest then
GUARD_TURNS = 2.5  # times the hours that the nominal capacity takes at its current
DRIVE_TURNS_MAX = 2000  # for a drive cycle that hardly empties the cell, or doesn't
GUARD_HOLD_S = 24 * 3600.0


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
        self._room_degc = ratings.room_degc
        self._cycle = 1
        self._cycle_used = False
        self._made: dict[tuple[str, float], ProtocolStep] = {}

    def add(self, steps: Any, where: str) -> None:
        for position, step in enumerate(steps):
            key = f"{where}[{position}]"
            if isinstance(step, Repeat):
                for _ in range(step.times):
                    self._next_cycle(step.as_cycles)
                    self.add(step.step, f"{key}.step")
                    self._cycle_used |= step.as_cycles
            else:
                self._append(step, key)

    def _next_cycle(self, counts: bool) -> None:
        """A turn that counts begins a new cycle, unless nothing but rests were in this one yet."""
        if counts and self._cycle_used:
            self._cycle += 1
            self._cycle_used = False

    def _append(self, step: Rest | Current | Drive, key: str) -> None:
        if len(self.steps) >= MAX_STEPS:
            raise ConfigError(self.path, key, f"more than {MAX_STEPS} steps once the loops are unrolled", "fewer turns")
        if step.ambient_degc is not None:
            self._room_degc = step.ambient_degc
        made = (key, self._room_degc)
        if made not in self._made:
            self._made[made] = self._kernel_step(step, key)
        self.steps.append(replace(self._made[made], cycle=self._cycle))
        self.names.append(step.name or step.do)
        self._cycle_used |= not isinstance(step, Rest)

    def _kernel_step(self, step: Rest | Current | Drive, key: str) -> ProtocolStep:
        if isinstance(step, Drive):
            made = self._drive(step, key)
        elif isinstance(step, Hold):
            made = self._hold(step, key)
        elif isinstance(step, Current):
            made = self._current(step, key)
        else:
            made: dict[str, Any] = {"mode": "rest", **self._ends(step.until)}
        self._look_at_voltages(step, key)
        return ProtocolStep(**made, **self._surroundings(step, key))

    def _look_at_voltages(self, step: Rest | Current | Drive, key: str) -> None:
        """Figures in V per unit: refused where the run would be stopped before it gets there."""
        ratings = self.ratings
        given = {"voltage": getattr(step, "voltage", None), "until.voltage": step.until and step.until.voltage}
        for name, voltage in given.items():
            if isinstance(voltage, float | int):
                window = (ratings.voltage_min_v, ratings.voltage_max_v)
                self.notes += outside((self.path, f"{key}.{name}"), voltage, window, ratings.stops("voltage", "v"), "V")

    def _surroundings(self, step: Rest | Current | Drive, key: str) -> dict[str, Any]:
        if step.ambient_degc is not None:
            ratings = self.ratings
            window = (ratings.temperature_min_degc, ratings.temperature_max_degc)
            self.notes += outside((self.path, f"{key}.ambient_degc"), step.ambient_degc, window, None, "°C")
        return {
            "aim_mpa": self._aim_mpa(step, key),
            "ambient_degc": nan if step.ambient_degc is None else step.ambient_degc,
            "heater_w": step.heater_w,
        }

    def _aim_mpa(self, step: Rest | Current | Drive, key: str) -> float:
        """NaN: as before."""
        ratings = self.ratings
        if step.pressure_window_frac is not None:
            high_mpa = min(ratings.pressure_max_mpa, ratings.reach_mpa)
            return ratings.pressure_min_mpa + step.pressure_window_frac * (high_mpa - ratings.pressure_min_mpa)
        if step.pressure_mpa is None:
            return nan
        if isinstance(step.pressure_mpa, str):
            return ratings.pressure_mpa
        place = (self.path, f"{key}.pressure_mpa")
        window = (ratings.pressure_min_mpa, ratings.pressure_max_mpa)
        self.notes += outside(place, step.pressure_mpa, window, ratings.stops("pressure", "mpa"), "MPa")
        self.notes += ratings.beyond_reach(place, step.pressure_mpa)
        return float(step.pressure_mpa)

    def _amperes(self, step: Current, rated_c: float, key: str) -> float:
        ratings = self.ratings
        named = given_of(step, CURRENT_KEYS)[0]
        most_a = ratings.admitted_a(rated_c, self._room_degc)
        current_a = ratings.amperes(named, getattr(step, named), most_a)
        if current_a > most_a * (1.0 + 1e-9):
            self.notes.append(f"{key}.{named}: {current_a:.4g} A is more than the {most_a:.4g} A that the plant admits")
        if named == "admissible_frac":
            self.notes += ratings.reduced(rated_c, self._room_degc, step.do)
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
            rated_c = (ratings.discharge_max_c, ratings.charge_max_c)
            most_a = [ratings.admitted_a(c, self._room_degc) for c in rated_c]
            self.notes += ratings.reduced(max(rated_c), self._room_degc, step.do)
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


def has_end_voltage(step: ProtocolStep) -> bool:
    return isfinite(step.until_voltage_v) or isfinite(step.until_unit_voltage_v)
