"""When a monitor's result register passes the trip level of a limit row: the instant from which a reaction is timed."""

from collections.abc import Callable
from typing import Any

from assb.protocol import schema
from assb.protocol.image import Config

VSHUNT, VBUS = b"\x04", b"\x05"
BUS_LSB_UV = 195.3125
SHUNT_LSB_PV = (312500.0, 78125.0)  # of a code, by adc_range
ROWS = (
    ("cell_overvoltage", VBUS, 1),
    ("cell_undervoltage", VBUS, -1),
    ("charge_overcurrent", VSHUNT, 1),
    ("discharge_overcurrent", VSHUNT, -1),
)


class Crossings:
    """Watches the registers of the INA228 models as the firmware would read them; knows levels, not the firmware."""

    def __init__(self, config: Config, monitors: list[Any]):
        trips = {schema.LIMIT_ROWS[at][1]: limit[6] for at, limit in enumerate(config.limits)}
        self._rows: dict[int, list[tuple[str, bytes, int, float]]] = {}
        for chip, device in zip(monitors, config.devices_of("ina228"), strict=True):
            polarity = device[5][3]
            uv_per_code = {VBUS: BUS_LSB_UV, VSHUNT: SHUNT_LSB_PV[device[5][0]] / config.parameter("shunt_uohm")}
            turned = {VBUS: 1, VSHUNT: polarity}  # a shunt that faces the other way turns signs round
            self._rows[id(chip)] = [
                (row, register, sign * turned[register], turned[register] * trips[row] / uv_per_code[register])
                for row, register, sign in ROWS
            ]
        self._cells = {id(chip): device[1] for chip, device in zip(monitors, config.devices_of("ina228"), strict=True)}
        self._spans = {chip: _span(rows) for chip, rows in self._rows.items()}
        self._beyond: set[tuple[int, str]] = set()

    def look(self, chip: Any, bus: bytes, shunt: bytes, now_us: int, event: Callable[..., None]) -> None:
        """Reports a row as `register_crossed` when these contents of VBUS and VSHUNT have passed its level."""
        bus_code = int.from_bytes(bus, "big") >> 4
        shunt_code = int.from_bytes(shunt, "big", signed=True) >> 4
        bus_low, bus_high, shunt_low, shunt_high = self._spans[id(chip)]
        if bus_low < bus_code < bus_high and shunt_low < shunt_code < shunt_high and not self._beyond:
            return
        codes = {VBUS: bus_code, VSHUNT: shunt_code}
        for row, register, sign, trip in self._rows[id(chip)]:
            key = (id(chip), row)
            beyond = sign * codes[register] >= sign * trip
            if beyond and key not in self._beyond:
                self._beyond.add(key)
                event(now_us, "register_crossed", "rig", row=row, cell=self._cells[id(chip)])
            elif not beyond:
                self._beyond.discard(key)


def _span(rows: list[tuple[str, bytes, int, float]]) -> tuple[float, float, float, float]:
    """Codes between which no row of a chip is passed: VBUS low, high, VSHUNT low, high."""
    low = {
        register: max(trip for _, at, sign, trip in rows if at == register and sign < 0) for register in (VBUS, VSHUNT)
    }
    high = {
        register: min(trip for _, at, sign, trip in rows if at == register and sign > 0) for register in (VBUS, VSHUNT)
    }
    return low[VBUS], high[VBUS], low[VSHUNT], high[VSHUNT]
