"""Options that say how a cycler's log is to be read, shared by `assb cell fit` and `assb estimate`."""

from functools import partial, wraps
from pathlib import Path

import click


def log_options(command):
    """Adds the options; the command gets `reader(path) -> Log` in their place."""

    @click.option("--columns", metavar="OURS=THEIRS,...", default="", help="Names in the log, or #2 for a position.")
    @click.option("--current-sign", type=click.Choice(["+", "-"]), default="+", help="-: + discharges in the log.")
    @click.option("--temperature-degc", type=float, help="Of a log without a column of it.")
    @wraps(command)
    def wrapped(columns, current_sign, temperature_degc, **rest):
        from assb_host.cell_fit.log_columns import parse_mapping
        from assb_host.cell_fit.log_reader import read_log

        options = {"plus_discharges": current_sign == "-", "temperature_degc": temperature_degc}
        reader = partial(read_log, mapping=parse_mapping(columns), **options)
        return command(reader=lambda path: reader(Path(path)), **rest)

    return wrapped
