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
        self._codes: dict[int, list[tuple[str, bytes, int, float]]] = {}
        for chip, device in zip(monitors, config.devices_of("ina228"), strict=True):
            polarity = device[5][3]
            uv_per_code = {VBUS: BUS_LSB_UV, VSHUNT: SHUNT_LSB_PV[device[5][0]] / config.parameter("shunt_uohm")}
            self._codes[id(chip)] = [
                (row, register, sign * (polarity if register == VSHUNT else 1),
                 (polarity if register == VSHUNT else 1) * trips[row] / uv_per_code[register])
                for row, register, sign in ROWS
            ]  # fmt: skip
        self._beyond: set[tuple[int, str]] = set()

    def look(self, chip: Any, now_us: int, event: Callable[..., None]) -> None:
        """Reports a row as `register_crossed` when the chip's present results have passed its level."""
        shunt, bus = chip.peek(VSHUNT, 3), chip.peek(VBUS, 3)
        if shunt is None or bus is None:
            return
        codes = {VSHUNT: _code(shunt[0]), VBUS: _code(bus[0])}
        for row, register, sign, trip in self._codes[id(chip)]:
            key = (id(chip), row)
            beyond = sign * codes[register] >= sign * trip
            if beyond == (key in self._beyond):
                continue
            if beyond:
                self._beyond.add(key)
                event(now_us, "register_crossed", row=row)
            else:
                self._beyond.discard(key)


def _code(data: bytes) -> int:
    """20-bit two's complement in the upper bits of three bytes."""
    code = int.from_bytes(data, "big") >> 4
    return code - 0x100000 if code > 0x7FFFF else code
