"""`assb monitor`: a running board in the terminal, as a live table, as lines, or as JSON."""

import json
import sys
import time
from contextlib import ExitStack

import click

from assb_host.commands.target_options import target_options
from assb_host.errors import AssbError, LinkError, PortError
from assb_host.link.decoder import Frame

REFRESH_S = 0.2
LINE_S = 1.0
HELLO_EVERY_S = 3.0  # while nothing is known of the board, or nothing comes
REOPEN_S = 0.5
SILENT_S = 1.0  # without a frame: what is shown is old, and says so


@click.command()
@target_options
@click.option("--plain", is_flag=True, help="One line a second, for scripts and logs.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a second.")
@click.option("--duration", "duration_s", type=float, default=float("inf"), help="End after this many seconds.")
def monitor(port, dut, plain, as_json, duration_s):
    """Watch a running board; Ctrl-C ends it. When the port goes away it is opened again as soon as it is back.

    Exit code 5 when --duration passed without a word from the board.
    """
    from assb_host.link.target import open_target

    show = JsonLines() if as_json else PlainLines() if plain or not sys.stdout.isatty() else Table()
    with ExitStack() as stack, show:
        path = stack.enter_context(open_target(port, dut))
        watched = Watched(path, f"{dut}:{dut}" if dut and ":" not in dut else dut)
        stack.callback(watched.close)
        watched.open()
        try:
            watch(watched, show, time.monotonic() + duration_s)
        except KeyboardInterrupt:
            return 0
    if watched.silent_s is None:
        raise LinkError(f"no telemetry in {duration_s:g} s", path, watched.silence_remedy)
    return 0


class Watched:
    """A board that may go away and come back; `dut` finds it again when its port has another name then."""

    def __init__(self, path: str, dut: str = ""):
        from assb_host.link.picture import Picture

        self.path = path
        self.picture = Picture()
        self.link = None
        self.absent = ""
        self._dut = dut
        self._target = ExitStack()
        self._hello_due_s = 0.0
        self._heard_at_s: float | None = None

    @property
    def silent_s(self) -> float | None:
        """Time since the last frame; None when there never was one."""
        return None if self._heard_at_s is None else time.monotonic() - self._heard_at_s

    @property
    def silence(self) -> str:
        """`silent for 4 s`, when the last frame is too old to be shown as what the board does now; else nothing."""
        silent_s = self.silent_s
        return f"silent for {silent_s:.0f} s" if silent_s is not None and silent_s > SILENT_S else ""

    @property
    def silence_remedy(self) -> str:
        from assb_host.link.link import NO_FIRMWARE

        return self.link.silence_remedy if self.link else NO_FIRMWARE

    def open(self) -> None:
        from assb_host.link.console import SerialConsole
        from assb_host.link.link import Link

        self.link = Link(SerialConsole(self.path, "assb monitor"))
        self.absent = ""
        self._hello_due_s = 0.0

    def poll(self) -> None:
        """Take what has come; without a port, try to get it back."""
        if self.link is None:
            self._reopen()
            return
        try:
            self._ask()
            for item in self.link.poll(REFRESH_S / 2):
                self.picture.take(item)
                if isinstance(item, Frame):
                    self._heard_at_s = time.monotonic()
        except PortError as error:
            self.close()
            self.absent = str(error)

    def _ask(self):
        now_s = time.monotonic()
        known = self.picture.hello and self.link.decoder.schema_known
        if now_s >= self._hello_due_s and (self.silence or not known):
            self._hello_due_s = now_s + HELLO_EVERY_S
            self.link.ask_hello()
            if not self.link.decoder.schema_known:
                self.link.ask_schema()

    def _reopen(self):
        from assb_host.link.picture import Picture
        from assb_host.link.target import open_target

        try:
            if self._dut:
                self.path = self._target.enter_context(open_target(dut=self._dut))
            self.open()
            self.picture = Picture()  # it may be another board, or the same one in another state
        except AssbError as error:
            self.absent = str(error)
            time.sleep(REOPEN_S)

    def close(self) -> None:
        if self.link:
            self.link.console.close()
            self.link = None
        self._target.close()


def watch(watched: Watched, show, end_s: float) -> None:
    due_s = time.monotonic() + show.first_s
    while time.monotonic() < end_s:
        watched.poll()
        if time.monotonic() >= due_s:
            due_s = time.monotonic() + show.period_s
            show.update(watched)


class Lines:
    """Base of what prints a line a second."""

    period_s = first_s = LINE_S

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def update(self, watched) -> None:
        click.echo(self.line(watched))
        sys.stdout.flush()

    def line(self, watched) -> str:
        raise NotImplementedError


class PlainLines(Lines):
    def line(self, watched):
        if watched.absent:
            return f"waiting: {watched.absent}"
        if not watched.picture.pack:
            return no_telemetry(watched)
        if watched.silence:
            return f"{watched.silence}{prompt_hint(watched)}; last {plain_line(watched.picture).strip()}"
        return plain_line(watched.picture)


class JsonLines(Lines):
    def line(self, watched):
        decoder = watched.link.decoder if watched.link else None
        silent_s = watched.silent_s
        link = {"port": watched.path, "open": decoder is not None}
        link["silent_s"] = None if silent_s is None else round(silent_s, 3)
        if decoder:
            link |= {"frames": decoder.frame_count, "damaged": decoder.damaged_count, "lost": decoder.lost_count}
        return json.dumps(watched.picture.snapshot() | {"link": link})


def no_telemetry(watched) -> str:
    if hint := prompt_hint(watched):
        return f"no telemetry on {watched.path}{hint}"
    said = watched.picture.texts[-1] if watched.picture.texts else ""
    return f"no telemetry on {watched.path}" + (f"; it said: {said}" if said else "")


def prompt_hint(watched) -> str:
    """`; the board is at its Python prompt…` when it is."""
    return f"; {watched.silence_remedy}" if watched.link and watched.link.at_prompt else ""


def plain_line(picture) -> str:
    """The pack and its lowest cell in one line."""
    pack = picture.snapshot()["pack"]
    parts = [f"{picture.t_s:9.1f} s  {pack['state']:<10}"]
    for position, cell in sorted(picture.cells.items()):
        if "voltage_v" in cell:
            sigma = 100 * cell["soc_sigma_frac"]
            parts.append(f"cell {position}: {cell['voltage_v']:.4f} V  SOC {100 * cell['soc_frac']:.1f}±{sigma:.1f} %")
    pressure = f"{number(pack['pressure_mpa'], '.3f')}/{number(pack['pressure_target_mpa'], '.3f')} MPa"
    parts += [f"{number(pack['current_a'], '+.3f')} A", pressure, f"{number(pack['temperature_degc'], '.1f')} degC"]
    parts.append(f"stage {pack['stage']}")
    parts.append(f"contactor {'closed' if pack['contactor_closed'] else 'open'}")
    if pack["trip_rows"]:
        parts.append("tripped " + ",".join(pack["trip_rows"]))
    if picture.config_hint:
        parts.append(picture.config_hint)
    return "  ".join(parts)


def number(value: float | None, form: str) -> str:
    """The value, or a dash when it was never measured."""
    return "-" if value is None else format(value, form)


class Table:
    """A live table, drawn by rich."""

    period_s, first_s = REFRESH_S, 0.0

    def __enter__(self):
        from rich.live import Live

        self._live = Live(auto_refresh=False)
        self._live.__enter__()
        return self

    def __exit__(self, *exception):
        self._live.__exit__(*exception)

    def update(self, watched) -> None:
        from assb_host.commands.monitor_table import page

        self._live.update(page(watched, self._live.console.width), refresh=True)
