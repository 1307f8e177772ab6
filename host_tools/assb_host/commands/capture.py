"""`assb capture`: the freeze frame that stands on a board, or one of now, as a table of fast samples."""

from pathlib import Path

import click
from assb.protocol import schema

from assb_host.commands.target_options import opened_link, target_options
from assb_host.errors import AssbError, LinkError
from assb_host.link.capture import Capture, Captures
from assb_host.link.decoder import Frame
from assb_host.link.link import Link

REST_S = 2.0  # without a further part of it, the frame is not coming


@click.command()
@target_options
@click.option("--out", default=".", metavar="DIR", help="Folder for the table; the present one by default.")
@click.option("--as-test", "test_folder", metavar="DIR", help="Also a pytest file there that replays the frame.")
@click.option("--pack", default="", help="For --as-test: the pack that was flashed, if HELLO's is not shipped.")
@click.option("--wait", "wait_s", type=float, default=12.0, help="Give up when it has not begun after so long (s).")
def capture(port, dut, out, test_folder, pack, wait_s):
    """Fetch a freeze frame: every fast sample around the last change of a cell's stage, or around now.

    A frame stands for some seconds after it was sent, that of a hard short until the board restarts.
    """
    with opened_link(port, dut, "assb capture") as link:
        hello = link.hello().fields if test_folder else {}
        frame = fetched(link, wait_s)
    path = Path(out) / f"capture{frame.name}.csv"
    try:
        path.write_text(frame.csv(), encoding="utf-8")
    except OSError as error:
        raise AssbError(f"the table can't be written: {error.strerror}", str(path), "choose another --out") from error
    click.echo(f"{len(frame.rows)} samples, {frame.rows[0][0]:+.2f} to {frame.rows[-1][0]:+.2f} s: {path}")
    if test_folder:
        from assb_host.replay.regression import image_for, write_frame_test

        click.echo(f"regression test: {write_frame_test(Path(test_folder), frame, image_for(hello, pack))}")


def fetched(link: Link, wait_s: float) -> Capture:
    """The frame, asked for anew until all of its parts have come; raises LinkError when they do not."""
    captures, number = Captures(), int(link.request("capture")["number"])
    end_s = link.console.now_s() + wait_s
    while link.console.now_s() < end_s:
        for item in link.poll(0.1):
            if isinstance(item, Frame) and item.type == schema.CAPTURE:
                end_s = max(end_s, link.console.now_s() + REST_S)
                whole = captures.take(item.fields)
                if whole and whole.number >= number:
                    return whole
    raise LinkError(f"no whole freeze frame in {wait_s:g} s", link.console.name, "try again: parts may have been lost")
