"""Every input of the estimators and detectors, for a host that replays what a board made of them. Off unless asked for.

After `stream full=1` each cell's state is copied once, right after its next step, and sent a part at a time (SNAPSHOT).
From then on every step is told (INPUTS): what went in, and a digest of the state that came out. The copies are of one
round, so that each comparison between cells finds on the host what it found here.

A copy of the native module's cell is its bytes. One of the twin is a walk over its objects, attributes by name: each
value has a tag and little-endian bytes, an object or array that was met before is left out.

    d f64   f f32   i i32   t u8 bool   n none   l u16 length, items   a u16 length, numbers   o u16 count, attributes
"""

import binascii
import struct
from array import array

from .const import const

# Ids of the wire, as in schema.py (a test compares)
_MESSAGE_INPUTS = const(22)
_MESSAGE_SNAPSHOT = const(23)

TWIN = const(0)
TWIN_SINGLE = const(1)  # in floats of single precision
NATIVE = const(2)
VOLTAGE, CURRENT, TEMPERATURE, PRESSURE, COLLAPSED = 1, 2, 4, 8, 16  # flags of INPUTS: what was valid; its voltage fell
_PART_BYTES = const(200)
_DIGEST = "<14d"
_SINGLE = 1.0 + 1e-10 == 1.0


class SlowStream:
    """`tell` after each step of a CellWatch; `send` in every slice."""

    def __init__(self, number, cells, telemetry, signals):
        self.number = number
        self._cells = cells
        self._telemetry = telemetry
        self._signals = signals
        self._temperature = signals.pack("temperature_cdegc")
        self._pressure = signals.pack("pressure_kpa")
        self._command = signals.pack("pressure_command_kpa")
        self._current = signals.pack("current_ua")
        self._voltages = [signals.cell(cell, "voltage_uv") for cell in range(len(cells))]
        self._copies = [bytearray()] * len(cells)  # empty before and after
        self._taken = bytearray(len(cells))
        self._counts = array("H", bytes(2 * len(cells)))
        self._cell = self._at = 0  # of the next part to be sent
        self._digest = bytearray(struct.calcsize(_DIGEST))
        self.failed = False  # no heap for the copies
        for watch in cells:
            watch.shorts.collapsed = False

    def tell(self, watch, now_ms, dt_ms, voltage_uv, current_ua):
        """What a step took, or was given in vain."""
        cell = watch.cell
        if not self._taken[cell]:
            self._copy(watch)
            return
        self._counts[cell] = (self._counts[cell] + 1) & 0xFFFF
        signals, value, collapse = self._signals, self._signals.value, watch.shorts.collapse
        telemetry = self._telemetry
        writer = telemetry.begin(_MESSAGE_INPUTS, now_ms)
        put = writer.put
        put(1, cell)
        put(1, self.number)
        put(2, self._counts[cell])
        put(2, self._collapsed())
        put(1, self._flags(cell, collapse))
        put(4, dt_ms)
        put(4, voltage_uv)
        put(4, current_ua)
        put(2, value[self._temperature])
        put(4, value[self._pressure])
        put(4, value[self._command])
        put(4, collapse.voltage_uv)
        put(4, collapse.lost_uv)
        put(1, value[signals.cell(cell, "estimator_status")])
        put(4, digest(watch, self._digest))
        telemetry.send(writer.end())

    def _collapsed(self):
        """Cells in whose voltage the fast tick has seen a collapse since it was last told."""
        bits = 0
        for watch in self._cells:
            if watch.shorts.collapsed:
                watch.shorts.collapsed = False
                bits |= 1 << watch.cell
        return bits

    def _flags(self, cell, collapse):
        valid = self._signals.valid
        return (
            valid[self._voltages[cell]] * VOLTAGE
            | valid[self._current] * CURRENT
            | valid[self._temperature] * TEMPERATURE
            | valid[self._pressure] * PRESSURE
            | (COLLAPSED if collapse.state == 3 else 0)
        )

    def _copy(self, watch):
        watch.shorts.collapsed = False  # what fell before it is in the copy
        try:
            self._copies[watch.cell] = copy_of(watch)
            self._taken[watch.cell] = 1
        except MemoryError:
            self.failed = True

    def send(self, now_ms):
        """The next part of the copies, if the link has room. False: nothing more will come of this stream."""
        if self._cell == len(self._cells) or self.failed:
            return not self.failed
        copy = self._copies[self._cell]
        if not self._taken[self._cell] or not self._telemetry.send_part(
            self, min(_PART_BYTES, len(copy) - self._at), now_ms
        ):
            return True
        self._at += _PART_BYTES
        if self._at >= len(copy):
            self._copies[self._cell] = bytearray()
            self._cell, self._at = self._cell + 1, 0
        return True

    def encode(self, writer, flags, size, now_ms):
        copy = self._copies[self._cell]
        writer.begin(_MESSAGE_SNAPSHOT, flags, now_ms)
        writer.put(1, self._cell)
        writer.put(1, self.number)
        writer.put(1, kind_of(self._cells[self._cell]))
        writer.put(2, len(copy))
        writer.put(2, self._at)
        for at in range(self._at, self._at + size):
            writer.put(1, copy[at])
        return writer.end()


def kind_of(watch):
    """Whose numbers a cell's are."""
    return NATIVE if hasattr(watch.ekf, "state") else TWIN_SINGLE if _SINGLE else TWIN


def digest(watch, buffer):
    """30 bits that change with any bit of the native state, or of the figures of the twin that the others rest on."""
    ekf, detector = watch.ekf, watch.shorts.detector
    if hasattr(ekf, "state"):
        crc = binascii.crc32(detector.kept, binascii.crc32(watch.learning.state, binascii.crc32(ekf.state)))
    else:
        struct.pack_into(
            _DIGEST, buffer, 0, ekf.soc, ekf.soc_residual, ekf.v1_v, ekf.v2_v, ekf.hysteresis, ekf.leak_a,
            ekf.innovation_v, ekf.innovation_var, ekf.nis_mean, ekf.resistance_scale, ekf.capacity_scale,
            detector.counted - detector.rose, detector.soc_before, detector.fusion.likelihood,
        )  # fmt: skip
        crc = binascii.crc32(buffer)
    return crc & 0x3FFFFFFF


def copy_of(watch):
    """All that a cell's next steps rest on, as bytes, in whole words."""
    ekf, detector = watch.ekf, watch.shorts.detector
    out = bytearray()
    if hasattr(ekf, "state"):
        for part in (ekf.state, watch.learning.state, detector.kept):
            out.extend(bytes(part))
    else:
        seen = [watch.flat]
        for part in (ekf, watch.learning, detector):
            _walk(part, out, seen)
    while len(out) % 4:
        out.append(0)
    return out


def _walk(value, out, seen):
    if value is None:
        out.extend(b"n")
    elif value is True or value is False:
        out.extend(b"t\x01" if value else b"t\x00")
    elif isinstance(value, int):
        out.extend(b"i" + struct.pack("<i", value))
    elif isinstance(value, float):
        out.extend(b"f" + struct.pack("<f", value) if _SINGLE else b"d" + struct.pack("<d", value))
    elif isinstance(value, str) or _met(value, seen):
        return
    else:
        _walk_many(value, out, seen)


def _walk_many(value, out, seen):
    if isinstance(value, (list, tuple)):
        out.extend(b"l" + struct.pack("<H", len(value)))
        for item in value:
            _walk(item, out, seen)
    elif isinstance(value, (array, bytearray)):
        out.extend(b"a" + struct.pack("<H", len(value)))
        for item in value:
            out.extend(struct.pack("<f" if _SINGLE else "<d", item))
    else:
        names = sorted(value.__dict__)
        out.extend(b"o" + struct.pack("<H", len(names)))
        for name in names:
            _walk(getattr(value, name), out, seen)


def _met(value, seen):
    for other in seen:
        if other is value:
            return True
    seen.append(value)
    return False
