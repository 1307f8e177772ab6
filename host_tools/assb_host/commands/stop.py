"""`assb stop`: open the contactor, now."""

import click

from assb_host.commands.target_options import opened_link, target_options


@click.command()
@target_options
def stop(port, dut):
    """Open the contactor and switch every output off."""
    with opened_link(port, dut, "assb stop") as link:
        link.request("stop")
    click.echo("stopped: the board has taken the command; `assb monitor` shows its outputs")
