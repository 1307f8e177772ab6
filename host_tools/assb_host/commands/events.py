"""`assb events`: the event log that a board keeps over power cycles, its freeze frames and its last exception."""

import json
from pathlib import Path

import click

from assb_host.commands.target_options import opened_link, target_options
from assb_host.errors import AssbError
from assb_host.link.stored import StoredEvent, fetch_crash, fetch_events, fetch_frame, frame_ranks, sync

SYNC_DEADLINE_S = 5.0


@click.command()
@target_options
@click.option("--since", type=click.IntRange(min=0), default=0, help="From this event number on.")
@click.option("--sync", "synced", is_flag=True, help="First have everything written to flash that waits for it.")
@click.option("--frames", "folder", default="", metavar="DIR", help="Write the freeze frames as tables into DIR.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")
def events(port, dut, since, synced, folder, as_json):
    """Print the event log of a board, oldest first, and the last exception that ended its firmware.

    Times are seconds since the start of that boot. Events marked with * are not on flash yet: a power cut takes them.
    """
    with opened_link(port, dut, "assb events") as link:
        if synced:
            sync(link, SYNC_DEADLINE_S)
        found = fetch_events(link, since)
        crash = fetch_crash(link)
        written = write_frames(link, Path(folder)) if folder else []
    if as_json:
        last = {"boot": crash[0], "text": crash[1]} if crash else None
        facts = {"events": [event.as_dict() for event in found], "last_exception": last, "frames": written}
        click.echo(json.dumps(facts))
        return
    for line in lines(found):
        click.echo(line)
    if crash:
        click.echo(f"last exception, in boot {crash[0]}:")
        click.echo("\n".join("    " + line for line in crash[1].rstrip().splitlines()))
    for path in written:
        click.echo(f"freeze frame: {path}")


def lines(found: list[StoredEvent]):
    """A line an event, a head for each boot, and a word where numbers are missing."""
    boot, expected = None, None
    for event in found:
        if event.boot != boot:
            boot = event.boot
            yield f"boot {boot}"
        if expected is not None and event.number != expected:
            yield f"         {event.number - expected} events were lost: more came than could be kept"
        expected = event.number + 1
        mark = " " if event.on_flash else "*"
        yield f"{event.number:7}{mark}{event.t_ms / 1000:12.3f} s  {event.text}"


def write_frames(link, folder: Path) -> list[str]:
    """Every freeze frame that the board keeps, as CSV; the paths."""
    written = []
    for place, rank in enumerate(frame_ranks(link)):
        if not rank:
            continue
        boot, frame = fetch_frame(link, place)
        path = folder / f"boot{boot}_{frame.name}.csv"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(frame.csv(), encoding="utf-8")
        except OSError as error:
            seen = f"the table can't be written: {error.strerror}"
            raise AssbError(seen, str(path), "choose another --frames") from error
        written.append(str(path))
    return written
