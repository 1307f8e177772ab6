"""`assb params`: the parameters of a running board: read, set, compared, exported."""

import json
import tomllib
from contextlib import contextmanager
from pathlib import Path

import click
from assb.protocol import schema

from assb_host.commands.send import split_pair
from assb_host.commands.target_options import opened_link, target_options
from assb_host.errors import EXIT_FAILED, EXIT_OK, AssbError, LinkError, MismatchError
from assb_host.link.link import Link
from assb_host.link.stored import sync

ROWS = {row[1]: row for row in schema.PARAMETERS}
SETTABLE = tuple(row[1] for row in schema.PARAMETERS if row[2])
WINDOW = ("pressure_min_kpa", "pressure_target_kpa", "pressure_max_kpa")
KEPT_DEADLINE_S = 5.0
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


class ParameterError(AssbError):
    """A value that the board would refuse: nothing was sent."""

    exit_code = click.UsageError.exit_code


@click.group()
def params():
    """Read, set, compare and export the parameters of a running board. Values are in wire units: the names say which.

    docs/reference.md lists them. What is set holds at once, and over power cycles for as long as the board keeps its
    config image; it is written to flash when nothing is connected.
    """


@params.command()
@target_options
@JSON_OPTION
@click.argument("names", nargs=-1)
def get(port, dut, as_json, names):
    """Print all parameters, or those that are named, and the image's value where it is another."""
    for name in names:
        demand_known(name)
    with board(port, dut) as link:
        found = read(link, names or tuple(ROWS))
    if as_json:
        click.echo(json.dumps({name: {"value": value, "image": image} for name, (value, image) in found.items()}))
        return
    for name, (value, image) in found.items():
        click.echo(f"{name} = {value}" + (f"  (image: {image})" if value != image else ""))


@params.command("set")
@target_options
@JSON_OPTION
@click.argument("pairs", nargs=-1, required=True, metavar="NAME=VALUE...")
def set_values(port, dut, as_json, pairs):
    """Set parameters: all values are checked before the first is sent, and what the board applied is compared.

    Waits until they are on flash; while something is connected that is when it is opened.
    """
    wanted = {name: number(name, text) for name, text in map(split_pair, pairs)}
    if len(wanted) != len(pairs):
        raise ParameterError("a parameter is named twice", " ".join(pairs), "name each once")
    for name, value in wanted.items():
        demand_allowed(name, value)
    with board(port, dut) as link:
        demand_window(link, wanted)
        for name, value in wanted.items():
            applied = int(link.request("set", name=name, value=value)["value"])
            if applied != value:
                raise LinkError(f"the board applied {applied}, not {value}", name, "read it with `assb params get`")
        kept = not sync(link, KEPT_DEADLINE_S)["parameters"]
    if as_json:
        click.echo(json.dumps({"applied": wanted, "kept": kept}))
        return
    for name, value in wanted.items():
        click.echo(f"{name} = {value}")
    click.echo("kept on flash" if kept else "applied; goes to flash when nothing is connected")


@params.command()
@target_options
@JSON_OPTION
@click.option("--pack", metavar="PACK", help="Compare with this pack: a shipped name or a TOML file.")
@click.option("--file", "file", metavar="FILE", help="Compare with what `assb params export` wrote.")
def diff(port, dut, as_json, pack, file):
    """Say what differs from the board's config image, a pack, or an export; exit code 1 when anything does."""
    if pack and file:
        raise click.UsageError("name --pack or --file, not both")
    other = pack_values(pack) if pack else file_values(Path(file)) if file else None
    with board(port, dut) as link:
        found = read(link, tuple(ROWS) if other is None else tuple(other))
    differing = {
        name: {"board": value, "other": image if other is None else other[name]}
        for name, (value, image) in found.items()
        if value != (image if other is None else other[name])
    }
    if as_json:
        click.echo(json.dumps(differing))
    else:
        what = f"pack {pack}" if pack else file or "image"
        for name, pair in differing.items():
            click.echo(f"{name}: board {pair['board']}, {what} {pair['other']}")
    return EXIT_FAILED if differing else EXIT_OK


@params.command()
@target_options
@JSON_OPTION
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="File to write; else stdout.")
def export(port, dut, as_json, output):
    """Write every parameter of the board as TOML, or JSON, for `assb params diff --file`."""
    with board(port, dut) as link:
        hello = link.hello().fields
        values = {name: value for name, (value, _) in read(link, tuple(ROWS)).items()}
    head = {key: hello[key] for key in ("board", "pack", "cell", "config_crc")}
    text = json.dumps({**head, "parameters": values}, indent=1) + "\n" if as_json else toml(head, values)
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise AssbError(f"can't write {output}: {error.strerror}", remedy="choose another --output") from None
    click.echo(f"{output}: {len(values)} parameters")


def toml(head: dict, values: dict[str, int]) -> str:
    lines = [f"{key} = {json.dumps(value)}" for key, value in head.items()]
    return "\n".join([*lines, "", "[parameters]", *(f"{name} = {value}" for name, value in values.items())]) + "\n"


@contextmanager
def board(port: str, dut: str):
    """A link to a board that has the same tables as this program: names and ranges are checked with them."""
    with opened_link(port, dut, "assb params") as link:
        hello = link.hello().fields
        if hello["schema_id"] != schema.schema_id():
            seen = f"the board has schema {hello['schema_id']:08x}, this program {schema.schema_id():08x}"
            raise MismatchError(seen, link.console.name, "flash the board, or use its own version of `assb`")
        yield link


def read(link: Link, names: tuple[str, ...]) -> dict[str, tuple[int, int]]:
    """{name: (value, the image's value)}"""
    replies = {name: link.request("get", name=name) for name in names}
    return {name: (int(reply["value"]), int(reply["image"])) for name, reply in replies.items()}


def demand_known(name: str) -> None:
    if name not in ROWS:
        raise ParameterError(f"no parameter {name!r}", "", "docs/reference.md lists them")


def number(name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ParameterError(f"{text!r} is no whole number", name, "the name says the unit") from None


def demand_allowed(name: str, value: int) -> None:
    demand_known(name)
    _, _, settable, lowest, highest, _ = ROWS[name]
    if not settable:
        remedy = "change the pack file and flash it; `assb params set` takes " + ", ".join(SETTABLE)
        raise ParameterError("this parameter lies in the config image alone", name, remedy)
    if not lowest <= value <= highest:
        raise ParameterError(f"{value} is not {lowest}..{highest}", name, "choose a value in its range")


def demand_window(link: Link, wanted: dict[str, int]) -> None:
    """The pressure target must lie inside the image's window."""
    low, target, high = WINDOW
    if target in wanted:
        bounds = read(link, (low, high))
        lowest, highest = bounds[low][0], bounds[high][0]
        if not lowest <= wanted[target] <= highest:
            seen = f"{wanted[target]} is outside of the pack's window {lowest}..{highest}"
            raise ParameterError(seen, target, "nothing was set; choose a value inside")


def pack_values(name: str) -> dict[str, int]:
    from assb_host.config import load_pack

    return dict(load_pack(name).parameters)


def file_values(path: Path) -> dict[str, int]:
    """The parameters of an export, TOML or JSON."""
    try:
        text = path.read_text(encoding="utf-8")
        values = (json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text))["parameters"]
    except OSError as error:
        raise AssbError(f"can't read {path}: {error.strerror}", remedy="name what `assb params export` wrote") from None
    except (ValueError, KeyError) as error:
        raise ParameterError(f"this is no export: {error}", str(path), "make one with `assb params export`") from None
    for name, value in values.items():
        demand_known(name)
        if not isinstance(value, int):
            raise ParameterError(f"{value!r} is no whole number", f"{path}: {name}", "the name says the unit")
    return values
