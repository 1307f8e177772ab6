"""`assb monitor`: running boards in the terminal, in the browser, as lines, or as JSON."""

import json
import sys
import time
from contextlib import ExitStack

import click

from assb_host.errors import AssbError, LinkError

LINE_S = 1.0


@click.command()
@click.option("--port", "ports", multiple=True, metavar="PORT", help="Serial port; may be given several times.")
@click.option("--dut", "duts", multiple=True, metavar="NAME", help="Device under test: virtual, or virtual:NAME.")
@click.option(
    "--pack", default="", metavar="NAME|FILE", help="Pack of the board, for its limits; by default as it says."
)
@click.option("--web", is_flag=True, help="In a browser on this machine; the address is printed.")
@click.option("--web-port", type=click.IntRange(0, 65535), default=0, help="TCP port of --web; by default a free one.")
@click.option("--plain", is_flag=True, help="One line a second, for scripts and logs.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a second.")
@click.option("--duration", "duration_s", type=float, default=float("inf"), help="End after this many seconds.")
def monitor(ports, duts, pack, web, web_port, plain, as_json, duration_s):
    """Watch running boards; Ctrl-C ends it. A board that goes away is shown again as soon as it is back.

    Other commands may use the port meanwhile. Exit code 5 when --duration passed without a word from a board.
    """
    from assb_host.link.target import open_target
    from assb_host.monitor.watched import Watched

    end_s = time.monotonic() + duration_s
    with ExitStack() as stack:
        watched = []
        for port, dut in [*((port, "") for port in ports), *(("", dut) for dut in duts)] or [("", "")]:
            path = stack.enter_context(open_target(port, dut))
            watched.append(Watched(path, dut))
            stack.callback(watched[-1].close)
            watched[-1].open()
        try:
            if web:
                show_page(watched, pack, web_port, end_s)
            elif as_json or plain or not sys.stdout.isatty():
                print_lines(watched, json_line if as_json else plain_text, end_s, named=len(watched) > 1)
            else:
                show_terminal(watched, pack, end_s)
        except KeyboardInterrupt:
            return 0
    mute = next((one for one in watched if one.silent_s is None), None)
    if mute and time.monotonic() >= end_s:
        raise LinkError(f"no telemetry in {duration_s:g} s", mute.path, mute.silence_remedy)
    return 0


def show_terminal(watched, pack, end_s):
    from assb_host.monitor.board import WatchedBoard
    from assb_host.monitor.terminal import Monitor

    boards = [WatchedBoard(one, pack).start() for one in watched]
    try:
        Monitor(boards, end_s).run()
    finally:
        for board in boards:
            board.close()


def show_page(watched, pack, web_port, end_s):
    from assb_host.monitor.board import WatchedBoard

    try:
        from assb_host.monitor.web import serve
    except ImportError as error:
        raise AssbError("the page needs NiceGUI", "assb monitor --web", "`pip install 'assb-bms[web]'`") from error
    boards = [WatchedBoard(one, pack).start() for one in watched]
    try:
        serve(boards, web_port, end_s, click.echo)
    finally:
        for board in boards:
            board.close()


def print_lines(watched, line, end_s, named):
    """One line a second for each board; `named`: each begins with its port."""
    due_s = time.monotonic() + LINE_S
    while time.monotonic() < end_s:
        for one in watched:
            one.see()
        if time.monotonic() >= due_s:
            due_s = time.monotonic() + LINE_S
            for one in watched:
                click.echo(f"{one.path}  {line(one)}" if named and line is plain_text else line(one))
            sys.stdout.flush()


def plain_text(watched) -> str:
    if watched.absent:
        return f"waiting: {watched.absent}"
    if not watched.picture.pack:
        return no_telemetry(watched)
    if watched.silence:
        return f"{watched.silence}{prompt_hint(watched)}; last {plain_line(watched.picture).strip()}"
    return plain_line(watched.picture)


def json_line(watched) -> str:
    decoder = watched.link.decoder if watched.link else None
    silent_s = watched.silent_s
    link = {"port": watched.path, "open": decoder is not None, "gaps": len(watched.gaps)}
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
    if picture.rests:
        parts.append("rest asked for by the watch for shorts")
    if pack["trip_rows"]:
        parts.append("tripped " + ",".join(pack["trip_rows"]))
    if picture.config_hint:
        parts.append(picture.config_hint)
    return "  ".join(parts)


def number(value: float | None, form: str) -> str:
    """The value, or a dash when it was never measured."""
    return "-" if value is None else format(value, form)
