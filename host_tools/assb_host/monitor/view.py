"""What is shown of a board, as plain data: wording, numbers and tones, the same in the terminal and in the browser."""

import math
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from assb.protocol import schema
from assb.protocol.schema_text import LIMIT_TEXT, STATE_TEXT

from assb_host.link.picture import BITS
from assb_host.link.units import evidence_states, evidences_of, word
from assb_host.monitor.board import WatchedBoard

# tone → (style of rich and Textual, colour of the page)
TONES = {
    "": ("", ""),
    "dim": ("dim", "#888888"),
    "good": ("green", "#2e9d4f"),
    "busy": ("bold cyan", "#1d8fb5"),
    "warn": ("yellow", "#b58900"),
    "bad": ("bold red", "#d33232"),
    "alarm": ("bold white on red", "#d33232"),
}
STATE_TONES = {"FAULT": "alarm", "LOCKOUT": "alarm", "DERATE": "warn", "SAFE": "good", "REST": "good",
               "CHARGE": "busy", "DISCHARGE": "busy", "ARMED": "busy", "PRECHARGE": "busy"}  # fmt: skip
STAGE_TONES = {"none": "good", "suspect": "warn", "soft_short": "bad", "hard_short": "alarm"}
EVIDENCE_TONES = {"unavailable": "dim", "learning": "warn", "normal": "good", "active": "bad"}
BAR_WIDTH = 10
SCORES = {"dips": "dip_score", "missing_charge": "leak_score"}  # the others: NAME_score
NEAR_FRAC = 0.9  # of a level: what comes so close is shown as a warning
WORST_TIMES = (("fast tick", "fast"), ("slice", "slice"), ("late", "late"), ("gc", "gc"))
COUNTS = (
    ("bus errors", "bus_error_count"),
    ("frames dropped by the board", "frame_drop_count"),
    ("lines refused", "rx_error_count"),
)


class Text(NamedTuple):
    text: str
    tone: str = ""


class Value(NamedTuple):
    label: str
    text: str
    tone: str = ""


@dataclass
class Table:
    """`wide` columns are left out where there is no room."""

    headings: list[str]
    rows: list[list[Text]] = field(default_factory=list)
    wide: tuple[int, ...] = ()
    empty: str = ""  # what to say in place of no rows


@dataclass
class View:
    name: str
    port: str
    state: Text
    meaning: str
    banner: Text  # what is wrong with the whole of it
    pack: list[Value]
    cells: Table
    evidence: Table
    power: Table
    faults: Table
    margins: Table
    events: list[str]
    link: list[str]
    said: str


def view_of(board: WatchedBoard) -> View:
    """Under the board's lock."""
    picture, watched = board.watched.picture, board.watched
    hello = picture.hello
    names = " / ".join(hello[key] for key in ("board", "pack", "cell") if hello.get(key)) or "no configuration"
    version = "assb {version_major}.{version_minor}.{version_patch}".format(**hello) if hello else "version unknown"
    state = Text(picture.state, STATE_TONES.get(picture.state, ""))
    return View(
        name=f"{names}  {version}" + ("  INJECTED VALUES" if picture.injected else ""),
        port=watched.path,
        state=Text(f"last {state.text}", "dim") if watched.silence or watched.absent else state,
        meaning=meaning_of(picture),
        banner=banner(watched),
        pack=pack_values(board),
        cells=cell_table(picture),
        evidence=evidence_table(picture),
        power=power_table(picture),
        faults=fault_table(picture),
        margins=margin_table(board),
        events=events(board),
        link=link_texts(watched),
        said=board.said,
    )


def meaning_of(picture) -> str:
    """Of the state, with why no current flows, and with what is tripped: it keeps the board from being armed, wherever
    else it is shown."""
    text, tripped = STATE_TEXT.get(picture.state, ""), picture.tripped
    if picture.rests:
        text += "; the watch for shorts asks for a rest, no current"
    if not tripped:
        return text
    return f"{text}; tripped: {', '.join(tripped[:3])}{' …' if len(tripped) > 3 else ''}"


def banner(watched) -> Text:
    picture = watched.picture
    if watched.absent:
        return Text(f"waiting for the board: {watched.absent}", "warn")
    if not picture.pack:
        said = f"; it said: {picture.texts[-1]}" if picture.texts else ""
        return Text(f"no telemetry yet; {watched.silence_remedy}{said}", "warn")
    if watched.silence:
        return Text(f"{watched.silence}; {watched.silence_remedy}", "warn")
    return Text(picture.config_hint, "warn")


def number(value: float | None, form: str) -> str:
    """The value, or a dash when it was never measured."""
    return "-" if value is None or math.isnan(value) else format(value, form)


def pack_values(board: WatchedBoard) -> list[Value]:
    picture = board.watched.picture
    pack = picture.pack
    if not pack:
        return []
    closed, asked = pack["contactor_closed"], pack["contactor_command"]
    pressure, low, high = (
        picture.measured("pressure_mpa"),
        board.parameters.get("pressure_min_mpa"),
        board.parameters.get("pressure_max_mpa"),
    )
    outside = bool(closed) and pressure is not None and low is not None and not low <= pressure <= (high or math.inf)
    window = f"{number(low, '.2f')}..{number(high, '.2f')}"
    stage = word(schema.STAGES, pack["stage"]) if "stage" in pack else "?"
    return [
        Value("pack V", number(picture.measured("pack_voltage_v"), ".4f")),
        Value("current A", number(picture.measured("current_a"), "+.4f")),
        Value("pressure MPa", number(pressure, ".3f"), "bad" if outside else ""),
        Value("target", number(picture.measured("pressure_target_mpa"), ".3f")),
        Value("window", window),
        Value("temp °C", number(picture.measured("temperature_degc"), ".2f")),
        Value("contactor", "closed" if closed else "open", "bad" if closed != asked else ""),
        Value("chg/dis max A", cycler_text(picture.cycler)),
        Value("worst stage", stage, STAGE_TONES.get(stage, "")),
    ]


def cycler_text(cycler: dict) -> str:
    """Limits of the currents that the cycler may drive; `off` for a direction that is not allowed."""
    if not cycler:
        return "?"
    charge = f"+{cycler['charge_limit_a']:.2f}" if cycler["charge_enabled"] else "off"
    discharge = f"-{cycler['discharge_limit_a']:.2f}" if cycler["discharge_enabled"] else "off"
    return f"{charge} / {discharge}"


def cell_table(picture) -> Table:
    table = Table(["cell", "V", "SOC ± σ %", "R0 mΩ", "SOH %", "leak ± σ mA", "innovation mV", "stage", "short Ω"],
                  wide=(6,), empty="no cell has been heard of")  # fmt: skip
    for position, cell in sorted(picture.cells.items()):
        table.rows.append([Text(str(position)), *estimates(cell), *stage_texts(cell)])
    return table


def estimates(cell: dict) -> list[Text]:
    soh = f"{100 * cell['soh_capacity_frac']:.1f}" if "soh_capacity_frac" in cell else "-"
    if "voltage_v" not in cell:
        return [Text("?")] * 3 + [Text(soh)] + [Text("?")] * 2
    sigmas = cell["innovation_v"] / cell["innovation_sigma_v"] if cell["innovation_sigma_v"] else 0.0
    return [
        Text(f"{cell['voltage_v']:.4f}"),
        Text(f"{100 * cell['soc_frac']:.2f}±{100 * cell['soc_sigma_frac']:.2f}"),
        Text(f"{1000 * cell['r0_ohm']:.2f}"),
        Text(soh),
        Text(f"{1000 * cell['leak_a']:+.1f}±{1000 * cell['leak_sigma_a']:.1f}"),
        Text(f"{1000 * cell['innovation_v']:+.2f} ({sigmas:+.1f}σ)"),
    ]


def stage_texts(cell: dict) -> list[Text]:
    if "cell_stage" not in cell:
        return [Text("?")] * 2
    stage = word(schema.STAGES, cell["cell_stage"])
    short = "-"
    if cell["short_ohm"]:
        short = f"{cell['short_ohm']:.3g} ({cell['short_low_ohm']:.2g}..{cell['short_high_ohm']:.2g})"
    return [Text(stage, STAGE_TONES.get(stage, "")), Text(short)]


def evidence_table(picture) -> Table:
    """A row for each kind of evidence, a column for each cell: a bar of its score; at 1.0 it is active."""
    cells = [(at, cell) for at, cell in sorted(picture.cells.items()) if "evidence_states" in cell]
    table = Table(["evidence", *(f"cell {at}" for at, _ in cells)])
    for name in schema.EVIDENCES:
        table.rows.append([Text(name.replace("_", " ")), *(evidence_text(cell, name) for _, cell in cells)])
    return table


def evidence_text(cell, name) -> Text:
    """`██████░░░░ 0.61 normal`, with what the stage is carried by said."""
    state = evidence_states(cell["evidence_states"])[name]
    tone = EVIDENCE_TONES.get(state, "")
    score = cell.get(SCORES.get(name, f"{name}_score"))
    if state == "unavailable":  # nothing to judge by, so there is no score
        return Text("not available", tone)
    carried = ", carries the stage" if name in evidences_of(cell["carried_bits"]) else ""
    if score is None:
        return Text(f"{'':{BAR_WIDTH}}      {state}{carried}", tone)
    filled = round(max(0.0, min(1.0, score)) * BAR_WIDTH)
    return Text(f"{'█' * filled}{'░' * (BAR_WIDTH - filled)} {score:5.2f} {state}{carried}", tone)


def power_table(picture) -> Table:
    """What each cell can take and give, and what stands in the way."""
    table = Table(["cell", "charge A 2/10/30 s", "bound by", "discharge A", "bound by"],
                  empty="the board has not said what the cells can take")  # fmt: skip
    for position, cell in sorted(picture.cells.items()):
        if "charge_bound" in cell:
            row = [text for direction in ("charge", "discharge") for text in power_texts(cell, direction)]
            table.rows.append([Text(str(position)), *row])
    return table


def power_texts(cell: dict, direction: str) -> list[Text]:
    currents = "/".join(f"{cell[f'{direction}_{horizon}s_a']:.3f}" for horizon in (2, 10, 30))
    return [Text(currents), Text(word(schema.BOUNDS, cell[f"{direction}_bound"]))]


def fault_table(picture) -> Table:
    """Worst level of each limit row that is not quiet, with what it means and what to do."""
    table = Table(["limit", "level", "meaning", "what to do"], empty="no limit warns, derates or is tripped")
    shown = set()
    for bits, level, tone in zip(reversed(BITS), ("tripped", "derates", "warns"), ("bad", "warn", ""), strict=True):
        for row in picture.rows(bits) if picture.pack else ():
            if row not in shown:
                shown.add(row)
                meaning, remedy = LIMIT_TEXT.get(row, ("", ""))
                table.rows.append([Text(row), Text(level, tone), Text(meaning), Text(remedy)])
    return table


def margin_table(board: WatchedBoard) -> Table:
    """How far each measured quantity is from where its limits act; the nearest first."""
    table = Table(
        ["limit", "now", "derates at", "trips at", "margin"], empty=board.levels_unknown or "nothing measured"
    )
    picture = board.watched.picture
    rows = []
    for levels in board.levels:
        now = newest(picture, levels.signal, levels.high)
        if now is None:
            continue
        margin = levels.trip - now if levels.high else now - levels.trip
        used_frac = 1 - margin / abs(levels.trip) if levels.trip else 0.0
        tone = "bad" if margin <= 0 else "warn" if used_frac > NEAR_FRAC and levels.high else ""
        unit = levels.signal.rpartition("_")[2]
        texts = [Text(levels.row), Text(f"{now:.4g}"), Text(number(levels.derate, ".4g")), Text(f"{levels.trip:.4g}")]
        rows.append(
            (margin / (abs(levels.trip) or 1.0), [*texts, Text(f"{margin:.4g} {UNIT_TEXT.get(unit, unit)}", tone)])
        )
    table.rows = [row for _, row in sorted(rows, key=lambda pair: pair[0])]
    return table


UNIT_TEXT = {"v": "V", "a": "A", "mpa": "MPa", "degc": "K", "s": "s"}


def newest(picture, signal: str, high: bool) -> float | None:
    """The value of a signal, of the cell that is nearest to the limit; None when it is not sent."""
    if picture.config_hint or not picture.pack:
        return None
    fields = picture.pack | picture.judged
    values = [cell[signal] for cell in picture.cells.values() if signal in cell] or [fields.get(signal)]
    known = [value for value in values if value is not None]
    return (max(known) if high else min(known)) if known else None


def events(board: WatchedBoard) -> list[str]:
    """Newest first: what the board told, and what of it was not heard."""
    told = [f"{t_s:9.1f} s  {text}" for t_s, text in reversed(board.watched.picture.events)]
    gaps = [f"{time.strftime('%H:%M:%S', time.localtime(at_s)):>11}  {text}" for at_s, text in board.watched.gaps]
    return gaps[::-1][:3] + told


def link_texts(watched) -> list[str]:
    texts = []
    if watched.link and watched.console:
        decoder, console = watched.link.decoder, watched.console
        texts += [
            f"{decoder.frame_count} frames, {decoder.lost_count} lost, {decoder.damaged_count} damaged, "
            f"{len(watched.gaps)} gaps, {console.dropped_bytes} bytes dropped here",
            "served by another process" if console.number else "served from here to others",
        ]
    health = watched.picture.health
    if health:
        worst = ", ".join(f"{name} {1e3 * health[f'{key}_worst_s']:.1f} ms" for name, key in WORST_TIMES)
        heap = f"heap {health['heap_free_b'] // 1024} kB free, {health['heap_low_b'] // 1024} kB at its lowest"
        texts += [f"worst {worst}", heap, *(f"{name}: {health[key]}" for name, key in COUNTS if health[key])]
    return texts


class TrendRow(NamedTuple):
    """A trend as it is drawn: `names` of the history in one plot, factor to what the unit says."""

    title: str
    unit: str
    names: tuple[str, ...]
    factor: float
    form: str


def trend_rows(board: WatchedBoard) -> list[TrendRow]:
    cells = sorted(board.watched.picture.cells)
    return [
        TrendRow("cell voltage", "V", tuple(f"voltage_v[{cell}]" for cell in cells), 1.0, ".4f"),
        TrendRow("SOC", "%", tuple(f"soc_frac[{cell}]" for cell in cells), 100.0, ".2f"),
        TrendRow("current", "A", ("current_a",), 1.0, "+.4f"),
        TrendRow("pressure", "MPa", ("pressure_mpa",), 1.0, ".3f"),
        TrendRow("temperature", "°C", ("temperature_degc",), 1.0, ".2f"),
    ]


def pressure_marks(board: WatchedBoard) -> dict[str, float]:
    """Lines across the pressure's trend, in MPa: its window and its target, as far as they are known."""
    found = {
        "window from": board.parameters.get("pressure_min_mpa"),
        "to": board.parameters.get("pressure_max_mpa"),
        "target": board.watched.picture.measured("pressure_target_mpa") if board.watched.picture.pack else None,
    }
    return {name: value for name, value in found.items() if value is not None}
