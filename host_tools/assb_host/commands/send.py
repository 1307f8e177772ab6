"""`assb send`: one command line to the board, with its checksum, and the reply."""

import json
from typing import Any

import click

from assb_host.commands.target_options import opened_link, target_options


@click.command()
@target_options
@click.option("--json", "as_json", is_flag=True, help="Print the reply as one JSON object.")
@click.argument("name")
@click.argument("pairs", nargs=-1, metavar="[KEY=VALUE]...")
def send(port, dut, as_json, name, pairs):
    """Send one command line and print the reply.

    `assb send help` asks the board for its commands; `assb send set name=pressure_target_kpa value=5200` sets a
    parameter.
    """
    values = dict(split_pair(pair) for pair in pairs)
    with opened_link(port, dut, "assb send") as link:
        reply = link.request(name, **dict[str, Any](values))
    if as_json:
        click.echo(json.dumps({"ok": True, "command": name} | reply))
    else:
        click.echo(" ".join(["ok", name, *(f"{key}={value}" for key, value in reply.items())]))


def split_pair(pair: str) -> tuple[str, str]:
    key, mark, value = pair.partition("=")
    if not (key and mark and value) or key == "id":
        raise click.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="pairs")
    return key, value
