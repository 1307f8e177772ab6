"""The config image: board, pack and cell as one block of bytes that is flashed beside the code.

    header  magic 8s | layout u16 | schema_id u32 | body_length u32 | crc32(body) u32
    body    sections: tag u8 | length u16 | bytes          each tag once, any order, all little-endian
      1 names       board, pack, cell: length u8, UTF-8 of at most 15 bytes
      2 parameters  (id u16, value i32)          every row of tables.PARAMETERS once
      3 limits      LIMIT_FORMAT                 every row of tables.LIMIT_ROWS once
      4 devices     DEVICE_FORMAT                what is wired to the board, see DEVICE_KINDS
      5 estimator   f32 …                        the flat layout of assb.estimation.parameters

The host encodes (image_writer.py, which no board loads), the board decodes. Both run the same checks, so an image that
a board would refuse can't be built.
`decode` raises ImageError and leaves nothing half applied.
"""

import binascii
import struct
from array import array

from assb.estimation import parameters as estimator_layout
from assb.protocol import tables
from assb.protocol.config import LAYOUT, ZEROS, Config

MAGIC = b"ASSBCFG\0"
HEADER_FORMAT = "<8sHIII"
HEADER_BYTES = 22
SECTION_FORMAT = "<BH"
SECTION_BYTES = 3
NAMES, PARAMETERS, LIMITS, DEVICES, ESTIMATOR = 1, 2, 3, 4, 5
SECTION_NAMES = ("names", "parameters", "limits", "devices", "estimator")
NAME_MAX_BYTES = 15

# A limit row: id, flags, index in tables.RECOVERIES, trips that lead to lockout (0 never),
# warn, derate, trip, reset level (in the unit of the row's signal; ms of age for a stale row), debounce_ms, recovery_ms
LIMIT_FORMAT = "<BBBBiiiiII"
LIMIT_BYTES = 28
ROW_ENABLED, ROW_WARNS, ROW_DERATES = 1, 2, 4
AUTO = 0  # of tables.RECOVERIES
_TRIP = 6  # column of a limit row's values
# Rows between whose trip levels there must be room to live
WINDOWS = (
    ("cell_undervoltage", "cell_overvoltage"),
    ("pack_undervoltage", "pack_overvoltage"),
    ("pressure_low", "pressure_high"),
    ("charge_undertemperature", "charge_overtemperature"),
    ("discharge_undertemperature", "discharge_overtemperature"),
)
# Rows that no configuration may switch off: without one of them a cell can be damaged unseen.
ALWAYS_ENABLED = (
    "cell_overvoltage",
    "cell_undervoltage",
    "charge_overcurrent",
    "discharge_overcurrent",
    "overtemperature",
    "voltage_stale",
    "current_stale",
    "temperature_stale",
    "hard_short",
    "estimator_invalid",
    "contactor_mismatch",
    "deadline_overrun",
    "self_test_failed",
    "charge_overcurrent_10s",
    "discharge_overcurrent_10s",
    "open_wire",
    "forbidden_current",
    "weld_current",
)

HEATER_ROWS = ("heater_overtemperature", "heater_unanswered")  # nor these, where the rig is heated
PRESS_ROWS = ("pressure_high", "pressure_stale")  # nor these, where a press is driven

# Where a press is driven: what may not exceed a parameter, or not reach the trip of a row
PRESS_CEILINGS = """\
pressure_max_kpa pressure_high
pressure_target_kpa pressure_command_max_kpa
pressure_command_max_kpa regulator_full_scale_kpa
"""

# Less bites while the board still boots or collects garbage: it would reset for ever
WATCHDOG_MIN_MS = 1000
WATCHDOG_MIN_SLOW_PERIODS = 4
# estimation.mean sums no more fast samples between two estimator steps
FAST_TICKS_PER_SLOW_MAX = 16

# A device: kind, instance, I2C bus, 7-bit address, four pins (-1: not wired), four arguments
DEVICE_FORMAT = "<BBBBbbbbiiii"
DEVICE_BYTES = 24
NO_PIN = -1
# kind: pins | arguments. Position is the wire value; append only. `instance` counts from 0 within a kind.
DEVICE_KINDS = (
    "i2c_bus",  # sda, scl | frequency_hz. instance = number of the bus
    # none | adc_range (0: ±163.84 mV, 1: ±40.96 mV), conversion_us, averages, polarity (1 or -1).
    # instance = cell; 0 has the shunt
    "ina228",
    "nau7802",  # none | gain, rate_hz, ldo_mv (0: AVDD is fed from outside). Stack force; 0 regulates, 1 checks
    "tmp117",  # none | averages, cycle_ms. instance = place on the stack
    "mcp4725",  # none | none. 0–10 V set point of the electro-pneumatic regulator
    "contactor",  # drive, feedback, precharge | drive_close_level, feedback_closed_level
    "enable_lines",  # charge, discharge | none. To the cycler or charger, 1 enables
    "alarm",  # output | none. 1: a short, or a stack that is not cold after one
    "bleed",  # switches of four cells | none. 1 bleeds; instance n: cells 4 n to 4 n + 3
    "hx711",  # dout, sck | gain, rate_hz. Stack force; 0 regulates, 1 checks
    # step, dir (1 closes), enable | pulses a second at most, ramp per s2, steps that it may close, and open
    "stepper",
    "limit_switches",  # of the stepper: closed, open | level at the end of the travel
    "heater",  # output, enable | PWM frequency_hz, full power in mW (the board does not use it)
    "ina226",  # none | 0, conversion_us, averages, polarity. instance = cell; 0 has the shunt
    # none | inputs (bit n - 1: a cell at VCn), flags (1 CRC, 2 fast), thermistors (bit n - 1: at TSn), polarity. The
    # cells of its inputs are cells 0 …, and it has the shunt
    "bq76952",
    "bq76952_ts",  # none | pin (0: TS1). A thermistor of the bq76952; instance = place on the stack
    "ads1115",  # none | rate_hz. instance = chip
    # Inputs of the ads1115 with their bus and address: positive, negative (-1: ground) | range_mv, and more:
    "ads1115_cell",  # picovolts a code. instance = cell
    "ads1115_pressure",  # none. Stack force; 0 regulates, 1 checks
    "ads1115_ntc",  # R25, B, pull-up (20 bits) and supply in 10 mV (above). instance = place on the stack
    "ntc",  # input of the board's converter | R25, B, pull-up. instance = place on the stack
)

ON_BUS = ("ina228", "nau7802", "tmp117", "mcp4725", "ina226", "bq76952", "ads1115")
ON_CONVERTER = ("ads1115_cell", "ads1115_pressure", "ads1115_ntc")
LOAD_CELLS = ("nau7802", "hx711", "ads1115_pressure")


class ImageError(Exception):
    """A config image that can't be used: `what` is wrong, `where` in the image."""

    def __init__(self, what, where):
        super().__init__("config image, " + where + ": " + what)
        self.what = what
        self.where = where


def decode(data):
    """Config of an image; raises ImageError when any byte of it is not as an encoder of this layout writes it."""
    crc, body = _open(data)
    sections = _sections(body)
    config = Config(
        _read_names(sections[NAMES]),
        _read_parameters(sections[PARAMETERS]),
        _read_limits(sections[LIMITS]),
        _read_devices(sections[DEVICES]),
        _read_estimator(sections[ESTIMATOR]),
    )
    check(config)
    config.crc = crc & tables.INT30_MAX
    return config


def _open(data):
    """(crc, body) of an image whose header and checksum are right."""
    if len(data) < HEADER_BYTES:
        raise ImageError("%d bytes, a header has %d" % (len(data), HEADER_BYTES), "header")
    magic, layout, schema_id, length, crc = struct.unpack_from(HEADER_FORMAT, data, 0)
    if magic != MAGIC:
        raise ImageError("not a config image", "magic")
    if layout != LAYOUT:
        raise ImageError("layout %d, this firmware reads %d" % (layout, LAYOUT), "layout")
    if schema_id != tables.schema_id():
        raise ImageError("made for schema %d, this firmware has %d" % (schema_id, tables.schema_id()), "schema_id")
    if length != len(data) - HEADER_BYTES:
        raise ImageError("%d bytes of body, the header says %d" % (len(data) - HEADER_BYTES, length), "body_length")
    body = data[HEADER_BYTES:]
    if binascii.crc32(body) & 0xFFFFFFFF != crc:
        raise ImageError("checksum is wrong", "crc32")
    return crc, body


def _sections(body):
    """{tag: bytes} with every known tag once and no other."""
    found = {}
    at = 0
    while at < len(body):
        if at + SECTION_BYTES > len(body):
            raise ImageError("cut at byte %d" % at, "section header")
        tag, length = struct.unpack_from(SECTION_FORMAT, body, at)
        at += SECTION_BYTES
        if not 1 <= tag <= len(SECTION_NAMES):
            raise ImageError("unknown tag %d" % tag, "section header")
        where = SECTION_NAMES[tag - 1]
        if tag in found:
            raise ImageError("comes twice", where)
        if at + length > len(body):
            raise ImageError("%d bytes, %d are left" % (length, len(body) - at), where)
        found[tag] = body[at : at + length]
        at += length
    for tag, where in enumerate(SECTION_NAMES, 1):
        if tag not in found:
            raise ImageError("section is missing", where)
    return found


def _read_names(data):
    names = []
    at = 0
    while at < len(data):
        end = at + 1 + data[at]
        if end > len(data):
            raise ImageError("cut at byte %d" % at, "names")
        try:
            names.append(bytes(data[at + 1 : end]).decode())
        except UnicodeError:
            raise ImageError("not UTF-8 at byte %d" % at, "names") from None
        at = end
    return tuple(names)


def _records(data, form, size, where):
    if len(data) % size:
        raise ImageError("%d bytes are no multiple of %d" % (len(data), size), where)
    for at in range(0, len(data), size):
        yield struct.unpack_from(form, data, at)


def _read_parameters(data):
    name_of = {row[0]: row[1] for row in tables.rows(tables.PARAMETERS)}
    values = {}
    for identity, value in _records(data, "<Hi", 6, "parameters"):
        name = name_of.get(identity)
        if name is None or name in values:
            raise ImageError("id %d is unknown or comes twice" % identity, "parameters")
        values[name] = value
    return values


def _read_limits(data):
    by_id = {}
    for record in _records(data, LIMIT_FORMAT, LIMIT_BYTES, "limits"):
        if record[0] in by_id:
            raise ImageError("id %d comes twice" % record[0], "limits")
        by_id[record[0]] = record
    if len(by_id) != tables.count(tables.LIMIT_ROWS):
        raise ImageError("%d rows, the schema has %d" % (len(by_id), tables.count(tables.LIMIT_ROWS)), "limits")
    limits = []
    for row in tables.rows(tables.LIMIT_ROWS):
        if row[0] not in by_id:
            raise ImageError("row is missing", "limits." + row[1])
        limits.append(by_id[row[0]])
    return limits


def _read_devices(data):
    devices = []
    for record in _records(data, DEVICE_FORMAT, DEVICE_BYTES, "devices"):
        if record[0] >= len(DEVICE_KINDS):
            raise ImageError("unknown kind %d" % record[0], "devices")
        devices.append((DEVICE_KINDS[record[0]], record[1], record[2], record[3], record[4:8], record[8:12]))
    return devices


def _read_estimator(data):
    if len(data) % 4:
        raise ImageError("%d bytes are no 32-bit floats" % len(data), "estimator")
    return array("f", data)


def check(config):
    """Raise ImageError for the first value that no board may run with."""
    _check_names(config.names)
    _check_parameters(config.parameters)
    if len(config.limits) != tables.count(tables.LIMIT_ROWS):
        raise ImageError("%d rows, the schema has %d" % (len(config.limits), tables.count(tables.LIMIT_ROWS)), "limits")
    for row, values in zip(tables.rows(tables.LIMIT_ROWS), config.limits):
        check_limit(row, values)
    _check_windows(config.limits)
    _check_collapse(config)
    _check_zeros(config)
    _check_devices(config.devices)
    _check_press(config)
    _check_heater(config)
    _check_estimator(config.estimator)


def _check_names(names):
    if len(names) != 3:
        raise ImageError("%d names, board, pack and cell are three" % len(names), "names")
    for name in names:
        if not 1 <= len(name.encode()) <= NAME_MAX_BYTES:
            raise ImageError("%r is not 1..%d bytes" % (name, NAME_MAX_BYTES), "names")


def _check_parameters(values):
    if len(values) != tables.count(tables.PARAMETERS):
        raise ImageError("%d values, the schema has %d" % (len(values), tables.count(tables.PARAMETERS)), "parameters")
    for row in tables.rows(tables.PARAMETERS):
        if row[1] not in values:
            raise ImageError("is missing", "parameters." + row[1])
        if not row[3] <= values[row[1]] <= row[4]:
            raise ImageError("%d is not %d..%d" % (values[row[1]], row[3], row[4]), "parameters." + row[1])
    if not values["pressure_min_kpa"] <= values["pressure_target_kpa"] <= values["pressure_max_kpa"]:
        raise ImageError("min <= target <= max does not hold", "parameters.pressure_target_kpa")
    if values["slow_period_ms"] % values["fast_period_ms"]:
        raise ImageError("no multiple of fast_period_ms", "parameters.slow_period_ms")
    if values["slow_period_ms"] > FAST_TICKS_PER_SLOW_MAX * values["fast_period_ms"]:
        raise ImageError("over %d of fast_period_ms" % FAST_TICKS_PER_SLOW_MAX, "parameters.slow_period_ms")
    least_ms = watchdog_least_ms(values["slow_period_ms"])
    if values["watchdog_ms"] and values["watchdog_ms"] < least_ms:
        raise ImageError("under %d it would reset for ever; 0: off" % least_ms, "parameters.watchdog_ms")


def watchdog_least_ms(slow_period_ms):
    """The shortest watchdog, in ms, that a board with this slow tick outlives."""
    return max(WATCHDOG_MIN_MS, WATCHDOG_MIN_SLOW_PERIODS * slow_period_ms)


def check_limit(row, values):
    """Raise ImageError unless `values` (a row of Config.limits) may stand for `row` of tables.LIMIT_ROWS."""
    where = "limits." + row[1]
    identity, flags, recovery, _, _, _, trip, _, debounce_ms, recovery_ms = values
    if identity != row[0]:
        raise ImageError("id %d, the schema has %d here" % (identity, row[0]), where)
    if flags > ROW_ENABLED | ROW_WARNS | ROW_DERATES:
        raise ImageError("flags %d are unknown" % flags, where)
    if row[1] in ALWAYS_ENABLED and not flags & ROW_ENABLED:
        raise ImageError("this row can't be switched off", where)
    if recovery >= len(tables.RECOVERIES.split()):
        raise ImageError("recovery %d is unknown" % recovery, where)
    if not row[5] <= trip <= row[6]:
        raise ImageError("trip %d is not %d..%d" % (trip, row[5], row[6]), where)
    if not 0 <= debounce_ms <= row[10]:
        raise ImageError("debounce of %d ms is not 0..%d" % (debounce_ms, row[10]), where)
    if not 0 <= recovery_ms <= tables.INT30_MAX:
        raise ImageError("recovery_ms is beyond 30 bits", where)
    if row[7] == "lockout" and recovery == AUTO:
        raise ImageError("a row that locks out can't recover by itself", where)
    _check_levels(-1 if row[4] == "low" else 1, values, where)


def _check_levels(sign, values, where):
    _, flags, _, _, warn, derate, trip, reset, _, _ = values
    for level in (warn, derate, reset):
        if not tables.INT30_MIN <= level <= tables.INT30_MAX:
            raise ImageError("level %d is beyond 30 bits" % level, where)
    if sign * (trip - reset) <= 0:
        raise ImageError("reset %d must lie on the safe side of trip %d" % (reset, trip), where)
    levels = [level for level, flag in ((warn, ROW_WARNS), (derate, ROW_DERATES)) if flags & flag] + [trip]
    for milder, harder in zip(levels, levels[1:]):
        if sign * (harder - milder) < 0:
            raise ImageError("%d must not come after %d: warn, derate, trip" % (milder, harder), where)


def _check_windows(limits):
    for low, high in WINDOWS:
        floor, ceiling = (
            limits[tables.position(tables.LIMIT_ROWS, low)],
            limits[tables.position(tables.LIMIT_ROWS, high)],
        )
        if floor[1] & ceiling[1] & ROW_ENABLED and floor[_TRIP] >= ceiling[_TRIP]:
            raise ImageError(
                "trip %d is not below that of %s, %d" % (floor[_TRIP], high, ceiling[_TRIP]), "limits." + low
            )


def _check_collapse(config):
    """A drop that a cell at its lowest voltage can't make would never be called a hard short. Half of that voltage:
    what is shorted hard is left with less (assumption)."""
    most_uv = config.limits[tables.position(tables.LIMIT_ROWS, "cell_undervoltage")][_TRIP] // 2
    if config.parameters["hard_short_drop_uv"] > most_uv:
        raise ImageError("is over %d, half the trip of cell_undervoltage" % most_uv, "parameters.hard_short_drop_uv")


def _check_zeros(config):
    for name in ZEROS:
        most = config.zero_most(name)
        if not -most <= config.parameters[name] <= most:
            raise ImageError("%d is not -%d..%d" % (config.parameters[name], most, most), "parameters." + name)


def _check_devices(devices):
    seen = set()
    taken = set()  # pins, and (bus, address): two cells read from one chip leave one of them unwatched
    for kind, instance, bus, address, pins, arguments in devices:
        where = "devices.%s[%d]" % (kind, instance)
        if kind not in DEVICE_KINDS or (kind, instance) in seen:
            raise ImageError("unknown, or comes twice", where)
        seen.add((kind, instance))
        if address > 0x77 or len(pins) != 4 or len(arguments) != 4:
            raise ImageError("address, pins or arguments out of range", where)
        for value in arguments:
            if not tables.INT30_MIN <= value <= tables.INT30_MAX:
                raise ImageError("argument %d is beyond 30 bits" % value, where)
        if kind in ("ina228", "ina226", "bq76952") and arguments[3] not in (1, -1):
            raise ImageError("polarity %d would scale the current, it is 1 or -1" % arguments[3], where)
        for use in _uses(kind, bus, address, pins):
            if use != NO_PIN and use in taken:
                raise ImageError("a pin or an address on its bus is taken twice", where)
            taken.add(use)


def _uses(kind, bus, address, pins):
    """What a device has for itself: its pins, its address, or an input of a converter."""
    if kind in ON_CONVERTER:
        return ((bus, address, pins[0]),)
    return ((bus, address),) if kind in ON_BUS else pins


def _check_press(config):
    """What moves a press needs a pressure to move it by, and the rows that watch that."""
    if not (config.devices_of("mcp4725") or config.devices_of("stepper")):
        return
    if config.devices_of("mcp4725") and config.devices_of("stepper"):
        raise ImageError("drives two presses, it is one", "devices.stepper")
    if not any([config.devices_of(kind) for kind in LOAD_CELLS]):
        raise ImageError("drives a press, but no load cell measures its pressure", "devices")
    for name in PRESS_ROWS:
        if not config.limits[tables.position(tables.LIMIT_ROWS, name)][1] & ROW_ENABLED:
            raise ImageError("can't be switched off where a press is driven", "limits." + name)
    _check_ceilings(config)
    for stepper in config.devices_of("stepper"):
        _check_screw(stepper[5], config.parameters)


def _check_screw(arguments, parameters):
    """What the driver would refuse, on a board that could then not start."""
    rate, ramp, closes, opens = arguments
    if not parameters["stack_stiffness_kpa_per_um"]:
        raise ImageError("0 turns no pressure into steps", "parameters.stack_stiffness_kpa_per_um")
    if not 0 < rate * parameters["fast_period_ms"] <= 1000:
        raise ImageError("%d pulses a second, it is one a fast tick at most" % rate, "devices.stepper")
    if ramp < 1 or closes < 0 or opens < 0:
        raise ImageError("ramp or travel below what moves", "devices.stepper")


def _check_heater(config):
    """A largest temperature of 0 keeps the heater off."""
    if not (config.devices_of("heater") and config.parameters["heater_max_cdegc"]):
        return
    for name in HEATER_ROWS:
        if not config.limits[tables.position(tables.LIMIT_ROWS, name)][1] & ROW_ENABLED:
            raise ImageError("can't be switched off where the rig is heated", "limits." + name)
    trip_cdegc = config.limits[tables.position(tables.LIMIT_ROWS, HEATER_ROWS[0])][_TRIP]
    if config.parameters["heater_max_cdegc"] >= trip_cdegc:
        raise ImageError("is not below the trip of " + HEATER_ROWS[0], "parameters.heater_max_cdegc")


def _check_ceilings(config):
    for row in PRESS_CEILINGS.splitlines():
        name, ceiling = row.split()
        if ceiling in config.parameters:
            highest = config.parameters[ceiling]
        else:
            highest = config.limits[tables.position(tables.LIMIT_ROWS, ceiling)][_TRIP] - 1
        if config.parameters[name] > highest:
            raise ImageError("is over %d, see %s" % (highest, ceiling), "parameters." + name)


def _check_estimator(values):
    if len(values) != estimator_layout.SIZE:
        raise ImageError("%d floats, the layout has %d" % (len(values), estimator_layout.SIZE), "estimator")
    at = 0
    for name, count in estimator_layout.rows():
        for position in range(at, at + count):
            if not -1e9 < values[position] < 1e9:  # NaN and infinities fail as well
                raise ImageError("%s is %r" % (name, values[position]), "estimator")
        if name in ("r0_temperature_degc", "r0_pressure_mpa"):
            for position in range(at + 1, at + count):
                if values[position] <= values[position - 1]:
                    raise ImageError(name + " does not increase", "estimator")
        if name in ("capacity_ah", "tau1_s", "tau2_s") and values[at] <= 0:
            raise ImageError(name + " is not positive", "estimator")
        at += count
