"""A pack file, with the board and the cell it names: read, checked against each other, in wire units."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from assb.protocol import schema
from msgspec import Meta

from assb_host.config import detection_keys
from assb_host.config.board import Board, load_board
from assb_host.config.board_tables import Ads1115Pressure, Cost, Table
from assb_host.config.cell import Cell, load_cell
from assb_host.config.errors import ConfigError
from assb_host.config.fields import Description, Name, NonNegative, PositiveFloat, Reference, Source
from assb_host.config.limit_keys import Limit, Limits, wire_limit
from assb_host.config.locate import find
from assb_host.config.parameter_keys import CALIBRATION, WORDS, parameters_of, table_struct, word_field
from assb_host.config.toml_reader import convert, read_toml

# NAU7802: full scale is half the reference over the gain (datasheet 1.7, 7.1), and the bridge is fed by the reference;
# HX711: +-20 mV at gain 128 and 5 V, the same
NAU7802_FULL_SCALE_FRAC = 0.5
NAU7802_FULL_CODE = 1 << 23
MCP4725_FULL_CODE = 4095

CELLS_IN_SERIES = (
    "One INA228 per cell is for 1 or 2 cells; a BQ76952 is for 3 to 16, as far as the board's heap holds them"
)
SAFE_STATE = word_field("safe_state", "What the press does when the firmware gives up: `pressure_safe_state`")
LEASE_LAPSE = word_field("lease_lapse", "When the host stops renewing its lease: `lease_lapse_stops`")
OPEN_MS = ("open_ms", Annotated[NonNegative, Meta(description="Coil off to contacts open, at worst")])
STOP_MS = Annotated[NonNegative, Meta(description="Enable line low to no current, at worst")]
RATED = ("rated_kn", Annotated[PositiveFloat, Meta(description="Force at full sensitivity")])
SENSITIVITY = ("sensitivity_mv_per_v", Annotated[float, Meta(ge=0.1, le=10)])
SOURCE = ("source", Source)
Telemetry = table_struct("telemetry")
Learned = table_struct("learned")
POWER_MAX = (
    "power_max_w",
    Annotated[float, Meta(ge=0.0, le=10_000.0, description="Largest power of the heater (`heater_max_permille`)")],
    0.0,
)
Heater = table_struct("heater", POWER_MAX, ("source", Source, "A: not heated"))
Balancing = table_struct("balancing", ("source", Source, "A: no balancing"))
WatchRests = table_struct("watch_rests", ("source", Source, "A: no rests"))


class Cycler(Table):
    """The cycler or charger that follows the enable lines."""

    stop_ms: STOP_MS
    source: Source


class PackFile(Table):
    name: Name
    description: Description
    board: Annotated[Reference, Meta(description="Board file: shipped name or path")]
    cell: Annotated[Reference, Meta(description="Cell file: shipped name or path")]
    cells_in_series: Annotated[int, Meta(ge=1, le=schema.CELLS_MAX, description=CELLS_IN_SERIES)]
    shunt_ohm: Annotated[float, Meta(ge=1e-5, le=1.0, description="Current shunt (`shunt_uohm`)")]
    shunt_source: Source
    timing: table_struct("timing", SOURCE)  # pyright: ignore[reportInvalidTypeForm]
    current: table_struct("current", SOURCE)  # pyright: ignore[reportInvalidTypeForm]
    pressure: table_struct("pressure", SAFE_STATE, SOURCE)  # pyright: ignore[reportInvalidTypeForm]
    load_cell: table_struct("load_cell", RATED, SENSITIVITY, SOURCE)  # pyright: ignore[reportInvalidTypeForm]
    supervision: table_struct("supervision", LEASE_LAPSE, SOURCE)  # pyright: ignore[reportInvalidTypeForm]
    contactor: table_struct("contactor", OPEN_MS, SOURCE)  # pyright: ignore[reportInvalidTypeForm]
    detection: table_struct("detection", *detection_keys.fields(), SOURCE)  # pyright: ignore[reportInvalidTypeForm]
    cycler: Cycler
    limits: Limits  # pyright: ignore[reportInvalidTypeForm]
    based_on: Annotated[
        str, Meta(description="Pack whose tables and limit rows this file takes over where it has none itself")
    ] = ""
    telemetry: Telemetry = msgspec.field(default_factory=Telemetry)  # pyright: ignore[reportInvalidTypeForm]
    heater: Heater = msgspec.field(default_factory=Heater)  # pyright: ignore[reportInvalidTypeForm]
    balancing: Balancing = msgspec.field(default_factory=Balancing)  # pyright: ignore[reportInvalidTypeForm]
    watch_rests: WatchRests = msgspec.field(default_factory=WatchRests)  # pyright: ignore[reportInvalidTypeForm]
    learned: Learned = msgspec.field(default_factory=Learned)  # pyright: ignore[reportInvalidTypeForm]


@dataclass(frozen=True)
class PackConfig:
    """A checked configuration. `parameters` and `limits` are in wire units, by their names in the schema."""

    name: str
    description: str
    path: Path
    board: Board
    cell: Cell
    parameters: dict[str, int]
    limits: dict[str, Limit]
    contactor_open_ms: float
    cycler_stop_ms: float
    file: Any  # the decoded PackFile, in the file's own units

    @property
    def cost(self) -> Cost:
        """What the firmware takes on this board with this pack's cells."""
        return self.board.cost.of_cells(self.file.cells_in_series)

    @property
    def shunt_full_scale_a(self) -> float:
        """Largest current that the shunt and its chip can show."""
        return self.board.shunt_full_scale_a(self.file.shunt_ohm)


def load_pack(
    name_or_path: str | os.PathLike,
    *,
    board: str | None = None,
    cell: str | None = None,
    changes: dict[str, object] | None = None,
) -> PackConfig:
    """The pack of a shipped name or a path, checked; raises ConfigError.

    `board` and `cell` replace the files that the pack names; `changes` replaces single keys of the pack file, as in
    {"pressure.target_mpa": 6.0}.
    """
    path = find("pack", os.fspath(name_or_path))
    raw = merged(path)
    for key, value in (changes or {}).items():
        replace(raw, key, value)
    file = convert(raw, PackFile, path)
    if file.name != path.stem:
        raise ConfigError(path, "name", file.name, f"{path.stem}, the file's own name")
    board_file = load_board(find("board", board) if board else find("board", file.board, named_in=path, key="board"))
    cell_file = load_cell(find("cell", cell) if cell else find("cell", file.cell, named_in=path, key="cell"))
    pack = assembled(file, path, board_file, cell_file)

    from assb_host.config.checks import check_pack

    check_pack(pack)
    return pack


def merged(path: Path, seen: tuple[Path, ...] = ()) -> dict:
    """Tables of a file over those of the pack it is based on: a table replaces a table, a limit row a limit row."""
    raw = read_toml(path)
    base_name = raw.get("based_on")
    if not isinstance(base_name, str) or not base_name:
        return raw
    base_path = find("pack", base_name, named_in=path, key="based_on").resolve()
    if base_path in seen or base_path == path.resolve():
        raise ConfigError(path, "based_on", base_name, "a pack that is not based on this one")
    base = merged(base_path, (*seen, path.resolve()))
    whole = base | raw
    if isinstance(base.get("limits"), dict) and isinstance(raw.get("limits"), dict):
        whole["limits"] = base["limits"] | raw["limits"]
    return whole


def replace(raw: dict, key: str, value) -> None:
    *tables, last = key.split(".")
    for table in tables:
        raw = raw.setdefault(table, {})
    raw[last] = value


def assembled(file, path: Path, board: Board, cell: Cell) -> PackConfig:
    limits = {row[1]: wire_limit(row, getattr(file.limits, row[1])) for row in schema.LIMIT_ROWS}
    return PackConfig(
        name=file.name,
        description=file.description,
        path=path,
        board=board,
        cell=cell,
        parameters=wire_parameters(file, board, cell),
        limits=limits,
        contactor_open_ms=file.contactor.open_ms,
        cycler_stop_ms=file.cycler.stop_ms,
        file=file,
    )


def wire_parameters(file, board: Board, cell: Cell) -> dict[str, int]:
    """Every parameter of the schema, in its order."""
    values = (
        parameters_of(file)
        | CALIBRATION
        | {
            "cells_in_series": file.cells_in_series,
            "shunt_uohm": round(file.shunt_ohm * 1e6),
            "capacity_uah": round(cell.capacity_ah * 1e6),
            "units_per_cell": cell.geometry.units_in_series,
            "swelling_nm_per_mah": file.cells_in_series * swelling_nm_per_mah(cell),  # one on the other in one press
            "load_cell_kpa_per_count_ppb": load_cell_ppb(file.load_cell, board, cell),
            "pressure_quantum_kpa": quantum_kpa(file, board),
            "pressure_by_position": int(board.stepper is not None),
            "press_nm_per_step": round(board.stepper.um_per_step * 1000) if board.stepper else 1000,
            "heater_max_permille": heater_permille(file.heater.power_max_w, board),
            "pressure_safe_state": WORDS["safe_state"].index(file.pressure.safe_state),
            "lease_lapse_stops": WORDS["lease_lapse"].index(file.supervision.lease_lapse),
        }
    )
    return {row[1]: values[row[1]] for row in schema.PARAMETERS}


def swelling_nm_per_mah(cell: Cell) -> int:
    """Growth of one cell per mAh: layers share the charge and add up, so only their area counts."""
    return round(cell.swelling.um_per_mah_cm2 * 1000 / cell.geometry.layer_area_cm2)


def heater_permille(power_max_w: float, board: Board) -> int:
    return min(round(1000 * power_max_w / board.heater.power_w), 1000) if board.heater else 0


def quantum_kpa(file, board: Board) -> int:
    """Stack pressure of the press's smallest step, rounded up; 0 for a rig that only monitors."""
    if board.stepper:
        return math.ceil(file.pressure.stiffness_mpa_per_um * board.stepper.um_per_step * 1000)
    if not board.mcp4725:
        return 0
    return math.ceil(file.pressure.regulator_full_scale_mpa * 1000 / MCP4725_FULL_CODE)


def load_cell_ppb(load_cell, board: Board, cell: Cell) -> int:
    """Stack pressure per count of the bridge converter, 1e-9 kPa."""
    rated_kpa = load_cell.rated_kn * 1e4 / cell.geometry.layer_area_cm2
    first = board.bridges[0] if board.bridges else None
    if isinstance(first, Ads1115Pressure):  # a code is 1/32768 of the input's range (SBAS444D 9.3.3)
        return round(rated_kpa / (first.span_mv / first.range_mv * 32768) * 1e9)
    gain = first.gain if first else 128
    signal_frac = load_cell.sensitivity_mv_per_v / 1000 * gain / NAU7802_FULL_SCALE_FRAC
    return round(rated_kpa / (signal_frac * NAU7802_FULL_CODE) * 1e9)
