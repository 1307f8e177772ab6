"""A checked pack as the config image: wire integers, device records, and the cell's tables on the estimator's grids."""

from array import array

from assb.estimation import flat_layout
from assb.protocol import image, image_writer, schema

from assb_host.config import estimator_parameters
from assb_host.config.board import Board
from assb_host.config.estimator_parameters import pressure_axis_mpa, temperature_axis_degc
from assb_host.config.pack import PackConfig


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
    return estimator_parameters.estimator_values(
        pack.cell,
        temperature_axis_degc(
            min(*measured, pack.limits["charge_undertemperature"].trip / 100),
            max(*measured, pack.limits["overtemperature"].trip / 100),
        ),
        pressure_axis_mpa(
            max(pack.parameters["pressure_min_kpa"], 50) / 1000,
            max(pack.limits["pressure_high"].trip, pack.parameters["pressure_max_kpa"]) / 1000,
        ),
        2 * pack.shunt_full_scale_a,
    )


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
