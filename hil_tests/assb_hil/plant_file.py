"""Plant files: what a simulated cell and its bench are, every number with its source.

A file that is wrong is refused with its name, the key, what it holds and what is wanted.
"""

import random
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any

from assb_host.config.errors import ConfigError
from assb_host.config.toml_reader import read_toml
from assb_kernels import CellParams
from assb_kernels.cell import ocv_table

from assb_hil.cycler import CyclerParams
from assb_hil.sensors import SensorSpec

MARKS = ("R", "V", "K", "A")
CHANNELS = ("voltage_v", "current_a", "pressure_mpa", "temperature_degc")
BENCH_KEYS = {
    "regulator": (
        "full_scale_mpa",
        "full_scale_error_ppm",
        "time_constant_s",
        "slew_mpa_s",
        "hysteresis_frac",
        "supply_mpa",
    ),
    "contactor": ("operate_ms", "release_ms"),
    "cycler": ("enable_delay_ms", "limit_delay_ms", "limit_timeout_ms", "slew_a_per_s", "current_max_a"),
}


@dataclass(frozen=True)
class PlantFile:
    """A plant as its file says it."""

    name: str
    cell: CellParams
    regulator: dict[str, float]
    contactor: dict[str, float]
    cycler: CyclerParams
    sensors: dict[str, SensorSpec]

    def regulator_full_scale_mpa(self, seed: int) -> float:
        """Of the bench that this seed draws."""
        spread = random.Random(f"{seed} regulator").gauss(0.0, self.regulator["full_scale_error_ppm"])
        return self.regulator["full_scale_mpa"] * (1.0 + 1e-6 * spread)

    def regulator_settings(self) -> dict[str, float]:
        """Keyword arguments of chips.ElectroPneumaticRegulator, but for its full scale."""
        return {key: self.regulator[key] for key in ("supply_mpa", "time_constant_s", "slew_mpa_s", "hysteresis_frac")}

    def contactor_times_us(self) -> tuple[int, int]:
        """Operate and release time."""
        return int(self.contactor["operate_ms"] * 1000), int(self.contactor["release_ms"] * 1000)


def plant_names() -> list[str]:
    """Names of the plants that come with the harness."""
    folder = resources.files("assb_hil.plants")
    return sorted(entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml"))


def load_plant(name: str) -> PlantFile:
    """The plant `name`, or the file at that path; raises ConfigError."""
    path = Path(name)
    if path.suffix != ".toml":
        if name not in plant_names():
            raise ConfigError("plants", "", name, f"one of {', '.join(plant_names())}", "or give a .toml file")
        path = Path(str(resources.files("assb_hil.plants").joinpath(f"{name}.toml")))
    return _Reader(path, read_toml(path)).plant()


class _Reader:
    """Takes one document apart; every complaint names file and key."""

    def __init__(self, path: Path, document: dict[str, Any]):
        self.path = path
        self.document = document

    def plant(self) -> PlantFile:
        self._demand_keys("", self.document, ("cell", "ocv", "sensors", *BENCH_KEYS))
        bench = {table: self._numbers(table, keys) for table, keys in BENCH_KEYS.items()}
        sensors = self._table("sensors")
        self._demand_keys("sensors", sensors, CHANNELS)
        return PlantFile(
            name=self.path.stem,
            cell=self._cell(),
            regulator=bench["regulator"],
            contactor=bench["contactor"],
            cycler=_cycler_params(bench["cycler"]),
            sensors={channel: self._sensor(channel, sensors[channel]) for channel in CHANNELS},
        )

    def _fail(self, key: str, seen: object, wanted: str) -> ConfigError:
        return ConfigError(self.path, key, seen, wanted)

    def _table(self, key: str) -> dict[str, Any]:
        table = self.document.get(key)
        if not isinstance(table, dict):
            raise self._fail(f"[{key}]", table, "this table")
        return table

    def _demand_keys(self, table: str, given: dict[str, Any], wanted: tuple[str, ...]) -> None:
        for key, value in given.items():
            if key not in wanted:
                raise self._fail(f"{table}.{key}".strip("."), value, f"one of {', '.join(wanted)}")
        for key in wanted:
            if key not in given:
                raise self._fail(f"{table}.{key}".strip("."), None, "a value for it: nothing is assumed")

    def _numbers(self, table: str, keys: tuple[str, ...]) -> dict[str, float]:
        given = self._table(table)
        self._demand_keys(table, given, keys)
        return {key: self._sourced(f"{table}.{key}", given[key]) for key in keys}

    def _sourced(self, key: str, entry: Any) -> Any:
        """The value of `{ value = …, source = "R|V|K|A…" }`."""
        if not isinstance(entry, dict) or set(entry) != {"value", "source"}:
            raise self._fail(key, entry, "{ value = …, source = … }")
        self._demand_source(key, entry)
        values = entry["value"] if isinstance(entry["value"], list) else [entry["value"]]
        if not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
            raise self._fail(key, entry["value"], "a number, or a list of numbers")
        return entry["value"]

    def _demand_source(self, key: str, entry: dict[str, Any]) -> None:
        marks = str(entry.get("source", "")).split(":")[0].replace(" ", "").split(",")
        if not all(mark in MARKS for mark in marks):
            raise self._fail(
                f"{key}.source", entry.get("source"), f"a source that begins with one of {', '.join(MARKS)}"
            )

    def _cell(self) -> CellParams:
        given = self._table("cell")
        wanted = tuple(field.name for field in fields(CellParams) if field.name not in ("ocv_v", "reference_k"))
        self._demand_keys("cell", given, wanted)
        values = {key: self._sourced(f"cell.{key}", entry) for key, entry in given.items()}
        ocv = self._table("ocv")
        self._demand_keys("ocv", ocv, ("source", "soc_frac", "ocv_v"))
        self._demand_source("ocv", ocv)
        try:
            return CellParams(ocv_v=ocv_table(ocv["soc_frac"], ocv["ocv_v"]), **values)
        except (TypeError, ValueError) as error:
            raise ConfigError(self.path, "ocv", None, str(error)) from error

    def _sensor(self, channel: str, entry: Any) -> SensorSpec:
        keys = tuple(field.name for field in fields(SensorSpec))
        if not isinstance(entry, dict) or set(entry) != {*keys, "source"}:
            raise self._fail(
                f"sensors.{channel}", entry, "{ " + ", ".join(f"{key} = …" for key in keys) + ", source = … }"
            )
        self._demand_source(f"sensors.{channel}", entry)
        return SensorSpec(**{key: float(entry[key]) for key in keys})


def _cycler_params(values: dict[str, float]) -> CyclerParams:
    return CyclerParams(
        enable_delay_us=int(values["enable_delay_ms"] * 1000),
        limit_delay_us=int(values["limit_delay_ms"] * 1000),
        limit_timeout_us=int(values["limit_timeout_ms"] * 1000),
        slew_a_per_s=values["slew_a_per_s"],
        current_max_a=values["current_max_a"],
    )
