"""The corrections on a board: read, hashed, set, and taken back."""

import zlib
from statistics import fmean
from urllib.parse import quote, unquote

from assb.protocol import schema

from assb_host.calibration.fit import CalibrationError, Kind
from assb_host.errors import LinkError, RefusedError
from assb_host.link.decoder import Frame
from assb_host.link.link import Link
from assb_host.link.units import physical

PARAMETERS = tuple(row[1] for row in schema.PARAMETERS if row[2] == 2)
SILENCE_S = 3.0
NOTE_CHARACTERS = 80  # as in the firmware's storage/note.py (a test compares)


def read(link: Link) -> dict[str, int]:
    """{parameter: value} of all corrections."""
    return {name: int(link.request("get", name=name)["value"]) for name in PARAMETERS}


def hash_of(values: dict[str, int]) -> str:
    """Eight digits that change with any correction."""
    return f"{zlib.crc32(' '.join(f'{name}={values[name]}' for name in sorted(values)).encode()):08x}"


def put(link: Link, values: dict[str, int]) -> None:
    """Set them, each read back. Raises LinkError when the board applied another value."""
    for name, value in values.items():
        applied = int(link.request("set", name=name, value=value)["value"])
        if applied != value:
            raise LinkError(f"the board applied {applied}, not {value}", name, "read it with `assb params get`")


def put_note(link: Link, text: str) -> str:
    """Keep a line on the board, as much of it as it has room for; what it keeps."""
    while len(encoded(text)) > NOTE_CHARACTERS:
        text = text[:-1]
    link.request("note", text=encoded(text))
    return text


def note(link: Link) -> str:
    """The line that the board keeps."""
    return unquote(link.request("note").get("text", "").replace("_", " "))


def encoded(text: str) -> str:
    """As a value of a command line: one word of plain characters."""
    return quote(text, safe=" :;,.()/+-#&@'").replace("_", "%5F").replace(" ", "_")


def mean_reading(link: Link, kind: Kind, cell: int, seconds: float) -> float:
    """Mean of telemetry over so long, in the kind's unit. Raises LinkError when none comes."""
    link.poll()
    message = schema.CELL if kind.signal == "voltage_v" else schema.PACK
    values, end_s = [], link.console.now_s() + seconds
    while link.console.now_s() < end_s:
        for item in link.poll(0.05):
            if isinstance(item, Frame) and item.type == message and item.fields.get("cell", cell) == cell:
                values.append(physical(item.fields)[kind.signal])
    if not values:
        raise LinkError(f"no {kind.signal} came in {seconds:g} s", link.console.name, "is its telemetry switched off?")
    return fmean(values)


def kpa_per_count(link: Link) -> float:
    return 1e-9 * int(link.request("get", name="load_cell_kpa_per_count_ppb")["value"])


def demand_idle(link: Link) -> None:
    """A calibration changes what the sensors say: only with nothing connected. Raises CalibrationError."""
    try:
        day = link.request("get", name="calibrated_day")["value"]
        link.request("set", name="calibrated_day", value=day)
    except RefusedError as error:
        if error.reason.startswith("not_safe"):
            raise CalibrationError(f"the board is in use ({error.reason})", "", "`assb stop` first") from None
        raise
