"""The live table of `assb monitor`: header, cells, pack, tripped limits with what to do, events, health and link."""

from assb.protocol import schema
from assb.protocol.schema_text import LIMIT_TEXT, STATE_TEXT
from rich.console import Group
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from assb_host.commands.monitor import number
from assb_host.link.picture import BITS
from assb_host.link.units import evidences_of, word

STATE_STYLES = {"FAULT": "bold white on red", "LOCKOUT": "bold white on red", "DERATE": "black on yellow",
                "SAFE": "green", "REST": "green", "CHARGE": "bold cyan", "DISCHARGE": "bold magenta"}  # fmt: skip
STAGE_STYLES = {"none": "green", "suspect": "yellow", "soft_short": "bold red", "hard_short": "bold white on red"}
EVIDENCE_STYLES = {"unavailable": "dim", "learning": "yellow", "normal": "green", "active": "bold red"}

WIDE_FROM = 100
WORST_TIMES = (("fast tick", "fast"), ("slice", "slice"), ("late", "late"), ("gc", "gc"))
COUNTS = (
    ("bus errors", "bus_error_count"),
    ("frames dropped", "frame_drop_count"),
    ("lines refused", "rx_error_count"),
)


def page(watched, width: int = WIDE_FROM) -> Group:
    """Everything that is known, as one renderable; below WIDE_FROM columns without the commands and the innovation."""
    wide = width >= WIDE_FROM
    picture = watched.picture
    if watched.absent:
        return Group(Panel(Text(f"waiting for the board: {watched.absent}", "yellow"), title="assb monitor"))
    if not picture.pack:
        said = "\n".join(picture.texts)
        hint = f"no telemetry yet; {watched.silence_remedy}"
        return Group(Panel(Text(f"{watched.path}: {hint}\n{said}", "yellow"), title="assb monitor"))
    parts = [
        header(picture, watched),
        pack_table(picture, wide),
        *([cell_table(picture, wide)] if picture.cells else []),
        *([power_table(picture, wide)] if any("charge_bound" in cell for cell in picture.cells.values()) else []),
    ]
    parts += [limits_table(picture)] if any(picture.rows(bits) for bits in BITS) else []
    parts += [events_table(picture)] if picture.events else []
    return Group(*parts, footer(picture, watched))


def header(picture, watched) -> Panel:
    hello = picture.hello
    version = "assb {version_major}.{version_minor}.{version_patch}".format(**hello) if hello else "version unknown"
    names = " / ".join(hello[key] for key in ("board", "pack", "cell") if hello.get(key)) or "no configuration"
    state = Text(f" {picture.state} ", STATE_STYLES.get(picture.state, "bold"))
    meaning = Text(STATE_TEXT.get(picture.state, ""))
    said = silence_text(watched) if watched.silence else Text()
    if picture.config_hint:
        said.append(f"{picture.config_hint}\n", "bold yellow")
    return Panel(
        Text.assemble(said, "last " if watched.silence else "", state, "  ", meaning),
        title=f"{names}  {version}  {watched.path}",
        subtitle=f"up {picture.t_s:.1f} s",
        border_style="yellow" if watched.silence else "",
    )


def silence_text(watched) -> Text:
    return Text(f"{watched.silence}; {watched.silence_remedy}\n", "bold yellow")


def pack_table(picture, wide: bool) -> Table:
    pack = picture.pack
    closed, asked = pack["contactor_closed"], pack["contactor_command"]
    columns = [
        ("pack V", number(picture.measured("pack_voltage_v"), ".4f")),
        ("current A", number(picture.measured("current_a"), "+.4f")),
        ("MPa / target", f"{megapascals(picture, 'pressure')} / {megapascals(picture, 'pressure_target')}"),
        ("command MPa", megapascals(picture, "pressure_command")) if wide else None,
        ("temp °C", number(picture.measured("temperature_degc"), ".2f")),
        ("contactor", Text("closed" if closed else "open", "red" if closed != asked else "")),
        ("chg/dis limits A", cycler_text(picture.cycler)),
    ]
    return one_table([column for column in columns if column])


def one_table(columns) -> Table:
    """One row, from (heading, value)."""
    table = Table(expand=True)
    for heading, _ in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_row(*(value for _, value in columns))
    return table


def megapascals(picture, name: str) -> str:
    return number(picture.measured(f"{name}_mpa"), ".3f")


def cycler_text(cycler: dict) -> str:
    """Limits of the currents that the cycler may drive; `off` for a direction that is not allowed."""
    if not cycler:
        return "?"
    charge = f"+{cycler['charge_limit_a']:.2f}" if cycler["charge_enabled"] else "off"
    discharge = f"-{cycler['discharge_limit_a']:.2f}" if cycler["discharge_enabled"] else "off"
    return f"{charge} / {discharge}"


# (heading, narrowest that cuts no word: longer values wrap); together they fit 80 columns without the innovation
CELL_COLUMNS = (("cell", 4), ("V", 6), ("SOC ± σ %", 6), ("R0 mΩ", 6), ("leak ± σ mA", 6), ("innovation mV", 13),
                ("dips", 8), ("leak", 8), ("stage", 10))  # fmt: skip
INNOVATION = 5


def cell_table(picture, wide: bool) -> Table:
    table = Table(expand=True, padding=(0, 1) if wide else 0)
    kept = [at for at in range(len(CELL_COLUMNS)) if wide or at != INNOVATION]
    for at in kept:
        heading, width = CELL_COLUMNS[at]
        table.add_column(heading, justify="right", min_width=width)
    for position, cell in sorted(picture.cells.items()):
        row = [str(position), *estimate_columns(cell), *evidence_columns(cell)]
        table.add_row(*(row[at] for at in kept))
    return table


def estimate_columns(cell: dict) -> list[str]:
    if "voltage_v" not in cell:
        return ["?"] * 5
    innovation_sigmas = cell["innovation_v"] / cell["innovation_sigma_v"] if cell["innovation_sigma_v"] else 0.0
    return [
        f"{cell['voltage_v']:.4f}",
        f"{100 * cell['soc_frac']:.2f} ± {100 * cell['soc_sigma_frac']:.2f}",
        f"{1000 * cell['r0_ohm']:.2f}",
        f"{1000 * cell['leak_a']:+.2f} ± {1000 * cell['leak_sigma_a']:.2f}",
        f"{1000 * cell['innovation_v']:+.2f} ({innovation_sigmas:+.1f}σ)",
    ]


def evidence_columns(cell: dict) -> list[Text]:
    if "cell_stage" not in cell:
        return [Text("?")] * 3
    stage = word(schema.STAGES, cell["cell_stage"])
    short = ""
    if cell["short_ohm"]:
        short = f" {cell['short_ohm']:.3g} ({cell['short_low_ohm']:.2g} to {cell['short_high_ohm']:.2g}) Ω"
    if cell["cell_stage"]:
        short += "".join(f" {name}" for name in evidences_of(cell["carried_bits"]))
    return [
        evidence_text(cell["dip_state"], cell["dip_score"], f" ({cell['dip_count']})"),
        evidence_text(cell["leak_state"], cell["leak_score"], ""),
        Text(stage + short, STAGE_STYLES.get(stage, "")),
    ]


def evidence_text(state: int, score: float, more: str) -> Text:
    name = word(schema.EVIDENCE_STATES, state)
    if name == "unavailable":  # nothing to judge by, so there is no score
        return Text("n/a", EVIDENCE_STYLES[name])
    return Text(f"{name} {score:.2f}{more}", EVIDENCE_STYLES.get(name, ""))


def power_table(picture, wide: bool) -> Table:
    """What each cell can take and give, and what stands in the way."""
    table = Table(expand=True, padding=(0, 1) if wide else 0)
    for heading in ("cell", "charge A for 2/10/30 s", "bound by", "discharge A for 2/10/30 s", "bound by"):
        table.add_column(heading, justify="right", min_width=20 if heading.endswith("30 s") else 4)
    for position, cell in sorted(picture.cells.items()):
        if "charge_bound" in cell:
            table.add_row(str(position), *power_columns(cell, "charge"), *power_columns(cell, "discharge"))
    return table


def power_columns(cell: dict, direction: str) -> list[str]:
    currents = "/".join(f"{cell[f'{direction}_{horizon}s_a']:.3f}" for horizon in (2, 10, 30))
    return [currents, word(schema.BOUNDS, cell[f"{direction}_bound"])]


def limits_table(picture) -> Table:
    """Worst level of each limit row that is not quiet, with what it means and what to do."""
    table = Table(expand=True, border_style="red" if picture.tripped else "yellow")
    for name in ("limit", "level", "meaning", "what to do"):
        table.add_column(name)
    shown = set()
    for bits, level, style in (
        ("trip_bits", "tripped", "bold red"),
        ("derate_bits", "derates", "yellow"),
        ("warn_bits", "warns", ""),
    ):
        for row in picture.rows(bits):
            if row not in shown:
                shown.add(row)
                table.add_row(row, Text(level, style), *LIMIT_TEXT.get(row, ("", "")))
    return table


def events_table(picture) -> Table:
    table = Table(expand=True, show_header=False, box=None)
    for t_s, text in picture.events:
        table.add_row(f"{t_s:9.1f} s  {text}")
    return table


def health_texts(health: dict) -> list[str]:
    worst = [(name, health[f"{key}_worst_s"]) for name, key in WORST_TIMES]
    counts = [(name, health[key]) for name, key in COUNTS if health[key]]
    return [
        "worst " + ", ".join(f"{name} {1e3 * time_s:.1f} ms" for name, time_s in worst),
        f"heap {health['heap_free_b'] // 1024} kB free, {health['heap_low_b'] // 1024} kB at its lowest",
        *(f"{name}: {count}" for name, count in counts),
    ]


def footer(picture, watched) -> Text:
    parts = []
    if picture.health:
        parts += health_texts(picture.health)
    if watched.link:
        decoder = watched.link.decoder
        parts.append(f"link {decoder.frame_count} frames, {decoder.lost_count} lost, {decoder.damaged_count} damaged")
    return Text("; ".join(parts), "dim")
