"""A cell file: what the firmware believes of a cell. Each table carries its source."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from assb_host.config.board_tables import Table
from assb_host.config.errors import ConfigError
from assb_host.config.fields import (
    Count,
    DegC,
    Description,
    Fraction,
    Megapascal,
    Name,
    NonNegative,
    PositiveFloat,
    Source,
    Volt,
)
from assb_host.config.toml_reader import convert, read_toml

CriticalPressure = Annotated[float, Meta(gt=0, le=400)]
CriticalDensity = Annotated[float, Meta(gt=0, le=100)]
PressureExponent = Annotated[float, Meta(ge=0, le=5)]
ActivationEnergy = Annotated[float, Meta(ge=0, le=1, description="Larger when warm, by Arrhenius' law")]
EXPONENT_MEANING = "Goes as P to this power, where one pressure is given alone; several carry their own law"


class Geometry(Table):
    layers: Annotated[Count, Meta(description="Electrode layers in parallel, on top of each other")]
    layer_area_cm2: Annotated[float, Meta(gt=0, le=10_000)]
    source: Source
    units_in_series: Annotated[
        int, Meta(ge=1, le=16, description="Units behind one pair of leads (bipolar), seen as one cell")
    ] = 1


class VoltageWindow(Table):
    min_v: Volt
    max_v: Volt
    abs_min_v: Annotated[Volt, Meta(description="Below it the cell is damaged; no trip level may lie lower")]
    abs_max_v: Annotated[Volt, Meta(description="Above it the cell is damaged; no trip level may lie higher")]
    source: Source


class CurrentWindow(Table):
    charge_max_a: Annotated[PositiveFloat, Meta(description="The most at any time; no pack may allow more")]
    discharge_max_a: Annotated[PositiveFloat, Meta(description="The most at any time; no pack may allow more")]
    charge_c: Annotated[PositiveFloat, Meta(description="Admissible C-rate: may flow for hours, cycle after cycle")]
    discharge_c: Annotated[PositiveFloat, Meta(description="Admissible C-rate: may flow for hours, cycle after cycle")]
    source: Source


class PressureWindow(Table):
    min_mpa: Megapascal
    target_mpa: Megapascal
    max_mpa: Megapascal
    source: Source


class TemperatureWindow(Table):
    charge_min_degc: DegC
    max_degc: DegC
    source: Source


class Swelling(Table):
    """One layer's growth on charge, electrode by electrode; the firmware works with their sum."""

    anode_um_per_mah_cm2: Annotated[float, Meta(ge=-20, le=20, description="+ thicker when charged")]
    cathode_um_per_mah_cm2: Annotated[float, Meta(ge=-20, le=20, description="+ thicker when charged")]
    source: Source

    @property
    def um_per_mah_cm2(self) -> float:
        """Both electrodes of one layer."""
        return self.anode_um_per_mah_cm2 + self.cathode_um_per_mah_cm2


class Ocv(Table):
    temperature_degc: DegC
    soc: Annotated[list[Fraction], Meta(min_length=3, description="0 .. 1, rising")]
    voltage_v: Annotated[list[Volt], Meta(min_length=3, description="Middle of the hysteresis loop, rising")]
    source: Source
    hysteresis_v: Annotated[NonNegative, Meta(description="Half the gap between charge and discharge")] = 0.0
    hysteresis_rate: Annotated[PositiveFloat, Meta(description="e-folds per full capacity of charge passed")] = 20.0
    entropy_v_per_k: Annotated[float, Meta(ge=-0.01, le=0.01, description="dOCV/dT")] = 0.0


class R0(Table):
    temperature_degc: Annotated[list[DegC], Meta(min_length=1, description="Rising; the rows of `ohm`")]
    pressure_mpa: Annotated[list[Megapascal], Meta(min_length=1, description="Rising, above 0; the columns of `ohm`")]
    ohm: Annotated[list[list[PositiveFloat]], Meta(min_length=1, description="One row per temperature")]
    source: Source


class RcPairs(Table):
    tau1_s: PositiveFloat
    tau2_s: PositiveFloat
    temperature_degc: Annotated[list[DegC], Meta(min_length=1)]
    r1_ohm: Annotated[list[PositiveFloat], Meta(min_length=1)]
    r2_ohm: Annotated[list[PositiveFloat], Meta(min_length=1)]
    source: Source
    soc: Annotated[list[Fraction], Meta(description="0 .. 1, rising; where `factor` stands. Empty: no factor")] = (
        msgspec.field(default_factory=list)
    )
    factor: Annotated[
        list[PositiveFloat], Meta(description="Of r1_ohm and r2_ohm, at `soc`: they follow the state of charge")
    ] = msgspec.field(default_factory=list)


class Noise(Table):
    """Uncertainties the estimator works with; a key that is left out takes the estimator's own starting value."""

    source: Source
    voltage_sigma_v: PositiveFloat | None = None
    overvoltage_sigma_frac: PositiveFloat | None = None
    rc_sigma_v: PositiveFloat | None = None
    hysteresis_sigma_frac: PositiveFloat | None = None
    soc_noise_frac_per_rts: PositiveFloat | None = None
    leak_sigma_a: PositiveFloat | None = None
    leak_tau_s: PositiveFloat | None = None
    coulombic_efficiency_frac: Fraction | None = None


class Learning(Table):
    """What is learned of a cell over days; a key that is left out takes the estimator's own starting value."""

    source: Source
    capacity_sigma_frac: (
        Annotated[float, Meta(gt=0, le=0.5, description="1-sigma of capacity_ah for cells with this profile")] | None
    ) = None
    capacity_drift_frac_per_rt_cycle: (
        Annotated[float, Meta(gt=0, le=0.1, description="Its random walk, per square root of a full cycle")] | None
    ) = None
    resistance_from_steps: Annotated[
        bool, Meta(description="Whether a step of current shows R0; false where R0 stands for seconds of response")
    ] = True


class CriticalCurrent(Table):
    """What lithium stands per area of electrode, at one temperature; a key left out sets no such limit."""

    temperature_degc: Annotated[DegC, Meta(description="Of the figures; `*_activation_ev` carries them to others")]
    pressure_mpa: Annotated[list[CriticalPressure], Meta(min_length=1, description="Rising; of the lists below")]
    safety_frac: Annotated[float, Meta(gt=0, le=1, description="Share of the critical currents that is used")]
    source: Source
    plating_ma_cm2: Annotated[
        list[CriticalDensity] | None, Meta(description="Charged faster, lithium plates as dendrites")
    ] = None
    stripping_ma_cm2: Annotated[
        list[CriticalDensity] | None, Meta(description="Discharged faster, lithium strips into voids")
    ] = None
    plating_exponent: Annotated[PressureExponent, Meta(description=EXPONENT_MEANING)] = 0.0
    stripping_exponent: Annotated[PressureExponent, Meta(description=EXPONENT_MEANING)] = 0.0
    plating_activation_ev: ActivationEnergy = 0.0
    stripping_activation_ev: ActivationEnergy = 0.0


class Cell(Table):
    name: Name
    description: Description
    chemistry: Annotated[str, Meta(min_length=1, description="anode | electrolyte | cathode")]
    capacity_ah: Annotated[float, Meta(gt=0, le=1000)]
    capacity_source: Source
    geometry: Geometry
    voltage: VoltageWindow
    current: CurrentWindow
    pressure: PressureWindow
    temperature: TemperatureWindow
    swelling: Swelling
    ocv: Ocv
    r0: R0
    rc: RcPairs
    noise: Noise | None = None
    learning: Learning | None = None
    critical_current: CriticalCurrent | None = None


def load_cell(path: Path) -> Cell:
    """The cell of a file; raises ConfigError."""
    cell = convert(read_toml(path), Cell, path)
    if cell.name != path.stem:
        raise ConfigError(path, "name", cell.name, f"{path.stem}, the file's own name")
    check_windows(cell, path)
    check_tables(cell, path)
    return cell


def check_windows(cell: Cell, path: Path) -> None:
    v, p = cell.voltage, cell.pressure
    if not v.abs_min_v <= v.min_v < v.max_v <= v.abs_max_v:
        seen = [v.abs_min_v, v.min_v, v.max_v, v.abs_max_v]
        raise ConfigError(path, "voltage", seen, "abs_min_v <= min_v < max_v <= abs_max_v")
    if not 0 < p.min_mpa <= p.target_mpa <= p.max_mpa:
        raise ConfigError(
            path, "pressure", [p.min_mpa, p.target_mpa, p.max_mpa], "0 < min_mpa <= target_mpa <= max_mpa"
        )
    for key in ("charge", "discharge"):
        rate_a = getattr(cell.current, f"{key}_c") * cell.capacity_ah
        most_a = getattr(cell.current, f"{key}_max_a")
        if rate_a > most_a * 1.000001:
            allowed = f"up to {most_a / cell.capacity_ah:.3g}, which is {key}_max_a"
            raise ConfigError(path, f"current.{key}_c", getattr(cell.current, f"{key}_c"), allowed)
    if not cell.temperature.charge_min_degc < cell.temperature.max_degc:
        raise ConfigError(path, "temperature.max_degc", cell.temperature.max_degc, "more than charge_min_degc")


def check_tables(cell: Cell, path: Path) -> None:
    ocv, r0, rc = cell.ocv, cell.r0, cell.rc
    for key, values in (
        ("ocv.soc", ocv.soc),
        ("ocv.voltage_v", ocv.voltage_v),
        ("r0.temperature_degc", r0.temperature_degc),
        ("r0.pressure_mpa", r0.pressure_mpa),
        ("rc.temperature_degc", rc.temperature_degc),
    ):
        check_rising(path, key, values)
    if ocv.soc[0] != 0 or ocv.soc[-1] != 1:
        raise ConfigError(path, "ocv.soc", [ocv.soc[0], ocv.soc[-1]], "a table from 0 to 1")
    if r0.pressure_mpa[0] <= 0:
        raise ConfigError(path, "r0.pressure_mpa", r0.pressure_mpa[0], "pressures above 0")
    check_length(path, "ocv.voltage_v", ocv.voltage_v, len(ocv.soc), "ocv.soc")
    check_length(path, "r0.ohm", r0.ohm, len(r0.temperature_degc), "r0.temperature_degc")
    for position, row in enumerate(r0.ohm):
        check_length(path, f"r0.ohm[{position}]", row, len(r0.pressure_mpa), "r0.pressure_mpa")
    check_length(path, "rc.r1_ohm", rc.r1_ohm, len(rc.temperature_degc), "rc.temperature_degc")
    check_length(path, "rc.r2_ohm", rc.r2_ohm, len(rc.temperature_degc), "rc.temperature_degc")
    check_length(path, "rc.factor", rc.factor, len(rc.soc), "rc.soc")
    check_rising(path, "rc.soc", rc.soc)
    if cell.critical_current is not None:
        check_critical_current(cell.critical_current, path)


def check_critical_current(critical: CriticalCurrent, path: Path) -> None:
    pressures = critical.pressure_mpa
    check_rising(path, "critical_current.pressure_mpa", pressures)
    for name in ("plating", "stripping"):
        key, values = f"critical_current.{name}_ma_cm2", getattr(critical, f"{name}_ma_cm2")
        if values is not None:
            check_length(path, key, values, len(pressures), "critical_current.pressure_mpa")
        exponent = getattr(critical, f"{name}_exponent")
        if exponent and len(pressures) > 1:
            allowed = "left out: the points over pressure_mpa carry the law"
            raise ConfigError(path, f"critical_current.{name}_exponent", exponent, allowed)
    if critical.plating_ma_cm2 is None and critical.stripping_ma_cm2 is None:
        allowed = "plating_ma_cm2, stripping_ma_cm2 or both; leave the table out where nothing plates"
        raise ConfigError(path, "critical_current", "neither", allowed)


def check_rising(path: Path, key: str, values: list[float]) -> None:
    for position in range(1, len(values)):
        if values[position] <= values[position - 1]:
            raise ConfigError(
                path, f"{key}[{position}]", values[position], f"more than {values[position - 1]}: the list rises"
            )


def check_length(path: Path, key: str, values: list, wanted: int, like: str) -> None:
    if len(values) != wanted:
        raise ConfigError(path, key, f"{len(values)} values", f"{wanted} values, as many as {like}")
