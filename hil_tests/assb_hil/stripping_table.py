"""Critical stripping current from a simulated experiment: strip/plate cycles at a current that rises until the
polarisation keeps growing from cycle to cycle.

Calibration, not validation: the law of voids was given the two published currents (plants/li_li_symmetric.toml). The
experiment shows that they come out again the way a laboratory would find them: out of voltages, with filaments,
heating and relaxation going on at the same time.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from assb_hil.plant_file import PlantFile, load_plant

PLANT, BENCH = "li_li_symmetric", "spring_pneumatic"
KIND = "calibration, not validation"
PUBLISHED = ((3.0, 0.2), (7.0, 1.0))  # MPa, mA/cm2; K: Kasemchainan et al. 2019, doi:10.1038/s41563-019-0438-9


@dataclass(frozen=True)
class Setup:
    """The ramp; all of it assumed."""

    first_ma_cm2: float = 0.05
    rise_ma_cm2: float = 0.01
    last_ma_cm2: float = 1.5
    cycles: int = 4
    half_cycle_h: float = 0.5
    dt_s: float = 10.0
    grows_frac: float = 1e-4  # of the polarisation, from each cycle to the next
    temperature_degc: float = 25.0


def stripping_table(setup: Setup | None = None, progress: Callable[[float], None] | None = None) -> dict[str, Any]:
    """{"kind", "setup", "rows"}; a row has the critical current and the polarisation of every cycle until then."""
    setup = setup or Setup()
    plant = load_plant(PLANT, bench=BENCH)
    rows = []
    for k, (pressure_mpa, published_ma_cm2) in enumerate(PUBLISHED):
        rows.append({"published_ma_cm2": published_ma_cm2, **ramp(plant, pressure_mpa, setup)})
        if progress:
            progress((k + 1) / len(PUBLISHED))
    return {"table": "stripping", "kind": KIND, "setup": asdict(setup), "rows": rows}


def ramp(plant: PlantFile, pressure_mpa: float, setup: Setup) -> dict[str, Any]:
    """One cell from the lowest current up; critical_ma_cm2 is None if the polarisation never kept growing."""
    area_cm2 = plant.cell.layers * plant.cell.layer_area_cm2
    pack = plant.pack(soc=0.5, temperature_degc=setup.temperature_degc, pressure_mpa=pressure_mpa, seed=0)
    half = np.ones(round(3600 * setup.half_cycle_h / setup.dt_s))
    wave = np.tile(np.concatenate((half, -half)), setup.cycles)
    currents, cycles_ohm_cm2, critical_ma_cm2 = [], [], None
    steps = round((setup.last_ma_cm2 - setup.first_ma_cm2) / setup.rise_ma_cm2)
    for current_ma_cm2 in np.linspace(setup.first_ma_cm2, setup.last_ma_cm2, steps + 1):
        current_a = 1e-3 * float(current_ma_cm2) * area_cm2
        voltage_v = pack.run(
            current_a * wave,
            setup.dt_s,
            ambient_degc=setup.temperature_degc,
            aim_mpa=[pressure_mpa],
            results=("voltage_v",),
        )["voltage_v"]
        ohm_cm2 = polarisation_ohm_cm2(np.asarray(voltage_v), current_a, setup.cycles) * area_cm2
        currents.append(round(float(current_ma_cm2), 6))
        cycles_ohm_cm2.append([round(float(x), 4) for x in ohm_cm2])
        if keeps_growing(ohm_cm2, setup.grows_frac):
            critical_ma_cm2 = currents[-1]
            break
    return {
        "pressure_mpa": pressure_mpa,
        "critical_ma_cm2": critical_ma_cm2,
        "theta": pack.cells[0].theta,
        "current_ma_cm2": currents,
        "cycles_ohm_cm2": cycles_ohm_cm2,
    }


def polarisation_ohm_cm2(voltage_v: Any, current_a: float, cycles: int) -> Any:
    """Half the difference of the voltages at the ends of both half cycles over the current, ohm, of each cycle."""
    ends = voltage_v.reshape(cycles, 2, -1)[:, :, -1]
    return (ends[:, 0] - ends[:, 1]) / (2 * current_a)


def keeps_growing(values: Any, grows_frac: float) -> bool:
    """Every cycle but the first, which still warms up and relaxes, shows more than the one before it."""
    return bool(np.all(np.diff(values[1:]) > grows_frac * values[1:-1]))


def lines(table: dict[str, Any]) -> list[str]:
    setup = table["setup"]
    out = [
        f"Critical stripping current of Li | Li6PS5Cl | Li ({table['kind']})",
        f"{setup['cycles']} cycles of 2 x {setup['half_cycle_h']:g} h at each current, {setup['rise_ma_cm2']:g} mA/cm2 "
        f"apart, time step {setup['dt_s']:g} s (all assumed)",
        "",
        "pressure MPa   polarisation keeps growing from mA/cm2   published mA/cm2",
    ]
    for row in table["rows"]:
        seen = "never" if row["critical_ma_cm2"] is None else f"{row['critical_ma_cm2']:.2f}"
        out.append(f"{row['pressure_mpa']:12g}   {seen:>38}   {row['published_ma_cm2']:16g}")
    return out


def plot(table: dict[str, Any], axes: Any) -> None:
    for row, colour in zip(table["rows"], ("#1d4e89", "#c2571a"), strict=True):
        cycles = len(row["cycles_ohm_cm2"][0])
        at = np.repeat(row["current_ma_cm2"], cycles) + np.tile(
            np.arange(cycles) / cycles * table["setup"]["rise_ma_cm2"], len(row["current_ma_cm2"])
        )
        axes.plot(
            at,
            np.ravel(row["cycles_ohm_cm2"]),
            ".-",
            ms=3,
            color=colour,
            label=f"{row['pressure_mpa']:g} MPa, simulated",
        )
        axes.axvline(row["published_ma_cm2"], color=colour, ls=":", label=f"{row['pressure_mpa']:g} MPa, published")
    axes.set(xlabel="current, mA/cm²", ylabel="polarisation of each cycle, Ω cm²")
    axes.set_title(f"Critical stripping current: {table['kind']}")
    axes.legend(frameon=False)
