"""The configuration image that a recorded board runs with: found by its names, known by its CRC."""

from typing import Any

from assb.protocol.image import decode

from assb_host.config import build_image, load_pack
from assb_host.errors import AssbError

IMAGE_NAME = "config.bin"


def image_of(hello: dict[str, Any], pack: str = "") -> bytes | None:
    """Bytes of the image of `pack` (a name or a file), by default of the pack that HELLO names; None when it can't be
    built here, or is not the one whose CRC HELLO says."""
    name = pack or hello.get("pack", "")
    if not name:
        return None
    try:
        image = build_image(load_pack(name))
    except AssbError:
        return None
    return image if decode(image).crc == hello["config_crc"] else None
