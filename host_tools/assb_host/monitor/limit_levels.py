"""How far a board is from its limits: its rows' levels come from the pack it reports, if that pack makes its image."""

from dataclasses import dataclass

from assb.protocol import schema

from assb_host.errors import AssbError
from assb_host.link.units import physical_pair


@dataclass(frozen=True)
class Levels:
    """Of one limit row that compares a measured quantity, in physical units."""

    row: str
    signal: str
    high: bool
    trip: float
    derate: float | None


def levels_of(hello: dict, pack: str = "") -> tuple[list[Levels], str]:
    """(levels, "") of the board that says this HELLO, or ([], why they are not known). `pack`: name or file to use."""
    from assb.protocol.image import decode

    from assb_host.config import build_image, load_pack

    name = pack or hello.get("pack", "")
    if not name:
        return [], "the board reports no pack"
    try:
        loaded = load_pack(name)
    except AssbError as error:
        return [], f"pack {name} can't be read ({error.seen}); name its file with --pack"
    if decode(build_image(loaded)).crc != hello["config_crc"]:
        return [], f"the board's configuration is not that of pack {name}; name its file with --pack"
    return [levels for row in schema.LIMIT_ROWS if (levels := row_levels(row, loaded.limits[row[1]]))], ""


def row_levels(row, limit) -> Levels | None:
    from assb_host.config.limit_keys import unit_of

    if not limit.enabled or unit_of(row) is None or row[4] == schema.KIND_STALE:
        return None
    name, trip = physical_pair(row[3], limit.trip)
    derate = None if limit.derate in (None, limit.trip) else physical_pair(row[3], limit.derate)[1]
    return Levels(row[1], name, row[4] == schema.KIND_HIGH, trip, derate)
