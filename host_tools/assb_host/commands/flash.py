"""`assb flash`: firmware and configuration onto a board, proven, and running before it says so."""

import json
import sys
from contextlib import contextmanager

import click

from assb_host.commands.target_options import target_options
from assb_host.errors import NotRunningError

STEPS = {
    "compile": "compile the firmware",
    "identify": "ask the board what it is",
    "compare": "compare its files",
    "write": "write what differs",
    "commit": "put the new files in place",
    "verify": "read every file back",
    "restart": "restart and wait for its hello",
}


@click.command()
@target_options
@click.option(
    "--pack", default="", metavar="NAME|FILE", help="Pack whose configuration goes along: shipped name or TOML."
)
@click.option("--config", "config_file", default="", metavar="FILE", help="A config image, from `assb config build`.")
@click.option(
    "--kernel",
    default="",
    metavar="FILE|DIR|none",
    help="Native estimator: by default what `make natmod` built for it.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object; progress goes to stderr.")
def flash(port, dut, pack, config_file, kernel, as_json):
    """Put firmware and configuration on a board and verify them.

    Only files that differ are sent; every file is verified by its SHA-256 on the board; the board must then report the
    version, schema, configuration and estimator just written. Without --pack and --config it keeps the configuration
    it has; exit code 9 when it has none.
    """
    from assb_host.flash.flasher import flash as flash_board
    from assb_host.flash.native_kernel import kernel_source
    from assb_host.flash.plan import plan_for
    from assb_host.link.picture import config_hint
    from assb_host.link.target import open_target

    with shown_progress() as progress:
        progress("compile", 0, 0, "")
        plan = plan_for(pack, config_file, kernel_source(kernel))
        with open_target(port, dut) as path:
            result = flash_board(path, plan, progress)
    if as_json:
        click.echo(json.dumps(result_json(result)))
    else:
        click.echo(summary(result))
    if hint := config_hint(result.hello):
        seen, _, remedy = hint.partition("; ")
        raise NotRunningError(f"the firmware runs, but the board has {seen}", result.port, remedy)


def summary(result) -> str:
    hello = result.hello
    from assb_host.flash.native_kernel import NATIVE

    version = "{version_major}.{version_minor}.{version_patch}".format(**hello)
    config = (
        f"pack {hello['pack']} ({hello['config_crc']:08x})" if hello["config_status"] == 0 else "no valid configuration"
    )
    estimator = "native" if hello["estimator"] == NATIVE else "bytecode"
    return (
        f"{result.port}: {result.identity}\n"
        f"sent {len(result.sent)} files ({sum(result.sent.values())} bytes), {len(result.unchanged)} unchanged, "
        f"{len(result.removed)} removed, all verified, in {result.wall_time_s:.1f} s\n"
        f"running assb {version}, {estimator} estimator, {config}"
    )


def result_json(result) -> dict:
    return {
        "flashed": True,
        "port": result.port,
        "board": result.identity.as_dict(),
        "sent": result.sent,
        "sent_bytes": sum(result.sent.values()),
        "unchanged": len(result.unchanged),
        "removed": result.removed,
        "verified": len(result.sent) + len(result.unchanged),
        "hello": result.hello,
        "wall_time_s": round(result.wall_time_s, 3),
    }


@contextmanager
def shown_progress():
    """A progress callback on stderr: a bar on a terminal, else one line for each step."""
    if not sys.stderr.isatty():
        yield PlainProgress()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TimeElapsedColumn(),
    )
    with Progress(*columns, TextColumn("{task.fields[path]}"), console=Console(stderr=True), transient=True) as bar:
        yield BarProgress(bar)


class PlainProgress:
    """One line when a step begins; bytes are said when writing ends."""

    def __init__(self):
        self._step = ""

    def __call__(self, step, done, total, path):
        if step != self._step:
            self._step = step
            click.echo(f"flash: {STEPS[step]}" + (f" ({path})" if step == "identify" else ""), err=True)
        if step == "write" and done == total:
            click.echo(f"flash: {done} bytes written", err=True)


class BarProgress:
    """One bar a step; only writing has a length."""

    def __init__(self, bar):
        self._bar = bar
        self._step = ""
        self._task = None

    def __call__(self, step, done, total, path):
        if step != self._step:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._step = step
            self._task = self._bar.add_task(STEPS[step], total=total or None, path="")
        self._bar.update(self._task, completed=done, total=total or None, path=path)
