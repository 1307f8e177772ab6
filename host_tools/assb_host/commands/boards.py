"""`assb boards`: what is connected, and what the project has board files for."""

import json

import click


@click.command()
@click.option("--ask", is_flag=True, help="Ask each one who it is. Opening a port resets some boards.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def boards(ask, as_json):
    """List the boards that are connected, by USB id, the virtual ones that run, and the board files of the project."""
    from assb_host.link.discovery import board_files, connected, told

    found = [{**row, "says": told(row["port"]) if ask else ""} for row in connected()]
    files = board_files()
    if as_json:
        click.echo(json.dumps({"connected": found, "board_files": files}))
        return
    click.echo("connected:" if found else "connected: none; plug one in, or `assb board run`")
    for row in found:
        fits = f"board file {', '.join(row['board_files'])}" if row["board_files"] else "no board file of this project"
        held = f", in use by {row['held_by']}" if row["held_by"] else ""
        click.echo(f"  {row['port']:20} {row['usb_id'] or '-':10} {row['description']}; {fits}{held}")
        if row["says"]:
            click.echo(f"{'':22} {row['says']}")
    click.echo("board files:")
    for row in files:
        click.echo(f"  {row['name']:20} {' '.join(row['usb_ids']) or '-':10} {row['description']}")
