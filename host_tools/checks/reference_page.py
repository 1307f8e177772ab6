"""docs/reference.md from the schema and its words."""

from assb.protocol import image, schema, schema_text

HEAD = """\
# Reference: what crosses the wire

Made from `firmware/assb/protocol/` by `make format`; `make check` fails when it is stale. Units are in the names:
`_uv` microvolt, `_ua` microampere, `_ma` milliampere, `_uohm` microohm, `_mohm` milliohm, `_kpa` kilopascal, `_cdegc`
hundredths of a degree Celsius, `_ppm` parts per million, `_milli` thousandths, `_ms` milliseconds, `_us` microseconds,
`_uah` microampere-hours, `_b` bytes. Positive current charges. Codes are those of Python's `struct`, little-endian. How
frames and lines are built is in SPEC.md.
"""
LIMITS_HEAD = """\
Every row is judged on every fast tick. No config image may set a trip level outside its envelope or a longer
debounce, and no message may change one. `bit` is the row's bit in `warn_bits`, `derate_bits` and `trip_bits`; from 30
on, bit minus 30 in `warn_bits_2` and so on. A row acts on what it forbids whichever way the current flows just then:
what flows all the same is `forbidden_current`.

"""
JUDGED = {"always": "", "connected": " while connected", "open": " while open"}
SCOPES = {schema.SCOPE_PACK: "pack", schema.SCOPE_CELL: "each cell", schema.SCOPE_FIXED: "–"}
KINDS = {schema.KIND_HIGH: "at or above", schema.KIND_LOW: "at or below", schema.KIND_STALE: "older than"}


def table(head: tuple[str, ...], rows) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def states() -> str:
    rows = [(number, f"`{name}`", schema_text.STATE_TEXT[name]) for number, name in enumerate(schema.STATES)]
    return "## States of the supervisor\n\n" + table(("value", "name", "meaning"), rows)


def signals() -> str:
    text = "## Signals\n\n"
    for title, signals_of in (("Of the pack", schema.PACK_SIGNALS), ("Of each cell", schema.CELL_SIGNALS)):
        rows = [(number, f"`{name}`", f"`{code}`", schema_text.SIGNAL_TEXT[name]) for number, name, code in signals_of]
        text += f"### {title}\n\n" + table(("id", "name", "code", "meaning"), rows) + "\n"
    return text.rstrip("\n") + "\n"


def bounds() -> str:
    rows = [(number, f"`{name}`", schema_text.BOUND_TEXT[name]) for number, name in enumerate(schema.BOUNDS)]
    return "## What bounds a cell's current\n\n" + table(("value", "name", "meaning"), rows)


def learning_gaps() -> str:
    gaps = enumerate(schema.LEARNING_GAPS)
    rows = [(number, f"`{name}`", schema_text.LEARNING_GAP_TEXT[name]) for number, name in gaps]
    return "## What a chance to learn lacked\n\n" + table(("value", "name", "meaning"), rows)


def evidences() -> str:
    rows = [(at, f"`{name}`", *schema_text.EVIDENCE_TEXT[name]) for at, name in enumerate(schema.EVIDENCES)]
    text = "## Evidences of an internal short\n\nEach is one of: " + ", ".join(schema.EVIDENCE_STATES) + ".\n\n"
    return text + table(("position", "name", "kind", "what it sees"), rows)


def messages() -> str:
    rows = []
    for message in schema.MESSAGES:
        fields = " ".join(f"`{name}:{code}`" for name, code in schema.layout(message))
        period = f"`{message[3]}`" if message[3] else "on occasion"
        rows.append((message[0], message[1], period, fields))
    return "## Messages, board to host\n\n" + table(("type", "name", "sent every", "payload"), rows)


def events() -> str:
    rows = [
        (number, f"`{name}`", f"`{a}`" if a else "", f"`{b}`" if b else "", schema_text.EVENT_TEXT[name])
        for number, name, a, b in schema.EVENTS
    ]
    return "## Events\n\n" + table(("id", "name", "a", "b", "meaning"), rows)


def commands() -> str:
    rows = [
        (f"`{name}`", "yes" if crc else "no", " ".join(f"`{key}`" for key in keys), schema_text.COMMAND_TEXT[name])
        for name, crc, keys in schema.COMMANDS
    ]
    return "## Commands, host to board\n\n" + table(("name", "needs its CRC", "keys", "what it does"), rows)


def parameters() -> str:
    rows = [
        (
            number,
            f"`{name}`",
            ("no", "yes", "while open")[settable],
            low,
            high,
            default,
            schema_text.PARAMETER_TEXT[name],
        )
        for number, name, settable, low, high, default in schema.PARAMETERS
    ]
    text = "## Parameters\n\nAll lie in the config image; those with yes may also be changed while running (`set`).\n\n"
    return text + table(("id", "name", "settable", "lowest", "highest", "default", "meaning"), rows)


def limit_rows() -> str:
    rows = []
    for position, row in enumerate(schema.LIMIT_ROWS):
        number, name, scope, signal, kind, least, greatest, action, judged, missing, longest_ms, derates = row
        what, remedy = schema_text.LIMIT_TEXT[name]
        always = "" if name in image.ALWAYS_ENABLED else " May be switched off."
        watches = f"`{signal}` {KINDS[kind]}{JUDGED[judged]}"
        rows.append(
            (
                position,
                number,
                f"`{name}`",
                SCOPES[scope],
                watches,
                f"{least} .. {greatest}",
                longest_ms,
                action,
                derates,
                "itself" if missing == "self" else f"`{missing}`",
                f"{what}. {remedy}{always}",
            )
        )
    text = "## Limit rows\n\n" + LIMITS_HEAD
    return text + table(
        (
            "bit",
            "id",
            "name",
            "of",
            "trips",
            "envelope",
            "longest debounce, ms",
            "action",
            "derates",
            "trips without data",
            "meaning and remedy",
        ),
        rows,
    )


def page() -> str:
    """The whole page as Markdown."""
    parts = (
        HEAD,
        states(),
        signals(),
        bounds(),
        learning_gaps(),
        evidences(),
        messages(),
        events(),
        commands(),
        parameters(),
        limit_rows(),
    )
    return "\n".join(parts)
