"""`assb sim`: a protocol on a simulated cell or pack."""

import json
from contextlib import nullcontext
from pathlib import Path

import click
from assb_host.errors import EXIT_FAILED, EXIT_INTERRUPTED

SHOWN_CYCLES = 12  # more are cut in the middle
EXIT_BY_END = {"finished": 0, "interrupted": EXIT_INTERRUPTED}  # anything else: what was asked for did not happen
STYLE_BY_END = {"finished": {"fg": "green"}, "interrupted": {"fg": "yellow"}}
LINE_WIDTH = 80
DAY_S = 86400.0
A_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.option("--cell", metavar="NAME|FILE", help="Plant: what the simulated cell is.")
@click.option("--protocol", metavar="NAME|FILE", default="cccv", show_default=True, help="What the cycler does.")
@click.option("--format", "format_name", metavar="NAME", help="Format of the cell, in place of the plant's own.")
@click.option("--bench", metavar="NAME", help="Press, cycler and sensors, in place of the plant's own.")
@click.option("--units", type=click.IntRange(1, 64), help="Units in series, in place of the plant's own.")
@click.option("--soc", type=click.FloatRange(0, 1), help="At the start, 0..1.")
@click.option("--temperature", type=click.FloatRange(-60, 200), help="Of cell and room at the start, °C.")
@click.option("--pressure", type=click.FloatRange(0, 400), help="Of the stacks at the start, MPa.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True, help="Of all that is random.")
@click.option("--cycles", type=click.IntRange(1, 1_000_000), help="Repeat the whole protocol so many times.")
@click.option("--days", type=click.FloatRange(0, 100_000, min_open=True), help="Repeat it for so long, instead.")
@click.option("--dt", type=click.FloatRange(1e-3, 60), default=1.0, show_default=True, help="Time step, s.")
@click.option("--every", type=click.FloatRange(1e-3, 1e6), help="Interval of rows, s; by default 20 000 rows at most.")
@click.option("--drive-file", type=A_FILE, help="CSV with time_s,current_a for the protocol's drive steps.")
@click.option("--drive-sign", type=click.Choice(["+", "-"]), help="+: charges in that file; -: + discharges there.")
@click.option("--drive-scale", type=click.FloatRange(0, 1e6, min_open=True), help="Factor on its current.")
@click.option("--no-limits", is_flag=True, help="Go on beyond the plant's limits.")
@click.option("--sensors", is_flag=True, help="Tables show what the bench's sensors would, beside the truth.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Write tables and plot here.")
@click.option("--list", "list_all", is_flag=True, help="Cells, protocols, formats and benches that there are.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def sim(list_all, as_json, out, sensors, **options):
    """Run a protocol on a simulated cell: constant current, CCCV, pulses, drive cycles, days of cycling.

    Exit code 1 when a limit of the plant was broken: the run stops there, and what was computed is kept, as it is after
    Ctrl-C (130). Nothing here is measured: docs/sim.md.
    """
    if list_all:
        print_list(as_json)
        return 0
    from assb_hil.out_folder import make_folder
    from assb_hil.simulation import simulate

    if sensors and out is None:
        raise click.UsageError("--sensors is about tables: say where they shall be with --out")
    request = request_of(**options)
    if out:
        make_folder(out)  # not only once everything is computed
    with shown_progress(request, quiet=as_json) as progress:
        run = simulate(request, progress)
    paths = write(run, out, sensors) if out else {}
    if as_json:
        from assb_hil.simulation_files import result_of

        click.echo(json.dumps(result_of(run)))
    else:
        print_run(run, paths)
    return EXIT_BY_END.get(run.ended, EXIT_FAILED)


def request_of(cell, protocol, format_name, bench, units, days, cycles, drive_file, drive_sign, drive_scale, **rest):
    """The command line as a Request; usage errors where options contradict each other."""
    from assb_hil.plant_file import load_plant
    from assb_hil.protocol_file import has_drive, load_protocol
    from assb_hil.protocol_steps import DriveOptions
    from assb_hil.simulation import Request

    if cell is None:
        raise click.UsageError("which cell? --cell NAME; `assb sim --list` shows those that there are")
    if days is not None and cycles is not None:
        raise click.UsageError("--days and --cycles both say how long: give one")
    drive = DriveOptions(drive_file, None if drive_sign is None else drive_sign == "-", drive_scale)
    steps = load_protocol(protocol)
    if drive != DriveOptions() and not has_drive(steps.steps):
        raise click.UsageError(f"--drive-file, -sign and -scale are for drive steps; protocol {steps.name} has none")
    return Request(
        plant=load_plant(cell, format_name, bench, units=units),
        protocol=steps,
        soc_frac=rest["soc"],
        temperature_degc=rest["temperature"],
        pressure_mpa=rest["pressure"],
        seed=rest["seed"],
        passes=cycles or 1,
        duration_s=None if days is None else DAY_S * days,
        dt_s=rest["dt"],
        every_s=rest["every"],
        limits=not rest["no_limits"],
        drive=drive,
    )


def write(run, out, sensors):
    from assb_hil.simulation_files import write_simulation

    return write_simulation(run, out, sensors)


def shown_progress(request, quiet):
    """Context that yields a progress callback: a bar on a terminal, otherwise None."""
    from assb_hil.live import on_terminal
    from assb_hil.simulation_bar import SimulationBar

    if quiet or not on_terminal():
        return nullcontext()
    return SimulationBar(f"{request.plant.name} · {request.protocol.name}")


def print_list(as_json):
    """What can be named."""
    from assb_hil.plant_file import shipped_names
    from assb_hil.protocol_file import load_protocol, protocol_names

    names = {"cells": shipped_names("plant"), "protocols": protocol_names()}
    names |= {"formats": shipped_names("format"), "benches": shipped_names("bench")}
    if as_json:
        click.echo(json.dumps(names))
        return
    for what, entries in names.items():
        click.secho(what, bold=True)
        for entry in entries:
            said = load_protocol(entry).summary if what == "protocols" else described(what, entry)
            say(f"  {entry:18} {said}", indent=21 * " ")


def described(what, name):
    """The description in a file of plants/."""
    from assb_host.config.toml_reader import read_toml

    from assb_hil.plant_file import find

    kind = {"cells": "plant", "formats": "format", "benches": "bench"}[what]
    return read_toml(find(kind, name)).get("description", "")


def print_run(run, paths):
    """A table of cycles, what happened, and where the files are."""
    from rich.console import Console

    from assb_hil.simulation_files import rows_said

    plant = run.request.plant
    where = f"{plant.name} ({plant.format_name}, {plant.bench_name}, {count(plant.units, 'unit')})"
    say(f"{run.request.protocol.title}: {where}, seed {run.request.seed}; simulated, nothing here is measured")
    for note in run.notes:
        say(f"- {note}")
    Console().print(cycle_table(run.cycles))
    say(event_line(run))
    for stop in run.press_stops:
        say(press_line(stop), fg="yellow")
    say(ended_line(run), **STYLE_BY_END.get(run.ended, {"fg": "red", "bold": True}))
    speed = run.time_s[-1] / max(run.wall_time_s, 1e-9)
    say(f"{run.wall_time_s:.1f} s ({speed:.2g}x) in steps of {run.dt_s:g} s; {rows_said(run)}")
    click.echo("".join(f"\n{what:7} {path}" for what, path in paths.items()).lstrip("\n"), nl=bool(paths))


def say(line, indent="  ", **style):
    """A line, folded at LINE_WIDTH; what follows is indented."""
    from textwrap import fill

    folded = fill(line, LINE_WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    click.secho(folded, **style)


CYCLE_HEADS = ("#", "h", "mAh in", "mAh out", "CE %", "V", "MPa", "max °C", "lost %", "R0 +%", "event")


def cycle_table(cycles):
    """Lines of a table, a cycle each; many are cut in the middle."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0))
    for head in CYCLE_HEADS:
        table.add_column(head.replace(" ", "\n"), justify="right", no_wrap=True)
    half = SHOWN_CYCLES // 2
    cut = len(cycles) > SHOWN_CYCLES
    for cycle in cycles[:half] if cut else cycles:
        table.add_row(*cycle_row(cycle))
    if cut:
        table.add_row("…")
        for cycle in cycles[-half:]:
            table.add_row(*cycle_row(cycle))
    return table


def cycle_row(cycle):
    from math import isnan

    return (
        f"{cycle.cycle}",
        f"{(cycle.end_s - cycle.begin_s) / 3600:.1f}",
        f"{1e3 * cycle.charge_ah:.1f}",
        f"{1e3 * cycle.discharge_ah:.1f}",
        "–" if isnan(cycle.efficiency_frac) else f"{100 * cycle.efficiency_frac:.2f}",
        f"{cycle.voltage_min_v:.3f}–{cycle.voltage_max_v:.3f}",
        f"{cycle.pressure_min_mpa:.2f}–{cycle.pressure_max_mpa:.2f}",
        f"{cycle.temperature_max_degc:.1f}",
        f"{100 * cycle.capacity_loss_frac:.2f}",
        f"{100 * cycle.resistance_growth_frac:.2f}",
        f"{cycle.events or '–'}",
    )


def event_line(run):
    """How many of each kind, and the first."""
    from assb_hil.simulation_bar import duration

    if not run.events:
        return "no filament bridged, no contact was lost"
    kinds = dict.fromkeys(event.kind for event in run.events)
    counts = [f"{sum(event.kind == kind for event in run.events)} × {kind.replace('_', ' ')}" for kind in kinds]
    first = run.events[0]
    return (
        f"{', '.join(counts)}; first: {first.kind.replace('_', ' ')} in cell {first.cell} at {duration(first.time_s)}"
    )


def press_line(stop):
    """What kept the press from its aim, and since when."""
    from assb_hil.simulation_bar import duration

    until = "to the end" if stop.at_the_end else f"until {duration(stop.until_s)}"
    pressures = f"{stop.pressure_mpa:.4g} MPa where {stop.aim_mpa:.4g} MPa are wanted"
    return f"press at its stop: stack {stop.stack} {stop.reason} since {duration(stop.since_s)}, {until}: {pressures}"


def ended_line(run):
    """How it ended, and when."""
    from assb_hil.simulation_bar import duration

    said = run.ended if run.ended in EXIT_BY_END else f"STOPPED ({run.ended})"
    return f"{said} after {duration(float(run.time_s[-1]))}{': ' if run.detail else ''}{run.detail}"


def count(number, name):
    return f"{number} {name}" + ("s" if number != 1 else "")
