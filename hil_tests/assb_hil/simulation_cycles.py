"""A run cycle by cycle: what moved, between which voltages and pressures, and what came back; + charges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan

import numpy as np
from assb_kernels import TruthEvent

from assb_hil.plant_file import PlantFile

COUNTERS = ("charge_ah", "discharge_ah", "charge_wh", "discharge_wh")
CLOSED_FRAC = 0.01  # of the charge that went in: a cycle whose ends are further apart has no coulombic efficiency

Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Cycle:
    """One cycle in figures; voltages of the terminals.

    `efficiency_frac`: the charge that came out and what the units hold more than before, over the charge that went in;
    NaN unless the cycle begins with a charge and closes.
    """

    cycle: int
    begin_s: float
    end_s: float
    charge_ah: float
    discharge_ah: float
    charge_wh: float
    discharge_wh: float
    efficiency_frac: float
    voltage_min_v: float
    voltage_max_v: float
    pressure_min_mpa: float
    pressure_max_mpa: float
    temperature_max_degc: float
    capacity_loss_frac: float
    resistance_growth_frac: float
    events: int


def table_of(columns: Columns, name: str, count: int) -> np.ndarray:
    """rows × cells or stacks."""
    return np.column_stack([columns[f"{name}[{k}]"] for k in range(count)])


def cycles_of(columns: Columns, events: Sequence[TruthEvent], plant: PlantFile, seed: int) -> list[Cycle]:
    """Each cycle's rows go from the last one before it to its own last one."""
    labels, time_s = columns["cycle"], columns["time_s"]
    starts = np.flatnonzero(np.diff(labels, prepend=labels[0] - 1))
    begins, ends = np.maximum(starts - 1, 0), np.append(starts[1:], len(labels)) - 1
    moved = {name: columns[name][ends] - columns[name][begins] for name in COUNTERS}
    held_ah = stored_ah(columns, plant, seed)
    pressures, voltage_v = table_of(columns, "pressure_mpa", max(plant.stack_of) + 1), columns["voltage_v"]
    happened = np.searchsorted(np.sort([event.time_s for event in events]), time_s[ends], side="right")
    hottest_degc, loss_frac, growth_frac = (
        table_of(columns, name, plant.units).max(axis=1)
        for name in ("temperature_degc", "capacity_loss_frac", "resistance_growth_frac")
    )
    figures = {
        "begin_s": time_s[begins],
        "end_s": time_s[ends],
        **moved,
        "efficiency_frac": efficiency(columns, moved, held_ah[ends] - held_ah[begins], begins),
        "voltage_min_v": _of_rows(np.minimum, voltage_v, begins, ends),
        "voltage_max_v": _of_rows(np.maximum, voltage_v, begins, ends),
        "pressure_min_mpa": _of_rows(np.minimum, pressures.min(axis=1), begins, ends),
        "pressure_max_mpa": _of_rows(np.maximum, pressures.max(axis=1), begins, ends),
        "temperature_max_degc": _of_rows(np.maximum, hottest_degc, begins, ends),
        "capacity_loss_frac": loss_frac[ends],
        "resistance_growth_frac": growth_frac[ends],
    }
    counts = np.diff(happened, prepend=0)
    return [
        Cycle(int(labels[end]), events=int(counts[k]), **{name: float(values[k]) for name, values in figures.items()})
        for k, end in enumerate(ends)
    ]


def stored_ah(columns: Columns, plant: PlantFile, seed: int) -> np.ndarray:
    """What the units hold at each row, their mean: SOC counts from 0 to the capacity that is left."""
    fresh_ah = np.array([cell.capacity_ah for cell in plant.cells(seed)])
    left_ah = fresh_ah * (1.0 - table_of(columns, "capacity_loss_frac", plant.units))
    return (table_of(columns, "soc", plant.units) * left_ah).mean(axis=1)


def efficiency(columns: Columns, moved: Columns, gained_ah: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Of each cycle; NaN for one that begins with a discharge, goes one way only, or doesn't close."""
    charges, discharges = (np.diff(columns[name], prepend=columns[name][0]) > 0.0 for name in COUNTERS[:2])
    moving = np.append(np.flatnonzero(charges | discharges), len(charges) - 1)
    first = moving[np.minimum(np.searchsorted(moving, begins + 1), len(moving) - 1)]
    charge_ah, discharge_ah = moved["charge_ah"], moved["discharge_ah"]
    closes = np.abs(gained_ah) <= CLOSED_FRAC * charge_ah
    sound = closes & charges[first] & ~discharges[first] & (charge_ah > 0.0) & (discharge_ah > 0.0)
    return np.divide(discharge_ah + gained_ah, charge_ah, out=np.full(len(begins), nan), where=sound)


def _of_rows(extreme: np.ufunc, values: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The extreme value of each cycle's rows, first and last included."""
    inner = extreme.reduceat(values, np.minimum(begins + 1, len(values) - 1))
    return extreme(extreme(inner, values[begins]), values[ends])
