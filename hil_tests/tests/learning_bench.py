"""Ten cycles of a plant that ages fast, seen through sensors with errors, and what an estimator learns from them."""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from assb_hil.plant_file import PlantFile, load_plant
from assb_host.config import build_config, load_pack
from assb_kernels import Estimator, Learning, ProtocolStep, run_protocol

VOLTAGE_NOISE_V = 0.002
OFFSET_A_PER_AH = 0.005 / 2.9  # 5 mA on a cell of 2.9 Ah, scaled to the cell at hand
RESULTS = ("soc", "soc_sigma", "r0_ohm", "resistance_scale", "resistance_sigma", "capacity_scale", "capacity_sigma")


@dataclass(frozen=True)
class Sensors:
    """Errors of the current sensor, as shares of 0.2 % and of 5 mA scaled."""

    gain: float = 1.0
    offset: float = 1.0
    seed: int = 1


SENSORS = Sensors()


@dataclass(frozen=True)
class Use:
    """How a cell is cycled. pulses: shares of the discharge current, 20 s each."""

    loss: float = 0.1
    cycles: int = 10
    share: float = 0.8  # of the plant's admissible current, or of 1C if that is less
    rest_s: float = 2400.0
    pulses: tuple[float, ...] = (1.0, 0.4, 1.0, 0.0)
    span_frac: float = math.inf  # of the capacity, each half
    short_ohm: float = 0.0  # injected, 0: none
    dt_s: float = 1.0


USE = Use()


@dataclass(frozen=True)
class Run:
    """A plant's truth, and the columns that learning gave of it."""

    plant: PlantFile
    time_s: np.ndarray
    capacity_ah: np.ndarray
    r0_ohm: np.ndarray
    soc: np.ndarray
    told: dict[str, np.ndarray]
    learning: Learning

    @property
    def nominal_ah(self) -> float:
        return self.learning.estimator.flat[0]

    @property
    def capacity_error(self) -> np.ndarray:
        """Relative to the truth."""
        return self.told["capacity_scale"] * self.nominal_ah / self.capacity_ah - 1.0

    @property
    def r0_error(self) -> np.ndarray:
        return self.told["r0_ohm"] / self.r0_ohm - 1.0

    @property
    def soc_error(self) -> np.ndarray:
        """Against the truth within 0..1, which is all that the estimator can say."""
        return self.told["soc"] - np.clip(self.soc, 0.0, 1.0)

    def worst_sigmas(self) -> dict[str, float]:
        """Largest error in its own sigmas, after the first ten minutes."""
        told = self.told
        capacity = self.capacity_error * self.capacity_ah / self.nominal_ah / told["capacity_sigma"]
        r0 = self.r0_error * told["resistance_scale"] / told["resistance_sigma"]
        errors = {"capacity": capacity, "r0": r0, "soc": self.soc_error / told["soc_sigma"]}
        return {name: float(np.abs(values[600:]).max()) for name, values in errors.items()}


def cycle_steps(plant: PlantFile, cycle: int, use: "Use") -> list[ProtocolStep]:
    """Charge, rest, discharge in pulses, rest; each half ends at the plant's voltage limits or after use.span_frac."""
    limits, one_c_a = plant.limits, plant.cell.capacity_ah
    charge_a = use.share * min(limits.charge_max_c, 1.0) * one_c_a
    pulses = -use.share * min(limits.discharge_max_c, 1.0) * one_c_a * np.repeat(use.pulses, 20)
    ends = {"until_s": 1e6, "until_ah": use.span_frac * one_c_a, "cycle": cycle}
    return [
        ProtocolStep("current", charge_a, until_voltage_v=limits.voltage_max_v, **ends),
        ProtocolStep("rest", until_s=use.rest_s, cycle=cycle),
        ProtocolStep("drive", drive_a=pulses, drive_dt_s=1.0, until_voltage_v=limits.voltage_min_v, **ends),
        ProtocolStep("rest", until_s=use.rest_s, cycle=cycle),
    ]


@cache
def cycled(name: str, use: Use = USE) -> tuple[PlantFile, dict[str, np.ndarray]]:
    """The plant's columns, use.dt_s apart; ageing is scaled so that use.loss of the capacity is lost in the cycles."""
    changes = {"ageing.cycle_frac_per_rt_cycle": use.loss / use.cycles**0.5, "ageing.cycle_exponent": 0.5}
    plant = load_plant(name, units=1, changes=changes)
    pack = plant.pack(0.3, seed=1)
    steps = [ProtocolStep("rest", until_s=10.0)]
    steps += [step for k in range(use.cycles) for step in cycle_steps(plant, k + 1, use)]
    short_s = [1.0 / use.short_ohm] if use.short_ohm else None
    result = run_protocol(pack, steps, dt_s=use.dt_s, every_s=use.dt_s, short_s=short_s)
    assert result.ended == "finished", result.detail
    columns = {key: np.array(values) for key, values in result.columns.items()}
    kept = np.diff(columns["time_s"], prepend=-1.0) > 1e-6
    return plant, {key: values[kept] for key, values in columns.items()}


def learned(name: str, sensors: Sensors = SENSORS, use: Use = USE, precision: str = "f32") -> Run:
    """What is learned of `cycled(name, use)` with the shipped profile."""
    plant, true = cycled(name, use)
    noise = np.random.default_rng(sensors.seed)
    dt_s = np.diff(true["time_s"], prepend=true["time_s"][0] - use.dt_s)
    count = len(dt_s)
    volts = true["voltage_v"] + noise.normal(0.0, VOLTAGE_NOISE_V, count)
    offset_a = sensors.offset * OFFSET_A_PER_AH * plant.cell.capacity_ah
    amperes = true["current_a"] * (1.0 + 0.002 * sensors.gain) + offset_a
    degc = true["surface_degc[0]"] + noise.normal(0.0, 0.01, count)
    mpa = true["pressure_mpa[0]"] + noise.normal(0.0, 0.002, count)
    learning = Learning(Estimator(build_config(load_pack(name)).estimator, precision))
    learning.estimator.reset(learning.estimator.rested_soc(volts[0], degc[0]), 0.1)
    real = np.float32 if precision == "f32" else np.float64
    told = learning.run(*(np.asarray(v, real) for v in (volts, amperes, degc, mpa, dt_s)), (*RESULTS, "status"))
    assert not any(told["status"])
    return Run(
        plant,
        true["time_s"],
        plant.cell.capacity_ah * (1.0 - true["capacity_loss_frac[0]"]),
        true["r0_ohm[0]"],
        true["soc[0]"],
        {key: np.array(values, dtype=float) for key, values in told.items()},
        learning,
    )
