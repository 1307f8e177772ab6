"""The absolute envelope: what no config image and no command can pass, on both sides of each bound."""

import pytest
from assb.protocol import image, image_writer, schema
from assb.protocol.config import ZEROS
from bench import LEVELS, Bench, limit
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_image import SMALL, limit_values, small_config

PARAMETERS = {row[1]: row for row in schema.PARAMETERS}
ROWS = {row[1]: row for row in schema.LIMIT_ROWS}
# Parameters that others bind: their own bounds are reached only together with those
BOUND_BY_OTHERS = {
    "fast_period_ms": {"slow_period_ms": "ten"},
    "slow_period_ms": {"fast_period_ms": "tenth"},
    "pressure_target_kpa": {"pressure_min_kpa": "same", "pressure_max_kpa": "same"},
    "pressure_min_kpa": {"pressure_target_kpa": "same", "pressure_max_kpa": "same"},
    "pressure_max_kpa": {"pressure_target_kpa": "same", "pressure_min_kpa": "same"},
}
FOLLOWS = {"same": lambda value: value, "ten": lambda value: 10 * value, "tenth": lambda value: max(value // 10, 5)}


def with_parameter(name, value):
    values = SMALL | {name: value}
    values |= {other: FOLLOWS[how](value) for other, how in BOUND_BY_OTHERS.get(name, {}).items()}
    if values["watchdog_ms"] and name != "watchdog_ms":
        values["watchdog_ms"] = 0  # its least depends on the slow period
    if name in BOUND_BY_TRIPS:
        return small_config(parameters=values, limits=HIGHEST_TRIPS)
    return small_config(parameters=values)


def with_row(name, **changes):
    return small_config(limits=[limit_values(row, **(changes if row[1] == name else {})) for row in schema.LIMIT_ROWS])


def taken(config):
    """Whether a board takes the image."""
    try:
        image.check(config)
    except image.ImageError:
        return False
    return image.decode(image_writer.encode(config)).parameters == config.parameters


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_ends_at_its_bounds(name):
    _, _, _, lowest, highest, _ = PARAMETERS[name]
    assert taken(with_parameter(name, lowest))
    assert taken(with_parameter(name, highest))
    assert not taken(with_parameter(name, lowest - 1))
    assert not taken(with_parameter(name, highest + 1))


@given(st.sampled_from(sorted(PARAMETERS)), st.integers(-(1 << 31), (1 << 31) - 1))
@settings(max_examples=300, deadline=None)
def test_no_parameter_of_a_random_image_is_outside(name, value):
    if taken(with_parameter(name, value)):
        assert PARAMETERS[name][3] <= value <= PARAMETERS[name][4]


def levels_of(row, trip):
    safe = -1 if row[4] != schema.KIND_LOW else 1
    return {"warn": trip, "derate": trip, "trip": trip, "reset": trip + safe}


# Parameters that trips bind: their own bounds are reached only with the highest of these
BOUND_BY_TRIPS = ("hard_short_drop_uv", *ZEROS)
HIGH_CURRENTS = ("charge_overcurrent", "charge_overcurrent_10s", "weld_current", "forbidden_current")
HIGHEST_TRIPS = [
    limit_values(row, **levels_of(row, row[6]))
    if row[1] in ("cell_undervoltage", "cell_overvoltage", "pressure_high", *HIGH_CURRENTS)
    else limit_values(row)
    for row in schema.LIMIT_ROWS
]


def others_out_of_the_way(name):
    """Rows whose levels must leave a window open to this one's."""
    return {other for pair in image.WINDOWS if name in pair for other in pair if other != name}


def taken_row(name, **changes):
    limits = []
    for row in schema.LIMIT_ROWS:
        values = changes if row[1] == name else {}
        if row[1] in others_out_of_the_way(name):
            low_side = row[1] in [low for low, _ in image.WINDOWS]
            values = levels_of(row, row[5] if low_side else row[6])
        limits.append(limit_values(row, **values))
    return taken(small_config(limits=limits))


@pytest.mark.parametrize("name", ROWS)
def test_a_trip_level_ends_at_the_bounds_of_its_row(name):
    row = ROWS[name]
    inside = [row[5], row[6]]
    if name in ("cell_undervoltage", "pack_undervoltage", "pressure_low", "charge_undertemperature"):
        inside = [row[5], min(row[6], max(row[5], 0) + 1)]
    for trip in inside:
        assert taken_row(name, **levels_of(row, trip))
    for trip in (row[5] - 1, row[6] + 1):
        assert not taken_row(name, **levels_of(row, trip))


@pytest.mark.parametrize("name", ROWS)
def test_a_debounce_ends_where_its_row_would_not_protect_any_more(name):
    row = ROWS[name]
    assert taken_row(name, **levels_of(row, row[5]), debounce_ms=row[10])
    assert not taken_row(name, **levels_of(row, row[5]), debounce_ms=row[10] + 1)
    assert not taken_row(name, **levels_of(row, row[5]), debounce_ms=-1)


@given(
    st.sampled_from(sorted(ROWS)),
    st.fixed_dictionaries(
        {},
        optional={
            "flags": st.integers(0, 255),
            "recovery": st.integers(0, 255),
            "trips": st.integers(0, 255),
            "warn": st.integers(-(1 << 31), (1 << 31) - 1),
            "derate": st.integers(-(1 << 31), (1 << 31) - 1),
            "trip": st.integers(-(1 << 31), (1 << 31) - 1),
            "reset": st.integers(-(1 << 31), (1 << 31) - 1),
            "debounce_ms": st.integers(0, (1 << 32) - 1),
            "recovery_ms": st.integers(0, (1 << 32) - 1),
        },
    ),
)
@settings(max_examples=600, deadline=None)
def test_no_row_of_a_random_image_is_outside(name, changes):
    row = ROWS[name]
    config = with_row(name, **changes)
    if not taken(config):
        return
    _, flags, recovery, _, warn, derate, trip, reset, debounce_ms, recovery_ms = config.limits[
        schema.index_of(schema.LIMIT_ROWS)[name]
    ]
    sign = -1 if row[4] == schema.KIND_LOW else 1
    assert row[5] <= trip <= row[6]
    assert debounce_ms <= row[10]
    assert recovery_ms <= schema.INT30_MAX
    assert sign * reset < sign * trip
    assert flags & image.ROW_ENABLED or name not in image.ALWAYS_ENABLED
    assert row[7] != "lockout" or schema.RECOVERIES[recovery] != "auto"
    if flags & image.ROW_DERATES:
        assert sign * derate <= sign * trip
    if flags & image.ROW_WARNS:
        assert sign * warn <= sign * trip


@pytest.mark.parametrize("name", ROWS)
def test_a_protected_row_can_not_be_switched_off_and_no_other_is_forgotten(name):
    assert taken_row(name, **levels_of(ROWS[name], ROWS[name][5]), flags=0) == (name not in image.ALWAYS_ENABLED)


def test_every_quantity_that_can_destroy_a_cell_at_once_has_a_row_that_stays():
    protected = {(ROWS[name][3], ROWS[name][4]) for name in image.ALWAYS_ENABLED}
    for signal in ("voltage_uv", "current_ua", "current_10s_ua"):
        assert {(signal, "high"), (signal, "low")} <= protected
    assert {(signal, "stale") for signal in ("voltage_uv", "current_ua", "temperature_cdegc")} <= protected
    assert ("temperature_cdegc", "high") in protected


@pytest.mark.parametrize(("low", "high"), image.WINDOWS)
def test_rows_that_leave_no_room_between_them_are_refused(low, high):
    middle = max(ROWS[low][5], ROWS[high][5]) + 1000
    for low_trip, takes in ((middle - 1, True), (middle, False), (middle + 1, False)):
        limits = [
            limit_values(row, **levels_of(row, {low: low_trip, high: middle}.get(row[1], row[5])))
            for row in schema.LIMIT_ROWS
        ]
        assert taken(small_config(limits=limits)) == takes


@pytest.fixture(scope="module")
def safe_bench():
    return Bench().run(600)


@given(name=st.sampled_from(sorted(PARAMETERS)), value=st.integers(schema.INT30_MIN, schema.INT30_MAX))
@example(name="pressure_target_kpa", value=4499)
@example(name="pressure_target_kpa", value=5501)
@example(name="pressure_kp_ppm", value=10000001)
@settings(max_examples=300, deadline=None)
def test_no_set_command_passes_the_envelope(safe_bench, name, value):
    bench = safe_bench
    before = list(bench.app.settings._value)
    bench.send("set", name=name, value=value)
    bench.run(50)
    _, _, settable, lowest, highest, _ = PARAMETERS[name]
    allowed = settable and lowest <= value <= highest
    if name in ZEROS:
        allowed = allowed and abs(value) <= bench.config.zero_most(name)
    if name == "pressure_target_kpa":
        allowed = bench.app.settings("pressure_min_kpa") <= value <= bench.app.settings("pressure_max_kpa")
    assert (bench.app.settings(name) == value and allowed) or list(bench.app.settings._value) == before


@pytest.mark.parametrize("name", [name for name, row in PARAMETERS.items() if row[2]])
def test_a_parameter_that_may_be_set_ends_at_its_bounds(name):
    bench = Bench().run(600)
    lowest, highest = PARAMETERS[name][3:5]
    if name == "pressure_target_kpa":
        lowest, highest = bench.app.settings("pressure_min_kpa"), bench.app.settings("pressure_max_kpa")
    if name in ZEROS:
        most = min(highest, bench.config.zero_most(name))
        lowest, highest = -most, most
    assert bench.app.settings.refusal(name, lowest) == bench.app.settings.refusal(name, highest) == ""
    assert bench.app.settings.refusal(name, lowest - 1)
    assert bench.app.settings.refusal(name, highest + 1)


OVERCURRENTS = [f"{side}_overcurrent{mean}" for side in ("charge", "discharge") for mean in ("", "_10s")]
NEAR_ZERO = ("weld_current", "forbidden_current")


@pytest.mark.parametrize(
    ("name", "most"), [*((name, 0.11) for name in OVERCURRENTS), *((name, 0.58) for name in NEAR_ZERO)]
)
@pytest.mark.parametrize("nearest", [*OVERCURRENTS, *NEAR_ZERO])
def test_no_calibration_moves_a_trip_of_current_further_than_safety_says(nearest, name, most):
    """docs/safety.md. Offset and gain together, both at what the board takes, whichever row trips first."""
    far = {row: limit(row, trip=900_000) for row in NEAR_ZERO}
    trip_ua = LEVELS[nearest][2] // 2
    bench = Bench(limits=far | {nearest: limit(nearest, trip=trip_ua, reset=trip_ua // 2)}).run(600)
    offset_ua = bench.config.zero_most("current_offset_ua")
    assert bench.app.settings.refusal("current_offset_ua", -offset_ua - 1)
    assert not bench.app.settings.refusal("current_offset_ua", -offset_ua)
    gain = PARAMETERS["current_gain_ppm"][3] / 1e6
    trip_ua = abs(bench.config.limits[list(ROWS).index(name)][6])
    assert (trip_ua + offset_ua) / (1 + gain) <= (1 + most) * trip_ua


def test_no_calibration_reads_a_pressure_as_a_ninth_less():
    """Zero and span together, both at what the board takes: what trips pressure_high at its level."""
    bench = Bench(load_cell_kpa_per_count_ppb=2328306).run(600)
    trip_kpa = bench.config.limits[schema.index_of(schema.LIMIT_ROWS)["pressure_high"]][6]
    zero, span = "load_cell_zero_shift_counts", "load_cell_span_ppm"
    most = min(bench.config.zero_most(zero), PARAMETERS[zero][4])
    assert not bench.app.settings.refusal(zero, most)
    assert bench.app.settings.refusal(zero, most + 1)
    assert not bench.app.settings.refusal(span, -PARAMETERS[span][4])
    true_kpa = trip_kpa / (1 - PARAMETERS[span][4] / 1e6) + most * 2328306e-9
    assert 1.10 * trip_kpa < true_kpa < 10 / 9 * trip_kpa
