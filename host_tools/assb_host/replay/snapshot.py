"""A copied state of a cell (assb.slow_stream) put into a cell of this host."""

import struct
from array import array
from typing import Any

from assb.slow_stream import NATIVE, TWIN_SINGLE

from assb_host.errors import AssbError

SCALARS = {"d": "<d", "f": "<f", "i": "<i", "t": "<?"}


class SnapshotError(AssbError):
    """The copy is of another firmware, or of another kernel."""

    def __init__(self, seen: str):
        super().__init__(seen, "SNAPSHOT", "replay it with the version of assb that the board ran")


def restore(watch: Any, kind: int, data: bytes) -> None:
    """Raises SnapshotError for a copy that does not fit, the cell being spoilt then."""
    parts = (watch.ekf, watch.learning, watch.shorts.detector)
    if kind == NATIVE:
        _restore_native((watch.ekf.state, watch.learning.state, watch.shorts.detector.kept), data)
    else:
        walk = _Walk(data, watch.flat, "<f" if kind == TWIN_SINGLE else "<d")
        for part in parts:
            walk.put(part)
    watch.started = True


def _restore_native(buffers, data: bytes) -> None:
    at = 0
    for buffer in buffers:
        view = memoryview(buffer).cast("B")
        if at + len(view) > len(data):
            raise SnapshotError(f"the state has {len(data)} bytes, which is too short")
        view[:] = data[at : at + len(view)]
        at += len(view)
    if at != len(data):
        raise SnapshotError(f"the state has {len(data)} bytes, {at} were expected")


class _Walk:
    """The walk of slow_stream over objects of the same classes, which takes where that one gave."""

    def __init__(self, data: bytes, flat: Any, real: str):
        self._data, self._at, self._real = data, 0, real
        self._seen: list[Any] = [flat]

    def put(self, value: Any) -> Any:
        """What is to stand in the place of `value`; objects, lists and arrays are filled in place."""
        if isinstance(value, str):
            return value
        if not isinstance(value, (int, float, type(None))):
            if any(value is other for other in self._seen):
                return value
            self._seen.append(value)
        tag = chr(self._take("<B"))
        if tag == "n":
            return None
        if tag in SCALARS:
            return self._take(SCALARS[tag])
        count = self._take("<H")
        return {"l": self._list, "a": self._array, "o": self._object}.get(tag, self._unknown)(value, count)

    def _take(self, form: str) -> Any:
        try:
            (value,) = struct.unpack_from(form, self._data, self._at)
        except struct.error:
            raise SnapshotError("the copy of a state ends early") from None
        self._at += struct.calcsize(form)
        return value

    def _unknown(self, *_):
        raise SnapshotError("the copy of a state does not read")

    def _list(self, value, count):
        before = list(value) if isinstance(value, (list, tuple)) else []
        items = [self.put(before[at] if at < len(before) else None) for at in range(count)]
        if isinstance(value, list):
            value[:] = items
            return value
        return tuple(items)

    def _array(self, value, count):
        numbers = [self._take(self._real) for _ in range(count)]
        if not isinstance(value, (array, bytearray)) or len(value) != count:
            raise SnapshotError("an array of the copied state has another length")
        for at, number in enumerate(numbers):
            value[at] = number if isinstance(value, array) and value.typecode in "fd" else int(number)
        return value

    def _object(self, value, count):
        names = sorted(vars(value)) if hasattr(value, "__dict__") else []
        if len(names) != count:
            raise SnapshotError(f"the copied {type(value).__name__} has {count} figures, ours {len(names)}")
        for name in names:
            setattr(value, name, self.put(getattr(value, name)))
        return value
