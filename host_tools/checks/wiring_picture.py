"""A board file as a wiring diagram (SVG): the board on the left, on the right what is wired to it, a line a wire."""

from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from assb_host.config.board import Board, pin_uses

ROW, PAD, TEXT = 22, 14, 13
BOARD_LEFT, BOARD_WIDTH = 20, 190
BUS_LEFT, BUS_STEP = 290, 26
DEVICE_LEFT, DEVICE_WIDTH = 430, 400
WIDTH = DEVICE_LEFT + DEVICE_WIDTH + 20
COLOURS = {"sda": "#1f6fb2", "scl": "#c26a14", "pin": "#444444"}
# Raspberry Pi Pico and Pico 2 datasheets, pinout: the number on the edge of each GP pin
PICO_EDGE = {
    0: 1, 1: 2, 2: 4, 3: 5, 4: 6, 5: 7, 6: 9, 7: 10, 8: 11, 9: 12, 10: 14, 11: 15, 12: 16, 13: 17, 14: 19, 15: 20,
    16: 21, 17: 22, 18: 24, 19: 25, 20: 26, 21: 27, 22: 29, 26: 31, 27: 32, 28: 34,
}  # fmt: skip
# Pyboard v1.1 schematic: X1 to X8 are PA0 to PA7, X9 and X10 PB6 and PB7
PYBOARD_EDGE = {bit: f"X{bit + 1}" for bit in range(8)} | {22: "X9", 23: "X10"}


@dataclass
class Device:
    """A box: its title, what it is for, and the pins of the board that go to it as (name at the device, pin)."""

    title: str
    purpose: tuple[str, ...]  # lines
    wires: list[tuple[str, int]] = field(default_factory=list)
    bus: int | None = None
    top: int = 0

    @property
    def height(self) -> int:
        return ROW * max(1 + len(self.purpose), len(self.wires))


def pin_name(board: Board, pin: int) -> str:
    """As it is printed on the board."""
    port = board.micropython.port
    if port == "stm32":
        edge = f", {PYBOARD_EDGE[pin]}" if pin in PYBOARD_EDGE else ""
        return f"P{'ABCDEFGH'[pin >> 4]}{pin & 15}{edge}"
    if port == "esp32":
        return f"GPIO{pin}"
    edge = f", pin {PICO_EDGE[pin]}" if pin in PICO_EDGE else ""
    return f"GP{pin}{edge}"


def bus_devices(board: Board) -> list[Device]:
    """Everything on an I2C bus, by bus and address."""
    shunt = ", the pack's shunt"
    found = [
        *((c, "INA228", f"voltage of cell {c.cell}{shunt if c.cell == 0 else ''}") for c in board.ina228),
        *((c, "INA226", f"voltage of cell {c.cell}{shunt if c.cell == 0 else ''}") for c in board.ina226),
        *((c, "NAU7802", f"load cell {c.place}, {'regulates' if c.place == 0 else 'checks'}") for c in board.nau7802),
        *((c, "TMP117", f"thermometer at place {c.place}") for c in board.tmp117),
        *((c, "MCP4725", "0 to 3.3 V; an amplifier makes the regulator's 0 to 10 V") for c in board.mcp4725),
        *((c, "ADS1115", converter_purpose(board, at)) for at, c in enumerate(board.ads1115)),
    ]
    if stack := board.bq76952:
        cells = ", ".join(f"VC{number}" for number in stack.inputs)
        pins = ", ".join(f"TS{pin + 1} place {place}" for pin, place in stack.thermistors.items())
        found.append((stack, "BQ76952", f"cells at {cells}{shunt}" + (f"; {pins}" if pins else "")))
    found.sort(key=lambda item: (item[0].bus, item[0].address))
    return [
        Device(f"{name} at 0x{chip.address:02X}", tuple(purpose.split("; ")), bus=chip.bus)
        for chip, name, purpose in found
    ]


def converter_purpose(board: Board, at: int) -> str:
    inputs = [
        *((c, f"cell {c.cell}") for c in board.ads1115_cell),
        *((c, f"pressure {c.place}") for c in board.ads1115_pressure),
        *((c, f"NTC at place {c.place}") for c in board.ads1115_ntc),
    ]
    return ", ".join(
        f"AIN{c.input} {what}" for c, what in sorted(inputs, key=lambda i: i[0].input) if c.converter == at
    )


NOTES = (
    "Ground goes to every box; 3.3 V to the chips on a bus, to an HX711 and to the resistor of a thermistor, and",
    "nowhere else: contactor, cycler, alarm, heater and drivers have supplies of their own. SDA and SCL need one",
    "pull-up each, 2.2 to 4.7 kohm, on the whole bus.",
)
# Table of the board file: title, purpose, and its pin fields as they are called at the device
PIN_DEVICES = {
    "contactor": ("Contactor", "coil through a driver, and its mirror contact"),
    "enable_lines": ("Cycler or charger", "high: may charge, may discharge"),
    "alarm": ("Alarm", "horn, lamp, or the lab's safety system"),
    "stepper": ("Stepper driver and limit switches", "screw press"),
    "heater": ("Heater", "MOSFET or relay, and a second switch in series"),
    "bleed": ("Bleed switches", "a resistor across each cell"),
    "hx711": ("HX711", "load cell"),
    "ntc": ("NTC to ground, resistor to 3.3 V", "thermistor"),
}


def pin_devices(board: Board) -> list[Device]:
    """Everything on pins of its own."""
    found: dict[str, Device] = {}
    for key, pin in pin_uses(board):
        table, _, name = key.replace("]", "").rpartition(".")
        kind = table.partition("[")[0]
        if kind not in PIN_DEVICES:
            continue
        title, purpose = PIN_DEVICES[kind]
        wire = (
            f"cell {name.partition('[')[2]}" if kind == "bleed" else name.removesuffix("_pin").replace("_", " ").upper()
        )
        wire = "OUT" if wire == "PIN" else wire
        found.setdefault(table, Device(title, (purpose,))).wires.append((wire, pin))
    return list(found.values())


def svg(board: Board) -> str:
    """The diagram, as text."""
    on_bus, on_pins = bus_devices(board), pin_devices(board)
    top = 64
    for device in (*on_bus, *on_pins):
        device.top = top
        top += device.height + PAD
    parts = [header(board, top + 24 + ROW * len(NOTES))]
    parts += [rectangle(BOARD_LEFT, 50, BOARD_WIDTH, top - 50, "#eef4ee"), text(BOARD_LEFT + 10, 40, board.name, True)]
    for device in (*on_bus, *on_pins):
        parts.append(rectangle(DEVICE_LEFT, device.top, DEVICE_WIDTH, device.height, "#f4f2ea"))
        for line, words in enumerate((device.title, *device.purpose)):
            parts.append(text(DEVICE_LEFT + 60, device.top + 17 + ROW * line, words, bold=not line))
        parts += pin_lines(board, device)
    for number, bus in enumerate(board.i2c):
        members = [device for device in on_bus if device.bus == bus.bus]
        parts += bus_lines(board, bus, number, members)
    notes = [text(BOARD_LEFT, top + 24 + ROW * line, words) for line, words in enumerate(NOTES)]
    return "\n".join([*parts, *notes, "</svg>"]) + "\n"


def bus_lines(board: Board, bus, number: int, members: list[Device]) -> list[str]:
    """SDA and SCL: out of the board beside the first chip, down, and a stub into each chip."""
    parts = []
    for line, (name, pin) in enumerate((("sda", bus.sda_pin), ("scl", bus.scl_pin))):
        if not members:
            continue
        x = BUS_LEFT + BUS_STEP * (2 * number + line)
        ys = [device.top + 12 + ROW * line for device in members]
        parts.append(wire([(BOARD_LEFT + BOARD_WIDTH, ys[0]), (x, ys[0]), (x, ys[-1])], name))
        parts += [wire([(x, y), (DEVICE_LEFT, y)], name) for y in ys]
        parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{COLOURS[name]}"/>' for y in ys]
        parts += [text(DEVICE_LEFT + 8, y + 5, name.upper()) for y in ys]
        parts.append(text(BOARD_LEFT + 10, ys[0] + 5, f"{pin_name(board, pin)}  {name.upper()}{bus.bus}"))
    return parts


def pin_lines(board: Board, device: Device) -> list[str]:
    """A straight line for each wire, under the device's title."""
    parts = []
    for at, (name, pin) in enumerate(device.wires):
        y = device.top + 12 + ROW * at
        parts.append(wire([(BOARD_LEFT + BOARD_WIDTH, y), (DEVICE_LEFT, y)], "pin"))
        parts.append(text(BOARD_LEFT + 10, y + 5, pin_name(board, pin)))
        parts.append(text(DEVICE_LEFT - 8, y - 4, name, anchor="end"))
    return parts


def header(board: Board, height: int) -> str:
    title = escape(f"Wiring of board {board.name}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="{TEXT}"><title>{title}</title>\n'
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
    )


def rectangle(x: int, y: int, width: int, height: int, fill: str) -> str:
    return f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="4" fill="{fill}" stroke="#777777"/>'


def wire(points: list[tuple[int, int]], kind: str) -> str:
    path = " ".join(f"{x},{y}" for x, y in points)
    return f'<polyline points="{path}" fill="none" stroke="{COLOURS[kind]}" stroke-width="1.5"/>'


def text(x: int, y: int, words: str, bold: bool = False, anchor: str = "start") -> str:
    weight = ' font-weight="bold"' if bold else ""
    end = f' text-anchor="{anchor}"' if anchor != "start" else ""
    return f'<text x="{x}" y="{y}"{weight}{end}>{escape(words)}</text>'
