"""Protocol and drive files are read strictly, and mean the same current and voltage whatever way they are said."""

import tomllib
from dataclasses import replace
from math import isnan
from pathlib import Path

import numpy as np
import pytest
from assb_hil.drive_file import load_drive_cycle
from assb_hil.protocol_file import STEPS, load_protocol, protocol_names, read_protocol
from assb_hil.protocol_steps import DriveOptions, Ratings, unroll
from assb_host.config.errors import ConfigError
from assb_kernels import Limits
from hypothesis import given, settings
from hypothesis import strategies as st

RATINGS = Ratings(
    capacity_ah=2.0,
    area_cm2=500.0,
    units=3,
    taps=False,
    voltage_min_v=2.5,
    voltage_max_v=4.2,
    charge_max_c=0.5,
    discharge_max_c=1.0,
    pressure_min_mpa=2.0,
    pressure_max_mpa=12.0,
    pressure_mpa=5.0,
    temperature_min_degc=10.0,
    temperature_max_degc=60.0,
    room_degc=25.0,
    r0_ohm_at=lambda room_degc: 0.1 if room_degc >= 10.0 else 0.68,
)
GUARDED = replace(
    RATINGS,
    reach_mpa=11.0,
    guard=Limits(voltage_min_v=2.45, voltage_max_v=4.25, pressure_min_mpa=1.8, pressure_max_mpa=12.2),
)
GOOD = """
title = "t"
start = { soc_frac = 0.2 }
[[step]]
do = "charge"
c_rate = 0.1
until = { voltage = "max", time_h = 12.0 }
[[step]]
do = "hold"
voltage = 4.1
c_rate = 0.1
until = { c_rate = 0.01 }
[[step]]
do = "repeat"
times = 2
as_cycles = true
[[step.step]]
do = "rest"
pressure_mpa = "target"
until = { time_s = 60 }
[[step.step]]
do = "repeat"
times = 3
[[step.step.step]]
do = "discharge"
current_ma_cm2 = 1.0
until = { charge_frac = 0.1 }
"""


def read(text):
    return read_protocol(tomllib.loads(text), Path("case.toml"))


def steps_of(text, drive=None):
    return unroll(read(text), RATINGS, 1.0, drive).steps


def unrolled_one(step, ratings=RATINGS):
    return unroll(read('title = "t"\n[[step]]\n' + step), ratings, 1.0)


def one(step, drive=None):
    return steps_of('title = "t"\n[[step]]\n' + step, drive)[0]


def test_every_shipped_protocol_reads_and_unrolls(tmp_path):
    wave = tmp_path / "wave.csv"
    wave.write_text("0,-1\n100,-2\n")
    assert {"cc", "cccv", "rest", "gitt", "hppc", "formation", "cycle", "pressure_step", "drive"} <= {*protocol_names()}
    for name in protocol_names():
        assert unroll(load_protocol(name), RATINGS, 1.0, DriveOptions(file=wave)).steps


def test_loops_unroll_inside_loops_and_count_cycles():
    unrolled = unroll(read(GOOD), RATINGS, 1.0)
    turn = ["rest", "discharge", "discharge", "discharge"]
    assert list(unrolled.names) == ["charge", "hold", *turn, *turn]
    assert [step.cycle for step in unrolled.steps] == [1, 1, 2, 2, 2, 2, 3, 3, 3, 3]
    assert unrolled.cycles == 3
    assert unrolled.shifted(3)[0].cycle == 4


@pytest.mark.parametrize("said", ["c_rate = 0.25", "current_a = 0.5", "current_ma_cm2 = 1.0", "admissible_frac = 0.5"])
def test_one_current_said_in_four_ways(said):
    step = one(f'do = "charge"\n{said}\nuntil = {{ voltage = "max" }}')
    assert step.current_a == pytest.approx(0.5)
    assert step.until_voltage_v == pytest.approx(3 * 4.2)


def test_the_word_gives_the_direction_and_each_direction_its_own_admissible_current():
    step = one('do = "discharge"\nadmissible_frac = 0.5\nuntil = { voltage = 3.0 }')
    assert (step.current_a, step.until_voltage_v) == pytest.approx((-1.0, 9.0))


def test_where_units_are_seen_the_first_one_ends_a_step_and_holds_a_voltage():
    seen = replace(RATINGS, taps=True)
    charge, hold = unroll(read(GOOD), seen, 1.0).steps[:2]
    assert charge.until_unit_voltage_v == 4.2
    assert isnan(charge.until_voltage_v)
    assert (hold.voltage_v, hold.until_unit_voltage_v) == pytest.approx((3 * 4.1, 4.1))


def test_more_than_the_plant_admits_is_said():
    unrolled = unroll(read('title = "t"\n[[step]]\ndo = "charge"\nc_rate = 2.0\nuntil = { time_s = 9 }'), RATINGS, 1.0)
    assert unrolled.notes == ("step[0].c_rate: 4 A is more than the 1 A that the plant admits",)


def test_a_step_without_a_time_ends_even_when_a_short_keeps_the_voltage_down():
    charge = one('do = "charge"\nc_rate = 0.1\nuntil = { voltage = "max" }')
    hold = one('do = "hold"\nvoltage = "max"\nc_rate = 0.1\nuntil = { c_rate = 0.01 }')
    assert (charge.until_s, hold.until_s) == pytest.approx((25 * 3600.0, 24 * 3600.0))
    assert hold.until_current_a == pytest.approx(0.02)


def test_rests_before_the_first_turn_are_part_of_its_cycle():
    text = (
        'title = "t"\n[[step]]\ndo = "rest"\nuntil = { time_h = 1 }\n' + GOOD[GOOD.index('[[step]]\ndo = "repeat"') :]
    )
    unrolled = unroll(read(text), RATINGS, 1.0)
    assert [step.cycle for step in unrolled.steps] == [1, 1, 1, 1, 1, 2, 2, 2, 2]
    rests = '[[step]]\ndo = "repeat"\ntimes = 3\nas_cycles = true\n[[step.step]]\ndo = "rest"\nuntil = { time_h = 1 }\n'
    assert [step.cycle for step in steps_of('title = "t"\n' + rests)] == [1, 2, 3]
    assert unroll(load_protocol("formation"), RATINGS, 1.0).cycles == 3


def test_a_current_is_cut_where_r0_takes_a_fifth_of_the_window_and_it_is_said():
    cold = unrolled_one('do = "discharge"\nadmissible_frac = 0.5\nambient_degc = 0.0\nuntil = { voltage = "min" }')
    assert cold.steps[0].current_a == pytest.approx(-0.5 * 0.2 * 1.7 / 0.68)
    assert "discharge: 0.5 A is admissible at 0 °C, not 2 A: R0 alone takes 20 % of the voltage window" in cold.notes
    warm = unrolled_one('do = "discharge"\nadmissible_frac = 0.5\nuntil = { voltage = "min" }')
    assert (warm.steps[0].current_a, warm.notes) == (-1.0, ())
    asked = unrolled_one('do = "discharge"\ncurrent_a = 1.5\nambient_degc = 0.0\nuntil = { voltage = "min" }')
    assert asked.steps[0].current_a == -1.5
    assert "step[0].current_a: 1.5 A is more than the 0.5 A that the plant admits" in asked.notes


def test_a_room_stays_cold_for_the_steps_that_follow():
    discharge = '[[step]]\ndo = "discharge"\nadmissible_frac = 0.5\nuntil = { voltage = "min" }\n'
    steps = steps_of(
        f'title = "t"\n{discharge}[[step]]\ndo = "rest"\nambient_degc = 0.0\nuntil = {{ time_h = 1 }}\n{discharge}'
    )
    assert [step.current_a for step in (steps[0], steps[2])] == pytest.approx([-1.0, -0.25])


@pytest.mark.parametrize(
    ("step", "place", "allowed"),
    [
        (
            'do = "hold"\nvoltage = 42\nc_rate = 0.1\nuntil = { time_h = 1 }',
            "step[0].voltage: got 42",
            "2.45 .. 4.25 V",
        ),
        ('do = "charge"\nc_rate = 0.1\nuntil = { voltage = 5.0 }', "step[0].until.voltage: got 5.0", "2.45 .. 4.25 V"),
        ('do = "rest"\npressure_mpa = 50\nuntil = { time_h = 1 }', "step[0].pressure_mpa: got 50", "1.8 .. 12.2 MPa"),
        ('do = "rest"\npressure_mpa = 11.5\nuntil = { time_h = 1 }', "step[0].pressure_mpa: got 11.5", "up to 11 MPa"),
    ],
)
def test_what_a_run_could_not_get_past_is_refused_and_without_limits_said(step, place, allowed):
    with pytest.raises(ConfigError) as refusal:
        unrolled_one(step, GUARDED)
    for words in (place, allowed, "case.toml"):
        assert words in str(refusal.value)
    said = unrolled_one(step, replace(GUARDED, guard=None)).notes
    assert any(place.split(":")[0] in note and "is outside" in note for note in said)


def test_between_window_and_margin_is_said():
    (note,) = unrolled_one('do = "charge"\nc_rate = 0.1\nuntil = { voltage = 4.22 }', GUARDED).notes
    assert note == "step[0].until.voltage: 4.22 V is outside the plant's window, 2.5 .. 4.2 V"


def test_a_share_of_the_pressure_window_ends_where_the_bench_does():
    rest = 'do = "rest"\nuntil = { time_s = 1 }\npressure_window_frac = 1.0'
    assert unrolled_one(rest, GUARDED).steps[0].aim_mpa == 11.0


def test_pressure_is_a_figure_the_target_or_a_share_of_the_window():
    rest = 'do = "rest"\nuntil = { time_s = 1 }\n'
    assert one(rest + "pressure_mpa = 7.0").aim_mpa == 7.0
    assert one(rest + 'pressure_mpa = "target"').aim_mpa == 5.0
    assert one(rest + "pressure_window_frac = 0.8").aim_mpa == pytest.approx(10.0)
    assert isnan(one(rest).aim_mpa)


REFUSED = [
    ("c_rate = 0.1\nuntil = { v", "c_rat = 0.1\nuntil = { v", ("step[0].c_rat", "did you mean c_rate?")),
    ("c_rate = 0.1\nuntil = { v", "until = { v", ("step[0].c_rate", "exactly one of c_rate, current_a")),
    ("c_rate = 0.1\nuntil = { v", "c_rate = 0.1\ncurrent_a = 1.0\nuntil = { v", ("step[0].current_a", "only one")),
    ("c_rate = 0.1\nuntil = { v", "c_rate = nan\nuntil = { v", ("step[0].c_rate", "nan", "finite")),
    ("c_rate = 0.1\nuntil = { v", 'c_rate = "fast"\nuntil = { v', ("step[0].c_rate", "'fast'", "a number")),
    ("c_rate = 0.1\nuntil = { v", "c_rate = -0.1\nuntil = { v", ("step[0].c_rate", "-0.1", "more than 0")),
    ('"max"', '"mx"', ("step[0].until.voltage", "'mx'", "max, min")),
    ("time_h = 12.0", "time_h = 12.0, time_s = 3", ("step[0].until.time_h", "only one of time_s, time_h")),
    ("{ c_rate = 0.01 }", "{ voltage = 4.0 }", ("step[1].until.voltage", "a hold ends by time_s")),
    ("{ c_rate = 0.01 }", "{}", ("step[1].until", "one or more of time_s")),
    ('do = "hold"', 'do = "cv"', ("step[1].do", "'cv'", "rest, charge, discharge, hold, drive, repeat")),
    ('do = "hold"', "", ("step[1].do", "is missing")),
    ("times = 3", "times = 0", ("step[2].step[1].times", "0", "1 .. 100000")),
    ("times = 3", "times = 90000", ("step[2].step[1].step[0]", "once the loops are unrolled")),
    ('pressure_mpa = "target"', "pressure_mpa = -1", ("step[2].step[0].pressure_mpa", "0 .. 400")),
    ("soc_frac = 0.2", "soc_frac = 20", ("start.soc_frac", "20", "0 .. 1")),
    ('title = "t"', "", ("title", "is missing")),
    ("[[step.step.step]]", "[[step.step.stop]]", ("step[2].step[1].stop",)),
    (GOOD[GOOD.index("[[step.step.step]]") :], "", ("step[2].step[1].step", "write [[step.step.step]]")),
    ("until = { time_s = 60 }", "", ("step[2].step[0].until: is missing", "one or more of time_s, time_h;")),
    ("until = { voltage =", "until_ = { voltage =", ("step[0].until: is missing", "time_h, voltage, charge_ah")),
]


@pytest.mark.parametrize(("old", "new", "told"), REFUSED)
def test_a_wrong_file_is_refused_by_place_value_and_what_is_allowed(old, new, told):
    with pytest.raises(ConfigError) as refusal:
        steps_of(GOOD.replace(old, new, 1))
    for words in ("case.toml", *told):
        assert words in str(refusal.value)


def test_a_protocol_without_steps_and_an_unknown_name_are_refused():
    with pytest.raises(ConfigError, match=r"step: is missing.*\[\[step\]\]"):
        read('title = "t"')
    with pytest.raises(ConfigError, match=r"'ccvc'.*cc, cccv, cycle"):
        load_protocol("ccvc")
    with pytest.raises(ConfigError, match=r"nowhere.toml.*a file that can be read"):
        load_protocol("nowhere.toml")


def leaves(value, trail=()):
    """Paths of everything in a document."""
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in rows:
        yield (*trail, key)
        yield from leaves(inner, (*trail, key))


DAMAGE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just([]), st.just({}), st.just([{}])
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_document_is_refused_by_name_or_still_a_protocol(data):
    document = tomllib.loads(GOOD)
    trail = data.draw(st.sampled_from(list(leaves(document))))
    inner = document
    for key in trail[:-1]:
        inner = inner[key]
    match data.draw(st.sampled_from(["replace", "remove", "rename"])):
        case "replace":
            inner[trail[-1]] = data.draw(DAMAGE)
        case "remove":
            del inner[trail[-1]]
        case "rename" if isinstance(inner, dict):
            inner[str(trail[-1]) + "x"] = inner.pop(trail[-1])
    try:
        steps = unroll(read_protocol(document, Path("case.toml")), RATINGS, 1.0).steps
    except ConfigError as error:
        assert error.file == "case.toml"
        assert error.key
        return
    assert all(step.until_s > 0 for step in steps)


@settings(max_examples=200, deadline=None)
@given(position=st.integers(0, len(GOOD) - 1), byte=st.characters(max_codepoint=127))
def test_a_damaged_file_is_never_a_traceback(tmp_path_factory, position, byte):
    path = tmp_path_factory.getbasetemp() / "damaged.toml"
    path.write_text(GOOD[:position] + byte + GOOD[position + 1 :], encoding="utf-8")
    try:
        unroll(load_protocol(str(path)), RATINGS, 1.0)
    except ConfigError as error:
        assert "damaged.toml" in str(error)


def test_every_key_of_a_step_is_explained():
    """docs/sim.md is made from the descriptions."""
    from assb_host.config.toml_reader import described
    from msgspec import inspect

    for do, struct in STEPS.items():
        for field in inspect.type_info(struct).fields:
            if field.encode_name not in ("until", "step"):
                assert described(field.type), f"{do}.{field.encode_name}"


def drive_file(tmp_path, text):
    path = tmp_path / "drive.csv"
    path.write_text(text)
    return path


@settings(max_examples=60, deadline=None)
@given(
    gaps_s=st.lists(st.floats(0.001, 50.0), min_size=1, max_size=40),
    dt_s=st.floats(0.05, 20.0),
    seed=st.integers(0, 1000),
)
def test_a_resampled_drive_cycle_keeps_its_charge(tmp_path_factory, gaps_s, dt_s, seed):
    times_s = np.concatenate(([0.0], np.cumsum(gaps_s)))
    currents_a = np.random.default_rng(seed).normal(0.0, 2.0, len(times_s))
    rows = "\n".join(f"{t!r},{a!r}" for t, a in zip(times_s.tolist(), currents_a.tolist(), strict=True))
    cycle = load_drive_cycle(drive_file(tmp_path_factory.getbasetemp(), rows))
    column_a, interval_s = cycle.column(dt_s)
    assert len(column_a) * interval_s == pytest.approx(cycle.duration_s)
    assert column_a.sum() * interval_s / 3600 == pytest.approx(cycle.charge_ah, rel=1e-9, abs=1e-9)


def test_the_sign_of_a_drive_file_is_turned(tmp_path):
    path = drive_file(tmp_path, "# time [s], current [A]\ntime_s,current_a\n0,2\n10,4\n")
    assert load_drive_cycle(path).peak_a == (0.0, 4.0)
    assert load_drive_cycle(path, plus_discharges=True).peak_a == (4.0, 0.0)


def test_a_drive_cycle_can_be_scaled_to_what_the_plant_admits(tmp_path):
    path = drive_file(tmp_path, "0,-8\n10,-8\n11,2\n20,2\n")
    for keys, factor in (
        ("peak_admissible_frac = 1.0", 0.25),  # 2 A out is the tighter one
        ("peak_c_rate = 2.0", 0.5),
        ("scale = 0.1", 0.1),
        ("", 1.0),
    ):
        step = one(f'do = "drive"\n{keys}', DriveOptions(file=path))
        assert min(step.drive_a) == pytest.approx(-8 * factor)
        assert step.until_s == pytest.approx(20.0)
    step = one('do = "drive"\nscale = 0.1', DriveOptions(file=path, scale=3.0))
    assert min(step.drive_a) == pytest.approx(-24)


def test_a_drive_cycle_that_charges_hints_at_the_sign(tmp_path):
    path = drive_file(tmp_path, "0,8\n10,8\n")
    unrolled = unroll(read('title = "t"\n[[step]]\ndo = "drive"'), RATINGS, 1.0, DriveOptions(file=path))
    assert any("--drive-sign -" in note for note in unrolled.notes)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("0,1\n1,nan\n2,1\n", "line 2.*'1,nan'.*finite"),
        ("# c\n0,1\n2,1\n1,1\n", r"line 4: got 1\.0.*after 2 s"),
        ("0,1\n0,1\n", "line 2.*times must rise"),
        ("0,1\n1\n", "line 2.*two numbers"),
        ("0;1\n1;2\n", "line 1.*two numbers"),
        ("nan,1\n1,2\n", "line 1.*finite"),
        ("0,1\n", "1 rows.*at least two"),
        ("", "0 rows"),
        ("# time [s],Power [kW]\n0,1\n1,2\n", "line 1.*power"),
        ("time_s,power_w\n0,1\n1,2\n", "line 1.*power"),
    ],
)
def test_a_wrong_drive_file_is_refused_with_its_line(tmp_path, text, told):
    with pytest.raises(ConfigError, match="drive.csv.*" + told):
        load_drive_cycle(drive_file(tmp_path, text))


def test_a_drive_step_without_a_file_says_how_to_give_one():
    with pytest.raises(ConfigError, match=r"step\[0\].file: is missing.*--drive-file"):
        one('do = "drive"')
    with pytest.raises(ConfigError, match=r"nowhere.csv.*can be read"):
        one('do = "drive"', DriveOptions(file=Path("nowhere.csv")))
