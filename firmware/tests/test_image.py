"""The config image: what was encoded is decoded, and nothing else ever is."""

import os
import shutil
import struct
import subprocess
import sys
from array import array
from pathlib import Path

import pytest
from assb.estimation import flat_layout
from assb.estimation import parameters as estimator_layout
from assb.protocol import image, image_writer, schema
from assb.protocol.config import ZEROS
from hypothesis import given, settings
from hypothesis import strategies as st

FIRMWARE = Path(__file__).resolve().parents[1]


def limit_values(row, **changes):
    safe_side = 1 if row[4] == schema.KIND_LOW else -1
    levels = {"warn": row[5], "derate": row[5], "trip": row[5], "reset": row[5] + safe_side}
    values = {
        "id": row[0],
        "flags": 7,
        "recovery": 1,
        "trips": 0,
        **levels,
        "debounce_ms": min(30, row[10]),
        "recovery_ms": 0,
    } | changes
    return tuple(values.values())


PARAMETERS = {row[1]: row for row in schema.PARAMETERS}
# half of the lowest trip that cell_undervoltage may have, which `limit_values` gives it
SMALL = {name: row[5] for name, row in PARAMETERS.items()} | {"hard_short_drop_uv": 250_000}


def small_config(**changes):
    """A Config that passes every check."""
    even = {name: [k / (count - 1 or 1) for k in range(count)] for name, count, _default in flat_layout.ROWS}
    flat = flat_layout.pack(even | {name: 1.0 for name, count, _ in flat_layout.ROWS if count == 1})
    devices = [
        ("i2c_bus", 0, 0, 0, (4, 5, -1, -1), (400000, 0, 0, 0)),
        ("ina228", 0, 0, 0x40, (6, -1, -1, -1), (0, 1052, 1, 1)),
    ]
    parts = {
        "names": ("virtual-pico", "li_lpscl_nca", "lpscl_nca_600"),
        "parameters": dict(SMALL),
        "limits": [limit_values(row) for row in schema.LIMIT_ROWS],
        "devices": devices,
        "estimator": array("f", flat),
    } | changes
    return image.Config(**parts)


GOOD = image_writer.encode(small_config())


@st.composite
def configs(draw):
    names = tuple(draw(st.text("abcdefghijklmnopqrstuvwxyz0123456789_-µ", min_size=1, max_size=7)) for _ in range(3))
    parameters = {row[1]: draw(st.integers(row[3], row[4])) for row in schema.PARAMETERS}
    low, mid, high = sorted(draw(st.tuples(*[st.integers(0, 100000)] * 3)))
    parameters |= {"pressure_min_kpa": low, "pressure_target_kpa": mid, "pressure_max_kpa": high}
    parameters["fast_period_ms"] = draw(st.sampled_from([5, 10, 25, 50]))
    parameters["slow_period_ms"] = parameters["fast_period_ms"] * 10
    parameters["watchdog_ms"] = draw(st.sampled_from([0, 2000, 8388]))
    limits = [
        limit_values(row, trips=draw(st.integers(0, 255)), debounce_ms=draw(st.integers(0, row[10])))
        for row in schema.LIMIT_ROWS
    ]
    parameters["hard_short_drop_uv"] = draw(st.integers(10_000, 250_000))
    drawn = small_config(names=names, parameters=parameters, limits=limits)
    for name in ZEROS:
        most = min(drawn.zero_most(name), PARAMETERS[name][4])
        parameters[name] = draw(st.integers(-most, most))
    return drawn


@given(configs())
@settings(max_examples=50, deadline=None)
def test_what_was_encoded_is_decoded(config):
    decoded = image.decode(image_writer.encode(config))
    assert decoded.names == config.names
    assert decoded.parameters == config.parameters
    assert decoded.limits == config.limits
    assert decoded.devices == config.devices
    assert decoded.estimator == config.estimator
    assert decoded.crc == struct.unpack_from("<I", image_writer.encode(config), 18)[0] & schema.INT30_MAX


def test_every_corrupted_byte_is_refused():
    for position in range(len(GOOD)):
        for flip in (0x01, 0x80, 0xFF):
            bad = bytearray(GOOD)
            bad[position] ^= flip
            with pytest.raises(image.ImageError):
                image.decode(bytes(bad))


def test_every_truncation_and_every_tail_is_refused():
    for length in range(len(GOOD)):
        with pytest.raises(image.ImageError):
            image.decode(GOOD[:length])
    with pytest.raises(image.ImageError):
        image.decode(GOOD + b"\0")


def with_body(body):
    """An image around any body, with a right header and checksum: what an evil or buggy encoder would write."""
    crc = image.binascii.crc32(body)
    return struct.pack(image.HEADER_FORMAT, image.MAGIC, image.LAYOUT, schema.schema_id(), len(body), crc) + body


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_body_with_a_right_checksum_decodes_to_checked_values_or_is_refused(data):
    body = bytearray(GOOD[image.HEADER_BYTES :])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        config = image.decode(with_body(bytes(body)))
    except image.ImageError:
        return
    image.check(config)


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_random_bodies_are_refused(body):
    with pytest.raises(image.ImageError):
        image.decode(with_body(body))


@pytest.mark.parametrize(
    ("parameter", "value"),
    [("fast_period_ms", 4), ("slow_period_ms", 105), ("pressure_target_kpa", 4499), ("watchdog_ms", 8389)],
)
def test_a_parameter_outside_its_range_is_refused(parameter, value):
    values = SMALL | {parameter: value}
    with pytest.raises(image.ImageError, match=parameter):
        image_writer.encode(small_config(parameters=values))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"watchdog_ms": 999}, "under 1000"),
        ({"watchdog_ms": 1999, "fast_period_ms": 50, "slow_period_ms": 500}, "under 2000"),
        ({"slow_period_ms": 170}, "over 16 of fast_period_ms"),
    ],
)
def test_times_that_would_reset_for_ever_or_overrun_the_means_are_refused(changes, says):
    values = SMALL | changes
    with pytest.raises(image.ImageError, match=says):
        image_writer.encode(small_config(parameters=values))


@pytest.mark.parametrize("changes", [{"watchdog_ms": 0}, {"watchdog_ms": 1000}, {"slow_period_ms": 160}])
def test_the_edges_of_those_times_are_taken(changes):
    values = SMALL | changes
    assert image.decode(image_writer.encode(small_config(parameters=values))).parameters == values


@pytest.mark.parametrize(
    ("name", "changes", "says"),
    [
        ("cell_overvoltage", {"trip": 10000001}, "10000001 is not"),
        ("cell_overvoltage", {"flags": 6}, "can't be switched off"),
        ("cell_overvoltage", {"reset": 1000000}, "safe side"),
        ("cell_overvoltage", {"warn": 1000001}, "warn, derate, trip"),
        ("cell_undervoltage", {"derate": 499999}, "warn, derate, trip"),
        ("cell_undervoltage", {"reset": 499999}, "safe side"),
        ("pressure_low", {"recovery": 3}, "recovery 3"),
        ("pressure_low", {"flags": 8}, "flags 8"),
    ],
)
def test_an_unsafe_limit_row_is_refused(name, changes, says):
    limits = [limit_values(row, **(changes if row[1] == name else {})) for row in schema.LIMIT_ROWS]
    with pytest.raises(image.ImageError, match=says) as caught:
        image_writer.encode(small_config(limits=limits))
    assert caught.value.where == "limits." + name


def test_an_optional_row_may_be_off_and_levels_without_their_flag_are_ignored():
    limits = [
        limit_values(row, flags=0, warn=schema.INT30_MAX) if row[1] not in image.ALWAYS_ENABLED else limit_values(row)
        for row in schema.LIMIT_ROWS
    ]
    assert image.decode(image_writer.encode(small_config(limits=limits))).limits == limits


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_an_estimator_value_that_is_not_finite_is_refused(value):
    flat = array("f", small_config().estimator)
    flat[estimator_layout.offset("r1_ohm")] = value
    with pytest.raises(image.ImageError, match="r1_ohm"):
        image_writer.encode(small_config(estimator=flat))


def test_an_axis_that_does_not_increase_is_refused():
    flat = array("f", small_config().estimator)
    flat[estimator_layout.offset("r0_pressure_mpa") + 3] = 0.0
    with pytest.raises(image.ImageError, match="r0_pressure_mpa"):
        image_writer.encode(small_config(estimator=flat))


def test_another_schema_and_another_layout_are_named():
    other_schema = bytearray(GOOD)
    other_schema[10] ^= 1
    with pytest.raises(image.ImageError, match="schema"):
        image.decode(bytes(other_schema))
    other_layout = bytearray(GOOD)
    other_layout[8] = 2
    with pytest.raises(image.ImageError, match="layout 2"):
        image.decode(bytes(other_layout))


ON_THE_BOARD = """
import sys
from assb.protocol import image
data = open(sys.argv[1], "rb").read()
config = image.decode(data)
print(config.names, config.parameter("lease_ms"), len(config.limits), config.devices[1], config.crc)
refused = 0
for position in range(len(data)):
    bad = bytearray(data)
    bad[position] ^= 0x80
    try:
        image.decode(bytes(bad))
    except image.ImageError:
        refused += 1
print(refused)
"""


def micropython_executable():
    beside = Path(sys.executable).parent / "micropython"
    return os.environ.get("ASSB_MICROPYTHON") or (str(beside) if beside.exists() else shutil.which("micropython"))


@pytest.mark.skipif(micropython_executable() is None, reason="no MicroPython found; set ASSB_MICROPYTHON")
def test_the_board_decodes_the_same_values_and_refuses_every_corruption(tmp_path):
    image_file, script = tmp_path / "config.bin", tmp_path / "decode.py"
    image_file.write_bytes(GOOD)
    script.write_text(ON_THE_BOARD)
    command = [micropython_executable(), "-X", "heapsize=192K", str(script), str(image_file)]
    path = {"MICROPYPATH": str(FIRMWARE)}
    done = subprocess.run(command, env=path, capture_output=True, text=True, timeout=60, check=False)
    expected = image.decode(GOOD)
    seen = (expected.names, expected.parameter("lease_ms"), len(expected.limits), expected.devices[1], expected.crc)
    assert done.stdout.split("\n")[:2] == [" ".join(map(str, seen)), str(len(GOOD))], done.stderr


STEPPER = ("stepper", 0, 0, 0, (17, 18, 19, -1), (100, 1000, 6000, 6000))
PRESS = [
    ("i2c_bus", 0, 0, 0, (4, 5, -1, -1), (400000, 0, 0, 0)),
    ("ina228", 0, 0, 0x40, (-1, -1, -1, -1), (0, 1052, 1, 1)),
    ("nau7802", 0, 0, 0x2A, (-1, -1, -1, -1), (128, 80, 3300, 0)),
    ("mcp4725", 0, 0, 0x60, (-1, -1, -1, -1), (0, 0, 0, 0)),
    ("contactor", 0, 0, 0, (10, 11, -1, -1), (1, 1, 0, 0)),
    ("bleed", 0, 0, 0, (16, -1, -1, -1), (0, 0, 0, 0)),
]


def press_config(trip_kpa=7000, devices=PRESS, **parameters):
    """A Config that drives a press, and opens at that pressure."""
    levels = {"warn": trip_kpa, "derate": trip_kpa, "trip": trip_kpa, "reset": trip_kpa - 1}
    limits = [limit_values(row, **(levels if row[1] == "pressure_high" else {})) for row in schema.LIMIT_ROWS]
    values = SMALL | parameters
    return small_config(devices=devices, limits=limits, parameters=values)


@pytest.mark.parametrize(
    ("name", "highest", "others"),
    [
        ("pressure_max_kpa", 6999, {}),
        ("pressure_target_kpa", 5100, {"pressure_command_max_kpa": 5100}),
        ("pressure_command_max_kpa", 9000, {"regulator_full_scale_kpa": 9000}),
    ],
)
@pytest.mark.parametrize("drive", [PRESS[3], STEPPER])
def test_where_a_press_is_driven_no_pressure_exceeds_what_ends_it(name, highest, others, drive):
    devices = [*PRESS[:3], drive, *PRESS[4:]]
    image_writer.encode(press_config(devices=devices, **others | {name: highest}))
    with pytest.raises(image.ImageError, match=rf"parameters\.{name}: is over {highest}"):
        image_writer.encode(press_config(devices=devices, **others | {name: highest + 1}))


@pytest.mark.parametrize(
    ("motor", "parameters", "refused"),
    [
        ((100, 1000, 6000, 6000), {"stack_stiffness_kpa_per_um": 0}, "stack_stiffness_kpa_per_um"),
        ((101, 1000, 6000, 6000), {}, "101 pulses"),
        ((100, 1000, 6000, 6000), {"fast_period_ms": 20}, "100 pulses"),
        ((0, 1000, 6000, 6000), {}, "0 pulses"),
        ((100, 0, 6000, 6000), {}, "ramp or travel"),
        ((100, 1000, -1, 6000), {}, "ramp or travel"),
        ((100, 1000, 6000, -1), {}, "ramp or travel"),
    ],
)
def test_a_screw_that_its_driver_would_refuse_is_refused_before_a_board_has_it(motor, parameters, refused):
    devices = [*PRESS[:3], (*STEPPER[:5], motor), *PRESS[4:]]
    with pytest.raises(image.ImageError, match=refused):
        image_writer.encode(press_config(devices=devices, **{"stack_stiffness_kpa_per_um": 10} | parameters))
    for least in ((50, 1, 0, 0), (100, 1000, 6000, 6000)):
        devices[3] = (*STEPPER[:5], least)
        image_writer.encode(press_config(devices=devices, stack_stiffness_kpa_per_um=1, fast_period_ms=10))


@pytest.mark.parametrize(
    ("at", "place", "value", "taken"),
    [
        (1, 3, 0x60, "mcp4725"),  # at the address of another chip
        (2, 3, 0x40, "nau7802"),
        (4, 4, (10, 10, -1, -1), "contactor"),
        (5, 4, (10, -1, -1, -1), "bleed"),  # which would bleed by closing the contactor
        (5, 4, (-1, -1, -1, 5), "bleed"),
    ],
)
def test_a_pin_or_an_address_that_is_taken_twice_is_refused(at, place, value, taken):
    assert image.decode(image_writer.encode(press_config())).devices == PRESS
    device = list(PRESS[at])
    device[place] = value
    devices = [*PRESS[:at], tuple(device), *PRESS[at + 1 :]]
    with pytest.raises(image.ImageError, match=rf"devices\.{taken}\[0\]: a pin or an address"):
        image_writer.encode(small_config(devices=devices))
    other_bus = [("i2c_bus", 1, 0, 0, (6, 7, -1, -1), (400000, 0, 0, 0)), *PRESS, ("ina228", 1, 1, 0x40, *PRESS[1][4:])]
    image_writer.encode(press_config(devices=other_bus))


@pytest.mark.parametrize("polarity", [0, 2, -2, 1000])
def test_a_monitor_that_would_scale_its_current_is_refused(polarity):
    monitor = (*PRESS[1][:5], (0, 1052, 1, polarity))
    with pytest.raises(image.ImageError, match=r"devices\.ina228\[0\]: polarity"):
        image_writer.encode(small_config(devices=[PRESS[0], monitor]))


@pytest.mark.parametrize("name", ["pressure_high", "pressure_stale"])
def test_what_drives_a_press_measures_its_pressure_and_watches_it(name):
    limits = [limit_values(row, **({"flags": 0} if row[1] == name else {})) for row in schema.LIMIT_ROWS]
    with pytest.raises(image.ImageError, match=name):
        image_writer.encode(small_config(devices=PRESS, limits=limits))
    monitors_only = [device for device in PRESS if device[0] != "mcp4725"]
    image_writer.encode(small_config(devices=monitors_only, limits=limits))
    with pytest.raises(image.ImageError, match="no load cell"):
        image_writer.encode(small_config(devices=[device for device in PRESS if device[0] != "nau7802"]))


def heated_config(off="", max_cdegc=6600):
    """With a heater on pins 16 and 17; `off`: a row that is switched off."""
    plain = small_config()
    changes = {name: {"flags": 0 if name == off else 1} for name in image.HEATER_ROWS}
    changes["heater_overtemperature"] |= {"trip": 7000, "warn": 7000, "derate": 7000, "reset": 6000}
    return small_config(
        parameters=plain.parameters | {"heater_max_cdegc": max_cdegc},
        limits=[limit_values(row, **changes.get(row[1], {})) for row in schema.LIMIT_ROWS],
        devices=[*plain.devices, ("heater", 0, 0, 0, (16, 17, -1, -1), (10, 80000, 0, 0))],
    )


@pytest.mark.parametrize("row", image.HEATER_ROWS)
def test_a_heated_rig_without_the_rows_that_watch_it_is_refused_and_one_that_is_not_heated_may_do_without(row):
    image_writer.encode(heated_config())
    image_writer.encode(heated_config(off=row, max_cdegc=0))
    with pytest.raises(image.ImageError, match=row):
        image_writer.encode(heated_config(off=row))


def test_the_heaters_largest_temperature_is_below_its_trip():
    image_writer.encode(heated_config(max_cdegc=6999))
    with pytest.raises(image.ImageError, match="heater_max_cdegc"):
        image_writer.encode(heated_config(max_cdegc=7000))


def test_a_hard_short_that_no_cell_could_make_is_refused():
    """Half the trip of cell_undervoltage is taken, a microvolt more is not."""
    image.check(small_config(parameters=SMALL | {"hard_short_drop_uv": 250_000}))
    with pytest.raises(image.ImageError, match="hard_short_drop_uv: is over 250000, half the trip"):
        image.check(small_config(parameters=SMALL | {"hard_short_drop_uv": 250_001}))


@pytest.mark.parametrize(("name", "most"), [("load_cell_zero_shift_counts", 333), ("current_offset_ua", 50)])
def test_a_calibration_that_moves_a_trip_by_more_than_its_share_is_refused(name, most):
    """5 % of a trip of 10 kPa, at 0.0015 kPa a count; of 1000 uA."""
    for value in (-most, most):
        image.check(small_config(parameters=SMALL | {name: value}))
    for value in (-most - 1, most + 1):
        with pytest.raises(image.ImageError, match=rf"{name}: {value} is not -{most}\.\.{most}"):
            image.check(small_config(parameters=SMALL | {name: value}))
