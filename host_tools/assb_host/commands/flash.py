"""`assb flash`: firmware and configuration onto a board, proven, and running before it says so."""

import json
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import click

from assb_host.commands.target_options import target_options
from assb_host.errors import EXIT_FAILED, EXIT_OK, NotRunningError

STEPS = {
    "compile": "compile the firmware",
    "identify": "ask the board what it is",
    "compare": "compare its files",
    "copy": "copy on the board what is the same",
    "write": "write what differs",
    "verify": "read every file back",
    "commit": "put the new slot on trial",
    "restart": "restart and wait until it confirms itself",
}


@click.command()
@target_options
@click.option(
    "--pack", default="", metavar="NAME|FILE", help="Pack whose configuration goes along: shipped name or TOML."
)
@click.option("--config", "config_file", default="", metavar="FILE", help="A config image, from `assb config build`.")
@click.option("--board", default="", metavar="NAME|FILE", help="In place of the pack's board; file of an image's.")
@click.option(
    "--kernel",
    default="",
    metavar="FILE|DIR|none",
    help="Native estimator: by default what `make natmod` built for it.",
)
@click.option(
    "--slot",
    default="",
    type=click.Choice(["", "a", "b"]),
    metavar="a|b",
    help="Slot to write; by default the one that does not run.",
)
@click.option(
    "--verify", "verify_only", is_flag=True, help="Only compare what is on the board; exit code 1 when it differs."
)
@click.option("--rollback", is_flag=True, help="Run again what the other slot holds.")
@click.option("--key", "key_file", default="", metavar="FILE", help="Key that seals what goes onto a board with a key.")
@click.option("--set-key", is_flag=True, help="Give the board that key, once and for good; made where there is none.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object; progress goes to stderr.")
def flash(port, dut, pack, config_file, board, kernel, slot, verify_only, rollback, key_file, set_key, as_json):
    """Put firmware and configuration on a board and verify them.

    A board has two slots: the one that runs stays as it is, the other one is written, verified by the SHA-256 of every
    file, and started on trial; it must confirm itself and report what was just written, else the board goes back to
    what it ran before (exit code 11). Only what the board has in neither slot is sent. Without --pack and --config it
    keeps the configuration it has; exit code 9 when it has none.
    """
    from assb_host.flash import flasher
    from assb_host.flash.native_kernel import kernel_source
    from assb_host.flash.plan import plan_for
    from assb_host.flash.seal import read_key
    from assb_host.link.picture import config_hint
    from assb_host.link.target import open_target

    if verify_only and rollback:
        raise click.UsageError("--verify and --rollback exclude each other")
    if board and not (pack or config_file):
        raise click.UsageError("--board goes with --pack or --config")
    if set_key and (not key_file or verify_only or rollback):
        raise click.UsageError("--set-key goes with --key FILE, and with neither --verify nor --rollback")
    key = read_key(Path(key_file), set_key) if key_file else None
    with shown_progress() as progress:
        plan = None
        if not rollback:
            progress("compile", 0, 0, "")
            plan = replace(plan_for(pack, config_file, kernel_source(kernel), board=board), key=key)
        with open_target(port, dut) as path:
            if plan is None:
                result = flasher.roll_back(path, progress)
            elif verify_only:
                result = flasher.verify(path, plan, progress)
            else:
                result = flasher.flash(path, plan, progress, slot)
    if as_json:
        click.echo(json.dumps(result_json(result, not verify_only)))
    elif verify_only:
        click.echo(differences(result))
    else:
        click.echo(summary(result))
    if verify_only:
        return EXIT_FAILED if result.sent or result.removed else EXIT_OK
    if hint := config_hint(result.hello):
        seen, _, remedy = hint.partition("; ")
        raise NotRunningError(f"the firmware runs, but the board has {seen}", result.port, remedy)
    return EXIT_OK


def differences(result) -> str:
    lines = [f"differs: {path}" for path in result.sent] + [f"more than planned: {path}" for path in result.removed]
    return "\n".join(lines or [f"{result.port}: slot {result.slot} is as planned, {len(result.unchanged)} files"])


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
        f"sent {len(result.sent)} files ({sum(result.sent.values())} bytes), {len(result.copied)} copied on the board, "
        f"{len(result.unchanged)} unchanged, {len(result.removed)} removed, verified in {result.wall_time_s:.1f} s\n"
        f"running slot {result.slot}: assb {version}, {estimator} estimator, {config}"
    )


def result_json(result, flashed: bool) -> dict:
    return {
        "flashed": flashed,
        "slot": result.slot,
        "port": result.port,
        "board": result.identity.as_dict(),
        "sent": result.sent,
        "sent_bytes": sum(result.sent.values()),
        "copied": len(result.copied),
        "unchanged": len(result.unchanged),
        "removed": result.removed,
        "verified": len(result.sent) + len(result.copied) + len(result.unchanged),
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
