"""`assb replay`: which cell of a recording is shorted, since when, and how sure."""

import json
from pathlib import Path

import click

from assb_host.commands.log_options import FiniteRange


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--cell", "cell_name", metavar="CELL", help="Profile: a shipped name or a TOML file.")
@click.option("--pack", default="", help="Of a raw recording: the pack that was flashed, if it is not kept beside it.")
@click.option(
    "--columns",
    metavar="OURS=THEIRS,...",
    default="",
    help="time, current, voltage, temperature, pressure: names, #2 for a position, V_1..V_88 or V_* for many cells in "
    "series, current=-NAME where + discharges.",
)
@click.option("--current-sign", type=click.Choice(["+", "-"]), default="+", help="-: + discharges in the recording.")
@click.option("--temperature-degc", type=FiniteRange(-60, 200), help="Of a recording without a column of it.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Folder for report.html and tables.")
@click.option("--as-test", "test_folder", metavar="DIR", help="Of a raw recording: also a pytest file that replays it.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def replay(file, cell_name, pack, columns, current_sign, temperature_degc, out, test_folder, as_json):
    """Watch a recording of one cell, or of many in series, as if it came from a board: docs/replay.md.

    Rows of a table that can be no reading (0 V, no number, out of the profile's limits, time that does not rise) are
    counted and left out.

    The folder of an `assb record --full` runs through the firmware's own steps instead, which must give what the board
    had; exit code 1 when they do not.
    """
    from assb_host.replay.raw_command import is_raw

    if is_raw(file):
        return replay_raw(file, pack, test_folder, as_json)
    if not cell_name:
        raise click.UsageError("a table needs --cell, the profile of what it is a recording of")
    from assb_host.config.cell import load_cell
    from assb_host.config.locate import find
    from assb_host.replay.columns import parse_mapping
    from assb_host.replay.pack_log import read_pack_log
    from assb_host.replay.replay import facts_of
    from assb_host.replay.replay import replay as judged

    cell = load_cell(find("cell", cell_name))
    mapping = parse_mapping(columns)
    log = read_pack_log(file, cell, mapping, plus_discharges=current_sign == "-", temperature_degc=temperature_degc)
    run = judged(cell, log)
    facts = facts_of(run)
    facts |= {"report": written(run, facts, out)} if out else {}
    if as_json:
        click.echo(json.dumps(facts))
    else:
        show(facts)
    return 0


def replay_raw(path: Path, pack: str, test_folder: str | None, as_json: bool) -> int:
    from assb_host.errors import EXIT_FAILED, EXIT_OK
    from assb_host.replay import raw_command

    stored, outcome = raw_command.replay_folder(path, pack)
    facts = raw_command.facts_of(stored, outcome)
    if test_folder:
        from assb_host.replay.regression import write_recording_test

        facts["test"] = str(write_recording_test(Path(test_folder), stored, outcome, pack))
    click.echo(json.dumps(facts) if as_json else "\n".join(raw_command.lines_of(facts)))
    return EXIT_OK if facts["same"] else EXIT_FAILED


def written(run, facts: dict, out: Path) -> str:
    from assb_host.errors import AssbError
    from assb_host.replay.files import write_files

    try:
        return str(write_files(run, facts, out))
    except OSError as error:
        raise AssbError(f"can't write to {out}: {error.strerror}", remedy="choose another --out") from None


def show(facts: dict) -> None:
    from rich.console import Console

    from assb_host.replay.tables import cells_table, events_table, head_lines

    console = Console()
    for line in head_lines(facts):
        console.print(line, markup=False, highlight=False)
    console.print(cells_table(facts))
    if facts["events"]:
        console.print(events_table(facts))
    if "report" in facts:
        console.print(facts["report"], markup=False, highlight=False)
