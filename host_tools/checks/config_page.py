"""docs/config.md from the models of the files: every key with its range, default and meaning."""

from collections.abc import Iterator

import msgspec
from assb.protocol import image, schema
from assb_host.config.board import Board
from assb_host.config.cell import Cell
from assb_host.config.limit_keys import limit_struct, unit_of
from assb_host.config.pack import PackFile
from assb_host.config.toml_reader import allowed_words, alternatives, described, plain

HEAD = """\
# Board, pack and cell files

Made from the models in `host_tools/assb_host/config/` by `make format`; `make check` fails when it is stale.

A **board** file says what is wired to which pin and how long the firmware's work takes. A **cell** file says what the
firmware believes of a cell. A **pack** file names one of each and adds everything that belongs to the pack and its rig:
limits, pressure, currents, times. `assb config check PACK` reads all three and checks them against each other,
`assb config show PACK` prints limits with their fault-time budgets, `assb config build PACK -o FILE` writes the image
that is flashed beside the code.

Units are in the keys; positive current charges. A key that is not listed here is an error, and so is a table of figures
without a `source`: text that starts with marks, as in `"K, A: cycled up to 4.3 V; 50 mV for overshoot"`. **R** the
review that the project starts from, **V** confirmed in another text, **C** calculated by us from molar volumes or
geometry, **K** from memory of a paper, **D** datasheet, **M** measured or fitted, **S** standard or law, **A** our
assumption. Replace what is marked C, K or A by measurements.

Another file is named by its shipped name (`assb config list`) or by a path relative to the file that names it. A board
file with `based_on` takes over every table that it does not have itself.

"""
LIMITS_HEAD = """\
### `[limits.*]`

Every row must be there. A trip level lies inside the schema's envelope; warn, derate and trip come in this order from
mild to hard, and reset lies on the safe side of trip. The fault-time budget, computed from the configuration, must not
exceed `allowed_ms`. A row that itself acts on data that is lost (`assb config show` has that time as "lost data") does
so after `supervision.blind_ms`, which `allowed_ms` does not bound. A hard short's alarm ends only once the stack is
colder than `detection.cold_degc`, which lies below the reset of `overtemperature`. `timing.watchdog_ms = 0` is for the
bench only: nothing then ends a program that hangs with the contactor closed.

"""
PRESSURE_LOW = next(position for position, row in enumerate(schema.LIMIT_ROWS) if row[1] == "pressure_low")
FILES = (
    ("Pack file", PackFile, "`board_configs/packs/`"),
    ("Board file", Board, "`board_configs/boards/`; `[[name]]` tables may come several times"),
    ("Cell file", Cell, "`board_configs/cells/`"),
)


def default_words(field) -> str:
    if field.required:
        return "required"
    if field.default is msgspec.NODEFAULT:
        return "empty" if field.default_factory is list else "–"
    if field.default in (None, ""):
        return "none"
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def rows(struct) -> Iterator[tuple[str, ...]]:
    for field in struct.fields:
        kind = plain(field.type)
        if not is_table(kind) and field.encode_name != "source":
            allowed = ", or ".join(map(allowed_words, alternatives(field.type)))
            yield f"`{field.encode_name}`", allowed, default_words(field), described(field.type)


def is_table(kind) -> bool:
    return isinstance(kind, msgspec.inspect.StructType) or (
        isinstance(kind, msgspec.inspect.ListType) and isinstance(plain(kind.item_type), msgspec.inspect.StructType)
    )


def tables(struct, name: str) -> Iterator[tuple[str, object, str]]:
    """(heading, struct, description) of every table inside a table, in order."""
    for field in struct.fields:
        kind = plain(field.type)
        if not is_table(kind):
            continue
        dotted = f"{name}.{field.encode_name}" if name else field.encode_name
        several = isinstance(kind, msgspec.inspect.ListType)
        inner = plain(kind.item_type) if several else kind
        heading = f"[[{dotted}]]" if several else f"[{dotted}]"
        yield heading + ("" if field.required else " (optional)"), inner, described(field.type)
        yield from tables(inner, dotted)


def markdown(struct) -> str:
    lines = ["| key | allowed | default | meaning |", "|---|---|---|---|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows(struct)]
    return "\n".join(lines) + "\n"


def limits_section() -> str:
    """The limit rows share their keys: one table of rows, one of keys."""
    head = ["| table | keys end in | trip may be | action | may be off |", "|---|---|---|---|---|"]
    lines = []
    for row in schema.LIMIT_ROWS:
        suffix, factor = unit_of(row) or ("", 1)
        envelope = f"{row[5] / factor:g} .. {row[6] / factor:g}" if suffix else "fixed"
        off = "no" if row[1] in image.ALWAYS_ENABLED else "yes"
        lines.append(
            f"| `[limits.{row[1]}]` | {f'`{suffix}`' if suffix else 'no levels'} | {envelope} | {row[7]} | {off} |"
        )
    common = msgspec.inspect.type_info(limit_struct(schema.LIMIT_ROWS[PRESSURE_LOW]))
    return (
        LIMITS_HEAD
        + "\n".join(head + lines)
        + "\n\nKeys, here with the unit of a pressure:\n\n"
        + markdown(common)
        + "\n"
    )


def page() -> str:
    """The whole page as Markdown."""
    text = HEAD
    for title, model, where in FILES:
        struct = msgspec.inspect.type_info(model)
        text += f"## {title}\n\nIn {where}.\n\n" + markdown(struct) + "\n"
        for heading, inner, description in tables(struct, ""):
            if heading == "[limits]":
                text += limits_section()
            elif not heading.startswith("[limits."):
                name, _, note = heading.partition(" ")
                text += f"### `{name}` {note}".rstrip() + "\n\n" + (f"{description}.\n\n" if description else "")
                text += markdown(inner) + "\n"
    return text.rstrip("\n") + "\n"
