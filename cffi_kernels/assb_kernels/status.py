"""Status codes of the kernels in words; 0 is success, and anything else left the state as it was."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from assb_kernels._kernels import ffi, lib

STATUS_TEXT: dict[int, str] = {
    lib.ASSB_OK: "ok",
    lib.ASSB_BAD_VOLTAGE: "voltage not finite or implausible",
    lib.ASSB_BAD_CURRENT: "current not finite or implausible",
    lib.ASSB_BAD_TEMPERATURE: "temperature not finite or implausible",
    lib.ASSB_BAD_PRESSURE: "pressure not finite or implausible",
    lib.ASSB_BAD_DT: "time step not finite, not positive or too long",
    lib.ASSB_BAD_PARAMETER: "a parameter is not finite, an axis does not rise, or a positive figure is not",
    lib.ASSB_BAD_SHORT: "short conductance not finite or negative",
    lib.ASSB_BAD_SOC: "initial SOC outside 0..1 or its sigma outside (0, 1]",
    lib.ASSB_BAD_PROTOCOL: "a protocol step, an index or a count is out of range",
    lib.ASSB_LOG_FULL: "the log of events is full: drain it and go on",
}


def demand_ok(status: int, where: str) -> None:
    """Raise ValueError for a status of set-up calls; loops look at the number instead."""
    if status != lib.ASSB_OK:
        raise ValueError(f"{where}: {STATUS_TEXT[status]} (status {status})")


def demand_parameters(
    check: Callable[[Any], int], ctype: str, given: Mapping[str, Any], good: Mapping[str, Any], where: str
) -> None:
    """Raise ValueError if a kernel's `check` refuses the parameters `given`, naming those that spoil `good` ones."""
    if check(ffi.new(ctype, given)) == lib.ASSB_OK:
        return
    spoilt = [name for name, mixed in _mixed(given, good) if check(ffi.new(ctype, mixed)) != lib.ASSB_OK]
    seen = ", ".join(spoilt) or "two or more together"
    raise ValueError(f"{where}: {seen}: not finite, not positive where it must be, or out of its range")


def _mixed(given: Mapping[str, Any], good: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each parameter, as seen, and `good` with it alone."""
    for name, value in given.items():
        if isinstance(value, Mapping):
            yield from ((f"{name}.{inner}", {**good, name: mixed}) for inner, mixed in _mixed(value, good[name]))
        else:
            seen = value if isinstance(value, (int, float, tuple)) else "its table"
            yield f"{name} = {seen}", {**good, name: value}
