"""`assb calibrate`: corrections of a board's sensors, from points at which a reference was read."""

import csv
import time
from pathlib import Path

import click

from assb_host.commands.target_options import opened_link, target_options

SECONDS_A_DAY = 86400
KEPT_DEADLINE_S = 5.0
HISTORY_NAME = "calibrations.json"


@click.command()
@click.argument("kind", type=click.Choice(["load-cell", "current", "voltage", "temperature", "undo", "show"]))
@target_options
@click.option("--points", type=click.Path(path_type=Path), help="CSV of reference,read instead of asking for points.")
@click.option("--cell", default=0, type=click.IntRange(0), help="Whose voltage is read.")
@click.option("--seconds", default=3.0, type=click.FloatRange(0.2, 600), help="Telemetry that makes a reading.")
@click.option("--instrument", default="", help="Make and number of the reference.")
@click.option("--operator", default="", help="Who calibrates.")
@click.option("--note", default="", help="What else is worth knowing.")
@click.option("--history", type=click.Path(path_type=Path), default=HISTORY_NAME, show_default=True)
@click.option("--plot", type=click.Path(path_type=Path), help="Points and residuals, .svg or .png.")
@click.option("--yes", is_flag=True, help="Do not ask before the board is changed.")
def calibrate(kind, port, dut, points, cell, seconds, instrument, operator, note, history, plot, yes):
    """Calibrate a sensor of a board with nothing connected; docs/calibration.md.

    Points are refused when they are too few, do not rise, lie on no line, or would correct too much. `undo` puts back
    what was before the newest calibration of the history, `show` says what the board has.
    """
    from assb_host.calibration import board

    with opened_link(port, dut, "assb calibrate") as link:
        hello = link.hello().fields
        if kind == "show":
            show(board.read(link), board.note(link))
        elif kind == "undo":
            board.demand_idle(link)
            undo(link, hello, history, yes)
        else:
            board.demand_idle(link)
            who = {"instrument": instrument, "operator": operator, "note": note}
            run(link, hello, kind, points, cell, seconds, who, history, plot, yes)


def run(link, hello, kind_name, points, cell, seconds, who, history_path, plot, yes) -> None:
    from assb_host.calibration import board, history
    from assb_host.calibration.fit import KINDS, fitted

    kind, entries, before = KINDS[kind_name], history.load(history_path), board.read(link)
    if points is None:
        taken = asked_points(lambda: board.mean_reading(link, kind, cell, seconds), kind)
    else:
        taken = points_of(points)
    fit = fitted(kind, taken, before, board.kpa_per_count(link))
    history.demand_new(entries, fit, names_of(hello))
    show_fit(fit)
    if plot:
        from assb_host.calibration.plot import write_plot

        click.echo(f"  {write_plot(fit, plot)}")
    if not (yes or click.confirm("store this on the board?")):
        click.echo("nothing was changed")
        return
    who = {key: value or ("" if yes else click.prompt(key, default="")) for key, value in who.items()}
    history.save(history_path, entries)  # a path that can't be written is told before the board is changed
    board.put(link, {**fit.values, history.DAY: int(time.time() // SECONDS_A_DAY)})
    tell_board(link, f"{kind_name} {today()}", who)
    after = board.read(link)
    history.save(history_path, [*entries, history.entry_of(fit, before, after, names_of(hello), **who)])
    click.echo(f"{kept(link)}, calibration {board.hash_of(after)}; {history_path} has the points")


def today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def tell_board(link, what, who) -> None:
    """Who calibrated with what, for whoever meets the board without the history."""
    from assb_host.calibration import board

    text = ", ".join([what, *(value for value in who.values() if value)])
    if board.put_note(link, text) != text:
        click.echo(f"  the board keeps {board.NOTE_CHARACTERS} characters of it: {board.note(link)}")


def names_of(hello) -> dict[str, str]:
    return {key: hello[key] for key in ("board", "pack")}


def kept(link) -> str:
    """Whether flash has it by now."""
    from assb_host.link.stored import sync

    if not sync(link, KEPT_DEADLINE_S)["parameters"]:
        return "stored"
    return "applied, not stored yet: it goes to flash when nothing is connected and the current reads as at rest"


def asked_points(reading, kind):
    """The guided way: apply a reference, type what it is; an empty line ends it."""
    from assb_host.calibration.fit import Point

    taken = []
    click.echo(f"{kind.points_least} points at the least, spread over the range; an empty line ends.")
    while True:
        text = click.prompt(f"point {len(taken) + 1}: the reference says ({kind.unit})", default="", show_default=False)
        if not text:
            return taken
        try:
            reference = float(text)
        except ValueError:
            click.echo("  not a number")
            continue
        read = reading()
        click.echo(f"  the board reads {read:.6g} {kind.unit}, {read - reference:+.4g} off")
        taken.append(Point(reference, read))


def points_of(path: Path):
    """Raises CalibrationError for what is no table of two numbers a line."""
    from assb_host.calibration.fit import CalibrationError, Point

    try:
        with path.open(encoding="utf-8") as file:
            return [Point(float(row[0]), float(row[1])) for row in csv.reader(file) if row and not row[0].isalpha()]
    except (OSError, ValueError, IndexError) as error:
        raise CalibrationError(f"the points can't be read: {error}", str(path), "a line is: reference,read") from None


def show_fit(fit) -> None:
    unit = fit.kind.unit
    click.echo(f"gain {fit.gain:.6f}, offset {fit.offset:+.5g} {unit}")
    for point, residual in zip(fit.points, fit.residuals, strict=True):
        click.echo(f"  {point.reference:10.5g} {unit}: read {point.read:10.5g}, after correction {residual:+.3g} off")
    for name, value in fit.values.items():
        click.echo(f"  {name} = {value}")


def show(values, note) -> None:
    from assb_host.calibration.board import hash_of

    day = values["calibrated_day"]
    when = time.strftime("%Y-%m-%d", time.gmtime(day * SECONDS_A_DAY)) if day else "never"
    click.echo(f"calibration {hash_of(values)}, {when}" + (f": {note}" if note else ""))
    for name, value in values.items():
        click.echo(f"  {name} = {value}")


def undo(link, hello, history_path, yes) -> None:
    from assb_host.calibration import board, history

    entries = history.load(history_path)
    entry = history.newest(entries, history_path)
    click.echo(f"{entry['kind']} of {entry['date']}, by {entry['operator'] or 'nobody named'}")
    if not (yes or click.confirm("put back what was before it?")):
        click.echo("nothing was changed")
        return
    wanted = history.put_back(entry, board.read(link), names_of(hello))
    history.save(history_path, entries)  # a path that can't be written is told before the board is changed
    board.put(link, wanted)
    tell_board(link, f"{entry['kind']} undone {today()}", {})
    entry["undone"] = True
    history.save(history_path, entries)
    click.echo(f"taken back and {kept(link)}, calibration {board.hash_of(board.read(link))}")
