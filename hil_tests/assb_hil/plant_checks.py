"""What must hold between the figures of a plant file; the first thing that does not is raised as ConfigError."""

import math
from pathlib import Path

from assb_host.config.cell import check_length, check_rising
from assb_host.config.errors import ConfigError
from assb_host.config.resample import BOLTZMANN_EV_PER_K, ZERO_K

from assb_hil.plant_figures import BenchTables, PlantTables

REFERENCE_K = 298.15

CURVES = {
    "ocv": ("ocv_v",),
    "entropy": ("v_per_k",),
    "swelling": ("anode_frac", "cathode_frac"),
    "rc": ("factor",),
}


def check_plant(tables: PlantTables, path: Path) -> None:
    for name in CURVES:
        check_curve(tables, name, path)
    check_ocv(tables, path)
    check_swelling(tables, path)
    check_windows(tables, path)
    check_rates(tables, path)
    check_pack(tables, path)


def is_symmetric(tables: PlantTables) -> bool:
    """The same metal on both sides: no OCV of its own, and both sides plate and strip."""
    return tables.voids is not None and tables.voids.both_ways.value > 0


def check_curve(tables: PlantTables, name: str, path: Path) -> None:
    curve = getattr(tables, name)
    if curve is None:
        return
    check_rising(path, f"{name}.soc", curve.soc)
    if curve.soc[0] != 0 or curve.soc[-1] != 1:
        raise ConfigError(path, f"{name}.soc", [curve.soc[0], curve.soc[-1]], "a curve from 0 to 1")
    for column in CURVES[name]:
        check_length(path, f"{name}.{column}", getattr(curve, column), len(curve.soc), f"{name}.soc")


def check_ocv(tables: PlantTables, path: Path) -> None:
    if is_symmetric(tables):
        return
    check_rising(path, "ocv.ocv_v", tables.ocv.ocv_v)
    limits = tables.limits
    low_v, high_v = tables.ocv.ocv_v[0], tables.ocv.ocv_v[-1]
    if not limits.voltage_min_v.value <= low_v < high_v <= limits.voltage_max_v.value:
        allowed = f"voltages inside limits, {limits.voltage_min_v.value:g} .. {limits.voltage_max_v.value:g}"
        raise ConfigError(path, "ocv.ocv_v", [low_v, high_v], allowed)
    if tables.rc is not None and min(tables.rc.factor) <= 0:
        raise ConfigError(path, "rc.factor", min(tables.rc.factor), "factors above 0")


def check_swelling(tables: PlantTables, path: Path) -> None:
    """Shares run from 0 to 1; on charge an anode takes lithium up and a cathode gives it away."""
    anode_um = tables.cell.anode_um_per_mah_cm2.value
    if anode_um < 0:
        raise ConfigError(path, "cell.anode_um_per_mah_cm2", anode_um, "0 or more: it takes up lithium on charge")
    cathode_um = tables.cell.cathode_um_per_mah_cm2.value
    if cathode_um > 0:
        raise ConfigError(path, "cell.cathode_um_per_mah_cm2", cathode_um, "0 or less: it gives lithium up on charge")
    if tables.swelling is None:
        return
    for column in CURVES["swelling"]:
        share = getattr(tables.swelling, column)
        if share[0] != 0 or share[-1] != 1:
            raise ConfigError(path, f"swelling.{column}", [share[0], share[-1]], "0 at SOC 0 and 1 at SOC 1")


def check_windows(tables: PlantTables, path: Path) -> None:
    for keys in (
        ("voltage_min_v", "voltage_max_v"),
        ("pressure_min_mpa", "pressure_mpa", "pressure_max_mpa"),
        ("temperature_min_degc", "temperature_degc", "temperature_max_degc"),
    ):
        values = [getattr(tables.limits, key).value for key in keys]
        if not (values == sorted(values) and values[0] < values[-1]):
            raise ConfigError(path, f"limits.{keys[-1]}", values, " <= ".join(keys))
    floor_mpa = tables.cell.contact_floor_mpa.value
    if floor_mpa >= tables.limits.pressure_min_mpa.value:
        raise ConfigError(path, "cell.contact_floor_mpa", floor_mpa, "less than limits.pressure_min_mpa")


def strip_limit_ma_cm2(tables: PlantTables, pressure_mpa: float) -> float:
    """Critical stripping current; inf where there is no lithium to strip."""
    voids = tables.voids
    if voids is None:
        return math.inf
    return voids.strip_ma_cm2.value * (pressure_mpa / voids.strip_pressure_mpa.value) ** voids.strip_exponent.value


def plate_limit_ma_cm2(tables: PlantTables, pressure_mpa: float, temperature_degc: float) -> float:
    """Critical current density for plating; inf where no filament can grow."""
    law = tables.filament
    if law is None:
        return math.inf
    per_ev = (1 / REFERENCE_K - 1 / (temperature_degc + ZERO_K)) / BOLTZMANN_EV_PER_K
    by_pressure = (pressure_mpa / law.pressure_mpa.value) ** law.ccd_pressure_exponent.value
    return law.ccd_ma_cm2.value * by_pressure * math.exp(law.ccd_activation_ev.value * per_ev)


def check_rates(tables: PlantTables, path: Path) -> None:
    """What may flow for hours stays below what strips and plates evenly, at the usual pressure, when it is cold."""
    limits, areal = tables.limits, tables.cell.areal_capacity_mah_cm2.value
    pressure_mpa = limits.pressure_mpa.value
    strip = strip_limit_ma_cm2(tables, pressure_mpa)
    plate = plate_limit_ma_cm2(tables, pressure_mpa, limits.temperature_min_degc.value)
    plating = {"charge_max_c": plate, "discharge_max_c": strip}
    if is_symmetric(tables):
        plating = dict.fromkeys(plating, min(strip, plate))
    for key, most in plating.items():
        rate_c = getattr(limits, key).value
        if rate_c * areal > most:
            allowed = f"up to {most / areal:.3g}: {most:.3g} mA/cm2 at {pressure_mpa:g} MPa"
            raise ConfigError(path, f"limits.{key}", rate_c, allowed, "lithium would leave voids or grow filaments")


def check_pack(tables: PlantTables, path: Path) -> None:
    pack = tables.pack
    if pack.stacks.value > pack.units.value:
        raise ConfigError(path, "pack.stacks", pack.stacks.value, f"at most pack.units, {pack.units.value}")


def check_bench(tables: BenchTables, path: Path) -> None:
    if tables.pneumatic is not None and tables.stepper is not None:
        raise ConfigError(path, "stepper", "this table", "either [pneumatic] or [stepper]: one thing moves the gap")
    if sum(tables.stack.viscous_frac.value) >= 1:
        raise ConfigError(path, "stack.viscous_frac", tables.stack.viscous_frac.value, "shares below 1 together")


def reach_mpa(tables: BenchTables) -> float:
    """What this bench can press a cell to; a bolted frame is closed at any pressure."""
    if tables.pneumatic is not None:
        return min(tables.pneumatic.supply_mpa.value, tables.pneumatic.full_scale_mpa.value)
    return math.inf if tables.stepper is None else tables.stepper.stall_mpa.value
