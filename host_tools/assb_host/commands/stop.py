"""`assb stop`: open the contactor, now."""

import click
from assb.protocol import schema

from assb_host.commands.target_options import opened_link, target_options
from assb_host.errors import LinkError
from assb_host.link.decoder import Frame
from assb_host.link.link import Link
from assb_host.link.units import word

STATE_DEADLINE_S = 2.0
TRIES = 3
OPERATING = tuple(schema.STATES.index(name) for name in ("ARMED", "PRECHARGE", "REST", "CHARGE", "DISCHARGE", "DERATE"))


@click.command()
@target_options
def stop(port, dut):
    """Open the contactor and switch every output off, whoever else has the port open."""
    with opened_link(port, dut, "assb stop") as link:
        ask(link)
        click.echo(confirmed(link))


def ask(link: Link) -> None:
    """Sent again when no answer comes, on a bad line or a busy machine: twice stopped is stopped."""
    for left in reversed(range(TRIES)):
        try:
            link.request("stop")
            return
        except LinkError:
            if not left:
                raise


def confirmed(link: Link) -> str:
    """What the board says after it took `stop`; LinkError when it still operates."""
    end_s = link.console.now_s() + STATE_DEADLINE_S
    state = None
    while link.console.now_s() < end_s:
        for item in link.poll(0.1):
            if isinstance(item, Frame) and item.type == schema.PACK:
                state = int(item.fields["state"])
        if state is not None and state not in OPERATING:
            return f"stopped: the board is in {word(schema.STATES, state)}"
    if state is None:
        return "stopped: the board has taken the command; it sends no state"
    seen = f"the board took `stop` and is still in {word(schema.STATES, state)}"
    raise LinkError(seen, link.console.name, "switch the pack off by hand")
