"""`assb monitor` in a terminal: a Textual application that draws the view of one board, five times a second."""

import math
import time
from typing import ClassVar

from rich.table import Table as RichTable
from rich.text import Text as RichText
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.containers import Container, VerticalScroll
from textual.events import Resize
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from assb_host.monitor import view as plain
from assb_host.monitor.board import COMMANDS, WatchedBoard
from assb_host.monitor.trend_bars import bars, columns_of

DRAW_S = 0.2
SLOW_S = 1.0  # trends, and where things lie
SPANS_S = (120.0, 1200.0, 8 * 3600.0)
SPAN_TEXT = {120.0: "2 min", 1200.0: "20 min", 8 * 3600.0: "8 h"}
PANES = ("trends", "evidence", "limits", "events", "power", "link")
PARTS = {"limits": ("faults", "margins")}
PANE_OF = {part: pane for pane in PANES for part in PARTS.get(pane, (pane,))}
SLOW_PARTS = ("evidence", "margins", "power", "link")
WIDE_FROM, HIGH_FROM = 120, 48


def styled(text: plain.Text) -> RichText:
    return RichText(text.text, plain.TONES[text.tone][0])


def rich_table(table: plain.Table, wide: bool) -> RichTable | RichText:
    """Headings above columns; what a table is empty for, when it is."""
    if not table.rows:
        return RichText(table.empty, "dim")
    kept = [at for at in range(len(table.headings)) if wide or at not in table.wide]
    drawn = RichTable(box=None, padding=(0, 2 if wide else 1, 0, 0), header_style="dim", expand=False)
    for at in kept:
        drawn.add_column(table.headings[at], overflow="fold")
    for row in table.rows:
        drawn.add_row(*(styled(row[at]) for at in kept))
    return drawn


def pack_grid(values: list[plain.Value], width: int) -> RichTable:
    """Label above value, in as many columns as fit, the rows of equal length."""
    fit = max(1, min(len(values), width // 15))
    columns = math.ceil(len(values) / max(1, math.ceil(len(values) / fit)))
    grid = RichTable.grid(padding=(0, 2, 0, 0))
    for start in range(0, len(values), columns or 1):
        part = values[start : start + columns]
        grid.add_row(*(RichText(value.label, "dim") for value in part))
        grid.add_row(*(RichText(value.text, f"bold {plain.TONES[value.tone][0]}".strip()) for value in part))
    return grid


def trend_lines(board: WatchedBoard, width: int, height: int, span_s: float) -> RichText:
    """For each trend its name, newest value and range, and bars over the span."""
    now_s = time.time()
    drawn = RichText()
    plot_width = max(10, width - 32)
    for row in plain.trend_rows(board):
        trends = [board.history.trends[name] for name in row.names if name in board.history.trends]
        if not trends:
            continue
        lowest = min(trends, key=lambda trend: trend.latest)
        points = lowest.points(now_s - span_s, span_s / plot_width / 4)
        lines, low, high = bars(columns_of(points, now_s - span_s, now_s, plot_width), height)
        low_text, high_text = (plain.number(value * row.factor, row.form) for value in (low, high))
        now_text = plain.number(lowest.latest * row.factor, row.form)
        which = f" (lowest of {len(trends)})" if len(trends) > 1 else ""
        heads = [f"{row.title}{which}", f"{now_text} {row.unit}"] + [""] * (height - 2)
        for at, line in enumerate(lines):
            edge = high_text if at == 0 else low_text if at == height - 1 else ""
            drawn.append(f"{heads[at]:<20.20}", "dim" if at == 0 else "bold")
            drawn.append(f"{edge:>10} ", "dim").append(line, "cyan").append("\n")
    return drawn


class Confirm(ModalScreen[bool]):
    """Asks before a command; nothing is done unless it is confirmed."""

    BINDINGS: ClassVar = [Binding("y", "dismiss(True)", "yes"), Binding("n,escape", "dismiss(False)", "no")]

    def __init__(self, title: str, question: str):
        super().__init__()
        self._title, self._question = title, question

    def compose(self) -> ComposeResult:
        yield Static(f"[b]{self._title}[/b]\n\n{self._question}\n\n[b]y[/b] yes    [b]n[/b] no", id="question")


class Monitor(App):
    """One board at a time is shown; the others are named with their states."""

    CSS_PATH = "terminal.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar = [
        Binding("s", "command('stop')", "stop!"),
        Binding("a", "command('arm')", "arm"),
        Binding("c", "command('clear')", "clear"),
        Binding("m", "command('mark')", "mark"),
        Binding("t", "span", "time span"),
        Binding("b", "board", "next board"),
        *(Binding(str(at + 1), f"pane('{name}')", name, show=False) for at, name in enumerate(PANES)),
        Binding("q", "quit", "quit"),
    ]

    def __init__(self, boards: list[WatchedBoard], end_s: float = float("inf")):
        super().__init__()
        self.boards = boards
        self.shown = 0
        self.pane = PANES[0]
        self.span_s = SPANS_S[0]
        self._end_s = end_s  # on time.monotonic
        self.wide = False
        self._slow_at_s = 0.0
        self._parts: dict[str, Static] = {}  # held: a query would look on the screen on top, which may be a question
        self._boxes: dict[str, VerticalScroll] = {}
        self._drawn: dict[str, object] = {}  # the data that each part shows
        self._moved: set[str] = set()  # drawn since things were laid out last

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        yield Static(id="pack")
        yield Static(id="cells")
        yield Static(id="tabs")
        with Container(id="panes"):
            for name in PANES:
                with VerticalScroll(id=f"{name}_pane", classes="pane") as pane:
                    pane.border_title = name
                    for part in PARTS.get(name, (name,)):
                        yield Static(id=part)
        yield Footer()

    def on_mount(self) -> None:
        self._parts = {name: self.query_one(f"#{name}", Static) for name in ("head", "pack", "cells", "tabs")}
        for pane in PANES:
            for part in PARTS.get(pane, (pane,)):
                self._parts[part] = self.query_one(f"#{part}", Static)
        self._boxes = {name: self.query_one(f"#{name}_pane", VerticalScroll) for name in PANES}
        self.set_interval(DRAW_S, self.draw)
        self._lay_out(self.size)

    def on_resize(self, event: Resize) -> None:
        if self._parts:  # the first one comes before there is anything
            self._lay_out(event.size)

    def _lay_out(self, size: Size):
        self.wide = size.width >= WIDE_FROM and size.height >= HIGH_FROM
        self.screen_stack[0].set_class(self.wide, "wide")
        self.action_pane(self.pane)

    def action_pane(self, name: str) -> None:
        self.pane = name
        for other in PANES:
            self._boxes[other].display = self.wide or other == name
        self._drawn.clear()
        self._slow_at_s = 0.0
        self.draw()

    def action_span(self) -> None:
        self.span_s = SPANS_S[(SPANS_S.index(self.span_s) + 1) % len(SPANS_S)]
        self._slow_at_s = 0.0

    def action_board(self) -> None:
        self.shown = (self.shown + 1) % len(self.boards)
        self._drawn.clear()
        self._slow_at_s = 0.0

    def check_action(self, action: str, parameters: tuple) -> bool | None:
        return len(self.boards) > 1 if action == "board" else True

    def action_command(self, name: str) -> None:
        """The board that is shown now gets it, whichever is shown when the answer comes."""
        board = self.boards[self.shown]
        title, question = COMMANDS[name]
        if not question:
            board.command(name)
            return

        def answered(confirmed: bool | None) -> None:
            if confirmed:
                board.command(name)

        self.push_screen(Confirm(f"{title} {board.watched.path}", question), answered)

    def draw(self) -> None:
        """What has changed; where things lie is looked at once a second, because that costs most."""
        if time.monotonic() > self._end_s:
            self.exit()
            return
        board = self.boards[self.shown]
        due = time.monotonic() >= self._slow_at_s
        with board.lock:
            shown = plain.view_of(board)
            trends = self._trends(board) if due and self._is_open("trends") else None
        if due:
            self._slow_at_s = time.monotonic() + SLOW_S
        if trends is not None:
            self._parts["trends"].update(trends)
        states = tuple(one.watched.picture.state for one in self.boards) if len(self.boards) > 1 else ()
        self._show("head", (shown.port, shown.name, shown.state, shown.meaning, shown.banner, states), self._head, due)
        self._show("pack", shown.pack, lambda values: pack_grid(values, self.size.width), due)
        self._show("cells", shown.cells, lambda table: rich_table(table, self.size.width >= WIDE_FROM), due)
        self._show("tabs", (shown.said, len(shown.faults.rows)), self._tabs, due)
        self._show("evidence", shown.evidence, lambda table: rich_table(table, True), due)
        self._show("faults", shown.faults, lambda table: rich_table(table, True), due)
        self._show("margins", shown.margins, lambda table: rich_table(table, self.wide), due)
        self._show(
            "events", shown.events, lambda texts: RichText("\n".join(texts) or "no event has been heard of"), due
        )
        self._show("power", shown.power, lambda table: rich_table(table, False), due)
        self._show("link", shown.link, lambda texts: RichText("\n".join(texts)), due)

    def _trends(self, board) -> RichText:
        size = self._boxes["trends"].size
        self._boxes["trends"].border_title = f"trends, {SPAN_TEXT[self.span_s]}"
        return trend_lines(board, size.width, max(2, min(5, size.height // 5)), self.span_s)

    def _is_open(self, part) -> bool:
        return self.wide or part not in PANE_OF or self.pane == PANE_OF[part]

    def _show(self, name, data, drawn, due):
        """Draw a part anew if its data differ from what it shows; one that nobody reads so fast waits until due."""
        changed = self._drawn.get(name) != data and (due or name not in SLOW_PARTS)
        if self._is_open(name) and (changed or (due and name in self._moved)):
            self._parts[name].update(drawn(data), layout=due)
            self._drawn[name] = data
            (self._moved.discard if due else self._moved.add)(name)

    def _head(self, data) -> RichText:
        port, name, state, meaning, banner, _ = data
        text = RichText(overflow="fold")
        if len(self.boards) > 1:
            for at, board in enumerate(self.boards):
                name = f" {board.watched.path}: {board.watched.picture.state} "
                text.append(name, "reverse" if at == self.shown else "dim")
            text.append("\n")
        else:
            text.append(f"{port}  ", "dim")
        text.append(f"{name}\n", "bold")
        text.append(f" {state.text} ", plain.TONES[state.tone][0]).append(f" {meaning}")
        if banner.text:
            text.append(f"\n{banner.text}", plain.TONES[banner.tone][0])
        return text

    def _tabs(self, data) -> RichText:
        said, fault_count = data
        text = RichText(no_wrap=True, overflow="ellipsis")
        if not self.wide:
            for at, name in enumerate(PANES):
                mark = f" ({fault_count})" if name == "limits" and fault_count else ""
                style = "reverse" if name == self.pane else "bold red" if mark else ""
                text.append(f" {at + 1} {name}{mark} ", style)
        if said:
            text.append(f"  {said}" if self.wide else f"\n{said}", "bold")
        return text
