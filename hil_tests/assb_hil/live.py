"""What a run shows while it goes on: one live panel in a terminal, plain lines where there is none."""

import sys
from typing import Any

from assb.protocol import schema
from assb_host.link.units import word
from rich.console import Console
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

EVENTS_SHOWN = 7
QUIET_EVENTS = (
    "sent_lease",
    "dip_seen",
    "alert_tripped",
    "enable_switched",
    "coil_switched",
    "contactor_commanded",
    "contactor_moved",
)
PLAIN_EVERY_S = 20.0
STAGE_STYLES = ("green", "yellow", "dark_orange", "bold red")


def on_terminal() -> bool:
    return sys.stdout.isatty()


def latest(recorder: Any, name: str) -> float | None:
    series = recorder.series.get(name)
    return series[1][-1] if series and len(series[1]) else None


def worded(names: tuple[str, ...], value: float | None) -> str:
    return "–" if value is None else word(names, int(value))


def readings(recorder: Any) -> list[tuple[str, str, str]]:
    """(quantity, as the board sees it, truth) of the moment."""

    def text(name: str, form: str) -> str:
        value = latest(recorder, name)
        return "–" if value is None else form.format(value)

    return [
        ("voltage", text("voltage_v", "{:.4f} V"), text("true_voltage_v", "{:.4f} V")),
        ("current", text("current_a", "{:+.3f} A"), text("true_current_a", "{:+.3f} A")),
        ("SOC", text("soc_frac", "{:.2%}"), text("true_soc_frac", "{:.2%}")),
        ("pressure", text("pressure_mpa", "{:.3f} MPa"), text("true_pressure_mpa", "{:.3f} MPa")),
        ("temperature", text("temperature_degc", "{:.2f} °C"), text("true_temperature_degc", "{:.2f} °C")),
        ("leak", text("leak_a", "{:+.4f} A"), text("true_leak_a", "{:+.4f} A")),
    ]


def event_line(event: dict[str, Any]) -> str:
    fields = " ".join(
        f"{key}={value}" for key, value in event.items() if key not in ("t_s", "source", "name") and value != ""
    )
    return f"{event['t_s']:8.2f} s  {event['source']:5}  {event['name'].replace('_', ' ')}  {fields}".rstrip()


class LiveRun:
    """Context manager and progress callback for Session.run in a terminal."""

    def __init__(self, scenario: Any, console: Console | None = None):
        self.scenario = scenario
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(bar_width=44), TextColumn("{task.fields[note]}")
        )
        self._task = self._bar.add_task("", total=scenario.duration_s, note="")
        self._live = Live(console=console or Console(), refresh_per_second=8, transient=True)

    def __enter__(self) -> "LiveRun":
        self._live.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._live.__exit__(*error)

    def __call__(self, session: Any) -> None:
        self._bar.update(
            self._task, completed=session.t_s, note=f"{session.t_s:.0f} of {self.scenario.duration_s:.0f} s"
        )
        self._live.update(self._panel(session.recorder))

    def _panel(self, recorder: Any) -> Panel:
        grid = Table.grid(padding=(0, 3))
        stage = int(latest(recorder, "stage") or 0)
        grid.add_row("", "[dim]board[/]", "[dim]cell[/]")
        for quantity, board, truth in readings(recorder):
            grid.add_row(quantity, board, f"[dim]{truth}[/]")
        grid.add_row("state", worded(schema.STATES, latest(recorder, "state")), "")
        grid.add_row("stage", f"[{STAGE_STYLES[stage]}]{schema.STAGES[stage].replace('_', ' ')}[/]", "")
        shown = [event for event in recorder.events if event["name"] not in QUIET_EVENTS][-EVENTS_SHOWN:]
        layout = Table.grid()
        layout.add_row(self._bar)
        layout.add_row(grid)
        layout.add_row("")
        for event in shown:
            style = "red" if event["source"] in ("rig", "plant") else "cyan" if event["source"] == "board" else "dim"
            layout.add_row(f"[{style}]{event_line(event)}[/]")
        return Panel(layout, title=self.scenario.title, border_style=STAGE_STYLES[stage], padding=(1, 2))


class PlainRun:
    """The same for a log: events as they come, and the readings every now and then."""

    def __init__(self, echo: Any):
        self._echo = echo
        self._told = 0
        self._next_s = PLAIN_EVERY_S

    def __enter__(self) -> "PlainRun":
        return self

    def __exit__(self, *error: Any) -> None:
        """Nothing is held."""

    def __call__(self, session: Any) -> None:
        recorder = session.recorder
        for event in recorder.events[self._told :]:
            if event["name"] not in QUIET_EVENTS:
                self._echo(event_line(event))
        self._told = len(recorder.events)
        if session.t_s >= self._next_s:
            self._next_s += PLAIN_EVERY_S
            values = ", ".join(f"{quantity} {board}" for quantity, board, _ in readings(recorder))
            self._echo(f"{session.t_s:8.2f} s  now    {values}")
