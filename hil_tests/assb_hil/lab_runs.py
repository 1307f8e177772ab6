"""What a lab sees of one cell that it was given: runs from full to empty and back, through its bench's sensors."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from assb_host.cell_fit.log_reader import Log
from assb_kernels import AgeingParams, FilamentParams, Pack, ProtocolStep, Sensor, run_protocol

from assb_hil.plant_file import PlantFile
from assb_hil.plant_parameters import drawn, spread

EVERY_S = 20.0  # from row to row
DT_S = 1.0
READ_S = 1.0  # a row is the mean of what was read since the last one, as often as this (assumption)
REST_S = 3 * 3600.0  # what a fast reversal leaves behind is gone by then: twenty of the slowest time constants
PULSE_REST_S = 3600.0  # a few of the slowest time constants
LOAD_FRAC = 0.8  # of what the plant admits, or of 1C if that is less
SENSED = {
    "voltage_v": "voltage_v",
    "current_a": "current_a",
    "temperature_degc": "surface_degc[0]",
    "pressure_mpa": "pressure_mpa[0]",
}
GUARD_TURNS = 2.0  # of the time that the nominal charge takes: no run is longer


def lab_logs(plant: PlantFile, rate_c: float, pulses_to: Sequence[float], seed: int) -> tuple[Log, Log]:
    """Between the voltage limits at the plant's usual temperature, as sensors show them, + charges: a slow charge and
    discharge, then pulses of a load from each SOC in `pulses_to` to the next and back, with rests.

    A slow discharge goes before them, so that each run begins with its hysteresis turned over whole.
    """
    pack = drawn_pack(plant, seed)
    steps = lab_steps(plant, rate_c, pulses_to)
    columns = run_protocol(pack, steps, dt_s=DT_S, every_s=EVERY_S).columns
    column = {name: np.array(values, dtype=float) for name, values in columns.items()}
    slow, pulses = (column["step"] >= 2) & (column["step"] < 6), column["step"] >= 5
    return log_of(plant, "slow", column, slow, seed), log_of(plant, "pulses", column, pulses, seed)


def log_of(plant: PlantFile, what: str, column: dict[str, np.ndarray], rows: np.ndarray, seed: int) -> Log:
    time_s = column["time_s"][rows]
    volts, amperes, degc, mpa = (read(plant, channel, column[name][rows], seed) for channel, name in SENSED.items())
    path = Path(f"{plant.name}-{what}.csv")
    return Log(path, time_s - time_s[0], volts, amperes, degc, pressure_mpa=mpa)


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


def lab_steps(plant: PlantFile, rate_c: float, pulses_to: Sequence[float]) -> list[ProtocolStep]:
    limits, capacity_ah = plant.limits, plant.cell.capacity_ah
    load_c = LOAD_FRAC * min(limits.charge_max_c, limits.discharge_max_c, 1.0)
    end_v = {-1: plant.units * limits.voltage_min_v, 1: plant.units * limits.voltage_max_v}
    air = ProtocolStep(mode="rest", ambient_degc=limits.temperature_degc, aim_mpa=limits.pressure_mpa)
    rest, short_rest = replace(air, until_s=REST_S), replace(air, until_s=PULSE_REST_S)

    def run(sign: int, flow_c: float, share: float = GUARD_TURNS) -> ProtocolStep:
        flow_a, most_s = sign * flow_c * capacity_ah, share * 3600.0 / flow_c
        return replace(air, mode="current", current_a=flow_a, until_s=most_s, until_voltage_v=end_v[sign])

    shares = np.diff(pulses_to).tolist()
    pulses = [run(1, load_c, share) for share in shares] + [run(-1, load_c, share) for share in reversed(shares)]
    slow = [run(-1, rate_c), rest, run(1, rate_c), rest, run(-1, rate_c), rest]
    return slow + [step for pulse in pulses for step in (pulse, short_rest)]


def read(plant: PlantFile, channel: str, truth: np.ndarray, seed: int) -> np.ndarray:
    """Means of the readings of the sensor that the bench draws; what it is late by is nothing from row to row."""
    params = drawn(plant.sensors[channel], channel, seed)
    params = replace(params, delay_s=0.0, noise_rms=params.noise_rms * (READ_S / EVERY_S) ** 0.5)
    sensor = Sensor(params, seed, channel)
    return np.array([sensor.read(value, EVERY_S) for value in truth.tolist()])
