"""What may stand in the files of plants/: every figure with its range and its source.

A figure is `{ value = 0.55, source = "V: where it comes from" }`; its unit is in its key. A curve is a table of equally
long columns with one source.
"""
# pyright: reportInvalidTypeForm=false
# The ranges are made by calls, which a type checker can't follow.

from typing import Annotated, Any, Generic, Literal, TypeVar

from assb_host.config.board_tables import Table
from assb_host.config.fields import Description, FigureSource, Reference
from msgspec import Meta

T = TypeVar("T")


class Figure(Table, Generic[T]):
    value: T
    source: FigureSource


def positive(most: float) -> Any:
    return Annotated[float, Meta(ge=1e-9, le=most)]


def between(least: float, most: float) -> Any:
    return Annotated[float, Meta(ge=least, le=most)]


Fraction = Figure[between(0, 1)]
Volt = Figure[between(-1, 10)]
Megapascal = Figure[positive(400)]
DegC = Figure[between(-40, 150)]
Second = Figure[between(0, 1e9)]
Ohms = Figure[Annotated[list[positive(1e4)], Meta(min_length=3, max_length=3)]]
Taus = Figure[Annotated[list[positive(1e6)], Meta(min_length=3, max_length=3)]]
TwoFractions = Figure[Annotated[list[between(0, 0.5)], Meta(min_length=2, max_length=2)]]
TwoTaus = Figure[Annotated[list[positive(1e7)], Meta(min_length=2, max_length=2)]]
TwoRates = Figure[Annotated[list[between(0, 1e3)], Meta(min_length=2, max_length=2)]]
TwoExponents = Figure[Annotated[list[between(0, 30)], Meta(min_length=2, max_length=2)]]
Energy = Figure[between(0, 2)]
Column = Annotated[list[between(-100, 100)], Meta(min_length=2, max_length=200)]


class CellTable(Table):
    """One electrochemical unit, per area; the format makes a cell of it."""

    areal_capacity_mah_cm2: Figure[positive(100)]
    anode_um_per_mah_cm2: Annotated[Figure[between(-20, 20)], Meta(description="+ thicker when the cell is charged")]
    cathode_um_per_mah_cm2: Annotated[Figure[between(-20, 20)], Meta(description="+ thicker when the cell is charged")]
    se_conductivity_ms_per_cm: Annotated[Figure[positive(1000)], Meta(description="At 25 degC")]
    se_activation_ev: Energy
    composite_ohm_cm2: Annotated[Figure[between(0, 1e4)], Meta(description="Ionic resistance of the electrodes' depth")]
    contact_ohm_cm2: Annotated[Figure[between(0, 1e4)], Meta(description="At 25 degC and contact_pressure_mpa")]
    contact_activation_ev: Energy
    contact_pressure_mpa: Megapascal
    contact_exponent: Figure[between(0, 2)]
    contact_floor_mpa: Megapascal
    rc_ohm_cm2: Ohms
    rc_tau_s: Taus
    rc_activation_ev: Energy
    hysteresis_v: Annotated[Figure[between(0, 1)], Meta(description="Half the gap between charge and discharge")]
    hysteresis_rate: Annotated[Figure[positive(1000)], Meta(description="e-folds per full capacity of charge passed")]
    electrodes_um: Annotated[Figure[between(0, 5000)], Meta(description="Layer without its separator, foils included")]
    expansion_ppm_per_k: Annotated[Figure[between(0, 1000)], Meta(description="Of the layer's thickness")]


class OcvCurve(Table):
    source: FigureSource
    soc: Column
    ocv_v: Column


class EntropyCurve(Table):
    source: FigureSource
    soc: Column
    v_per_k: Column


class SwellingCurves(Table):
    """Share of each electrode's swelling that is done at a SOC: 0 at 0, 1 at 1."""

    source: FigureSource
    soc: Column
    anode_frac: Column
    cathode_frac: Column


class RcCurve(Table):
    source: FigureSource
    soc: Column
    factor: Column


class Voids(Table):
    """assb_cell.h: share of the lithium face that has lost contact."""

    rate_per_s: Figure[between(0, 10)]
    strip_ma_cm2: Figure[positive(1000)]
    strip_pressure_mpa: Megapascal
    strip_exponent: Figure[between(0, 10)]
    heal_per_s: Figure[between(0, 10)]
    heal_exponent: Figure[between(0, 30)]
    theta_max: Figure[between(0.1, 0.999)]
    height_um: Figure[between(0, 100)]
    both_ways: Annotated[Figure[Literal[0, 1]], Meta(description="1: lithium on both sides")]


class Filament(Table):
    """assb_filament.h: growth through the separator, bridging, burn-out."""

    ccd_ma_cm2: Figure[positive(1000)]
    pressure_mpa: Megapascal
    ccd_pressure_exponent: Figure[between(-10, 10)]
    ccd_activation_ev: Energy
    growth_per_s: Figure[between(0, 100)]
    void_focus: Figure[between(0, 100)]
    creep_per_s: TwoRates
    creep_exponent: TwoExponents
    healing_per_s: Figure[between(0, 10)]
    bridge_per_s: Figure[between(0, 1e6)]
    bridge_exponent: Figure[between(0, 100)]
    bridge_median_ohm: Figure[positive(1e9)]
    bridge_sigma_ln: Figure[between(0, 5)]
    burn_median_j: Figure[between(0, 1e6)]
    burn_sigma_ln: Figure[between(0, 5)]
    burn_window_s: Figure[positive(1e6)]
    burnt_length: Fraction
    deepen_per_s: Figure[between(0, 100)]
    both_ways: Annotated[Figure[Literal[0, 1]], Meta(description="1: lithium on both sides")]


class Ageing(Table):
    """assb_cell.h: loss of capacity and growth of resistance."""

    calendar_frac_per_rt_day: Figure[between(0, 0.1)]
    calendar_activation_ev: Energy
    calendar_soc_slope: Figure[between(-2, 2)]
    cycle_frac_per_rt_cycle: Figure[between(0, 0.5)]
    cycle_exponent: Figure[between(0.1, 2)]
    resistance_per_loss: Figure[between(0, 100)]


class Creep(Table):
    """assb_stack.h: height that flows away for good, of one layer; it is lithium's and ends with it."""

    creep_um_per_s: Annotated[Figure[between(0, 10)], Meta(description="Of one layer, at creep_pressure_mpa")]
    creep_pressure_mpa: Megapascal
    creep_exponent: Figure[between(0, 30)]
    lithium_um: Annotated[Figure[between(0, 1000)], Meta(description="Lithium metal beyond what a charge plates")]
    flows_frac: Annotated[Fraction, Meta(description="Share of a layer's lithium metal that may flow away")]


class LimitsTable(Table):
    """Window of use of one unit; C-rates are what may flow for hours without voids or filaments."""

    voltage_min_v: Volt
    voltage_max_v: Volt
    pressure_min_mpa: Megapascal
    pressure_mpa: Megapascal
    pressure_max_mpa: Megapascal
    temperature_min_degc: DegC
    temperature_degc: DegC
    temperature_max_degc: DegC
    charge_max_c: Figure[positive(100)]
    discharge_max_c: Figure[positive(100)]


class PackTable(Table):
    """Units in series; spreads are 1 sigma from unit to unit, drawn from the seed."""

    units: Figure[Annotated[int, Meta(ge=1, le=64)]]
    stacks: Figure[Annotated[int, Meta(ge=1, le=64)]]
    taps: Annotated[Figure[bool], Meta(description="A lead between the units, so that each one's voltage is seen")]
    capacity_sigma_frac: Figure[between(0, 0.2)]
    resistance_sigma_frac: Figure[between(0, 0.5)]
    temperature_sigma_k: Figure[between(0, 20)]
    soc_sigma_frac: Figure[between(0, 0.2)]


class Shape(Table):
    """Figures of the format that this plant has otherwise."""

    layers: Figure[Annotated[int, Meta(ge=1, le=1000)]] | None = None
    layer_area_cm2: Figure[positive(10_000)] | None = None
    se_um: Figure[positive(5000)] | None = None


class PlantTables(Table):
    """plants/NAME.toml."""

    description: Description
    chemistry: Annotated[str, Meta(min_length=1, description="anode | electrolyte | cathode")]
    facts: Annotated[str, Meta(min_length=1, description="What is known, with its marks")]
    format: Annotated[Reference, Meta(description="The usual one of plants/formats/")]
    bench: Annotated[Reference, Meta(description="The usual one of plants/benches/")]
    cell: CellTable
    ocv: OcvCurve
    entropy: EntropyCurve
    creep: Creep
    ageing: Ageing
    limits: LimitsTable
    pack: PackTable
    swelling: SwellingCurves | None = None
    rc: RcCurve | None = None
    voids: Voids | None = None
    filament: Filament | None = None
    sheet: Shape | None = None
    pellet: Shape | None = None
    lithium_of: Annotated[
        str, Meta(description="Plant whose [voids] and [filament] fill up these tables of this file")
    ] = ""


class FormatTables(Table):
    """plants/formats/NAME.toml. Per electrode area: all layers. Per footprint: one layer's area."""

    description: Description
    layers: Figure[Annotated[int, Meta(ge=1, le=1000)]]
    layer_area_cm2: Figure[positive(10_000)]
    se_um: Annotated[Figure[positive(5000)], Meta(description="Thickness of the separator")]
    core_j_per_k_cm2: Annotated[Figure[positive(1000)], Meta(description="Per electrode area")]
    surface_j_per_k_cm2: Annotated[Figure[positive(1000)], Meta(description="Per footprint")]
    core_surface_w_per_k_cm2: Annotated[Figure[positive(1000)], Meta(description="Per footprint")]
    surface_ambient_w_per_k_cm2: Annotated[Figure[positive(1000)], Meta(description="Per footprint")]


class StackTable(Table):
    """assb_stack.h: the press is sized for the cell, so its stiffness is one of pressure on the cell's own face."""

    stiffness_mpa_per_um: Figure[positive(100)]
    viscous_frac: TwoFractions
    viscous_tau_s: TwoTaus


class Pneumatic(Table):
    """A piston behind an electro-pneumatic regulator; pressures are those on the cell."""

    supply_mpa: Megapascal
    hysteresis_mpa: Figure[between(0, 100)]
    time_constant_s: Second
    slew_mpa_s: Figure[positive(1e6)]
    piston_um_per_s_mpa: Figure[positive(1e6)]
    piston_friction_mpa: Figure[between(0, 10)]
    full_scale_mpa: Annotated[Megapascal, Meta(description="At 10 V on its input")]
    full_scale_sigma_ppm: Figure[between(0, 1e5)]


class Stepper(Table):
    """A screw press with limit switches; travel counts from the gap at reset, + opens."""

    um_per_step: Figure[positive(1000)]
    backlash_um: Figure[between(0, 1000)]
    steps_per_s_max: Figure[positive(1e6)]
    gap_min_um: Figure[between(-1e5, 0)]
    gap_max_um: Figure[between(0, 1e5)]
    stall_mpa: Figure[positive(1000)]
    deadband_mpa: Figure[positive(100)]


class ContactorTable(Table):
    operate_ms: Figure[positive(1000)]
    release_ms: Figure[positive(1000)]


class PrechargeTable(Table):
    resistance_ohm: Figure[positive(1e4)]
    load_uf: Annotated[Figure[positive(1e6)], Meta(description="Capacitor at the input of what is connected")]


class CyclerTable(Table):
    enable_delay_ms: Figure[between(0, 1e5)]
    limit_delay_ms: Figure[between(0, 1e5)]
    limit_timeout_ms: Figure[between(0, 1e6)]
    slew_a_per_s: Annotated[Figure[between(0, 1e6)], Meta(description="0: at once")]
    current_max_a: Figure[positive(1e4)]


class SensorSpec(Table):
    """1-sigma spread of gain and offset from one bench (seed) to the next; the rest holds for each. In the unit of the
    quantity."""

    source: FigureSource
    gain_sigma_ppm: between(0, 1e5) = 0.0
    offset_sigma: between(0, 100) = 0.0
    drift_per_rt_h: between(0, 100) = 0.0
    noise_rms: between(0, 100) = 0.0
    quantum: between(0, 100) = 0.0
    delay_s: between(0, 100) = 0.0
    dropout_frac: between(0, 1) = 0.0


class SensorTables(Table):
    voltage_v: SensorSpec
    current_a: SensorSpec
    pressure_mpa: SensorSpec
    temperature_degc: SensorSpec


class BenchTables(Table):
    """plants/benches/NAME.toml. With neither [pneumatic] nor [stepper] the gap is fixed."""

    description: Description
    stack: StackTable
    contactor: ContactorTable
    precharge: PrechargeTable
    cycler: CyclerTable
    sensors: SensorTables
    pneumatic: Pneumatic | None = None
    stepper: Stepper | None = None
    based_on: Annotated[str, Meta(description="Bench whose tables this file takes over where it has none itself")] = ""
