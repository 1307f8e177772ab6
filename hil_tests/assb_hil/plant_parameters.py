"""Tables of the plant files as parameters of the simulation: an area becomes a cell, a spread a draw."""

import random
from dataclasses import replace
from typing import Any

import msgspec
from assb_kernels import (
    ActuatorParams,
    AgeingParams,
    CellParams,
    CyclerParams,
    FilamentParams,
    SensorParams,
    StackParams,
    VoidParams,
    ocv_table,
)

from assb_hil.plant_figures import BenchTables, FormatTables, PackTable, PlantTables, SensorSpec, Shape


def figures(table: msgspec.Struct) -> dict[str, Any]:
    """{key: value} of a table of figures."""
    return {name: getattr(table, name).value for name in table.__struct_fields__}


def shaped(tables: PlantTables, format_name: str, format: FormatTables) -> dict[str, Any]:
    """Figures of the format, with those that the plant has otherwise."""
    own = getattr(tables, format_name, None)
    values = {name: value for name, value in format_figures(format).items()}
    if isinstance(own, Shape):
        values |= {name: figure.value for name in own.__struct_fields__ if (figure := getattr(own, name)) is not None}
    return values


def format_figures(format: FormatTables) -> dict[str, Any]:
    return {name: getattr(format, name).value for name in format.__struct_fields__ if name != "description"}


def cell_params(tables: PlantTables, shape: dict[str, Any]) -> CellParams:
    """One unit: areas times layers; the separator's resistance from its thickness."""
    cell = figures(tables.cell)
    face_cm2 = shape["layer_area_cm2"]
    area_cm2 = shape["layers"] * face_cm2
    separator_ohm_cm2 = 0.1 * shape["se_um"] / cell["se_conductivity_ms_per_cm"]
    kept = ("se_activation_ev", "contact_ohm_cm2", "contact_activation_ev", "contact_pressure_mpa", "contact_exponent")
    kept += ("contact_floor_mpa", "rc_tau_s", "rc_activation_ev", "hysteresis_v", "hysteresis_rate")
    return CellParams(
        capacity_ah=cell["areal_capacity_mah_cm2"] * area_cm2 / 1000,
        layers=shape["layers"],
        layer_area_cm2=face_cm2,
        ocv_v=ocv_table(tables.ocv.soc, tables.ocv.ocv_v),
        entropy_v_per_k=ocv_table(tables.entropy.soc, tables.entropy.v_per_k),
        rc_factor=ocv_table(tables.rc.soc, tables.rc.factor) if tables.rc else 1.0,
        se_ohm_cm2=separator_ohm_cm2 + cell["composite_ohm_cm2"],
        rc_ohm=tuple(ohm_cm2 / area_cm2 for ohm_cm2 in cell["rc_ohm_cm2"]),
        core_j_per_k=shape["core_j_per_k_cm2"] * area_cm2,
        surface_j_per_k=shape["surface_j_per_k_cm2"] * face_cm2,
        core_surface_w_per_k=shape["core_surface_w_per_k_cm2"] * face_cm2,
        surface_ambient_w_per_k=shape["surface_ambient_w_per_k_cm2"] * face_cm2,
        expansion_um_per_k=1e-6 * cell["expansion_ppm_per_k"] * shape["layers"] * layer_um(cell, shape),
        voids=VoidParams(**figures(tables.voids)) if tables.voids else VoidParams(),
        filament=FilamentParams(**figures(tables.filament)) if tables.filament else FilamentParams(),
        ageing=AgeingParams(**figures(tables.ageing)),
        **swelling(tables),
        **{name: cell[name] for name in kept},
    )


def layer_um(cell: dict[str, Any], shape: dict[str, Any]) -> float:
    """Thickness of one layer: the format's separator and the plant's electrodes with their foils."""
    return cell["electrodes_um"] + shape["se_um"]


def swelling(tables: PlantTables) -> dict[str, Any]:
    """Both electrodes' swelling, and the share of it that is done at each SOC."""
    anode_um, cathode_um = tables.cell.anode_um_per_mah_cm2.value, tables.cell.cathode_um_per_mah_cm2.value
    total_um = anode_um + cathode_um
    curves = tables.swelling
    if curves is None or total_um == 0:
        return {"swelling_um_per_mah_cm2": total_um}
    shares = zip(curves.anode_frac, curves.cathode_frac, strict=True)
    done = [(anode_um * anode + cathode_um * cathode) / total_um for anode, cathode in shares]
    return {"swelling_um_per_mah_cm2": total_um, "swelling_frac": ocv_table(curves.soc, done)}


def drawn_for(name: str, seed: int, unit: int, what: str) -> float:
    """A standard normal figure of one unit of the pack that this seed draws of a plant."""
    return random.Random(f"{name} {seed} {unit} {what}").gauss(0.0, 1.0)


def spread(cell: CellParams, pack: PackTable, name: str, seed: int, unit: int) -> CellParams:
    """One unit of many: not quite as large, as conductive and as cool as its neighbours."""
    size = 1.0 + pack.capacity_sigma_frac.value * drawn_for(name, seed, unit, "capacity")
    ohms = 1.0 + pack.resistance_sigma_frac.value * drawn_for(name, seed, unit, "resistance")
    return replace(
        cell,
        capacity_ah=cell.capacity_ah * size,
        se_ohm_cm2=cell.se_ohm_cm2 * ohms,
        contact_ohm_cm2=cell.contact_ohm_cm2 * ohms,
        rc_ohm=tuple(ohm * ohms for ohm in cell.rc_ohm),
        ambient_offset_k=pack.temperature_sigma_k.value * drawn_for(name, seed, unit, "temperature"),
    )


def stack_params(tables: PlantTables, bench: BenchTables, layers: int) -> StackParams:
    """A stack of so many layers, those of all its units; no more flows away than the lithium metal's share in them."""
    creep = figures(tables.creep)
    plated_um = tables.cell.anode_um_per_mah_cm2.value * tables.cell.areal_capacity_mah_cm2.value
    flows_um = creep.pop("flows_frac") * (plated_um + creep.pop("lithium_um"))
    creep["creep_um_per_s"] *= layers
    return StackParams(**figures(bench.stack), **creep, creep_most_um=flows_um * layers)


def actuator_params(bench: BenchTables) -> ActuatorParams:
    if bench.stepper is not None:
        return ActuatorParams(kind="stepper", **figures(bench.stepper))
    if bench.pneumatic is None:
        return ActuatorParams(kind="fixed_gap")
    values = figures(bench.pneumatic)
    own = ("full_scale_mpa", "full_scale_sigma_ppm")
    return ActuatorParams(kind="pneumatic", **{key: value for key, value in values.items() if key not in own})


def cycler_params(bench: BenchTables) -> CyclerParams:
    cycler = bench.cycler
    return CyclerParams(
        enable_delay_s=cycler.enable_delay_ms.value / 1000,
        limit_delay_s=cycler.limit_delay_ms.value / 1000,
        limit_timeout_s=cycler.limit_timeout_ms.value / 1000,
        slew_a_per_s=cycler.slew_a_per_s.value,
        current_max_a=cycler.current_max_a.value,
    )


def drawn(spec: SensorSpec, channel: str, seed: int) -> SensorParams:
    """One sensor of the bench that this seed draws."""
    luck = random.Random(f"{seed} {channel}")
    return SensorParams(
        gain_frac=1e-6 * luck.gauss(0.0, spec.gain_sigma_ppm),
        offset=luck.gauss(0.0, spec.offset_sigma),
        drift_per_rt_h=spec.drift_per_rt_h,
        noise_rms=spec.noise_rms,
        quantum=spec.quantum,
        delay_s=spec.delay_s,
        dropout_frac=spec.dropout_frac,
    )
