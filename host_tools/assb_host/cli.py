"""The `assb` command: a table of commands, each imported only when it is called.

Other packages add commands through the entry point group `assb.commands` (name → a click command).
"""

import ast
import signal
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import click

from assb_host.errors import EXIT_CODES, EXIT_INTERRUPTED, EXIT_OK, AssbError

ENDING = (signal.SIGTERM, signal.SIGHUP)
# name → (where the click command lives, one line of help), so that `assb --help` imports none of them
COMMANDS = {
    "arm": ("assb_host.commands.arm:arm", "Arm a board: regulate pressure, then close the contactor; Ctrl-C stops it."),
    "boards": ("assb_host.commands.boards:boards", "List the boards that are connected, and the board files."),
    "calibrate": ("assb_host.commands.calibrate:calibrate", "Calibrate load cell, current, voltage or temperature."),
    "capture": ("assb_host.commands.capture:capture", "Fetch a freeze frame: fast samples around a change of stage."),
    "cell": ("assb_host.commands.cell:cell", "Fit the profile of a cell to its logs."),
    "config": ("assb_host.commands.config:config", "Check, build, show and compare configurations."),
    "doctor": ("assb_host.commands.doctor:doctor", "Find what is wrong with the set-up, and what mends it."),
    "estimate": ("assb_host.commands.estimate:estimate", "Run the estimator over a recording."),
    "events": ("assb_host.commands.events:events", "Print a board's event log, and fetch its freeze frames."),
    "flash": ("assb_host.commands.flash:flash", "Put firmware and configuration on a board and verify them."),
    "log": ("assb_host.commands.record:log", "Write a board's cells as tables, without the raw frames."),
    "monitor": ("assb_host.commands.monitor:monitor", "Watch a running board."),
    "params": ("assb_host.commands.params:params", "Read, set, compare and export a board's parameters."),
    "record": ("assb_host.commands.record:record", "Record a board: tables, raw frames, everything for a replay."),
    "replay": ("assb_host.commands.replay:replay", "Watch a recording: which cell is shorted, since when, how sure."),
    "report": ("assb_host.commands.report:report", "Make a page of a recording, or of a folder of runs."),
    "selftest": ("assb_host.commands.selftest:selftest", "Have a board test itself, with its outputs off."),
    "send": ("assb_host.commands.send:send", "Send one command line and print the reply."),
    "shell": ("assb_host.commands.shell:shell", "Open a board's Python prompt, its outputs off first."),
    "stop": ("assb_host.commands.stop:stop", "Open the contactor, now."),
}
ENTRY_POINTS = "assb.commands"


def contributed():
    """Entry points of other packages, name → entry point; our own table wins over a clash."""
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=ENTRY_POINTS) if point.name not in COMMANDS}


def load_contributed(point) -> click.Command:
    """The command of an entry point; AssbError when its package is broken or half installed."""
    try:
        return point.load()
    except (ImportError, AttributeError) as error:
        remedy = "install assb-bms again (`pip install -e .` in a clone)"
        raise AssbError(f"the command `{point.name}` can't be loaded: {error}", point.value, remedy) from error


def contributed_help(point) -> str:
    """One line of help; a broken package must not take `assb --help` with it."""
    written = written_help(point)
    if written:
        return click.Command(None, help=written).get_short_help_str(limit=90)
    try:
        return load_contributed(point).get_short_help_str(limit=90)
    except AssbError as error:
        return f"(not available: {error.seen})"


def written_help(point) -> str:
    """The docstring of a command's function, read and not run: what its module imports would cost most of the help."""
    try:
        spec = find_spec(point.module)
        tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8")) if spec and spec.origin else None
    except (ImportError, OSError, SyntaxError):
        return ""
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)] if tree else []
    return next((ast.get_docstring(node) or "" for node in functions if node.name == point.attr), "")


class CommandTable(click.Group):
    """A click group that looks its commands up in the table above and in entry points."""

    def list_commands(self, ctx):
        return sorted([*COMMANDS, *contributed()])

    def get_command(self, ctx, cmd_name):
        if cmd_name in COMMANDS:
            module_name, _, attribute = COMMANDS[cmd_name][0].partition(":")
            return getattr(import_module(module_name), attribute)
        point = contributed().get(cmd_name)
        return load_contributed(point) if point else None

    def format_commands(self, ctx, formatter):
        rows = [(name, help_line) for name, (_, help_line) in COMMANDS.items()]
        rows += [(name, contributed_help(point)) for name, point in contributed().items()]
        with formatter.section("Commands"):
            formatter.write_dl(sorted(rows))

    def format_epilog(self, ctx, formatter):
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), meaning) for code, meaning in EXIT_CODES])


def show_version(ctx, _option, wanted):
    if wanted and not ctx.resilient_parsing:
        from assb import VERSION

        click.echo("assb {}.{}.{}".format(*VERSION))
        ctx.exit()


@click.group(cls=CommandTable, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=show_version, help="Show the version."
)
def cli():
    """Run, flash, watch and test packs of all-solid-state cells under controlled stack pressure."""


def main(arguments=None):
    """Entry point of the script: runs a command, prints errors the house's way, and exits. SIGTERM and a terminal that
    hangs up end it as Ctrl-C does."""
    for number in ENDING:
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup's stays
            signal.signal(number, interrupt)
    sys.exit(run(arguments))


def interrupt(_number, _frame):
    """Once: another would break into what a command puts right at its end."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def run(arguments=None) -> int:
    """Exit code of one command line (the process's own by default)."""
    try:
        result = cli.main(args=arguments, prog_name="assb", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except AssbError as error:
        click.echo(f"assb: error: {error}", err=True)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:  # bare `assb`, or a bare group of commands
        click.echo(error.format_message())
        return EXIT_OK
    except click.ClickException as error:
        click.echo(f"assb: error: {error.format_message()}; {usage_hint(error)}", err=True)
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("assb: interrupted", err=True)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # `assb … | head`: the reader has seen enough
        sys.stderr.close()
        return 0


def usage_hint(error: click.ClickException) -> str:
    """Where to read on, as the remedy part of a usage error."""
    context = getattr(error, "ctx", None)
    return f"see `{context.command_path} --help`" if context else "see `assb --help`"
