"""`assb arm`: arm a board and keep its lease for as long as this process lives."""

import click
from assb.protocol import schema

from assb_host.commands.target_options import opened_link, target_options
from assb_host.errors import LinkError
from assb_host.link.decoder import Frame
from assb_host.link.units import rows_of, word

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

    Exit code 1 when the board itself left operation, for instance by a fault.
    """
    with opened_link(port, dut, "assb arm") as link:
        reply = link.request("arm", **({"lease_ms": lease_ms} if lease_ms else {}))
        granted_s = int(reply["lease_ms"]) / 1000
        click.echo(f"armed; lease {granted_s:g} s, renewed from here; Ctrl-C stops the board")
        link.keep_lease(granted_s / RENEWALS_PER_LEASE)
        try:
            left = watch(link, duration_s)
        except KeyboardInterrupt:
            left = False
        link.drop_lease()
        if left:
            return 1
        link.request("stop")
        click.echo("stopped")
        return 0


def watch(link, duration_s: float) -> bool:
    """Print the states that the board goes through; True when it left operation by itself before the time is over."""
    state, begun = None, False
    end_s = link.console.now_s() + duration_s
    heard_s = link.console.now_s()
    while link.console.now_s() < end_s:
        for item in link.poll(0.1):
            if not isinstance(item, Frame) or item.type != schema.PACK:
                continue
            heard_s = link.console.now_s()
            if item.fields["state"] != state:
                state = item.fields["state"]
                tripped = ", ".join(rows_of(item.fields["trip_bits"]))
                click.echo(
                    f"{item.t_ms / 1000:9.1f} s  {word(schema.STATES, state)}"
                    + (f"  tripped: {tripped}" if tripped else "")
                )
            begun = begun or state not in OFF
            if begun and state in OFF:
                return True
        if link.console.now_s() - heard_s > QUIET_MAX_S:
            raise LinkError(
                f"no PACK message for {QUIET_MAX_S:g} s", link.console.name, "the lease lapses and the board stops"
            )
    return False
