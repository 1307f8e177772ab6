"""The tables of a board file: the interpreter, its memory and times, and every chip and pin that can be wired."""

from typing import Annotated, Literal

from msgspec import Meta, Struct, structs

from assb_host.config.fields import I2cAddress, I2cBusNumber, Microseconds, Pin, Source


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
    watchdog_max_ms: Annotated[
        int, Meta(ge=1000, le=60_000, description="The longest that its watchdog can wait; no pack may ask for more")
    ] = 8388
    bootloader: Annotated[str, Meta(description="How to enter its bootloader, to put MicroPython on it")] = ""
    facts_source: Annotated[str, Meta(description="Where the facts of this table come from")] = ""


class Memory(Table):
    heap_bytes: Annotated[int, Meta(ge=32_768, le=16_777_216, description="Heap of the interpreter")]
    flash_bytes: Annotated[int, Meta(ge=65_536, le=16_777_216, description="Flash that carries the file system")]
    source: Source


class BoardPins(Table):
    """What may be wired to which pin, as chip and board have it."""

    free: Annotated[list[Pin], Meta(min_length=1, description="Pins that the board leaves to us")]
    adc: Annotated[list[Pin], Meta(description="Those that its converter can measure")]
    source: Source
    i2c_sda: Annotated[
        list[list[Pin]] | None, Meta(description="Those that can be SDA of bus 0, of bus 1; none: every free pin")
    ] = None
    i2c_scl: Annotated[list[list[Pin]] | None, Meta(description="The same of SCL")] = None


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
    fast_cell_us: Annotated[
        Microseconds, Meta(description="What each cell beyond the first adds to a fast tick, at worst")
    ] = 0

    def of_cells(self, cells: int) -> "Cost":
        """With the fast tick of a pack of so many cells in series."""
        fast_us = self.fast_us + (cells - 1) * self.fast_cell_us
        return structs.replace(self, fast_us=fast_us, fast_cell_us=0)

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
        """What the virtual board's cost model takes."""
        names = [name for name in self.__struct_fields__ if name not in ("source", "fast_cell_us")]
        return {name: getattr(self, name) for name in names}


class I2cBus(Table):
    bus: I2cBusNumber
    sda_pin: Pin
    scl_pin: Pin
    frequency_hz: Annotated[int, Meta(ge=10_000, le=1_000_000)]


class ShuntMonitor(Table):
    """What both kinds have in common."""

    cell: Annotated[int, Meta(ge=0, le=15, description="Cell it measures; 0 carries the pack's shunt")]
    bus: I2cBusNumber
    address: I2cAddress
    averages: Literal[1, 4, 16, 64, 128, 256, 512, 1024] = 4
    polarity: Annotated[
        Literal[1, -1], Meta(description="1: IN+ of the shunt faces the charger; -1: it faces the cell")
    ] = 1


class Ina228(ShuntMonitor):
    range_mv: Annotated[Literal[163, 40], Meta(description="Shunt range: ±163.84 or ±40.96 mV")] = 163
    conversion_us: Annotated[
        Literal[50, 84, 150, 280, 540, 1052, 2074, 4120],
        Meta(description="Of voltage and of current, one after another"),
    ] = 540

    @property
    def cycle_us(self) -> int:
        """Time from one result to the next: bus, shunt and die temperature (50 us), times the averages (SLYS021A)."""
        return (2 * self.conversion_us + 50) * self.averages


class Ina226(ShuntMonitor):
    """The coarse monitor: steps of 1.25 mV and 2.5 uV, up to 36 V."""

    conversion_us: Annotated[
        Literal[140, 204, 332, 588, 1100, 2116, 4156, 8244],
        Meta(description="Of voltage and of current, one after another"),
    ] = 588

    @property
    def cycle_us(self) -> int:
        """Time from one result to the next (SBOS547A 7.6.1)."""
        return 2 * self.conversion_us * self.averages


ThermistorPlace = Annotated[
    int | None, Meta(description="Place on the stack of the thermistor (103AT) at this pin, from 0")
]


class Bq76952(Table):
    """A monitor of 3 to 16 cells in series; it has the shunt, thermistors (103AT) and switches that bleed its cells."""

    bus: I2cBusNumber
    inputs: Annotated[
        list[Annotated[int, Meta(ge=1, le=16)]],
        Meta(
            min_length=3, max_length=16, description="n for a cell between VCn and VCn-1; cells count from the lowest"
        ),
    ]
    address: I2cAddress = 0x08
    crc: Annotated[bool, Meta(description="Whether the part has CRC: BQ7695202 true, BQ76952 false")] = True
    fast: Annotated[bool, Meta(description="Conversions of 1.5 ms instead of 3 ms, with less resolution")] = False
    ts1_place: ThermistorPlace = None
    ts2_place: ThermistorPlace = None
    ts3_place: ThermistorPlace = None
    polarity: Annotated[Literal[1, -1], Meta(description="1: SRP is on the cells' side; -1: on the other")] = 1

    @property
    def thermistors(self) -> dict[int, int]:
        """Place of the thermistor at each pin that has one; 0 is TS1."""
        places = (self.ts1_place, self.ts2_place, self.ts3_place)
        return {pin: place for pin, place in enumerate(places) if place is not None}

    @property
    def cycle_us(self) -> int:
        """A measurement loop: 18 slots, and one for each thermistor (SLUSE13B 10.1.1)."""
        return (18 + len(self.thermistors)) * (1500 if self.fast else 3000)


class Ads1115(Table):
    """A converter with four inputs; what its inputs measure are the tables ads1115_cell, _pressure and _ntc."""

    bus: I2cBusNumber
    address: I2cAddress = 0x48
    rate_hz: Annotated[
        Literal[8, 16, 32, 64, 128, 250, 475, 860], Meta(description="Data rate; one conversion in a fast tick at most")
    ] = 860


ConverterNumber = Annotated[int, Meta(ge=0, le=3, description="Position in [[ads1115]], from 0")]
ConverterInput = Annotated[int, Meta(ge=0, le=3, description="AINn")]
MinusInput = Annotated[Literal[1, 3] | None, Meta(description="AINn that is taken away; none: ground")]
RangeMv = Annotated[Literal[256, 512, 1024, 2048, 4096, 6144], Meta(description="Full scale of the input")]


class Ads1115Cell(Table):
    """A cell's voltage. The input must stay below the converter's supply."""

    converter: ConverterNumber
    input: ConverterInput
    cell: Annotated[int, Meta(ge=0, le=15, description="Cell it measures; the shunt is another monitor's")]
    minus_input: MinusInput = None
    range_mv: RangeMv = 6144
    divider: Annotated[float, Meta(ge=1.0, le=5.0, description="Cell voltage over that of the input")] = 1.0

    @property
    def pv_per_code(self) -> int:
        return round(self.range_mv * 1e9 / 32768 * self.divider)


class Ads1115Pressure(Table):
    """A pressure transducer or an amplified load cell with an output in volts."""

    converter: ConverterNumber
    input: ConverterInput
    span_mv: Annotated[
        float, Meta(ge=10.0, le=6144.0, description="How far its output rises up to load_cell.rated_kn of the pack")
    ]
    source: Source
    place: Annotated[int, Meta(ge=0, le=1, description="0: regulates; 1: a second one, which only checks")] = 0
    minus_input: MinusInput = None
    range_mv: RangeMv = 6144


Resistance = Annotated[int, Meta(ge=100, le=1_000_000)]
SteepnessK = Annotated[int, Meta(ge=1000, le=6000, description="B of the NTC")]


class Ntc(Table):
    """A thermistor (NTC) to ground at an input of the board's own converter, with a resistor to its supply."""

    adc_pin: Pin
    place: Annotated[int, Meta(ge=0, le=15, description="Place on the stack, from 0")]
    r25_ohm: Annotated[Resistance, Meta(description="Of the NTC at 25 degC")]
    beta_k: SteepnessK
    pullup_ohm: Annotated[Resistance, Meta(description="Of the resistor to the supply")]
    source: Source


class Ads1115Ntc(Table):
    """The same at an input of an ADS1115."""

    converter: ConverterNumber
    input: ConverterInput
    place: Annotated[int, Meta(ge=0, le=15, description="Place on the stack, from 0")]
    r25_ohm: Annotated[Resistance, Meta(description="Of the NTC at 25 degC")]
    beta_k: SteepnessK
    pullup_ohm: Annotated[Resistance, Meta(description="Of the resistor to the supply")]
    supply_mv: Annotated[int, Meta(ge=1000, le=5500, multiple_of=10, description="Supply of the divider")]
    source: Source
    range_mv: RangeMv = 4096

    @property
    def minus_input(self) -> None:
        """Its divider stands on ground."""


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


class HeaterPins(Table):
    """A heater behind a MOSFET or solid-state relay on a PWM output, and a second switch in series with it."""

    pin: Annotated[Pin, Meta(description="PWM output: high heats")]
    power_w: Annotated[float, Meta(gt=0.0, le=10_000.0, description="What the heater takes when it is on")]
    source: Source
    enable_pin: Annotated[Pin | None, Meta(description="Second switch: high while it may heat")] = None
    frequency_hz: Annotated[int, Meta(ge=1, le=40_000)] = 10
