"""`assb selftest`: a board looks at its files, configuration, estimator and sensors, with its outputs off."""

import json

import click
from assb.protocol import schema
from assb.protocol.schema_text import CHECK_TEXT

from assb_host.commands.target_options import opened_link, target_options
from assb_host.errors import EXIT_FAILED, EXIT_OK
from assb_host.link.decoder import Frame
from assb_host.link.link import Link

NOT_RUN = {"golden_vector": [2]}  # codes that tell of no fault, but of a check that could not be made
DEADLINE_S = 60.0  # a quarter of a megabyte of files, read between the ticks of a slow board


@click.command()
@target_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def selftest(port, dut, as_json):
    """Run the self-test of a board and print its checks; exit code 1 when one fails.

    The board must have its outputs off. What it checks when it starts (configuration, files, estimator, sensors) keeps
    it in LOCKOUT by itself.
    """
    with opened_link(port, dut, "assb selftest") as link:
        failed = run(link)
    if as_json:
        click.echo(json.dumps({name: failed.get(name, []) for name in schema.CHECKS}))
    else:
        for name in schema.CHECKS:
            click.echo(f"{name}: " + ("ok" if name not in failed else told(name, failed[name])))
    return EXIT_FAILED if failed else EXIT_OK


def run(link: Link) -> dict[str, list[int]]:
    """{check that failed: its codes}; raises LinkError when the board does not come to the end of it."""
    link.request("selftest")
    failed: dict[str, list[int]] = {}

    def over(item) -> bool:
        if not isinstance(item, Frame) or item.type != schema.EVENT:
            return False
        if item.fields["event"] == schema.EV_CHECK_FAILED:
            failed.setdefault(schema.CHECKS[item.fields["a"]], []).append(item.fields["b"])
        return item.fields["event"] == schema.EV_SELF_TESTED

    link.wait_for(over, DEADLINE_S, "end of the self-test")
    return failed


def told(name: str, codes: list[int]) -> str:
    what, remedy = CHECK_TEXT[name]
    verdict = "not_run" if NOT_RUN.get(name) == codes else "FAILED"
    return f"{verdict}, code {', '.join(map(str, codes))}: {what}. {remedy}"
