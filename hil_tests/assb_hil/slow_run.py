"""What a lab sees of one cell that it was given: slow runs from full to empty and back, through its bench's sensors."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from assb_host.cell_fit.log_reader import Log
from assb_kernels import AgeingParams, FilamentParams, Pack, ProtocolStep, Sensor, run_protocol

from assb_hil.plant_file import PlantFile
from assb_hil.plant_parameters import drawn, spread

EVERY_S = 60.0  # from row to row
DT_S = 1.0
READ_S = 1.0  # a row is the mean of what was read since the last one, as often as this (assumption)
REST_S = 3 * 3600.0  # what a fast reversal leaves behind is gone by then: twenty of the slowest time constants
GUARD_TURNS = 2.0  # of the time that the nominal charge takes: no run is longer


def slow_log(plant: PlantFile, rate_c: float, seed: int) -> Log:
    """A charge and a discharge between the voltage limits at the plant's usual temperature, as sensors show it.

    Positive current charges. A discharge goes before them, so that each begins with its hysteresis turned over whole.
    """
    pack = drawn_pack(plant, seed)
    steps = slow_steps(plant, rate_c)
    columns = run_protocol(pack, steps, dt_s=DT_S, every_s=EVERY_S).columns
    shown = np.array(columns["step"]) >= 2
    column = {name: np.array(values, dtype=float)[shown] for name, values in columns.items()}
    return Log(
        path=Path(f"{plant.name}-slow.csv"),
        time_s=column["time_s"] - column["time_s"][0],
        voltage_v=read(plant, "voltage_v", column["voltage_v"], seed),
        current_a=read(plant, "current_a", column["current_a"], seed),
        temperature_degc=read(plant, "temperature_degc", column["surface_degc[0]"], seed),
        pressure_mpa=read(plant, "pressure_mpa", column["pressure_mpa[0]"], seed),
    )


def drawn_pack(plant: PlantFile, seed: int) -> Pack:
    """The unit that this seed draws; in one package all are as that one. Sound, by assumption: formed, so that
    it does not age within these eight days, and no filament grows."""
    cell = spread(plant.cell, plant.tables.pack, plant.name, seed, unit=0)
    sound = [replace(cell, ageing=AgeingParams(), filament=FilamentParams())] * plant.units
    limits = plant.limits
    return Pack(
        sound,
        plant.stacks,
        plant.stack_of,
        soc=1.0,
        temperature_degc=limits.temperature_degc,
        pressure_mpa=limits.pressure_mpa,
        seed=seed,
    )


def slow_steps(plant: PlantFile, rate_c: float) -> list[ProtocolStep]:
    limits = plant.limits
    air = ProtocolStep(mode="rest", ambient_degc=limits.temperature_degc, aim_mpa=limits.pressure_mpa)
    rest = replace(air, until_s=REST_S)
    run = replace(air, mode="current", until_s=GUARD_TURNS * 3600.0 / rate_c)
    flow_a = rate_c * plant.cell.capacity_ah
    down = replace(run, current_a=-flow_a, until_voltage_v=plant.units * limits.voltage_min_v)
    up = replace(run, current_a=flow_a, until_voltage_v=plant.units * limits.voltage_max_v)
    return [down, rest, up, rest, down, rest]


def read(plant: PlantFile, channel: str, truth: np.ndarray, seed: int) -> np.ndarray:
    """Means of the readings of the sensor that the bench draws; what it is late by is nothing from row to row."""
    params = drawn(plant.sensors[channel], channel, seed)
    params = replace(params, delay_s=0.0, noise_rms=params.noise_rms * (READ_S / EVERY_S) ** 0.5)
    sensor = Sensor(params, seed, channel)
    return np.array([sensor.read(value, EVERY_S) for value in truth.tolist()])
