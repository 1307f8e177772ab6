"""Writing a config image, on the host; the layout and the checks are those of image.py."""

import binascii
import struct

from assb.protocol import image, tables
from assb.protocol.config import LAYOUT


def encode(config):
    """Bytes of a Config; raises ImageError where `decode` would."""
    image.check(config)
    body = b""
    sections = (_names_bytes, _parameters_bytes, _limits_bytes, _devices_bytes, _estimator_bytes)
    for tag, write in enumerate(sections, 1):
        data = write(config)
        body += struct.pack(image.SECTION_FORMAT, tag, len(data)) + data
    crc = binascii.crc32(body) & 0xFFFFFFFF
    return struct.pack(image.HEADER_FORMAT, image.MAGIC, LAYOUT, tables.schema_id(), len(body), crc) + body


def _names_bytes(config):
    data = b""
    for name in config.names:
        text = name.encode()
        data += bytes([len(text)]) + text
    return data


def _parameters_bytes(config):
    return b"".join(struct.pack("<Hi", row[0], config.parameters[row[1]]) for row in tables.rows(tables.PARAMETERS))


def _limits_bytes(config):
    return b"".join(struct.pack(image.LIMIT_FORMAT, *values) for values in config.limits)


def _devices_bytes(config):
    data = b""
    for kind, instance, bus, address, pins, arguments in config.devices:
        data += struct.pack(
            image.DEVICE_FORMAT,
            image.DEVICE_KINDS.index(kind),
            instance,
            bus,
            address,
            *(tuple(pins) + tuple(arguments)),
        )
    return data


def _estimator_bytes(config):
    return bytes(config.estimator)
