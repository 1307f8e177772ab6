"""`assb config`: check, show, build and compare configurations."""

import json
import sys
from pathlib import Path

import click

from assb_host.config import PackConfig, budget_terms_ms, build_image, load_pack, lost_data_budget_ms, shipped_names
from assb_host.config.limit_keys import LEVELS, unit_of
from assb_host.errors import EXIT_FAILED, EXIT_OK, AssbError

PACK_ARGUMENT = click.argument("pack", metavar="PACK")
BOARD_OPTION = click.option("--board", metavar="BOARD", help="Board in place of the one that the pack names.")
CELL_OPTION = click.option("--cell", metavar="CELL", help="Cell in place of the one that the pack names.")
JSON_OPTION = click.option("--json", "as_json", is_flag=True, help="One JSON object on stdout.")


@click.group()
def config():
    """Check, show, build and compare configurations. PACK is a shipped name (`assb config list`) or a TOML file."""


@config.command("list")
@JSON_OPTION
def list_names(as_json):
    """Name the boards, packs and cells that are shipped."""
    names = {f"{kind}s": shipped_names(kind) for kind in ("board", "pack", "cell")}
    if as_json:
        click.echo(json.dumps(names))
        return
    for kind, known in names.items():
        click.echo(f"{kind}: {', '.join(known)}")


@config.command()
@PACK_ARGUMENT
@BOARD_OPTION
@CELL_OPTION
@JSON_OPTION
def check(pack, board, cell, as_json):
    """Check a pack with its board and cell; exit 3 and say which key is wrong, or say what it is."""
    checked = load_pack(pack, board=board, cell=cell)
    image = build_image(checked)
    if as_json:
        click.echo(json.dumps({"ok": True, **identity(checked, image)}))
        return
    click.echo(f"{checked.path}: ok, board {checked.board.name}, cell {checked.cell.name}, image of {len(image)} bytes")


@config.command()
@PACK_ARGUMENT
@BOARD_OPTION
@CELL_OPTION
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), required=True, help="File to write.")
@JSON_OPTION
def build(pack, board, cell, output, as_json):
    """Write the config image that a board runs with."""
    checked = load_pack(pack, board=board, cell=cell)
    image = build_image(checked)
    try:
        output.write_bytes(image)
    except OSError as error:
        raise AssbError(f"can't write {output}: {error.strerror}", remedy="choose another --output") from None
    if as_json:
        click.echo(json.dumps({"output": str(output), **identity(checked, image)}))
        return
    click.echo(f"{output}: {len(image)} bytes, config_crc {config_crc(image)}")


@config.command()
@PACK_ARGUMENT
@BOARD_OPTION
@CELL_OPTION
@JSON_OPTION
def show(pack, board, cell, as_json):
    """Show limits, their fault-time budgets and every parameter as the board gets them."""
    checked = load_pack(pack, board=board, cell=cell)
    limits = [limit_facts(checked, row) for row in limit_rows()]
    if as_json:
        facts = {**identity(checked, build_image(checked)), "parameters": checked.parameters, "limits": limits}
        click.echo(json.dumps(facts))
        return
    show_tables(checked, limits)


@config.command()
@click.argument("first", metavar="PACK|IMAGE")
@click.argument("second", metavar="PACK|IMAGE")
@JSON_OPTION
def diff(first, second, as_json):
    """Compare two packs or config images (`.bin`), value by value; exit code 1 when they differ."""
    from assb_host.config.difference import differences

    found = list(differences(image_of(first), image_of(second)))
    if as_json:
        click.echo(json.dumps([{"what": what, "first": one, "second": other} for what, one, other in found]))
    else:
        for what, one, other in found:
            click.echo(f"{what}: {one} -> {other}")
        click.echo(f"{len(found)} differences" if found else "no difference")
    return EXIT_FAILED if found else EXIT_OK


def image_of(name: str) -> bytes:
    """A config image file, or that of a pack."""
    if name.endswith(".bin"):
        from assb_host.flash.plan import read_image

        return read_image(Path(name))
    return build_image(load_pack(name))


def config_crc(image: bytes) -> int:
    from assb.protocol.image import decode

    return decode(image).crc


def identity(pack: PackConfig, image: bytes) -> dict[str, object]:
    return {
        "pack": pack.name,
        "board": pack.board.name,
        "cell": pack.cell.name,
        "file": str(pack.path),
        "image_bytes": len(image),
        "config_crc": config_crc(image),
    }


def limit_rows():
    from assb.protocol import schema

    return schema.LIMIT_ROWS


def limit_facts(pack: PackConfig, row) -> dict[str, object]:
    """One limit row in the units of the pack file, with its budget."""
    limit = pack.limits[row[1]]
    suffix, factor = unit_of(row) or ("", 1)
    levels = {}
    for level in LEVELS:
        value = getattr(limit, level)
        levels[level + suffix] = value / factor if value is not None else None
    terms, lost_ms = budget_terms_ms(pack, row[1]), lost_data_budget_ms(pack, row[1])
    return {
        "row": row[1],
        "enabled": limit.enabled,
        "action": row[7],
        **levels,
        "debounce_ms": limit.debounce_ms,
        "recovery": limit.recovery,
        "budget_ms": round(sum(terms.values()), 3),
        "budget_terms_ms": {name: round(value, 3) for name, value in terms.items()},
        "lost_data_budget_ms": None if lost_ms is None else round(lost_ms, 3),
        "allowed_ms": limit.allowed_ms,
        "source": limit.source,
    }


UNIT_WORDS = {"_v": "V", "_a": "A", "_degc": "degC", "_mpa": "MPa", "_mpa_s": "MPa/s", "_s": "s", "_ms": "ms", "": ""}


def show_tables(pack: PackConfig, limits: list[dict[str, object]]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 120)
    for kind, part in (("pack", pack), ("board", pack.board), ("cell", pack.cell)):
        console.print(f"{kind} [bold]{part.name}[/]: {part.description}", soft_wrap=True)
    table = Table("limit row", "warn", "derate", "trip", "reset", "", "action", "budget", title="Limits")
    table.columns[0].no_wrap = True
    for facts, row in zip(limits, limit_rows(), strict=True):
        suffix = (unit_of(row) or ("",))[0]
        levels = [facts[level + suffix] for level in LEVELS]
        cells = ["–" if level is None else f"{level:g}" for level in levels]
        action = facts["action"] if facts["enabled"] else "off"
        budget = f"{facts['budget_ms']:.0f} of {facts['allowed_ms']} ms"
        table.add_row(row[1], *cells, UNIT_WORDS[suffix], str(action), budget)
    console.print(table)
    console.print(budgets_table(limits))
    parameters = Table("parameter", "value", title="Parameters, in wire units")
    for name, value in pack.parameters.items():
        parameters.add_row(name, str(value))
    console.print(parameters)


def budgets_table(limits: list[dict[str, object]]):
    """What each enabled row's budget is made of."""
    from rich.table import Table

    enabled = [facts for facts in limits if facts["enabled"]]
    terms = list(enabled[0]["budget_terms_ms"])  # pyright: ignore[reportArgumentType, reportCallIssue]
    heads = [name.removesuffix("_ms").replace("_", " ") for name in terms]
    table = Table("limit row", *heads, "budget", "allowed", "lost data", title="Fault-time budgets, in ms")
    table.columns[0].no_wrap = True
    for facts in enabled:
        parts = facts["budget_terms_ms"]
        values = [f"{parts[name]:.1f}" for name in terms]  # pyright: ignore[reportIndexIssue]
        lost_ms = facts["lost_data_budget_ms"]
        lost = "" if lost_ms is None else f"{lost_ms:.1f}"
        table.add_row(str(facts["row"]), *values, f"{facts['budget_ms']:.1f}", str(facts["allowed_ms"]), lost)
    return table
