"""Faults of the configuration on the board's flash: it is replaced while power is off for a moment."""

import binascii
import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar

from assb.protocol import image, schema
from assb_host.flash.plan import CONFIG_PATH
from msgspec import Meta

from assb_hil.dut.base import FLASH, POWER
from assb_hil.faults.base import DeviceFault

if TYPE_CHECKING:
    from assb_hil.session import Session

OFF_S = 0.1
SCHEMA_AT, LENGTH_AT, CRC_AT = 10, 14, 18  # in the header, SPEC.md
TRIP_AT = 12  # in a limit row
DEVICE_ADDRESS_AT = 3


class ConfigurationFault(DeviceFault, frozen=True, kw_only=True):
    """Power goes, the image on flash is another one when it comes back."""

    group: ClassVar[str] = "configuration"
    needs: ClassVar[frozenset[str]] = frozenset({POWER, FLASH})

    def acts(self) -> "Iterator[tuple[float, Callable[[Session], None]]]":
        yield self.at_s, lambda session: session.dut.power_off()
        yield self.at_s + OFF_S, self._replace

    def _replace(self, session: "Session") -> None:
        session.put_files({CONFIG_PATH: self.changed(session.image)})
        session.dut.power_on()

    def changed(self, data: bytes) -> bytes:
        """The image as it is found."""
        raise NotImplementedError


class ConfigDamaged(ConfigurationFault, frozen=True, kw_only=True):
    """One bit of the image is wrong (bad CRC)."""

    name: ClassVar[str] = "config_damaged"
    byte: Annotated[int, Meta(ge=image.HEADER_BYTES)] = 100

    def changed(self, data: bytes) -> bytes:
        at = min(self.byte, len(data) - 1)
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


class ConfigOtherSchema(ConfigurationFault, frozen=True, kw_only=True):
    """The image is of another schema than the firmware: of another version of either."""

    name: ClassVar[str] = "config_other_schema"

    def changed(self, data: bytes) -> bytes:
        (schema_id,) = struct.unpack_from("<I", data, SCHEMA_AT)
        return data[:SCHEMA_AT] + struct.pack("<I", schema_id ^ 1) + data[LENGTH_AT:]


class ConfigWrongBoard(ConfigurationFault, frozen=True, kw_only=True):
    """The image is sound, but of a board whose chips have other addresses."""

    name: ClassVar[str] = "config_wrong_board"

    def changed(self, data: bytes) -> bytes:
        begin, end = section(data, image.DEVICES)
        body = bytearray(data)
        for at in range(begin, end, image.DEVICE_BYTES):
            if body[at + DEVICE_ADDRESS_AT]:
                body[at + DEVICE_ADDRESS_AT] += 4
        return sealed(body)


class ConfigUnsafeLimit(ConfigurationFault, frozen=True, kw_only=True):
    """The image has a trip level beyond what the schema allows anybody, and a right CRC."""

    name: ClassVar[str] = "config_unsafe_limit"
    row: str = "cell_overvoltage"
    trip: Annotated[int, Meta(ge=-schema.INT30_MAX, le=schema.INT30_MAX)]

    def changed(self, data: bytes) -> bytes:
        begin, _ = section(data, image.LIMITS)
        position = [row[1] for row in schema.LIMIT_ROWS].index(self.row)
        body = bytearray(data)
        struct.pack_into("<i", body, begin + position * image.LIMIT_BYTES + TRIP_AT, self.trip)
        return sealed(body)


def section(data: bytes, wanted: int) -> tuple[int, int]:
    """Where the content of a section begins and ends."""
    at = image.HEADER_BYTES
    while True:
        tag, length = struct.unpack_from(image.SECTION_FORMAT, data, at)
        begin = at + image.SECTION_BYTES
        if tag == wanted:
            return begin, begin + length
        at = begin + length


def sealed(data: bytearray) -> bytes:
    """With the CRC that its body has now."""
    struct.pack_into("<I", data, CRC_AT, binascii.crc32(data[image.HEADER_BYTES :]) & 0xFFFFFFFF)
    return bytes(data)
