"""When a press could not hold what it was asked for: the end of its travel, its supply, its motor."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from assb_kernels import ActuatorParams

from assb_hil.plant_file import PlantFile

Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class PressStop:
    """One reason of one stack; the pressures are those of the row where the two are furthest apart."""

    stack: int
    reason: str
    since_s: float
    until_s: float  # last row at which it held; it need not have held at all between
    rows_frac: float
    pressure_mpa: float
    aim_mpa: float
    at_the_end: bool


def press_stops(columns: Columns, plant: PlantFile) -> list[PressStop]:
    """What kept each stack from its aim, in the order of time."""
    time_s, found = columns["time_s"], []
    for k, stack in enumerate(plant.stacks):
        pressure_mpa, aim_mpa = columns[f"pressure_mpa[{k}]"], columns["aim_mpa"]
        reasons = hindrances(stack.actuator, pressure_mpa, columns[f"gap_um[{k}]"], aim_mpa)
        for reason, held in reasons.items():
            rows = np.flatnonzero(held)
            if not len(rows):
                continue
            worst = rows[np.argmax(np.abs(pressure_mpa - aim_mpa)[rows])]
            times = (float(time_s[rows[0]]), float(time_s[rows[-1]]))
            pressures = (float(pressure_mpa[worst]), float(aim_mpa[worst]))
            found.append(PressStop(k, reason, *times, float(held.mean()), *pressures, bool(held[-1])))
    return sorted(found, key=lambda stop: stop.since_s)


def hindrances(
    actuator: ActuatorParams, pressure_mpa: np.ndarray, gap_um: np.ndarray, aim_mpa: np.ndarray
) -> dict[str, np.ndarray]:
    """{reason: rows at which it keeps the press from its aim}; a fixed gap has no aim."""
    if actuator.kind == "pneumatic":
        below = pressure_mpa < aim_mpa - actuator.hysteresis_mpa - actuator.piston_friction_mpa
        return {"at the end of its air supply": below & (aim_mpa > actuator.supply_mpa)}
    if actuator.kind != "stepper":
        return {}
    travel_um, step_um = gap_um - gap_um[0], actuator.um_per_step
    below, above = pressure_mpa < aim_mpa - actuator.deadband_mpa, pressure_mpa > aim_mpa + actuator.deadband_mpa
    return {
        "closed as far as it goes": below & (travel_um <= actuator.gap_min_um + step_um),
        "open as far as it goes": above & (travel_um >= actuator.gap_max_um - step_um),
        "stalled": below & (pressure_mpa >= 0.99 * actuator.stall_mpa),
    }
