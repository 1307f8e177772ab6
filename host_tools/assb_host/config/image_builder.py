"""A checked pack as the config image: wire integers, device records, and the cell's tables on the estimator's grids."""

from array import array

import numpy as np
from assb.estimation import flat_layout
from assb.estimation import parameters as layout
from assb.protocol import image, image_writer, schema

from assb_host.config.board import Board
from assb_host.config.cell import Cell
from assb_host.config.pack import PackConfig
from assb_host.config.resample import (
    critical_over_temperature_and_pressure,
    over_temperature,
    over_temperature_and_pressure,
    rising_curve,
)

# The R0 table spans what the firmware may meet before it opens: beyond it the estimator holds the edge value
PRESSURE_AXIS_LOW_FRAC = 0.2  # of the window's lower end
PRESSURE_AXIS_HIGH_FRAC = 1.2  # of the trip level
TEMPERATURE_MARGIN_K = 10.0
# Where the windows of the cell's current end (assumptions)
CHARGE_COLD_SPAN_K = 5.0  # above the lowest temperature of a charge
HOT_SPAN_K = 10.0  # below the highest temperature
CONTACT_LOST_FRAC = 0.5  # of the pressure window's lower end
PRESSED_NONE_FRAC = 1.2  # of its upper end


def build_image(pack: PackConfig) -> bytes:
    """Bytes of the config image of a pack."""
    return image_writer.encode(build_config(pack))


def build_config(pack: PackConfig) -> image.Config:
    """The image before it is bytes."""
    return image.Config(
        names=(pack.board.name, pack.name, pack.cell.name),
        parameters=dict(pack.parameters),
        limits=[pack.limits[row[1]].image_row(row) for row in schema.LIMIT_ROWS],
        devices=device_records(pack.board),
        estimator=array("f", flat_layout.pack(estimator_values(pack))),
    )


def estimator_values(pack: PackConfig) -> dict[str, object]:
    """{row of the estimator's layout: value or values} of a pack's cell."""
    cell = pack.cell
    grid_degc, grid_mpa = temperature_axis_degc(pack), pressure_axis_mpa(pack)
    values: dict[str, object] = {
        "capacity_ah": cell.capacity_ah,
        "ocv_v": rising_curve(cell.ocv.soc, cell.ocv.voltage_v, np.linspace(0, 1, layout.OCV_POINTS)),
        "ocv_temperature_degc": cell.ocv.temperature_degc,
        "entropy_v_per_k": cell.ocv.entropy_v_per_k,
        "hysteresis_v": cell.ocv.hysteresis_v,
        "hysteresis_rate": cell.ocv.hysteresis_rate,
        "r0_temperature_degc": grid_degc,
        "r0_pressure_mpa": grid_mpa,
        "r0_ohm": over_temperature_and_pressure(
            cell.r0.temperature_degc, cell.r0.pressure_mpa, cell.r0.ohm, grid_degc, grid_mpa
        ).ravel(),
        "r1_ohm": over_temperature(cell.rc.temperature_degc, cell.rc.r1_ohm, grid_degc),
        "r2_ohm": over_temperature(cell.rc.temperature_degc, cell.rc.r2_ohm, grid_degc),
        "tau1_s": cell.rc.tau1_s,
        "tau2_s": cell.rc.tau2_s,
        "leak_sigma_a": cell.capacity_ah / 10,  # a short that empties the cell in ten hours, before any evidence
        "current_max_a": 2 * pack.shunt_full_scale_a,
        "voltage_max_v": 1.2 * cell.voltage.abs_max_v,
    }
    return values | noise_values(cell) | power_values(pack, grid_degc, grid_mpa)


def power_values(pack: PackConfig, grid_degc: np.ndarray, grid_mpa: np.ndarray) -> dict[str, object]:
    """The rows of the group `power`: windows of the cell, and what lithium stands in A of the whole cell."""
    cell, hot = pack.cell, pack.limits["overtemperature"]
    hot_degc = min(cell.temperature.max_degc, hot.trip / 100) if hot.enabled else cell.temperature.max_degc
    values: dict[str, object] = {
        "charge_max_a": pack.parameters["charge_current_max_ma"] / 1000,
        "discharge_max_a": pack.parameters["discharge_current_max_ma"] / 1000,
        "window_min_v": cell.voltage.min_v,
        "window_max_v": cell.voltage.max_v,
        "charge_zero_degc": cell.temperature.charge_min_degc,
        "charge_full_degc": cell.temperature.charge_min_degc + CHARGE_COLD_SPAN_K,
        "hot_full_degc": hot_degc - HOT_SPAN_K,
        "hot_zero_degc": hot_degc,
        "contact_zero_mpa": CONTACT_LOST_FRAC * cell.pressure.min_mpa,
        "contact_full_mpa": cell.pressure.min_mpa,
        "pressed_full_mpa": cell.pressure.max_mpa,
        "pressed_zero_mpa": PRESSED_NONE_FRAC * cell.pressure.max_mpa,
    }
    return values | critical_values(cell, grid_degc, grid_mpa)


def critical_values(cell: Cell, grid_degc: np.ndarray, grid_mpa: np.ndarray) -> dict[str, object]:
    critical = cell.critical_current
    if critical is None:
        return {}
    area_cm2 = cell.geometry.layers * cell.geometry.layer_area_cm2
    values: dict[str, object] = {"critical_safety_frac": critical.safety_frac}
    for name in ("plating", "stripping"):
        density_ma_cm2 = getattr(critical, f"{name}_ma_cm2")
        if density_ma_cm2 is not None:
            exponent, activation_ev = getattr(critical, f"{name}_exponent"), getattr(critical, f"{name}_activation_ev")
            table_ma_cm2 = critical_over_temperature_and_pressure(
                critical.temperature_degc, critical.pressure_mpa, density_ma_cm2, exponent, activation_ev,
                grid_degc, grid_mpa,
            )  # fmt: skip
            values[f"{name}_limit_a"] = (table_ma_cm2 * area_cm2 / 1000).clip(max=flat_layout.NO_LIMIT_A).ravel()
    return values


def noise_values(cell: Cell) -> dict[str, float]:
    if cell.noise is None:
        return {}
    figures = {name: getattr(cell.noise, name) for name in cell.noise.__struct_fields__ if name != "source"}
    return {name: value for name, value in figures.items() if value is not None}


def temperature_axis_degc(pack: PackConfig) -> np.ndarray:
    measured = pack.cell.r0.temperature_degc
    low = min(*measured, pack.limits["charge_undertemperature"].trip / 100)
    high = max(*measured, pack.limits["overtemperature"].trip / 100)
    return np.linspace(low - TEMPERATURE_MARGIN_K, high + TEMPERATURE_MARGIN_K, layout.TEMPERATURE_POINTS)


def pressure_axis_mpa(pack: PackConfig) -> np.ndarray:
    low = PRESSURE_AXIS_LOW_FRAC * max(pack.parameters["pressure_min_kpa"], 50) / 1000
    high = PRESSURE_AXIS_HIGH_FRAC * max(pack.limits["pressure_high"].trip, pack.parameters["pressure_max_kpa"]) / 1000
    return np.geomspace(low, high, layout.PRESSURE_POINTS)


def pins(*numbers: int | None) -> tuple[int, ...]:
    known = [image.NO_PIN if number is None else number for number in numbers]
    return tuple(known + [image.NO_PIN] * (4 - len(known)))


def arguments(*values: int) -> tuple[int, ...]:
    return (*values, *[0] * (4 - len(values)))


def device_records(board: Board) -> list[tuple]:
    """(kind, instance, bus, address, pins, arguments) of everything that is wired; see image.DEVICE_KINDS."""
    records: list[tuple] = []
    contactor, lines = board.contactor, board.enable_lines
    for bus in board.i2c:
        records.append(("i2c_bus", bus.bus, bus.bus, 0, pins(bus.sda_pin, bus.scl_pin), arguments(bus.frequency_hz)))
    for chip in board.ina228:
        setting = arguments(0 if chip.range_mv == 163 else 1, chip.conversion_us, chip.averages, chip.polarity)
        records.append(("ina228", chip.cell, chip.bus, chip.address, pins(), setting))
    for chip in board.nau7802:
        setting = arguments(chip.gain, chip.rate_hz, chip.excitation_mv)
        records.append(("nau7802", chip.stack, chip.bus, chip.address, pins(), setting))
    for chip in board.tmp117:
        setting = arguments(chip.averages, chip.cycle_ms)
        records.append(("tmp117", chip.place, chip.bus, chip.address, pins(), setting))
    for position, chip in enumerate(board.mcp4725):
        records.append(("mcp4725", position, chip.bus, chip.address, pins(), arguments()))
    wires = pins(contactor.drive_pin, contactor.feedback_pin, contactor.precharge_pin)
    records.append(("contactor", 0, 0, 0, wires, arguments(1, contactor.feedback_closed_level)))
    if lines is not None:
        records.append(("enable_lines", 0, 0, 0, pins(lines.charge_pin, lines.discharge_pin), arguments()))
    return records
