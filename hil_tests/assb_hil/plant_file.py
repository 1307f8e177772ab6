"""Plants: what a simulated cell and its bench are, read from plants/, every number with its source.

A file that is wrong is refused with its name, the key, what it holds and what is wanted. Figures of an area become a
cell by its format (plants/formats/); the press, cycler and sensors are those of a bench (plants/benches/).
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assb_host.config.errors import ConfigError
from assb_host.config.toml_reader import convert, read_toml
from assb_kernels import CellParams, CyclerParams, Limits, Pack, Stack

from assb_hil import shipped_files
from assb_hil.plant_checks import check_bench, check_plant, reach_mpa
from assb_hil.plant_figures import BenchTables, FormatTables, PlantTables, SensorSpec
from assb_hil.plant_parameters import (
    actuator_params,
    cell_params,
    cycler_params,
    drawn_for,
    figures,
    shaped,
    spread,
    stack_params,
)
from assb_hil.precharge_path import PrechargePath

FOLDERS = {"plant": "assb_hil.plants", "format": "assb_hil.plants.formats", "bench": "assb_hil.plants.benches"}
CHANNELS = ("voltage_v", "current_a", "pressure_mpa", "temperature_degc")
LITHIUM_TABLES = ("voids", "filament")


@dataclass(frozen=True)
class PlantLimits:
    """Window of use of one unit. C-rates: what may flow for hours; the firmware's limits may allow more for seconds."""

    voltage_min_v: float
    voltage_max_v: float
    pressure_min_mpa: float
    pressure_mpa: float
    pressure_max_mpa: float
    temperature_min_degc: float
    temperature_degc: float
    temperature_max_degc: float
    charge_max_c: float
    discharge_max_c: float

    def protocol(self) -> Limits:
        """What ends a protocol when it is broken."""
        names = ("voltage_min_v", "voltage_max_v", "pressure_min_mpa", "pressure_max_mpa")
        names += ("temperature_min_degc", "temperature_max_degc")
        return Limits(**{name: getattr(self, name) for name in names})


@dataclass(frozen=True)
class PlantFile:
    """A plant as its files say it."""

    name: str
    path: Path
    tables: PlantTables
    format_name: str
    format: FormatTables
    bench_name: str
    bench: BenchTables
    units: int
    stack_count: int

    @property
    def cell(self) -> CellParams:
        """One unit without spread."""
        return cell_params(self.tables, shaped(self.tables, self.format_name, self.format))

    def cells(self, seed: int = 0) -> list[CellParams]:
        """The units of the pack that this seed draws; one unit alone is as the file says."""
        if self.units == 1:
            return [self.cell]
        return [spread(self.cell, self.tables.pack, self.name, seed, unit) for unit in range(self.units)]

    @property
    def stacks(self) -> list[Stack]:
        layers = shaped(self.tables, self.format_name, self.format)["layers"]
        actuator, stack_of = actuator_params(self.bench), self.stack_of
        return [
            Stack(stack_params(self.tables, self.bench, layers * stack_of.count(stack)), actuator)
            for stack in range(self.stack_count)
        ]

    @property
    def stack_of(self) -> list[int]:
        """Stack of each unit: shared out in order, evenly."""
        return [unit * self.stack_count // self.units for unit in range(self.units)]

    @property
    def taps(self) -> bool:
        """Whether each unit's voltage can be seen."""
        return self.tables.pack.taps.value

    @property
    def limits(self) -> PlantLimits:
        return PlantLimits(**figures(self.tables.limits))

    @property
    def cycler(self) -> CyclerParams:
        return cycler_params(self.bench)

    @property
    def sensors(self) -> dict[str, SensorSpec]:
        """{channel: its errors}; `drawn` makes one sensor of them."""
        return {channel: getattr(self.bench.sensors, channel) for channel in CHANNELS}

    def contactor_times_us(self) -> tuple[int, int]:
        """Operate and release time."""
        times = self.bench.contactor
        return int(times.operate_ms.value * 1000), int(times.release_ms.value * 1000)

    def precharge_path(self) -> PrechargePath:
        """With an empty capacitor."""
        path = self.bench.precharge
        return PrechargePath(path.resistance_ohm.value, 1e-6 * path.load_uf.value)

    def regulator_full_scale_mpa(self, seed: int) -> float:
        """Pressure at 10 V of the regulator that this seed draws. Raises ConfigError for a bench without one."""
        piston = self.bench.pneumatic
        if piston is None:
            raise ConfigError(f"bench {self.bench_name}", "pneumatic", None, "a bench with a regulator")
        error_ppm = random.Random(f"{seed} regulator").gauss(0.0, piston.full_scale_sigma_ppm.value)
        return piston.full_scale_mpa.value * (1.0 + 1e-6 * error_ppm)

    def start_soc(self, soc: float, seed: int) -> list[float]:
        """SOC of each unit when the pack is said to stand at `soc`, within 0..1."""
        sigma = self.tables.pack.soc_sigma_frac.value if self.units > 1 else 0.0
        return [min(max(soc + drawn_for(self.name, seed, k, "soc") * sigma, 0.0), 1.0) for k in range(self.units)]

    def pack(
        self,
        soc: float = 0.5,
        temperature_degc: float | None = None,
        pressure_mpa: float | Sequence[float] | None = None,
        seed: int = 0,
    ) -> Pack:
        """At rest; temperature and pressure (of all stacks, or of each) are the plant's usual ones unless given."""
        limits = self.limits
        return Pack(
            self.cells(seed),
            self.stacks,
            self.stack_of,
            soc=self.start_soc(soc, seed),
            temperature_degc=limits.temperature_degc if temperature_degc is None else temperature_degc,
            pressure_mpa=limits.pressure_mpa if pressure_mpa is None else pressure_mpa,
            seed=seed,
        )


def plant_names() -> list[str]:
    """Names of the plants that come with the harness."""
    return shipped_names("plant")


def shipped_names(kind: str) -> list[str]:
    """`kind` is plant, format or bench."""
    return shipped_files.shipped_names(FOLDERS[kind])


def load_plant(
    name: str,
    format: str | None = None,
    bench: str | None = None,
    *,
    units: int | None = None,
    stacks: int | None = None,
    changes: Mapping[str, float] | None = None,
) -> PlantFile:
    """The plant `name`, or the file at that path; `format`, `bench`, `units` and `stacks` replace what the file has,
    `changes` single figures of it, as in {"filament.growth_per_s": 0.02}.

    Raises ConfigError.
    """
    path = find("plant", name)
    tables = convert(with_changes(with_lithium(read_toml(path), path), changes or {}, path), PlantTables, path)
    check_plant(tables, path)
    format_name, bench_name = format or tables.format, bench or tables.bench
    format_path = find("format", format_name, None if format else path)
    bench_path = find("bench", bench_name, None if bench else path)
    bench_tables = read_bench(bench_path)
    demand_reach(tables, path, bench_path.stem, bench_tables)
    unit_count = demand_count("units", units or tables.pack.units.value, 64, path)
    plant = PlantFile(
        name=path.stem,
        path=path,
        tables=tables,
        format_name=format_path.stem,
        format=convert(read_toml(format_path), FormatTables, format_path),
        bench_name=bench_path.stem,
        bench=bench_tables,
        units=unit_count,
        stack_count=demand_count("stacks", stacks or min(tables.pack.stacks.value, unit_count), unit_count, path),
    )
    try:
        plant.pack()
    except ValueError as error:  # each figure is in its range, but the simulation can't work with all of them
        raise ConfigError(path, "", str(error), "figures that the simulation takes together") from None
    return plant


def read_bench(path: Path) -> BenchTables:
    """The bench of a file, with what it takes over from `based_on`."""
    raw = read_toml(path)
    base_name = raw.get("based_on")
    if isinstance(base_name, str) and base_name:
        base = read_toml(find("bench", base_name, path, "based_on"))
        if base.get("based_on"):
            raise ConfigError(path, "based_on", base_name, "a bench that is not based on another")
        raw = base | raw
    tables = convert(raw, BenchTables, path)
    check_bench(tables, path)
    return tables


def demand_reach(tables: PlantTables, path: Path, bench_name: str, bench: BenchTables) -> None:
    """A bench that can't press the plant to its usual pressure is refused."""
    wanted_mpa = tables.limits.pressure_mpa.value
    if reach_mpa(bench) >= wanted_mpa:
        return
    able = [name for name in shipped_names("bench") if reach_mpa(read_bench(find("bench", name))) >= wanted_mpa]
    raise ConfigError(
        path,
        "bench",
        f"{bench_name}, which reaches {reach_mpa(bench):g} MPa",
        f"a bench that reaches limits.pressure_mpa, {wanted_mpa:g} MPa",
        f"these do: {', '.join(able)}",
    )


def demand_count(key: str, count: int, most: int, path: Path) -> int:
    if not 1 <= count <= most:
        raise ConfigError(path, f"pack.{key}", count, f"a whole number, 1 .. {most}")
    return count


def find(kind: str, name: str, named_in: Path | None = None, key: str = "") -> Path:
    """File of a shipped name or a path; a path in a file is relative to that file. `key`: where it is named."""
    if name.endswith(".toml"):
        return Path(name) if named_in is None else named_in.parent / name
    if name not in shipped_names(kind):
        allowed = f"one of {', '.join(shipped_names(kind))}"
        where = key or (kind if named_in else "")
        raise ConfigError(named_in or f"{kind}s", where, name, allowed, "or give a .toml file")
    return shipped_files.shipped_path(FOLDERS[kind], name)


def with_lithium(raw: dict[str, Any], path: Path) -> dict[str, Any]:
    """`raw`, its tables of voids and filaments filled up from the plant that it names."""
    name = raw.get("lithium_of")
    if not isinstance(name, str) or not name:
        return raw
    base = read_toml(find("plant", name, path))
    for key in LITHIUM_TABLES:
        law = base.get(key)
        if isinstance(raw.get(key), dict) and isinstance(law, dict):
            raw[key] = law | raw[key]
    return raw


def with_changes(raw: dict[str, Any], changes: Mapping[str, float], path: Path) -> dict[str, Any]:
    """`raw` with other figures, which are assumptions of whoever changed them."""
    for key, value in changes.items():
        table, _, figure = key.partition(".")
        if not isinstance(raw.get(table), dict):
            raise ConfigError(path, key, value, "a figure of one of its tables, as in filament.growth_per_s")
        raw[table] = raw[table] | {figure: {"value": value, "source": "A: changed for this run"}}
    return raw
