"""What the estimator's speed is measured on: one cell's parameters, and a drive that its own model answers."""

import math
import random
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from assb.estimation import flat_layout
from assb.estimation import parameters as layout
from assb_host.config.image_builder import estimator_values
from assb_host.config.pack import load_pack
from assb_host.config.resample import over_temperature_and_pressure
from assb_kernels import Estimator

from assb_hil.plant_bench import DT_S, drive_current

BENCH_PACK = "li_lpscl_nca"
STEPS = 10_000
START_SOC, START_SIGMA = 0.5, 0.02
NOISE_V = 0.001
# even steps: the floor finds its place on an axis by one multiplication
PRESSURE_MPA = np.linspace(1.0, 10.0, layout.PRESSURE_POINTS)


@dataclass(frozen=True)
class Drive:
    """`flat` in the estimator's layout, and columns of equal length; dt_s is the same in every row."""

    flat: list[float]
    voltage_v: array
    current_a: array
    temperature_degc: array
    pressure_mpa: array
    dt_s: array

    def columns(self, code: str) -> list[array]:
        """In the order of the kernel's columns, as C type `code` ('f' or 'd')."""
        given = (self.voltage_v, self.current_a, self.temperature_degc, self.pressure_mpa, self.dt_s)
        return [array(code, column) for column in given]

    def rows(self) -> Iterator[tuple[float, ...]]:
        return zip(*self.columns("d"), strict=True)


def bench_parameters() -> list[float]:
    """The estimator's parameters of the pack, its R0 on an even axis of pressure."""
    pack = load_pack(BENCH_PACK)
    values = estimator_values(pack)
    r0 = pack.cell.r0
    axis_degc = values["r0_temperature_degc"]
    ohm = over_temperature_and_pressure(r0.temperature_degc, r0.pressure_mpa, r0.ohm, axis_degc, PRESSURE_MPA)
    return flat_layout.pack(values | {"r0_pressure_mpa": PRESSURE_MPA, "r0_ohm": ohm.ravel()})


def bench_drive(steps: int = STEPS) -> Drive:
    """Current of three sines, half a C each; temperature and pressure move a little with every sample; the voltage is
    the model's own with NOISE_V rms on it, so that a filter started at START_SOC gates nothing. Seeded."""
    flat = bench_parameters()
    current_a = drive_current(0.5 * flat[0], steps)
    warm_degc = array("d", [25 + 3 * math.sin(k / 4000) + 0.05 * math.sin(k / 7) for k in range(steps)])
    pressed_mpa = array("d", [5 + 0.4 * math.sin(k / 900) + 0.02 * math.sin(k / 5) for k in range(steps)])
    voltage_v = answered(flat, current_a, warm_degc, pressed_mpa)
    return Drive(flat, voltage_v, current_a, warm_degc, pressed_mpa, array("d", [DT_S]) * steps)


def answered(flat: list[float], current_a: array, temperature_degc: array, pressure_mpa: array) -> array:
    """Voltage of a cell that is what the filter believes, measured at the end of each step."""
    cell, noise = Estimator(flat, "f64"), random.Random(4)
    cell.reset(START_SOC, START_SIGMA)
    believed = cell.c_params
    ocv_v = list(believed.ocv_v)
    voltage_v = array("d")
    for amps, degc, mpa in zip(current_a, temperature_degc, pressure_mpa, strict=True):
        cell.predict(amps, degc, mpa, DT_S)
        place = cell.soc * (layout.OCV_POINTS - 1)
        knot = min(int(place), layout.OCV_POINTS - 2)
        open_v = ocv_v[knot] + (place - knot) * (ocv_v[knot + 1] - ocv_v[knot])
        open_v += believed.entropy_v_per_k * (degc - believed.ocv_temperature_degc)
        polarised_v = cell.hysteresis_v + cell.v1_v + cell.v2_v + cell.r0_ohm * amps
        voltage_v.append(open_v + polarised_v + noise.gauss(0, NOISE_V))
    return voltage_v
