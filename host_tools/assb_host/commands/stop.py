"""`assb stop`: open the contactor, now."""

import time

import click
from assb.protocol import schema

from assb_host.commands.target_options import target_options
from assb_host.errors import LinkError
from assb_host.link.console import SerialConsole
from assb_host.link.decoder import Frame
from assb_host.link.link import Link
from assb_host.link.lock import BusyError, Holder
from assb_host.link.target import open_target
from assb_host.link.units import word

ARMER = "assb arm"  # the one command whose Ctrl-C stops the board
RELEASE_DEADLINE_S = 5.0
RELEASE_POLL_S = 0.05
STATE_DEADLINE_S = 2.0
OPERATING = tuple(schema.STATES.index(name) for name in ("ARMED", "PRECHARGE", "REST", "CHARGE", "DISCHARGE", "DERATE"))


@click.command()
@target_options
def stop(port, dut):
    """Open the contactor and switch every output off.

    While `assb arm` has the port, that process is asked to stop the board, as Ctrl-C in its terminal would.
    """
    with open_target(port, dut) as path, own_console(path) as console:
        link = Link(console)
        link.request("stop")
        click.echo(confirmed(link))


def own_console(path: str) -> SerialConsole:
    """The port as ours; an `assb arm` that has it is made to stop its board and to let go first."""
    try:
        return SerialConsole(path, "assb stop")
    except BusyError as busy:
        if busy.holder is None or busy.holder.name != ARMER:
            raise
        busy.holder.interrupt()
        return released_console(path, busy.holder)


def released_console(path: str, holder: Holder) -> SerialConsole:
    end_s = time.monotonic() + RELEASE_DEADLINE_S
    while True:
        try:
            return SerialConsole(path, "assb stop")
        except BusyError as busy:
            if busy.holder != holder or time.monotonic() > end_s:
                remedy = f"`kill {holder.pid}`: without it the lease lapses and the board stops"
                raise LinkError(f"{holder} was asked to stop the board and still has the port", path, remedy) from busy
            time.sleep(RELEASE_POLL_S)


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
