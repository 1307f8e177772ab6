"""Time series into and out of C, without a copy where the caller's memory already has the right type."""

from array import array
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any

from assb_kernels._kernels import ffi

CTYPE = {"f": "float[]", "d": "double[]", "i": "int[]"}


def column(values: float | Iterable[float], code: str, count: int | None = None) -> Any:
    """A buffer of C type `code` ('f' or 'd'): `values` itself if it is one, else a copy; a number fills `count`.

    Raises ValueError if the length is not `count`.
    """
    if isinstance(values, (int, float, Real)):
        return array(code, [values]) * (count or 1)
    given: Any = _flat(values, code)
    if not _is_contiguous(given, code):
        given = array(code, given)
    length = len(memoryview(given))
    if count is not None and length != count:
        raise ValueError(f"column has {length} values, the first one has {count}")
    return given


def pointer(buffer: Any, code: str, *, writable: bool = False) -> Any:
    """A C pointer to `buffer`, which must stay alive while C uses it.

    Raises ValueError for a type or shape that C can't use.
    """
    if not _is_contiguous(buffer, code):
        raise ValueError(f"needs a contiguous one-dimensional buffer of C type '{code}', got {type(buffer).__name__}")
    return ffi.from_buffer(CTYPE[code], buffer, require_writable=writable)


def outputs(names: Iterable[str], known: Iterable[str], code: str, count: int) -> "dict[str, array[Any]]":
    """Zeroed result columns; raises ValueError for a name that the kernel does not write."""
    wanted = list(names)
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        raise ValueError(f"unknown result {', '.join(unknown)}; known: {', '.join(known)}")
    return {name: array("i" if name == "status" else code, bytes(count * array(code).itemsize)) for name in wanted}


def _flat(values: Any, code: str) -> Any:
    """Rows one after the other; raises ValueError for an array of several dimensions that is no such buffer."""
    try:
        view = memoryview(values)
    except TypeError:
        return values
    if view.ndim == 1:
        return values
    if view.format == code and view.c_contiguous and view.ndim > 1:
        plain: Any = view.cast("B")
        return plain.cast(code)
    raise ValueError(f"an array of {view.ndim} dimensions must be contiguous and of C type '{code}'")


def _is_contiguous(values: Any, code: str) -> bool:
    try:
        view = memoryview(values)
    except TypeError:
        return False
    return view.format == code and view.ndim == 1 and view.c_contiguous


class Feed:
    """Inputs of `count` steps for C, each a column or one number; keeps their memory."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._given: dict[str, Any] = {}
        self._buffers: list[Any] = []

    def series(self, values: float | Iterable[float], name: str) -> dict[str, Any]:
        """As cffi fills an assb_series; a number has stride 0. Raises ValueError for another length than `count`."""
        single = isinstance(values, (int, float, Real))
        buffer = column(values, "d")
        if not single and len(buffer) != self.count:
            raise ValueError(f"{name} has {len(buffer)} values, current_a has {self.count}")
        self._given[name] = buffer
        self._buffers.append(pointer(buffer, "d"))
        return {"value": self._buffers[-1], "stride": 0 if single else 1}

    def each(self, values: Sequence[float | Iterable[float]], count: int, name: str) -> Any:
        """One series for each of `count` cells or stacks. Raises ValueError for another number of them."""
        if len(values) != count:
            raise ValueError(f"{name} has {len(values)} entries, needs {count}: one per cell or stack")
        rows = [self.series(entry, f"{name}[{k}]") for k, entry in enumerate(values)]
        self._buffers.append(ffi.new("assb_series[]", rows))
        return self._buffers[-1]

    def row(self, k: int) -> dict[str, float]:
        """What was given for step k."""
        return {name: buffer[k if len(buffer) > 1 else 0] for name, buffer in self._given.items()}
