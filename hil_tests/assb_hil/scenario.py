"""Scenario files (TOML): pack, plant, start, loads, commands, faults at times, and checks with limits and units.

Reading is strict: an unknown key, a wrong type or a value out of range names the file, the place and what is allowed.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, get_args

import msgspec
from assb_host.config import PackConfig, load_pack
from assb_host.config.errors import ConfigError
from assb_host.config.toml_reader import convert, read_toml
from msgspec import Meta

from assb_hil.checks import (
    CHECKS,
    Check,
    EventCheck,
    MeasuresCheck,
    NoEventCheck,
    ReactionCheck,
    ReactsCheck,
    SignalCheck,
)
from assb_hil.faults import FAULTS, BusHang, ChipBrownOut, Fault, SensorFault, SensorLost, SensorSwapped
from assb_hil.faults.configuration import ConfigUnsafeLimit
from assb_hil.faults.sensors import Device, SensorOpen
from assb_hil.health import DAMAGES, SURPRISES
from assb_hil.loads import LOADS, Load
from assb_hil.plant_file import PlantFile
from assb_hil.shipped_files import named_path, shipped_names
from assb_hil.vocabulary import ROW_NAMES, TIMED_ROWS, demand, demand_command, demand_event, series_names
from assb_hil.wiring import plant_for

Seconds = Annotated[float, Meta(ge=0.0)]


class Start(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the bench is found: the cell at rest, everything at one temperature, the stack at a pressure since long."""

    soc_frac: Annotated[float, Meta(ge=0.0, le=1.0)]
    temperature_degc: Annotated[float, Meta(ge=-40.0, le=120.0)] = 25.0
    pressure_mpa: Annotated[float, Meta(ge=0.0, le=400.0)] = 5.0


class Host(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the lab's computer does: it arms the board (None: never) and renews its lease until `lease_until_s`."""

    arm_at_s: Seconds | None = 1.5
    lease_ms: Annotated[int, Meta(ge=1000, le=3_600_000)] = 5000
    lease_every_s: Annotated[float, Meta(gt=0.0)] = 1.0
    lease_until_s: Seconds | None = None


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command line that the host sends: `keys` are its key=value words."""

    at_s: Seconds
    name: str
    keys: dict[str, str | int] = {}


@dataclass(frozen=True)
class Scenario:
    """One checked scenario. `expected_trips`: limit rows that may trip; any other trip is a failure.
    `expected_events` likewise, of the events that tell of trouble (health.SURPRISES), and `expected_damage` of what a
    sound run has none of (health.DAMAGES). `worst_costs`: the board computes as slowly as its cost table has it."""

    name: str
    path: Path
    title: str
    pack: str
    plant: str
    duration_s: float
    start: Start
    summary: str = ""
    seed: int = 1
    host: Host = field(default_factory=Host)
    expected_trips: tuple[str, ...] = ()
    expected_events: tuple[str, ...] = ()
    expected_damage: tuple[str, ...] = ()
    expected_starts: int = 1
    worst_costs: bool = False
    heap_low_min_b: int = 8_000
    plant_changes: dict[str, float] = field(default_factory=dict)
    pack_changes: Mapping[str, int | float | str | bool] = field(default_factory=dict)
    loads: tuple[Load, ...] = ()
    commands: tuple[Command, ...] = ()
    faults: tuple[Fault, ...] = ()
    checks: tuple[Check, ...] = ()

    def load_pack(self, name: str | None = None) -> PackConfig:
        """The pack that it runs on, with what it changes there; raises ConfigError."""
        return load_pack(name or self.pack, changes=dict(self.pack_changes))


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything of a file but the tables whose rows have a `kind` or `name`."""

    title: Annotated[str, Meta(min_length=1)]
    pack: str
    plant: str
    duration_s: Annotated[float, Meta(gt=0.0, le=1e6)]
    start: Start
    summary: str = ""
    seed: Annotated[int, Meta(ge=0, le=2**31)] = 1
    host: Host = msgspec.field(default_factory=Host)
    expected_trips: tuple[str, ...] = ()
    expected_events: tuple[str, ...] = ()
    expected_damage: tuple[str, ...] = ()
    expected_starts: Annotated[int, Meta(ge=1)] = 1
    worst_costs: bool = False
    heap_low_min_b: Annotated[int, Meta(ge=0)] = 8_000
    plant_changes: dict[str, float] = {}
    pack_changes: dict[str, int | float | str | bool] = {}
    command: tuple[Command, ...] = ()


# table of the file → (field of Scenario, key that selects the row's class, the classes)
ROW_TABLES: dict[str, tuple[str, str, dict[str, type]]] = {
    "load": ("loads", "kind", LOADS),
    "fault": ("faults", "name", FAULTS),
    "check": ("checks", "kind", CHECKS),
}


def scenario_names() -> list[str]:
    """Names of the scenarios that come with the harness; `file/case` where a file has cases."""
    return list(shipped_documents())


def shipped_documents() -> dict[str, dict[str, Any]]:
    """{name: the file as it is read, with what its case changes} of every shipped scenario; nothing is checked yet."""
    paths = [named_path("assb_hil.scenarios", file) for file in shipped_names("assb_hil.scenarios")]
    return {name: document for path in paths for name, document in _documents(path)}


def load_scenario(name: str) -> Scenario:
    """The scenario `name` (`file/case` of a file with cases), or the file at that path; raises ConfigError."""
    scenarios = load_scenarios(name)
    if len(scenarios) > 1:
        cases = ", ".join(scenario.name for scenario in scenarios)
        raise ConfigError(scenarios[0].path, "case", None, f"the name of one case: {cases}")
    return scenarios[0]


def load_scenarios(name: str) -> list[Scenario]:
    """All cases of the file `name`, one of them for `file/case`, or the one scenario that the file is."""
    path, case = _path_and_case(name)
    documents = dict(_documents(path))
    if case is not None:
        demand(path, "case", f"{path.stem}/{case}", documents)
        documents = {f"{path.stem}/{case}": documents[f"{path.stem}/{case}"]}
    return [read_scenario(document, path, title) for title, document in documents.items()]


def _path_and_case(name: str) -> tuple[Path, str | None]:
    """`file/case`, unless that is the path of a file."""
    file, slash, case = name.rpartition("/")
    if slash and not name.endswith(".toml"):
        return named_path("assb_hil.scenarios", file), case
    return named_path("assb_hil.scenarios", name), None


def _documents(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(name, document) of each case of a file, or of the file."""
    document = read_toml(path)
    cases = document.pop("case", None)
    if cases is None:
        yield path.stem, document
        return
    names = [entry.get("name") for entry in cases] if all(isinstance(entry, dict) for entry in cases) else [None]
    if None in names or len(set(names)) < len(names):
        raise ConfigError(path, "case", names, "[[case]] tables, each with a name of its own")
    for entry in cases:
        yield f"{path.stem}/{entry['name']}", _merged(document, entry)


def _merged(document: dict[str, Any], case: dict[str, Any]) -> dict[str, Any]:
    """The file with what a case changes: its rows come after the file's, its other keys take their place."""
    out = dict(document)
    for key, value in case.items():
        if key == "name":
            continue
        if isinstance(value, list) and isinstance(out.get(key), list):
            out[key] = out[key] + value
        elif isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] = out[key] | value
        else:
            out[key] = value
    return out


def read_scenario(document: dict[str, Any], path: Path, name: str | None = None) -> Scenario:
    """A scenario from a decoded file; `path` names it in messages."""
    rest = dict(document)
    rows: dict[str, Any] = {}
    for table, (target, selector, classes) in ROW_TABLES.items():
        given = rest.pop(table, [])
        if not isinstance(given, list):
            raise ConfigError(path, table, given, f"several of it: write [[{table}]]")
        rows[target] = tuple(
            _row(entry, selector, classes, f"{table}[{position}]", path) for position, entry in enumerate(given)
        )
    head: Head = convert(rest, Head, path)
    values = {name: getattr(head, name) for name in Head.__struct_fields__ if name != "command"}
    scenario = Scenario(name=name or path.stem, path=path, commands=head.command, **values, **rows)
    _cross_check(scenario)
    return scenario


def _row(entry: Any, selector: str, classes: dict[str, type], where: str, path: Path) -> Any:
    """One row of a table, as the class that its selector names."""
    given = dict(entry) if isinstance(entry, dict) else {}
    chosen = given.pop(selector, None)
    if chosen not in classes:
        raise ConfigError(path, f"{where}.{selector}", chosen, f"one of {', '.join(classes)}")
    try:
        return convert(given, classes[chosen], path)
    except ConfigError as error:
        key = f"{where}.{error.key}" if error.key else where
        raise ConfigError(path, key, error.value, error.allowed, error.remedy) from None


def _cross_check(scenario: Scenario) -> None:
    """What no single row can tell: names of the firmware's and the rig's tables, files, and times within the run."""
    path = scenario.path
    for row in scenario.expected_trips:
        demand(path, "expected_trips", row, ROW_NAMES)
    for event in scenario.expected_events:
        demand(path, "expected_events", event, SURPRISES)
    for damage in scenario.expected_damage:
        demand(path, "expected_damage", damage, DAMAGES)
    for position, command in enumerate(scenario.commands):
        demand_command(path, f"command[{position}]", command.name, command.keys)
    for table, rows in (("load", scenario.loads), ("command", scenario.commands), ("fault", scenario.faults)):
        for position, item in enumerate(rows):
            _demand_within(scenario, f"{table}[{position}].at_s", item.at_s)
    pack = _named_file(scenario, "pack", scenario.load_pack)
    plant = _named_file(scenario, "plant", lambda name: plant_for(pack, name, scenario.plant_changes))
    _check_bench(scenario, pack, plant)
    signals = series_names(plant.units, pack.parameters["cells_in_series"])
    for position, check in enumerate(scenario.checks):
        _check_check(scenario, pack, signals, f"check[{position}]", check)
    if not scenario.checks:
        raise ConfigError(path, "check", None, "at least one [[check]]: a run that checks nothing shows nothing")


def _demand_within(scenario: Scenario, key: str, at_s: float) -> None:
    if at_s > scenario.duration_s:
        raise ConfigError(scenario.path, key, at_s, f"up to duration_s = {scenario.duration_s:g}")


def _named_file(scenario: Scenario, key: str, load: Callable[[str], Any]) -> Any:
    """The pack or plant that the scenario names; what is wrong with it is told with the scenario that wanted it."""
    name = getattr(scenario, key)
    try:
        return load(name)
    except ConfigError as error:
        broken = bool(error.key) or Path(error.file).is_file()
        allowed = f"a {key} that can be used; this one: {error.seen}" if broken else error.allowed
        raise ConfigError(scenario.path, key, name, allowed, error.remedy) from None


def _check_bench(scenario: Scenario, pack: PackConfig, plant: PlantFile) -> None:
    """The board's press is the bench's; a chip, a sensor or a cell can only fail where there is one."""
    path, board = scenario.path, pack.board
    if board.mcp4725 and plant.bench.pneumatic is None:
        allowed = f"a plant on a pneumatic bench: board {board.name} drives a regulator, {plant.bench_name} has none"
        raise ConfigError(path, "plant", scenario.plant, allowed)
    if board.stepper and plant.bench.stepper is None:
        allowed = f"a plant on a stepper bench: board {board.name} turns a screw, {plant.bench_name} has none"
        raise ConfigError(path, "plant", scenario.plant, allowed)
    remedy = f"board {board.name} has no other"
    fitted = [kind for kind in get_args(Device) if getattr(board, kind)]
    channels = fitted_channels(pack)
    for position, fault in enumerate(scenario.faults):
        where = f"fault[{position}]"
        if isinstance(fault, SensorLost | ChipBrownOut):
            demand(path, f"{where}.device", fault.device, fitted, remedy)
        if isinstance(fault, SensorFault):
            places = [place for quantity, place in channels if quantity == fault.channel]
            demand(path, f"{where}.place", fault.place, places, remedy)
            if isinstance(fault, SensorOpen) and fault.channel == "temperature_degc":
                demand(path, f"{where}.place", fault.place, board.thermistor_places, "a TMP117 has no wire but its bus")
            if isinstance(fault, SensorSwapped):
                demand(path, f"{where}.with_place", fault.with_place, places, remedy)
        if isinstance(fault, BusHang):
            demand(path, f"{where}.bus", fault.bus, [bus.bus for bus in board.i2c], remedy)
        if isinstance(fault, ConfigUnsafeLimit):
            demand(path, f"{where}.row", fault.row, ROW_NAMES)
        if fault.press:
            wanted = f"one that can have {fault.name}; bench {plant.bench_name} is {press_of(plant)}"
            demand(path, f"{where}.name", press_of(plant), fault.press, f"choose a plant on {wanted}")
        if (cell := getattr(fault, "cell", None)) is not None:
            demand(path, f"{where}.cell", cell, range(plant.units), f"plant {plant.name} has no other")


def press_of(plant: PlantFile) -> str:
    """What moves the stack of a bench: pneumatic, stepper, or fixed."""
    bench = plant.bench
    return "pneumatic" if bench.pneumatic else "stepper" if bench.stepper else "fixed"


def fitted_channels(pack: PackConfig) -> list[tuple[str, int]]:
    """(quantity, place) of every sensor that the board reads."""
    board = pack.board
    return [
        ("current_a", 0),
        *(("voltage_v", cell) for cell in board.measured_cells),
        *(("pressure_mpa", chip.place) for chip in board.bridges),
        *(("temperature_degc", place) for place in board.measured_places),
    ]


def _check_check(scenario: Scenario, pack: PackConfig, signals: tuple[str, ...], where: str, check: Check) -> None:
    """The names that a check uses exist, and its span lies within the run: otherwise it would judge nothing."""
    path = scenario.path
    if isinstance(check, EventCheck | NoEventCheck):
        demand_event(path, where, check.event, check.fields)
    if isinstance(check, MeasuresCheck):
        demand(path, f"{where}.signal", check.signal, [name for name in signals if f"true_{name}" in signals])
    if isinstance(check, SignalCheck):
        demand(path, f"{where}.signal", check.signal, signals)
        if check.min is None and check.max is None:
            raise ConfigError(path, f"{where}.max", None, "a number in min, in max, or in both")
    if isinstance(check, ReactsCheck):
        names = [fault.name for fault in scenario.faults]
        demand(path, f"{where}.fault", check.fault or names[0] if names else None, names, "it is timed from a fault")
    if isinstance(check, ReactionCheck):
        enabled = [row for row in TIMED_ROWS if pack.limits[row].enabled]
        demand(path, f"{where}.row", check.row, enabled, "the rig times the rows of the monitor's registers")
    for begin, end in (("from_s", "to_s"), ("after_s", "by_s")):
        begin_s, end_s = getattr(check, begin, 0.0), getattr(check, end, None)
        _demand_within(scenario, f"{where}.{begin}", begin_s)
        if end_s is not None and end_s < begin_s:
            raise ConfigError(path, f"{where}.{end}", end_s, f"{begin} = {begin_s:g} or later")
