"""Names of columns in the logs of cyclers, and which quantity each of them is."""

import re

from assb_host.config.errors import ConfigError

REQUIRED = ("time_s", "voltage_v", "current_a", "temperature_degc")
OPTIONAL = ("net_charge_ah", "soc", "pressure_mpa")
QUANTITIES = (*REQUIRED, *OPTIONAL)
PASCAL_COLUMNS = ("appliedpressurepa",)
# Without case, blanks and signs; the first that is there counts. Ours, then the Battery Data Format (machine names
# and labels), then what Arbin, Bitrode and Maccor write.
ALIASES = {
    "time_s": ("times", "testtimesecond", "testtimes", "testtimesec", "elapsedtimes", "timesec", "timeseconds"),
    "voltage_v": ("voltagev", "voltagevolt", "voltsv", "ecellv", "voltage", "volts"),
    "current_a": ("currenta", "currentampere", "currentamp", "ampsa", "current", "amps"),
    "temperature_degc": (
        "temperaturedegc",
        "temperaturet1celsius",
        "surfacetemperaturet1celsius",
        "surfacetemperaturet1degc",
        "surfacetemperaturecelsius",
        "celltemperaturedegc",
        "temperaturec",
        "temperaturec1",
        "auxtemperature1c",
        "temperature",
        "temp1c",
        "tempc",
    ),
    "net_charge_ah": ("netchargeah", "netcapacityah", "netcapacityamperehour"),
    "soc": ("soc", "socfrac"),
    "pressure_mpa": ("pressurempa", "stackpressurempa", *PASCAL_COLUMNS),
}


def plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def parse_mapping(text: str) -> dict[str, str]:
    """`time_s=Test_Time(s),voltage_v=#8` as {quantity: name or #position}. Raises ConfigError."""
    mapping = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        quantity, equals, name = (piece.strip() for piece in part.partition("="))
        if not equals or not name or quantity not in QUANTITIES:
            allowed = (
                f"pairs such as time_s=Test_Time(s), or time_s=#2 by position; quantities: {', '.join(QUANTITIES)}"
            )
            raise ConfigError("--columns", "", part, allowed)
        mapping[quantity] = name
    return mapping


def positions(names: list[str], mapping: dict[str, str]) -> dict[str, int]:
    """{quantity: index} of the columns that a line of names has; a mapped name must match, blanks aside."""
    found = {}
    stripped, simple = [name.strip() for name in names], [plain(name) for name in names]
    for quantity in QUANTITIES:
        wanted = mapping.get(quantity)
        if wanted and wanted.startswith("#") and wanted[1:].isdigit():
            if 1 <= int(wanted[1:]) <= len(names):
                found[quantity] = int(wanted[1:]) - 1
        elif wanted:
            if wanted in stripped:
                found[quantity] = stripped.index(wanted)
        else:
            place = next((simple.index(alias) for alias in ALIASES[quantity] if alias in simple), None)
            if place is not None:
                found[quantity] = place
    return found
