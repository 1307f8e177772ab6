"""The progress of a simulation in a terminal: bar, simulated time, speed."""

from time import monotonic
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn


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
        note = f"{time_s / 3600:.1f} of about {expected_s / 3600:.1f} h, {speed:.2g}x"
        self._bar.update(self._task, total=max(expected_s, time_s), completed=time_s, note=note)
