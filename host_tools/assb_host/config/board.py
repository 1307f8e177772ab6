"""A board file: what is wired to which pin, and how long the firmware's work takes on it."""

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from assb_host.config.errors import ConfigError
from assb_host.config.fields import Description, I2cAddress, I2cBusNumber, Microseconds, Name, Pin, Source
from assb_host.config.locate import find
from assb_host.config.toml_reader import convert, read_toml


class Table(Struct, forbid_unknown_fields=True):
    """A table of a file; a key that is not in it is an error."""


class MicroPython(Table):
    port: Annotated[
        Literal["rp2", "esp32", "stm32", "unix"], Meta(description="MicroPython port that runs on the board")
    ]
    architecture: Annotated[
        Literal["", "armv6m", "armv7m", "armv7emsp", "xtensawin", "rv32imc", "x64"],
        Meta(description="mpy-cross -march for native modules; empty: bytecode alone"),
    ]
    usb_ids: Annotated[list[str], Meta(description="vendor:product of its USB port, hexadecimal")] = []


class Memory(Table):
    heap_bytes: Annotated[int, Meta(ge=32_768, le=16_777_216, description="Heap of the interpreter")]
    flash_bytes: Annotated[int, Meta(ge=65_536, le=16_777_216, description="Flash that carries the file system")]
    source: Source


class Cost(Table):
    """Time that the firmware takes on this board: charged to virtual time, and terms of every fault-time budget.

    A jitter is the seeded scatter on top of its figure, so the worst case is the sum of both.
    """

    fast_us: Annotated[Microseconds, Meta(description="One fast tick, without its bus transfers")]
    fast_jitter_us: Microseconds
    estimator_slice_us: Annotated[Microseconds, Meta(description="One cell's estimator and detector")]
    estimator_slice_jitter_us: Microseconds
    other_slice_us: Annotated[Microseconds, Meta(description="Any other slice of the slow tick")]
    other_slice_jitter_us: Microseconds
    gc_us: Annotated[Microseconds, Meta(description="One garbage collection")]
    gc_jitter_us: Microseconds
    ticks_call_us: Annotated[Microseconds, Meta(description="One call of ticks_ms or ticks_us")]
    pin_us: Annotated[Microseconds, Meta(description="One access to a pin")]
    i2c_overhead_us: Annotated[Microseconds, Meta(description="One I2C transfer, on top of its 9 bits a byte")]
    flash_erase_us: Annotated[Microseconds, Meta(description="One sector of the flash")]
    flash_page_us: Annotated[Microseconds, Meta(description="One page of the flash")]
    boot_us: Annotated[Microseconds, Meta(description="From power-on to boot.py")]
    source: Source

    @property
    def slice_worst_us(self) -> int:
        other_us = self.other_slice_us + self.other_slice_jitter_us
        return max(self.estimator_slice_us + self.estimator_slice_jitter_us, other_us)

    @property
    def gc_worst_us(self) -> int:
        return self.gc_us + self.gc_jitter_us

    @property
    def fast_worst_us(self) -> int:
        return self.fast_us + self.fast_jitter_us

    def figures(self) -> dict[str, int]:
        """The table without its source, as the virtual board's cost model takes it."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if name != "source"}


class I2cBus(Table):
    bus: I2cBusNumber
    sda_pin: Pin
    scl_pin: Pin
    frequency_hz: Annotated[int, Meta(ge=10_000, le=1_000_000)]


class Ina228(Table):
    cell: Annotated[int, Meta(ge=0, le=15, description="Cell it measures; 0 carries the pack's shunt")]
    bus: I2cBusNumber
    address: I2cAddress
    range_mv: Annotated[Literal[163, 40], Meta(description="Shunt range: ±163.84 or ±40.96 mV")] = 163
    conversion_us: Annotated[
        Literal[50, 84, 150, 280, 540, 1052, 2074, 4120],
        Meta(description="Of voltage and of current, one after another"),
    ] = 540
    averages: Literal[1, 4, 16, 64, 128, 256, 512, 1024] = 4
    polarity: Annotated[
        Literal[1, -1], Meta(description="1: IN+ of the shunt faces the charger; -1: it faces the cell")
    ] = 1

    @property
    def cycle_us(self) -> int:
        """Time from one result to the next: bus, shunt and die temperature (50 us), times the averages (SLYS021A)."""
        return (2 * self.conversion_us + 50) * self.averages


class Nau7802(Table):
    bus: I2cBusNumber
    place: Annotated[int, Meta(ge=0, le=1, description="0: regulates; 1: a second load cell, which only checks")] = 0
    address: I2cAddress = 0x2A
    gain: Literal[1, 2, 4, 8, 16, 32, 64, 128] = 128
    rate_hz: Literal[10, 20, 40, 80, 320] = 80
    excitation_mv: Annotated[
        Literal[0, 2400, 2700, 3000, 3300, 3600, 3900, 4200, 4500], Meta(description="0: AVDD is fed from outside")
    ] = 3300


class Hx711(Table):
    dout_pin: Pin
    sck_pin: Pin
    place: Annotated[int, Meta(ge=0, le=1, description="0: regulates; 1: a second load cell, which only checks")] = 0
    gain: Literal[64, 128] = 128
    rate_hz: Annotated[Literal[10, 80], Meta(description="What its RATE pin is wired to")] = 80


class Tmp117(Table):
    bus: I2cBusNumber
    place: Annotated[int, Meta(ge=0, le=15, description="Place on the stack, from 0")] = 0
    address: I2cAddress = 0x48
    averages: Literal[1, 8, 32, 64] = 8
    cycle_ms: Literal[125, 250, 500, 1000, 4000, 8000, 16000] = 125


class Mcp4725(Table):
    bus: I2cBusNumber
    address: I2cAddress = 0x60


class StepperPins(Table):
    """A screw press on a stepper motor behind STEP/DIR/EN; DIR 1 closes, EN 1 holds. One pulse a fast tick at most."""

    step_pin: Pin
    dir_pin: Pin
    enable_pin: Pin
    um_per_step: Annotated[float, Meta(ge=0.001, le=1000.0, description="Travel of the screw for a pulse")]
    rate_per_s: Annotated[int, Meta(ge=1, le=200, description="Pulses a second at most")]
    ramp_per_s2: Annotated[int, Meta(ge=1, le=100_000, description="How much faster within a second")]
    close_steps: Annotated[int, Meta(ge=0, le=10_000_000, description="How far it may close from where it starts")]
    open_steps: Annotated[int, Meta(ge=0, le=10_000_000, description="How far it may open from where it starts")]
    source: Source
    closed_switch_pin: Pin | None = None
    open_switch_pin: Pin | None = None
    switch_level: Annotated[Literal[0, 1], Meta(description="Of both switches at the end of the travel")] = 0


class ContactorPins(Table):
    drive_pin: Pin
    feedback_pin: Pin | None = None
    precharge_pin: Pin | None = None
    feedback_closed_level: Literal[0, 1] = 1


class EnablePins(Table):
    charge_pin: Pin | None = None
    discharge_pin: Pin | None = None


class BleedPins(Table):
    """Switches that bleed cells in series through a resistor each, to balance them."""

    pins: Annotated[list[Pin], Meta(min_length=1, max_length=16, description="One for each cell, from the lowest on")]


class AlarmPin(Table):
    """A horn, a lamp or an input of the lab's safety system: high from a soft short on."""

    pin: Annotated[Pin, Meta(description="High from a soft short on; after a hard one until the stack is cold")]


class Board(Table):
    name: Name
    description: Description
    micropython: MicroPython
    memory: Memory
    cost: Cost
    i2c: Annotated[list[I2cBus], Meta(min_length=1)]
    ina228: Annotated[list[Ina228], Meta(min_length=1)]
    tmp117: Annotated[list[Tmp117], Meta(min_length=1)]
    contactor: ContactorPins
    nau7802: list[Nau7802] = []
    hx711: list[Hx711] = []
    mcp4725: list[Mcp4725] = []
    based_on: Annotated[str, Meta(description="Board whose tables this file takes over where it has none itself")] = ""
    enable_lines: EnablePins | None = None
    alarm: AlarmPin | None = None
    bleed: BleedPins | None = None
    stepper: StepperPins | None = None

    @property
    def drives_press(self) -> bool:
        return bool(self.mcp4725) or self.stepper is not None

    @property
    def bridges(self) -> list[Nau7802 | Hx711]:
        """Converters of load cells, by place."""
        return sorted([*self.nau7802, *self.hx711], key=lambda chip: chip.place)


def load_board(path: Path) -> Board:
    """The board of a file, with what it takes over from `based_on`; raises ConfigError."""
    board = convert(merged(path), Board, path)
    if board.name != path.stem:
        raise ConfigError(path, "name", board.name, f"{path.stem}, the file's own name")
    check_wiring(board, path)
    return board


def merged(path: Path, seen: tuple[Path, ...] = ()) -> dict:
    """Tables of a file over those of the board it is based on: a table replaces a table."""
    raw = read_toml(path)
    base_name = raw.get("based_on")
    if not isinstance(base_name, str) or not base_name:
        return raw
    base = find("board", base_name, named_in=path, key="based_on").resolve()
    if base in seen or base == path.resolve():
        raise ConfigError(path, "based_on", base_name, "a board that is not based on this one")
    return merged(base, (*seen, path.resolve())) | raw


def check_wiring(board: Board, path: Path) -> None:
    """No pin twice, no address twice on a bus, no chip on a bus that is not there."""
    buses = {bus.bus for bus in board.i2c}
    taken: dict[tuple[int, int], str] = {}
    for key, chip in chips(board):
        if chip.bus not in buses:
            raise ConfigError(path, f"{key}.bus", chip.bus, f"a bus of [[i2c]]: {sorted(buses)}")
        other = taken.setdefault((chip.bus, chip.address), key)
        if other != key:
            raise ConfigError(path, f"{key}.address", hex(chip.address), f"an address that {other} has not taken")
    places = [chip.place for chip in board.bridges]
    if places not in ([], [0], [0, 1]):
        raise ConfigError(path, "place", places, "of the load cells' converters: 0, or 0 and 1")
    if board.mcp4725 and board.stepper:
        raise ConfigError(path, "stepper", board.stepper.um_per_step, "absent beside a mcp4725: there is one press")
    pins: dict[int, str] = {}
    for key, pin in pin_uses(board):
        other = pins.setdefault(pin, key)
        if other != key:
            raise ConfigError(path, key, pin, f"a pin that {other} has not taken")


def chips(board: Board):
    """(key, chip) of everything on an I2C bus."""
    for kind in ("ina228", "nau7802", "tmp117", "mcp4725"):
        for position, chip in enumerate(getattr(board, kind)):
            yield f"{kind}[{position}]", chip


def pin_uses(board: Board):
    """(key, pin) of every pin that is wired."""
    tables = [(f"i2c[{n}]", bus) for n, bus in enumerate(board.i2c)] + list(chips(board))
    tables += [(f"hx711[{n}]", chip) for n, chip in enumerate(board.hx711)]
    tables += [("contactor", board.contactor), ("enable_lines", board.enable_lines), ("alarm", board.alarm)]
    tables += [("stepper", board.stepper)]
    for at, pin in enumerate(board.bleed.pins if board.bleed else ()):
        yield f"bleed.pins[{at}]", pin
    for key, table in tables:
        for field in getattr(table, "__struct_fields__", ()):
            pin = getattr(table, field)
            if (field == "pin" or field.endswith("_pin")) and pin is not None:
                yield f"{key}.{field}", pin
