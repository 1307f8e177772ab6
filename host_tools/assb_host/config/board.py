"""A board file: what is wired to which pin, and how long the firmware's work takes on it."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from assb_host.config.board_tables import (
    Ads1115,
    Ads1115Cell,
    Ads1115Ntc,
    Ads1115Pressure,
    AlarmPin,
    BleedPins,
    BoardPins,
    Bq76952,
    ContactorPins,
    Cost,
    EnablePins,
    HeaterPins,
    Hx711,
    I2cBus,
    Ina226,
    Ina228,
    Mcp4725,
    Memory,
    MicroPython,
    Nau7802,
    Ntc,
    StepperPins,
    Table,
    Tmp117,
)
from assb_host.config.errors import ConfigError
from assb_host.config.fields import Description, Name
from assb_host.config.locate import find
from assb_host.config.toml_reader import convert, read_toml


class Board(Table):
    name: Name
    description: Description
    micropython: MicroPython
    memory: Memory
    pins: BoardPins
    cost: Cost
    i2c: Annotated[list[I2cBus], Meta(min_length=1)]
    contactor: ContactorPins
    ina228: list[Ina228] = msgspec.field(default_factory=list)
    ina226: list[Ina226] = msgspec.field(default_factory=list)
    bq76952: Bq76952 | None = None
    tmp117: list[Tmp117] = msgspec.field(default_factory=list)
    ntc: list[Ntc] = msgspec.field(default_factory=list)
    ads1115: list[Ads1115] = msgspec.field(default_factory=list)
    ads1115_cell: list[Ads1115Cell] = msgspec.field(default_factory=list)
    ads1115_pressure: list[Ads1115Pressure] = msgspec.field(default_factory=list)
    ads1115_ntc: list[Ads1115Ntc] = msgspec.field(default_factory=list)
    nau7802: list[Nau7802] = msgspec.field(default_factory=list)
    hx711: list[Hx711] = msgspec.field(default_factory=list)
    mcp4725: list[Mcp4725] = msgspec.field(default_factory=list)
    based_on: Annotated[str, Meta(description="Board whose tables this file takes over where it has none itself")] = ""
    enable_lines: EnablePins | None = None
    alarm: AlarmPin | None = None
    bleed: BleedPins | None = None
    stepper: StepperPins | None = None
    heater: HeaterPins | None = None

    @property
    def drives_press(self) -> bool:
        return bool(self.mcp4725) or self.stepper is not None

    @property
    def bridges(self) -> list[Nau7802 | Hx711 | Ads1115Pressure]:
        """Converters of load cells, by place."""
        return sorted([*self.nau7802, *self.hx711, *self.ads1115_pressure], key=lambda chip: chip.place)

    @property
    def measured_cells(self) -> list[int]:
        """Cells whose voltage is measured, one entry for each monitor, rising."""
        stack = range(len(self.bq76952.inputs)) if self.bq76952 else ()
        return sorted([*(chip.cell for chip in (*self.ina228, *self.ina226, *self.ads1115_cell)), *stack])

    @property
    def thermistor_places(self) -> list[int]:
        """Places of thermistors, which have a wire that can come off."""
        stack = self.bq76952.thermistors.values() if self.bq76952 else ()
        return sorted([*(chip.place for chip in (*self.ntc, *self.ads1115_ntc)), *stack])

    @property
    def measured_places(self) -> list[int]:
        """Places of thermometers, rising."""
        return sorted([*(chip.place for chip in self.tmp117), *self.thermistor_places])

    def shunt_full_scale_a(self, shunt_ohm: float) -> float:
        """What the chip with the shunt can show of it: SLYS021A, SBOS547A (2.5 uV a code), SLUSE13B 7.15."""
        if self.bq76952:  # a code is 0.1, 1 or 10 mA: the finest that holds three quarters of 200 mV
            units_a = (1e-4 * 32767, 1e-3 * 32767, 1e-2 * 32767)
            return min(0.2 / shunt_ohm, next((a for a in units_a if a >= 0.15 / shunt_ohm), 0.0))
        wide = {163: 163.84, 40: 40.96}
        return next((wide[chip.range_mv] for chip in self.ina228 if chip.cell == 0), 81.92) / 1000 / shunt_ohm

    def converter_cycle_us(self, converter: int, fast_ms: int) -> float:
        """From one result of an ADS1115's input to the next: by turns, each 10 % slower than told at worst."""
        wired = [
            chip
            for chip in (*self.ads1115_cell, *self.ads1115_pressure, *self.ads1115_ntc)
            if chip.converter == converter
        ]
        ticks = -(-1.1e6 / self.ads1115[converter].rate_hz // (1000 * fast_ms))
        return len(wired) * max(1.0, ticks) * 1000 * fast_ms

    def voltage_cycle_us(self, fast_ms: int) -> float:
        """From one result to the next of the slowest monitor of a cell."""
        chips = [*self.ina228, *self.ina226, *([self.bq76952] if self.bq76952 else [])]
        cycles = [chip.cycle_us for chip in chips]
        return max([*cycles, *(self.converter_cycle_us(chip.converter, fast_ms) for chip in self.ads1115_cell)])

    def current_cycle_us(self) -> float:
        """The same of the current: CC2 of a BQ76952 takes 3 ms (SLUSE13B 7.17)."""
        return 3000 if self.bq76952 else next(c.cycle_us for c in (*self.ina228, *self.ina226) if c.cell == 0)

    def current_code_ms(self, slow_ms: int) -> float:
        """From one code that tells a current which stands still to the next: a BQ76952 is asked for its raw counts in
        every second slow tick."""
        return 2 * slow_ms if self.bq76952 else self.current_cycle_us() / 1000

    def pressure_cycle_us(self, fast_ms: int) -> float:
        """The same of the slowest load cell."""
        cycles = [1e6 / chip.rate_hz for chip in (*self.nau7802, *self.hx711)]
        return max([*cycles, *(self.converter_cycle_us(chip.converter, fast_ms) for chip in self.ads1115_pressure)])

    def temperature_cycle_ms(self, fast_ms: int) -> float:
        """The same of the slowest thermometer, before the slow tick that reads it."""
        cycles = [chip.cycle_ms for chip in self.tmp117] + [0 for _ in self.ntc]
        cycles += [self.converter_cycle_us(chip.converter, fast_ms) / 1000 for chip in self.ads1115_ntc]
        # a thermistor has its turn in one of three loops (10.1.1)
        return max(
            [*cycles, *([3 * self.bq76952.cycle_us / 1000] if self.bq76952 and self.bq76952.thermistors else [])]
        )

    def bus_us(self) -> float:
        """Transfers of one fast tick at worst, 9 bits a byte. HX711: 27 pulses, and a level after each of 24."""
        transfers = [7] * (3 * len(self.ina228) + 2 * len(self.nau7802)) + [6] * (4 * len(self.ina226))
        transfers += [6] * (3 * len(self.ads1115))
        if self.bq76952:
            wide = 2 if self.bq76952.crc else 1
            span = self.bq76952.inputs[-1] - self.bq76952.inputs[0] + 1
            transfers += [3 + 2 * wide] * 4 + [2 + 2 * wide, 3 + 2 * wide * span]
        bit_us = 1e6 / min(bus.frequency_hz for bus in self.i2c)
        by_hand_us = (2 * 27 + 26) * self.cost.pin_us * len(self.hx711)
        return by_hand_us + 9 * bit_us * sum(transfers) + self.cost.i2c_overhead_us * len(transfers)


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
    """No pin twice or without what it is for, no address twice on a bus, no chip on a bus that is not there."""
    buses = {bus.bus for bus in board.i2c}
    taken: dict[tuple[int, int], str] = {}
    for key, chip in chips(board):
        if chip.bus not in buses:
            raise ConfigError(path, f"{key}.bus", chip.bus, f"a bus of [[i2c]]: {sorted(buses)}")
        other = taken.setdefault((chip.bus, chip.address), key)
        if other != key:
            raise ConfigError(path, f"{key}.address", hex(chip.address), f"an address that {other} has not taken")
    if not board.measured_cells:
        raise ConfigError(path, "ina228", [], "a monitor of a cell: ina228, ina226, bq76952 or ads1115_cell")
    check_shunt(board, path)
    if not board.measured_places or len(set(board.measured_places)) != len(board.measured_places):
        raise ConfigError(path, "place", board.measured_places, "of thermometers: one or more, none twice")
    check_converters(board, path)
    if board.ntc and board.micropython.port == "esp32":
        allowed = "absent: the full scale of an ESP32's converter is not its supply; use an ads1115_ntc"
        raise ConfigError(path, "ntc", len(board.ntc), allowed)
    places = [chip.place for chip in board.bridges]
    if places not in ([], [0], [0, 1]):
        raise ConfigError(path, "place", places, "of the load cells' converters: 0, or 0 and 1")
    alike = {(chip.span_mv, chip.range_mv) for chip in board.ads1115_pressure}
    if board.ads1115_pressure and (len(alike) > 1 or len(board.bridges) > len(board.ads1115_pressure)):
        allowed = "without another kind of load cell, all with one span and one range: they share a scale"
        raise ConfigError(path, "ads1115_pressure", len(board.bridges), allowed)
    if board.mcp4725 and board.stepper:
        raise ConfigError(path, "stepper", board.stepper.um_per_step, "absent beside a mcp4725: there is one press")
    gains = [chip.gain for chip in (*board.nau7802, *board.hx711)]
    if len(set(gains)) > 1:
        allowed = "one gain for both: the two load cells share a scale"
        raise ConfigError(path, "gain", f"{gains} of the load cells' converters", allowed)
    pins: dict[int, str] = {}
    for key, pin in pin_uses(board):
        other = pins.setdefault(pin, key)
        if other != key:
            raise ConfigError(path, key, pin, f"a pin that {other} has not taken")
    check_pins(board, path)


def check_pins(board: Board, path: Path) -> None:
    """Every pin is one that the board leaves free, and can do what it is wired for."""
    pins = board.pins
    fit = {f"ntc[{n}].adc_pin": ("a pin of the converter", pins.adc) for n in range(len(board.ntc))}
    for n, bus in enumerate(board.i2c):
        for line, buses in (("sda", pins.i2c_sda), ("scl", pins.i2c_scl)):
            if buses is not None:
                words = f"a pin for {line.upper()} of bus {bus.bus}"
                fit[f"i2c[{n}].{line}_pin"] = words, (buses[bus.bus] if bus.bus < len(buses) else [])
    for key, pin in pin_uses(board):
        words, able = fit.get(key, ("a pin that the board leaves free", pins.free))
        able = [each for each in able if each in pins.free]
        if pin not in able:
            raise ConfigError(path, key, pin, f"{words}: {', '.join(map(str, able)) or 'there is none'}")


def check_shunt(board: Board, path: Path) -> None:
    """One chip has the pack's shunt: a BQ76952, or else the monitor of cell 0."""
    if board.bq76952:
        others = [*board.ina228, *board.ina226, *board.ads1115_cell]
        if others:
            raise ConfigError(
                path, "bq76952", "present", "absent beside other monitors: it measures the cells by itself"
            )
        if board.bq76952.inputs != sorted(set(board.bq76952.inputs)):
            raise ConfigError(path, "bq76952.inputs", board.bq76952.inputs, "rising, none twice")
        if board.bleed:
            raise ConfigError(path, "bleed.pins", board.bleed.pins, "absent beside a bq76952, which bleeds by itself")
    elif not [chip for chip in (*board.ina228, *board.ina226) if chip.cell == 0]:
        raise ConfigError(path, "cell", 0, "of an ina228 or ina226, which has the shunt")


def converter_inputs(board: Board):
    """(key, input) of everything at an ADS1115."""
    for kind in ("ads1115_cell", "ads1115_pressure", "ads1115_ntc"):
        for position, chip in enumerate(getattr(board, kind)):
            yield f"{kind}[{position}]", chip


def check_converters(board: Board, path: Path) -> None:
    """No input twice, none of a converter that is not there, no pair that its multiplexer does not have."""
    taken: dict[tuple[int, int], str] = {}
    for key, chip in converter_inputs(board):
        if chip.converter >= len(board.ads1115):
            raise ConfigError(
                path, f"{key}.converter", chip.converter, f"below {len(board.ads1115)}, one of [[ads1115]]"
            )
        pair = (chip.input, chip.minus_input)
        if chip.minus_input is not None and pair not in ((0, 1), (0, 3), (1, 3), (2, 3)):
            raise ConfigError(
                path, f"{key}.minus_input", pair, "a pair 0 and 1, 0 and 3, 1 and 3, 2 and 3 (SBAS444D 9.6.3)"
            )
        other = taken.setdefault((chip.converter, chip.input), key)
        if other != key:
            raise ConfigError(path, f"{key}.input", chip.input, f"an input that {other} has not taken")


def chips(board: Board):
    """(key, chip) of everything on an I2C bus."""
    for kind in ("ina228", "ina226", "nau7802", "tmp117", "mcp4725", "ads1115"):
        for position, chip in enumerate(getattr(board, kind)):
            yield f"{kind}[{position}]", chip
    if board.bq76952:
        yield "bq76952", board.bq76952


def pin_uses(board: Board):
    """(key, pin) of every pin that is wired."""
    tables = [(f"i2c[{n}]", bus) for n, bus in enumerate(board.i2c)] + list(chips(board))
    tables += [(f"hx711[{n}]", chip) for n, chip in enumerate(board.hx711)]
    tables += [(f"ntc[{n}]", chip) for n, chip in enumerate(board.ntc)]
    tables += [("contactor", board.contactor), ("enable_lines", board.enable_lines), ("alarm", board.alarm)]
    tables += [("stepper", board.stepper), ("heater", board.heater)]
    for at, pin in enumerate(board.bleed.pins if board.bleed else ()):
        yield f"bleed.pins[{at}]", pin
    for key, table in tables:
        for field in getattr(table, "__struct_fields__", ()):
            pin = getattr(table, field)
            if (field == "pin" or field.endswith("_pin")) and pin is not None:
                yield f"{key}.{field}", pin
