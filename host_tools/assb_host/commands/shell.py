"""`assb shell`: the board's Python prompt, its outputs off first."""

import math
import subprocess
import sys
from contextlib import suppress

import click

from assb_host.commands.target_options import target_options
from assb_host.errors import EXIT_LINK, LinkError, PortError

PROMPT = b">>> "
PROMPT_S = 10.0
RESET = b"machine.reset()"


@click.command()
@target_options
@click.option("--plain", is_flag=True, help="A plain serial terminal in place of mpremote.")
@click.option("--restart", is_flag=True, help="Start the firmware again at the end.")
@click.argument("code", required=False)
def shell(port, dut, plain, restart, code):
    """Open the board's Python prompt, or run CODE there and print what it prints.

    Firmware that runs is stopped: it switches its outputs off before it gives the prompt. It stays stopped until the
    board is reset (--restart, Ctrl-D at the prompt, or `assb shell --restart pass`).
    """
    from assb_host.link.console import ExclusiveConsole
    from assb_host.link.target import open_target

    with open_target(port, dut) as path, ExclusiveConsole(path, "assb shell") as console:
        take_prompt(console)
        if code is not None:
            status = run_code(console, code)
        else:
            console.port.close()  # the lock stays ours
            status = subprocess.run(terminal(path, plain), check=False).returncode
            console.port.open()
        if restart:
            click.echo("the firmware starts again" if reset(console) else "the firmware runs already", err=True)
        else:
            click.echo("the firmware is stopped, outputs off; `assb shell --restart pass` starts it", err=True)
    return status


def reset(console) -> bool:
    """Until the board has heard it: who opens the port next finds no old prompt. False: firmware answers instead."""
    console.write(b"\r\x03import machine\r" + RESET + b"\r")
    heard, end_s = b"", console.now_s() + PROMPT_S
    with suppress(PortError):  # USB goes with the reset
        while RESET not in heard and b"\0" not in heard and console.now_s() < end_s:
            heard += console.read(0.2)
        if RESET not in heard and b"\0" not in heard:
            raise LinkError(
                f"no prompt took the reset in {PROMPT_S:g} s", console.name, "reset the board by its button"
            )
    return RESET in heard


def terminal(path: str, plain: bool) -> list[str]:
    """The program that has the port next."""
    if plain:
        return [sys.executable, "-m", "serial.tools.miniterm", "--raw", "--eol", "CR", path, "115200"]
    return [sys.executable, "-m", "mpremote", "connect", path, "resume", "repl"]


def take_prompt(console) -> None:
    """`stop`, then Ctrl-C alone in its line: the firmware opens what is closed before it gives the prompt."""
    console.write(b"\r!stop\r\x03")
    heard, end_s = b"", console.now_s() + PROMPT_S
    while not heard.endswith(PROMPT):
        if console.now_s() > end_s:
            raise LinkError(f"no prompt in {PROMPT_S:g} s", console.name, "reset the board; is MicroPython on it?")
        heard += console.read(0.2)


def run_code(console, code: str) -> int:
    from assb_host.flash.board_repl import BoardError, BoardRepl

    with BoardRepl(console, math.inf) as repl:
        try:
            click.echo(repl.run(code, "shell").decode(errors="replace"), nl=False)
        except BoardError as error:
            click.echo(error.traceback, err=True)
            return EXIT_LINK
    return 0
