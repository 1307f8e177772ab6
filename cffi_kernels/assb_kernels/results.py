"""Which numbers of a pack can become result columns, and where they stand in the C structs."""

import re
from array import array
from collections.abc import Iterable, Mapping
from typing import Any

from assb_kernels._kernels import ffi
from assb_kernels.columns import pointer

PACK = {"voltage_v": "voltage_v", "current_a": "current_a", "time_s": "time_s"}
CELL = {
    "voltage_v": "voltage_v",
    "mean_voltage_v": "mean_voltage_v",
    "soc": "soc",
    "hysteresis": "hysteresis",
    "ocv_v": "ocv_v",
    "r0_ohm": "r0_ohm",
    "temperature_degc": "core_degc",
    "surface_degc": "surface_degc",
    "theta": "theta",
    "filament_length": "filament.length",
    "short_a": "short_a",
    "short_s": "short_s",
    "heat_w": "heat_w",
    "stored_j": "stored_j",
    "height_um": "height_um",
    "capacity_ah": "capacity_ah",
    "capacity_loss_frac": "ageing.capacity_loss_frac",
    "resistance_growth_frac": "ageing.resistance_growth_frac",
    "throughput_ah": "ageing.throughput_ah",
}
STACK = {"pressure_mpa": "pressure_mpa", "creep_um": "creep_um"}
ACTUATOR = {"gap_um": "gap_um", "drive_mpa": "drive_mpa", "steps": "steps"}
RESULTS = tuple(dict.fromkeys((*PACK, *CELL, *STACK, *ACTUATOR)))

NAME = re.compile(r"(\w+)(?:\[(\d+)\])?")


def sources(pack: Any, name: str) -> list[Any]:
    """C pointers to the numbers that a column called `name` is made of: one per row, or one per cell or stack.

    Raises ValueError for a name or an index that the pack does not have.
    """
    match = NAME.fullmatch(name)
    plain, index = match.groups() if match else (name, None)
    if index is None and plain in PACK:
        return [ffi.addressof(pack[0], PACK[plain])]
    for table, states, count in (
        (CELL, pack.cell, pack.cells),
        (STACK, pack.stack, pack.stacks),
        (ACTUATOR, pack.actuator, pack.stacks),
    ):
        if plain in table:
            wanted = range(count) if index is None else [int(index)]
            if wanted[-1] >= count:
                raise ValueError(f"result {name}: the pack has {count}, counted from 0")
            return [ffi.addressof(states[k], *table[plain].split(".")) for k in wanted]
    raise ValueError(f"unknown result {name}; known: {', '.join(RESULTS)}, each with [k] for one cell or stack")


class Sinks:
    """Zeroed columns of `count` rows, and the C sinks that fill them.

    `more`: names of numbers beside the pack's, and C pointers to them. Raises ValueError for an unknown name.
    """

    def __init__(self, pack: Any, names: Iterable[str], count: int, more: Mapping[str, Any] | None = None) -> None:
        self.columns: dict[str, array[Any]] = {}
        rows: list[dict[str, Any]] = []
        self._buffers: list[Any] = []
        for name in dict.fromkeys(names):
            found = [more[name]] if more and name in more else sources(pack, name)
            self.columns[name] = array("d", bytes(8 * count * len(found)))
            buffer = pointer(self.columns[name], "d", writable=True)
            self._buffers.append(buffer)
            rows += [{"source": at, "out": buffer + k, "stride": len(found)} for k, at in enumerate(found)]
        self.count = len(rows)
        self.array = ffi.new("assb_sink[]", rows)
