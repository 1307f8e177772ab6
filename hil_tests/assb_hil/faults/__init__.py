"""Faults that a scenario can inject, each by name; `FAULTS` is the table of them, group by group.

A fault acts on the rig through few handles: the plant, its sensors, its chips, the link, the board, and a way to do
something later.
"""

from assb_hil.faults import board, cells, configuration, link, mechanics, sensors
from assb_hil.faults.base import DeviceFault, Fault
from assb_hil.faults.sensors import BusHang, ChipBrownOut, SensorFault, SensorLost, SensorSwapped

GROUPS = {
    "sensor": sensors,
    "cell": cells,
    "mechanics": mechanics,
    "board": board,
    "link": link,
    "configuration": configuration,
}


def _named(module: object) -> list[type[Fault]]:
    """The faults of a module that have a name of their own, in the order of the file."""
    classes = [item for item in vars(module).values() if isinstance(item, type) and issubclass(item, Fault)]
    return [cls for cls in classes if "name" in vars(cls) and cls.name]


FAULTS: dict[str, type[Fault]] = {cls.name: cls for module in GROUPS.values() for cls in _named(module)}

__all__ = [
    "FAULTS", "GROUPS", "BusHang", "ChipBrownOut", "DeviceFault", "Fault", "SensorFault", "SensorLost",
    "SensorSwapped",
]  # fmt: skip
