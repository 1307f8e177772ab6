"""The one error of the configuration: which file, which key, what was got, what is allowed, what to do."""

from assb_host.errors import EXIT_CONFIG, AssbError


class ConfigError(AssbError):
    """A board, pack or cell file that can't be used. `key` is dotted, as in `limits.cell_overvoltage.trip_v`."""

    exit_code = EXIT_CONFIG

    def __init__(self, file, key: str, value, allowed: str, remedy: str = ""):
        self.file = str(file)
        self.key = key
        self.value = value
        self.allowed = allowed
        got = "is missing" if value is None else f"got {shortened(value)}"
        place = f"{self.file}: {key}" if key else self.file
        super().__init__(f"{place}: {got}; allowed {allowed}", remedy=remedy)


def shortened(value) -> str:
    """repr of a value, cut where a table would fill the screen."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
