"""docs/cells/NAME.svg: OCV, R0(T, P) and swelling of a simulated cell, with what the firmware believes as dots.

A picture carries a hash of what it shows; it is stale when the plant would show something else. Its bytes may differ
from machine to machine, with the version of matplotlib.
"""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import cells_page
import numpy as np
from assb_hil.plant_file import PlantFile, load_plant, plant_names
from assb_host.config.resample import over_temperature_and_pressure

DRAWING = 1  # count up when the drawing changes, so that every picture is drawn again
SOC = np.linspace(0, 1, 41)


def panels(name: str) -> dict:
    """What the picture shows, rounded so that every machine has the same digits."""
    plant = load_plant(name)
    return {"drawing": DRAWING, "ocv": ocv(plant), "r0": r0(plant), "swelling": swelling(plant), "dots": dots(name)}


def rounded(values) -> list[float]:
    return [float(f"{value:.5g}") for value in values]


def ocv(plant: PlantFile) -> dict:
    """Volts at the usual temperature over SOC, middle and half gap of the hysteresis."""
    cell = plant.pack().cells[0]
    middle = [cell.ocv_at_v(float(soc), plant.limits.temperature_degc) for soc in SOC]
    window = [plant.limits.voltage_min_v, plant.limits.voltage_max_v]
    return {"v": rounded(middle), "half_gap_v": plant.cell.hysteresis_v, "window_v": window}


def r0(plant: PlantFile) -> dict:
    """Ohm cm2 over pressure at the coldest, the usual and the hottest."""
    limits, cell = plant.limits, plant.cell
    area_cm2 = cell.layers * cell.layer_area_cm2
    view = plant.pack().cells[0]
    mpa = np.geomspace(limits.pressure_min_mpa / 2, limits.pressure_max_mpa * 1.2, 25)
    degc = [limits.temperature_min_degc, limits.temperature_degc, limits.temperature_max_degc]
    lines = [rounded(area_cm2 * view.r0_at_ohm(t, float(p)) for p in mpa) for t in degc]
    window = [limits.pressure_min_mpa, limits.pressure_mpa, limits.pressure_max_mpa]
    return {"mpa": rounded(mpa), "degc": degc, "ohm_cm2": lines, "window_mpa": window}


def swelling(plant: PlantFile) -> dict:
    """Micrometres of one layer over SOC, electrode by electrode."""
    tables = plant.tables
    areal = tables.cell.areal_capacity_mah_cm2.value
    curves = tables.swelling
    soc = curves.soc if curves else [0.0, 1.0]
    shares = (curves.anode_frac, curves.cathode_frac) if curves else (soc, soc)
    sizes = (tables.cell.anode_um_per_mah_cm2.value, tables.cell.cathode_um_per_mah_cm2.value)
    return {
        key: rounded(areal * size * share for share in np.interp(SOC, soc, of))
        for key, size, of in zip(("anode_um", "cathode_um"), sizes, shares, strict=True)
    }


def dots(name: str) -> dict:
    """Believed OCV of one unit, and believed R0 at the usual temperature in ohm cm2."""
    cell = cells_page.believed(name)
    if cell is None:
        return {}
    plant = load_plant(name)
    mpa = [value for value in cell.r0.pressure_mpa if value >= plant.limits.pressure_min_mpa / 2]
    mpa = [value for value in mpa if value <= plant.limits.pressure_max_mpa * 1.2]
    r0 = cell.r0
    usual = over_temperature_and_pressure(
        r0.temperature_degc, r0.pressure_mpa, r0.ohm, [plant.limits.temperature_degc], mpa
    )
    scale = plant.cell.layers * plant.cell.layer_area_cm2 / plant.units
    return {
        "soc": cell.ocv.soc,
        "ocv_v": rounded(v / plant.units for v in cell.ocv.voltage_v),
        "mpa": mpa,
        "ohm_cm2": rounded(ohm * scale for ohm in usual[0]),
    }


def digest(name: str) -> str:
    text = json.dumps(panels(name), sort_keys=True)
    return "data " + hashlib.sha256(text.encode()).hexdigest()[:16]


def stale(docs: Path) -> list[str]:
    """Pictures that are missing or show something else than the plants now."""
    found = []
    for name in plant_names():
        path = docs / "cells" / f"{name}.svg"
        if not path.is_file() or digest(name) not in path.read_text(encoding="utf-8"):
            found.append(f"cells/{name}.svg")
    return found


def write(docs: Path, picture: str) -> None:
    name = Path(picture).stem
    (docs / "cells").mkdir(exist_ok=True)
    draw(name, docs / picture)


def draw(name: str, path: Path) -> None:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    shown = panels(name)
    settings: dict[Any, Any] = {
        "svg.hashsalt": "assb",
        "svg.fonttype": "none",
        "font.size": 8,
        "axes.grid": True,
        "grid.alpha": 0.3,
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=(9.6, 2.9), layout="constrained")
        left, middle, right = figure.subplots(1, 3)
        draw_ocv(left, shown["ocv"], shown["dots"])
        draw_r0(middle, shown["r0"], shown["dots"])
        draw_swelling(right, shown["swelling"])
        figure.savefig(path, metadata={"Date": None, "Description": digest(name)})
    path.write_text(shortened(path.read_text(encoding="utf-8")), encoding="utf-8")


def shortened(svg: str) -> str:
    """A third of the bytes are digits behind a hundredth of a point, and blanks."""
    lines = (line.strip() for line in svg.splitlines())
    return re.sub(r"(\d\.\d\d)\d+", r"\1", "\n".join(line for line in lines if line)) + "\n"


def draw_ocv(axes, curve: dict, seen: dict) -> None:
    volts, half = np.array(curve["v"]), curve["half_gap_v"]
    axes.fill_between(SOC, volts - half, volts + half, alpha=0.25, label="hysteresis")
    axes.plot(SOC, volts, label="OCV of one unit")
    if seen:
        axes.plot(seen["soc"], seen["ocv_v"], "k.", markersize=3, label="believed")
    for limit_v in curve["window_v"]:
        axes.axhline(limit_v, color="tab:red", linewidth=0.7, linestyle="--")
    axes.set(xlabel="SOC", ylabel="V", title="Open-circuit voltage")
    axes.legend(loc="lower right", fontsize=7)


def draw_r0(axes, curve: dict, seen: dict) -> None:
    for degc, line in zip(curve["degc"], curve["ohm_cm2"], strict=True):
        axes.loglog(curve["mpa"], line, label=f"{degc:g} °C")
    if seen:
        axes.plot(seen["mpa"], seen["ohm_cm2"], "k.", markersize=3, label=f"believed, {curve['degc'][1]:g} °C")
    low_mpa, usual_mpa, high_mpa = curve["window_mpa"]
    axes.axvspan(low_mpa, high_mpa, alpha=0.08)
    axes.axvline(usual_mpa, linewidth=0.7, linestyle="--")
    plain_ticks(axes.xaxis, curve["mpa"])
    plain_ticks(axes.yaxis, [min(curve["ohm_cm2"][-1]) / 3, *curve["ohm_cm2"][0]])
    axes.set(xlabel="stack pressure, MPa", ylabel="Ω·cm²", title="R0 (window shaded)")
    axes.set_ylim(bottom=min(curve["ohm_cm2"][-1]) / 3)  # room for the legend
    axes.legend(fontsize=7, loc="lower center", ncols=2)


def plain_ticks(axis, values) -> None:
    """1, 2, 5, 10 … in plain figures on a logarithmic axis, whatever its span."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    steps = [digit * 10.0**power for power in range(-3, 4) for digit in (1, 2, 5)]
    inside = [step for step in steps if min(values) * 0.9 <= step <= max(values) * 1.1]
    axis.set_major_locator(FixedLocator(inside))
    axis.set_major_formatter(FuncFormatter(lambda value, _position: f"{value:g}"))
    axis.set_minor_locator(NullLocator())


def draw_swelling(axes, curve: dict) -> None:
    anode, cathode = np.array(curve["anode_um"]), np.array(curve["cathode_um"])
    axes.plot(SOC, anode, label="anode")
    axes.plot(SOC, cathode, label="cathode")
    axes.plot(SOC, anode + cathode, "k", label="both")
    axes.set(xlabel="SOC", ylabel="µm", title="Swelling of one layer")
    axes.legend(fontsize=7)
