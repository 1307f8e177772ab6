"""Pressure amplitude of three cells in the same stiff frame, each passing the same areal capacity.

The order Li >> graphite > LTO is a published finding (R); the swelling figures of the plants are calculated from
molar volumes (C), so that the order here is a consequence of them and of one frame, not of three fitted numbers.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from assb_hil.plant_file import load_plant

PLANTS = (("li_lpscl_nca", "Li metal"), ("graphite_nmc", "graphite"), ("lto_nmc", "LTO"))
KIND = "published order only; amplitudes are predictions of the model"


@dataclass(frozen=True)
class Setup:
    """One layer of each in a bolted frame whose gap is fixed (0.12 MPa/um, C); currents and cycles assumed."""

    bench: str = "fixed_gap"
    format: str = "pellet"
    areal_mah_cm2: float = 1.8
    current_ma_cm2: float = 0.2
    cycles: int = 3
    start_soc: float = 0.05
    pressure_mpa: float = 5.0
    temperature_degc: float = 25.0
    dt_s: float = 10.0


def stress_table(setup: Setup | None = None, progress: Callable[[float], None] | None = None) -> dict[str, Any]:
    """{"kind", "setup", "rows"}; amplitude_mpa is highest less lowest pressure of the last cycle,
    without what creep took over it."""
    setup = setup or Setup()
    rows = []
    for k, (name, anode) in enumerate(PLANTS):
        rows.append({"plant": name, "anode": anode, **cycled(name, setup)})
        if progress:
            progress((k + 1) / len(PLANTS))
    return {"table": "stress", "kind": KIND, "setup": asdict(setup), "rows": rows}


def cycled(name: str, setup: Setup) -> dict[str, Any]:
    """Pressure over time of one plant, and its amplitude."""
    plant = load_plant(name, format=setup.format, bench=setup.bench, units=1)
    area_cm2 = plant.cell.layers * plant.cell.layer_area_cm2
    half = np.full(round(3600 * setup.areal_mah_cm2 / setup.current_ma_cm2 / setup.dt_s), 1.0)
    wave = 1e-3 * setup.current_ma_cm2 * area_cm2 * np.tile(np.concatenate((half, -half)), setup.cycles)
    pack = plant.pack(
        soc=setup.start_soc, temperature_degc=setup.temperature_degc, pressure_mpa=setup.pressure_mpa, seed=0
    )
    columns = pack.run(
        wave, setup.dt_s, ambient_degc=setup.temperature_degc, results=("soc", "pressure_mpa", "voltage_v")
    )
    pressure_mpa = np.asarray(columns["pressure_mpa"])
    last = pressure_mpa[-(len(wave) // setup.cycles) :]
    swing_mpa = last - np.linspace(last[0], last[-1], len(last))
    every = max(1, len(wave) // 400)
    return {
        "amplitude_mpa": float(np.ptp(swing_mpa)),
        "soc_swing_frac": float(np.ptp(columns["soc"])),
        "time_h": [round(float(x), 4) for x in (np.arange(1, len(wave) + 1) * setup.dt_s / 3600)[::every]],
        "pressure_mpa": [round(float(x), 5) for x in pressure_mpa[::every]],
    }


def lines(table: dict[str, Any]) -> list[str]:
    setup = table["setup"]
    out = [
        f"Pressure amplitude in a fixed gap, {setup['areal_mah_cm2']:g} mAh/cm2 in and out "
        f"at {setup['current_ma_cm2']:g} mA/cm2, from {setup['pressure_mpa']:g} MPa ({table['kind']})",
        "",
        "anode       amplitude MPa   plant",
    ]
    return out + [f"{row['anode']:10}  {row['amplitude_mpa']:13.3f}   {row['plant']}" for row in table["rows"]]


def plot(table: dict[str, Any], axes: Any) -> None:
    for row, colour in zip(table["rows"], ("#c2571a", "#1d4e89", "#3d7a4b"), strict=True):
        axes.plot(
            row["time_h"], row["pressure_mpa"], color=colour, label=f"{row['anode']}: {row['amplitude_mpa']:.2f} MPa"
        )
    axes.set(xlabel="time, h", ylabel="stack pressure, MPa")
    axes.set_title(f"Same frame, same {table['setup']['areal_mah_cm2']:g} mAh/cm²")
    axes.legend(frameon=False)
