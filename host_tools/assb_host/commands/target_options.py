"""The options that say which board a command talks to, and the link that they open."""

from contextlib import contextmanager

import click

from assb_host.link.console import SerialConsole
from assb_host.link.link import Link
from assb_host.link.target import open_target


def target_options(command):
    """Adds --port and --dut."""
    command = click.option("--dut", default="", metavar="NAME", help="Device under test: virtual, or virtual:NAME.")(
        command
    )
    return click.option("--port", default="", metavar="PORT", help="Serial port; by default the one board plugged in.")(
        command
    )


@contextmanager
def opened_link(port: str, dut: str, holder: str, lends: bool = True):
    """A Link to the board that the options name; `lends`: a flash may have the port meanwhile."""
    with open_target(port, dut) as path, SerialConsole(path, holder, lends) as console:
        yield Link(console)
