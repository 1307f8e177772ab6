"""A checked pack as the config image: wire integers, device records, and the cell's tables on the estimator's grids."""

from array import array

import numpy as np
from assb.estimation import flat_layout
from assb.protocol import image, image_writer, schema

from assb_host.config import estimator_parameters
from assb_host.config.board import Board
from assb_host.config.cell import Cell
from assb_host.config.detection_keys import detection_values
from assb_host.config.estimator_parameters import pressure_axis_mpa, temperature_axis_degc
from assb_host.config.pack import PackConfig
from assb_host.config.resample import critical_over_temperature_and_pressure

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
    """{row of the estimator's layout: value or values} of a pack's cell, over what the pack may meet."""
    measured = pack.cell.r0.temperature_degc
    grid_degc = temperature_axis_degc(
        min(*measured, pack.limits["charge_undertemperature"].trip / 100),
        max(*measured, pack.limits["overtemperature"].trip / 100),
    )
    grid_mpa = pressure_axis_mpa(
        max(pack.parameters["pressure_min_kpa"], 50) / 1000,
        max(pack.limits["pressure_high"].trip, pack.parameters["pressure_max_kpa"]) / 1000,
    )
    values = estimator_parameters.estimator_values(pack.cell, grid_degc, grid_mpa, 2 * pack.shunt_full_scale_a)
    return values | sensor_values(pack) | power_values(pack, grid_degc, grid_mpa) | detection_values(pack)


def sensor_values(pack: PackConfig) -> dict[str, object]:
    """What learning is told of the pack's current sensor, and of what counts as a rest there."""
    rest_c = pack.parameters["rest_current_ma"] / 1000 / pack.cell.capacity_ah
    return {
        "current_gain_sigma_frac": pack.parameters["current_gain_error_ppm"] / 1e6,
        "rest_current_c": max(rest_c, float(flat_layout.DEFAULTS["rest_current_c"])),
    }


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
    records += coarse_records(board) + stack_records(board) + converter_records(board)
    for chip in board.nau7802:
        setting = arguments(chip.gain, chip.rate_hz, chip.excitation_mv)
        records.append(("nau7802", chip.place, chip.bus, chip.address, pins(), setting))
    for chip in board.hx711:
        records.append(
            ("hx711", chip.place, 0, 0, pins(chip.dout_pin, chip.sck_pin), arguments(chip.gain, chip.rate_hz))
        )
    for chip in board.tmp117:
        setting = arguments(chip.averages, chip.cycle_ms)
        records.append(("tmp117", chip.place, chip.bus, chip.address, pins(), setting))
    for position, chip in enumerate(board.mcp4725):
        records.append(("mcp4725", position, chip.bus, chip.address, pins(), arguments()))
    if (motor := board.stepper) is not None:
        travel = (motor.rate_per_s, motor.ramp_per_s2, motor.close_steps, motor.open_steps)
        records.append(("stepper", 0, 0, 0, pins(motor.step_pin, motor.dir_pin, motor.enable_pin), travel))
        switches = pins(motor.closed_switch_pin, motor.open_switch_pin)
        records.append(("limit_switches", 0, 0, 0, switches, arguments(motor.switch_level)))
    wires = pins(contactor.drive_pin, contactor.feedback_pin, contactor.precharge_pin)
    records.append(("contactor", 0, 0, 0, wires, arguments(1, contactor.feedback_closed_level)))
    if lines is not None:
        records.append(("enable_lines", 0, 0, 0, pins(lines.charge_pin, lines.discharge_pin), arguments()))
    for first in range(0, len(board.bleed.pins) if board.bleed else 0, 4):
        records.append(("bleed", first // 4, 0, 0, pins(*board.bleed.pins[first : first + 4]), arguments()))
    if (heater := board.heater) is not None:
        power = arguments(heater.frequency_hz, round(1000 * heater.power_w))
        records.append(("heater", 0, 0, 0, pins(heater.pin, heater.enable_pin), power))
    if board.alarm is not None:
        records.append(("alarm", 0, 0, 0, pins(board.alarm.pin), arguments()))
    return records


def coarse_records(board: Board) -> list[tuple]:
    """INA226s, and NTCs at the board's own converter."""
    records: list[tuple] = []
    for chip in board.ina226:
        setting = arguments(0, chip.conversion_us, chip.averages, chip.polarity)
        records.append(("ina226", chip.cell, chip.bus, chip.address, pins(), setting))
    for chip in board.ntc:
        divider = arguments(chip.r25_ohm, chip.beta_k, chip.pullup_ohm)
        records.append(("ntc", chip.place, 0, 0, pins(chip.adc_pin), divider))
    return records


def stack_records(board: Board) -> list[tuple]:
    """A BQ76952 and its thermistors; its own pins and inputs are bits."""
    chip = board.bq76952
    if chip is None:
        return []
    inputs = sum(1 << number - 1 for number in chip.inputs)
    flags = (1 if chip.crc else 0) | (2 if chip.fast else 0)
    setting = arguments(inputs, flags, sum(1 << pin for pin in chip.thermistors), chip.polarity)
    places = sorted((place, pin) for pin, place in chip.thermistors.items())
    return [
        ("bq76952", 0, chip.bus, chip.address, pins(), setting),
        *(("bq76952_ts", place, chip.bus, chip.address, pins(), arguments(pin)) for place, pin in places),
    ]


def converter_records(board: Board) -> list[tuple]:
    """ADS1115s, and what is at their inputs."""
    records: list[tuple] = [
        ("ads1115", number, chip.bus, chip.address, pins(), arguments(chip.rate_hz))
        for number, chip in enumerate(board.ads1115)
    ]
    inputs: list[tuple] = [
        ("ads1115_cell", chip.cell, chip, arguments(chip.range_mv, chip.pv_per_code)) for chip in board.ads1115_cell
    ]
    inputs += [("ads1115_pressure", chip.place, chip, arguments(chip.range_mv)) for chip in board.ads1115_pressure]
    for chip in board.ads1115_ntc:
        packed = chip.supply_mv // 10 << 20 | chip.pullup_ohm
        inputs.append(("ads1115_ntc", chip.place, chip, arguments(chip.range_mv, chip.r25_ohm, chip.beta_k, packed)))
    for kind, instance, chip, setting in inputs:
        converter = board.ads1115[chip.converter]
        wires = pins(chip.input, chip.minus_input)
        records.append((kind, instance, converter.bus, converter.address, wires, setting))
    return records
