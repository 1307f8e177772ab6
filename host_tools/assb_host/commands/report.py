"""`assb report`: a recording, or a folder of runs, as a page to read and print."""

import json
from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The page; by default in the folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def report(folder, out, as_json):
    """Make a page of a recording (`report.html`), or of a folder of recordings and HIL runs (`index.html`).

    A page needs no other file and no network, and prints. What was cut from a recording is said on it.
    """
    from assb_host.recording.recorder import META_NAME
    from assb_host.report.index import PAGE_NAME, RESULT_NAME, write_index, write_report

    folder = folder if folder.is_dir() else folder.parent
    if (folder / META_NAME).is_file():
        path, recording = write_report(folder, out)
        told = {"page": str(path), "whole": recording.passed, "events": len(recording.events)}
        text = f"{path}: {recording.title}; {recording.summary}"
    elif (folder / RESULT_NAME).is_file() and (folder / PAGE_NAME).is_file():
        told = {"page": str(folder / PAGE_NAME)}
        text = f"{folder / PAGE_NAME}: written by the run itself"
    else:
        path, runs = write_index(folder, out)
        told = {"page": str(path), "runs": [vars(run) for run in runs]}
        text = f"{path}: {len(runs)} runs"
    click.echo(json.dumps(told) if as_json else text)
