"""Status codes of the kernels in words; 0 is success, and anything else left the state as it was."""

from assb_kernels._kernels import lib

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
