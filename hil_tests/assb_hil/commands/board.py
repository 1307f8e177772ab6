"""`assb board`: virtual boards that stay alive for other commands."""

import json
import os
import signal
import sys
import threading
from dataclasses import asdict

import click

from assb_hil.dut import BoardNotFoundError, registry
from assb_hil.dut.runner import DEFAULT_PACK, start_board


class Pace(click.ParamType):
    """A positive number, or `max`."""

    name = "pace"

    def convert(self, value, param, ctx):
        if isinstance(value, float):
            return value
        try:
            pace = float("inf") if value == "max" else float(value)
        except ValueError:
            pace = 0.0
        if not pace > 0:
            self.fail(
                f"{value!r} is no pace; give how many seconds of board time pass in one second, or max", param, ctx
            )
        return pace


@click.group()
def board():
    """Keep virtual boards alive, list them, end them."""


@board.command()
@click.argument("name", default="virtual")
@click.option(
    "--flash",
    type=click.Path(dir_okay=False),
    help="Flash image; made when absent. Default: one that ends with the board.",
)
@click.option("--pace", type=Pace(), default="1", show_default=True, help="Board seconds per second, or max.")
@click.option("--micropython", type=click.Path(), help="A unix port of MicroPython to use.")
@click.option(
    "--pack", default=DEFAULT_PACK, show_default=True, help="Pack that the bench is wired for; empty: a bare board."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of everything random on the board.")
def run(name, flash, pace, micropython, pack, seed):
    """Run a virtual board in the foreground until Ctrl-C; its port is printed."""
    registry.path_of(name)
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with start_board(name, flash=flash, micropython=micropython, pack=pack, seed=seed) as started:
        pace_text = "max" if pace == float("inf") else f"{pace:g}"
        entry = registry.Entry(name, started.console_port, os.getpid(), str(started.flash), pace_text)
        with registry.registered(entry):
            click.echo(f"board {name} on {entry.port} (Ctrl-C or `assb board stop {name}` ends it)")
            sys.stdout.flush()
            started.run_paced(pace, stopping.is_set)


@board.command("list")
@click.option("--json", "as_json", is_flag=True, help="One JSON list.")
def list_boards(as_json):
    """The virtual boards that run, with their ports."""
    entries = registry.running()
    if as_json:
        click.echo(json.dumps([asdict(entry) for entry in entries]))
    elif not entries:
        click.echo("no virtual board runs; `assb board run` starts one")
    for entry in [] if as_json else entries:
        click.echo(f"{entry.name:16} {entry.port:16} pid {entry.pid:<8} pace {entry.pace:6} flash {entry.flash}")


@board.command()
@click.argument("name", default="")
def stop(name):
    """End a virtual board, as pulling its plug would."""
    entry = registry.find_entry(name or None)
    if entry is None:
        raise BoardNotFoundError(
            f"no virtual board{' named ' + name if name else ''} runs", "", "`assb board list` shows those that do"
        )
    registry.stop(entry)
    click.echo(f"board {entry.name} has ended")
