"""Options that say how a cycler's log is to be read, shared by `assb cell fit` and `assb estimate`."""

import math
from functools import wraps
from pathlib import Path

import click


class FiniteRange(click.FloatRange):
    """A number within bounds; click's own lets nan through, which no bound stops."""

    def convert(self, value, param, ctx):
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number", param, ctx)
        return number


def log_options(command):
    """Adds the options; the command gets `reader(path) -> Log` in their place."""

    @click.option("--columns", metavar="OURS=THEIRS,...", default="", help="Names in the log, or #2 for a position.")
    @click.option("--current-sign", type=click.Choice(["+", "-"]), default="+", help="-: + discharges in the log.")
    @click.option(
        "--temperature-degc",
        type=FiniteRange(-273.15),
        help="Of logs without a column of it; FILE@10 for one log alone.",
    )
    @wraps(command)
    def wrapped(columns, current_sign, temperature_degc, **rest):
        from assb_host.cell_fit.log_columns import parse_mapping
        from assb_host.cell_fit.log_reader import read_log

        mapping, turned = parse_mapping(columns), current_sign == "-"

        def reader(named: Path):
            path, degc = with_temperature(named)
            given = temperature_degc if degc is None else degc
            return read_log(path, mapping, plus_discharges=turned, temperature_degc=given)

        return command(reader=reader, **rest)

    return wrapped


def with_temperature(named: Path) -> tuple[Path, float | None]:
    """`log.csv@10` as the file and its temperature, unless there is a file of that name."""
    stem, at, degc = str(named).rpartition("@")
    if not at or named.exists():
        return named, None
    try:
        given = float(degc)
    except ValueError:
        return named, None
    if not math.isfinite(given):
        raise click.BadParameter(f"{named}: {degc} is not a finite temperature")
    return Path(stem), given
