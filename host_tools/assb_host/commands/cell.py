"""`assb cell fit`: a cell profile from OCV runs and pulses."""

import json
from pathlib import Path

import click

from assb_host.commands.log_options import FiniteRange, log_options
from assb_host.commands.several_files import SeveralFiles

A_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def cell():
    """Characterise a cell: docs/fit.md."""


@cell.command(cls=SeveralFiles)
@click.option("--ocv", "ocv_files", type=A_FILE, multiple=True, required=True, help="Slow charge or discharge; repeat.")
@click.option("--pulses", "pulse_files", type=A_FILE, multiple=True, required=True, help="Pulses and rests; repeat.")
@click.option("--out", type=A_FILE, required=True, help="Profile to write, NAME.toml; NAME-fit.png beside it.")
@click.option("--name", help="Name of the cell; it is the file's name, which is the default.")
@click.option("--description", default="", help="One line about the cell.")
@click.option(
    "--base", metavar="CELL", help="Shipped cell or file with what logs can't tell: windows, pressure, layers."
)
@click.option("--empty-v", type=FiniteRange(0, 85), help="OCV at SOC 0; by default where the discharge ends.")
@log_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")
def fit(ocv_files, pulse_files, out, name, description, base, empty_v, reader, as_json):
    """Fit a cell profile: capacity and OCV from --ocv, resistances from --pulses at one or more temperatures.

    Several files: --ocv A.csv B.csv, or the option again.
    """
    from assb_host.cell_fit.fit import fit_cell
    from assb_host.cell_fit.plot import write_plot
    from assb_host.cell_fit.profile import profile_of
    from assb_host.cell_fit.report import head_text, summary, summary_lines
    from assb_host.config.cell import load_cell
    from assb_host.config.errors import ConfigError
    from assb_host.config.locate import find
    from assb_host.config.toml_writer import toml_text
    from assb_host.errors import AssbError

    if out.suffix != ".toml" or (name and name != out.stem):
        raise ConfigError("--out", "", out.name, f"{name or 'NAME'}.toml: a profile is named as its file")
    base_cell = load_cell(find("cell", base)) if base else None
    found = fit_cell([reader(path) for path in ocv_files], [reader(path) for path in pulse_files], empty_v)
    profile = profile_of(found, out, base_cell, description)
    picture = out.with_name(f"{out.stem}-fit.png")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(toml_text(profile, head_text(found)), encoding="utf-8")
        write_plot(found, profile, picture)
    except OSError as error:
        raise AssbError(f"can't write {out}: {error.strerror}", remedy="choose another --out") from None
    load_cell(out)
    facts = {"profile": str(out), "plot": str(picture), **summary(found, profile)}
    click.echo(json.dumps(facts) if as_json else "\n".join(summary_lines(facts)))
