"""Simulated time to short of a Li | Li6PS5Cl | Li cell against stack pressure, beside the published times.

Calibration, not validation: the growth under pressure (creep_per_s, creep_exponent of plants/li_li_symmetric.toml) was
set so that these medians come out. What the table shows is that the law can hold all of them at once, and how they
scatter from seed to seed.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from assb_hil.plant_file import PlantFile, load_plant

PLANT, BENCH = "li_li_symmetric", "spring_pneumatic"  # that press reaches 75 MPa
KIND = "calibration, not validation"
# Doux et al. 2020, doi:10.1002/aenm.201903253: V for 5 MPa, K for the others (from memory, unconfirmed)
PUBLISHED = (
    (5.0, 1000.0, "> 1000 h"),
    (10.0, 474.0, "474 h"),
    (15.0, 272.0, "272 h"),
    (20.0, 190.0, "190 h"),
    (25.0, 48.0, "48 h"),
    (75.0, 0.0, "at once"),
)
CHUNK_H = 48

Progress = Callable[[float], None]  # share done, 0..1


@dataclass(frozen=True)
class Setup:
    """How the cell is cycled. half_cycle_h is an assumption (K): the published text is not at hand."""

    current_ma_cm2: float = 0.075
    half_cycle_h: float = 1.0
    dt_s: float = 20.0
    seeds: int = 200
    censored_at_h: float = 2000.0
    temperature_degc: float = 25.0


def pressure_table(setup: Setup | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """{"kind", "setup", "rows"}; a row has pressure_mpa, median_h, published_h, quartiles and the share censored.

    A median at or beyond `censored_at_h` is that figure, a lower bound, with `median_is_censored`.
    """
    setup = setup or Setup()
    plant = load_plant(PLANT, bench=BENCH)
    rows = []
    for k, (pressure_mpa, published_h, published) in enumerate(PUBLISHED):
        times_h = []
        for seed in range(setup.seeds):
            times_h.append(time_to_short_h(plant, pressure_mpa, seed, setup))
            if progress:
                progress((k + (seed + 1) / setup.seeds) / len(PUBLISHED))
        rows.append(row(pressure_mpa, published_h, published, np.array(times_h), setup))
    return {"table": "pressure", "kind": KIND, "setup": asdict(setup), "rows": rows}


def row(pressure_mpa: float, published_h: float, published: str, times_h: Any, setup: Setup) -> dict[str, Any]:
    low_h, median_h, high_h = (float(x) for x in np.percentile(times_h, (25, 50, 75)))
    return {
        "pressure_mpa": pressure_mpa,
        "median_h": median_h,
        "published_h": published_h,
        "published": published,
        "quartile_low_h": low_h,
        "quartile_high_h": high_h,
        "median_is_censored": median_h >= setup.censored_at_h,
        "censored_frac": float(np.mean(times_h >= setup.censored_at_h)),
        "seeds": len(times_h),
    }


def time_to_short_h(plant: PlantFile, pressure_mpa: float, seed: int, setup: Setup) -> float:
    """Until the first bridge, h; `censored_at_h` if none came by then. Steps run in C, 48 h a call."""
    pack = plant.pack(soc=0.5, temperature_degc=setup.temperature_degc, pressure_mpa=pressure_mpa, seed=seed)
    current_a = square_wave_a(plant, setup)
    while pack.time_s < 3600 * setup.censored_at_h:
        pack.run(current_a, setup.dt_s, ambient_degc=setup.temperature_degc, aim_mpa=[pressure_mpa], results=())
        shorts_s = [event.time_s for event in pack.drain_events() if event.kind == "bridge"]
        if shorts_s:
            return min(shorts_s[0] / 3600, setup.censored_at_h)
    return setup.censored_at_h


def square_wave_a(plant: PlantFile, setup: Setup) -> Any:
    """Whole cycles of strip and plate, about 48 h of them; a column of A."""
    cell = plant.cell
    amplitude_a = 1e-3 * setup.current_ma_cm2 * cell.layers * cell.layer_area_cm2
    half = np.full(round(3600 * setup.half_cycle_h / setup.dt_s), amplitude_a)
    cycles = max(1, round(CHUNK_H / (2 * setup.half_cycle_h)))
    return np.tile(np.concatenate((half, -half)), cycles)


def lines(table: dict[str, Any]) -> list[str]:
    """The table in text."""
    setup = table["setup"]
    out = [
        f"Li | Li6PS5Cl | Li at {1000 * setup['current_ma_cm2']:g} uA/cm2, {setup['temperature_degc']:g} degC: "
        f"median time to the first short of {setup['seeds']} seeds ({table['kind']})",
        f"half cycles of {setup['half_cycle_h']:g} h (assumed), time step {setup['dt_s']:g} s, "
        f"censored at {setup['censored_at_h']:g} h",
        "",
        "pressure MPa   median h    quartiles h          published",
    ]
    for entry in table["rows"]:
        least = ">= " if entry["median_is_censored"] else ""
        quartiles = f"{entry['quartile_low_h']:.4g} .. {entry['quartile_high_h']:.4g}"
        out.append(
            f"{entry['pressure_mpa']:12g}   {least}{entry['median_h']:<8.4g}    {quartiles:19}  {entry['published']}"
        )
    return out


def plot(table: dict[str, Any], axes: Any) -> None:
    """Medians with quartiles and the published times, both axes logarithmic."""
    rows = table["rows"]
    pressure_mpa = [entry["pressure_mpa"] for entry in rows]
    median_h = np.array([entry["median_h"] for entry in rows])
    spread_h = [
        median_h - [entry["quartile_low_h"] for entry in rows],
        np.array([entry["quartile_high_h"] for entry in rows]) - median_h,
    ]
    axes.errorbar(
        pressure_mpa, median_h, spread_h, fmt="o-", capsize=4, color="#1d4e89", label="simulated, median and quartiles"
    )
    known = [entry for entry in rows if entry["published_h"] > 0 and entry["published"][0] != ">"]
    axes.plot(
        [entry["pressure_mpa"] for entry in known],
        [entry["published_h"] for entry in known],
        "x",
        markersize=9,
        color="#c2571a",
        label="published",
    )
    for entry in rows:
        if entry["published"].startswith(">"):
            axes.plot(entry["pressure_mpa"], entry["published_h"], "^", color="#c2571a", label="published: longer than")
        elif entry["published_h"] == 0:
            axes.annotate(
                "published: at once", (entry["pressure_mpa"], entry["median_h"]), (-118, -4), textcoords="offset points"
            )
    axes.set(xscale="log", yscale="log", xlabel="stack pressure, MPa", ylabel="time to short, h")
    axes.set_xticks(pressure_mpa, [f"{value:g}" for value in pressure_mpa])
    axes.minorticks_off()
    axes.set_title(f"Li | Li6PS5Cl | Li, {1000 * table['setup']['current_ma_cm2']:g} µA/cm²: {table['kind']}")
    axes.legend(frameon=False)
