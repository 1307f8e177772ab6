"""`assb record` and `assb log`: what a board says, onto disk, until Ctrl-C."""

import json
import sys
import time
from contextlib import ExitStack
from math import inf
from pathlib import Path

import click

from assb_host.commands.target_options import target_options
from assb_host.errors import AssbError, LinkError

PROGRESS_S = 1.0


def shared_options(command):
    """What both commands take."""
    for option in reversed((
        click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder; by default a new one."),
        click.option("--duration", "duration_s", type=click.FloatRange(0.1), default=inf, help="End after so long, s."),
        click.option("--rotate-mb", type=click.FloatRange(0.1), default=inf, help="A new part after so many MB."),
        click.option("--rotate-s", type=click.FloatRange(1), default=inf, help="A new part after so many seconds."),
        click.option("--parquet", is_flag=True, help="Each closed table as Parquet too (extra: parquet)."),
        click.option("--forward", metavar="URL", default="", help="Also to mqtt://HOST[:PORT]/TOPIC (extra: mqtt)."),
        click.option("--json", "as_json", is_flag=True, help="Progress as a JSON object a second."),
    )):  # fmt: skip
        command = option(command)
    return target_options(command)


@click.command()
@shared_options
@click.option("--full", is_flag=True, help="Every input of the estimators and their state, for `assb replay`.")
def record(port, dut, full, **options):
    """Record a board until Ctrl-C: a table per cell and the raw frames; docs/recording.md.

    A killed process loses at most a last line. An unplugged board is waited for, and the gap is marked.
    """
    return recorded(port, dut, "assb record", keeps_frames=True, full=full, **options)


@click.command()
@shared_options
def log(port, dut, **options):
    """Write a table per cell until Ctrl-C, without the raw frames: a tenth of the disk, and no replay."""
    return recorded(port, dut, "assb log", keeps_frames=False, full=False, **options)


def recorded(port, dut, holder, *, keeps_frames, full, out, duration_s, rotate_mb, rotate_s, parquet, forward, as_json):
    from assb_host.link.lasting import LastingLink
    from assb_host.link.target import open_target
    from assb_host.recording.recorder import Recorder, Settings
    from assb_host.recording.session import Session, until_stopped

    settings = Settings(keeps_frames, rotate_mb * 1e6, rotate_s)
    with ExitStack() as stack:
        forwarder = stack.enter_context(opened_forwarder(forward)) if forward else None
        path = stack.enter_context(open_target(port, dut))
        began_s = time.time()
        folder = out or Path(time.strftime("recording-%Y%m%d-%H%M%S", time.localtime(began_s)))
        source = LastingLink(path, dut, holder, lambda data: recorder.heard(data, time.time()))
        about = {"command": holder, "full": full}
        source.open()  # before the folder is made: a port that is busy leaves nothing behind
        stack.callback(source.close)
        recorder = Recorder(folder, began_s, settings, about)
        if parquet:
            settings.on_part = parquet_writer(recorder)
        session = Session(source, recorder, full=full)
        session.listeners += [forwarder.take] if forwarder else []
        session.listeners += [ImageKeeper(folder)] if full else []
        stopped = stack.enter_context(until_stopped())
        run(session, stopped, time.monotonic() + duration_s, Progress(recorder, session, as_json))
        recorder.close()
    if not recorder.counts["frame_count"]:
        raise LinkError(f"no frame in {time.time() - began_s:.0f} s", path, session.silence_remedy)
    return 0


def run(session, stopped, end_s, progress) -> None:
    due_s = time.monotonic() + PROGRESS_S
    try:
        while time.monotonic() < end_s and not stopped():
            session.step()
            if time.monotonic() >= due_s:
                due_s = time.monotonic() + PROGRESS_S
                progress.show()
    except OSError as error:  # of the disk: the port's are PortErrors
        folder = str(progress.recorder.folder)
        remedy = "make room; what was written before is whole up to its last line"
        raise AssbError(f"the recording can't be written: {error.strerror}", folder, remedy) from error
    finally:
        session.end()
        progress.show(last=True)


class Progress:
    """A line that is written over on a terminal, else a line a second with --json."""

    def __init__(self, recorder, session, as_json):
        self.recorder, self.session, self.as_json = recorder, session, as_json

    def show(self, last=False):
        recorder = self.recorder
        facts = {
            "folder": str(recorder.folder), "lasted_s": round(recorder.now_s - recorder.began_s, 1),
            "rows": recorder.row_count, "bytes": recorder.byte_count, "gaps": len(recorder.gaps) + recorder.untold_gaps,
            **recorder.counts, "waiting": self.session.absent,
        }  # fmt: skip
        if self.as_json:
            click.echo(json.dumps(facts))
        elif last or sys.stdout.isatty():
            text = (
                f"{facts['folder']}: {facts['lasted_s']:.0f} s, {facts['rows']} rows, {facts['bytes'] / 1e6:.1f} MB, "
                f"{facts['frame_count']} frames, {facts['lost_count']} lost, {facts['gaps']} gaps"
            )
            text += f"; waiting: {facts['waiting']}" if facts["waiting"] else ""
            click.echo(f"\r\x1b[K{text}" if sys.stdout.isatty() else text, nl=last)
        sys.stdout.flush()


def parquet_writer(recorder):
    from assb_host.recording.parquet import demand_pyarrow, write_parquet

    demand_pyarrow()

    def write(tables):
        for table in tables:
            write_parquet(table, recorder.meta(False))

    return write


def opened_forwarder(url: str):
    from assb_host.recording.forward import Forwarder

    return Forwarder(url)


class ImageKeeper:
    """Puts the configuration that a replay needs beside the frames, if it is one that this host can build."""

    def __init__(self, folder: Path):
        self._folder, self._crc = folder, None

    def __call__(self, frame, _unix_s):
        from assb.protocol import schema

        if frame.type != schema.HELLO or frame.fields["config_crc"] == self._crc:
            return
        from assb_host.recording.image_file import IMAGE_NAME, image_of

        self._crc = frame.fields["config_crc"]
        image = image_of(frame.fields)
        if image:
            (self._folder / IMAGE_NAME).write_bytes(image)
