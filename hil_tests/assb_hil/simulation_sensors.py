"""What the sensors of the bench show of a simulation; each is the one that the rig draws for the same seed."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from assb_kernels import Sensor

from assb_hil.plant_parameters import drawn
from assb_hil.recorder import of_cell
from assb_hil.simulation import Simulation

# (channel, column of the run that it senses, whose that is)
SENSED = (
    ("voltage_v", "voltage_v", "unit"),
    ("current_a", "current_a", "pack"),
    ("pressure_mpa", "pressure_mpa", "stack"),
    ("temperature_degc", "surface_degc", "unit"),
)


def sensed_columns(
    run: Simulation, unit: int, column: Callable[[Simulation, str, str, int], np.ndarray]
) -> dict[str, np.ndarray]:
    """{column of the run: what is shown of it}, one conversion a row; `column` finds one by name and whose it is."""
    places = {"unit": unit, "pack": 0, "stack": run.request.plant.stack_of[unit]}
    return {
        source: sensed(run, channel, places[whose], column(run, source, whose, unit))
        for channel, source, whose in SENSED
    }


def sensed(run: Simulation, channel: str, place: int, truth: np.ndarray) -> np.ndarray:
    """Readings of a column. Rows are too far apart for the sensor to keep what it is late by: it is shown the truth of
    that time ago, on a straight line between rows."""
    seed, name = run.request.seed, of_cell(channel, place)
    params = drawn(run.request.plant.sensors[channel], name, seed)
    late = delayed(run.time_s, truth, params.delay_s)
    sensor = Sensor(replace(params, delay_s=0.0), seed, name)
    between_s = np.diff(run.time_s, prepend=run.time_s[0]).tolist()
    return np.array([sensor.read(value, dt_s) for value, dt_s in zip(late.tolist(), between_s, strict=True)])


def delayed(time_s: np.ndarray, truth: np.ndarray, delay_s: float) -> np.ndarray:
    """The truth delay_s ago; before the first row, that of the first."""
    return truth if delay_s == 0.0 else np.interp(time_s - delay_s, time_s, truth)
