"""`assb doctor`: what is wrong with the set-up, and what mends it."""

import json

import click

from assb_host.commands.target_options import target_options
from assb_host.errors import EXIT_FAILED, EXIT_OK

COLOURS = {"ok": "green", "warn": "yellow", "FAILED": "red", "skipped": "yellow"}


@click.command()
@target_options
@click.option("--quick", is_flag=True, help="Without the board's self-test, which takes some seconds.")
@click.option("--json", "as_json", is_flag=True, help="One JSON list of findings.")
def doctor(port, dut, quick, as_json):
    """Look at host, port, cable, firmware, configuration and sensors; exit code 1 when something has to be mended.

    It may run beside a monitor: it asks, and changes nothing. Each finding that is not ok says what to do.
    """
    from assb_host import diagnosis

    findings = []

    def show(finding):
        findings.append(finding)
        if not as_json:
            click.echo(
                f"{click.style(f'{finding.state:7}', fg=COLOURS[finding.state])} {finding.check:11} {finding.seen}"
            )
            if finding.remedy:
                click.echo(f"{'':20}-> {finding.remedy}")

    for finding in diagnosis.host():
        show(finding)
    with diagnosis.target(port, dut) as found:
        if isinstance(found, diagnosis.Finding):
            show(found)
        else:
            for finding in diagnosis.board(found, not quick):
                show(finding)
    if as_json:
        click.echo(json.dumps([finding.as_dict() for finding in findings]))
    return EXIT_FAILED if any(finding.state == diagnosis.FAILED for finding in findings) else EXIT_OK
