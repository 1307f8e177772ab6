"""Speed of the simulated cell: one step of the full plant beside a bare step of the same run."""

import math
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import Any

from assb_host.config.resample import ZERO_K
from assb_kernels import Pack
from assb_kernels._kernels import ffi, lib

from assb_hil.plant_file import PlantFile, load_plant

BENCH_PLANT = "li_lpscl_nca"
DT_S = 0.1
HOUR_STEPS = 36_000
REPEATS = 200  # the fastest counts: what else the machine does only ever adds
# One hour of US06 in PyBaMM 26's Thevenin model: published figure (2.95 ms a step), measured on 2 vCPU x86-64 in
# November 2026. Another machine's, so a ratio to it says an order of magnitude; `measured_*` is of this run.
PUBLISHED_PYBAMM_THEVENIN_HOUR_MS = 980.0


def drive_current(amplitude_a: float, steps: int = HOUR_STEPS) -> array:
    """A drive-like current of `steps` values, mean near zero: three sines whose periods share no multiple."""
    periods_s = (7.3, 41.0, 311.0)
    return array(
        "d", [amplitude_a * sum(math.sin(math.tau * k * DT_S / period) for period in periods_s) for k in range(steps)]
    )


@dataclass(frozen=True)
class Hour:
    """One hour's steps; `start` puts everything back and is not timed."""

    start: Callable[[], object]
    run: Callable[[], Any]

    def timed_s(self) -> float:
        self.start()
        started_s = perf_counter()
        self.run()
        return perf_counter() - started_s


def measure_plant(repeats: int = REPEATS, steps: int = HOUR_STEPS) -> dict[str, Any]:
    """Time per step of plant and floor in ns, their ratio, and one hour in ms; floor and plant take turns, each hour
    from the same start. `ratio` is of the fastest of both, `ratio_median` that of pairs run next to each other;
    `bridged_ns` is the same drive with a bridge standing, `one_way_ns` an hour of discharge at 1C."""
    plant = load_plant(BENCH_PLANT)
    current_a = drive_current(0.5 * plant.cell.capacity_ah, steps)
    one_way_a = array("d", [-plant.cell.capacity_ah] * steps)
    hours = {
        "floor": floor_hour(plant, current_a),
        "step": plant_hour(plant, current_a),
        "bridged": plant_hour(plant, current_a, bridge_ohm=100.0),
        "one_way": plant_hour(plant, one_way_a, soc=1.0),
    }
    taken_s = {name: [] for name in hours}
    for _ in range(repeats):
        for name, hour in hours.items():
            taken_s[name].append(hour.timed_s())
    best_ns = {name: 1e9 * min(each) / steps for name, each in taken_s.items()}
    hour_ms = best_ns["step"] * HOUR_STEPS * 1e-6
    pairs = zip(taken_s["step"], taken_s["floor"], strict=True)
    return {
        **{f"{name}_ns": round(value, 2) for name, value in best_ns.items()},
        "ratio": round(best_ns["step"] / best_ns["floor"], 3),
        "ratio_median": round(median(step_s / floor_s for step_s, floor_s in pairs), 3),
        "hour_ms": round(hour_ms, 3),
        "published_pybamm_thevenin_x": round(PUBLISHED_PYBAMM_THEVENIN_HOUR_MS / hour_ms, 1),
        **measured_thevenin(hour_ms),
    }


def plant_hour(plant: PlantFile, current_a: array, soc: float = 0.5, bridge_ohm: float | None = None) -> Hour:
    """One cell with voids, filament, ageing, a stack and its regulator; with a bridge that stands from the start and
    does not burn out, if asked for."""
    pack = Pack(plant.cells(), plant.stacks, plant.stack_of, soc=soc, pressure_mpa=plant.limits.pressure_mpa)
    aim_mpa = [plant.limits.pressure_mpa]

    def start() -> None:
        pack.reset(soc, 25.0, plant.limits.pressure_mpa)
        if bridge_ohm is not None:
            filament = pack.memory.arrays["cell"][0].filament
            filament.short_s, filament.deepened_at_s = 1 / bridge_ohm, 2 / bridge_ohm

    return Hour(start, lambda: pack.run(current_a, DT_S, aim_mpa=aim_mpa, results=("voltage_v",)))


def floor_hour(plant: PlantFile, current_a: array) -> Hour:
    """The least that could be called a plant, with figures of the same cell."""
    cell = plant.cell
    areal = cell.se_ohm_cm2 + cell.contact_ohm_cm2
    boltzmann_ev_per_k = 8.617333262e-5
    params = ffi.new(
        "assb_floor_params *",
        {
            "capacity_ah": cell.capacity_ah,
            "ocv_v": list(cell.ocv_v),
            "hysteresis_v": cell.hysteresis_v,
            "hysteresis_rate": cell.hysteresis_rate,
            "r0_ohm": areal / (cell.layers * cell.layer_area_cm2),
            "r0_activation_k": cell.se_activation_ev / boltzmann_ev_per_k,
            "reference_k": cell.reference_k,
            "pressure_mpa": cell.contact_pressure_mpa,
            "pressure_exponent": cell.contact_exponent,
            "rc_ohm": list(cell.rc_ohm[:2]),
            "rc_tau_s": list(cell.rc_tau_s[:2]),
            "heat_j_per_k": cell.core_j_per_k + cell.surface_j_per_k,
            "cooling_w_per_k": cell.surface_ambient_w_per_k,
            "swelling_mpa": 1.0,
        },
    )
    standing = {"soc": 0.5, "temperature_k": 25 + ZERO_K, "pressure_mpa": cell.contact_pressure_mpa}
    start = ffi.new("assb_floor_state *", standing)
    state = ffi.new("assb_floor_state *")
    count = len(current_a)
    voltage_v = array("d", bytes(8 * count))
    held = ffi.from_buffer("double[]", current_a), ffi.from_buffer("double[]", voltage_v, require_writable=True)
    return Hour(
        lambda: ffi.memmove(state, start, ffi.sizeof("assb_floor_state")),
        lambda: lib.assb_floor_run(params, state, held[0], 25 + ZERO_K, held[1], DT_S, count),
    )


def measured_thevenin(hour_ms: float) -> dict[str, float]:
    """The same hour in PyBaMM's Thevenin model, where PyBaMM is installed; else nothing. It gets the current once a
    second and chooses its steps between, which is ten times less to do."""
    try:
        import numpy as np
        import pybamm  # pyright: ignore[reportMissingImports]
    except ImportError:
        return {}
    time_s = np.arange(3601.0)
    current_a = np.asarray(drive_current(1.0, HOUR_STEPS + 1))[::10]
    values = pybamm.ParameterValues("ECM_Example")
    values["Current function [A]"] = pybamm.Interpolant(time_s, current_a, pybamm.t)
    simulation = pybamm.Simulation(pybamm.equivalent_circuit.Thevenin(), parameter_values=values)
    simulation.solve(t_eval=time_s)  # builds the model
    hour = Hour(lambda: None, lambda: simulation.solve(t_eval=time_s))
    seconds = min(hour.timed_s() for _ in range(2))
    return {
        "measured_pybamm_thevenin_ms": round(1000 * seconds, 1),
        "measured_pybamm_thevenin_x": round(1000 * seconds / hour_ms, 1),
    }
