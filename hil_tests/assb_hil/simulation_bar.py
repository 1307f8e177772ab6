"""The progress of a simulation in a terminal: bar, simulated time, speed."""

from time import monotonic
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

UNITS_S = ((86400.0, "days"), (3600.0, "h"), (60.0, "min"))


def duration(time_s: float) -> str:
    """A time as a reader wants it: 43.2 h."""
    for unit_s, name in UNITS_S:
        if time_s >= 2 * unit_s:
            return f"{time_s / unit_s:.4g} {name}"
    return f"{time_s:.4g} s"


class SimulationBar:
    """Context manager and progress callback of `simulate`."""

    def __init__(self, title: str, console: Console | None = None):
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=40),
            TextColumn("{task.fields[note]}"),
            console=console or Console(),
            transient=True,
        )
        self._task = self._bar.add_task(title, total=None, note="")
        self._began_s = 0.0

    def __enter__(self) -> "SimulationBar":
        self._began_s = monotonic()
        self._bar.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._bar.stop()

    def __call__(self, time_s: float, expected_s: float) -> None:
        speed = time_s / max(monotonic() - self._began_s, 1e-3)
        note = f"{duration(time_s)} of about {duration(expected_s)}, {speed:.2g}x"
        self._bar.update(self._task, total=max(expected_s, time_s), completed=time_s, note=note)
