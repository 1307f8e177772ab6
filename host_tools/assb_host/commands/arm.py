"""`assb arm`: arm a board and keep its lease for as long as this process lives."""

import signal

import click
from assb.protocol import schema

from assb_host.commands.monitor import LINE_S, plain_line
from assb_host.commands.target_options import opened_link, target_options
from assb_host.errors import LinkError, RefusedError
from assb_host.link.decoder import Frame, Line
from assb_host.link.picture import Picture, config_hint

RENEWALS_PER_LEASE = 4  # so that two lost lines in a row cost nothing
LEASE_MIN_MS = 1000
QUIET_MAX_S = 5.0  # without a PACK frame: the board has gone
OFF = tuple(schema.STATES.index(name) for name in ("SAFE", "FAULT", "LOCKOUT", "MAINTENANCE"))


@click.command()
@target_options
@click.option("--lease-ms", type=click.IntRange(min=LEASE_MIN_MS), help="Lease to ask for; the board's own by default.")
@click.option("--duration", "duration_s", type=float, default=float("inf"), help="Stop after this many seconds.")
def arm(port, dut, lease_ms, duration_s):
    """Arm a board: regulate pressure, then close the contactor; Ctrl-C stops it.

    `assb stop` elsewhere ends it too. Exit code 1 when the board itself left operation, for instance by a fault.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell starts background jobs deaf to SIGINT
    with opened_link(port, dut, "assb arm", lends=False) as link:
        try:
            begin(link, lease_ms)
            left = watch(link, duration_s)
        except KeyboardInterrupt:
            left = False
        link.drop_lease()
        if left:
            return 1
        link.request("stop")
        click.echo("stopped")
        return 0


def begin(link, lease_ms: int | None) -> None:
    """Arm the board and renew the lease from now on."""
    try:
        reply = link.request("arm", **({"lease_ms": lease_ms} if lease_ms else {}))
    except RefusedError as error:
        if hint := config_hint(link.hello().fields):
            raise RefusedError(error.reason, error.where, hint) from error
        raise
    granted_s = int(reply["lease_ms"]) / 1000
    click.echo(f"armed; lease {granted_s:g} s, renewed from here; Ctrl-C stops the board")
    link.keep_lease(granted_s / RENEWALS_PER_LEASE)


def watch(link, duration_s: float) -> bool:
    """Print a line a second and at each change of state; True when the board left operation by itself before the time
    is over."""
    picture, state, begun, due_s = Picture(), None, False, 0.0
    end_s = link.console.now_s() + duration_s
    heard_s = link.console.now_s()
    while link.console.now_s() < end_s:
        for item in link.poll(0.1):
            if stopped_elsewhere(item):
                return False
            picture.take(item)
            if not isinstance(item, Frame) or item.type != schema.PACK:
                continue
            heard_s = link.console.now_s()
            if item.fields["state"] != state or heard_s >= due_s:
                state, due_s = item.fields["state"], heard_s + LINE_S
                click.echo(plain_line(picture))
            begun = begun or state not in OFF
            if begun and state in OFF:
                return True
        if link.console.now_s() - heard_s > QUIET_MAX_S:
            raise LinkError(
                f"no PACK message for {QUIET_MAX_S:g} s", link.console.name, "the lease lapses and the board stops"
            )
    return False


def stopped_elsewhere(item: Frame | Line) -> bool:
    """Whether this is the board's reply to a `stop`: nobody in this process has sent one."""
    return isinstance(item, Line) and item.text.startswith("!ok stop ")
